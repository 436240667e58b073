//! The audit log of what the daemon does by itself: at an end that people set.
//!
//! The intent is committed before the end takes effect and names it by an id that is the
//! same in every try, so there is one intent, also after a crash. What was done is
//! remembered in the transaction that does it, so whoever finds an open intent knows
//! whether it was, and there is one outcome.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use sqlx::PgConnection;
use uuid::Uuid;

use super::audit::{AuditRecord, AuditSink, AuditUnavailable, END_RULE, Ending, Outcome};
use crate::db::{
    DbError,
    requests::{self, RequestIdError},
};

/// The actor of what the daemon does by itself, in the audit log and in the change log.
pub const ACTOR: &str = "streamspaced";

/// Why an end must wait.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// Nothing ends that the audit log cannot tell of.
    #[error(transparent)]
    Audit(#[from] AuditUnavailable),
    /// What was done could not be remembered.
    #[error(transparent)]
    Memory(#[from] RequestIdError),
}

impl From<sqlx::Error> for EndError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Something whose time is over.
#[derive(Clone, Debug)]
pub struct End {
    /// The same in every try, and never again.
    pub id: Uuid,
    /// What is done, for example `EndQuotaOverride`.
    pub method: &'static str,
    /// Whose end it is, for example `tenants/acme-corp`.
    pub resource: String,
    /// Who had set it; empty where that is not known.
    pub setter: String,
    /// Why it had been set.
    pub reason: String,
    /// What the end changes.
    pub summary: String,
}

/// Writes ends to the audit log. Cheap to clone.
#[derive(Clone)]
pub struct EndLog {
    sink: Arc<dyn AuditSink>,
}

impl EndLog {
    /// Writes to this sink.
    pub fn new(sink: Arc<dyn AuditSink>) -> Self {
        Self { sink }
    }

    /// Writes that an end is about to take effect. Call it in the transaction that makes it
    /// so, once it is certain; without the entry the end must wait.
    pub async fn begin(&self, end: End) -> Result<BegunEnd, AuditUnavailable> {
        let record = AuditRecord {
            call_id: end.id,
            actor: ACTOR.to_owned(),
            certificate_serial: String::new(),
            role: String::new(),
            method: format!("{ACTOR}/{}", end.method),
            resource: end.resource,
            request_sha256: Vec::new(),
            incident: incident_in(&end.reason).to_owned(),
            reason: why(&end.setter, &end.reason),
            rule: END_RULE.to_owned(),
            peer: String::new(),
        };
        self.sink.intent(&record).await?;
        Ok(BegunEnd { sink: Arc::clone(&self.sink), record, summary: end.summary, is_open: true })
    }
}

/// An end whose intent is written. Dropped before it is done, it is tried again.
#[must_use = "without `keep` and `done` nobody knows that the end took effect"]
pub struct BegunEnd {
    sink: Arc<dyn AuditSink>,
    record: AuditRecord,
    summary: String,
    is_open: bool,
}

impl BegunEnd {
    /// Remembers what was done, in the transaction that does it.
    pub async fn keep(&self, transaction: &mut PgConnection) -> Result<(), EndError> {
        let record = &self.record;
        let digest = digest(&SHA256, record.method.as_bytes());
        requests::remember(
            transaction,
            ACTOR,
            record.call_id,
            &record.method,
            digest.as_ref(),
            self.summary.as_bytes(),
        )
        .await?;
        Ok(())
    }

    /// Writes the outcome, after the commit. If that fails the sweep does it.
    pub async fn done(mut self) {
        let outcome = Outcome {
            ending: Ending::Succeeded,
            code: 0,
            message: String::new(),
            summary: std::mem::take(&mut self.summary),
        };
        match self.sink.outcome(&self.record, &outcome).await {
            Ok(()) => self.is_open = false,
            Err(error) => {
                tracing::warn!(method = %self.record.method, %error, "an outcome is written later");
            }
        }
    }
}

impl Drop for BegunEnd {
    fn drop(&mut self) {
        if self.is_open {
            self.sink.left(self.record.call_id);
        }
    }
}

/// An id that these parts determine.
pub fn id_of(parts: &[&str]) -> Uuid {
    let mut bytes = [0; 16];
    // What stands between the parts is in none of them.
    let digest = digest(&SHA256, parts.join("\0").as_bytes());
    for (byte, of_digest) in bytes.iter_mut().zip(digest.as_ref()) {
        *byte = *of_digest;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn why(setter: &str, reason: &str) -> String {
    match (setter, reason) {
        ("", "") => "its time is over".to_owned(),
        ("", reason) => format!("its time is over; it was set for: {reason}"),
        (setter, "") => format!("its time is over; {setter} had set it"),
        (setter, reason) => format!("its time is over; {setter} had set it for: {reason}"),
    }
}

/// The incident that a reason is, as `ssctl --incident INC-7` gives it: a word, `-` and a
/// number. It joins the end to the incident's timeline.
fn incident_in(reason: &str) -> &str {
    let is_incident = reason.rsplit_once('-').is_some_and(|(word, number)| {
        reason.len() <= 64
            && word.starts_with(|first: char| first.is_ascii_alphabetic())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    if is_incident { reason } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_is_an_incident_is_one() {
        for reason in ["INC-7", "a-b-0042"] {
            assert_eq!(incident_in(reason), reason);
        }
        for reason in ["", "maintenance", "INC-7 again", "INC-", "-7", "7-7", "raid-night"] {
            assert_eq!(incident_in(reason), "", "{reason}");
        }
    }

    #[test]
    fn an_id_follows_from_its_parts() {
        assert_eq!(id_of(&["a", "b"]), id_of(&["a", "b"]));
        assert_ne!(id_of(&["a", "b"]), id_of(&["ab"]));
    }
}
