//! Who answers questions in the story, and does what is asked for.

use jiff::Timestamp;
use streamspace_proto::{
    json::to_value,
    v1::{
        Alert, AuditDecision, AuditEntry, AuditPhase, Certificate, CertificateKind,
        CertificateState, ChangeType, ClusterEvent, DescribeSessionResponse, Quota, QuotaLine,
        Session, SessionObject, SessionPhase, SessionState, Tenant, TenantObject,
        TenantObjectState, TenantState, resource,
    },
};

use super::{
    BEGIN, consumption,
    incidents::{self, Deed},
    promises,
    script::{change, session_of, set},
    time,
    world::{Place, World, report},
};
use crate::{
    actions::{Kind, Verb, Work},
    events::News,
    recording::Troupe,
    rows::short,
    state::{Answer, Question, RegionIndex},
    trouble::Trouble,
};

/// Objects of a tenant, in the order in which they are made.
const OBJECTS: [(&str, &str); 12] = [
    ("Namespace", ""),
    ("ServiceAccount", "streamspace"),
    ("Role", "tenant-admin"),
    ("RoleBinding", "tenant-admin"),
    ("ResourceQuota", "plan"),
    ("ResourceQuota", "users"),
    ("LimitRange", "plan"),
    ("NetworkPolicy", "default-deny"),
    ("NetworkPolicy", "allow-dns"),
    ("NetworkPolicy", "allow-gateway"),
    ("NetworkPolicy", "allow-egress"),
    ("ConfigMap", "branding"),
];
/// What people did before the story begins: how many seconds ago, who, what, of what, why.
const PAST: [(i64, &str, &str, &str, &str); 9] = [
    (
        12,
        "ops-2",
        "SessionService/ChangeSessions",
        "tenants/kestrel-bank",
        "INC-212 nodes are full",
    ),
    (95, "ops-2", "TenantService/GetTenant", "tenants/kestrel-bank", ""),
    (610, "ops-1", "QuotaService/SetQuota", "tenants/umbra-labs", "INC-208 month end"),
    (1810, "deploy", "BulkService/ChangeTenants", "tenants/-", "nightly apply of main"),
    (2400, "eve", "TenantService/DeleteTenant", "tenants/acme-corp", "cleaning up"),
    (5200, "ops-1", "TenantService/CordonTenant", "tenants/hollow-pines", "their SSO is down"),
    (9100, "ops-2", "AccessService/CreateEnrolmentToken", "operators/finn", "new in the team"),
    (
        14_300,
        "ops-1",
        "TenantService/UpdateTenant",
        "tenants/fjord-media",
        "seats 8 to 10, asked by mail",
    ),
    (40_200, "ops-2", "PlanService/UpdatePlan", "plans/business", "more memory from today on"),
];
/// Who looks.
const ME: &str = "ops-1";

/// Everybody who answers.
pub(super) struct Actors {
    world: World,
    /// The alerts that somebody took, where and by name.
    taken: Vec<(RegionIndex, String)>,
    /// What somebody did to incidents.
    deeds: Vec<Deed>,
}

impl Actors {
    pub(super) fn new(world: World) -> Self {
        Self { world, taken: Vec::new(), deeds: Vec::new() }
    }

    fn place(&self, region: RegionIndex) -> Option<&Place> {
        self.world.places.get(usize::from(region.0))
    }

    fn tenant(&self, region: RegionIndex, name: &str) -> Option<&Tenant> {
        self.place(region)?.tenants.iter().find(|tenant| tenant.name == name)
    }

    fn session(&self, region: RegionIndex, name: &str) -> Session {
        let known = self
            .place(region)
            .and_then(|place| place.sessions.iter().find(|session| session.name == name).cloned());
        // One that came later in the story.
        known.unwrap_or_else(|| Session {
            name: name.to_owned(),
            user: short(name).split('-').next().unwrap_or_default().to_owned(),
            cpu: "2".into(),
            memory: "4Gi".into(),
            template: "vscode".into(),
            create_time: time(-60),
            ..Session::default()
        })
    }

    /// What fires, and who has it.
    fn alerts(&self, region: RegionIndex, second: i64) -> Vec<Alert> {
        let mut alerts = promises::alerts(region, second);
        for alert in &mut alerts {
            if self.taken.contains(&(region, alert.name.clone())) {
                alert.acknowledged_by = ME.into();
                alert.acknowledge_time = time(second);
            }
        }
        alerts
    }

    /// Somebody takes an alert; only the first one can.
    fn take(&mut self, work: &Work, second: i64) -> Result<Vec<String>, Trouble> {
        let (region, name) = (work.subject.region, &work.subject.name);
        let alerts = self.alerts(region, second);
        let Some(alert) = alerts.into_iter().find(|alert| alert.name == *name) else {
            return Err(Trouble::new("it does not fire any more"));
        };
        if !["", ME].contains(&alert.acknowledged_by.as_str()) {
            let words = format!("{} has it in hand already: speak to them", alert.acknowledged_by);
            return Err(Trouble { refused: true, ..Trouble::new(&words) });
        }
        let would = if work.rehearse { "it would be: " } else { "" };
        if !work.rehearse {
            self.taken.push((region, name.clone()));
        }
        Ok(vec![format!("{would}{ME} has it: {}", alert.summary)])
    }

    fn yaml(&self, region: RegionIndex, name: &str) -> String {
        let value = if name.contains("/sessions/") {
            to_value(&self.session(region, name))
        } else if let Some(tenant) = self.tenant(region, name) {
            to_value(tenant)
        } else if let Some(one) = certificates().iter().find(|one| one.name == name) {
            to_value(one)
        } else {
            let place = self.place(region);
            place.map_or_else(|| to_value(&Tenant::default()), |it| to_value(&report(it, None)))
        };
        let yaml = value.ok().and_then(|value| serde_saphyr::to_string(&value).ok());
        yaml.unwrap_or_default()
    }
}

impl Troupe for Actors {
    fn answer(&mut self, region: RegionIndex, question: &Question, now: Timestamp) -> Answer {
        let second = now.as_second() - BEGIN;
        match question {
            Question::Session(name) => {
                Answer::Session(Box::new(described(self.session(region, name))))
            }
            Question::Quota(name) => Answer::Quota(Box::new(quota(name))),
            Question::Objects(name) => {
                let failing = self.tenant(region, name).is_some_and(is_failing);
                Answer::Objects(objects(name, failing))
            }
            Question::Usage(name) => Answer::Usage(Box::new(consumption::usage(name, second))),
            Question::LiveUsage => {
                let sessions = self.place(region).map(|place| place.sessions.as_slice());
                Answer::LiveUsage(Box::new(consumption::live(sessions.unwrap_or_default(), second)))
            }
            Question::Incidents => {
                Answer::Incidents(incidents::incidents(region, second, &self.deeds))
            }
            Question::Impacts => Answer::Impacts(
                incidents::incidents(region, second, &self.deeds)
                    .iter()
                    .map(|incident| incidents::impact(incident, second))
                    .collect(),
            ),
            Question::Incident(name) => {
                Answer::Incident(Box::new(incidents::detail(region, name, second, &self.deeds)))
            }
            Question::PostMortem(name) => {
                Answer::PostMortem(incidents::post_mortem(region, name, second, &self.deeds))
            }
            Question::Budgets => Answer::Budgets(Box::new(promises::budgets(region, second))),
            Question::Slo(name) => Answer::Slo(Box::new(promises::detail(region, name, second))),
            Question::Alerts => Answer::Alerts(self.alerts(region, second)),
            Question::Audit => Answer::Audit(audit(region)),
            Question::Certificates => Answer::Certificates(certificates()),
            Question::Yaml(name) => Answer::Yaml(self.yaml(region, name)),
        }
    }

    fn work(&mut self, work: &Work, now: Timestamp) -> (Result<Vec<String>, Trouble>, Vec<News>) {
        let second = now.as_second() - BEGIN;
        match work.verb {
            Verb::Acknowledge => return (self.take(work, second), Vec::new()),
            verb if verb == Verb::Declare || Verb::of(Kind::Incident).contains(&verb) => {
                return (incidents::work(work, second, &mut self.deeds), Vec::new());
            }
            _ => {}
        }
        let name = &work.subject.name;
        let session = |state: SessionState, phase: SessionPhase| {
            let mut one = self.session(work.subject.region, name);
            set(&mut one, state, phase);
            (vec!["1 session: 1 changed".to_owned()], Some(session_of(one)))
        };
        let of_tenant = |state: TenantState| {
            let mut one = self.tenant(work.subject.region, name).cloned().unwrap_or_default();
            one.state = state.into();
            let lines =
                vec![format!("{}, plan {}", crate::rows::state_word(state), short(&one.plan))];
            (lines, Some(resource::Resource::Tenant(one)))
        };
        let (lines, changed) = match work.verb {
            Verb::Hibernate => session(SessionState::Hibernated, SessionPhase::Hibernated),
            Verb::Wake => session(SessionState::Running, SessionPhase::Running),
            Verb::Terminate => session(SessionState::Terminated, SessionPhase::Terminated),
            Verb::Cordon => of_tenant(TenantState::Cordoned),
            Verb::Suspend => of_tenant(TenantState::Suspended),
            Verb::Uncordon | Verb::Resume => of_tenant(TenantState::Active),
            Verb::HibernateAll | Verb::TerminateAll => {
                (vec!["12 sessions: 9 changed, 3 as wished already".into()], None)
            }
            // What incidents and alerts have was done above.
            _ => (
                vec!["nothing is behind this demonstration; a daemon would answer here".into()],
                None,
            ),
        };
        let told = changed.filter(|_| !work.rehearse).map(|resource| {
            News::Watch(vec![change(ChangeType::Updated, resource, "ops-1", second)])
        });
        (Ok(lines), told.into_iter().collect())
    }
}

fn is_failing(tenant: &Tenant) -> bool {
    tenant.conditions.iter().any(|condition| condition.reason == "Forbidden")
}

fn described(session: Session) -> DescribeSessionResponse {
    let id = short(&session.name).to_owned();
    let ready = if session.phase() == SessionPhase::Running { "1 of 1 ready" } else { "0 wished" };
    let object = |kind: &str, name: String, status: &str| SessionObject {
        kind: kind.into(),
        name,
        status: status.into(),
    };
    let event = |ago: i64, reason: &str, object: &str, message: &str| ClusterEvent {
        time: time(-ago),
        reason: reason.into(),
        object: format!("{object}/{id}"),
        message: message.into(),
        count: 1,
        ..ClusterEvent::default()
    };
    DescribeSessionResponse {
        objects: vec![
            object("Deployment", id.clone(), ready),
            object("Service", id.clone(), "ClusterIP"),
            object("Ingress", id.clone(), "admitted"),
        ],
        events: vec![
            event(5400, "ScalingReplicaSet", "Deployment", "Scaled up replica set to 1"),
            event(5398, "Scheduled", "Pod", "Successfully assigned to a node"),
            event(5391, "Pulled", "Pod", "Container image already present on machine"),
            event(5390, "Started", "Pod", "Started container desktop"),
        ],
        session: Some(session),
        message: String::new(),
    }
}

fn quota(tenant: &str) -> Quota {
    let line = |resource: &str, used: &str, hard: &str, share: i32, full: Option<i64>| QuotaLine {
        resource: resource.into(),
        used: used.into(),
        hard: hard.into(),
        used_permille: share,
        exhaust_time: full.and_then(time),
        ..QuotaLine::default()
    };
    Quota {
        tenant: tenant.into(),
        lines: vec![
            line("cpu", "86500m", "100", 865, Some(187_200)),
            line("memory", "148Gi", "200Gi", 740, Some(784_800)),
            line("storage", "200Gi", "1Ti", 195, None),
            line("pods", "43", "500", 86, None),
        ],
        observed: true,
        ..Quota::default()
    }
}

fn objects(tenant: &str, failing: bool) -> Vec<TenantObject> {
    let namespace = format!("tenant-{}", short(tenant));
    let object = |(kind, name): (&str, &str)| {
        let drifted = failing && name == "allow-egress";
        TenantObject {
            kind: kind.into(),
            name: if name.is_empty() { namespace.clone() } else { name.into() },
            namespace: if name.is_empty() { String::new() } else { namespace.clone() },
            state: if drifted { TenantObjectState::Drifted } else { TenantObjectState::InSync }
                .into(),
            message: if drifted {
                "spec.egress[0].ports: 443 is missing".into()
            } else {
                String::new()
            },
        }
    };
    OBJECTS.map(object).into()
}

/// Each region's, at other times of the same night.
fn audit(region: RegionIndex) -> Vec<AuditEntry> {
    let count = i64::try_from(PAST.len()).unwrap_or(0);
    let later = 1 + 3 * i64::from(region.0);
    (0..)
        .zip(PAST)
        .map(|(number, (ago, actor, method, resource, reason))| {
            let denied = actor == "eve";
            AuditEntry {
                position: 48_210 + count - number,
                time: time(-ago * later - 7 * (later - 1)),
                phase: if denied { AuditPhase::Denial } else { AuditPhase::Outcome }.into(),
                decision: if denied { AuditDecision::Denied } else { AuditDecision::Succeeded }
                    .into(),
                call_id: format!("call-{number}"),
                actor: actor.into(),
                role: "operator".into(),
                method: format!("streamspace.admin.v1.{method}"),
                resource: resource.into(),
                reason: reason.into(),
                status_message: if denied {
                    "your role, operator, may not delete tenants".into()
                } else {
                    String::new()
                },
                count: 1,
                ..AuditEntry::default()
            }
        })
        .collect()
}

fn certificates() -> Vec<Certificate> {
    use CertificateKind::{Client, Device};
    let one = |serial: &str, operator: &str, role: &str, kind: CertificateKind, ends| Certificate {
        name: format!("certificates/{serial}"),
        kind: kind.into(),
        operator: operator.into(),
        role_name: role.into(),
        device_name: format!("{operator}-laptop"),
        state: CertificateState::Valid.into(),
        issue_time: time(-86_400),
        expire_time: time(ends),
        ..Certificate::default()
    };
    vec![
        one("0a41c7", "ops-1", "admin", Client, 38_000),
        one("0a41b2", "ops-1", "admin", Device, 86_400 * 61),
        one("0a3f90", "ops-2", "operator", Client, 21_000),
        one("0a3f11", "ops-2", "operator", Device, 86_400 * 12),
        one("0a2e07", "deploy", "operator", Client, 2900),
        one("09ff02", "finn", "operator", Device, 86_400 * 30),
    ]
}
