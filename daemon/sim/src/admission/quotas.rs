//! Quotas: what an object uses of them, and what is refused because of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Act, Operation, limits};
use crate::{
    kinds::{Resource, View},
    quantity::Amount,
    schema::{Object, at},
    status::Failure,
    store::Store,
};

/// Amounts by the names that quotas have for them.
pub(crate) type Amounts = BTreeMap<String, Amount>;

/// What a quota has containers say of themselves.
const MUST_BE_SAID: [&str; 6] =
    ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
/// Kinds that quotas count by their plural alone, too.
const COUNTED: [&str; 8] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "storage",
];

/// What an object uses of quotas.
pub(crate) fn usage(resource: &Resource, object: &Object) -> Amounts {
    let one = Amount::whole(1);
    let mut used = Amounts::from([(format!("count/{}", resource.qualified_plural()), one)]);
    if resource.group.is_empty()
        && COUNTED.contains(&&*resource.plural)
        && resource.plural != "pods"
    {
        used.insert(resource.plural.clone(), one);
    }
    if resource.is("", "pods") {
        pod(object, &mut used);
    } else if resource.is("", "services") {
        service(object, &mut used);
    } else if resource.is("", "persistentvolumeclaims") {
        claim(object, &mut used);
    }
    used
}

/// A pod that has ended uses nothing but its object.
fn pod(object: &Object, used: &mut Amounts) {
    let phase = at(object, &["status", "phase"]).and_then(Value::as_str);
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return;
    }
    used.insert("pods".to_owned(), Amount::whole(1));
    for (field, short) in [("requests", true), ("limits", false)] {
        for (name, amount) in limits::pod_total(object, field) {
            used.insert(format!("{field}.{name}"), amount);
            if short {
                used.insert(name, amount);
            }
        }
    }
}

fn service(object: &Object, used: &mut Amounts) {
    let kind = at(object, &["spec", "type"]).and_then(Value::as_str).unwrap_or_default();
    let ports = at(object, &["spec", "ports"]).and_then(Value::as_array).map_or(0, Vec::len);
    let balances = kind == "LoadBalancer";
    let has_ports =
        at(object, &["spec", "allocateLoadBalancerNodePorts"]) != Some(&Value::Bool(false));
    let node_ports = match kind {
        "NodePort" => ports,
        "LoadBalancer" if has_ports => ports,
        _ => 0,
    };
    used.insert("services.nodeports".to_owned(), Amount::whole(node_ports));
    used.insert("services.loadbalancers".to_owned(), Amount::whole(usize::from(balances)));
}

fn claim(object: &Object, used: &mut Amounts) {
    let resources = at(object, &["spec", "resources"]);
    let storage = limits::asked(resources, "requests").get("storage").copied();
    let class = at(object, &["spec", "storageClassName"]).and_then(Value::as_str);
    let class = class.filter(|class| !class.is_empty());
    if let Some(storage) = storage {
        used.insert("requests.storage".to_owned(), storage);
    }
    if let Some(class) = class {
        let of = |what: &str| format!("{class}.storageclass.storage.k8s.io/{what}");
        used.insert(of("persistentvolumeclaims"), Amount::whole(1));
        if let Some(storage) = storage {
            used.insert(of("requests.storage"), storage);
        }
    }
}

/// Refuses what would exceed a quota.
pub(super) fn check(store: &Store, act: &Act<'_>) -> Result<(), Failure> {
    let Some(object) = act.object else {
        return Ok(());
    };
    let resource = &act.place.resource;
    if !resource.namespaced || act.view != View::Whole {
        return Ok(());
    }
    // But for a few kinds nothing is used by a change.
    let changes = ["pods", "services", "persistentvolumeclaims"];
    let by_change = resource.group.is_empty() && changes.contains(&&*resource.plural);
    if act.operation != Operation::Create && !by_change {
        return Ok(());
    }
    let quotas = store.all(&format!("resourcequotas/{}/", act.place.namespace));
    if quotas.is_empty() {
        return Ok(());
    }
    let wanted = usage(resource, object);
    let before = act.old.map(|old| usage(resource, old)).unwrap_or_default();
    for quota in quotas {
        one(act, object, &quota.name, &quota.object(), &wanted, &before)?;
    }
    Ok(())
}

fn one(
    act: &Act<'_>,
    object: &Object,
    name: &str,
    quota: &Object,
    wanted: &Amounts,
    before: &Amounts,
) -> Result<(), Failure> {
    let field = |name: &str| {
        let map = at(quota, &["status", name]).and_then(Value::as_object).into_iter().flatten();
        map.filter_map(|(name, value)| Some((name.clone(), Amount::of(value)?)))
            .collect::<Amounts>()
    };
    let (hard, used) = (field("hard"), field("used"));
    let concerned: Vec<&String> =
        hard.keys().filter(|key| is_concerned(&act.place.resource, key, wanted)).collect();
    if concerned.is_empty() {
        return Ok(());
    }
    if act.is_of("", "pods")
        && let Some(missing) = unsaid(object, &concerned)
    {
        return Err(act.forbidden(&format!("failed quota: {name}: must specify {missing}")));
    }
    if !concerned.iter().all(|key| used.contains_key(*key)) {
        let names: Vec<&str> = concerned.iter().map(|key| key.as_str()).collect();
        let why = format!("status unknown for quota: {name}, resources: {}", names.join(","));
        return Err(act.forbidden(&why));
    }
    let mut exceeded = Vec::new();
    for key in concerned {
        let nothing = Amount::ZERO;
        let wanted = wanted.get(key).copied().unwrap_or(nothing);
        let more = wanted.over(before.get(key).copied().unwrap_or(nothing));
        let (hard, used) = (hard.get(key).copied(), used.get(key).copied().unwrap_or(nothing));
        if let Some(hard) = hard.filter(|hard| !more.is_zero() && used.plus(more).exceeds(*hard)) {
            exceeded.push((key, more, used, hard));
        }
    }
    if exceeded.is_empty() {
        return Ok(());
    }
    let tell = |which: fn(&(&String, Amount, Amount, Amount)) -> Amount| {
        let parts = exceeded.iter().map(|it| format!("{}={}", it.0, which(it)));
        parts.collect::<Vec<_>>().join(",")
    };
    Err(act.forbidden(&format!(
        "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
        tell(|it| it.1),
        tell(|it| it.2),
        tell(|it| it.3)
    )))
}

/// Whether a quota's entry is about this kind.
fn is_concerned(resource: &Resource, key: &str, wanted: &Amounts) -> bool {
    let computes = || {
        ["cpu", "memory", "ephemeral-storage"].contains(&key)
            || ["requests.", "limits."].iter().any(|it| key.starts_with(it))
                && key != "requests.storage"
    };
    wanted.contains_key(key) || (resource.is("", "pods") && computes())
}

/// What containers must say and do not, in the API server's words.
fn unsaid(pod: &Object, concerned: &[&String]) -> Option<String> {
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for container in limits::containers(pod) {
        let resources = container.get("resources");
        let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
        for key in concerned.iter().filter(|key| MUST_BE_SAID.contains(&key.as_str())) {
            let (field, what) = key.split_once('.').unwrap_or(("requests", key));
            let is_said = resources.and_then(|it| it.get(field)?.get(what)).is_some();
            if !is_said {
                missing.entry(key).or_default().insert(name);
            }
        }
    }
    if missing.is_empty() {
        return None;
    }
    let parts = missing.iter().map(|(key, names)| {
        format!("{key} for: {}", names.iter().copied().collect::<Vec<_>>().join(","))
    });
    Some(parts.collect::<Vec<_>>().join("; "))
}
