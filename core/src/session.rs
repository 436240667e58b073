//! Sessions: the wish that stands in a session's object, what makes it valid, and what
//! becomes of it.
//!
//! A tenant writes the object with whatever tool there is, under either variant of the
//! definitions, of which one checks little. So it is read here as texts into a [`Wish`],
//! whose values are right by their types.

use std::{collections::BTreeSet, fmt};

use crate::{
    tenant::ENTRIES_MAXIMUM,
    text,
    violation::{Violation, Violations},
};

pub use name::{
    SESSION_NAME_MAXIMUM, SessionName, SessionUid, TEMPLATE_NAME_MAXIMUM, TemplateName,
    USER_NAME_MAXIMUM, UserName,
};
pub use resources::{
    Allotment, Amounts, DEFAULT_CPU, DEFAULT_MEMORY, Resources, WrittenResources, resolve,
};
pub use span::{Span, SpanError};

pub mod lifecycle;
mod name;
pub mod resources;
mod span;
pub mod suspension;

/// How long nobody must have used a session before it hibernates, unless it says so.
pub const DEFAULT_IDLE_TIMEOUT: Span = Span::from_minutes(30);
/// How long a session may run before it is terminated, unless it says so.
pub const DEFAULT_SESSION_DURATION: Span = Span::from_minutes(8 * 60);
/// The most copies of a shared session.
pub const REPLICAS_MAXIMUM: i32 = 10;
/// The longest tag, in characters.
pub const TAG_MAXIMUM: usize = 63;

/// What a session should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionState {
    /// It runs.
    Running,
    /// It is scaled to zero and wakes again.
    Hibernated,
    /// All but the home is removed.
    Terminated,
}

impl SessionState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Running, Self::Hibernated, Self::Terminated];

    /// The word for it in the object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Hibernated => "hibernated",
            Self::Terminated => "terminated",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionPhase {
    /// It starts, or waits until it may.
    Pending,
    /// A pod of it is ready. What is metered as running.
    Running,
    /// It is scaled to zero.
    Hibernated,
    /// It cannot run. The cluster may go on trying.
    Failed,
    /// It is gone but for the home.
    Terminated,
}

impl SessionPhase {
    /// Every phase.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Running, Self::Hibernated, Self::Failed, Self::Terminated];

    /// The word for it in the object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Hibernated => "Hibernated",
            Self::Failed => "Failed",
            Self::Terminated => "Terminated",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word)
    }
}

impl fmt::Display for SessionPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A session's object as it is written: texts that nobody has checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenSession {
    /// `metadata.name`.
    pub name: String,
    /// `spec.user`.
    pub user: String,
    /// `spec.template`.
    pub template: String,
    /// `spec.state`.
    pub state: SessionState,
    /// `spec.resources`.
    pub resources: Option<WrittenResources>,
    /// `spec.persistentHome`.
    pub persistent_home: Option<bool>,
    /// `spec.idleTimeout`.
    pub idle_timeout: Option<String>,
    /// `spec.maxSessionDuration`.
    pub max_session_duration: Option<String>,
    /// `spec.tags`.
    pub tags: Vec<String>,
    /// `spec.shared.maxReplicas`; absent for a session of one.
    pub max_replicas: Option<i32>,
}

/// What a tenant wishes of a session. Its values are valid by their types or by [`read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The session.
    pub name: SessionName,
    /// Who owns it.
    pub user: UserName,
    /// What it is made of.
    pub template: TemplateName,
    /// What it should be.
    pub state: SessionState,
    /// What it says that it may use; [`resolve`] fills in the rest.
    pub resources: Resources,
    /// Whether its user's home is mounted.
    pub persistent_home: bool,
    /// How long nobody must have used it before it hibernates.
    pub idle_timeout: Span,
    /// How long it may run, from one start to the next, before it is terminated.
    pub max_session_duration: Span,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The most copies of a shared session, 1 to 10; absent for a session of one.
    pub max_replicas: Option<i32>,
}

impl Wish {
    /// The most pods that it can have at once.
    pub fn pods(&self) -> i32 {
        self.max_replicas.unwrap_or(1)
    }
}

/// Reads a session's object, or tells everything that is wrong with it. Fields are named
/// by their path in the object, which is what its author sees.
pub fn read(written: &WrittenSession) -> Result<Wish, Vec<Violation>> {
    let mut violations = Violations::new();
    let name = violations.check("metadata.name", SessionName::parse(&written.name));
    let user = violations.check("spec.user", UserName::parse(&written.user));
    let template = violations.check("spec.template", TemplateName::parse(&written.template));
    let resources = match &written.resources {
        Some(written) => resources::read(written, &mut violations),
        None => Resources::default(),
    };
    let mut span = |field: &str, written: Option<&String>, default: Span, example| match written {
        Some(written) => violations.check(field, Span::parse(written, example)),
        None => Some(default),
    };
    let idle_timeout =
        span("spec.idleTimeout", written.idle_timeout.as_ref(), DEFAULT_IDLE_TIMEOUT, "30m");
    let max_session_duration = span(
        "spec.maxSessionDuration",
        written.max_session_duration.as_ref(),
        DEFAULT_SESSION_DURATION,
        "8h",
    );
    check_tags("spec.tags", &written.tags, &mut violations);
    if let Some(replicas) = written.max_replicas
        && !(1..=REPLICAS_MAXIMUM).contains(&replicas)
    {
        violations.add(
            "spec.shared.maxReplicas",
            format!(
                "is {replicas}, and must be 1 to {REPLICAS_MAXIMUM}: leave `shared` out for a \
                 session of one"
            ),
        );
    }
    let found = violations.into_result();
    match (found, name, user, template, idle_timeout, max_session_duration) {
        (
            Ok(()),
            Some(name),
            Some(user),
            Some(template),
            Some(idle_timeout),
            Some(max_session_duration),
        ) => Ok(Wish {
            name,
            user,
            template,
            state: written.state,
            resources,
            persistent_home: written.persistent_home.unwrap_or(true),
            idle_timeout,
            max_session_duration,
            tags: written.tags.clone(),
            max_replicas: written.max_replicas,
        }),
        (found, ..) => Err(found.err().unwrap_or_default()),
    }
}

/// Checks the words that an object is found by.
pub(crate) fn check_tags(field: &str, tags: &[String], violations: &mut Violations) {
    if tags.len() > ENTRIES_MAXIMUM {
        let count = tags.len();
        violations
            .add(field, format!("has {count} entries, and at most {ENTRIES_MAXIMUM} are allowed"));
    }
    let mut seen = BTreeSet::new();
    for (index, tag) in tags.iter().enumerate().take(ENTRIES_MAXIMUM) {
        let field = format!("{field}[{index}]");
        violations.check(&field, text::check(tag, TAG_MAXIMUM));
        if tag.is_empty() {
            violations.add(field, "is empty: remove it");
        } else if !seen.insert(tag) {
            violations.add(field, format!("repeats `{}`: remove it", text::excerpt(tag)));
        }
    }
}

#[cfg(test)]
mod tests;
