//! A session with its objects and what the cluster says of them, read at once.
//!
//! Each look has a time limit and an end, and what could not be read is said.

use std::{collections::BTreeSet, fmt::Debug, time::Duration};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Event, PersistentVolumeClaim, Pod, Service},
        networking::v1::Ingress,
    },
};
use kube::{Api, Resource, api::ListParams};
use serde::de::DeserializeOwned;
use streamspace_core::session::{SessionName, UserName};
use streamspace_proto::v1;
use tokio::time::timeout;

use super::{Sessions, found};
use crate::{
    kube::{Cluster, ClusterError, limited},
    rpc::{Caller, errors::RpcResult, time::timestamp},
    sessions::{
        change, input,
        object::{HOME_LABEL, read_session},
        record::SessionRecord,
    },
};

/// The label that ties an object to its session.
const SESSION_LABEL: &str = "control.stream.space/session";
/// So many objects of one kind are shown.
const MOST_OBJECTS: u32 = 50;
/// So many events are shown.
const MOST_EVENTS: usize = 100;
/// So many events of the namespace are read at once, and so often.
const EVENTS_PAGE: u32 = 500;
const EVENTS_PAGES: usize = 4;
/// How long all of the events may take.
const EVENTS_LIMIT: Duration = Duration::from_secs(10);
/// The longest text that is shown, in characters.
const TEXT_MAXIMUM: usize = 1024;

/// What was read of one kind, or why it was not.
type Read<T> = Result<T, String>;

impl Sessions {
    pub(super) async fn describe(
        &self,
        caller: &Caller,
        name: &str,
    ) -> RpcResult<v1::DescribeSessionResponse> {
        let path = input::session("name", name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let (tenant, record) = found(&mut tx, &path).await?;
        drop(tx);
        let look = Look { cluster: &self.cluster, namespace: &tenant.namespace, record: &record };
        let (live, deployments, pods, services, ingresses, autoscalers, homes, events) = tokio::join!(
            look.live(),
            look.of_session::<Deployment>("deployments", deployment),
            look.of_session::<Pod>("pods", pod),
            look.of_session::<Service>("services", service),
            look.of_session::<Ingress>("ingresses", ingress),
            look.of_session::<HorizontalPodAutoscaler>("autoscalers", autoscaler),
            look.homes(),
            look.events(),
        );
        let mut objects = Vec::new();
        let mut missing = Vec::new();
        for read in [live, deployments, pods, services, ingresses, autoscalers, homes] {
            match read {
                Ok(found) => objects.extend(found),
                Err(why) => missing.push(why),
            }
        }
        let events = events.unwrap_or_else(|why| {
            missing.push(why);
            Vec::new()
        });
        let events = about(&events, &record, &objects);
        let session = Some(record.resource);
        Ok(v1::DescribeSessionResponse { session, objects, events, message: missing.join("; ") })
    }
}

/// Where to look, and for whose objects.
struct Look<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    record: &'a SessionRecord,
}

impl Look<'_> {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.cluster.client().clone(), self.namespace)
    }

    /// The session itself, as it is now.
    async fn live(&self) -> Read<Vec<v1::SessionObject>> {
        let api = change::api(self.cluster, self.namespace);
        let live = limited(api.get_opt(&self.record.name)).await;
        let Some(live) = live.map_err(|error| unread("the session", &error))? else {
            return Err("the session is not in the cluster any more".to_owned());
        };
        let seen = read_session(&live);
        if seen.uid() != self.record.uid {
            return Err("another session has the name now".to_owned());
        }
        let phase = seen.status.phase.map_or("no status yet", |phase| phase.as_str());
        Ok(vec![object("Session", Some(&self.record.name), phase)])
    }

    /// The objects of one kind that carry the session's label.
    async fn of_session<K>(
        &self,
        what: &str,
        status: fn(&K) -> String,
    ) -> Read<Vec<v1::SessionObject>>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        // A name that is none of a session is no value of a label either: nothing is made.
        if SessionName::parse(&self.record.name).is_err() {
            return Ok(Vec::new());
        }
        self.labelled(what, &format!("{SESSION_LABEL}={}", self.record.name), status).await
    }

    /// The user's home, where the session mounts it.
    async fn homes(&self) -> Read<Vec<v1::SessionObject>> {
        if self.record.resource.without_home || UserName::parse(&self.record.user).is_err() {
            return Ok(Vec::new());
        }
        let selector = format!("{HOME_LABEL}={}", self.record.user);
        self.labelled::<PersistentVolumeClaim>("homes", &selector, home).await
    }

    async fn labelled<K>(
        &self,
        what: &str,
        selector: &str,
        status: fn(&K) -> String,
    ) -> Read<Vec<v1::SessionObject>>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let page = ListParams::default().labels(selector).limit(MOST_OBJECTS);
        let list = limited(self.api::<K>().list(&page)).await;
        let list = list.map_err(|error| unread(what, &error))?;
        let shown = |item: &K| object(&K::kind(&()), item.meta().name.as_deref(), &status(item));
        Ok(list.items.iter().map(shown).collect())
    }

    /// The events of the namespace, as far as the time and the number allow.
    async fn events(&self) -> Read<Vec<Event>> {
        let read = async {
            let api = self.api::<Event>();
            let mut page = ListParams::default().limit(EVENTS_PAGE);
            let mut events = Vec::new();
            for _ in 0..EVENTS_PAGES {
                let list = limited(api.list(&page)).await?;
                events.extend(list.items);
                match list.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => page = page.continue_token(&token),
                    None => break,
                }
            }
            Ok::<_, ClusterError>(events)
        };
        match timeout(EVENTS_LIMIT, read).await {
            Ok(read) => read.map_err(|error| unread("events", &error)),
            Err(_elapsed) => {
                let seconds = EVENTS_LIMIT.as_secs();
                Err(format!("events could not be read within {seconds} s"))
            }
        }
    }
}

fn unread(what: &str, error: &ClusterError) -> String {
    format!("{what} could not be read: {}", clipped(&error.to_string()))
}

fn clipped(words: &str) -> String {
    change::clipped(words, TEXT_MAXIMUM)
}

fn object(kind: &str, name: Option<&str>, status: &str) -> v1::SessionObject {
    v1::SessionObject {
        kind: kind.to_owned(),
        name: clipped(name.unwrap_or_default()),
        status: clipped(status),
    }
}

fn deployment(deployment: &Deployment) -> String {
    let wished = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = deployment.status.as_ref();
    let ready = status.and_then(|status| status.ready_replicas).unwrap_or(0);
    match wished {
        0 => "scaled to zero".to_owned(),
        wished => format!("{ready} of {wished} ready"),
    }
}

fn pod(pod: &Pod) -> String {
    let Some(status) = &pod.status else { return "no status yet".to_owned() };
    let mut words = status.phase.clone().unwrap_or_else(|| "no phase yet".to_owned());
    if pod.metadata.deletion_timestamp.is_some() {
        words.push_str(", being deleted");
    }
    let waits = status.container_statuses.iter().flatten().find_map(|container| {
        container.state.as_ref().and_then(|state| state.waiting.as_ref())?.reason.clone()
    });
    if let Some(reason) = waits.or_else(|| status.reason.clone()) {
        words = format!("{words}: {reason}");
    }
    if let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()) {
        words = format!("{words} on {node}");
    }
    words
}

fn service(service: &Service) -> String {
    let Some(spec) = &service.spec else { return String::new() };
    let ports: Vec<String> =
        spec.ports.iter().flatten().take(8).map(|port| port.port.to_string()).collect();
    let address = match spec.cluster_ip.as_deref() {
        // Its name is the address of its pod.
        Some("None") => "headless",
        Some(address) => address,
        None => "no address yet",
    };
    format!("{address}, port {}", ports.join(", "))
}

fn ingress(ingress: &Ingress) -> String {
    let rules = ingress.spec.iter().flat_map(|spec| spec.rules.iter().flatten());
    let hosts: Vec<&str> = rules.filter_map(|rule| rule.host.as_deref()).take(8).collect();
    hosts.join(", ")
}

fn autoscaler(scaler: &HorizontalPodAutoscaler) -> String {
    let (most, least) = (scaler.spec.max_replicas, scaler.spec.min_replicas.unwrap_or(1));
    let now = scaler.status.as_ref().and_then(|status| status.current_replicas).unwrap_or(0);
    format!("{now} of {least} to {most} copies")
}

fn home(claim: &PersistentVolumeClaim) -> String {
    let Some(status) = &claim.status else { return "no status yet".to_owned() };
    let phase = status.phase.as_deref().unwrap_or("no phase yet");
    match status.capacity.as_ref().and_then(|all| all.get("storage")) {
        Some(size) => format!("{phase}, {}", size.0),
        None => phase.to_owned(),
    }
}

/// The events about the session and its objects: the latest, the oldest of them first.
fn about(
    events: &[Event],
    record: &SessionRecord,
    objects: &[v1::SessionObject],
) -> Vec<v1::ClusterEvent> {
    let known: BTreeSet<(&str, &str)> =
        objects.iter().map(|object| (object.kind.as_str(), object.name.as_str())).collect();
    let uid = record.uid.to_string();
    // What a Deployment's objects are called, also of pods that are gone.
    let family = format!("{}-", record.name);
    let is_about = |event: &&Event| {
        let object = &event.involved_object;
        let kind = object.kind.as_deref().unwrap_or_default();
        let name = object.name.as_deref().unwrap_or_default();
        match kind {
            "Session" => object.uid.as_deref() == Some(uid.as_str()),
            "ReplicaSet" | "Pod" => name.strip_prefix(&family).is_some_and(is_generated),
            _ => known.contains(&(kind, name)),
        }
    };
    let mut about: Vec<v1::ClusterEvent> = events.iter().filter(is_about).map(shown).collect();
    about.sort_by_key(|event| {
        event.time.as_ref().map(|time| (time.seconds, time.nanos)).unwrap_or_default()
    });
    let early = about.len().saturating_sub(MOST_EVENTS);
    about.drain(..early);
    about
}

/// Whether this is what Kubernetes adds to a Deployment's name: a hash, and for a pod five
/// characters more. Another session's name can begin with this one's.
fn is_generated(rest: &str) -> bool {
    let (hash, tail) = rest.split_once('-').map_or((rest, None), |(hash, tail)| (hash, Some(tail)));
    let is_random =
        |part: &str| part.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte));
    (6..=10).contains(&hash.len())
        && is_random(hash)
        && tail.is_none_or(|tail| tail.len() == 5 && is_random(tail))
}

fn shown(event: &Event) -> v1::ClusterEvent {
    let object = &event.involved_object;
    let (kind, name) = (object.kind.as_deref(), object.name.as_deref());
    let series = event.series.as_ref();
    let time = series
        .and_then(|series| series.last_observed_time.as_ref())
        .map(|time| time.0)
        .or_else(|| event.last_timestamp.as_ref().map(|time| time.0))
        .or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0));
    v1::ClusterEvent {
        time: time.and_then(timestamp),
        warning: event.type_.as_deref() == Some("Warning"),
        reason: clipped(event.reason.as_deref().unwrap_or_default()),
        object: clipped(&format!("{}/{}", kind.unwrap_or_default(), name.unwrap_or_default())),
        message: clipped(event.message.as_deref().unwrap_or_default()),
        count: series.and_then(|series| series.count).or(event.count).unwrap_or(1).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_adds_to_a_name_is_told_from_another_sessions() {
        for rest in ["7c9f8d6b54", "7c9f8d6b54-x2k4z", "54bcdf"] {
            assert!(is_generated(rest), "{rest}");
        }
        for rest in ["", "2-7c9f8d6b54-x2k4z", "x-7c9f8d6b54", "game", "a", "7c9f8d6b54-", "-x"] {
            assert!(!is_generated(rest), "{rest}");
        }
    }
}
