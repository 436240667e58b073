//! A watcher sees every committed change once, in order, whoever commits when.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use streamspace_core::ids::TenantUid;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{change, eventually};
use crate::db::testing::TestDatabase;
use crate::db::{ChangeKind, ChangeLog, ChangeRow, ChangeType, NewRegionChange, Scope, changes};

/// A log that follows, until dropped.
struct Following {
    log: ChangeLog,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Following {
    async fn start(test: &TestDatabase) -> Self {
        let log = ChangeLog::new(test.another().await);
        let stop = CancellationToken::new();
        let task = tokio::spawn(log.clone().run(stop.clone()));
        Self { log, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Reads as a watcher does, and collects, until it has seen so many changes.
async fn watch_until(log: ChangeLog, scope: Scope, count: usize) -> Vec<ChangeRow> {
    let mut latest = log.latest();
    let mut after = 0;
    let mut seen = Vec::new();
    while seen.len() < count {
        let known = *latest.borrow_and_update();
        // A small limit, so that batches end within bursts too.
        let rows = log.read(&scope, after, 7).await.unwrap();
        if rows.len() < 7 {
            after = after.max(known);
        }
        after = rows.last().map_or(after, |row| after.max(row.revision));
        let read = rows.len();
        seen.extend(rows);
        if read == 0 {
            latest.changed().await.unwrap();
        }
    }
    seen
}

async fn patiently<T>(what: &str, task: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), task)
        .await
        .unwrap_or_else(|_elapsed| panic!("never: {what}"))
}

/// What one writer does in one transaction.
#[derive(Clone, Debug)]
struct Step {
    tenant: usize,
    changes: usize,
    /// For how many scheduling turns the transaction stays open.
    turns: usize,
    commits: bool,
}

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let step = (0..3usize, 1..4usize, 0..30usize, prop::bool::weighted(0.8))
        .prop_map(|(tenant, changes, turns, commits)| Step { tenant, changes, turns, commits });
    prop::collection::vec(prop::collection::vec(step, 1..6), 2..7)
}

/// Runs the writers at once, with two sequencers and two watchers, and holds what the
/// watchers saw against what was committed.
async fn every_commit_is_seen_once_and_in_order(writers: Vec<Vec<Step>>) {
    let test = TestDatabase::create().await;
    let mut tenants = Vec::new();
    for tenant_id in ["acme-corp", "beta-inc", "charlie-llc"] {
        tenants.push(test.insert_tenant(tenant_id).await);
    }
    let first = Following::start(&test).await;
    let second = Following::start(&test).await;
    let expected: usize =
        writers.iter().flatten().filter(|step| step.commits).map(|step| step.changes).sum();
    let of_first_tenant: usize = writers
        .iter()
        .flatten()
        .filter(|step| step.commits && step.tenant == 0)
        .map(|step| step.changes)
        .sum();
    let region = tokio::spawn(watch_until(first.log.clone(), Scope::Region, expected));
    let scoped = tokio::spawn(watch_until(
        second.log.clone(),
        Scope::Tenants(vec![tenants[0]]),
        of_first_tenant,
    ));

    // What was committed, by tenant, in the order of the commits: a writer notes it while
    // it holds the tenant's row.
    let committed: Arc<Mutex<HashMap<TenantUid, Vec<Vec<u8>>>>> = Arc::default();
    let mut running = Vec::new();
    for (writer, steps) in writers.into_iter().enumerate() {
        let database = test.database().clone();
        let tenants = tenants.clone();
        let committed = Arc::clone(&committed);
        running.push(tokio::spawn(async move {
            for (number, step) in steps.into_iter().enumerate() {
                let tenant = tenants[step.tenant];
                let mut transaction = database.begin(&Scope::Region).await.unwrap();
                let mut written = Vec::new();
                for part in 0..step.changes {
                    let resource = format!("{writer}/{number}/{part}").into_bytes();
                    changes::record(&mut transaction, &change(tenant, &resource)).await.unwrap();
                    written.push(resource);
                }
                for _ in 0..step.turns {
                    tokio::task::yield_now().await;
                }
                if step.commits {
                    committed.lock().unwrap().entry(tenant).or_default().extend(written);
                    transaction.commit().await.unwrap();
                } else {
                    transaction.rollback().await.unwrap();
                }
            }
        }));
    }
    for writer in running {
        patiently("a writer ends", writer).await.unwrap();
    }

    let seen = patiently("the region's watcher has all", region).await.unwrap();
    let revisions: Vec<i64> = seen.iter().map(|row| row.revision).collect();
    let without_gaps: Vec<i64> = (1..).take(expected).collect();
    assert_eq!(revisions, without_gaps);
    let committed = committed.lock().unwrap().clone();
    for tenant in &tenants {
        let of_tenant: Vec<Vec<u8>> = seen
            .iter()
            .filter(|row| row.tenant_uid == Some(*tenant))
            .map(|row| row.resource.clone())
            .collect();
        assert_eq!(of_tenant, committed.get(tenant).cloned().unwrap_or_default());
    }
    let seen = patiently("the tenant's watcher has all", scoped).await.unwrap();
    let resources: Vec<Vec<u8>> = seen.into_iter().map(|row| row.resource).collect();
    assert_eq!(resources, committed.get(&tenants[0]).cloned().unwrap_or_default());
    first.stop().await;
    second.stop().await;
}

#[test]
fn any_interleaving_of_writers_is_seen_whole_and_in_order() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 50,
        ..ProptestConfig::default()
    };
    proptest!(config, |(writers in steps())| {
        runtime.block_on(every_commit_is_seen_once_and_in_order(writers));
    });
}

#[tokio::test]
async fn a_change_that_commits_later_is_not_passed() {
    let test = TestDatabase::create().await;
    let acme = test.insert_tenant("acme-corp").await;
    let beta = test.insert_tenant("beta-inc").await;
    let following = Following::start(&test).await;

    // The first transaction writes first and commits last.
    let mut slow = test.database().begin(&Scope::Region).await.unwrap();
    changes::record(&mut slow, &change(acme, b"slow")).await.unwrap();
    let mut quick = test.database().begin(&Scope::Region).await.unwrap();
    changes::record(&mut quick, &change(beta, b"quick")).await.unwrap();
    quick.commit().await.unwrap();
    let seen =
        patiently("the quick one is seen", watch_until(following.log.clone(), Scope::Region, 1))
            .await;
    assert_eq!(seen[0].resource, b"quick");

    slow.commit().await.unwrap();
    let seen =
        patiently("both are seen", watch_until(following.log.clone(), Scope::Region, 2)).await;
    assert_eq!(seen[1].resource, b"slow");
    following.stop().await;
}

#[tokio::test]
async fn more_than_a_batch_is_given_revisions() {
    let test = TestDatabase::create().await;
    let acme = test.insert_tenant("acme-corp").await;
    sqlx::query(
        "INSERT INTO changes (tenant_uid, kind, type, name, actor, resource)
         SELECT $1, 'tenant', 'updated', 'tenants/acme-corp', 'someone', '' FROM generate_series(1, 2500)",
    )
    .bind(acme.0)
    .execute(test.database().operator())
    .await
    .unwrap();
    let following = Following::start(&test).await;
    let mut latest = following.log.latest();
    patiently("all have revisions", latest.wait_for(|revision| *revision == 2500)).await.unwrap();
    following.stop().await;
}

#[tokio::test]
async fn the_log_goes_on_after_postgresql_was_stopped() {
    let mut test = TestDatabase::with_own_server().await;
    let acme = test.insert_tenant("acme-corp").await;
    let following = Following::start(&test).await;
    let record = async |text: &[u8]| {
        let mut transaction = test.database().begin(&Scope::Region).await?;
        changes::record(&mut transaction, &change(acme, text)).await?;
        transaction.commit().await?;
        Ok::<_, crate::db::DbError>(())
    };
    record(b"before").await.unwrap();
    patiently("it is seen", watch_until(following.log.clone(), Scope::Region, 1)).await;

    let database = test.another().await;
    test.server().stop().unwrap();
    let error = database.begin(&Scope::Region).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    test.server().start_again().unwrap();

    let record = async || {
        let mut transaction = database.begin(&Scope::Region).await?;
        changes::record(&mut transaction, &change(acme, b"after")).await?;
        transaction.commit().await?;
        Ok::<_, crate::db::DbError>(())
    };
    eventually("it can be written again", async || record().await.is_ok()).await;
    let mut latest = following.log.latest();
    patiently("it is sequenced", latest.wait_for(|revision| *revision == 2)).await.unwrap();
    let seen = following.log.read(&Scope::Region, 1, 10).await.unwrap();
    assert_eq!(seen[0].resource, b"after");
    following.stop().await;
}

fn of_region(resource: &[u8]) -> NewRegionChange {
    NewRegionChange {
        kind: ChangeKind::Operation,
        change: ChangeType::Created,
        name: "operations/some".to_owned(),
        actor: "someone".to_owned(),
        resource: resource.to_owned(),
    }
}

#[tokio::test]
async fn what_belongs_to_the_region_has_its_place_in_the_one_order_and_tenants_do_not_see_it() {
    let test = TestDatabase::create().await;
    let acme = test.insert_tenant("acme-corp").await;
    // Written before anybody gives revisions, so that one statement gives both tables theirs.
    let mut transaction = test.database().begin(&Scope::Region).await.unwrap();
    for number in 0..40u8 {
        let resource = [number];
        if number % 3 == 0 {
            changes::record_of_region(&mut transaction, &of_region(&resource)).await.unwrap();
        } else {
            changes::record(&mut transaction, &change(acme, &resource)).await.unwrap();
        }
    }
    transaction.commit().await.unwrap();
    let following = Following::start(&test).await;
    let all = watch_until(following.log.clone(), Scope::Region, 40);
    let seen = patiently("the region's watcher has all", all).await;
    let order: Vec<(i64, u8)> = seen.iter().map(|row| (row.revision, row.resource[0])).collect();
    let written: Vec<(i64, u8)> = (1..).zip(0..40u8).collect();
    assert_eq!(order, written, "revisions follow the order of writing, over both tables");
    for row in &seen {
        let is_regions = row.resource[0] % 3 == 0;
        assert_eq!(row.tenant_uid, (!is_regions).then_some(acme));
    }

    let scope = Scope::Tenants(vec![acme]);
    let own = watch_until(following.log.clone(), scope.clone(), 26);
    let seen = patiently("the tenant's watcher has its own", own).await;
    assert!(seen.iter().all(|row| row.tenant_uid == Some(acme)), "{seen:?}");
    assert_eq!(following.log.read(&scope, 0, 100).await.unwrap().len(), 26);
    // The login of tenants has no way to the other table at all.
    let mut transaction = test.database().begin(&scope).await.unwrap();
    let refused = changes::record_of_region(&mut transaction, &of_region(b"x")).await.unwrap_err();
    assert_eq!(refused.code().as_deref(), Some("42501"));
    following.stop().await;
}

#[tokio::test]
async fn a_change_of_the_region_that_commits_later_is_not_passed() {
    let test = TestDatabase::create().await;
    let acme = test.insert_tenant("acme-corp").await;
    let following = Following::start(&test).await;
    let mut slow = test.database().begin(&Scope::Region).await.unwrap();
    changes::record_of_region(&mut slow, &of_region(b"slow")).await.unwrap();
    let mut quick = test.database().begin(&Scope::Region).await.unwrap();
    changes::record(&mut quick, &change(acme, b"quick")).await.unwrap();
    quick.commit().await.unwrap();
    let first = watch_until(following.log.clone(), Scope::Region, 1);
    assert_eq!(patiently("the quick one is seen", first).await[0].resource, b"quick");
    slow.commit().await.unwrap();
    let both = watch_until(following.log.clone(), Scope::Region, 2);
    assert_eq!(patiently("both are seen", both).await[1].resource, b"slow");
    following.stop().await;
}
