//! Why a filter or an order is refused.

use thiserror::Error;

/// Why a filter or an order is refused, where, and what to write instead. Positions count
/// characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FilterError {
    /// It is too long.
    #[error("is {length} characters long, and at most {maximum} are allowed: ask for less at once")]
    TooLong {
        /// How long it is, in characters.
        length: usize,
        /// How long it may be.
        maximum: usize,
    },
    /// Parentheses or negations are nested too deep.
    #[error("at {position}: nested more than {maximum} deep: write it flatter")]
    TooDeep {
        /// Where the limit is passed.
        position: usize,
        /// How deep it may be.
        maximum: usize,
    },
    /// There is no such field.
    #[error("at {position}: there is no field `{field}`: {hint}")]
    UnknownField {
        /// Where it stands.
        position: usize,
        /// What was written, escaped and shortened.
        field: String,
        /// The field that was probably meant, or all there are.
        hint: String,
    },
    /// A word or text stands without a field.
    #[error("at {position}: `{word}` stands alone, and a word alone is not searched for: {hint}")]
    BareWord {
        /// Where it stands.
        position: usize,
        /// What was written, escaped and shortened.
        word: String,
        /// What to write instead.
        hint: String,
    },
    /// Something else should stand here.
    #[error("at {position}: found {found}, expected {expected}")]
    Unexpected {
        /// Where it stands.
        position: usize,
        /// What was found, escaped and shortened.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// A quotation does not end.
    #[error("at {position}: the quote that opens here is never closed: add the other one")]
    OpenQuote {
        /// Where it opens.
        position: usize,
    },
    /// A wildcard stands where it has no meaning.
    #[error(
        "at {position}: a `*` may only stand at either end of a value that is compared with `=` or \
         `!=`: write `\\*` in quotes for the star itself"
    )]
    Wildcard {
        /// Where the value stands.
        position: usize,
    },
    /// The field is of another type.
    #[error(
        "at {position}: the field `{field}` is {expected}, and `{found}` is not: write {example}"
    )]
    WrongType {
        /// Where the value stands.
        position: usize,
        /// The field.
        field: String,
        /// What it is.
        expected: &'static str,
        /// What was written, escaped and shortened.
        found: String,
        /// What would do.
        example: String,
    },
    /// The field has no order.
    #[error(
        "at {position}: the field `{field}` is true or false and has no order: compare it with `=` or `!=`"
    )]
    NoOrder {
        /// Where the operator stands.
        position: usize,
        /// The field.
        field: String,
    },
    /// An order names a field twice.
    #[error("at {position}: the field `{field}` stands twice: remove one")]
    Repeated {
        /// Where the second one stands.
        position: usize,
        /// The field.
        field: String,
    },
    /// An order names too many fields.
    #[error("at {position}: more than {maximum} fields: remove some")]
    TooManyKeys {
        /// Where the first one too many stands.
        position: usize,
        /// How many there may be.
        maximum: usize,
    },
}

impl FilterError {
    /// Where the error is, counted in characters from 1; `None` where it is everywhere.
    pub fn position(&self) -> Option<usize> {
        match self {
            Self::TooLong { .. } => None,
            Self::TooDeep { position, .. }
            | Self::UnknownField { position, .. }
            | Self::BareWord { position, .. }
            | Self::Unexpected { position, .. }
            | Self::OpenQuote { position }
            | Self::Wildcard { position }
            | Self::WrongType { position, .. }
            | Self::NoOrder { position, .. }
            | Self::Repeated { position, .. }
            | Self::TooManyKeys { position, .. } => Some(*position),
        }
    }
}
