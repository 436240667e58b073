//! Heartbeats.

use tokio_util::sync::CancellationToken;

use super::eventually;
use crate::db::replicas::{forget, list, run};
use crate::db::testing::TestDatabase;

#[tokio::test]
async fn a_replica_is_seen_while_it_runs() {
    let test = TestDatabase::create().await;
    let stop = CancellationToken::new();
    let replica = tokio::spawn(run(
        test.database().clone(),
        "a".to_owned(),
        "1.2.3".to_owned(),
        stop.clone(),
    ));
    eventually("it is seen", || async { list(test.database()).await.unwrap().len() == 1 }).await;
    let first = list(test.database()).await.unwrap().remove(0);
    assert_eq!((first.replica.as_str(), first.version.as_str()), ("a", "1.2.3"));
    eventually("it is seen again", || async {
        let now = list(test.database()).await.unwrap().remove(0);
        assert_eq!(now.start_time, first.start_time);
        now.seen_time > first.seen_time
    })
    .await;
    stop.cancel();
    replica.await.unwrap();
    assert!(list(test.database()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_killed_replica_leaves_its_row_and_its_next_process_a_new_start() {
    let test = TestDatabase::create().await;
    let start = || {
        let stop = CancellationToken::new();
        tokio::spawn(run(test.database().clone(), "a".to_owned(), "1".to_owned(), stop))
    };
    let killed = start();
    eventually("it is seen", || async { list(test.database()).await.unwrap().len() == 1 }).await;
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    let left = list(test.database()).await.unwrap().remove(0);

    let next = start();
    eventually("the next process is seen", || async {
        list(test.database()).await.unwrap().remove(0).start_time > left.start_time
    })
    .await;
    next.abort();
    let _ = next.await;
    forget(test.database(), "a").await.unwrap();
    assert!(list(test.database()).await.unwrap().is_empty());
}
