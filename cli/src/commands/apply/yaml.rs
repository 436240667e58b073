//! Text of YAML or JSON as a tree that knows its lines. Outside bytes: what is
//! hostile in them is refused here, and nothing else of this program reads them.
//!
//! Stricter than YAML itself where YAML guesses: `no` is text and no boolean, `007`
//! and `1_000` are text and no numbers, a key stands once, merge keys and tags of
//! programs are refused.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{
    DuplicateKeyPolicy, Error, MergeKeyPolicy, NonFiniteFloatPolicy, Options, Spanned,
};

/// How deep lists and maps may stand in each other. Ours need five.
const DEEPEST: usize = 32;
/// How many documents a file may have.
const MOST_DOCUMENTS: usize = 10_000;
/// How many nodes a file may have.
const MOST_NODES: usize = 1_000_000;
/// How many nodes aliases may stand for, all together.
const MOST_REPEATED: usize = 10_000;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// The line, from 1.
    pub(super) line: u64,
    /// Where its text begins, in bytes, where that is known.
    begin: Option<usize>,
    /// What it is.
    pub(super) value: Value,
}

/// What stands there.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Whole(i128),
    Real(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Value {
    /// What it is, for messages, with what was written where that is short.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Null => "nothing".into(),
            Self::Bool(value) => value.to_string(),
            Self::Whole(value) => format!("the number {value}"),
            Self::Real(value) => format!("the number {value}"),
            Self::Text(text) => format!("the text {:?}", short(text)),
            Self::List(_) => "a list".into(),
            Self::Map(_) => "a map".into(),
        }
    }
}

/// The beginning of a text that may be a whole file.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 40;
    let mut shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Why a text is refused, and the line where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: Option<u64>,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(line: u64, message: impl Into<String>) -> Self {
        Self { line: (line > 0).then_some(line), message: message.into() }
    }
}

/// All documents of a file but empty ones.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Node>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        Fault::new(line_of(before), "this is not UTF-8 text: save it as UTF-8")
    })?;
    // The parser takes some of them as white space; nobody means to write one.
    if let Some(at) = text.find(|c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
        let before = text.as_bytes().get(..at).unwrap_or_default();
        let code = text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, u32::from);
        let message = format!("the control character U+{code:04X} cannot stand in a file");
        return Err(Fault::new(line_of(before), message));
    }
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let parsed: Result<Vec<Node>, _> = serde_saphyr::from_multiple_with_options(text, options());
    let mut nodes = parsed.map_err(|error| fault(&error))?;
    for node in &mut nodes {
        keep_plus(node, text);
    }
    Ok(nodes)
}

/// A number with a plus stays text: to people `+40` is forty more, and to YAML it
/// would be forty.
fn keep_plus(node: &mut Node, text: &str) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| keep_plus(item, text)),
        Value::Map(entries) => {
            for (key, value) in entries {
                keep_plus(key, text);
                keep_plus(value, text);
            }
        }
        Value::Whole(_) | Value::Real(_) => {
            let rest = node.begin.and_then(|begin| text.get(begin..)).unwrap_or_default();
            if rest.starts_with('+') {
                let is_part = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                node.value = Value::Text(rest.get(..end).unwrap_or_default().to_owned());
            }
        }
        Value::Null | Value::Bool(_) | Value::Text(_) => {}
    }
}

fn line_of(before: &[u8]) -> u64 {
    let lines = before.split(|byte| *byte == b'\n').count();
    u64::try_from(lines).unwrap_or(u64::MAX)
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            max_documents: MOST_DOCUMENTS,
            max_nodes: MOST_NODES,
            max_events: MOST_NODES * 2,
            max_aliases: MOST_REPEATED,
            max_anchors: MOST_REPEATED,
            max_recorded_anchor_events: MOST_REPEATED * 10,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MOST_REPEATED,
            max_replay_stack_depth: 8,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// The parser's error in our words, where it is one that a person may meet.
fn fault(error: &Error) -> Fault {
    let error = match error.without_snippet() {
        Error::AliasError { error, .. } => error.without_snippet(),
        error => error,
    };
    let line = error.location().map_or(0, |location| location.line());
    let message = match error {
        Error::DuplicateMappingKey { key, .. } => match key {
            Some(key) => format!("{:?} is given twice: keep one of them", short(key)),
            None => "a key is given twice: keep one of them".into(),
        },
        Error::MergeKeyNotAllowed { .. } => {
            "merge keys (<<) are not taken: write the fields out".into()
        }
        Error::UnsupportedTag { tag, .. } => {
            format!("the tag {} is not taken: leave it out", short(tag))
        }
        Error::NonFiniteFloat { value, .. } => {
            format!("{} is no number that can be counted with", short(value))
        }
        Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "its aliases (*name) stand for too much: write the fields out".into()
        }
        Error::UnknownAnchor { .. } => {
            "an alias (*name) names an anchor (&name) that is not there".into()
        }
        Error::Budget { breach, .. } => breached(breach),
        other => plain(&other.to_string()),
    };
    Fault::new(line, message)
}

fn breached(breach: &serde_saphyr::budget::BudgetBreach) -> String {
    use serde_saphyr::budget::BudgetBreach as Breach;
    match breach {
        Breach::Depth { .. } => too_deep(),
        Breach::Documents { .. } => {
            format!("it has more than {MOST_DOCUMENTS} documents: split it")
        }
        Breach::Aliases { .. }
        | Breach::Anchors { .. }
        | Breach::AliasAnchorRatio { .. }
        | Breach::RecordedAnchorEvents { .. }
        | Breach::RecordedAnchorBytes { .. } => {
            "its aliases (*name) stand for too much: write the fields out".into()
        }
        _ => "it is larger than what a person writes: split it".into(),
    }
}

/// The parser's words without the place, which stands before them already, and not
/// longer than a line or two.
fn plain(message: &str) -> String {
    const MOST: usize = 200;
    let first = message.lines().next().unwrap_or_default();
    let told = first.split(" at line ").next().unwrap_or(first);
    if told == "recursion limit exceeded" {
        return too_deep();
    }
    let told: String = told.chars().take(MOST).collect();
    format!("this is no YAML: {told}")
}

fn too_deep() -> String {
    format!("lists and maps stand in each other deeper than {DEEPEST} times")
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        let place = spanned.referenced;
        let begin = place.span().byte_offset().and_then(|at| usize::try_from(at).ok());
        Ok(Self { line: place.line(), begin, value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Whole(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Whole(value.into()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Whole(value))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        // What is larger fits into no field either.
        Ok(Value::Whole(i128::try_from(value).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Real(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Value::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            all.push(entry);
        }
        Ok(Value::Map(all))
    }
}
