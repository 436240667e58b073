//! What is asked for on the way to a change, and what was given.

use std::num::NonZeroU32;

use streamspace_client::parse_duration;
use streamspace_core::incident::{Role, Severity};

/// The role of a word, in any case, or of its beginning where that is clear.
pub(crate) fn role(word: &str) -> Option<Role> {
    let word = word.to_ascii_lowercase();
    let mut fitting = Role::ALL.into_iter().filter(|role| role.as_str().starts_with(&*word));
    let first = fitting.next().filter(|_| !word.is_empty())?;
    fitting.next().is_none().then_some(first)
}

/// Something that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Plan,
    /// `cpu=+40`
    Amount,
    /// What is wrong, in a line.
    Title,
    /// How grave it is.
    Severity,
    /// More tenants that it hits.
    Tenants,
    /// What the timeline keeps.
    Note,
    /// What customers read.
    Public,
    /// When customers hear again.
    Next,
    /// What somebody is in an incident.
    Role,
    Person,
    /// The incident that goes on.
    Into,
    /// What is to be done.
    Task,
    Owner,
    /// `2026-03-31`
    Due,
    /// Of an action item.
    Number,
    /// How long it holds; until somebody ends it where it is empty.
    Lifetime,
    Reason,
    /// The subject's name once more.
    Confirmation,
}

impl Field {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Amount => "amount",
            Self::Title => "title",
            Self::Severity => "severity",
            Self::Tenants => "tenants",
            Self::Note => "note",
            Self::Public => "text",
            Self::Next => "next",
            Self::Role => "role",
            Self::Person => "person",
            Self::Into => "into",
            Self::Task => "task",
            Self::Owner => "owner",
            Self::Due => "due",
            Self::Number => "number",
            Self::Lifetime => "for",
            Self::Reason => "reason",
            Self::Confirmation => "confirm",
        }
    }

    /// What to write, where nothing is written yet.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Plan => "business",
            Self::Amount => "cpu=+40, or memory=200Gi",
            Self::Title => "what is wrong, in one line",
            Self::Severity => {
                "P0 all is down, P1 many, P2 some cannot work, P3, P4 nobody is paged"
            }
            Self::Tenants => "more tenants that it hits, with blanks between",
            Self::Note => "what the timeline keeps",
            Self::Public => "what customers read on the status page",
            Self::Next => "30m: when they hear again; the text promises it",
            Self::Role => "commander, communications or scribe",
            Self::Person => "who; nobody where it is empty",
            Self::Into => "the incident that goes on, as INC-7",
            Self::Task => "what is to be done so that it does not happen again",
            Self::Owner => "who does it",
            Self::Due => "by when, as 2026-03-31",
            Self::Number => "of the action item, as it stands on the page",
            Self::Lifetime => "8h, or nothing: until somebody ends it",
            Self::Reason => "why, or an incident as INC-7; it goes to the audit log",
            Self::Confirmation => "type the name",
        }
    }

    /// What is wrong with what was written; a daemon tells the rest.
    pub(super) fn wrong(self, text: &str) -> Option<String> {
        match self {
            Self::Lifetime | Self::Next if !text.is_empty() => parse_duration(text).err(),
            Self::Severity if Severity::parse(text).is_none() => {
                let known = Severity::ALL.map(Severity::as_str);
                Some(format!("severity is one of {}", known.join(", ")))
            }
            Self::Role if role(text).is_none() => {
                Some(format!("role is one of {}", Role::ALL.map(Role::as_str).join(", ")))
            }
            Self::Number if text.parse::<NonZeroU32>().is_err() => {
                Some("number is that of an action item, from 1".into())
            }
            Self::Amount if !text.contains('=') => Some(format!("write {}", Self::Amount.hint())),
            _ => None,
        }
    }
}

/// What was given, by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given(Vec<(Field, String)>);

impl Given {
    /// What was written into a field, without the blanks around; empty where nothing was.
    pub(crate) fn get(&self, field: Field) -> &str {
        let given = self.0.iter().find(|(of, _)| *of == field);
        given.map_or("", |(_, text)| text.trim())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Field, &str)> {
        self.0.iter().map(|(field, text)| (*field, text.as_str()))
    }
}

impl FromIterator<(Field, String)> for Given {
    fn from_iter<I: IntoIterator<Item = (Field, String)>>(given: I) -> Self {
        Self(given.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_known_by_its_beginning_where_that_is_clear() {
        assert_eq!(role("commander"), Some(Role::Commander));
        assert_eq!(role("Commu"), Some(Role::Communications));
        assert_eq!(role("s"), Some(Role::Scribe));
        for unclear in ["", "com", "boss"] {
            assert_eq!(role(unclear), None, "{unclear}");
        }
    }
}
