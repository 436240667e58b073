//! What the tenant login can see and do.

use sqlx::{AssertSqlSafe, PgConnection};
use streamspace_core::ids::TenantUid;

use super::change;
use crate::db::testing::TestDatabase;
use crate::db::{DbError, Scope, changes};

async fn visible_tenants(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar("SELECT tenant_id FROM tenants ORDER BY tenant_id")
        .fetch_all(connection)
        .await
        .unwrap()
}

fn refused(result: Result<impl std::fmt::Debug, sqlx::Error>) -> bool {
    matches!(result.map_err(DbError::from), Err(error) if error.code().as_deref() == Some("42501"))
}

#[tokio::test]
async fn a_scope_sees_its_tenants_and_an_empty_one_nothing() {
    let test = TestDatabase::create().await;
    let acme = test.insert_tenant("acme-corp").await;
    let beta = test.insert_tenant("beta-inc").await;
    test.insert_tenant("charlie-llc").await;
    for (scope, seen) in [
        (Scope::Region, vec!["acme-corp", "beta-inc", "charlie-llc"]),
        (Scope::Tenants(vec![acme]), vec!["acme-corp"]),
        (Scope::Tenants(vec![beta, acme]), vec!["acme-corp", "beta-inc"]),
        (Scope::Tenants(vec![TenantUid(uuid::Uuid::now_v7())]), vec![]),
        (Scope::Tenants(vec![]), vec![]),
    ] {
        let mut transaction = test.database().begin(&scope).await.unwrap();
        assert_eq!(visible_tenants(&mut transaction).await, seen, "{scope:?}");
    }
}

#[tokio::test]
async fn the_scope_ends_with_its_transaction() {
    let mut test = TestDatabase::create().await;
    test.config.max_connections = 1;
    let database = test.another().await;
    let acme = test.insert_tenant("acme-corp").await;
    let mut transaction = database.begin(&Scope::Tenants(vec![acme])).await.unwrap();
    assert_eq!(visible_tenants(&mut transaction).await.len(), 1);
    transaction.commit().await.unwrap();
    // The same connection, as there is but one.
    let mut transaction = database.begin(&Scope::Tenants(vec![])).await.unwrap();
    assert!(visible_tenants(&mut transaction).await.is_empty());
    sqlx::query("SET LOCAL streamspace.tenant_uids = ''").execute(&mut *transaction).await.unwrap();
    assert!(visible_tenants(&mut transaction).await.is_empty());
}

#[tokio::test]
async fn rows_of_another_tenant_are_neither_written_nor_changed() {
    let test = TestDatabase::create().await;
    let acme = test.insert_tenant("acme-corp").await;
    let beta = test.insert_tenant("beta-inc").await;
    let scope = Scope::Tenants(vec![acme]);

    let mut transaction = test.database().begin(&scope).await.unwrap();
    let inserted = sqlx::query(
        "INSERT INTO changes (tenant_uid, kind, type, name, actor, resource)
         VALUES ($1, 'tenant', 'updated', 'tenants/beta-inc', 'someone', '')",
    )
    .bind(beta.0)
    .execute(&mut *transaction)
    .await;
    assert!(refused(inserted));

    let mut transaction = test.database().begin(&scope).await.unwrap();
    let recorded = changes::record(&mut transaction, &change(beta, b"")).await;
    assert!(recorded.is_err());

    let mut transaction = test.database().begin(&scope).await.unwrap();
    let updated = sqlx::query("UPDATE tenants SET display_name = 'mine'")
        .execute(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(updated.rows_affected(), 1);
    let moved = sqlx::query("UPDATE tenants SET tenant_uid = $1")
        .bind(beta.0)
        .execute(&mut *transaction)
        .await;
    assert!(refused(moved));

    let mut transaction = test.database().begin(&scope).await.unwrap();
    changes::record(&mut transaction, &change(acme, b"mine")).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_login_cannot_leave_its_rights() {
    let test = TestDatabase::create().await;
    let acme = test.insert_tenant("acme-corp").await;
    for statement in [
        "SET ROLE streamspace_operator",
        "SET SESSION AUTHORIZATION streamspace_operator",
        "DELETE FROM tenants",
        "TRUNCATE tenants",
        "ALTER TABLE tenants DISABLE ROW LEVEL SECURITY",
        "CREATE TEMP TABLE aside (a integer)",
        "CREATE TABLE aside (a integer)",
        "SELECT * FROM audit_entries",
        "SELECT * FROM certificates",
        "SELECT * FROM enrolment_tokens",
        "UPDATE plans SET rank = 0",
        "UPDATE changes SET revision = 1",
        "UPDATE tenant_subscription SET seats = 0",
        "UPDATE leader SET leader_term = 9",
    ] {
        let mut transaction = test.database().begin(&Scope::Tenants(vec![acme])).await.unwrap();
        let result = sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await;
        assert!(refused(result), "{statement}");
    }
    for statement in [
        "SELECT * FROM audit_entries",
        "UPDATE audit_entries SET actor = ''",
        "DELETE FROM audit_entries",
        "SELECT * FROM tenants",
    ] {
        let result = sqlx::query(AssertSqlSafe(statement)).execute(test.database().audit()).await;
        assert!(refused(result), "{statement}");
    }
}
