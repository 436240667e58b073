//! Server-side apply, and when it is needed.

use std::collections::BTreeSet;

use k8s_openapi::{
    api::core::v1::Namespace,
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta},
};
use kube::{
    Api, Resource,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Cluster, ClusterError, client::limited};

/// Under which name the daemon owns fields.
pub const FIELD_MANAGER: &str = "streamspaced";

impl Cluster {
    /// The live namespace.
    pub async fn namespace(&self, name: &str) -> Result<Option<Namespace>, ClusterError> {
        limited(self.namespaces().get_opt(name)).await
    }

    /// Makes the live namespace what is wished.
    pub async fn apply_namespace(&self, wish: &Namespace) -> Result<Namespace, ClusterError> {
        apply(&self.namespaces(), wish).await
    }

    /// Deletes just this namespace, as it was read: one made anew under the same
    /// name meanwhile, or changed, stays.
    pub async fn delete_namespace(&self, live: &Namespace) -> Result<(), ClusterError> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: live.metadata.uid.clone(),
                resource_version: live.metadata.resource_version.clone(),
            }),
            ..DeleteParams::default()
        };
        let name = live.metadata.name.clone().unwrap_or_default();
        limited(self.namespaces().delete(&name, &parameters)).await.map(|_| ())
    }
}

async fn apply<K>(api: &Api<K>, wish: &K) -> Result<K, ClusterError>
where
    K: Resource + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let name = wish.meta().name.clone().unwrap_or_default();
    // Forced: what the daemon wishes it owns, whoever wrote it last.
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    limited(api.patch(&name, &parameters, &Patch::Apply(wish))).await
}

/// Whether the live object differs from the wish in what the daemon owns: a wished
/// label or annotation that is absent or different, or one that the daemon owns and
/// no longer wishes.
pub fn needs_apply(live: &ObjectMeta, wish: &ObjectMeta) -> bool {
    let lacks = |wished: &Option<std::collections::BTreeMap<String, String>>,
                 live: &Option<std::collections::BTreeMap<String, String>>| {
        wished
            .iter()
            .flatten()
            .any(|(key, value)| live.as_ref().and_then(|present| present.get(key)) != Some(value))
    };
    lacks(&wish.labels, &live.labels)
        || lacks(&wish.annotations, &live.annotations)
        || owned(live, "f:labels") != wished_keys(wish.labels.as_ref())
        || owned(live, "f:annotations") != wished_keys(wish.annotations.as_ref())
}

fn wished_keys(map: Option<&std::collections::BTreeMap<String, String>>) -> BTreeSet<String> {
    map.into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

/// Whether the daemon ever applied the object, and still owns something of it.
pub fn applied_by_us(live: &ObjectMeta) -> bool {
    our_entries(live).next().is_some()
}

fn our_entries(live: &ObjectMeta) -> impl Iterator<Item = &ManagedFieldsEntry> {
    live.managed_fields.iter().flatten().filter(|entry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
    })
}

/// The keys under `metadata.{field}` that the daemon owns by server-side apply.
fn owned(live: &ObjectMeta, field: &str) -> BTreeSet<String> {
    our_entries(live)
        .filter_map(|entry| entry.fields_v1.as_ref())
        .filter_map(|fields| fields.0.get("f:metadata")?.get(field)?.as_object())
        .flat_map(|keys| keys.keys())
        .filter_map(|key| key.strip_prefix("f:"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
    use serde_json::{Value, json};

    fn meta(labels: &[(&str, &str)], owned: Value) -> ObjectMeta {
        ObjectMeta {
            labels: Some(labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()),
            managed_fields: Some(vec![ManagedFieldsEntry {
                manager: Some(FIELD_MANAGER.into()),
                operation: Some("Apply".into()),
                fields_v1: Some(FieldsV1(owned)),
                ..Default::default()
            }]),
            ..Default::default()
        }
    }

    #[test]
    fn an_object_as_wished_needs_no_write_whatever_others_add() {
        let wish = meta(&[("a", "1")], Value::Null);
        let owns = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}});
        assert!(!needs_apply(&meta(&[("a", "1"), ("other", "x")], owns.clone()), &wish));
        assert!(needs_apply(&meta(&[("a", "2")], owns.clone()), &wish), "changed by a hand");
        assert!(needs_apply(&meta(&[], owns), &wish), "removed by a hand");
    }

    #[test]
    fn what_is_no_longer_wished_is_taken_back() {
        let wish = meta(&[("a", "1")], Value::Null);
        let owns = json!({"f:metadata": {"f:labels": {"f:a": {}, "f:old": {}}}});
        assert!(needs_apply(&meta(&[("a", "1"), ("old", "x")], owns), &wish));
    }

    #[test]
    fn a_field_that_another_manager_owns_is_taken_over() {
        let wish = meta(&[("a", "1")], Value::Null);
        assert!(needs_apply(&meta(&[("a", "1")], json!({})), &wish));
    }
}
