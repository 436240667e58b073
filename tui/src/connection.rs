//! What comes from the daemon: the watch, and the questions about the region and
//! the caller that no watch answers.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use streamspace_client::{ClientError, Connection, WatchEvent};
use streamspace_proto::v1::{GetRegionRequest, ResourceKind, WatchRequest, WhoAmIRequest};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tonic::{Response, Status};

use crate::update::EventKind;

/// How many events the loop takes in at once; the table is sorted once for all.
const BATCH: usize = 512;
const REGION_PERIOD: Duration = Duration::from_secs(3);
/// The region answers from memory, so this is long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts what listens to the daemon. It ends when the loop no longer reads.
pub(crate) fn spawn(
    tasks: &mut JoinSet<()>,
    connection: &Connection,
    news: &mpsc::Sender<EventKind>,
) {
    let connected = Arc::new(Notify::new());
    tasks.spawn(watch(connection.clone(), news.clone(), Arc::clone(&connected)));
    tasks.spawn(ask(connection.clone(), news.clone(), connected));
}

async fn watch(connection: Connection, news: mpsc::Sender<EventKind>, connected: Arc<Notify>) {
    let request =
        WatchRequest { kinds: vec![ResourceKind::Tenant.into()], ..WatchRequest::default() };
    let mut batches = connection.watch(request).ready_chunks(BATCH);
    while let Some(batch) = batches.next().await {
        if batch.iter().any(|event| matches!(event, WatchEvent::Connected { .. })) {
            connected.notify_one();
        }
        if news.send(EventKind::Watch(batch)).await.is_err() {
            return;
        }
    }
}

/// Asks how the region is, again and again and after each connection, and who the caller is until it is
/// known and after every loss: a renewed certificate can have another role.
async fn ask(connection: Connection, news: mpsc::Sender<EventKind>, connected: Arc<Notify>) {
    let mut ticks = interval(REGION_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // The daemon is back: nobody should wait for the next tick to see how
            // it is.
            () = connected.notified() => {}
        }
        if !known {
            let mut access = connection.access();
            let reply = within(access.who_am_i(WhoAmIRequest {})).await;
            known = reply.is_ok();
            let event = EventKind::Identity(reply.map(Box::new));
            if news.send(event).await.is_err() {
                return;
            }
        }
        let mut regions = connection.regions();
        let request = GetRegionRequest { name: "regions/-".into() };
        let reply = within(regions.get_region(request)).await;
        known &= reply.is_ok();
        if news.send(EventKind::Region(reply.map(Box::new))).await.is_err() {
            return;
        }
    }
}

async fn within<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, ClientError> {
    match timeout(PATIENCE, call).await {
        Ok(Ok(reply)) => Ok(reply.into_inner()),
        Ok(Err(status)) => Err(status.into()),
        Err(_) => Err(ClientError::TimedOut(PATIENCE)),
    }
}
