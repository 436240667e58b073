//! What must hold, with its numbers.

use super::*;

#[tokio::test]
async fn one_core_and_two_gib_for_340_seconds() {
    let metering = Metering::beginning(time("09:58:00")).await;
    let pending = transition(1, time("10:02:00"), SessionPhase::Pending);
    metering.store([pending, runs(2, time("10:02:30"), None)]).await;
    metering.settle(time("10:05:00")).await;
    metering.store([ends(3, time("10:08:10"))]).await;
    metering.settle(time("10:15:00")).await;
    let rows = metering.committed().await;
    let buckets: Vec<_> =
        rows.iter().map(|row| (row.bucket.start(), row.usage.sessions.0)).collect();
    assert_eq!(buckets, [(time("10:00:00"), 150), (time("10:05:00"), 190)]);
    let gib = i128::from(GIB);
    let days = metering.days().await;
    assert_eq!(days, [340_000, 680 * gib, 370 * 10 * gib, 340, 1, 340, 0, 30]);
    assert_eq!(metering.corrections().await, []);
    metering.prove().await;
    let mut tx = metering.begin().await;
    assert!(facts::is_ended(&mut tx, metering.tenant, uid(1)).await.unwrap());
    assert!(!facts::is_ended(&mut tx, metering.tenant, uid(2)).await.unwrap());
    assert_eq!(facts::complete_through(&mut tx).await.unwrap(), Some(time("10:15:00")));
}

#[tokio::test]
async fn ten_tib_for_thirty_days_do_not_overflow() {
    let metering = Metering::beginning(instant("2026-10-31T23:55:00Z")).await;
    let mut home = transition(1, instant("2026-11-01T00:00:00Z"), SessionPhase::Hibernated);
    home.state.home = Bytes(10 << 40);
    let end = ends(2, instant("2026-12-01T00:00:00Z"));
    metering.store([home, end]).await;
    metering.settle(instant("2026-12-01T01:00:00Z")).await;
    assert_eq!(metering.committed().await.len(), 30 * 288);
    let days = metering.days().await;
    assert_eq!(days[2], 28_499_341_391_953_920_000);
    assert_eq!((days[3], days[7]), (0, 30 * 86_400));
    metering.prove().await;
}

#[tokio::test]
async fn more_than_any_machine_has_is_clipped_and_does_not_overflow() {
    let metering = Metering::beginning(time("10:00:00")).await;
    let mut most = runs(1, time("10:00:00"), None);
    most.state.cpu = Millicores(i64::MAX);
    most.state.memory = Bytes(i64::MAX);
    most.state.home = Bytes(i64::MIN);
    metering.store([most]).await;
    metering.settle(time("10:10:00")).await;
    let days = metering.days().await;
    assert_eq!(days[0], 600 * 1_000_000_000);
    assert_eq!(days[1], 600 << 54);
    assert_eq!(days[2], 0);
    metering.prove().await;
}

#[tokio::test]
async fn a_name_that_comes_back_is_another_session() {
    let metering = Metering::beginning(time("10:00:00")).await;
    let end = time("10:02:00");
    let second = Transition { session: uid(2), ..runs(3, end, pod(2, end)) };
    let gone = Transition { session: uid(2), ..ends(4, time("10:03:00")) };
    metering.store([runs(1, time("10:00:00"), pod(1, time("10:00:00"))), ends(2, end)]).await;
    metering.store([second, gone]).await;
    metering.settle(time("10:10:00")).await;
    let rows = metering.committed().await;
    let measured: Vec<_> = rows.iter().map(|row| (row.session, row.covered.measured)).collect();
    assert_eq!(measured, [(uid(1), 120), (uid(2), 60)]);
    assert_eq!(metering.days().await[4], 2);
    metering.prove().await;
}

#[tokio::test]
async fn requests_change_while_it_runs() {
    let metering = Metering::beginning(time("10:00:00")).await;
    let mut more = runs(2, time("10:01:00"), pod(2, time("10:01:00")));
    more.state.cpu = Millicores(2500);
    more.state.memory = Bytes(GIB);
    let first = runs(1, time("10:00:00"), pod(1, time("10:00:00")));
    let sleeps = transition(3, time("10:01:10"), SessionPhase::Hibernated);
    metering.store([first, more, sleeps, ends(4, time("10:02:00"))]).await;
    metering.settle(time("10:05:00")).await;
    let gib = i128::from(GIB);
    let days = metering.days().await;
    let expected = [60 * 1000 + 10 * 2500, gib * (60 * 2 + 10), gib * 10 * 120, 70];
    assert_eq!(days[..4], expected);
    metering.prove().await;
}

#[tokio::test]
async fn midnight_month_end_and_a_change_of_the_clocks_leave_nothing_out() {
    let start = instant("2026-10-31T23:58:20Z");
    let end = instant("2026-12-02T00:01:40Z");
    let metering = Metering::beginning(instant("2026-10-31T23:50:00Z")).await;
    metering.store([runs(1, start, None), ends(2, end)]).await;
    metering.settle(end.plus(3600)).await;
    let seconds = i128::from(end.0 - start.0);
    assert_eq!(metering.days().await[3], seconds);
    let by_day: Vec<String> =
        sqlx::query_scalar("SELECT session_seconds::text FROM usage_days ORDER BY day")
            .fetch_all(metering.database.database().operator())
            .await
            .unwrap();
    assert_eq!((by_day.len(), &by_day[0], &by_day[1]), (33, &"100".to_owned(), &"86400".into()));
    assert_eq!(by_day.last(), Some(&"100".to_owned()));
    // The November of New York has 721 hours, and it ran in all of them.
    let new_york = jiff::tz::TimeZone::get("America/New_York").unwrap();
    let november: Month = "2026-11".parse().unwrap();
    let parts = parts(november.cut(&new_york).unwrap());
    let inside: i64 = sqlx::query_scalar(
        "SELECT sum(session_seconds)::bigint FROM usage_hours \
         WHERE hour_time >= to_timestamp($1) AND hour_time < to_timestamp($2)",
    )
    .bind(parts.hours.from.0)
    .bind(parts.hours.to.0)
    .fetch_one(metering.database.database().operator())
    .await
    .unwrap();
    assert_eq!((inside, parts.hour_count()), (721 * 3600, 721));
    metering.prove().await;
}

#[tokio::test]
async fn ten_thousand_sessions_of_one_to_three_seconds() {
    let metering = Metering::beginning(time("08:55:00")).await;
    let mut lived = 0;
    let mut all = Vec::new();
    for number in 0..10_000_u32 {
        let start = time("09:00:00").plus(i64::from(number * 7919 % 3600));
        let seconds = i64::from(number % 3 + 1);
        lived += i128::from(seconds);
        let session = uid(u128::from(number) + 1);
        let first = u64::from(number) * 2 + 1;
        all.push(Transition { session, ..runs(first, start, None) });
        all.push(Transition { session, ..ends(first + 1, start.plus(seconds)) });
    }
    metering.store(all).await;
    metering.settle(time("10:30:00")).await;
    let days = metering.days().await;
    assert_eq!(days[..1], [lived * 1000]);
    assert_eq!(days[3..], [lived, 10_000, lived, 0, 0]);
    metering.prove().await;
}

#[tokio::test]
async fn a_life_of_no_whole_second_began_all_the_same() {
    let metering = Metering::beginning(time("10:00:00")).await;
    let at = time("10:05:00");
    metering.store([runs(1, at, None), ends(2, at)]).await;
    metering.settle(time("10:10:00")).await;
    assert_eq!(metering.days().await, [0, 0, 0, 0, 1, 0, 0, 0]);
}

#[tokio::test]
async fn a_state_at_the_edge_of_a_bucket_begins_no_life() {
    let metering = Metering::beginning(time("10:00:00")).await;
    metering.store([transition(1, time("10:02:00"), SessionPhase::Pending)]).await;
    metering.settle(time("10:05:00")).await;
    metering.store([runs(2, time("10:05:00"), None)]).await;
    metering.settle(time("10:10:00")).await;
    metering.settle(time("11:10:00")).await;
    let days = metering.days().await;
    assert_eq!((days[3], days[4], days[7]), (3900, 1, 180));
    metering.prove().await;
}

#[tokio::test]
async fn what_was_in_force_before_metering_began_is_counted_from_then_on() {
    let metering = Metering::beginning(time("10:02:00")).await;
    metering.store([runs(1, time("07:00:00"), pod(1, time("06:59:00")))]).await;
    metering.listed(Listing { order: Order(5), at: time("10:02:00") }, &[uid(1)]).await.unwrap();
    metering.settle(time("10:10:00")).await;
    let days = metering.days().await;
    assert_eq!((days[3], days[4], days[5]), (300, 0, 300));
}

#[tokio::test]
async fn a_tenant_that_is_gone_keeps_its_usage() {
    let metering = Metering::beginning(time("10:00:00")).await;
    metering.store([runs(1, time("10:00:00"), None)]).await;
    metering.settle(time("10:05:00")).await;
    sqlx::query("UPDATE tenants SET state = 'gone'")
        .execute(metering.database.database().operator())
        .await
        .unwrap();
    metering.store([ends(2, time("10:06:00"))]).await;
    metering.settle(time("10:10:00")).await;
    assert_eq!(metering.days().await[3], 360);
    metering.prove().await;
    // Nor can its row be taken away while there is usage of it.
    let refused =
        sqlx::query("DELETE FROM tenants").execute(&metering.database.owner().await).await;
    assert!(refused.is_err());
}
