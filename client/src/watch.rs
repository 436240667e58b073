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
        let place = Place::after(request.after_revision);
        let watcher = Watcher { connection, request, place, sender };
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
    place: Place,
    sender: mpsc::Sender<WatchEvent>,
}

/// Where the next stream goes on.
#[derive(Debug)]
struct Place {
    /// The last revision of which everything was passed on. After 0 comes a snapshot.
    revision: i64,
    /// Whether the reader holds everything up to there. Until a snapshot is complete, what
    /// the reader holds is partly of it and partly older.
    is_whole: bool,
}

impl Place {
    fn after(revision: i64) -> Self {
        Self { revision, is_whole: revision != 0 }
    }

    /// A snapshot is complete. It is of revision 0 where nothing ever changed.
    fn synced(&mut self, revision: i64) {
        self.is_whole = true;
        self.passed(revision);
    }

    fn passed(&mut self, revision: i64) {
        if self.is_whole {
            self.revision = self.revision.max(revision);
        }
    }
}

/// What a message has passed on.
enum Passed {
    Nothing,
    /// All of a snapshot of this revision.
    Snapshot(i64),
    /// All up to this revision, if what was before is there.
    UpTo(i64),
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
            if error.code() == Some(Code::OutOfRange) && self.place.revision != 0 {
                self.place = Place::after(0);
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
        let resumed = self.place.revision != 0;
        // What the stream before had of a snapshot counts for nothing.
        self.place = Place::after(self.place.revision);
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
        let request = WatchRequest { after_revision: self.place.revision, ..self.request.clone() };
        Ok(client.watch(request).await?.into_inner())
    }

    async fn pass_on(&mut self, message: WatchResponse) -> Result<(), Unread> {
        let (event, passed) = match message.event {
            Some(Event::Snapshot(snapshot)) => {
                (WatchEvent::Snapshot { counts: Counts::read(&snapshot.counts) }, Passed::Nothing)
            }
            Some(Event::Item(resource)) => (WatchEvent::Item(Box::new(resource)), Passed::Nothing),
            Some(Event::Synced(synced)) => {
                let (revision, counts) = (synced.revision, Counts::read(&synced.counts));
                (WatchEvent::Synced { revision, counts }, Passed::Snapshot(revision))
            }
            Some(Event::Change(change)) => {
                let revision = change.revision;
                (WatchEvent::Change(Box::new(change)), Passed::UpTo(revision))
            }
            Some(Event::Bookmark(bookmark)) => {
                let revision = bookmark.revision;
                (WatchEvent::Bookmark { revision }, Passed::UpTo(revision))
            }
            Some(Event::Gap(gap)) => {
                self.place = Place::after(0);
                let (from, to) = (gap.from_revision, gap.to_revision);
                (WatchEvent::Gap { from, to }, Passed::Nothing)
            }
            // A kind of message that this version does not know.
            None => return Ok(()),
        };
        self.send(event).await?;
        match passed {
            Passed::Nothing => {}
            Passed::Snapshot(revision) => self.place.synced(revision),
            Passed::UpTo(revision) => self.place.passed(revision),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_after_what_is_whole() {
        let mut place = Place::after(0);
        // Changes within a snapshot are of its time, and no end of it came.
        place.passed(7);
        assert_eq!(place.revision, 0);
        place.synced(5);
        place.passed(8);
        place.passed(6);
        assert_eq!(place.revision, 8);
    }

    /// A region in which nothing has ever changed: its snapshot is of revision 0.
    #[test]
    fn it_goes_on_after_the_first_change_of_all() {
        let mut place = Place::after(0);
        place.synced(0);
        place.passed(1);
        place.passed(2);
        assert_eq!(place.revision, 2);
    }
}
