//! The leader's loop: each SLO is taken up to the last minute that is over and has settled.
//!
//! How far an SLO is known stands in its row, in the transaction of what it measured. So a
//! leader may be killed at any line: the next one finds both or neither, and reads on from
//! there, also what a Prometheus holds of the time between.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use sqlx::{PgConnection, Row as _};
use streamspace_core::slo::{Counts, Goal, Minute, OwnCounter, Sli, promql};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    config::SloConfig,
    prometheus::{self, Measured},
    seed,
    step::{self, Counted, Subject, Updates},
    store::{self, SloRecord, TenantRow},
};
use crate::{
    alerts::REGION,
    db::{Database, DbError, Leadership, Scope, lease},
    http_client::{Client, Terms},
    rpc::Clock,
    usage,
};

/// So many minutes are read at once: three hours, or half an hour where each tenant has a
/// series.
const MINUTES: i64 = 180;
const MINUTES_BY_TENANT: i64 = 30;
/// So many SLOs are asked for at once.
const ASKED_AT_ONCE: usize = 4;
/// The metering is fresh while it is behind by no more.
const FRESH_SECONDS: i64 = 600;
/// Without a server to ask.
const NO_PROMETHEUS: &str = "no Prometheus is configured: name one as slo.prometheus";

/// What an evaluator needs.
pub struct EvaluatorParts {
    /// Where everything is kept.
    pub db: Database,
    /// How it measures.
    pub config: SloConfig,
    /// What time it is.
    pub clock: Clock,
}

/// Evaluates SLOs while this replica leads.
pub struct Evaluator {
    db: Database,
    config: SloConfig,
    clock: Clock,
    client: Option<Client>,
    planted: bool,
    failing: bool,
}

/// Whether there is more to read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All is known that can be.
    UpToDate,
    /// There are minutes more.
    Behind,
}

impl Evaluator {
    /// Measures by a configuration that was checked.
    pub fn new(parts: EvaluatorParts) -> Self {
        let EvaluatorParts { db, config, clock } = parts;
        let client = config.prometheus.as_deref().and_then(|url| {
            let (token, ca) = (&config.prometheus_token_file, &config.prometheus_ca_file);
            Client::new(url, token.clone(), ca.clone(), Terms::QUERY).ok()
        });
        Self { db, config, clock, client, planted: false, failing: false }
    }

    /// Evaluates until it is stopped.
    pub async fn run(
        mut self,
        mut leadership: watch::Receiver<Leadership>,
        stop: CancellationToken,
    ) {
        loop {
            let begin = Instant::now();
            let now = leadership.borrow_and_update().clone();
            let pause = if now.leads {
                let done = tokio::select! {
                    () = stop.cancelled() => return,
                    done = self.round(&now) => done,
                };
                match self.told(done) {
                    Progress::UpToDate => self.config.period().saturating_sub(begin.elapsed()),
                    Progress::Behind => Duration::ZERO,
                }
            } else {
                self.planted = false;
                self.config.period()
            };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = leadership.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn told(&mut self, done: Result<Progress, DbError>) -> Progress {
        match done {
            Ok(progress) => {
                self.failing = false;
                progress
            }
            Err(error) => {
                if !self.failing {
                    tracing::warn!(%error, "SLOs are not evaluated; what can be read later is");
                }
                self.failing = true;
                Progress::UpToDate
            }
        }
    }

    /// The first minute that is not over, or not settled.
    fn until(&self) -> Minute {
        let settle = i64::from(self.config.settle_seconds);
        let now = (self.clock)();
        let settled = now.checked_sub(jiff::SignedDuration::from_secs(settle)).unwrap_or(now);
        Minute::holding(settled)
    }

    /// Takes every SLO on, once. [`Evaluator::run`] does it again and again.
    pub async fn round(&mut self, leadership: &Leadership) -> Result<Progress, DbError> {
        let until = self.until();
        if !self.planted && self.config.seeded {
            self.plant(leadership, until).await?;
        }
        self.planted = true;
        let mut tx = self.db.begin(&Scope::Region).await?;
        let records = store::list(&mut tx).await?;
        let tenants = store::tenants(&mut tx).await?;
        drop(tx);
        let (asked, counted): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| promql::expressions(&record.slo).is_some());
        let mut progress = self.counted(leadership, &counted, &tenants, until).await?;
        let client = self.client.as_ref();
        let mut answers = stream::iter(asked)
            .map(|record| async move {
                let most = record.slo.per_tenant.as_ref().map_or(MINUTES, |_| MINUTES_BY_TENANT);
                let to = until.min(record.known.plus(most));
                let measured = match client {
                    None => Err(NO_PROMETHEUS.to_owned()),
                    Some(_) if to <= record.known => Ok(Measured::new()),
                    Some(client) => {
                        prometheus::measure(client, &record.slo, record.known, to).await
                    }
                };
                (record, to, measured)
            })
            .buffered(ASKED_AT_ONCE);
        while let Some((record, to, measured)) = answers.next().await {
            if self.asked(leadership, &record, &tenants, (to, until), measured).await? {
                progress = Progress::Behind;
            }
        }
        Ok(progress)
    }

    /// Makes the SLOs that come with the daemon, each once in the life of a region.
    async fn plant(&self, leadership: &Leadership, first: Minute) -> Result<(), DbError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        if !lease::still_leads(&mut tx, leadership).await? {
            return Ok(());
        }
        let planted = store::seeds(&mut tx).await?;
        for slo in seed::all() {
            if planted.iter().any(|id| id == slo.id.as_str()) {
                continue;
            }
            // A name that somebody took is theirs.
            store::insert(&mut tx, &slo, true, first).await?;
            store::planted(&mut tx, &slo.id).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Keeps what a Prometheus said. Whether there is more of it.
    async fn asked(
        &self,
        leadership: &Leadership,
        read: &SloRecord,
        tenants: &[TenantRow],
        (to, until): (Minute, Minute),
        measured: Result<Measured, String>,
    ) -> Result<bool, DbError> {
        if measured.is_ok() && to <= read.known && read.problem.is_empty() {
            return Ok(false);
        }
        let mut tx = self.db.begin(&Scope::Region).await?;
        if !lease::still_leads(&mut tx, leadership).await? {
            return Ok(false);
        }
        let record = store::lock(&mut tx, &read.slo.id).await?;
        // Somebody changed it meanwhile: the next round measures what it is now.
        let Some(record) = record.filter(|it| (it.version, it.known) == (read.version, read.known))
        else {
            return Ok(true);
        };
        let measured = match measured {
            Ok(measured) => measured,
            Err(problem) => {
                step::stale(&mut tx, &record, &problem, until).await?;
                tx.commit().await?;
                if record.problem != problem {
                    tracing::warn!(slo = record.slo.id.as_str(), problem, "an SLO is not measured");
                }
                return Ok(false);
            }
        };
        let updates = of_prometheus(&record, tenants, measured);
        let subjects = subjects(&record, tenants);
        step::advance(&mut tx, &record, &subjects, &updates, to).await?;
        tx.commit().await?;
        Ok(to < until)
    }

    /// Takes what replicas counted and what was pushed, for all SLOs that count it.
    async fn counted(
        &self,
        leadership: &Leadership,
        records: &[SloRecord],
        tenants: &[TenantRow],
        until: Minute,
    ) -> Result<Progress, DbError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        if !lease::still_leads(&mut tx, leadership).await? {
            return Ok(Progress::UpToDate);
        }
        // One bound for all of them: what is taken is taken from all.
        let first = records.iter().map(|record| record.known).min().unwrap_or(until);
        let to = until.min(first.plus(MINUTES));
        let counts = take(&mut tx, to).await?;
        let pushed = take_pushed(&mut tx, to).await?;
        let fresh = self.metering_is_fresh(&mut tx).await?;
        for record in records {
            let Some(record) = store::lock(&mut tx, &record.slo.id).await? else { continue };
            let updates = match &record.slo.sli {
                Sli::Own(OwnCounter::MeteringFresh) => of_metering(fresh, until),
                Sli::Own(counter) => of_counter(&record, &counts, *counter),
                _ => Updates {
                    counted: pushed.get(&record.uid).cloned().unwrap_or_default(),
                    silence_is_none: false,
                },
            };
            if to <= record.known && updates.counted.is_empty() {
                continue;
            }
            let to = to.max(record.known);
            let subjects = subjects(&record, tenants);
            step::advance(&mut tx, &record, &subjects, &updates, to).await?;
        }
        tx.commit().await?;
        Ok(if to < until { Progress::Behind } else { Progress::UpToDate })
    }

    /// Whether the metering is fresh; `None` while nothing is metered.
    async fn metering_is_fresh(&self, tx: &mut PgConnection) -> Result<Option<bool>, DbError> {
        let closed = usage::closed_through(tx).await?;
        let now = (self.clock)().as_second();
        Ok(closed.map(|closed| now.saturating_sub(closed.0) <= FRESH_SECONDS))
    }
}

/// Counts by counter, budget and minute.
type Taken = BTreeMap<String, HashMap<Uuid, BTreeMap<Minute, Counted>>>;

async fn take(tx: &mut PgConnection, until: Minute) -> Result<Taken, DbError> {
    let rows = sqlx::query(
        "DELETE FROM slo_counts WHERE minute < $1 \
         RETURNING counter, tenant_uid, minute, total, bad",
    )
    .bind(until.0)
    .fetch_all(tx)
    .await?;
    let mut counts = Taken::new();
    for row in rows {
        let (total, bad): (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
        let of = counts.entry(row.try_get(0)?).or_default().entry(row.try_get(1)?).or_default();
        add(of, Minute(row.try_get(2)?), Counts::new(total.unsigned_abs(), bad.unsigned_abs()));
    }
    Ok(counts)
}

fn add(minutes: &mut BTreeMap<Minute, Counted>, minute: Minute, counts: Counts) {
    let known = minutes.entry(minute).or_insert(Counted::Add(Counts::default()));
    let (Counted::Add(sum) | Counted::Set(sum)) = known;
    *sum = *sum + counts;
}

async fn take_pushed(
    tx: &mut PgConnection,
    until: Minute,
) -> Result<HashMap<Uuid, HashMap<Uuid, BTreeMap<Minute, Counted>>>, DbError> {
    let rows = sqlx::query(
        "DELETE FROM slo_pushed WHERE minute < $1 \
         RETURNING slo_uid, tenant_uid, minute, total, bad",
    )
    .bind(until.0)
    .fetch_all(tx)
    .await?;
    let mut pushed: HashMap<Uuid, HashMap<Uuid, BTreeMap<Minute, Counted>>> = HashMap::new();
    for row in rows {
        let (total, bad): (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
        let of = pushed.entry(row.try_get(0)?).or_default().entry(row.try_get(1)?).or_default();
        let counts = Counts::new(total.unsigned_abs(), bad.unsigned_abs());
        of.insert(Minute(row.try_get(2)?), Counted::Set(counts));
    }
    Ok(pushed)
}

fn of_counter(record: &SloRecord, taken: &Taken, counter: OwnCounter) -> Updates {
    let by_budget = taken.get(counter.as_str()).cloned().unwrap_or_default();
    if record.slo.per_tenant.is_some() || !counter.by_tenant() {
        return Updates { counted: by_budget, silence_is_none: counter.by_tenant() };
    }
    // One budget for all tenants.
    let mut all = BTreeMap::new();
    for (minute, counted) in by_budget.into_values().flatten() {
        let (Counted::Add(counts) | Counted::Set(counts)) = counted;
        add(&mut all, minute, counts);
    }
    Updates { counted: HashMap::from([(REGION, all)]), silence_is_none: true }
}

/// The minute in which it was looked is one event. Of others nobody knows.
fn of_metering(fresh: Option<bool>, until: Minute) -> Updates {
    let minute = fresh.map(|fresh| {
        let counts = Counts::new(1, u64::from(!fresh));
        BTreeMap::from([(until.plus(-1), Counted::Set(counts))])
    });
    Updates {
        counted: minute.map(|minute| (REGION, minute)).into_iter().collect(),
        silence_is_none: false,
    }
}

fn of_prometheus(record: &SloRecord, tenants: &[TenantRow], measured: Measured) -> Updates {
    let set = |minutes: BTreeMap<Minute, Counts>| {
        minutes.into_iter().map(|(minute, counts)| (minute, Counted::Set(counts))).collect()
    };
    let mut measured = measured;
    let counted = match &record.slo.per_tenant {
        None => measured.remove("").map(|minutes| (REGION, set(minutes))).into_iter().collect(),
        Some(label) => tenants
            .iter()
            .filter_map(|tenant| {
                let key = if label.label_is_namespace { &tenant.namespace } else { &tenant.id };
                Some((tenant.uid, set(measured.remove(key)?)))
            })
            .collect(),
    };
    Updates { counted, silence_is_none: false }
}

/// Whose budgets an SLO has.
fn subjects(record: &SloRecord, tenants: &[TenantRow]) -> Vec<Subject> {
    match (&record.slo.per_tenant, record.slo.goal) {
        (None, Goal::Fixed(objective)) => {
            vec![Subject { uid: REGION, name: String::new(), objective }]
        }
        (None, Goal::ByPlan) => Vec::new(),
        (Some(_), _) => tenants
            .iter()
            .filter_map(|tenant| {
                let objective = record.slo.objective(tenant.availability_ppm)?;
                Some(Subject { uid: tenant.uid, name: tenant.id.clone(), objective })
            })
            .collect(),
    }
}
