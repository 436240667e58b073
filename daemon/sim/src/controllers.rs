//! What the controllers of a cluster do beside the API server: count what quotas
//! limit, establish definitions, and take away what belonged to them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    admission::usage,
    kinds::{self, EXTENSIONS, Kinds, Resource},
    objects::{self, Deletion, Manner, Place},
    quantity::Amount,
    schema::{Object, at},
    status::Failure,
    store::Store,
};

/// Counts what the quotas of a namespace limit.
pub(crate) fn count_quotas(store: &Store, kinds: &Kinds, namespace: &str) -> Result<(), Failure> {
    let Some(quotas) = kinds.builtin("", "resourcequotas") else {
        return Ok(());
    };
    for quota in store.all(&quotas.prefix(namespace)) {
        let key = quotas.key(namespace, &quota.name);
        objects::set_status(store, &key, |live| {
            let hard = at(live, &["spec", "hard"]).and_then(Value::as_object);
            let counted = used(store, kinds, namespace, hard.into_iter().flat_map(Map::keys));
            let mut status = Map::new();
            if let Some(hard) = hard {
                status.insert("hard".to_owned(), Value::Object(hard.clone()));
                status.insert("used".to_owned(), Value::Object(counted));
            }
            Some(Value::Object(status))
        })?;
    }
    Ok(())
}

/// How much of these there is; what no controller knows is left out.
fn used<'a>(
    store: &Store,
    kinds: &Kinds,
    namespace: &str,
    names: impl Iterator<Item = &'a String>,
) -> Map<String, Value> {
    let all = kinds.all();
    let known: Vec<_> =
        all.iter().filter(|kind| kind.namespaced && !kind.is_core_event()).collect();
    let mut totals: BTreeMap<&String, Amount> = BTreeMap::new();
    let mut concerned = Vec::new();
    for name in names {
        let kind = known.iter().find(|kind| counts(kind, name));
        if kind.is_some() || is_known(name) {
            totals.insert(name, Amount::ZERO);
        }
        if let Some(kind) = kind.copied()
            && !concerned
                .iter()
                .any(|it: &&std::sync::Arc<Resource>| it.is(&kind.group, &kind.plural))
        {
            concerned.push(kind);
        }
    }
    for kind in concerned {
        for object in store.all(&kind.prefix(namespace)) {
            let usage = usage(kind, &object.object());
            for (name, total) in &mut totals {
                if let Some(amount) = usage.get(*name) {
                    *total = total.plus(*amount);
                }
            }
        }
    }
    totals.into_iter().map(|(name, total)| (name.clone(), total.to_string().into())).collect()
}

/// Whether objects of this kind use this.
fn counts(kind: &Resource, name: &str) -> bool {
    if let Some(counted) = name.strip_prefix("count/") {
        return counted == kind.qualified_plural();
    }
    let is = |plural: &str| kind.is("", plural);
    match name {
        "requests.storage" => is("persistentvolumeclaims"),
        "cpu" | "memory" | "ephemeral-storage" => is("pods"),
        _ if name.contains(".storageclass.storage.k8s.io/") => is("persistentvolumeclaims"),
        _ if name.starts_with("requests.") || name.starts_with("limits.") => is("pods"),
        _ if name.starts_with("services.") => is("services"),
        _ => is(name),
    }
}

/// Kinds that quotas count and the simulator does not serve.
fn is_known(name: &str) -> bool {
    matches!(name, "replicationcontrollers" | "count/replicationcontrollers")
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
            let manner = Manner::controller();
            objects::delete(store, &place, &object.name, &Deletion::default(), &manner)?;
        }
    }
    kinds.define(name, None);
    Ok(())
}
