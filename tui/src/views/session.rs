//! All about one session: what it is, what it requests, its objects, and what the
//! cluster says of them.

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_proto::v1::{self, ClusterEvent, DescribeSessionResponse};

use super::{
    View, changes, conditions,
    text::{self, Line},
};
use crate::{
    format::{age, date_and_time, instant, seconds_since},
    pen::{Pen, text_width},
    rows::{Key, Row as _, Session, shell_word, tone},
    state::{Answer, Question, State},
    theme::Tone,
};

pub(super) struct SessionPage<'a>(pub(super) &'a Key);

impl View for SessionPage<'_> {
    fn crumbs(&self, state: &State) -> Vec<String> {
        match state.sessions.get(self.0) {
            Some(session) => vec!["sessions".into(), escape(session.path()).into()],
            None => vec!["sessions".into(), "gone".into()],
        }
    }

    fn command(&self, state: &State) -> Option<String> {
        let session = state.sessions.get(self.0)?;
        Some(format!("ssctl session describe {}", shell_word(&escape(session.path()))))
    }

    fn lines(&self, state: &State, width: u16) -> Vec<Line> {
        lines(self.0, state, usize::from(width).saturating_sub(2))
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let lines = self.lines(state, pen.width());
        text::draw(&lines, state.scroll, state.is_live(self.0.region), pen);
    }
}

fn lines(key: &Key, state: &State, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    match state.sessions.get(key) {
        Some(session) => head(session, width, &mut lines),
        None => lines.push(text::gone("session", state)),
    }
    let name = state.sessions.get(key).map(Session::name);
    let detail = name.and_then(|name| state.details.get(key.region, &Question::Session(name)));
    match detail.and_then(|detail| Some((detail, detail.answer.as_ref()?))) {
        Some((detail, (_, Answer::Session(answer)))) => {
            text::grown_old(detail, state, width, &mut lines);
            described(answer, state.now, width, &mut lines);
        }
        _ if state.sessions.get(key).is_some() => {
            lines.push(Vec::new());
            text::asking(detail, key.region, state, width, &mut lines);
        }
        _ => {}
    }
    text::heading("CHANGED since this was opened", &mut lines);
    changes::lines_about(state, key, &mut lines);
    lines
}

fn head(session: &Session, width: usize, lines: &mut Vec<Line>) {
    lines.push(vec![
        (format!("{}  ", escape(session.path())), Tone::Strong),
        (session.phase_word().into(), tone(session.wellness())),
        (format!("  of {}", session.user()), Tone::Plain),
    ]);
    text::words(&session.message, tone(session.wellness()), width, lines);
}

fn described(
    answer: &DescribeSessionResponse,
    now: Timestamp,
    width: usize,
    lines: &mut Vec<Line>,
) {
    if let Some(session) = &answer.session {
        conditions::lines(&session.conditions, now, width, lines);
        text::heading("SESSION", lines);
        text::fields(fields(session, now), width, lines);
    }
    text::heading("OBJECTS in the cluster", lines);
    let kinds = || answer.objects.iter().map(|object| escape(&object.kind));
    let widest = kinds().map(|kind| text_width(&kind)).max().unwrap_or(0).min(32);
    for (object, kind) in answer.objects.iter().zip(kinds()) {
        let room = widest.saturating_sub(text_width(&kind)) + 1;
        lines.push(vec![
            (format!("{kind}{}", " ".repeat(room)), Tone::Dim),
            (escape(&object.name).into_owned(), Tone::Plain),
            (format!("  {}", escape(&object.status)), Tone::Dim),
        ]);
    }
    if answer.objects.is_empty() {
        lines.push(vec![("none".into(), Tone::Dim)]);
    }
    text::heading("EVENTS, the newest first", lines);
    for event in answer.events.iter().rev() {
        told(event, now, width, lines);
    }
    if answer.events.is_empty() {
        lines.push(vec![("none".into(), Tone::Dim)]);
    }
    text::words(&escape(&answer.message), Tone::Warn, width, lines);
}

fn told(event: &ClusterEvent, now: Timestamp, width: usize, lines: &mut Vec<Line>) {
    let old = instant(event.time.as_ref()).map(|time| age(seconds_since(time, now)));
    let tone = if event.warning { Tone::Warn } else { Tone::Plain };
    let often = if event.count > 1 { format!(" {}×", event.count) } else { String::new() };
    lines.push(vec![
        (format!("{:>6} ", old.unwrap_or_default()), Tone::Dim),
        (escape(&event.reason).into_owned(), tone),
        (often, Tone::Dim),
        (format!("  {}", escape(&event.object)), Tone::Dim),
    ]);
    text::words(&escape(&event.message), Tone::Plain, width, lines);
}

fn fields(session: &v1::Session, now: Timestamp) -> Vec<(&'static str, String)> {
    let time = |time: Option<&prost_types::Timestamp>| {
        instant(time).map_or(String::new(), |time| {
            format!("{} UTC, {} ago", date_and_time(time), age(seconds_since(time, now)))
        })
    };
    let span = |span: Option<&prost_types::Duration>| {
        span.map_or(String::new(), |span| age(span.seconds.max(0)))
    };
    let replicas = (session.max_replicas > 0).then(|| session.max_replicas.to_string());
    let fields = [
        ("template", session.template.clone()),
        ("cpu", session.cpu.clone()),
        ("memory", session.memory.clone()),
        ("home", if session.without_home { "not mounted" } else { "mounted" }.into()),
        ("idle timeout", span(session.idle_timeout.as_ref())),
        ("longest run", span(session.max_session_duration.as_ref())),
        ("replicas", replicas.unwrap_or_default()),
        ("tags", session.tags.join(", ")),
        ("pod", session.pod_name.clone()),
        ("node", session.node.clone()),
        ("url", session.url.clone()),
        ("last used", time(session.last_activity_time.as_ref())),
        ("awake since", time(session.awake_time.as_ref())),
        ("created", time(session.create_time.as_ref())),
        ("uid", session.uid.clone()),
    ];
    fields.map(|(name, value)| (name, escape(&value).into_owned())).into()
}
