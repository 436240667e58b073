//! What the daemon answers when it cannot do as asked.
//!
//! Every error becomes a gRPC status with the details of `google.rpc`: an
//! `ErrorInfo` whose reason programs can rely on, the violated fields of bad
//! input, and for people what happened and what to do next.

use std::collections::HashMap;

use streamspace_core::{ids::ApprovalId, tenant::Refusal, violation::Violation};
use streamspace_proto::ERROR_DOMAIN;
use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::db::DbError;

/// The outcome of a service method.
pub type RpcResult<T> = Result<T, RpcError>;

/// Why a call cannot be answered as asked.
#[derive(Debug, Error)]
pub enum RpcError {
    /// The request is wrong, whatever the state. Names each field and the remedy.
    #[error("{}", summary(.0))]
    Invalid(Vec<Violation>),
    /// There is no such resource, or none in the caller's scope.
    #[error("{0} does not exist in this region")]
    NotFound(String),
    /// The name is taken.
    #[error("{0} exists already: choose another name, or change it with an update")]
    AlreadyExists(String),
    /// Somebody else changed the resource meanwhile.
    #[error("{0} was changed meanwhile: read it again and repeat the change on what it is now")]
    EtagMismatch(String),
    /// The state forbids it. `reason` is a word for programs.
    #[error("{message}")]
    Refused {
        /// `UPPER_SNAKE_CASE`.
        reason: &'static str,
        /// What is in the way, and the next step.
        message: String,
    },
    /// A limit forbids it: there is no more of something. `reason` is a word for programs.
    #[error("{message}")]
    Exhausted {
        /// `UPPER_SNAKE_CASE`.
        reason: &'static str,
        /// What is used up, how much there is of it, and the next step.
        message: String,
    },
    /// The caller may not. `reason` is a word for programs.
    #[error("{message}")]
    Denied {
        /// `UPPER_SNAKE_CASE`.
        reason: &'static str,
        /// What is missing, and the next step.
        message: String,
    },
    /// A second person must agree first.
    #[error(
        "a second person must agree first: {} waits for that. Another person runs `ssctl \
         approval approve {approval}`; then run the same command again, within an hour",
        approval.to_name()
    )]
    ApprovalRequired {
        /// What waits now.
        approval: ApprovalId,
    },
    /// The request id was used for a different request.
    #[error("the request id was used before for a different request: make a new one")]
    RequestIdReused,
    /// The change log does not reach back that far.
    #[error("revision {0} is not in the change log: begin again with a snapshot")]
    RevisionGone(i64),
    /// The caller proved no identity where one is needed.
    #[error("the call carries no verified identity")]
    NoCaller,
    /// The database refused or did not answer.
    #[error(transparent)]
    Database(#[from] DbError),
    /// Something that should not happen.
    #[error("{0}")]
    Internal(String),
}

fn summary(violations: &[Violation]) -> String {
    let lines: Vec<String> =
        violations.iter().map(|v| format!("{}: {}", v.field, v.description)).collect();
    lines.join("; ")
}

impl RpcError {
    /// One violated field.
    pub fn field(field: &str, description: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation { field: field.into(), description: description.into() }])
    }

    fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::InvalidArgument,
            Self::NotFound(_) => Code::NotFound,
            Self::AlreadyExists(_) | Self::RequestIdReused => Code::AlreadyExists,
            Self::EtagMismatch(_) | Self::Database(DbError::Conflict(_)) => Code::Aborted,
            Self::Refused { .. } | Self::ApprovalRequired { .. } => Code::FailedPrecondition,
            Self::Exhausted { .. } => Code::ResourceExhausted,
            Self::Denied { .. } => Code::PermissionDenied,
            Self::RevisionGone(_) => Code::OutOfRange,
            Self::NoCaller => Code::Unauthenticated,
            Self::Database(DbError::Unavailable(_)) => Code::Unavailable,
            Self::Database(DbError::Other(_)) | Self::Internal(_) => Code::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "INVALID_FIELD",
            Self::NotFound(_) => "NOT_FOUND",
            Self::AlreadyExists(_) => "ALREADY_EXISTS",
            Self::RequestIdReused => "REQUEST_ID_REUSED",
            Self::EtagMismatch(_) => "ETAG_MISMATCH",
            Self::Refused { reason, .. }
            | Self::Exhausted { reason, .. }
            | Self::Denied { reason, .. } => reason,
            Self::ApprovalRequired { .. } => "APPROVAL_REQUIRED",
            Self::RevisionGone(_) => "REVISION_GONE",
            Self::NoCaller => "NO_IDENTITY",
            Self::Database(DbError::Unavailable(_)) => "DATABASE_UNAVAILABLE",
            Self::Database(DbError::Conflict(_)) => "CONCURRENT_CHANGE",
            Self::Database(DbError::Other(_)) | Self::Internal(_) => "INTERNAL",
        }
    }

    /// What the caller is told. The words of the database stay in the log.
    fn public_message(&self) -> String {
        match self.code() {
            Code::Internal => {
                "something went wrong in the daemon; its log has the details under the request id"
                    .into()
            }
            Code::Unavailable => {
                "the database does not answer; `ssctl region show` tells how the region is. A change \
                 that it cut off may have been made or not: repeated under the same request id it \
                 has no second effect"
                    .into()
            }
            _ => self.to_string(),
        }
    }
}

impl From<Refusal> for RpcError {
    fn from(refusal: Refusal) -> Self {
        let reason = match refusal.rule {
            "protected" => "TENANT_PROTECTED",
            "already-purging" => "TENANT_PURGING",
            "retention" => "RETENTION_NOT_OVER",
            _ => "TENANT_STATE",
        };
        Self::Refused { reason, message: refusal.to_string() }
    }
}

impl From<RpcError> for Status {
    fn from(error: RpcError) -> Self {
        let code = error.code();
        if matches!(code, Code::Internal | Code::Unavailable) {
            tracing::error!(%error, "a call failed");
        }
        let mut details = ErrorDetails::new();
        let mut metadata = HashMap::new();
        if let RpcError::ApprovalRequired { approval } = &error {
            metadata.insert("approval".to_owned(), approval.to_name());
        }
        details.set_error_info(error.reason(), ERROR_DOMAIN, metadata);
        if let RpcError::Invalid(violations) = &error {
            for violation in violations {
                details.add_bad_request_violation(&violation.field, &violation.description);
            }
        }
        Self::with_error_details(code, error.public_message(), details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_field_is_named_in_the_details() {
        let status = Status::from(RpcError::field("tenant.seats", "must be 1 or more"));
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "tenant.seats");
        assert_eq!(details.error_info().unwrap().reason, "INVALID_FIELD");
    }

    #[test]
    fn the_words_of_the_database_stay_inside() {
        let status = Status::from(RpcError::Internal("column \"secret\" does not exist".into()));
        assert!(!status.message().contains("secret"), "{}", status.message());
    }
}
