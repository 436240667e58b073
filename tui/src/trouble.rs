//! Why something was not answered, in words that can be shown, and kept.

use streamspace_client::{ClientError, text::escape};

/// Why something was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What happened, and what to do about it, where that is more than to wait.
    pub(crate) words: String,
    /// Whether a daemon said so: it is there, and refuses.
    pub(crate) refused: bool,
}

impl Trouble {
    /// Something that no daemon said.
    pub(crate) fn new(words: &str) -> Self {
        Self { words: escape(words).into_owned(), refused: false }
    }
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        let text = error.to_string();
        // The dashboard tries again by itself.
        let waiting_helps = match error {
            ClientError::Broken(_) | ClientError::TimedOut(_) => true,
            ClientError::Refused(_) => error.is_transient(),
            _ => false,
        };
        let text = match error.next_step().filter(|_| !waiting_helps) {
            Some(step) => format!("{text}; {step}"),
            None => text,
        };
        let refused = matches!(error, ClientError::Refused(_));
        Self { words: escape(&text).into_owned(), refused }
    }
}
