//! What comes from a region's daemon: the watch, the questions about the region and
//! the caller that no watch answers.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use prost_types::FieldMask;
use streamspace_client::{ClientError, Connection, WatchEvent};
use streamspace_proto::v1::{
    GetRegionRequest, ResourceKind, Selection, WatchRequest, WhoAmIRequest,
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tonic::{Response, Status};

use crate::{
    events::{EventKind, News},
    state::RegionIndex,
};

/// How many events the loop takes in at once; the table is sorted once for all.
const BATCH: usize = 128;
/// So often it is made sure that the daemon is there: who looks must not take a region for
/// well that fell silent two seconds ago.
const REGION_PERIOD: Duration = Duration::from_millis(500);
/// The region answers from memory, so this is long.
const REGION_PATIENCE: Duration = Duration::from_millis(1400);
/// How soon a watch that was refused is tried again.
const REFUSED_PERIOD: Duration = Duration::from_secs(5);
/// What is asked of the database or the cluster takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What is watched of sessions: what a line shows. Of fifty thousand the rest would be most
/// of what is sent and kept.
pub const SESSION_FIELDS: [&str; 11] = [
    "user",
    "template",
    "state",
    "phase",
    "cpu",
    "memory",
    "node",
    "last_activity_time",
    "create_time",
    "message",
    "deleting",
];

/// Where what a region says goes.
#[derive(Clone)]
pub(crate) struct Outlet {
    pub(crate) region: RegionIndex,
    pub(crate) events: mpsc::Sender<EventKind>,
}

/// Nobody reads any more.
pub(crate) struct Unread;

impl Outlet {
    pub(crate) async fn send(&self, news: News) -> Result<(), Unread> {
        self.events.send(EventKind::News(self.region, news)).await.map_err(|_| Unread)
    }
}

/// Starts what listens to a region's daemon. It ends when the loop no longer reads.
pub(crate) fn spawn(tasks: &mut JoinSet<()>, connection: &Connection, outlet: &Outlet) {
    let connected = Arc::new(Notify::new());
    tasks.spawn(watch(connection.clone(), outlet.clone(), Arc::clone(&connected)));
    tasks.spawn(ask(connection.clone(), outlet.clone(), connected));
}

async fn watch(connection: Connection, outlet: Outlet, connected: Arc<Notify>) {
    let all = |kind: ResourceKind| Selection { kind: kind.into(), ..Selection::default() };
    let fields = FieldMask { paths: SESSION_FIELDS.map(str::to_owned).into() };
    let sessions = Selection { read_mask: Some(fields), ..all(ResourceKind::Session) };
    let selections = vec![all(ResourceKind::Tenant), all(ResourceKind::Operation), sessions];
    let request = WatchRequest { selections, ..WatchRequest::default() };
    loop {
        let mut batches = connection.watch(request.clone()).ready_chunks(BATCH);
        while let Some(batch) = batches.next().await {
            if batch.iter().any(|event| matches!(event, WatchEvent::Connected { .. })) {
                connected.notify_one();
            }
            let batch = batch.into_iter().map(Into::into).collect();
            if outlet.send(News::Watch(batch)).await.is_err() {
                return;
            }
        }
        // It was refused for good. Somebody may mend what it was refused for, and whoever
        // looks should not have to open the dashboard again.
        sleep(REFUSED_PERIOD).await;
    }
}

/// Asks how the region is, again and again and after each connection, and who the caller is until it is
/// known and after every loss: a renewed certificate can have another role.
async fn ask(connection: Connection, outlet: Outlet, connected: Arc<Notify>) {
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
        let mut regions = connection.regions();
        let request = GetRegionRequest { name: "regions/-".into() };
        let reply = within(REGION_PATIENCE, regions.get_region(request)).await;
        let is_there = reply.is_ok();
        known &= is_there;
        if outlet.send(News::Region(reply.map(Box::new).map_err(Into::into))).await.is_err() {
            return;
        }
        if is_there && !known {
            let mut access = connection.access();
            let reply = within(PATIENCE, access.who_am_i(WhoAmIRequest {})).await;
            known = reply.is_ok();
            if outlet.send(News::Identity(reply.map(Box::new).map_err(Into::into))).await.is_err() {
                return;
            }
        }
    }
}

/// An answer that does not come in time is none.
pub(crate) async fn within<T>(
    patience: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, ClientError> {
    match timeout(patience, call).await {
        Ok(Ok(reply)) => Ok(reply.into_inner()),
        Ok(Err(status)) => Err(status.into()),
        Err(_) => Err(ClientError::TimedOut(patience)),
    }
}
