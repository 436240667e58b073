//! `WatchService`, over the change log.

use std::pin::Pin;

use futures::Stream;
use streamspace_proto::v1::{self, watch_service_server::WatchService};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    selection::Selections,
    stream::{Ended, WatchStream},
};
use crate::{
    db::{Database, changes::ChangeLog},
    rpc::{Caller, errors::RpcError},
};

/// A client that reads slowly holds this many messages; the rest stays in the
/// database until it reads on.
const BUFFER: usize = 64;

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
        let after = request.after_revision;
        if after < 0 {
            return Err(RpcError::field("after_revision", "must be 0 or more").into());
        }
        let (sender, receiver) = mpsc::channel(BUFFER);
        let stream = WatchStream::new(
            self.db.clone(),
            self.changes.clone(),
            scope,
            Selections::read(&request)?,
            sender.clone(),
        );
        // The database can be an older one than the client saw.
        if after > 0 && !stream.knows(after).await.map_err(RpcError::from)? {
            return Err(RpcError::RevisionGone(after).into());
        }
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let ended = tokio::select! {
                result = stream.run(after) => result,
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

#[cfg(test)]
mod tests;
