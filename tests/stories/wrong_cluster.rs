//! Nothing in a cluster is deleted because the database knows nothing of it.

use kube::api::ListParams;
use streamspace_tests::{
    database::Server,
    region::{Region, own_cluster, shared_cluster},
    runtime::story,
    wait::{holds, until},
};

const MANAGED: usize = 50;

/// A region with so many tenants, all of them there.
async fn region_with_tenants() -> Region {
    let region = Region::start().await;
    for number in 0..MANAGED {
        let id = format!("kept-{number}");
        region.admin().ok(&["tenant", "create", &id, "--plan", "free", "--seats", "1"]).await;
    }
    all_there(&region).await;
    region
}

async fn uids(region: &Region) -> Vec<String> {
    let selector = format!("control.stream.space/instance={}", region.instance());
    let listed = region.namespaces().await.list(&ListParams::default().labels(&selector)).await;
    let mut uids: Vec<String> = listed
        .unwrap()
        .into_iter()
        .filter(|namespace| namespace.metadata.deletion_timestamp.is_none())
        .filter(|namespace| {
            let name = namespace.metadata.name.as_deref().unwrap_or_default();
            name.starts_with(region.prefix()) && name.contains("kept-")
        })
        .filter_map(|namespace| namespace.metadata.uid)
        .collect();
    uids.sort();
    uids
}

async fn all_there(region: &Region) {
    until("every tenant is active", async || {
        let query = "SELECT count(*) FROM tenants WHERE state = 'active'";
        let active: i64 =
            sqlx::query_scalar(query).fetch_one(&region.pool()).await.map_err(|e| e.to_string())?;
        holds(usize::try_from(active) == Ok(MANAGED), || format!("{active} are"))
    })
    .await;
    assert_eq!(uids(region).await.len(), MANAGED);
}

#[test]
fn an_empty_database_empties_no_cluster() {
    story(async {
        let region = region_with_tenants().await;
        let before = uids(&region).await;
        region.stop().await;
        // Everything that the daemon knew is gone, and only that.
        let pool = region.pool();
        for table in
            ["quota_overrides", "approvals", "changes", "operations", "tenant_subscription"]
        {
            sqlx::query(sqlx::AssertSqlSafe(format!("DELETE FROM {table}")))
                .execute(&pool)
                .await
                .unwrap();
        }
        for statement in [
            "DELETE FROM tenants",
            "DELETE FROM cluster_pin",
            "UPDATE leader SET leader_term = 0, replica = '', lease_until = '-infinity'",
        ] {
            sqlx::query(statement).execute(&pool).await.unwrap();
        }
        region.launch().await;
        until("the daemon says that this cluster is not its own", async || {
            let said = region.cluster_says().await;
            holds(said.contains("streamspaced cluster pin"), || said.clone())
        })
        .await;
        assert_eq!(uids(&region).await, before, "a namespace was deleted");

        // Once somebody on the host accepts the cluster, the namespaces are orphans that
        // are told, and still not deleted.
        let config = region.config().display().to_string();
        region.host(&["cluster", "pin", "--config", &config, "--yes"]).await;
        until("the orphans are told", async || {
            let shown = region.admin().json(&["region", "show"]).await;
            let told = shown["orphans"].as_array().map_or(0, Vec::len);
            holds(told == MANAGED, || format!("{told} are"))
        })
        .await;
        assert_eq!(uids(&region).await, before, "a namespace was deleted");
        // The region works: another tenant comes to be, and an orphan can be adopted.
        let ssctl = region.admin();
        ssctl.ok(&["tenant", "create", "fresh", "--plan", "free", "--seats", "1", "--wait"]).await;
        let adopt = ["tenant", "create", "kept-7", "--plan", "free", "--seats", "1"];
        ssctl.ok(&[&adopt[..], &["--adopt", "--wait"]].concat()).await;
        assert_eq!(uids(&region).await, before, "adoption keeps the namespace");
        until("the adopted one is no orphan", async || {
            let shown = ssctl.json(&["region", "show"]).await;
            let told = shown["orphans"].as_array().map_or(0, Vec::len);
            holds(told == MANAGED - 1, || format!("{told} are"))
        })
        .await;
    });
}

#[test]
fn a_restored_older_database_deletes_nothing() {
    story(async {
        let region = region_with_tenants().await;
        let before = uids(&region).await;
        region.stop().await;
        // As a backup from before the last twenty tenants would leave it.
        let pool = region.pool();
        let newest = "SELECT tenant_uid FROM tenants ORDER BY create_time DESC LIMIT 20";
        for table in ["changes", "operations", "tenant_subscription", "tenants"] {
            let delete = format!("DELETE FROM {table} WHERE tenant_uid IN (SELECT * FROM lost)");
            let statement = if table == "changes" {
                format!("CREATE TABLE lost AS {newest}")
            } else {
                String::from("SELECT 1")
            };
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap();
            sqlx::query(sqlx::AssertSqlSafe(delete)).execute(&pool).await.unwrap();
        }
        for statement in ["DROP TABLE lost", "UPDATE leader SET leader_term = 0"] {
            sqlx::query(statement).execute(&pool).await.unwrap();
        }
        region.launch().await;
        region.is_well().await;
        until("what is not in the backup is told as orphaned", async || {
            let shown = region.admin().json(&["region", "show"]).await;
            let told = shown["orphans"].as_array().map_or(0, Vec::len);
            holds(told == 20, || format!("{told} are"))
        })
        .await;
        assert_eq!(uids(&region).await, before, "a namespace was deleted");
        // The cluster's fence knew a higher term than the restored database: the daemon
        // went beyond it, and works.
        let ssctl = region.admin();
        ssctl.ok(&["tenant", "create", "fresh", "--plan", "free", "--seats", "1", "--wait"]).await;
    });
}

#[test]
fn another_cluster_under_the_same_configuration_is_refused() {
    story(async {
        // Two clusters, each with a region of its own; then one's kubeconfig for the other.
        let shared = shared_cluster().await;
        let region = region_with_tenants().await;
        let before = uids(&region).await;
        let other = Region::on(Server::shared().await, own_cluster().await).await;
        other
            .admin()
            .ok(&["tenant", "create", "elsewhere", "--plan", "free", "--seats", "1", "--wait"])
            .await;
        other.stop().await;
        other.set("cluster", "kubeconfig", shared.kubeconfig().display().to_string());
        other.set("cluster", "instance", region.instance().to_owned());
        other.set("tenants", "namespace_prefix", region.prefix().to_owned());
        region.stop().await;
        other.launch().await;
        until("the daemon says that it is another cluster", async || {
            let said = other.cluster_says().await;
            let named = said.contains("kube-system") && said.contains("streamspaced cluster pin");
            holds(named, || said.clone())
        })
        .await;
        // It takes changes, and does nothing with them there.
        other.admin().ok(&["tenant", "create", "waiting", "--plan", "free", "--seats", "1"]).await;
        assert_eq!(uids(&region).await, before, "a namespace was deleted");
        let made = region.namespaces().await.get_opt(&region.namespace("waiting")).await.unwrap();
        assert!(made.is_none(), "it wrote to a cluster that is not its own");
    });
}
