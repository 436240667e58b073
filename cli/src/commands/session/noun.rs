//! What is shown of sessions, of their objects and of what the cluster says of them.

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_proto::v1::{
    ClusterEvent, Condition, ConditionStatus, Session, SessionObject, SessionPhase, SessionState,
};

use super::name::{brief, tenant};
use crate::{
    output::{Cell, Column, Tone},
    resource::{Noun, word},
    time::{age, local},
};

impl Noun for Session {
    const PLURAL: &'static str = "sessions";
    const PREFIX: &'static str = "";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |session: &Self, _| brief(&session.name).into()),
            Column::new("USER", |session, _| session.user.clone().into()),
            Column::new("TEMPLATE", |session, _| session.template.clone().into()),
            Column::new("PHASE", |session, _| phase(session)),
            Column::new("CPU", |session, _| session.cpu.clone().into()),
            Column::new("MEMORY", |session, _| session.memory.clone().into()),
            Column::new("IDLE", |session, now| {
                age(session.last_activity_time.as_ref(), now).into()
            }),
            Column::new("AGE", |session, now| age(session.create_time.as_ref(), now).into()),
            Column::new("MESSAGE", |session, _| session.message.clone().into()),
            Column::wide("WISHED", |session, _| state_word(session.state()).into()),
            Column::wide("AWAKE", |session, now| age(session.awake_time.as_ref(), now).into()),
            Column::wide("NODE", |session, _| session.node.clone().into()),
            Column::wide("POD", |session, _| session.pod_name.clone().into()),
            Column::wide("URL", |session, _| session.url.clone().into()),
            Column::wide("COPIES", |session, _| copies(session).into()),
            Column::wide("TAGS", |session, _| session.tags.join(" ").into()),
            Column::wide("UID", |session, _| session.uid.clone().into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let mut pairs = self.summary(now);
        for (at, condition) in self.conditions.iter().enumerate() {
            let title = if at == 0 { "Conditions" } else { "" };
            let text = escape(&told(condition, now)).into_owned();
            pairs.push((title, Cell::toned(text, condition_tone(condition))));
        }
        pairs
    }
}

/// What a page says of a session before its conditions.
pub(super) trait Summary {
    fn summary(&self, now: Timestamp) -> Vec<(&'static str, Cell)>;
}

impl Summary for Session {
    fn summary(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        vec![
            ("Name", brief(&self.name).into()),
            ("Tenant", tenant(&self.name).into()),
            ("User", self.user.clone().into()),
            ("Template", self.template.clone().into()),
            ("Wished", state_word(self.state()).into()),
            ("Phase", phase(self)),
            // Of what others wrote a line stays a line: it must not look like one of ours.
            ("Message", Cell::toned(escape(&self.message), Tone::Doubtful)),
            ("CPU", self.cpu.clone().into()),
            ("Memory", self.memory.clone().into()),
            ("Home", if self.without_home { "not mounted" } else { "mounted" }.into()),
            ("Copies", copies(self).into()),
            ("Idle timeout", span(self.idle_timeout.as_ref()).into()),
            ("Longest run", span(self.max_session_duration.as_ref()).into()),
            ("Last used", since(self.last_activity_time.as_ref(), now).into()),
            ("Awake", since(self.awake_time.as_ref(), now).into()),
            ("Url", escape(&self.url).into()),
            ("Pod", self.pod_name.clone().into()),
            ("Node", self.node.clone().into()),
            ("Tags", tags(self).into()),
            ("Generation", self.generation.into()),
            ("Created", since(self.create_time.as_ref(), now).into()),
            ("Uid", self.uid.clone().into()),
        ]
    }
}

/// How far a session is, in one word; `deleting` where its object goes.
pub(super) fn phase_word(session: &Session) -> String {
    match session.phase() {
        _ if session.deleting => "deleting".into(),
        SessionPhase::Unspecified => "not seen yet".into(),
        phase => word("SESSION_PHASE_", phase.as_str_name()),
    }
}

/// The same with its tone.
pub(super) fn phase(session: &Session) -> Cell {
    let tone = match session.phase() {
        _ if session.deleting => Tone::Doubtful,
        SessionPhase::Running => Tone::Good,
        SessionPhase::Failed => Tone::Bad,
        SessionPhase::Pending => Tone::Doubtful,
        SessionPhase::Hibernated | SessionPhase::Terminated | SessionPhase::Unspecified => {
            Tone::Plain
        }
    };
    Cell::toned(phase_word(session), tone)
}

fn state_word(state: SessionState) -> String {
    match state {
        SessionState::Unspecified => "running".into(),
        state => word("SESSION_STATE_", state.as_str_name()),
    }
}

/// Each in a line of its own.
fn tags(session: &Session) -> String {
    let tags = session.tags.iter().map(|tag| escape(tag));
    tags.collect::<Vec<_>>().join("\n")
}

fn copies(session: &Session) -> String {
    match session.max_replicas {
        0 => String::new(),
        most => format!("up to {most}, shared"),
    }
}

/// A span of the contract as people write it.
fn span(span: Option<&prost_types::Duration>) -> String {
    let Some(span) = span else { return String::new() };
    let (hours, minutes, seconds) =
        (span.seconds / 3600, span.seconds % 3600 / 60, span.seconds % 60);
    let parts = [(hours, "h"), (minutes, "m"), (seconds, "s")];
    let parts = parts.into_iter().filter(|(count, _)| *count != 0);
    let text = parts.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().concat();
    if text.is_empty() { "0s".into() } else { text }
}

/// An instant, and how long ago it was.
fn since(time: Option<&prost_types::Timestamp>, now: Timestamp) -> String {
    match time {
        Some(_) => format!("{} (for {})", local(time), age(time, now)),
        None => String::new(),
    }
}

fn told(condition: &Condition, now: Timestamp) -> String {
    let since = age(condition.last_transition_time.as_ref(), now);
    let since = if since.is_empty() { since } else { format!(" (for {since})") };
    let mut text = format!("{}: {}", condition.r#type, holds(condition));
    for part in [&condition.reason, &condition.message].into_iter().filter(|part| !part.is_empty())
    {
        text.push_str(", ");
        text.push_str(part);
    }
    text + &since
}

fn holds(condition: &Condition) -> &'static str {
    match condition.status() {
        ConditionStatus::True => "yes",
        ConditionStatus::False => "no",
        ConditionStatus::Unknown | ConditionStatus::Unspecified => "unknown",
    }
}

fn condition_tone(condition: &Condition) -> Tone {
    match condition.status() {
        ConditionStatus::True => Tone::Good,
        ConditionStatus::False => Tone::Bad,
        ConditionStatus::Unknown | ConditionStatus::Unspecified => Tone::Doubtful,
    }
}

/// Conditions as a table of a page.
pub(super) fn condition_columns() -> Vec<Column<Condition>> {
    vec![
        Column::new("CONDITION", |one: &Condition, _| one.r#type.clone().into()),
        Column::new("HOLDS", |one, _| Cell::toned(holds(one), condition_tone(one))),
        Column::new("FOR", |one, now| age(one.last_transition_time.as_ref(), now).into()),
        Column::new("REASON", |one, _| one.reason.clone().into()),
        Column::new("MESSAGE", |one, _| one.message.clone().into()),
    ]
}

/// Objects as a table of a page.
pub(super) fn object_columns() -> Vec<Column<SessionObject>> {
    vec![
        Column::new("OBJECT", |one: &SessionObject, _| one.kind.clone().into()),
        Column::new("NAME", |one, _| one.name.clone().into()),
        Column::new("STATUS", |one, _| one.status.clone().into()),
    ]
}

/// Events as a table of a page.
pub(super) fn event_columns() -> Vec<Column<ClusterEvent>> {
    vec![
        Column::new("SAID", |one: &ClusterEvent, now| age(one.time.as_ref(), now).into()),
        Column::new("KIND", |one, _| {
            if one.warning { Cell::toned("warning", Tone::Bad) } else { "normal".into() }
        }),
        Column::new("REASON", |one, _| one.reason.clone().into()),
        Column::new("ABOUT", |one, _| one.object.clone().into()),
        Column::new("TIMES", |one, _| one.count.into()),
        Column::new("MESSAGE", |one, _| one.message.clone().into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_a_word_and_a_deletion_is_told() {
        let mut session = Session { phase: SessionPhase::Failed.into(), ..Session::default() };
        assert_eq!(phase(&session), Cell::toned("failed", Tone::Bad));
        session.deleting = true;
        assert_eq!(phase(&session), Cell::toned("deleting", Tone::Doubtful));
        assert_eq!(phase_word(&Session::default()), "not seen yet");
    }

    #[test]
    fn spans_are_brief() {
        let of = |seconds| span(Some(&prost_types::Duration { seconds, nanos: 0 }));
        assert_eq!(
            (of(1800), of(28_800), of(5400), of(1)),
            ("30m".into(), "8h".into(), "1h30m".into(), "1s".into())
        );
        assert_eq!((of(0), span(None)), ("0s".into(), String::new()));
    }
}
