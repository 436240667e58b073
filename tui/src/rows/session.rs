//! A session as the dashboard keeps it: of fifty thousand only what a line shows. The
//! rest is asked for when somebody looks at one.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_core::{
    filter::{FieldValue, vocabulary},
    quantity::{Unit, observed},
};
use streamspace_proto::v1::{self, SessionPhase, SessionState};

use super::{
    Column, Key, Look, Row, Scope, SortKey, Wellness, age_of, by_number, by_time, seconds,
};
use crate::{
    format::{cores, gibibytes, instant},
    state::RegionIndex,
};

/// One session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    key: Key,
    /// All [`Part`]s and the word for its phase, each in a line: one piece of memory, and one
    /// to look for a text in.
    text: Box<str>,
    /// Where each of them ends.
    ends: [u16; 5],
    /// Where the tenant ends in the path.
    split: u16,
    /// Why it is as it is.
    pub(crate) message: Box<str>,
    state: SessionState,
    pub(crate) phase: SessionPhase,
    deleting: bool,
    /// What it requests; none where it does not say, or nothing that can be read.
    millicores: Option<i64>,
    bytes: Option<i64>,
    created: Option<Timestamp>,
    active: Option<Timestamp>,
}

/// What there is to read of a session, in the order of its text.
#[derive(Clone, Copy)]
enum Part {
    /// `tenant/session`, as the daemon has it: the name without what is the same in all.
    Path,
    User,
    Template,
    Node,
}

impl Session {
    /// Which of [`Row::STATES`] is that of those that run.
    pub(crate) const RUNNING: usize = 2;

    pub(crate) fn new(region: RegionIndex, session: &v1::Session) -> Self {
        let (tenant, id) = parts(&session.name);
        let (user, template) = (escape(&session.user), escape(&session.template));
        let (node, phase) = (escape(&session.node), phase_word(session.phase(), session.deleting));
        let (text, ends) = lines([&format!("{tenant}/{id}"), &user, &template, &node, phase]);
        Self {
            key: Self::key_of(region, session),
            text,
            ends,
            split: u16::try_from(tenant.len()).unwrap_or(0),
            message: escape(&session.message).into(),
            state: session.state(),
            phase: session.phase(),
            deleting: session.deleting,
            millicores: observed(Unit::Millicores, &session.cpu).ok(),
            bytes: observed(Unit::Bytes, &session.memory).ok(),
            created: instant(session.create_time.as_ref()),
            active: instant(session.last_activity_time.as_ref()),
        }
    }

    pub(crate) fn key_of(region: RegionIndex, session: &v1::Session) -> Key {
        Key::new(region, &session.uid, &session.name)
    }

    /// The tenant's id, as the daemon has it.
    pub(crate) fn tenant(&self) -> &str {
        self.path().get(..usize::from(self.split)).unwrap_or_default()
    }

    /// The last part of the name, as the daemon has it.
    pub(crate) fn id(&self) -> &str {
        self.path().get(usize::from(self.split) + 1..).unwrap_or_default()
    }

    /// The whole name, as the contract has it.
    pub(crate) fn name(&self) -> String {
        format!("tenants/{}/sessions/{}", self.tenant(), self.id())
    }

    /// `tenant/session`, which no other has.
    pub(crate) fn path(&self) -> &str {
        self.part(Part::Path)
    }

    pub(crate) fn user(&self) -> &str {
        self.part(Part::User)
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope { region: self.key.region, tenant: Arc::from(self.tenant()) }
    }

    pub(crate) fn phase_word(&self) -> &'static str {
        phase_word(self.phase, self.deleting)
    }

    fn part(&self, part: Part) -> &str {
        let part = part as usize;
        let end = |part: usize| self.ends.get(part).copied().map_or(0, usize::from);
        let begin = part.checked_sub(1).map_or(0, |before| end(before) + 1);
        self.text.get(begin..end(part)).unwrap_or_default()
    }
}

/// The parts, each in a line, and where each ends.
fn lines<const N: usize>(parts: [&str; N]) -> (Box<str>, [u16; N]) {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    let ends = parts.map(|part| {
        text.push_str(part);
        let end = text.len();
        text.push('\n');
        u16::try_from(end).unwrap_or(u16::MAX)
    });
    (text.into(), ends)
}

fn phase_word(phase: SessionPhase, deleting: bool) -> &'static str {
    if deleting {
        return "deleting";
    }
    Session::STATES.get(place(phase)).copied().unwrap_or("unknown")
}

/// Where a phase is among the states.
fn place(phase: SessionPhase) -> usize {
    usize::try_from(i32::from(phase)).unwrap_or(0)
}

/// `acme` and `desk-1` of `tenants/acme/sessions/desk-1`.
fn parts(name: &str) -> (&str, &str) {
    let rest = name.strip_prefix("tenants/").unwrap_or(name);
    rest.split_once("/sessions/").unwrap_or(("", rest))
}

impl Row for Session {
    const NOUN: &'static str = "session";
    const FIELDS: &'static [&'static str] = &vocabulary::SESSION;
    const STATES: &'static [&'static str] =
        &["unknown", "pending", "running", "hibernated", "failed", "terminated"];
    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::left("NAME", 12, 40, 0)
            .showing(|session, _| escape(session.id()))
            .ordered(|session| SortKey::Text(session.id())),
        Column::<Self>::left("TENANT", 8, 32, 2)
            .showing(|session, _| escape(session.tenant()))
            .ordered(|session| SortKey::Text(session.tenant())),
        Column::<Self>::left("USER", 6, 28, 4)
            .showing(|session, _| Cow::Borrowed(session.user()))
            .ordered(|session| SortKey::Text(session.user())),
        Column::<Self>::left("TEMPLATE", 9, 24, 6)
            .showing(|session, _| Cow::Borrowed(session.part(Part::Template)))
            .ordered(|session| SortKey::Text(session.part(Part::Template))),
        Column::<Self>::left("PHASE", 10, 10, 1)
            .showing(|session, _| Cow::Borrowed(session.phase_word()))
            .ordered(|session| by_number(i32::from(session.phase)))
            .looking(Look::Verdict),
        Column::<Self>::right("AGE", 6, 3)
            .showing(|session, now| age_of(session.created, now))
            .ordered(|session| by_time(session.created)),
        Column::<Self>::right("IDLE", 6, 7)
            .showing(|session, now| match session.phase {
                SessionPhase::Running if session.active.is_some() => age_of(session.active, now),
                _ => Cow::Borrowed(""),
            })
            .ordered(|session| SortKey::Number(session.active.map(|time| -time.as_microsecond()))),
        Column::<Self>::right("CPU", 6, 8)
            .showing(|session, _| Cow::Owned(session.millicores.map_or_else(String::new, cores)))
            .ordered(|session| SortKey::Number(session.millicores)),
        Column::<Self>::right("GIB", 6, 9)
            .showing(|session, _| Cow::Owned(session.bytes.map_or_else(String::new, gibibytes)))
            .ordered(|session| SortKey::Number(session.bytes)),
        Column::<Self>::left("NODE", 6, 24, 10)
            .showing(|session, _| Cow::Borrowed(session.part(Part::Node)))
            .ordered(|session| SortKey::Text(session.part(Part::Node)))
            .looking(Look::Aside),
        Column::<Self>::left("MESSAGE", 18, u16::MAX, 5)
            .showing(|session, _| Cow::Borrowed(&session.message))
            .looking(Look::Verdict),
    ];

    fn key(&self) -> &Key {
        &self.key
    }

    fn wellness(&self) -> Wellness {
        match self.phase {
            SessionPhase::Failed => Wellness::Failing,
            // It waits for something that has words.
            SessionPhase::Pending if !self.message.is_empty() => Wellness::Hindered,
            SessionPhase::Pending => Wellness::Changing,
            SessionPhase::Running if self.deleting => Wellness::Changing,
            SessionPhase::Running => Wellness::Well,
            SessionPhase::Hibernated | SessionPhase::Terminated => Wellness::Resting,
            SessionPhase::Unspecified => Wellness::Unknown,
        }
    }

    fn state(&self) -> usize {
        place(self.phase)
    }

    fn is_in(&self, scope: &Scope) -> bool {
        self.key.region == scope.region && self.tenant() == &*scope.tenant
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        [&*self.text, &self.message].into_iter()
    }

    fn field(&self, name: &str, now: Timestamp) -> Option<FieldValue> {
        let text = |text: &str| Some(FieldValue::from(text));
        match name {
            "name" => text(&self.name()),
            "tenant" => text(self.tenant()),
            "user" => text(self.user()),
            "template" => text(self.part(Part::Template)),
            "state" => text(match self.state {
                SessionState::Hibernated => "hibernated",
                SessionState::Terminated => "terminated",
                SessionState::Running | SessionState::Unspecified => "running",
            }),
            "phase" => text(match self.phase {
                SessionPhase::Unspecified => return None,
                SessionPhase::Pending => "Pending",
                SessionPhase::Running => "Running",
                SessionPhase::Hibernated => "Hibernated",
                SessionPhase::Failed => "Failed",
                SessionPhase::Terminated => "Terminated",
            }),
            "node" => {
                Some(self.part(Part::Node)).filter(|node| !node.is_empty()).map(FieldValue::from)
            }
            "deleting" => Some(FieldValue::Bool(self.deleting)),
            "age" => seconds(self.created, now),
            "idle" => seconds(self.active, now),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_read_as_it_came() {
        let session = v1::Session {
            name: "tenants/acme/sessions/desk-1".into(),
            user: "ada\u{1b}".into(),
            node: "node-7".into(),
            phase: SessionPhase::Running.into(),
            ..v1::Session::default()
        };
        let session = Session::new(RegionIndex(0), &session);
        assert_eq!((session.tenant(), session.id()), ("acme", "desk-1"));
        assert_eq!(session.path(), "acme/desk-1");
        assert_eq!((session.user(), session.part(Part::Template)), ("ada\\u{1b}", ""));
        assert_eq!(session.part(Part::Node), "node-7");
        assert!(session.texts().any(|text| text.contains("\nrunning\n")));
    }
}
