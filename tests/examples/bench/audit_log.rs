//! What the API server wrote down of the writes that it answered, with the times.

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
    str::FromStr as _,
    time::Duration,
};

use prost_types::Timestamp;
use serde_json::Value;
use streamspace_tests::cluster::Cluster;

/// The log of a cluster that this process has started.
#[derive(Debug)]
pub(crate) struct AuditLog {
    path: PathBuf,
}

/// A write that was answered. Times are since 1970.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) received: Duration,
    pub(crate) answered: Duration,
    pub(crate) user: String,
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) code: u64,
    pub(crate) dry_run: bool,
}

impl AuditLog {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let folder = cluster.kubeconfig().parent().expect("a folder");
        Self { path: folder.join("audit.jsonl") }
    }

    /// How long it is now, for [`AuditLog::since`].
    pub(crate) fn mark(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |found| found.len())
    }

    /// The writes that were answered since.
    pub(crate) fn since(&self, mark: u64) -> Vec<Write> {
        let mut file = std::fs::File::open(&self.path).expect("the API server's audit log");
        file.seek(SeekFrom::Start(mark)).expect("it only grows");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("it is text");
        // A last line may be in the making.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).map(|v| read(&v)).collect()
    }
}

fn read(event: &Value) -> Write {
    let text = |pointer: &str| {
        event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let time = |pointer: &str| {
        let time = Timestamp::from_str(&text(pointer)).expect("a time");
        let seconds = u64::try_from(time.seconds).expect("after 1970");
        Duration::new(seconds, u32::try_from(time.nanos).expect("within a second"))
    };
    let acting = ["/impersonatedUser/username", "/user/username"];
    Write {
        received: time("/requestReceivedTimestamp"),
        answered: time("/stageTimestamp"),
        user: acting.into_iter().map(text).find(|name| !name.is_empty()).unwrap_or_default(),
        resource: text("/objectRef/resource"),
        namespace: text("/objectRef/namespace"),
        name: text("/objectRef/name"),
        code: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default(),
        dry_run: text("/requestURI").contains("dryRun="),
    }
}

/// A run of writes by one user below a prefix of namespaces.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    /// How many objects were applied.
    pub(crate) objects: usize,
    /// How many events were written beside.
    pub(crate) events: usize,
    /// How many writes were refused.
    pub(crate) refused: usize,
    /// From the first object's request to the last one's answer.
    pub(crate) took: Duration,
    /// When the first one was asked for, since 1970.
    pub(crate) first: Duration,
}

/// Sums up the writes of `user` to namespaces that begin with `prefix`.
pub(crate) fn run(writes: &[Write], user: &str, prefix: &str) -> Run {
    let mut run = Run { first: Duration::MAX, ..Run::default() };
    let mut last = Duration::ZERO;
    let of = |write: &&Write| {
        let place = if write.namespace.is_empty() { &write.name } else { &write.namespace };
        write.user == user && place.starts_with(prefix) && !write.dry_run
    };
    for write in writes.iter().filter(of) {
        if write.resource == "events" {
            run.events += 1;
        } else if write.code >= 300 {
            run.refused += 1;
        } else {
            run.objects += 1;
            run.first = run.first.min(write.received);
            last = last.max(write.answered);
        }
    }
    run.took = last.saturating_sub(run.first);
    run
}
