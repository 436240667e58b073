//! The health board: each part reports how it is, everybody can read it, and it
//! answers while the database and the cluster do not.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// The parts that the daemon depends on, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// PostgreSQL.
    Database,
    /// The Kubernetes API server.
    Cluster,
    /// Whether some replica leads.
    Leader,
    /// Whether committed changes get their revisions.
    ChangeLog,
    /// Whether intents can be written.
    AuditLog,
    /// Whether what the cluster shows of sessions is taken up, and so counted.
    Sessions,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Database,
        Self::Cluster,
        Self::Leader,
        Self::ChangeLog,
        Self::AuditLog,
        Self::Sessions,
    ];

    /// The name in the contract and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Cluster => "cluster",
            Self::Leader => "leader",
            Self::ChangeLog => "change-log",
            Self::AuditLog => "audit-log",
            Self::Sessions => "sessions",
        }
    }
}

/// How a part is, from well to worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Not known yet.
    Unknown,
    /// It does what it should.
    Ok,
    /// It works in part, or late.
    Degraded,
    /// It does not work.
    Unavailable,
}

/// What is known of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How it is.
    pub health: Health,
    /// In its own words.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// The board. Cheap to clone; all clones are one board.
#[derive(Clone)]
pub struct HealthBoard {
    reports: Arc<RwLock<BTreeMap<Part, Report>>>,
    answered: Arc<RwLock<Instant>>,
}

impl HealthBoard {
    /// A board on which nothing is known since `now`.
    pub fn new(now: Timestamp) -> Self {
        let unknown =
            Report { health: Health::Unknown, message: "not looked at yet".into(), since: now };
        let reports = Part::ALL.into_iter().map(|part| (part, unknown.clone())).collect();
        let answered = Arc::new(RwLock::new(Instant::now()));
        Self { reports: Arc::new(RwLock::new(reports)), answered }
    }

    /// Notes how a part is. Returns whether its health changed.
    pub fn report(&self, part: Part, health: Health, message: impl Into<String>) -> bool {
        let message = message.into();
        let mut reports = self.reports.write().unwrap_or_else(PoisonError::into_inner);
        let before = reports.get(&part);
        let changed = before.is_none_or(|report| report.health != health);
        let since = match before {
            Some(report) if !changed => report.since,
            _ => Timestamp::now(),
        };
        if changed {
            tracing::info!(part = part.as_str(), ?health, message, "health changed");
        }
        reports.insert(part, Report { health, message, since });
        changed
    }

    /// Notes that the database answered a probe on the pool that calls use.
    pub fn database_answered(&self) {
        *self.answered.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long it is since the database answered such a probe, by the monotonic clock.
    pub fn database_silent_for(&self) -> Duration {
        self.answered.read().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// What is known of every part, in order.
    pub fn read(&self) -> Vec<(Part, Report)> {
        let reports = self.reports.read().unwrap_or_else(PoisonError::into_inner);
        reports.iter().map(|(part, report)| (*part, report.clone())).collect()
    }

    /// The worst health among the parts.
    pub fn worst(&self) -> Health {
        self.read().into_iter().map(|(_, report)| report.health).max().unwrap_or(Health::Unknown)
    }

    /// How one part is.
    pub fn health_of(&self, part: Part) -> Health {
        let reports = self.reports.read().unwrap_or_else(PoisonError::into_inner);
        reports.get(&part).map_or(Health::Unknown, |report| report.health)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_part_tells_how_the_region_is_and_since_moves_only_with_health() {
        let board = HealthBoard::new(Timestamp::UNIX_EPOCH);
        assert_eq!(board.worst(), Health::Unknown);
        assert!(board.report(Part::Database, Health::Unavailable, "refused"));
        let since = board.read()[0].1.since;
        assert!(!board.report(Part::Database, Health::Unavailable, "timed out"));
        assert_eq!(board.read()[0].1.since, since);
        assert_eq!(board.read()[0].1.message, "timed out");
        assert_eq!(board.worst(), Health::Unavailable);
    }
}
