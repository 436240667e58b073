//! One kind of objects in the cluster, listed and watched.
//!
//! The watcher of the client library hides bookmarks and the versions of lists. Both say
//! how far a watch has come, which the metering must know.

use std::{pin::pin, time::Duration};

use futures::TryStreamExt as _;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use kube::{
    Api, Client, Resource as _,
    api::{ListParams, WatchEvent, WatchParams},
    client::Body,
    core::{ApiResource, DynamicObject, ListMeta, Request, Status},
};
use serde::Deserialize;
use serde_json::Value;
use streamspace_core::usage::Second;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use crate::kube::{ClusterError, Object, limited};

/// How many objects a page of a list brings.
pub(super) const PAGE: u32 = 250;
/// Pauses between attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// How often a watch is tried from one version before everything is listed again.
const ATTEMPTS: u32 = 12;
/// A server that closes every watch at once is asked so often.
const PACE: Duration = Duration::from_millis(200);
/// A list of everything is dear, so one whose watch is refused at once is not made again at
/// once.
const RELIST: Duration = Duration::from_secs(1);
/// How much later than it was asked to a server ends a watch.
const LATE: Duration = Duration::from_secs(5);

/// Which objects.
#[derive(Clone)]
pub(super) struct Source {
    client: Client,
    resource: ApiResource,
    selector: Option<String>,
}

/// A page of a list, or a look at its head.
pub(super) struct Page {
    /// The state of the cluster that it shows.
    pub(super) version: u64,
    /// When the API server answered, by its clock.
    pub(super) date: Second,
    /// How long the answer took.
    pub(super) took: Duration,
    pub(super) objects: Vec<DynamicObject>,
    /// Where the next page begins.
    next: Option<String>,
}

/// What a watch tells.
#[derive(Debug)]
pub(super) enum News {
    Applied(Box<DynamicObject>),
    Deleted(Box<DynamicObject>),
    /// It has come to this version.
    Reached(u64),
    /// It cannot go on: everything must be listed again.
    Expired(String),
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    Sessions,
    Homes,
    Templates,
}

/// Where the news of a watch goes.
pub(super) type Tell = mpsc::Sender<(Watched, News)>;

/// Why a watch ended before its time.
enum Ended {
    Expired(String),
    Broken(String),
    /// Nobody listens.
    Unheard,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    metadata: ListMeta,
    // Go writes an empty list as `null`, too.
    #[serde(default)]
    items: Option<Vec<Object>>,
}

impl Source {
    pub(super) fn new(client: Client, resource: ApiResource, selector: Option<String>) -> Self {
        Self { client, resource, selector }
    }

    /// What it is of, for people.
    pub(super) fn plural(&self) -> &str {
        &self.resource.plural
    }

    /// The page of a list that begins at `from`, with at most `limit` objects.
    pub(super) async fn page(&self, limit: u32, from: Option<&str>) -> Result<Page, ClusterError> {
        let params = ListParams {
            label_selector: self.selector.clone(),
            limit: Some(limit),
            continue_token: from.map(str::to_owned),
            ..ListParams::default()
        };
        let wrong = |error: &dyn std::fmt::Display| ClusterError::Unavailable(error.to_string());
        let request = Request::new(Object::url_path(&self.resource, None)).list(&params);
        let request = request.map_err(|error| wrong(&error))?.map(Body::from);
        let asked = Instant::now();
        let (parts, bytes) = limited(async {
            let (parts, body) = self.client.send(request).await?.into_parts();
            Ok((parts, body.collect().await?.to_bytes()))
        })
        .await?;
        let took = asked.elapsed();
        if !parts.status.is_success() {
            let status: Status = serde_json::from_slice(&bytes).unwrap_or_default();
            return Err(ClusterError::Refused {
                reason: status.reason,
                message: format!("{}: {}", self.resource.plural, status.message),
                code: parts.status.as_u16(),
            });
        }
        let date = parts.headers.get(http::header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(date_of).ok_or_else(|| {
            ClusterError::Unavailable(
                "its answer has no `Date`, without which nothing can be metered: let what \
                 stands before the API server pass that header"
                    .to_owned(),
            )
        })?;
        let listed: Listed = serde_json::from_slice(&bytes).map_err(|error| wrong(&error))?;
        let version = listed.metadata.resource_version.as_deref().unwrap_or_default();
        let version = version.parse().map_err(|_| {
            ClusterError::Unavailable("its resource versions are no numbers".to_owned())
        })?;
        let objects = listed.items.unwrap_or_default().into_iter().map(dynamic).collect();
        let next = listed.metadata.continue_.filter(|next| !next.is_empty());
        Ok(Page { version, date, took, objects, next })
    }

    /// Tells what happens after `version`, until it cannot go on or nobody listens. Each
    /// watch is asked to last so many seconds: the server tells at the end of it how far it
    /// has come.
    pub(super) async fn follow(
        &self,
        watched: Watched,
        mut version: u64,
        seconds: u32,
        tell: Tell,
    ) {
        let mut failures = 0;
        let mut pause = BACKOFF.0;
        loop {
            let (began, before) = (Instant::now(), version);
            let ended = self.watch(watched, &mut version, seconds, &tell).await;
            if version > before || ended.is_ok() {
                (failures, pause) = (0, BACKOFF.0);
            }
            let error = match ended {
                Ok(()) => {
                    sleep(PACE.saturating_sub(began.elapsed())).await;
                    continue;
                }
                Err(Ended::Unheard) => return,
                Err(Ended::Expired(why)) => {
                    sleep(jittered(RELIST)).await;
                    // Whoever does not listen any more needs no news either.
                    let _unheard = tell.send((watched, News::Expired(why))).await;
                    return;
                }
                Err(Ended::Broken(error)) => error,
            };
            failures += 1;
            if failures == 1 {
                let kind = self.plural();
                tracing::warn!(kind, error, "a watch of the cluster broke; it is made anew");
            }
            if failures >= ATTEMPTS {
                let _unheard = tell.send((watched, News::Expired(error))).await;
                return;
            }
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    async fn watch(
        &self,
        watched: Watched,
        version: &mut u64,
        seconds: u32,
        tell: &Tell,
    ) -> Result<(), Ended> {
        let api: Api<Object> = Api::all_with(self.client.clone(), &self.resource);
        let params = WatchParams {
            label_selector: self.selector.clone(),
            timeout: Some(seconds),
            bookmarks: true,
            ..WatchParams::default()
        };
        let limit = Duration::from_secs(seconds.into()) + LATE;
        let from = version.to_string();
        // A connection that hangs looks like a quiet one.
        let late = || Ended::Broken("the API server did not end the watch in time".to_owned());
        let deadline = Instant::now() + limit;
        let opened = timeout(limit, api.watch(&params, &from)).await.map_err(|_| late())?;
        let mut events = pin!(opened.map_err(|error| ended(&error))?);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = match timeout(left, events.try_next()).await.map_err(|_| late())? {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(()),
                Err(kube::Error::SerdeError(error)) => {
                    // One line that nobody can read does not hide the others.
                    tracing::warn!(kind = self.plural(), %error, "a watch told something odd");
                    continue;
                }
                Err(error) => return Err(ended(&error)),
            };
            let (news, reached) = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    let reached = version_of(&object);
                    (News::Applied(Box::new(dynamic(object))), reached)
                }
                WatchEvent::Deleted(object) => {
                    let reached = version_of(&object);
                    (News::Deleted(Box::new(dynamic(object))), reached)
                }
                WatchEvent::Bookmark(mark) => {
                    let reached = mark.metadata.resource_version.parse().unwrap_or_default();
                    (News::Reached(reached), reached)
                }
                WatchEvent::Error(status) => return Err(refused(&status)),
            };
            tell.send((watched, news)).await.map_err(|_| Ended::Unheard)?;
            *version = reached.max(*version);
        }
    }
}

/// The pages of one list.
pub(super) struct Pages<'a> {
    source: &'a Source,
    next: Option<String>,
    begun: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn of(source: &'a Source) -> Self {
        Self { source, next: None, begun: false }
    }

    /// The next page; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Page>, ClusterError> {
        if self.begun && self.next.is_none() {
            return Ok(None);
        }
        let page = self.source.page(PAGE, self.next.as_deref()).await?;
        self.begun = true;
        self.next.clone_from(&page.next);
        Ok(Some(page))
    }
}

fn ended(error: &kube::Error) -> Ended {
    match error {
        kube::Error::Api(status) => refused(status),
        other => Ended::Broken(ClusterError::Unavailable(other.to_string()).to_string()),
    }
}

/// Where the version is gone, or the kind itself, there is nothing to go on from.
fn refused(status: &Status) -> Ended {
    match status.code {
        404 | 410 => Ended::Expired(status.message.clone()),
        _ => Ended::Broken(status.message.clone()),
    }
}

fn version_of(object: &Object) -> u64 {
    let version = object.metadata.resource_version.as_deref();
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}

fn dynamic(object: Object) -> DynamicObject {
    let Object { metadata, content, fault: _ } = object;
    DynamicObject { types: None, metadata, data: Value::Object(content) }
}

/// The instant of a `Date` header.
fn date_of(text: &str) -> Option<Second> {
    let instant: Timestamp =
        jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Second::holding(instant))
}

/// Between one and two times as long, so that many do not try at once.
pub(super) fn jittered(pause: Duration) -> Duration {
    let thousandths = u32::try_from(Uuid::new_v4().as_u128() % 1000).unwrap_or_default();
    pause + pause.saturating_mul(thousandths) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read() {
        assert_eq!(date_of("Thu, 01 Jan 1970 00:01:01 GMT"), Some(Second(61)));
        assert_eq!(date_of("Sun, 29 Nov 2026 05:41:24 GMT"), Some(Second(1_795_930_884)));
        for text in ["", "yesterday", "2026-11-29T05:41:24Z"] {
            assert_eq!(date_of(text), None, "{text}");
        }
    }

    #[test]
    fn a_pause_is_at_most_doubled() {
        let pause = Duration::from_secs(2);
        assert!((0..100).map(|_| jittered(pause)).all(|it| it >= pause && it < 2 * pause));
    }
}
