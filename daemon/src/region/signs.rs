//! What a region's daemon tells the service manager of itself.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::parts::Parts;
use crate::{
    db::{Database, Leadership},
    regions::health::{Health, HealthBoard},
    systemd::Signs,
};

/// A pool that lost its database takes some seconds to find it again.
const LEAST_SILENCE: Duration = Duration::from_secs(10);
/// How long a new connection may take to be answered.
const ANSWER: Duration = Duration::from_secs(3);

/// How the parts are, who leads, and whether the pool answers.
pub(super) struct RegionSigns {
    board: HealthBoard,
    db: Database,
    leadership: watch::Receiver<Leadership>,
    silence: Duration,
    /// Since when the database answers others while the pool is silent.
    reachable: Mutex<Option<Instant>>,
}

impl RegionSigns {
    /// The pool may be silent for twice as long as the watchdog waits: a database that fails
    /// over takes its time.
    pub(super) fn new(parts: &Parts, watchdog: Option<Duration>) -> Self {
        Self {
            board: parts.board.clone(),
            db: parts.db.clone(),
            leadership: parts.leadership.clone(),
            silence: watchdog.unwrap_or_default().saturating_mul(2).max(LEAST_SILENCE),
            reachable: Mutex::default(),
        }
    }
}

impl Signs for RegionSigns {
    fn words(&self) -> String {
        words(&self.leadership.borrow(), &self.board)
    }

    async fn hangs(&self) -> Option<String> {
        let silent = self.board.database_silent_for();
        let there = silent > self.silence && self.db.answers_beside_its_pools(ANSWER).await;
        let mut reachable = self.reachable.lock().unwrap_or_else(PoisonError::into_inner);
        if !there {
            *reachable = None;
            return None;
        }
        // A database that came back a moment ago is one that the pool has yet to find.
        let now = Instant::now();
        let since = *reachable.get_or_insert(now);
        if now.duration_since(since) <= self.silence {
            return None;
        }
        let seconds = silent.as_secs();
        Some(format!("its pool had no answer for {seconds} s, and the database is there"))
    }
}

fn words(leadership: &Leadership, board: &HealthBoard) -> String {
    let leads = if leadership.leads {
        format!("leads, leader term {}", leadership.leader_term)
    } else if leadership.replica.is_empty() {
        "no replica leads".to_owned()
    } else {
        format!("{} leads", leadership.replica)
    };
    let unwell = board.read().into_iter().filter_map(|(part, report)| {
        matches!(report.health, Health::Degraded | Health::Unavailable).then(|| part.as_str())
    });
    let unwell: Vec<&str> = unwell.collect();
    if unwell.is_empty() { leads } else { format!("{leads}; not well: {}", unwell.join(", ")) }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{db::testing::TestDatabase, regions::health::Part};

    #[test]
    fn the_words_say_who_leads_and_what_is_not_well() {
        let board = HealthBoard::new(Timestamp::UNIX_EPOCH);
        let mut leadership = Leadership::default();
        assert_eq!(words(&leadership, &board), "no replica leads");
        leadership.replica = "b".into();
        board.report(Part::Cluster, Health::Unavailable, "refused");
        assert_eq!(words(&leadership, &board), "b leads; not well: cluster");
        (leadership.leads, leadership.leader_term) = (true, 7);
        board.report(Part::Cluster, Health::Ok, "");
        assert_eq!(words(&leadership, &board), "leads, leader term 7");
    }

    #[tokio::test]
    async fn a_silent_pool_hangs_only_while_the_database_is_there() {
        let mut test = TestDatabase::with_own_server().await;
        let board = HealthBoard::new(Timestamp::now());
        let (_, leadership) = watch::channel(Leadership::default());
        let signs = |silence| RegionSigns {
            board: board.clone(),
            db: test.database().clone(),
            leadership: leadership.clone(),
            silence,
            reachable: Mutex::default(),
        };
        let (soon, late) = (signs(Duration::ZERO), signs(Duration::from_hours(1)));
        assert_eq!(late.hangs().await, None, "it answered of late");
        assert_eq!(soon.hangs().await, None, "it may have come back just now");
        let said = soon.hangs().await.unwrap();
        assert!(said.contains("the database is there"), "{said}");
        test.server().kill_server().unwrap();
        assert_eq!(soon.hangs().await, None, "a restart would bring nothing back");
    }
}
