//! What a step makes of an incident: its new row, what the timeline keeps, and whom it is
//! told. Nothing is touched here.

use jiff::{SignedDuration, Timestamp};
use streamspace_core::incident::{
    IncidentId, Role, Severity, escalation,
    lifecycle::{self, Event as Step, State},
};

use super::store::{Event, Record};
use crate::rpc::{
    ends::ACTOR,
    errors::{RpcError, RpcResult},
    time::Bounds,
};

/// When the public hears again.
pub(super) const NEXT_UPDATE: Bounds =
    Bounds { shortest: 60, longest: 86_400, words: "one minute to 24 hours" };

/// How long after an incident ended with its alert, and nobody had taken it, an alert about
/// the same opens it again. What is quiet for longer than that is another matter.
const RETURN: SignedDuration = SignedDuration::from_mins(30);
/// So often it ends with its alert and is opened again. Then it comes and goes, each time with
/// a page, and stays open until a person takes it.
pub(super) const RETURNS_MAXIMUM: u32 = 3;

/// Whether an alert about the same opens it again, instead of another one.
pub(super) fn returns(record: &Record, now: Timestamp) -> bool {
    let is_recent = record.resolved.is_some_and(|resolved| now.duration_since(resolved) <= RETURN);
    record.state == State::Resolved && record.self_resolved && is_recent
}

/// Something that is done to an incident.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Somebody has it.
    Acknowledge,
    /// It goes to another state.
    Move { state: State, severity: Option<Severity>, note: String, hit: Hit },
    /// Somebody takes a role.
    Assign { role: Role, person: String },
    /// The next level is paged now.
    Escalate,
    /// Levels are paged as their minutes pass.
    Page,
    /// Something is to be remembered, or told to the public.
    Note { text: String, public: bool, next_update: Option<Timestamp> },
    /// An alert joins it.
    Alert { summary: String, start: Timestamp, hit: Hit },
    /// An alert about the same is there after it ended with its last alert.
    Return { summary: String, hit: Hit },
    /// An alert of it is over; whether that was the last.
    AlertOver { summary: String, last: bool },
    /// It ends in another.
    MergeInto(IncidentId),
    /// Another ends in it.
    Take { from: IncidentId, title: String, start: Timestamp, hit: Hit },
    /// Work is left, or done.
    Action { text: String },
}

/// Whom it hits: ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) tenants: Vec<String>,
    pub(super) slos: Vec<String>,
}

/// Whom a step is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    /// The level of an index is paged.
    Page(usize),
    /// Somebody has it: nobody else need come.
    Acknowledged,
    /// It is over.
    Over,
    /// It is there again, so many times by now.
    Back(u32),
    /// The public is told.
    Public(String),
}

/// What a step makes of an incident.
#[derive(Clone, Debug)]
pub(super) struct Changed {
    pub(super) record: Record,
    pub(super) events: Vec<Event>,
    pub(super) tells: Vec<Tell>,
    /// For the audit log; empty where nothing changed.
    pub(super) summary: String,
}

/// Does a step as somebody.
pub(super) fn apply(
    record: &Record,
    change: &Change,
    actor: &str,
    now: Timestamp,
) -> RpcResult<Changed> {
    let mut work = Work {
        changed: Changed {
            record: record.clone(),
            events: Vec::new(),
            tells: Vec::new(),
            summary: String::new(),
        },
        actor,
        now,
    };
    work.apply(change)?;
    let mut changed = work.changed;
    if changed.record != *record {
        changed.record.version = record.version.saturating_add(1);
    }
    Ok(changed)
}

struct Work<'a> {
    changed: Changed,
    actor: &'a str,
    now: Timestamp,
}

impl Work<'_> {
    fn apply(&mut self, change: &Change) -> RpcResult<()> {
        match change {
            Change::Acknowledge => self.acknowledge(),
            Change::Move { state, severity, note, hit } => {
                self.move_to(*state, *severity, note, hit)
            }
            Change::Assign { role, person } => self.assign(*role, person),
            Change::Escalate => self.escalate(),
            Change::Page => {
                self.page_due();
                Ok(())
            }
            Change::Note { text, public, next_update } => self.note(text, *public, *next_update),
            Change::Alert { summary, start, hit } => {
                self.hit(hit);
                let record = &mut self.changed.record;
                record.start = record.start.min(*start);
                self.event("alert", summary.clone());
                Ok(())
            }
            Change::Return { summary, hit } => self.come_back(summary, hit),
            Change::AlertOver { summary, last } => self.alert_over(summary, *last),
            Change::MergeInto(into) => self.merge_into(*into),
            Change::Take { from, title, start, hit } => {
                self.hit(hit);
                let record = &mut self.changed.record;
                record.start = record.start.min(*start);
                self.say("merged", format!("{from} was joined to it: {title}"));
                Ok(())
            }
            Change::Action { text } => {
                self.say("action", text.clone());
                Ok(())
            }
        }
    }

    fn alert_over(&mut self, summary: &str, last: bool) -> RpcResult<()> {
        self.event("alert", format!("over: {summary}"));
        let record = &self.changed.record;
        // Where a person has it or declared it, a person says that it is over; and where it
        // was over too often already.
        let is_alone = record.acknowledged.is_none() && record.declared_by == ACTOR;
        let is_over = last && is_alone && record.returns < RETURNS_MAXIMUM;
        if !is_over || record.state != State::Declared {
            return Ok(());
        }
        let note = "all alerts of it are over, and nobody had taken it";
        self.move_to(State::Resolved, None, note, &Hit::default())?;
        self.changed.record.self_resolved = true;
        Ok(())
    }

    fn come_back(&mut self, summary: &str, hit: &Hit) -> RpcResult<()> {
        let now = self.now;
        let record = &mut self.changed.record;
        record.state = lifecycle::step(record.state, Step::Return).map_err(refused)?;
        let away = now.duration_since(record.resolved.unwrap_or(now));
        // The minutes of the levels go on where they stopped: what comes and goes reaches the
        // next level too.
        record.paging_since =
            record.paging_since.map(|since| since.checked_add(away).unwrap_or(now));
        record.mitigated = None;
        record.resolved = None;
        record.self_resolved = false;
        record.returns = record.returns.saturating_add(1);
        let times = record.returns;
        self.hit(hit);
        let count = if times == 1 { "once".to_owned() } else { format!("{times} times") };
        let stays =
            if times < RETURNS_MAXIMUM { "" } else { "; it does not end by itself any more" };
        self.say(
            "reopened",
            format!("back after {} min, {count} by now{stays}: {summary}", away.as_mins()),
        );
        self.changed.tells.push(Tell::Back(times));
        Ok(())
    }

    fn event(&mut self, kind: &str, text: String) {
        let event =
            Event { time: self.now, actor: self.actor.to_owned(), kind: kind.to_owned(), text };
        self.changed.events.push(event);
    }

    /// Keeps it in the timeline and tells the audit log the same.
    fn say(&mut self, kind: &str, text: String) {
        self.changed.summary.clone_from(&text);
        self.event(kind, text);
    }

    fn open(&self) -> RpcResult<()> {
        let record = &self.changed.record;
        if record.state.is_open() {
            return Ok(());
        }
        let remedy = match record.merged_into {
            Some(into) => format!("it was joined to {into}, which goes on"),
            None => "reopen it first, with a note".to_owned(),
        };
        Err(RpcError::Refused {
            reason: "INCIDENT_CLOSED",
            message: format!("{} is {}: {remedy}", record.id, record.state),
        })
    }

    fn acknowledge(&mut self) -> RpcResult<()> {
        self.open()?;
        let record = &mut self.changed.record;
        if record.acknowledged.is_some() {
            if record.acknowledged_by == self.actor {
                return Ok(());
            }
            return Err(RpcError::Refused {
                reason: "INCIDENT_ACKNOWLEDGED",
                message: format!(
                    "{} has {} in hand already: speak to them, or take the command with \
                     `ssctl incident assign {} --commander NAME`",
                    record.acknowledged_by, record.id, record.id
                ),
            });
        }
        record.acknowledged = Some(self.now);
        self.actor.clone_into(&mut record.acknowledged_by);
        if record.commander.is_empty() {
            self.actor.clone_into(&mut record.commander);
        }
        self.say("acknowledged", format!("{} has it in hand", self.actor));
        self.changed.tells.push(Tell::Acknowledged);
        Ok(())
    }

    fn move_to(
        &mut self,
        state: State,
        severity: Option<Severity>,
        note: &str,
        hit: &Hit,
    ) -> RpcResult<()> {
        let record = &self.changed.record;
        if let Some(into) = record.merged_into {
            return Err(RpcError::Refused {
                reason: "INCIDENT_CLOSED",
                message: format!("{} was joined to {into}: work on that one", record.id),
            });
        }
        let reopens = state == State::Triaged && record.state == State::Resolved;
        let step = match state {
            State::Triaged if reopens => Step::Reopen(note),
            State::Triaged => Step::Triage,
            State::Mitigated => Step::Mitigate,
            State::Resolved => Step::Resolve,
            State::Reviewed => Step::Review,
            State::Declared => {
                return Err(RpcError::field(
                    "state",
                    "must be triaged, mitigated, resolved or reviewed",
                ));
            }
        };
        let old = record.severity;
        let next = lifecycle::step(record.state, step).map_err(refused)?;
        let now = self.now;
        let record = &mut self.changed.record;
        record.state = next;
        record.severity = severity.unwrap_or(old);
        let mut tell = None;
        match next {
            State::Mitigated => record.mitigated = Some(now),
            State::Resolved => {
                record.resolved = Some(now);
                record.mitigated = record.mitigated.or(Some(now));
                record.next_update = None;
                tell = Some(Tell::Over);
            }
            State::Reviewed => record.reviewed = Some(now),
            State::Triaged if reopens => {
                record.mitigated = None;
                record.resolved = None;
                record.self_resolved = false;
                // Whoever reopens it has it.
                record.acknowledged = Some(now);
                self.actor.clone_into(&mut record.acknowledged_by);
            }
            State::Declared | State::Triaged => {}
        }
        if record.severity.pages() && record.acknowledged.is_none() && next.is_open() {
            // Graver than it seemed: somebody is paged from now on.
            record.paging_since = record.paging_since.or(Some(now));
        }
        self.hit(hit);
        let kind = if reopens { "reopened" } else { next.as_str() };
        let record = &self.changed.record;
        let mut text = kind.to_owned();
        if record.severity != old {
            text = format!("{text}, {} → {}", old.as_str(), record.severity.as_str());
        }
        if !note.trim().is_empty() {
            text = format!("{text}: {note}");
        }
        self.say(kind, text);
        self.changed.tells.extend(tell);
        Ok(())
    }

    fn assign(&mut self, role: Role, person: &str) -> RpcResult<()> {
        let record = &mut self.changed.record;
        if record.state == State::Reviewed {
            return Err(refused(lifecycle::Refusal::NotNow {
                state: record.state,
                remedy: "declare a new incident",
            }));
        }
        let old = record.person(role).to_owned();
        if old == person {
            return Ok(());
        }
        match role {
            Role::Commander => person.clone_into(&mut record.commander),
            Role::Communications => person.clone_into(&mut record.communications),
            Role::Scribe => person.clone_into(&mut record.scribe),
        }
        let shown = |who: &str| if who.is_empty() { "nobody".to_owned() } else { who.to_owned() };
        self.say("role", format!("{}: {} → {}", role.as_str(), shown(&old), shown(person)));
        Ok(())
    }

    fn escalate(&mut self) -> RpcResult<()> {
        self.open()?;
        let record = &mut self.changed.record;
        let level = record.levels_paged;
        let Some((_, round)) = escalation::level(&record.levels, level) else {
            return Err(RpcError::Refused {
                reason: "NO_LEVEL_LEFT",
                message: format!(
                    "all {} levels of {} were paged {} times: call somebody",
                    record.levels.len(),
                    record.id,
                    escalation::ROUNDS
                ),
            });
        };
        record.paging_since = record.paging_since.or(Some(self.now));
        record.levels_paged = level.saturating_add(1);
        let number = level.checked_rem(record.levels.len()).map_or(1, |it| it.saturating_add(1));
        let again = if round > 0 { " again" } else { "" };
        self.changed.summary = format!("level {number} is paged{again}");
        self.changed.tells.push(Tell::Page(level));
        Ok(())
    }

    /// Pages the levels whose minutes are over.
    fn page_due(&mut self) {
        let record = &mut self.changed.record;
        let Some(since) = record.paging_since else { return };
        if !record.state.is_open() {
            return;
        }
        let due = escalation::due(&record.levels, since, record.acknowledged, self.now);
        let new = due.into_iter().filter(|level| *level >= record.levels_paged);
        let new: Vec<usize> = new.collect();
        if let Some(last) = new.last() {
            record.levels_paged = last.saturating_add(1);
        }
        // Where nobody led for long, each level is paged once and not once a round.
        let over = new.len().saturating_sub(record.levels.len());
        self.changed.tells.extend(new.into_iter().skip(over).map(Tell::Page));
    }

    fn note(&mut self, text: &str, public: bool, next_update: Option<Timestamp>) -> RpcResult<()> {
        if public {
            let record = &mut self.changed.record;
            if record.state == State::Reviewed || record.merged_into.is_some() {
                return self.open();
            }
            record.next_update = next_update;
            self.say("public", text.to_owned());
            self.changed.tells.push(Tell::Public(text.to_owned()));
        } else {
            self.say("note", text.to_owned());
        }
        Ok(())
    }

    fn merge_into(&mut self, into: IncidentId) -> RpcResult<()> {
        self.open()?;
        let now = self.now;
        let record = &mut self.changed.record;
        record.state = State::Resolved;
        record.resolved = Some(now);
        record.mitigated = record.mitigated.or(Some(now));
        record.merged_into = Some(into);
        record.next_update = None;
        self.say("merged", format!("joined to {into}, which goes on"));
        self.changed.tells.push(Tell::Over);
        Ok(())
    }

    fn hit(&mut self, hit: &Hit) {
        let record = &mut self.changed.record;
        for (known, new) in [(&mut record.tenants, &hit.tenants), (&mut record.slos, &hit.slos)] {
            known.extend(new.iter().cloned());
            known.sort_unstable();
            known.dedup();
        }
    }
}

fn refused(refusal: lifecycle::Refusal) -> RpcError {
    match refusal {
        lifecycle::Refusal::NoReason => {
            RpcError::field("note", "is required to open an incident again: say what came back")
        }
        refusal @ lifecycle::Refusal::NotNow { .. } => {
            RpcError::Refused { reason: "INCIDENT_STATE", message: refusal.to_string() }
        }
    }
}
