//! Alerts, budgets and incidents: what fires and who has it.

use super::*;
use crate::actions::Field;

fn alert(id: &str, severity: AlertSeverity, owner: &str) -> Alert {
    Alert {
        name: format!("alerts/{id}"),
        kind: "SloBurn".into(),
        severity: severity.into(),
        firing: true,
        acknowledged_by: owner.into(),
        start_time: crate::testing::time(NOW - 60),
        ..Alert::default()
    }
}

fn told(alerts: Vec<Alert>) -> EventKind {
    here(News::Answer(Question::Alerts, Ok(Answer::Alerts(alerts))))
}

#[test]
fn alerts_are_asked_on_every_page_and_once_in_a_while() {
    let mut state = fresh(80, 24);
    feed(&mut state, NOW, identity());
    let asked = [Question::Alerts, Question::Incidents].map(|it| Effect::Ask(RegionIndex(0), it));
    let items = three().into_iter().map(item).collect();
    // On the overview also for the budgets that it shows.
    let budgets = Effect::Ask(RegionIndex(0), Question::Budgets);
    let first = feed(&mut state, NOW, watched(snapshot(items)));
    assert_eq!(first, [&[budgets][..], &asked].concat());
    feed(&mut state, NOW, told(vec![]));
    feed(&mut state, NOW, open(vec![]));
    // Another page does not ask for what is known.
    assert!(press_all(&mut state, "tSp?").is_empty());
    feed(&mut state, NOW + 4, region(well()));
    assert!(feed(&mut state, NOW + 4, watched(vec![Watched::Quiet])).is_empty());
    assert_eq!(feed(&mut state, NOW + 5, region(well())), asked);
}

#[test]
fn what_would_be_refused_is_not_asked_unless_somebody_wants_to_see_it() {
    use streamspace_proto::v1::Role;
    let mut state = fresh(80, 24);
    let items = || three().into_iter().map(item).collect();
    assert!(feed(&mut state, NOW, watched(snapshot(items()))).is_empty(), "who asks?");
    // Who pays sees budgets.
    let budgets = Effect::Ask(RegionIndex(0), Question::Budgets);
    assert_eq!(feed(&mut state, NOW, who(Role::Billing, 0)), [budgets]);
    let alerts = Effect::Ask(RegionIndex(0), Question::Alerts);
    // Incidents are of a whole region.
    assert_eq!(feed(&mut state, NOW, who(Role::Operator, 2)), std::slice::from_ref(&alerts));
    let mut state = fresh(80, 24);
    feed(&mut state, NOW, who(Role::Billing, 0));
    feed(&mut state, NOW, watched(snapshot(items())));
    assert_eq!(press_all(&mut state, "A"), [alerts]);
}

#[test]
fn one_key_takes_the_alert_at_hand_and_nothing_else() {
    use AlertSeverity::{Page, Ticket};
    let mut state = live(80, 24, three());
    assert!(press_all(&mut state, "K").is_empty());
    assert_eq!(state.notice(), Some("nothing is selected to acknowledge"), "it is a tenant");
    let alerts = vec![alert("1", Ticket, ""), alert("2", Page, "ops-2"), alert("3", Page, "")];
    feed(&mut state, NOW, told(alerts));
    press_all(&mut state, "A");
    let names: Vec<_> = state.alerts.window().map(|(row, _)| row.whole.name.as_str()).collect();
    assert_eq!(names, ["alerts/3", "alerts/2", "alerts/1"]);
    let effects = press_all(&mut state, "K");
    let [Effect::Work(work)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((work.subject.name.as_str(), work.rehearse), ("alerts/3", true));
    let told = News::Worked(work.clone(), Ok(vec!["it would be: ops-1 has it: it burns".into()]));
    feed(&mut state, NOW, here(told));
    // The context is protected, and nobody has to write a UUID at night.
    let effects = feed(&mut state, NOW, key(KeyCode::Enter));
    let [Effect::Work(work)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(!work.rehearse);
    let done = News::Worked(work.clone(), Ok(vec!["ops-1 has it: it burns".into()]));
    let effects = feed(&mut state, NOW, here(done));
    assert_eq!(state.notice(), Some("ops-1 has it: it burns"));
    let anew = Effect::Ask(RegionIndex(0), Question::Alerts);
    assert!(effects.contains(&anew), "it is asked anew");
}

#[test]
fn who_may_not_take_an_alert_is_told_why() {
    let mut state = live(80, 24, three());
    feed(&mut state, NOW, told(vec![alert("1", AlertSeverity::Page, "")]));
    press_all(&mut state, "A");
    feed(&mut state, NOW, who(streamspace_proto::v1::Role::Viewer, 0));
    assert!(press_all(&mut state, "K").is_empty() && state.overlay.is_none());
    assert_eq!(state.notice(), Some("acknowledge 1: needs the role operator"));
    feed(&mut state, NOW, who(streamspace_proto::v1::Role::Operator, 0));
    state.locked = Some(crate::READ_ONLY.into());
    assert!(press_all(&mut state, "K").is_empty() && state.overlay.is_none());
    assert_eq!(state.notice(), Some("acknowledge 1: opened with --read-only"));
}

#[test]
fn the_worst_budget_is_first_and_opens_with_its_charts() {
    use streamspace_proto::v1::{Budget, BudgetState};
    let budget = |slo: &str, state: BudgetState, left: i64| Budget {
        slo: format!("slos/{slo}"),
        state: state.into(),
        remaining_ppm: left,
        as_of: crate::testing::time(NOW),
        ..Budget::default()
    };
    let mut state = live(80, 24, three());
    let effects = press_all(&mut state, "b");
    assert_eq!(effects, [Effect::Ask(RegionIndex(0), Question::Budgets)]);
    let budgets = vec![
        budget("calm", BudgetState::Ok, 100_000),
        budget("burns", BudgetState::Page, 900_000),
        budget("over", BudgetState::Exhausted, -20_000),
        Budget { tenant: "tenants/acme-corp".into(), ..budget("slow", BudgetState::Ticket, 0) },
    ];
    let blind = |id: &str| streamspace_proto::v1::Slo {
        name: format!("slos/{id}"),
        problem: "the Prometheus does not answer".into(),
        ..Default::default()
    };
    let answer = crate::state::Budgets { budgets, slos: vec![blind("blind"), blind("calm")] };
    let answer = Answer::Budgets(Box::new(answer));
    feed(&mut state, NOW, here(News::Answer(Question::Budgets, Ok(answer))));
    let names: Vec<_> = state.budgets.window().map(|(row, _)| row.slo.as_str()).collect();
    assert_eq!(names, ["over", "burns", "slow", "blind", "calm"], "one has no budget yet");
    press_all(&mut state, "jj");
    let effects = feed(&mut state, NOW, key(KeyCode::Enter));
    let asked = Question::Slo("slos/slow tenants/acme-corp".into());
    assert_eq!(effects, [Effect::Ask(RegionIndex(0), asked)]);
    let command = crate::views::command(&state).unwrap();
    assert_eq!(command, "ssctl slo show slow --tenant acme-corp --context prod");
    press_all(&mut state, "s");
    assert_eq!(state.sessions.query().scope().map(|it| &*it.tenant), Some("acme-corp"));
}

fn incident(id: &str, severity: IncidentSeverity, commander: &str) -> Incident {
    Incident {
        name: format!("incidents/{id}"),
        title: "it is slow".into(),
        severity: severity.into(),
        state: streamspace_proto::v1::IncidentState::Declared.into(),
        commander: commander.into(),
        declare_time: crate::testing::time(NOW - 60),
        ..Incident::default()
    }
}

fn open(incidents: Vec<Incident>) -> EventKind {
    here(News::Answer(Question::Incidents, Ok(Answer::Incidents(incidents))))
}

/// What is told above every page.
fn line(state: &State) -> String {
    let frame = crate::views::draw(state);
    (0..state.size.width).map(|x| frame[(x, 2)].symbol()).collect()
}

#[test]
fn a_grave_incident_comes_before_all_alerts_and_a_small_one_stays_on_its_page() {
    let mut state = live(80, 24, three());
    feed(&mut state, NOW, open(vec![incident("INC-2", IncidentSeverity::P3, "")]));
    assert!(line(&state).starts_with('─'), "{}", line(&state));
    feed(&mut state, NOW, told(vec![alert("1", AlertSeverity::Page, "ops-2")]));
    assert!(line(&state).starts_with(" ▲ page 1m  ops-2 has it"), "{}", line(&state));
    let incidents = [
        incident("INC-2", IncidentSeverity::P3, ""),
        incident("INC-3", IncidentSeverity::P2, "ops-1"),
    ];
    feed(&mut state, NOW, open(incidents.into()));
    let told = line(&state);
    assert!(told.starts_with(" ▲ P2 INC-3 1m  ops-1 commands  it is slow"), "{told}");
    assert!(told.trim_end().ends_with("1 more (i A)"), "{told}");
    feed(&mut state, NOW + 20, EventKind::Tick);
    assert!(line(&state).starts_with(" ? P2 INC-3 1m"), "it is not known any more");
}

#[test]
fn what_incidents_cost_stays_while_they_are_listed_anew() {
    let mut state = live(80, 24, three());
    feed(&mut state, NOW, open(vec![incident("INC-3", IncidentSeverity::P1, "")]));
    let effects = press_all(&mut state, "i");
    assert_eq!(effects, [Effect::Ask(RegionIndex(0), Question::Impacts)]);
    let budget = |used_ppm| streamspace_proto::v1::BudgetImpact { used_ppm, ..Default::default() };
    let impact = streamspace_proto::v1::IncidentImpact {
        name: "incidents/INC-3".into(),
        budgets: vec![budget(Some(4)), budget(None), budget(Some(9))],
        ..Default::default()
    };
    let answer = Answer::Impacts(vec![impact]);
    feed(&mut state, NOW, here(News::Answer(Question::Impacts, Ok(answer))));
    feed(&mut state, NOW, open(vec![incident("INC-3", IncidentSeverity::P1, "ops-1")]));
    let row = state.incidents.selected().unwrap();
    assert_eq!((row.burned, row.commander.as_str()), (Some(9), "ops-1"));
}

#[test]
fn an_incident_of_an_alert_has_its_words_and_needs_to_know_how_grave_it_is() {
    let mut state = live(80, 24, three());
    let mut burns = alert("1", AlertSeverity::Page, "");
    burns.summary = "it burns".into();
    feed(&mut state, NOW, told(vec![burns]));
    press_all(&mut state, "A");
    let effects = press_all(&mut state, "D");
    let [Effect::Work(work)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(work.rehearse);
    let given = (work.subject.name.as_str(), work.get(Field::Title), work.get(Field::Severity));
    assert_eq!(given, ("alerts/1", "it burns", "P2"));
    assert_eq!(
        dialog(&state).command(),
        "ssctl incident declare 'it burns' --severity P2 --alert 1"
    );
    feed(&mut state, NOW, key(KeyCode::Backspace));
    press_all(&mut state, "9");
    feed(&mut state, NOW, key(KeyCode::Enter));
    feed(&mut state, NOW, key(KeyCode::Enter));
    assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty());
    let shown = format!("{:?}", dialog(&state).stage);
    assert!(shown.contains("severity is one of P0, P1, P2, P3, P4"), "{shown}");
}

#[test]
fn of_several_regions_it_must_be_known_in_which_an_incident_is() {
    let mut state = three_regions(120, 40);
    for region in 0..3 {
        let EventKind::News(_, News::Identity(Ok(mut reply))) = identity() else { unreachable!() };
        reply.region.clear();
        let news = News::Identity(Ok(reply));
        feed(&mut state, NOW, EventKind::News(RegionIndex(region), news));
    }
    assert!(press_all(&mut state, "D").is_empty() && state.overlay.is_none());
    assert_eq!(
        state.notice(),
        Some("of which region? :declare and its name, or select something of it")
    );
    press_all(&mut state, ":declare us-w");
    feed(&mut state, NOW, key(KeyCode::Tab));
    feed(&mut state, NOW, key(KeyCode::Enter));
    let subject = &dialog(&state).subject;
    assert_eq!((subject.name.as_str(), subject.region), ("regions/us-west-2", RegionIndex(1)));
}

#[test]
fn a_note_is_needed_where_it_is_all_and_may_be_left_out_where_it_is_not() {
    let mut state = live(80, 24, three());
    feed(&mut state, NOW, open(vec![incident("INC-3", IncidentSeverity::P1, "")]));
    press_all(&mut state, "iN");
    assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty());
    let shown = format!("{:?}", dialog(&state).stage);
    assert!(shown.contains("note is needed"), "{shown}");
    press_all(&mut state, "we look");
    let effects = feed(&mut state, NOW, key(KeyCode::Enter));
    assert!(
        matches!(effects.as_slice(), [Effect::Work(work)] if !work.rehearse && work.get(Field::Note) == "we look"),
        "{effects:?}"
    );
    assert_eq!(dialog(&state).command(), "ssctl incident note INC-3 'we look'");
    feed(&mut state, NOW, key(KeyCode::Esc));
    let effects = press_all(&mut state, "K");
    assert!(
        matches!(effects.as_slice(), [Effect::Work(work)] if work.verb == Verb::AcknowledgeIncident),
        "{effects:?}"
    );
    feed(&mut state, NOW, key(KeyCode::Esc));
    press_all(&mut state, "a");
    let effects = press_all(&mut state, "m");
    let [Effect::Work(work)] = effects.as_slice() else { panic!("{effects:?}") };
    let told = News::Worked(work.clone(), Ok(vec!["it would be: INC-3 P1 mitigated".into()]));
    feed(&mut state, NOW, here(told));
    let effects = feed(&mut state, NOW, key(KeyCode::Enter));
    assert!(matches!(effects.as_slice(), [Effect::Work(work)] if !work.rehearse), "{effects:?}");
}
