//! Open streams, judged again for as long as they are open.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt as _;
use http::HeaderMap;
use http_body::Frame;
use tokio::time::{Sleep, sleep};
use tokio_stream::wrappers::WatchStream;
use tonic::{Status, body::Body};

use super::{Guard, Policy};

/// An open stream is looked at this often if nothing else happens: clocks jump, and
/// machines sleep.
const LOOKED_AT: Duration = Duration::from_secs(30);
/// The end of a certificate counts once it is over, not at the moment itself.
const JUST_AFTER: Duration = Duration::from_millis(5);

/// A stream that ends when its caller is no longer who it was, or may no longer what it
/// does.
pub(super) struct GuardedBody {
    inner: Option<Body>,
    guard: Guard,
    policy: Arc<Policy>,
    changes: WatchStream<u64>,
    alarm: Pin<Box<Sleep>>,
}

impl GuardedBody {
    pub(super) fn new(inner: Body, guard: Guard, policy: Arc<Policy>) -> Self {
        let changes = WatchStream::from_changes(policy.judge.changes());
        // It goes off at once: the first look tells when to look again.
        let alarm = Box::pin(sleep(Duration::ZERO));
        Self { inner: Some(inner), guard, policy, changes, alarm }
    }

    /// Judges the caller now, and sets the alarm for when time alone may change that.
    fn judge(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        while let Poll::Ready(Some(_)) = self.changes.poll_next_unpin(context) {}
        let now = (self.policy.clock)();
        let holds_until = self.policy.still_admitted(&self.guard, now)?;
        while self.alarm.as_mut().poll(context).is_ready() {
            let left = Duration::try_from(now.duration_until(holds_until)).unwrap_or_default();
            let next = left.saturating_add(JUST_AFTER).min(LOOKED_AT);
            self.alarm.as_mut().reset(tokio::time::Instant::now() + next);
        }
        Ok(())
    }
}

impl http_body::Body for GuardedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.inner.is_none() {
            return Poll::Ready(None);
        }
        if let Err(refusal) = this.judge(context) {
            // The stream's own source ends with it.
            this.inner = None;
            let mut trailers = HeaderMap::new();
            let frame = refusal.add_header(&mut trailers).map(|()| Frame::trailers(trailers));
            return Poll::Ready(Some(frame));
        }
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(inner).poll_frame(context));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}
