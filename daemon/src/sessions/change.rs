//! A change of a session, as a write to its object in the cluster.
//!
//! Each can be repeated. What an operation wrote carries the operation's name, so that whoever
//! repeats it after a crash finds that it is done, and by whom.

use kube::{
    Api,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};
use streamspace_core::{
    admission::{Reason, Refusal},
    ids::OperationId,
    session::{SessionState, SessionUid, Wish},
    text,
};
use tonic::Status;

use super::object::{SeenSession, read_session};
use crate::{
    kube::{Cluster, ClusterError, FIELD_MANAGER, limited},
    rpc::errors::RpcError,
};

/// The annotation that names the operation that made a session or changed its state last.
pub const OPERATION_ANNOTATION: &str = "control.stream.space/operation";
/// The longest words of the cluster that are told, in characters.
const WORDS_MAXIMUM: usize = 1000;

/// Which session an operation is about.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// `tenants/{tenant}/sessions/{session}`.
    pub name: &'a str,
    /// The tenant's namespace.
    pub namespace: &'a str,
    /// The name of its object.
    pub session: &'a str,
    /// Which object of that name; absent for one that is to be created.
    pub uid: Option<SessionUid>,
    /// The operation.
    pub operation: OperationId,
}

/// What an operation wishes of a session.
#[derive(Clone, Debug)]
pub enum Wished {
    /// That it is there.
    Made(Box<Wish>),
    /// That it is in this state.
    State(SessionState),
}

/// What an operation finds in the cluster.
#[derive(Debug)]
pub enum Look {
    /// It is as wished.
    AsWished {
        /// Whether the same operation made it so, in an attempt that was cut off.
        by_this_operation: bool,
    },
    /// It is to be written.
    Differs(Box<Before>),
}

/// A session before it is written: its object, or none.
#[derive(Debug)]
pub struct Before(Option<(DynamicObject, SeenSession)>);

impl Wished {
    /// What is changed, in a few words for the audit log.
    pub fn summary(&self) -> String {
        match self {
            Self::Made(wish) => {
                format!("created for {} from {}: {}", wish.user, wish.template, wish.state)
            }
            Self::State(state) => format!("state: {state}"),
        }
    }
}

/// Looks at a session in the cluster, and refuses what cannot be done to it.
pub async fn look(cluster: &Cluster, target: &Target<'_>, wished: &Wished) -> Result<Look, Status> {
    let live = limited(api(cluster, target.namespace).get_opt(target.session)).await;
    let live = live.map_err(|error| told(error, target))?;
    let by_this_operation = live.as_ref().is_some_and(|live| {
        let named =
            live.metadata.annotations.as_ref().and_then(|all| all.get(OPERATION_ANNOTATION));
        named.is_some_and(|name| *name == target.operation.to_name())
    });
    match (wished, live) {
        (Wished::Made(_), None) => Ok(Look::Differs(Box::new(Before(None)))),
        (Wished::Made(_), Some(_)) if by_this_operation => Ok(Look::AsWished { by_this_operation }),
        (Wished::Made(_), Some(_)) => Err(RpcError::AlreadyExists(target.name.to_owned()).into()),
        (Wished::State(_), None) => Err(RpcError::NotFound(target.name.to_owned()).into()),
        (Wished::State(state), Some(live)) => {
            let seen = read_session(&live);
            if Some(seen.uid()) != target.uid {
                return Err(another(target).into());
            }
            if seen.state == Some(*state) {
                return Ok(Look::AsWished { by_this_operation });
            }
            if seen.is_deleting() {
                return match state {
                    // It ends by itself.
                    SessionState::Terminated => Ok(Look::AsWished { by_this_operation: false }),
                    _ => Err(being_deleted(target.name).into()),
                };
            }
            Ok(Look::Differs(Box::new(Before(Some((live, seen))))))
        }
    }
}

impl Before {
    /// The object that is there.
    pub fn uid(&self) -> Option<SessionUid> {
        self.0.as_ref().map(|(_, seen)| seen.uid())
    }

    /// The generation that the object has once it is written.
    pub fn next_generation(&self) -> i64 {
        self.0.as_ref().map_or(1, |(_, seen)| seen.metadata.generation.saturating_add(1))
    }

    /// The wish of a session that would start, where it is valid.
    pub fn starts<'a>(&'a self, wished: &'a Wished) -> Option<&'a Wish> {
        match wished {
            Wished::Made(wish) if wish.state == SessionState::Running => Some(wish),
            Wished::State(SessionState::Running) => {
                self.0.as_ref().and_then(|(_, seen)| seen.wish.as_ref())
            }
            Wished::Made(_) | Wished::State(_) => None,
        }
    }

    /// Writes what is wished, to the very object that was looked at.
    pub async fn write(
        &self,
        cluster: &Cluster,
        target: &Target<'_>,
        wished: &Wished,
    ) -> Result<(), Status> {
        let written = match (wished, &self.0) {
            (Wished::Made(wish), _) => create(cluster, target, wish).await,
            (Wished::State(state), Some((live, _))) => {
                let patch = json!({
                    "metadata": {
                        "uid": live.metadata.uid,
                        "resourceVersion": live.metadata.resource_version,
                        "annotations": { OPERATION_ANNOTATION: target.operation.to_name() },
                    },
                    "spec": { "state": state.as_str() },
                });
                let parameters =
                    PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..Default::default() };
                let api = api(cluster, target.namespace);
                let patch = Patch::Merge(&patch);
                limited(api.patch(target.session, &parameters, &patch)).await.map(|_| ())
            }
            (Wished::State(_), None) => {
                return Err(RpcError::NotFound(target.name.to_owned()).into());
            }
        };
        written.map_err(|error| told(error, target))
    }
}

/// How the resources of a session are written. There are two variants of the definitions, and
/// each drops what it does not know; so the API server is asked to refuse that instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    LimitsAndRequests,
    MemoryAndCpu,
}

async fn create(cluster: &Cluster, target: &Target<'_>, wish: &Wish) -> Result<(), ClusterError> {
    let unknown = |error: &ClusterError| match error {
        ClusterError::Refused { code: 400, message, .. } => {
            message.contains("unknown field") && message.contains("spec.resources.")
        }
        _ => false,
    };
    match post(cluster, target, &manifest(target, wish, Shape::LimitsAndRequests)).await {
        Err(error) if unknown(&error) => {
            post(cluster, target, &manifest(target, wish, Shape::MemoryAndCpu)).await
        }
        answer => answer,
    }
}

async fn post(cluster: &Cluster, target: &Target<'_>, object: &Value) -> Result<(), ClusterError> {
    let defect = |error: &dyn std::fmt::Display| ClusterError::Configuration(error.to_string());
    let path = format!(
        "/apis/stream.space/v1alpha1/namespaces/{}/sessions?fieldManager={FIELD_MANAGER}\
         &fieldValidation=Strict",
        target.namespace
    );
    let request = http::Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(serde_json::to_vec(object).map_err(|error| defect(&error))?)
        .map_err(|error| defect(&error))?;
    limited(cluster.client().request::<Value>(request)).await.map(|_object| ())
}

/// The object of a new session. It carries no label of ours: it is the tenant's, who may
/// change it.
fn manifest(target: &Target<'_>, wish: &Wish, shape: Shape) -> Value {
    let mut spec = json!({
        "user": wish.user,
        "template": wish.template,
        "state": wish.state.as_str(),
        "persistentHome": wish.persistent_home,
        "idleTimeout": wish.idle_timeout.to_string(),
        "maxSessionDuration": wish.max_session_duration.to_string(),
    });
    let mut put = |key: &str, value: Value| {
        if let Some(spec) = spec.as_object_mut() {
            spec.insert(key.to_owned(), value);
        }
    };
    let limits = wish.resources.limits;
    let mut amounts = serde_json::Map::new();
    if let Some(cpu) = limits.cpu {
        amounts.insert("cpu".into(), cpu.to_string().into());
    }
    if let Some(memory) = limits.memory {
        amounts.insert("memory".into(), memory.to_string().into());
    }
    if !amounts.is_empty() {
        let resources = match shape {
            Shape::LimitsAndRequests => json!({ "limits": amounts, "requests": amounts }),
            Shape::MemoryAndCpu => amounts.into(),
        };
        put("resources", resources);
    }
    if !wish.tags.is_empty() {
        put("tags", json!(wish.tags));
    }
    if let Some(most) = wish.max_replicas {
        put("shared", json!({ "maxReplicas": most }));
    }
    json!({
        "apiVersion": "stream.space/v1alpha1",
        "kind": "Session",
        "metadata": {
            "name": target.session,
            "namespace": target.namespace,
            "annotations": { OPERATION_ANNOTATION: target.operation.to_name() },
        },
        "spec": spec,
    })
}

/// The sessions of a namespace.
pub(super) fn api(cluster: &Cluster, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("stream.space", "v1alpha1", "Session");
    let resource = ApiResource::from_gvk_with_plural(&kind, "sessions");
    Api::namespaced_with(cluster.client().clone(), namespace, &resource)
}

/// Why a session may not start.
pub fn refused(refusals: &[Refusal]) -> RpcError {
    let words: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    let message = words.join("; ");
    match refusals.first().map(|refusal| refusal.reason) {
        Some(Reason::User(_)) => RpcError::Exhausted { reason: "USER_LIMIT", message },
        Some(Reason::Tenant(_)) => RpcError::Exhausted { reason: "TENANT_QUOTA", message },
        Some(Reason::Reservations) => RpcError::Exhausted { reason: "TOO_MANY_STARTING", message },
        Some(Reason::TenantClosed(_)) | None => {
            RpcError::Refused { reason: "TENANT_STATE", message }
        }
    }
}

/// Why a session on its way out is not changed.
pub fn being_deleted(name: &str) -> RpcError {
    RpcError::Refused {
        reason: "SESSION_DELETING",
        message: format!("{name} is being deleted: wait until it is gone, and create it anew"),
    }
}

/// Why a session is not changed whose name another one has now.
fn another(target: &Target<'_>) -> RpcError {
    let name = target.name;
    RpcError::NotFound(format!("the {name} that was chosen (another session has the name now)"))
}

/// What the cluster answered, in its own words where it refused.
fn told(error: ClusterError, target: &Target<'_>) -> Status {
    match error {
        error if error.is_unavailable() => Status::unavailable(error.to_string()),
        ClusterError::Refused { code: 409, reason, .. } if reason == "AlreadyExists" => {
            RpcError::AlreadyExists(target.name.to_owned()).into()
        }
        // Read again and repeated on what it is now.
        ClusterError::Refused { code: 409, .. } => {
            RpcError::EtagMismatch(target.name.to_owned()).into()
        }
        ClusterError::Refused { code: 404, .. } if target.uid.is_some() => {
            RpcError::NotFound(target.name.to_owned()).into()
        }
        // Another replica leads, and goes on with the item.
        ClusterError::Refused { message, .. } if message.contains("stale leader term") => {
            Status::unavailable(message)
        }
        ClusterError::Refused { message, .. } => {
            let words = clipped(&message, WORDS_MAXIMUM);
            let message = format!("the cluster refuses {}: {words}", target.name);
            RpcError::Refused { reason: "CLUSTER_REFUSED", message }.into()
        }
        other => RpcError::Internal(other.to_string()).into(),
    }
}

/// A text of unknown origin, on one line and no longer than this.
pub(super) fn clipped(words: &str, maximum: usize) -> String {
    let mut shown: String = text::escape(words).chars().take(maximum + 1).collect();
    if shown.chars().count() > maximum {
        shown = shown.chars().take(maximum).collect();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
