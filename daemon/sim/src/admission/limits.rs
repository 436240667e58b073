//! Limit ranges: what a container gets that does not say, and how much it may have.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Act, Operation};
use crate::{
    kinds::View,
    objects::Place,
    quantity::Amount,
    schema::{Object, at, edit},
    status::Failure,
    store::Store,
};

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// All items of the limit ranges of a namespace.
fn items(store: &Store, namespace: &str) -> Vec<Value> {
    let ranges = store.all(&format!("limitranges/{namespace}/"));
    let items = ranges.iter().flat_map(|range| {
        let object = range.object();
        at(&object, &["spec", "limits"]).and_then(Value::as_array).cloned().unwrap_or_default()
    });
    items.collect()
}

fn is_of(item: &Value, kind: &str) -> bool {
    item.get("type").and_then(Value::as_str) == Some(kind)
}

fn amounts<'a>(item: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    item.get(field).and_then(Value::as_object).into_iter().flatten()
}

/// Gives containers what they do not ask for, and says so in an annotation.
pub(super) fn fill(store: &Store, place: &Place, object: &mut Object) {
    if !place.resource.is("", "pods") {
        return;
    }
    let mut said = Vec::new();
    for range in store.all(&format!("limitranges/{}/", place.namespace)) {
        let range = range.object();
        let limits = at(&range, &["spec", "limits"]).and_then(Value::as_array);
        let (mut requests, mut maxima) = (Object::new(), Object::new());
        for item in limits.into_iter().flatten().filter(|item| is_of(item, "Container")) {
            for (field, into) in [("defaultRequest", &mut requests), ("default", &mut maxima)] {
                into.extend(amounts(item, field).map(|(key, value)| (key.clone(), value.clone())));
            }
        }
        edit(object, "spec", |spec| {
            for (list, words) in [("containers", "container"), ("initContainers", "init container")]
            {
                let containers = spec.get_mut(list).and_then(Value::as_array_mut);
                for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
                    fill_container(container, &requests, &maxima, words, &mut said);
                }
            }
        });
    }
    if said.is_empty() {
        return;
    }
    let text = format!("LimitRanger plugin set: {}", said.join("; "));
    edit(object, "metadata", |metadata| {
        edit(metadata, "annotations", |all| all.insert(ANNOTATION.to_owned(), text.into()));
    });
}

fn fill_container(
    container: &mut Object,
    requests: &Object,
    limits: &Object,
    words: &str,
    said: &mut Vec<String>,
) {
    let name = container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    edit(container, "resources", |resources| {
        // A limit that the container says is its request too, before any default.
        let own = resources.get("limits").and_then(Value::as_object).cloned().unwrap_or_default();
        edit(resources, "requests", |present| {
            for (key, value) in own {
                present.entry(key).or_insert(value);
            }
        });
        for (field, defaults, word) in
            [("requests", requests, "request"), ("limits", limits, "limit")]
        {
            let mut set = Vec::new();
            edit(resources, field, |present| {
                for (key, value) in defaults {
                    if !present.contains_key(key) {
                        present.insert(key.clone(), value.clone());
                        set.push(key.clone());
                    }
                }
            });
            if !set.is_empty() {
                set.sort();
                said.push(format!("{} {word} for {words} {name}", set.join(", ")));
            }
            if resources.get(field).and_then(Value::as_object).is_some_and(Object::is_empty) {
                resources.remove(field);
            }
        }
    });
}

/// Refuses what asks for more or less than it may.
pub(super) fn check(store: &Store, act: &Act<'_>) -> Result<(), Failure> {
    let (is_pod, is_claim) = (act.is_of("", "pods"), act.is_of("", "persistentvolumeclaims"));
    let (Some(object), View::Whole) = (act.object, act.view) else {
        return Ok(());
    };
    if !(is_pod && act.operation == Operation::Create || is_claim) {
        return Ok(());
    }
    let mut wrong = Vec::new();
    for item in items(store, &act.place.namespace) {
        if is_claim && is_of(&item, "PersistentVolumeClaim") {
            let request = asked(at(object, &["spec", "resources"]), "requests");
            for (name, least) in amounts(&item, "min") {
                wrong.extend(minimum("PersistentVolumeClaim", name, least, &request, None));
            }
            for (name, most) in amounts(&item, "max") {
                wrong.extend(maximum_request("PersistentVolumeClaim", name, most, &request));
            }
        }
        if is_pod && is_of(&item, "Container") {
            for container in containers(object) {
                let resources = container.get("resources");
                let (request, limit) = (asked(resources, "requests"), asked(resources, "limits"));
                wrong.extend(all(&item, "Container", &request, &limit));
            }
        }
        if is_pod && is_of(&item, "Pod") {
            let (request, limit) = (pod_total(object, "requests"), pod_total(object, "limits"));
            wrong.extend(all(&item, "Pod", &request, &limit));
        }
    }
    match wrong.as_slice() {
        [] => Ok(()),
        [one] => Err(act.forbidden(one)),
        all => Err(act.forbidden(&format!("[{}]", all.join(", ")))),
    }
}

type Amounts = BTreeMap<String, Amount>;

/// All containers of a pod, those that begin it among them.
pub(super) fn containers(pod: &Object) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| at(pod, &["spec", list]).and_then(Value::as_array).into_iter().flatten())
}

/// The requests or limits of a container or claim.
pub(super) fn asked(resources: Option<&Value>, field: &str) -> Amounts {
    let map = resources.and_then(|it| it.get(field)).and_then(Value::as_object);
    let amounts = map.into_iter().flatten();
    amounts.filter_map(|(name, value)| Some((name.clone(), Amount::of(value)?))).collect()
}

/// What a pod asks for altogether: its containers at once, or the largest that begins it.
pub(super) fn pod_total(pod: &Object, field: &str) -> Amounts {
    let of = |list: &str| {
        let list = at(pod, &["spec", list]).and_then(Value::as_array);
        list.into_iter().flatten().map(|container| asked(container.get("resources"), field))
    };
    let mut total = Amounts::new();
    for (name, amount) in of("containers").flatten() {
        let sum = total.get(&name).map_or(amount, |sum| sum.plus(amount));
        total.insert(name, sum);
    }
    for (name, amount) in of("initContainers").flatten() {
        if total.get(&name).is_none_or(|sum| amount.exceeds(*sum)) {
            total.insert(name, amount);
        }
    }
    let overhead = at(pod, &["spec", "overhead"]).and_then(Value::as_object);
    for (name, amount) in overhead.into_iter().flatten() {
        if let (Some(sum), Some(amount)) = (total.get_mut(name), Amount::of(amount)) {
            *sum = sum.plus(amount);
        }
    }
    total
}

fn all(item: &Value, kind: &str, request: &Amounts, limit: &Amounts) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, least) in amounts(item, "min") {
        wrong.extend(minimum(kind, name, least, request, Some(limit)));
    }
    for (name, most) in amounts(item, "max") {
        wrong.extend(maximum(kind, name, most, request, limit));
    }
    wrong
}

fn minimum(
    kind: &str,
    name: &str,
    least: &Value,
    request: &Amounts,
    limit: Option<&Amounts>,
) -> Option<String> {
    let least = Amount::of(least)?;
    let begin = format!("minimum {name} usage per {kind} is {least}");
    let Some(asked) = request.get(name) else {
        return Some(format!("{begin}.  No request is specified"));
    };
    if least.exceeds(*asked) {
        return Some(format!("{begin}, but request is {asked}"));
    }
    let limit = limit?.get(name).filter(|limit| least.exceeds(**limit))?;
    Some(format!("{begin}, but limit is {limit}"))
}

fn maximum(
    kind: &str,
    name: &str,
    most: &Value,
    request: &Amounts,
    limit: &Amounts,
) -> Option<String> {
    let most = Amount::of(most)?;
    let begin = format!("maximum {name} usage per {kind} is {most}");
    let Some(allowed) = limit.get(name) else {
        return Some(format!("{begin}.  No limit is specified"));
    };
    if allowed.exceeds(most) {
        return Some(format!("{begin}, but limit is {allowed}"));
    }
    let asked = request.get(name).filter(|asked| asked.exceeds(most))?;
    Some(format!("{begin}, but request is {asked}"))
}

fn maximum_request(kind: &str, name: &str, most: &Value, request: &Amounts) -> Option<String> {
    let most = Amount::of(most)?;
    let begin = format!("maximum {name} usage per {kind} is {most}");
    let Some(asked) = request.get(name) else {
        return Some(format!("{begin}.  No request is specified"));
    };
    asked.exceeds(most).then(|| format!("{begin}, but request is {asked}"))
}
