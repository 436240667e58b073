//! Filters: which resources a list shows, in a subset of AIP-160.
//!
//! ```text
//! plan = "business" AND (seats >= 10 OR labels.tier : *) AND NOT name = "acme-*"
//! ```
//!
//! - Comparisons are `field OPERATOR value` with `=`, `!=`, `<`, `<=`, `>`, `>=` and `:`.
//! - `AND`, `OR`, `NOT` (or `-`) and parentheses join them. As AIP-160 has it, **`OR` binds
//!   tighter than `AND`**: `a = 1 AND b = 2 OR c = 3` means `a = 1 AND (b = 2 OR c = 3)`.
//! - In `=` and `!=` a `*` at either end of a text stands for anything; `\*` in quotes is
//!   the star itself.
//! - `field : *` asks whether the field is set, `labels : key` whether the label is, and
//!   `field : "text"` whether the text occurs in it.
//! - `!=` is the opposite of `=`, so it holds of a field that is not set. Every other
//!   comparison with such a field does not hold.
//! - A value stands in single or double quotes, or alone where it is one word. Words
//!   without a field are refused: it would be a guess where to look for them.
//!
//! Texts are compared by their bytes, so upper and lower case differ.

use std::cmp::Ordering;

pub use error::FilterError;

mod error;
mod fields;
mod lexer;
mod parser;
pub mod vocabulary;

pub(crate) use fields::Fields;

/// The longest filter or order, in characters.
pub const LENGTH_MAXIMUM: usize = 2000;
/// How deep parentheses and negations may be nested.
pub const DEPTH_MAXIMUM: usize = 32;

/// Something that a filter can look at.
pub trait Record {
    /// The value of a field by its name in the contract; of a label, the name is
    /// `labels.` and the key. `None` where it is not set.
    fn field(&self, name: &str) -> Option<FieldValue>;
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// A text, or the word of an enumeration.
    Text(String),
    /// A number.
    Integer(i64),
    /// Yes or no.
    Bool(bool),
}

impl From<&str> for FieldValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl FieldValue {
    /// The order of two values. Of different types, which a field never has, numbers come
    /// first and texts last.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let rank = |value: &Self| match value {
            Self::Integer(_) => 0,
            Self::Bool(_) => 1,
            Self::Text(_) => 2,
        };
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

/// A filter that was understood. The default one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    expression: Option<Expression>,
}

impl Filter {
    /// Reads a filter over the given fields; a blank one matches everything.
    ///
    /// A field is given by its name. `labels.*` stands for every field that begins with
    /// `labels.`. A name can carry its type, as in `seats:integer` or `protected:bool`;
    /// then a value of another type is refused here instead of matching nothing.
    pub fn parse(text: &str, known: &[&str]) -> Result<Self, FilterError> {
        let length = text.chars().count();
        if length > LENGTH_MAXIMUM {
            return Err(FilterError::TooLong { length, maximum: LENGTH_MAXIMUM });
        }
        let tokens = lexer::tokens(text)?;
        let expression = parser::parse(&tokens, &Fields::new(known), length + 1)?;
        Ok(Self { expression })
    }

    /// Whether it matches everything.
    pub fn is_empty(&self) -> bool {
        self.expression.is_none()
    }

    /// Whether a record matches.
    pub fn matches(&self, record: &dyn Record) -> bool {
        self.expression.as_ref().is_none_or(|expression| expression.holds(record))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Comparison { field: String, operator: Operator, literal: Literal },
    Present { field: String },
}

impl Expression {
    fn holds(&self, record: &dyn Record) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(record)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(record)),
            Self::Not(part) => !part.holds(record),
            Self::Present { field } => record.field(field).is_some(),
            Self::Comparison { field, operator, literal } => match record.field(field) {
                Some(value) => operator.holds(&value, literal),
                None => *operator == Operator::NotEqual,
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Has,
}

impl Operator {
    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Has => ":",
        }
    }

    /// Whether the operator asks for an order rather than for equality.
    fn orders(self) -> bool {
        matches!(self, Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual)
    }

    fn holds(self, value: &FieldValue, literal: &Literal) -> bool {
        match self {
            Self::Equal => literal.equals(value),
            Self::NotEqual => !literal.equals(value),
            Self::Has => match value {
                FieldValue::Text(text) => text.contains(&literal.text),
                _ => literal.equals(value),
            },
            Self::Less => literal.order_of(value) == Some(Ordering::Less),
            Self::Greater => literal.order_of(value) == Some(Ordering::Greater),
            Self::LessOrEqual => literal.order_of(value).is_some_and(Ordering::is_le),
            Self::GreaterOrEqual => literal.order_of(value).is_some_and(Ordering::is_ge),
        }
    }
}

/// A value as it was written, without its wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Literal {
    text: String,
    /// A `*` stood before it.
    open_start: bool,
    /// A `*` stood after it.
    open_end: bool,
}

impl Literal {
    fn is_pattern(&self) -> bool {
        self.open_start || self.open_end
    }

    fn equals(&self, value: &FieldValue) -> bool {
        match value {
            FieldValue::Text(text) => match (self.open_start, self.open_end) {
                (false, false) => *text == self.text,
                (true, false) => text.ends_with(&self.text),
                (false, true) => text.starts_with(&self.text),
                (true, true) => text.contains(&self.text),
            },
            _ => self.order_of(value) == Some(Ordering::Equal),
        }
    }

    /// Where a field's value stands against this one; `None` where they are of different
    /// types.
    fn order_of(&self, value: &FieldValue) -> Option<Ordering> {
        match value {
            FieldValue::Text(text) => Some(text.as_str().cmp(&self.text)),
            FieldValue::Integer(number) => self.text.parse().ok().map(|own| number.cmp(&own)),
            FieldValue::Bool(value) => self.text.parse().ok().map(|own| value.cmp(&own)),
        }
    }
}

#[cfg(test)]
mod tests;
