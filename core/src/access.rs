//! Who may call a method: one function from a method's rule and the facts about a caller
//! to a decision that explains itself.
//!
//! Viewer, operator and admin are a ladder, each including the one before. Billing and
//! auditor stand beside it: billing may call what names it, an auditor whatever does not
//! mutate.

use std::fmt;

use crate::text;

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reads the region and its tenants.
    Viewer,
    /// Does the daily work on tenants and sessions.
    Operator,
    /// Does everything, including access.
    Admin,
    /// Reads usage and writes money matters.
    Billing,
    /// Reads everything and writes nothing.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] =
        [Self::Viewer, Self::Operator, Self::Admin, Self::Billing, Self::Auditor];

    /// The word for it in certificates and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Billing => "billing",
            Self::Auditor => "auditor",
        }
    }

    /// Reads the word; `None` for one that this version does not know, which grants
    /// nothing.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Whether this role is the other one, or stands above it on the ladder.
    pub fn includes(self, other: Self) -> bool {
        match (self.rung(), other.rung()) {
            (Some(own), Some(other)) => own >= other,
            _ => self == other,
        }
    }

    /// The place on the ladder, lowest first; `None` for the roles beside it.
    fn rung(self) -> Option<u8> {
        match self {
            Self::Viewer => Some(1),
            Self::Operator => Some(2),
            Self::Admin => Some(3),
            Self::Billing | Self::Auditor => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The kind of peer that a method is for; of a caller, how it proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Anyone that completes a TLS handshake, without a verified certificate.
    Anonymous,
    /// An enrolled device, with its device certificate.
    Device,
    /// An operator, with a client certificate that names a role.
    Operator,
}

/// What a method reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScopeKind {
    /// The whole region; a certificate that names tenants is refused.
    Region,
    /// Tenants; a certificate that names tenants reaches just those.
    Tenant,
    /// The caller alone, or what is the same for everybody.
    Caller,
}

/// The access rule of one method, as the contract states it.
///
/// How a call is filed in the audit log is no part of this decision. Whether a second
/// person must agree depends on the target, so the method itself sees to it; here it is
/// only explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The kind of peer that the method is for.
    pub audience: Audience,
    /// The lowest role that may call. `None` lets nobody in by the ladder.
    pub least_role: Option<Role>,
    /// Roles that may call as well.
    pub also_roles: Vec<Role>,
    /// What the method reaches.
    pub scope: ScopeKind,
    /// Whether the method changes anything.
    pub mutates: bool,
    /// Whether the caller must give a reason.
    pub needs_reason: bool,
    /// Whether a second person must agree where the target is protected.
    pub needs_approval: bool,
}

/// What is known about a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerFacts {
    /// How it proved itself.
    pub audience: Audience,
    /// The role in its certificate; `None` where there is none, or an unknown one.
    pub role: Option<Role>,
    /// The role's word as the certificate says it, known or not.
    pub role_name: String,
    /// Whether the certificate names tenants instead of the whole region.
    pub scoped_to_tenants: bool,
    /// Whether a break-glass grant gives the role admin for now. It widens no scope.
    pub break_glass: bool,
}

impl CallerFacts {
    /// The role that counts now.
    pub fn effective_role(&self) -> Option<Role> {
        if self.break_glass && may_break_glass(self.role) { Some(Role::Admin) } else { self.role }
    }
}

/// Whether somebody with this role may have the role admin for a time: who does the daily
/// work, and nobody who only reads or stands beside the ladder.
pub fn may_break_glass(role: Option<Role>) -> bool {
    role.is_some_and(|role| role.includes(Role::Operator))
}

/// Whether a call may go on, by which rule, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may.
    pub allowed: bool,
    /// The rule that decided, in kebab case.
    pub rule: &'static str,
    /// Why; of a denial, what is missing and what to do about it.
    pub message: String,
}

/// The names of the rules that decide.
pub mod rules {
    /// The method is for anyone.
    pub const ANONYMOUS: &str = "anonymous";
    /// The method is for a certain kind of peer.
    pub const AUDIENCE: &str = "audience";
    /// A role that this version does not know grants nothing.
    pub const UNKNOWN_ROLE: &str = "unknown-role";
    /// The ladder viewer, operator, admin.
    pub const LEAST_ROLE: &str = "least-role";
    /// The method names roles beside the ladder.
    pub const ALSO_ROLE: &str = "also-role";
    /// An auditor reads everything.
    pub const AUDITOR_READS: &str = "auditor-reads";
    /// A certificate that names tenants does not reach the region.
    pub const REGION_SCOPE: &str = "region-scope";
    /// A break-glass grant gives the role that the own one does not.
    pub const BREAK_GLASS: &str = "break-glass";
    /// The method needs a reason.
    pub const NEEDS_REASON: &str = "needs-reason";
}

/// Decides whether a caller may call a method. `reason_given` is whether the request
/// carries a reason that is not blank.
pub fn decide(rule: &Rule, caller: &CallerFacts, reason_given: bool) -> Decision {
    let decision = match rule.audience {
        Audience::Anonymous => allow(rules::ANONYMOUS, "anyone may call this".to_owned()),
        Audience::Device => decide_device(caller),
        Audience::Operator => decide_operator(rule, caller),
    };
    if decision.allowed && rule.needs_reason && !reason_given {
        return deny(
            rules::NEEDS_REASON,
            "this needs a reason, and none was given: add one, for example with `--reason`"
                .to_owned(),
        );
    }
    decision
}

fn decide_device(caller: &CallerFacts) -> Decision {
    match caller.audience {
        Audience::Device => allow(rules::AUDIENCE, "a device certificate may call this".to_owned()),
        Audience::Anonymous => deny(
            rules::AUDIENCE,
            "this needs the device certificate of an enrolled device, and no valid certificate \
             was shown: enrol with `ssctl login`"
                .to_owned(),
        ),
        Audience::Operator => deny(
            rules::AUDIENCE,
            "this needs the device certificate of an enrolled device, and a client certificate \
             was shown: call it with the device certificate"
                .to_owned(),
        ),
    }
}

fn decide_operator(method: &Rule, caller: &CallerFacts) -> Decision {
    match caller.audience {
        Audience::Operator => {}
        Audience::Anonymous => {
            return deny(
                rules::AUDIENCE,
                "this needs an operator's client certificate, and no valid one was shown: enrol \
                 with `ssctl login`"
                    .to_owned(),
            );
        }
        Audience::Device => {
            return deny(
                rules::AUDIENCE,
                "this needs an operator's client certificate, and a device certificate was shown, \
                 which may only renew: renew with it and call again"
                    .to_owned(),
            );
        }
    }
    let Some(role) = caller.role else {
        return deny(rules::UNKNOWN_ROLE, unknown_role(&caller.role_name));
    };
    let mut granted = grant(method, role);
    if !granted.allowed && caller.break_glass && may_break_glass(caller.role) {
        let under_grant = grant(method, Role::Admin);
        if under_grant.allowed {
            let message = "your break-glass grant gives you role admin for now".to_owned();
            granted = allow(rules::BREAK_GLASS, message);
        }
    }
    if granted.allowed && method.scope == ScopeKind::Region && caller.scoped_to_tenants {
        return deny(
            rules::REGION_SCOPE,
            "this reaches the whole region, and your certificate names tenants only: ask an admin \
             for a token with the region as its scope"
                .to_owned(),
        );
    }
    granted
}

/// What a role grants by itself.
fn grant(method: &Rule, role: Role) -> Decision {
    if let Some(least) = method.least_role.filter(|least| role.includes(*least)) {
        let message = if role == least {
            format!("this needs role {least}, and your certificate says so")
        } else {
            format!("this needs role {least}, which your role {role} includes")
        };
        return allow(rules::LEAST_ROLE, message);
    }
    if method.also_roles.contains(&role) {
        return allow(rules::ALSO_ROLE, format!("this is also for role {role}"));
    }
    if role == Role::Auditor && !method.mutates {
        return allow(rules::AUDITOR_READS, "an auditor reads everything".to_owned());
    }
    let Some(least) = method.least_role else {
        return deny(rules::LEAST_ROLE, "no role may call this: ask for it elsewhere".to_owned());
    };
    let mut wanted = vec![least];
    wanted.extend(method.also_roles.iter().filter(|also| **also != least));
    let wanted: Vec<&str> = wanted.into_iter().map(Role::as_str).collect();
    let emergency = if least == Role::Admin && may_break_glass(Some(role)) {
        "; in an emergency `ssctl break-glass` gives it to you for a time"
    } else {
        ""
    };
    deny(
        rules::LEAST_ROLE,
        format!(
            "this needs role {}; your certificate says {role}: ask an admin for a token with that \
             role{emergency}",
            wanted.join(" or ")
        ),
    )
}

/// As [`decide`] before the call, where the reason is not given yet, with all that will
/// be asked of the caller beside.
pub fn explain(rule: &Rule, caller: &CallerFacts) -> Decision {
    let mut decision = decide(rule, caller, true);
    if !decision.allowed {
        return decision;
    }
    if rule.needs_reason {
        decision.message.push_str("; it needs a reason");
    }
    if rule.needs_approval {
        let least = rule.least_role.map_or("admin", Role::as_str);
        let second = format!(
            "; where the target is protected, a second person of role {least} must agree to the \
             very request first (`ssctl approval`)"
        );
        decision.message.push_str(&second);
    }
    decision
}

fn unknown_role(role_name: &str) -> String {
    const ASK: &str =
        "ask an admin for a token with one of viewer, operator, admin, billing, auditor";
    if role_name.is_empty() {
        return format!("your certificate names no role, so it grants nothing: {ASK}");
    }
    let shown = text::excerpt(role_name);
    format!(
        "your certificate says role `{shown}`, which this daemon does not know, so it grants \
         nothing: {ASK}"
    )
}

fn allow(rule: &'static str, message: String) -> Decision {
    Decision { allowed: true, rule, message }
}

fn deny(rule: &'static str, message: String) -> Decision {
    Decision { allowed: false, rule, message }
}

#[cfg(test)]
mod tests;
