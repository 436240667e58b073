//! The log that the audit layer writes to.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    denials::{Denial, Tally},
    store::{self, Phase, Verdict, Writer},
};
use crate::{
    db::{Database, DbError},
    rpc::audit::{AuditRecord, AuditSink, AuditUnavailable, Ending, Outcome},
};

/// How often denials are written.
const FLUSH: Duration = Duration::from_millis(250);
/// How long the database may take to keep an entry.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last denials may take at the end of the process.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// The audit log of this replica: intents, outcomes and denials as they happen.
pub struct AuditLog {
    pub(super) database: Database,
    pub(super) writer: Writer,
    /// Calls whose intent may be written and whose outcome is not. The sweep leaves
    /// them alone.
    open: Mutex<HashSet<Uuid>>,
    tally: Mutex<Tally>,
    /// Wakes the sequencer of this replica.
    pub(super) written: Notify,
}

impl AuditLog {
    /// The log of a replica of a region.
    pub fn new(database: Database, replica: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            database,
            writer: Writer { replica: replica.into(), region: region.into() },
            open: Mutex::default(),
            tally: Mutex::default(),
            written: Notify::new(),
        }
    }

    /// Whether a call is under way here.
    pub(super) fn is_open(&self, call: Uuid) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).contains(&call)
    }

    fn opened(&self, call: Uuid) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(call);
    }

    fn closed(&self, call: Uuid) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
    }

    pub(super) async fn write(
        &self,
        record: &AuditRecord,
        verdict: Verdict<'_>,
    ) -> Result<(), DbError> {
        match store::insert(self.database.audit(), &self.writer, record, verdict).await {
            Err(error) if !store::is_repeated(&error) => Err(error),
            // A repetition: an earlier try was committed, or the sweep was first.
            Ok(()) | Err(_) => {
                self.written.notify_one();
                Ok(())
            }
        }
    }

    async fn write_in_time(
        &self,
        record: &AuditRecord,
        verdict: Verdict<'_>,
    ) -> Result<(), AuditUnavailable> {
        match timeout(PATIENCE, self.write(record, verdict)).await {
            Ok(written) => written.map_err(|error| AuditUnavailable(error.to_string())),
            Err(_) => Err(AuditUnavailable("the database does not answer".into())),
        }
    }

    /// Writes denials until told to stop, and then the last ones.
    pub async fn run_denials(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(FLUSH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let due = self.tally().due(Instant::now());
            self.write_denials(due).await;
        }
        let rest = self.tally().rest();
        if timeout(LAST_FLUSH, self.write_denials(rest)).await.is_err() {
            tracing::warn!("the last denials are not in the audit log");
        }
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what it can; the rest waits for the next time.
    async fn write_denials(&self, denials: Vec<Denial>) {
        let mut denials = denials.into_iter();
        while let Some(denial) = denials.next() {
            let verdict = Verdict {
                phase: Phase::Denial,
                decision: "denied",
                code: denial.code,
                message: &denial.message,
                summary: "",
                count: denial.count,
            };
            if let Err(error) = self.write(&denial.record, verdict).await {
                tracing::debug!(%error, "denials wait to be written");
                let waiting = std::iter::once(denial).chain(denials.by_ref());
                self.tally().give_back(waiting.collect::<Vec<_>>().into_iter());
            }
        }
    }
}

impl AuditSink for AuditLog {
    fn intent<'a>(
        &'a self,
        record: &'a AuditRecord,
    ) -> BoxFuture<'a, Result<(), AuditUnavailable>> {
        async move {
            self.opened(record.call_id);
            let verdict = Verdict {
                phase: Phase::Intent,
                decision: "allowed",
                code: 0,
                message: "",
                summary: "",
                count: 1,
            };
            self.write_in_time(record, verdict).await.inspect_err(|_| {
                // It may be there all the same, if the answer was lost. The call does not
                // go on, and the sweep closes it.
                self.closed(record.call_id);
            })
        }
        .boxed()
    }

    fn outcome<'a>(
        &'a self,
        record: &'a AuditRecord,
        outcome: &'a Outcome,
    ) -> BoxFuture<'a, Result<(), AuditUnavailable>> {
        async move {
            let verdict = Verdict {
                phase: Phase::Outcome,
                decision: match outcome.ending {
                    Ending::Succeeded => "succeeded",
                    Ending::Failed => "failed",
                    Ending::Unknown => "unknown",
                },
                code: outcome.code,
                message: &outcome.message,
                summary: &outcome.summary,
                count: 1,
            };
            self.write_in_time(record, verdict).await?;
            self.closed(record.call_id);
            Ok(())
        }
        .boxed()
    }

    fn denied(&self, record: AuditRecord, code: i32, message: String) {
        self.tally().note(Denial { record, code, message, count: 1 }, Instant::now());
    }

    fn left(&self, call: Uuid) {
        self.closed(call);
    }
}
