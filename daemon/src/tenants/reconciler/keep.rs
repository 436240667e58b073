//! Keeps the objects of a tenant as they are wished.

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    Hold, LOOK_AGAIN, Next, Read, StepError, Term,
    events::event,
    follow::verdict,
    seen::{Kept, Seen},
};
use crate::{
    kube::{
        ClusterError, DeleteOptions, Kind,
        events::Tone,
        index::{Entry, Verdict, is_counted},
    },
    tenants::{
        breaker::{self, Permission},
        decide::{self, Deviation, Obstacle, Todo, Way, Why, Wish},
    },
};

/// How long the cluster may take to count before a condition tells of it.
const COUNTING_PATIENCE: Duration = Duration::from_secs(3);
/// What was read is no longer what holds: soon, and not at once, for another look is at
/// the database first.
const ANEW: Duration = Duration::from_millis(200);
/// An obstacle that only a person can remove need not be looked at often.
const BLOCKED_AGAIN: Duration = Duration::from_secs(15);

impl Term {
    pub(super) async fn keep(&self, read: &Read) -> Result<Next, StepError> {
        let tenant = &read.tenant;
        let wishes = self.wishes.of(tenant, self.features);
        self.learn(tenant.namespace.as_str(), &wishes).await?;
        let entries = self.index.of(&tenant.namespace);
        let todo = decide::todo(tenant, &wishes, &entries);
        if let Some(hold) = &read.pause {
            return self.hold(read, hold, &todo, wishes.len()).await;
        }
        let way = if let Some(way) = decide::known_way(tenant, &entries) {
            way
        } else {
            let live = self.cluster.get(Kind::Namespace, "", &tenant.namespace).await?;
            let adopting = tenant.adopt.then_some(self.settings.instance.as_str());
            decide::way(tenant, adopting, live.as_ref())
        };
        match way {
            Way::Clear => {}
            Way::Wait(obstacle) => {
                self.note(read, Seen::InTheWay(obstacle)).await?;
                return Ok(Next::LookAgain(LOOK_AGAIN));
            }
            Way::Blocked(obstacle) => {
                self.note(read, Seen::InTheWay(obstacle)).await?;
                return Ok(Next::LookAgain(BLOCKED_AGAIN));
            }
        }
        self.write(read, &todo, wishes.len()).await
    }

    /// Where a kind could not be listed, looks at the single objects.
    async fn learn(&self, namespace: &str, wishes: &[Wish]) -> Result<(), ClusterError> {
        for wish in wishes {
            if self.index.is_synced(wish.kind) {
                continue;
            }
            if let Some(live) = self.cluster.get(wish.kind, namespace, &wish.name).await? {
                self.index.note(wish.kind, &live, verdict(wish, &live), is_counted(&live));
            }
        }
        Ok(())
    }

    /// Writes nothing, and shows what waits.
    async fn hold(
        &self,
        read: &Read,
        hold: &Hold,
        todo: &Todo<'_>,
        wished: usize,
    ) -> Result<Next, StepError> {
        let mut drift: Vec<String> = todo.apply.iter().map(Deviation::sentence).collect();
        drift
            .extend(todo.prune.iter().map(|entry| format!("{} is no longer wished", title(entry))));
        // The region says by itself that it is paused.
        let shown = hold.of_tenant || !drift.is_empty();
        let kept = Kept {
            wished,
            uncounted: !todo.counted,
            paused: shown.then(|| hold.words.clone()),
            drift,
            ..Kept::default()
        };
        let well = kept.is_well();
        self.note(read, Seen::Kept(kept)).await?;
        if well {
            self.ledger.settle(read.tenant.uid, read.sum);
        }
        Ok(hold.remaining.map_or(Next::Done, Next::LookAgain))
    }

    async fn write(&self, read: &Read, todo: &Todo<'_>, wished: usize) -> Result<Next, StepError> {
        let tenant = &read.tenant;
        let settled = tenant.observed_generation == tenant.generation;
        let mut refused = Vec::new();
        let mut repaired = Vec::new();
        for deviation in &todo.apply {
            if self.is_outdated(read) {
                return Ok(Next::LookAgain(ANEW));
            }
            match self.apply(&tenant.namespace, deviation.wish).await {
                Ok(()) => {
                    if settled && deviation.why != Why::Changed {
                        repaired.push(deviation.sentence());
                    }
                }
                Err(StepError::Cluster(error)) if is_outage(&error) => return Err(error.into()),
                Err(StepError::Cluster(error)) if deviation.wish.kind == Kind::Namespace => {
                    let obstacle = Obstacle::new(error.reason(), error.to_string());
                    self.note(read, Seen::InTheWay(obstacle)).await?;
                    return Err(StepError::Refused(error.to_string()));
                }
                Err(StepError::Cluster(error)) => {
                    let words = format!("{}: {error}", deviation.wish.title());
                    refused.push(Obstacle::new(error.reason(), words));
                }
                Err(StepError::Refused(words)) => refused.push(Obstacle::new("Altered", words)),
                Err(error) => return Err(error),
            }
        }
        for entry in &todo.prune {
            if self.is_outdated(read) {
                return Ok(Next::LookAgain(ANEW));
            }
            if let Some(obstacle) = self.prune(read, entry).await? {
                refused.push(obstacle);
            }
        }
        for words in repaired {
            tracing::info!(tenant = %tenant.spec.id, drift = words, "drift repaired");
            self.events.emit(event(tenant, Tone::Normal, "DriftRepaired", words));
        }
        self.conclude(read, refused, wished).await
    }

    /// Whether what was read is no longer what holds: an operator may have paused the
    /// tenant or the region since, and the writes of a slow cluster take their time.
    fn is_outdated(&self, read: &Read) -> bool {
        self.paused.load(Ordering::Relaxed) || self.ledger.told(read.tenant.uid) != read.told
    }

    /// Notes how it is after all that could be written was.
    async fn conclude(
        &self,
        read: &Read,
        refused: Vec<Obstacle>,
        wished: usize,
    ) -> Result<Next, StepError> {
        let tenant = &read.tenant;
        let quotas = self.index.of(&tenant.namespace);
        let uncounted =
            quotas.iter().any(|entry| entry.kind == Kind::ResourceQuota && !entry.counted);
        let first = refused.first().map(|refusal| refusal.message.clone());
        if uncounted && first.is_none() {
            let waiting = self.ledger.waiting_since(tenant.uid).elapsed();
            // The cluster counts within a moment, and its watch event tells.
            if waiting < COUNTING_PATIENCE {
                return Ok(Next::LookAgain(COUNTING_PATIENCE));
            }
        }
        let kept = Kept { wished, refused, uncounted, ..Kept::default() };
        let well = kept.is_well();
        self.note(read, Seen::Kept(kept)).await?;
        match first {
            Some(words) => Err(StepError::Refused(words)),
            None if well => {
                self.ledger.settle(tenant.uid, read.sum);
                Ok(Next::Done)
            }
            None => Ok(Next::LookAgain(LOOK_AGAIN)),
        }
    }

    async fn apply(&self, namespace: &str, wish: &Wish) -> Result<(), StepError> {
        let live = self.acting.apply(wish.kind, namespace, &wish.name, &wish.value).await?;
        let verdict = verdict(wish, &live);
        // The watch will tell the same and find that it is known.
        self.index.note(wish.kind, &live, verdict.clone(), is_counted(&live));
        match verdict {
            Verdict::Drifted(words) => Err(StepError::Refused(format!(
                "{}: the cluster took the write and holds something else: {words}",
                wish.title()
            ))),
            Verdict::Matched(_) | Verdict::Unwished => Ok(()),
        }
    }

    /// Deletes what the daemon wrote and nobody wishes any more, if the breaker lets it.
    async fn prune(&self, read: &Read, entry: &Entry) -> Result<Option<Obstacle>, StepError> {
        let namespace = read.tenant.namespace.as_str();
        let what = (entry.kind, namespace, &*entry.name);
        let permission =
            breaker::ask(&self.db, &self.settings.breaker, &self.leadership, what).await?;
        match permission {
            Permission::Granted => {}
            Permission::NotLeader => return Err(StepError::NotLeader),
            Permission::Open(message) => return Ok(Some(Obstacle::new("BreakerOpen", message))),
        }
        let which = DeleteOptions {
            uid: entry.uid.to_string(),
            resource_version: entry.version.to_string(),
        };
        match self.acting.delete(entry.kind, namespace, &entry.name, &which).await {
            Ok(()) => {
                self.index.forget(entry.kind, namespace, &entry.name);
                tracing::info!(tenant = %read.tenant.spec.id, object = title(entry), "pruned");
                Ok(None)
            }
            Err(error) if is_outage(&error) => Err(error.into()),
            Err(error) => {
                let words = format!("{}: {error}", title(entry));
                Ok(Some(Obstacle::new(error.reason(), words)))
            }
        }
    }
}

fn title(entry: &Entry) -> String {
    format!("{} {}", entry.kind, entry.name)
}

/// Whether the cluster as a whole is away, so that trying the next object is of no use.
/// A time that ran out, or an error within the API server, can be the fault of a webhook
/// for just this object.
fn is_outage(error: &ClusterError) -> bool {
    match error {
        ClusterError::Unavailable(_) | ClusterError::Configuration(_) => true,
        ClusterError::TimedOut(_) => false,
        ClusterError::Refused { code, .. } => matches!(code, 429 | 503),
    }
}
