//! The metrics of usage: what the region takes now, and how far its metering has come.
//!
//! Labels name no tenant, so that their number does not grow with the customers. What no
//! source measures (actual use, recordings, what pods send) has no sample at all: a 0 would
//! say that nothing was used. `usage_measured` says which metrics are measured.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use tokio_util::sync::CancellationToken;

use crate::{
    db::Database,
    usage::{
        UsageCounters,
        figures::{self, ActualDay, Figures, Metered},
    },
};

/// How often the numbers are read anew.
const PERIOD: Duration = Duration::from_secs(15);

/// What the last look at the database told. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct UsageBoard {
    /// `None` until it was read, and where the last look failed: old numbers would look
    /// like new ones.
    figures: Arc<Mutex<Option<Figures>>>,
}

impl UsageBoard {
    fn read(&self) -> Option<Figures> {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, figures: Option<Figures>) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    /// Reads the numbers now and then, until it is stopped. Any replica may.
    pub async fn run(self, db: Database, stop: CancellationToken) {
        loop {
            let read = tokio::select! {
                read = figures::read(&db) => read,
                () = stop.cancelled() => return,
            };
            if let Err(error) = &read {
                tracing::debug!(%error, "the numbers of usage cannot be read");
            }
            self.set(read.ok());
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// Shows the board when the metrics are asked for.
pub struct UsageCollector {
    /// What the region takes, and how far its metering is.
    pub board: UsageBoard,
    /// What this replica's metering did.
    pub counters: Arc<UsageCounters>,
}

impl fmt::Debug for UsageCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UsageCollector")
    }
}

/// The product's metrics of usage that the cluster's facts alone tell.
const FACTS: [&str; 5] =
    ["active_sessions", "total_sessions", "cpu_seconds", "memory_gb_seconds", "home_storage_gb"];
/// Those that need a source, in the order of [`Figures::measured`].
const SOURCED: [&str; 4] =
    ["actual_cpu_seconds", "actual_memory_gb_seconds", "egress_gb", "recording_storage_gb"];

impl Collector for UsageCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let figures = self.board.read();
        let measured = figures.map(|figures| figures.measured).unwrap_or_default();
        let mut family = encoder.encode_descriptor(
            "usage_measured",
            "1 where a metric of usage is measured; 0 where it has no source and so no sample",
            None,
            MetricType::Gauge,
        )?;
        let facts = FACTS.into_iter().map(|metric| (metric, true));
        for (metric, measured) in facts.chain(SOURCED.into_iter().zip(measured)) {
            let labels = [("metric", metric)];
            ConstGauge::new(i64::from(measured)).encode(family.encode_family(&labels)?)?;
        }
        let metered = figures.and_then(|figures| figures.metered);
        actual(&mut encoder, metered.map(|metered| metered.actual).unwrap_or_default())?;
        done(&mut encoder, &self.counters)?;
        if let Some(figures) = figures {
            now(&mut encoder, &figures)?;
            if let Some(metered) = figures.metered {
                whole_numbers(&mut encoder, &figures, &metered)?;
                of_a_day(&mut encoder, &metered)?;
            }
        }
        Ok(())
    }
}

/// What pods took over the last 24 hours that are closed. What was not measured in them has
/// no sample.
fn actual(encoder: &mut DescriptorEncoder<'_>, day: ActualDay) -> fmt::Result {
    for (name, help, unit, value) in [
        (
            "usage_recording",
            "What recordings took in storage, on the average of 24 hours. No sample where not measured",
            Some(&Unit::Bytes),
            day.recording_bytes,
        ),
        (
            "usage_egress",
            "What pods sent over 24 hours. No sample where not measured",
            Some(&Unit::Bytes),
            day.egress_bytes,
        ),
        (
            "usage_day_actual_cpu_core_seconds",
            "CPU that pods used over 24 hours, in core-seconds. No sample where not measured",
            None,
            day.cpu_core_seconds,
        ),
        (
            "usage_day_actual_memory_byte_seconds",
            "Memory that pods used over 24 hours, in byte-seconds. No sample where not measured",
            None,
            day.memory_byte_seconds,
        ),
    ] {
        let metric = gauge(encoder, name, help, unit)?;
        if let Some(value) = value {
            ConstGauge::new(value).encode(metric)?;
        }
    }
    Ok(())
}

/// What the metering of this replica did. Of one that does not lead it stands still.
fn done(encoder: &mut DescriptorEncoder<'_>, counters: &UsageCounters) -> fmt::Result {
    for (name, help, value) in [
        ("usage_intervals", "Intervals that this replica computed", counters.intervals()),
        ("usage_corrections", "Corrections that this replica wrote", counters.corrections()),
        ("usage_rolled_hours", "Hours of tenants that this replica added up", counters.hours()),
        (
            "usage_failures",
            "Steps of the metering that failed and are repeated",
            counters.failures(),
        ),
    ] {
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)?;
    }
    let help = "What the last proof of all tenants on this replica found not to hold; 0 also where it made none";
    let faults = i64::try_from(counters.faults()).unwrap_or(i64::MAX);
    ConstGauge::new(faults).encode(gauge(encoder, "usage_verify_faults", help, None)?)
}

fn now(encoder: &mut DescriptorEncoder<'_>, figures: &Figures) -> fmt::Result {
    let mut whole = |name: &str, help: &str, value: i64| {
        ConstGauge::new(value).encode(encoder.encode_descriptor(
            name,
            help,
            None,
            MetricType::Gauge,
        )?)
    };
    whole("sessions_running", "Sessions that run", figures.sessions_running)?;
    whole("sessions", "Sessions that there are", figures.sessions)?;
    let metric = gauge(
        encoder,
        "sessions_requested_cpu_cores",
        "CPU that running sessions request, in cores",
        None,
    )?;
    ConstGauge::new(figures.cpu_millicores / 1000.0).encode(metric)?;
    let help = "Memory that running sessions request";
    let metric = gauge(encoder, "sessions_requested_memory", help, Some(&Unit::Bytes))?;
    ConstGauge::new(figures.memory_bytes).encode(metric)
}

fn whole_numbers(
    encoder: &mut DescriptorEncoder<'_>,
    figures: &Figures,
    metered: &Metered,
) -> fmt::Result {
    let watermark = metered.watermark;
    let lag = figures.now.0.saturating_sub(watermark.closed_through.0).max(0);
    for (name, help, unit, value) in [
        (
            "usage_closed_through_timestamp",
            "Every five minutes before it are closed: usage changes by corrections alone",
            Some(&Unit::Seconds),
            watermark.closed_through.0,
        ),
        (
            "usage_complete_through_timestamp",
            "Every transition before it is known, or a gap is",
            Some(&Unit::Seconds),
            watermark.complete_through.0,
        ),
        ("usage_lag", "How long ago the time ended that is closed", Some(&Unit::Seconds), lag),
        (
            "usage_gap",
            "Time of the last 30 days that nobody watched",
            Some(&Unit::Seconds),
            metered.gap_seconds,
        ),
        ("usage_dirty_hours", "Hours that wait to be added up anew", None, metered.dirty_hours),
        (
            "usage_late_spans",
            "Spans that wait to be computed anew, because facts came late",
            None,
            metered.late_spans,
        ),
        (
            "usage_day_end_timestamp",
            "Where the 24 hours end that the sums of a day are of",
            Some(&Unit::Seconds),
            metered.day_end.0,
        ),
    ] {
        ConstGauge::new(value).encode(gauge(encoder, name, help, unit)?)?;
    }
    Ok(())
}

/// Sums over the last 24 hours that are closed.
fn of_a_day(encoder: &mut DescriptorEncoder<'_>, metered: &Metered) -> fmt::Result {
    const DAY: f64 = 86_400.0;
    let share = if metered.billed_seconds > 0.0 {
        metered.estimated_seconds / metered.billed_seconds
    } else {
        0.0
    };
    for (name, help, unit, value) in [
        (
            "usage_day_cpu_core_seconds",
            "CPU requested by running sessions over 24 hours, in core-seconds",
            None,
            metered.cpu_core_seconds,
        ),
        (
            "usage_day_memory_byte_seconds",
            "Memory requested by running sessions over 24 hours, in byte-seconds",
            None,
            metered.memory_byte_seconds,
        ),
        (
            "usage_day_home",
            "What homes took in storage, on the average of 24 hours",
            Some(&Unit::Bytes),
            metered.storage_byte_seconds / DAY,
        ),
        (
            "usage_day_session_seconds",
            "Seconds that sessions ran over 24 hours",
            None,
            metered.billed_seconds,
        ),
        (
            "usage_day_estimated_ratio",
            "The share of the billed seconds of 24 hours that is estimated",
            None,
            share,
        ),
    ] {
        ConstGauge::new(value).encode(gauge(encoder, name, help, unit)?)?;
    }
    Ok(())
}

fn gauge<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &'a str,
    unit: Option<&'a Unit>,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, unit, MetricType::Gauge)
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;
    use streamspace_core::usage::{LeaderTerm, Second, Watermark};

    use super::*;
    use crate::telemetry::metrics;

    fn text(figures: Option<Figures>) -> String {
        let board = UsageBoard::default();
        board.set(figures);
        let counters = Arc::new(UsageCounters::default());
        counters.prove(2);
        let mut registry = Registry::with_prefix("streamspace");
        registry.register_collector(Box::new(UsageCollector { board, counters }));
        metrics::text(&registry).unwrap()
    }

    #[test]
    fn what_is_not_measured_has_no_sample_and_says_so() {
        let figures = Figures {
            now: Second(1_793_581_500),
            sessions_running: 2,
            sessions: 5,
            cpu_millicores: 2_500.0,
            memory_bytes: 4_294_967_296.0,
            measured: [false, false, true, false],
            metered: Some(Metered {
                watermark: Watermark {
                    leader_term: LeaderTerm(3),
                    begins: Second(1_793_491_200),
                    complete_through: Second(1_793_581_495),
                    closed_through: Second(1_793_581_200),
                },
                day_end: Second(1_793_581_200),
                cpu_core_seconds: 86_400.0,
                memory_byte_seconds: 1e15,
                storage_byte_seconds: 86_400.0 * 10.0,
                billed_seconds: 86_400.0,
                estimated_seconds: 21_600.0,
                actual: ActualDay { egress_bytes: Some(7.0), ..ActualDay::default() },
                gap_seconds: 60,
                dirty_hours: 1,
                late_spans: 0,
            }),
        };
        let told = text(Some(figures));
        for line in [
            "streamspace_sessions_running 2",
            "streamspace_sessions 5",
            "streamspace_sessions_requested_cpu_cores 2.5",
            "streamspace_sessions_requested_memory_bytes 4294967296.0",
            "streamspace_usage_closed_through_timestamp_seconds 1793581200",
            "streamspace_usage_lag_seconds 300",
            "streamspace_usage_gap_seconds 60",
            "streamspace_usage_dirty_hours 1",
            "streamspace_usage_late_spans 0",
            "streamspace_usage_verify_faults 2",
            "streamspace_usage_intervals_total 0",
            "streamspace_usage_day_cpu_core_seconds 86400.0",
            "streamspace_usage_day_home_bytes 10.0",
            "streamspace_usage_day_estimated_ratio 0.25",
            "streamspace_usage_measured{metric=\"home_storage_gb\"} 1",
            "streamspace_usage_measured{metric=\"egress_gb\"} 1",
            "streamspace_usage_measured{metric=\"recording_storage_gb\"} 0",
            "streamspace_usage_egress_bytes 7.0",
        ] {
            assert!(told.lines().any(|told| told == line), "{line} is not in\n{told}");
        }
        for family in ["usage_recording_bytes", "usage_day_actual_cpu_core_seconds"] {
            let name = format!("streamspace_{family}");
            assert!(told.contains(&format!("# TYPE {name} gauge")), "{told}");
            assert!(!told.lines().any(|line| line.starts_with(&name)), "{told}");
        }
        // Without the database nothing is said of now.
        let unread = text(None);
        assert!(
            !unread.contains("streamspace_sessions") && !unread.contains("usage_lag"),
            "{unread}"
        );
        assert!(unread.contains("usage_measured{metric=\"egress_gb\"} 0"));
    }
}
