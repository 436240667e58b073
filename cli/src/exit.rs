//! Exit codes: part of the interface, and listed in the manual.

use std::process::ExitCode;

use streamspace_client::{
    ClientError, ConnectFault, context::ContextError, credentials::CredentialError,
};
use tonic::Code;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Something failed on this machine, or in the daemon itself.
    Local = 1,
    /// The command or a value in it is wrong.
    Usage = 2,
    /// Nothing was done; something would change.
    Changes = 3,
    /// Not logged in.
    NotLoggedIn = 4,
    /// Not allowed.
    Denied = 5,
    /// There is no such thing.
    NotFound = 6,
    /// The name is taken, or somebody else changed it meanwhile.
    Conflict = 7,
    /// The daemon, or what it needs, is away.
    Unavailable = 8,
    /// It took too long.
    TimedOut = 9,
    /// Some of the regions that were asked are not read.
    SomeUnread = 10,
    /// A check failed.
    CheckFailed = 11,
    /// The state forbids it.
    Refused = 12,
    /// A second person must approve.
    AwaitsApproval = 13,
    /// Some of it was done.
    PartlyDone = 14,
    /// Stopped by the user.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The table of the manual.
pub(crate) const TABLE: &str = "\
Exit codes:
  0    done
  1    local failure
  2    usage
  3    changes pending (--dry-run, diff)
  4    not logged in
  5    denied
  6    not found
  7    conflict
  8    unavailable
  9    timed out
  10   some regions unread
  11   a check failed (status, slo status, tenant check, quota check, verify)
  12   refused by state (protected, breaker)
  13   awaits approval
  14   partly done
  130  interrupted";

impl From<&ClientError> for Exit {
    fn from(error: &ClientError) -> Self {
        match error {
            ClientError::Context(error) => match error {
                ContextError::Unknown { .. } | ContextError::NoneChosen { .. } => Self::NotLoggedIn,
                ContextError::Variable { .. } | ContextError::BadName(_) => Self::Usage,
                ContextError::File { .. } | ContextError::Broken { .. } => Self::Local,
            },
            ClientError::Credential(CredentialError::Make(_)) | ClientError::Unexpected(_) => {
                Self::Local
            }
            // Whom we cannot trust we are not logged in to; trying again, which 8
            // invites to, would not help.
            ClientError::Connect { fault: ConnectFault::Untrusted(_), .. }
            | ClientError::Credential(_)
            | ClientError::DeviceOver { .. } => Self::NotLoggedIn,
            ClientError::Token(_) => Self::Usage,
            // Whoever is there and says nothing may be busy: it is not known to be away.
            ClientError::Connect { fault: ConnectFault::TimedOut(_), .. }
            | ClientError::TimedOut(_) => Self::TimedOut,
            ClientError::Connect { .. } | ClientError::Broken(_) => Self::Unavailable,
            ClientError::Refused(refusal) => of_status(refusal.code, refusal.reason.as_deref()),
        }
    }
}

/// The exit code of a gRPC status.
pub(crate) fn of_status(code: Code, reason: Option<&str>) -> Exit {
    match code {
        Code::Ok => Exit::Done,
        Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
        Code::Unauthenticated => Exit::NotLoggedIn,
        Code::PermissionDenied => Exit::Denied,
        Code::NotFound => Exit::NotFound,
        Code::AlreadyExists | Code::Aborted => Exit::Conflict,
        // What is used up does not come back by trying again, which 8 invites to.
        Code::ResourceExhausted if matches!(reason, Some("USER_LIMIT" | "TENANT_QUOTA")) => {
            Exit::Refused
        }
        Code::Unavailable | Code::ResourceExhausted => Exit::Unavailable,
        Code::DeadlineExceeded | Code::Cancelled => Exit::TimedOut,
        Code::FailedPrecondition if reason == Some("APPROVAL_REQUIRED") => Exit::AwaitsApproval,
        Code::FailedPrecondition => Exit::Refused,
        Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => Exit::Local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_of_the_daemon_has_its_exit() {
        for (code, reason, exit) in [
            (Code::InvalidArgument, None, 2),
            (Code::Unauthenticated, None, 4),
            (Code::PermissionDenied, None, 5),
            (Code::NotFound, None, 6),
            (Code::AlreadyExists, None, 7),
            (Code::Aborted, Some("ETAG_MISMATCH"), 7),
            (Code::Unavailable, Some("DATABASE_UNAVAILABLE"), 8),
            (Code::ResourceExhausted, None, 8),
            (Code::ResourceExhausted, Some("TOO_MANY_STARTING"), 8),
            (Code::ResourceExhausted, Some("TENANT_QUOTA"), 12),
            (Code::DeadlineExceeded, None, 9),
            (Code::FailedPrecondition, Some("PROTECTED"), 12),
            (Code::FailedPrecondition, Some("APPROVAL_REQUIRED"), 13),
            (Code::Internal, None, 1),
        ] {
            assert_eq!(of_status(code, reason) as u8, exit, "{code:?} {reason:?}");
        }
    }

    #[test]
    fn what_fails_before_the_daemon_answers_has_its_exit_too() {
        let connect = |fault| ClientError::Connect { address: "a:1".parse().unwrap(), fault };
        let over = ClientError::DeviceOver { context: "dev".into(), why: "ended".into() };
        let none = ContextError::NoneChosen { known: Vec::new() };
        for (error, exit) in [
            (connect(ConnectFault::Refused), 8),
            (connect(ConnectFault::TimedOut(std::time::Duration::from_secs(5))), 9),
            (connect(ConnectFault::Untrusted("other".into())), 4),
            (over, 4),
            (none.into(), 4),
            (ContextError::BadName("a/b".into()).into(), 2),
            (ClientError::TimedOut(std::time::Duration::from_secs(1)), 9),
            (ClientError::Broken("reset".into()), 8),
        ] {
            assert_eq!(Exit::from(&error) as u8, exit, "{error}");
        }
    }

    #[test]
    fn the_table_names_every_exit() {
        for exit in [
            Exit::Done,
            Exit::Local,
            Exit::Usage,
            Exit::Changes,
            Exit::NotLoggedIn,
            Exit::Denied,
            Exit::NotFound,
            Exit::Conflict,
            Exit::Unavailable,
            Exit::TimedOut,
            Exit::SomeUnread,
            Exit::CheckFailed,
            Exit::Refused,
            Exit::AwaitsApproval,
            Exit::PartlyDone,
            Exit::Interrupted,
        ] {
            let line = format!("\n  {} ", exit as u8);
            assert!(TABLE.contains(&line), "{exit:?}");
        }
    }
}
