//! Sums of a time, by what they are grouped by.

use super::*;

#[tokio::test]
async fn usage_is_summed_by_every_group_and_the_total_is_their_sum() {
    use v1::UsageGroup::{Day, Hour, Template, Unspecified, User};
    let (world, acme, delta) = metered().await;
    let (from, to) = (on("00:00:00"), on("14:00:00"));
    let users = world.query(&world.kim, query("tenants/acme", from, to, User)).await;
    let names: Vec<_> = users.rows.iter().map(|row| row.user.as_str()).collect();
    assert_eq!(names, ["ada", "bob"]);
    let ada = users.rows[0].amounts.clone().unwrap();
    assert_eq!(ada.cpu_millicore_seconds, "340000");
    assert_eq!(ada.memory_byte_seconds, (680 * GIB).to_string());
    assert_eq!((ada.session_seconds.as_str(), ada.sessions_started.as_str()), ("340", "1"));
    assert_eq!(ada.storage_byte_seconds, (1_050 * 10 * i128::from(GIB)).to_string());
    assert_eq!(users.closed_through_time, convert::instant(on("13:00:00")));
    let bob = users.rows[1].amounts.clone().unwrap();
    // Three hours but for the five minutes that are not proved, and five that are estimated.
    assert_eq!((bob.measured_seconds.as_str(), bob.estimated_seconds.as_str()), ("10200", "300"));
    assert_eq!((bob.unbilled_seconds.as_str(), bob.session_seconds.as_str()), ("300", "10500"));

    for group in [Unspecified, User, Template, Day, Hour] {
        for parent in ["tenants/acme", "tenants/-"] {
            let found = world.query(&world.kim, query(parent, from, to, group)).await;
            let sum = plus(found.rows.iter().map(|row| row.amounts.clone()));
            assert_eq!(found.total.unwrap(), sum, "{group:?} of {parent}");
            let expected = if parent == "tenants/-" { "19840" } else { "10840" };
            assert_eq!(sum.session_seconds, expected, "{group:?} of {parent}");
            let is_one = parent == "tenants/acme";
            let count = match group {
                Hour => [6, 3],
                User | Template => [3, 2],
                Day | Unspecified => [2, 1],
            };
            let count = count[usize::from(is_one)];
            assert_eq!(found.rows.len(), count, "{group:?} of {parent}: {:?}", found.rows);
        }
    }
    let hours = world.query(&world.kim, query("tenants/acme", from, to, Hour)).await;
    assert_eq!(hours.rows[0].start_time, convert::instant(on("10:00:00")));
    assert_eq!(hours.rows[0].end_time, convert::instant(on("11:00:00")));

    // Who is held to a tenant sees nothing of the other.
    let lee = scoped(delta);
    let all = world.query(&lee, query("tenants/-", from, to, User)).await;
    assert_eq!(all.rows.len(), 1);
    assert_eq!((all.rows[0].user.as_str(), all.rows[0].tenant.as_str()), ("eve", "tenants/delta"));
    assert_eq!(all.rows[0].tenant_uid, delta.0.to_string());
    let denied = world.usages.query(&lee, &query("tenants/acme", from, to, User)).await;
    assert_eq!(code(denied), Code::NotFound);
    let missing = world.usages.query(&world.kim, &query("tenants/none", from, to, User)).await;
    assert_eq!(code(missing), Code::NotFound);
    assert_ne!(acme, delta);
}

#[tokio::test]
async fn months_and_days_are_cut_in_the_zone_that_is_asked_for() {
    use v1::UsageGroup::{Day, Unspecified};
    let world = World::start().await;
    let acme = world.tenant("acme").await;
    world.hours(acme, "2026-02-25T00:00:00Z", "2026-12-05T00:00:00Z", 1).await;
    for (from, to, hours, days, odd) in [
        ("2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z", 721, 30, (0, 25)),
        ("2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z", 743, 31, (7, 23)),
    ] {
        let asked = |group| v1::QueryUsageRequest {
            time_zone: "America/New_York".into(),
            ..query("tenants/acme", at(from), at(to), group)
        };
        let whole = world.query(&world.kim, asked(Unspecified)).await;
        assert_eq!(whole.total.unwrap().session_seconds, (hours * 3_600).to_string());
        let by_day = world.query(&world.kim, asked(Day)).await;
        assert_eq!(by_day.rows.len(), days);
        let odd_day = by_day.rows[odd.0].amounts.as_ref().unwrap();
        assert_eq!(odd_day.session_seconds, (odd.1 * 3_600).to_string());
        assert_eq!(by_day.total.unwrap().session_seconds, (hours * 3_600).to_string());
    }
    // 400 days and no row too many.
    let long = world
        .query(
            &world.kim,
            query(
                "tenants/acme",
                at("2026-01-01T00:00:00Z"),
                at("2027-02-04T00:00:00Z"),
                v1::UsageGroup::Hour,
            ),
        )
        .await;
    assert_eq!(long.rows.len(), 283 * 24);
}

#[tokio::test]
async fn days_of_a_zone_off_by_half_an_hour_take_their_hour_apart() {
    let (world, ..) = metered().await;
    // 10:30 UTC is 16:00 in Kolkata, and each of its hours begins at half past one of UTC.
    let asked = |from, to, group: v1::UsageGroup| v1::QueryUsageRequest {
        time_zone: "Asia/Kolkata".into(),
        ..query("tenants/acme", from, to, group)
    };
    let seconds = |found: &v1::QueryUsageResponse| -> Vec<String> {
        found.rows.iter().map(|row| row.amounts.clone().unwrap().session_seconds).collect()
    };
    let group = v1::UsageGroup::Unspecified;
    let late = world.query(&world.kim, asked(on("10:30:00"), on("12:30:00"), group)).await;
    // Bob from 10:30 to 11:00 and from 11:05 to 12:30.
    assert_eq!(seconds(&late), [(1_800 + 5_100).to_string()]);
    let early = world.query(&world.kim, asked(on("09:30:00"), on("10:30:00"), group)).await;
    assert_eq!(seconds(&early), [(340 + 1_800).to_string()]);
    let whole = world.query(&world.kim, asked(on("09:30:00"), on("12:30:00"), group)).await;
    assert_eq!(seconds(&whole), [(340 + 1_800 + 6_900).to_string()]);
    let users =
        world.query(&world.kim, asked(on("10:30:00"), on("12:30:00"), v1::UsageGroup::User)).await;
    let active =
        users.rows.iter().filter(|row| row.amounts.as_ref().unwrap().session_seconds != "0");
    assert_eq!(active.map(|row| row.user.as_str()).collect::<Vec<_>>(), ["bob"]);

    // Where a day begins within an hour, its rows share that hour and come to the same.
    let tenant = world.tenant("far").await;
    world.store(&[fact(tenant, 9, "uma", 30, on("13:00:00"), SessionPhase::Running)]).await;
    world.close(at("2026-11-04T00:00:00Z")).await;
    let request = v1::QueryUsageRequest {
        parent: "tenants/far".into(),
        ..asked(on("13:00:00"), at("2026-11-03T20:00:00Z"), v1::UsageGroup::Day)
    };
    let days = world.query(&world.kim, request).await;
    assert_eq!(seconds(&days), [19_800, 86_400, 5_400].map(|seconds: i64| seconds.to_string()));
    assert_eq!(days.total.unwrap().session_seconds, (31 * 3_600).to_string());
    assert_eq!(days.rows[1].start_time, convert::instant(on("18:30:00")));
}

#[tokio::test]
async fn an_export_streams_every_row_once_in_the_order_of_time() {
    let world = World::start().await;
    let (acme, delta) = (world.tenant("acme").await, world.tenant("delta").await);
    world.hours(acme, "2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z", 70).await;
    world.hours(delta, "2026-11-01T12:00:00Z", "2026-11-02T00:00:00Z", 3).await;
    let export = |parent: &str, group: v1::UsageGroup| v1::ExportUsageRequest {
        parent: parent.into(),
        start_time: convert::instant(at("2026-11-01T00:00:00Z")),
        end_time: convert::instant(at("2026-11-03T00:00:00Z")),
        group: group.into(),
    };
    let read = |caller: Caller, request: v1::ExportUsageRequest| {
        let usages = world.usages.clone();
        async move {
            let mut receiver = usages.export(&caller, &request).await.unwrap();
            let mut rows = Vec::new();
            while let Some(row) = receiver.recv().await {
                rows.push(row.unwrap());
            }
            rows
        }
    };
    for (parent, group, count) in [
        ("tenants/-", v1::UsageGroup::Hour, 48 * 70 + 12 * 3),
        ("tenants/acme", v1::UsageGroup::Hour, 48 * 70),
        ("tenants/-", v1::UsageGroup::Day, 2 * 70 + 3),
    ] {
        let rows = read(world.kim.clone(), export(parent, group)).await;
        assert_eq!(rows.len(), count, "{parent} {group:?}");
        let keys: Vec<_> = rows
            .iter()
            .map(|row| (row.start_time.unwrap().seconds, row.tenant.clone(), row.user.clone()))
            .collect();
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), count);
        assert!(keys.windows(2).all(|pair| pair[0].0 <= pair[1].0), "in the order of time");
    }
    let theirs = read(scoped(delta), export("tenants/-", v1::UsageGroup::Hour)).await;
    assert_eq!(theirs.len(), 36);
    assert!(theirs.iter().all(|row| row.tenant == "tenants/delta"));
    assert_eq!(
        code(
            world.usages.export(&scoped(delta), &export("tenants/acme", v1::UsageGroup::Day)).await
        ),
        Code::NotFound
    );
    // A daemon that stops ends the stream with an error, and not as if it were whole.
    let mut receiver =
        world.usages.export(&world.kim, &export("tenants/-", v1::UsageGroup::Hour)).await.unwrap();
    world.usages.stop.cancel();
    let mut last = None;
    while let Some(row) = receiver.recv().await {
        last = Some(row);
    }
    assert_eq!(last.unwrap().unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_tenant_that_is_gone_keeps_its_usage_until_its_name_is_anothers() {
    let world = World::start().await;
    let old = world.tenant("acme").await;
    world.hours(old, "2026-11-01T00:00:00Z", "2026-11-01T02:00:00Z", 1).await;
    world.sql(&format!("UPDATE tenants SET state = 'gone' WHERE tenant_uid = '{}'", old.0)).await;
    let asked = |parent: &str| {
        let (from, to) = (at("2026-11-01T00:00:00Z"), at("2026-11-02T00:00:00Z"));
        query(parent, from, to, v1::UsageGroup::Unspecified)
    };
    let gone = world.query(&world.kim, asked("tenants/acme")).await;
    assert_eq!((gone.rows.len(), gone.rows[0].tenant_uid.clone()), (1, old.0.to_string()));
    let new = world.tenant("acme").await;
    world.hours(new, "2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z", 1).await;
    let of_new = world.query(&world.kim, asked("tenants/acme")).await;
    assert_eq!(of_new.rows[0].tenant_uid, new.0.to_string());
    assert_eq!(of_new.total.unwrap().session_seconds, "3600");
    let all = world.query(&world.kim, asked("tenants/-")).await;
    assert_eq!(all.rows.len(), 2, "two tenants that had one name");
}
