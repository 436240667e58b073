//! The steps of a tenant's life that an operator takes.

use jiff::SignedDuration;
use streamspace_core::{
    access::Role,
    tenant::{Event, TenantState, needs_second_person, retention_end},
    text,
};
use streamspace_proto::v1;

use super::{
    Tenants, being_deleted,
    step::{LifeRequest, Method, Step},
};
use crate::{
    regions::{self, controls::Cordon},
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        time::{Bounds, ttl},
    },
    tenants::{Pause, TenantRecord, consequences},
};

/// The longest reason that is kept with a tenant, in characters.
pub(crate) const REASON_MAXIMUM: usize = 1000;
const CORDON: Bounds = Bounds { shortest: 1, longest: 90 * 86_400, words: "one second to 90 days" };
const PAUSE: Bounds = Bounds { shortest: 1, longest: 86_400, words: "one second to 24 hours" };
const PAUSE_UNLESS_SAID: SignedDuration = SignedDuration::from_hours(1);

const fn operator(name: &'static str) -> Method {
    Method { name, least_role: Role::Operator }
}

const fn admin(name: &'static str) -> Method {
    Method { name, least_role: Role::Admin }
}

impl Tenants {
    pub(super) async fn cordon(
        &self,
        caller: &Caller,
        request: &v1::CordonTenantRequest,
    ) -> RpcResult<v1::Tenant> {
        let ttl = ttl("ttl", request.ttl.as_ref(), CORDON)?;
        let reason = reason(request)?;
        self.step(caller, operator("CordonTenant"), request, |current, now| {
            let mut step = lived(current, Event::Cordon)?;
            step.tenant.cordon_until = ttl.and_then(|ttl| now.checked_add(ttl).ok());
            step.tenant.cordon_reason = reason;
            let until = step.tenant.cordon_until;
            step.consequences.push(consequences::cordoned(until));
            Ok(step)
        })
        .await
    }

    pub(super) async fn uncordon(
        &self,
        caller: &Caller,
        request: &v1::UncordonTenantRequest,
    ) -> RpcResult<v1::Tenant> {
        self.step(caller, operator("UncordonTenant"), request, |current, _now| {
            lived(current, Event::Uncordon)
        })
        .await
    }

    pub(super) async fn suspend(
        &self,
        caller: &Caller,
        request: &v1::SuspendTenantRequest,
    ) -> RpcResult<v1::Tenant> {
        self.step(caller, operator("SuspendTenant"), request, |current, _now| {
            let mut step = lived(current, Event::Suspend)?;
            step.consequences.push(consequences::suspended());
            Ok(step)
        })
        .await
    }

    pub(super) async fn resume(
        &self,
        caller: &Caller,
        request: &v1::ResumeTenantRequest,
    ) -> RpcResult<v1::Tenant> {
        self.step(caller, operator("ResumeTenant"), request, |current, _now| {
            lived(current, Event::Resume)
        })
        .await
    }

    pub(super) async fn archive(
        &self,
        caller: &Caller,
        request: &v1::ArchiveTenantRequest,
    ) -> RpcResult<v1::Tenant> {
        self.step(caller, admin("ArchiveTenant"), request, |current, now| {
            let mut step = lived(current, Event::Archive)?;
            if current.state != TenantState::Archived {
                let days = current.plan.recording_retention_days;
                step.tenant.archive_time = Some(now);
                step.tenant.purge_after = Some(retention_end(now, days));
                step.consequences.extend(consequences::archived(&step.tenant, days));
            }
            Ok(step)
        })
        .await
    }

    pub(super) async fn restore(
        &self,
        caller: &Caller,
        request: &v1::RestoreTenantRequest,
    ) -> RpcResult<v1::Tenant> {
        let mut tx = self.db.begin(&caller.scope).await?;
        let cordon = regions::controls::cordon(&mut tx).await?;
        drop(tx);
        self.step(caller, admin("RestoreTenant"), request, |current, _now| {
            self.require_open(cordon.as_ref())?;
            let mut step = lived(current, Event::Restore)?;
            step.tenant.archive_time = None;
            step.tenant.purge_after = None;
            Ok(step)
        })
        .await
    }

    pub(super) async fn pause(
        &self,
        caller: &Caller,
        request: &v1::PauseTenantRequest,
    ) -> RpcResult<v1::Tenant> {
        let ttl = ttl("ttl", request.ttl.as_ref(), PAUSE)?.unwrap_or(PAUSE_UNLESS_SAID);
        let reason = reason(request)?;
        self.step(caller, operator("PauseTenant"), request, |current, now| {
            let until = now.checked_add(ttl).map_err(|error| {
                RpcError::field("ttl", format!("leads beyond all time: {error}"))
            })?;
            let pause = Pause { until, reason, actor: caller.operator.clone() };
            Ok(paused(current, Some(pause)))
        })
        .await
    }

    pub(super) async fn unpause(
        &self,
        caller: &Caller,
        request: &v1::UnpauseTenantRequest,
    ) -> RpcResult<v1::Tenant> {
        self.step(caller, operator("UnpauseTenant"), request, |current, _now| {
            if current.pause.is_none() {
                return Err(RpcError::Refused {
                    reason: "NOT_PAUSED",
                    message: format!(
                        "{} is not paused: there is nothing to end; `ssctl region show` tells \
                         whether the region is",
                        current.spec.id.to_name()
                    ),
                });
            }
            Ok(paused(current, None))
        })
        .await
    }

    /// Refuses what starts something new in a region that is cordoned.
    pub(super) fn require_open(&self, cordon: Option<&Cordon>) -> RpcResult<()> {
        let Some(cordon) = cordon else { return Ok(()) };
        Err(RpcError::Refused {
            reason: "REGION_CORDONED",
            message: format!(
                "{} is cordoned by {}, and nothing new starts in it: {}; `ssctl region uncordon` \
                 ends that",
                self.region.to_name(),
                cordon.actor,
                cordon.reason
            ),
        })
    }
}

/// The tenant after an event, with what hangs on its state.
fn lived(current: &TenantRecord, event: Event) -> RpcResult<Step> {
    if current.state == TenantState::Purging {
        return Err(being_deleted(current));
    }
    let life = current.life().advance(event).map_err(RpcError::from)?;
    let mut tenant = current.clone();
    tenant.set_life(life);
    Ok(Step {
        tenant,
        consequences: Vec::new(),
        second_person: needs_second_person(current.life(), event, current.spec.protected),
        is_wish: true,
    })
}

/// The tenant under another pause. What is wished of it in the cluster stays the same.
fn paused(current: &TenantRecord, pause: Option<Pause>) -> Step {
    let tenant = TenantRecord { pause, ..current.clone() };
    Step { tenant, consequences: Vec::new(), second_person: None, is_wish: false }
}

fn reason(request: &impl LifeRequest) -> RpcResult<String> {
    checked_reason(request.reason()).map(str::to_owned)
}

/// A reason without the white space around it. It reaches the terminals of others.
pub(super) fn checked_reason(reason: &str) -> RpcResult<&str> {
    let reason = reason.trim();
    text::check(reason, REASON_MAXIMUM)
        .map_err(|error| RpcError::field("reason", error.to_string()))?;
    Ok(reason)
}
