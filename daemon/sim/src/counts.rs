//! Requests received, by verb.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// One object is read.
    Get,
    /// A collection is read.
    List,
    /// A collection is watched.
    Watch,
    /// An object is made by POST.
    Create,
    /// An object is replaced by PUT.
    Update,
    /// An object is patched or applied.
    Patch,
    /// An object is deleted.
    Delete,
    /// All objects of a kind in a namespace, or those that are selected, are deleted.
    DeleteCollection,
}

/// Requests received, by verb.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    verbs: [(AtomicU64, AtomicU64); 8],
}

impl Counts {
    fn slot(&self, verb: Verb) -> &(AtomicU64, AtomicU64) {
        let [get, list, watch, create, update, patch, delete, delete_collection] = &self.verbs;
        match verb {
            Verb::Get => get,
            Verb::List => list,
            Verb::Watch => watch,
            Verb::Create => create,
            Verb::Update => update,
            Verb::Patch => patch,
            Verb::Delete => delete,
            Verb::DeleteCollection => delete_collection,
        }
    }

    pub(crate) fn add(&self, verb: Verb, dry_run: bool) {
        let (all, dry) = self.slot(verb);
        all.fetch_add(1, Ordering::Relaxed);
        if dry_run {
            dry.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn of(&self, verb: Verb) -> u64 {
        self.slot(verb).0.load(Ordering::Relaxed)
    }

    pub(crate) fn writes(&self) -> u64 {
        [Verb::Create, Verb::Update, Verb::Patch, Verb::Delete, Verb::DeleteCollection]
            .into_iter()
            .map(|verb| self.slot(verb))
            .map(|(all, dry)| {
                all.load(Ordering::Relaxed).saturating_sub(dry.load(Ordering::Relaxed))
            })
            .sum()
    }
}
