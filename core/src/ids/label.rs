//! Texts that are DNS labels, and what is said of those that are none.

use super::IdError;
use crate::text;

/// What a DNS label must be.
pub(crate) struct LabelRule {
    pub(crate) kind: &'static str,
    pub(crate) minimum: usize,
    pub(crate) maximum: usize,
    pub(crate) starts_with_letter: bool,
    /// Whether several may be joined by dots, as in the name of any object.
    pub(crate) dots: bool,
    pub(crate) rule: &'static str,
    pub(crate) example: &'static str,
}

impl LabelRule {
    fn holds(&self, value: &str) -> bool {
        (self.minimum..=self.maximum).contains(&value.len())
            && if self.dots { value.split('.').all(is_label) } else { is_label(value) }
            && (!self.starts_with_letter || value.starts_with(|c: char| c.is_ascii_lowercase()))
    }

    pub(crate) fn check(&self, value: &str) -> Result<(), IdError> {
        if self.holds(value) {
            return Ok(());
        }
        Err(IdError {
            kind: self.kind,
            value: text::excerpt(value),
            rule: self.rule,
            remedy: self.remedy(value, ""),
        })
    }

    /// The nearest value that the rule allows, or an example where there is none.
    pub(super) fn remedy(&self, value: &str, prefix: &str) -> String {
        let mut near = String::new();
        // A few characters more than are kept: hyphens at the start fall away.
        for character in value.chars().take(2 * self.maximum) {
            let character = character.to_ascii_lowercase();
            if character.is_ascii_lowercase() || character.is_ascii_digit() {
                near.push(character);
            } else if !near.is_empty() && !near.ends_with('-') {
                near.push('-');
            }
            if near.len() == self.maximum {
                break;
            }
        }
        let near = near.trim_end_matches('-');
        if self.holds(near) {
            format!("`{prefix}{near}` would be")
        } else {
            format!("`{prefix}{}` would be, for example", self.example)
        }
    }
}

/// Whether a text is a DNS label, whatever its length.
fn is_label(value: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    value.bytes().all(|byte| is_inner(byte) || byte == b'-')
        && !value.is_empty()
        && !value.starts_with('-')
        && !value.ends_with('-')
}

/// A text that was checked where it entered.
macro_rules! label {
    ($(#[$documentation:meta])* $name:ident, $rule:expr) => {
        $(#[$documentation])*
        #[derive(
            Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            const RULE: $crate::ids::label::LabelRule = $rule;

            /// Reads it as it is written.
            pub fn parse(value: &str) -> Result<Self, $crate::ids::IdError> {
                Self::RULE.check(value).map(|()| Self(value.to_owned()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::IdError;

            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Self::parse(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::ids::IdError;

            fn try_from(value: String) -> Result<Self, Self::Error> {
                Self::RULE.check(&value).map(|()| Self(value))
            }
        }

        impl From<$name> for String {
            fn from(label: $name) -> Self {
                label.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use label;
