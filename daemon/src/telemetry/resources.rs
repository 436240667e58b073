//! The metrics of what a replica stands on: its connections to the database, its
//! certificates and the disk of its folder.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::db::{Database, PoolState};

/// How often the disk is looked at.
const PERIOD: Duration = Duration::from_secs(15);
/// What was seen so long ago is shown no more: a disk that hangs would look like a well one.
const FRESH: Duration = Duration::from_mins(1);
/// The only folder that the daemon keeps: that of its authority.
const FOLDER: &str = "access";

/// How full a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// All of it, in bytes.
    pub size_bytes: u64,
    /// What the daemon can still write, in bytes. What is kept for root is not in it.
    pub free_bytes: u64,
}

impl Disk {
    /// Looks at the file system of a folder. It blocks while that file system does; fails
    /// where there is no such folder.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let found = rustix::fs::statvfs(folder)?;
        Ok(Self {
            size_bytes: found.f_blocks.saturating_mul(found.f_frsize),
            free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }
}

/// What the last look at the disk told. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DiskBoard {
    folder: Arc<Path>,
    seen: Arc<Mutex<Option<(Instant, Disk)>>>,
}

impl DiskBoard {
    /// For the file system of this folder, which was not looked at yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder: folder.into(), seen: Arc::default() }
    }

    /// How full it is; `None` where the last look failed or was too long ago.
    pub fn read(&self) -> Option<Disk> {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.filter(|(when, _)| when.elapsed() < FRESH).map(|(_, disk)| disk)
    }

    fn set(&self, disk: Option<Disk>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            disk.map(|disk| (Instant::now(), disk));
    }

    /// Looks now and then, until it is stopped. A look is given up with it.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let folder = Arc::clone(&self.folder);
            // A file system over a network can take its time.
            let look = tokio::task::spawn_blocking(move || Disk::of(&folder));
            let Some(looked) = stop.run_until_cancelled(look).await else { return };
            let disk = looked.map_err(io::Error::other).flatten();
            if let Err(error) = &disk {
                tracing::debug!(%error, folder = %self.folder.display(), "the disk cannot be seen");
            }
            self.set(disk.ok());
            if stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_none() {
                return;
            }
        }
    }
}

/// Shows them when the metrics are asked for.
pub struct ResourceCollector {
    /// Whose pools are shown.
    pub db: Database,
    /// When the daemon's own certificate ends.
    pub server_expires: watch::Receiver<Timestamp>,
    /// When the authority's certificate ends.
    pub authority_expires: Timestamp,
    /// How full the disk is.
    pub disk: DiskBoard,
}

impl fmt::Debug for ResourceCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResourceCollector")
    }
}

impl Collector for ResourceCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        pools(&mut encoder, &self.db.pool_states())?;
        let expiries =
            [("authority", self.authority_expires), ("server", *self.server_expires.borrow())];
        certificates(&mut encoder, &expiries)?;
        disk(&mut encoder, self.disk.read())
    }
}

fn pools(encoder: &mut DescriptorEncoder<'_>, states: &[PoolState]) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "database_connections",
        "Connections of this replica to the database, by the pool and by whether they are used",
        None,
        MetricType::Gauge,
    )?;
    for state in states {
        for (word, count) in [("used", state.used), ("idle", state.idle)] {
            let labels = [("pool", state.pool), ("state", word)];
            ConstGauge::new(i64::from(count)).encode(family.encode_family(&labels)?)?;
        }
    }
    let mut family = encoder.encode_descriptor(
        "database_connections_max",
        "The most connections of the pool",
        None,
        MetricType::Gauge,
    )?;
    for state in states {
        let labels = [("pool", state.pool)];
        ConstGauge::new(i64::from(state.maximum)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn certificates(
    encoder: &mut DescriptorEncoder<'_>,
    expiries: &[(&str, Timestamp)],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "certificate_expiry_timestamp",
        "When a certificate of this replica ends",
        Some(&Unit::Seconds),
        MetricType::Gauge,
    )?;
    for (certificate, expires) in expiries {
        let labels = [("certificate", *certificate)];
        ConstGauge::new(expires.as_second()).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn disk(encoder: &mut DescriptorEncoder<'_>, disk: Option<Disk>) -> fmt::Result {
    for (name, help, bytes) in [
        ("disk_size", "The file system of the daemon's folder", disk.map(|disk| disk.size_bytes)),
        (
            "disk_free",
            "What the daemon can still write to that file system",
            disk.map(|disk| disk.free_bytes),
        ),
    ] {
        let mut family =
            encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
        if let Some(bytes) = bytes {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            ConstGauge::new(bytes).encode(family.encode_family(&[("folder", FOLDER)])?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::{
        db::{DatabaseConfig, DatabaseUrl},
        telemetry::metrics,
    };

    async fn away() -> Database {
        let url = DatabaseUrl::parse("postgres://nobody@localhost/none?host=/nonexistent").unwrap();
        let config = DatabaseConfig {
            owner: url.clone(),
            operator: url.clone(),
            tenant: url.clone(),
            audit: url.clone(),
            maintainer: url,
            passwords: None,
            max_connections: 7,
        };
        Database::connect(&config).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_replica_stands_on_is_shown_while_the_database_is_away() {
        let server = watch::Sender::new(Timestamp::from_second(1_800_000_000).unwrap());
        let disk = DiskBoard::new("/".into());
        let mut registry = Registry::with_prefix("streamspace");
        registry.register_collector(Box::new(ResourceCollector {
            db: away().await,
            server_expires: server.subscribe(),
            authority_expires: Timestamp::from_second(1_900_000_000).unwrap(),
            disk: disk.clone(),
        }));
        let has = |line: &str| {
            let told = metrics::text(&registry).unwrap();
            assert!(told.lines().any(|told| told == line), "{line} is not in\n{told}");
        };
        has("streamspace_database_connections{pool=\"operator\",state=\"used\"} 0");
        has("streamspace_database_connections{pool=\"tenant\",state=\"idle\"} 0");
        has("streamspace_database_connections_max{pool=\"tenant\"} 7");
        has("streamspace_database_connections_max{pool=\"audit\"} 4");
        has("streamspace_database_connections_max{pool=\"maintainer\"} 1");
        has(
            "streamspace_certificate_expiry_timestamp_seconds{certificate=\"authority\"} 1900000000",
        );
        has("streamspace_certificate_expiry_timestamp_seconds{certificate=\"server\"} 1800000000");
        server.send_replace(Timestamp::from_second(1_800_000_060).unwrap());
        has("streamspace_certificate_expiry_timestamp_seconds{certificate=\"server\"} 1800000060");

        has("# TYPE streamspace_disk_free_bytes gauge");
        let shown = || metrics::text(&registry).unwrap().contains("disk_free_bytes{");
        assert!(!shown(), "it was not looked at");
        disk.set(Some(Disk { size_bytes: 100, free_bytes: 20 }));
        has("streamspace_disk_size_bytes{folder=\"access\"} 100");
        has("streamspace_disk_free_bytes{folder=\"access\"} 20");
        // One that hangs is not shown as it was.
        tokio::time::advance(FRESH).await;
        assert!(!shown());
    }

    #[test]
    fn a_disk_is_looked_at_and_no_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::of(folder.path()).unwrap();
        assert!(disk.size_bytes > 0 && disk.free_bytes <= disk.size_bytes, "{disk:?}");
        assert!(Disk::of(&folder.path().join("none")).is_err());
    }

    #[tokio::test]
    async fn the_board_is_filled_until_it_is_stopped_and_emptied_where_the_folder_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let board = DiskBoard::new(folder.path().into());
        let running = tokio::spawn(board.clone().run(stop.clone()));
        while board.read().is_none() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        running.await.unwrap();
        folder.close().unwrap();
        let running = tokio::spawn(board.clone().run(CancellationToken::new()));
        while board.read().is_some() {
            tokio::task::yield_now().await;
        }
        running.abort();
    }
}
