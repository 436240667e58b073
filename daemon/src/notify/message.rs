//! What a notice says, and how long it may be.

use std::{collections::BTreeMap, fmt::Write as _};

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use streamspace_core::text::escape;

/// The longest key: as long as PagerDuty takes.
const KEY_MAXIMUM: usize = 255;
/// The longest summary, in characters: as long as PagerDuty takes.
const SUMMARY_MAXIMUM: usize = 1_024;
/// The longest value of a detail, and the longest text for the public.
const TEXT_MAXIMUM: usize = 8_000;
/// The longest name of a detail, a component or a label.
const NAME_MAXIMUM: usize = 128;
/// The longest link.
const LINK_MAXIMUM: usize = 2_048;
/// So many details, components and matchers at most.
const MANY: usize = 64;

/// How bad it is, in PagerDuty's four words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// People are hit, now.
    Critical,
    /// Something does not do what it should.
    Error,
    /// It will be so, if nobody acts.
    Warning,
    /// To know.
    #[default]
    Info,
}

impl Level {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// What a notice says, in no channel's words.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(default)]
pub struct Message {
    /// One line.
    pub summary: String,
    /// How bad it is.
    pub severity: Level,
    /// What it is about: `regions/us-west-2`.
    pub source: String,
    /// What else there is to know.
    pub details: BTreeMap<String, String>,
    /// Where to read more.
    pub link: String,
    /// What the public is told; for `Publish`.
    pub status: Option<StatusUpdate>,
    /// What is silenced; for `Silence` and `Unsilence`. A `Publish` of planned work takes its
    /// beginning and end from here.
    pub silence: Option<Silence>,
}

/// What the public is told.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct StatusUpdate {
    /// What it is, in a few words.
    pub title: String,
    /// What is known and done.
    pub body: String,
    /// How far it is.
    pub state: PublicState,
    /// The components that are hit, by the ids that the status page gave them.
    pub components: Vec<String>,
}

/// How far an incident or planned work is, in the words of status pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicState {
    /// Somebody looks.
    Investigating,
    /// The cause is known.
    Identified,
    /// It is mended, and watched.
    Monitoring,
    /// It is over.
    Resolved,
    /// Planned work that has not begun.
    Scheduled,
    /// Planned work that has begun.
    InProgress,
    /// Planned work that is done.
    Completed,
}

impl PublicState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Investigating => "investigating",
            Self::Identified => "identified",
            Self::Monitoring => "monitoring",
            Self::Resolved => "resolved",
            Self::Scheduled => "scheduled",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
        }
    }

    /// Whether it is of planned work.
    pub(super) fn is_planned(self) -> bool {
        matches!(self, Self::Scheduled | Self::InProgress | Self::Completed)
    }
}

/// Alerts that are not told for a time.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Which alerts: those whose labels match all of these.
    pub matchers: Vec<Matcher>,
    /// From when.
    pub starts: Timestamp,
    /// Until when.
    pub ends: Timestamp,
    /// Who wants it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// What a label must be.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// Its value, or a regular expression.
    pub value: String,
    /// Whether `value` is a regular expression.
    pub is_regex: bool,
    /// Whether it must match; if not, it must not.
    pub is_equal: bool,
}

impl Message {
    /// The same, cut to what receivers take and without characters that act on terminals.
    pub(super) fn bounded(&self) -> Self {
        let details = self.details.iter().take(MANY);
        Self {
            summary: line(&self.summary, SUMMARY_MAXIMUM),
            severity: self.severity,
            source: line(&self.source, NAME_MAXIMUM),
            details: details
                .map(|(name, value)| (line(name, NAME_MAXIMUM), text(value, TEXT_MAXIMUM)))
                .collect(),
            link: line(&self.link, LINK_MAXIMUM),
            status: self.status.as_ref().map(|status| StatusUpdate {
                title: line(&status.title, NAME_MAXIMUM),
                body: text(&status.body, TEXT_MAXIMUM),
                state: status.state,
                components: lines(&status.components),
            }),
            silence: self.silence.as_ref().map(|silence| Silence {
                // A matcher less would silence more: those are never cut. Nothing is escaped
                // in them, as that would match something else; they are shown to nobody.
                matchers: silence.matchers.clone(),
                starts: silence.starts,
                ends: silence.ends,
                created_by: line(&silence.created_by, NAME_MAXIMUM),
                comment: line(&silence.comment, SUMMARY_MAXIMUM),
            }),
        }
    }
}

/// A text of one line.
pub(super) fn line(value: &str, maximum: usize) -> String {
    cut(escape(value), maximum)
}

/// A text of several lines.
pub(super) fn text(value: &str, maximum: usize) -> String {
    let lines: Vec<String> = value.lines().map(escape).collect();
    cut(lines.join("\n"), maximum)
}

fn lines(values: &[String]) -> Vec<String> {
    values.iter().take(MANY).map(|value| line(value, NAME_MAXIMUM)).collect()
}

fn cut(value: String, maximum: usize) -> String {
    if value.chars().count() <= maximum {
        return value;
    }
    let kept = value.chars().take(maximum.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// A key that every receiver takes: printable ASCII, of bounded length. What is not so is
/// named by its digest, so that it still is the same each time and no other's.
pub(super) fn key(value: &str) -> String {
    let fits = value.len() <= KEY_MAXIMUM && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if fits {
        return value.to_owned();
    }
    let mut named = String::from("sha256:");
    for byte in digest::digest(&digest::SHA256, value.as_bytes()).as_ref() {
        // Writing into a text does not fail.
        let _written = write!(named, "{byte:02x}");
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_and_acts_on_no_terminal() {
        let message = Message {
            summary: format!("\u{1b}[2J{}", "x".repeat(5_000)),
            details: (0..100).map(|n| (format!("k{n}"), "a\nb\u{202e}".into())).collect(),
            ..Message::default()
        };
        let bounded = message.bounded();
        assert_eq!(bounded.summary.chars().count(), SUMMARY_MAXIMUM);
        assert!(bounded.summary.starts_with("\\u{1b}[2J") && bounded.summary.ends_with('…'));
        assert_eq!(bounded.details.len(), MANY);
        assert_eq!(bounded.details["k0"], "a\nb\\u{202e}");
        assert_eq!(bounded.bounded().summary.chars().count(), SUMMARY_MAXIMUM);
    }

    #[test]
    fn a_key_stays_or_is_named_by_its_digest() {
        assert_eq!(key("streamspace/us-west-2/incidents/7"), "streamspace/us-west-2/incidents/7");
        for odd in ["ä", "a\nb", &"x".repeat(256)] {
            let named = key(odd);
            assert!(named.starts_with("sha256:") && named.len() == 71, "{named}");
        }
        assert_ne!(key("ä"), key("ö"));
    }
}
