//! Everything that is written to the cluster. Each write asks first whether it may be made,
//! keeps to the rate, and notes what the API server answered, so that its echo in the watch
//! tells nothing new.

use std::{sync::atomic::Ordering, time::Duration};

use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
    core::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};

use super::{
    Next, StepError, Term,
    cache::{Key, Watched},
    follow::{claim_resource, session_resource, template_resource},
    read::Child,
    tenants::Tenant,
};
use crate::{
    kube::{ClusterError, FIELD_MANAGER, limited},
    sessions::{
        manifests::SessionKind,
        object::{ASIDE_ANNOTATION, SeenMetadata, aside},
    },
};

/// How soon that is looked at again which somebody else wrote at the same time.
const ANEW: Duration = Duration::from_millis(200);
/// How an API server refuses a field that a definition does not have.
const UNDECLARED: &str = "field not declared in schema";

impl Term {
    fn writing(&self, namespace: &str, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.acting.client().clone(), namespace, resource)
    }

    /// Makes an object of a session what is wished. Forced: what the daemon wishes it owns.
    /// The caller notes what came of it.
    pub(super) async fn apply_child(
        &self,
        tenant: &Tenant,
        kind: SessionKind,
        name: &str,
        wish: &Value,
    ) -> Result<DynamicObject, StepError> {
        self.may_write(Some(tenant)).await?;
        self.rate.take().await;
        let api = self.writing(&tenant.namespace, &kind.api_resource());
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        Ok(limited(api.patch(name, &parameters, &Patch::Apply(wish))).await?)
    }

    /// Scales the Deployment of a session to nothing, and changes nothing else of it.
    pub(super) async fn scale_to_zero(
        &self,
        tenant: &Tenant,
        child: &Child,
    ) -> Result<(), StepError> {
        self.may_write(Some(tenant)).await?;
        self.rate.take().await;
        let api = self.writing(&tenant.namespace, &child.kind.api_resource());
        let zero = json!({
            "metadata": { "uid": child.uid.to_string() },
            "spec": { "replicas": 0 },
        });
        let parameters = manager();
        let live = limited(api.patch(&child.name, &parameters, &Patch::Merge(&zero))).await?;
        self.saw(Watched::Children(child.kind), &live);
        Ok(())
    }

    /// Deletes just this object, as it was read.
    pub(super) async fn delete_child(
        &self,
        tenant: &Tenant,
        session: &Key,
        child: &Child,
        version: &str,
    ) -> Result<(), StepError> {
        self.may_write(Some(tenant)).await?;
        self.rate.take().await;
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(child.uid.to_string()),
                // A Deployment's status is written all the time.
                resource_version: (child.kind != SessionKind::Deployment)
                    .then(|| version.to_owned()),
            }),
            ..DeleteParams::background()
        };
        let api = self.writing(&tenant.namespace, &child.kind.api_resource());
        match limited(api.delete(&child.name, &parameters)).await {
            Ok(_) | Err(ClusterError::Refused { code: 404, .. }) => {
                self.cache.forget_child(session, child);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The live home of this name, with whatever labels.
    pub(super) async fn live_home(
        &self,
        tenant: &Tenant,
        name: &str,
    ) -> Result<Option<DynamicObject>, StepError> {
        let client = self.cluster.client().clone();
        let api: Api<DynamicObject> =
            Api::namespaced_with(client, &tenant.namespace, &claim_resource());
        Ok(limited(api.get_opt(name)).await?)
    }

    /// Makes a home, or writes a part of one.
    pub(super) async fn apply_home(
        &self,
        tenant: &Tenant,
        name: &str,
        wish: &Value,
    ) -> Result<(), StepError> {
        self.may_write(Some(tenant)).await?;
        self.rate.take().await;
        let api = self.writing(&tenant.namespace, &claim_resource());
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let live = limited(api.patch(name, &parameters, &Patch::Apply(wish))).await?;
        self.saw(Watched::Homes, &live);
        Ok(())
    }

    /// The live session.
    pub(super) async fn live_session(&self, key: &Key) -> Result<Option<DynamicObject>, StepError> {
        let client = self.cluster.client().clone();
        let api: Api<DynamicObject> =
            Api::namespaced_with(client, &key.namespace, &session_resource());
        Ok(limited(api.get_opt(&key.name)).await?)
    }

    /// Changes a part of a session's object, which somebody else may be writing at the same
    /// time: the patch names the version that it changes. Returns what to do next where it
    /// was not done.
    pub(super) async fn patch(
        &self,
        tenant: &Tenant,
        key: &Key,
        patch: &Value,
    ) -> Result<Option<Next>, StepError> {
        done(self.patch_session(tenant, key, patch).await)
    }

    /// Tells the status of a session as it was seen: what the daemon tells of it, and nothing
    /// of others. Returns what to do next where it was written since, and so is another, or
    /// not what was decided about. Where the installed definition does not know all of the
    /// status, the rest stands aside.
    pub(super) async fn tell(
        &self,
        tenant: &Tenant,
        key: &Key,
        seen: &SeenMetadata,
        status: &Value,
    ) -> Result<Option<Next>, StepError> {
        let version = seen.resource_version.to_string();
        if !self.knows_less.load(Ordering::Relaxed) {
            match self.apply_status(tenant, key, &version, status).await {
                Err(StepError::Cluster(ClusterError::Refused { message, .. }))
                    if message.contains(UNDECLARED) =>
                {
                    tracing::warn!(message, "the definition of sessions knows less than ours");
                    self.knows_less.store(true, Ordering::Relaxed);
                }
                told => return done(told),
            }
        }
        done(self.tell_aside(tenant, key, seen, status).await)
    }

    async fn tell_aside(
        &self,
        tenant: &Tenant,
        key: &Key,
        seen: &SeenMetadata,
        status: &Value,
    ) -> Result<(), StepError> {
        let (short, aside) = aside::split(status);
        // First: a status without it would tell less than is known.
        let patch = json!({ "metadata": {
            "uid": seen.uid.to_string(),
            "resourceVersion": seen.resource_version.to_string(),
            "annotations": { ASIDE_ANNOTATION: aside },
        } });
        let live = self.patch_session(tenant, key, &patch).await?;
        let version = live.metadata.resource_version.unwrap_or_default();
        self.apply_status(tenant, key, &version, &short).await
    }

    async fn patch_session(
        &self,
        tenant: &Tenant,
        key: &Key,
        patch: &Value,
    ) -> Result<DynamicObject, StepError> {
        self.may_write(Some(tenant)).await?;
        self.rate.take().await;
        let api = self.writing(&key.namespace, &session_resource());
        let live = limited(api.patch(&key.name, &manager(), &Patch::Merge(patch))).await?;
        self.saw(Watched::Sessions, &live);
        Ok(live)
    }

    /// An apply of a status looks at no UID, so that the version alone tells one session from
    /// a later one of its name.
    async fn apply_status(
        &self,
        tenant: &Tenant,
        key: &Key,
        version: &str,
        status: &Value,
    ) -> Result<(), StepError> {
        self.may_write(Some(tenant)).await?;
        self.rate.take().await;
        let api = self.writing(&key.namespace, &session_resource());
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let body = json!({
            "apiVersion": "stream.space/v1alpha1",
            "kind": "Session",
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "resourceVersion": version,
            },
            "status": status,
        });
        let live = limited(api.patch_status(&key.name, &parameters, &Patch::Apply(&body))).await?;
        self.saw(Watched::Sessions, &live);
        Ok(())
    }

    /// Tells the status of a template.
    pub(super) async fn apply_template_status(
        &self,
        tenant: Option<&Tenant>,
        key: &Key,
        status: &Value,
    ) -> Result<(), StepError> {
        self.may_write(tenant).await?;
        self.rate.take().await;
        let api = self.writing(&key.namespace, &template_resource());
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let live = limited(api.patch_status(&key.name, &parameters, &Patch::Apply(status))).await?;
        self.saw(Watched::Templates, &live);
        Ok(())
    }
}

fn manager() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// What to do next where something was not written: the object was written by somebody else,
/// so that it is looked at again, or it is gone.
fn done<T>(written: Result<T, StepError>) -> Result<Option<Next>, StepError> {
    match written {
        Ok(_) => Ok(None),
        Err(StepError::Cluster(error)) if error.is_conflict() => Ok(Some(Next::LookAgain(ANEW))),
        Err(StepError::Cluster(ClusterError::Refused { code: 404, .. })) => Ok(Some(Next::Done)),
        Err(error) => Err(error),
    }
}
