//! Actual use beside the sums of a time.

use super::*;

/// An hour of a tenant: 2,000 millicores and as many bytes, all of it measured but memory.
async fn hour(world: &World, tenant: TenantUid, hour: &str, cpu: i64) {
    world
        .sql(&format!(
            "INSERT INTO usage_actual (tenant_uid, hour_time, cpu_millicore_seconds, cpu_covered_seconds, \
                                       egress_bytes, egress_covered_seconds) \
             VALUES ('{}', '{hour}', {cpu}, 3600, 100, 3600)",
            tenant.0
        ))
        .await;
}

#[tokio::test]
async fn use_stands_beside_requests_and_the_larger_of_each_hour_is_shown() {
    use v1::UsageGroup::{Hour, Unspecified, User};
    let (world, acme, delta) = metered().await;
    // Acme's requests by hours: 10 has ada and bob, 11 and 12 bob alone.
    let asked =
        world.query(&world.kim, query("tenants/acme", on("10:00:00"), on("14:00:00"), Hour)).await;
    assert!(asked.total_actual.is_none() && asked.rows.iter().all(|row| row.actual.is_none()));
    let cpu = |row: &v1::UsageRow| -> i128 {
        row.amounts.as_ref().unwrap().cpu_millicore_seconds.parse().unwrap()
    };
    let before: Vec<i128> = asked.rows.iter().map(cpu).collect();
    assert_eq!(before, [3_940_000, 3_300_000, 3_600_000]);
    hour(&world, acme, "2026-11-02T10:00:00Z", 1_000).await;
    hour(&world, acme, "2026-11-02T11:00:00Z", 5_000_000).await;
    // What is not closed yet is held against nothing.
    hour(&world, acme, "2026-11-02T13:00:00Z", 9_000_000).await;
    hour(&world, delta, "2026-11-02T09:00:00Z", 7).await;

    let found =
        world.query(&world.kim, query("tenants/acme", on("10:00:00"), on("14:00:00"), Hour)).await;
    // A row of its own where nothing was requested.
    assert_eq!(found.rows.len(), 4);
    let used = |at: usize| found.rows[at].actual.clone().unwrap();
    assert_eq!(used(0).cpu_millicore_seconds.as_deref(), Some("1000"));
    assert_eq!(used(0).showback_cpu_millicore_seconds, "3940000");
    assert_eq!((used(0).memory_byte_seconds, used(0).recording_byte_seconds), (None, None));
    assert_eq!(used(0).egress_bytes.as_deref(), Some("100"));
    assert_eq!(used(1).showback_cpu_millicore_seconds, "5000000");
    assert_eq!(found.rows[2].actual, None);
    assert_eq!(found.rows[3].start_time, convert::instant(on("13:00:00")));
    assert_eq!(used(3).showback_cpu_millicore_seconds, "0");
    let total = found.total_actual.unwrap();
    assert_eq!(total.cpu_millicore_seconds.as_deref(), Some("14001000"));
    assert_eq!(total.cpu_covered_seconds, "10800");
    // The rows come to it: 3,940,000 and 5,000,000 and 3,600,000.
    assert_eq!(total.showback_cpu_millicore_seconds, "12540000");
    // What is requested is what it was.
    assert_eq!(found.total, asked.total);

    let one = world
        .query(&world.kim, query("tenants/acme", on("00:00:00"), on("14:00:00"), Unspecified))
        .await;
    assert_eq!(one.rows.len(), 1);
    assert_eq!(one.rows[0].actual, one.total_actual);
    assert_eq!(one.total_actual.unwrap().showback_cpu_millicore_seconds, "12540000");
    let users =
        world.query(&world.kim, query("tenants/acme", on("00:00:00"), on("14:00:00"), User)).await;
    assert!(users.rows.iter().all(|row| row.actual.is_none()) && users.total_actual.is_some());
    let all = world
        .query(&world.kim, query("tenants/-", on("00:00:00"), on("14:00:00"), Unspecified))
        .await;
    assert_eq!(all.total_actual.unwrap().cpu_millicore_seconds.as_deref(), Some("14001007"));
    // Who is held to a tenant sees nothing of the other's.
    let lee = scoped(delta);
    let his = world.query(&lee, query("tenants/-", on("00:00:00"), on("14:00:00"), Hour)).await;
    assert_eq!(his.total_actual.unwrap().cpu_millicore_seconds.as_deref(), Some("7"));
}

#[tokio::test]
async fn the_status_tells_where_use_comes_from() {
    let (world, _, delta) = metered().await;
    let status = world.usages.status(&world.kim).await.unwrap();
    let metrics: Vec<_> = status.actual_sources.iter().map(|it| it.metric.as_str()).collect();
    assert_eq!(metrics, ["cpu", "memory", "egress", "recordings"]);
    assert!(status.actual_sources.iter().all(|it| it.problem.contains("no leader has looked")));
    world
        .sql(
            "INSERT INTO usage_actual_sources VALUES ('cpu', 'metrics.k8s.io', 1793613600, 1793613660, '')",
        )
        .await;
    let status = world.usages.status(&scoped(delta)).await.unwrap();
    let cpu = &status.actual_sources[0];
    assert_eq!((cpu.source.as_str(), cpu.problem.as_str()), ("metrics.k8s.io", ""));
    assert_eq!(cpu.last_read_time, convert::instant(Second(1_793_613_660)));
}
