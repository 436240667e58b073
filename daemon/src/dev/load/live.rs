//! A present: sessions that the users of tenants make in the cluster, faster than time.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use jiff::Timestamp;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams},
};
use streamspace_core::{
    load::{self, Lasting, Load, TemplateLoad},
    quantity::{Bytes, Millicores, Unit, observed},
    session::{DEFAULT_CPU, DEFAULT_MEMORY},
    usage::Second,
};
use tokio_util::sync::CancellationToken;

use super::{
    LoadTenant,
    play::{LABEL, Player},
    populations,
};
use crate::{
    kube::{ClusterError, limited},
    platform::resources::{Session, Template},
};

/// So many templates of the catalogue are used.
const TEMPLATES_MAXIMUM: usize = 50;
/// How long what an earlier start left is waited for, which goes once it is metered.
const CLEARING: Duration = Duration::from_secs(30);
const WEEK: i64 = 7 * 86_400;
/// From midnight of the Thursday that 1970 began with to the Monday after it, and to where
/// most zones work.
const MONDAY_MORNING: i64 = 4 * 86_400 + 8 * 3600;

/// How the users live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// What they do follows from it.
    pub seed: u64,
    /// How many times as fast as others they live.
    pub speed: u32,
    /// The most sessions at once.
    pub sessions: usize,
}

/// Lets the users of these tenants work until `stop`, by the client that is given: as a
/// tenant's user would. Their time begins with a Monday morning, so that something happens
/// at once. What the cluster refuses is logged and passed by, as a user would try something
/// else.
pub async fn live(
    client: Client,
    tenants: &[LoadTenant],
    pace: Pace,
    catalogue: &str,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let templates = templates(&client, catalogue).await?;
    if templates.is_empty() || tenants.is_empty() {
        tracing::warn!(catalogue, tenants = tenants.len(), "no load: a template or a tenant lacks");
        return Ok(());
    }
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        () = clear(&client, tenants) => {}
    }
    let now = Second::holding(Timestamp::now());
    let begin = now.plus(-(now.0 - MONDAY_MORNING).rem_euclid(WEEK));
    let load = Load {
        seed: pace.seed,
        begin,
        // As good as for ever, at any speed.
        end: begin.plus(5000 * WEEK),
        closes: false,
        tenants: populations(tenants),
        templates,
    };
    let places = tenants.iter().map(|it| (it.uid, it.namespace.clone())).collect();
    Player::new(client, places, pace).play(begin, load.events(), stop).await;
    Ok(())
}

/// The templates of the catalogue, as sessions are made of them.
async fn templates(client: &Client, catalogue: &str) -> anyhow::Result<Vec<TemplateLoad>> {
    let api: Api<Template> = Api::namespaced(client.clone(), catalogue);
    let found = limited(api.list(&ListParams::default())).await;
    let found = found.with_context(|| format!("the templates of {catalogue}"))?;
    let known: BTreeMap<String, TemplateLoad> =
        load::templates().into_iter().map(|it| (it.name.clone(), it)).collect();
    let of = |template: Template| {
        let name = template.metadata.name?;
        let sizes = template.spec.default_resources;
        let size = |written: Option<&String>, unit| {
            written.and_then(|text| observed(unit, text).ok()).filter(|amount| *amount > 0)
        };
        let cpu = size(sizes.as_ref().map(|it| &it.cpu), Unit::Millicores);
        let memory = size(sizes.as_ref().map(|it| &it.memory), Unit::Bytes);
        let (weight, stay) =
            known.get(&name).map_or((5, Lasting { median: 3600, sigma_milli: 800 }), |known| {
                (known.weight, known.stay)
            });
        Some(TemplateLoad {
            name,
            weight,
            cpu: cpu.map_or(DEFAULT_CPU, Millicores),
            memory: memory.map_or(DEFAULT_MEMORY, Bytes),
            stay,
        })
    };
    Ok(found.items.into_iter().filter_map(of).take(TEMPLATES_MAXIMUM).collect())
}

/// Deletes what an earlier start left, and waits for a while until it is gone: the same
/// seed gives the same names.
async fn clear(client: &Client, tenants: &[LoadTenant]) {
    let begin = tokio::time::Instant::now();
    let ours = ListParams::default().labels(LABEL);
    loop {
        let mut left = 0;
        for tenant in tenants {
            let api: Api<Session> = Api::namespaced(client.clone(), &tenant.namespace);
            match cleared(&api, &ours).await {
                Ok(count) => left += count,
                Err(error) => tracing::debug!(namespace = tenant.namespace, %error, "not cleared"),
            }
        }
        if left == 0 || begin.elapsed() >= CLEARING {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Deletes the sessions that are chosen; how many there were.
async fn cleared(api: &Api<Session>, chosen: &ListParams) -> Result<usize, ClusterError> {
    let found = limited(api.list_metadata(chosen)).await?.items;
    for session in &found {
        let is_going = session.metadata.deletion_timestamp.is_some();
        if let Some(name) = session.metadata.name.as_ref().filter(|_| !is_going) {
            limited(api.delete(name, &DeleteParams::default())).await?;
        }
    }
    Ok(found.len())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use k8s_openapi::api::core::v1::Namespace;
    use kube::api::PostParams;
    use streamspace_core::{ids::TenantUid, plan};
    use streamspace_sim::Simulator;
    use uuid::Uuid;

    use super::{super::play::Counts, *};
    use crate::{
        dev::furnish,
        kube::{Cluster, ClusterConfig},
        platform::resources::SessionState,
    };

    const CATALOGUE: &str = "catalogue";

    struct World {
        simulator: Simulator,
        tenants: Vec<LoadTenant>,
        _folder: tempfile::TempDir,
    }

    impl World {
        async fn new(users: u32) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let simulator = Simulator::open(&folder.path().join("cluster")).unwrap();
            let cluster = Cluster::from_client(simulator.client(), "the simulator");
            let config = ClusterConfig::default();
            furnish::furnish(&cluster, &config, CATALOGUE, folder.path(), true).await.unwrap();
            let namespaces: Api<Namespace> = Api::all(simulator.client());
            let mut namespace = Namespace::default();
            namespace.metadata.name = Some("tenant-acme-corp".to_owned());
            namespaces.create(&PostParams::default(), &namespace).await.unwrap();
            let tenant = LoadTenant {
                uid: TenantUid(Uuid::from_u128(1)),
                namespace: "tenant-acme-corp".to_owned(),
                users,
                plan: Arc::new(plan::seeded().unwrap()[2].clone()),
            };
            Self { simulator, tenants: vec![tenant], _folder: folder }
        }

        /// Plays two days, which begin with a Monday.
        async fn play(&self, sessions: usize, stop: &CancellationToken) -> Counts {
            let client = self.simulator.client();
            let begin = Second(1_793_577_600);
            let load = Load {
                seed: 7,
                begin,
                end: begin.plus(2 * 86_400),
                closes: false,
                tenants: populations(&self.tenants),
                templates: templates(&client, CATALOGUE).await.unwrap(),
            };
            let places = self.tenants.iter().map(|it| (it.uid, it.namespace.clone())).collect();
            let pace = Pace { seed: 7, speed: 60, sessions };
            Player::new(client, places, pace).play(begin, load.events(), stop).await
        }

        async fn sessions(&self) -> Vec<Session> {
            let api: Api<Session> = Api::namespaced(self.simulator.client(), "tenant-acme-corp");
            api.list(&ListParams::default().labels(LABEL)).await.unwrap().items
        }
    }

    #[tokio::test(start_paused = true)]
    async fn users_make_wake_and_end_sessions_faster_than_time() {
        let world = World::new(20).await;
        let start = tokio::time::Instant::now();
        let counts = world.play(200, &CancellationToken::new()).await;
        assert!(start.elapsed() <= Duration::from_mins(48), "{:?}", start.elapsed());
        assert!(counts.created > 30 && counts.hibernated > 10 && counts.woken > 5, "{counts:?}");
        assert!(counts.ended > 10 && counts.skipped == 0 && counts.refused == 0, "{counts:?}");
        let sessions = world.sessions().await;
        // What ended is deleted after a while.
        assert!(sessions.len() < counts.created, "{counts:?}");
        let states: BTreeSet<_> = sessions.iter().map(|it| it.spec.state as u8).collect();
        assert!(states.contains(&(SessionState::Hibernated as u8)));
        let names: BTreeSet<_> = sessions.iter().map(|it| it.spec.template.as_str()).collect();
        assert!(names.contains("firefox-browser"), "{names:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_never_more_than_was_said() {
        let world = World::new(20).await;
        let counts = world.play(5, &CancellationToken::new()).await;
        assert!(counts.most <= 5 && counts.skipped > 0, "{counts:?}");
        assert!(world.sessions().await.len() <= 5);
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_earlier_start_left_goes_and_a_stop_is_at_once() {
        let world = World::new(20).await;
        world.play(200, &CancellationToken::new()).await;
        assert!(!world.sessions().await.is_empty());
        let stop = CancellationToken::new();
        clear(&world.simulator.client(), &world.tenants).await;
        assert_eq!(world.sessions().await.len(), 0);
        stop.cancel();
        let start = tokio::time::Instant::now();
        let pace = Pace { seed: 7, speed: 60, sessions: 5 };
        let client = world.simulator.client();
        live(client.clone(), &world.tenants, pace, CATALOGUE, &stop).await.unwrap();
        // An empty catalogue has nothing to make a session of.
        live(client, &world.tenants, pace, "default", &CancellationToken::new()).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
