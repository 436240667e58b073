//! What puts sessions and templates into the queue: the watches.

use std::{pin::pin, sync::Arc};

use futures::{Stream, StreamExt};
use kube::{
    Api,
    core::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{WatchStreamExt, watcher},
};

use super::{
    Term, Work,
    cache::{Key, Watched},
    kept::{KeptSession, Which},
    read,
};
use crate::sessions::{manifests::SESSION_LABEL, object::HOME_LABEL};

/// How many objects a page of a list brings. Each takes some 50 KiB while it is read.
const PAGE: u32 = 100;

pub(super) fn session_resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("stream.space", "v1alpha1", "Session");
    ApiResource::from_gvk_with_plural(&kind, "sessions")
}

pub(super) fn template_resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("stream.space", "v1alpha1", "Template");
    ApiResource::from_gvk_with_plural(&kind, "templates")
}

pub(super) fn claim_resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("", "v1", "PersistentVolumeClaim");
    ApiResource::from_gvk_with_plural(&kind, "persistentvolumeclaims")
}

fn pod_resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Pod"), "pods")
}

impl Term {
    pub(super) async fn follow(self: Arc<Self>, watched: Watched) {
        let mut events = pin!(self.events_of(watched));
        let mut broken = false;
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    if !std::mem::replace(&mut broken, true) {
                        tracing::warn!(?watched, %error, "a watch of sessions broke; it is made anew");
                    }
                    continue;
                }
            };
            match event {
                watcher::Event::Init => self.cache.begin(watched),
                watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                    self.saw(watched, &object);
                }
                watcher::Event::Delete(object) => self.lost(watched, &object),
                watcher::Event::InitDone => {
                    for key in self.cache.end(watched) {
                        self.look_for(watched, &key);
                    }
                }
            }
            // Only what the API server really sent tells that it is back.
            broken = false;
        }
    }

    fn events_of(
        &self,
        watched: Watched,
    ) -> impl Stream<Item = watcher::Result<watcher::Event<DynamicObject>>> + Send + use<> {
        let ours = self.selector();
        let (resource, labels) = match watched {
            Watched::Sessions => (session_resource(), None),
            Watched::Templates => (template_resource(), None),
            Watched::Children(kind) => {
                (kind.api_resource(), Some(format!("{ours},{SESSION_LABEL}")))
            }
            Watched::Pods => (pod_resource(), Some(format!("{ours},{SESSION_LABEL}"))),
            Watched::Homes => (claim_resource(), Some(format!("{ours},{HOME_LABEL}"))),
        };
        let mut config = watcher::Config::default().page_size(PAGE);
        if let Some(labels) = labels {
            config = config.labels(&labels);
        }
        let api = Api::<DynamicObject>::all_with(self.cluster.client().clone(), &resource);
        watcher(api, config).default_backoff()
    }

    /// Notes what an object is like, and has its session looked at where that is news.
    pub(super) fn saw(&self, watched: Watched, object: &DynamicObject) {
        let Some((key, name, version)) = place(watched, object) else { return };
        let is_news = match watched {
            Watched::Sessions => {
                let session = read::session(object, &self.reporters);
                let session = KeptSession::new(object, session);
                self.cache.saw_session(key.clone(), version, session)
            }
            Watched::Templates => {
                self.cache.saw_template(key.clone(), version, read::template(object))
            }
            Watched::Homes => {
                let at = Key::new(&key.namespace, name);
                self.cache.saw_home(at, version, read::home(object))
            }
            Watched::Pods => self.cache.saw_pod(key.clone(), version, read::pod(object)),
            Watched::Children(kind) => {
                let mut child = read::child(kind, object);
                self.recognise(&key, &mut child);
                return self.saw_child(&key, object, child);
            }
        };
        if is_news {
            self.look_for(watched, &key);
        }
    }

    /// The same of what was made of a session, and what is known of that already.
    pub(super) fn saw_child(&self, session: &Key, object: &DynamicObject, child: read::Child) {
        let version = object.metadata.resource_version.as_deref().unwrap_or_default();
        let kind = child.kind;
        if self.cache.saw_child(session.clone(), version, child) {
            self.look_for(Watched::Children(kind), session);
        }
    }

    fn lost(&self, watched: Watched, object: &DynamicObject) {
        let Some((key, name, version)) = place(watched, object) else { return };
        let at = if watched == Watched::Homes { Key::new(&key.namespace, name) } else { key };
        if self.cache.lost(watched, &at, name, version) {
            self.look_for(watched, &at);
        }
    }

    /// Has those looked at whom it concerns that something of `key` changed.
    fn look_for(&self, watched: Watched, key: &Key) {
        match watched {
            Watched::Sessions | Watched::Children(_) => {
                self.queue.add(Work::Session(key.clone()));
            }
            Watched::Pods => {
                self.queue.add(Work::Session(key.clone()));
                self.look_for_neighbours(key);
            }
            Watched::Templates => {
                self.queue.add(Work::Template(key.clone()));
                let shared = *key.namespace == *self.settings.sessions.catalogue_namespace;
                let namespace = (!shared).then_some(&*key.namespace);
                for session in self.cache.sessions(namespace, Which::OfTemplate(&key.name)) {
                    self.queue.add(Work::Session(session));
                }
            }
            // A home that is gone concerns all of its user's sessions.
            Watched::Homes => {
                let owner = key.name.strip_prefix("home-").unwrap_or_default();
                for session in self.cache.sessions(Some(&key.namespace), Which::OfUser(owner)) {
                    self.queue.add(Work::Session(session));
                }
            }
        }
    }

    /// A home of one node is free for the user's other sessions once a pod is gone.
    fn look_for_neighbours(&self, key: &Key) {
        if !self.settings.sessions.home_on_one_node {
            return;
        }
        let Some(session) = self.cache.session(key) else { return };
        let user = &session.seen.written.user;
        for other in self.cache.sessions(Some(&key.namespace), Which::OfUser(user)) {
            self.queue.add(Work::Session(other));
        }
    }
}

/// Whose an object is: the key of its session, or its own. With its name and version.
fn place(watched: Watched, object: &DynamicObject) -> Option<(Key, &str, &str)> {
    let metadata = &object.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    let of = match watched {
        Watched::Pods | Watched::Children(_) => read::session_of(metadata)?,
        Watched::Sessions | Watched::Templates | Watched::Homes => name,
    };
    let version = metadata.resource_version.as_deref().unwrap_or_default();
    Some((Key::new(namespace, of), name, version))
}
