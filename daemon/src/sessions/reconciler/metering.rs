//! The finalizer that holds a session until the end of its usage is stored.

use std::time::Duration;

use serde_json::json;

use super::{
    METERING_FINALIZER, Next, StepError, Term, cache::Key, read::Session, tenants::Tenant,
};

/// How often it is asked whether the end is stored.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Term {
    /// Holds a session before anything is made of it. Returns what to do where it is not
    /// held after that.
    pub(super) async fn hold(&self, tenant: &Tenant, key: &Key) -> Result<Option<Next>, StepError> {
        let Some(live) = self.live_session(key).await? else { return Ok(Some(Next::Done)) };
        if live.metadata.deletion_timestamp.is_some() {
            // The API server takes no new finalizer any more.
            return Ok(Some(Next::Done));
        }
        let mut finalizers = live.metadata.finalizers.unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == METERING_FINALIZER) {
            finalizers.push(METERING_FINALIZER.to_owned());
        }
        let patch = json!({ "metadata": {
            "uid": live.metadata.uid,
            "resourceVersion": live.metadata.resource_version,
            "finalizers": finalizers,
        } });
        self.patch(tenant, key, &patch).await
    }

    /// Lets a session go whose end is stored, or looks again.
    pub(super) async fn let_go(
        &self,
        tenant: &Tenant,
        key: &Key,
        session: &Session,
    ) -> Result<Next, StepError> {
        if !session.held {
            return Ok(Next::Done);
        }
        if !self.metering.is_ended(tenant.uid, session.seen.uid()).await? {
            return Ok(Next::LookAgain(ASK_AGAIN));
        }
        let Some(live) = self.live_session(key).await? else { return Ok(Next::Done) };
        // Another of its name keeps its own.
        if live.metadata.uid.as_deref() != Some(session.seen.uid().0.to_string().as_str()) {
            return Ok(Next::Done);
        }
        let mut finalizers = live.metadata.finalizers.unwrap_or_default();
        finalizers.retain(|finalizer| finalizer != METERING_FINALIZER);
        let patch = json!({ "metadata": {
            "uid": live.metadata.uid,
            "resourceVersion": live.metadata.resource_version,
            "finalizers": finalizers,
        } });
        Ok(self.patch(tenant, key, &patch).await?.unwrap_or(Next::Done))
    }
}
