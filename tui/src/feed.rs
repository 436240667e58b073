//! Where events come from: daemons, or a recording.

use std::time::Duration;

use jiff::Timestamp;
use streamspace_client::Connection;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval},
};

use crate::{
    actions::Work,
    connection::{self, Outlet},
    events::{Event, EventKind},
    questions,
    recording::{Place, Player},
    state::{Question, RegionIndex},
    work,
};

/// What waits to be read by the loop.
const QUEUE: usize = 64;
/// How soon it is seen that something grew old.
const TICK: Duration = Duration::from_millis(500);

/// Where events come from.
pub(crate) enum Feed {
    Live(Live),
    Played(Box<Player>),
}

/// Daemons, each with what listens to it.
pub(crate) struct Live {
    regions: Vec<(Connection, Outlet)>,
    news: mpsc::Receiver<EventKind>,
    tasks: JoinSet<()>,
    ticks: Interval,
}

impl Live {
    /// Begins to listen. It must be called inside a Tokio runtime.
    pub(crate) fn new(connections: &[Connection]) -> Self {
        let (sender, news) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        let regions: Vec<_> = (0..)
            .map(RegionIndex)
            .zip(connections)
            .map(|(region, connection)| {
                (connection.clone(), Outlet { region, events: sender.clone() })
            })
            .collect();
        for (connection, outlet) in &regions {
            connection::spawn(&mut tasks, connection, outlet);
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self { regions, news, tasks, ticks }
    }

    async fn next(&mut self) -> Event {
        // What was answered is over; else the list of it would grow all day.
        while let Some(ended) = self.tasks.try_join_next() {
            // The terminal was given back already: nothing may draw on it any more.
            if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        }
        let kind = tokio::select! {
            biased;
            Some(kind) = self.news.recv() => kind,
            _ = self.ticks.tick() => EventKind::Tick,
        };
        Event { at: Timestamp::now(), kind }
    }

    fn region(&self, region: RegionIndex) -> Option<(Connection, Outlet)> {
        self.regions.get(usize::from(region.0)).cloned()
    }
}

impl Feed {
    /// The next event. Safe to drop while it waits.
    pub(crate) async fn next(&mut self) -> Event {
        match self {
            Self::Live(live) => live.next().await,
            Self::Played(player) => player.next().await,
        }
    }

    /// What time it is there.
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::Live(_) => Timestamp::now(),
            Self::Played(player) => player.now(),
        }
    }

    /// Where in a recording it is.
    pub(crate) fn place(&self) -> Option<Place> {
        match self {
            Self::Live(_) => None,
            Self::Played(player) => Some(player.place()),
        }
    }

    pub(crate) fn ask(&mut self, region: RegionIndex, question: Question) {
        match self {
            Self::Live(live) => {
                if let Some((connection, outlet)) = live.region(region) {
                    live.tasks.spawn(questions::answer(connection, outlet, question));
                }
            }
            Self::Played(player) => player.ask(region, question),
        }
    }

    pub(crate) fn work(&mut self, work: Box<Work>) {
        match self {
            Self::Live(live) => {
                if let Some((connection, outlet)) = live.region(work.subject.region) {
                    live.tasks.spawn(work::work(connection, outlet, work));
                }
            }
            Self::Played(player) => player.work(work),
        }
    }
}
