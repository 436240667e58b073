//! Backups of real databases, restored on a second server.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, PgPool};
use tempfile::TempDir;

use super::*;
use crate::{
    access::{Authority, AuthorityFiles},
    db::{
        DatabaseConfig,
        dump::{self, Found},
        migrate,
        testing::{TestDatabase, scratch_folder},
    },
    dev::postgres::{PostgresOptions, PrivatePostgres},
};

mod damaged;
mod refusals;
mod repeated;

const REGION: &str = "test-1";

/// A region with its configuration, and a database with something in most tables.
struct Source {
    folder: TempDir,
    db: TestDatabase,
}

impl Source {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = TestDatabase::create().await;
        let access = folder.path().join("access");
        fs::create_dir(&access).unwrap();
        Authority::create(&AuthorityFiles::in_folder(&access), REGION, Timestamp::now()).unwrap();
        let source = Self { folder, db };
        write_config(&source.config(), &source.db.config, &access);
        source.fill().await;
        source
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("streamspaced.toml")
    }

    /// A backup of it.
    async fn backup(&self) -> PathBuf {
        let file = self.folder.path().join("backup");
        let to = Target::File(file.clone());
        create(&BackupOptions { config: self.config(), to }, |_| {}).await.unwrap();
        file
    }

    async fn fill(&self) {
        for tenant in ["acme", "beta", "gone-soon"] {
            self.db.insert_tenant(tenant).await;
        }
        let pool = self.db.superuser().await;
        for statement in [
            "UPDATE tenants SET display_name = E'two\nlines\t\\\\ and ü', labels = '{\"a\": \"\\\\\"}'
             WHERE tenant_id = 'acme'",
            "INSERT INTO changes (tenant_uid, kind, type, name, actor, resource)
             SELECT tenant_uid, 'tenant', 'created', 'tenants/' || tenant_id, 'ada', '\\x000a0d5c'
             FROM tenants",
            "UPDATE changes SET revision = change_id",
            "UPDATE change_sequence SET revision = (SELECT max(revision) FROM changes)",
            "INSERT INTO certificates (serial, family_id, kind, operator, role, tenant_uids, expire_time)
             VALUES ('b', gen_random_uuid(), 'device', 'ada', 'admin', '{}', now() + interval '1 day'),
                    ('a', gen_random_uuid(), 'device', 'ada', 'admin', '{}', 'infinity')",
            "UPDATE certificates SET superseded_by = 'b' WHERE serial = 'a'",
            "INSERT INTO enrolment_tokens (secret_sha256, operator, role, tenant_uids, created_by, expire_time)
             VALUES ('\\x01', 'ada', 'admin', '{}', 'host', now() + interval '1 day')",
            "SELECT usage_intervals_make('2026-11-29'), usage_intervals_make('2026-11-30')",
            "UPDATE leader SET leader_term = 41, replica = 'r', lease_until = now() + interval '1 day'",
            "INSERT INTO cluster_pin (kube_system_uid, instance_uid, endpoint)
             VALUES ('here', gen_random_uuid(), 'https://here')",
            "INSERT INTO notify_outbox (notice_uid, channel, dedup_key, action, step, message)
             VALUES (gen_random_uuid(), 'pager', 'k', 'trigger', '1', '{}')",
            "INSERT INTO bulk_operations (operation_id, kind, target, request, reason, actor, role, serial)
             VALUES (gen_random_uuid(), 'k', 't', '\\x00', 'r', 'ada', 'admin', 'a')",
        ] {
            sqlx::query(statement).execute(&pool).await.unwrap();
        }
        // Rows of partitions, by what the table is made of.
        sqlx::query(AssertSqlSafe(usage_rows(&pool).await)).execute(&pool).await.unwrap();
    }
}

/// An insert of two rows into two partitions, with something in every column.
async fn usage_rows(pool: &PgPool) -> String {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
         WHERE attrelid = 'usage_intervals'::regclass AND attnum > 0 AND NOT attisdropped
           AND NOT atthasdef AND attnotnull ORDER BY attnum",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let value = |(name, kind): &(String, String)| match (name.as_str(), kind.as_str()) {
        ("tenant_uid", _) => "tenant_uid".to_owned(),
        (_, "uuid") => "gen_random_uuid()".to_owned(),
        (_, "bigint" | "integer" | "smallint") => "7".to_owned(),
        ("bucket_time", _) | (_, "timestamp with time zone") => "day".to_owned(),
        (_, "boolean") => "true".to_owned(),
        _ => "'measured'".to_owned(),
    };
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<String> = columns.iter().map(value).collect();
    format!(
        "INSERT INTO usage_intervals ({}) SELECT {} FROM tenants, unnest(ARRAY[
             timestamptz '2026-11-29 10:00:00+00', timestamptz '2026-11-30 10:00:00+00']) AS day",
        names.join(", "),
        values.join(", ")
    )
}

fn write_config(file: &Path, database: &DatabaseConfig, access: &Path) {
    let text = format!(
        "# kept\nregion = '{REGION}'\n[database]\nowner = '{}'\noperator = '{}'\ntenant = '{}'\n\
         audit = '{}'\nmaintainer = '{}'\n[access]\ndirectory = '{}'\n",
        database.owner.expose(),
        database.operator.expose(),
        database.tenant.expose(),
        database.audit.expose(),
        database.maintainer.expose(),
        access.display()
    );
    fs::write(file, text).unwrap();
}

/// A server and a folder with nothing.
struct Empty {
    folder: TempDir,
    server: PrivatePostgres,
}

impl Empty {
    async fn new() -> Self {
        let start = || PrivatePostgres::start_with(&scratch_folder(), PostgresOptions::scratch());
        let server = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
        Self { folder: tempfile::tempdir().unwrap(), server }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("etc/streamspaced.toml")
    }

    fn options(&self, file: &Path) -> RestoreOptions {
        fs::create_dir_all(self.folder.path().join("etc")).unwrap();
        RestoreOptions {
            file: file.to_owned(),
            config: self.config(),
            database_superuser: Some(self.server.superuser_url()),
            database: Some("restored".into()),
            new_authority: false,
            dry_run: false,
        }
    }

    async fn pool(&self) -> PgPool {
        PgPool::connect(&self.server.url("postgres", "restored")).await.unwrap()
    }

    /// Whether nothing was made: no file, no login, no database.
    async fn is_untouched(&self) -> bool {
        let pool = PgPool::connect(&self.server.superuser_url()).await.unwrap();
        let made: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'streamspace%')
                  + (SELECT count(*) FROM pg_database WHERE datname = 'restored')",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        let files = fs::read_dir(self.folder.path().join("etc")).map_or(0, Iterator::count);
        made == 0 && files == 0
    }
}

/// All rows of all tables, as the superuser sees them.
async fn rows(pool: &PgPool) -> BTreeMap<String, Vec<String>> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut rows = BTreeMap::new();
    for table in tables {
        let read = format!("SELECT t::text FROM {table} AS t ORDER BY 1");
        let all: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(read)).fetch_all(pool).await.unwrap();
        rows.insert(table, all);
    }
    rows
}

/// What a restore sets right differs on purpose.
const SET_RIGHT: [&str; 12] = [
    "_sqlx_migrations",
    "audit_entries",
    "backups",
    "bulk_operations",
    "change_sequence",
    "cluster_pin",
    "enrolment_tokens",
    "leader",
    "notify_outbox",
    "region_controls",
    "tenants",
    "approvals",
];

async fn one<T>(pool: &PgPool, query: &'static str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

/// The database is as the backup had it, and as a restore sets it right.
async fn is_restored(empty: &Empty, before: &BTreeMap<String, Vec<String>>) {
    let pool = empty.pool().await;
    let after = rows(&pool).await;
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (table, all) in before {
        if !SET_RIGHT.contains(&table.as_str()) {
            assert_eq!(all, &after[table], "{table}");
        }
        if !["audit_entries", "backups"].contains(&table.as_str()) {
            assert_eq!(all.len(), after[table].len(), "{table}");
        }
    }
    assert!(before["usage_intervals_20261129"].len() == 3, "there is something to lose");
    assert!(
        one::<bool>(&pool, "SELECT pause_until > now() + interval '9 years' FROM region_controls")
            .await
    );
    assert!(
        one::<bool>(&pool, "SELECT lease_until < now() AND leader_term = 41 FROM leader").await
    );
    assert!(
        one::<bool>(
            &pool,
            "SELECT lost_after = 3 AND lost_until = revision AND revision > 1000000 FROM change_sequence"
        )
        .await
    );
    assert!(one::<bool>(&pool, "SELECT every(generation > 1000000) FROM tenants").await);
    assert!(
        one::<bool>(&pool, "SELECT every(revoke_time IS NOT NULL) FROM enrolment_tokens").await
    );
    assert!(one::<bool>(&pool, "SELECT every(state = 'refused') FROM notify_outbox").await);
    assert!(one::<bool>(&pool, "SELECT every(cancel_time IS NOT NULL) FROM bulk_operations").await);
    let told = "SELECT count(*) FROM audit_entries WHERE method = 'RestoreRegion'";
    assert_eq!(one::<i64>(&pool, told).await, 2);
    // What is drawn next was never given.
    let next = "SELECT nextval('changes_change_id_seq') > (SELECT max(change_id) FROM changes)";
    assert!(one::<bool>(&pool, next).await);
    // Nothing of the tenants' isolation is loose, and the daemon may start.
    let config = crate::config::Config::read(&empty.config()).unwrap();
    migrate::run(&config.database.owner).await.unwrap();
    crate::db::catalogue::check(&pool).await.unwrap();
    assert_eq!(dump::look(&config.database.owner).await.unwrap(), Found::Occupied);
    Authority::open(&AuthorityFiles::in_folder(&config.access.directory)).unwrap();
}

#[tokio::test]
async fn a_restore_puts_back_every_row_on_an_empty_machine() {
    let (source, empty) = tokio::join!(Source::new(), Empty::new());
    let before = rows(&source.db.superuser().await).await;
    let file = source.backup().await;
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(verify(&file).unwrap().contains("3 tenants"));

    let mut dry = empty.options(&file);
    dry.dry_run = true;
    let said = restore(&dry, |_| {}).await.unwrap();
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(empty.is_untouched().await);

    let said = restore(&empty.options(&file), |_| {}).await.unwrap();
    assert!(
        said.contains("streamspaced cluster pin") && said.contains("1 enrolment token"),
        "{said}"
    );
    is_restored(&empty, &before).await;
    let text = fs::read_to_string(empty.config()).unwrap();
    assert!(text.starts_with("# kept"), "{text}");
    for name in ["ca.key", "ca.pem", "trust.pem"] {
        let read = |folder: &Path| fs::read(folder.join("access").join(name)).unwrap();
        assert_eq!(read(source.folder.path()), read(&empty.folder.path().join("etc")), "{name}");
    }

    // A second time nothing is changed, and from another backup it is refused.
    let said = restore(&empty.options(&file), |_| {}).await.unwrap();
    assert!(said.contains("already; nothing was changed"), "{said}");
    fs::remove_file(&file).unwrap();
    let other = source.backup().await;
    let error = restore(&empty.options(&other), |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("is not empty"), "{error}");
    is_restored(&empty, &before).await;
}

#[tokio::test]
async fn a_backup_is_of_one_moment_while_others_write() {
    let (source, empty) = tokio::join!(Source::new(), Empty::new());
    let pool = source.db.superuser().await;
    // Both tables get a row in each transaction.
    for table in ["ones", "twos"] {
        let statement = format!(
            "CREATE TABLE {table} (number integer PRIMARY KEY); ALTER TABLE {table} OWNER TO streamspace_owner"
        );
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    }
    let writer = tokio::spawn(async move {
        for number in 0_i32.. {
            let mut tx = pool.begin().await.unwrap();
            for table in ["INSERT INTO ones VALUES ($1)", "INSERT INTO twos VALUES ($1)"] {
                sqlx::query(table).bind(number).execute(&mut *tx).await.unwrap();
            }
            tx.commit().await.unwrap();
        }
    });
    for _ in 0..3 {
        let file = source.backup().await;
        let manifest = verify::check(&file).unwrap().manifest;
        assert_eq!(manifest.rows_of("ones"), manifest.rows_of("twos"));
        fs::remove_file(file).unwrap();
    }
    writer.abort();
    // Its tables are not those of the schema.
    let file = source.backup().await;
    let error = restore(&empty.options(&file), |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("tables that its schema has not"), "{error}");
}

#[tokio::test]
async fn another_authority_ends_every_certificate() {
    let (source, empty) = tokio::join!(Source::new(), Empty::new());
    let file = source.backup().await;
    let mut options = empty.options(&file);
    options.new_authority = true;
    let said = restore(&options, |_| {}).await.unwrap();
    assert!(said.contains("2 certificates are good no more"), "{said}");
    let pool = empty.pool().await;
    assert!(one::<bool>(&pool, "SELECT every(revoke_time IS NOT NULL) FROM certificates").await);
    let read = |folder: &Path| fs::read(folder.join("access/ca.key")).unwrap();
    assert_ne!(read(source.folder.path()), read(&empty.folder.path().join("etc")));
}
