//! Taking on another login's rights, changing the schema, and what each login may do at all.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{NO_RIGHT, World, code, policies, run};
use crate::db::DatabaseUrl;

fn logins(world: &World) -> [(&'static str, &DatabaseUrl); 5] {
    let config = &world.test.config;
    [
        ("streamspace_owner", &config.owner),
        ("streamspace_operator", &config.operator),
        ("streamspace_tenant", &config.tenant),
        ("streamspace_audit", &config.audit),
        ("streamspace_maintainer", &config.maintainer),
    ]
}

#[tokio::test]
async fn no_login_becomes_another() {
    let world = World::create().await;
    for (login, url) in logins(&world) {
        let mut session = world.session(url).await;
        for (other, _) in logins(&world).into_iter().chain([("postgres", url)]) {
            if other == login {
                continue;
            }
            for attack in [
                format!("SET ROLE {other}"),
                format!("SET LOCAL ROLE {other}"),
                format!("SET SESSION AUTHORIZATION {other}"),
                format!("SET LOCAL SESSION AUTHORIZATION {other}"),
                format!("GRANT {other} TO {login}"),
                format!("ALTER ROLE {other} PASSWORD 'known'"),
                format!("ALTER ROLE {other} SET streamspace.tenant_uids = '{{}}'"),
                format!("ALTER ROLE {other} RENAME TO mine"),
                format!("DROP ROLE {other}"),
                format!("REASSIGN OWNED BY {other} TO {login}"),
                format!("DROP OWNED BY {other}"),
                format!(
                    "ALTER DEFAULT PRIVILEGES FOR ROLE {other} GRANT SELECT ON TABLES TO {login}"
                ),
            ] {
                let outcome = run(&mut session, &attack).await;
                assert_eq!(outcome, Err(NO_RIGHT.to_owned()), "{login}: {attack}");
            }
        }
        // To go back is to stay.
        for back in ["RESET ROLE", "RESET SESSION AUTHORIZATION", "SET ROLE NONE"] {
            run(&mut session, back).await.unwrap();
            let who = run(&mut session, "SELECT current_user, session_user").await.unwrap();
            assert_eq!(who, [[login, login]], "{back}");
        }
    }
}

#[tokio::test]
async fn no_login_raises_itself() {
    let world = World::create().await;
    for (login, url) in logins(&world) {
        let mut session = world.session(url).await;
        for attack in [
            format!("ALTER ROLE {login} SUPERUSER"),
            format!("ALTER ROLE {login} BYPASSRLS"),
            format!("ALTER ROLE {login} CREATEROLE"),
            format!("ALTER ROLE {login} CREATEDB"),
            format!("ALTER ROLE {login} REPLICATION"),
            "CREATE ROLE another SUPERUSER".to_owned(),
            "CREATE DATABASE another".to_owned(),
            "ALTER SYSTEM SET row_security = off".to_owned(),
            "ALTER ROLE ALL SET row_security = off".to_owned(),
            "SET session_replication_role = replica".to_owned(),
            "SET session_preload_libraries = 'evil'".to_owned(),
            "LOAD 'auto_explain'".to_owned(),
            "CHECKPOINT".to_owned(),
        ] {
            let outcome = run(&mut session, &attack).await;
            assert_eq!(outcome, Err(NO_RIGHT.to_owned()), "{login}: {attack}");
        }
    }
}

#[tokio::test]
async fn nobody_but_the_owner_changes_the_schema() {
    let world = World::create().await;
    for (login, url) in logins(&world) {
        if login == "streamspace_owner" {
            continue;
        }
        let mut session = world.session(url).await;
        for attack in [
            "ALTER TABLE tenants DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE tenants OWNER TO CURRENT_USER",
            "ALTER TABLE tenants ADD COLUMN mine text",
            "ALTER TABLE tenants RENAME TO mine",
            "DROP TABLE changes",
            "TRUNCATE changes",
            "TRUNCATE tenants CASCADE",
            "CREATE POLICY wide ON tenants USING (true)",
            "ALTER POLICY tenant ON tenants USING (true)",
            "DROP POLICY scope ON tenants",
            "CREATE INDEX aside ON tenants (tenant_id)",
            "CREATE STATISTICS aside ON tenant_id, namespace FROM tenants",
            "CREATE RULE aside AS ON UPDATE TO tenants DO NOTHING",
            "CREATE TRIGGER aside BEFORE UPDATE ON tenants FOR EACH ROW
                 EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "GRANT SELECT ON _sqlx_migrations TO CURRENT_USER",
            "CREATE TABLE aside (a integer)",
            "CREATE TABLE aside AS SELECT 1",
            "CREATE TEMP TABLE aside (a integer)",
            "CREATE TEMP TABLE tenants (a integer)",
            "SELECT 1 INTO TEMP aside",
            "CREATE TEMP VIEW tenants AS SELECT 1",
            "CREATE VIEW aside AS SELECT 1",
            "CREATE VIEW aside WITH (security_invoker = true) AS SELECT 1",
            "CREATE MATERIALIZED VIEW aside AS SELECT 1",
            "CREATE SEQUENCE aside",
            "CREATE SCHEMA aside",
            "CREATE TYPE aside AS (a integer)",
            "CREATE DOMAIN aside AS uuid",
            "CREATE FUNCTION aside() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
            "CREATE FUNCTION aside() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "CREATE FUNCTION pg_temp.aside() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "CREATE OR REPLACE FUNCTION streamspace_scope() RETURNS uuid[] LANGUAGE sql AS 'SELECT NULL::uuid[]'",
            "ALTER FUNCTION streamspace_scope() SECURITY DEFINER",
            "DROP FUNCTION streamspace_scope()",
            "CREATE OPERATOR <<< (FUNCTION = int4eq, LEFTARG = integer, RIGHTARG = integer)",
            "CREATE AGGREGATE aside(integer) (SFUNC = int4pl, STYPE = integer)",
            "CREATE PUBLICATION aside FOR ALL TABLES",
            "CREATE EVENT TRIGGER aside ON ddl_command_end EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "REINDEX TABLE tenants",
            "CLUSTER tenants USING tenants_pkey",
            "COMMENT ON TABLE tenants IS 'mine'",
            "LOCK TABLE tenants IN ACCESS EXCLUSIVE MODE",
            "DO $$ BEGIN END $$",
        ] {
            // Of its own transaction, as some of them want one.
            run(&mut session, "BEGIN").await.unwrap();
            let outcome = run(&mut session, attack).await;
            // Whoever may write a table may lock it; the limit of the statement holds.
            if !(login == "streamspace_operator" && attack.starts_with("LOCK TABLE")) {
                assert_eq!(outcome, Err(NO_RIGHT.to_owned()), "{login}: {attack}");
            }
            run(&mut session, "ROLLBACK").await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_tenant_login_has_its_tables_alone() {
    let world = World::create().await;
    for table in [
        "audit_entries",
        "audit_positions",
        "certificates",
        "enrolment_tokens",
        "leader",
        "replicas",
        "operator_locks",
        "break_glass",
        "breaker",
        "breaker_deletions",
        "orphans",
        "cluster_pin",
        "_sqlx_migrations",
        "schema_floor",
        "catalogue_exceptions",
    ] {
        for attack in [
            format!("SELECT * FROM {table}"),
            format!("SELECT FROM {table}"),
            format!("SELECT count(*) FROM {table}"),
            format!("DELETE FROM {table}"),
            format!("LOCK TABLE {table} IN ACCESS SHARE MODE"),
            format!("SELECT table_to_xml('{table}', true, true, '')"),
        ] {
            world.refused(&[(&attack, NO_RIGHT)]).await;
        }
    }
    world
        .refused(&[
            ("DELETE FROM tenants", NO_RIGHT),
            ("DELETE FROM operations", NO_RIGHT),
            ("DELETE FROM changes", NO_RIGHT),
            ("DELETE FROM requests", NO_RIGHT),
            ("UPDATE requests SET response = ''", NO_RIGHT),
            ("UPDATE changes SET revision = 1", NO_RIGHT),
            ("UPDATE tenant_subscription SET seats = 0", NO_RIGHT),
            ("UPDATE plans SET rank = 0", NO_RIGHT),
            ("INSERT INTO plans SELECT * FROM plans", NO_RIGHT),
            ("UPDATE change_sequence SET revision = 0", NO_RIGHT),
            ("SELECT revision FROM change_sequence FOR UPDATE", NO_RIGHT),
            ("UPDATE region_controls SET pause_until = NULL", NO_RIGHT),
            ("INSERT INTO tenants SELECT * FROM tenants", NO_RIGHT),
            ("UPDATE quota_overrides SET amount = 9", NO_RIGHT),
            ("UPDATE approvals SET requester = 'other'", NO_RIGHT),
        ])
        .await;
}

/// The audit login inserts, and learns nothing by it.
#[tokio::test]
async fn the_audit_login_inserts_and_reads_nothing() {
    const COLUMNS: &str = "(entry_id, call_id, replica, region, phase, actor, certificate_serial, role, method, \
                           resource, request_sha256, reason, decision, rule, status_code, status_message, peer)";
    const VALUES: &str = "VALUES ('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-00000000000b', \
                          'r', 'g', 'intent', 'a', '', 'viewer', 'm', '', '', '', 'allowed', '', 0, '', '')";
    let world = World::create().await;
    let mut audit = world.session(&world.test.config.audit).await;
    let insert = format!("INSERT INTO audit_entries {COLUMNS} {VALUES}");
    run(&mut audit, &insert).await.unwrap();
    for attack in [
        "SELECT * FROM audit_entries".to_owned(),
        "SELECT count(*) FROM audit_entries".to_owned(),
        "UPDATE audit_entries SET actor = ''".to_owned(),
        "DELETE FROM audit_entries".to_owned(),
        "TRUNCATE audit_entries".to_owned(),
        format!("{insert} RETURNING entry_id"),
        format!("{insert} ON CONFLICT (entry_id) DO NOTHING"),
        format!("{insert} ON CONFLICT (call_id, phase) DO UPDATE SET actor = ''"),
        "INSERT INTO audit_positions SELECT 1, gen_random_uuid()".to_owned(),
        "SELECT * FROM tenants".to_owned(),
        "SELECT * FROM plans".to_owned(),
        "SELECT * FROM requests".to_owned(),
        "SELECT streamspace_scope()".to_owned(),
        "SELECT pg_try_advisory_lock(1)".to_owned(),
    ] {
        assert_eq!(run(&mut audit, &attack).await, Err(NO_RIGHT.to_owned()), "{attack}");
    }
    // The key is random: that it is taken tells whoever made it what it knows.
    assert_eq!(run(&mut audit, &insert).await, Err("23505".to_owned()));
}

#[tokio::test]
async fn the_maintainer_login_reads_and_writes_nothing() {
    let world = World::create().await;
    let mut operator = world.session(&world.test.config.operator).await;
    let tables = run(
        &mut operator,
        "SELECT oid::regclass FROM pg_class WHERE relkind IN ('r', 'p', 'S') AND relnamespace = 'public'::regnamespace",
    )
    .await
    .unwrap();
    assert!(tables.len() > 15, "{tables:?}");
    let mut maintainer = world.session(&world.test.config.maintainer).await;
    for table in tables.iter().flatten() {
        for attack in [
            format!("SELECT FROM {table}"),
            format!("DELETE FROM {table}"),
            format!("INSERT INTO {table} DEFAULT VALUES"),
        ] {
            let outcome = run(&mut maintainer, &attack).await;
            // Of a sequence nobody deletes: wrong_object_type, feature_not_supported.
            let refused = matches!(
                outcome.as_ref().map_err(String::as_str),
                Err(NO_RIGHT | "42809" | "0A000")
            );
            assert!(refused, "{attack}: {outcome:?}");
        }
    }
}

/// Row-level security holds the owner too: without its own policy it sees nothing.
#[tokio::test]
async fn row_security_is_forced_on_the_owner() {
    let world = World::create().await;
    let mut owner = world.session(&world.test.config.owner).await;
    run(
        &mut owner,
        &format!(
            "CREATE TABLE notes (tenant_uid uuid NOT NULL, note text NOT NULL);
             {} INSERT INTO notes SELECT tenant_uid, tenant_id FROM tenants",
            policies("notes")
        ),
    )
    .await
    .unwrap();
    let count = "SELECT count(*) FROM notes";
    assert_eq!(run(&mut owner, count).await.unwrap(), [["2"]]);
    run(&mut owner, "DROP POLICY owner ON notes").await.unwrap();
    assert_eq!(run(&mut owner, count).await.unwrap(), [["0"]]);
}

/// `row_security = off` does not switch it off: it refuses what would be filtered.
#[tokio::test]
async fn row_security_cannot_be_set_off() {
    let world = World::create().await;
    for (login, url) in logins(&world) {
        if !matches!(login, "streamspace_owner" | "streamspace_operator" | "streamspace_tenant") {
            continue;
        }
        let mut session = world.session(url).await;
        for table in ["tenants", "requests", "changes"] {
            let attack = format!("SET row_security = off; SELECT * FROM {table}");
            assert_eq!(
                run(&mut session, &attack).await,
                Err(NO_RIGHT.to_owned()),
                "{login}: {attack}"
            );
        }
    }
}

/// None of the logins may come to another database of the server, where it might have more.
#[tokio::test]
async fn other_databases_with_the_same_logins_hold_the_same() {
    let world = World::create().await;
    let other = World::create().await;
    let mut session = PgConnection::connect(other.test.config.tenant.expose()).await.unwrap();
    let uid = world.acme.0;
    let result = sqlx::raw_sql(AssertSqlSafe(format!(
        "BEGIN; SET LOCAL streamspace.tenant_uids = '{{{uid}}}'; SELECT * FROM tenants"
    )))
    .fetch_all(&mut session)
    .await
    .map_err(code)
    .unwrap();
    assert!(result.is_empty());
}
