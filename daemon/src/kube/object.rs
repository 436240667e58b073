//! Objects of any kind, as the API server gives them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::{
    Api, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions},
    core::{ApiResource, DynamicResourceScope},
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::borrow::Cow;

use super::{Cluster, ClusterError, FIELD_MANAGER, Kind, client::limited};

/// How many objects a list brings at once.
const PAGE: u32 = 500;

/// A live object. It is always decoded: what does not fit stands in `fault`, so that
/// one object that nobody can read does not hide the others.
#[derive(Clone, Debug, Default)]
pub struct Object {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// All else: `spec`, `status` and so on.
    pub content: Map<String, Value>,
    /// Why the metadata could not be read whole.
    pub fault: Option<String>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut content = Map::deserialize(deserializer)?;
        let metadata = content.remove("metadata").unwrap_or(Value::Null);
        let (metadata, fault) = match ObjectMeta::deserialize(&metadata) {
            Ok(metadata) => (metadata, None),
            Err(error) => (identity(&metadata), Some(error.to_string())),
        };
        Ok(Self { metadata, content, fault })
    }
}

/// What tells which object it is, from metadata that cannot be read whole.
fn identity(metadata: &Value) -> ObjectMeta {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).map(str::to_owned);
    ObjectMeta {
        name: text("name"),
        namespace: text("namespace"),
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        ..ObjectMeta::default()
    }
}

impl Resource for Object {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Object {
    /// Its name; empty where it has none.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The namespace that it is or lives in.
    pub fn namespace(&self, kind: Kind) -> &str {
        let namespaced = kind.is_namespaced();
        let place = if namespaced { &self.metadata.namespace } else { &self.metadata.name };
        place.as_deref().unwrap_or_default()
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// Whether the cluster is deleting it.
    pub fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether the daemon ever applied it, and still owns something of it.
    pub fn is_applied_by_us(&self) -> bool {
        self.our_entries().next().is_some()
    }

    pub(super) fn our_entries(&self) -> impl Iterator<Item = &ManagedFieldsEntry> {
        self.metadata.managed_fields.iter().flatten().filter(|entry| {
            entry.manager.as_deref() == Some(FIELD_MANAGER)
                && entry.operation.as_deref() == Some("Apply")
                && entry.subresource.as_deref().unwrap_or_default().is_empty()
        })
    }
}

/// Which very object is deleted: one made anew under the same name meanwhile, or
/// changed, stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Its uid.
    pub uid: String,
    /// The version that was read.
    pub resource_version: String,
}

impl Cluster {
    pub(super) fn api(&self, kind: Kind, namespace: Option<&str>) -> Api<Object> {
        let resource = kind.api_resource();
        match namespace.filter(|_| kind.is_namespaced()) {
            Some(namespace) => Api::namespaced_with(self.client().clone(), namespace, &resource),
            None => Api::all_with(self.client().clone(), &resource),
        }
    }

    /// The live object of this name.
    pub async fn get(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Object>, ClusterError> {
        limited(self.api(kind, Some(namespace)).get_opt(name)).await
    }

    /// The live objects with these labels, page by page; in one namespace, or in all.
    pub async fn list(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<Object>, ClusterError> {
        let api = self.api(kind, namespace);
        let mut found = Vec::new();
        let mut page = ListParams::default().labels(selector).limit(PAGE);
        loop {
            let list = limited(api.list(&page)).await?;
            found.extend(list.items);
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    /// Makes the live object what is wished. Forced: what the daemon wishes it owns,
    /// whoever wrote it last.
    pub async fn apply(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        wish: &Value,
    ) -> Result<Object, ClusterError> {
        self.rate().take().await;
        let api = self.api(kind, Some(namespace));
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        limited(api.patch(name, &parameters, &Patch::Apply(wish))).await
    }

    /// Writes a Kubernetes event into a namespace. `event` is an object of
    /// `events.k8s.io/v1`.
    pub async fn create_event(&self, namespace: &str, event: &Value) -> Result<(), ClusterError> {
        self.rate().take().await;
        let gone = |error: &dyn std::fmt::Display| ClusterError::Unavailable(error.to_string());
        let request = http::Request::post(format!(
            "/apis/events.k8s.io/v1/namespaces/{namespace}/events?fieldManager={FIELD_MANAGER}"
        ))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(serde_json::to_vec(event).map_err(|error| gone(&error))?)
        .map_err(|error| gone(&error))?;
        limited(self.client().request::<Value>(request)).await.map(|_event| ())
    }

    /// Deletes just this object, as it was read. One that is gone already is no fault.
    pub async fn delete(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        which: &DeleteOptions,
    ) -> Result<(), ClusterError> {
        self.rate().take().await;
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(which.uid.clone()),
                resource_version: Some(which.resource_version.clone()),
            }),
            ..DeleteParams::default()
        };
        match limited(self.api(kind, Some(namespace)).delete(name, &parameters)).await {
            Ok(_) | Err(ClusterError::Refused { code: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_that_cannot_be_read_whole_still_says_which_it_is() {
        let object: Object = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": 1},
            "metadata": {"name": "q", "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": 3},
        }))
        .unwrap();
        assert!(object.fault.is_some());
        assert_eq!((object.name(), object.namespace(Kind::ResourceQuota)), ("q", "n"));
        assert_eq!(object.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(object.content["spec"], json!({"hard": 1}));
    }

    #[test]
    fn a_namespace_is_in_itself() {
        let object: Object =
            serde_json::from_value(json!({"metadata": {"name": "tenant-a"}})).unwrap();
        assert!(object.fault.is_none());
        assert_eq!(object.namespace(Kind::Namespace), "tenant-a");
    }
}
