//! Every metric and label name of the daemon.

use std::time::Duration;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram},
    registry::Registry,
};
use tokio::sync::watch;

use crate::{
    db::Leadership,
    regions::health::{Health, HealthBoard},
    rpc::observe::CallObserver,
};

/// A finished call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    method: String,
    code: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    method: String,
}

/// The metrics of one daemon. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    calls: Family<CallLabels, Counter>,
    seconds: Family<MethodLabels, Histogram>,
}

fn call_seconds() -> Histogram {
    Histogram::new([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0])
}

impl Metrics {
    /// Registers every metric.
    pub fn new(registry: &mut Registry) -> Self {
        let calls = Family::default();
        let seconds = Family::new_with_constructor(call_seconds as fn() -> Histogram);
        registry.register("rpc_calls", "Finished calls by gRPC status code", calls.clone());
        registry.register(
            "rpc_seconds",
            "Duration of calls until the answer began",
            seconds.clone(),
        );
        Self { calls, seconds }
    }
}

impl CallObserver for Metrics {
    fn finished(&self, method: &str, code: i32, took: Duration) {
        let labels = CallLabels { method: method.to_owned(), code: i64::from(code) };
        self.calls.get_or_create(&labels).inc();
        let labels = MethodLabels { method: method.to_owned() };
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

/// What the region knows of itself, read when the metrics are asked for.
pub struct RegionCollector {
    /// How the parts are.
    pub board: HealthBoard,
    /// Who leads.
    pub leadership: watch::Receiver<Leadership>,
    /// The latest revision of the change log.
    pub revision: watch::Receiver<i64>,
    /// How many break-glass grants are in force.
    pub break_glass: watch::Receiver<i64>,
}

impl std::fmt::Debug for RegionCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RegionCollector")
    }
}

impl Collector for RegionCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauge = ConstGauge::new(0_i64);
        let mut family = encoder.encode_descriptor(
            "component_up",
            "1 where a part that the daemon depends on does what it should",
            None,
            gauge.metric_type(),
        )?;
        for (part, report) in self.board.read() {
            let up = i64::from(report.health == Health::Ok);
            let labels = [("component", part.as_str())];
            ConstGauge::new(up).encode(family.encode_family(&labels)?)?;
        }
        let leadership = self.leadership.borrow().clone();
        for (name, help, value) in [
            ("leads", "1 where this replica leads the region", i64::from(leadership.leads)),
            (
                "leader_term",
                "The leader term, as far as this replica knows",
                leadership.leader_term,
            ),
            ("change_revision", "The latest revision of the change log", *self.revision.borrow()),
            (
                "break_glass_active",
                "How many operators have role admin by break-glass now",
                *self.break_glass.borrow(),
            ),
        ] {
            let gauge = ConstGauge::new(value);
            let metric_encoder =
                encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric_encoder)?;
        }
        Ok(())
    }
}

/// All metrics as text, in the `OpenMetrics` format.
pub fn text(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut buffer = String::new();
    encode(&mut buffer, registry)?;
    Ok(buffer)
}
