//! What is as it should be costs the API server nothing.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use streamspace_proto::v1::{CreateTenantRequest, Tenant};
use streamspace_tests::{
    database::Server,
    region::{Region, own_cluster},
    runtime::story,
    wait::{holds, within},
};
use uuid::Uuid;

const TENANTS: usize = 1000;
const PATIENCE: Duration = Duration::from_mins(8);

#[test]
fn a_thousand_unchanged_tenants_cost_the_api_server_no_write() {
    story(async {
        // In a cluster of its own: whoever makes a namespace beside these would wait for
        // its service account behind a thousand, which a cluster makes one at a time.
        let (server, cluster) = tokio::join!(Server::shared(), own_cluster());
        let region = Region::on(server, cluster).await;
        let connection = region.admin().connection();
        stream::iter(0..TENANTS)
            .for_each_concurrent(16, |number| {
                let request = CreateTenantRequest {
                    tenant_id: format!("quiet-{number}"),
                    tenant: Some(Tenant {
                        plan: "plans/free".into(),
                        seats: 1,
                        ..Tenant::default()
                    }),
                    request_id: Uuid::new_v4().to_string(),
                    ..CreateTenantRequest::default()
                };
                let mut client = connection.tenants();
                async move {
                    client.create_tenant(request).await.unwrap();
                }
            })
            .await;
        within(PATIENCE, "every tenant is active", async || {
            let query = "SELECT count(*) FROM tenants WHERE state = 'active'";
            let active: i64 = sqlx::query_scalar(query)
                .fetch_one(&region.pool())
                .await
                .map_err(|e| e.to_string())?;
            holds(usize::try_from(active) == Ok(TENANTS), || format!("{active} are"))
        })
        .await;
        let before = settled(&region).await;
        assert!(before > TENANTS * 8, "the count sees the daemon's writes: {before}");

        // A new leader looks at every one of them, and so does each pass.
        for _ in 0..2 {
            region.stop().await;
            region.launch().await;
            region.is_well().await;
            looked(&region).await;
        }
        let after = settled(&region).await;
        let extra = writes(&region);
        let new: Vec<_> = extra.iter().skip(before).collect();
        // A new leader raises its term in the cluster: that, once a start, and nothing else.
        let unexpected: Vec<_> = new.iter().filter(|line| !line.contains("configmaps")).collect();
        assert!(unexpected.is_empty(), "{} writes, {unexpected:?}", after - before);
    });
}

/// Waits until the reconciler has looked at all tenants in this term.
async fn looked(region: &Region) {
    within(PATIENCE, "a pass over all tenants", async || {
        let log = region.log();
        let begun = log.rsplit("listening").next().unwrap_or_default();
        holds(begun.contains("looked at every tenant"), || "none is told".to_owned())
    })
    .await;
}

/// The daemon's writes, as the API server's own log counts them.
fn writes(region: &Region) -> Vec<String> {
    let user = format!("{}:daemon", region.instance());
    let records = region.cluster().writes(|write| write.user == user && !write.dry_run).unwrap();
    records.into_iter().map(|write| format!("{write:?}")).collect()
}

/// The number of writes once no more come.
async fn settled(region: &Region) -> usize {
    let mut last = writes(region).len();
    let mut same = 0;
    within(PATIENCE, "the writes come to rest", async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = writes(region).len();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        holds(same >= 6, || format!("{now} writes"))
    })
    .await;
    last
}
