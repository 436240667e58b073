//! What is left to do where another controller makes sessions run: the finalizer, and the
//! suspension of tenants.

use serde_json::json;
use streamspace_core::session::{
    SessionPhase, SessionState,
    suspension::{Suspension, suspension},
};

use super::{
    Next, STATE_BEFORE_ANNOTATION, StepError, Term, cache::Key, read::Session, tenants::Tenant,
};

impl Term {
    /// One look at a session of another controller.
    pub(super) async fn look_from_outside(
        &self,
        tenant: &Tenant,
        key: &Key,
        session: &Session,
    ) -> Result<Next, StepError> {
        if session.seen.is_deleting() {
            // Its controller tells the end where it holds it too; else nobody does.
            let alone = session.seen.metadata.finalizers.len() == 1;
            let is_told = session.seen.status.phase == Some(SessionPhase::Terminated);
            if session.held && alone && !is_told {
                let status = json!({ "phase": SessionPhase::Terminated.as_str() });
                let seen = &session.seen.metadata;
                if let Some(next) = self.tell(tenant, key, seen, &status).await? {
                    return Ok(next);
                }
            }
            return self.let_go(tenant, key, session).await;
        }
        let Some(state) = session.seen.state else { return Ok(Next::Done) };
        let then = suspension(tenant.state, state, session.before);
        Ok(self.suspend(tenant, key, session, state, then).await?.unwrap_or(Next::Done))
    }

    /// Does to `spec.state` what a suspension or its end wants. Returns what to do next
    /// where it was not done.
    pub(super) async fn suspend(
        &self,
        tenant: &Tenant,
        key: &Key,
        session: &Session,
        state: SessionState,
        then: Suspension,
    ) -> Result<Option<Next>, StepError> {
        let (wished, before) = match then {
            Suspension::Keep => return Ok(None),
            Suspension::Hibernate => (SessionState::Hibernated, Some(state)),
            Suspension::Restore(before) => (before, None),
            Suspension::Forget => (state, None),
        };
        let patch = json!({
            "metadata": {
                "uid": session.seen.metadata.uid.to_string(),
                "resourceVersion": session.seen.metadata.resource_version.to_string(),
                "annotations": { STATE_BEFORE_ANNOTATION: before.map(SessionState::as_str) },
            },
            "spec": { "state": wished.as_str() },
        });
        self.patch(tenant, key, &patch).await
    }
}
