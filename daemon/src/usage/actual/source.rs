//! What is measured, and what a source of it gives.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use streamspace_core::usage::Second;

/// What is measured of the use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// CPU that pods use.
    Cpu,
    /// Memory that pods use.
    Memory,
    /// What pods send over the network.
    Egress,
    /// What recordings take in storage.
    Recordings,
}

impl Metric {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Egress, Self::Recordings];

    /// The word for it in the database and in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Egress => "egress",
            Self::Recordings => "recordings",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == word)
    }

    /// What to configure where nothing measures it.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::Cpu => {
                "no source is configured: set usage.actual.metrics_api, or usage.actual.prometheus \
                 with cpu_query"
            }
            Self::Memory => {
                "no source is configured: set usage.actual.metrics_api, or usage.actual.prometheus \
                 with memory_query"
            }
            Self::Egress => "no source is configured: set usage.actual.prometheus",
            Self::Recordings => {
                "no source is configured: set usage.actual.prometheus with recordings_query"
            }
        }
    }
}

/// What a series said at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// The namespace, which tells whose it is.
    pub(super) namespace: String,
    /// The pod; empty for a number of the whole namespace.
    pub(super) series: String,
    /// When, by the source's clock.
    pub(super) at: Second,
    /// What it said.
    pub(super) value: Value,
}

/// A number of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A height: billionths of a core, or bytes.
    Gauge {
        /// How high.
        value: i128,
        /// For how many seconds before the sample it is the average.
        window: i64,
    },
    /// A number that only grows: thousandths of a core times seconds, or bytes.
    Counter {
        /// When it was 0.
        start: Second,
        /// Where it stands.
        value: i128,
    },
}

/// What a source says of one metric.
#[derive(Debug)]
pub(super) struct Measured {
    /// Of what.
    pub(super) metric: Metric,
    /// One sample a series, or why there is none.
    pub(super) samples: Result<Vec<Sample>, Missing>,
}

/// Why nothing was measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Missing {
    /// The cluster has no metrics API, as many have not.
    #[error(
        "the cluster does not serve metrics.k8s.io: install metrics-server, or name a Prometheus as \
         usage.actual.prometheus"
    )]
    NotServed,
    /// The source did not answer, or not in a way that can be used.
    #[error("{0}")]
    Failed(String),
}

/// A pod of a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PodName {
    /// Its namespace.
    pub(super) namespace: String,
    /// Its name there.
    pub(super) name: String,
}

/// The pods of sessions, and when each was made: its counters were 0 then.
pub(super) type Pods = BTreeMap<PodName, Second>;

/// Something that measures. Each metric has one source at most, so that nothing is counted
/// by two.
pub(super) trait Source: Send + Sync {
    /// Its name, for people.
    fn name(&self) -> &'static str;

    /// What it measures.
    fn metrics(&self) -> Vec<Metric>;

    /// Whether it must know the pods.
    fn needs_pods(&self) -> bool;

    /// Measures once: an answer for each of [`Source::metrics`].
    fn read<'a>(&'a self, pods: &'a Result<Pods, Missing>) -> BoxFuture<'a, Vec<Measured>>;
}
