//! One thing that was looked at, and what was found.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use streamspace_client::{ClientError, text::escape_lines};

use crate::{
    output::{Cell, Column, Tone},
    shell::Stream,
};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It works, and somebody should look.
    Warning,
    /// It does not work.
    Failed,
    /// What it stands on failed.
    Skipped,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Warning => Tone::Doubtful,
            Self::Failed => Tone::Bad,
            Self::Skipped => Tone::Plain,
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// The context; empty for what belongs to the machine.
    pub(super) context: String,
    /// What was looked at.
    pub(super) name: String,
    pub(super) state: State,
    /// What was found.
    pub(super) message: String,
    /// What to do.
    pub(super) next: String,
}

impl Check {
    fn new(name: impl Into<String>, state: State, message: impl Into<String>) -> Self {
        let (name, message) = (name.into(), message.into());
        Self { context: String::new(), name, state, message, next: String::new() }
    }

    pub(super) fn ok(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(name, State::Ok, message)
    }

    pub(super) fn warning(
        name: impl Into<String>,
        message: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { next: next.into(), ..Self::new(name, State::Warning, message) }
    }

    pub(super) fn failed(
        name: impl Into<String>,
        message: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { next: next.into(), ..Self::new(name, State::Failed, message) }
    }

    /// It could not be looked at: that failed first.
    pub(super) fn skipped(name: impl Into<String>, because: &str) -> Self {
        Self::new(name, State::Skipped, format!("not looked at: {because}"))
    }

    /// An error with its own remedy.
    pub(super) fn error(name: impl Into<String>, error: &ClientError) -> Self {
        let next = error.next_step().unwrap_or_default();
        let mut message = error.to_string();
        if let Some(id) = error.request_id() {
            message = format!("{message} (request {id})");
        }
        Self::failed(name, message, next)
    }

    pub(super) fn of(mut self, context: &str) -> Self {
        context.clone_into(&mut self.context);
        self
    }

    /// For programs.
    pub(super) fn value(&self) -> Value {
        let mut value = Map::new();
        for (key, text) in [
            ("context", self.context.as_str()),
            ("check", &self.name),
            ("state", self.state.word()),
            ("message", &self.message),
            ("next", &self.next),
        ] {
            if !text.is_empty() {
                value.insert(key.into(), text.into());
            }
        }
        value.into()
    }
}

/// The columns of `-o csv`.
pub(super) fn columns() -> Vec<Column<Check>> {
    vec![
        Column::new("CONTEXT", |check: &Check, _| check.context.clone().into()),
        Column::new("CHECK", |check, _| check.name.clone().into()),
        Column::new("STATE", |check, _| Cell::toned(check.state.word(), check.state.tone())),
        Column::new("MESSAGE", |check, _| check.message.clone().into()),
        Column::new("NEXT", |check, _| check.next.clone().into()),
    ]
}

/// The checks as people read them: a line each, a remedy below, a title for each context.
pub(super) fn page(checks: &[Check], stream: Stream) -> String {
    let mut text = String::new();
    let mut context = None;
    let widest = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    for check in checks {
        if context != Some(&check.context) {
            if context.is_some() {
                text.push('\n');
            }
            let title = match check.context.as_str() {
                "" => "this machine".to_owned(),
                name => format!("context {name}"),
            };
            text.push_str(&bold(&escape_lines(&title), stream));
            text.push('\n');
            context = Some(&check.context);
        }
        let padding = " ".repeat("warning".len() - check.state.word().len());
        let state = coloured(check.state, stream);
        let indent = 2 + "warning".len() + 2 + widest + 2;
        // What comes from elsewhere, a daemon's words, acts on no terminal.
        let message = escape_lines(check.message.trim_end());
        let message = message.replace('\n', &format!("\n{:indent$}", ""));
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {state}{padding}  {:<widest$}  {message}", check.name);
        if !check.next.is_empty() {
            let next = escape_lines(check.next.trim_end()).replace('\n', " ");
            let _ = writeln!(text, "{:indent$}next: {next}", "");
        }
    }
    text
}

fn bold(text: &str, stream: Stream) -> String {
    if stream.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn coloured(state: State, stream: Stream) -> String {
    let code = match state.tone() {
        Tone::Good => "32",
        Tone::Doubtful => "33",
        Tone::Bad => "1;31",
        Tone::Plain => "0",
    };
    let word = state.word();
    if stream.colour { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Stream = Stream { terminal: false, colour: false };

    #[test]
    fn each_check_has_a_line_and_its_remedy() {
        let checks = [
            Check::ok("terminal", "fine"),
            Check::failed("tls", "the daemon said \u{1b}[2J\nmore", "do\nthat").of("dev"),
            Check::skipped("answer", "there is no connection").of("dev"),
        ];
        assert_eq!(
            page(&checks, PLAIN),
            "this machine\n\
             \u{20} ok       terminal  fine\n\
             \n\
             context dev\n\
             \u{20} failed   tls       the daemon said \\u{1b}[2J\n\
             \u{20}                    more\n\
             \u{20}                    next: do that\n\
             \u{20} skipped  answer    not looked at: there is no connection\n"
        );
        let coloured = page(&checks, Stream { terminal: true, colour: true });
        assert!(coloured.contains("\u{1b}[1;31mfailed\u{1b}[0m"), "{coloured}");
    }

    #[test]
    fn programs_get_what_there_is() {
        let check = Check::warning("clock", "late", "set it").of("dev");
        assert_eq!(
            check.value(),
            serde_json::json!({
                "context": "dev", "check": "clock", "state": "warning",
                "message": "late", "next": "set it",
            })
        );
        let check = Check::ok("terminal", "fine");
        assert_eq!(check.value().as_object().unwrap().len(), 3);
    }
}
