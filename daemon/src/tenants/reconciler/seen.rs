//! What was seen of a tenant in the cluster, and what that makes of its row. Pure.

use jiff::Timestamp;
use streamspace_core::{
    conditions::{self, Condition, ConditionStatus},
    tenant::{Event, TenantState, advance},
};

use crate::tenants::{TenantRecord, decide::Obstacle};

/// Tells of the namespace.
pub(super) const NAMESPACE_READY: &str = "NamespaceReady";
/// Tells of all that lives in it.
pub(super) const OBJECTS_APPLIED: &str = "ObjectsApplied";
/// Tells whether the cluster counts against the quota.
pub(super) const QUOTA_READY: &str = "QuotaReady";
/// There while a pause holds writes back.
pub(super) const PAUSED: &str = "Paused";
/// There while something in the cluster is not as wished and is left so.
pub(super) const DRIFTED: &str = "Drifted";

/// How many objects a sentence names.
const NAMED: usize = 5;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The namespace is there; this is how it is with the rest.
    Kept(Kept),
    /// The tenant cannot have its namespace, or it does not go.
    InTheWay(Obstacle),
    /// Nothing is left of it.
    Empty,
}

/// How it is with the objects of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// How many are wished.
    pub wished: usize,
    /// What the cluster refused, the first with its word for programs.
    pub refused: Vec<Obstacle>,
    /// Whether the cluster does not count against the quota yet.
    pub uncounted: bool,
    /// Why nothing is written, where that is so.
    pub paused: Option<String>,
    /// What is not as wished and is left so because of the pause.
    pub drift: Vec<String>,
}

impl Kept {
    /// Whether the cluster has all that is wished.
    pub(super) fn is_well(&self) -> bool {
        self.refused.is_empty() && !self.uncounted && self.drift.is_empty()
    }
}

impl Seen {
    /// The row after this was seen. Equal to `current` where it tells nothing new.
    pub(super) fn apply_to(&self, current: &TenantRecord, now: Timestamp) -> TenantRecord {
        let mut tenant = current.clone();
        let generation = current.generation;
        let mut observe = |type_: &str, status, reason: &str, message: String| {
            let observed = Condition {
                type_: type_.into(),
                status,
                reason: reason.into(),
                message,
                observed_generation: generation,
                last_transition_time: now,
            };
            conditions::set(&mut tenant.conditions, observed);
        };
        let event = match self {
            Self::Kept(kept) => {
                kept.observe(current, &mut observe);
                kept.is_well().then_some(Event::Provisioned)
            }
            Self::InTheWay(obstacle) => {
                let message = obstacle.message.clone();
                observe(NAMESPACE_READY, ConditionStatus::False, &obstacle.reason, message);
                None
            }
            Self::Empty => {
                let words = "the cluster holds nothing of this tenant".to_owned();
                observe(NAMESPACE_READY, ConditionStatus::False, "Deleted", words);
                Some(Event::ClusterEmpty)
            }
        };
        let (paused, drifted) = match self {
            Self::Kept(kept) => (kept.paused.is_some(), !kept.drift.is_empty()),
            Self::InTheWay(_) | Self::Empty => {
                // What lived in the namespace cannot be told while that is not there.
                for type_ in [OBJECTS_APPLIED, QUOTA_READY] {
                    if conditions::get(&current.conditions, type_).is_some() {
                        let words = "cannot be told while the namespace is not ready".to_owned();
                        observe(type_, ConditionStatus::Unknown, "NamespaceNotReady", words);
                    }
                }
                (false, false)
            }
        };
        tenant.conditions.retain(|condition| match condition.type_.as_str() {
            PAUSED => paused,
            DRIFTED => drifted,
            _ => true,
        });
        if let Some(Ok(state)) = event.map(|event| advance(current.state, event)) {
            if current.state == TenantState::Provisioning {
                // The permission was for the namespace that was found, and not for
                // another that somebody makes later.
                tenant.adopt = false;
            }
            tenant.state = state;
            tenant.observed_generation = generation;
        }
        if tenant != *current {
            tenant.update_time = now;
        }
        tenant
    }
}

impl Kept {
    fn observe(
        &self,
        current: &TenantRecord,
        observe: &mut impl FnMut(&str, ConditionStatus, &str, String),
    ) {
        use ConditionStatus::{False, True};
        if let Some(words) = &self.paused {
            observe(PAUSED, True, "Paused", words.clone());
        }
        if !self.drift.is_empty() {
            observe(DRIFTED, True, "LeftAlone", list(&self.drift));
            return;
        }
        let namespace = format!("namespace {} is as wished", current.namespace);
        observe(NAMESPACE_READY, True, "Applied", namespace);
        if let Some(first) = self.refused.first() {
            let words: Vec<String> =
                self.refused.iter().map(|refusal| refusal.message.clone()).collect();
            observe(OBJECTS_APPLIED, False, &first.reason, list(&words));
        } else {
            let words = format!("all {} objects are as wished", self.wished);
            observe(OBJECTS_APPLIED, True, "Applied", words);
        }
        if self.uncounted {
            let words = "the cluster does not count against every limit of the quota yet; its \
                         quota controller does that";
            observe(QUOTA_READY, False, "NotCounted", words.to_owned());
        } else {
            let words = "the cluster counts against every limit of the quota".to_owned();
            observe(QUOTA_READY, True, "Counted", words);
        }
    }
}

fn list(sentences: &[String]) -> String {
    let named: Vec<&str> = sentences.iter().take(NAMED).map(String::as_str).collect();
    let named = named.join("; ");
    match sentences.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}; and {more} more objects"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::store::testing::a_tenant;

    fn later() -> Timestamp {
        Timestamp::from_second(1000).unwrap()
    }

    fn well() -> Seen {
        Seen::Kept(Kept { wished: 10, ..Kept::default() })
    }

    fn types(tenant: &TenantRecord) -> Vec<&str> {
        tenant.conditions.iter().map(|condition| condition.type_.as_str()).collect()
    }

    #[test]
    fn what_is_seen_again_changes_nothing() {
        let tenant = well().apply_to(&a_tenant(), later());
        assert_eq!(tenant.state, TenantState::Active);
        assert_eq!(tenant.observed_generation, tenant.generation);
        assert_eq!(types(&tenant), [NAMESPACE_READY, OBJECTS_APPLIED, QUOTA_READY]);
        let again = Timestamp::from_second(2000).unwrap();
        assert_eq!(well().apply_to(&tenant, again), tenant);
    }

    #[test]
    fn a_refusal_of_the_cluster_stands_in_the_condition_in_its_own_words() {
        let words = Obstacle::new("Forbidden", "Role r: no");
        let seen =
            Seen::Kept(Kept { wished: 10, refused: vec![words.clone(); 7], ..Kept::default() });
        let tenant = seen.apply_to(&a_tenant(), later());
        assert_eq!(tenant.state, TenantState::Provisioning);
        let condition = conditions::get(&tenant.conditions, OBJECTS_APPLIED).unwrap();
        assert_eq!(condition.reason, "Forbidden");
        assert!(condition.message.ends_with("Role r: no; and 2 more objects"), "{condition:?}");
        assert_eq!(tenant.observed_generation, 0);
        let blocked = Seen::InTheWay(words).apply_to(&tenant, later());
        let of = |type_| conditions::get(&blocked.conditions, type_).unwrap();
        assert_eq!(of(NAMESPACE_READY).status, ConditionStatus::False);
        assert_eq!(of(OBJECTS_APPLIED).status, ConditionStatus::Unknown);
    }

    #[test]
    fn a_tenant_is_not_active_before_the_cluster_counts() {
        let seen = Seen::Kept(Kept { wished: 10, uncounted: true, ..Kept::default() });
        let tenant = seen.apply_to(&a_tenant(), later());
        assert_eq!(tenant.state, TenantState::Provisioning);
        assert_eq!(well().apply_to(&tenant, later()).state, TenantState::Active);
    }

    #[test]
    fn the_permission_to_adopt_ends_with_its_use() {
        let tenant = TenantRecord { adopt: true, ..a_tenant() };
        let seen = Seen::InTheWay(Obstacle::new("Forbidden", "no"));
        assert!(seen.apply_to(&tenant, later()).adopt);
        assert!(!well().apply_to(&tenant, later()).adopt);
    }

    #[test]
    fn a_pause_and_what_it_leaves_are_shown_and_go_with_it() {
        let tenant = well().apply_to(&a_tenant(), later());
        let kept = Kept {
            wished: 10,
            paused: Some("until noon".into()),
            drift: vec!["Role r is missing".into()],
            ..Kept::default()
        };
        let paused = Seen::Kept(kept.clone()).apply_to(&tenant, later());
        let message = |type_| conditions::get(&paused.conditions, type_).unwrap().message.clone();
        assert_eq!(
            (message(PAUSED), message(DRIFTED)),
            ("until noon".into(), "Role r is missing".into())
        );
        let repaired = Seen::Kept(Kept { drift: vec![], ..kept }).apply_to(&paused, later());
        assert!(conditions::get(&repaired.conditions, DRIFTED).is_none());
        assert!(conditions::get(&repaired.conditions, PAUSED).is_some());
        let over = well().apply_to(&repaired, later());
        assert_eq!(types(&over), [NAMESPACE_READY, OBJECTS_APPLIED, QUOTA_READY]);
        assert_eq!(over.conditions, tenant.conditions);
    }

    #[test]
    fn a_wish_that_waits_for_the_end_of_a_pause_is_not_observed() {
        let tenant = TenantRecord { generation: 2, ..well().apply_to(&a_tenant(), later()) };
        let drift = vec!["ResourceQuota q waits for the new wish".to_owned()];
        let paused = Some("until noon".to_owned());
        let seen = Seen::Kept(Kept { wished: 10, paused, drift, ..Kept::default() });
        assert_eq!(seen.apply_to(&tenant, later()).observed_generation, 1);
    }

    #[test]
    fn absence_in_the_cluster_ends_only_a_purge() {
        let active = TenantRecord { state: TenantState::Active, ..a_tenant() };
        assert_eq!(Seen::Empty.apply_to(&active, later()).state, TenantState::Active);
        let purging = TenantRecord { state: TenantState::Purging, ..a_tenant() };
        assert_eq!(Seen::Empty.apply_to(&purging, later()).state, TenantState::Gone);
    }
}
