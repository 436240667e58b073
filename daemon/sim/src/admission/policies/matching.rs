//! Which writes a policy or a binding is about.

use serde_json::Value;

use crate::{
    admission::Act,
    kinds::View,
    schema::{Object, at, metadata_text},
    store::Store,
};

const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Whether these constraints are about this write; none are about all.
pub(super) fn matches(store: &Store, act: &Act<'_>, constraints: Option<&Value>) -> bool {
    let Some(constraints) = constraints else {
        return true;
    };
    let rules = |field: &str| {
        let list = constraints.get(field).and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    };
    in_namespace(store, act, constraints.get("namespaceSelector"))
        && has_labels(act, constraints.get("objectSelector"))
        && !rules("excludeResourceRules").iter().any(|rule| covers(rule, act))
        && (rules("resourceRules").is_empty()
            || rules("resourceRules").iter().any(|rule| covers(rule, act)))
}

fn covers(rule: &Value, act: &Act<'_>) -> bool {
    let has = |field: &str, wanted: &str| {
        let list = rule.get(field).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).any(|it| it == "*" || it == wanted)
    };
    let resource = &act.place.resource;
    let part = act.view.name();
    let is_resource = |wanted: &str| {
        let (plural, wanted_part) = wanted.split_once('/').unwrap_or((wanted, ""));
        (plural == "*" || plural == resource.plural)
            && (wanted_part == part || (wanted_part == "*" && wanted.contains('/')))
    };
    let resources = rule.get("resources").and_then(Value::as_array).into_iter().flatten();
    let names = rule.get("resourceNames").and_then(Value::as_array);
    let scope = rule.get("scope").and_then(Value::as_str).unwrap_or("*");
    has("operations", act.operation.name())
        && has("apiGroups", &resource.group)
        && has("apiVersions", &resource.version)
        && resources.filter_map(Value::as_str).any(is_resource)
        && match scope {
            "Namespaced" => resource.namespaced,
            "Cluster" => !resource.namespaced,
            _ => true,
        }
        && names.is_none_or(|names| names.is_empty() || names.iter().any(|name| name == act.name))
}

/// A selector that is empty selects everything.
pub(super) fn selects<'a>(selector: &Value, label: &dyn Fn(&str) -> Option<&'a str>) -> bool {
    let equal = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    equal.into_iter().all(|(key, value)| label(key) == value.as_str())
        && expressions.into_iter().flatten().all(|expression| {
            let text =
                |field: &str| expression.get(field).and_then(Value::as_str).unwrap_or_default();
            let values = expression.get("values").and_then(Value::as_array);
            let value = label(text("key"));
            let is_among = value
                .is_some_and(|value| values.into_iter().flatten().any(|wanted| wanted == value));
            match text("operator") {
                "In" => is_among,
                "NotIn" => !is_among,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

fn label<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    at(object, &["metadata", "labels", key]).and_then(Value::as_str)
}

/// What is in no namespace is in all; a namespace is in itself.
fn in_namespace(store: &Store, act: &Act<'_>, selector: Option<&Value>) -> bool {
    let Some(selector) = selector.filter(|it| !is_empty(it)) else {
        return true;
    };
    if act.place.resource.is("", "namespaces") {
        let object = act.object.or(act.old);
        return object.is_some_and(|object| {
            let name = metadata_text(object, "name");
            selects(selector, &|key| label(object, key).or((key == NAME_LABEL).then_some(name)))
        });
    }
    if !act.place.resource.namespaced {
        return true;
    }
    let namespace = store.get(&format!("namespaces/{}", act.place.namespace));
    namespace.is_some_and(|namespace| selects(selector, &|key| namespace.label(key)))
}

/// It is enough that the object has the labels before or after the write.
fn has_labels(act: &Act<'_>, selector: Option<&Value>) -> bool {
    let Some(selector) = selector.filter(|it| !is_empty(it)) else {
        return true;
    };
    // The number of replicas is an object of its own, and has no labels.
    if act.view == View::Scale {
        return selects(selector, &|_| None);
    }
    let objects = act.object.into_iter().chain(act.old);
    objects.into_iter().any(|object| selects(selector, &|key| label(object, key)))
}

fn is_empty(selector: &Value) -> bool {
    let has = |field: &str| match selector.get(field) {
        Some(Value::Object(map)) => !map.is_empty(),
        Some(Value::Array(list)) => !list.is_empty(),
        _ => false,
    };
    !has("matchLabels") && !has("matchExpressions")
}
