//! Works on operations over several tenants or sessions, on the leader: several operations
//! at once, and a few items of each.
//!
//! Leadership only says who is at it. What keeps items from being done twice is the lock on
//! their rows, so a leader that was replaced and does not know yet does no harm.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, future::join_all};
use streamspace_core::ids::OperationId;
use streamspace_proto::policy::Method;
use tokio::{
    sync::watch,
    task::{Id, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{
    change::{Address, Work},
    item::{Found, Working, request_id},
    session::{self, SessionWork},
};
use crate::{
    db::{Database, DbError, Leadership, Scope, changes::ChangeLog, lease},
    operations::{
        bulk::{self, BulkRecord, Item, ItemKey, Settled},
        change::Deed,
    },
    rpc::{
        CallNotes, Caller, Clock,
        audit::{AuditRecord, AuditSink, Ending, MUTATION_DEADLINE, Outcome},
        errors::RpcError,
        peer::{CertificateStatus, Standing},
        policy,
        status::status,
    },
};
use requester::{caller, standing};

mod requester;

/// Who makes the daemon's own changes.
const ACTOR: &str = "streamspaced";
/// So many operations are worked on at once; others wait for their turn.
const OPERATIONS: usize = 4;
/// So many items of an operation are worked on at once.
const ITEMS: i64 = 4;
/// How late an operation is found whose notification was lost.
const POLL: Duration = Duration::from_millis(500);
/// Changes that follow each other closely are looked at together.
const GATHER: Duration = Duration::from_millis(50);
/// How often the change log is told how far an operation is.
const REPORT: Duration = Duration::from_millis(500);
/// Pauses while the database or the audit log is away.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How often an item is tried that collides with other changes.
const COLLISIONS: u32 = 20;

/// What the work needs.
pub struct Parts {
    /// Where operations are kept.
    pub db: Database,
    /// Wakes when there may be work.
    pub changes: ChangeLog,
    /// What is done to each tenant.
    pub work: Work,
    /// What each session is changed with.
    pub sessions: SessionWork,
    /// Who was revoked or locked.
    pub status: Arc<dyn CertificateStatus>,
    /// Where each item's change is written down.
    pub sink: Arc<dyn AuditSink>,
    /// Tells the time by which grants end.
    pub clock: Clock,
}

/// Works while this replica leads, until it is stopped. Items under way are finished.
pub async fn run(
    parts: Parts,
    mut leadership: watch::Receiver<Leadership>,
    stop: CancellationToken,
) {
    let parts = Arc::new(parts);
    loop {
        let now = leadership.borrow_and_update().clone();
        if now.leads {
            let term = stop.child_token();
            let _ends = term.clone().drop_guard();
            let mut work = std::pin::pin!(lead(&parts, &now, &term));
            let ended = tokio::select! {
                () = stop.cancelled() => false,
                _ = leadership.changed() => false,
                () = &mut work => true,
            };
            // What is under way has an entry in the audit log that waits for its end.
            term.cancel();
            if !ended {
                work.await;
            }
        } else {
            tokio::select! {
                () = stop.cancelled() => {}
                changed = leadership.changed() => if changed.is_err() { return },
            }
        }
        if stop.is_cancelled() {
            return;
        }
    }
}

/// One term: finds operations that are open, and works on each.
async fn lead(parts: &Arc<Parts>, leadership: &Leadership, term: &CancellationToken) {
    let mut at_work: JoinSet<()> = JoinSet::new();
    let mut known: HashMap<Id, OperationId> = HashMap::new();
    let mut latest = parts.changes.latest();
    while !term.is_cancelled() {
        latest.mark_unchanged();
        match open(&parts.db).await {
            Ok(ids) => {
                for id in ids {
                    let is_known = known.values().any(|other| *other == id);
                    if !is_known && known.len() < OPERATIONS {
                        let task = Task {
                            parts: Arc::clone(parts),
                            leadership: leadership.clone(),
                            term: term.clone(),
                            id,
                        };
                        known.insert(at_work.spawn(task.run()).id(), id);
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "operations are looked for later"),
        }
        tokio::select! {
            () = term.cancelled() => {}
            Some(ended) = at_work.join_next_with_id(), if !at_work.is_empty() => {
                let id = match &ended {
                    Ok((id, ())) => *id,
                    Err(error) => error.id(),
                };
                if let (Some(operation), Err(error)) = (known.remove(&id), ended) {
                    tracing::error!(operation = %operation.0, %error, "an operation is begun anew");
                }
            }
            () = sleep(POLL) => {}
            changed = latest.changed() => {
                if changed.is_err() {
                    sleep(POLL).await;
                }
                sleep(GATHER).await;
            }
        }
    }
    while at_work.join_next().await.is_some() {}
}

async fn open(db: &Database) -> Result<Vec<OperationId>, DbError> {
    let mut tx = db.begin(&Scope::Region).await?;
    Ok(bulk::open(&mut tx).await?.into_iter().map(|record| record.id).collect())
}

/// The work on one operation in one term.
struct Task {
    parts: Arc<Parts>,
    leadership: Leadership,
    term: CancellationToken,
    id: OperationId,
}

/// What to do next on an operation.
enum Next {
    /// These items.
    Items(Box<BulkRecord>, Vec<Item>),
    /// Nothing more: it is over, or this replica does not lead.
    Over,
}

/// What became of an attempt on an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// It is settled, or is not to be worked on.
    Over,
    /// Something is away for now.
    Later,
    /// It collided with another change.
    Collided,
}

impl Task {
    async fn run(self) {
        let mut pause = BACKOFF.0;
        let mut told = Instant::now();
        let mut collisions: HashMap<ItemKey, u32> = HashMap::new();
        while !self.term.is_cancelled() {
            let later = match self.next(&collisions).await {
                Ok(Next::Over) => return,
                Ok(Next::Items(record, items)) => {
                    let later = self.wave(&record, items, &mut collisions).await;
                    if told.elapsed() >= REPORT {
                        told = Instant::now();
                        if let Err(error) = self.report().await {
                            tracing::debug!(%error, "how far an operation is is told later");
                        }
                    }
                    later
                }
                Err(error) => {
                    tracing::warn!(operation = %self.id.0, %error, "an operation goes on later");
                    true
                }
            };
            if later {
                let _ = self.term.run_until_cancelled(sleep(pause)).await;
                pause = (pause * 2).min(BACKOFF.1);
            } else {
                pause = BACKOFF.0;
            }
        }
    }

    /// Looks at the operation as it is now: ends it where it is to end, or gives the next
    /// items. Those that collided wait until there are no others, so that one item that
    /// somebody holds does not hold up all.
    async fn next(&self, collisions: &HashMap<ItemKey, u32>) -> Result<Next, RpcError> {
        let mut tx = self.parts.db.begin(&Scope::Region).await?;
        if !lease::still_leads(&mut tx, &self.leadership).await? {
            return Ok(Next::Over);
        }
        let Some(record) = bulk::by_id(&mut tx, self.id).await? else { return Ok(Next::Over) };
        if record.done() {
            return Ok(Next::Over);
        }
        let barred = match record.deed().and_then(|deed| deed.method()) {
            Ok(method) => self.barred(&record, &method),
            Err(error) => Some(error.into()),
        };
        let items = match (&barred, record.cancel_time) {
            (None, None) => {
                let later: Vec<ItemKey> = collisions.keys().cloned().collect();
                let others = bulk::pending(&mut tx, self.id, ITEMS, &later).await?;
                if others.is_empty() && !later.is_empty() {
                    bulk::pending(&mut tx, self.id, ITEMS, &[]).await?
                } else {
                    others
                }
            }
            _ => Vec::new(),
        };
        if !items.is_empty() {
            return Ok(Next::Items(Box::new(record), items));
        }
        let error = barred.filter(|_| record.cancel_time.is_none());
        let error = error.map(|status| bulk::error_of(&status));
        let ended = bulk::end(&mut tx, self.id, error.as_ref(), ACTOR).await?;
        tx.commit().await.map_err(DbError::from)?;
        if !ended {
            return Ok(Next::Items(Box::new(record), Vec::new()));
        }
        tracing::info!(
            operation = %self.id.0, kind = record.kind, cancelled = record.cancel_time.is_some(),
            error = error.map(|error| error.message), "an operation has ended"
        );
        Ok(Next::Over)
    }

    /// Why who asked may not do it any more.
    fn barred(&self, record: &BulkRecord, method: &Method) -> Option<Status> {
        let now = (self.parts.clock)();
        let requester = &record.requester;
        if let Some(refused) = standing(self.parts.status.as_ref(), requester, now) {
            return Some(refused);
        }
        let caller = caller(self.parts.status.as_ref(), record, now);
        policy::allowed(method, &caller.facts()).err().map(|denied| {
            let words = format!("{} may not go on: {}", requester.actor, denied.message());
            status(denied.code(), bulk::REQUESTER_BARRED, words, &[])
        })
    }

    /// Works on some items at once. Returns whether to wait a little.
    async fn wave(
        &self,
        record: &BulkRecord,
        items: Vec<Item>,
        collisions: &mut HashMap<ItemKey, u32>,
    ) -> bool {
        let Ok(deed) = record.deed() else { return true };
        let attempts = items.iter().map(|item| {
            let tries = collisions.get(&item.key).copied().unwrap_or(0);
            self.attempt(record, &deed, item.clone(), tries >= COLLISIONS)
        });
        let mut later = false;
        for (item, attempt) in items.iter().zip(join_all(attempts).await) {
            match attempt {
                Attempt::Over => {
                    collisions.remove(&item.key);
                }
                Attempt::Later => later = true,
                Attempt::Collided => {
                    let again = collisions.entry(item.key.clone()).or_default();
                    // The first time there are others to go on with.
                    later |= *again > 0;
                    *again += 1;
                }
            }
        }
        later
    }

    /// Tries one item, with its entry in the audit log. `last`: a collision fails it.
    async fn attempt(&self, record: &BulkRecord, deed: &Deed, item: Item, last: bool) -> Attempt {
        let parts = &self.parts;
        let Ok(method) = deed.method() else { return Attempt::Later };
        let id = request_id(self.id, record.run, &item);
        let working = Arc::new(Working::new(self.id, item));
        let target = working.item.target.as_str();
        let caller = Caller {
            call_id: id,
            item: Some(Arc::clone(&working) as _),
            ..caller(parts.status.as_ref(), record, (parts.clock)())
        };
        let name = self.id.to_name();
        let mut entry =
            AuditRecord::of_item(id, &caller, &method.path, target, &record.reason, &name);
        if caller.break_glass.is_some() {
            entry.role.push_str(" (break-glass)");
        }
        if let Err(error) = parts.sink.intent(&entry).await {
            tracing::debug!(%error, target, "an item waits for the audit log");
            return Attempt::Later;
        }
        let reply = self.apply(record, deed, &working, &caller).await;
        match (reply, working.found()) {
            (_, Found::Over) => {
                self.not_done(&working, &entry).await;
                Attempt::Over
            }
            (Ok(()), Found::Changed) => {
                self.close(&entry, Ending::Succeeded, None, caller.notes.summary());
                Attempt::Over
            }
            (Ok(()), Found::Waits) => {
                self.settle(&working, &entry, Ending::Succeeded, None, Settled::Unchanged).await
            }
            (Err(refused), _) => match refused.code() {
                Code::Unavailable | Code::DeadlineExceeded => {
                    parts.sink.left(id);
                    Attempt::Later
                }
                Code::Aborted if !last => {
                    parts.sink.left(id);
                    Attempt::Collided
                }
                _ => {
                    let settled = Settled::Failed(bulk::error_of(&refused));
                    self.settle(&working, &entry, Ending::Failed, Some(&refused), settled).await
                }
            },
        }
    }

    /// Makes the change, or tells why not. What panics is a defect of that item.
    async fn apply(
        &self,
        record: &BulkRecord,
        deed: &Deed,
        working: &Working,
        caller: &Caller,
    ) -> Result<(), Status> {
        let Parts { db, work, sessions, .. } = self.parts.as_ref();
        let (target, id) = (working.item.target.as_str(), caller.call_id);
        let work = async {
            match deed {
                Deed::Tenants(change) => {
                    let reason = &record.reason;
                    let address = Address { tenant: target, reason, request_id: Some(id) };
                    work.apply(change, &address, caller).await.map(|_reply| ())
                }
                Deed::CreateSession(_) | Deed::ChangeSessions(_) => {
                    let item = session::Item { operation: self.id, item: &working.item };
                    sessions.apply(db, &self.leadership, deed, &item, caller).await
                }
            }
        };
        match timeout(MUTATION_DEADLINE, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_panic)) => {
                tracing::error!(target, "the change of an item panicked");
                Err(RpcError::Internal("a panic".into()).into())
            }
            Err(_elapsed) => Err(Status::deadline_exceeded("the change took too long")),
        }
    }

    /// Settles an item that was not changed. Its end in the audit log is written first: if
    /// the item is tried again, that is the same entry.
    async fn settle(
        &self,
        working: &Working,
        entry: &AuditRecord,
        ending: Ending,
        refused: Option<&Status>,
        settled: Settled,
    ) -> Attempt {
        self.close(entry, ending, refused, String::new());
        let write = async {
            let mut tx = self.parts.db.begin(&Scope::Region).await?;
            bulk::settle(&mut tx, working.operation, &working.item.key, &settled).await?;
            tx.commit().await.map_err(DbError::from)
        };
        match write.await {
            Ok(()) => Attempt::Over,
            Err(error) => {
                tracing::debug!(%error, "an item is settled later");
                Attempt::Later
            }
        }
    }

    /// An item that was not to be worked on any more when its turn came.
    async fn not_done(&self, working: &Working, entry: &AuditRecord) {
        let is_settled = async {
            let mut tx = self.parts.db.begin(&Scope::Region).await?;
            bulk::is_settled(&mut tx, working.operation, &working.item.key).await
        };
        if matches!(is_settled.await, Ok(false)) {
            let refused = Status::cancelled("not done: the operation was stopped before it");
            self.close(entry, Ending::Failed, Some(&refused), String::new());
        } else {
            // Another replica did it, and writes how it ended.
            self.parts.sink.left(entry.call_id);
        }
    }

    /// Writes how an item ended. Where the audit log is away it goes on behind the work; the
    /// sweep closes what is left when the process ends.
    fn close(
        &self,
        entry: &AuditRecord,
        ending: Ending,
        refused: Option<&Status>,
        summary: String,
    ) {
        let outcome = Outcome {
            ending,
            code: refused.map_or(0, |status| i32::from(status.code())),
            message: refused.map(|status| status.message().to_owned()).unwrap_or_default(),
            summary,
        };
        let (sink, entry) = (Arc::clone(&self.parts.sink), entry.clone());
        tokio::spawn(async move {
            let mut pause = BACKOFF.0;
            while let Err(error) = sink.outcome(&entry, &outcome).await {
                tracing::debug!(call_id = %entry.call_id, %error, "an outcome waits");
                sleep(pause).await;
                pause = (pause * 2).min(BACKOFF.1);
            }
        });
    }

    async fn report(&self) -> Result<(), DbError> {
        let mut tx = self.parts.db.begin(&Scope::Region).await?;
        bulk::report(&mut tx, self.id, ACTOR).await?;
        Ok(tx.commit().await?)
    }
}
