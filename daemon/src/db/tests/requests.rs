//! A retry gets the first reply; another request under the same id is refused.

use std::time::Duration;

use uuid::Uuid;

use crate::db::Scope;
use crate::db::requests::{RequestIdError, lookup, purge, remember};
use crate::db::testing::TestDatabase;

const METHOD: &str = "/streamspace.admin.v1.TenantService/CreateTenant";

#[tokio::test]
async fn a_retry_gets_the_first_reply() {
    let test = TestDatabase::create().await;
    let id = Uuid::new_v4();
    let mut first = test.database().begin(&Scope::Region).await.unwrap();
    assert_eq!(lookup(&mut first, "alice", id, METHOD, b"digest").await.unwrap(), None);
    remember(&mut first, "alice", id, METHOD, b"digest", b"reply").await.unwrap();
    first.commit().await.unwrap();

    let mut retry = test.database().begin(&Scope::Region).await.unwrap();
    let reply = lookup(&mut retry, "alice", id, METHOD, b"digest").await.unwrap();
    assert_eq!(reply.as_deref(), Some(b"reply".as_slice()));
    // The id is alice's alone.
    assert_eq!(lookup(&mut retry, "bob", id, METHOD, b"digest").await.unwrap(), None);
}

#[tokio::test]
async fn another_request_under_the_same_id_is_refused() {
    let test = TestDatabase::create().await;
    let id = Uuid::new_v4();
    let mut first = test.database().begin(&Scope::Region).await.unwrap();
    remember(&mut first, "alice", id, METHOD, b"digest", b"reply").await.unwrap();
    first.commit().await.unwrap();
    for (method, digest) in [(METHOD, b"other!"), ("/another/Method", b"digest")] {
        let mut transaction = test.database().begin(&Scope::Region).await.unwrap();
        let result = lookup(&mut transaction, "alice", id, method, digest).await;
        assert!(matches!(result, Err(RequestIdError::Reused { .. })), "{method}");
    }
}

#[tokio::test]
async fn a_retry_waits_for_the_first_try() {
    let test = TestDatabase::create().await;
    let id = Uuid::new_v4();
    let mut first = test.database().begin(&Scope::Region).await.unwrap();
    assert_eq!(lookup(&mut first, "alice", id, METHOD, b"digest").await.unwrap(), None);

    let database = test.another().await;
    let retry = tokio::spawn(async move {
        let mut transaction = database.begin(&Scope::Region).await.unwrap();
        lookup(&mut transaction, "alice", id, METHOD, b"digest").await.unwrap()
    });
    super::eventually("the retry waits", || async {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)",
        )
        .fetch_one(test.database().operator())
        .await
        .unwrap()
    })
    .await;
    remember(&mut first, "alice", id, METHOD, b"digest", b"reply").await.unwrap();
    first.commit().await.unwrap();
    let reply = tokio::time::timeout(Duration::from_mins(1), retry).await.unwrap().unwrap();
    assert_eq!(reply.as_deref(), Some(b"reply".as_slice()));
}

#[tokio::test]
async fn a_rolled_back_try_leaves_no_reply() {
    let test = TestDatabase::create().await;
    let id = Uuid::new_v4();
    let mut first = test.database().begin(&Scope::Region).await.unwrap();
    remember(&mut first, "alice", id, METHOD, b"digest", b"reply").await.unwrap();
    first.rollback().await.unwrap();
    let mut retry = test.database().begin(&Scope::Region).await.unwrap();
    assert_eq!(lookup(&mut retry, "alice", id, METHOD, b"digest").await.unwrap(), None);
}

#[tokio::test]
async fn a_reply_is_seen_under_its_own_scope_or_a_wider_one() {
    let test = TestDatabase::create().await;
    let acme = test.insert_tenant("acme-corp").await;
    let beta = test.insert_tenant("beta-inc").await;
    let id = Uuid::new_v4();
    let mut first = test.database().begin(&Scope::Tenants(vec![acme])).await.unwrap();
    remember(&mut first, "alice", id, METHOD, b"digest", b"acme's").await.unwrap();
    first.commit().await.unwrap();
    for (scope, sees) in [
        (Scope::Tenants(vec![acme]), true),
        (Scope::Tenants(vec![beta, acme]), true),
        (Scope::Region, true),
        (Scope::Tenants(vec![beta]), false),
        (Scope::Tenants(vec![]), false),
    ] {
        let mut transaction = test.database().begin(&scope).await.unwrap();
        let reply = lookup(&mut transaction, "alice", id, METHOD, b"digest").await.unwrap();
        assert_eq!(reply.is_some(), sees, "{scope:?}");
    }
}

#[tokio::test]
async fn replies_are_kept_for_a_day() {
    let test = TestDatabase::create().await;
    let (old, young) = (Uuid::new_v4(), Uuid::new_v4());
    let mut transaction = test.database().begin(&Scope::Region).await.unwrap();
    for id in [old, young] {
        remember(&mut transaction, "alice", id, METHOD, b"digest", b"reply").await.unwrap();
    }
    transaction.commit().await.unwrap();
    sqlx::query(
        "UPDATE requests SET create_time = now() - interval '25 hours' WHERE request_id = $1",
    )
    .bind(old)
    .execute(&test.owner().await)
    .await
    .unwrap();
    assert_eq!(purge(test.database()).await.unwrap(), 1);
    let mut transaction = test.database().begin(&Scope::Region).await.unwrap();
    assert!(lookup(&mut transaction, "alice", young, METHOD, b"digest").await.unwrap().is_some());
    assert!(lookup(&mut transaction, "alice", old, METHOD, b"digest").await.unwrap().is_none());
}
