//! The section `[usage.actual]` of the configuration file.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::http_client::prometheus_access;

/// The shortest time between two readings; metrics-server measures no oftener.
const PERIOD_MINIMUM: u16 = 15;
/// The longest. Between two readings that are more than five minutes apart nothing is
/// assumed, and this leaves room for one that comes late.
const PERIOD_MAXIMUM: u16 = 240;
/// More characters than any query needs.
const QUERY_MAXIMUM: usize = 4_096;
/// What pods sent: the sum of their interfaces.
const EGRESS_QUERY: &str =
    r#"sum by (namespace, pod) (container_network_transmit_bytes_total{pod!=""})"#;

/// What sessions use, beside what is requested for them, for showback. It is never billed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ActualConfig {
    /// Whether CPU and memory are read from the cluster's metrics API (`metrics.k8s.io`, which
    /// metrics-server serves). A cluster that does not serve it is well, and has no use shown.
    pub metrics_api: bool,
    /// How often the leader reads, 15 to 240.
    pub period_seconds: u16,
    /// A Prometheus, for example `http://prometheus.monitoring:9090`: a URL with no user, query
    /// or fragment in it. What pods send is read from it.
    #[schemars(extend("x-default" = "none: egress and recordings are not measured"))]
    pub prometheus: Option<String>,
    /// A file with a bearer token for it, read anew each time. Needs `https`,
    /// but for a server at a loopback address.
    #[schemars(extend("x-default" = "no token"))]
    pub prometheus_token_file: Option<PathBuf>,
    /// A file of PEM certificates, one of which must have signed its certificate. `https` needs
    /// it; `/etc/ssl/certs/ca-certificates.crt` are those that Debian trusts.
    #[schemars(extend("x-default" = "none"))]
    pub prometheus_ca_file: Option<PathBuf>,
    /// What each pod sent since it was made, in bytes: a counter by the labels `namespace` and
    /// `pod`. Empty: egress is not measured.
    pub egress_query: String,
    /// What recordings take now, in bytes: a gauge by the label `namespace`.
    #[schemars(extend("x-default" = "recordings are not measured"))]
    pub recordings_query: Option<String>,
    /// The CPU that each pod used since it was made, in seconds: a counter by the labels
    /// `namespace` and `pod`. It takes the place of the metrics API.
    #[schemars(extend("x-default" = "CPU is read from the metrics API"))]
    pub cpu_query: Option<String>,
    /// The memory that each pod uses now, in bytes: a gauge by the labels `namespace` and
    /// `pod`. It takes the place of the metrics API.
    #[schemars(extend("x-default" = "memory is read from the metrics API"))]
    pub memory_query: Option<String>,
}

impl Default for ActualConfig {
    fn default() -> Self {
        Self {
            metrics_api: true,
            period_seconds: 60,
            prometheus: None,
            prometheus_token_file: None,
            prometheus_ca_file: None,
            egress_query: EGRESS_QUERY.into(),
            recordings_query: None,
            cpu_query: None,
            memory_query: None,
        }
    }
}

impl ActualConfig {
    /// How often the leader reads.
    pub(super) fn period(&self) -> Duration {
        Duration::from_secs(self.period_seconds.into())
    }

    /// Checks what a type alone does not. The error begins with the key.
    pub fn check(&self) -> Result<(), String> {
        let period = self.period_seconds;
        if !(PERIOD_MINIMUM..=PERIOD_MAXIMUM).contains(&period) {
            return Err(format!(
                "period_seconds: {period} must be {PERIOD_MINIMUM} to {PERIOD_MAXIMUM}"
            ));
        }
        let queries = [
            ("recordings_query", self.recordings_query.as_deref()),
            ("cpu_query", self.cpu_query.as_deref()),
            ("memory_query", self.memory_query.as_deref()),
        ];
        for (key, query) in queries {
            if let Some(query) = query {
                self.check_query(key, query)?;
                if query.is_empty() {
                    return Err(format!("{key}: is empty; leave it out"));
                }
            }
        }
        if self.egress_query != EGRESS_QUERY {
            self.check_query("egress_query", &self.egress_query)?;
        }
        self.check_prometheus()
    }

    fn check_query(&self, key: &str, query: &str) -> Result<(), String> {
        if self.prometheus.is_none() {
            return Err(format!(
                "{key}: nothing answers it; name a server as usage.actual.prometheus"
            ));
        }
        if query.len() > QUERY_MAXIMUM || query.chars().any(|c| c.is_control() && c != '\n') {
            return Err(format!(
                "{key}: must be at most {QUERY_MAXIMUM} characters, none of them a control character"
            ));
        }
        Ok(())
    }

    fn check_prometheus(&self) -> Result<(), String> {
        prometheus_access(
            self.prometheus.as_deref(),
            self.prometheus_token_file.as_ref(),
            self.prometheus_ca_file.as_ref(),
            "usage.actual",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_named_with_its_key_and_the_remedy() {
        let check = |text: &str| toml::from_str::<ActualConfig>(text).unwrap().check();
        for text in [
            "",
            "metrics_api = false",
            "prometheus = 'http://prometheus.monitoring:9090'",
            "prometheus = 'http://[::1]:9090/prom/'\negress_query = ''\ncpu_query = 'x'",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for (text, words) in [
            ("period_seconds = 14", "period_seconds: 14 must be 15 to 240"),
            ("prometheus = 'prometheus:9090'", "prometheus: "),
            ("prometheus = 'http://user:word@host'", "prometheus: "),
            ("cpu_query = 'x'", "cpu_query: nothing answers it"),
            ("egress_query = 'x'", "egress_query: nothing answers it"),
            ("prometheus = 'http://p'\nmemory_query = ''", "memory_query: is empty"),
            ("prometheus = 'http://p'\nmemory_query = \"\\u0000\"", "control character"),
            ("prometheus_token_file = '/t'", "prometheus_token_file: is for no server"),
            ("prometheus = 'https://p'", "prometheus_ca_file: https needs"),
            ("prometheus = 'http://p'\nprometheus_token_file = '/t'", "with https"),
            ("prometheus = 'https://p'\nprometheus_ca_file = '/none'", "prometheus_ca_file: /none"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
