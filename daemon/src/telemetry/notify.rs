//! The metrics of the outbox: what waits, what was refused, and what came of tries.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use tokio_util::sync::CancellationToken;

use crate::{
    db::Database,
    notify::{
        Channels, NotifyCounters,
        figures::{self, Figures},
    },
};

/// How often the numbers are read anew.
const PERIOD: Duration = Duration::from_secs(15);

/// What the last look at the database told. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct NotifyBoard {
    /// Empty until it was read, and where the last look failed: old numbers would look like
    /// new ones.
    figures: Arc<Mutex<Vec<Figures>>>,
}

impl NotifyBoard {
    fn read(&self) -> Vec<Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, figures: Vec<Figures>) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    /// Reads the numbers now and then, until it is stopped. Any replica may.
    pub async fn run(self, db: Database, channels: Channels, stop: CancellationToken) {
        loop {
            let read = tokio::select! {
                read = figures::read(&db, &channels) => read,
                () = stop.cancelled() => return,
            };
            if let Err(error) = &read {
                tracing::debug!(%error, "the numbers of the outbox cannot be read");
            }
            self.set(read.unwrap_or_default());
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// One number of a channel.
type Number = fn(&Figures) -> i64;

/// Shows the board when the metrics are asked for.
pub struct NotifyCollector {
    /// How the outbox is.
    pub board: NotifyBoard,
    /// What came of the tries of this replica.
    pub counters: Arc<NotifyCounters>,
}

impl fmt::Debug for NotifyCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NotifyCollector")
    }
}

impl Collector for NotifyCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let figures = self.board.read();
        let of: [(&str, &str, Option<&Unit>, Number); 5] = [
            ("notify_waiting", "Notices that wait to be sent", None, |it| it.waiting),
            (
                "notify_oldest_waiting",
                "How long the oldest of those that wait does",
                Some(&Unit::Seconds),
                |it| it.oldest_seconds,
            ),
            ("notify_refused", "Notices that were refused", None, |it| it.refused),
            (
                "notify_given_up",
                "Notices that were refused in the last day and are not over since",
                None,
                |it| it.given_up,
            ),
            ("notify_pages", "Whether pages go through the channel", None, |it| {
                i64::from(it.pages)
            }),
        ];
        for (name, help, unit, value) in of {
            let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
            for figures in &figures {
                let labels = [("channel", figures.channel.as_str())];
                ConstGauge::new(value(figures)).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Tries of this replica to send a notice, by what came of them";
        let mut family =
            encoder.encode_descriptor("notify_tries", help, None, MetricType::Counter)?;
        for (channel, outcome, count) in self.counters.read() {
            let labels = [("channel", channel.as_str()), ("outcome", outcome)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
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
    fn a_channel_that_waits_shows_how_long() {
        let board = NotifyBoard::default();
        board.set(vec![Figures {
            channel: "oncall".into(),
            waiting: 2,
            oldest_seconds: 61,
            refused: 1,
            given_up: 1,
            pages: true,
        }]);
        let mut registry = Registry::with_prefix("streamspace");
        let text = "[channels.oncall]\nkind = 'webhook'\nfor = ['page']\nurl = 'http://h.example'";
        let channels = Channels::new(&toml::from_str(text).unwrap()).unwrap();
        let counters = Arc::new(NotifyCounters::new(&channels));
        registry.register_collector(Box::new(NotifyCollector { board, counters }));
        let told = metrics::text(&registry).unwrap();
        for line in [
            "streamspace_notify_waiting{channel=\"oncall\"} 2",
            "streamspace_notify_oldest_waiting_seconds{channel=\"oncall\"} 61",
            "streamspace_notify_refused{channel=\"oncall\"} 1",
            "streamspace_notify_given_up{channel=\"oncall\"} 1",
            "streamspace_notify_pages{channel=\"oncall\"} 1",
            "streamspace_notify_tries_total{channel=\"oncall\",outcome=\"sent\"} 0",
        ] {
            assert!(told.lines().any(|told| told == line), "{line} is not in\n{told}");
        }
    }
}
