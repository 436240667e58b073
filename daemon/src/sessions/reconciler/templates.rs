//! Tells of each template whether a session can be made of it.

use serde_json::json;

use super::{Next, StepError, Term, cache::Key, read::sentence};
use streamspace_core::tenant::TenantState;

impl Term {
    /// One look at one template.
    pub(super) async fn look_at_template(&self, key: &Key) -> Result<Next, StepError> {
        // Whose controller is another tells that as well.
        if !self.is_builtin() {
            return Ok(Next::Done);
        }
        let Some(template) = self.cache.template(key) else { return Ok(Next::Done) };
        let tenant = self.tenants.of(&key.namespace);
        let is_shared = *key.namespace == *self.settings.sessions.catalogue_namespace;
        let is_closed = tenant.as_ref().is_some_and(|tenant| tenant.state == TenantState::Purging);
        if (tenant.is_none() && !is_shared) || is_closed {
            return Ok(Next::Done);
        }
        let valid = template.seen.template.is_some();
        let message = sentence(&template.seen.verdict);
        if template.valid == Some(valid) && template.message == message {
            return Ok(Next::Done);
        }
        if template.seen.metadata.deletion_time.is_some() {
            return Ok(Next::Done);
        }
        let mut status = json!({ "valid": valid });
        if !message.is_empty()
            && let Some(status) = status.as_object_mut()
        {
            status.insert("message".to_owned(), message.into());
        }
        let body = json!({
            "apiVersion": "stream.space/v1alpha1",
            "kind": "Template",
            "metadata": { "name": key.name, "namespace": key.namespace },
            "status": status,
        });
        self.apply_template_status(tenant.as_deref(), key, &body).await?;
        Ok(Next::Done)
    }
}
