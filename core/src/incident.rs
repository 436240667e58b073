//! Incidents: what an incident may become, who must be told of it when, whose turn it is,
//! and what is written down in the end.

use std::fmt;

use crate::{ids::IdError, text};

pub mod escalation;
pub mod lifecycle;
pub mod post_mortem;
pub mod rota;
#[cfg(test)]
mod tests;

/// The number of an incident. People write it as `INC-7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(u32);

impl IncidentId {
    const COLLECTION: &'static str = "incidents/";
    const WORD: &'static str = "INC-";

    /// The incident of a number from 1.
    pub fn new(number: u32) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Reads `INC-7`, in any case, or just `7`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let digits = match text.get(..Self::WORD.len()) {
            Some(word) if word.eq_ignore_ascii_case(Self::WORD) => {
                text.get(Self::WORD.len()..).unwrap_or_default()
            }
            _ => text,
        };
        let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok());
        number.flatten().and_then(Self::new).ok_or_else(|| IdError {
            kind: "incident",
            value: text::excerpt(text),
            rule: "it is `INC-` and a number from 1",
            remedy: "write it as INC-7".to_owned(),
        })
    }

    /// Reads a name: `incidents/INC-7`.
    pub fn from_name(name: &str) -> Result<Self, IdError> {
        Self::parse(name.strip_prefix(Self::COLLECTION).unwrap_or(name))
    }

    /// The name in the contract.
    pub fn to_name(self) -> String {
        format!("{}{self}", Self::COLLECTION)
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::WORD, self.0)
    }
}

/// How grave an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Everything is down, or data is being lost.
    P0,
    /// Many users cannot work.
    P1,
    /// Some users cannot work, or many work badly.
    P2,
    /// Users are hindered; it can wait for the morning.
    P3,
    /// Nobody is hindered yet.
    P4,
}

impl Severity {
    /// All of them, the gravest first.
    pub const ALL: [Self; 5] = [Self::P0, Self::P1, Self::P2, Self::P3, Self::P4];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P0 => "P0",
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
            Self::P4 => "P4",
        }
    }

    /// The severity of a word, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str().eq_ignore_ascii_case(word))
    }

    /// Whether it gets people out of bed.
    pub fn pages(self) -> bool {
        self <= Self::P2
    }
}

/// What somebody does in an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Decides.
    Commander,
    /// Speaks to customers and to the house.
    Communications,
    /// Writes down what happens.
    Scribe,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Commander, Self::Communications, Self::Scribe];

    /// The word for it, which is also its column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commander => "commander",
            Self::Communications => "communications",
            Self::Scribe => "scribe",
        }
    }

    /// The role of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}
