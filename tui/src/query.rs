//! Which rows a table shows: those of a tenant, and of these what was typed. A text is
//! looked for in every column; an expression is the same language as `--filter`.

use jiff::Timestamp;
use memchr::memchr2_iter;
use streamspace_core::filter::{FieldValue, Filter, FilterError, Record};

use crate::rows::{Row, Scope};

/// The signs of an expression. Names and words have none of them.
const SIGNS: [char; 6] = ['=', '<', '>', '!', ':', '('];

/// What is wrong with an expression.
pub(crate) type QueryError = FilterError;

/// What a table shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    scope: Option<Scope>,
    text: String,
    admits: Admits,
}

#[derive(Clone, Debug, Default)]
enum Admits {
    #[default]
    All,
    /// What contains it, in any case. It is in lower case.
    Text(String),
    Expression(Filter),
}

impl Query {
    pub(crate) fn of(scope: Option<Scope>) -> Self {
        Self { scope, ..Self::default() }
    }

    /// The same rows, and of these what was typed.
    pub(crate) fn with(&self, text: &str, fields: &[&str]) -> Result<Self, QueryError> {
        let admits = if text.trim().is_empty() {
            Admits::All
        } else if is_expression(text) {
            Admits::Expression(Filter::parse(text, fields)?)
        } else {
            Admits::Text(text.trim().to_lowercase())
        };
        Ok(Self { scope: self.scope.clone(), text: text.to_owned(), admits })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Whether it is an expression and not a text.
    pub(crate) fn is_expression(&self) -> bool {
        matches!(self.admits, Admits::Expression(_))
    }

    /// Whether another one of the same scope lets through all that this one does.
    pub(crate) fn narrows(&self, other: &Self) -> bool {
        match (&self.admits, &other.admits) {
            (_, Admits::All) => true,
            (Admits::Text(text), Admits::Text(other)) => text.contains(other.as_str()),
            _ => false,
        }
    }

    /// Whether what it lets through changes by time alone.
    pub(crate) fn is_timed(&self) -> bool {
        self.is_expression() && (self.text.contains("age") || self.text.contains("idle"))
    }

    /// Whether a row is in the scope.
    pub(crate) fn is_within<R: Row>(&self, row: &R) -> bool {
        self.scope.as_ref().is_none_or(|scope| row.is_in(scope))
    }

    pub(crate) fn admits<R: Row>(&self, row: &R, now: Timestamp) -> bool {
        if !self.is_within(row) {
            return false;
        }
        match &self.admits {
            Admits::All => true,
            Admits::Text(text) => row.texts().any(|own| contains(own, text)),
            Admits::Expression(filter) => filter.matches(&At { row, now }),
        }
    }
}

fn is_expression(text: &str) -> bool {
    text.contains(SIGNS) || text.split_whitespace().any(|word| word == "NOT")
}

/// Whether a text occurs in another, in any case. `wanted` is in lower case.
fn contains(text: &str, wanted: &str) -> bool {
    if text.is_ascii() && wanted.is_ascii() {
        return contains_ascii(text.as_bytes(), wanted.as_bytes());
    }
    text.to_lowercase().contains(wanted)
}

/// Looks closer only where the first letter is.
fn contains_ascii(text: &[u8], wanted: &[u8]) -> bool {
    let Some(first) = wanted.first() else { return true };
    let is_there = |at: usize| {
        let part = text.get(at..at + wanted.len());
        part.is_some_and(|part| part.eq_ignore_ascii_case(wanted))
    };
    memchr2_iter(*first, first.to_ascii_uppercase(), text).any(is_there)
}

/// A row at an instant, which its age is counted to.
struct At<'a, R> {
    row: &'a R,
    now: Timestamp,
}

impl<R: Row> Record for At<'_, R> {
    fn field(&self, name: &str) -> Option<FieldValue> {
        self.row.field(name, self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_in_any_case() {
        assert!(contains("Acme-Corp", "me-c"));
        assert!(!contains("ab", "abc"));
        assert!(contains("ŠKODA Auto", "škoda"));
    }

    #[test]
    fn what_has_a_sign_is_an_expression() {
        for (text, expression) in
            [("acme", false), ("acme corp", false), ("plan = free", true), ("NOT x", true)]
        {
            assert_eq!(is_expression(text), expression, "{text}");
        }
    }
}
