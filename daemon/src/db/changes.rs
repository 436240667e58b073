//! The change log: what each mutation changed, written in its own transaction, given a
//! revision after the commit.
//!
//! - One sequencer at a time, whichever replica holds the lock on the row of
//!   `change_sequence`, gives revisions to committed rows. Revisions have no gaps, and a
//!   reader that has seen revision N has every change up to N before it.
//! - Changes of one tenant are in the order of their commits: [`record`] holds the
//!   tenant's row until its transaction ends.
//! - What belongs to the region and to no tenant stands in a table of its own, which only
//!   a scope of the region reads. Both tables draw their identities from one sequence, and
//!   one statement gives both their revisions, in the order of those identities.
//! - NOTIFY wakes and carries nothing; a poll each second stands behind it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::PgConnection;
use sqlx::postgres::{PgListener, PgPoolOptions};
use streamspace_core::ids::TenantUid;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Database, DbError, Scope};

mod read;

pub use read::Wanted;

/// The channel that wakes the change logs of all replicas. It carries no payload.
const CHANNEL: &str = "streamspace_changes";

/// How long a change waits at most for a notification that was lost.
const POLL: Duration = Duration::from_secs(1);

/// How many revisions one transaction of the sequencer gives.
const BATCH: i64 = 1000;

/// Pauses between attempts while PostgreSQL is away.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What kind of thing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// A tenant.
    Tenant,
    /// An operation.
    Operation,
    /// A session.
    Session,
}

/// What happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeType {
    /// It is new.
    Created,
    /// A field differs.
    Updated,
    /// It is gone.
    Deleted,
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Tenant, Self::Operation, Self::Session];

    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Operation => "operation",
            Self::Session => "session",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl ChangeType {
    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Created, Self::Updated, Self::Deleted]
            .into_iter()
            .find(|change| change.as_str() == word)
    }
}

/// A change to be written with the mutation that makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewChange {
    /// What kind of thing changed.
    pub kind: ChangeKind,
    /// What happened to it.
    pub change: ChangeType,
    /// Whose it is.
    pub tenant_uid: TenantUid,
    /// The resource name, for example `tenants/acme-corp`.
    pub name: String,
    /// Who changed it: an operator's name, or the daemon's part that did.
    pub actor: String,
    /// The encoded `streamspace.admin.v1.Resource` after the change.
    pub resource: Vec<u8>,
}

/// A change of what belongs to the region and to no tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRegionChange {
    /// What kind of thing changed.
    pub kind: ChangeKind,
    /// What happened to it.
    pub change: ChangeType,
    /// The resource name, for example `operations/…`.
    pub name: String,
    /// Who changed it: an operator's name, or the daemon's part that did.
    pub actor: String,
    /// The encoded `streamspace.admin.v1.Resource` after the change.
    pub resource: Vec<u8>,
}

/// A change with its revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRow {
    /// Its place in the log: 1, 2, 3, without gaps.
    pub revision: i64,
    /// What kind of thing changed.
    pub kind: ChangeKind,
    /// What happened to it.
    pub change: ChangeType,
    /// Whose it is; `None` for what belongs to the region.
    pub tenant_uid: Option<TenantUid>,
    /// The resource name.
    pub name: String,
    /// Who changed it.
    pub actor: String,
    /// The encoded `streamspace.admin.v1.Resource` after the change.
    pub resource: Vec<u8>,
    /// When its transaction began, by the database's clock.
    pub time: Timestamp,
}

/// Writes a change in the transaction of the mutation, and holds the tenant's row until
/// that ends. The tenant must exist and be within the transaction's scope.
pub async fn record(transaction: &mut PgConnection, change: &NewChange) -> Result<(), DbError> {
    // The inner select takes its lock before the identity of the new row is drawn, so
    // among the changes of one tenant the identities follow the commits.
    sqlx::query(
        "WITH inserted AS (
             INSERT INTO changes (tenant_uid, kind, type, name, actor, resource)
             SELECT tenant.tenant_uid, $2, $3, $4, $5, $6
             FROM (SELECT tenant_uid FROM tenants WHERE tenant_uid = $1 FOR NO KEY UPDATE) AS tenant
             RETURNING 1
         )
         SELECT pg_notify('streamspace_changes', '') FROM inserted",
    )
    .bind(change.tenant_uid.0)
    .bind(change.kind.as_str())
    .bind(change.change.as_str())
    .bind(&change.name)
    .bind(&change.actor)
    .bind(&change.resource)
    .fetch_one(transaction)
    .await?;
    Ok(())
}

/// Writes a change of the region in the transaction of the mutation. The transaction must
/// be of the region's scope, and hold the row of what changed, so that the changes of one
/// thing are in the order of their commits.
pub async fn record_of_region(
    transaction: &mut PgConnection,
    change: &NewRegionChange,
) -> Result<(), DbError> {
    sqlx::query(
        "WITH inserted AS (
             INSERT INTO region_changes (kind, type, name, actor, resource)
             VALUES ($1, $2, $3, $4, $5)
             RETURNING 1
         )
         SELECT pg_notify('streamspace_changes', '') FROM inserted",
    )
    .bind(change.kind.as_str())
    .bind(change.change.as_str())
    .bind(&change.name)
    .bind(&change.actor)
    .bind(&change.resource)
    .fetch_one(transaction)
    .await?;
    Ok(())
}

/// Reads the log, and gives revisions while [`ChangeLog::run`] runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ChangeLog {
    database: Database,
    latest: Arc<watch::Sender<i64>>,
}

impl ChangeLog {
    /// A log that has seen nothing yet; [`ChangeLog::run`] makes it follow.
    pub fn new(database: Database) -> Self {
        Self { database, latest: Arc::new(watch::Sender::new(0)) }
    }

    /// The highest revision that this replica knows of. It wakes readers.
    pub fn latest(&self) -> watch::Receiver<i64> {
        self.latest.subscribe()
    }

    /// Gives revisions and publishes the latest until stopped. While PostgreSQL is away
    /// it tries again with growing pauses.
    pub async fn run(self, stop: CancellationToken) {
        let mut pause = BACKOFF.0;
        loop {
            let mut followed = false;
            let error = tokio::select! {
                () = stop.cancelled() => return,
                result = self.follow(&mut followed) => match result {
                    Ok(never) => match never {},
                    Err(error) => error,
                },
            };
            if followed {
                pause = BACKOFF.0;
            }
            tracing::warn!(%error, retry_in = ?pause, "the change log is interrupted");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    /// Follows until the connection is lost. `followed` tells whether it was had at all.
    async fn follow(&self, followed: &mut bool) -> Result<Infallible, DbError> {
        // A pool of one: the listener needs a connection that nobody else uses.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(3))
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.database.session_options("changes"));
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        // Listening comes before the first look, so nothing falls between the two.
        listener.listen(CHANNEL).await?;
        loop {
            while self.sequence().await? {}
            *followed = true;
            match timeout(POLL, listener.try_recv()).await {
                Err(_no_notification) => {}
                Ok(Ok(Some(_wake))) => while listener.next_buffered().is_some() {},
                Ok(Ok(None)) => return Err(connection_lost()),
                Ok(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// Gives revisions to committed changes that have none, if no other replica is at
    /// it, and publishes the latest. Returns whether there may be more.
    async fn sequence(&self) -> Result<bool, DbError> {
        let (latest, waiting): (i64, bool) = sqlx::query_as(
            "SELECT revision, EXISTS (SELECT FROM changes WHERE revision IS NULL)
                    OR EXISTS (SELECT FROM region_changes WHERE revision IS NULL)
             FROM change_sequence",
        )
        .fetch_one(self.database.operator())
        .await?;
        self.publish(latest);
        if !waiting {
            return Ok(false);
        }

        let mut transaction = self.database.begin(&Scope::Region).await?;
        let locked: Option<i64> =
            sqlx::query_scalar("SELECT revision FROM change_sequence FOR UPDATE SKIP LOCKED")
                .fetch_optional(&mut *transaction)
                .await?;
        let Some(last) = locked else {
            return Ok(false);
        };
        // A statement of its own, so that its snapshot is younger than the lock: it sees
        // every revision that the sequencer before gave.
        let given: i64 = sqlx::query_scalar(
            "WITH batch AS MATERIALIZED (
                 SELECT change_id, of_region, $1 + row_number() OVER (ORDER BY change_id) AS given
                 FROM (
                     (SELECT change_id, false AS of_region FROM changes
                      WHERE revision IS NULL ORDER BY change_id LIMIT $2)
                     UNION ALL
                     (SELECT change_id, true FROM region_changes
                      WHERE revision IS NULL ORDER BY change_id LIMIT $2)
                 ) AS waiting
                 ORDER BY change_id
                 LIMIT $2
             ), of_tenants AS (
                 UPDATE changes SET revision = given
                 FROM batch WHERE NOT of_region AND changes.change_id = batch.change_id
             ), of_the_region AS (
                 UPDATE region_changes SET revision = given
                 FROM batch WHERE of_region AND region_changes.change_id = batch.change_id
             )
             SELECT count(*) FROM batch",
        )
        .bind(last)
        .bind(BATCH)
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::query("UPDATE change_sequence SET revision = $1")
            .bind(last + given)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("SELECT pg_notify('streamspace_changes', '')")
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.publish(last + given);
        Ok(given == BATCH)
    }

    fn publish(&self, revision: i64) {
        self.latest.send_if_modified(|latest| {
            let differs = *latest != revision;
            *latest = revision;
            differs
        });
    }
}

fn connection_lost() -> DbError {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into()).into()
}
