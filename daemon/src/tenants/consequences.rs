//! What a change of a tenant brings with it, told before and with it. Pure.

use jiff::Timestamp;
use streamspace_core::{
    plan::{self, Overcommit},
    quota::{self, SESSIONS_KEY},
};
use streamspace_proto::v1;

use super::{TenantRecord, usage::Usage};
use crate::rpc::errors::{RpcError, RpcResult};

fn told(code: &str, message: String) -> v1::Consequence {
    v1::Consequence { code: code.into(), message }
}

/// More is promised to the seats than the quota has. Past what the plan declares that
/// must be accepted, where the change makes it so or worse.
pub fn overcommit(
    before: Option<&TenantRecord>,
    after: &TenantRecord,
    accepted: bool,
) -> RpcResult<Option<v1::Consequence>> {
    let of =
        |tenant: &TenantRecord| plan::overcommit(&tenant.plan, &tenant.quota(), tenant.spec.seats);
    let Some(found) = of(after) else { return Ok(None) };
    let earlier = before.and_then(of);
    if earlier == Some(found) {
        return Ok(None);
    }
    let is_worse = earlier.is_none_or(|earlier: Overcommit| found.permille > earlier.permille);
    if found.needs_acceptance() && is_worse && !accepted {
        return Err(RpcError::Refused {
            reason: "OVERCOMMIT",
            message: format!(
                "{found}: {} times as much, and plan {} declares at most {} times; sell fewer \
                 seats, raise the memory with `ssctl quota set`, or accept it with \
                 --accept-overcommit",
                times(found.permille),
                after.spec.plan,
                times(found.declared.into())
            ),
        });
    }
    let message = format!("{found}: {} times as much", times(found.permille));
    Ok(Some(told("OVERCOMMIT", message)))
}

/// Thousandths as people read them: `3.2`.
fn times(permille: i64) -> String {
    let tenths = (permille + 99) / 100;
    if tenths % 10 == 0 {
        (tenths / 10).to_string()
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

/// Another plan, or another version of it.
pub fn plan_version(before: &TenantRecord, after: &TenantRecord) -> Option<v1::Consequence> {
    let of =
        |tenant: &TenantRecord| format!("{} version {}", tenant.spec.plan, tenant.plan_version);
    let (before, after) = (of(before), of(after));
    (before != after).then(|| told("PLAN_VERSION", format!("{before} becomes {after}")))
}

/// What would be over the new limits. Where a limit falls and the cluster does not tell
/// what is used, that is told instead.
pub fn over_quota(
    used: &Result<Usage, String>,
    before: &TenantRecord,
    after: &TenantRecord,
) -> Vec<v1::Consequence> {
    let (old, new) = (before.quota(), after.quota());
    match used {
        Ok(usage) => {
            let sessions = usage.used.contains_key(SESSIONS_KEY);
            let (old, new) = (quota::hard(&old, sessions), quota::hard(&new, sessions));
            quota::consequences(&usage.used, &old, &new)
                .into_iter()
                .map(|found| told(found.code, found.message))
                .collect()
        }
        Err(why) => {
            let falls =
                quota::Resource::ALL.iter().any(|resource| resource.of(&new) < resource.of(&old));
            let message = format!("what is used could not be compared with the new limits: {why}");
            falls.then(|| told("OVER_QUOTA", message)).into_iter().collect()
        }
    }
}

/// A cordon, and when it ends.
pub(super) fn cordoned(until: Option<Timestamp>) -> v1::Consequence {
    let until = until.map_or_else(
        || "until somebody ends the cordon".to_owned(),
        |until| format!("until {}", seconds(until)),
    );
    told("NOTHING_NEW_STARTS", format!("nothing new starts {until}; what runs goes on"))
}

/// A suspension.
pub(super) fn suspended() -> v1::Consequence {
    let message = "nothing starts until the tenant is resumed, and what runs is cut off";
    told("NOTHING_NEW_STARTS", message.into())
}

/// An archived tenant, which its plan keeps for so many days.
pub(super) fn archived(tenant: &TenantRecord, days: i32) -> [v1::Consequence; 2] {
    let end = tenant.purge_after.map_or_else(|| "now on".to_owned(), seconds);
    [
        told(
            "NOTHING_NEW_STARTS",
            "nothing starts until the tenant is restored, and what runs is cut off".into(),
        ),
        told(
            "DATA_LOSS",
            format!(
                "plan {} keeps its data for {days} days; from {end} on it may be deleted",
                tenant.spec.plan
            ),
        ),
    ]
}

/// A deletion.
pub(super) fn deleted(tenant: &TenantRecord) -> v1::Consequence {
    let message = format!("namespace {} and all that is in it are lost for ever", tenant.namespace);
    told("DATA_LOSS", message)
}

/// A namespace that exists already is taken over.
pub(super) fn adopts(tenant: &TenantRecord) -> v1::Consequence {
    let message = format!(
        "namespace {} is taken over with all that is in it, where it exists already",
        tenant.namespace
    );
    told("ADOPTS", message)
}

pub(super) fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tenants::store::testing::a_tenant;

    fn with_seats(seats: i32) -> TenantRecord {
        let mut tenant = a_tenant();
        tenant.spec.seats = seats;
        tenant
    }

    #[test]
    fn an_overcommit_is_told_and_past_the_declared_one_must_be_accepted() {
        let message = |seats| overcommit(None, &with_seats(seats), false).unwrap();
        assert_eq!(message(3), None);
        assert_eq!(message(10).unwrap().message, "promised 640Gi, quota 200Gi: 3.2 times as much");
        let refused = overcommit(None, &with_seats(13), false).unwrap_err().to_string();
        assert!(refused.contains("promised 832Gi, quota 200Gi"), "{refused}");
        assert!(refused.contains("--accept-overcommit"), "{refused}");
        assert!(overcommit(None, &with_seats(13), true).unwrap().is_some());
        // Fewer seats are no worse, though still too many.
        assert!(overcommit(Some(&with_seats(20)), &with_seats(13), false).unwrap().is_some());
        assert!(overcommit(Some(&with_seats(13)), &with_seats(20), false).is_err());
        assert_eq!(overcommit(Some(&with_seats(13)), &with_seats(13), false).unwrap(), None);
    }

    #[test]
    fn a_plan_that_allows_less_than_is_used_says_so() {
        let business = a_tenant();
        let mut free = a_tenant();
        free.plan = Arc::new(plan::seeded().unwrap().remove(0));
        free.spec.plan = free.plan.id.clone();
        let used = [("requests.cpu", "6"), ("pods", "20"), ("requests.memory", "9Gi")];
        let used = used.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let usage = Ok(Usage { used, ..Usage::default() });
        let found = over_quota(&usage, &business, &free);
        let found: Vec<&str> = found.iter().map(|found| found.message.as_str()).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("requests.cpu: 6 used, 4 after the change"), "{found:?}");
        assert!(over_quota(&usage, &free, &business).is_empty());
        let away = Err("no route".to_owned());
        assert!(over_quota(&away, &business, &free)[0].message.ends_with("no route"));
        assert!(over_quota(&away, &free, &business).is_empty());
        let version = plan_version(&business, &free).unwrap();
        assert_eq!(version.message, "business version 1 becomes free version 1");
    }
}
