//! How an incident begins: declared by somebody, or opened by an alert.

use jiff::Timestamp;
use sqlx::PgConnection;
use streamspace_core::incident::{Severity, lifecycle::State};

use super::{
    change::{self, Change, Hit},
    store::{self, Event, Record},
    tell::Teller,
};
use crate::{
    oncall::{self, Policy},
    rpc::errors::RpcResult,
};

/// What begins.
#[derive(Clone, Debug)]
pub(super) struct New {
    pub(super) title: String,
    pub(super) severity: Severity,
    pub(super) dedup_key: Option<String>,
    pub(super) hit: Hit,
    /// When it began, which may be before it is declared.
    pub(super) start: Timestamp,
    /// Whether who declares it has it in hand.
    pub(super) acknowledged: bool,
    /// Who is paged; chosen by whom it hits where it is absent.
    pub(super) policy: Option<Policy>,
}

/// The record of a new one, with its first event. Nothing is written.
pub(super) async fn record(
    tx: &mut PgConnection,
    new: New,
    actor: &str,
    now: Timestamp,
) -> RpcResult<(Record, Event)> {
    let plans = store::tenants(tx, &new.hit.tenants).await?;
    let plans: Vec<String> = plans.into_iter().map(|(_, plan, _)| plan).collect();
    let policy = match new.policy {
        Some(policy) => policy,
        None => oncall::policy_for(tx, &plans).await?,
    };
    let has_it = if new.acknowledged { actor.to_owned() } else { String::new() };
    let (mut tenants, mut slos) = (new.hit.tenants, new.hit.slos);
    for ids in [&mut tenants, &mut slos] {
        ids.sort_unstable();
        ids.dedup();
    }
    let record = Record {
        id: store::next_id(tx).await?,
        title: new.title,
        severity: new.severity,
        state: State::Declared,
        dedup_key: new.dedup_key,
        commander: has_it.clone(),
        communications: String::new(),
        scribe: String::new(),
        tenants,
        slos,
        declared_by: actor.to_owned(),
        start: new.start.min(now),
        declared: now,
        acknowledged_by: has_it,
        acknowledged: new.acknowledged.then_some(now),
        mitigated: None,
        resolved: None,
        reviewed: None,
        merged_into: None,
        self_resolved: false,
        returns: 0,
        policy: policy.id,
        levels: policy.levels,
        paging_since: (new.severity.pages() && !new.acknowledged).then_some(now),
        levels_paged: 0,
        next_update: None,
        version: 1,
    };
    let text = format!("{}: {}", record.severity.as_str(), record.title);
    let event = Event { time: now, actor: actor.to_owned(), kind: "declared".to_owned(), text };
    Ok((record, event))
}

/// Writes a new one, and pages whom its first level names.
pub(super) async fn write(
    tx: &mut PgConnection,
    tell: &Teller,
    (record, event): (Record, Event),
    now: Timestamp,
) -> RpcResult<Record> {
    let mut changed = change::apply(&record, &Change::Page, &event.actor, now)?;
    changed.record.version = 1;
    changed.events.insert(0, event);
    tell.keep(tx, &changed, now).await?;
    Ok(changed.record)
}
