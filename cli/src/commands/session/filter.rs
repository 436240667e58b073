//! Which sessions: the flags of a list and of a change, as the expression that the
//! daemon reads.

use std::time::Duration;

use clap::{Args, ValueEnum};
use streamspace_proto::v1::SessionPhase;

use super::super::audit::quoted;
use crate::time::parse_duration;

/// Who and what, for lists and changes alike.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct OfArgs {
    /// Only those of the user
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,
    /// Only those of the template
    #[arg(long, value_name = "NAME")]
    pub(super) template: Option<String>,
    /// Only those that match, for example 'phase = "Running" AND idle > 3600'
    #[arg(long, value_name = "EXPRESSION")]
    pub(super) filter: Option<String>,
}

/// How they are, for lists.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct HowArgs {
    /// Only those that are so far
    #[arg(long, value_enum)]
    pub(super) phase: Option<PhaseArg>,
    /// Only those that should be so
    #[arg(long, value_enum)]
    pub(super) state: Option<StateArg>,
    /// Only those on the node
    #[arg(long, value_name = "NAME")]
    pub(super) node: Option<String>,
    /// Only those that were created so long ago or longer: 30m, 2h, 7d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(super) older_than: Option<Duration>,
    /// Only those that nobody used for so long or longer: 30m, 2h, 7d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(super) idle_for: Option<Duration>,
}

/// How far a session is, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PhaseArg {
    /// It starts, or waits until it may
    Pending,
    /// A pod of it is ready
    Running,
    /// It is scaled to zero
    Hibernated,
    /// It cannot run
    Failed,
    /// It is gone but for the home
    Terminated,
}

/// What a session should be, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateArg {
    /// It runs
    Running,
    /// It is scaled to zero and wakes again
    Hibernated,
    /// All but the home is removed
    Terminated,
}

impl PhaseArg {
    fn phase(self) -> SessionPhase {
        match self {
            Self::Pending => SessionPhase::Pending,
            Self::Running => SessionPhase::Running,
            Self::Hibernated => SessionPhase::Hibernated,
            Self::Failed => SessionPhase::Failed,
            Self::Terminated => SessionPhase::Terminated,
        }
    }
}

impl StateArg {
    fn in_filter(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Hibernated => "hibernated",
            Self::Terminated => "terminated",
        }
    }
}

/// A phase as the cluster and filters write it; nothing where none was observed.
pub(crate) fn phase_in_filter(phase: SessionPhase) -> &'static str {
    match phase {
        SessionPhase::Unspecified => "",
        SessionPhase::Pending => "Pending",
        SessionPhase::Running => "Running",
        SessionPhase::Hibernated => "Hibernated",
        SessionPhase::Failed => "Failed",
        SessionPhase::Terminated => "Terminated",
    }
}

impl OfArgs {
    /// The expression; empty where nothing was given.
    pub(super) fn expression(&self) -> String {
        joined(Vec::new(), self)
    }

    /// The expression with how they are.
    pub(super) fn expression_with(&self, how: &HowArgs) -> String {
        joined(how.terms(), self)
    }
}

impl HowArgs {
    fn terms(&self) -> Vec<String> {
        let seconds = |field: &str, span: Option<Duration>| {
            span.map(|span| format!("{field} >= {}", span.as_secs()))
        };
        let parts = [
            self.phase.map(|phase| format!("phase = \"{}\"", phase_in_filter(phase.phase()))),
            self.state.map(|state| format!("state = \"{}\"", state.in_filter())),
            self.node.as_deref().map(|node| format!("node = {}", quoted(node))),
            seconds("age", self.older_than),
            seconds("idle", self.idle_for),
        ];
        parts.into_iter().flatten().collect()
    }
}

fn joined(mut terms: Vec<String>, of: &OfArgs) -> String {
    let text = |field: &str, value: &Option<String>| {
        value.as_deref().map(|value| format!("{field} = {}", quoted(value)))
    };
    let own = [text("user", &of.user), text("template", &of.template)];
    terms.splice(0..0, own.into_iter().flatten());
    let expression = of.filter.as_deref().unwrap_or_default().trim();
    match (expression.is_empty(), terms.is_empty()) {
        (true, _) => {}
        (false, true) => terms.push(expression.to_owned()),
        (false, false) => terms.push(format!("({expression})")),
    }
    terms.join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_an_expression() {
        let none = OfArgs::default();
        assert_eq!(none.expression(), "");
        let of = OfArgs {
            user: Some("a\"d*a".into()),
            template: Some("firefox".into()),
            filter: Some("cpu : * OR node : *".into()),
        };
        assert_eq!(
            of.expression(),
            "user = \"a\\\"d\\*a\" AND template = \"firefox\" AND (cpu : * OR node : *)"
        );
        let how = HowArgs {
            phase: Some(PhaseArg::Running),
            state: Some(StateArg::Hibernated),
            node: Some("n-1".into()),
            older_than: Some(Duration::from_hours(2)),
            idle_for: Some(Duration::from_mins(30)),
        };
        assert_eq!(
            none.expression_with(&how),
            "phase = \"Running\" AND state = \"hibernated\" AND node = \"n-1\" AND age >= 7200 AND \
             idle >= 1800"
        );
        let alone = OfArgs { filter: Some("a = 1".into()), ..OfArgs::default() };
        assert_eq!(alone.expression(), "a = 1");
    }
}
