//! Partitions are made and dropped by the maintainer's login, and by nobody else.

use jiff::{ToSpan, civil::date};

use super::*;
use crate::{db::catalogue, usage::config::UsageConfig};

async fn names(database: &TestDatabase) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid \
         WHERE inhparent = 'usage_intervals'::regclass ORDER BY relname",
    )
    .fetch_all(database.database().operator())
    .await
    .unwrap()
}

#[tokio::test]
async fn days_are_made_ahead_and_dropped_when_they_are_old() {
    let database = TestDatabase::create().await;
    let db = database.database();
    let config = UsageConfig::default();
    let today: i64 = sqlx::query_scalar("SELECT extract(epoch FROM clock_timestamp())::bigint")
        .fetch_one(db.operator())
        .await
        .unwrap();
    let today = Second(today);
    let first = partitions::roll(db, &config, today).await.unwrap();
    assert_eq!((first.made, first.dropped, first.is_behind), (8, 0, false));
    assert_eq!(partitions::roll(db, &config, today).await.unwrap().made, 0);
    // What is older than is kept.
    partitions::make(db, date(2020, 2, 28), date(2020, 3, 1)).await.unwrap();
    assert_eq!(names(&database).await.len(), 11);
    assert_eq!(names(&database).await[1], "usage_intervals_20200229");
    let again = partitions::roll(db, &config, today).await.unwrap();
    assert_eq!((again.made, again.dropped), (0, 3));
    catalogue::check(db.operator()).await.unwrap();
}

#[tokio::test]
async fn nobody_drops_what_may_still_have_to_be_billed() {
    let database = TestDatabase::create().await;
    let db = database.database();
    let today: jiff_sqlx::Date =
        sqlx::query_scalar("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date")
            .fetch_one(db.operator())
            .await
            .unwrap();
    let today = today.to_jiff();
    let recent = today.saturating_sub(61.days());
    partitions::make(db, recent, recent).await.unwrap();
    let refused = partitions::drop_before(db, today.saturating_sub(60.days())).await;
    assert!(refused.unwrap_err().to_string().contains("62 days"));
    assert_eq!(names(&database).await.len(), 1);
}

#[tokio::test]
async fn no_other_login_makes_or_drops_any() {
    let database = TestDatabase::create().await;
    let db = database.database();
    for query in [
        "SELECT usage_intervals_make('2026-11-02')",
        "SELECT usage_intervals_drop('2020-01-01', 1)",
    ] {
        for pool in [db.operator(), db.audit()] {
            let error = sqlx::query(query).execute(pool).await.unwrap_err().to_string();
            assert!(error.contains("permission denied"), "{error}");
        }
    }
    partitions::make(db, date(2026, 11, 2), date(2026, 11, 2)).await.unwrap();
    // And the maintainer's login can do nothing else.
    for query in [
        "SELECT FROM usage_intervals",
        "SELECT FROM usage_intervals_20261102",
        "DROP TABLE usage_intervals_20261102",
        "ALTER TABLE usage_intervals DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE usage_intervals DETACH PARTITION usage_intervals_20261102",
        "CREATE TABLE mine (number integer)",
        "SELECT FROM tenants",
    ] {
        assert!(sqlx::query(query).execute(db.maintainer()).await.is_err(), "{query}");
    }
    for query in ["SELECT FROM usage_intervals_20261102", "DELETE FROM usage_intervals"] {
        assert!(sqlx::query(query).execute(db.operator()).await.is_err(), "{query}");
    }
}

#[tokio::test]
async fn a_tick_without_its_partition_waits_and_loses_nothing() {
    let metering = Metering::beginning(time("10:00:00")).await;
    let superuser = metering.database.superuser().await;
    sqlx::query("DROP TABLE usage_intervals_20261102").execute(&superuser).await.unwrap();
    metering.store([runs(1, time("10:00:00"), None)]).await;
    metering.confirm(time("10:10:00")).await;
    let db = metering.database.database();
    let error = ticker::tick(db, &metering.leadership, time("10:20:00")).await.unwrap_err();
    assert!(error.to_string().contains("no partition"), "{error}");
    partitions::make(db, date(2026, 11, 2), date(2026, 11, 2)).await.unwrap();
    metering.settle(time("10:10:00")).await;
    assert_eq!(metering.days().await[3], 600);
}
