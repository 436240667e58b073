//! An entry of the audit log: what somebody was about to do, did, or may not do.

use std::borrow::Cow;

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_core::filter::{FieldValue, vocabulary};
use streamspace_proto::v1::{AuditDecision, AuditEntry, AuditPhase};

use super::{Column, Key, Look, Row, SortKey, Wellness, by_place, short};
use crate::{
    format::{date_and_time, instant},
    state::{Question, RegionIndex},
};

/// One entry.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    key: Key,
    at: Option<Timestamp>,
    time: Box<str>,
    actor: Box<str>,
    /// Without its service: no two methods are called the same.
    method: Box<str>,
    resource: Box<str>,
    decision: AuditDecision,
    phase: AuditPhase,
    reason: Box<str>,
    /// What changed, or why it was refused.
    words: Box<str>,
    /// As the daemon has it, for filters.
    whole: Box<AuditEntry>,
}

impl Audit {
    pub(crate) fn new(region: RegionIndex, entry: &AuditEntry) -> Self {
        let safe = |text: &str| escape(text).into_owned().into_boxed_str();
        let at = instant(entry.time.as_ref());
        let uid = format!("{}/{}/{}", entry.position, entry.call_id, entry.phase);
        let words = [&entry.status_message, &entry.summary].into_iter().find(|it| !it.is_empty());
        let reason = match (entry.incident.as_str(), entry.reason.as_str()) {
            ("", reason) => reason.to_owned(),
            (incident, reason) if reason.contains(incident) => reason.to_owned(),
            (incident, reason) => format!("{incident} {reason}"),
        };
        Self {
            key: Key::new(region, &uid, ""),
            at,
            time: at.map(date_and_time).unwrap_or_default().into(),
            actor: if entry.actor.is_empty() { "(unverified)".into() } else { safe(&entry.actor) },
            method: safe(short(&entry.method)),
            resource: safe(&entry.resource),
            decision: entry.decision(),
            phase: entry.phase(),
            reason: safe(reason.trim_end()),
            words: safe(words.map_or("", String::as_str)),
            whole: Box::new(entry.clone()),
        }
    }

    fn state_word(&self) -> &'static str {
        Self::STATES.get(self.state()).copied().unwrap_or("unknown")
    }
}

impl Row for Audit {
    const NOUN: &'static str = "record";
    const ASKED: Option<Question> = Some(Question::Audit);
    const FIELDS: &'static [&'static str] = &vocabulary::AUDIT;
    const ATTENTION: &'static str = "refused or failed";
    const STATES: &'static [&'static str] =
        &["other", "allowed", "denied", "succeeded", "failed", "unknown"];
    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::left("TIME", 19, 19, 0)
            .showing(|entry, _| Cow::Borrowed(&entry.time))
            // The newest first, also where it only decides between equals.
            .ordered(|entry| SortKey::Number(entry.at.map(|at| -at.as_microsecond()))),
        Column::<Self>::left("ACTOR", 6, 20, 1)
            .showing(|entry, _| Cow::Borrowed(&entry.actor))
            .ordered(|entry| SortKey::Text(&entry.actor)),
        Column::<Self>::left("METHOD", 16, 28, 2)
            .showing(|entry, _| Cow::Borrowed(&entry.method))
            .ordered(|entry| SortKey::Text(&entry.method)),
        Column::<Self>::left("RESOURCE", 16, 44, 3)
            .showing(|entry, _| Cow::Borrowed(&entry.resource))
            .ordered(|entry| SortKey::Text(&entry.resource)),
        Column::<Self>::left("DECISION", 9, 9, 4)
            .showing(|entry, _| match entry.whole.count {
                count @ 2.. => Cow::Owned(format!("{} x{count}", entry.state_word())),
                _ => Cow::Borrowed(entry.state_word()),
            })
            .ordered(|entry| by_place(entry.state()))
            .looking(Look::Verdict),
        Column::<Self>::left("REASON", 14, 40, 5).showing(|entry, _| Cow::Borrowed(&entry.reason)),
        Column::<Self>::left("WHAT", 28, u16::MAX, 6)
            .showing(|entry, _| Cow::Borrowed(&entry.words))
            .looking(Look::Verdict),
    ];

    fn key(&self) -> &Key {
        &self.key
    }

    fn wellness(&self) -> Wellness {
        match self.decision {
            AuditDecision::Denied | AuditDecision::Failed => Wellness::Hindered,
            AuditDecision::Unknown => Wellness::Unknown,
            // Its outcome is an entry of its own.
            AuditDecision::Allowed if self.phase == AuditPhase::Intent => Wellness::Resting,
            AuditDecision::Allowed | AuditDecision::Succeeded | AuditDecision::Unspecified => {
                Wellness::Well
            }
        }
    }

    fn state(&self) -> usize {
        usize::try_from(i32::from(self.decision)).unwrap_or(0)
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        [&*self.actor, &self.method, &self.resource, &self.reason, &self.words, self.state_word()]
            .into_iter()
    }

    fn field(&self, name: &str, _: Timestamp) -> Option<FieldValue> {
        let text = match name {
            "actor" => &*self.whole.actor,
            "role" => &self.whole.role,
            "method" => &self.whole.method,
            "resource" => &self.whole.resource,
            "phase" => match self.phase {
                AuditPhase::Unspecified => "",
                AuditPhase::Intent => "intent",
                AuditPhase::Outcome => "outcome",
                AuditPhase::Denial => "denial",
            },
            "decision" => self.state_word(),
            "rule" => &self.whole.rule,
            "call_id" => &self.whole.call_id,
            "incident" => &self.whole.incident,
            _ => return None,
        };
        (!text.is_empty()).then(|| FieldValue::from(text))
    }
}
