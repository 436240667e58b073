//! When a second person must agree: who may decide, how long it waits, and how often it
//! is good for something.
//!
//! An approval belongs to one exact request of one person. It waits for a day; once it is
//! given, that person repeats the request within an hour, and it is used up.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::access::Role;

/// How long an approval waits for a decision.
pub const WAITS: SignedDuration = SignedDuration::from_hours(24);
/// How long the request may be repeated once it is approved.
pub const GOOD_FOR: SignedDuration = SignedDuration::from_hours(1);
/// So long before the request, and ever after, nobody whom the requester let in counts as
/// a second person: else one person could make two names.
pub const ENROLLED_LATELY: SignedDuration = SignedDuration::from_hours(24);

/// Where an approval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApprovalState {
    /// Nobody has decided.
    Pending,
    /// Agreed, and not used yet.
    Approved,
    /// Refused or withdrawn.
    Rejected,
    /// The request was made.
    Used,
    /// Its time was over first.
    Expired,
}

impl ApprovalState {
    /// The word for it in filters and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Used => "used",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for ApprovalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The request may be made.
    Approved,
    /// It may not.
    Rejected,
}

impl Verdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Approved, Self::Rejected].into_iter().find(|verdict| verdict.as_str() == word)
    }
}

/// What an approval is decided and used by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Who asked.
    pub requester: String,
    /// The lowest role that may decide.
    pub least_role: Role,
    /// Until when somebody can decide.
    pub expire_time: Timestamp,
    /// What was decided, and when.
    pub decision: Option<(Verdict, Timestamp)>,
    /// When the request was made.
    pub use_time: Option<Timestamp>,
}

impl Facts {
    /// When it ends by itself: undecided when nobody decided in time, approved when the
    /// request was not repeated in time.
    pub fn ends(&self) -> Timestamp {
        match self.decision {
            Some((Verdict::Approved, at)) => at.saturating_add(GOOD_FOR).unwrap_or(Timestamp::MAX),
            _ => self.expire_time,
        }
    }

    /// Where it is at `now`.
    pub fn state(&self, now: Timestamp) -> ApprovalState {
        let over = now >= self.ends();
        match self.decision {
            _ if self.use_time.is_some() => ApprovalState::Used,
            Some((Verdict::Rejected, _)) => ApprovalState::Rejected,
            Some((Verdict::Approved, _)) if !over => ApprovalState::Approved,
            None if !over => ApprovalState::Pending,
            _ => ApprovalState::Expired,
        }
    }
}

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decider<'a> {
    /// Their name.
    pub operator: &'a str,
    /// Their role; `None` for one that this version does not know.
    pub role: Option<Role>,
    /// Whether who asked made the token that the decider was enrolled with, so lately
    /// that both may be one person ([`ENROLLED_LATELY`]).
    pub enrolled_by_requester: bool,
}

/// Why a decision does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was decided, used, or its time is over.
    NotPending(ApprovalState),
    /// Who asked cannot agree as well.
    OwnRequest,
    /// The decider's role is too low.
    RoleTooLow(Role),
    /// Who asked lately made the decider's enrolment token: they may be one person.
    EnrolledByRequester,
}

/// Whether somebody may decide about an approval at `now`.
///
/// Another person, with at least the role that the request needs. Who asked may withdraw,
/// also what is approved already. That the tenant is in the decider's scope is for the
/// caller to see to.
pub fn decide(
    facts: &Facts,
    decider: &Decider<'_>,
    verdict: Verdict,
    now: Timestamp,
) -> Result<(), Refusal> {
    let state = facts.state(now);
    let own = facts.requester == decider.operator;
    let open = match state {
        ApprovalState::Pending => true,
        // Second thoughts, of either of the two: it is not used yet.
        ApprovalState::Approved => verdict == Verdict::Rejected,
        _ => false,
    };
    if !open {
        return Err(Refusal::NotPending(state));
    }
    match (own, verdict) {
        (true, Verdict::Rejected) => Ok(()),
        (true, Verdict::Approved) => Err(Refusal::OwnRequest),
        (false, Verdict::Approved) if decider.enrolled_by_requester => {
            Err(Refusal::EnrolledByRequester)
        }
        (false, _) if decider.role.is_some_and(|role| role.includes(facts.least_role)) => Ok(()),
        (false, _) => Err(Refusal::RoleTooLow(facts.least_role)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn asked() -> Facts {
        Facts {
            requester: "ada".into(),
            least_role: Role::Admin,
            expire_time: at(24 * 60),
            decision: None,
            use_time: None,
        }
    }

    const GRACE: Decider<'static> =
        Decider { operator: "grace", role: Some(Role::Admin), enrolled_by_requester: false };
    const ADA: Decider<'static> =
        Decider { operator: "ada", role: Some(Role::Admin), enrolled_by_requester: false };

    #[test]
    fn another_person_with_the_role_decides() {
        for verdict in [Verdict::Approved, Verdict::Rejected] {
            assert_eq!(decide(&asked(), &GRACE, verdict, at(1)), Ok(()));
            for role in [None, Some(Role::Operator), Some(Role::Auditor), Some(Role::Viewer)] {
                let decided = decide(&asked(), &Decider { role, ..GRACE }, verdict, at(1));
                assert_eq!(decided, Err(Refusal::RoleTooLow(Role::Admin)), "{role:?}");
            }
        }
    }

    #[test]
    fn whom_the_requester_let_in_lately_may_refuse_and_not_agree() {
        let let_in = Decider { enrolled_by_requester: true, ..GRACE };
        let agreed = decide(&asked(), &let_in, Verdict::Approved, at(1));
        assert_eq!(agreed, Err(Refusal::EnrolledByRequester));
        assert_eq!(decide(&asked(), &let_in, Verdict::Rejected, at(1)), Ok(()));
    }

    #[test]
    fn who_asked_withdraws_and_never_agrees() {
        assert_eq!(decide(&asked(), &ADA, Verdict::Approved, at(1)), Err(Refusal::OwnRequest));
        let low = Decider { role: Some(Role::Viewer), ..ADA };
        assert_eq!(decide(&asked(), &low, Verdict::Rejected, at(1)), Ok(()));
    }

    #[test]
    fn it_waits_a_day_and_is_good_for_an_hour() {
        assert_eq!(asked().state(at(24 * 60 - 1)), ApprovalState::Pending);
        assert_eq!(asked().state(at(24 * 60)), ApprovalState::Expired);
        let late = Facts { decision: Some((Verdict::Approved, at(24 * 60 - 1))), ..asked() };
        assert_eq!(late.state(at(24 * 60 + 58)), ApprovalState::Approved);
        assert_eq!(late.state(at(24 * 60 + 59)), ApprovalState::Expired);
        let early = Facts { decision: Some((Verdict::Approved, at(5))), ..asked() };
        assert_eq!(early.ends(), at(65));
    }

    #[test]
    fn an_approval_that_is_not_used_yet_can_be_taken_back() {
        let approved = Facts { decision: Some((Verdict::Approved, at(5))), ..asked() };
        assert_eq!(decide(&approved, &GRACE, Verdict::Rejected, at(6)), Ok(()));
        assert_eq!(decide(&approved, &ADA, Verdict::Rejected, at(6)), Ok(()));
        let again = decide(&approved, &GRACE, Verdict::Approved, at(6));
        assert_eq!(again, Err(Refusal::NotPending(ApprovalState::Approved)));
        let used = Facts { use_time: Some(at(6)), ..approved };
        let too_late = decide(&used, &GRACE, Verdict::Rejected, at(7));
        assert_eq!(too_late, Err(Refusal::NotPending(ApprovalState::Used)));
    }

    fn facts() -> impl Strategy<Value = Facts> {
        let verdict = prop_oneof![Just(Verdict::Approved), Just(Verdict::Rejected)];
        let decision = proptest::option::of((verdict, (0..3000_i64).prop_map(at)));
        let used = proptest::option::of((0..3000_i64).prop_map(at));
        (decision, used, 0..3000_i64).prop_map(|(decision, use_time, end)| Facts {
            decision,
            use_time,
            expire_time: at(end),
            ..asked()
        })
    }

    proptest! {
        /// Nobody agrees to their own request, at whatever time and in whatever role.
        #[test]
        fn nobody_agrees_alone(facts in facts(), now in 0..3000_i64, role in 0..5_usize) {
            let own = Decider { role: Some(Role::ALL[role]), ..ADA };
            prop_assert!(decide(&facts, &own, Verdict::Approved, at(now)).is_err());
        }

        /// What is over stays over, and can no more be decided.
        #[test]
        fn an_end_is_final(facts in facts(), now in 0..3000_i64, later in 0..3000_i64) {
            let state = facts.state(at(now));
            if !matches!(state, ApprovalState::Pending | ApprovalState::Approved) {
                prop_assert_eq!(facts.state(at(now + later)), state);
                for verdict in [Verdict::Approved, Verdict::Rejected] {
                    prop_assert_eq!(
                        decide(&facts, &GRACE, verdict, at(now)),
                        Err(Refusal::NotPending(state))
                    );
                }
            }
        }
    }
}
