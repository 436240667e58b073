//! A past: days of made-up facts, from before the metering began.

use sqlx::PgConnection;
use streamspace_core::{
    load::{self, Load, LoadEvent, LoadKind, transitions},
    usage::{Order, Second, Transition, Watermark},
};

use super::{LoadTenant, populations};
use crate::{
    db::{Database, DbError, Scope},
    tenants,
    usage::{
        facts::{self, Fact, Subject, SubjectKind},
        partitions,
    },
};

/// The cluster that the subjects of a made-up past say that they lived in.
pub const CLUSTER: &str = "load";
/// Beyond every state that a cluster of development comes to, so that no list of it is one
/// that should have shown these sessions.
const FIRST: Order = Order(1 << 40);
const DAY: i64 = 86_400;
/// So many facts are in memory at once.
const CHUNK: usize = 4_000;

/// A past that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How many facts it has.
    pub facts: usize,
    /// Its first second: a midnight of UTC.
    pub begin: Second,
    /// The second after its last. All that lived ended with it.
    pub end: Second,
}

/// Stores the past `days` of these tenants, and lets the metering begin with them. Where a
/// bucket is closed already nothing can come before it: `None`, and nothing is stored.
///
/// All in one transaction, which holds the watermark: a leader that meters already waits,
/// and finds a metering that began earlier.
pub async fn history(
    db: &Database,
    tenants: &[LoadTenant],
    days: u16,
    seed: u64,
) -> anyhow::Result<Option<Stored>> {
    let mut tx = db.begin(&Scope::Region).await?;
    let Some(end) = complete_through(&mut tx).await? else {
        return Ok(None);
    };
    tx.rollback().await?;
    // First, so that whoever closes the past finds where to write it.
    make_partitions(db, past(tenants, end, days, seed).begin, end).await?;
    let mut tx = db.begin(&Scope::Region).await?;
    let Some(end) = complete_through(&mut tx).await? else {
        return Ok(None);
    };
    let load = past(tenants, end, days, seed);
    let begin = load.begin;
    begin_metering(&mut tx, begin).await?;
    let mut facts = transitions(load.events(), FIRST).map(|(event, fact)| of(&event, fact));
    let mut count = 0;
    loop {
        let chunk: Vec<Fact> = facts.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            break;
        }
        facts::store(&mut tx, &chunk).await?;
        count += chunk.len();
    }
    complete(&mut tx, end).await?;
    tx.commit().await?;
    Ok(Some(Stored { facts: count, begin, end }))
}

async fn make_partitions(db: &Database, begin: Second, end: Second) -> anyhow::Result<()> {
    let days = (partitions::day_of(begin), partitions::day_of(end));
    while partitions::make(db, days.0, days.1).await?.is_behind {}
    Ok(())
}

/// What is made up: whole days of UTC before the one of `end`, and that up to `end`.
pub(super) fn past(tenants: &[LoadTenant], end: Second, days: u16, seed: u64) -> Load {
    let midnight = end.plus(-end.0.rem_euclid(DAY));
    Load {
        seed,
        begin: midnight.plus(-DAY * i64::from(days)),
        end,
        closes: true,
        tenants: populations(tenants),
        templates: load::templates(),
    }
}

fn of(event: &LoadEvent, transition: Transition) -> Fact {
    let subject = &event.subject;
    Fact {
        subject: Subject {
            uid: subject.uid,
            tenant: subject.tenant,
            kind: match event.kind {
                LoadKind::Session => SubjectKind::Session,
                LoadKind::Home => SubjectKind::Home,
            },
            name: subject.name.clone(),
            user: subject.user.clone(),
            template: subject.template.clone(),
            cluster: CLUSTER.to_owned(),
        },
        transition,
        cause: event.change.cause().to_owned(),
    }
}

/// Through when the facts are complete now, and the past has to reach; `None` where a
/// bucket is closed. Holds the watermark, which is made where nobody has led yet.
async fn complete_through(tx: &mut PgConnection) -> Result<Option<Second>, DbError> {
    let now = Watermark::beginning(Second::holding(tenants::now(&mut *tx).await?));
    sqlx::query(
        "INSERT INTO usage_watermark (leader_term, begins, complete_through, closed_through) \
         VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(now.leader_term.0)
    .bind(now.begins.0)
    .bind(now.complete_through.0)
    .bind(now.closed_through.0)
    .execute(&mut *tx)
    .await?;
    let (begins, complete, closed): (i64, i64, i64) = sqlx::query_as(
        "SELECT begins, complete_through, closed_through FROM usage_watermark FOR UPDATE",
    )
    .fetch_one(tx)
    .await?;
    Ok((closed == begins).then_some(Second(complete)))
}

/// Nothing is complete yet, so that none of the facts to come is late.
async fn begin_metering(tx: &mut PgConnection, begin: Second) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE usage_watermark SET begins = $1, complete_through = $1, closed_through = $1",
    )
    .bind(begin.0)
    .execute(tx)
    .await?;
    Ok(())
}

async fn complete(tx: &mut PgConnection, end: Second) -> Result<(), DbError> {
    sqlx::query("UPDATE usage_watermark SET complete_through = $1").bind(end.0).execute(tx).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use streamspace_core::{
        ids::TenantUid,
        load::Oracle,
        plan,
        session::SessionUid,
        usage::{Listing, Span},
    };
    use uuid::Uuid;

    use super::*;
    use crate::db::testing::TestDatabase;

    async fn two(db: &TestDatabase) -> Vec<LoadTenant> {
        let plans = plan::seeded().unwrap();
        let mut tenants = Vec::new();
        for (id, plan, users) in [("acme-corp", 2, 10), ("beta-inc", 1, 5)] {
            tenants.push(LoadTenant {
                uid: db.insert_tenant(id).await,
                namespace: format!("tenant-{id}"),
                users,
                plan: Arc::new(plans[plan].clone()),
            });
        }
        tenants
    }

    async fn watermark(db: &TestDatabase) -> (i64, i64, i64, i64) {
        sqlx::query_as(
            "SELECT leader_term, begins, complete_through, closed_through FROM usage_watermark",
        )
        .fetch_one(db.database().operator())
        .await
        .unwrap()
    }

    async fn count(db: &TestDatabase, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(db.database().operator()).await.unwrap()
    }

    /// Running millicore-seconds and byte-seconds of homes, as the database adds them up.
    async fn added_up(db: &TestDatabase) -> BTreeMap<TenantUid, (i64, String)> {
        let rows: Vec<(Uuid, i64, String)> = sqlx::query_as(
            "SELECT tenant_uid, \
                    sum(CASE phase WHEN 'Running' THEN cpu_millicores * seconds ELSE 0 END)::bigint, \
                    sum(home_bytes::numeric * seconds)::text \
             FROM (SELECT *, coalesce(lead(at) OVER (PARTITION BY subject_uid ORDER BY position), at) - at \
                          AS seconds FROM usage_transitions) AS steps \
             GROUP BY tenant_uid",
        )
        .fetch_all(db.database().operator())
        .await
        .unwrap();
        rows.into_iter().map(|(tenant, cpu, home)| (TenantUid(tenant), (cpu, home))).collect()
    }

    #[tokio::test]
    async fn a_past_is_what_the_oracle_says_and_nothing_of_it_is_late() {
        let db = TestDatabase::create().await;
        let tenants = two(&db).await;
        let stored = history(db.database(), &tenants, 5, 7).await.unwrap().unwrap();
        let facts = count(&db, "SELECT count(*) FROM usage_transitions").await;
        assert_eq!(facts, i64::try_from(stored.facts).unwrap());
        assert!(facts > 200, "{facts}");
        assert_eq!(stored.begin.0 % DAY, 0);
        assert!(stored.end.0 - stored.begin.0 >= 5 * DAY);
        let days = count(
            &db,
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'usage_intervals'::regclass",
        );
        assert!(days.await >= 6);
        let (begin, end) = (stored.begin.0, stored.end.0);
        assert_eq!(watermark(&db).await, (0, begin, end, begin));
        for nothing in [
            "SELECT count(*) FROM usage_late",
            "SELECT count(*) FROM usage_subjects WHERE cluster <> 'load'",
            "SELECT count(*) FROM usage_subjects WHERE end_second IS NULL",
        ] {
            assert_eq!(count(&db, nothing).await, 0, "{nothing}");
        }
        let mut oracle = Oracle::new(Span::new(stored.begin, stored.end));
        let load = past(&tenants, stored.end, 5, 7);
        load.events().for_each(|(at, event)| oracle.see(at, &event));
        let truth: BTreeMap<_, _> = oracle
            .usage()
            .into_iter()
            .map(|(tenant, usage)| {
                (tenant, (i64::try_from(usage.cpu.0).unwrap(), usage.storage.0.to_string()))
            })
            .collect();
        assert_eq!(added_up(&db).await, truth);
        assert_eq!(truth.len(), 2);
    }

    #[tokio::test]
    async fn a_leader_that_meters_already_goes_on_from_the_past() {
        let db = TestDatabase::create().await;
        let tenants = two(&db).await;
        let now = Second::holding(jiff::Timestamp::now());
        let list = |order, at| Listing { order: Order(order), at };
        let mut tx = db.database().begin(&Scope::Region).await.unwrap();
        facts::lead(&mut tx, 3, now).await.unwrap().unwrap();
        facts::listed(&mut tx, 3, list(50, now), &[]).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let stored = history(db.database(), &tenants, 2, 7).await.unwrap().unwrap();
        assert_eq!(stored.end, now);
        assert_eq!(watermark(&db).await, (3, stored.begin.0, now.0, stored.begin.0));
        assert_eq!(count(&db, "SELECT count(*) FROM usage_late").await, 0);
        // The lists of the cluster neither end nor begin anything of it.
        let mut tx = db.database().begin(&Scope::Region).await.unwrap();
        let ends = facts::listed(&mut tx, 3, list(60, now.plus(9)), &[]).await.unwrap().unwrap();
        assert_eq!(ends, 0);
        tx.commit().await.unwrap();
        let ended = count(&db, "SELECT max(end_second) FROM usage_subjects").await;
        assert_eq!(ended, now.0);
        let subject: Uuid = sqlx::query_scalar("SELECT subject_uid FROM usage_subjects LIMIT 1")
            .fetch_one(db.database().operator())
            .await
            .unwrap();
        let mut tx = db.database().begin(&Scope::Region).await.unwrap();
        let of = async |tx: &mut PgConnection, tenant: &LoadTenant| {
            facts::is_ended(tx, tenant.uid, SessionUid(subject)).await.unwrap()
        };
        assert!(of(&mut tx, &tenants[0]).await || of(&mut tx, &tenants[1]).await);
    }

    #[tokio::test]
    async fn nothing_comes_before_what_is_closed() {
        let db = TestDatabase::create().await;
        let tenants = two(&db).await;
        history(db.database(), &tenants, 1, 7).await.unwrap().unwrap();
        sqlx::query("UPDATE usage_watermark SET closed_through = closed_through + 300")
            .execute(db.database().operator())
            .await
            .unwrap();
        let before = watermark(&db).await;
        assert_eq!(history(db.database(), &tenants, 30, 7).await.unwrap(), None);
        assert_eq!(watermark(&db).await, before);
    }
}
