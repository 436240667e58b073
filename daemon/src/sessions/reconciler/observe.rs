//! What is seen of a session, put together for the rules of its life.

use std::sync::Arc;

use streamspace_core::{
    session::{
        Allotment, Resources, SessionPhase, SessionState,
        lifecycle::{Asked, Observed, Obstacle, Pod},
        resolve,
    },
    template::{self, Found, Source, Template},
};

use super::{
    Term,
    cache::Key,
    read::{Child, SeenPod, Session, TemplateSeen},
    tenants::Tenant,
};
use crate::sessions::manifests::{SessionKind, SessionPlace};

/// What a session is made of.
pub(super) struct Material {
    found: Arc<TemplateSeen>,
    pub(super) allotment: Allotment,
}

impl Material {
    /// The template, which is valid.
    pub(super) fn template(&self) -> Option<&Template> {
        self.found.seen.template.as_ref()
    }
}

impl Term {
    /// Whose objects are made.
    pub(super) fn place<'a>(
        &'a self,
        tenant: &'a Tenant,
        session: &'a Session,
        uid: &'a str,
    ) -> SessionPlace<'a> {
        SessionPlace {
            name: &session.seen.metadata.name,
            uid,
            user: &session.seen.written.user,
            namespace: &tenant.namespace,
            tenant: &tenant.id,
            tenant_uid: tenant.uid,
            plan: &tenant.plan,
            instance: &self.settings.instance,
            config: &self.settings.sessions,
        }
    }

    /// What the session is made of, or why it cannot be made.
    pub(super) fn material(
        &self,
        place: &SessionPlace<'_>,
        session: &Session,
    ) -> Result<Material, Obstacle> {
        let Some(wish) = &session.seen.wish else {
            return Err(Obstacle::invalid(&session.seen.invalid));
        };
        let catalogue = &self.settings.sessions.catalogue_namespace;
        let name = wish.template.as_str();
        let own = self.cache.template(&Key::new(place.namespace, name));
        let shared = self.cache.template(&Key::new(catalogue, name));
        let known = || -> Vec<String> {
            if own.is_some() || shared.is_some() {
                return Vec::new();
            }
            let spaces = [place.namespace, catalogue];
            let keys = spaces.into_iter().flat_map(|it| self.cache.templates_of(Some(it)));
            keys.map(|key| key.name.into_string()).collect()
        };
        let (source, chosen) =
            template::resolve(&wish.template, found(own.as_ref()), found(shared.as_ref()), known())
                .map_err(|error| Obstacle::template(&error))?;
        let allotment = resolve(&wish.resources, chosen.defaults.as_ref(), &Resources::default());
        place
            .host()
            .map_err(|error| Obstacle { reason: "HostInvalid", message: error.to_string() })?;
        let found = match source {
            Source::Tenant => own,
            Source::Catalogue => shared,
        };
        match found {
            Some(found) => Ok(Material { found, allotment }),
            // It was found in one of them.
            None => Err(Obstacle { reason: "TemplateNotFound", message: String::new() }),
        }
    }
}

fn found(template: Option<&Arc<TemplateSeen>>) -> Found<'_, Template> {
    template.map_or(Found::Absent, |template| template.seen.found())
}

/// What is asked for. Of an object whose state is no state only what it was is known: it
/// stays that.
pub(super) fn asked<'a>(session: &'a Session, material: Result<&Material, &Obstacle>) -> Asked<'a> {
    match (&session.seen.wish, material) {
        (Some(wish), Ok(_)) => Asked::Runnable(wish),
        (Some(wish), Err(obstacle)) => Asked::Hindered(wish, obstacle.clone()),
        (None, _) => {
            let state = session.seen.state.unwrap_or(match session.seen.status.phase {
                Some(SessionPhase::Hibernated) => SessionState::Hibernated,
                Some(SessionPhase::Terminated) => SessionState::Terminated,
                _ => SessionState::Running,
            });
            Asked::Invalid(state, Obstacle::invalid(&session.seen.invalid))
        }
    }
}

/// What is seen of a session: its own objects and pods, not those of an earlier one of its
/// name.
pub(super) fn observed(
    session: &Session,
    uid: &str,
    children: &[(Child, Box<str>)],
    pods: &[SeenPod],
) -> Observed {
    let status = &session.seen.status;
    let deployment = children.iter().map(|(child, _)| child).find(|child| {
        child.kind == SessionKind::Deployment && child.owner == session.seen.metadata.uid
    });
    let own = || pods.iter().filter(|pod| &*pod.session_uid == uid);
    let pod_fault = own().filter(|pod| !pod.deleting).find_map(|pod| pod.fault.clone());
    Observed {
        generation: session.seen.metadata.generation,
        deleting: session.seen.is_deleting(),
        phase: status.phase,
        pod_name: Some(status.pod_name.clone()).filter(|name| !name.is_empty()),
        conditions: status.conditions.clone(),
        replicas: deployment
            .filter(|deployment| !deployment.terminating)
            .and_then(|deployment| deployment.replicas),
        pods: own()
            .map(|pod| Pod { name: pod.name.to_string(), ready: pod.ready, deleting: pod.deleting })
            .collect(),
        fault: pod_fault.or_else(|| deployment.and_then(|it| it.fault.as_deref().cloned())),
        activity: session.activity.clone(),
        last_change: session.last_change.clone(),
    }
}

/// Why a home of one node cannot be mounted: another session of its user has it on a node
/// where this one's pod is not, or finds no room. The pod that came first has it.
pub(super) fn home_elsewhere(user: &str, uid: &str, pods: &[SeenPod]) -> Option<Obstacle> {
    let lives = |pod: &&SeenPod| !pod.deleting;
    let own = pods.iter().filter(lives).find(|pod| &*pod.session_uid == uid && !pod.ready)?;
    let order = |pod: &SeenPod| (pod.create_time, pod.name.clone());
    let holder = pods
        .iter()
        .filter(lives)
        .filter(|pod| &*pod.session_uid != uid && !pod.node.is_empty())
        .min_by_key(|pod| order(pod))?;
    let has_no_room = own.fault.as_ref().is_some_and(|fault| fault.reason == "Unschedulable");
    let is_elsewhere =
        !own.node.is_empty() && own.node != holder.node && order(holder) < order(own);
    (has_no_room || is_elsewhere).then(|| {
        let (pod, node) = (&holder.name, &holder.node);
        Obstacle::home(format!(
            "the home of `{user}` can be mounted on one node alone, and pod {pod} of another of \
             the user's sessions has it on {node}: hibernate that session first, or free room \
             on that node"
        ))
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use streamspace_core::session::lifecycle::Fault;

    use super::*;

    fn pod(session: &str, node: &str, second: i64) -> SeenPod {
        SeenPod {
            name: format!("{session}-{second}").into(),
            uid: "u".into(),
            session_uid: session.into(),
            user: "ada".into(),
            home_mounted: true,
            ready: false,
            deleting: false,
            node: node.into(),
            create_time: Timestamp::from_second(second).unwrap(),
            start: None,
            fault: None,
        }
    }

    #[test]
    fn a_home_on_one_node_is_where_it_was_mounted_first() {
        let told = |own: &str, pods: &[SeenPod]| home_elsewhere("ada", own, pods);
        let (first, second) = (pod("a", "node-1", 1), pod("b", "node-2", 2));
        let both = [first.clone(), second.clone()];
        assert_eq!(told("a", &both), None, "it came first");
        let obstacle = told("b", &both).unwrap();
        assert_eq!(obstacle.reason, "HomeUnavailable");
        assert!(obstacle.message.contains("pod a-1") && obstacle.message.contains("node-1"));
        assert_eq!(told("b", &[first.clone(), pod("b", "node-1", 2)]), None, "on the same node");
        assert_eq!(told("b", &[first.clone(), pod("b", "", 2)]), None, "not placed yet");
        let mut waiting = pod("b", "", 2);
        waiting.fault =
            Some(Fault { reason: "Unschedulable".into(), message: "no node fits".into() });
        assert!(told("b", &[first.clone(), waiting]).is_some());
        let gone = SeenPod { deleting: true, ..first };
        assert_eq!(told("b", &[gone, second]), None);
    }
}
