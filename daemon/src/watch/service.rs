//! `WatchService`, over the change log.
//!
//! The snapshot is read after its revision, so it holds at least every change up to
//! it; later ones may come again as deltas, which replace what they name.

use std::{collections::HashSet, pin::Pin, time::Duration};

use futures::Stream;
use prost::Message;
use streamspace_proto::v1::{
    self, ResourceKind, resource::Resource as AnyResource, watch_response::Event,
    watch_service_server::WatchService,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    db::{
        Database, DbError, Scope,
        changes::{ChangeKind, ChangeLog, ChangeRow, ChangeType},
    },
    operations,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        time::timestamp,
    },
    sessions, tenants,
};

/// A client that reads slowly holds this many messages; the rest stays in the
/// database until it reads on.
const BUFFER: usize = 64;
const BATCH: i64 = 500;
const BOOKMARK_PERIOD: Duration = Duration::from_secs(5);

/// The watch of one region.
#[derive(Clone)]
pub struct Watches {
    db: Database,
    changes: ChangeLog,
    stop: CancellationToken,
}

impl Watches {
    /// Streams end when `stop` is cancelled, so that clients go on elsewhere.
    pub fn new(db: Database, changes: ChangeLog, stop: CancellationToken) -> Self {
        Self { db, changes, stop }
    }
}

#[tonic::async_trait]
impl WatchService for Watches {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let scope = Caller::of(&request)?.scope.clone();
        let request = request.into_inner();
        let (sender, receiver) = mpsc::channel(BUFFER);
        let stream = WatchStream {
            db: self.db.clone(),
            changes: self.changes.clone(),
            scope,
            selection: Selection::of(&request)?,
            sender,
        };
        if request.after_revision > 0 {
            let head = stream.head().await.map_err(RpcError::from)?;
            if request.after_revision > head {
                // The database is an older one than the client saw.
                return Err(RpcError::RevisionGone(request.after_revision).into());
            }
        }
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let sender = stream.sender.clone();
            let ended = tokio::select! {
                result = stream.run(request.after_revision) => result,
                () = stop.cancelled() => Err(Ended::Status(Status::unavailable(
                    "the daemon is stopping; connect again",
                ))),
            };
            if let Err(Ended::Status(status)) = ended {
                // The client may be gone already.
                let _gone = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// Why a stream ended.
enum Ended {
    /// The client went away.
    ClientGone,
    /// The client is told this.
    Status(Status),
}

impl From<DbError> for Ended {
    fn from(error: DbError) -> Self {
        Self::Status(RpcError::from(error).into())
    }
}

/// What a client wants to see.
struct Selection {
    kinds: HashSet<ResourceKind>,
    names: HashSet<String>,
}

impl Selection {
    fn of(request: &v1::WatchRequest) -> RpcResult<Self> {
        let mut kinds = HashSet::new();
        for kind in request.kinds() {
            if kind == ResourceKind::Unspecified {
                return Err(RpcError::field("kinds", "must be TENANT, OPERATION or SESSION"));
            }
            kinds.insert(kind);
        }
        if request.after_revision < 0 {
            return Err(RpcError::field("after_revision", "must be 0 or more"));
        }
        if request.names.len() > 1000 {
            return Err(RpcError::field("names", "at most 1000; leave it empty to watch all"));
        }
        Ok(Self { kinds, names: request.names.iter().cloned().collect() })
    }

    fn wants_kind(&self, kind: ResourceKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    fn wants_name(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.contains(name)
    }
}

struct WatchStream {
    db: Database,
    changes: ChangeLog,
    scope: Scope,
    selection: Selection,
    sender: mpsc::Sender<Result<v1::WatchResponse, Status>>,
}

impl WatchStream {
    async fn head(&self) -> Result<i64, DbError> {
        let mut tx = self.db.begin(&self.scope).await?;
        let query = sqlx::query_scalar("SELECT revision FROM change_sequence");
        Ok(query.fetch_one(&mut *tx).await?)
    }

    async fn run(&self, after: i64) -> Result<(), Ended> {
        let mut revision = if after == 0 { self.snapshot().await? } else { after };
        let mut latest = self.changes.latest();
        loop {
            let seen = *latest.borrow_and_update();
            revision = self.deltas(revision).await?.max(revision);
            // Everything up to `seen` was read; rows of other scopes were skipped.
            revision = revision.max(seen);
            match timeout(BOOKMARK_PERIOD, latest.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => {
                    return Err(Ended::Status(Status::unavailable("the change log stopped")));
                }
                Err(_) => {
                    // A bookmark promises that nothing is missing, so look first.
                    revision = self.deltas(revision).await?.max(revision);
                    self.send(Event::Bookmark(v1::Bookmark { revision })).await?;
                }
            }
        }
    }

    async fn snapshot(&self) -> Result<i64, Ended> {
        let revision = self.head().await?;
        let mut tx = self.db.begin(&self.scope).await?;
        if self.selection.wants_kind(ResourceKind::Tenant) {
            for tenant in tenants::list(&mut tx, false).await? {
                let tenant = tenants::to_proto(&tenant);
                self.item(&tenant.name.clone(), AnyResource::Tenant(tenant)).await?;
            }
        }
        if self.selection.wants_kind(ResourceKind::Operation) {
            for operation in operations::open(&mut tx, &self.scope).await? {
                self.item(&operation.name.clone(), AnyResource::Operation(operation)).await?;
            }
        }
        drop(tx);
        if self.selection.wants_kind(ResourceKind::Session) {
            self.sessions().await?;
        }
        self.send(Event::Synced(v1::Synced { revision })).await?;
        Ok(revision)
    }

    /// Page by page, for there may be many. No transaction waits for a slow client. A session
    /// that comes or goes meanwhile is among the deltas.
    async fn sessions(&self) -> Result<(), Ended> {
        let mut after = None;
        loop {
            let mut tx = self.db.begin(&self.scope).await?;
            let page = sessions::page(&mut tx, None, after.take(), BATCH).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.tenant, last.name.clone()));
            for session in page {
                let session = session.resource;
                self.item(&session.name.clone(), AnyResource::Session(session)).await?;
            }
        }
    }

    async fn item(&self, name: &str, resource: AnyResource) -> Result<(), Ended> {
        if !self.selection.wants_name(name) {
            return Ok(());
        }
        self.send(Event::Item(v1::Resource { resource: Some(resource) })).await
    }

    /// Sends what follows `after`; returns the last revision that was read.
    async fn deltas(&self, mut after: i64) -> Result<i64, Ended> {
        loop {
            let rows = self.changes.read(&self.scope, after, BATCH).await?;
            let full = i64::try_from(rows.len()).unwrap_or(BATCH) >= BATCH;
            for row in rows {
                after = row.revision;
                if self.selection.wants_kind(kind(row.kind)) && self.selection.wants_name(&row.name)
                {
                    self.send(Event::Change(change(&row)?)).await?;
                }
            }
            if !full {
                return Ok(after);
            }
        }
    }

    async fn send(&self, event: Event) -> Result<(), Ended> {
        let response = v1::WatchResponse { event: Some(event) };
        self.sender.send(Ok(response)).await.map_err(|_| Ended::ClientGone)
    }
}

fn kind(kind: ChangeKind) -> ResourceKind {
    match kind {
        ChangeKind::Tenant => ResourceKind::Tenant,
        ChangeKind::Operation => ResourceKind::Operation,
        ChangeKind::Session => ResourceKind::Session,
    }
}

fn change(row: &ChangeRow) -> Result<v1::Change, Ended> {
    let resource = v1::Resource::decode(row.resource.as_slice()).map_err(|error| {
        let words = format!("revision {} of the change log: {error}", row.revision);
        Ended::Status(RpcError::Internal(words).into())
    })?;
    let change_type = match row.change {
        ChangeType::Created => v1::ChangeType::Created,
        ChangeType::Updated => v1::ChangeType::Updated,
        ChangeType::Deleted => v1::ChangeType::Deleted,
    };
    Ok(v1::Change {
        revision: row.revision,
        r#type: change_type.into(),
        resource: Some(resource),
        time: timestamp(row.time),
        actor: row.actor.clone(),
    })
}

#[cfg(test)]
mod tests;
