//! Templates: their rows, and what sessions of them get.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use streamspace_core::session::Amounts;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use uuid::Uuid;

use super::{
    StepError, Term,
    batch::owners_of,
    follow::gather,
    shown,
    source::{News, Pages, Watched},
};
use crate::sessions::{
    object::{SeenTemplate, read_template},
    store::templates as rows,
};

/// News that wait.
const WAITING: usize = 256;
const BATCH: usize = 256;
/// How often all are listed, whatever the watch tells: a namespace may have become a
/// tenant's.
const RESYNC: Duration = Duration::from_mins(10);

/// What each template says that its sessions get, by namespace and name.
#[derive(Debug)]
pub(super) struct TemplateIndex {
    catalogue: String,
    known: Mutex<HashMap<String, HashMap<String, Option<Amounts>>>>,
    listed: watch::Sender<bool>,
}

impl TemplateIndex {
    pub(super) fn new(catalogue: &str) -> Self {
        Self {
            catalogue: catalogue.to_owned(),
            known: Mutex::default(),
            listed: watch::Sender::new(false),
        }
    }

    /// What a template says: the one of the namespace, else the catalogue's. One that is not
    /// valid says nothing, and the catalogue's is not used in its place.
    pub(super) fn of(&self, namespace: &str, name: &str) -> Option<Amounts> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let within = |namespace: &str| known.get(namespace)?.get(name).copied();
        within(namespace).or_else(|| within(&self.catalogue)).flatten()
    }

    fn note(&self, seen: &SeenTemplate, gone: bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (namespace, name) = (&seen.metadata.namespace, &seen.metadata.name);
        if gone {
            if let Some(names) = known.get_mut(namespace) {
                names.remove(name);
                if names.is_empty() {
                    known.remove(namespace);
                }
            }
        } else {
            let defaults = seen.template.as_ref().and_then(|template| template.defaults);
            known.entry(namespace.clone()).or_default().insert(name.clone(), defaults);
        }
    }

    fn clear(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Waits for the first list; whether it came.
    pub(super) async fn wait(&self, patience: Duration) -> bool {
        let mut listed = self.listed.subscribe();
        matches!(timeout(patience, listed.wait_for(|listed| *listed)).await, Ok(Ok(_)))
    }
}

impl Term {
    /// Keeps the rows of templates as the cluster has them.
    pub(super) async fn follow_templates(self: Arc<Self>) {
        loop {
            let version = persist!(self, "list templates", self.list_templates());
            self.index.listed.send_replace(true);
            self.watch_templates(version).await;
        }
    }

    async fn list_templates(&self) -> Result<u64, StepError> {
        let mut pages = Pages::of(&self.templates);
        let (mut version, mut all) = (None, Vec::new());
        while let Some(page) = pages.next().await? {
            version.get_or_insert(page.version);
            all.extend(page.objects.iter().map(|object| (read_template(object), false)));
        }
        self.index.clear();
        self.store_templates(&all).await?;
        let uids: Vec<Uuid> = all.iter().map(|(seen, _)| seen.metadata.uid).collect();
        let mut tx = self.leading().await?;
        rows::keep_only(&mut tx, &uids).await?;
        tx.commit().await?;
        Ok(version.unwrap_or_default())
    }

    async fn watch_templates(self: &Arc<Self>, version: u64) {
        let (tell, mut news) = mpsc::channel(WAITING);
        let mut tasks = JoinSet::new();
        let term = Arc::clone(self);
        tasks.spawn(async move {
            let seconds = term.settings.watch_seconds;
            term.templates.follow(Watched::Templates, version, seconds, tell).await;
        });
        let until = Instant::now() + RESYNC;
        let mut batch = Vec::new();
        loop {
            batch.clear();
            match timeout_at(until, news.recv_many(&mut batch, BATCH)).await {
                Ok(0) | Err(_) => return,
                Ok(_) => gather(&mut news, &mut batch).await,
            }
            let (mut seen, mut expired) = (Vec::new(), false);
            for (_, news) in batch.drain(..) {
                match news {
                    News::Applied(object) => seen.push((read_template(&object), false)),
                    News::Deleted(object) => seen.push((read_template(&object), true)),
                    News::Reached(_) => {}
                    News::Expired(_) => expired = true,
                }
            }
            persist!(self, "store templates", self.store_templates(&seen));
            if expired {
                return;
            }
        }
    }

    async fn store_templates(&self, all: &[(SeenTemplate, bool)]) -> Result<(), StepError> {
        for batch in all.chunks(BATCH) {
            for (seen, gone) in batch {
                self.index.note(seen, *gone);
            }
            let namespaces: Vec<&str> =
                batch.iter().map(|(seen, _)| seen.metadata.namespace.as_str()).collect();
            let mut tx = self.leading().await?;
            let owners = owners_of(&mut tx, &namespaces).await?;
            // Of one name the last.
            let mut latest = HashMap::new();
            let mut gone_uids = Vec::new();
            for (seen, gone) in batch {
                let (namespace, uid) = (seen.metadata.namespace.as_str(), seen.metadata.uid);
                let key = (namespace, seen.metadata.name.as_str());
                let owner = owners.get(namespace);
                if *gone {
                    latest.remove(&key);
                    gone_uids.push(uid);
                } else if namespace == self.index.catalogue {
                    latest.insert(key, shown::template(seen, None));
                } else if let Some(owner) = owner {
                    latest.insert(key, shown::template(seen, Some(owner)));
                }
            }
            rows::delete(&mut tx, &gone_uids).await?;
            let records: Vec<_> = latest.into_values().collect();
            rows::upsert(&mut tx, &records).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
