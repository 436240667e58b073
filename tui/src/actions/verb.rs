//! What can be done: to what, by which key and method, with what, and by which command.

use streamspace_core::incident::{
    Role,
    lifecycle::{Event, Refusal, State as Life, step},
};
use streamspace_proto::v1::IncidentState;
use uuid::Uuid;

use super::{Field, Given, Kind, Subject, role, rule};
use crate::{
    rows::{Incident, shell_word},
    state::Region,
};

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
    Triage,
    Assign,
    Escalate,
    Note,
    TellPublic,
    Mitigate,
    Resolve,
    Reopen,
    Merge,
    AddTask,
    FinishTask,
    Review,
}

/// What a daemon is asked to do, or to rehearse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) subject: Subject,
    pub(crate) verb: Verb,
    pub(crate) rehearse: bool,
    /// The same for each try, so that a retry is not a second change.
    pub(crate) request_id: Uuid,
    /// What was written, but the reason.
    pub(crate) given: Given,
    pub(crate) reason: String,
}

impl Work {
    /// What was written into a field.
    pub(crate) fn get(&self, field: Field) -> &str {
        self.given.get(field)
    }
}

/// What is so of a verb.
struct Facts {
    /// The key that picks it in the menu.
    key: char,
    /// One word, then what it means.
    label: &'static str,
    /// The service and the method that do it.
    method: &'static str,
    /// What is asked for beside the reason.
    fields: &'static [Field],
    effect: Effect,
}

/// Whom a verb can hurt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It takes something away from people.
    TakesAway,
    Changes,
    /// It calls or tells people, and changes nothing that serves anybody. At night nobody
    /// should have to write a name for that.
    Tells,
    /// It is written down, and no more.
    Writes,
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
            Kind::Incident => &[
                Self::AcknowledgeIncident,
                Self::Triage,
                Self::Assign,
                Self::Escalate,
                Self::Note,
                Self::TellPublic,
                Self::Mitigate,
                Self::Resolve,
                Self::Merge,
                Self::AddTask,
                Self::FinishTask,
                Self::Review,
                Self::Reopen,
            ],
            Kind::Region => &[Self::Declare],
        }
    }

    #[rustfmt::skip]
    fn facts(self) -> Facts {
        use Effect::{Changes, TakesAway, Tells, Writes};
        use Field as F;
        let facts = |key, label, method, fields, effect| Facts { key, label, method, fields, effect };
        match self {
            Self::Hibernate => facts('h', "hibernate: scale it to zero, it wakes again", "SessionService/ChangeSessions", &[], Changes),
            Self::Wake => facts('w', "wake: let it run again", "SessionService/ChangeSessions", &[], Changes),
            Self::Terminate => facts('x', "terminate: end it, the home stays", "SessionService/ChangeSessions", &[], TakesAway),
            Self::Cordon => facts('c', "cordon: nothing new starts, what runs goes on", "TenantService/CordonTenant", &[F::Lifetime], Changes),
            Self::Uncordon => facts('u', "uncordon: new sessions may start again", "TenantService/UncordonTenant", &[], Changes),
            Self::Suspend => facts('s', "suspend: hibernate all, let nothing start", "TenantService/SuspendTenant", &[], TakesAway),
            Self::Resume => facts('r', "resume: end the suspension", "TenantService/ResumeTenant", &[], Changes),
            Self::SetPlan => facts('p', "plan: change what the customer buys", "TenantService/UpdateTenant", &[F::Plan], Changes),
            Self::SetQuota => facts('q', "quota: change an amount, for good or for a time", "QuotaService/SetQuota", &[F::Amount, F::Lifetime], Changes),
            Self::HibernateAll => facts('d', "drain: hibernate all its sessions", "SessionService/ChangeSessions", &[], TakesAway),
            Self::TerminateAll => facts('x', "drain hard: terminate all its sessions", "SessionService/ChangeSessions", &[], TakesAway),
            Self::Revoke => facts('r', "revoke: it opens nothing any more, its streams end", "AccessService/RevokeCertificate", &[], TakesAway),
            Self::Acknowledge => facts('a', "acknowledge: tell that you have it in hand", "AlertService/AcknowledgeAlert", &[], Tells),
            Self::Declare => facts('d', "declare: an incident, which pages who is on call", "IncidentService/DeclareIncident", &[F::Severity, F::Title], Tells),
            Self::AcknowledgeIncident => facts('a', "acknowledge: tell that you have it in hand", "IncidentService/AcknowledgeIncident", &[], Tells),
            Self::Triage => facts('t', "triage: judge how grave it is, and whom it hits", "IncidentService/MoveIncident", &[F::Severity, F::Tenants, F::Note], Writes),
            Self::Assign => facts('s', "assign: give somebody a role", "IncidentService/AssignRole", &[F::Role, F::Person], Writes),
            Self::Escalate => facts('e', "escalate: page the next level now", "IncidentService/EscalateIncident", &[], Tells),
            Self::Note => facts('n', "note: add to the timeline", "IncidentService/AddNote", &[F::Note], Writes),
            Self::TellPublic => facts('u', "update: tell customers on the status page", "IncidentService/AddNote", &[F::Public, F::Next], Tells),
            Self::Mitigate => facts('m', "mitigate: users are not hurt any more", "IncidentService/MoveIncident", &[F::Note], Writes),
            Self::Resolve => facts('r', "resolve: the cause is gone", "IncidentService/MoveIncident", &[F::Note], Writes),
            Self::Reopen => facts('o', "reopen: it is back", "IncidentService/MoveIncident", &[F::Note], Writes),
            Self::Merge => facts('g', "merge: join it to another, which goes on", "IncidentService/MergeIncident", &[F::Into], Tells),
            Self::AddTask => facts('i', "action: what is to be done so that it does not happen again", "IncidentService/AddActionItem", &[F::Task, F::Owner, F::Due], Writes),
            Self::FinishTask => facts('d', "done: an action item is", "IncidentService/CompleteActionItem", &[F::Number], Writes),
            Self::Review => facts('v', "review: the post-mortem was read and agreed", "IncidentService/MoveIncident", &[F::Note], Writes),
        }
    }

    /// The key that picks it in the menu.
    pub(crate) fn key(self) -> char {
        self.facts().key
    }

    pub(crate) fn label(self) -> &'static str {
        self.facts().label
    }

    /// One word for the title and for what is told afterwards.
    pub(crate) fn word(self) -> &'static str {
        self.label().split(':').next().unwrap_or_default()
    }

    /// The path of the method that does it.
    pub(super) fn method(self) -> String {
        format!("streamspace.admin.v1.{}", self.facts().method)
    }

    /// What is asked for, where it is done in a region.
    pub(crate) fn fields(self, region: &Region) -> Vec<Field> {
        let Facts { fields: own, effect, .. } = self.facts();
        let mut fields = own.to_vec();
        // The timeline keeps why.
        if ![Field::Note, Field::Public, Field::Task].iter().any(|it| own.contains(it)) {
            fields.push(Field::Reason);
        }
        let is_guarded = region.target.protected && effect == Effect::Changes;
        if effect == Effect::TakesAway || is_guarded {
            fields.push(Field::Confirmation);
        }
        fields
    }

    /// Whether it is written down and no more, so that nobody need look first at what it would do.
    pub(crate) fn only_writes(self) -> bool {
        self.facts().effect == Effect::Writes
    }

    /// Whether a field must not be empty.
    pub(crate) fn requires(self, field: Field) -> bool {
        match field {
            Field::Plan
            | Field::Amount
            | Field::Confirmation
            | Field::Title
            | Field::Severity
            | Field::Public
            | Field::Role
            | Field::Into
            | Field::Task
            | Field::Number => true,
            Field::Note => matches!(self, Self::Note | Self::Reopen),
            Field::Reason => rule(&self.method()).is_some_and(|rule| rule.needs_reason),
            Field::Tenants
            | Field::Next
            | Field::Person
            | Field::Owner
            | Field::Due
            | Field::Lifetime => false,
        }
    }

    /// Why an incident does not take it as it is now, where it does not.
    pub(crate) fn not_now(self, incident: &Incident) -> Option<String> {
        let life = match incident.whole.state() {
            IncidentState::Declared => Life::Declared,
            IncidentState::Triaged => Life::Triaged,
            IncidentState::Mitigated => Life::Mitigated,
            IncidentState::Resolved => Life::Resolved,
            IncidentState::Reviewed => Life::Reviewed,
            // The daemon knows.
            IncidentState::Unspecified => return None,
        };
        let event = match self {
            Self::Triage => Event::Triage,
            Self::Mitigate => Event::Mitigate,
            Self::Resolve => Event::Resolve,
            Self::Review => Event::Review,
            Self::Reopen => Event::Reopen("it is back"),
            Self::AcknowledgeIncident | Self::Escalate | Self::Merge if !life.is_open() => {
                return Some(format!("it is {life}"));
            }
            Self::FinishTask if incident.whole.action_items.iter().all(|item| item.done) => {
                return Some("nothing is left to do".into());
            }
            _ => return None,
        };
        step(life, event).err().map(|refusal| match refusal {
            Refusal::NotNow { remedy, .. } => remedy.to_owned(),
            Refusal::NoReason => refusal.to_string(),
        })
    }

    /// The command that does the same, with what was given so far.
    pub(crate) fn command(self, subject: &Subject, given: &Given) -> String {
        let id = shell_word(&subject.id);
        let option = |flag: &str, field: Field| match given.get(field) {
            "" => String::new(),
            value => format!(" {flag} {}", shell_word(value)),
        };
        let text = |field: Field| match given.get(field) {
            "" => String::new(),
            text => format!(" {}", shell_word(text)),
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
            Self::SetQuota => format!("quota set {id}{}{lifetime}", text(Field::Amount)),
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
                format!("incident declare{}{severity}{alert}", text(Field::Title))
            }
            Self::AcknowledgeIncident => format!("incident ack {id}"),
            Self::Triage => {
                let tenants = given.get(Field::Tenants).split_whitespace();
                let flags = tenants.flat_map(|it| [" --tenant ".to_owned(), shell_word(it)]);
                let (tenants, severity) =
                    (flags.collect::<String>(), option("--severity", Field::Severity));
                format!("incident triage {id}{severity}{tenants}{}", option("--note", Field::Note))
            }
            Self::Assign => {
                let flag = role(given.get(Field::Role)).map_or("commander", Role::as_str);
                format!("incident assign {id} --{flag} {}", shell_word(given.get(Field::Person)))
            }
            Self::Escalate => format!("incident escalate {id}"),
            Self::Note => format!("incident note {id}{}", text(Field::Note)),
            Self::TellPublic => {
                let next = option("--next", Field::Next);
                format!("incident update --public {id}{}{next}", text(Field::Public))
            }
            Self::Mitigate => format!("incident mitigate {id}{}", text(Field::Note)),
            Self::Resolve => format!("incident resolve {id}{}", text(Field::Note)),
            Self::Reopen => format!("incident reopen {id}{}", text(Field::Note)),
            Self::Merge => format!("incident merge {id}{}", text(Field::Into)),
            Self::AddTask => {
                let (owner, due) = (option("--owner", Field::Owner), option("--due", Field::Due));
                format!("incident action {id}{}{owner}{due}", text(Field::Task))
            }
            Self::FinishTask => format!("incident action {id}{}", option("--done", Field::Number)),
            Self::Review => format!("incident review {id}{}", text(Field::Note)),
        };
        format!("ssctl {own}{}", option("--reason", Field::Reason))
    }
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1;

    use super::*;
    use crate::state::RegionIndex;

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
                assert!(rule(&verb.method()).is_some_and(|rule| rule.mutates), "{verb:?}");
            }
        }
    }

    fn of(kind: Kind, id: &str) -> Subject {
        Subject { region: RegionIndex(0), name: String::new(), id: id.into(), kind }
    }

    #[test]
    fn the_command_has_what_was_given() {
        let given =
            [(Field::Amount, "cpu=+40"), (Field::Lifetime, "8h"), (Field::Reason, "they asked")];
        let given: Given =
            given.map(|(field, text)| (field, text.to_owned())).into_iter().collect();
        let acme = of(Kind::Tenant, "acme");
        assert_eq!(
            Verb::SetQuota.command(&acme, &given),
            "ssctl quota set acme cpu=+40 --for 8h --reason 'they asked'"
        );
        assert_eq!(Verb::SetPlan.command(&acme, &Given::default()), "ssctl tenant set acme");
        assert_eq!(Verb::SetQuota.command(&acme, &Given::default()), "ssctl quota set acme");
    }

    #[test]
    fn the_commands_of_an_incident_have_the_flags_of_ssctl() {
        use Field as F;
        type Case = (Verb, &'static [(F, &'static str)], &'static str);
        let incident = of(Kind::Incident, "INC-7");
        let cases: [Case; 6] = [
            (
                Verb::Triage,
                &[(F::Severity, "p1"), (F::Tenants, " acme  beta "), (F::Note, "all of it")],
                "triage INC-7 --severity p1 --tenant acme --tenant beta --note 'all of it'",
            ),
            (
                Verb::Assign,
                &[(F::Role, "comma"), (F::Person, "lee")],
                "assign INC-7 --commander lee",
            ),
            (Verb::Assign, &[(F::Role, "scribe")], "assign INC-7 --scribe ''"),
            (
                Verb::TellPublic,
                &[(F::Public, "We work on it"), (F::Next, "30m")],
                "update --public INC-7 'We work on it' --next 30m",
            ),
            (
                Verb::AddTask,
                &[(F::Task, "warn before"), (F::Owner, "lee"), (F::Due, "2026-03-31")],
                "action INC-7 'warn before' --owner lee --due 2026-03-31",
            ),
            (Verb::FinishTask, &[(F::Number, "2")], "action INC-7 --done 2"),
        ];
        for (verb, given, command) in cases {
            let given = given.iter().map(|(field, text)| (*field, (*text).to_owned())).collect();
            assert_eq!(verb.command(&incident, &given), format!("ssctl incident {command}"));
        }
    }

    #[test]
    fn what_the_life_of_an_incident_does_not_allow_cannot_be_picked() {
        let incident = |state: IncidentState| {
            let whole = v1::Incident { state: state.into(), ..v1::Incident::default() };
            Incident::new(RegionIndex(0), &whole)
        };
        let (open, over) = (incident(IncidentState::Triaged), incident(IncidentState::Resolved));
        for (verb, when_open, when_over) in [
            (Verb::Mitigate, true, false),
            (Verb::Resolve, true, false),
            (Verb::AcknowledgeIncident, true, false),
            (Verb::Review, false, true),
            (Verb::Reopen, false, true),
            (Verb::Note, true, true),
            (Verb::FinishTask, false, false),
        ] {
            assert_eq!(verb.not_now(&open).is_none(), when_open, "{verb:?}");
            assert_eq!(verb.not_now(&over).is_none(), when_over, "{verb:?}");
        }
    }
}
