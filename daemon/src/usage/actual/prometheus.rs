//! A Prometheus: what pods send, what recordings take, and where it is asked for CPU and
//! memory.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use http::StatusCode;
use serde::Deserialize;
use streamspace_core::usage::Second;

use super::{
    ActualConfig,
    source::{Measured, Metric, Missing, PodName, Pods, Sample, Source, Value},
};

use crate::http_client::{Answer, Client, Terms};

const PATH: &str = "/api/v1/query";
/// Larger than any amount, and small enough for 64 bits.
const VALUE_MAXIMUM: f64 = 1e18;
/// So much of an error's text is told.
const WORDS_MAXIMUM: usize = 200;

/// What one query yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A counter of each pod, in this many units of ours.
    PodCounter(u32),
    /// A gauge of each pod.
    PodGauge,
    /// A gauge of each namespace.
    NamespaceGauge,
}

struct Query {
    metric: Metric,
    text: String,
    shape: Shape,
}

/// Queries of one Prometheus.
pub(super) struct Prometheus {
    client: Client,
    queries: Vec<Query>,
}

impl Prometheus {
    /// By the configuration; `None` where none is named, or nothing is asked of it.
    pub(super) fn new(config: &ActualConfig) -> Option<Self> {
        // It was checked at the start.
        let (token, ca) = (&config.prometheus_token_file, &config.prometheus_ca_file);
        let url = config.prometheus.as_deref()?;
        let client = Client::new(url, token.clone(), ca.clone(), Terms::QUERY).ok()?;
        let egress = Some(&config.egress_query).filter(|query| !query.is_empty());
        let queries: Vec<Query> = [
            // Seconds of CPU, and thousandths of a core times seconds.
            (Metric::Cpu, config.cpu_query.as_ref(), Shape::PodCounter(1_000)),
            (Metric::Memory, config.memory_query.as_ref(), Shape::PodGauge),
            (Metric::Egress, egress, Shape::PodCounter(1)),
            (Metric::Recordings, config.recordings_query.as_ref(), Shape::NamespaceGauge),
        ]
        .into_iter()
        .filter_map(|(metric, text, shape)| Some(Query { metric, text: text?.clone(), shape }))
        .collect();
        (!queries.is_empty()).then_some(Self { client, queries })
    }

    async fn ask(&self, query: &Query, pods: &Pods) -> Result<Vec<Sample>, Missing> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", &query.text)
            .finish();
        let answer = self.client.post(PATH, form).await.map_err(Missing::Failed)?;
        let points = points(&answer).map_err(Missing::Failed)?;
        samples(points, query.shape, pods).map_err(Missing::Failed)
    }
}

impl Source for Prometheus {
    fn name(&self) -> &'static str {
        "Prometheus"
    }

    fn metrics(&self) -> Vec<Metric> {
        self.queries.iter().map(|query| query.metric).collect()
    }

    fn needs_pods(&self) -> bool {
        self.queries.iter().any(|query| query.shape != Shape::NamespaceGauge)
    }

    fn read<'a>(&'a self, pods: &'a Result<Pods, Missing>) -> BoxFuture<'a, Vec<Measured>> {
        Box::pin(async move {
            let mut measured = Vec::with_capacity(self.queries.len());
            let none = Pods::new();
            for query in &self.queries {
                let known = match pods {
                    Ok(pods) => Ok(pods),
                    Err(_) if query.shape == Shape::NamespaceGauge => Ok(&none),
                    Err(missing) => Err(missing.clone()),
                };
                let samples = match known {
                    Ok(pods) => self.ask(query, pods).await,
                    Err(missing) => Err(missing),
                };
                measured.push(Measured { metric: query.metric, samples });
            }
            measured
        })
    }
}

#[derive(Deserialize)]
struct Reply {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    result: serde_json::Value,
}

/// One element of a vector.
#[derive(Debug, Deserialize)]
struct Point {
    metric: Labels,
    value: (f64, String),
}

#[derive(Debug, Deserialize)]
struct Labels {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    pod: String,
}

/// The vector of an answer, or what is wrong with it.
fn points(answer: &Answer) -> Result<Vec<Point>, String> {
    let points = serde_json::from_value(result(answer, "vector")?);
    points.map_err(|error| format!("it answers with what is no vector: {error}"))
}

/// The result of a query, which must be of a type, or what is wrong with the answer.
pub(crate) fn result(answer: &Answer, result_type: &str) -> Result<serde_json::Value, String> {
    let reply = serde_json::from_slice::<Reply>(&answer.body);
    let reply = match reply {
        Ok(reply) => reply,
        Err(_) if answer.status != StatusCode::OK => {
            return Err(format!("it answers with {}", answer.status));
        }
        Err(error) => return Err(format!("it answers with what is no answer to a query: {error}")),
    };
    let data = match reply.data {
        Some(data) if reply.status == "success" && answer.status == StatusCode::OK => data,
        _ => {
            let words: String = reply.error.chars().filter(|c| !c.is_control()).collect();
            let words: String = words.chars().take(WORDS_MAXIMUM).collect();
            return Err(format!("it refuses the query with {}: {words}", answer.status));
        }
    };
    if data.result_type != result_type {
        let wanted = if result_type == "vector" { "instant vector" } else { "range of samples" };
        return Err(format!("the query yields no {wanted}; write one that does"));
    }
    Ok(data.result)
}

/// What the points say of pods and namespaces. Those of no session are left out.
fn samples(points: Vec<Point>, shape: Shape, pods: &Pods) -> Result<Vec<Sample>, String> {
    let mut seen = BTreeSet::new();
    let mut samples = Vec::new();
    for Point { metric: Labels { namespace, pod }, value: (time, text) } in points {
        let at =
            Second(whole(time).and_then(|it| i64::try_from(it).ok()).ok_or("a time is no number")?);
        let number = text.parse::<f64>().map_err(|_| "a value is no number".to_owned())?;
        let pod = if shape == Shape::NamespaceGauge { String::new() } else { pod };
        let name = PodName { namespace, name: pod };
        let made = match shape {
            Shape::NamespaceGauge => at,
            _ => match pods.get(&name) {
                Some(made) => *made,
                None => continue,
            },
        };
        if !seen.insert(name.clone()) {
            let by = if shape == Shape::NamespaceGauge { "namespace" } else { "namespace, pod" };
            return Err(format!(
                "the query yields several values for one series: sum them by ({by})"
            ));
        }
        let units = if let Shape::PodCounter(factor) = shape { factor } else { 1 };
        // What was divided by nothing, for example, is not known.
        let Some(value) = whole(number * f64::from(units)) else { continue };
        let value = match shape {
            Shape::PodCounter(_) => Value::Counter { start: made, value },
            Shape::PodGauge | Shape::NamespaceGauge => Value::Gauge { value, window: 0 },
        };
        samples.push(Sample { namespace: name.namespace, series: name.name, at, value });
    }
    Ok(samples)
}

/// The whole part of a number that is an amount; `None` for one that is none.
fn whole(number: f64) -> Option<i128> {
    if !number.is_finite() || !(0.0..=VALUE_MAXIMUM).contains(&number) {
        return None;
    }
    format!("{:.0}", number.floor()).parse().ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body: Bytes::from(body.to_owned()) }
    }

    fn vector(result: &str) -> Answer {
        let body = format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#
        );
        answer(200, &body)
    }

    fn point(pod: &str, value: &str) -> String {
        format!(
            r#"{{"metric":{{"namespace":"tenant-acme","pod":"{pod}","x":"y"}},"value":[1793613600.781,"{value}"]}}"#
        )
    }

    #[test]
    fn a_vector_is_read_and_pods_of_nobody_are_left_out() {
        let desk = PodName { namespace: "tenant-acme".into(), name: "desk".into() };
        let pods = Pods::from([(desk, Second(1_793_610_000))]);
        let read = |result: &str, shape| samples(points(&vector(result))?, shape, &pods);
        let both = format!("{},{}", point("desk", "1.5e+09"), point("other", "7"));
        let found = read(&both, Shape::PodCounter(1)).unwrap();
        let counter = Value::Counter { start: Second(1_793_610_000), value: 1_500_000_000 };
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].at, found[0].value), (Second(1_793_613_600), counter));
        // 1.2345 s of CPU.
        let cpu = read(&point("desk", "1.2345"), Shape::PodCounter(1_000)).unwrap();
        assert_eq!(cpu[0].value, Value::Counter { start: Second(1_793_610_000), value: 1_234 });
        let gauge = read(&point("", "12"), Shape::NamespaceGauge).unwrap();
        assert_eq!(gauge[0].value, Value::Gauge { value: 12, window: 0 });
        for unknown in ["NaN", "+Inf", "-1", "1e300"] {
            assert_eq!(read(&point("desk", unknown), Shape::PodGauge).unwrap(), [], "{unknown}");
        }
        assert!(read(&point("desk", "many"), Shape::PodGauge).is_err());
        let twice = format!("{},{}", point("desk", "1"), point("desk", "2"));
        let error = read(&twice, Shape::PodCounter(1)).unwrap_err();
        assert!(error.contains("sum them by (namespace, pod)"), "{error}");
    }

    #[test]
    fn what_is_no_answer_is_told_in_few_words() {
        let long = "x".repeat(9_000);
        for (answer, words) in [
            (answer(502, "<html>"), "it answers with 502"),
            (answer(200, "<html>"), "no answer to a query"),
            (
                answer(400, &format!(r#"{{"status":"error","error":"parse error\n{long}"}}"#)),
                "it refuses the query with 400 Bad Request: parse error",
            ),
            (
                answer(
                    200,
                    r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#,
                ),
                "no instant vector",
            ),
            (vector(r#"{"metric":{},"value":["1",2]}"#), "no vector"),
        ] {
            let error = points(&answer).unwrap_err();
            assert!(error.contains(words) && error.len() < 300, "{error}");
        }
    }
}
