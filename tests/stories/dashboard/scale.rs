//! The dashboard of a large region while it is busy.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use streamspace_client::Connection;
use streamspace_proto::v1::{SessionPhase, Tenant, UpdateTenantRequest};
use streamspace_tests::{
    crowd::{self, Crowd},
    pty::Drawing,
    random::Random,
    region::{Region, shared_cluster},
    runtime::story,
};
use tokio::time::sleep;
use uuid::Uuid;

use super::{ENTER, ESCAPE, PATIENCE, started};
use crate::sessions::scene::{Scene, TENANT};

/// How many tenants; each has five sessions. `make test` is content with 1,000.
const TENANTS_VARIABLE: &str = "STREAMSPACE_CROWD";
const SESSIONS_OF_A_TENANT: usize = 5;
/// So many sessions change at once, and so often at most.
const AT_ONCE: u64 = 100;
const PAUSE: Duration = Duration::from_millis(250);
/// How many times it is busy and then quiet.
const ROUNDS: usize = 3;

/// What happens in the region until it is told to be quiet.
struct Busy {
    over: Arc<AtomicBool>,
    steps: Arc<AtomicUsize>,
    work: tokio::task::JoinHandle<(Crowd, Random)>,
}

impl Busy {
    fn begin(mut crowd: Crowd, mut random: Random, connection: Connection) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let steps = Arc::new(AtomicUsize::new(0));
        let (is_over, done) = (Arc::clone(&over), Arc::clone(&steps));
        let work = tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let count = usize::try_from(1 + random.below(AT_ONCE)).unwrap();
                crowd.stir(&mut random, count).await;
                seats(&connection, 1 + i32::try_from(random.below(5)).unwrap()).await;
                done.fetch_add(1, Ordering::Relaxed);
                sleep(PAUSE).await;
            }
            (crowd, random)
        });
        Self { over, steps, work }
    }

    /// Waits until it has done a few things more.
    async fn goes_on(&self) {
        let then = self.steps.load(Ordering::Relaxed) + 4;
        while self.steps.load(Ordering::Relaxed) < then && !self.work.is_finished() {
            sleep(PAUSE).await;
        }
    }

    async fn end(self) -> (Crowd, Random) {
        self.over.store(true, Ordering::Relaxed);
        self.work.await.unwrap()
    }
}

async fn seats(connection: &Connection, seats: i32) {
    let request = UpdateTenantRequest {
        tenant: Some(Tenant { name: format!("tenants/{TENANT}"), seats, ..Tenant::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["seats".into()] }),
        request_id: Uuid::new_v4().to_string(),
        ..UpdateTenantRequest::default()
    };
    connection.tenants().update_tenant(request).await.unwrap();
}

/// How many there are, by the daemon and by the rows that it reads.
async fn counted(region: &Region, kind: &str) -> usize {
    let listed = region
        .admin()
        .ok(&[kind, "list", "-o", "name", "--limit", "1000000"])
        .await
        .stdout
        .lines()
        .count();
    let statement = match kind {
        "tenant" => "SELECT count(*) FROM tenants WHERE state <> 'gone'",
        _ => "SELECT count(*) FROM sessions",
    };
    let rows: i64 = sqlx::query_scalar(statement).fetch_one(&region.pool()).await.unwrap();
    assert_eq!(rows, i64::try_from(listed).unwrap(), "{kind}");
    listed
}

/// A number as the dashboard writes it.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

async fn tells_how_many_there_are(screen: &mut Drawing, region: &Region) {
    for (key, title, kind) in [("t", "TENANTS", "tenant"), ("S", "SESSIONS", "session")] {
        screen.press(key);
        let there = format!("{title} {} ", grouped(counted(region, kind).await));
        screen.shows(PATIENCE, &there).await;
        screen.shows(PATIENCE, "● live").await;
    }
}

#[test]
fn a_large_region_is_shown_as_it_is_while_it_changes() {
    story(async {
        let mut random = Random::from_environment();
        let tenants = std::env::var(TENANTS_VARIABLE)
            .map_or(1000, |tenants| tenants.parse().expect("a number"));
        let scene = Scene::on(shared_cluster().await).await;
        started(&scene, &["desk-1"]).await;
        scene.region.stop().await;
        crowd::leave_alone(&scene.region);
        scene.region.launch().await;
        scene.region.is_well().await;
        crowd::is_listed(&scene.region).await;
        let sessions = tenants * SESSIONS_OF_A_TENANT;
        let mut crowd = Crowd::gather(scene.region.pool(), TENANT, tenants, sessions).await;

        let mut screen = Drawing::start(scene.region.admin(), &["ui"], 120, 40);
        screen.shows(PATIENCE, "● live").await;
        tells_how_many_there_are(&mut screen, &scene.region).await;
        assert_eq!(counted(&scene.region, "session").await, sessions + 1);

        for round in 0..ROUNDS {
            let busy = Busy::begin(crowd, random, scene.region.admin().connection());
            busy.goes_on().await;
            screen.press("t/acme");
            screen.shows(PATIENCE, "1 with \"acme\"").await;
            screen.press(ENTER);
            screen.press("s");
            screen.shows(PATIENCE, &format!("SESSIONS of {TENANT} 1 ")).await;
            let (key, asked, then, phase) = match round % 2 {
                0 => ("h", "hibernate: scale", "hibernated 1", SessionPhase::Hibernated),
                _ => ("w", "wake: let it run", "running 1", SessionPhase::Running),
            };
            screen.press("a");
            screen.shows(PATIENCE, asked).await;
            screen.press(key);
            screen.shows(PATIENCE, "would change: 1 session").await;
            screen.press("a story");
            screen.press(ENTER);
            screen.shows(PATIENCE, "accepted, 1 session").await;
            screen.shows(PATIENCE, &format!("SESSIONS of {TENANT} 1  {then}")).await;
            scene.until("desk-1", phase).await;
            busy.goes_on().await;
            (crowd, random) = busy.end().await;
            screen.press("t");
            screen.shows(PATIENCE, "with \"acme\"").await;
            screen.press(ESCAPE);
            screen.until(PATIENCE, "all are shown", |text| !text.contains("with \"acme\"")).await;
            tells_how_many_there_are(&mut screen, &scene.region).await;
        }
        // All of it happened beside the crowd, which is what it was made to be.
        assert_eq!(counted(&scene.region, "tenant").await, crowd.tenants() + 1);
        assert_eq!(counted(&scene.region, "session").await, crowd.sessions() + 1);
        screen.press("q");
        assert!(screen.ends(PATIENCE).await.success());
    });
}
