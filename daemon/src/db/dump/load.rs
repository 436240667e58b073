//! Putting all rows back: into an empty database, which is marked until it is whole.

use std::collections::BTreeMap;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use uuid::Uuid;

use super::{Applied, DumpError, Table, options, tables};
use crate::db::DatabaseUrl;
use crate::db::migrate::{self, MigrateError, Restore};

/// How far a restore is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The schema is being made; no row is there.
    Loading,
    /// All rows are there.
    Loaded,
    /// And they say that they were restored.
    Settled,
}

/// A restore that began and did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnderWay {
    /// From which backup.
    pub backup: Uuid,
    /// How far it came.
    pub phase: Phase,
}

/// What is in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Empty,
    /// A restore that began and did not end.
    UnderWay(UnderWay),
    /// Something else.
    Occupied,
}

/// The restore that began in this database and did not end.
pub(in crate::db) async fn under_way(
    connection: &mut PgConnection,
) -> Result<Option<UnderWay>, sqlx::Error> {
    let there: bool =
        sqlx::query_scalar("SELECT to_regclass('public.restore_under_way') IS NOT NULL")
            .fetch_one(&mut *connection)
            .await?;
    if !there {
        return Ok(None);
    }
    let row: Option<(Uuid, String)> =
        sqlx::query_as("SELECT backup, phase FROM public.restore_under_way")
            .fetch_optional(&mut *connection)
            .await?;
    Ok(row.map(|(backup, phase)| {
        let phase = match phase.as_str() {
            "loaded" => Phase::Loaded,
            "settled" => Phase::Settled,
            _ => Phase::Loading,
        };
        UnderWay { backup, phase }
    }))
}

/// Looks what is in the database of this URL, of whatever login.
pub async fn look(url: &DatabaseUrl) -> Result<Found, DumpError> {
    let mut connection = options(url, "restore")?.connect().await?;
    let state = under_way(&mut connection).await?;
    let empty: bool = sqlx::query_scalar(
        "SELECT NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace)",
    )
    .fetch_one(&mut connection)
    .await?;
    let found = match (state, empty) {
        (Some(state), _) => Found::UnderWay(state),
        (None, true) => Found::Empty,
        (None, false) => Found::Occupied,
    };
    connection.close().await?;
    Ok(found)
}

/// Whether this backup was restored into the database of this URL, and that came to its end.
pub async fn was_restored_from(url: &DatabaseUrl, backup: Uuid) -> Result<bool, DumpError> {
    let mut connection = options(url, "restore")?.connect().await?;
    let there: bool = sqlx::query_scalar("SELECT to_regclass('public.audit_entries') IS NOT NULL")
        .fetch_one(&mut connection)
        .await?;
    let told = there
        && sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM public.audit_entries
                            WHERE call_id = $1 AND method = 'RestoreRegion')",
        )
        .bind(backup)
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(told)
}

/// Marks an empty database as one that is being restored, so that nobody takes the half for
/// the whole. Where it is marked already, it is for this backup from now on.
pub async fn mark(owner: &DatabaseUrl, backup: Uuid) -> Result<(), DumpError> {
    let mut connection = options(owner, "restore")?.connect().await?;
    let mut transaction = connection.begin().await?;
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS public.restore_under_way (
             only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
             backup   uuid NOT NULL,
             phase    text NOT NULL
         )",
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO public.restore_under_way (backup, phase) VALUES ($1, 'loading')
         ON CONFLICT (only_row) DO UPDATE SET backup = $1",
    )
    .bind(backup)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(connection.close().await?)
}

/// Makes the schema as the backup had it.
pub async fn make_schema(owner: &DatabaseUrl, migrations: &[Applied]) -> Result<(), DumpError> {
    let target = migrations.last().map_or(0, |one| one.number);
    migrate::run_within(owner, Some(target), Restore::Allowed).await?;
    Ok(())
}

/// Brings the restored schema up to date.
pub async fn upgrade(owner: &DatabaseUrl) -> Result<(), DumpError> {
    migrate::run_within(owner, None, Restore::Allowed).await?;
    Ok(())
}

/// A transaction that all rows are put back in.
#[derive(Debug)]
pub struct Load {
    connection: PgConnection,
    /// The tables of the schema, in the order in which their rows come.
    pub tables: Vec<Table>,
}

impl Load {
    /// Empties every table, within the transaction, and makes the partitions of these days.
    pub async fn begin(owner: &DatabaseUrl, days: &[String]) -> Result<Self, DumpError> {
        let mut connection = options(owner, "restore")?.connect().await?;
        let tables = tables(&mut connection).await?;
        sqlx::query("BEGIN").execute(&mut connection).await?;
        // Another restore waits here, and finds then that this one is done.
        let phase: Option<String> =
            sqlx::query_scalar("SELECT phase FROM public.restore_under_way FOR UPDATE")
                .fetch_optional(&mut connection)
                .await?;
        if phase.as_deref() != Some("loading") {
            return Err(DumpError::Misfit(
                "another restore of this backup was faster: run it again, and it goes on".into(),
            ));
        }
        let names: Vec<String> = tables.iter().map(Table::quoted).collect();
        let truncate = format!("TRUNCATE {}", names.join(", "));
        sqlx::query(AssertSqlSafe(truncate)).execute(&mut connection).await?;
        for day in days {
            let made = sqlx::query("SELECT usage_intervals_make(to_date($1, 'YYYYMMDD'))")
                .bind(day)
                .execute(&mut connection)
                .await;
            made.map_err(|error| {
                DumpError::Misfit(format!("the backup names the day {day:?} of usage: {error}"))
            })?;
        }
        for table in tables.iter().filter(|table| table.forced) {
            // COPY into a table that row-level security holds is refused. Within this
            // transaction alone: nobody else sees the tables meanwhile.
            force(&mut connection, table, false).await?;
        }
        Ok(Self { connection, tables })
    }

    /// Puts these pieces into a table. How many rows they were.
    pub async fn rows<P, E>(
        &mut self,
        table: &Table,
        mut next: impl FnMut() -> Result<Option<P>, E>,
    ) -> Result<Result<u64, E>, DumpError>
    where
        P: std::ops::Deref<Target = [u8]>,
    {
        let statement = format!("COPY {} ({}) FROM STDIN", table.quoted(), table.quoted_columns());
        let mut copy = self.connection.copy_in_raw(&statement).await?;
        loop {
            match next() {
                Ok(Some(piece)) => {
                    copy.send(piece).await?;
                }
                Ok(None) => return Ok(Ok(copy.finish().await?)),
                Err(error) => {
                    copy.abort("the backup cannot be read on").await?;
                    return Ok(Err(error));
                }
            }
        }
    }

    /// Commits all rows at once, the sequences behind what was drawn from them.
    pub async fn commit(mut self, sequences: &BTreeMap<String, i64>) -> Result<(), DumpError> {
        for table in self.tables.iter().filter(|table| table.forced) {
            force(&mut self.connection, table, true).await?;
        }
        for (sequence, last) in sequences {
            sqlx::query(
                "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass,
                               greatest($2, coalesce(last_value, 1)))
                 FROM pg_sequences WHERE schemaname = 'public' AND sequencename = $1",
            )
            .bind(sequence)
            .bind(last)
            .execute(&mut self.connection)
            .await?;
        }
        sqlx::query("UPDATE public.restore_under_way SET phase = 'loaded'")
            .execute(&mut self.connection)
            .await?;
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        Ok(self.connection.close().await?)
    }
}

async fn force(
    connection: &mut PgConnection,
    table: &Table,
    forced: bool,
) -> Result<(), DumpError> {
    let word = if forced { "FORCE" } else { "NO FORCE" };
    let statement = format!("ALTER TABLE {} {word} ROW LEVEL SECURITY", table.quoted());
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// Ends the restore: from now on a daemon may start on the database.
pub async fn finish(owner: &DatabaseUrl) -> Result<(), DumpError> {
    let mut connection = options(owner, "restore")?.connect().await?;
    sqlx::query("DROP TABLE IF EXISTS public.restore_under_way").execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// A connection of the owner for what a restore sets right.
pub async fn connect(owner: &DatabaseUrl) -> Result<PgConnection, DumpError> {
    Ok(options(owner, "restore")?.connect().await?)
}

/// What a restore finds on a server that it is to make the database on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The superuser's URL of the database, where that is there already.
    pub database: Option<DatabaseUrl>,
    /// Other databases there that the same five logins serve.
    pub others: Vec<String>,
}

/// Looks at a server, as its superuser. Changes nothing.
pub async fn look_at_server(superuser_url: &str, database: &str) -> Result<Server, DumpError> {
    migrate::require_name(database)?;
    let superuser = PgConnectOptions::from_str(superuser_url)?;
    let mut connection = superuser.clone().connect().await?;
    let there: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(database)
            .fetch_one(&mut connection)
            .await?;
    let others = migrate::others_beside(&mut connection, database).await?;
    connection.close().await?;
    let url = || DatabaseUrl::parse(superuser.database(database).to_url_lossy().as_str());
    let database = there.then(url).transpose().map_err(MigrateError::from)?;
    Ok(Server { database, others })
}
