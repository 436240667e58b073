use crossterm::event::KeyCode;
use proptest::prelude::*;
use streamspace_proto::v1::{ChangeType, ConditionStatus, Health};

use super::*;
use crate::{
    Options,
    testing::{
        NOW, broken, change, component, feed, fresh, identity, item, live, lost, region, tenant,
        well,
    },
    theme::Theme,
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
    assert!(state.is_live());
    feed(&mut state, NOW + 1, EventKind::Watch(vec![lost()]));
    assert!(!state.is_live());
    assert!(state.fresh_region().is_none(), "nor is the region known to be well");
    feed(&mut state, NOW + 41, EventKind::Tick);
    assert_eq!((state.tenants.total(), state.data_age()), (3, Some(41)));

    let back = vec![WatchEvent::Connected { resumed: true }];
    feed(&mut state, NOW + 42, EventKind::Watch(back));
    assert!(state.is_live());
    let notes: Vec<_> = state.changes.iter().map(|entry| format!("{:?}", entry.kind)).collect();
    assert!(notes[0].contains("nothing missed"), "{notes:?}");
    assert!(notes[1].contains("no longer live"), "{notes:?}");
}

#[test]
fn a_new_snapshot_tells_of_the_gap_and_drops_what_is_gone() {
    let mut state = live(80, 24, three());
    let again = vec![
        lost(),
        WatchEvent::Connected { resumed: false },
        item(tenant("acme-corp", "business", 10, TenantState::Active)),
    ];
    feed(&mut state, NOW + 60, EventKind::Watch(again));
    assert!(!state.is_live());
    assert_eq!(state.tenants.total(), 3);
    let synced = vec![WatchEvent::Synced { revision: 9 }];
    feed(&mut state, NOW + 60, EventKind::Watch(synced));
    assert_eq!(state.tenants.total(), 1);
    let newest = format!("{:?}", state.changes.iter().next().unwrap());
    assert!(newest.contains("changes since 03:12:07 are not listed"), "{newest}");
}

#[test]
fn silence_is_not_taken_for_life() {
    let mut state = live(80, 24, three());
    feed(&mut state, NOW + 30, EventKind::Tick);
    assert!(!state.is_live(), "no bookmark for 30 s");
    let bookmark = vec![WatchEvent::Bookmark { revision: 1 }];
    feed(&mut state, NOW + 31, EventKind::Watch(bookmark));
    assert!(state.is_live());
}

#[test]
fn a_deleted_tenant_leaves_the_table_and_its_change_stays() {
    let mut state = live(80, 24, three());
    let purged = tenant("beta-inc", "business", 10, TenantState::Gone);
    let event = change(ChangeType::Deleted, purged, "ops-2", NOW);
    feed(&mut state, NOW, EventKind::Watch(vec![event]));
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
    assert_eq!(state.tenants.filter(), "q[2Jbeta");
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
    state.target.region.clear();
    feed(&mut state, NOW, identity());
    assert_eq!(state.target.region, "us-east-1");
}

fn any_key() -> impl Strategy<Value = Key> {
    let code = prop_oneof![
        8 => proptest::sample::select(vec!['j', 'k', 'g', 'G', '/', 's', 'S', '?', 'a', ' '])
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

fn any_watch() -> impl Strategy<Value = WatchEvent> {
    let types = [ChangeType::Created, ChangeType::Updated, ChangeType::Deleted];
    prop_oneof![
        2 => any::<bool>().prop_map(|resumed| WatchEvent::Connected { resumed }),
        6 => any_tenant().prop_map(item),
        2 => Just(WatchEvent::Synced { revision: 1 }),
        6 => (any_tenant(), proptest::sample::select(types.to_vec()), ".{0,20}")
            .prop_map(|(tenant, type_, actor)| change(type_, tenant, &actor, NOW)),
        1 => Just(WatchEvent::Bookmark { revision: 1 }),
        1 => Just(lost()),
        1 => Just(WatchEvent::Failed(ClientError::Broken("no".into()))),
    ]
}

fn any_event() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        1 => Just(EventKind::Tick),
        1 => (0..200_u16, 0..60_u16)
            .prop_map(|(width, height)| EventKind::Resize(Size { width, height })),
        8 => any_key().prop_map(EventKind::Key),
        1 => ".{0,20}".prop_map(EventKind::Paste),
        4 => proptest::collection::vec(any_watch(), 0..12).prop_map(EventKind::Watch),
        1 => Just(region(well())),
        1 => ".{0,40}".prop_map(|words| region(vec![component("cluster", Health::Degraded, &words)])),
        1 => Just(EventKind::Region(Err(ClientError::Broken("no".into())))),
        1 => Just(identity()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn whatever_happens_the_selection_is_a_row_in_view_and_every_frame_can_be_drawn(
        events in proptest::collection::vec((any_event(), 0..30_i64), 0..60),
    ) {
        let mut state = fresh(80, 24);
        let mut second = NOW;
        let theme = Theme::new(Options::default());
        for (kind, pause) in events {
            second += pause;
            feed(&mut state, second, kind);
            let shown = state.tenants.shown();
            prop_assert_eq!(state.tenants.selected().is_some(), shown > 0);
            let window: Vec<_> = state.tenants.window().collect();
            prop_assert!(window.len() <= views::table_rows(&state));
            if views::table_rows(&state) > 0 {
                let selected = window.iter().filter(|(_, selected)| *selected).count();
                prop_assert_eq!(selected, usize::from(shown > 0));
                // No row stays empty while there are tenants for it.
                prop_assert_eq!(window.len(), shown.min(views::table_rows(&state)));
            }
            let frame = views::draw(&state, &theme);
            prop_assert_eq!(frame.area, state.area());
        }
    }

    #[test]
    fn the_same_events_make_the_same_frame(
        events in proptest::collection::vec(any_event(), 0..20),
    ) {
        let theme = Theme::new(Options::default());
        let run = || {
            let mut state = fresh(100, 30);
            for kind in events.clone() {
                feed(&mut state, NOW, kind);
            }
            views::draw(&state, &theme)
        };
        prop_assert_eq!(run(), run());
    }
}
