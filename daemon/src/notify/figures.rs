//! How the outbox is, in a few numbers, for the metrics.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{Channels, Purpose, store};
use crate::db::{Database, DbError, Scope};

/// How one channel is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The channel.
    pub channel: String,
    /// Notices that wait.
    pub waiting: i64,
    /// How long the oldest of them does, in seconds.
    pub oldest_seconds: i64,
    /// Notices that were refused.
    pub refused: i64,
    /// Those of the last day among them, and not over since; no tests.
    pub given_up: i64,
    /// Whether pages go through it. Of one that is not configured nobody knows: it may be a
    /// level of an escalation that names it.
    pub pages: bool,
}

/// Reads how each channel is, also one that never had a notice.
pub async fn read(db: &Database, channels: &Channels) -> Result<Vec<Figures>, DbError> {
    let mut tx = db.begin(&Scope::Region).await?;
    let standings = store::standings(&mut tx).await?;
    let pages = |name: &str| {
        channels.get(name).is_none_or(|channel| channel.purposes.contains(&Purpose::Page))
    };
    let none = |name: String| {
        let figures = Figures { pages: pages(&name), channel: name.clone(), ..Figures::default() };
        (name, figures)
    };
    let mut all: BTreeMap<String, Figures> = channels.names().into_iter().map(none).collect();
    for standing in standings {
        let figures = Figures {
            channel: standing.channel.clone(),
            waiting: standing.waiting,
            oldest_seconds: standing.oldest_seconds,
            refused: standing.refused,
            given_up: standing.given_up,
            pages: pages(&standing.channel),
        };
        all.insert(standing.channel, figures);
    }
    Ok(all.into_values().collect())
}

/// What came of the tries of this replica, by channel and outcome.
#[derive(Debug)]
pub struct NotifyCounters {
    tries: Mutex<BTreeMap<(String, &'static str), u64>>,
}

impl NotifyCounters {
    /// What can come of tries, each none yet: what grows from nothing is seen to grow.
    pub fn new(channels: &Channels) -> Self {
        let outcomes = ["sent", "again", "refused", "expired"];
        let all = channels.names().into_iter().flat_map(|channel| {
            outcomes.into_iter().map(move |outcome| ((channel.clone(), outcome), 0))
        });
        Self { tries: Mutex::new(all.collect()) }
    }

    /// One more try of a channel came to this.
    pub(super) fn count(&self, channel: &str, outcome: &'static str) {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let count = tries.entry((channel.to_owned(), outcome)).or_default();
        *count = count.saturating_add(1);
    }

    /// All of them.
    pub fn read(&self) -> Vec<(String, &'static str, u64)> {
        let tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        tries
            .iter()
            .map(|((channel, outcome), count)| (channel.clone(), *outcome, *count))
            .collect()
    }
}
