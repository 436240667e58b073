//! What made-up users do, done in a cluster.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use streamspace_core::{
    ids::TenantUid,
    load::{Change, LoadEvent, LoadKind},
    session::SessionUid,
    usage::{Second, State},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::live::Pace;
use crate::{
    kube::{ClusterError, limited},
    platform::resources::{Session, SessionResources, SessionSpec, SessionState},
};

/// Marks the sessions that are made here.
pub(super) const LABEL: &str = "stream.space/load";
/// How long a session that ended stays to be looked at.
const KEPT: Duration = Duration::from_secs(20);

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) created: usize,
    pub(super) hibernated: usize,
    pub(super) woken: usize,
    pub(super) resized: usize,
    pub(super) ended: usize,
    /// Created no more, for there were enough.
    pub(super) skipped: usize,
    pub(super) refused: usize,
    /// The most at once.
    pub(super) most: usize,
}

/// Does what made-up users do.
pub(super) struct Player {
    client: Client,
    namespaces: BTreeMap<TenantUid, String>,
    pace: Pace,
    /// Those that were created, and did not end.
    alive: BTreeMap<SessionUid, (Api<Session>, String)>,
    /// Those that ended, and when they are deleted.
    ended: VecDeque<(Instant, Api<Session>, String)>,
    counts: Counts,
}

impl Player {
    pub(super) fn new(client: Client, namespaces: BTreeMap<TenantUid, String>, pace: Pace) -> Self {
        let (alive, ended) = (BTreeMap::new(), VecDeque::new());
        Self { client, namespaces, pace, alive, ended, counts: Counts::default() }
    }

    /// Does each event when it is time: so many times as fast as it was made up, from
    /// `begin` on. Where the cluster is slower, what is late is done at once.
    pub(super) async fn play(
        mut self,
        begin: Second,
        events: impl Iterator<Item = (Second, LoadEvent)>,
        stop: &CancellationToken,
    ) -> Counts {
        let start = Instant::now();
        let speed = u64::from(self.pace.speed.max(1));
        for (at, event) in events {
            let milliseconds = (at.0 - begin.0).max(0).unsigned_abs().saturating_mul(1000) / speed;
            let due = start + Duration::from_millis(milliseconds);
            while let Some(next) = self.ended.front().map(|(at, ..)| *at).filter(|at| *at < due) {
                if !slept(next, stop).await {
                    return self.counts;
                }
                self.delete_first().await;
            }
            if !slept(due, stop).await {
                return self.counts;
            }
            if event.kind == LoadKind::Session {
                self.act(&event).await;
            }
        }
        self.counts
    }

    /// What a user does of it. What the cluster does by itself is left to it.
    async fn act(&mut self, event: &LoadEvent) {
        let uid = event.subject.uid;
        let state = |state: SessionState| json!({ "spec": { "state": state } });
        let counts = &mut self.counts;
        let (count, change): (&mut usize, Value) = match event.change {
            Change::Created => return self.create(event).await,
            Change::Woken => (&mut counts.woken, state(SessionState::Running)),
            Change::Hibernated { .. } => (&mut counts.hibernated, state(SessionState::Hibernated)),
            Change::Terminated { .. } => (&mut counts.ended, state(SessionState::Terminated)),
            Change::Resized => {
                let resources = resources(&event.state);
                (&mut counts.resized, json!({ "spec": { "resources": resources } }))
            }
            Change::Started
            | Change::Failed
            | Change::Crashed
            | Change::HomeCreated
            | Change::HomeGrown
            | Change::HomeDeleted => return,
        };
        let Some((api, name)) = self.alive.get(&uid) else { return };
        let patch = Patch::Merge(&change);
        let done = limited(api.patch(name, &PatchParams::default(), &patch)).await;
        let is_gone = matches!(done, Err(ClusterError::Refused { code: 404, .. }));
        match done {
            Ok(_) => *count += 1,
            Err(error) => {
                counts.refused += 1;
                tracing::debug!(session = name, %error, "the load's change is refused");
            }
        }
        if (is_gone || matches!(event.change, Change::Terminated { .. }))
            && let Some((api, name)) = self.alive.remove(&uid)
            && !is_gone
        {
            self.ended.push_back((Instant::now() + KEPT, api, name));
        }
    }

    async fn create(&mut self, event: &LoadEvent) {
        let subject = &event.subject;
        let Some(namespace) = self.namespaces.get(&subject.tenant) else { return };
        if self.alive.len() + self.ended.len() >= self.pace.sessions {
            self.counts.skipped += 1;
            return;
        }
        let spec = SessionSpec {
            user: subject.user.clone(),
            template: subject.template.clone(),
            state: SessionState::Running,
            resources: Some(resources(&event.state)),
            persistent_home: true,
            idle_timeout: "30m".to_owned(),
            max_session_duration: "8h".to_owned(),
            tags: vec!["load".to_owned()],
            shared: None,
        };
        let mut session = Session::new(&subject.name, spec);
        session.metadata.labels = Some(BTreeMap::from([(LABEL.to_owned(), "live".to_owned())]));
        let api: Api<Session> = Api::namespaced(self.client.clone(), namespace);
        match limited(api.create(&PostParams::default(), &session)).await {
            Ok(_) => {
                self.counts.created += 1;
                self.alive.insert(subject.uid, (api, subject.name.clone()));
                self.counts.most = self.counts.most.max(self.alive.len());
            }
            Err(error) => {
                self.counts.refused += 1;
                tracing::debug!(session = subject.name, %error, "the load's session is refused");
            }
        }
    }

    /// One that is not there, or not to be deleted now, stays as it is.
    async fn delete_first(&mut self) {
        if let Some((_, api, name)) = self.ended.pop_front()
            && let Err(error) = limited(api.delete(&name, &DeleteParams::default())).await
        {
            tracing::debug!(session = name, %error, "a session of the load is not deleted");
        }
    }
}

/// Waits for an instant; `false` where `stop` came first.
async fn slept(until: Instant, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = tokio::time::sleep_until(until) => true,
    }
}

fn resources(state: &State) -> SessionResources {
    SessionResources {
        memory: Some(state.memory.to_string()),
        cpu: Some(state.cpu.to_string()),
        ..SessionResources::default()
    }
}
