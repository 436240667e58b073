//! One SLO's step: new minutes, and what came late, go into its budgets; what follows of
//! them goes into their rows and alerts. All of it in the transaction of the caller, who
//! holds the SLO's row.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::PgConnection;
use streamspace_core::slo::{
    BurnRule, Cell, Counts, Hour, Minute, Objective, Slo, Sums, Windows as _,
    promql::NO_DATA_MINUTES,
    rate_milli,
    series::{self as rules, Firing, Rule, Series, Verdict},
};
use uuid::Uuid;

use super::{
    amend::amend,
    budgets::{self, BudgetRow, MONTH, PERIOD},
    series,
    store::{self, SloRecord},
};
use crate::{
    alerts::{self, NewAlert, REGION},
    db::DbError,
    maintenance::{self, Window},
};

/// A budget burns.
pub(super) const BURN: &str = "SloBurn";
/// Nothing is measured.
pub(super) const NO_DATA: &str = "SloNoData";
/// So much of a budget is used.
pub(super) const USED: &str = "SloBudgetUsed";
/// So many budgets are looked at together: their hours are held meanwhile.
const TOGETHER: usize = 500;
/// What was measured is kept so long: the longest window, and two days.
const KEPT_HOURS: i64 = 92 * 24;

/// Whose budget it is.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// The tenant, or [`REGION`].
    pub(super) uid: Uuid,
    /// What people call it; empty for the region.
    pub(super) name: String,
    /// What is promised.
    pub(super) objective: Objective,
}

/// Counts of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// Just these.
    Set(Counts),
    /// These beside what is known.
    Add(Counts),
}

/// What is new.
#[derive(Debug, Default)]
pub(super) struct Updates {
    /// By budget and minute.
    pub(super) counted: HashMap<Uuid, BTreeMap<Minute, Counted>>,
    /// Whether a minute of which nothing is said had no events, and is no gap.
    pub(super) silence_is_none: bool,
}

impl Updates {
    fn apply(counted: Counted, cell: Cell) -> Cell {
        let counts = match counted {
            Counted::Set(counts) => counts,
            Counted::Add(counts) => cell.counts.unwrap_or_default() + counts,
        };
        Cell { counts: Some(counts), ..cell }
    }

    fn cell(&self, tenant: Uuid, minute: Minute) -> Cell {
        let silent = Cell { counts: self.silence_is_none.then(Counts::default), excluded: false };
        let counted = self.counted.get(&tenant).and_then(|minutes| minutes.get(&minute));
        counted.map_or(silent, |counted| Self::apply(*counted, silent))
    }
}

/// Takes an SLO up to a minute.
pub(super) async fn advance(
    tx: &mut PgConnection,
    record: &SloRecord,
    subjects: &[Subject],
    updates: &Updates,
    until: Minute,
) -> Result<(), DbError> {
    late(tx, record, updates).await?;
    let known: HashMap<Uuid, BudgetRow> = budgets::of(tx, record.uid)
        .await?
        .into_iter()
        .map(|owned| (owned.tenant_uid, owned.row))
        .collect();
    leave(tx, record, subjects, &known).await?;
    let mut firing = Fires::read(tx, record).await?;
    let mut measured = BTreeSet::new();
    let away = maintenance::windows(tx, record.known, until).await?;
    let step = Step { record, updates, until, away: &away };
    for part in subjects.chunks(TOGETHER) {
        step.part(tx, part, &known, &mut firing, &mut measured).await?;
    }
    if !subjects.is_empty() {
        step.no_data(tx, &mut firing, &measured).await?;
    }
    store::known(tx, record.uid, until).await?;
    if until.hour() != record.known.hour() {
        series::prune(tx, record.uid, until.hour() - KEPT_HOURS).await?;
    }
    Ok(())
}

/// Tells that nothing is measured, where that is so for long.
pub(super) async fn stale(
    tx: &mut PgConnection,
    record: &SloRecord,
    problem: &str,
    now: Minute,
) -> Result<(), DbError> {
    store::problem(tx, record.uid, problem).await?;
    if record.known.until(now) >= i64::from(NO_DATA_MINUTES) {
        let alert = nothing(record, now, Some(problem));
        alerts::begin(tx, &alert).await?;
    }
    Ok(())
}

fn nothing(record: &SloRecord, now: Minute, problem: Option<&str>) -> NewAlert {
    let id = record.slo.id.as_str();
    let why = problem.map(|problem| format!(": {problem}")).unwrap_or_default();
    NewAlert {
        tenant_uid: REGION,
        kind: NO_DATA,
        rule: "no-data".into(),
        subject: record.subject(),
        severity: streamspace_core::slo::Severity::Ticket,
        summary: format!("nothing was measured of {id} for {NO_DATA_MINUTES} minutes{why}"),
        runbook_url: record.slo.runbook_url.clone(),
        start: now.start(),
    }
}

/// What came of minutes that were known already.
async fn late(tx: &mut PgConnection, record: &SloRecord, updates: &Updates) -> Result<(), DbError> {
    for (tenant, minutes) in &updates.counted {
        let late = minutes.range(record.first.min(record.known)..record.known);
        let late: BTreeMap<Minute, Counted> = late.map(|(at, it)| (*at, *it)).collect();
        let (Some((first, _)), Some((last, _))) = (late.first_key_value(), late.last_key_value())
        else {
            continue;
        };
        let bounds = (*first, last.plus(1));
        amend(tx, record.uid, Some(&[*tenant]), bounds, |_, minute, cell| {
            late.get(&minute).map_or(cell, |counted| Updates::apply(*counted, cell))
        })
        .await?;
    }
    Ok(())
}

/// Forgets budgets whose tenants are gone.
async fn leave(
    tx: &mut PgConnection,
    record: &SloRecord,
    subjects: &[Subject],
    known: &HashMap<Uuid, BudgetRow>,
) -> Result<(), DbError> {
    let here: BTreeSet<Uuid> = subjects.iter().map(|subject| subject.uid).collect();
    let gone: Vec<Uuid> = known.keys().filter(|uid| !here.contains(uid)).copied().collect();
    if gone.is_empty() {
        return Ok(());
    }
    for firing in alerts::firing_of(tx, &record.subject()).await? {
        if gone.contains(&firing.tenant_uid) {
            alerts::end(tx, firing.alert_uid, record.known.start()).await?;
        }
    }
    budgets::delete(tx, record.uid, &gone).await
}

/// What fires of an SLO, by budget, kind and rule.
struct Fires(HashMap<(Uuid, &'static str, String), Uuid>);

impl Fires {
    async fn read(tx: &mut PgConnection, record: &SloRecord) -> Result<Self, DbError> {
        let found = alerts::firing_of(tx, &record.subject()).await?;
        let known = found.into_iter().filter_map(|it| {
            let kind = [BURN, NO_DATA, USED].into_iter().find(|kind| *kind == it.kind)?;
            Some(((it.tenant_uid, kind, it.rule), it.alert_uid))
        });
        Ok(Self(known.collect()))
    }

    async fn begin(&mut self, tx: &mut PgConnection, alert: NewAlert) -> Result<(), DbError> {
        let key = (alert.tenant_uid, alert.kind, alert.rule.clone());
        if !self.0.contains_key(&key)
            && let Some(uid) = alerts::begin(tx, &alert).await?
        {
            self.0.insert(key, uid);
        }
        Ok(())
    }

    /// Ends what fires of a budget and does not hold any more.
    async fn end_others(
        &mut self,
        tx: &mut PgConnection,
        tenant: Uuid,
        holds: impl Fn(&'static str, &str) -> bool,
        now: Minute,
    ) -> Result<(), DbError> {
        let over: Vec<(Uuid, &'static str, String)> = self
            .0
            .keys()
            .filter(|(uid, kind, rule)| *uid == tenant && !holds(kind, rule))
            .cloned()
            .collect();
        for key in over {
            if let Some(uid) = self.0.remove(&key) {
                alerts::end(tx, uid, now.start()).await?;
            }
        }
        Ok(())
    }

    fn any(&self, tenant: Uuid) -> bool {
        self.0.keys().any(|(uid, ..)| *uid == tenant)
    }
}

struct Step<'a> {
    record: &'a SloRecord,
    updates: &'a Updates,
    until: Minute,
    /// Times that do not count.
    away: &'a [Window],
}

impl Step<'_> {
    async fn part(
        &self,
        tx: &mut PgConnection,
        subjects: &[Subject],
        known: &HashMap<Uuid, BudgetRow>,
        firing: &mut Fires,
        measured: &mut BTreeSet<Minute>,
    ) -> Result<(), DbError> {
        let (record, slo) = (self.record, &self.record.slo);
        let uids: Vec<Uuid> = subjects.iter().map(|subject| subject.uid).collect();
        let needed = rules::hours_needed(slo, record.known, self.until);
        let mut hours = series::read(tx, record.uid, &uids, &needed).await?;
        let mut rows = Vec::with_capacity(subjects.len());
        let mut held: Vec<(Uuid, Series)> = Vec::with_capacity(subjects.len());
        // Those of whom something fires are few; of the others nothing is asked.
        let alerting: BTreeSet<Uuid> =
            uids.iter().filter(|uid| firing.any(**uid)).copied().collect();
        for subject in subjects {
            let old = known.get(&subject.uid);
            let first = old.map_or(record.known, |row| row.first);
            let mut series = Series::new(first, hours.remove(&subject.uid).unwrap_or_default());
            let mut exhausted = old.and_then(|row| row.exhausted);
            let mut fires = alerting.contains(&subject.uid);
            let mut last = None;
            let mut minute = record.known;
            while minute < self.until {
                let cell = Cell {
                    excluded: self.is_away(subject, minute),
                    ..self.updates.cell(subject.uid, minute)
                };
                series.push(minute, cell);
                if cell.counts.is_some() {
                    measured.insert(minute);
                }
                minute = minute.plus(1);
                let verdict = rules::evaluate(slo, subject.objective, &series, minute);
                if fires || !verdict.firing.is_empty() {
                    self.tell(tx, subject, &series, &verdict, firing, minute).await?;
                    fires = firing.any(subject.uid);
                }
                exhausted = since(exhausted, &verdict, minute);
                last = Some(verdict);
            }
            let verdict = match last {
                Some(verdict) => verdict,
                // Only what was known is another.
                None => rules::evaluate(slo, subject.objective, &series, self.until),
            };
            rows.push((
                subject.uid,
                BudgetRow {
                    objective: subject.objective,
                    first,
                    known: self.until,
                    sums: sums(slo, &series, self.until),
                    exhausted: since(exhausted, &verdict, self.until),
                    frozen: verdict.frozen,
                },
            ));
            held.push((subject.uid, series));
        }
        let new = record.known.hour()..=self.until.plus(-1).hour();
        let changed: Vec<(Uuid, i64, &Hour)> = held
            .iter()
            .flat_map(|(uid, series)| {
                new.clone().filter_map(|at| Some((*uid, at, series.hour(at)?)))
            })
            .collect();
        series::write(tx, record.uid, &changed).await?;
        budgets::write(tx, record.uid, &rows).await
    }

    fn is_away(&self, subject: &Subject, minute: Minute) -> bool {
        let id = self.record.slo.id.as_str();
        self.away.iter().any(|window| window.covers(id, &subject.name, minute))
    }

    async fn tell(
        &self,
        tx: &mut PgConnection,
        subject: &Subject,
        series: &Series,
        verdict: &Verdict,
        firing: &mut Fires,
        now: Minute,
    ) -> Result<(), DbError> {
        for fired in &verdict.firing {
            let alert = self.alert(subject, series, verdict, fired, now);
            firing.begin(tx, alert).await?;
        }
        let holds = |kind: &'static str, rule: &str| {
            kind == NO_DATA || verdict.firing.iter().any(|fired| fired.rule.name() == rule)
        };
        firing.end_others(tx, subject.uid, holds, now).await
    }

    fn alert(
        &self,
        subject: &Subject,
        series: &Series,
        verdict: &Verdict,
        fired: &Firing,
        now: Minute,
    ) -> NewAlert {
        let slo = &self.record.slo;
        let whose =
            if subject.name.is_empty() { String::new() } else { format!(" of {}", subject.name) };
        let left = parts(verdict.budget.remaining_ppm(), 10_000);
        let (kind, summary) = match &fired.rule {
            Rule::Burn(name) => {
                let rule = slo.rules().into_iter().find(|rule| rule.name() == *name);
                let rate = rule.and_then(|rule: BurnRule| {
                    rate_milli(subject.objective, &series.at(now).last(rule.long))
                });
                let rate = rate.and_then(|rate| i64::try_from(rate).ok()).unwrap_or_default();
                let window = name.trim_start_matches("burn-");
                let rate = parts(rate, 1_000);
                (
                    BURN,
                    format!(
                        "{}{whose} ({} %) burned its error budget {rate} times too fast over {window}; \
                         {left} % of it is left",
                        slo.id.as_str(),
                        subject.objective
                    ),
                )
            }
            Rule::Used(percent) => (
                USED,
                format!(
                    "{}{whose} ({} %) used {percent} % of its error budget; {left} % of it is left",
                    slo.id.as_str(),
                    subject.objective
                ),
            ),
        };
        NewAlert {
            tenant_uid: subject.uid,
            kind,
            rule: fired.rule.name(),
            subject: self.record.subject(),
            severity: fired.severity,
            summary,
            runbook_url: slo.runbook_url.clone(),
            start: now.start(),
        }
    }

    /// Whether nothing was measured of any budget for some minutes, minute by minute.
    async fn no_data(
        &self,
        tx: &mut PgConnection,
        firing: &mut Fires,
        measured: &BTreeSet<Minute>,
    ) -> Result<(), DbError> {
        let record = self.record;
        let span = i64::from(NO_DATA_MINUTES);
        // What was measured before stands in the rows.
        let before =
            series::measured(tx, record.uid, record.known.plus(-span), record.known).await?;
        let mut minute = record.known;
        while minute < self.until {
            minute = minute.plus(1);
            let from = minute.plus(-span);
            let any = measured.range(from..minute).next().is_some()
                || before.range(from..minute).next().is_some();
            if any {
                firing.end_others(tx, REGION, |kind, _| kind != NO_DATA, minute).await?;
            } else if record.first <= from {
                firing.begin(tx, nothing(record, minute, None)).await?;
            }
        }
        Ok(())
    }
}

fn since(known: Option<Minute>, verdict: &Verdict, now: Minute) -> Option<Minute> {
    if verdict.budget.is_exhausted() { known.or(Some(now)) } else { None }
}

/// What was counted in each window that is looked at.
fn sums(slo: &Slo, series: &Series, now: Minute) -> BTreeMap<i32, Sums> {
    let at = series.at(now);
    let spans = rules::spans(slo).into_iter();
    let mut sums: BTreeMap<i32, Sums> =
        spans.map(|span| (series::narrow(span), at.last(span))).collect();
    sums.insert(PERIOD, series.between(slo.window.at(now).from, now));
    sums.insert(MONTH, series.between(rules::month(now).from, now));
    sums
}

/// A number of parts of a whole as a decimal with one place, rounded down.
fn parts(value: i64, whole: i64) -> String {
    let tenths = value.saturating_mul(10).div_euclid(whole);
    let sign = if tenths < 0 { "-" } else { "" };
    format!("{sign}{}.{}", tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10)
}
