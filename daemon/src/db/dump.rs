//! All rows of the schema, out of one snapshot and into an empty database: what a backup
//! holds of the database.
//!
//! The rows go by `COPY` and not by `pg_dump`:
//! - A restore makes the schema by its own migrations, so nothing that stands in a backup is
//!   ever run as SQL, and all rows come in one transaction: they are there or they are not.
//! - `pg_dump` reads each partition by itself. Ours have row-level security and no policies,
//!   since all come through the parent; it would refuse, or be told to see nothing and say
//!   nothing.
//! - No program beside this one is needed, whose version would have to fit the server's.
//!
//! The owner reads under row-level security, which is forced. So each table is asked for a
//! policy that shows the owner every row, and without it nothing is read
//! ([`Dump::begin`]).

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use uuid::Uuid;

use super::migrate::{MIGRATIONS, MigrateError};
use super::{Database, DatabaseUrl, DbError};

mod load;

pub(in crate::db) use load::under_way;
pub use load::{
    Found, Load, Phase, Server, UnderWay, connect, finish, look, look_at_server, make_schema, mark,
    upgrade, was_restored_from,
};

/// How often the tables are locked anew where one came or went meanwhile.
const TRIES: u32 = 5;

/// What a session that copies starts with: one form of each value, whatever the server's
/// settings are, and all the time that it needs.
const SESSION: [(&str, &str); 11] = [
    ("search_path", "public"),
    ("row_security", "on"),
    ("client_encoding", "UTF8"),
    ("datestyle", "ISO, YMD"),
    ("intervalstyle", "postgres"),
    ("timezone", "UTC"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "3"),
    ("statement_timeout", "0"),
    ("lock_timeout", "60000"),
    ("idle_in_transaction_session_timeout", "0"),
];

/// The partitioned table, whose parts are days.
const BY_DAY: &str = "usage_intervals";

/// Why rows cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// A statement failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The schema could not be made.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// Row-level security would hide rows from the owner.
    #[error(
        "the owner does not see every row of {0}: give the table the policy `owner`, with USING \
         (true), as db/catalogue.rs asks for; without it the backup would not be whole"
    )]
    Hidden(String),
    /// There is no schema.
    #[error(
        "the database has no schema yet: there is nothing to back up; `streamspaced init` or the first start makes it"
    )]
    NoSchema,
    /// Tables came and went all the time.
    #[error("tables come and go while they are being locked; try again")]
    Unsettled,
    /// Tables refer to each other in a circle.
    #[error("tables refer to each other in a circle: {0}")]
    Circle(String),
    /// What is in the backup does not fit the schema.
    #[error("{0}")]
    Misfit(String),
}

impl From<sqlx::Error> for DumpError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// A table and its columns, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The columns that hold something of their own.
    pub columns: Vec<String>,
    /// Whether row-level security holds its owner too.
    forced: bool,
}

impl Table {
    fn quoted_columns(&self) -> String {
        let quoted: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("\"{}\"", column.replace('"', "\"\"")))
            .collect();
        quoted.join(", ")
    }

    fn quoted(&self) -> String {
        format!("public.\"{}\"", self.name.replace('"', "\"\""))
    }
}

/// A migration that the schema has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub number: i64,
    /// Its name.
    pub name: String,
    /// The digest of its text.
    pub checksum: Vec<u8>,
}

/// What the database says of itself in the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The database's name.
    pub database: String,
    /// The server's version.
    pub server: String,
    /// The database's clock.
    pub time: Timestamp,
    /// The migrations.
    pub migrations: Vec<Applied>,
    /// The last revision of the change log.
    pub revision: i64,
    /// The last position of the audit log.
    pub audit_position: i64,
    /// The database, as its cluster knows it.
    pub database_uid: Option<Uuid>,
    /// How far each sequence is. It belongs to no snapshot, and is never behind this one.
    pub sequences: BTreeMap<String, i64>,
    /// The days that the usage has a partition for.
    pub days: Vec<String>,
}

/// One snapshot of all rows.
#[derive(Debug)]
pub struct Dump {
    connection: PgConnection,
    /// Every table, those first that others refer to.
    pub tables: Vec<Table>,
    /// What the database says of itself.
    pub facts: Facts,
}

fn options(owner: &DatabaseUrl, purpose: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(owner.expose())?
        .application_name(&format!("streamspaced {purpose}"))
        .options(SESSION))
}

impl Dump {
    /// Opens a snapshot as the owner, and holds every table until it ends: rows come and go
    /// meanwhile, tables do not.
    pub async fn begin(owner: &DatabaseUrl) -> Result<Self, DumpError> {
        let mut connection = options(owner, "backup")?.connect().await?;
        let mut tables = tables(&mut connection).await?;
        if !tables.iter().any(|table| table.name == "change_sequence") {
            return Err(DumpError::NoSchema);
        }
        if let Some(state) = under_way(&mut connection).await? {
            return Err(MigrateError::Restoring(state.backup).into());
        }
        for _ in 0..TRIES {
            sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                .execute(&mut connection)
                .await?;
            let names: Vec<String> = tables.iter().map(Table::quoted).collect();
            let lock = format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "));
            // It comes before the snapshot, so that none of them goes after it.
            match sqlx::query(AssertSqlSafe(lock)).execute(&mut connection).await {
                Ok(_) => {}
                // One of them is gone by now.
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => {
                    sqlx::query("ROLLBACK").execute(&mut connection).await?;
                    tables = self::tables(&mut connection).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            let locked = self::tables(&mut connection).await?;
            if locked == tables {
                hidden(&mut connection).await?;
                let facts = facts(&mut connection).await?;
                return Ok(Self { connection, tables, facts });
            }
            sqlx::query("ROLLBACK").execute(&mut connection).await?;
            tables = locked;
        }
        Err(DumpError::Unsettled)
    }

    /// The rows of a table, in the text form of `COPY`: a line each.
    pub async fn rows(
        &mut self,
        table: &Table,
    ) -> Result<BoxStream<'_, Result<bytes::Bytes, DumpError>>, DumpError> {
        // By a query: so it comes through the parent of a table that is parted.
        let statement =
            format!("COPY (SELECT {} FROM {}) TO STDOUT", table.quoted_columns(), table.quoted());
        let rows = self.connection.copy_out_raw(&statement).await?;
        Ok(rows.map_err(DumpError::from).boxed())
    }

    /// Lets the tables go.
    pub async fn end(self) -> Result<(), DumpError> {
        Ok(self.connection.close().await?)
    }
}

/// The tables of the schema, those first that others refer to, and parted ones last: their
/// rows are the most, and who drops a part waits for the least time.
async fn tables(connection: &mut PgConnection) -> Result<Vec<Table>, DumpError> {
    let rows: Vec<(String, Vec<String>, bool)> = sqlx::query_as(
        "SELECT class.relname::text,
                ARRAY(SELECT attname::text FROM pg_attribute
                      WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
                        AND attgenerated = '' ORDER BY attnum),
                class.relforcerowsecurity
         FROM pg_class AS class
         WHERE class.relnamespace = 'public'::regnamespace AND class.relkind IN ('r', 'p')
           AND NOT class.relispartition
           AND class.relname NOT IN ('_sqlx_migrations', 'restore_under_way')
         ORDER BY class.relkind = 'p', class.relname",
    )
    .fetch_all(&mut *connection)
    .await?;
    let references: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT child.relname::text, parent.relname::text
         FROM pg_constraint
         JOIN pg_class AS child ON child.oid = conrelid
         JOIN pg_class AS parent ON parent.oid = confrelid
         WHERE contype = 'f' AND conrelid <> confrelid AND NOT child.relispartition
           AND child.relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut left: Vec<Table> =
        rows.into_iter().map(|(name, columns, forced)| Table { name, columns, forced }).collect();
    let mut ordered: Vec<Table> = Vec::with_capacity(left.len());
    let mut placed = BTreeSet::new();
    while !left.is_empty() {
        let free = |table: &Table| {
            references.iter().all(|(child, parent)| *child != table.name || placed.contains(parent))
        };
        let Some(place) = left.iter().position(free) else {
            let names: Vec<&str> = left.iter().map(|table| table.name.as_str()).collect();
            return Err(DumpError::Circle(names.join(", ")));
        };
        let table = left.remove(place);
        placed.insert(table.name.clone());
        ordered.push(table);
    }
    Ok(ordered)
}

/// Refuses where row-level security holds who is connected and no policy shows every row.
async fn hidden(connection: &mut PgConnection) -> Result<(), DumpError> {
    let hidden: Vec<String> = sqlx::query_scalar(
        "SELECT class.relname::text
         FROM pg_class AS class
         WHERE class.relnamespace = 'public'::regnamespace AND class.relkind IN ('r', 'p')
           AND NOT class.relispartition AND row_security_active(class.oid)
           AND (
               NOT EXISTS (SELECT FROM pg_policy AS policy
                           WHERE policy.polrelid = class.oid AND policy.polpermissive
                             AND policy.polcmd IN ('*', 'r')
                             AND pg_get_expr(policy.polqual, policy.polrelid) = 'true'
                             AND policy.polroles && ARRAY[0::oid, (SELECT oid FROM pg_roles WHERE rolname = current_user)])
               OR EXISTS (SELECT FROM pg_policy AS policy
                          WHERE policy.polrelid = class.oid AND NOT policy.polpermissive
                            AND policy.polroles && ARRAY[0::oid, (SELECT oid FROM pg_roles WHERE rolname = current_user)])
           )
         ORDER BY 1",
    )
    .fetch_all(connection)
    .await?;
    if hidden.is_empty() { Ok(()) } else { Err(DumpError::Hidden(hidden.join(", "))) }
}

async fn facts(connection: &mut PgConnection) -> Result<Facts, DumpError> {
    let (database, server, time): (String, String, jiff_sqlx::Timestamp) = sqlx::query_as(
        "SELECT current_database()::text, current_setting('server_version'), clock_timestamp()",
    )
    .fetch_one(&mut *connection)
    .await?;
    let migrations = applied(connection).await?;
    let (revision, audit_position): (i64, i64) = sqlx::query_as(
        "SELECT revision, (SELECT coalesce(max(position), 0) FROM audit_positions)
         FROM change_sequence",
    )
    .fetch_one(&mut *connection)
    .await?;
    let database_uid: Option<Uuid> = sqlx::query_scalar("SELECT instance_uid FROM cluster_pin")
        .fetch_optional(&mut *connection)
        .await?;
    let sequences: Vec<(String, i64)> = sqlx::query_as(
        "SELECT sequencename::text, last_value FROM pg_sequences
         WHERE schemaname = 'public' AND last_value IS NOT NULL",
    )
    .fetch_all(&mut *connection)
    .await?;
    let days: Vec<String> = sqlx::query_scalar(
        "SELECT right(part.relname, 8) FROM pg_inherits
         JOIN pg_class AS part ON part.oid = inhrelid
         JOIN pg_class AS parent ON parent.oid = inhparent
         WHERE parent.relname = $1 AND parent.relnamespace = 'public'::regnamespace
         ORDER BY 1",
    )
    .bind(BY_DAY)
    .fetch_all(&mut *connection)
    .await?;
    Ok(Facts {
        database,
        server,
        time: time.to_jiff(),
        migrations,
        revision,
        audit_position,
        database_uid,
        sequences: sequences.into_iter().collect(),
        days,
    })
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<Applied>, DumpError> {
    let rows: Vec<(i64, String, Vec<u8>)> = sqlx::query_as(
        "SELECT version, description, checksum FROM _sqlx_migrations WHERE success ORDER BY version",
    )
    .fetch_all(connection)
    .await?;
    let one = |(number, name, checksum)| Applied { number, name, checksum };
    Ok(rows.into_iter().map(one).collect())
}

/// Refuses a schema that this program cannot make: a newer one, or another one.
pub fn require_known(migrations: &[Applied]) -> Result<(), DumpError> {
    let misfit = |words: String| Err(DumpError::Misfit(words));
    let Some(last) = migrations.last() else {
        return misfit("the backup names no migrations, so nobody can make its schema".into());
    };
    for one in migrations {
        match MIGRATIONS.iter().find(|known| known.version == one.number) {
            None => {
                return misfit(format!(
                    "the backup's schema has migration {}, which this program does not know: it \
                     was made by a newer one; restore it with that version or a later one",
                    one.number
                ));
            }
            Some(known) if *known.checksum != *one.checksum => {
                return misfit(format!(
                    "migration {} of the backup's schema is another one than this program's: it \
                     was made by another build; restore it with that one",
                    one.number
                ));
            }
            Some(_) => {}
        }
    }
    let wanted: Vec<i64> = MIGRATIONS
        .iter()
        .map(|known| known.version)
        .filter(|version| *version <= last.number)
        .collect();
    if !wanted.iter().eq(migrations.iter().map(|one| &one.number)) {
        return misfit(
            "the backup's schema has not the migrations that lead to it, in their order".into(),
        );
    }
    Ok(())
}

/// How many migrations are newer than the last of these.
pub fn newer_than(migrations: &[Applied]) -> usize {
    let last = migrations.last().map_or(0, |one| one.number);
    MIGRATIONS.iter().filter(|known| known.version > last).count()
}

/// A backup that was made whole.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// What kind of place it went to: `file`, `folder` or `output`.
    pub place: &'static str,
    /// Which it is.
    pub backup: Uuid,
    /// The time of its snapshot.
    pub time: Timestamp,
    /// How many rows it has.
    pub rows: u64,
    /// How large they are.
    pub bytes: u64,
}

/// Notes that a backup was made. A schema that has no place for it is left alone.
pub async fn note(owner: &DatabaseUrl, made: Made) -> Result<(), DumpError> {
    let mut connection = options(owner, "backup")?.connect().await?;
    let there: bool = sqlx::query_scalar("SELECT to_regclass('public.backups') IS NOT NULL")
        .fetch_one(&mut connection)
        .await?;
    if there {
        sqlx::query(
            "INSERT INTO public.backups (place, backup_id, snapshot_time, rows, bytes)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (place) DO UPDATE SET backup_id = excluded.backup_id,
                 snapshot_time = excluded.snapshot_time, end_time = now(), rows = excluded.rows,
                 bytes = excluded.bytes",
        )
        .bind(made.place)
        .bind(made.backup)
        .bind(jiff_sqlx::Timestamp::from(made.time))
        .bind(i64::try_from(made.rows).unwrap_or(i64::MAX))
        .bind(i64::try_from(made.bytes).unwrap_or(i64::MAX))
        .execute(&mut connection)
        .await?;
    }
    Ok(connection.close().await?)
}

/// When the snapshot of the last backup was, in seconds.
pub async fn last_backup(database: &Database) -> Result<Option<i64>, DbError> {
    let query =
        sqlx::query_scalar("SELECT extract(epoch FROM max(snapshot_time))::bigint FROM backups");
    Ok(query.fetch_one(database.operator()).await?)
}
