//! The metric of backups: when the last one was made.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};
use tokio_util::sync::CancellationToken;

use crate::db::{Database, dump};

/// How often it is read anew.
const PERIOD: Duration = Duration::from_secs(15);

/// What the last look at the database told. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct BackupBoard {
    /// The time of the last snapshot, in seconds. `None` until it was read, where the last look
    /// failed, and where there was no backup.
    last: Arc<Mutex<Option<i64>>>,
}

impl BackupBoard {
    fn set(&self, last: Option<i64>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// Reads it now and then, until it is stopped. Any replica may.
    pub async fn run(self, db: Database, stop: CancellationToken) {
        loop {
            let read = tokio::select! {
                read = dump::last_backup(&db) => read,
                () = stop.cancelled() => return,
            };
            if let Err(error) = &read {
                tracing::debug!(%error, "the time of the last backup cannot be read");
            }
            self.set(read.ok().flatten());
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// Shows the board when the metrics are asked for.
#[derive(Debug)]
pub struct BackupCollector {
    /// When the last backups were made.
    pub board: BackupBoard,
}

impl Collector for BackupCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let last = *self.board.last.lock().unwrap_or_else(PoisonError::into_inner);
        let metric = encoder.encode_descriptor(
            "backup_last_success_timestamp",
            "The moment that the last whole backup shows. No sample where there was none",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        if let Some(time) = last {
            ConstGauge::new(time).encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::telemetry::metrics;

    #[test]
    fn a_region_without_backups_has_no_sample() {
        let board = BackupBoard::default();
        let mut registry = Registry::with_prefix("streamspace");
        registry.register_collector(Box::new(BackupCollector { board: board.clone() }));
        let sample_of_none = "streamspace_backup_last_success_timestamp_seconds ";
        let text = metrics::text(&registry).unwrap();
        assert!(!text.lines().any(|line| line.starts_with(sample_of_none)), "{text}");
        board.set(Some(1_700_000_000));
        let sample = "streamspace_backup_last_success_timestamp_seconds 1700000000";
        assert!(metrics::text(&registry).unwrap().contains(sample));
    }
}
