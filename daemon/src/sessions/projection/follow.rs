//! The watch of what is metered, and through when it is complete.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use streamspace_core::usage::Second;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    Sight, StepError, Term,
    batch::{Memory, owners_of},
    clock::{SLACK, seconds},
    relist::{From, sight},
    source::{News, Tell, Watched},
};
use crate::{db::Scope, kube::ClusterError, usage::facts as usage_facts};

/// So many news are stored at once.
const BATCH: usize = 500;
/// News that follow each other closely are stored together.
const GATHER: Duration = Duration::from_millis(20);
/// News that wait; the watches wait where there are more.
const WAITING: usize = 1024;
/// Probes that wait until the watches have come so far.
const PROBES: usize = 64;
/// How often it is asked whether a namespace has become a tenant's.
const ADOPTION: Duration = Duration::from_secs(5);

/// An instant of the API server's clock, and how far the watches must have come so that all
/// before it was told.
#[derive(Clone, Copy, Debug)]
struct Probe {
    sessions: u64,
    homes: u64,
    at: Second,
}

impl Probe {
    fn is_met(&self, position: &From) -> bool {
        position.sessions >= self.sessions && position.homes >= self.homes
    }
}

impl Term {
    /// Stores what the watches tell from there on, until everything must be listed again.
    pub(super) async fn follow(self: &Arc<Self>, memory: &mut Memory, mut position: From) {
        let (tell, mut news) = mpsc::channel(WAITING);
        let (ask, mut answers) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        for (watched, version) in
            [(Watched::Sessions, position.sessions), (Watched::Homes, position.homes)]
        {
            tasks.spawn(Arc::clone(self).watch(watched, version, tell.clone()));
        }
        drop(tell);
        tasks.spawn(Arc::clone(self).probe_again_and_again(ask));
        let mut adoption = interval(ADOPTION);
        adoption.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut probes: VecDeque<Probe> = VecDeque::new();
        let mut batch = Vec::with_capacity(BATCH);
        let mut changes = self.changes.latest();
        // One may have become a tenant's since the list.
        changes.mark_changed();
        loop {
            batch.clear();
            tokio::select! {
                count = news.recv_many(&mut batch, BATCH) => if count == 0 { return },
                Some(probe) = answers.recv() => {
                    if probes.len() >= PROBES {
                        probes.pop_front();
                    }
                    probes.push_back(probe);
                }
                _ = adoption.tick(), if !memory.homeless.is_empty() => {
                    if changes.has_changed().unwrap_or_default() {
                        changes.mark_unchanged();
                        if persist!(self, "look for adopted namespaces", self.has_adopted(memory)) {
                            tracing::info!("a namespace has become a tenant's; listing again");
                            return;
                        }
                    }
                }
            }
            gather(&mut news, &mut batch).await;
            let expired = self.take_news(&mut batch, memory, &mut position).await;
            if let Some(why) = expired {
                tracing::info!(why, "a watch lost its place; listing sessions and homes again");
                return;
            }
            let moved = |from: u64| position.sessions > from && position.homes > from;
            if memory.owed.is_some_and(moved) {
                tracing::info!("the cluster has moved on; taking up what counts as ended");
                return;
            }
            let met = probes.iter().rposition(|probe| probe.is_met(&position));
            if let Some(probe) = met.and_then(|met| probes.drain(..=met).next_back()) {
                persist!(self, "confirm", self.confirm(probe.at));
            }
        }
    }

    async fn watch(self: Arc<Self>, watched: Watched, version: u64, tell: Tell) {
        let source = match watched {
            Watched::Sessions => &self.sessions,
            Watched::Homes => &self.homes,
            Watched::Templates => &self.templates,
        };
        source.follow(watched, version, self.settings.watch_seconds, tell).await;
    }

    /// Stores a batch. Returns why there is nothing to go on from, where that is so.
    async fn take_news(
        &self,
        batch: &mut Vec<(Watched, News)>,
        memory: &mut Memory,
        position: &mut From,
    ) -> Option<String> {
        let mut sights: Vec<Sight> = Vec::with_capacity(batch.len());
        let (mut reached, mut expired) = (*position, None);
        for (watched, news) in batch.drain(..) {
            let version = match news {
                News::Applied(object) => {
                    sights.push(sight(watched, &object, false));
                    sights.last().map(|sight| sight.metadata().resource_version)
                }
                News::Deleted(object) => {
                    sights.push(sight(watched, &object, true));
                    sights.last().map(|sight| sight.metadata().resource_version)
                }
                News::Reached(version) => Some(version),
                News::Expired(why) => {
                    expired = Some(why);
                    break;
                }
            };
            let place = match watched {
                Watched::Homes => &mut reached.homes,
                Watched::Sessions | Watched::Templates => &mut reached.sessions,
            };
            *place = version.unwrap_or_default().max(*place);
        }
        if !sights.is_empty() {
            persist!(self, "store", self.store(&sights, memory));
        }
        *position = reached;
        expired
    }

    /// Everything before an instant is stored.
    async fn confirm(&self, at: Second) -> Result<(), StepError> {
        let mut tx = self.leading().await?;
        let through = usage_facts::confirmed(&mut tx, self.leadership.leader_term, at).await??;
        tx.commit().await?;
        self.clock.passed(at);
        self.board.edit(|state| state.watched = Some(through.timestamp()));
        Ok(())
    }

    async fn probe_again_and_again(self: Arc<Self>, tell: mpsc::Sender<Probe>) {
        loop {
            match self.probe().await {
                Ok(probe) => {
                    if tell.send(probe).await.is_err() {
                        return;
                    }
                }
                Err(error) => tracing::debug!(%error, "the API server does not tell the time"),
            }
            sleep(self.settings.probe_period).await;
        }
    }

    /// Looks what time it is, and how far the cluster has come by then: each kind is asked,
    /// for an API server may keep them in stores of their own.
    ///
    /// The answer is dated when it leaves, which is later than what it shows by no more than
    /// it took.
    async fn probe(&self) -> Result<Probe, ClusterError> {
        let asked = Instant::now();
        let (sessions, homes) =
            tokio::try_join!(self.sessions.page(1, None), self.homes.page(1, None))?;
        self.clock.told(sessions.date.max(homes.date), asked);
        let shown = |date: Second, took| date.plus(-seconds(took)).plus(-SLACK);
        Ok(Probe {
            sessions: sessions.version,
            homes: homes.version,
            at: shown(sessions.date, sessions.took).min(shown(homes.date, homes.took)),
        })
    }

    /// Whether a namespace that was no tenant's is one now.
    async fn has_adopted(&self, memory: &Memory) -> Result<bool, StepError> {
        let namespaces: Vec<&str> = memory.homeless.iter().map(String::as_str).collect();
        let mut tx = self.db.begin(&Scope::Region).await?;
        Ok(!owners_of(&mut tx, &namespaces).await?.is_empty())
    }
}

/// Adds what comes within a moment, up to a batch.
pub(super) async fn gather(
    news: &mut mpsc::Receiver<(Watched, News)>,
    batch: &mut Vec<(Watched, News)>,
) {
    let until = Instant::now() + GATHER;
    while !batch.is_empty() && batch.len() < BATCH {
        let left = until.saturating_duration_since(Instant::now());
        match timeout(left, news.recv()).await {
            Ok(Some(one)) => batch.push(one),
            Ok(None) | Err(_) => return,
        }
    }
}
