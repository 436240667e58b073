//! What puts tenants into the queue: the change log and the watches.

use std::{pin::pin, sync::Arc};

use futures::StreamExt;
use prost::Message;
use streamspace_core::{ids::TenantUid, tenant::TenantState};
use streamspace_proto::v1;

use super::{ACTOR, LOOK_AGAIN, Term};
use crate::{
    db::{ChangeKind, ChangeRow, Scope},
    kube::{
        Kind, Object, TENANT_UID_LABEL, WatchEvent, compare,
        index::{Verdict, is_counted},
        watch_kind,
    },
    rpc::time::timestamp,
    tenants::decide::Wish,
};

const CHANGE_BATCH: i64 = 500;
/// The label that names a tenant to people.
const TENANT_LABEL: &str = "control.stream.space/tenant";

/// The wishes of one kind of the tenant that was looked at last: objects come in the
/// order of their namespaces when they are listed.
#[derive(Default)]
pub(super) struct Recent {
    of: Option<(TenantUid, i64, Kind)>,
    wishes: Vec<Wish>,
}

impl Term {
    pub(super) async fn follow_changes(self: Arc<Self>, mut after: i64) {
        let mut latest = self.changes.latest();
        loop {
            latest.mark_unchanged();
            match self.changes.read(&Scope::Region, after, CHANGE_BATCH).await {
                Ok(rows) => {
                    let full = i64::try_from(rows.len()).unwrap_or(0) >= CHANGE_BATCH;
                    for row in rows {
                        after = row.revision;
                        if row.kind == ChangeKind::Tenant
                            && let Some(tenant) = row.tenant_uid
                            && !self.is_own_note(&row, tenant)
                        {
                            self.ledger.tell(tenant);
                            self.queue.add(tenant);
                        }
                    }
                    if full {
                        continue;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the change log cannot be read; trying again");
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
            }
            if latest.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Whether a worker of this term wrote the change when it noted what it saw: it knows
    /// that already.
    fn is_own_note(&self, row: &ChangeRow, uid: TenantUid) -> bool {
        if row.actor != ACTOR {
            return false;
        }
        let time = match v1::Resource::decode(row.resource.as_slice()).map(|it| it.resource) {
            Ok(Some(v1::resource::Resource::Tenant(tenant))) => tenant.update_time,
            _ => return false,
        };
        let known = self.ledger.update_time(uid);
        known.is_some_and(|known| timestamp(known) == time)
    }

    pub(super) async fn follow_kind(self: Arc<Self>, kind: Kind) {
        let mut events = pin!(watch_kind(&self.cluster, kind, &self.selector()));
        let mut recent = Recent::default();
        let mut broken = false;
        while let Some(event) = events.next().await {
            if let WatchEvent::Broken(error) = event {
                if !std::mem::replace(&mut broken, true) {
                    tracing::warn!(%kind, error, "a watch of the cluster broke; it is made anew");
                }
                continue;
            }
            match event {
                WatchEvent::Begin => self.index.begin(kind),
                WatchEvent::Listed(object) | WatchEvent::Applied(object) => {
                    self.saw(kind, &object, &mut recent);
                }
                WatchEvent::Deleted(object) => {
                    if kind == Kind::Namespace {
                        self.ledger.lost_namespace(object.namespace(kind));
                    }
                    if self.index.remove(kind, &object) {
                        self.look_at(kind, object.namespace(kind));
                    }
                }
                WatchEvent::Synced => {
                    for namespace in self.index.end(kind) {
                        if kind == Kind::Namespace {
                            self.ledger.lost_namespace(&namespace);
                        }
                        self.look_at(kind, &namespace);
                    }
                }
                WatchEvent::Broken(_) => {}
            }
            // Only what the API server really sent tells that it is back.
            broken = false;
        }
    }

    /// Notes what an object is like, and has its tenant looked at where that is not as
    /// wished.
    pub(super) fn saw(&self, kind: Kind, object: &Object, recent: &mut Recent) {
        if kind == Kind::Namespace && object.name() != self.control_namespace() {
            let label = |key: &str| object.label(key).unwrap_or_default();
            let (tenant, uid) = (label(TENANT_LABEL), label(TENANT_UID_LABEL));
            self.ledger.saw_namespace(object.name(), tenant, uid);
        }
        if !self.index.is_news(kind, object) {
            return;
        }
        let namespace = object.namespace(kind);
        if let Some(fault) = &object.fault {
            let name = object.name();
            tracing::warn!(%kind, namespace, name, fault, "an object cannot be read whole");
        }
        let verdict = self.judge(kind, object, recent);
        let counted = kind == Kind::ResourceQuota && is_counted(object);
        if self.index.note(kind, object, verdict, counted) {
            self.look_at(kind, namespace);
        }
    }

    fn judge(&self, kind: Kind, object: &Object, recent: &mut Recent) -> Verdict {
        let Some(tenant) = self.ledger.of_namespace(object.namespace(kind)) else {
            return Verdict::Unwished;
        };
        if !tenant.state.wants_objects() {
            return Verdict::Unwished;
        }
        let key = Some((tenant.uid, tenant.generation, kind));
        if recent.of != key {
            recent.wishes = self.wishes.of_kind(&tenant, self.features, kind);
            recent.of = key;
        }
        let mut wishes = recent.wishes.iter();
        match wishes.find(|wish| wish.kind == kind && wish.name == object.name()) {
            Some(wish) => verdict(wish, object),
            None => Verdict::Unwished,
        }
    }

    fn look_at(&self, kind: Kind, namespace: &str) {
        let Some(tenant) = self.ledger.of_namespace(namespace) else { return };
        // What lives in a namespace that is deleted goes with it.
        if tenant.state == TenantState::Purging && kind != Kind::Namespace {
            return;
        }
        self.ledger.unsettle(tenant.uid);
        self.queue.add(tenant.uid);
    }
}

/// Whether a live object is as wished.
pub(super) fn verdict(wish: &Wish, live: &Object) -> Verdict {
    if let Some(fault) = &live.fault {
        return Verdict::Drifted(format!("cannot be read whole: {fault}").into());
    }
    let difference = compare(wish.kind, live, &wish.value);
    if difference.is_none() {
        Verdict::Matched(wish.digest)
    } else {
        Verdict::Drifted(difference.to_string().into())
    }
}
