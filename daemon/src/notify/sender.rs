//! Empties the outbox, on the leader: each channel by itself, so that one that hangs holds up
//! no other, and several notices of a channel at once, of different keys.
//!
//! A notice is claimed in a transaction that commits before anything is sent. A leader that is
//! killed after that has sent it or not; the next one sends it again under the same key.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use streamspace_core::notify::{Next, NoticeState, next};
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Channels, NotifyCounters, inbound,
    send::{self, Outcome},
    store::{self, Record, Tried},
};
use crate::db::{Database, DbError, Leadership, Scope, lease};

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(1);
/// So many notices of one channel are on their way at once.
const AT_ONCE: usize = 8;
/// How long a stop waits for what is on its way.
const FAREWELL: Duration = Duration::from_secs(4);
/// How often old rows are taken away.
const PRUNE: Duration = Duration::from_hours(1);

/// What a sender needs.
pub struct SenderParts {
    /// Where the outbox is.
    pub db: Database,
    /// Where to send.
    pub channels: Channels,
    /// What came of it.
    pub counters: Arc<NotifyCounters>,
}

/// Sends while this replica leads.
#[derive(Clone)]
pub struct Sender {
    db: Database,
    channels: Channels,
    counters: Arc<NotifyCounters>,
}

impl Sender {
    /// Sends to these channels.
    pub fn new(parts: SenderParts) -> Self {
        let SenderParts { db, channels, counters } = parts;
        Self { db, channels, counters }
    }

    /// Sends until it is stopped.
    pub async fn run(self, leadership: watch::Receiver<Leadership>, stop: CancellationToken) {
        let loops = self.channels.names().into_iter().map(|name| {
            let (leadership, stop) = (leadership.clone(), stop.clone());
            self.clone().run_channel(name, leadership, stop)
        });
        let (_, ()) = tokio::join!(join_all(loops), self.keep(&leadership, &stop));
    }

    async fn run_channel(
        self,
        name: String,
        leadership: watch::Receiver<Leadership>,
        stop: CancellationToken,
    ) {
        let mut under_way = JoinSet::new();
        let mut failing = false;
        loop {
            let now = leadership.borrow().clone();
            let free = AT_ONCE.saturating_sub(under_way.len());
            if now.leads && free > 0 {
                let claimed = tokio::select! {
                    () = stop.cancelled() => break,
                    claimed = self.claim(&now, &name, free) => claimed,
                };
                match claimed {
                    Ok(claimed) => {
                        failing = false;
                        for notice in claimed {
                            let sender = self.clone();
                            under_way.spawn(async move { sender.send_and_note(&notice).await });
                        }
                    }
                    Err(error) => {
                        if !failing {
                            tracing::warn!(%error, channel = name, "the outbox cannot be read; trying on");
                        }
                        failing = true;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
        // What is on its way may still be noted; what is not then is sent again.
        let rest = async { while under_way.join_next().await.is_some() {} };
        let _in_time = tokio::time::timeout(FAREWELL, rest).await;
    }

    /// Refuses what no channel takes, and takes away what is old.
    async fn keep(&self, leadership: &watch::Receiver<Leadership>, stop: &CancellationToken) {
        let mut last: Option<Instant> = None;
        while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
            let now = leadership.borrow().clone();
            if !now.leads {
                continue;
            }
            let prunes = last.is_none_or(|at| at.elapsed() > PRUNE);
            match self.keep_once(&now, prunes).await {
                Ok(()) if prunes => last = Some(Instant::now()),
                Ok(()) => {}
                Err(error) => tracing::debug!(%error, "the outbox is tidied later"),
            }
        }
    }

    /// Refuses what waits for channels that are not configured; with `prunes` old rows go too.
    pub(super) async fn keep_once(
        &self,
        leadership: &Leadership,
        prunes: bool,
    ) -> Result<(), DbError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        if !lease::still_leads(&mut tx, leadership).await? {
            return Ok(());
        }
        let refused = store::refuse_others(&mut tx, &self.channels.names()).await?;
        if prunes {
            store::prune(&mut tx).await?;
            inbound::prune(&mut tx).await?;
        }
        tx.commit().await?;
        if refused > 0 {
            tracing::error!(refused, "notices are for channels that are not configured");
        }
        Ok(())
    }

    /// Claims what is due of a channel, and commits that.
    pub(super) async fn claim(
        &self,
        leadership: &Leadership,
        channel: &str,
        most: usize,
    ) -> Result<Vec<Record>, DbError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        let claimed = store::claim(&mut tx, leadership, channel, most).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    async fn send_and_note(&self, notice: &Record) {
        let noted = match self.send(notice).await {
            Ok(tried) => self.note(notice, &tried).await,
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            tracing::warn!(
                %error, channel = notice.channel, notice = %notice.uid,
                "what became of a notice cannot be noted; it is sent again under its key"
            );
        }
    }

    /// Sends one that was claimed.
    pub(super) async fn send(&self, notice: &Record) -> Result<Tried, DbError> {
        let Some(channel) = self.channels.get(&notice.channel) else {
            return Ok(refused("no such channel is configured".into()));
        };
        let Some(message) = &notice.message else {
            return Ok(refused("its message is of another version of the daemon".into()));
        };
        let thing = send::thing(notice.action);
        let mut tx = self.db.begin(&Scope::Region).await?;
        let remote = store::remote(&mut tx, notice, thing).await?;
        drop(tx);
        let told = send::send(&send::Task { channel, notice, message, remote: &remote }).await;
        Ok(judge(notice, told, Timestamp::now(), share()))
    }

    /// Notes what became of one.
    pub(super) async fn note(&self, notice: &Record, tried: &Tried) -> Result<(), DbError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        let noted = store::note(&mut tx, notice, tried).await?;
        tx.commit().await?;
        if !noted {
            return Ok(());
        }
        let outcome = match tried.state {
            NoticeState::Waiting => "again",
            settled => settled.as_str(),
        };
        self.counters.count(&notice.channel, outcome);
        let (channel, action) = (&notice.channel, notice.action.as_str());
        match tried.state {
            NoticeState::Sent => {
                tracing::info!(channel, action, key = notice.dedup_key, "a notice was sent");
            }
            NoticeState::Refused => tracing::error!(
                channel,
                action,
                key = notice.dedup_key,
                problem = tried.problem,
                "a notice was refused and is not sent again by itself"
            ),
            NoticeState::Waiting if notice.attempts == 1 => tracing::warn!(
                channel,
                action,
                key = notice.dedup_key,
                problem = tried.problem,
                "a notice could not be sent; it is tried again"
            ),
            NoticeState::Waiting | NoticeState::Expired => {
                tracing::debug!(channel, action, key = notice.dedup_key, problem = tried.problem);
            }
        }
        Ok(())
    }

    /// Claims, sends and notes what is due of a channel, once.
    #[cfg(test)]
    pub(super) async fn round(&self, leadership: &Leadership, channel: &str) -> usize {
        let claimed = self.claim(leadership, channel, AT_ONCE).await.unwrap();
        join_all(claimed.iter().map(|notice| self.send_and_note(notice))).await.len()
    }
}

fn refused(problem: String) -> Tried {
    Tried { state: NoticeState::Refused, wait: Duration::ZERO, problem, remote: None }
}

/// What becomes of a notice by what the receiver told.
fn judge(notice: &Record, told: send::Told, now: Timestamp, share: u32) -> Tried {
    let send::Told { outcome, words, remote } = told;
    let remote = remote.map(|id| (send::thing(notice.action), id));
    let attempts = u32::try_from(notice.attempts).unwrap_or(u32::MAX);
    let (state, wait) = match outcome {
        Outcome::Expired => (NoticeState::Expired, Duration::ZERO),
        Outcome::NotNeeded => (NoticeState::Sent, Duration::ZERO),
        Outcome::Answered(answer) => match next(attempts, answer, now, share) {
            Next::Sent => (NoticeState::Sent, Duration::ZERO),
            Next::Refused => (NoticeState::Refused, Duration::ZERO),
            Next::Again(at) => {
                let wait = at.duration_since(now).max(SignedDuration::ZERO);
                (NoticeState::Waiting, wait.unsigned_abs())
            }
        },
    };
    Tried { state, wait, problem: words, remote }
}

/// The random part of a wait.
fn share() -> u32 {
    // The last 62 bits of such a UUID are random.
    u32::try_from(Uuid::new_v4().as_u128() & u128::from(u32::MAX)).unwrap_or(0)
}
