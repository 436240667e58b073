//! Reads and writes of single objects, whatever their kind.

use std::collections::{HashMap, hash_map::Entry};

use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Map, Value};

use super::manifests::Wish;
use crate::kube::{Cluster, ClusterError, FIELD_MANAGER, limited};

/// What was done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It is as wished.
    Unchanged,
    /// It was not there.
    Created,
    /// It was different.
    Changed,
}

pub(super) fn api(cluster: &Cluster, wish: &Wish) -> Api<DynamicObject> {
    match &wish.namespace {
        Some(namespace) => {
            Api::namespaced_with(cluster.client().clone(), namespace, &wish.resource)
        }
        None => Api::all_with(cluster.client().clone(), &wish.resource),
    }
}

pub(super) async fn live(
    cluster: &Cluster,
    wish: &Wish,
) -> Result<Option<DynamicObject>, ClusterError> {
    limited(api(cluster, wish).get_opt(&wish.name)).await
}

/// Server-side apply: what others added beside the wish stays.
pub(super) async fn apply(
    cluster: &Cluster,
    wish: &Wish,
    dry_run: bool,
) -> Result<DynamicObject, ClusterError> {
    let mut parameters = PatchParams::apply(FIELD_MANAGER).force();
    parameters.dry_run = dry_run;
    limited(api(cluster, wish).patch(&wish.name, &parameters, &Patch::Apply(&wish.body))).await
}

/// Applies where the live object lacks something of the wish.
pub(super) async fn keep(cluster: &Cluster, wish: &Wish) -> Result<Done, ClusterError> {
    let live = live(cluster, wish).await?;
    let done = match &live {
        None => Done::Created,
        Some(live) if covers(&wish.body, &serde_json::to_value(live).unwrap_or_default()) => {
            return Ok(Done::Unchanged);
        }
        Some(_) => Done::Changed,
    };
    apply(cluster, wish, false).await?;
    Ok(done)
}

/// Whether everything wished stands in the live object.
fn covers(wish: &Value, live: &Value) -> bool {
    match (wish, live) {
        (Value::Object(wish), Value::Object(live)) => wish
            .iter()
            .all(|(key, value)| live.get(key).is_some_and(|present| covers(value, present))),
        (Value::Array(wish), Value::Array(live)) => {
            wish.len() == live.len() && wish.iter().zip(live).all(|(wish, live)| covers(wish, live))
        }
        (wish, live) => wish == live,
    }
}

/// Keeps objects exactly as wished. What somebody adds to a fence opens it, and
/// server-side apply leaves what others added; so these objects are replaced whole.
#[derive(Debug, Default)]
pub(super) struct Exactly {
    /// What the API server made of each wish, with its own defaults.
    settled: HashMap<String, Map<String, Value>>,
}

impl Exactly {
    /// Makes the live object the wish and nothing else, apart from others' labels and
    /// annotations.
    pub(super) async fn keep(
        &mut self,
        cluster: &Cluster,
        wish: &Wish,
    ) -> Result<Done, ClusterError> {
        let Some(live) = live(cluster, wish).await? else {
            // An apply, for its authorization names the object: the daemon may make
            // those of its own name and no others.
            let made = apply(cluster, wish, false).await?;
            self.settled.insert(wish.title(), content(&made));
            return Ok(Done::Created);
        };
        let wished = replacement(wish, &live)?;
        let settled = match self.settled.entry(wish.title()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                place.insert(content(&replace(cluster, wish, &wished, true).await?))
            }
        };
        let is_settled =
            *settled == content(&live) && wished.metadata.labels == live.metadata.labels;
        if is_settled {
            return Ok(Done::Unchanged);
        }
        replace(cluster, wish, &wished, false).await?;
        Ok(Done::Changed)
    }
}

async fn replace(
    cluster: &Cluster,
    wish: &Wish,
    wished: &DynamicObject,
    dry_run: bool,
) -> Result<DynamicObject, ClusterError> {
    let parameters = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
    limited(api(cluster, wish).replace(&wish.name, &parameters, wished)).await
}

/// The wish in the place of the live object: it is refused if that changed meanwhile.
fn replacement(wish: &Wish, live: &DynamicObject) -> Result<DynamicObject, ClusterError> {
    let mut wished: DynamicObject = serde_json::from_value(wish.body.clone())
        .map_err(|error| ClusterError::Configuration(format!("{}: {error}", wish.title())))?;
    let ours = wished.metadata.labels.take().unwrap_or_default();
    let mut metadata = live.metadata.clone();
    metadata.managed_fields = None;
    metadata.labels.get_or_insert_default().extend(ours);
    wished.metadata = metadata;
    Ok(wished)
}

/// All but what the API server keeps for itself.
fn content(object: &DynamicObject) -> Map<String, Value> {
    let Value::Object(mut content) = object.data.clone() else { return Map::new() };
    content.remove("status");
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_wish_is_covered_whatever_stands_beside_it() {
        let wish = json!({"spec": {"a": 1, "list": [{"x": 1}]}});
        assert!(covers(&wish, &json!({"spec": {"a": 1, "b": 2, "list": [{"x": 1, "y": 2}]}})));
        assert!(!covers(&wish, &json!({"spec": {"a": 2, "list": [{"x": 1}]}})));
        assert!(!covers(&wish, &json!({"spec": {"a": 1, "list": []}})));
        assert!(!covers(&wish, &json!({"spec": {"list": [{"x": 1}]}})));
        assert!(!covers(&wish, &json!({"spec": {"a": 1, "list": [{"x": 1}, {"x": 2}]}})));
    }
}
