//! One leads, the term rises, and what is lost is given up.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::eventually;
use crate::db::lease::LeaseTiming;
use crate::db::testing::TestDatabase;
use crate::db::{LeaderLease, Leadership};

/// Long enough for a busy machine, short enough for a test.
const TIMING: LeaseTiming = LeaseTiming {
    lease: Duration::from_secs(4),
    renew: Duration::from_millis(500),
    probe: Duration::from_millis(100),
    margin: Duration::from_secs(1),
    retry: Duration::from_millis(100),
};

struct Contender {
    leadership: watch::Receiver<Leadership>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Contender {
    async fn start(test: &TestDatabase, replica: &str) -> Self {
        let lease = LeaderLease::with_timing(test.another().await, replica.to_owned(), TIMING);
        let stop = CancellationToken::new();
        Self { leadership: lease.leadership(), task: tokio::spawn(lease.run(stop.clone())), stop }
    }

    fn now(&self) -> Leadership {
        self.leadership.borrow().clone()
    }

    async fn until(
        &mut self,
        what: &str,
        condition: impl FnMut(&Leadership) -> bool,
    ) -> Leadership {
        tokio::time::timeout(Duration::from_mins(1), self.leadership.wait_for(condition))
            .await
            .unwrap_or_else(|_elapsed| panic!("never: {what}"))
            .unwrap()
            .clone()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        assert!(!self.leadership.borrow().leads);
    }
}

/// Ends the sessions that hold or want the leader's lock.
async fn end_lease_sessions(test: &TestDatabase) {
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'streamspaced leader lease' AND datname = current_database()",
    )
    .execute(&test.superuser().await)
    .await
    .unwrap();
}

#[tokio::test]
async fn of_two_one_leads_and_the_other_follows_it() {
    let test = TestDatabase::create().await;
    let mut first = Contender::start(&test, "a").await;
    let led = first.until("a leads", |now| now.leads).await;
    assert_eq!((led.replica.as_str(), led.leader_term), ("a", 1));

    let mut second = Contender::start(&test, "b").await;
    let followed = second.until("b knows of a", |now| now.replica == "a").await;
    assert!(!followed.leads);
    assert_eq!(followed.leader_term, 1);

    // An orderly stop hands over at once, under a higher term.
    first.stop().await;
    let led = second.until("b leads", |now| now.leads).await;
    assert_eq!((led.replica.as_str(), led.leader_term), ("b", 2));
    second.stop().await;
}

#[tokio::test]
async fn a_lost_connection_gives_leadership_up_and_the_term_rises() {
    let test = TestDatabase::create().await;
    let mut only = Contender::start(&test, "a").await;
    only.until("a leads", |now| now.leads).await;
    end_lease_sessions(&test).await;
    only.until("a stands down", |now| !now.leads).await;
    let led = only.until("a leads again", |now| now.leads).await;
    assert_eq!(led.leader_term, 2);
    only.stop().await;
}

#[tokio::test]
async fn a_row_that_another_took_gives_leadership_up() {
    let test = TestDatabase::create().await;
    let mut only = Contender::start(&test, "a").await;
    only.until("a leads", |now| now.leads).await;
    sqlx::query(
        "UPDATE leader SET replica = 'z', leader_term = 9, lease_until = now() + interval '1 hour'",
    )
    .execute(test.database().operator())
    .await
    .unwrap();
    only.until("a stands down", |now| !now.leads).await;
    let followed = only.until("a knows of z", |now| now.replica == "z").await;
    assert_eq!((followed.leader_term, followed.leads), (9, false));
    only.stop().await;
}

#[tokio::test]
async fn a_leader_that_cannot_renew_stops_before_its_lease_ends() {
    let test = TestDatabase::create().await;
    let mut only = Contender::start(&test, "a").await;
    only.until("a leads", |now| now.leads).await;
    // The row is held, so the renewal hangs though the connection lives.
    let pool = PgPoolOptions::new().connect(test.config.operator.expose()).await.unwrap();
    let mut holder = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM leader FOR UPDATE").execute(&mut *holder).await.unwrap();
    only.until("a stands down", |now| !now.leads).await;
    let still_good: bool = sqlx::query_scalar("SELECT lease_until > clock_timestamp() FROM leader")
        .fetch_one(test.database().operator())
        .await
        .unwrap();
    assert!(still_good, "the lease had ended while its holder still led");
    holder.rollback().await.unwrap();
    let led = only.until("a leads again", |now| now.leads).await;
    assert_eq!(led.leader_term, 2);
    only.stop().await;
}

#[tokio::test]
async fn two_never_lead_at_once_while_connections_are_cut() {
    let test = TestDatabase::create().await;
    let mut contenders = Vec::new();
    for replica in ["a", "b", "c"] {
        contenders.push(Contender::start(&test, replica).await);
    }
    let mut terms = Vec::new();
    for _ in 0..3 {
        eventually("someone new leads", || async {
            let leaders: Vec<Leadership> =
                contenders.iter().map(Contender::now).filter(|now| now.leads).collect();
            assert!(leaders.len() <= 1, "{leaders:?}");
            let term = leaders.first().map(|leader| leader.leader_term);
            term.is_some() && term > terms.last().copied()
        })
        .await;
        let now = contenders.iter().map(Contender::now).find(|now| now.leads);
        terms.extend(now.map(|now| now.leader_term));
        end_lease_sessions(&test).await;
    }
    assert!(terms.is_sorted(), "{terms:?}");
    for contender in contenders {
        contender.stop().await;
    }
}

#[tokio::test]
async fn an_aborted_contender_does_not_lead() {
    let test = TestDatabase::create().await;
    let mut only = Contender::start(&test, "a").await;
    only.until("a leads", |now| now.leads).await;
    only.task.abort();
    let _ = only.task.await;
    assert!(!only.leadership.borrow().leads);
}

#[tokio::test]
async fn leadership_comes_back_after_postgresql_was_stopped() {
    let mut test = TestDatabase::with_own_server().await;
    let mut only = Contender::start(&test, "a").await;
    only.until("a leads", |now| now.leads).await;
    test.server().kill_server().unwrap();
    only.until("a stands down", |now| !now.leads).await;
    test.server().start_again().unwrap();
    let led = only.until("a leads again", |now| now.leads).await;
    assert_eq!(led.leader_term, 2);
    only.stop().await;
}

#[tokio::test]
async fn a_leader_that_is_asked_to_gives_the_lease_to_another() {
    let test = TestDatabase::create().await;
    let mut first = Contender::start(&test, "a").await;
    let led = first.until("a leads", |now| now.leads).await;
    let mut second = Contender::start(&test, "b").await;
    second.until("b follows", |now| now.replica == "a").await;
    sqlx::query("UPDATE region_controls SET step_down_term = $1")
        .bind(led.leader_term)
        .execute(test.database().operator())
        .await
        .unwrap();
    let led = second.until("b leads", |now| now.leads).await;
    assert_eq!(led.leader_term, 2);
    let followed = first.until("a follows b", |now| now.replica == "b").await;
    assert!(!followed.leads);
    second.stop().await;
    // It contends again after a while, and that request is over.
    let led = first.until("a leads again", |now| now.leads).await;
    assert_eq!(led.leader_term, 3);
    first.stop().await;
}

#[tokio::test]
async fn the_only_replica_leads_again_after_it_stepped_down() {
    let test = TestDatabase::create().await;
    let mut only = Contender::start(&test, "a").await;
    only.until("a leads", |now| now.leads).await;
    sqlx::query("UPDATE region_controls SET step_down_term = 1")
        .execute(test.database().operator())
        .await
        .unwrap();
    only.until("a stands down", |now| !now.leads).await;
    let led = only.until("a leads again", |now| now.leads).await;
    assert_eq!(led.leader_term, 2);
    only.stop().await;
}
