//! What is taken now.

use super::*;

#[tokio::test]
async fn live_usage_and_neighbours_are_what_the_watch_showed() {
    let world = World::start().await;
    let (acme, delta) = (world.tenant("acme").await, world.tenant("delta").await);
    let session = |tenant: TenantUid,
                   name: &str,
                   phase: &str,
                   deleting: bool,
                   cpu: i64,
                   node: &str| {
        format!(
            "INSERT INTO sessions (tenant_uid, name, session_uid, resource_version, generation, user_name, \
                 template, state, phase, deleting, pods, cpu, cpu_limit, memory, memory_limit, node, \
                 create_time, resource) \
             VALUES ('{}', '{name}', '{}', 1, 1, 'ada', 'firefox', 'running', '{phase}', {deleting}, 1, \
                     {cpu}, 0, {}, 0, '{node}', now(), '')",
            tenant.0,
            Uuid::now_v7(),
            cpu / 2,
        )
    };
    for sql in [
        session(acme, "a", "Running", false, 1_000, "n1"),
        session(acme, "b", "Running", true, 5_000, "n1"),
        session(acme, "c", "Hibernated", false, 2_000, ""),
        session(delta, "d", "Running", false, i64::MAX, "n1"),
        session(delta, "e", "Running", false, i64::MAX, "n2"),
    ] {
        world.sql(&sql).await;
    }
    let list = |parent: &str, size| v1::ListLiveUsageRequest {
        parent: parent.into(),
        order_by: "cpu".into(),
        page_size: size,
    };
    let live = world.usages.live(&world.kim, &list("tenants/-", 1)).await.unwrap();
    assert_eq!(live.tenants.len(), 1);
    let largest = &live.tenants[0];
    assert_eq!((largest.tenant.as_str(), largest.cpu_millicores), ("tenants/delta", i64::MAX));
    let total = live.total.unwrap();
    assert_eq!((total.running_sessions, total.total_sessions), (3, 5));
    assert!(live.as_of_time.is_some());
    let theirs = world.usages.live(&scoped(acme), &list("tenants/-", 0)).await.unwrap();
    assert_eq!(theirs.tenants.len(), 1);
    assert_eq!(theirs.total.clone().unwrap().cpu_millicores, 1_000);
    assert_eq!(theirs.total.unwrap().total_sessions, 3);

    let near = world
        .usages
        .neighbours(&world.kim, &v1::ListNeighboursRequest { tenant: "tenants/acme".into() })
        .await
        .unwrap();
    let near: Vec<_> = near
        .neighbours
        .iter()
        .map(|row| (row.node.as_str(), row.tenant.as_str(), row.sessions))
        .collect();
    assert_eq!(near, [("n1", "tenants/acme", 2), ("n1", "tenants/delta", 1)]);
}
