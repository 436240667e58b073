//! What the cluster answers when it does not do as asked.

use std::time::Duration;

use kube::core::Status;
use thiserror::Error;

/// Why a call to the cluster failed.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// The API server cannot be reached, or sends what is not an answer.
    #[error("the cluster does not answer: {0}")]
    Unavailable(String),
    /// No answer in time.
    #[error("the cluster did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The API server refused, in its own words.
    #[error("{message}")]
    Refused {
        /// Its reason, for example `Forbidden`.
        reason: String,
        /// Its message.
        message: String,
        /// The HTTP status.
        code: u16,
    },
    /// The connection to the cluster is configured wrongly.
    #[error("cluster configuration: {0}")]
    Configuration(String),
}

impl ClusterError {
    /// Whether the cluster as a whole is away, rather than one request refused.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::TimedOut(_) => true,
            Self::Refused { code, .. } => matches!(code, 429 | 500 | 502..=504),
            Self::Configuration(_) => false,
        }
    }

    /// Whether the object changed between the read and the write.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. })
    }

    /// One word for a condition's reason.
    pub fn reason(&self) -> &str {
        match self {
            Self::Unavailable(_) => "ClusterUnavailable",
            Self::TimedOut(_) => "ClusterTimeout",
            Self::Refused { reason, .. } if reason.is_empty() => "Refused",
            Self::Refused { reason, .. } => reason,
            Self::Configuration(_) => "ClusterConfiguration",
        }
    }
}

impl From<kube::Error> for ClusterError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => refused(&status),
            other => Self::Unavailable(with_causes(&other)),
        }
    }
}

fn refused(status: &Status) -> ClusterError {
    ClusterError::Refused {
        reason: status.reason.clone(),
        message: status.message.clone(),
        code: status.code,
    }
}

/// An error with what caused it: the outer text alone is often only "client error".
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}
