//! The section `[slo]` of the configuration file.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::http_client::prometheus_access;

/// How service level objectives are measured.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SloConfig {
    /// How often the leader evaluates them, 5 to 60. What is evaluated are whole minutes.
    pub evaluate_seconds: u16,
    /// How long after its end a minute is looked at, 1 to 300: a Prometheus must have scraped
    /// what happened in it, and the replicas have written what they counted.
    pub settle_seconds: u16,
    /// Whether the SLOs that come with the daemon are made. One that was deleted is not made
    /// again.
    pub seeded: bool,
    /// The Prometheus of indicators that are measured by one, for example
    /// `http://prometheus.monitoring:9090`: a URL with no user, query or fragment in it.
    #[schemars(extend("x-default" = "none: such SLOs are not measured and say so"))]
    pub prometheus: Option<String>,
    /// A file with a bearer token for it, read anew each time. Needs `https`,
    /// but for a server at a loopback address.
    #[schemars(extend("x-default" = "no token"))]
    pub prometheus_token_file: Option<PathBuf>,
    /// A file of PEM certificates, one of which must have signed its certificate. `https`
    /// needs it.
    #[schemars(extend("x-default" = "none"))]
    pub prometheus_ca_file: Option<PathBuf>,
}

impl Default for SloConfig {
    fn default() -> Self {
        Self {
            evaluate_seconds: 30,
            settle_seconds: 20,
            seeded: true,
            prometheus: None,
            prometheus_token_file: None,
            prometheus_ca_file: None,
        }
    }
}

impl SloConfig {
    /// How often they are evaluated.
    pub(super) fn period(&self) -> Duration {
        Duration::from_secs(self.evaluate_seconds.into())
    }

    /// Checks what a type alone does not. The error begins with the key.
    pub fn check(&self) -> Result<(), String> {
        let (evaluate, settle) = (self.evaluate_seconds, self.settle_seconds);
        if !(5..=60).contains(&evaluate) {
            return Err(format!("slo.evaluate_seconds: {evaluate} must be 5 to 60"));
        }
        if !(1..=300).contains(&settle) {
            return Err(format!("slo.settle_seconds: {settle} must be 1 to 300"));
        }
        prometheus_access(
            self.prometheus.as_deref(),
            self.prometheus_token_file.as_ref(),
            self.prometheus_ca_file.as_ref(),
            "slo",
        )
        .map_err(|fault| format!("slo.{fault}"))
    }
}
