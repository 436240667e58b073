//! The check passes on the schema, and sees each part that is missing.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::db::catalogue::{CatalogueError, check};
use crate::db::testing::TestDatabase;

/// A table with a tenant key and every part of its isolation, one statement a part.
const GOOD_TABLE: [(&str, &str); 9] = [
    (
        "table",
        "CREATE TABLE notes (tenant_uid uuid NOT NULL REFERENCES tenants (tenant_uid),
                             region_term bigint NOT NULL DEFAULT 1,
                             note_id uuid NOT NULL)",
    ),
    ("key", "ALTER TABLE notes ADD PRIMARY KEY (tenant_uid, note_id)"),
    ("enable", "ALTER TABLE notes ENABLE ROW LEVEL SECURITY"),
    ("force", "ALTER TABLE notes FORCE ROW LEVEL SECURITY"),
    ("owner", "CREATE POLICY owner ON notes TO streamspace_owner USING (true) WITH CHECK (true)"),
    (
        "operator",
        "CREATE POLICY operator ON notes TO streamspace_operator USING (true) WITH CHECK (true)",
    ),
    (
        "tenant",
        "CREATE POLICY tenant ON notes TO streamspace_tenant
             USING (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))
             WITH CHECK (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))",
    ),
    (
        "scope",
        "CREATE POLICY scope ON notes AS RESTRICTIVE TO streamspace_tenant
             USING (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))
             WITH CHECK (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))",
    ),
    ("grant", "GRANT SELECT, INSERT ON notes TO streamspace_operator, streamspace_tenant"),
];

/// Runs the statements as the owner, then the check; what it finds, in one text.
pub(super) async fn faults_after(statements: &[&str]) -> String {
    let test = TestDatabase::create().await;
    let mut owner = PgConnection::connect(test.config.owner.expose()).await.unwrap();
    for statement in statements {
        run(&mut owner, statement).await;
    }
    faults(&test).await
}

async fn run(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
}

async fn faults(test: &TestDatabase) -> String {
    match check(test.database().operator()).await {
        Ok(()) => String::new(),
        Err(error @ CatalogueError::Faults(_)) => error.to_string(),
        Err(error) => panic!("{error}"),
    }
}

/// The good table with one part left out or put differently.
fn table_with(part: &str, instead: &str) -> Vec<String> {
    assert!(GOOD_TABLE.iter().any(|(name, _)| *name == part), "{part}");
    GOOD_TABLE
        .iter()
        .map(|(name, statement)| if *name == part { instead } else { statement })
        .filter(|statement| !statement.is_empty())
        .map(ToString::to_string)
        .collect()
}

#[tokio::test]
async fn the_schema_passes() {
    assert_eq!(faults_after(&[]).await, "");
}

#[tokio::test]
async fn a_good_table_passes() {
    let statements: Vec<&str> = GOOD_TABLE.iter().map(|(_, statement)| *statement).collect();
    assert_eq!(faults_after(&statements).await, "");
}

#[tokio::test]
async fn each_missing_part_is_found() {
    let cases = [
        ("enable", "", "notes: row-level security is not enabled"),
        ("force", "", "notes: row-level security is not forced"),
        ("key", "", "notes: no primary key"),
        (
            "key",
            "ALTER TABLE notes ADD PRIMARY KEY (note_id, tenant_uid)",
            "notes: the unique key notes_pkey does not start with tenant_uid",
        ),
        (
            "key",
            "ALTER TABLE notes ADD PRIMARY KEY (tenant_uid, note_id); CREATE UNIQUE INDEX names ON notes (note_id)",
            "notes: the unique key names does not start with tenant_uid",
        ),
        ("owner", "", "notes: no permissive policy for streamspace_owner"),
        ("operator", "", "notes: no permissive policy for streamspace_operator"),
        ("tenant", "", "notes: no permissive policy for streamspace_tenant"),
        ("scope", "", "notes: no restrictive policy for streamspace_tenant"),
        (
            "tenant",
            "CREATE POLICY tenant ON notes FOR SELECT TO streamspace_tenant
                 USING (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))",
            "notes: no permissive policy for streamspace_tenant",
        ),
        (
            "scope",
            "CREATE POLICY scope ON notes AS RESTRICTIVE TO streamspace_tenant
                 USING (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[])) WITH CHECK (true)",
            "notes: no restrictive policy for streamspace_tenant",
        ),
        (
            "scope",
            "CREATE POLICY scope ON notes AS RESTRICTIVE TO streamspace_tenant USING (true) WITH CHECK (true)",
            "notes: no restrictive policy for streamspace_tenant",
        ),
        (
            "grant",
            "CREATE POLICY wide ON notes TO streamspace_tenant USING (true)",
            "notes: the permissive policy wide lets the tenant login see more",
        ),
        (
            "grant",
            "CREATE POLICY wide ON notes USING (true)",
            "notes: the permissive policy wide lets the tenant login see more",
        ),
        ("grant", "GRANT SELECT ON notes TO PUBLIC", "notes: everybody has SELECT"),
        (
            "grant",
            "GRANT TRUNCATE ON notes TO streamspace_tenant",
            "notes: streamspace_tenant has TRUNCATE",
        ),
        (
            "grant",
            "GRANT SELECT ON notes TO streamspace_audit",
            "notes: the audit login has SELECT",
        ),
        (
            "table",
            "CREATE TABLE notes (tenant_uid uuid NOT NULL, note_id uuid NOT NULL)",
            "notes: no column region_term bigint NOT NULL",
        ),
        (
            "table",
            "CREATE TABLE notes (tenant_uid uuid NOT NULL, region_term bigint, note_id uuid NOT NULL)",
            "notes: no column region_term bigint NOT NULL",
        ),
        (
            "table",
            "CREATE TABLE notes (tenant_uid uuid NOT NULL, region_term bigint NOT NULL DEFAULT 1,
                                 note_id uuid NOT NULL, operation_id uuid, operation_tenant uuid,
                                 FOREIGN KEY (operation_tenant, operation_id)
                                     REFERENCES operations (tenant_uid, operation_id))",
            "does not start with tenant_uid on both sides",
        ),
    ];
    find_each(&cases).await;
}

#[tokio::test]
async fn each_right_or_key_too_many_is_found() {
    find_each(&[
        (
            "grant",
            "GRANT SELECT ON notes TO streamspace_maintainer",
            "notes: the maintainer login has SELECT",
        ),
        (
            "grant",
            "GRANT UPDATE ON notes TO streamspace_tenant",
            "notes: the tenant login may change the column tenant_uid",
        ),
        (
            "grant",
            "GRANT UPDATE (region_term) ON notes TO streamspace_tenant",
            "notes: the tenant login may change the column region_term",
        ),
        (
            "key",
            "ALTER TABLE notes ADD PRIMARY KEY (tenant_uid, note_id);
             ALTER TABLE notes ADD EXCLUDE USING hash (note_id WITH =)",
            "notes: the unique key notes_note_id_excl does not start with tenant_uid",
        ),
        (
            "key",
            "ALTER TABLE notes ADD PRIMARY KEY (tenant_uid, note_id);
             CREATE UNIQUE INDEX names ON notes ((note_id::text))",
            "notes: the unique key names spans tenants, and the tenant login may INSERT its column note_id",
        ),
        (
            "grant",
            "CREATE RULE copied AS ON UPDATE TO notes DO ALSO INSERT INTO notes VALUES (NEW.*)",
            "notes: the rule copied acts with the rights of the owner",
        ),
    ])
    .await;
}

/// Of each case: the part of the good table, what stands instead of it, and what is found.
async fn find_each(cases: &[(&str, &str, &str)]) {
    for (part, instead, expected) in cases {
        let statements = table_with(part, instead);
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        let found = faults_after(&statements).await;
        assert!(found.contains(expected), "without {part} ({instead}):\n{found}");
    }
}

#[tokio::test]
async fn what_passes_row_security_by_is_found() {
    for (statement, expected) in [
        (
            "CREATE FUNCTION every_tenant() RETURNS SETOF tenants LANGUAGE sql SECURITY DEFINER
                 AS 'SELECT * FROM tenants'",
            "every_tenant(): SECURITY DEFINER",
        ),
        (
            "CREATE VIEW every_tenant AS SELECT tenant_id FROM tenants",
            "every_tenant: the view reads with the rights of its owner",
        ),
        (
            "CREATE MATERIALIZED VIEW every_tenant AS SELECT tenant_id FROM tenants",
            "every_tenant: row-level security does not hold a materialized view",
        ),
        (
            "CREATE TABLE aside (secret text); GRANT SELECT ON aside TO streamspace_tenant",
            "aside: the tenant login has SELECT on a table without a tenant key",
        ),
        (
            "CREATE TABLE aside (secret text); GRANT SELECT (secret) ON aside TO streamspace_tenant",
            "aside: the tenant login has SELECT on a table without a tenant key",
        ),
        (
            "GRANT CREATE ON SCHEMA public TO streamspace_tenant",
            "streamspace_tenant: the login can create objects in the schema public",
        ),
        (
            "GRANT UPDATE (tenant_id) ON tenants TO streamspace_tenant",
            "tenants: the unique key tenants_live_id spans tenants, and the tenant login may UPDATE its column tenant_id",
        ),
        (
            "GRANT INSERT (revision) ON changes TO streamspace_tenant",
            "changes: the unique key changes_revision_key spans tenants, and the tenant login may INSERT its column revision",
        ),
        (
            "GRANT INSERT (scope) ON requests TO streamspace_tenant",
            "requests: the tenant login may INSERT the scope of a reply",
        ),
        (
            "GRANT USAGE ON SEQUENCE changes_change_id_seq TO streamspace_tenant",
            "changes_change_id_seq: streamspace_tenant has USAGE on the sequence",
        ),
        (
            "CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION one() TO PUBLIC",
            "one(): everybody may call it",
        ),
        (
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO streamspace_tenant",
            "streamspace_tenant: what streamspace_owner makes later is granted at once",
        ),
        (
            "ALTER TABLE requests NO FORCE ROW LEVEL SECURITY",
            "requests: row-level security is not enabled and forced",
        ),
        (
            "CREATE TABLE usage (tenant_uid uuid NOT NULL, region_term bigint NOT NULL, day date NOT NULL,
                                 PRIMARY KEY (tenant_uid, day)) PARTITION BY RANGE (day);
             CREATE TABLE usage_may PARTITION OF usage FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
             GRANT SELECT ON usage_may TO streamspace_tenant",
            "usage_may: streamspace_tenant has rights on the partition itself",
        ),
        (
            "CREATE TABLE usage (tenant_uid uuid NOT NULL, region_term bigint NOT NULL, day date NOT NULL,
                                 PRIMARY KEY (tenant_uid, day)) PARTITION BY RANGE (day);
             CREATE TABLE usage_may PARTITION OF usage FOR VALUES FROM ('2026-05-01') TO ('2026-06-01')",
            "usage_may: row-level security is not enabled",
        ),
    ] {
        let found = faults_after(&[statement]).await;
        assert!(found.contains(expected), "{statement}:\n{found}");
    }
}

#[tokio::test]
async fn a_view_with_the_rights_of_who_asks_passes() {
    let view = "CREATE VIEW names WITH (security_invoker = true) AS SELECT tenant_id FROM tenants";
    assert_eq!(faults_after(&[view]).await, "");
}

#[tokio::test]
async fn what_only_a_superuser_can_break_is_found() {
    // A server of its own: logins belong to all databases of a server.
    let test = TestDatabase::with_own_server().await;
    let mut superuser = PgConnection::connect(&test.superuser_url).await.unwrap();
    run(&mut superuser, "CREATE ROLE spy LOGIN").await;
    for (break_it, mend_it, expected) in [
        (
            "ALTER ROLE streamspace_tenant BYPASSRLS",
            "ALTER ROLE streamspace_tenant NOBYPASSRLS",
            "streamspace_tenant: the login is BYPASSRLS",
        ),
        (
            "ALTER ROLE streamspace_operator SUPERUSER",
            "ALTER ROLE streamspace_operator NOSUPERUSER",
            "streamspace_operator: the login is SUPERUSER",
        ),
        (
            "GRANT streamspace_operator TO streamspace_tenant",
            "REVOKE streamspace_operator FROM streamspace_tenant",
            "streamspace_tenant: the login is a member of streamspace_operator",
        ),
        (
            "GRANT TEMP ON DATABASE streamspace TO PUBLIC",
            "REVOKE TEMP ON DATABASE streamspace FROM PUBLIC",
            "streamspace_tenant: the login has TEMP on the database",
        ),
        (
            "GRANT streamspace_tenant TO spy",
            "REVOKE streamspace_tenant FROM spy",
            "spy: it is a member of streamspace_tenant",
        ),
        (
            "ALTER ROLE streamspace_operator REPLICATION",
            "ALTER ROLE streamspace_operator NOREPLICATION",
            "streamspace_operator: the login is REPLICATION",
        ),
        (
            "GRANT pg_read_all_data TO streamspace_tenant",
            "REVOKE pg_read_all_data FROM streamspace_tenant",
            "streamspace_tenant: the login is a member of pg_read_all_data",
        ),
        (
            "ALTER ROLE streamspace_tenant SET streamspace.tenant_uids = '{}'",
            "ALTER ROLE streamspace_tenant RESET streamspace.tenant_uids",
            "streamspace_tenant: the setting streamspace.tenant_uids={} is kept for the login",
        ),
        (
            "ALTER DATABASE streamspace SET row_security = off",
            "ALTER DATABASE streamspace RESET row_security",
            "everybody: the setting row_security=off is kept",
        ),
        (
            "CREATE EXTENSION dblink",
            "DROP EXTENSION dblink",
            "dblink: the extension reaches out of this database",
        ),
        (
            "CREATE SCHEMA aside AUTHORIZATION streamspace_tenant",
            "DROP SCHEMA aside",
            "streamspace_tenant: the login owns schema aside",
        ),
        (
            "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
             CREATE FOREIGN TABLE lines (line text) SERVER files OPTIONS (filename '/dev/null')",
            "DROP EXTENSION file_fdw CASCADE",
            "lines: row-level security does not hold a foreign table",
        ),
        (
            "ALTER TABLE operations OWNER TO streamspace_maintainer",
            "ALTER TABLE operations OWNER TO streamspace_owner",
            "operations: it belongs to streamspace_maintainer",
        ),
        (
            "ALTER TABLE operations OWNER TO streamspace_tenant",
            "ALTER TABLE operations OWNER TO streamspace_owner",
            "operations: it belongs to streamspace_tenant",
        ),
    ] {
        run(&mut superuser, break_it).await;
        let found = faults(&test).await;
        assert!(found.contains(expected), "{break_it}:\n{found}");
        run(&mut superuser, mend_it).await;
        assert!(!faults(&test).await.contains(expected), "{mend_it}");
    }
}

#[tokio::test]
async fn every_fault_is_told_at_once_with_its_remedy() {
    let found = faults_after(&["CREATE TABLE notes (tenant_uid uuid)"]).await;
    for expected in [
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE notes FORCE ROW LEVEL SECURITY",
        "CREATE POLICY tenant ON notes AS PERMISSIVE TO streamspace_tenant USING (tenant_uid = ANY",
        "CREATE POLICY scope ON notes AS RESTRICTIVE TO streamspace_tenant",
        "region_term bigint NOT NULL DEFAULT 1",
    ] {
        assert!(found.contains(expected), "{expected}:\n{found}");
    }
}

#[tokio::test]
async fn the_remedies_mend() {
    let test = TestDatabase::create().await;
    let mut owner = PgConnection::connect(test.config.owner.expose()).await.unwrap();
    run(
        &mut owner,
        "CREATE TABLE notes (tenant_uid uuid NOT NULL, region_term bigint NOT NULL, note_id uuid NOT NULL,
                             PRIMARY KEY (tenant_uid, note_id))",
    )
    .await;
    let Err(CatalogueError::Faults(found)) = check(test.database().operator()).await else {
        panic!("a table without policies passes");
    };
    for fault in found {
        run(&mut owner, &fault.remedy).await;
    }
    assert_eq!(faults(&test).await, "");
}
