//! Why a command failed, told so that a person at three in the morning can act on
//! it: what happened, why, what next, and the id that the logs know it by.

use std::{collections::BTreeMap, fmt::Write as _};

use streamspace_client::{ClientError, Refusal, text::escape_lines};
use tonic::Code;

use crate::exit::{self, Exit};

/// The outcome of a command.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a command ends other than done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The daemon or the way to it.
    Client {
        /// What was being done, as in "cannot …".
        doing: Option<String>,
        /// What came of it.
        error: ClientError,
    },
    /// The command or a value in it is wrong.
    Usage {
        /// What is wrong.
        message: String,
        /// What to write instead.
        next: String,
    },
    /// Something on this machine.
    Local {
        /// What happened.
        message: String,
        /// What to do.
        next: String,
    },
    /// Nothing was done; something would change. The preview was printed.
    Changes,
    /// A preview in which nothing changes.
    NothingToDo,
    /// What was checked does not hold. The findings were printed.
    CheckFailed {
        /// What does not hold.
        message: String,
        /// What to do.
        next: String,
    },
    /// A wait was longer than its limit.
    Waited {
        /// What was waited for, and what it is at.
        message: String,
        /// How to look at it further.
        next: String,
    },
    /// An operation ended in an error.
    Operation {
        /// Its name.
        name: String,
        /// A gRPC code.
        code: Code,
        /// The daemon's words.
        message: String,
    },
    /// Some of several things failed; each was told.
    PartlyDone {
        /// How many were done.
        done: usize,
        /// How many were not.
        failed: usize,
    },
    /// All of several things failed; each was told.
    AllFailed(Exit),
    /// Some of several regions were not read; each was told.
    Unread {
        /// How many were not read.
        unread: usize,
        /// How many were asked.
        asked: usize,
    },
    /// Stopped by the user.
    Interrupted,
    /// Nobody reads the output any more: no failure of ours.
    ReaderGone,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client { doing: None, error }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Self::Local {
            message: format!("cannot write the output: {error}"),
            next: "check where the output goes".into(),
        }
    }
}

impl From<streamspace_proto::json::JsonError> for Failure {
    fn from(error: streamspace_proto::json::JsonError) -> Self {
        ClientError::Unexpected(error.to_string()).into()
    }
}

impl Failure {
    /// There is no such thing, found out here: the contract has no call for one.
    pub(crate) fn not_found(name: &str) -> Self {
        let refusal = Refusal {
            code: Code::NotFound,
            message: format!("there is no {name}"),
            reason: None,
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            request_id: None,
        };
        ClientError::Refused(Box::new(refusal)).into()
    }

    /// The tenant's state is in the way, found out here: the change itself was taken.
    pub(crate) fn tenant_state(message: String) -> Self {
        let refusal = Refusal {
            code: Code::FailedPrecondition,
            message,
            reason: Some("TENANT_STATE".into()),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            request_id: None,
        };
        ClientError::Refused(Box::new(refusal)).into()
    }
}

/// Says what was being done when it failed.
pub(crate) trait Doing<T> {
    /// `what` completes "cannot …".
    fn doing(self, what: impl FnOnce() -> String) -> Outcome<T>;
}

impl<T, E: Into<ClientError>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Outcome<T> {
        self.map_err(|error| Failure::Client { doing: Some(what()), error: error.into() })
    }
}

impl Failure {
    /// How the process ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Client { error, .. } => error.into(),
            Self::Usage { .. } => Exit::Usage,
            Self::Local { .. } => Exit::Local,
            Self::Changes => Exit::Changes,
            Self::Waited { .. } => Exit::TimedOut,
            Self::Operation { code, .. } => exit::of_status(*code, None),
            Self::PartlyDone { .. } => Exit::PartlyDone,
            Self::AllFailed(exit) => *exit,
            Self::Unread { .. } => Exit::SomeUnread,
            Self::Interrupted => Exit::Interrupted,
            Self::ReaderGone | Self::NothingToDo => Exit::Done,
            Self::CheckFailed { .. } => Exit::CheckFailed,
        }
    }

    /// What stderr shows; nothing where the output said it already.
    pub(crate) fn report(&self, colour: bool) -> String {
        self.report_from("", colour)
    }

    /// As [`Failure::report`], with whose failure it is before what happened.
    pub(crate) fn report_from(&self, whose: &str, colour: bool) -> String {
        let mut report = Report::new(whose, colour);
        match self {
            Self::Changes | Self::NothingToDo | Self::ReaderGone | Self::AllFailed(_) => {
                return String::new();
            }
            Self::Client { doing, error } => client_report(&mut report, doing.as_deref(), error),
            Self::Usage { message, next }
            | Self::Local { message, next }
            | Self::CheckFailed { message, next }
            | Self::Waited { message, next } => {
                report.headline(message);
                report.line("next", next);
            }
            Self::Operation { name, message, .. } => {
                report.headline(&format!("{name} failed"));
                report.line("why", message);
                report.line("next", &format!("`ssctl operation show {name}` has the details"));
            }
            Self::PartlyDone { done, failed } => {
                report.headline(&format!("{done} done, {failed} not; see above"));
            }
            Self::Unread { unread, asked } => {
                let were = if *unread == 1 { "is" } else { "are" };
                report.headline(&format!("{unread} of {asked} regions {were} not read; see above"));
                report.line("next", "the rest is printed; --context NAME,NAME asks fewer regions");
            }
            Self::Interrupted => {
                return "interrupted; what the daemon accepted goes on
"
                .into();
            }
        }
        report.text
    }
}

impl Failure {
    /// What happened, in one sentence: for a cell of a table.
    pub(crate) fn brief(&self) -> String {
        match self {
            Self::Client { error, .. } => error.to_string(),
            Self::Usage { message, .. }
            | Self::Local { message, .. }
            | Self::CheckFailed { message, .. }
            | Self::Waited { message, .. }
            | Self::Operation { message, .. } => message.clone(),
            Self::PartlyDone { done, failed } => format!("{done} done, {failed} not"),
            Self::Unread { unread, asked } => format!("{unread} of {asked} regions are not read"),
            Self::AllFailed(_) => "all of it failed".into(),
            Self::Changes => "something would change".into(),
            Self::Interrupted => "interrupted".into(),
            Self::NothingToDo | Self::ReaderGone => String::new(),
        }
    }

    /// What to do about it, where that is known.
    pub(crate) fn next_step(&self) -> Option<String> {
        match self {
            Self::Client { error, .. } => error.next_step(),
            Self::Usage { next, .. }
            | Self::Local { next, .. }
            | Self::CheckFailed { next, .. }
            | Self::Waited { next, .. } => Some(next.clone()),
            _ => None,
        }
    }
}

fn client_report(report: &mut Report<'_>, doing: Option<&str>, error: &ClientError) {
    let message = error.to_string();
    match doing {
        Some(doing) => {
            report.headline(&format!("cannot {doing}"));
            report.line("why", &message);
        }
        None => report.headline(&message),
    }
    if let ClientError::Refused(refusal) = error {
        for (field, description) in &refusal.violations {
            let told = format!("{field}: {description}");
            // The message often is the violation already.
            if !message.contains(&told) {
                report.line("field", &told);
            }
        }
        if let Some(rule) = refusal.metadata.get("rule") {
            report.line("rule", rule);
        }
        if let Some(reason) = &refusal.reason {
            report.line("reason", reason);
        }
    }
    if let Some(next) = error.next_step() {
        report.line("next", &next);
    }
    if let Some(id) = error.request_id() {
        report.line("request", id);
    }
}

/// The longest headline, in characters.
const HEADLINE_MAXIMUM: usize = 300;

struct Report<'a> {
    text: String,
    whose: &'a str,
    colour: bool,
}

impl<'a> Report<'a> {
    fn new(whose: &'a str, colour: bool) -> Self {
        Self { text: String::new(), whose, colour }
    }

    fn headline(&mut self, message: &str) {
        let label = if self.colour { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" };
        // It can repeat what was typed, and that can be a whole file.
        let shown: String = message.chars().take(HEADLINE_MAXIMUM).collect();
        let dots = if shown.len() < message.len() { "…" } else { "" };
        let whose = if self.whose.is_empty() { "" } else { &format!("{}: ", self.whose) };
        self.push(label, &format!("{whose}{shown}{dots}"));
    }

    fn line(&mut self, label: &str, message: &str) {
        let label = format!("{label}:");
        self.push(&format!("  {label:<8}"), message);
    }

    fn push(&mut self, label: &str, message: &str) {
        let message = escape_lines(message.trim_end());
        let message = message.replace('\n', "\n           ");
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{label} {message}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Refusal {
        Refusal {
            code: Code::PermissionDenied,
            message: "the role viewer may not delete\u{1b}[2J".into(),
            reason: Some("ROLE_MISSING".into()),
            metadata: BTreeMap::from([("rule".into(), "least-role".into())]),
            violations: vec![("reason".into(), "give one".into())],
            request_id: Some("0190".into()),
        }
    }

    #[test]
    fn a_refusal_tells_what_why_next_and_where_to_look() {
        let error = ClientError::Refused(Box::new(refusal()));
        let failure = Err::<(), _>(error).doing(|| "delete tenants/acme".into()).unwrap_err();
        assert_eq!(failure.exit(), Exit::Denied);
        let report = failure.report(false);
        assert_eq!(
            report,
            "error: cannot delete tenants/acme\n\
             \u{20} why:     the role viewer may not delete\\u{1b}[2J\n\
             \u{20} field:   reason: give one\n\
             \u{20} rule:    least-role\n\
             \u{20} reason:  ROLE_MISSING\n\
             \u{20} next:    `ssctl whoami` shows your role, `ssctl access why METHOD` the rule; an administrator can give you another\n\
             \u{20} request: 0190\n"
        );
    }

    #[test]
    fn only_a_terminal_gets_colour() {
        let failure = Failure::Usage { message: "no".into(), next: "yes".into() };
        assert!(failure.report(true).contains('\u{1b}'));
        assert!(!failure.report(false).contains('\u{1b}'));
    }
}
