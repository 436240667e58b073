//! What the seats are promised together, against the quota that they share.

use std::fmt;

use super::{Bytes, Plan, Quota};

/// More memory is promised to a tenant's seats than its quota has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overcommit {
    /// What all seats are promised together.
    pub promised: Bytes,
    /// What they share.
    pub quota: Bytes,
    /// The one as thousandths of the other, rounded up.
    pub permille: i64,
    /// How much of it the plan declares, in thousandths.
    pub declared: i32,
}

impl Overcommit {
    /// Whether it passes what the plan declares, so that an operator must accept it.
    pub fn needs_acceptance(&self) -> bool {
        let declared = i128::from(self.quota.0) * i128::from(self.declared);
        i128::from(self.promised.0) * 1000 > declared
    }
}

/// Shows `promised 640Gi, quota 200Gi`.
impl fmt::Display for Overcommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "promised {}, quota {}", self.promised, self.quota)
    }
}

/// The memory that all seats are promised together; `None` where a contract sets it.
pub fn promised_memory(plan: &Plan, seats: i32) -> Option<Bytes> {
    plan.user_memory.map(|memory| Bytes(memory.0.saturating_mul(i64::from(seats.max(0)))))
}

/// The overcommit of a tenant; `None` where the quota has all that is promised, or a
/// contract sets the promise.
pub fn overcommit(plan: &Plan, quota: &Quota, seats: i32) -> Option<Overcommit> {
    let promised = promised_memory(plan, seats)?;
    if promised <= quota.memory {
        return None;
    }
    let (thousandfold, share) = (i128::from(promised.0) * 1000, i128::from(quota.memory.0.max(1)));
    let permille = thousandfold.div_euclid(share) + i128::from(thousandfold % share != 0);
    Some(Overcommit {
        promised,
        quota: quota.memory,
        permille: i64::try_from(permille).unwrap_or(i64::MAX),
        declared: plan.overcommit_permille,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::seeded;

    fn business() -> Plan {
        seeded().unwrap().remove(2)
    }

    #[test]
    fn ten_business_seats_are_promised_more_than_the_quota() {
        let plan = business();
        let found = overcommit(&plan, &plan.quota, 10).unwrap();
        assert_eq!(found.to_string(), "promised 640Gi, quota 200Gi");
        assert_eq!((found.permille, found.declared), (3200, 4000));
        assert!(!found.needs_acceptance());
        assert_eq!(overcommit(&plan, &plan.quota, 3), None);
        assert!(!overcommit(&plan, &plan.quota, 12).unwrap().needs_acceptance());
        assert!(overcommit(&plan, &plan.quota, 13).unwrap().needs_acceptance());
    }

    #[test]
    fn exactly_what_is_declared_needs_no_acceptance() {
        let mut plan = business();
        plan.quota.memory = Bytes(16 << 30);
        assert!(!overcommit(&plan, &plan.quota, 1).unwrap().needs_acceptance());
        plan.quota.memory = Bytes((16 << 30) - 1);
        let found = overcommit(&plan, &plan.quota, 1).unwrap();
        assert!(found.needs_acceptance());
        assert_eq!(found.permille, 4001);
    }

    #[test]
    fn a_contract_promises_nothing_by_the_seat() {
        let plan = seeded().unwrap().remove(3);
        assert_eq!(promised_memory(&plan, 1000), None);
        assert_eq!(overcommit(&plan, &plan.quota, 1000), None);
    }

    proptest! {
        #[test]
        fn every_plan_has_an_answer(memory: i64, user: i64, seats: i32, declared: i32) {
            let mut plan = business();
            plan.user_memory = Some(Bytes(user));
            plan.quota.memory = Bytes(memory);
            plan.overcommit_permille = declared;
            if let Some(found) = overcommit(&plan, &plan.quota, seats) {
                let _ = (found.needs_acceptance(), found.to_string());
            }
        }
    }
}
