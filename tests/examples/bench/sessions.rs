//! Sessions of thousands of tenants, for measurements that need them to be there.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use kube::api::PostParams;
use serde_json::json;
use streamspace_tests::{region::Region, sessions};

use crate::table::seconds;

/// Each tenant has so many, of different users.
pub(crate) const EACH: usize = 5;
/// One of so many runs, the others sleep.
const ONE_RUNS_OF: usize = 10;
const CALLS: usize = 16;
const CATALOGUE: &str = "bench-catalogue";
const TOLD: Duration = Duration::from_secs(15);

/// Lets the region take templates from a catalogue of its own. It is started anew after that.
pub(crate) fn settings(region: &Region) {
    region.set("sessions", "catalogue_namespace", CATALOGUE);
}

/// Has the daemon make the sessions of so many tenants, whose names begin so, and returns how
/// many there are.
pub(crate) async fn prepare(region: &Region, beginning: &str, tenants: usize) -> usize {
    let begin = Instant::now();
    sessions::catalogue(region, CATALOGUE, &[("firefox", "example.com/firefox:1")]).await;
    let _nodes = sessions::nodes(sessions::node_client(region.cluster()).await);
    let client = region.client().await;
    let count = tenants * EACH;
    let made = stream::iter(0..count).for_each_concurrent(CALLS, async |number| {
        let namespace = region.namespace(&format!("{beginning}{}", number / EACH));
        let name = format!("desk-{}", number % EACH);
        let state = if number % ONE_RUNS_OF == 0 { "running" } else { "hibernated" };
        let session = json!({
            "apiVersion": "stream.space/v1alpha1", "kind": "Session",
            "metadata": {"name": name},
            "spec": {
                "user": format!("user-of-{name}"), "template": "firefox", "state": state,
                "persistentHome": false, "resources": {"cpu": "100m", "memory": "128Mi"},
            },
        });
        let sessions = sessions::sessions(client.clone(), &namespace);
        let session = sessions::object(session);
        sessions.create(&PostParams::default(), &session).await.unwrap();
    });
    let rest = async {
        loop {
            tokio::time::sleep(TOLD).await;
            let query = "SELECT count(*), count(*) FILTER (WHERE phase = CASE state \
                                WHEN 'running' THEN 'Running' ELSE 'Hibernated' END) \
                         FROM sessions";
            let (known, settled): (i64, i64) =
                sqlx::query_as(query).fetch_one(&region.pool()).await.unwrap();
            eprintln!("{known} sessions, {settled} settled after {}", seconds(begin.elapsed()));
            if usize::try_from(settled) == Ok(count) {
                return;
            }
        }
    };
    tokio::join!(made, rest);
    count
}
