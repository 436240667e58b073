use crossterm::event::KeyCode;
use proptest::prelude::*;
use streamspace_client::Counts;
use streamspace_proto::v1::{
    Alert, AlertSeverity, ChangeType, Incident, IncidentSeverity, SessionPhase, TenantState,
    WhoAmIResponse,
};

use super::*;
use crate::{
    events::Watched,
    table::AnyTable as _,
    testing::{
        NOW, any_event_anywhere, change, feed, fresh, here, identity, item, live, lost, region,
        session, snapshot, tenant, three_regions, watched, well,
    },
    trouble::Trouble,
};

fn key(code: KeyCode) -> EventKind {
    EventKind::Key(Key::plain(code))
}

fn press_all(state: &mut State, keys: &str) -> Vec<Effect> {
    keys.chars().flat_map(|c| feed(state, NOW, key(KeyCode::Char(c)))).collect()
}

fn three() -> Vec<streamspace_proto::v1::Tenant> {
    ["acme-corp", "beta-inc", "charlie-llc"]
        .map(|id| tenant(id, "business", 10, TenantState::Active))
        .into()
}

#[test]
fn q_leaves_before_anything_was_heard() {
    let mut state = fresh(80, 24);
    assert_eq!(press_all(&mut state, "q"), [Effect::Quit]);
}

#[test]
fn a_loss_keeps_the_data_and_lets_them_grow_old() {
    let mut state = live(80, 24, three());
    assert!(state.all_live());
    feed(&mut state, NOW + 1, watched(vec![lost()]));
    assert!(!state.all_live());
    assert!(
        state.regions[0].fresh_report(state.now).is_none(),
        "nor is the region known to be well"
    );
    feed(&mut state, NOW + 41, EventKind::Tick);
    assert_eq!((state.tenants.total(), state.regions[0].data_age(state.now)), (3, Some(41)));

    let back = vec![Watched::Connected { resumed: true }];
    feed(&mut state, NOW + 42, watched(back));
    assert!(state.all_live());
    let notes: Vec<_> = state.changes.iter().map(|entry| format!("{:?}", entry.kind)).collect();
    assert!(notes[0].contains("nothing missed"), "{notes:?}");
    assert!(notes[1].contains("no longer live"), "{notes:?}");
}

#[test]
fn a_new_snapshot_tells_of_the_gap_and_drops_what_is_gone() {
    let mut state = live(80, 24, three());
    let again = vec![
        lost(),
        Watched::Connected { resumed: false },
        item(tenant("acme-corp", "business", 10, TenantState::Active)),
    ];
    feed(&mut state, NOW + 60, watched(again));
    assert!(!state.all_live());
    assert_eq!(state.tenants.total(), 3);
    let counts = Counts { tenants: 1, ..Counts::default() };
    feed(&mut state, NOW + 60, watched(vec![Watched::Synced(counts)]));
    assert_eq!(state.tenants.total(), 1);
    let newest = format!("{:?}", state.changes.iter().next().unwrap());
    assert!(newest.contains("changes since 03:12:07 are not listed"), "{newest}");
}

#[test]
fn silence_is_not_taken_for_life() {
    let mut state = live(80, 24, three());
    feed(&mut state, NOW + 30, EventKind::Tick);
    assert!(!state.all_live(), "no bookmark for 30 s");
    let bookmark = vec![Watched::Quiet];
    feed(&mut state, NOW + 31, watched(bookmark));
    assert!(state.all_live());
}

#[test]
fn a_daemon_that_says_nothing_for_two_seconds_is_not_taken_for_live() {
    let mut state = live(80, 24, three());
    feed(&mut state, NOW + 1, EventKind::Tick);
    assert!(state.all_live());
    feed(&mut state, NOW + 2, EventKind::Tick);
    assert!(!state.all_live());
    feed(&mut state, NOW + 3, region(well()));
    assert!(state.all_live(), "it was asked, and answers");
}

#[test]
fn what_comes_late_is_not_taken_for_live() {
    let mut state = live(80, 24, three());
    let late = Trouble::new("no answer within 1 s");
    feed(&mut state, NOW + 1, here(News::Region(Err(late))));
    // What the watch brings now can be as late as the answer that did not come.
    feed(&mut state, NOW + 1, watched(vec![Watched::Quiet]));
    assert!(!state.is_live(RegionIndex(0)));
    feed(&mut state, NOW + 2, region(well()));
    assert!(state.is_live(RegionIndex(0)));
}

#[test]
fn a_refusal_is_told_once_however_often_it_is_tried_and_the_data_stay() {
    let mut state = live(80, 24, three());
    for second in [1, 6, 11] {
        let refused = Watched::Failed(Trouble::new("no"));
        feed(&mut state, NOW + second, watched(vec![refused]));
        assert!(!state.is_live(RegionIndex(0)));
    }
    assert_eq!((state.changes.len(), state.tenants.total()), (1, 3));
    feed(&mut state, NOW + 12, region(well()));
    feed(&mut state, NOW + 12, watched(snapshot(three().into_iter().map(item).collect())));
    assert!(state.is_live(RegionIndex(0)));
}

#[test]
fn a_deleted_tenant_leaves_the_table_and_its_change_stays() {
    let mut state = live(80, 24, three());
    let purged = tenant("beta-inc", "business", 10, TenantState::Gone);
    let event = change(ChangeType::Deleted, purged, "ops-2", NOW);
    feed(&mut state, NOW, watched(vec![event]));
    assert_eq!(state.tenants.total(), 2);
    let newest = format!("{:?}", state.changes.iter().next().unwrap());
    assert!(newest.contains("deleted") && newest.contains("ops-2"), "{newest}");
}

#[test]
fn the_filter_narrows_while_it_is_typed_and_esc_drops_it() {
    let mut state = live(80, 24, three());
    press_all(&mut state, "/BETA q");
    assert_eq!(state.tenants.shown(), 0, "q is a letter here");
    feed(&mut state, NOW, key(KeyCode::Backspace));
    feed(&mut state, NOW, key(KeyCode::Backspace));
    assert_eq!(state.tenants.shown(), 1);
    feed(&mut state, NOW, key(KeyCode::Enter));
    assert_eq!((state.mode(), state.tenants.filter()), (Mode::Table, "BETA"));
    feed(&mut state, NOW, key(KeyCode::Esc));
    assert_eq!(state.tenants.shown(), 3);
}

#[test]
fn pasted_text_is_no_row_of_commands() {
    let mut state = live(80, 24, three());
    let paste = || EventKind::Paste("q\u{1b}[2J\nbeta".into());
    assert!(feed(&mut state, NOW, paste()).is_empty());
    press_all(&mut state, "/");
    assert!(feed(&mut state, NOW, paste()).is_empty());
    assert_eq!(state.prompt.as_ref().unwrap().text(), "q[2Jbeta");
}

#[test]
fn pages_open_and_lead_back() {
    let mut state = live(80, 24, three());
    feed(&mut state, NOW, key(KeyCode::Enter));
    assert!(matches!(state.page, Page::Tenant(_)));
    press_all(&mut state, "?");
    assert_eq!(state.page, Page::Help);
    feed(&mut state, NOW, key(KeyCode::Esc));
    assert!(matches!(state.page, Page::Tenant(_)));
    feed(&mut state, NOW, key(KeyCode::Esc));
    assert_eq!(state.page, Page::Tenants);
}

#[test]
fn the_region_of_the_daemon_counts() {
    let mut state = fresh(80, 24);
    state.regions[0].target.region.clear();
    feed(&mut state, NOW, identity());
    assert_eq!(state.regions[0].target.region, "us-east-1");
}

/// Two tenants with a few sessions each.
fn inhabited() -> State {
    let mut state = fresh(120, 40);
    let mut items: Vec<_> = three().into_iter().map(item).collect();
    for path in ["acme-corp/ada-1", "acme-corp/bob-1", "beta-inc/cyd-1"] {
        items.push(item(session(path, SessionPhase::Running, "")));
    }
    feed(&mut state, NOW, watched(snapshot(items)));
    state
}

fn names(state: &State) -> Vec<&str> {
    state.sessions.window().map(|(session, _)| session.path()).collect()
}

#[test]
fn one_goes_from_a_tenant_to_its_sessions_and_back() {
    let mut state = inhabited();
    press_all(&mut state, "tjs");
    assert_eq!(names(&state), ["beta-inc/cyd-1"]);
    assert_eq!(state.sessions.total(), 1, "of this tenant");
    press_all(&mut state, "S");
    assert_eq!(names(&state).len(), 3);
    press_all(&mut state, "[");
    assert_eq!(names(&state), ["beta-inc/cyd-1"]);
    press_all(&mut state, "[]]");
    assert_eq!(names(&state).len(), 3);
}

#[test]
fn what_a_page_is_about_is_asked_once_and_again_after_a_while() {
    let mut state = inhabited();
    press_all(&mut state, "S");
    let effects = feed(&mut state, NOW, key(KeyCode::Enter));
    let asked = Question::Session("tenants/acme-corp/sessions/ada-1".into());
    assert_eq!(effects, [Effect::Ask(RegionIndex(0), asked.clone())]);
    assert!(feed(&mut state, NOW + 1, EventKind::Tick).is_empty(), "it was asked");
    let bookmark = || watched(vec![Watched::Quiet]);
    feed(&mut state, NOW + 1, bookmark());
    let answer = Answer::Session(Box::default());
    feed(&mut state, NOW + 1, here(News::Answer(asked, Ok(answer))));
    assert!(feed(&mut state, NOW + 2, bookmark()).is_empty(), "it is fresh");
    let again = feed(&mut state, NOW + 7, bookmark());
    assert!(matches!(again.as_slice(), [Effect::Ask(..)]), "{again:?}");
}

#[test]
fn the_palette_goes_anywhere_by_name() {
    let mut state = inhabited();
    press_all(&mut state, ":sess");
    feed(&mut state, NOW, key(KeyCode::Tab));
    press_all(&mut state, " beta");
    feed(&mut state, NOW, key(KeyCode::Tab));
    feed(&mut state, NOW, key(KeyCode::Enter));
    assert_eq!(names(&state), ["beta-inc/cyd-1"]);

    press_all(&mut state, ":tenant nobody");
    feed(&mut state, NOW, key(KeyCode::Enter));
    let error = state.prompt.as_ref().unwrap().error.clone().unwrap();
    assert_eq!(error, "no tenant nobody is known here");
    feed(&mut state, NOW, key(KeyCode::Esc));
    assert!(state.prompt.is_none());
    press_all(&mut state, ":q");
    assert_eq!(feed(&mut state, NOW, key(KeyCode::Enter)), [Effect::Quit]);
}

#[test]
fn a_filter_is_a_text_or_the_language_of_the_flag() {
    let mut state = inhabited();
    press_all(&mut state, "S/user = \"bob\"");
    assert_eq!(names(&state), ["acme-corp/bob-1"]);
    press_all(&mut state, " AND");
    let prompt = state.prompt.as_ref().unwrap();
    assert!(prompt.error.is_some(), "half of an expression");
    assert_eq!(names(&state), ["acme-corp/bob-1"], "and what was shown is shown");
    feed(&mut state, NOW, key(KeyCode::Enter));
    assert!(state.prompt.is_some(), "it cannot be taken");
    feed(&mut state, NOW, key(KeyCode::Esc));
    assert_eq!(names(&state).len(), 3);
}

#[test]
fn an_age_is_filtered_by_as_time_passes() {
    let mut state = inhabited();
    press_all(&mut state, "S/age > 5500");
    assert_eq!(names(&state).len(), 0);
    feed(&mut state, NOW + 200, EventKind::Tick);
    assert_eq!(names(&state).len(), 3);
}

#[test]
fn a_dead_region_ages_and_the_others_live() {
    let mut state = three_regions(120, 40);
    for index in 0..3 {
        let path = format!("acme-corp/ada-{index}");
        let items = vec![item(three().remove(0)), item(session(&path, SessionPhase::Running, ""))];
        let news = News::Watch(snapshot(items));
        feed(&mut state, NOW, EventKind::News(RegionIndex(index), news));
    }
    assert_eq!((state.tenants.total(), state.sessions.total()), (3, 3), "one each");
    feed(&mut state, NOW + 1, EventKind::News(RegionIndex(1), News::Watch(vec![lost()])));
    let live = [0, 1, 2].map(|index| state.is_live(RegionIndex(index)));
    assert_eq!(live, [true, false, true]);
    // What the others bring touches none of its rows.
    let again = News::Watch(snapshot(vec![]));
    feed(&mut state, NOW + 2, EventKind::News(RegionIndex(0), again));
    assert_eq!((state.tenants.total(), state.sessions.total()), (2, 2));
}

#[test]
fn a_gap_is_told_and_the_snapshot_after_it_is_what_is() {
    let mut state = inhabited();
    let events =
        vec![Watched::Gap, item(session("acme-corp/ada-1", SessionPhase::Failed, "no image"))];
    feed(&mut state, NOW, watched(events));
    assert!(!state.all_live());
    assert_eq!(state.sessions.total(), 3, "until it is whole");
    let counts = Counts { sessions: 1, ..Counts::default() };
    feed(&mut state, NOW, watched(vec![Watched::Synced(counts)]));
    assert_eq!((state.sessions.total(), state.tenants.total()), (1, 0));
    let newest = format!("{:?}", state.changes.iter().next().unwrap());
    assert!(newest.contains("changes since 03:12:07 are not listed"), "{newest}");
}

#[test]
fn where_the_daemon_counts_other_rows_than_came_it_is_told() {
    let mut state = inhabited();
    let rows = |number: usize| u64::try_from(number).unwrap();
    let (tenants, sessions) = (rows(state.tenants.total()), rows(state.sessions.total()));
    let operations = rows(state.operations.total());
    let counts = Counts { tenants, sessions, operations };
    feed(&mut state, NOW, watched(vec![Watched::Synced(counts)]));
    assert_eq!(state.changes.len(), 0);
    let counts = Counts { sessions: 4, ..counts };
    feed(&mut state, NOW, watched(vec![Watched::Synced(counts)]));
    let told: Vec<_> = state.changes.iter().map(|entry| format!("{:?}", entry.kind)).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("the daemon counts 4 sessions, and 3 are known here"), "{told:?}");
}

#[test]
fn what_leaves_the_selection_is_forgotten() {
    let mut state = inhabited();
    let left = session("beta-inc/cyd-1", SessionPhase::Running, "");
    feed(&mut state, NOW, watched(vec![change(ChangeType::Left, left, "", NOW)]));
    assert_eq!(state.sessions.total(), 2);
}

#[test]
fn of_sessions_it_is_told_what_people_do_and_what_fails() {
    let mut state = inhabited();
    let asleep = || session("acme-corp/ada-1", SessionPhase::Hibernated, "");
    let failed = session("acme-corp/bob-1", SessionPhase::Failed, "no image");
    let updated = ChangeType::Updated;
    feed(
        &mut state,
        NOW,
        watched(vec![
            change(updated, asleep(), "streamspaced", NOW),
            change(updated, failed, "streamspaced", NOW),
            change(updated, asleep(), "ops-2", NOW),
        ]),
    );
    let told: Vec<_> = state.changes.iter().map(|entry| format!("{:?}", entry.kind)).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("ops-2") && told[1].contains("running to failed"), "{told:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn whatever_happens_the_selection_is_a_row_in_view_and_every_frame_can_be_drawn(
        events in proptest::collection::vec((any_event_anywhere(), 0..30_i64), 0..60),
    ) {
        let mut state = three_regions(80, 24);
        let mut second = NOW;
        for (kind, pause) in events {
            second += pause;
            let effects = feed(&mut state, second, kind);
            for effect in effects {
                let Effect::Ask(region, _) = effect else { continue };
                prop_assert!(state.is_live(region), "nobody is asked who is not there");
            }
            let rows = views::table_rows(&state);
            for (shown, window, selected) in [
                (state.tenants.shown(), marks(&state.tenants), state.tenants.selected().is_some()),
                (state.sessions.shown(), marks(&state.sessions), state.sessions.selected().is_some()),
                (state.operations.shown(), marks(&state.operations), state.operations.selected().is_some()),
            ] {
                prop_assert_eq!(selected, shown > 0);
                // No row stays empty while there is something for it.
                prop_assert_eq!(window.len(), shown.min(rows));
                if rows > 0 {
                    let marked = window.iter().filter(|selected| **selected).count();
                    prop_assert_eq!(marked, usize::from(shown > 0));
                }
            }
            let frame = views::draw(&state);
            prop_assert_eq!(frame.area, state.area());
        }
    }

    #[test]
    fn the_same_events_make_the_same_frame(
        events in proptest::collection::vec(any_event_anywhere(), 0..20),
    ) {
        let run = || {
            let mut state = three_regions(100, 30);
            for kind in events.clone() {
                feed(&mut state, NOW, kind);
            }
            views::draw(&state)
        };
        prop_assert_eq!(run(), run());
    }
}

/// Whether each row in view is the selected one.
fn marks<R: crate::rows::Row>(table: &crate::table::Table<R>) -> Vec<bool> {
    table.window().map(|(_, selected)| selected).collect()
}

/// Somebody with a role, who may reach so many tenants.
fn who(role: streamspace_proto::v1::Role, tenants: usize) -> EventKind {
    here(News::Identity(Ok(Box::new(WhoAmIResponse {
        operator: "ops-1".into(),
        role: role.into(),
        tenants: vec!["tenants/acme-corp".into(); tenants],
        ..WhoAmIResponse::default()
    }))))
}

fn dialog(state: &State) -> &crate::actions::Dialog {
    match &state.overlay {
        Some(Overlay::Dialog(dialog)) => dialog,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_viewer_can_pick_nothing_and_is_told_why() {
    for (role, tenants, missing) in [
        (streamspace_proto::v1::Role::Viewer, 0, "needs the role operator"),
        (streamspace_proto::v1::Role::Auditor, 0, "needs the role operator"),
        (streamspace_proto::v1::Role::Operator, 1, "needs a certificate for the whole region"),
    ] {
        let mut state = inhabited();
        feed(&mut state, NOW, who(role, tenants));
        press_all(&mut state, "Sa");
        let Some(Overlay::Menu(menu)) = &state.overlay else { panic!("no menu") };
        for item in &menu.items {
            assert_eq!(item.missing.as_deref(), Some(missing), "{:?}", item.verb);
        }
        assert!(press_all(&mut state, "hwx").is_empty());
        assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty());
        assert!(matches!(state.overlay, Some(Overlay::Menu(_))), "nothing was begun");
    }
}

#[test]
fn read_only_is_read_only_for_an_admin_too() {
    let mut state = inhabited();
    state.locked = Some("this was opened with --read-only".into());
    feed(&mut state, NOW, who(streamspace_proto::v1::Role::Admin, 0));
    press_all(&mut state, "ta");
    assert!(press_all(&mut state, "cusrpqdx").is_empty());
    assert!(matches!(state.overlay, Some(Overlay::Menu(_))));
}

#[test]
fn a_change_is_rehearsed_confirmed_and_sent_once_with_one_id() {
    let mut state = inhabited();
    feed(&mut state, NOW, who(streamspace_proto::v1::Role::Operator, 0));
    press_all(&mut state, "Sa");
    let effects = press_all(&mut state, "h");
    let [Effect::Work(rehearsal)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(rehearsal.rehearse);
    assert_eq!(rehearsal.subject.name, "tenants/acme-corp/sessions/ada-1");
    let told = News::Worked(rehearsal.clone(), Ok(vec!["1 session: 1 changed".into()]));
    feed(&mut state, NOW, here(told));

    press_all(&mut state, "long weekend");
    assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty(), "to the next field");
    press_all(&mut state, "ada");
    assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty());
    let wrong = crate::actions::Stage::Editing(Some("type ada-1 to confirm".into()));
    assert_eq!(dialog(&state).stage, wrong);
    press_all(&mut state, "-1");
    let effects = feed(&mut state, NOW, key(KeyCode::Enter));
    let [Effect::Work(work)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(!work.rehearse);
    assert_eq!(work.reason, "long weekend");
    assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty(), "it is under way");

    let lost = Trouble::new("no");
    feed(&mut state, NOW, here(News::Worked(work.clone(), Err(lost))));
    let effects = feed(&mut state, NOW, key(KeyCode::Enter));
    let [Effect::Work(again)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(again.request_id, work.request_id, "a retry is not a second change");
    feed(&mut state, NOW, here(News::Worked(again.clone(), Ok(vec!["operation 7".into()]))));
    assert!(state.overlay.is_none());
    assert_eq!(state.notice(), Some("hibernate acme-corp/ada-1: accepted, operation 7"));

    press_all(&mut state, "ah");
    let next = dialog(&state).clone();
    assert!(!next.is_of(work), "another change has another id");
}

#[test]
fn an_amount_is_rehearsed_once_it_is_there() {
    let mut state = inhabited();
    feed(&mut state, NOW, who(streamspace_proto::v1::Role::Admin, 0));
    press_all(&mut state, "ta");
    assert!(press_all(&mut state, "q").is_empty(), "there is no amount yet");
    press_all(&mut state, "cpu=+40");
    let effects = feed(&mut state, NOW, key(KeyCode::Tab));
    assert!(matches!(effects.as_slice(), [Effect::Work(work)] if work.rehearse), "{effects:?}");
    press_all(&mut state, "soon");
    feed(&mut state, NOW, key(KeyCode::Tab));
    press_all(&mut state, "more");
    feed(&mut state, NOW, key(KeyCode::Tab));
    press_all(&mut state, "acme-corp");
    assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty());
    let shown = format!("{:?}", dialog(&state).stage);
    assert!(shown.contains("is no duration: write 90s"), "{shown}");
    assert_eq!(
        dialog(&state).command(),
        "ssctl quota set acme-corp cpu=+40 --for soon --reason more"
    );
}

#[test]
fn nothing_is_sent_before_it_was_told_what_just_that_would_do() {
    let mut state = inhabited();
    feed(&mut state, NOW, who(streamspace_proto::v1::Role::Operator, 0));
    press_all(&mut state, "Sa");
    let effects = press_all(&mut state, "h");
    let [Effect::Work(rehearsal)] = effects.as_slice() else { panic!("{effects:?}") };
    feed(&mut state, NOW, key(KeyCode::Enter));
    press_all(&mut state, "ada-1");
    assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty(), "it was only asked");
    assert!(format!("{:?}", dialog(&state).stage).contains("again once it is"));

    // Refused, it is asked again and not sent.
    let refused = Err(Trouble::new("no"));
    feed(&mut state, NOW, here(News::Worked(rehearsal.clone(), refused)));
    let untold = crate::actions::Stage::Editing(None);
    assert_eq!(dialog(&state).stage, untold, "that it is not known is over");
    let effects = feed(&mut state, NOW, key(KeyCode::Enter));
    assert!(matches!(effects.as_slice(), [Effect::Work(work)] if work.rehearse), "{effects:?}");
    feed(&mut state, NOW, here(News::Worked(rehearsal.clone(), Ok(vec!["1 session".into()]))));
    let effects = feed(&mut state, NOW, key(KeyCode::Enter));
    assert!(matches!(effects.as_slice(), [Effect::Work(work)] if !work.rehearse), "{effects:?}");
}

#[test]
fn a_click_on_a_heading_sorts_by_it_and_again_turns_the_order_round() {
    let mut state = live(
        80,
        24,
        vec![
            tenant("acme", "free", 5, TenantState::Active),
            tenant("beta", "free", 70, TenantState::Active),
            tenant("cyan", "free", 9, TenantState::Active),
        ],
    );
    let names = |state: &State| -> Vec<String> {
        state.tenants.window().map(|(row, _)| row.id.clone()).collect()
    };
    let heading = |state: &State, title: &str| {
        let frame = crate::views::draw(state);
        let row = |y: u16| (0..80).map(|x| frame[(x, y)].symbol()).collect::<String>();
        let y = (0..24).find(|y| row(*y).contains("NAME ")).unwrap();
        let x = row(y).find(title).unwrap();
        Position { x: u16::try_from(x).unwrap() + 1, y }
    };
    let (seats, plan) = (heading(&state, "SEATS"), heading(&state, "PLAN"));
    feed(&mut state, NOW, EventKind::Click(seats));
    assert_eq!(names(&state), ["beta", "cyan", "acme"]);
    feed(&mut state, NOW, EventKind::Click(seats));
    assert_eq!(names(&state), ["acme", "cyan", "beta"]);
    feed(&mut state, NOW, EventKind::Click(plan));
    assert_eq!(names(&state), ["acme", "beta", "cyan"]);
    // Beside the titles, and on the counts, there is nothing to click.
    for nothing in [Position { x: 0, y: plan.y }, Position { x: plan.x, y: plan.y - 1 }] {
        feed(&mut state, NOW, EventKind::Click(nothing));
        assert_eq!(names(&state), ["acme", "beta", "cyan"]);
    }
}

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
    assert_eq!(feed(&mut state, NOW, watched(snapshot(items))), asked);
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
    assert!(feed(&mut state, NOW, who(Role::Billing, 0)).is_empty());
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
    feed(&mut state, NOW, open(vec![incident("INC-2", IncidentSeverity::P2, "")]));
    assert!(line(&state).starts_with('─'), "{}", line(&state));
    feed(&mut state, NOW, told(vec![alert("1", AlertSeverity::Page, "ops-2")]));
    assert!(line(&state).starts_with(" ▲ page 1m  ops-2 has it"), "{}", line(&state));
    let incidents = [
        incident("INC-2", IncidentSeverity::P2, ""),
        incident("INC-3", IncidentSeverity::P1, "ops-1"),
    ];
    feed(&mut state, NOW, open(incidents.into()));
    let told = line(&state);
    assert!(told.starts_with(" ▲ P1 INC-3 1m  ops-1 commands  it is slow"), "{told}");
    assert!(told.trim_end().ends_with("1 more (i A)"), "{told}");
    feed(&mut state, NOW + 20, EventKind::Tick);
    assert!(line(&state).starts_with(" ? P1 INC-3 1m"), "it is not known any more");
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
    let given = (work.subject.name.as_str(), work.title.as_str(), work.severity.as_str());
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
        matches!(effects.as_slice(), [Effect::Work(work)] if work.rehearse && work.note == "we look"),
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
