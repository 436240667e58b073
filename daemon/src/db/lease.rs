//! Which replica leads the region.
//!
//! A leader holds two things: a session advisory lock on a connection of its own, and
//! the lease, a row that it renews. Another replica needs both. The leader stops when it
//! loses either, or when it could not renew in time: it counts from before it sent the
//! renewal, on its monotonic clock, and stops a margin before the lease ends by the
//! database's clock. The server ends the leader's session when that has been silent for
//! as long as the lease, so a leader that was cut off does not hold the lock for ever.
//!
//! A lease cannot stop a request to the cluster that is already under way; the leader
//! term, which rises with each acquisition, fences there.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Database, DbError};

/// The advisory lock that the leader's session holds; "streamsp" in ASCII.
const LOCK: i64 = 0x7374_7265_616d_7370;

/// Who leads, as far as this replica knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The replica that leads; empty while that is not known.
    pub replica: String,
    /// The highest leader term that was seen.
    pub leader_term: i64,
    /// Whether this replica leads.
    pub leads: bool,
}

/// Whether this replica still leads in this term, by the database. Held until the
/// transaction ends, so that a leader that was replaced writes nothing after it.
pub async fn still_leads(
    connection: &mut PgConnection,
    leadership: &Leadership,
) -> Result<bool, DbError> {
    let query = sqlx::query_scalar::<_, bool>(
        "SELECT true FROM leader WHERE leader_term = $1 AND replica = $2 FOR SHARE",
    );
    let leads = query
        .bind(leadership.leader_term)
        .bind(&leadership.replica)
        .fetch_optional(connection)
        .await?;
    Ok(leads.is_some())
}

/// The times of the lease.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTiming {
    /// How long a lease lasts without being renewed.
    pub lease: Duration,
    /// How often the leader renews it.
    pub renew: Duration,
    /// How often the leader looks whether its connection lives, between renewals.
    pub probe: Duration,
    /// How long before the end of the lease the leader stops.
    pub margin: Duration,
    /// How often a follower tries.
    pub retry: Duration,
}

impl Default for LeaseTiming {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(8),
            renew: Duration::from_secs(2),
            probe: Duration::from_millis(500),
            margin: Duration::from_secs(2),
            retry: Duration::from_secs(1),
        }
    }
}

/// Contends for the lease and publishes who leads.
#[derive(Debug)]
pub struct LeaderLease {
    database: Database,
    replica: String,
    timing: LeaseTiming,
    leadership: watch::Sender<Leadership>,
}

/// Why leadership, or the attempt to get it, ended.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("the lease could not be renewed in time")]
    Late,
    #[error("another replica took the lease")]
    Taken,
    #[error("an operator asked for another leader")]
    SteppedDown,
}

impl From<sqlx::Error> for LeaseError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl LeaderLease {
    /// How long a leader that was asked to step down leaves the lease to others.
    pub const HOLD_OFF: Duration = Duration::from_secs(5);

    /// A contender under this name, which must be unique in the region: a process that
    /// starts again under its name takes its own lease without waiting for its end.
    pub fn new(database: Database, replica: String) -> Self {
        Self::with_timing(database, replica, LeaseTiming::default())
    }

    /// A contender with other times. All replicas must have the same.
    pub fn with_timing(database: Database, replica: String, timing: LeaseTiming) -> Self {
        Self { database, replica, timing, leadership: watch::Sender::new(Leadership::default()) }
    }

    /// Who leads; it wakes with each change. Take it before [`LeaderLease::run`].
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    /// Contends until stopped, then gives the lease back so that another replica need
    /// not wait. However this ends, [`Leadership::leads`] is false afterwards.
    pub async fn run(self, stop: CancellationToken) {
        let _follows_at_the_end = StandDown(&self.leadership);
        let mut failing = false;
        let mut not_before = Instant::now();
        loop {
            let options = self.session_options();
            let result = tokio::select! {
                () = stop.cancelled() => return,
                connected = timeout(self.timing.margin, options.connect()) => match connected {
                    Ok(Ok(connection)) => {
                        failing = false;
                        self.session(connection, not_before, &stop).await
                    }
                    Ok(Err(error)) => Err(error.into()),
                    Err(_elapsed) => Err(sqlx::Error::PoolTimedOut.into()),
                },
            };
            if stop.is_cancelled() {
                return;
            }
            if matches!(result, Err(LeaseError::SteppedDown)) {
                tracing::info!("stepped down as asked; another replica may lead");
                not_before = Instant::now() + Self::HOLD_OFF;
                continue;
            }
            if let Err(error) = result {
                if failing {
                    tracing::debug!(%error, "not contending for leadership");
                } else {
                    tracing::warn!(%error, "not contending for leadership; trying on");
                    failing = true;
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.timing.retry) => {}
            }
        }
    }

    /// One connection's life. The connection is dropped on every error: that ends the
    /// session, and with it the advisory lock.
    async fn session(
        &self,
        mut connection: PgConnection,
        not_before: Instant,
        stop: &CancellationToken,
    ) -> Result<(), LeaseError> {
        let _follows_at_the_end = StandDown(&self.leadership);
        let ended = tokio::select! {
            ended = self.contend(&mut connection, not_before) => ended,
            () = stop.cancelled() => Ok(()),
        };
        self.stand_down();
        if matches!(ended, Ok(()) | Err(LeaseError::SteppedDown)) {
            // Best effort: without it the lease just runs out.
            let farewell = async {
                self.give_back(&mut connection).await?;
                connection.close().await
            };
            if !matches!(timeout(self.timing.margin, farewell).await, Ok(Ok(()))) {
                tracing::debug!("the lease was not given back; it runs out by itself");
            }
        }
        ended
    }

    /// Tries until it leads, then leads until it must stop. Before `not_before` it only
    /// looks who leads.
    async fn contend(
        &self,
        connection: &mut PgConnection,
        not_before: Instant,
    ) -> Result<(), LeaseError> {
        while Instant::now() < not_before {
            self.publish(self.look(connection).await?);
            tokio::time::sleep(self.timing.retry).await;
        }
        loop {
            let sent = Instant::now();
            // The server answers at once or is as good as away.
            let attempt = timeout(self.timing.margin, self.acquire(connection)).await;
            if let Some(leader_term) = attempt.map_err(|_elapsed| LeaseError::Late)?? {
                return self.lead(connection, leader_term, sent).await;
            }
            self.publish(self.look(connection).await?);
            tokio::time::sleep(self.timing.retry).await;
        }
    }

    async fn lead(
        &self,
        connection: &mut PgConnection,
        leader_term: i64,
        acquired: Instant,
    ) -> Result<(), LeaseError> {
        let good_for = self.timing.lease.saturating_sub(self.timing.margin);
        let mut renewed = acquired;
        tracing::info!(replica = %self.replica, leader_term, "this replica leads");
        self.publish(Leadership { replica: self.replica.clone(), leader_term, leads: true });
        loop {
            tokio::time::sleep(self.timing.probe).await;
            let sent = Instant::now();
            let deadline = renewed + good_for;
            if sent >= deadline {
                return Err(LeaseError::Late);
            }
            if sent < renewed + self.timing.renew {
                let asked =
                    timeout_at(deadline, self.is_asked_to_step_down(connection, leader_term))
                        .await
                        .map_err(|_elapsed| LeaseError::Late)??;
                if asked {
                    return Err(LeaseError::SteppedDown);
                }
                continue;
            }
            let kept = timeout_at(deadline, self.renew(connection, leader_term))
                .await
                .map_err(|_elapsed| LeaseError::Late)??;
            if !kept {
                return Err(LeaseError::Taken);
            }
            renewed = sent;
        }
    }

    /// Takes the lock and the lease, and raises the term. `None` if another replica has
    /// either. The lock is kept while the lease of another runs out.
    async fn acquire(&self, connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
        let (locked,): (bool,) = sqlx::query_as(
            "SELECT EXISTS (
                 SELECT FROM pg_locks
                 WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
                   AND ((classid::bigint << 32) | objid::bigint) = $1 AND objsubid = 1
             ) OR pg_try_advisory_lock($1)",
        )
        .bind(LOCK)
        .fetch_one(&mut *connection)
        .await?;
        if !locked {
            return Ok(None);
        }
        sqlx::query_scalar(
            "UPDATE leader
             SET leader_term = leader_term + 1, replica = $1,
                 lease_until = now() + $2 * interval '1 microsecond'
             WHERE lease_until <= now() OR replica = $1
             RETURNING leader_term",
        )
        .bind(&self.replica)
        .bind(self.lease_microseconds())
        .fetch_optional(connection)
        .await
    }

    /// Who leads, from a follower's view.
    async fn look(&self, connection: &mut PgConnection) -> Result<Leadership, sqlx::Error> {
        let (leader_term, replica): (i64, String) = sqlx::query_as(
            "SELECT leader_term, CASE WHEN lease_until > now() THEN replica ELSE '' END
             FROM leader",
        )
        .fetch_one(connection)
        .await?;
        Ok(Leadership { replica, leader_term, leads: false })
    }

    /// Renews the lease. `false` if it is no longer this replica's.
    async fn renew(
        &self,
        connection: &mut PgConnection,
        leader_term: i64,
    ) -> Result<bool, sqlx::Error> {
        let renewed = sqlx::query(
            "UPDATE leader
             SET lease_until = now() + $1 * interval '1 microsecond'
             WHERE leader_term = $2 AND replica = $3",
        )
        .bind(self.lease_microseconds())
        .bind(leader_term)
        .bind(&self.replica)
        .execute(connection)
        .await?;
        Ok(renewed.rows_affected() == 1)
    }

    /// Whether an operator wants another leader than that of this term.
    async fn is_asked_to_step_down(
        &self,
        connection: &mut PgConnection,
        leader_term: i64,
    ) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("SELECT step_down_term >= $1 FROM region_controls")
            .bind(leader_term)
            .fetch_one(connection)
            .await
    }

    async fn give_back(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE leader SET lease_until = now() WHERE replica = $1")
            .bind(&self.replica)
            .execute(connection)
            .await?;
        Ok(())
    }

    fn session_options(&self) -> PgConnectOptions {
        let lease = self.timing.lease.as_millis().to_string();
        self.database.session_options("leader lease").options([("idle_session_timeout", lease)])
    }

    fn lease_microseconds(&self) -> i64 {
        i64::try_from(self.timing.lease.as_micros()).unwrap_or(i64::MAX)
    }

    fn publish(&self, leadership: Leadership) {
        self.leadership.send_if_modified(|current| {
            let differs = *current != leadership;
            *current = leadership;
            differs
        });
    }

    fn stand_down(&self) {
        stand_down(&self.leadership);
    }
}

fn stand_down(leadership: &watch::Sender<Leadership>) {
    leadership.send_if_modified(|current| {
        let known = current.leads || !current.replica.is_empty();
        if current.leads {
            tracing::info!(leader_term = current.leader_term, "this replica leads no more");
        }
        current.leads = false;
        current.replica.clear();
        known
    });
}

/// Ends leadership when it goes out of scope, so also when the task is aborted.
struct StandDown<'a>(&'a watch::Sender<Leadership>);

impl Drop for StandDown<'_> {
    fn drop(&mut self) {
        stand_down(self.0);
    }
}
