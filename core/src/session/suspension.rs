//! Suspension of a tenant whose sessions an upstream controller reconciles.
//!
//! Our own reconciler needs none of this: it hibernates what a suspended tenant has and
//! leaves `spec.state` as it is, which so is the stored prior state. Another controller
//! knows nothing of suspended tenants. There `spec.state` itself is changed, and what it
//! was before is kept beside it, in an annotation.

use super::SessionState;
use crate::tenant::TenantState;

/// What to do with `spec.state` and with the state that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspension {
    /// Nothing.
    Keep,
    /// Hibernate it, and keep that it ran.
    Hibernate,
    /// Bring it back to the state that was kept, and forget that.
    Restore(SessionState),
    /// Forget the state that was kept: somebody decided otherwise since.
    Forget,
}

/// What follows of a tenant's state for one session: `state` is its `spec.state`, `kept`
/// what it was before a suspension, where one was seen.
pub fn suspension(
    tenant: TenantState,
    state: SessionState,
    kept: Option<SessionState>,
) -> Suspension {
    match tenant {
        // Of a tenant that is being deleted nothing is woken, and nothing written.
        TenantState::Purging | TenantState::Gone => Suspension::Keep,
        TenantState::Suspended | TenantState::Archived => match state {
            SessionState::Running => Suspension::Hibernate,
            SessionState::Hibernated | SessionState::Terminated => Suspension::Keep,
        },
        TenantState::Provisioning | TenantState::Active | TenantState::Cordoned => {
            match (state, kept) {
                (_, None) => Suspension::Keep,
                (SessionState::Hibernated, Some(before)) => Suspension::Restore(before),
                (SessionState::Running | SessionState::Terminated, Some(_)) => Suspension::Forget,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use SessionState::{Hibernated, Running, Terminated};

    #[test]
    fn the_table() {
        use Suspension::{Forget, Hibernate, Keep, Restore};
        for (tenant, state, kept, expected) in [
            (TenantState::Suspended, Running, None, Hibernate),
            (TenantState::Suspended, Running, Some(Running), Hibernate),
            (TenantState::Suspended, Hibernated, Some(Running), Keep),
            (TenantState::Suspended, Hibernated, None, Keep),
            (TenantState::Suspended, Terminated, None, Keep),
            (TenantState::Archived, Running, None, Hibernate),
            (TenantState::Active, Hibernated, Some(Running), Restore(Running)),
            (TenantState::Cordoned, Hibernated, Some(Running), Restore(Running)),
            (TenantState::Active, Hibernated, None, Keep),
            (TenantState::Active, Terminated, Some(Running), Forget),
            (TenantState::Active, Running, Some(Running), Forget),
            (TenantState::Active, Running, None, Keep),
            (TenantState::Purging, Running, Some(Running), Keep),
        ] {
            assert_eq!(suspension(tenant, state, kept), expected, "{tenant} {state} {kept:?}");
        }
    }

    fn apply(tenant: TenantState, state: &mut SessionState, kept: &mut Option<SessionState>) {
        match suspension(tenant, *state, *kept) {
            Suspension::Keep => {}
            Suspension::Hibernate => {
                *kept = Some(*state);
                *state = Hibernated;
            }
            Suspension::Restore(before) => {
                *state = before;
                *kept = None;
            }
            Suspension::Forget => *kept = None,
        }
    }

    proptest! {
        #[test]
        fn a_suspension_and_a_resume_leave_all_as_it_was(
            start in 0..3_usize, times in 1..4_usize, archived in any::<bool>(),
        ) {
            let (mut state, mut kept) = (SessionState::ALL[start], None);
            for _ in 0..times {
                apply(TenantState::Suspended, &mut state, &mut kept);
                prop_assert_ne!(state, Running);
                if archived {
                    apply(TenantState::Archived, &mut state, &mut kept);
                }
            }
            for _ in 0..times {
                apply(TenantState::Active, &mut state, &mut kept);
            }
            prop_assert_eq!((state, kept), (SessionState::ALL[start], None));
        }
    }
}
