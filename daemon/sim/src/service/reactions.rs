//! What follows a write after a while, as the cluster's controllers do it.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::Service;
use crate::{
    collector, controllers,
    kinds::EXTENSIONS,
    namespaces,
    objects::Place,
    schema::{Object, metadata_text},
};

/// How long the controllers take to see a change.
const REACTION: Duration = Duration::from_millis(20);

impl Service {
    /// Ends a terminating namespace after a while, as the namespace controller does.
    pub(super) fn terminate(&self, object: &Object) {
        let service = self.clone();
        let (name, uid) =
            (metadata_text(object, "name").to_owned(), metadata_text(object, "uid").to_owned());
        tokio::spawn(async move {
            loop {
                service.faults.settle(service.termination).await;
                let (store, kinds) = (Arc::clone(&service.store), Arc::clone(&service.kinds));
                let (name, uid) = (name.clone(), uid.clone());
                match service.run(move || namespaces::end(&store, &kinds, &name, &uid)).await {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(failure) => {
                        tracing::warn!(failure = %failure.message, "a simulated namespace could not be ended");
                        return;
                    }
                }
            }
        });
    }

    /// Counts a namespace's quotas after a while; what comes meanwhile is counted too.
    pub(super) fn count_quotas(&self, namespace: &str) {
        let mut waiting = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.insert(namespace.to_owned()) {
            return;
        }
        drop(waiting);
        let (service, namespace) = (self.clone(), namespace.to_owned());
        tokio::spawn(async move {
            service.faults.settle(REACTION).await;
            service.counting.lock().unwrap_or_else(PoisonError::into_inner).remove(&namespace);
            let (store, kinds) = (Arc::clone(&service.store), Arc::clone(&service.kinds));
            let count = move || controllers::count_quotas(&store, &kinds, &namespace);
            if let Err(failure) = service.run(count).await {
                tracing::warn!(failure = %failure.message, "simulated quotas could not be counted");
            }
        });
    }

    /// Collects garbage, from now on and until the cluster is gone.
    pub(super) fn collect(&self) {
        let (store, kinds) = (Arc::downgrade(&self.store), Arc::clone(&self.kinds));
        let (faults, persistent) = (self.faults.clone(), self.store.is_persistent());
        let mut revisions = self.store.revisions();
        // What was left over when the data was opened is looked at first.
        let mut position = 0;
        revisions.mark_changed();
        tokio::spawn(async move {
            while revisions.changed().await.is_ok() {
                faults.settle(REACTION).await;
                revisions.borrow_and_update();
                let Some(store) = store.upgrade() else {
                    return;
                };
                let kinds = Arc::clone(&kinds);
                let collect = move || collector::collect(&store, &kinds, position);
                let collected = if persistent {
                    tokio::task::spawn_blocking(collect).await.ok()
                } else {
                    Some(collect())
                };
                match collected {
                    Some(Ok(reached)) => position = reached,
                    Some(Err(failure)) => {
                        tracing::warn!(failure = %failure.message, "simulated garbage could not be collected");
                    }
                    None => return,
                }
            }
        });
    }

    /// Establishes a definition after a while.
    pub(super) fn establish(&self, name: &str) {
        let (service, name) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            service.faults.settle(REACTION).await;
            let (store, kinds) = (Arc::clone(&service.store), Arc::clone(&service.kinds));
            let establish = move || controllers::establish(&store, &kinds, &name);
            if let Err(failure) = service.run(establish).await {
                tracing::warn!(failure = %failure.message, "a simulated definition could not be established");
            }
            // Quotas may count what is known only now.
            for quota in service.store.all("resourcequotas/") {
                service.count_quotas(&quota.namespace);
            }
        });
    }

    /// Lets the controllers see a write.
    pub(super) fn written(&self, place: &Place, object: &Object) {
        if place.resource.is(EXTENSIONS, "customresourcedefinitions") {
            self.establish(metadata_text(object, "name"));
        }
        let counts_here =
            || !self.store.all(&format!("resourcequotas/{}/", place.namespace)).is_empty();
        if place.resource.namespaced && counts_here() {
            self.count_quotas(&place.namespace);
        }
    }
}
