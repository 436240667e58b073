//! What a session becomes in the cluster. Pure.
//!
//! [`objects`] gives all of it but the home, which outlives the session and stands in
//! [`homes`](super::homes). Each object belongs to the Session, so that it goes with it.

use std::{collections::BTreeMap, fmt, fmt::Write as _};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::core::{ApiResource, GroupVersionKind};
use serde::Serialize;
use serde_json::Value;
use streamspace_core::{
    ids::TenantUid,
    session::{Allotment, Wish, lifecycle::Replicas},
    template::Template,
};

use super::config::SessionConfig;
use crate::kube::{INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL, TENANT_UID_LABEL};

pub use route::{HostError, check_host_pattern, host, is_headless, service_name};
pub use scaling::autoscaler;

mod deployment;
mod route;
mod scaling;
#[cfg(test)]
mod tests;

/// The label with the session's name on all that is made of it.
pub const SESSION_LABEL: &str = "control.stream.space/session";
/// The label with the session's uid: it tells the objects of a session from those of an
/// earlier one of its name.
pub const SESSION_UID_LABEL: &str = "control.stream.space/session-uid";
/// The label with the session's user.
pub const USER_LABEL: &str = "control.stream.space/user";
/// The label of pods that mount a home of one node: they are all on that node.
pub(super) const HOME_MOUNTED_LABEL: &str = "control.stream.space/home-mounted";
/// The annotation of a Deployment with the sum of all that the session itself says of its
/// pods. While that stays the same a changed template ends nothing that runs.
pub const SHAPE_ANNOTATION: &str = "control.stream.space/shape";

const SESSION_API_VERSION: &str = "stream.space/v1alpha1";
const SESSION_KIND: &str = "Session";

/// Whose objects are made. The Deployment carries the session's own name.
#[derive(Clone, Copy, Debug)]
pub struct SessionPlace<'a> {
    /// The name of the Session object.
    pub name: &'a str,
    /// Its uid: with it, what is made here goes.
    pub uid: &'a str,
    /// Its user.
    pub user: &'a str,
    /// The tenant's namespace.
    pub namespace: &'a str,
    /// The tenant's name.
    pub tenant: &'a str,
    /// The tenant.
    pub tenant_uid: TenantUid,
    /// Its plan, whose nodes its pods tolerate.
    pub plan: &'a str,
    /// The installation that manages the cluster.
    pub instance: &'a str,
    /// How sessions are made here.
    pub config: &'a SessionConfig,
}

/// What is made.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// What is wished.
    pub wish: &'a Wish,
    /// What it is made of.
    pub template: &'a Template,
    /// What each copy gets.
    pub allotment: &'a Allotment,
    /// How many copies run.
    pub replicas: Replicas,
}

/// A kind of object that a session becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionKind {
    /// What runs.
    Deployment,
    /// Where it is reached within the cluster.
    Service,
    /// Where its user finds it.
    Ingress,
    /// What scales a shared session.
    Autoscaler,
}

impl SessionKind {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 4] = [Self::Deployment, Self::Service, Self::Ingress, Self::Autoscaler];

    /// The kind as Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::Service => "Service",
            Self::Ingress => "Ingress",
            Self::Autoscaler => "HorizontalPodAutoscaler",
        }
    }

    /// Where the API server serves it.
    pub fn api_resource(self) -> ApiResource {
        let (group, version, plural) = match self {
            Self::Deployment => ("apps", "v1", "deployments"),
            Self::Service => ("", "v1", "services"),
            Self::Ingress => ("networking.k8s.io", "v1", "ingresses"),
            Self::Autoscaler => ("autoscaling", "v2", "horizontalpodautoscalers"),
        };
        let kind = GroupVersionKind::gvk(group, version, self.as_str());
        ApiResource::from_gvk_with_plural(&kind, plural)
    }
}

impl fmt::Display for SessionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One object of a session, as it is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionObject {
    /// Its kind.
    pub kind: SessionKind,
    /// Its name.
    pub name: String,
    /// The whole object, with `apiVersion` and `kind`.
    pub body: Value,
}

impl SessionObject {
    fn new(kind: SessionKind, name: &str, object: &impl Serialize) -> Self {
        // Texts, numbers, lists and maps with texts as keys, of which serialisation cannot
        // fail. The API server would refuse `null`.
        let body = serde_json::to_value(object).unwrap_or_default();
        Self { kind, name: name.to_owned(), body }
    }

    /// What people call it, for example `Deployment ada-firefox`.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// All objects of a session but the home, in the order in which they are written. Fails
/// where its host name would be none.
pub fn objects(place: &SessionPlace<'_>, made: &Made<'_>) -> Result<Vec<SessionObject>, HostError> {
    let host = place.host()?;
    let deployment = deployment::deployment(place, made);
    let service = route::service(place, made);
    let mut objects = vec![
        SessionObject::new(SessionKind::Deployment, place.name, &deployment),
        SessionObject::new(SessionKind::Service, &service_name(place.name, place.uid), &service),
    ];
    if let Some(host) = host {
        let ingress = route::ingress(place, &host);
        objects.push(SessionObject::new(SessionKind::Ingress, place.name, &ingress));
    }
    if let Some(maximum) = made.wish.max_replicas.filter(|most| *most > 1) {
        let autoscaler = autoscaler(place, maximum);
        objects.push(SessionObject::new(SessionKind::Autoscaler, place.name, &autoscaler));
    }
    Ok(objects)
}

impl SessionPlace<'_> {
    /// The host name of the session, where sessions have one.
    pub fn host(&self) -> Result<Option<String>, HostError> {
        let pattern = self.config.host_pattern.as_deref();
        pattern.map(|pattern| host(pattern, self.name, self.tenant, self.user)).transpose()
    }

    /// Where the session's user finds it.
    pub fn url(&self) -> Option<String> {
        self.host().ok().flatten().map(|host| format!("https://{host}/"))
    }

    /// The labels of everything of a session.
    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = managed_labels(self.instance, self.tenant_uid);
        labels.extend(
            [(SESSION_LABEL, self.name), (SESSION_UID_LABEL, self.uid), (USER_LABEL, self.user)]
                .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        labels
    }

    /// The labels by which its pods are found.
    fn selector(&self) -> BTreeMap<String, String> {
        [(SESSION_LABEL, self.name), (SESSION_UID_LABEL, self.uid)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    fn metadata(&self) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.name.to_owned()),
            namespace: Some(self.namespace.to_owned()),
            labels: Some(self.labels()),
            owner_references: Some(vec![OwnerReference {
                api_version: SESSION_API_VERSION.to_owned(),
                kind: SESSION_KIND.to_owned(),
                name: self.name.to_owned(),
                uid: self.uid.to_owned(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        }
    }
}

/// The labels of everything that the daemon makes for a tenant.
pub(super) fn managed_labels(instance: &str, tenant: TenantUid) -> BTreeMap<String, String> {
    BTreeMap::from([
        (MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned()),
        (INSTANCE_LABEL.to_owned(), instance.to_owned()),
        (TENANT_UID_LABEL.to_owned(), tenant.0.to_string()),
    ])
}

/// A short sum of a text, the same in every process.
pub(super) fn sum(text: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text);
    digest.as_ref().iter().take(16).fold(String::new(), |mut sum, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(sum, "{byte:02x}");
        sum
    })
}
