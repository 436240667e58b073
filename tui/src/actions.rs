//! What can be done to a session, a tenant and more: who may, what is asked for, what the same
//! command is, and the dialog on the way to it.

use std::{collections::HashMap, sync::LazyLock};

use streamspace_core::access::Role;
use streamspace_proto::{policy, v1};

use crate::state::{Identity, Region, RegionIndex};

mod dialog;
mod field;
mod menu;
mod verb;

pub(crate) use dialog::{Dialog, Rehearsal, Stage};
pub(crate) use field::{Field, Given, role};
pub(crate) use menu::Menu;
pub(crate) use verb::{Verb, Work};

/// What something is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) region: RegionIndex,
    /// The full name, as the contract has it.
    pub(crate) name: String,
    /// What people call it: the id of a tenant, `tenant/session` of a session.
    pub(crate) id: String,
    pub(crate) kind: Kind,
}

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Session,
    Tenant,
    Certificate,
    Alert,
    Incident,
    Region,
}

/// The rule of a method.
fn rule(method: &str) -> Option<&'static v1::MethodPolicy> {
    static RULES: LazyLock<HashMap<String, v1::MethodPolicy>> = LazyLock::new(|| {
        policy::methods().into_iter().map(|method| (method.path, method.policy)).collect()
    });
    RULES.get(method)
}

/// Whether a daemon would let whoever looks ask by a method. A refusal is kept in its audit log:
/// what nobody wished for must not be asked in vain.
pub(crate) fn may(method: &str, region: &Region) -> bool {
    let identity = region.identity.as_ref();
    identity.zip(rule(method)).is_some_and(|(identity, rule)| lacks(rule, identity).is_none())
}

/// Why somebody may not do it, in a few words; none where the daemon would let them.
pub(crate) fn missing(verb: Verb, region: &Region, locked: Option<&str>) -> Option<String> {
    if let Some(locked) = locked {
        return Some(locked.to_owned());
    }
    let Some(identity) = &region.identity else {
        return Some("it is not known yet who you are".into());
    };
    let Some(rule) = rule(&verb.method()) else { return Some("no such method".into()) };
    lacks(rule, identity)
}

/// What somebody lacks for a method; none where nothing.
fn lacks(rule: &v1::MethodPolicy, identity: &Identity) -> Option<String> {
    let roles = std::iter::once(rule.least_role()).chain(rule.also_roles());
    let mut words = roles.filter_map(role_word).peekable();
    let own = Role::parse(&identity.effective_role);
    let first = words.peek().copied().unwrap_or("nobody");
    let may = words
        .any(|word| own.zip(Role::parse(word)).is_some_and(|(own, needed)| own.includes(needed)));
    if !may {
        return Some(format!("needs the role {first}"));
    }
    if rule.scope() == v1::Scope::Region && identity.tenants.is_some() {
        return Some("needs a certificate for the whole region".into());
    }
    None
}

/// A role's word, as certificates spell it.
pub(crate) fn role_word(role: v1::Role) -> Option<&'static str> {
    Some(match role {
        v1::Role::Unspecified => return None,
        v1::Role::Viewer => "viewer",
        v1::Role::Operator => "operator",
        v1::Role::Admin => "admin",
        v1::Role::Billing => "billing",
        v1::Role::Auditor => "auditor",
    })
}
