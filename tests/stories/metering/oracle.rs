//! The true history of sessions, as the API server kept it: each version of each object, by
//! a watch that is never interrupted. It knows nothing of how the daemon counts.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::TryStreamExt as _;
use kube::{
    Api,
    api::{DynamicObject, ListParams, ObjectMeta, WatchEvent, WatchParams},
};
use serde_json::Value;
use tokio::{task::JoinSet, time::sleep};

/// Thousandths of a core, bytes of memory, and sessions that run.
pub(super) type Amounts = [i128; 3];

/// What was true from a second on.
#[derive(Debug)]
struct Truth {
    at: i64,
    rates: Amounts,
}

/// A version of an object, for whoever looks for a fault.
#[derive(Debug)]
#[expect(dead_code, reason = "it is shown")]
struct Version {
    order: String,
    at: i64,
    phase: String,
}

/// One session, under its UID.
#[derive(Debug, Default)]
pub(super) struct Life {
    versions: Vec<Version>,
    pub(super) name: String,
    phase: String,
    gone: bool,
    truths: Vec<Truth>,
}

impl Life {
    /// What it used from one second up to another: the straight integral.
    pub(super) fn integral(&self, from: i64, to: i64) -> Amounts {
        let mut sums = [0; 3];
        for (index, truth) in self.truths.iter().enumerate() {
            let until = self.truths.get(index + 1).map_or(i64::MAX, |next| next.at);
            let seconds = until.min(to) - truth.at.max(from);
            if seconds > 0 {
                for (sum, rate) in sums.iter_mut().zip(truth.rates) {
                    *sum += rate * i128::from(seconds);
                }
            }
        }
        sums
    }

    /// Whether it uses nothing any more, and nothing is left to do for it.
    pub(super) fn rests(&self) -> bool {
        self.gone || self.phase == "Hibernated"
    }

    /// Since when it runs, where it does.
    pub(super) fn runs_since(&self) -> Option<i64> {
        self.truths.last().filter(|truth| truth.rates != [0; 3]).map(|truth| truth.at)
    }

    /// Since when it is as it is.
    pub(super) fn last_change(&self) -> i64 {
        self.truths.last().map_or(i64::MIN, |truth| truth.at)
    }

    fn take(&mut self, object: &DynamicObject) {
        let status = &object.data["status"];
        let phase = status["phase"].as_str().unwrap_or_default();
        let rates = if phase == "Running" { allotted(&status["allotted"]) } else { [0; 3] };
        phase.clone_into(&mut self.phase);
        self.versions.push(Version {
            order: object.metadata.resource_version.clone().unwrap_or_default(),
            at: written(&object.metadata),
            phase: phase.to_owned(),
        });
        if self.truths.last().is_none_or(|truth| truth.rates != rates) {
            let at = written(&object.metadata).max(self.last_change());
            self.truths.push(Truth { at, rates });
        }
    }
}

/// What the watch has told.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By UID.
    pub(super) lives: BTreeMap<String, Life>,
    /// Why it is not the truth.
    fault: Option<String>,
}

impl Seen {
    fn take(&mut self, object: &DynamicObject, gone: bool) {
        let uid = object.metadata.uid.clone().expect("the API server gave it one");
        let life = self.lives.entry(uid).or_default();
        life.name = object.metadata.name.clone().unwrap_or_default();
        life.take(object);
        life.gone = gone;
        if gone && life.runs_since().is_some() {
            // Nothing tells when it stopped.
            self.fault = Some(format!("{} went while it ran: {object:?} {life:#?}", life.name));
        }
    }
}

/// The watch of one namespace.
#[derive(Debug)]
pub(super) struct Oracle {
    seen: Arc<Mutex<Seen>>,
    // Ends with it.
    _watch: JoinSet<()>,
}

impl Oracle {
    /// Watches from before the first session on.
    pub(super) async fn begin(sessions: Api<DynamicObject>) -> Self {
        let listed = sessions.list(&ListParams::default()).await.unwrap();
        assert!(listed.items.is_empty(), "the oracle begins before the first session");
        let version = listed.metadata.resource_version.expect("a list has a version");
        let seen = Arc::<Mutex<Seen>>::default();
        let mut watch = JoinSet::new();
        watch.spawn(follow(sessions, version, Arc::clone(&seen)));
        Self { seen, _watch: watch }
    }

    /// What is known so far. The story fails where that is not all that happened.
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        let seen = lock(&self.seen);
        assert_eq!(seen.fault, None, "the oracle does not know the truth");
        seen
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A watch that ends is taken up where it ended, which loses nothing. Where the API server
/// does not have that version any more, the truth is lost.
async fn follow(sessions: Api<DynamicObject>, mut version: String, seen: Arc<Mutex<Seen>>) {
    let params = WatchParams { timeout: Some(240), bookmarks: true, ..WatchParams::default() };
    loop {
        if let Err(error) = watch(&sessions, &params, &mut version, &seen).await {
            let is_expired = matches!(&error, kube::Error::Api(status) if status.code == 410);
            if is_expired {
                lock(&seen).fault = Some(format!("its watch lost its place: {error}"));
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn watch(
    sessions: &Api<DynamicObject>,
    params: &WatchParams,
    version: &mut String,
    seen: &Mutex<Seen>,
) -> kube::Result<()> {
    let mut events = pin!(sessions.watch(params, version).await?);
    while let Some(event) = events.try_next().await? {
        let (object, gone) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, false),
            WatchEvent::Deleted(object) => (object, true),
            WatchEvent::Bookmark(mark) => {
                *version = mark.metadata.resource_version;
                continue;
            }
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        };
        lock(seen).take(&object, gone);
        *version = object.metadata.resource_version.expect("each object has a version");
    }
    Ok(())
}

/// The second of the write that made this version: the last of all.
fn written(metadata: &ObjectMeta) -> i64 {
    let writes = metadata.managed_fields.iter().flatten();
    let last = writes.filter_map(|write| Some(write.time.as_ref()?.0.as_second())).max();
    last.expect("the API server notes each write")
}

fn allotted(allotted: &Value) -> Amounts {
    let text = |field: &str| {
        allotted[field].as_str().unwrap_or_else(|| panic!("a session runs without {field}"))
    };
    let copies = i128::from(allotted["replicas"].as_i64().unwrap_or(1));
    [copies * millicores(text("cpu")), copies * bytes(text("memory")), 1]
}

fn millicores(text: &str) -> i128 {
    match text.strip_suffix('m') {
        Some(thousandths) => thousandths.parse().expect("a number"),
        None => 1000 * text.parse::<i128>().expect("a number"),
    }
}

fn bytes(text: &str) -> i128 {
    let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
    let unit = units.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)));
    let (number, size) = unit.unwrap_or((text, 1));
    size * number.parse::<i128>().expect("a number")
}
