//! What operators set for the region as a whole, and what the daemon found out about its
//! cluster: read from the database each second and kept in memory, so that it can be
//! shown while the database is away, and so that every loop sees a pause.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::db::{Database, DbError, Scope};

const PERIOD: Duration = Duration::from_secs(1);
/// So many orphans are told.
const ORPHANS: i64 = 1000;

/// A time in which nothing new starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cordon {
    /// When it ends by itself; somebody must end it where it is absent.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// Who set it.
    pub actor: String,
}

/// A time in which the daemon writes nothing to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it ends by itself.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who set it.
    pub actor: String,
}

/// The breaker on deletions that nobody asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// When it tripped, where it is not released since.
    pub tripped: Option<Timestamp>,
    /// What tripped it.
    pub message: String,
    /// Deletions in the window that count.
    pub deletions: i64,
}

/// A managed namespace that belongs to no tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The namespace.
    pub namespace: String,
    /// The tenant that its label names.
    pub tenant_id: String,
    /// When it was first seen.
    pub first_seen: Timestamp,
}

/// All of it, as it was last read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// Set while nothing new may start.
    pub cordon: Option<Cordon>,
    /// Set while the daemon writes nothing to the cluster.
    pub pause: Option<Pause>,
    /// The breaker.
    pub breaker: Breaker,
    /// The orphans, at most 1,000.
    pub orphans: Vec<Orphan>,
    /// How many tenants are paused on their own.
    pub paused_tenants: i64,
}

impl Controls {
    /// The pause that holds the daemon's writes back at `now`. What was read last may
    /// have ended since.
    pub fn pause_at(&self, now: Timestamp) -> Option<&Pause> {
        self.pause.as_ref().filter(|pause| now < pause.until)
    }

    /// The cordon that holds at `now`.
    pub fn cordon_at(&self, now: Timestamp) -> Option<&Cordon> {
        self.cordon.as_ref().filter(|cordon| cordon.until.is_none_or(|until| now < until))
    }
}

/// How many deletions trip the breaker, and in what time.
#[derive(Clone, Copy, Debug)]
pub struct BreakerTerms {
    /// So many.
    pub limit: u32,
    /// In so long.
    pub window: Duration,
}

/// Reads the controls again and again. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ControlsFollower {
    db: Database,
    /// When the breaker trips.
    pub breaker: BreakerTerms,
    latest: Arc<watch::Sender<Controls>>,
}

impl ControlsFollower {
    /// A follower that has read nothing yet.
    pub fn new(db: Database, breaker: BreakerTerms) -> Self {
        Self { db, breaker, latest: Arc::new(watch::Sender::new(Controls::default())) }
    }

    /// What was read last; it wakes when that changes.
    pub fn subscribe(&self) -> watch::Receiver<Controls> {
        self.latest.subscribe()
    }

    /// What was read last.
    pub fn latest(&self) -> Controls {
        self.latest.borrow().clone()
    }

    /// Reads now.
    pub async fn refresh(&self) -> Result<(), DbError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        let read = Controls {
            cordon: cordon(&mut tx).await?,
            pause: pause(&mut tx).await?,
            breaker: breaker(&mut tx, self.breaker.window).await?,
            orphans: orphans(&mut tx).await?,
            paused_tenants: paused_tenants(&mut tx).await?,
        };
        self.latest.send_if_modified(|latest| {
            let differs = *latest != read;
            *latest = read;
            differs
        });
        Ok(())
    }

    /// Reads each second until it is stopped. While the database is away, what was read
    /// last stays.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.refresh().await {
                tracing::debug!(%error, "the region's controls cannot be read");
            }
            if stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_none() {
                return;
            }
        }
    }
}

fn time(row: &PgRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    let time: Option<jiff_sqlx::Timestamp> = row.try_get(column)?;
    Ok(time.map(jiff_sqlx::Timestamp::to_jiff))
}

impl FromRow<'_, PgRow> for Cordon {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            until: time(row, "until")?,
            reason: row.try_get("reason")?,
            actor: row.try_get("actor")?,
        })
    }
}

impl FromRow<'_, PgRow> for Pause {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            until: time(row, "until")?.ok_or(sqlx::Error::RowNotFound)?,
            reason: row.try_get("reason")?,
            actor: row.try_get("actor")?,
        })
    }
}

/// The cordon that holds now, by the database.
pub async fn cordon(connection: &mut PgConnection) -> Result<Option<Cordon>, DbError> {
    let query = sqlx::query_as(
        "SELECT cordon_until AS until, cordon_reason AS reason, cordon_actor AS actor \
         FROM region_controls WHERE cordon_time IS NOT NULL \
           AND (cordon_until IS NULL OR cordon_until > clock_timestamp())",
    );
    Ok(query.fetch_optional(connection).await?)
}

/// The pause that holds now, by the database.
pub async fn pause(connection: &mut PgConnection) -> Result<Option<Pause>, DbError> {
    let query = sqlx::query_as(
        "SELECT pause_until AS until, pause_reason AS reason, pause_actor AS actor \
         FROM region_controls WHERE pause_time IS NOT NULL AND pause_until > clock_timestamp()",
    );
    Ok(query.fetch_optional(connection).await?)
}

pub(super) async fn breaker(
    connection: &mut PgConnection,
    window: Duration,
) -> Result<Breaker, DbError> {
    let row = sqlx::query(
        "SELECT CASE WHEN release_time IS NULL OR release_time < trip_time THEN trip_time END \
                  AS tripped, message, \
                (SELECT count(*) FROM breaker_deletions \
                 WHERE time > greatest(now() - $1 * interval '1 second', \
                                       coalesce(release_time, '-infinity'))) AS deletions \
         FROM breaker",
    )
    .bind(window.as_secs_f64())
    .fetch_one(connection)
    .await?;
    let tripped = time(&row, "tripped")?;
    let message: String = row.try_get("message")?;
    Ok(Breaker {
        tripped,
        message: if tripped.is_some() { message } else { String::new() },
        deletions: row.try_get("deletions")?,
    })
}

async fn orphans(connection: &mut PgConnection) -> Result<Vec<Orphan>, DbError> {
    let rows = sqlx::query(
        "SELECT namespace, tenant_label, first_seen FROM orphans ORDER BY namespace LIMIT $1",
    )
    .bind(ORPHANS)
    .fetch_all(connection)
    .await?;
    let orphans = rows.iter().map(|row| {
        Ok(Orphan {
            namespace: row.try_get("namespace")?,
            tenant_id: row.try_get("tenant_label")?,
            first_seen: time(row, "first_seen")?.ok_or(sqlx::Error::RowNotFound)?,
        })
    });
    Ok(orphans.collect::<Result<_, sqlx::Error>>()?)
}

async fn paused_tenants(connection: &mut PgConnection) -> Result<i64, DbError> {
    let query = sqlx::query_scalar(
        "SELECT count(*) FROM tenants WHERE pause_until > clock_timestamp() AND state <> 'gone'",
    );
    Ok(query.fetch_one(connection).await?)
}

/// Sets the cordon, or ends it.
pub(super) async fn set_cordon(
    connection: &mut PgConnection,
    cordon: Option<&Cordon>,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE region_controls SET cordon_time = CASE WHEN $1 THEN clock_timestamp() END, \
         cordon_until = $2, cordon_reason = $3, cordon_actor = $4",
    )
    .bind(cordon.is_some())
    .bind(cordon.and_then(|cordon| cordon.until).map(jiff_sqlx::Timestamp::from))
    .bind(cordon.map_or("", |cordon| cordon.reason.as_str()))
    .bind(cordon.map_or("", |cordon| cordon.actor.as_str()))
    .execute(connection)
    .await?;
    Ok(())
}

/// Sets the pause, or ends it.
pub(super) async fn set_pause(
    connection: &mut PgConnection,
    pause: Option<&Pause>,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE region_controls SET pause_time = CASE WHEN $1 THEN clock_timestamp() END, \
         pause_until = $2, pause_reason = $3, pause_actor = $4",
    )
    .bind(pause.is_some())
    .bind(pause.map(|pause| jiff_sqlx::Timestamp::from(pause.until)))
    .bind(pause.map_or("", |pause| pause.reason.as_str()))
    .bind(pause.map_or("", |pause| pause.actor.as_str()))
    .execute(connection)
    .await?;
    Ok(())
}

/// Releases the breaker. Deletions until now count no more.
pub(super) async fn release_breaker(
    connection: &mut PgConnection,
    actor: &str,
) -> Result<(), DbError> {
    sqlx::query("UPDATE breaker SET release_time = clock_timestamp(), release_actor = $1")
        .bind(actor)
        .execute(connection)
        .await?;
    Ok(())
}

/// Who leads and how many replicas are there to lead: the term, the replica, and how many
/// were alive a short time ago. `None`: nobody leads.
pub(super) async fn leader(
    connection: &mut PgConnection,
) -> Result<Option<(i64, String, i64)>, DbError> {
    let query = sqlx::query_as(
        "SELECT leader_term, replica, \
                (SELECT count(*) FROM replicas WHERE seen_time > now() - interval '30 seconds') \
         FROM leader WHERE lease_until > now()",
    );
    Ok(query.fetch_optional(connection).await?)
}

/// Asks the leader of this term to give the lease back.
pub(super) async fn ask_to_step_down(
    connection: &mut PgConnection,
    leader_term: i64,
) -> Result<(), DbError> {
    sqlx::query("UPDATE region_controls SET step_down_term = greatest(step_down_term, $1)")
        .bind(leader_term)
        .execute(connection)
        .await?;
    Ok(())
}

/// What time it is for the database.
pub(super) async fn now(connection: &mut PgConnection) -> Result<Timestamp, DbError> {
    let now: jiff_sqlx::Timestamp =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(connection).await?;
    Ok(now.to_jiff())
}
