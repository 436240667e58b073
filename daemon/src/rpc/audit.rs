//! The audit layer: a mutation's intent is written before its handler runs, and its
//! outcome before its answer goes out.
//!
//! If the intent cannot be written the handler does not run. Once it is written the
//! handler runs to its end, whether or not the client still waits, so that there is
//! an outcome; only the end of the process leaves an intent without one, and then
//! the sweep calls it unknown.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    CallNotes, Caller,
    status::{code_number, refuse, status},
};

/// What the log keeps of a call. No secrets: the request itself is there as a digest
/// alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Ties the outcome to the intent.
    pub call_id: Uuid,
    /// The operator's name; empty for an unverified peer.
    pub actor: String,
    /// The serial number of the certificate, in hexadecimal; empty without one.
    pub certificate_serial: String,
    /// The role as the certificate spells it, and ` (break-glass)` after it while a grant
    /// was in force.
    pub role: String,
    /// `package.Service/Method`.
    pub method: String,
    /// The resource, for example `tenants/acme-corp`; empty where there is none.
    pub resource: String,
    /// SHA-256 of the request message; empty where it was not read.
    pub request_sha256: Vec<u8>,
    /// The reason that the caller gave.
    pub reason: String,
    /// The incident that the caller named; empty where there is none.
    pub incident: String,
    /// The rule that decided; in an outcome, the names of the approvals that were used up
    /// follow it.
    pub rule: String,
    /// Where the peer called from.
    pub peer: String,
}

impl AuditRecord {
    /// The record of one item of an operation that goes through the same services as a
    /// call of its own. `method` is the path of the method that does it, and `call_id`
    /// must be the same when the item is done again: the request id of its change is that
    /// id, so that the log can find out how it ended after a crash.
    pub fn of_item(
        call_id: Uuid,
        caller: &Caller,
        method: &str,
        resource: &str,
        reason: &str,
        operation: &str,
    ) -> Self {
        Self {
            call_id,
            actor: caller.operator.clone(),
            certificate_serial: caller.serial.clone(),
            role: caller.role_name.clone(),
            method: method.to_owned(),
            resource: resource.to_owned(),
            request_sha256: Vec::new(),
            reason: reason.to_owned(),
            incident: caller.notes.incident().to_owned(),
            rule: format!("{ITEM_RULE}; {operation}"),
            peer: String::new(),
        }
    }

    /// Whether the daemon itself does this again until it is done, so that an open intent
    /// of it is no end yet.
    pub fn is_done_again(&self) -> bool {
        let (rule, _) = self.rule.split_once(';').unwrap_or((&self.rule, ""));
        rule == END_RULE || rule == ITEM_RULE
    }
}

/// The rule of what the daemon does by itself at an end that people set.
pub const END_RULE: &str = "expiry";
/// The rule of an item of an operation; the operation's name follows it.
pub const ITEM_RULE: &str = "operation";

/// What a call was about, where only its handler can tell: an extension of the
/// response, which the outcome then names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedResource(pub String);

/// What a call of a peer that proved nothing changed: an extension of the response. Whoever
/// has a [`Caller`] notes it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedSummary(pub String);

/// How an audited call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What became of it.
    pub ending: Ending,
    /// The gRPC status code.
    pub code: i32,
    /// What the caller was told, where it failed.
    pub message: String,
    /// What it changed, for people; empty where nobody told.
    pub summary: String,
}

/// What became of a call that was about to take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It took effect.
    Succeeded,
    /// It changed nothing.
    Failed,
    /// It may or may not have taken effect.
    Unknown,
}

/// The log cannot be written at the moment.
#[derive(Debug, Error)]
#[error("the audit log cannot be written: {0}")]
pub struct AuditUnavailable(pub String);

/// Where audit entries go.
pub trait AuditSink: Send + Sync + 'static {
    /// Writes that a call is about to take effect; committed when it returns `Ok`.
    fn intent<'a>(&'a self, record: &'a AuditRecord)
    -> BoxFuture<'a, Result<(), AuditUnavailable>>;
    /// Writes how a call ended. It can be repeated: one outcome is kept.
    fn outcome<'a>(
        &'a self,
        record: &'a AuditRecord,
        outcome: &'a Outcome,
    ) -> BoxFuture<'a, Result<(), AuditUnavailable>>;
    /// Notes that a call was refused. Does not wait.
    fn denied(&self, record: AuditRecord, code: i32, message: String);
    /// Tells that whoever wrote the intent of this call writes no outcome: it failed on the
    /// way, and is done again or closed by the sweep.
    fn left(&self, call: Uuid);
}

/// What the policy layer found a call to be; it stands in the request's extensions.
#[derive(Clone, Debug)]
pub(super) enum Admission {
    /// It changes nothing.
    Read,
    /// It is to be audited.
    Mutation(Arc<AuditRecord>),
}

/// How long a mutation may take.
pub const MUTATION_DEADLINE: Duration = Duration::from_secs(30);
/// How long an answer waits for its outcome to be written before that goes on behind
/// it.
const OUTCOME_PATIENCE: Duration = Duration::from_secs(5);
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MOST: Duration = Duration::from_secs(5);

/// Makes [`AuditService`]s. It stands inside the policy layer.
#[derive(Clone)]
pub struct AuditLayer {
    shared: Arc<Shared>,
}

struct Shared {
    sink: Arc<dyn AuditSink>,
    deadline: Duration,
    calls: TaskTracker,
}

impl AuditLayer {
    /// Writes to this sink. `calls` holds every running mutation; wait for it before
    /// the sink's database is closed.
    pub fn new(sink: Arc<dyn AuditSink>, calls: TaskTracker) -> Self {
        Self { shared: Arc::new(Shared { sink, deadline: MUTATION_DEADLINE, calls }) }
    }

    #[cfg(test)]
    pub(super) fn with_deadline(
        sink: Arc<dyn AuditSink>,
        calls: TaskTracker,
        deadline: Duration,
    ) -> Self {
        Self { shared: Arc::new(Shared { sink, deadline, calls }) }
    }
}

impl<S> Layer<S> for AuditLayer {
    type Service = AuditService<S>;

    fn layer(&self, inner: S) -> AuditService<S> {
        AuditService { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service whose mutations are in the audit log.
#[derive(Clone)]
pub struct AuditService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for AuditService<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + std::fmt::Display + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        let shared = Arc::clone(&self.shared);
        match request.extensions_mut().remove::<Admission>() {
            Some(Admission::Read) => ready.call(request).boxed(),
            Some(Admission::Mutation(record)) => async move {
                let calls = shared.calls.clone();
                // A task of its own: it ends even if the client goes away.
                let run = calls.spawn(
                    async move { shared.run(record, ready, request).await }.in_current_span(),
                );
                Ok(run.await.unwrap_or_else(|_| refuse(&defect())))
            }
            .boxed(),
            // Wired without the policy layer in front: nothing may pass.
            None => async { Ok(refuse(&defect())) }.boxed(),
        }
    }
}

fn defect() -> Status {
    let text = "the daemon has a defect; its log has the details under the request id";
    status(Code::Internal, "INTERNAL", text, &[])
}

impl Shared {
    async fn run<S>(
        self: Arc<Self>,
        record: Arc<AuditRecord>,
        mut service: S,
        request: Request<Body>,
    ) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<Body>> + Send,
        S::Future: Send,
        S::Error: std::fmt::Display,
    {
        if let Err(error) = self.sink.intent(&record).await {
            tracing::error!(call_id = %record.call_id, %error, "a mutation was refused");
            let text = "the audit log cannot be written at the moment, so nothing is changed; reads \
                        go on. `ssctl region show` tells how the region is";
            return refuse(&status(Code::Unavailable, "AUDIT_UNAVAILABLE", text, &[]));
        }
        let notes = request.extensions().get::<Caller>().map(|caller| caller.notes.clone());
        let answer = AssertUnwindSafe(timeout(self.deadline, whole(&mut service, request)));
        let response = match answer.catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => refuse(&too_late(self.deadline)),
            Err(panic) => {
                let panic = panic_text(panic.as_ref());
                tracing::error!(call_id = %record.call_id, panic, "a handler panicked");
                refuse(&defect())
            }
        };
        let record = match response.extensions().get::<AuditedResource>() {
            Some(AuditedResource(resource)) => {
                Arc::new(AuditRecord { resource: resource.clone(), ..(*record).clone() })
            }
            None => record,
        };
        let mut outcome = outcome_of(&response);
        // What failed changed nothing.
        if outcome.ending != Ending::Failed {
            let told = response.extensions().get::<AuditedSummary>().map(|told| told.0.clone());
            let by_handler = || notes.as_ref().map(CallNotes::summary).unwrap_or_default();
            outcome.summary = told.unwrap_or_else(by_handler);
        }
        let approvals = notes.map(|notes| notes.approvals()).unwrap_or_default();
        // What failed was rolled back, and its approval is unused.
        let record = if approvals.is_empty() || outcome.ending == Ending::Failed {
            record
        } else {
            let rule = format!("{}; {}", record.rule, approvals.join(", "));
            Arc::new(AuditRecord { rule, ..(*record).clone() })
        };
        self.close(&record, outcome).await;
        response
    }

    /// Writes the outcome; where that takes long it goes on behind the answer.
    async fn close(self: &Arc<Self>, record: &Arc<AuditRecord>, outcome: Outcome) {
        let first = timeout(OUTCOME_PATIENCE, self.sink.outcome(record, &outcome)).await;
        if let Ok(Ok(())) = first {
            return;
        }
        tracing::warn!(call_id = %record.call_id, "an outcome is not in the audit log yet");
        let (shared, record) = (Arc::clone(self), Arc::clone(record));
        // Not among the calls: it must not hold up the end of the process, after which
        // the sweep closes the intent.
        tokio::spawn(async move {
            let mut pause = RETRY_FIRST;
            while let Err(error) = shared.sink.outcome(&record, &outcome).await {
                tracing::debug!(call_id = %record.call_id, %error, "an outcome waits");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_MOST);
            }
        });
    }
}

fn too_late(deadline: Duration) -> Status {
    let text = format!(
        "the change took longer than {} s and was given up; it may or may not have taken effect: \
         read the resource before you try again",
        deadline.as_secs()
    );
    status(Code::DeadlineExceeded, "MUTATION_DEADLINE", text, &[])
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// Calls the service and reads its answer to the end.
async fn whole<S>(service: &mut S, request: Request<Body>) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Error: std::fmt::Display,
{
    let response = match service.call(request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a service failed");
            return refuse(&defect());
        }
    };
    let (mut parts, body) = response.into_parts();
    match body.collect().await {
        Ok(collected) => {
            let trailers = collected.trailers().cloned();
            if let Some(trailers) = &trailers {
                parts.extensions.insert(Trailers(trailers.clone()));
            }
            let message = Full::new(collected.to_bytes());
            let trailers = std::future::ready(trailers.map(Ok));
            Response::from_parts(parts, Body::new(message.with_trailers(trailers)))
        }
        Err(status) => refuse(&status),
    }
}

/// The trailers of an answer that was read whole.
#[derive(Clone, Debug)]
struct Trailers(http::HeaderMap);

fn outcome_of(response: &Response<Body>) -> Outcome {
    let trailers = response.extensions().get::<Trailers>();
    let status = Status::from_header_map(response.headers())
        .or_else(|| trailers.and_then(|t| Status::from_header_map(&t.0)))
        .unwrap_or_else(|| Status::unknown("the handler gave no status"));
    Outcome {
        ending: ending_of(status.code()),
        code: code_number(status.code()),
        message: status.message().to_owned(),
        summary: String::new(),
    }
}

/// What a status says about the effect. Where a commit may have been cut off, nothing
/// is claimed.
fn ending_of(code: Code) -> Ending {
    match code {
        Code::Ok => Ending::Succeeded,
        Code::Unknown
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Ending::Unknown,
        _ => Ending::Failed,
    }
}
