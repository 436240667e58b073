//! Facts that come after their buckets are closed.

use super::*;

#[tokio::test]
async fn a_late_fact_is_a_signed_correction_beside_the_closed_bucket() {
    let metering = Metering::beginning(time("10:00:00")).await;
    metering.store([runs(1, time("10:00:00"), None)]).await;
    metering.settle(time("10:15:00")).await;
    let before = metering.committed().await;
    assert_eq!(metering.days().await[3], 900);
    // It had slept since 10:06.
    metering.store([transition(2, time("10:06:00"), SessionPhase::Hibernated)]).await;
    metering.settle(time("10:15:00")).await;
    assert_eq!(metering.committed().await, before, "a closed bucket was changed");
    let corrections = metering.corrections().await;
    let seconds: Vec<_> = corrections.iter().map(|row| row.usage.sessions.0).collect();
    assert_eq!(seconds, [-240, -300]);
    assert_eq!(corrections[0].usage.cpu.0, -240_000);
    assert_eq!(corrections[0].covered.unbilled[&Unbilled::Hibernated], 240);
    let days = metering.days().await;
    assert_eq!((days[3], days[7]), (360, 540));
    metering.prove().await;
    // Repeated, it changes nothing.
    metering.store([transition(2, time("10:06:00"), SessionPhase::Hibernated)]).await;
    metering.settle(time("10:15:00")).await;
    assert_eq!(metering.corrections().await, corrections);
    // A second one of the same bucket has the next number.
    metering.store([runs(3, time("10:08:00"), None)]).await;
    metering.settle(time("10:15:00")).await;
    let most: i32 = sqlx::query_scalar("SELECT max(number) FROM usage_corrections")
        .fetch_one(metering.database.database().operator())
        .await
        .unwrap();
    assert_eq!((most, metering.days().await[3]), (2, 780));
    metering.prove().await;
}

#[tokio::test]
async fn an_incarnation_that_becomes_known_proves_a_gap() {
    let metering = Metering::beginning(time("09:00:00")).await;
    metering.store([runs(1, time("09:00:00"), None)]).await;
    metering.confirm(time("10:00:00")).await;
    let listing = Listing { order: Order(50), at: time("11:00:00") };
    metering.listed(listing, &[uid(1)]).await.unwrap();
    metering.settle(time("11:10:00")).await;
    assert_eq!(metering.days().await[5..7], [4200, 3600]);
    metering.store([runs(1, time("09:00:00"), pod(1, time("08:59:00")))]).await;
    metering.settle(time("11:10:00")).await;
    assert_eq!(metering.days().await[5..7], [7800, 0]);
    // The other way round nothing is forgotten.
    metering.store([runs(1, time("09:00:00"), None)]).await;
    metering.settle(time("11:10:00")).await;
    assert_eq!(metering.days().await[5..7], [7800, 0]);
    metering.prove().await;
}

#[tokio::test]
async fn a_fact_that_is_stored_while_a_tick_computes_is_corrected() {
    let metering = Metering::beginning(time("10:00:00")).await;
    metering.store([runs(1, time("10:00:00"), None)]).await;
    metering.confirm(time("10:10:00")).await;
    let mut reading = metering.begin().await;
    let mut writing = metering.begin().await;
    let now = time("10:11:00");
    let (commit, ledger) = ticker::plan(&mut reading, now).await.unwrap().unwrap();
    ticker::insert(&mut writing, &mut reading, &commit, &ledger).await.unwrap();
    metering.store([ends(2, time("10:04:00"))]).await;
    ticker::advance(&mut writing, &commit).await.unwrap();
    writing.commit().await.unwrap();
    assert_eq!(total(&metering.committed().await).sessions.0, 600);
    metering.work(time("10:10:00")).await;
    assert_eq!(metering.days().await[3], 240);
    metering.prove().await;
}
