//! What can go wrong between here and the daemon, and what to do next.

use std::{collections::BTreeMap, error::Error, fmt, sync::Arc, time::Duration};

use streamspace_proto::token::TokenError;
use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    channel::{ConnectError, ConnectFault},
    context::{Address, ContextError},
    credentials::CredentialError,
};

/// Why something could not be done. [`ClientError::next_step`] says what to do.
#[derive(Clone, Debug, Error)]
pub enum ClientError {
    /// The context file, or what was asked of it.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The keys and certificates of this machine.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The text given as an enrolment token is none.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No connection to the daemon.
    #[error("cannot reach {address}: {fault}")]
    Connect {
        /// Where the daemon should be.
        address: Address,
        /// What happened.
        fault: ConnectFault,
    },
    /// The device may not renew any more.
    #[error("the login for context {context} is over: {why}")]
    DeviceOver {
        /// The context.
        context: String,
        /// What ended it.
        why: String,
    },
    /// The daemon answered, and its answer is no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// No answer within the deadline.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The connection broke in the middle of a call.
    #[error("the connection to the daemon broke: {0}")]
    Broken(String),
    /// The daemon said something that the contract does not allow.
    #[error("the daemon's answer makes no sense: {0}")]
    Unexpected(String),
}

/// A status of the daemon with its details.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The gRPC code.
    pub code: Code,
    /// What happened, for people.
    pub message: String,
    /// What happened, for programs: `UPPER_SNAKE_CASE`, where the daemon said it.
    pub reason: Option<String>,
    /// What belongs to the reason.
    pub metadata: BTreeMap<String, String>,
    /// The fields that are wrong, each with the remedy.
    pub violations: Vec<(String, String)>,
    /// The id under which the daemon's log and the audit log have the call.
    pub request_id: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Refusal {
    fn new(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        // A daemon that has no such service does not say so in words.
        let message = match (status.code(), status.message()) {
            (Code::Unimplemented, "") => "the daemon does not know this call".to_owned(),
            (_, message) => message.to_owned(),
        };
        Self {
            code: status.code(),
            message,
            reason: info.map(|info| info.reason.clone()),
            metadata: info.map(|i| i.metadata.clone().into_iter().collect()).unwrap_or_default(),
            violations: details
                .bad_request()
                .map(|bad| {
                    let fields = bad.field_violations.iter();
                    fields.map(|v| (v.field.clone(), v.description.clone())).collect()
                })
                .unwrap_or_default(),
            request_id: details.request_info().map(|info| info.request_id.clone()),
        }
    }
}

impl ClientError {
    /// What a person can do about it, as one sentence.
    pub fn next_step(&self) -> Option<String> {
        match self {
            Self::Context(error) => Some(error.next_step()),
            Self::Credential(error) => Some(error.next_step()),
            Self::Token(_) => Some(
                "an administrator makes a token with `ssctl token create`; on the daemon's host \
                 `streamspaced token create` does"
                    .into(),
            ),
            Self::Connect { fault, .. } => Some(fault.next_step()),
            Self::DeviceOver { .. } => Some(
                "ask an administrator for a token and run `ssctl login HOST --token TOKEN`".into(),
            ),
            Self::Refused(refusal) => refusal.next_step(),
            Self::TimedOut(_) => {
                Some("try again, with a longer `--timeout` where the region is busy".into())
            }
            Self::Broken(_) => Some("try again; a retry has no second effect".into()),
            Self::Unexpected(_) => {
                Some("compare `ssctl version` with the daemon's in `ssctl region show`".into())
            }
        }
    }

    /// The gRPC code, where the daemon answered.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }

    /// The reason for programs, where the daemon gave one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.reason.as_deref(),
            _ => None,
        }
    }

    /// The id of the call, where the daemon gave one.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.request_id.as_deref(),
            _ => None,
        }
    }

    /// Whether the same call can succeed a moment later without anybody doing
    /// anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { fault, .. } => fault.is_transient(),
            Self::Refused(refusal) => refusal.code == Code::Unavailable,
            Self::Broken(_) => true,
            _ => false,
        }
    }
}

impl Refusal {
    fn next_step(&self) -> Option<String> {
        if let Some(step) = self.next_step_of_reason() {
            return Some(step);
        }
        let of_token = self.reason.as_deref().is_some_and(|reason| reason.starts_with("TOKEN_"));
        let step = match self.code {
            Code::Unauthenticated | Code::PermissionDenied if of_token => {
                "an administrator makes another token with `ssctl token create`"
            }
            Code::Unauthenticated => {
                "`ssctl whoami` tells who you are; `ssctl login HOST --token TOKEN` logs in again"
            }
            Code::PermissionDenied => {
                "`ssctl whoami` shows your role, `ssctl access why METHOD` the rule; an \
                 administrator can give you another"
            }
            Code::NotFound => "`list` shows what there is; a name outside your scope is not shown",
            Code::Aborted => "`show` it again and repeat the change on what it is now",
            Code::Unavailable => {
                "try again in a moment; `ssctl region show` tells how the region is"
            }
            Code::ResourceExhausted => "wait a moment, then try again",
            Code::Unimplemented => {
                "the daemon is older than this client: compare `ssctl version` with `ssctl region show`"
            }
            Code::Internal | Code::Unknown | Code::DataLoss => {
                "the daemon's log has the details under the request id"
            }
            _ => return None,
        };
        Some(step.into())
    }

    /// The step where the reason alone tells it.
    fn next_step_of_reason(&self) -> Option<String> {
        let step = match self.reason.as_deref()? {
            "APPROVAL_REQUIRED" => {
                let role = match self.metadata.get("role") {
                    Some(role) => format!("the role {role}"),
                    None => "your role".into(),
                };
                let command = match self.metadata.get("approval") {
                    Some(name) => {
                        let id = name.strip_prefix("approvals/").unwrap_or(name);
                        format!("`ssctl approval approve {id}`")
                    }
                    None => "`ssctl approval list` and `ssctl approval approve ID`".into(),
                };
                return Some(format!(
                    "another person, with at least {role}, runs {command}; then repeat \
                     the same command with the same reason"
                ));
            }
            "TENANT_QUOTA" => {
                "`ssctl quota show TENANT` tells what is used, and who holds how much"
            }
            "USER_LIMIT" => "`ssctl session list TENANT --user NAME` shows what the user holds",
            "OVERCOMMIT" => "repeat it with --accept-overcommit where that is meant",
            "TENANT_PROTECTED" => "`ssctl tenant set NAME --protected=false` lifts the protection",
            "OWN_REQUEST" => "ask another person; nobody decides alone",
            "OPERATOR_LOCKED" => "an admin ends the lock with `ssctl operator unlock NAME`",
            "REGION_CORDONED" => "`ssctl region show` tells why, and until when",
            _ => return None,
        };
        Some(step.into())
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        if let Some(error) = own_error(&status) {
            return error.into();
        }
        if in_chain::<tonic::TimeoutExpired>(&status).is_some() {
            return Self::TimedOut(crate::connection::REQUEST_TIMEOUT);
        }
        let from_daemon = Error::source(&status).is_none();
        if from_daemon {
            return Self::Refused(Box::new(Refusal::new(&status)));
        }
        Self::Broken(innermost(&status))
    }
}

impl From<tonic::transport::Error> for ClientError {
    fn from(error: tonic::transport::Error) -> Self {
        match in_chain::<ConnectError>(&error) {
            Some(own) => own.clone().into(),
            None => Self::Broken(innermost(&error)),
        }
    }
}

impl From<ConnectError> for ClientError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Fault { address, fault } => Self::Connect { address, fault },
            ConnectError::Credential(inner) => Arc::unwrap_or_clone(inner),
        }
    }
}

fn own_error(error: &(dyn Error + 'static)) -> Option<ConnectError> {
    in_chain::<ConnectError>(error).cloned()
}

fn in_chain<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_status_brings_its_details() {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            "ROLE_MISSING",
            streamspace_proto::ERROR_DOMAIN,
            HashMap::from([("rule".into(), "least-role".into())]),
        );
        details.add_bad_request_violation("tenant.seats", "must be 1 or more");
        details.set_request_info("018f", "");
        let status = Status::with_error_details(Code::PermissionDenied, "not yours", details);
        let error = ClientError::from(status);
        assert_eq!(error.code(), Some(Code::PermissionDenied));
        assert_eq!(error.reason(), Some("ROLE_MISSING"));
        assert_eq!(error.request_id(), Some("018f"));
        assert_eq!(error.to_string(), "not yours");
        let ClientError::Refused(refusal) = error else { panic!("not a refusal") };
        assert_eq!(refusal.violations, [("tenant.seats".into(), "must be 1 or more".into())]);
        assert_eq!(refusal.metadata["rule"], "least-role");
    }

    #[test]
    fn who_waits_for_approval_is_told_who_gives_it_and_how() {
        let refusal = |metadata: &[(&str, &str)]| {
            let pairs = metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            let metadata: HashMap<_, _> = pairs.collect();
            let mut details = ErrorDetails::new();
            details.set_error_info("APPROVAL_REQUIRED", streamspace_proto::ERROR_DOMAIN, metadata);
            let code = Code::FailedPrecondition;
            ClientError::from(Status::with_error_details(code, "protected", details)).next_step()
        };
        assert_eq!(
            refusal(&[("approval", "approvals/018f"), ("role", "admin")]).unwrap(),
            "another person, with at least the role admin, runs `ssctl approval approve 018f`; \
             then repeat the same command with the same reason"
        );
        let step = refusal(&[]).unwrap();
        assert!(
            step.contains("ssctl approval list") && step.contains("at least your role"),
            "{step}"
        );
    }

    #[test]
    fn a_failed_connection_is_found_inside_the_status() {
        let fault = ConnectError::Fault {
            address: "127.0.0.1:1".parse().unwrap(),
            fault: ConnectFault::TimedOut(Duration::from_secs(5)),
        };
        let status = Status::from_error(Box::new(tonic::ConnectError(Box::new(fault))));
        let error = ClientError::from(status);
        assert!(error.is_transient());
        assert_eq!(error.to_string(), "cannot reach 127.0.0.1:1: no answer within 5 s");
    }

    #[test]
    fn a_deadline_is_told_apart_from_a_cancellation() {
        let status = Status::from_error(Box::new(tonic::TimeoutExpired(())));
        assert!(matches!(ClientError::from(status), ClientError::TimedOut(_)));
    }
}
