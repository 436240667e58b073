//! The garbage collector: what belongs to nobody any more goes, an owner that goes last
//! waits for what belongs to it, and claims that no pod uses are let go.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    kinds::Kinds,
    objects::{self, Deletion, FOREGROUND, Manner, ORPHAN, Place, Propagation, is_terminating},
    schema::{Object, at, edit, metadata, metadata_text},
    status::Failure,
    store::{Compacted, Decision, Store, Stored},
    validation,
};

/// Keeps a claim as long as a pod uses it.
const CLAIM: &str = "kubernetes.io/pvc-protection";

/// Whether this collector takes this finalizer away.
pub(crate) fn removes(finalizer: &str) -> bool {
    [FOREGROUND, ORPHAN, CLAIM].contains(&finalizer)
}

/// Looks after what was written since `position`, and tells how far it has looked.
pub(crate) fn collect(store: &Store, kinds: &Kinds, position: u64) -> Result<u64, Failure> {
    let mut keys = BTreeSet::new();
    let reached = match store.events_after("", position) {
        Ok((events, reached)) => {
            for event in events {
                match (&event.current, &event.previous) {
                    (Some(now), _) if now.is_held || !now.owners.is_empty() => {
                        keys.insert(event.key.clone());
                    }
                    (None, Some(gone)) => {
                        keys.extend(store.dependents(&gone.uid));
                        // An owner may wait for what is gone, a claim for its last pod.
                        keys.extend(waiting(store, &event.key, gone));
                    }
                    _ => {}
                }
            }
            reached
        }
        Err(Compacted(reached)) => {
            keys.extend(store.entangled());
            reached
        }
    };
    for key in keys {
        if let Some(object) = store.get(&key) {
            look(store, kinds, &key, &object)?;
        }
    }
    Ok(reached)
}

/// Everything that may have waited for the object that is gone.
fn waiting(store: &Store, key: &str, gone: &Stored) -> Vec<String> {
    if !gone.owners.is_empty() || key.starts_with("pods/") { store.held() } else { Vec::new() }
}

fn look(store: &Store, kinds: &Kinds, key: &str, stored: &Stored) -> Result<(), Failure> {
    let Some(place) = place(kinds, key, stored) else {
        return Ok(());
    };
    let object = stored.object();
    if stored.is_held {
        let dependents = store.dependents(&stored.uid);
        for finalizer in validation::finalizers(&object) {
            match finalizer {
                FOREGROUND => foreground(store, kinds, key, stored, &dependents)?,
                ORPHAN => {
                    for dependent in &dependents {
                        disown(store, dependent, &BTreeSet::from([&*stored.uid]))?;
                    }
                    release(store, key, ORPHAN)?;
                }
                CLAIM if !is_used(store, stored) => release(store, key, CLAIM)?,
                _ => {}
            }
        }
    }
    if stored.owners.is_empty() || is_terminating(&object) {
        return Ok(());
    }
    let owners = owners(&object);
    let (there, gone): (Vec<_>, Vec<_>) =
        owners.iter().partition(|owner| is_there(store, kinds, owner, &stored.namespace));
    if there.is_empty() {
        let deletion =
            Deletion { propagation: Some(Propagation::Background), ..Deletion::default() };
        forgiving(objects::delete(store, &place, &stored.name, &deletion, &Manner::controller()))?;
    } else if !gone.is_empty() {
        disown(store, key, &gone.iter().map(|owner| owner.uid).collect())?;
    }
    Ok(())
}

/// Deletes what belongs to an owner that goes last, and then lets it go.
fn foreground(
    store: &Store,
    kinds: &Kinds,
    key: &str,
    owner: &Stored,
    dependents: &[String],
) -> Result<(), Failure> {
    let mut blocks = false;
    for dependent in dependents {
        let Some(stored) = store.get(dependent) else {
            continue;
        };
        let object = stored.object();
        blocks |= owners(&object).iter().any(|it| it.uid == &*owner.uid && it.blocks);
        if let Some(place) = place(kinds, dependent, &stored)
            && !is_terminating(&object)
        {
            let deletion =
                Deletion { propagation: Some(Propagation::Foreground), ..Deletion::default() };
            let manner = Manner::controller();
            forgiving(objects::delete(store, &place, &stored.name, &deletion, &manner))?;
        }
    }
    if blocks { Ok(()) } else { release(store, key, FOREGROUND) }
}

/// What another writer was faster at is done.
fn forgiving<R>(result: Result<R, Failure>) -> Result<(), Failure> {
    match result {
        Err(failure) if failure.code != http::StatusCode::NOT_FOUND => Err(failure),
        _ => Ok(()),
    }
}

/// The kind whose folder begins the key, and where the object is.
fn place(kinds: &Kinds, key: &str, stored: &Stored) -> Option<Place> {
    let folder = key.split('/').next()?;
    let resource = kinds.all().into_iter().find(|kind| kind.is_kept_in(folder))?;
    Some(Place { resource, namespace: stored.namespace.to_string() })
}

struct Owner<'a> {
    group: &'a str,
    version: &'a str,
    kind: &'a str,
    name: &'a str,
    uid: &'a str,
    blocks: bool,
}

fn owners(object: &Object) -> Vec<Owner<'_>> {
    let list = metadata(object)
        .and_then(|metadata| metadata.get("ownerReferences"))
        .and_then(Value::as_array);
    list.into_iter().flatten().map(owner).collect()
}

fn owner(value: &Value) -> Owner<'_> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let version = text("apiVersion");
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    Owner {
        group,
        version,
        kind: text("kind"),
        name: text("name"),
        uid: text("uid"),
        blocks: value.get("blockOwnerDeletion") == Some(&Value::Bool(true)),
    }
}

/// Whether the owner exists: of a kind that is not known nobody can tell, so it does.
fn is_there(store: &Store, kinds: &Kinds, owner: &Owner<'_>, namespace: &str) -> bool {
    let all = kinds.all();
    let known = all.iter().find(|kind| {
        kind.group == owner.group && kind.version == owner.version && kind.kind == owner.kind
    });
    let Some(kind) = known else {
        return true;
    };
    let namespace = if kind.namespaced { namespace } else { "" };
    let found = store.get(&kind.key(namespace, owner.name));
    found.is_some_and(|found| &*found.uid == owner.uid)
}

fn is_used(store: &Store, claim: &Stored) -> bool {
    store.all(&format!("pods/{}/", claim.namespace)).iter().any(|pod| {
        let pod = pod.object();
        let phase = at(&pod, &["status", "phase"]).and_then(Value::as_str);
        let volumes = at(&pod, &["spec", "volumes"]).and_then(Value::as_array);
        let uses = |volume: &Value| {
            let name = volume.get("persistentVolumeClaim").and_then(|it| it.get("claimName"));
            name.and_then(Value::as_str) == Some(&*claim.name)
        };
        !matches!(phase, Some("Succeeded" | "Failed")) && volumes.into_iter().flatten().any(uses)
    })
}

/// Takes owners from an object.
fn disown(store: &Store, key: &str, gone: &BTreeSet<&str>) -> Result<(), Failure> {
    change(store, key, |metadata| {
        let Some(Value::Array(owners)) = metadata.get_mut("ownerReferences") else {
            return;
        };
        let is_gone = |owner: &Value| {
            let uid = owner.get("uid").and_then(Value::as_str).unwrap_or_default();
            gone.contains(uid)
        };
        owners.retain(|owner| !is_gone(owner));
        if owners.is_empty() {
            metadata.remove("ownerReferences");
        }
    })
}

/// Takes a finalizer from an object, which goes if it was the last.
fn release(store: &Store, key: &str, finalizer: &str) -> Result<(), Failure> {
    change(store, key, |metadata| {
        let Some(Value::Array(finalizers)) = metadata.get_mut("finalizers") else {
            return;
        };
        finalizers.retain(|present| present != finalizer);
        if finalizers.is_empty() {
            metadata.remove("finalizers");
        }
    })
}

fn change(store: &Store, key: &str, edited: impl FnOnce(&mut Object)) -> Result<(), Failure> {
    store.commit(key, |live| {
        let Some(live) = live else {
            return Ok(Decision::Answer(Object::new()));
        };
        let mut object = live.clone();
        edit(&mut object, "metadata", edited);
        let is_held = validation::finalizers(&object).next().is_some();
        Ok(if object == *live {
            Decision::Answer(object)
        } else if !metadata_text(&object, "deletionTimestamp").is_empty() && !is_held {
            Decision::Remove(object)
        } else {
            Decision::Put(object)
        })
    })?;
    Ok(())
}
