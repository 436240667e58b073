//! Which replicas run: each renews a row every second, and removes it when it stops in
//! order. A row that is not renewed tells of a crash.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::PgPool;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Database, DbError};

/// How often a replica renews its row.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a stopping replica tries to remove its row.
const FAREWELL: Duration = Duration::from_secs(1);

/// A replica of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its name, unique in the region.
    pub replica: String,
    /// The daemon's version.
    pub version: String,
    /// When its process started. An intent that is older is of a process before it.
    pub start_time: Timestamp,
    /// When it was last alive, by the database's clock.
    pub seen_time: Timestamp,
    /// How long ago that was, by the database's clock.
    pub silent_for: Duration,
}

/// Every replica that runs or has crashed, by name.
pub async fn list(database: &Database) -> Result<Vec<Replica>, DbError> {
    let rows: Vec<(String, String, i64, i64, i64)> = sqlx::query_as(
        "SELECT replica, version,
                (extract(epoch FROM start_time) * 1000000)::bigint,
                (extract(epoch FROM seen_time) * 1000000)::bigint,
                (greatest(extract(epoch FROM now() - seen_time), 0) * 1000000)::bigint
         FROM replicas
         ORDER BY replica",
    )
    .fetch_all(database.operator())
    .await?;
    rows.into_iter()
        .map(|(replica, version, start_time, seen_time, silent_for)| {
            Ok(Replica {
                replica,
                version,
                start_time: timestamp(start_time)?,
                seen_time: timestamp(seen_time)?,
                silent_for: Duration::from_micros(silent_for.unsigned_abs()),
            })
        })
        .collect()
}

/// Forgets a replica, after its orphaned intents have been settled.
pub async fn forget(database: &Database, replica: &str) -> Result<(), DbError> {
    remove(database.operator(), replica).await
}

/// Renews this replica's row every second until stopped, then removes it. While
/// PostgreSQL is away it goes on trying.
pub async fn run(database: Database, replica: String, version: String, stop: CancellationToken) {
    let mut beats = tokio::time::interval(HEARTBEAT);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut announced = false;
    let mut failing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = beats.tick() => {}
        }
        let beat = tokio::select! {
            () = stop.cancelled() => break,
            beat = renew(database.operator(), &replica, &version, !announced) => beat,
        };
        match beat {
            Ok(()) => {
                announced = true;
                failing = false;
            }
            Err(error) if failing => tracing::debug!(%error, "no heartbeat"),
            Err(error) => {
                tracing::warn!(%error, "no heartbeat; trying on");
                failing = true;
            }
        }
    }
    // Best effort: a row that stays is found to be silent.
    let farewell = timeout(FAREWELL, remove(database.operator(), &replica)).await;
    if !matches!(farewell, Ok(Ok(()))) {
        tracing::debug!("the heartbeat row stays behind");
    }
}

async fn renew(pool: &PgPool, replica: &str, version: &str, starting: bool) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO replicas (replica, version) VALUES ($1, $2)
         ON CONFLICT (replica) DO UPDATE
         SET version = $2,
             seen_time = now(),
             start_time = CASE WHEN $3 THEN now() ELSE replicas.start_time END",
    )
    .bind(replica)
    .bind(version)
    .bind(starting)
    .execute(pool)
    .await?;
    Ok(())
}

async fn remove(pool: &PgPool, replica: &str) -> Result<(), DbError> {
    sqlx::query("DELETE FROM replicas WHERE replica = $1").bind(replica).execute(pool).await?;
    Ok(())
}

fn timestamp(microseconds: i64) -> Result<Timestamp, DbError> {
    Timestamp::from_microsecond(microseconds)
        .map_err(|error| DbError::Other(sqlx::Error::Decode(error.into())))
}
