//! What can be done to a session, a tenant and more: who may, what is asked for, what the same
//! command is, and the dialog on the way to it.

use std::{collections::HashMap, sync::LazyLock};

use streamspace_core::access::Role;
use streamspace_proto::{policy, v1};

use crate::{
    rows::shell_word,
    state::{Identity, Region, RegionIndex},
};

mod dialog;
mod menu;

pub(crate) use dialog::{Dialog, Rehearsal, Stage, Work, severity};
pub(crate) use menu::Menu;

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

/// Something that can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Hibernate,
    Wake,
    Terminate,
    Cordon,
    Uncordon,
    Suspend,
    Resume,
    HibernateAll,
    TerminateAll,
    SetPlan,
    SetQuota,
    Revoke,
    Acknowledge,
    Declare,
    AcknowledgeIncident,
    Note,
    Mitigate,
    Resolve,
}

/// Something that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Plan,
    /// `cpu=+40`
    Amount,
    /// What is wrong, in a line.
    Title,
    /// How grave it is.
    Severity,
    /// What the timeline keeps.
    Note,
    /// How long it holds; until somebody ends it where it is empty.
    Lifetime,
    Reason,
    /// The subject's name once more.
    Confirmation,
}

impl Field {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Amount => "amount",
            Self::Title => "title",
            Self::Severity => "severity",
            Self::Note => "note",
            Self::Lifetime => "for",
            Self::Reason => "reason",
            Self::Confirmation => "confirm",
        }
    }

    /// What to write, where nothing is written yet.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Plan => "business",
            Self::Amount => "cpu=+40, or memory=200Gi",
            Self::Title => "what is wrong, in one line",
            Self::Severity => {
                "P0 all is down, P1 many, P2 some cannot work, P3, P4 nobody is paged"
            }
            Self::Note => "what the timeline keeps",
            Self::Lifetime => "8h, or nothing: until somebody ends it",
            Self::Reason => "why, or an incident as INC-7; it goes to the audit log",
            Self::Confirmation => "type the name",
        }
    }
}

impl Verb {
    /// What can be done to a kind of thing, in the order of the menu.
    pub(crate) fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Session => &[Self::Hibernate, Self::Wake, Self::Terminate],
            Kind::Tenant => &[
                Self::Cordon,
                Self::Uncordon,
                Self::Suspend,
                Self::Resume,
                Self::SetPlan,
                Self::SetQuota,
                Self::HibernateAll,
                Self::TerminateAll,
            ],
            Kind::Certificate => &[Self::Revoke],
            Kind::Alert => &[Self::Acknowledge, Self::Declare],
            Kind::Incident => {
                &[Self::AcknowledgeIncident, Self::Note, Self::Mitigate, Self::Resolve]
            }
            Kind::Region => &[Self::Declare],
        }
    }

    /// The key that picks it in the menu.
    pub(crate) fn key(self) -> char {
        match self {
            Self::Hibernate => 'h',
            Self::Wake => 'w',
            Self::Terminate | Self::TerminateAll => 'x',
            Self::Cordon => 'c',
            Self::Uncordon => 'u',
            Self::Suspend => 's',
            Self::Resume | Self::Revoke | Self::Resolve => 'r',
            Self::SetPlan => 'p',
            Self::SetQuota => 'q',
            Self::HibernateAll | Self::Declare => 'd',
            Self::Acknowledge | Self::AcknowledgeIncident => 'a',
            Self::Note => 'n',
            Self::Mitigate => 'm',
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Hibernate => "hibernate: scale it to zero, it wakes again",
            Self::Wake => "wake: let it run again",
            Self::Terminate => "terminate: end it, the home stays",
            Self::Cordon => "cordon: nothing new starts, what runs goes on",
            Self::Uncordon => "uncordon: new sessions may start again",
            Self::Suspend => "suspend: hibernate all, let nothing start",
            Self::Resume => "resume: end the suspension",
            Self::SetPlan => "plan: change what the customer buys",
            Self::SetQuota => "quota: change an amount, for good or for a time",
            Self::HibernateAll => "drain: hibernate all its sessions",
            Self::TerminateAll => "drain hard: terminate all its sessions",
            Self::Revoke => "revoke: it opens nothing any more, its streams end",
            Self::Acknowledge | Self::AcknowledgeIncident => {
                "acknowledge: tell that you have it in hand"
            }
            Self::Declare => "declare: an incident, which pages who is on call",
            Self::Note => "note: add to the timeline",
            Self::Mitigate => "mitigate: users are not hurt any more",
            Self::Resolve => "resolve: the cause is gone",
        }
    }

    /// One word for the title and for what is told afterwards.
    pub(crate) fn word(self) -> &'static str {
        self.label().split(':').next().unwrap_or_default()
    }

    /// The path of the method that does it.
    fn method(self) -> &'static str {
        match self {
            Self::Hibernate
            | Self::Wake
            | Self::Terminate
            | Self::HibernateAll
            | Self::TerminateAll => "streamspace.admin.v1.SessionService/ChangeSessions",
            Self::Cordon => "streamspace.admin.v1.TenantService/CordonTenant",
            Self::Uncordon => "streamspace.admin.v1.TenantService/UncordonTenant",
            Self::Suspend => "streamspace.admin.v1.TenantService/SuspendTenant",
            Self::Resume => "streamspace.admin.v1.TenantService/ResumeTenant",
            Self::SetPlan => "streamspace.admin.v1.TenantService/UpdateTenant",
            Self::SetQuota => "streamspace.admin.v1.QuotaService/SetQuota",
            Self::Revoke => "streamspace.admin.v1.AccessService/RevokeCertificate",
            Self::Acknowledge => "streamspace.admin.v1.AlertService/AcknowledgeAlert",
            Self::Declare => "streamspace.admin.v1.IncidentService/DeclareIncident",
            Self::AcknowledgeIncident => "streamspace.admin.v1.IncidentService/AcknowledgeIncident",
            Self::Note => "streamspace.admin.v1.IncidentService/AddNote",
            Self::Mitigate | Self::Resolve => "streamspace.admin.v1.IncidentService/MoveIncident",
        }
    }

    /// Whether it takes something away from people.
    fn takes_away(self) -> bool {
        matches!(
            self,
            Self::Terminate
                | Self::Suspend
                | Self::HibernateAll
                | Self::TerminateAll
                | Self::Revoke
        )
    }

    /// Whether it tells others something, and changes nothing that serves anybody. At night
    /// nobody should have to write an alert's name for that.
    fn only_tells(self) -> bool {
        matches!(
            self,
            Self::Acknowledge
                | Self::Declare
                | Self::AcknowledgeIncident
                | Self::Note
                | Self::Mitigate
                | Self::Resolve
        )
    }

    /// What is asked for, where it is done in a region.
    pub(crate) fn fields(self, region: &Region) -> Vec<Field> {
        let own: &[Field] = match self {
            Self::SetPlan => &[Field::Plan],
            Self::SetQuota => &[Field::Amount, Field::Lifetime],
            Self::Cordon => &[Field::Lifetime],
            Self::Declare => &[Field::Severity, Field::Title],
            Self::Note | Self::Mitigate | Self::Resolve => &[Field::Note],
            _ => &[],
        };
        let mut fields = own.to_vec();
        // The timeline keeps why.
        if !own.contains(&Field::Note) {
            fields.push(Field::Reason);
        }
        if self.takes_away() || region.target.protected && !self.only_tells() {
            fields.push(Field::Confirmation);
        }
        fields
    }

    /// Whether a field must not be empty.
    pub(crate) fn requires(self, field: Field) -> bool {
        match field {
            Field::Plan | Field::Amount | Field::Confirmation | Field::Title | Field::Severity => {
                true
            }
            Field::Note => self == Self::Note,
            Field::Reason => rule(self.method()).is_some_and(|rule| rule.needs_reason),
            Field::Lifetime => false,
        }
    }

    /// The command that does the same, with what was given so far.
    pub(crate) fn command(self, subject: &Subject, given: impl Fn(Field) -> String) -> String {
        let id = shell_word(&subject.id);
        let option = |flag: &str, field: Field| {
            let value = given(field);
            if value.is_empty() { String::new() } else { format!(" {flag} {}", shell_word(&value)) }
        };
        let text = |field: Field| match given(field) {
            text if text.is_empty() => text,
            text => format!(" {}", shell_word(&text)),
        };
        let lifetime = option("--for", Field::Lifetime);
        let own = match self {
            Self::Hibernate => format!("session hibernate {id}"),
            Self::Wake => format!("session wake {id}"),
            Self::Terminate => format!("session terminate {id}"),
            Self::Cordon => format!("tenant cordon {id}{lifetime}"),
            Self::Uncordon => format!("tenant uncordon {id}"),
            Self::Suspend => format!("tenant suspend {id}"),
            Self::Resume => format!("tenant resume {id}"),
            Self::SetPlan => format!("tenant set {id}{}", option("--plan", Field::Plan)),
            Self::SetQuota => {
                let amount = given(Field::Amount);
                format!("quota set {id} {amount}{lifetime}")
                    .replace("  ", " ")
                    .trim_end()
                    .to_owned()
            }
            Self::HibernateAll => format!("session drain --tenant {id}"),
            Self::TerminateAll => format!("session drain --tenant {id} --terminate"),
            Self::Revoke => format!("cert revoke {id}"),
            Self::Acknowledge => format!("alert ack {id}"),
            Self::Declare => {
                let alert = match subject.kind {
                    Kind::Alert => format!(" --alert {id}"),
                    _ => String::new(),
                };
                let severity = option("--severity", Field::Severity);
                let title = text(Field::Title);
                format!("incident declare{title}{severity}{alert}")
            }
            Self::AcknowledgeIncident => format!("incident ack {id}"),
            Self::Note => format!("incident note {id}{}", text(Field::Note)),
            Self::Mitigate => format!("incident mitigate {id}{}", text(Field::Note)),
            Self::Resolve => format!("incident resolve {id}{}", text(Field::Note)),
        };
        format!("ssctl {own}{}", option("--reason", Field::Reason))
    }
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
    let Some(rule) = rule(verb.method()) else { return Some("no such method".into()) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things_to_one_thing_and_each_has_a_rule() {
        for kind in [
            Kind::Session,
            Kind::Tenant,
            Kind::Certificate,
            Kind::Alert,
            Kind::Incident,
            Kind::Region,
        ] {
            let mut seen = Vec::new();
            for verb in Verb::of(kind) {
                assert!(!seen.contains(&verb.key()), "{verb:?}");
                seen.push(verb.key());
                assert!(rule(verb.method()).is_some_and(|rule| rule.mutates), "{verb:?}");
            }
        }
    }

    #[test]
    fn the_command_has_what_was_given() {
        let subject = Subject {
            region: RegionIndex(0),
            name: "tenants/acme".into(),
            id: "acme".into(),
            kind: Kind::Tenant,
        };
        let given = |field| match field {
            Field::Amount => "cpu=+40".to_owned(),
            Field::Lifetime => "8h".to_owned(),
            Field::Reason => "they asked".to_owned(),
            _ => String::new(),
        };
        assert_eq!(
            Verb::SetQuota.command(&subject, given),
            "ssctl quota set acme cpu=+40 --for 8h --reason 'they asked'"
        );
        assert_eq!(Verb::SetPlan.command(&subject, |_| String::new()), "ssctl tenant set acme");
    }
}
