//! Watches: the stream of events behind one request.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use http_body::Frame;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until},
};

use crate::{
    faults::{Effect, Faults, Refusal},
    objects::{self, Place},
    schema::{Object, edit},
    select::Selector,
    status::Failure,
    store::{Compacted, Event, Store, Stored, stamp},
};

/// How often an idle watch says how far it is.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// What a watch asks for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) selector: Selector,
    pub(crate) start: Start,
    pub(crate) bookmarks: bool,
    pub(crate) timeout: Duration,
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With everything that is there, as additions; whether a bookmark marks their end.
    Everything {
        /// The streaming list's closing bookmark.
        mark_end: bool,
    },
    /// With what comes from now on.
    Now,
    /// With what came after this revision.
    After(u64),
}

/// The events as lines of JSON. It ends at the timeout, after an error event,
/// or broken off when the server is stopped.
pub(crate) fn events(
    store: Arc<Store>,
    faults: &Faults,
    place: Place,
    request: Request,
    end: Option<Effect>,
) -> impl Stream<Item = io::Result<Frame<Bytes>>> + use<> {
    let mut bookmarks = interval_at(Instant::now() + BOOKMARK_EVERY, BOOKMARK_EVERY);
    bookmarks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut feed = Feed {
        prefix: place.prefix(),
        place,
        selector: request.selector,
        position: 0,
        lines: VecDeque::new(),
        revisions: store.revisions(),
        availability: faults.availability(),
        cuts: faults.cuts(),
        deadline: Instant::now() + request.timeout,
        bookmarks: request.bookmarks.then_some(bookmarks),
        ended: false,
        left: match end {
            Some(Effect::Cut { after_events }) => Some(after_events),
            _ => None,
        },
        store,
    };
    let is_gone = matches!(end, Some(Effect::Refuse { refusal: Refusal::Gone, .. }));
    if is_gone || faults.expires() {
        feed.expire("The resourceVersion for the provided watch is too old.".to_owned());
    } else {
        feed.begin(request.start);
    }
    stream::unfold(feed, |mut feed| async {
        let line = feed.next().await?;
        Some((line, feed))
    })
}

struct Line {
    text: Bytes,
    /// Rather than a bookmark or an error.
    is_event: bool,
}

struct Feed {
    store: Arc<Store>,
    place: Place,
    prefix: String,
    selector: Selector,
    /// All events up to here are delivered or need not be.
    position: u64,
    lines: VecDeque<Line>,
    revisions: watch::Receiver<u64>,
    availability: watch::Receiver<bool>,
    cuts: watch::Receiver<u64>,
    deadline: Instant,
    bookmarks: Option<Interval>,
    ended: bool,
    /// Events until a fault breaks the watch off.
    left: Option<u64>,
}

impl Feed {
    fn begin(&mut self, start: Start) {
        match start {
            Start::Now => self.position = self.store.revision(),
            Start::After(revision) => self.position = revision,
            Start::Everything { mark_end } => {
                // The present revision is never compacted.
                let everything = usize::MAX;
                let fits = |object: &Stored| self.selector.matches(object);
                let page =
                    self.store.list(&self.prefix, "", None, everything, fits).unwrap_or_default();
                for object in &page.objects {
                    self.push_stored("ADDED", object);
                }
                self.position = page.revision;
                if mark_end {
                    self.push_bookmark(true);
                }
            }
        }
    }

    async fn next(&mut self) -> Option<io::Result<Frame<Bytes>>> {
        loop {
            let is_cut = self.cuts.has_changed().unwrap_or_default();
            let is_cut = is_cut || self.left == Some(0);
            if (is_cut || !*self.availability.borrow_and_update()) && !self.ended {
                self.ended = true;
                self.lines.clear();
                return Some(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    if is_cut {
                        "the watch was cut"
                    } else {
                        "the simulated API server is stopped"
                    },
                )));
            }
            if let Some(line) = self.lines.pop_front() {
                self.left = self.left.map(|left| left.saturating_sub(u64::from(line.is_event)));
                return Some(Ok(Frame::data(line.text)));
            }
            if self.ended {
                return None;
            }
            self.revisions.borrow_and_update();
            self.take_events();
            if self.lines.is_empty() {
                self.wait().await;
            }
        }
    }

    fn take_events(&mut self) {
        match self.store.events_after(&self.prefix, self.position) {
            Ok((events, reached)) => {
                for event in &events {
                    self.push_event(event);
                }
                self.position = self.position.max(reached);
            }
            Err(Compacted(oldest)) => {
                self.expire(format!("too old resource version: {} ({oldest})", self.position));
            }
        }
    }

    fn expire(&mut self, message: String) {
        self.push("ERROR", Failure::expired(message).to_json());
        self.ended = true;
    }

    async fn wait(&mut self) {
        // A clone of its own, so that `next` still sees the change.
        let mut cut = self.cuts.clone();
        let bookmark = async {
            match self.bookmarks.as_mut() {
                Some(interval) => {
                    interval.tick().await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.revisions.changed() => {}
            _ = self.availability.changed() => {}
            _ = cut.changed() => {}
            () = bookmark => self.push_bookmark(false),
            () = sleep_until(self.deadline) => {
                if self.bookmarks.is_some() {
                    self.push_bookmark(false);
                }
                self.ended = true;
            }
        }
    }

    /// An object that leaves the selection is deleted to this watch, one that
    /// enters it is added.
    fn push_event(&mut self, event: &Event) {
        let selected = |object: &&Arc<Stored>| self.selector.matches(object);
        let previous = event.previous.as_ref().filter(selected);
        let current = event.current.as_ref().filter(selected);
        match (previous, current) {
            (None, Some(current)) => self.push_stored("ADDED", current),
            (Some(_), Some(current)) => self.push_stored("MODIFIED", current),
            (Some(previous), None) => {
                let mut object = previous.object();
                stamp(&mut object, event.revision);
                let object = objects::served(&self.place.resource, object);
                self.push("DELETED", object);
            }
            (None, None) => {}
        }
    }

    fn push_bookmark(&mut self, initial_events_end: bool) {
        let mut object = Object::new();
        object.insert("kind".to_owned(), self.place.resource.kind.as_str().into());
        object.insert("apiVersion".to_owned(), self.place.resource.api_version().into());
        stamp(&mut object, self.position);
        if initial_events_end {
            edit(&mut object, "metadata", |metadata| {
                metadata.insert("annotations".to_owned(), json!({ INITIAL_EVENTS_END: "true" }));
            });
        }
        self.push("BOOKMARK", object);
    }

    fn push_stored(&mut self, kind: &str, object: &Stored) {
        let object = objects::served_json(&self.place.resource, object, true);
        let text = Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"));
        self.lines.push_back(Line { text, is_event: true });
    }

    fn push(&mut self, kind: &str, object: impl Into<Value>) {
        let mut text = json!({ "type": kind, "object": object.into() }).to_string();
        text.push('\n');
        let is_event = !matches!(kind, "BOOKMARK" | "ERROR");
        self.lines.push_back(Line { text: Bytes::from(text), is_event });
    }
}
