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
    state::Question,
    table::AnyTable as _,
    testing::{
        NOW, any_event_anywhere, change, feed, fresh, here, identity, item, live, lost, region,
        session, snapshot, tenant, three_regions, watched, well,
    },
    trouble::Trouble,
};

mod acting;
mod on_call;

fn key(code: KeyCode) -> EventKind {
    EventKind::Key(Key::plain(code))
}

fn press_all(state: &mut State, keys: &str) -> Vec<Effect> {
    keys.chars().flat_map(|c| feed(state, NOW, key(KeyCode::Char(c)))).collect()
}

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
