//! `OpenSLO` v1 ([the specification](https://github.com/OpenSLO/OpenSLO)): what of it is an SLO here, and an SLO
//! as such a document.
//!
//! A document comes as a tree of JSON values, whatever it was written in. What the format
//! has no field for stands in annotations under `stream.space/`, and what is not measured by
//! counters of a Prometheus in a metric source of the type `StreamSpace`; so what is written
//! can be read again without a loss.

mod annotations;
mod read;
mod tree;
mod write;

pub use read::{Read, read};
pub use write::write;

/// The only version.
const VERSION: &str = "openslo/v1";
/// What our annotations begin with.
const ANNOTATIONS: &str = "stream.space/";
/// The type of our metric sources.
const OWN_SOURCE: &str = "StreamSpace";

/// Our annotations.
mod annotation {
    pub(super) const BY_PLAN: &str = "objective-by-plan";
    pub(super) const PER_TENANT: &str = "per-tenant";
    pub(super) const TENANT_LABEL: &str = "tenant-label";
    pub(super) const LABEL_IS_NAMESPACE: &str = "tenant-label-is-namespace";
    pub(super) const RULES: &str = "burn-rules";
    pub(super) const LEAST_TOTAL: &str = "least-total";
    pub(super) const LEAST_BAD: &str = "least-bad";
    pub(super) const POLICY: &str = "budget-policy";
    pub(super) const CREDITS: &str = "credits";
    pub(super) const RUNBOOK: &str = "runbook-url";
    pub(super) const ALL: [&str; 10] = [
        BY_PLAN,
        PER_TENANT,
        TENANT_LABEL,
        LABEL_IS_NAMESPACE,
        RULES,
        LEAST_TOTAL,
        LEAST_BAD,
        POLICY,
        CREDITS,
        RUNBOOK,
    ];
}

/// The keys of our metric sources.
mod source {
    pub(super) const HISTOGRAM: &str = "histogram";
    pub(super) const THRESHOLD: &str = "threshold";
    pub(super) const PROBE: &str = "probe";
    pub(super) const OWN: &str = "own";
    pub(super) const PUSHED: &str = "pushed";
    pub(super) const ALL: [&str; 5] = [HISTOGRAM, THRESHOLD, PROBE, OWN, PUSHED];
}
