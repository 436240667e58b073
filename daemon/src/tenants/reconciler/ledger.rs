//! What the leader remembers of the tenants' rows: the last wish that it read, and
//! whether the cluster had all of it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use streamspace_core::{ids::TenantUid, plan::Plan};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{kube::index::Digest, platform::Features, tenants::TenantRecord};

/// The ledger. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Ledger {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    known: HashMap<TenantUid, Known>,
    by_namespace: HashMap<Box<str>, TenantUid>,
    /// One copy of each version of a plan, for all its tenants.
    plans: HashMap<(String, i32), Arc<Plan>>,
    strays: BTreeMap<Box<str>, Stray>,
    strays_changed: bool,
}

struct Known {
    record: Arc<TenantRecord>,
    /// The sum of the wish of which the cluster had all.
    settled: Option<Digest>,
    /// Since when the cluster is waited for to count against the quota.
    waiting: Option<Instant>,
    /// How many changes by others the log told of.
    told: u64,
}

/// The labels of a managed namespace that no row wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stray {
    pub tenant: String,
    pub uid: String,
}

/// The sum of all that decides what a tenant should be in the cluster, and whether it
/// is written. Each change of the wish raises the generation.
pub(super) fn sum(
    generation: i64,
    state: &str,
    plan_version: i32,
    paused: bool,
    features: Features,
) -> Digest {
    Digest::of(&(generation, state, plan_version, paused, features))
}

/// [`sum`] of a record.
pub(super) fn sum_of(record: &TenantRecord, features: Features) -> Digest {
    let paused = record.is_paused(Timestamp::now());
    sum(record.generation, record.state.as_str(), record.plan_version, paused, features)
}

impl Ledger {
    /// Remembers a row. Whether the cluster had all of it stays as it was: the sum
    /// tells whether that was of another wish.
    pub(super) fn put(&self, mut record: TenantRecord) -> Arc<TenantRecord> {
        let mut state = self.lock();
        let key = (record.plan.id.as_str().to_owned(), record.plan.version);
        record.plan = Arc::clone(state.plans.entry(key).or_insert(record.plan));
        let record = Arc::new(record);
        state.by_namespace.insert(record.namespace.as_str().into(), record.uid);
        let known = state.known.entry(record.uid).or_insert_with(|| Known {
            record: Arc::clone(&record),
            settled: None,
            waiting: None,
            told: 0,
        });
        known.record = Arc::clone(&record);
        if state.strays.remove(record.namespace.as_str()).is_some() {
            state.strays_changed = true;
        }
        record
    }

    /// Forgets a tenant that is gone.
    pub(super) fn forget(&self, uid: TenantUid) {
        let mut state = self.lock();
        if let Some(known) = state.known.remove(&uid) {
            let namespace = known.record.namespace.as_str();
            // A new tenant may have the name by now.
            if state.by_namespace.get(namespace) == Some(&uid) {
                state.by_namespace.remove(namespace);
            }
        }
    }

    /// The tenant whose namespace this is.
    pub(super) fn of_namespace(&self, namespace: &str) -> Option<Arc<TenantRecord>> {
        let state = self.lock();
        let uid = state.by_namespace.get(namespace)?;
        state.known.get(uid).map(|known| Arc::clone(&known.record))
    }

    /// When the row of a tenant was last written, as far as it is known.
    pub(super) fn update_time(&self, uid: TenantUid) -> Option<Timestamp> {
        self.lock().known.get(&uid).map(|known| known.record.update_time)
    }

    /// Every tenant.
    pub(super) fn records(&self) -> Vec<Arc<TenantRecord>> {
        self.lock().known.values().map(|known| Arc::clone(&known.record)).collect()
    }

    /// Notes that the cluster has all of the wish with this sum.
    pub(super) fn settle(&self, uid: TenantUid, sum: Digest) {
        if let Some(known) = self.lock().known.get_mut(&uid) {
            known.settled = Some(sum);
            known.waiting = None;
        }
    }

    /// Notes a change of the row that somebody else made.
    pub(super) fn tell(&self, uid: TenantUid) {
        if let Some(known) = self.lock().known.get_mut(&uid) {
            known.settled = None;
            known.told = known.told.wrapping_add(1);
        }
    }

    /// Another number than before once a change by somebody else was noted.
    pub(super) fn told(&self, uid: TenantUid) -> u64 {
        self.lock().known.get(&uid).map_or(0, |known| known.told)
    }

    /// Notes that the cluster may not have all of the wish.
    pub(super) fn unsettle(&self, uid: TenantUid) {
        if let Some(known) = self.lock().known.get_mut(&uid) {
            known.settled = None;
        }
    }

    /// Whether the cluster had all of the wish with this sum.
    pub(super) fn is_settled(&self, uid: TenantUid, sum: Digest) -> bool {
        self.lock().known.get(&uid).is_some_and(|known| known.settled == Some(sum))
    }

    /// The tenants that are not settled, whatever the wish.
    pub(super) fn unsettled(&self) -> Vec<TenantUid> {
        let state = self.lock();
        let open = state.known.iter().filter(|(_, known)| known.settled.is_none());
        open.map(|(uid, _)| *uid).collect()
    }

    /// Since when the cluster is waited for to count against the quota of a tenant;
    /// from now on if it was not.
    pub(super) fn waiting_since(&self, uid: TenantUid) -> Instant {
        let now = Instant::now();
        self.lock().known.get_mut(&uid).map_or(now, |known| *known.waiting.get_or_insert(now))
    }

    /// Notes a managed namespace that was seen, and whether any row wishes it.
    pub(super) fn saw_namespace(&self, namespace: &str, tenant: &str, uid: &str) {
        let mut state = self.lock();
        let wished = match Uuid::try_parse(uid) {
            Ok(uid) => state.known.contains_key(&TenantUid(uid)),
            // A hand garbled the label of a tenant's namespace.
            Err(_) => state.by_namespace.contains_key(namespace),
        };
        let stray = (!wished).then(|| Stray { tenant: tenant.to_owned(), uid: uid.to_owned() });
        let changed = match stray {
            Some(stray) => state.strays.insert(namespace.into(), stray.clone()) != Some(stray),
            None => state.strays.remove(namespace).is_some(),
        };
        state.strays_changed |= changed;
    }

    /// Notes that a managed namespace is gone.
    pub(super) fn lost_namespace(&self, namespace: &str) {
        let mut state = self.lock();
        if state.strays.remove(namespace).is_some() {
            state.strays_changed = true;
        }
    }

    /// The managed namespaces that no row wishes, if they are others than last time.
    pub(super) fn changed_strays(&self) -> Option<BTreeMap<Box<str>, Stray>> {
        let mut state = self.lock();
        std::mem::take(&mut state.strays_changed).then(|| state.strays.clone())
    }

    /// Has the strays told again, also where they are the same.
    pub(super) fn tell_strays(&self) {
        self.lock().strays_changed = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the state whole, also when it unwinds.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::store::testing::a_tenant;

    #[test]
    fn settled_means_settled_with_this_wish() {
        let ledger = Ledger::default();
        let tenant = a_tenant();
        let now = sum_of(&tenant, Features::default());
        ledger.put(tenant.clone());
        assert!(!ledger.is_settled(tenant.uid, now));
        assert_eq!(ledger.unsettled(), [tenant.uid]);
        ledger.settle(tenant.uid, now);
        assert!(ledger.is_settled(tenant.uid, now));
        let later = TenantRecord { generation: 2, ..tenant.clone() };
        assert!(!ledger.is_settled(tenant.uid, sum_of(&later, Features::default())));
        let more = Features { sessions_counted: true, ..Features::default() };
        assert!(!ledger.is_settled(tenant.uid, sum_of(&tenant, more)));
        ledger.put(later);
        assert!(ledger.is_settled(tenant.uid, now), "reading is not a change");
        ledger.unsettle(tenant.uid);
        assert!(!ledger.is_settled(tenant.uid, now));
    }

    #[test]
    fn a_change_by_somebody_else_is_told_and_a_read_is_none() {
        let ledger = Ledger::default();
        let tenant = a_tenant();
        let now = sum_of(&tenant, Features::default());
        ledger.put(tenant.clone());
        ledger.settle(tenant.uid, now);
        let before = ledger.told(tenant.uid);
        ledger.put(tenant.clone());
        ledger.unsettle(tenant.uid);
        assert_eq!(ledger.told(tenant.uid), before, "a drift is no change of the row");
        ledger.settle(tenant.uid, now);
        ledger.tell(tenant.uid);
        assert_ne!(ledger.told(tenant.uid), before);
        assert!(!ledger.is_settled(tenant.uid, now));
    }

    #[test]
    fn a_name_that_was_given_anew_is_not_forgotten_with_the_old_tenant() {
        let ledger = Ledger::default();
        let old = a_tenant();
        let new = TenantRecord { uid: TenantUid(Uuid::now_v7()), ..a_tenant() };
        ledger.put(old.clone());
        ledger.put(new.clone());
        ledger.forget(old.uid);
        assert_eq!(ledger.of_namespace(&new.namespace).unwrap().uid, new.uid);
        assert_eq!(ledger.records().len(), 1);
    }

    #[test]
    fn a_namespace_without_a_row_is_a_stray_until_a_row_wishes_it() {
        let ledger = Ledger::default();
        assert_eq!(ledger.changed_strays(), None);
        let tenant = a_tenant();
        let uid = tenant.uid.0.to_string();
        ledger.saw_namespace(&tenant.namespace, "acme-corp", &uid);
        let strays = ledger.changed_strays().unwrap();
        assert_eq!(
            strays[tenant.namespace.as_str()],
            Stray { tenant: "acme-corp".into(), uid: uid.clone() }
        );
        ledger.saw_namespace(&tenant.namespace, "acme-corp", &uid);
        assert_eq!(ledger.changed_strays(), None, "told once");
        ledger.put(tenant.clone());
        assert!(ledger.changed_strays().unwrap().is_empty());
        ledger.saw_namespace(&tenant.namespace, "acme-corp", "garbled");
        assert_eq!(ledger.changed_strays(), None, "it is the tenant's, and drifted");
        ledger.saw_namespace(&tenant.namespace, "acme-corp", &Uuid::nil().to_string());
        assert_eq!(
            ledger.changed_strays().unwrap().len(),
            1,
            "another tenant's, and that one is not there"
        );
        ledger.lost_namespace(&tenant.namespace);
        assert!(ledger.changed_strays().unwrap().is_empty());
    }
}
