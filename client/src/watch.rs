//! A watch that goes on after a loss.
//!
//! It remembers the last revision, connects again by itself, and says so: a gap
//! is shown as a gap. When the change log no longer reaches back to where it was,
//! it begins anew with a snapshot; so it does where it is cut off within the
//! snapshot that follows a gap.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use streamspace_proto::v1::{
    Change, KindCount, Resource, ResourceKind, WatchRequest, WatchResponse, watch_response::Event,
    watch_service_client::WatchServiceClient,
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_stream::Stream;
use tonic::{Code, Streaming};

use crate::{ClientError, Connection, retry::Backoff};

/// The daemon sends a bookmark every few seconds; three times that in silence is
/// a broken connection.
const SILENCE: Duration = Duration::from_secs(20);
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// Short enough to be back within two seconds of the daemon's return.
const LONGEST_DELAY: Duration = Duration::from_millis(1500);
/// A stream that lived this long was a good one: the next loss starts with short
/// delays again.
const GOOD_LIFE: Duration = Duration::from_secs(5);
/// Events that may wait for a slow reader; then the stream itself is held back.
const BUFFER: usize = 256;

/// What happens on a watch.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// The stream is open. `resumed` tells that changes follow the last revision
    /// without a gap; else a snapshot comes: forget what is known, or keep it
    /// until [`WatchEvent::Synced`] and drop what the snapshot did not have.
    Connected {
        /// Whether it goes on where it was.
        resumed: bool,
    },
    /// A snapshot begins.
    Snapshot {
        /// How many items it will have; some more or fewer, where something changes
        /// meanwhile.
        counts: Counts,
    },
    /// A resource of the snapshot.
    Item(Box<Resource>),
    /// The snapshot is complete.
    Synced {
        /// The revision that it holds.
        revision: i64,
        /// How many items it had.
        counts: Counts,
    },
    /// A committed change. One of type `LEFT` tells of a resource that does not
    /// match the selection: forget it, or be glad not to know it.
    Change(Box<Change>),
    /// This end or the way to it was too slow, and changes were left out. A snapshot
    /// comes: keep what is known until [`WatchEvent::Synced`], and drop then what the
    /// snapshot did not have.
    Gap {
        /// Everything up to this revision was told.
        from: i64,
        /// Everything up to this one is in what the snapshot has, and will not be
        /// told.
        to: i64,
    },
    /// Nothing has changed up to this revision.
    Bookmark {
        /// The revision.
        revision: i64,
    },
    /// The connection is lost; what is known grows old. It tries again after the
    /// delay.
    Lost {
        /// Why.
        error: ClientError,
        /// How long it waits before the next attempt.
        retry_in: Duration,
    },
    /// The daemon refuses to go on, and trying again would not help. The watch
    /// has ended.
    Failed(ClientError),
}

/// Numbers of resources, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tenants.
    pub tenants: u64,
    /// Operations.
    pub operations: u64,
    /// Sessions.
    pub sessions: u64,
}

impl Counts {
    /// All together.
    pub fn total(&self) -> u64 {
        self.tenants + self.operations + self.sessions
    }

    /// What the daemon tells; a kind that this version does not know is left out.
    fn read(counts: &[KindCount]) -> Self {
        let mut read = Self::default();
        for entry in counts {
            let count = u64::try_from(entry.count).unwrap_or(0);
            match entry.kind() {
                ResourceKind::Tenant => read.tenants = count,
                ResourceKind::Operation => read.operations = count,
                ResourceKind::Session => read.sessions = count,
                ResourceKind::Unspecified => {}
            }
        }
        read
    }
}

/// A stream of [`WatchEvent`]s. It ends only after [`WatchEvent::Failed`].
/// Dropping it closes the stream.
#[derive(Debug)]
pub struct Watch {
    events: mpsc::Receiver<WatchEvent>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(crate) fn start(connection: Connection, request: WatchRequest) -> Self {
        let (sender, events) = mpsc::channel(BUFFER);
        let revision = request.after_revision;
        let watcher = Watcher { connection, request, revision, sender };
        Self { events, task: tokio::spawn(watcher.run()) }
    }

    /// The next event; none after [`WatchEvent::Failed`].
    pub async fn next(&mut self) -> Option<WatchEvent> {
        self.events.recv().await
    }
}

impl Stream for Watch {
    type Item = WatchEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        self.events.poll_recv(context)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Watcher {
    connection: Connection,
    request: WatchRequest,
    /// The last revision of which everything was passed on; 0 without one.
    revision: i64,
    sender: mpsc::Sender<WatchEvent>,
}

/// Nobody reads any more.
struct Unread;

impl Watcher {
    async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        let mut denied_before = false;
        loop {
            let begin = Instant::now();
            let Ok(error) = self.follow().await else {
                return;
            };
            if begin.elapsed() >= GOOD_LIFE {
                backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
                denied_before = false;
            }
            if error.code() == Some(Code::OutOfRange) && self.revision != 0 {
                self.revision = 0;
                continue;
            }
            // The first one can be a certificate that ended on an open stream;
            // the next connection brings a new one.
            let unauthenticated = error.code() == Some(Code::Unauthenticated);
            if is_final(&error) || (unauthenticated && denied_before) {
                let _ = self.send(WatchEvent::Failed(error)).await;
                return;
            }
            denied_before = unauthenticated;
            let retry_in = backoff.delay();
            if self.send(WatchEvent::Lost { error, retry_in }).await.is_err() {
                return;
            }
            sleep(retry_in).await;
        }
    }

    /// Follows one stream to its end and returns what ended it.
    async fn follow(&mut self) -> Result<ClientError, Unread> {
        let mut stream = match self.open().await {
            Ok(stream) => stream,
            Err(error) => return Ok(error),
        };
        let resumed = self.revision != 0;
        self.send(WatchEvent::Connected { resumed }).await?;
        loop {
            let message = match timeout(SILENCE, stream.message()).await {
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None)) => {
                    return Ok(ClientError::Broken("the daemon ended the stream".into()));
                }
                Ok(Err(status)) => return Ok(status.into()),
                Err(_) => {
                    let silence = SILENCE.as_secs();
                    return Ok(ClientError::Broken(format!("silence for {silence} s")));
                }
            };
            self.pass_on(message).await?;
        }
    }

    async fn open(&self) -> Result<Streaming<WatchResponse>, ClientError> {
        // A connection of its own each time, so that each begins with a
        // certificate of that moment.
        let mut client = WatchServiceClient::new(self.connection.another_carrier()?);
        let request = WatchRequest { after_revision: self.revision, ..self.request.clone() };
        Ok(client.watch(request).await?.into_inner())
    }

    async fn pass_on(&mut self, message: WatchResponse) -> Result<(), Unread> {
        let (event, revision) = match message.event {
            Some(Event::Snapshot(snapshot)) => {
                (WatchEvent::Snapshot { counts: Counts::read(&snapshot.counts) }, None)
            }
            Some(Event::Item(resource)) => (WatchEvent::Item(Box::new(resource)), None),
            Some(Event::Synced(synced)) => {
                let (revision, counts) = (synced.revision, Counts::read(&synced.counts));
                (WatchEvent::Synced { revision, counts }, Some(revision))
            }
            Some(Event::Change(change)) => {
                let revision = change.revision;
                (WatchEvent::Change(Box::new(change)), Some(revision))
            }
            Some(Event::Bookmark(bookmark)) => {
                let revision = bookmark.revision;
                (WatchEvent::Bookmark { revision }, Some(revision))
            }
            Some(Event::Gap(gap)) => {
                // Until the snapshot is complete there is nothing to go on after: what
                // the reader holds is partly of it and partly older, and only the end of
                // a snapshot makes that whole.
                self.revision = 0;
                (WatchEvent::Gap { from: gap.from_revision, to: gap.to_revision }, None)
            }
            // A kind of message that this version does not know.
            None => return Ok(()),
        };
        // Before the snapshot is complete there is nothing to go on after.
        let counts = self.revision != 0 || matches!(event, WatchEvent::Synced { .. });
        self.send(event).await?;
        if let Some(new) = revision.filter(|_| counts) {
            self.revision = self.revision.max(new);
        }
        Ok(())
    }

    async fn send(&self, event: WatchEvent) -> Result<(), Unread> {
        self.sender.send(event).await.map_err(|_| Unread)
    }
}

fn is_final(error: &ClientError) -> bool {
    match error {
        ClientError::Refused(refusal) => matches!(
            refusal.code,
            Code::PermissionDenied
                | Code::InvalidArgument
                | Code::Unimplemented
                | Code::OutOfRange
                | Code::FailedPrecondition
        ),
        ClientError::Connect { fault, .. } => !fault.is_transient(),
        ClientError::DeviceOver { .. }
        | ClientError::Credential(_)
        | ClientError::Context(_)
        | ClientError::Token(_) => true,
        ClientError::TimedOut(_) | ClientError::Broken(_) | ClientError::Unexpected(_) => false,
    }
}
