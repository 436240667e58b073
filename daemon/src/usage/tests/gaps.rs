//! Nobody watched from 10:00 to 13:00.

use super::*;

/// A leader that lists again at 13:00 what ran from 09:00 to 14:00.
async fn dead(shown: impl IntoIterator<Item = Transition> + Clone) -> Metering {
    let metering = Metering::beginning(time("08:55:00")).await;
    let same = pod(1, time("08:59:00"));
    metering.store([runs(1, time("09:00:00"), same)]).await;
    metering.settle(time("10:00:00")).await;
    for _ in 0..2 {
        // Replayed twice.
        metering.store([runs(1, time("09:00:00"), same)]).await;
        metering.store(shown.clone()).await;
    }
    let listing = Listing { order: Order(500), at: time("13:00:00") };
    assert_eq!(metering.listed(listing, &[uid(1)]).await, Ok(0));
    metering.settle(time("13:20:00")).await;
    metering.store([ends(900, time("14:00:00"))]).await;
    metering.settle(time("14:10:00")).await;
    metering.prove().await;
    metering
}

#[tokio::test]
async fn the_same_pod_is_measured() {
    let metering = dead([]).await;
    let days = metering.days().await;
    assert_eq!((days[3], days[5], days[6]), (18_000, 18_000, 0));
    assert_eq!(metering.corrections().await, []);
}

#[tokio::test]
async fn the_same_pod_that_was_written_to_is_measured() {
    let metering = dead([runs(400, time("12:59:00"), pod(1, time("08:59:00")))]).await;
    assert_eq!(metering.days().await[5], 18_000);
}

#[tokio::test]
async fn another_pod_is_estimated_and_says_so() {
    let other = pod(2, time("11:29:00"));
    let metering = dead([runs(400, time("11:30:00"), other)]).await;
    let rows: Vec<_> = metering.stands().await.into_values().collect();
    let found = covered(&rows);
    assert_eq!(found.measured, 7200);
    assert_eq!(found.estimated, BTreeMap::from([(Reason::AnotherIncarnation, 5400)]));
    let why = Unbilled::Unproved(Reason::AnotherIncarnation);
    assert_eq!(found.unbilled, BTreeMap::from([(why, 5400)]));
    let days = metering.days().await;
    assert_eq!(days[5..], [7200, 5400, 5400]);
    let doubts: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT doubts FROM usage_intervals WHERE doubts <> '' ORDER BY doubts",
    )
    .fetch_all(metering.database.database().operator())
    .await
    .unwrap();
    let expected = ["estimated/another_incarnation:300", "unproved/another_incarnation:300"];
    assert_eq!(doubts, expected);
}

#[tokio::test]
async fn what_a_list_lacks_has_ended() {
    let metering = Metering::beginning(time("10:00:00")).await;
    let other =
        |number, order| Transition { session: uid(number), ..runs(order, time("10:00:00"), None) };
    metering.store([other(1, 1), other(2, 2), other(3, 3)]).await;
    metering.settle(time("10:10:00")).await;
    // The third ended after the list, which its watch showed already.
    metering.store([Transition { session: uid(3), ..ends(60, time("10:21:00")) }]).await;
    let listing = Listing { order: Order(50), at: time("10:20:00") };
    assert_eq!(metering.listed(listing, &[uid(1), uid(3)]).await, Ok(1));
    // A fact of one that nobody knew, from a replica that was cut off: the list lacks it.
    metering.store([Transition { session: uid(4), ..runs(40, time("10:15:00"), None) }]).await;
    metering.settle(time("10:30:00")).await;
    metering.prove().await;
    let end = |number| {
        let query = sqlx::query_scalar::<_, Option<i64>>(
            "SELECT end_second FROM usage_subjects WHERE subject_uid = $1",
        );
        query.bind(uid(number).0).fetch_one(metering.database.database().operator())
    };
    assert_eq!(end(1).await.unwrap(), None);
    for number in [2, 4] {
        assert_eq!(end(number).await.unwrap(), Some(time("10:20:00").0), "{number}");
    }
    assert_eq!(end(3).await.unwrap(), Some(time("10:21:00").0));
}
