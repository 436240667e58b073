//! What a region's answers need of a person, or are worth knowing, part by part.

use jiff::{SignedDuration, Timestamp};
use streamspace_proto::v1::{
    Approval, BreakGlassGrant, Certificate, Condition, ConditionStatus, Health, Operation,
    OperatorLock, Region, Tenant, TenantState,
};

use super::{Finding, wire};
use crate::{
    commands::status::{Part, is_denied},
    quantity::amount,
    resource::{short, word},
    time::{instant, local, remaining, until},
};

mod sessions;
mod slos;

/// A failed operation is told this long.
const FAILURES: SignedDuration = SignedDuration::from_hours(24);
/// What reverts within this time is told.
const REVERTS: SignedDuration = SignedDuration::from_hours(24);
/// A credential that ends within this time needs its person.
const CREDENTIAL: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What is found, as it is found.
pub(super) struct Found {
    now: Timestamp,
    pub(super) findings: Vec<Finding>,
    /// Parts that the role may not read.
    pub(super) not_for_the_role: Vec<&'static str>,
}

impl Found {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, findings: Vec::new(), not_for_the_role: Vec::new() }
    }

    fn needs(&mut self, finding: Finding) {
        self.findings.push(Finding { needs: true, ..finding });
    }

    fn note(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The part where it was read. A role that may not read it is no error; a part that
    /// does not answer is.
    pub(super) fn part<'a, T>(&mut self, what: &'static str, part: &'a Part<T>) -> Option<&'a T> {
        match part {
            Ok(read) => Some(read),
            Err(failure) if is_denied(failure) => {
                self.not_for_the_role.push(what);
                None
            }
            Err(failure) => {
                self.needs(Finding {
                    kind: "part",
                    reason: "Unread".into(),
                    message: format!("{what} cannot be read: {}", failure.brief()),
                    next: failure.next_step().unwrap_or_default(),
                    ..Finding::default()
                });
                None
            }
        }
    }

    fn is_past(&self, time: Option<&prost_types::Timestamp>) -> bool {
        instant(time).is_some_and(|time| time <= self.now)
    }

    /// Whether it comes within this time.
    fn is_near(&self, time: Option<&prost_types::Timestamp>, within: SignedDuration) -> bool {
        let end = self.now.checked_add(within).unwrap_or(Timestamp::MAX);
        instant(time).is_some_and(|time| time > self.now && time <= end)
    }

    pub(super) fn region(&mut self, region: &Region) {
        for part in &region.components {
            if matches!(part.health(), Health::Degraded | Health::Unavailable) {
                self.needs(Finding {
                    kind: "part",
                    name: part.name.clone(),
                    reason: word("HEALTH_", part.health().as_str_name()),
                    message: part.message.clone(),
                    since: instant(part.last_transition_time.as_ref()),
                    next: "ssctl region show".into(),
                    ..Finding::default()
                });
            }
        }
        let told = region.components.iter().any(|part| {
            part.name == "leader" && matches!(part.health(), Health::Degraded | Health::Unavailable)
        });
        if region.leader.is_none() && !told {
            self.needs(Finding {
                kind: "leader",
                message: "no replica leads, so nothing is written to the cluster".into(),
                next: "ssctl region show".into(),
                ..Finding::default()
            });
        }
        if let Some(breaker) = region.breaker.as_ref().filter(|breaker| breaker.tripped) {
            self.needs(Finding {
                kind: "breaker",
                reason: "Tripped".into(),
                message: match breaker.message.as_str() {
                    "" => "the breaker on deletions has tripped".to_owned(),
                    message => message.to_owned(),
                },
                since: instant(breaker.trip_time.as_ref()),
                next: "ssctl region breaker show, then ssctl region breaker release".into(),
                ..Finding::default()
            });
        }
        for orphan in &region.orphans {
            self.needs(Finding {
                kind: "orphan",
                name: orphan.namespace.clone(),
                reason: "Orphan".into(),
                message: format!("belongs to no tenant; its label names {}", orphan.tenant_id),
                since: instant(orphan.first_seen_time.as_ref()),
                next: "ssctl region show".into(),
                ..Finding::default()
            });
        }
        self.controls(region);
    }

    fn controls(&mut self, region: &Region) {
        let by = |actor: &str, reason: &str, end: String| {
            let end = if end.is_empty() { "until somebody ends it".to_owned() } else { end };
            format!("by {actor}, {end}: {reason}")
        };
        if let Some(cordon) = &region.cordon {
            let end = until(cordon.expire_time.as_ref(), self.now);
            self.note(Finding {
                kind: "cordon",
                name: region.name.clone(),
                message: format!("cordoned {}", by(&cordon.actor, &cordon.reason, end)),
                next: "ssctl region uncordon".into(),
                ..Finding::default()
            });
        }
        if let Some(pause) = &region.pause {
            let end = until(pause.expire_time.as_ref(), self.now);
            self.note(Finding {
                kind: "pause",
                name: region.name.clone(),
                message: format!(
                    "paused {}; nothing is written to the cluster",
                    by(&pause.actor, &pause.reason, end)
                ),
                next: "ssctl region unpause".into(),
                ..Finding::default()
            });
        }
    }

    pub(super) fn tenants(&mut self, tenants: &[Tenant]) {
        for tenant in tenants.iter().filter(|tenant| tenant.state() != TenantState::Gone) {
            let wrong = |condition: &&Condition| condition.status() == ConditionStatus::False;
            if let Some(condition) = tenant.conditions.iter().find(wrong) {
                let Condition { r#type, reason, message, .. } = condition;
                self.needs(Finding {
                    kind: "tenant",
                    name: tenant.name.clone(),
                    reason: reason.clone(),
                    message: format!("{type}: {reason}, {message}"),
                    since: instant(condition.last_transition_time.as_ref()),
                    next: format!(
                        "ssctl tenant show {} --objects",
                        short("tenants/", &tenant.name)
                    ),
                    ..Finding::default()
                });
            }
            self.reverts(tenant);
        }
    }

    /// What of a tenant was set for a time that ends soon.
    fn reverts(&mut self, tenant: &Tenant) {
        let now = self.now;
        let mut pending = |message: String, next: String| {
            let name = tenant.name.clone();
            self.findings.push(Finding {
                kind: "pending",
                name,
                message,
                next,
                ..Finding::default()
            });
        };
        let id = short("tenants/", &tenant.name);
        let is_near = |time: Option<&prost_types::Timestamp>| {
            let end = now.checked_add(REVERTS).unwrap_or(Timestamp::MAX);
            instant(time).is_some_and(|time| time <= end)
        };
        for entry in &tenant.quota_overrides {
            if is_near(entry.expire_time.as_ref()) {
                pending(
                    format!(
                        "{} is {} {}, set by {}",
                        entry.resource,
                        amount(&entry.resource, entry.amount),
                        until(entry.expire_time.as_ref(), now),
                        entry.actor
                    ),
                    format!("ssctl quota show {id}"),
                );
            }
        }
        if is_near(tenant.cordon_expire_time.as_ref()) {
            pending(
                format!("cordoned {}", until(tenant.cordon_expire_time.as_ref(), now)),
                format!("ssctl tenant uncordon {id}"),
            );
        }
        if let Some(pause) = &tenant.pause {
            pending(
                format!("paused by {} {}", pause.actor, until(pause.expire_time.as_ref(), now)),
                format!("ssctl tenant unpause {id}"),
            );
        }
    }

    pub(super) fn credential(&mut self, end: Option<Timestamp>) {
        let end = wire(end);
        if !self.is_near(end.as_ref(), CREDENTIAL) && !self.is_past(end.as_ref()) {
            return;
        }
        self.needs(Finding {
            kind: "certificate",
            reason: "Own".into(),
            message: format!(
                "your login on this machine ends {} (in {})",
                local(end.as_ref()),
                remaining(end.as_ref(), self.now)
            ),
            next: "ask an admin for a token and log in again with ssctl login".into(),
            ..Finding::default()
        });
    }

    /// The devices that end soon, but for the one that asks, which was told.
    pub(super) fn certificates(
        &mut self,
        certificates: &[Certificate],
        own_end: Option<Timestamp>,
    ) {
        let is_own = |certificate: &&Certificate| {
            let end = certificate.expire_time.as_ref().map(|time| time.seconds);
            end.is_some() && end == own_end.map(Timestamp::as_second)
        };
        for certificate in certificates.iter().filter(|certificate| !is_own(certificate)) {
            self.needs(Finding {
                kind: "certificate",
                name: certificate.name.clone(),
                reason: "Expiring".into(),
                message: format!(
                    "the login of {} on {} ends {} (in {})",
                    certificate.operator,
                    certificate.device_name,
                    local(certificate.expire_time.as_ref()),
                    remaining(certificate.expire_time.as_ref(), self.now)
                ),
                next: format!("ssctl token create {} --role ROLE", certificate.operator),
                ..Finding::default()
            });
        }
    }

    pub(super) fn approvals(&mut self, approvals: &[Approval], own: &str) {
        for approval in approvals {
            let id = short("approvals/", &approval.name);
            let (who, next) = if approval.requester == own {
                (
                    "your request waits for somebody else".to_owned(),
                    format!("ssctl approval show {id}"),
                )
            } else {
                let who = format!("{} waits for a second person", approval.requester);
                (who, format!("ssctl approval show {id}, then approve or reject it"))
            };
            let left = remaining(approval.expire_time.as_ref(), self.now);
            self.needs(Finding {
                kind: "approval",
                name: approval.target.clone(),
                reason: if approval.requester == own { "Own" } else { "Pending" }.into(),
                message: format!("{who}: {}; {left} left", approval.summary),
                since: instant(approval.create_time.as_ref()),
                next,
                ..Finding::default()
            });
        }
    }

    pub(super) fn grants(&mut self, grants: &[BreakGlassGrant]) {
        for grant in grants.iter().filter(|grant| grant.reviewer.is_empty()) {
            let id = short("breakGlassGrants/", &grant.name);
            let over = grant.end_time.is_some() || self.is_past(grant.expire_time.as_ref());
            let (reason, state, next) = if over {
                let next = format!("ssctl break-glass review {id} --review TEXT");
                ("Unreviewed", "is over and nobody has reviewed it".to_owned(), next)
            } else {
                let until = until(grant.expire_time.as_ref(), self.now);
                ("Open", format!("is in force {until}"), format!("ssctl break-glass end {id}"))
            };
            self.needs(Finding {
                kind: "break-glass",
                name: grant.name.clone(),
                reason: reason.into(),
                message: format!("the role admin of {} {state}: {}", grant.operator, grant.reason),
                since: instant(grant.start_time.as_ref()),
                next,
                ..Finding::default()
            });
        }
    }

    pub(super) fn operations(&mut self, operations: &[Operation]) {
        for operation in operations {
            let id = short("operations/", &operation.name);
            let next = format!("ssctl operation show {id}");
            let told = |message: String| Finding {
                kind: "operation",
                name: operation.name.clone(),
                message,
                since: instant(operation.create_time.as_ref()),
                next,
                ..Finding::default()
            };
            let what = format!("{} of {}", operation.kind, operation.target);
            if !operation.done {
                let progress = match operation.progress.as_str() {
                    "" => "is under way",
                    progress => progress,
                };
                self.note(told(format!("{what}: {progress}")));
                continue;
            }
            let ended = instant(operation.end_time.as_ref());
            let lately = self.now.checked_sub(FAILURES).is_ok_and(|floor| ended >= Some(floor));
            let failed = operation.counts.as_ref().map_or(0, |counts| counts.failed);
            let why = match &operation.error {
                Some(error) => Some(error.message.clone()),
                None if failed > 0 => Some(format!("{failed} items failed")),
                None => None,
            };
            if let Some(why) = why.filter(|_| lately) {
                let finding = told(format!("{what} failed: {why}"));
                self.needs(Finding { reason: "Failed".into(), since: ended, ..finding });
            }
        }
    }

    pub(super) fn locks(&mut self, locks: &[OperatorLock]) {
        for lock in locks {
            let end = until(lock.expire_time.as_ref(), self.now);
            let end = if end.is_empty() { String::new() } else { format!(" {end}") };
            self.note(Finding {
                kind: "lock",
                name: lock.name.clone(),
                message: format!("locked by {}{end}: {}", lock.actor, lock.reason),
                since: instant(lock.lock_time.as_ref()),
                next: format!("ssctl operator unlock {}", short("operators/", &lock.name)),
                ..Finding::default()
            });
        }
    }
}
