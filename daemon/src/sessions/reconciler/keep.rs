//! Keeps the objects of a session as they are wished.

use std::time::Duration;

use serde_json::json;
use streamspace_core::session::{
    Wish,
    lifecycle::{Objects, Replicas},
};
use uuid::Uuid;

use super::{
    StepError, Term,
    cache::Key,
    compare::{Sealed, Verdict, covers, is_in_the_way, sealed, verdict},
    observe::Material,
    read::{self, Child},
    tenants::Tenant,
};
use crate::{
    kube::ClusterError,
    sessions::{
        homes::{self, HomePlace},
        manifests::{self, Made, SessionKind, SessionObject, SessionPlace},
    },
};

/// How soon it is looked again for what an earlier session of the name left.
pub(super) const REMAINS_AGAIN: Duration = Duration::from_secs(1);

/// What came of keeping a session's objects.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// What the cluster refused, in its own words.
    pub(super) refused: Option<String>,
    /// The pod runs on as it was made, although it would be made otherwise now.
    pub(super) stays: bool,
    /// Objects are in the way, such as of an earlier session of the name, and on their way out.
    pub(super) remains: bool,
}

/// What is kept, and of what.
pub(super) struct Keeping<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) key: &'a Key,
    /// The session's uid.
    pub(super) owner: Uuid,
    pub(super) place: SessionPlace<'a>,
    pub(super) wish: Option<&'a Wish>,
    pub(super) material: Option<&'a Material>,
    /// Whether a pod is ready.
    pub(super) runs: bool,
    pub(super) children: &'a [(Child, Box<str>)],
}

impl Term {
    /// Does what was decided of the objects.
    pub(super) async fn keep(
        &self,
        keeping: &Keeping<'_>,
        objects: Objects,
    ) -> Result<Kept, StepError> {
        let mut kept = Kept::default();
        match objects {
            Objects::Kept => {}
            Objects::Removed => {
                for (child, version) in keeping.children.iter().filter(|it| !it.0.terminating) {
                    self.delete_child(keeping.tenant, keeping.key, child, version).await?;
                }
            }
            Objects::ScaledToZero => {
                let running = keeping.children.iter().map(|(child, _)| child).find(|child| {
                    child.kind == SessionKind::Deployment
                        && child.replicas != Some(0)
                        && !child.terminating
                });
                if let Some(child) = running {
                    self.scale_to_zero(keeping.tenant, child).await?;
                }
            }
            Objects::Applied { replicas, home } => {
                if home {
                    kept.refused = refusal(self.keep_home(keeping).await, "home")?;
                    if kept.refused.is_some() {
                        return Ok(kept);
                    }
                }
                self.apply(keeping, replicas, &mut kept).await?;
            }
        }
        Ok(kept)
    }

    /// Makes the home where there is none. One that somebody else made is the user's too,
    /// and is only labelled.
    async fn keep_home(&self, keeping: &Keeping<'_>) -> Result<(), StepError> {
        let (tenant, user) = (keeping.tenant, keeping.place.user);
        let name = homes::name(user);
        let being_deleted = || {
            StepError::Refused(format!(
                "the home {name} is being deleted: the session starts with a new one once it is \
                 gone"
            ))
        };
        match self.cache.home(&Key::new(&tenant.namespace, &name)) {
            Some(home) if home.terminating => return Err(being_deleted()),
            Some(_) => return Ok(()),
            None => {}
        }
        let place = HomePlace {
            user,
            namespace: &tenant.namespace,
            tenant_uid: tenant.uid,
            instance: &self.settings.instance,
        };
        let wish = match self.live_home(tenant, &name).await? {
            None => serde_json::to_value(homes::claim(&place, &self.settings.sessions))
                .unwrap_or_default(),
            Some(live) if live.metadata.deletion_timestamp.is_some() => {
                return Err(being_deleted());
            }
            Some(_) => json!({
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": name,
                    "namespace": tenant.namespace,
                    "labels": homes::labels(&place),
                },
            }),
        };
        self.apply_home(tenant, &name, &wish).await
    }

    async fn apply(
        &self,
        keeping: &Keeping<'_>,
        replicas: Replicas,
        kept: &mut Kept,
    ) -> Result<(), StepError> {
        let Keeping { tenant, key, owner, place, wish, material, runs, children } = keeping;
        let Some((wish, material)) = wish.zip(*material) else { return Ok(()) };
        let Some(template) = material.template() else { return Ok(()) };
        let deployment =
            children.iter().map(|(child, _)| child).find(|it| it.kind == SessionKind::Deployment);
        let replicas = match replicas {
            // From nothing an autoscaler does not begin.
            Replicas::AtMost(_) if deployment.is_some_and(|it| it.replicas == Some(0)) => {
                Replicas::One
            }
            other => other,
        };
        let made = Made { wish, template, allotment: &material.allotment, replicas };
        let objects = manifests::objects(place, &made)
            .map_err(|error| StepError::Refused(error.to_string()))?;
        let stays = *runs && replicas != Replicas::Zero;
        for object in &objects {
            let live = children
                .iter()
                .find(|(child, _)| child.kind == object.kind && *child.name == *object.name);
            if let Some((child, version)) = live
                && (child.owner != *owner || is_in_the_way(child, object))
            {
                kept.remains = true;
                if !child.terminating {
                    self.delete_child(tenant, key, child, version).await?;
                }
                continue;
            }
            let wish = sealed(object);
            let verdict = match live {
                Some((child, _)) => verdict(child, object, &wish, stays),
                None => Verdict::Differs,
            };
            match verdict {
                Verdict::Matched => {}
                Verdict::Matches { mark } => {
                    if let Some((child, _)) = live {
                        kept.stays |= mark != wish.mark;
                        self.cache.settle(key, child, mark);
                    }
                }
                Verdict::Stays => kept.stays = true,
                // What leads to a pod stays with it: the port is its template's too.
                Verdict::Differs
                    if kept.stays && object.kind == SessionKind::Service && live.is_some() => {}
                Verdict::Differs => {
                    let done = self.write(keeping, object, &wish).await;
                    if let Some(words) = refusal(done, &object.title())? {
                        kept.refused.get_or_insert(words);
                    }
                }
            }
        }
        for (child, version) in children.iter().filter(|(child, _)| !child.terminating) {
            let is_wished = objects
                .iter()
                .any(|object| object.kind == child.kind && *object.name == *child.name);
            if !is_wished {
                self.delete_child(tenant, key, child, version).await?;
            }
        }
        Ok(())
    }

    /// What the API server makes of a wish is the wish from then on.
    async fn write(
        &self,
        keeping: &Keeping<'_>,
        object: &SessionObject,
        wish: &Sealed,
    ) -> Result<(), StepError> {
        let live = self.apply_child(keeping.tenant, object.kind, &object.name, &wish.body).await?;
        let mut child = read::child(object.kind, &live);
        if !child.live.as_ref().is_some_and(|live| covers(&wish.body, live)) {
            tracing::warn!(
                namespace = keeping.tenant.namespace,
                object = object.title(),
                "the cluster took the write and holds something else"
            );
        }
        child.live = None;
        child.matched = Some(wish.mark);
        self.saw_child(keeping.key, &live, child.clone());
        // Where the watch was faster, it was noted without that.
        self.cache.settle(keeping.key, &child, wish.mark);
        Ok(())
    }
}

/// The cluster's words where it refused this one object. That it is away, or that the write
/// came too late, is no refusal.
fn refusal(done: Result<(), StepError>, what: &str) -> Result<Option<String>, StepError> {
    match done {
        Ok(()) => Ok(None),
        Err(StepError::Refused(words)) => Ok(Some(words)),
        Err(StepError::Cluster(error @ ClusterError::Refused { code, .. }))
            if !matches!(code, 404 | 409 | 429 | 503) =>
        {
            Ok(Some(format!("{what}: {error}")))
        }
        Err(error) => Err(error),
    }
}
