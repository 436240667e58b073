//! Closes the cluster to every leader of an earlier term.
//!
//! A lease in the database cannot stop a request that is already under way. So each write
//! of a leader carries its term, and an admission policy compares it with a `ConfigMap`.
//! The API server reads that `ConfigMap` from a cache of its own; so whoever raises it
//! waits until a write of the term before is refused.

use std::time::{Duration, Instant};

use thiserror::Error;

use super::{
    keep,
    manifests::{Manifests, Wish},
};
use crate::kube::{Cluster, ClusterError};

/// How long the policy may take to see the new term.
const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Why the fence is not raised.
#[derive(Debug, Error)]
pub enum FenceError {
    /// The cluster accepts later terms alone: the database is older than the cluster.
    #[error("the cluster accepts leader term {accepted} and later, and this leader's is {term}")]
    Passed {
        /// The lowest term that the cluster accepts.
        accepted: i64,
        /// This leader's.
        term: i64,
    },
    /// The policy lets an old leader through.
    #[error(
        "the cluster does not refuse the writes of an earlier leader term, after {} s: the \
         policy {policy} or its binding is not there or does not hold. Run `streamspaced \
         cluster install`", LIMIT.as_secs()
    )]
    Open {
        /// The policy that should.
        policy: String,
    },
    /// The cluster refused, or did not answer.
    #[error("the leader term cannot be raised in the cluster: {0}")]
    Cluster(#[from] ClusterError),
    /// The manifest cannot be written as JSON.
    #[error("a manifest of the daemon is not JSON: {0}")]
    Manifest(#[from] serde_json::Error),
}

/// Raises the term that the cluster accepts to `term`, never lowers it, and returns when
/// the cluster refuses the term before.
pub async fn raise(
    cluster: &Cluster,
    acting: &Cluster,
    manifests: &Manifests,
    term: i64,
) -> Result<(), FenceError> {
    let wish = manifests.leader(term)?;
    let accepted = accepted(acting, &wish).await?;
    if accepted > Some(term) {
        return Err(FenceError::Passed { accepted: accepted.unwrap_or_default(), term });
    }
    if accepted != Some(term) {
        keep::apply(acting, &wish, false).await?;
    }
    // Whether the term before is refused is asked with a write that changes nothing.
    let before = cluster.acting(term.saturating_sub(1))?;
    let begin = Instant::now();
    while begin.elapsed() < LIMIT {
        match keep::apply(&before, &wish, true).await {
            Ok(_) => tokio::time::sleep(PAUSE).await,
            Err(error) if is_stale(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(FenceError::Open { policy: manifests.names().term() })
}

/// The lowest term that the cluster accepts, where it is known.
pub(super) async fn accepted(
    cluster: &Cluster,
    leader: &Wish,
) -> Result<Option<i64>, ClusterError> {
    let live = keep::live(cluster, leader).await?;
    Ok(live.and_then(|live| live.data.pointer("/data/term")?.as_str()?.parse().ok()))
}

/// In the words of the policy.
fn is_stale(error: &ClusterError) -> bool {
    matches!(error, ClusterError::Refused { message, .. } if message.contains("stale leader term"))
}
