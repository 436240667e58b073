//! Looks at what each replica stands on, and alerts where that needs somebody: calls that
//! fail or are slow, connections, the disk, certificates, the metering, the channels by which
//! people are told.
//!
//! The rules are core's. Every replica judges what it sees itself, and keeps its alerts in
//! the database; the leader also judges the metering and the channels, and ends the alerts of
//! replicas that are gone. That no replica leads or none is reached can only be seen from outside: the
//! rules for a Prometheus have those two as well.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use streamspace_core::platform::{Channel, Facts, Finding, Holds, Pool, judge};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    alerts::{self, NewAlert, REGION},
    db::{Database, DbError, Leadership, Scope, replicas},
    notify::{self, Channels},
    rpc::Clock,
    slo::own::OwnCounters,
    telemetry::resources::DiskBoard,
    usage,
};

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(15);
/// A replica that was silent for so long is gone.
const GONE: Duration = Duration::from_mins(1);
/// What the subjects of its alerts begin with.
const REPLICAS: &str = "replicas/";

/// What it looks at.
pub struct Parts {
    /// Where alerts are kept.
    pub db: Database,
    /// What time it is.
    pub clock: Clock,
    /// The replica's name.
    pub replica: String,
    /// The calls that it answered.
    pub own: Arc<OwnCounters>,
    /// How full its disk is.
    pub disk: DiskBoard,
    /// When its own certificate ends.
    pub server_expires: watch::Receiver<Timestamp>,
    /// When the authority's certificate ends.
    pub authority_expires: Timestamp,
    /// By which people are told.
    pub channels: Channels,
}

/// Looks now and then.
pub struct Watchdog {
    parts: Parts,
    holds: Holds,
}

impl Watchdog {
    /// Of a replica that has not looked yet.
    pub fn new(parts: Parts) -> Self {
        Self { parts, holds: Holds::default() }
    }

    /// Looks until it is stopped. What it saw while the database was away is told after.
    pub async fn run(mut self, leadership: watch::Receiver<Leadership>, stop: CancellationToken) {
        let mut failing = false;
        while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
            let leads = leadership.borrow().leads;
            match self.round(leads).await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "alerts of the platform are told later");
                    }
                    failing = true;
                }
            }
        }
    }

    /// One look.
    pub(super) async fn round(&mut self, leads: bool) -> Result<(), DbError> {
        let now = (self.parts.clock)();
        let mut facts = self.facts(now);
        if leads {
            facts.metering_lag = self.metering_lag(now).await?;
            facts.channels = self.channels().await?;
        }
        let due = self.holds.due(judge(&facts, now), now);
        self.tell(&due, now).await?;
        if leads {
            self.forget(now).await?;
        }
        Ok(())
    }

    fn facts(&self, now: Timestamp) -> Facts {
        let parts = &self.parts;
        let (calls, in_time) = parts.own.recent(now);
        let pool = |state: crate::db::PoolState| Pool {
            name: state.pool,
            used: state.used,
            maximum: state.maximum,
        };
        Facts {
            calls,
            in_time,
            pools: parts.db.pool_states().into_iter().map(pool).collect(),
            disk: parts.disk.read().map(|disk| (disk.free_bytes, disk.size_bytes)),
            certificates: vec![
                ("authority", parts.authority_expires),
                ("server", *parts.server_expires.borrow()),
            ],
            metering_lag: None,
            channels: Vec::new(),
        }
    }

    async fn channels(&self) -> Result<Vec<Channel>, DbError> {
        let all = notify::figures::read(&self.parts.db, &self.parts.channels).await?;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let channel = |figures: notify::figures::Figures| Channel {
            name: figures.channel,
            pages: figures.pages,
            waiting: count(figures.waiting),
            oldest: SignedDuration::from_secs(figures.oldest_seconds),
            given_up: count(figures.given_up),
        };
        Ok(all.into_iter().map(channel).collect())
    }

    async fn metering_lag(&self, now: Timestamp) -> Result<Option<SignedDuration>, DbError> {
        let mut tx = self.parts.db.begin(&Scope::Region).await?;
        let closed = usage::closed_through(&mut tx).await?;
        let lag = |closed: i64| SignedDuration::from_secs(now.as_second().saturating_sub(closed));
        Ok(closed.map(|closed| lag(closed.0)))
    }

    /// Begins what is due, and ends what is over.
    async fn tell(&self, due: &[Finding], now: Timestamp) -> Result<(), DbError> {
        let subject = format!("{REPLICAS}{}", self.parts.replica);
        let mut tx = self.parts.db.begin(&Scope::Region).await?;
        let firing = alerts::firing_of(&mut tx, &subject).await?;
        let is_same = |it: &alerts::Firing, finding: &Finding| {
            it.kind == finding.kind && it.rule == finding.rule
        };
        let mut changes = false;
        for finding in due.iter().filter(|one| !firing.iter().any(|it| is_same(it, one))) {
            changes = true;
            let alert = NewAlert {
                tenant_uid: REGION,
                kind: finding.kind,
                rule: finding.rule.clone(),
                subject: subject.clone(),
                severity: finding.severity,
                summary: format!("{}: {}", self.parts.replica, finding.summary),
                runbook_url: String::new(),
                start: now,
            };
            alerts::begin(&mut tx, &alert).await?;
        }
        for over in firing.iter().filter(|it| !due.iter().any(|one| is_same(it, one))) {
            changes = true;
            alerts::end(&mut tx, over.alert_uid, now).await?;
        }
        if changes {
            tx.commit().await?;
        }
        Ok(())
    }

    /// Ends the alerts of replicas that are gone.
    async fn forget(&self, now: Timestamp) -> Result<(), DbError> {
        let here: BTreeSet<String> = replicas::list(&self.parts.db)
            .await?
            .into_iter()
            .filter(|replica| replica.silent_for < GONE)
            .map(|replica| format!("{REPLICAS}{}", replica.replica))
            .collect();
        let mut tx = self.parts.db.begin(&Scope::Region).await?;
        let own = format!("{REPLICAS}{}", self.parts.replica);
        let firing = alerts::firing(&mut tx, REPLICAS).await?;
        let gone: Vec<_> = firing
            .into_iter()
            .filter(|((_, subject), _)| *subject != own && !here.contains(subject))
            .flat_map(|(_, all)| all)
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        for alert in gone {
            alerts::end(&mut tx, alert.alert_uid, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
