//! What happened: what an incident keeps itself, joined with the audit log.

use jiff::{SignedDuration, Timestamp};
use streamspace_proto::v1::{self, AuditEntry};

use super::store::{self, Event, Record};
use crate::{
    audit::trail,
    db::{Database, DbError, Scope},
    rpc::time::{instant, timestamp},
};

/// How long before its begin changes are shown, where nobody says.
pub(super) const BEFORE: SignedDuration = SignedDuration::from_hours(1);
/// The most entries.
const MOST: usize = 5_000;

/// Something of a timeline.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) time: Timestamp,
    pub(super) actor: String,
    pub(super) kind: String,
    pub(super) text: String,
    pub(super) audit: Option<AuditEntry>,
}

/// All that happened, the oldest first, and whether some of it is left out.
pub(super) async fn read(
    db: &Database,
    record: &Record,
    before: SignedDuration,
) -> Result<(Vec<Entry>, bool), DbError> {
    let from = record.start.checked_sub(before).unwrap_or(Timestamp::MIN);
    let mut tx = db.begin(&Scope::Region).await?;
    let events = store::events(&mut tx, record.id).await?;
    drop(tx);
    let mut is_cut = i64::try_from(events.len()).is_ok_and(|many| many >= store::EVENTS_MAXIMUM);
    let name = record.id.to_string();
    let trail = trail::of_incident(db.operator(), &name, from, record.start).await?;
    let mut entries: Vec<Entry> = events.into_iter().rev().map(of_event).collect();
    let is_under = |entry: &AuditEntry| entry.incident == name;
    let earlier = trail.before.into_iter().filter(|entry| !is_under(entry));
    entries.extend(earlier.filter_map(|entry| of_audit("before", entry)));
    entries.extend(trail.under.into_iter().filter_map(|entry| of_audit("change", entry)));
    entries.sort_by_key(|entry| entry.time);
    if let Some(more) = entries.len().checked_sub(MOST).filter(|more| *more > 0) {
        entries.drain(..more);
        is_cut = true;
    }
    Ok((entries, is_cut))
}

fn of_event(event: Event) -> Entry {
    let Event { time, actor, kind, text } = event;
    Entry { time, actor, kind, text, audit: None }
}

fn of_audit(kind: &str, entry: AuditEntry) -> Option<Entry> {
    let time = instant(entry.time.as_ref()?)?;
    let method = entry.method.rsplit('/').next().unwrap_or_default();
    let mut text = method.to_owned();
    for part in [entry.resource.as_str(), entry.summary.as_str()] {
        if !part.is_empty() {
            text = format!("{text} {part}");
        }
    }
    Some(Entry {
        time,
        actor: entry.actor.clone(),
        kind: kind.to_owned(),
        text,
        audit: Some(entry),
    })
}

impl Entry {
    pub(super) fn into_proto(self) -> v1::TimelineEntry {
        v1::TimelineEntry {
            time: timestamp(self.time),
            actor: self.actor,
            kind: self.kind,
            text: self.text,
            audit_entry: self.audit,
        }
    }
}
