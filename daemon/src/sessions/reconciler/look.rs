//! One look at one session.

use std::time::Duration;

use jiff::{Timestamp, Unit};
use serde_json::json;
use streamspace_core::{
    session::{
        SessionState,
        lifecycle::{ACTIVITY_FRESH, Fault, Objects, Policy, START_WITHIN, StateChange, decide},
        suspension::{Suspension, suspension},
    },
    tenant::TenantState,
};

use super::{
    Next, STATE_CHANGE_ANNOTATION, StepError, Term,
    cache::Key,
    events::event,
    keep::{Keeping, Kept, REMAINS_AGAIN},
    observe::{asked, home_elsewhere, observed},
    read::{Session, written_change},
    tenants::Tenant,
    told::Told,
};

/// Soon, and not at once, so that nothing can turn without end.
const SOON: Duration = Duration::from_millis(50);

impl Term {
    /// Looks at a session, and does what it needs.
    pub(super) async fn look(&self, key: &Key) -> Result<Next, StepError> {
        let Some(mut session) = self.cache.session(key) else { return Ok(Next::Done) };
        let is_deleting = session.seen.is_deleting();
        // What no tenant here has may be another installation's, which meters it and lets it go.
        let Some(tenant) = self.tenants.of(&key.namespace) else { return Ok(Next::Done) };
        if !is_deleting && matches!(tenant.state, TenantState::Purging | TenantState::Gone) {
            return Ok(Next::Done);
        }
        if !is_deleting && !session.held {
            if let Some(next) = self.hold(&tenant, key).await? {
                return Ok(next);
            }
            match self.cache.session(key) {
                Some(held) => session = held,
                None => return Ok(Next::Done),
            }
        }
        if self.is_builtin() {
            self.look_after(&tenant, key, &session).await
        } else {
            self.look_from_outside(&tenant, key, &session).await
        }
    }

    async fn look_after(
        &self,
        tenant: &Tenant,
        key: &Key,
        session: &Session,
    ) -> Result<Next, StepError> {
        if let Some(next) = self.restore(tenant, key, session).await? {
            return Ok(next);
        }
        let uid = session.seen.metadata.uid.to_string();
        let place = self.place(tenant, session, &uid);
        let (children, pods) = (self.cache.children(key), self.cache.pods(key));
        let mut observed = observed(session, &uid, &children, &pods);
        let mut material = self.material(&place, session);
        if let Some(obstacle) = self.home_obstacle(session, &uid) {
            material = Err(obstacle);
        }
        let asked = asked(session, material.as_ref());
        let policy = Policy {
            tenant: tenant.state,
            reporters: self.reporters.clone(),
            activity_fresh: ACTIVITY_FRESH,
            start_within: START_WITHIN,
        };
        let now = now();
        let mut decision = decide(&asked, &observed, &policy, now);
        if let Some(change) = &decision.change {
            // What else was decided is decided again of the object that says so.
            let next = self.change(tenant, key, session, change).await?;
            return Ok(next.unwrap_or(Next::LookAgain(SOON)));
        }
        let keeping = Keeping {
            tenant,
            key,
            owner: session.seen.metadata.uid,
            place,
            wish: session.seen.wish.as_ref(),
            material: material.as_ref().ok(),
            runs: observed.pods.iter().any(|pod| pod.ready && !pod.deleting),
            children: &children,
        };
        let kept = self.keep(&keeping, decision.objects).await?;
        if let Some(words) = &kept.refused {
            let fault = Fault { reason: "FailedCreate".to_owned(), message: words.clone() };
            observed.fault = Some(fault);
            decision = decide(&asked, &observed, &policy, now);
        }
        let applied = matches!(decision.objects, Objects::Applied { .. });
        let gets = material.as_ref().ok().filter(|_| {
            (applied && !kept.stays && kept.refused.is_none())
                || session.seen.status.allotted.is_none()
        });
        let told = Told::new(
            session,
            &decision,
            &pods,
            gets.map(|material| &material.allotment),
            place.url(),
        );
        if !told.is_told(&session.seen.status) {
            let seen = &session.seen.metadata;
            if let Some(next) = self.tell(tenant, key, seen, &told.to_json()).await? {
                return Ok(next);
            }
            for told in &decision.events {
                self.events.emit(event(seen, told));
            }
        }
        if session.seen.is_deleting() {
            return self.let_go(tenant, key, session).await;
        }
        conclude(kept, decision.next_look, now)
    }

    /// Where another controller made sessions run before, a suspension of then is ended as
    /// it began.
    async fn restore(
        &self,
        tenant: &Tenant,
        key: &Key,
        session: &Session,
    ) -> Result<Option<Next>, StepError> {
        let (Some(state), Some(before)) = (session.seen.state, session.before) else {
            return Ok(None);
        };
        let then = suspension(tenant.state, state, Some(before));
        if session.seen.is_deleting()
            || !matches!(then, Suspension::Restore(_) | Suspension::Forget)
        {
            return Ok(None);
        }
        let next = self.suspend(tenant, key, session, state, then).await?;
        Ok(Some(next.unwrap_or(Next::LookAgain(SOON))))
    }

    fn home_obstacle(
        &self,
        session: &Session,
        uid: &str,
    ) -> Option<streamspace_core::session::lifecycle::Obstacle> {
        let wish = session.seen.wish.as_ref()?;
        if !self.settings.sessions.home_on_one_node
            || !wish.persistent_home
            || wish.state != SessionState::Running
        {
            return None;
        }
        let user = wish.user.as_str();
        let pods = self.cache.home_pods(&session.seen.metadata.namespace, user);
        home_elsewhere(user, uid, &pods)
    }

    /// Changes the state that a session wishes, and says why in the same write. Returns
    /// what to do next where it was not done.
    async fn change(
        &self,
        tenant: &Tenant,
        key: &Key,
        session: &Session,
        change: &StateChange,
    ) -> Result<Option<Next>, StepError> {
        let metadata = &session.seen.metadata;
        let patch = json!({
            "metadata": {
                "uid": metadata.uid.to_string(),
                "resourceVersion": metadata.resource_version.to_string(),
                "annotations": { STATE_CHANGE_ANNOTATION: written_change(change) },
            },
            "spec": { "state": change.to.as_str() },
        });
        let next = self.patch(tenant, key, &patch).await?;
        if next.is_none() {
            let (namespace, name) = (&key.namespace, &key.name);
            tracing::info!(%namespace, %name, state = %change.to, reason = change.reason, "session changed");
        }
        Ok(next)
    }
}

/// What is to be done after all that could be written was.
fn conclude(kept: Kept, next_look: Option<Timestamp>, now: Timestamp) -> Result<Next, StepError> {
    if let Some(words) = kept.refused {
        return Err(StepError::Refused(words));
    }
    if kept.remains {
        return Ok(Next::LookAgain(REMAINS_AGAIN));
    }
    let Some(at) = next_look else { return Ok(Next::Done) };
    let delay = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    Ok(Next::LookAgain(delay.max(SOON)))
}

/// The present, as precise as a status tells it.
fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now)
}
