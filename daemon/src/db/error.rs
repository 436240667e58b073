//! What can go wrong with the database, by what the caller should do.

/// A failed statement or transaction.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// PostgreSQL cannot be reached, is stopping or starting, or is overloaded. Nothing
    /// was committed, or it is not known whether it was: retry under the same request id.
    #[error("PostgreSQL is not available ({0}); check that it runs, then try again")]
    Unavailable(#[source] sqlx::Error),
    /// Another transaction was first: a value that must be unique is taken, or the
    /// transaction must be run again.
    #[error("the change collides with another one ({0})")]
    Conflict(#[source] sqlx::Error),
    /// Everything else: a defect, a missing grant, damaged data.
    #[error("the database refused the statement ({0})")]
    Other(#[source] sqlx::Error),
}

impl DbError {
    /// The name of the constraint that was violated, if that is what happened.
    pub fn constraint(&self) -> Option<&str> {
        let (Self::Unavailable(error) | Self::Conflict(error) | Self::Other(error)) = self;
        error.as_database_error()?.constraint()
    }

    /// The SQLSTATE, if PostgreSQL itself answered.
    pub fn code(&self) -> Option<String> {
        let (Self::Unavailable(error) | Self::Conflict(error) | Self::Other(error)) = self;
        Some(error.as_database_error()?.code()?.into_owned())
    }

    /// Whether a later try can succeed without anyone changing anything.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(error),
            sqlx::Error::Database(refusal) => match refusal.code().as_deref() {
                Some(code) if is_unavailable(code) => Self::Unavailable(error),
                Some(code) if is_conflict(code) => Self::Conflict(error),
                _ => Self::Other(error),
            },
            _ => Self::Other(error),
        }
    }
}

/// Connection exceptions, too many connections, shutdown and start, a time limit that
/// passed, and a server that became a read-only standby.
fn is_unavailable(code: &str) -> bool {
    code.starts_with("08")
        || matches!(
            code,
            "53300" | "57014" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25006"
        )
}

/// Unique and exclusion violations, serialization failure, deadlock, lock not available.
fn is_conflict(code: &str) -> bool {
    matches!(code, "23505" | "23P01" | "40001" | "40P01" | "55P03")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_and_timeouts_are_unavailable() {
        for error in [
            sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into()),
            sqlx::Error::PoolTimedOut,
            sqlx::Error::PoolClosed,
        ] {
            assert!(DbError::from(error).is_unavailable());
        }
        assert!(!DbError::from(sqlx::Error::RowNotFound).is_unavailable());
    }
}
