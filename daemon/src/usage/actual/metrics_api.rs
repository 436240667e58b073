//! The cluster's metrics API: what pods use of CPU and memory now.

use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, StatusCode, header::ACCEPT};
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use kube::client::Body;
use serde::Deserialize;
use streamspace_core::usage::Second;

use super::{
    engine::Selector,
    source::{Measured, Metric, Missing, Pods, Sample, Source, Value},
};
use crate::{http_client::Terms, kube::Cluster};

const PATH: &str = "/apis/metrics.k8s.io/v1beta1/pods";
const LIMIT: Duration = Duration::from_secs(10);
/// More digits than any amount has.
const DIGITS: usize = 15;

/// CPU and memory of pods, by the API server.
pub(super) struct MetricsApi {
    cluster: Cluster,
    selector: Selector,
    metrics: Vec<Metric>,
}

impl MetricsApi {
    pub(super) fn new(cluster: Cluster, selector: Selector, metrics: Vec<Metric>) -> Self {
        Self { cluster, selector, metrics }
    }

    async fn usages(&self) -> Result<Vec<PodUsage>, Missing> {
        let answer = tokio::time::timeout(LIMIT, self.ask()).await.map_err(|_| {
            Missing::Failed(format!("metrics.k8s.io did not answer within {} s", LIMIT.as_secs()))
        })?;
        usages(&answer?)
    }

    async fn ask(&self) -> Result<Vec<u8>, Missing> {
        let failed = |what: String| Missing::Failed(what);
        let mut uri = PATH.to_owned();
        if let Selector::Label(label) = &self.selector {
            uri.push_str("?labelSelector=");
            uri.extend(form_urlencoded::byte_serialize(label.as_bytes()));
        }
        let request = Request::get(uri)
            .header(ACCEPT, "application/json")
            .body(Body::empty())
            .map_err(|error| failed(format!("no request can be made: {error}")))?;
        let response = self.cluster.client().send(request).await;
        let response =
            response.map_err(|error| failed(format!("the cluster does not answer: {error}")))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(Missing::NotServed),
            StatusCode::FORBIDDEN => {
                let words = "the cluster does not let the daemon list pods of metrics.k8s.io: give \
                             its rights again with `streamspaced cluster install`";
                return Err(failed(words.into()));
            }
            status => return Err(failed(format!("metrics.k8s.io answers with {status}"))),
        }
        let body = Limited::new(response.into_body(), Terms::QUERY.answer_maximum).collect().await;
        let body = body.map_err(|error| {
            failed(format!("what metrics.k8s.io answers cannot be read: {error}"))
        })?;
        Ok(body.to_bytes().to_vec())
    }
}

impl Source for MetricsApi {
    fn name(&self) -> &'static str {
        "metrics.k8s.io"
    }

    fn metrics(&self) -> Vec<Metric> {
        self.metrics.clone()
    }

    fn needs_pods(&self) -> bool {
        false
    }

    fn read<'a>(&'a self, _: &'a Result<Pods, Missing>) -> BoxFuture<'a, Vec<Measured>> {
        Box::pin(async {
            let usages = self.usages().await;
            let of = |metric: &Metric| Measured {
                metric: *metric,
                samples: usages
                    .as_ref()
                    .map_err(Clone::clone)
                    .map(|usages| usages.iter().map(|usage| usage.sample(*metric)).collect()),
            };
            self.metrics.iter().map(of).collect()
        })
    }
}

/// What one pod uses.
#[derive(Debug, PartialEq, Eq)]
struct PodUsage {
    namespace: String,
    name: String,
    at: Second,
    window: i64,
    nanocores: i128,
    bytes: i128,
}

impl PodUsage {
    fn sample(&self, metric: Metric) -> Sample {
        let value = if metric == Metric::Cpu { self.nanocores } else { self.bytes };
        Sample {
            namespace: self.namespace.clone(),
            series: self.name.clone(),
            at: self.at,
            value: Value::Gauge { value, window: self.window },
        }
    }
}

#[derive(Deserialize)]
struct PodMetricsList {
    items: Vec<PodMetrics>,
}

#[derive(Deserialize)]
struct PodMetrics {
    metadata: Metadata,
    timestamp: Timestamp,
    #[serde(default)]
    window: String,
    #[serde(default)]
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Metadata {
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct Container {
    usage: Usage,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    cpu: String,
    #[serde(default)]
    memory: String,
}

/// Reads an answer, all of it or nothing.
fn usages(answer: &[u8]) -> Result<Vec<PodUsage>, Missing> {
    let wrong = |what: String| Missing::Failed(format!("metrics.k8s.io answers with {what}"));
    let list: PodMetricsList = serde_json::from_slice(answer)
        .map_err(|error| wrong(format!("no list of pods: {error}")))?;
    let usage = |pod: PodMetrics| {
        let (mut nanocores, mut bytes) = (0, 0);
        for container in &pod.containers {
            let Usage { cpu, memory } = &container.usage;
            let unread = || wrong("a number that is none".to_owned());
            nanocores += quantity(cpu, true).ok_or_else(unread)?;
            bytes += quantity(memory, false).ok_or_else(unread)?;
        }
        Ok(PodUsage {
            namespace: pod.metadata.namespace,
            name: pod.metadata.name,
            at: Second::holding(pod.timestamp),
            window: seconds(&pod.window),
            nanocores,
            bytes,
        })
    };
    list.items.into_iter().map(usage).collect()
}

/// Reads whole amounts as the metrics API writes them: CPU in billionths of a core, memory
/// in bytes. What has no amount is nothing.
fn quantity(text: &str, is_cpu: bool) -> Option<i128> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if number.is_empty() || number.len() > DIGITS {
        return None;
    }
    let number: i128 = number.parse().ok()?;
    let factor: i128 = match (unit, is_cpu) {
        ("n", true) | ("", false) => 1,
        ("u", true) | ("k", false) => 1_000,
        ("m", true) | ("M", false) => 1_000_000,
        ("", true) | ("G", false) => 1_000_000_000,
        ("k", true) | ("T", false) => 1_000_000_000_000,
        ("Ki", false) => 1 << 10,
        ("Mi", false) => 1 << 20,
        ("Gi", false) => 1 << 30,
        ("Ti", false) => 1 << 40,
        // Whoever writes a multiple of a byte in thousandths means nothing smaller.
        ("m", false) => return Some(number / 1_000),
        _ => return None,
    };
    Some(number * factor)
}

/// The whole seconds of a duration such as `15.034s` or `1m0s`; 0 where it is none.
fn seconds(text: &str) -> i64 {
    let mut rest = text;
    let mut sum = 0_i64;
    while !rest.is_empty() {
        let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) else { return 0 };
        let (number, unit) = rest.split_at(at);
        let end = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        let (unit, after) = unit.split_at(end);
        let whole = number.split('.').next().unwrap_or_default();
        let Ok(whole) = whole.parse::<u32>() else { return 0 };
        let step = match unit {
            "h" => 3_600,
            "m" => 60,
            "s" => 1,
            _ => 0,
        };
        sum = sum.saturating_add(i64::from(whole).saturating_mul(step));
        rest = after;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_the_metrics_api_writes_them() {
        for (text, is_cpu, read) in [
            ("12345678n", true, Some(12_345_678)),
            ("5u", true, Some(5_000)),
            ("250m", true, Some(250_000_000)),
            ("2", true, Some(2_000_000_000)),
            ("", true, Some(0)),
            ("123Ki", false, Some(125_952)),
            ("1Gi", false, Some(1 << 30)),
            ("77", false, Some(77)),
            ("128974848000m", false, Some(128_974_848)),
            ("-1n", true, None),
            ("1e3", true, None),
            ("1.5", true, None),
            ("Ki", false, None),
            ("9999999999999999", false, None),
        ] {
            assert_eq!(quantity(text, is_cpu), read, "{text}");
        }
        for (text, read) in [
            ("15.034s", 15),
            ("1m0s", 60),
            ("1m2.5s", 62),
            ("300ms", 0),
            ("", 0),
            ("x", 0),
            ("-5s", 0),
        ] {
            assert_eq!(seconds(text), read, "{text}");
        }
    }

    #[test]
    fn the_containers_of_a_pod_are_added_up_and_odd_answers_refused() {
        let read = |text: &str| usages(text.as_bytes());
        let pod = r#"{"kind":"PodMetricsList","items":[{
            "metadata":{"name":"desk-1-abc","namespace":"tenant-acme","labels":{"a":"b"}},
            "timestamp":"2026-11-02T10:00:30Z","window":"15.2s","containers":[
              {"name":"a","usage":{"cpu":"250m","memory":"1Mi"}},
              {"name":"b","usage":{"cpu":"1000n","memory":"1Ki"}}]}]}"#;
        let found = read(pod).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].nanocores, found[0].bytes, found[0].window),
            (250_001_000, 1_049_600, 15)
        );
        for odd in [
            "",
            "{}",
            r#"{"items":[{}]}"#,
            &pod.replace("250m", "lots"),
            &pod.replace("2026-11-02T10:00:30Z", "yesterday"),
        ] {
            assert!(read(odd).is_err(), "{odd}");
        }
    }
}
