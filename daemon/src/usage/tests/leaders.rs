//! Two leaders.

use super::*;
use crate::usage::ticker::StepError;

#[tokio::test]
async fn a_deposed_leader_closes_nothing() {
    let metering = Metering::beginning(time("10:00:00")).await;
    metering.store([runs(1, time("10:00:00"), None)]).await;
    metering.confirm(time("10:20:00")).await;
    let mut reading = metering.begin().await;
    let mut writing = metering.begin().await;
    let (commit, ledger) = ticker::plan(&mut reading, time("10:21:00")).await.unwrap().unwrap();
    ticker::insert(&mut writing, &mut reading, &commit, &ledger).await.unwrap();
    // Meanwhile another leads.
    let other = Leadership { replica: "two".into(), leader_term: 2, leads: true };
    metering.elect(&other).await;
    metering.lead(2, time("10:21:00")).await.unwrap();
    let refused = ticker::advance(&mut writing, &commit).await;
    assert!(matches!(refused, Err(StepError::Refused(Refusal::OtherLeader { .. }))));
    drop(writing);
    assert_eq!(metering.committed().await, []);
    // Nor can it list or confirm, or take the lead back.
    let listing = Listing { order: Order(9), at: time("10:22:00") };
    assert!(matches!(metering.listed(listing, &[]).await, Err(Refusal::OtherLeader { .. })));
    assert!(metering.lead(1, time("10:22:00")).await.is_err());
    let db = metering.database.database();
    let old = &metering.leadership;
    assert!(ticker::tick(db, old, time("10:30:00")).await.unwrap().is_none());
    assert!(corrections::correct_some(db, old).await.is_err());
    // The new one goes on where the facts are complete.
    let ticked = ticker::tick(db, &other, time("10:30:00")).await.unwrap().unwrap();
    assert_eq!(ticked.commit.through, time("10:20:00"));
    assert!(rollups::roll_some(db, old).await.is_err());
    assert!(rollups::roll_some(db, &other).await.unwrap() > 0);
    assert_eq!(metering.days().await[3], 1200);
    metering.prove().await;
}

#[tokio::test]
async fn one_that_lost_the_lease_and_has_not_read_it_closes_nothing() {
    let metering = Metering::beginning(time("10:00:00")).await;
    metering.store([runs(1, time("10:00:00"), None)]).await;
    metering.confirm(time("10:20:00")).await;
    // The watermark is still its own; the lease is another's.
    let other = Leadership { replica: "two".into(), leader_term: 2, leads: true };
    metering.elect(&other).await;
    let db = metering.database.database();
    let refused = ticker::tick(db, &metering.leadership, time("10:30:00")).await;
    assert!(matches!(refused, Err(StepError::NotLeader)));
    assert_eq!(metering.committed().await, []);
}

#[tokio::test]
async fn two_that_close_the_same_close_it_once() {
    let metering = Metering::beginning(time("10:00:00")).await;
    metering.store([runs(1, time("10:00:00"), None)]).await;
    metering.confirm(time("10:20:00")).await;
    let now = time("10:21:00");
    let mut reading = metering.begin().await;
    let mut first = metering.begin().await;
    let (commit, ledger) = ticker::plan(&mut reading, now).await.unwrap().unwrap();
    ticker::insert(&mut first, &mut reading, &commit, &ledger).await.unwrap();
    ticker::advance(&mut first, &commit).await.unwrap();
    first.commit().await.unwrap();
    let mut second = metering.begin().await;
    ticker::insert(&mut second, &mut reading, &commit, &ledger).await.unwrap();
    let refused = ticker::advance(&mut second, &commit).await;
    assert!(matches!(refused, Err(StepError::Refused(Refusal::Moved { .. }))));
    drop(second);
    metering.work(time("10:20:00")).await;
    assert_eq!(metering.days().await[3], 1200);
}

#[tokio::test]
async fn the_clock_of_the_daemon_has_no_part_in_it() {
    for minutes in [-10, 0, 10] {
        let metering = Metering::beginning(time("10:00:00")).await;
        metering.store([runs(1, time("10:00:00"), None)]).await;
        metering.confirm(time("10:20:00")).await;
        let db = metering.database.database();
        let now = time("10:25:00").plus(minutes * 60);
        while ticker::tick(db, &metering.leadership, now).await.unwrap().is_some() {}
        let closed = total(&metering.committed().await).sessions.0;
        assert_eq!(closed, if minutes < 0 { 600 } else { 1200 });
        metering.settle(time("10:20:00")).await;
        assert_eq!(metering.days().await[3], 1200);
    }
}
