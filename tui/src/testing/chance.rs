//! Whatever can happen, in any order.

use crossterm::event::KeyCode;
use proptest::prelude::*;
use ratatui::layout::Size;
use streamspace_client::Counts;
use streamspace_proto::v1::{
    Alert, AuditEntry, Budget, BudgetImpact, Certificate, ChangeType, ConditionStatus, Health,
    Incident, IncidentImpact, OperationCounts, SessionPhase, Slo, TenantState,
};

use super::{
    NOW, broken, change, component, here, identity, item, lost, operation, region, session, synced,
    watched, well,
};
use crate::{
    events::{EventKind, News, Watched},
    keys::Key,
    state::{Answer, Budgets, Question, RegionIndex},
    trouble::Trouble,
};

fn any_key() -> impl Strategy<Value = Key> {
    let code = prop_oneof![
        8 => proptest::sample::select(vec!['j', 'k', 'g', 'G', '/', ':', 's', 'S', 't', 'p', 'v', 'c', 'o', 'O', '[', ']', '?', 'a', ' ', '=', 'u', 'U', 'r', 'l', 'A', 'K', 'b', 'i', 'D', 'N', 'x', 'Y', 'P', ',', '.', '<', '>'])
            .prop_map(KeyCode::Char),
        1 => any::<char>().prop_map(KeyCode::Char),
        6 => proptest::sample::select(vec![
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Enter,
            KeyCode::Esc,
            KeyCode::Backspace,
            KeyCode::Tab,
            KeyCode::BackTab,
            KeyCode::F(3),
        ]),
    ];
    (code, proptest::bool::weighted(0.1)).prop_map(|(code, control)| Key { code, control })
}

fn any_tenant() -> impl Strategy<Value = streamspace_proto::v1::Tenant> {
    let number = 0..30_u8;
    let name = prop_oneof![9 => Just(String::new()), 1 => ".{0,60}"];
    (number, name, -1..9_i32, 0..4_i32, ".{0,12}").prop_map(|(id, name, state, status, words)| {
        let status = ConditionStatus::try_from(status).unwrap();
        let mut tenant = broken(&id.to_string(), TenantState::Active, status, &words, &words);
        if !name.is_empty() {
            tenant.name.clone_from(&name);
            tenant.plan = name;
        }
        tenant.state = state;
        tenant
    })
}

fn any_session() -> impl Strategy<Value = streamspace_proto::v1::Session> {
    let phase = 0..6_i32;
    ("[ab]", 0..6_u8, phase, ".{0,8}").prop_map(|(tenant, id, phase, words)| {
        let phase = SessionPhase::try_from(phase).unwrap();
        session(&format!("{tenant}/desk-{id}"), phase, &words)
    })
}

fn any_operation() -> impl Strategy<Value = streamspace_proto::v1::Operation> {
    (0..4_u8, 0..9_i64, any::<bool>()).prop_map(|(id, pending, done)| {
        let counts = OperationCounts { total: 8, pending, ..OperationCounts::default() };
        let mut operation = operation(&id.to_string(), "tenants/a", counts);
        operation.done = done;
        operation
    })
}

fn any_watch() -> impl Strategy<Value = Watched> {
    let types = [ChangeType::Created, ChangeType::Updated, ChangeType::Deleted, ChangeType::Left];
    prop_oneof![
        2 => any::<bool>().prop_map(|resumed| Watched::Connected { resumed }),
        6 => any_tenant().prop_map(item),
        6 => any_session().prop_map(item),
        1 => any_operation().prop_map(item),
        1 => Just(Watched::Snapshot(Counts { tenants: 7, ..Counts::default() })),
        1 => Just(Watched::Gap),
        2 => Just(synced()),
        6 => (any_tenant(), proptest::sample::select(types.to_vec()), ".{0,20}")
            .prop_map(|(tenant, type_, actor)| change(type_, tenant, &actor, NOW)),
        6 => (any_session(), proptest::sample::select(types.to_vec()), ".{0,20}")
            .prop_map(|(session, type_, actor)| change(type_, session, &actor, NOW)),
        1 => Just(Watched::Quiet),
        1 => Just(lost()),
        1 => Just(Watched::Failed(Trouble::new("no"))),
    ]
}

/// An answer to something that may have been asked.
fn any_answer() -> impl Strategy<Value = EventKind> {
    let entry = |(actor, method, resource): (String, String, String)| AuditEntry {
        actor,
        method,
        resource,
        ..AuditEntry::default()
    };
    let entry = (".{0,12}", ".{0,12}", ".{0,12}").prop_map(entry);
    let audit = proptest::collection::vec(entry, 0..5).prop_map(Answer::Audit);
    let certificate = |(operator, state): (String, i32)| Certificate {
        name: format!("certificates/{operator}"),
        operator,
        state,
        ..Certificate::default()
    };
    let certificate = (".{0,12}", -1..5_i32).prop_map(certificate);
    let certificates = proptest::collection::vec(certificate, 0..5).prop_map(Answer::Certificates);
    let alert = |(id, severity, owner, words): (u8, i32, String, String)| Alert {
        name: format!("alerts/{id}"),
        severity,
        firing: true,
        acknowledged_by: owner,
        summary: words,
        ..Alert::default()
    };
    let alert = (0..4_u8, -1..3_i32, "[a-b]{0,2}", ".{0,30}").prop_map(alert);
    let alerts = proptest::collection::vec(alert, 0..4).prop_map(Answer::Alerts);
    let budget = |(id, left, state, measured): (u8, i64, i32, bool)| Budget {
        slo: format!("slos/{id}"),
        state,
        remaining_ppm: left,
        as_of: measured.then_some(prost_types::Timestamp { seconds: NOW, nanos: 0 }),
        ..Budget::default()
    };
    let budget = (0..4_u8, any::<i64>(), -1..7_i32, any::<bool>()).prop_map(budget);
    let budgets = proptest::collection::vec(budget, 0..4).prop_map(|budgets| {
        let slos = vec![Slo { name: "slos/9".into(), problem: "no".into(), ..Slo::default() }];
        Answer::Budgets(Box::new(Budgets { budgets, slos }))
    });
    let incident = |(id, severity, state, words): (u8, i32, i32, String)| Incident {
        name: format!("incidents/INC-{id}"),
        title: words.clone(),
        commander: words,
        severity,
        state,
        ..Incident::default()
    };
    let incident = (0..4_u8, -1..7_i32, -1..7_i32, ".{0,20}").prop_map(incident);
    let incidents = proptest::collection::vec(incident, 0..4).prop_map(Answer::Incidents);
    let impact = |(id, used): (u8, Option<i64>)| IncidentImpact {
        name: format!("incidents/INC-{id}"),
        budgets: vec![BudgetImpact { used_ppm: used, ..BudgetImpact::default() }],
        ..IncidentImpact::default()
    };
    let impact = (0..4_u8, any::<Option<i64>>()).prop_map(impact);
    let impacts = proptest::collection::vec(impact, 0..4).prop_map(Answer::Impacts);
    let tenant = || "[ab0-9]{1,2}".prop_map(|id| format!("tenants/{id}"));
    prop_oneof![
        audit.prop_map(|answer| (Question::Audit, Ok(answer))),
        alerts.prop_map(|answer| (Question::Alerts, Ok(answer))),
        Just((Question::Alerts, Err(Trouble::new("no")))),
        Just((Question::Slo("slos/0".into()), Ok(Answer::Slo(Box::default())))),
        Just((Question::Incident("incidents/INC-0".into()), Ok(Answer::Incident(Box::default())),)),
        incidents.prop_map(|answer| (Question::Incidents, Ok(answer))),
        impacts.prop_map(|answer| (Question::Impacts, Ok(answer))),
        budgets.prop_map(|answer| (Question::Budgets, Ok(answer))),
        certificates.prop_map(|answer| (Question::Certificates, Ok(answer))),
        Just((Question::LiveUsage, Ok(Answer::LiveUsage(Box::default())))),
        tenant().prop_map(|it| (Question::Usage(it), Ok(Answer::Usage(Box::default())))),
        tenant().prop_map(|it| (Question::Quota(it), Err(Trouble::new("no")))),
        (tenant(), ".{0,40}").prop_map(|(it, yaml)| (Question::Yaml(it), Ok(Answer::Yaml(yaml)))),
    ]
    .prop_map(|(question, answer)| here(News::Answer(question, answer)))
}

fn any_event() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        1 => Just(EventKind::Tick),
        1 => (0..200_u16, 0..60_u16)
            .prop_map(|(width, height)| EventKind::Resize(Size { width, height })),
        8 => any_key().prop_map(EventKind::Key),
        1 => ".{0,20}".prop_map(EventKind::Paste),
        4 => proptest::collection::vec(any_watch(), 0..12).prop_map(watched),
        1 => Just(region(well())),
        1 => ".{0,40}".prop_map(|words| region(vec![component("cluster", Health::Degraded, &words)])),
        1 => Just(here(News::Region(Err(Trouble::new("no"))))),
        1 => Just(identity()),
        2 => any_answer(),
    ]
}

/// Any event, from any of three regions.
pub(crate) fn any_event_anywhere() -> impl Strategy<Value = EventKind> {
    (any_event(), 0..3_u16).prop_map(|(event, region)| match event {
        EventKind::News(_, news) => EventKind::News(RegionIndex(region), news),
        other => other,
    })
}
