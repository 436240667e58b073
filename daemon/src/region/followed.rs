//! How a replica takes up what the cluster shows of sessions, for its health.

use crate::{
    regions::{health::Health, probes::Told},
    sessions::projection::ProjectionState,
};

/// The leader alone follows them, once the cluster is proved, of which part `cluster` tells.
pub(super) fn sessions(leads: bool, state: &ProjectionState) -> Told {
    if !leads {
        return (Health::Ok, "the leader follows them".to_owned());
    }
    let ProjectionState { known, refused, fault, .. } = state;
    if !fault.is_empty() {
        let words = format!("nothing new of them is known, and nothing is lost: {fault}");
        return (Health::Degraded, words);
    }
    if *refused > 0 {
        let words = format!("{refused} objects were not taken up; the log says which");
        return (Health::Degraded, words);
    }
    // Through when, `ssctl usage status` tells.
    (Health::Ok, format!("{known} sessions and homes are known"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leads_says_what_hinders_and_who_does_not_lead_is_well() {
        let health = |leads, state: &ProjectionState| sessions(leads, state).0;
        let mut state = ProjectionState::default();
        assert_eq!((health(false, &state), health(true, &state)), (Health::Ok, Health::Ok));
        assert_eq!(sessions(true, &state).1, "0 sessions and homes are known");
        state.refused = 1;
        assert_eq!(health(true, &state), Health::Degraded);
        state.fault = "sessions: forbidden".to_owned();
        let (health, words) = sessions(true, &state);
        assert!(health == Health::Degraded && words.ends_with(": sessions: forbidden"), "{words}");
    }
}
