//! Attacks on the schema, on the real logins: each is refused, with the SQLSTATE, or sees
//! and changes nothing of another tenant.
//!
//! `docs/explanation/isolation.md` lists what stops which.

mod files;
mod logins;
mod objects;
mod oracles;
mod rows;
mod scope;
mod sessions;
mod writes;

use sqlx::{AssertSqlSafe, Column, ConnectOptions, Connection, PgConnection, Row, ValueRef};
use streamspace_core::ids::TenantUid;
use uuid::Uuid;

use crate::db::testing::TestDatabase;
use crate::db::{DatabaseUrl, DbError, catalogue, scope as scoped};

/// `insufficient_privilege`.
const NO_RIGHT: &str = "42501";

/// Two tenants, Acme that attacks and Beta that is attacked, with a row of each in every
/// table with a tenant key.
struct World {
    test: TestDatabase,
    acme: TenantUid,
    beta: TenantUid,
}

/// The rows of a statement as text, or the SQLSTATE that refused it.
type Outcome = Result<Vec<Vec<String>>, String>;

impl World {
    async fn create() -> Self {
        let test = TestDatabase::create().await;
        let acme = test.insert_tenant("acme-corp").await;
        let beta = test.insert_tenant("beta-inc").await;
        sqlx::query("SELECT usage_intervals_make('2026-11-02')")
            .execute(test.database().maintainer())
            .await
            .unwrap();
        let mut operator = PgConnection::connect(test.config.operator.expose()).await.unwrap();
        for (tenant, name) in [(acme, "acme-corp"), (beta, "beta-inc")] {
            for statement in rows::ROWS {
                sqlx::query(statement)
                    .bind(tenant.0)
                    .bind(name)
                    .execute(&mut operator)
                    .await
                    .unwrap_or_else(|error| panic!("{statement}: {error}"));
            }
        }
        Self { test, acme, beta }
    }

    /// A session of a login, with what the daemon's sessions start with.
    async fn session(&self, login: &DatabaseUrl) -> PgConnection {
        login.options("attack").unwrap().connect().await.unwrap()
    }

    /// A session of the tenant login in an open transaction with Acme's scope.
    async fn as_acme(&self) -> PgConnection {
        let mut session = self.session(&self.test.config.tenant).await;
        run(&mut session, &scoped::opening(&[self.acme])).await.unwrap();
        session
    }

    /// Runs the statements as Acme, each in a transaction of its own; each is refused
    /// with its SQLSTATE.
    async fn refused(&self, attacks: &[(&str, &str)]) {
        for (statement, code) in attacks {
            let mut acme = self.as_acme().await;
            let outcome = run(&mut acme, &self.fill(statement)).await;
            assert_eq!(outcome, Err((*code).to_owned()), "{statement}");
        }
    }

    /// Runs the statements as Acme, each in a transaction of its own; none is refused,
    /// and none tells of Beta.
    async fn silent(&self, attacks: &[&str]) {
        for statement in attacks {
            let mut acme = self.as_acme().await;
            let rows = run(&mut acme, &self.fill(statement)).await;
            self.assert_silent(
                statement,
                &rows.unwrap_or_else(|code| panic!("{statement}: {code}")),
            );
        }
    }

    fn assert_silent(&self, statement: &str, rows: &[Vec<String>]) {
        let beta = self.beta.0.to_string();
        let told =
            rows.iter().flatten().any(|value| value.contains("beta") || value.contains(&beta));
        assert!(!told, "{statement} tells of another tenant: {rows:?}");
    }

    /// Puts uids where a statement says `:acme` and `:beta`, quoted.
    fn fill(&self, statement: &str) -> String {
        statement
            .replace(":acme", &format!("'{}'", self.acme.0))
            .replace(":beta", &format!("'{}'", self.beta.0))
    }

    /// Everything of Beta's, to compare before and after.
    async fn all_of_beta(&self) -> Vec<Vec<String>> {
        let mut operator = self.session(&self.test.config.operator).await;
        let mut all = Vec::new();
        for table in keyed_tables(&mut operator).await {
            let of_beta =
                format!("SELECT * FROM {table} WHERE tenant_uid = :beta ORDER BY 1, 2, 3");
            let rows = run(&mut operator, &self.fill(&of_beta)).await.unwrap();
            assert!(!rows.is_empty(), "the attacked tenant has no row in {table}");
            all.extend(rows);
        }
        all.extend(
            run(&mut operator, &self.fill("SELECT * FROM requests WHERE request_id = :beta"))
                .await
                .unwrap(),
        );
        all
    }
}

/// Every table with a tenant key.
async fn keyed_tables(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT class.oid::regclass::text FROM pg_class AS class
         JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
         WHERE class.relkind IN ('r', 'p') AND attribute.attname = 'tenant_uid' AND NOT class.relispartition
         ORDER BY 1",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

/// Runs statements, several in one text too, by the simple protocol: its values are text.
async fn run(connection: &mut PgConnection, statements: &str) -> Outcome {
    let rows = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .fetch_all(connection)
        .await
        .map_err(code)?;
    Ok(rows
        .iter()
        .map(|row| {
            row.columns()
                .iter()
                .map(|column| {
                    let value = row.try_get_raw(column.ordinal()).unwrap();
                    if value.is_null() { String::new() } else { value.as_str().unwrap().to_owned() }
                })
                .collect()
        })
        .collect())
}

/// The SQLSTATE of an error.
fn code(error: sqlx::Error) -> String {
    let error = DbError::from(error);
    error.code().unwrap_or_else(|| error.to_string())
}

/// What a test adds to the schema, as the owner, who passes the check with it.
async fn add_to_schema(world: &World, statements: &str) {
    let mut owner = world.session(&world.test.config.owner).await;
    run(&mut owner, statements).await.unwrap_or_else(|code| panic!("{statements}: {code}"));
    catalogue::check(world.test.database().operator()).await.unwrap();
}

/// The four policies of a table with a tenant key.
fn policies(table: &str) -> String {
    let scope = "tenant_uid = ANY ((SELECT streamspace_scope())::uuid[])";
    format!(
        "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
         ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
         CREATE POLICY owner ON {table} TO streamspace_owner USING (true) WITH CHECK (true);
         CREATE POLICY operator ON {table} TO streamspace_operator USING (true) WITH CHECK (true);
         CREATE POLICY tenant ON {table} TO streamspace_tenant USING ({scope}) WITH CHECK ({scope});
         CREATE POLICY scope ON {table} AS RESTRICTIVE TO streamspace_tenant USING ({scope}) WITH CHECK ({scope});"
    )
}

#[tokio::test]
async fn every_table_shows_a_tenant_its_own_rows_alone() {
    let world = World::create().await;
    let mut acme = world.as_acme().await;
    for table in keyed_tables(&mut world.session(&world.test.config.operator).await).await {
        let rows = run(&mut acme, &format!("SELECT * FROM {table}")).await.unwrap();
        assert_eq!(rows.len(), 1, "{table}");
        world.assert_silent(&table, &rows);
    }
    let replies = run(&mut acme, "SELECT * FROM requests").await.unwrap();
    assert_eq!(replies.len(), 1);
    world.assert_silent("requests", &replies);
}

#[tokio::test]
async fn nothing_is_left_to_everybody_that_no_login_needs() {
    let world = World::create().await;
    let mut operator = world.session(&world.test.config.operator).await;
    assert_eq!(catalogue::public_rights(&mut operator).await.unwrap(), []);
    // A right that comes back is seen, with the statement that takes it away.
    let mut superuser = PgConnection::connect(&world.test.superuser_url).await.unwrap();
    for (grant, object) in [
        ("GRANT EXECUTE ON FUNCTION set_config TO PUBLIC", "set_config(text,text,boolean)"),
        (
            "GRANT EXECUTE ON FUNCTION pg_advisory_lock(bigint) TO PUBLIC",
            "pg_advisory_lock(bigint)",
        ),
        ("GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC", "plpgsql"),
        (
            "REVOKE EXECUTE ON FUNCTION pg_advisory_xact_lock(integer, integer) FROM streamspace_tenant",
            "pg_advisory_xact_lock(integer,integer)",
        ),
    ] {
        run(&mut superuser, grant).await.unwrap();
        let found = catalogue::public_rights(&mut operator).await.unwrap();
        let objects: Vec<&str> = found.iter().map(|right| right.object.as_str()).collect();
        assert_eq!(objects, [object], "{grant}");
        run(&mut superuser, &found[0].remedy).await.unwrap();
        assert_eq!(catalogue::public_rights(&mut operator).await.unwrap(), [], "{grant}");
    }
}

/// A uid that no tenant has.
fn nobody() -> TenantUid {
    TenantUid(Uuid::now_v7())
}
