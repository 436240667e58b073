//! The pattern of `daemon/migrations/README.md`: a migration that fills rows counts them.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::db::DbError;
use crate::db::testing::TestDatabase;

/// The block of the pattern as the file has it, for this table.
fn backfill() -> String {
    let text = include_str!("../../../migrations/README.md");
    let (_, block) = text.split_once("```sql\nDO ").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let block = format!("DO {block}");
    assert!(block.contains("tenants") && block.contains("billing_account"), "{block}");
    block
}

async fn filled(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM tenants WHERE billing_account <> ''")
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_backfill_touches_every_row() {
    let test = TestDatabase::create().await;
    for name in ["acme-corp", "beta-inc", "charlie-llc"] {
        test.insert_tenant(name).await;
    }
    let mut owner = PgConnection::connect(test.config.owner.expose()).await.unwrap();
    let mut superuser = PgConnection::connect(&test.superuser_url).await.unwrap();
    assert_eq!(filled(&mut superuser).await, 0);
    sqlx::raw_sql(AssertSqlSafe(backfill())).execute(&mut owner).await.unwrap();
    assert_eq!(filled(&mut superuser).await, 3);
    // Row-level security is as it was.
    crate::db::catalogue::check(test.database().operator()).await.unwrap();
}

/// Without its policy the owner sees no row: an update of none would pass for done.
#[tokio::test]
async fn a_backfill_that_would_touch_too_few_fails_and_changes_nothing() {
    for broken in [
        "DROP POLICY owner ON tenants",
        "ALTER POLICY owner ON tenants USING (tenant_id <> 'beta-inc')",
        "CREATE POLICY narrow ON tenants AS RESTRICTIVE USING (tenant_id <> 'beta-inc')",
    ] {
        let test = TestDatabase::create().await;
        test.insert_tenant("acme-corp").await;
        test.insert_tenant("beta-inc").await;
        let mut owner = PgConnection::connect(test.config.owner.expose()).await.unwrap();
        sqlx::raw_sql(broken).execute(&mut owner).await.unwrap();
        let error = sqlx::raw_sql(AssertSqlSafe(backfill())).execute(&mut owner).await.unwrap_err();
        assert!(error.to_string().contains("of 2 rows"), "{broken}: {error}");
        assert_eq!(DbError::from(error).code().as_deref(), Some("P0001"), "{broken}");
        let mut superuser = PgConnection::connect(&test.superuser_url).await.unwrap();
        assert_eq!(filled(&mut superuser).await, 0, "{broken}");
    }
}
