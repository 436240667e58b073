//! What the controllers of a cluster do beside the API server: count what quotas
//! limit, establish definitions, and take away what belonged to them.

use serde_json::{Map, Value, json};

use crate::{
    kinds::{self, EXTENSIONS, Kinds, Resource},
    objects::{self, Place, Preconditions},
    quantity,
    schema::{Object, at},
    status::Failure,
    store::Store,
};

/// Amounts of pods, volumes and services, of which the simulator holds none.
const NONE_OF: [&str; 17] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "requests.storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "persistentvolumeclaims",
    "pods",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "replicationcontrollers",
    "storage",
];

/// Counts what the quotas of a namespace limit.
pub(crate) fn count_quotas(store: &Store, kinds: &Kinds, namespace: &str) -> Result<(), Failure> {
    let Some(quotas) = kinds.builtin("", "resourcequotas") else {
        return Ok(());
    };
    for quota in store.all(&quotas.prefix(namespace)) {
        let key = quotas.key(namespace, &quota.name);
        objects::set_status(store, &key, |live| {
            let hard = at(live, &["spec", "hard"]).and_then(Value::as_object);
            let mut used = Map::new();
            for name in hard.into_iter().flat_map(Map::keys) {
                if let Some(count) = count(store, kinds, namespace, name) {
                    let text = count.to_string();
                    used.insert(name.clone(), quantity::canonical(&text).unwrap_or(text).into());
                }
            }
            let mut status = Map::new();
            if let Some(hard) = hard {
                status.insert("hard".to_owned(), Value::Object(hard.clone()));
                status.insert("used".to_owned(), Value::Object(used));
            }
            Some(Value::Object(status))
        })?;
    }
    Ok(())
}

/// How much of this there is; `None` for what no controller knows.
fn count(store: &Store, kinds: &Kinds, namespace: &str, name: &str) -> Option<usize> {
    if NONE_OF.contains(&name) || name.contains(".storageclass.storage.k8s.io/") {
        return Some(0);
    }
    let counted = name.strip_prefix("count/").unwrap_or(name);
    let (plural, group) = counted.split_once('.').unwrap_or((counted, ""));
    if matches!((plural, group), ("pods" | "services" | "persistentvolumeclaims", "")) {
        return Some(0);
    }
    let is_it = |kind: &&std::sync::Arc<Resource>| kind.namespaced && kind.is(group, plural);
    let all = kinds.all();
    all.iter().find(is_it).map(|kind| store.all(&kind.prefix(namespace)).len())
}

/// Accepts a definition's names and serves it from now on.
pub(crate) fn establish(store: &Store, kinds: &Kinds, name: &str) -> Result<(), Failure> {
    let Some(definitions) = kinds.builtin(EXTENSIONS, "customresourcedefinitions") else {
        return Ok(());
    };
    let live = objects::set_status(store, &definitions.key("", name), |live| {
        let mut status = match live.get("status") {
            Some(Value::Object(status)) => status.clone(),
            _ => Map::new(),
        };
        if !kinds::is_established(live) {
            let condition = |kind: &str, reason: &str, message: &str| {
                json!({
                    "type": kind, "status": "True", "reason": reason, "message": message,
                    "lastTransitionTime": objects::now(),
                })
            };
            let conditions = json!([
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition(
                    "Established",
                    "InitialNamesAccepted",
                    "the initial names have been accepted"
                ),
            ]);
            status.insert("conditions".to_owned(), conditions);
        }
        status.insert("acceptedNames".to_owned(), at(live, &["spec", "names"])?.clone());
        let versions = at(live, &["spec", "versions"]).and_then(Value::as_array);
        let stored: Vec<Value> = versions
            .into_iter()
            .flatten()
            .filter(|version| version.get("storage") == Some(&Value::Bool(true)))
            .filter_map(|version| version.get("name").cloned())
            .collect();
        status.insert("storedVersions".to_owned(), Value::Array(stored));
        Some(Value::Object(status))
    })?;
    kinds.define(name, (!live.is_empty()).then_some(&live));
    Ok(())
}

/// Takes away all objects of a definition that is gone, and its paths.
pub(crate) fn withdraw(
    store: &Store,
    kinds: &Kinds,
    definition: &Object,
    name: &str,
) -> Result<(), Failure> {
    let text = |path: &[&str]| at(definition, path).and_then(Value::as_str).unwrap_or_default();
    let (group, plural) = (text(&["spec", "group"]), text(&["spec", "names", "plural"]));
    if let Some(resource) =
        kinds.all().into_iter().find(|kind| !kind.builtin && kind.is(group, plural))
    {
        for object in store.all(&resource.prefix("")) {
            let place =
                Place { resource: resource.clone(), namespace: object.namespace.to_string() };
            objects::delete(store, &place, &object.name, &Preconditions::default(), false)?;
        }
    }
    kinds.define(name, None);
    Ok(())
}
