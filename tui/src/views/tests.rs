//! Frames as committed text. `UPDATE_SNAPSHOTS=1 cargo test -p streamspace-tui`
//! writes them anew; look at what changed before it is committed.

use std::{fmt::Write as _, fs, path::Path};

use crossterm::event::KeyCode;
use ratatui::{
    Terminal,
    backend::TestBackend,
    style::{Color, Modifier},
    widgets::Widget,
};
use streamspace_proto::v1::{
    ChangeType, ClusterEvent, ConditionStatus, DescribeSessionResponse, Health, OperationCounts,
    Pause, Quota, QuotaLine, SessionObject, SessionPhase, Tenant, TenantObject, TenantObjectState,
    TenantState,
};

use super::*;
use crate::{
    Options, ThemeName,
    events::{Effect, EventKind, News, Watched},
    keys::Key,
    state::{Answer, Question, RegionIndex},
    testing::{
        NOW, broken, change, component, feed, fresh, here, identity, item, live, lost, operation,
        region as region_report, session, snapshot, tenant, three_regions, watched, well,
    },
    theme::Theme,
    trouble::Trouble,
};

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (200, 50), (40, 12)];

/// Draws a ready-made buffer, so that what a terminal would show is looked at.
struct Frame(Buffer);

impl Widget for Frame {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        assert_eq!(area, self.0.area);
        buffer.clone_from(&self.0);
    }
}

/// The screen's text, and below it for each row the looks that are not plain:
/// `12-20 bold red`.
fn picture(state: &State) -> String {
    let buffer = draw(state);
    let mut terminal =
        Terminal::new(TestBackend::new(state.size.width, state.size.height)).unwrap();
    terminal.draw(|frame| frame.render_widget(Frame(buffer), frame.area())).unwrap();
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    let mut looks = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut spans: Vec<(u16, u16, String)> = Vec::new();
        let mut covered = 0;
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            if covered > 0 {
                covered -= 1;
            } else {
                line.push_str(cell.symbol());
                covered = crate::pen::cells(cell.symbol()).saturating_sub(1);
            }
            let mut look = Vec::new();
            if cell.fg != Color::Reset {
                look.push(cell.fg.to_string().to_lowercase());
            }
            if cell.bg != Color::Reset {
                look.push(format!("on {}", cell.bg.to_string().to_lowercase()));
            }
            if cell.modifier != Modifier::empty() {
                look.push(format!("{:?}", cell.modifier).to_lowercase());
            }
            let look = look.join(" ");
            match spans.last_mut() {
                Some((_, end, last)) if *last == look => *end = x,
                _ => spans.push((x, x, look)),
            }
        }
        writeln!(text, "{}", line.trim_end()).unwrap();
        spans.retain(|(_, _, look)| !look.is_empty());
        if !spans.is_empty() {
            let spans = spans.iter().map(|(a, b, look)| format!("{a}-{b} {look}"));
            writeln!(looks, "{y:>2}: {}", spans.collect::<Vec<_>>().join(", ")).unwrap();
        }
    }
    format!("{text}\n{looks}")
}

fn check(name: &str, state: &State) {
    let size = state.size;
    let file = format!("{name}-{}x{}.txt", size.width, size.height);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/views/snapshots").join(file);
    let frame = picture(state);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &frame).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == frame, "{} is not what is drawn now:\n{frame}", path.display());
}

/// A day with some of everything.
fn tenants() -> Vec<Tenant> {
    use TenantState::{Active, Cordoned, Provisioning, Purging, Suspended};
    let mut tenants = vec![
        tenant("acme-corp", "business", 10, Active),
        tenant("beta-inc", "professional", 25, Active),
        tenant("charlie-llc", "free", 1, Active),
        tenant("fjord-media", "business", 1200, Active),
        tenant("hollow-pines", "professional", 40, Cordoned),
        tenant("island-air", "business", 80, Suspended),
        broken(
            "kestrel-bank",
            Active,
            ConditionStatus::False,
            "Forbidden",
            "namespaces \"tenant-kestrel-bank\" is forbidden: User \"streamspaced\" cannot patch",
        ),
        broken(
            "northwind",
            Provisioning,
            ConditionStatus::False,
            "NamespaceExists",
            "namespace tenant-northwind exists and does not belong to this tenant",
        ),
        broken(
            "old-harbour",
            Purging,
            ConditionStatus::False,
            "NamespaceTerminating",
            "Some resources are remaining: pods. has 3 resource instances",
        ),
        broken("quiet-bay", Active, ConditionStatus::Unknown, "NoAnswer", "the cluster is away"),
    ];
    for number in 1..=23 {
        tenants.push(tenant(&format!("tenant-{number:02}"), "free", number, Active));
    }
    let fresh = &mut tenants[2];
    fresh.create_time = crate::testing::time(NOW - 18_360);
    tenants[3].pause = Some(Pause {
        expire_time: crate::testing::time(NOW + 2520),
        reason: "network policy by hand".into(),
        actor: "ops-2".into(),
    });
    tenants
}

fn busy(width: u16, height: u16) -> State {
    let mut state = live(width, height, tenants());
    let mut acme = tenant("acme-corp", "business", 12, TenantState::Active);
    let resized = change(ChangeType::Updated, acme.clone(), "ops-2", NOW - 34);
    acme.protected = true;
    acme.display_name = "Acme Corporation".into();
    acme.labels = [("tier".to_owned(), "gold".to_owned())].into();
    let shielded = change(ChangeType::Updated, acme, "ops-1", NOW - 12);
    let zebra = tenant("zebra-works", "free", 3, TenantState::Provisioning);
    let created = change(ChangeType::Created, zebra.clone(), "ops-1", NOW - 5);
    let active = Tenant { state: TenantState::Active.into(), ..zebra };
    let active = change(ChangeType::Updated, active, "streamspaced", NOW - 4);
    feed(&mut state, NOW, watched(vec![resized, shielded, created, active]));
    state
}

fn key(state: &mut State, code: KeyCode) {
    feed(state, NOW, EventKind::Key(Key::plain(code)));
}

#[test]
fn live_at_every_size() {
    for (width, height) in SIZES {
        let mut state = busy(width, height);
        key(&mut state, KeyCode::Down);
        check("live", &state);
    }
}

#[test]
fn stale_is_dim_and_says_how_old_it_is() {
    for (width, height) in SIZES {
        let mut state = busy(width, height);
        feed(&mut state, NOW + 1, watched(vec![lost()]));
        feed(&mut state, NOW + 41, EventKind::Tick);
        check("stale", &state);
    }
}

#[test]
fn no_healthy_looking_row_is_in_a_stale_table() {
    let mut state = live(80, 24, vec![tenant("acme-corp", "free", 1, TenantState::Active)]);
    feed(&mut state, NOW + 1, watched(vec![lost()]));
    let frame = picture(&state);
    let row = frame.lines().find(|line| line.contains("acme-corp")).unwrap();
    assert!(row.starts_with("▌?"), "{row}");
}

#[test]
fn empty_tells_what_to_do() {
    for (width, height) in SIZES {
        check("empty", &live(width, height, vec![]));
        check("waiting", &fresh(width, height));
    }
}

#[test]
fn a_sick_region_is_told_the_worst_first() {
    let mut state = busy(80, 24);
    let mut parts = well();
    parts[3] = component("change-log", Health::Degraded, "7 changes wait for their revision");
    parts[1] = component("cluster", Health::Unavailable, "connection refused (os error 111)");
    parts[0] = component("database", Health::Degraded, "slow");
    feed(&mut state, NOW, region_report(parts));
    check("sick", &state);
    let frame = picture(&state);
    let place = |text: &str| frame.find(text).unwrap_or_else(|| panic!("no {text}:\n{frame}"));
    assert!(place("cluster unavailable") < place("database degraded"));
}

#[test]
fn a_refusal_says_so() {
    let mut state = fresh(80, 24);
    let refused = Trouble::new("your role, billing, may not watch");
    feed(&mut state, NOW, watched(vec![Watched::Failed(refused)]));
    check("denied", &state);
}

#[test]
fn details_and_help() {
    for (width, height) in SIZES {
        let mut state = busy(width, height);
        key(&mut state, KeyCode::Enter);
        check("details", &state);
        key(&mut state, KeyCode::Char('?'));
        check("help", &state);
    }
}

#[test]
fn page_by_page_every_line_is_seen_and_where_it_goes_on_is_told() {
    for (width, height) in SIZES {
        let mut state = busy(width, height);
        key(&mut state, KeyCode::Char('?'));
        let body = frame::body(&state);
        let all = with_view(&state.page, |view| view.length(&state, body.width));
        let mut seen = std::collections::BTreeSet::new();
        let last = last_scroll(&state);
        loop {
            let text = picture(&state);
            let rows = usize::from(body.y)..usize::from(body.bottom());
            let shown: Vec<_> = text.lines().collect::<Vec<_>>()[rows].to_vec();
            let (first, end) = (state.scroll, state.scroll + shown.len());
            assert_eq!(shown[0].starts_with(" ▴ "), first > 0, "{text}");
            assert_eq!(shown[shown.len() - 1].starts_with(" ▾ "), first < last, "{text}");
            let hidden_below = all.saturating_sub(end) + 1;
            let told = format!(" ▾ {hidden_below} more lines below");
            assert!(first == last || text.contains(&told), "{told}\n{text}");
            seen.extend(first + usize::from(first > 0)..end - usize::from(first < last));
            if first == last {
                break;
            }
            key(&mut state, KeyCode::PageDown);
        }
        assert!((0..all).all(|line| seen.contains(&line)), "{width}x{height}: {seen:?} of {all}");
    }
}

#[test]
fn a_paused_tenant_says_why_and_until_when() {
    let mut state = busy(120, 40);
    for c in "/fjord".chars() {
        key(&mut state, KeyCode::Char(c));
    }
    key(&mut state, KeyCode::Enter);
    let frame = picture(&state);
    assert!(frame.contains("paused: network policy by hand"), "{frame}");
    key(&mut state, KeyCode::Enter);
    let frame = picture(&state);
    let told = "network policy by hand (ops-2), until 2026-11-24 03:54";
    assert!(frame.contains(told), "{frame}");
}

#[test]
fn the_filter_is_shown_while_it_is_typed() {
    for (width, height) in SIZES {
        let mut state = busy(width, height);
        for c in "/har".chars() {
            key(&mut state, KeyCode::Char(c));
        }
        check("filter", &state);
    }
}

#[test]
fn without_colours_and_in_ascii_everything_is_still_told() {
    let mut state = busy(80, 24);
    state.theme = Theme::new(&Options { color: false, ascii: true, ..Options::default() });
    check("ascii", &state);
    let buffer = draw(&state);
    for cell in &buffer.content {
        assert!(cell.symbol().is_ascii(), "{:?}", cell.symbol());
        assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
    }
}

#[test]
fn hostile_names_keep_the_columns_and_the_terminal() {
    let hostile = [
        "\u{1b}[2J\u{1b}[31mred",
        "tab\there\r\nline",
        "\u{202e}gnp.exe",
        "株式会社ストリーム",
        "👩‍👩‍👧‍👦 family",
        "z\u{0336}a\u{0336}l\u{0336}g\u{0336}o\u{0336}",
        "ｶﾞﾊﾞﾅﾝｽ",
        &"x".repeat(300),
        "",
    ];
    for (width, height) in SIZES {
        let tenants = hostile.iter().enumerate().map(|(number, name)| {
            let mut tenant = tenant(name, name, 7, TenantState::Active);
            tenant.uid = number.to_string();
            tenant.namespace = (*name).into();
            tenant
        });
        let state = live(width, height, tenants.collect());
        let buffer = draw(&state);
        let row_of = |y: u16| -> Vec<String> {
            (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect()
        };
        let rows: Vec<_> = (0..height).map(row_of).collect();
        let starts = |row: &[String], word: &str| {
            (0..row.len()).find(|x| row[*x..].concat().starts_with(word))
        };
        let column = rows.iter().find_map(|row| starts(row, "STATE")).unwrap();
        let mut seen = 0;
        for row in &rows {
            let escapes = row.iter().any(|cell| cell.contains(char::is_control));
            assert!(!escapes, "an escape sequence came through: {row:?}");
            if row[column..].concat().starts_with("active") {
                seen += 1;
            }
        }
        let expected = hostile.len().min(table_rows(&state));
        assert_eq!(seen, expected, "{width}x{height}:\n{}", picture(&state));
        check("hostile", &state);
    }
}

#[test]
fn every_theme_shows_what_is_live_old_refused_or_not_there() {
    for theme in ThemeName::ALL {
        for (width, height) in [(80, 24), (120, 40)] {
            let mut live = one_region(width, height);
            live.theme = Theme::new(&Options { theme, ..Options::default() });
            let mut stale = live.clone();
            feed(&mut stale, NOW + 1, watched(vec![lost()]));
            feed(&mut stale, NOW + 41, EventKind::Tick);
            let mut denied = fresh(width, height);
            denied.theme = live.theme;
            let refused = Trouble::new("your role, billing, may not watch");
            feed(&mut denied, NOW, watched(vec![Watched::Failed(refused)]));
            let mut empty = crate::testing::live(width, height, vec![]);
            empty.theme = live.theme;
            for (name, from) in
                [("live", live), ("stale", stale), ("denied", denied), ("empty", empty)]
            {
                for (page, opened) in [("overview", Page::Overview), ("tenants", Page::Tenants)] {
                    let mut shown = from.clone();
                    shown.go(opened);
                    feed(&mut shown, from.now.as_second(), EventKind::Tick);
                    check(&format!("{theme}/{page}-{name}"), &shown);
                }
            }
        }
    }
}

/// A region with tenants, sessions in every phase and work under way.
fn inhabited(state: &mut State, region: u16) {
    let at = |news| EventKind::News(RegionIndex(region), news);
    let mut items: Vec<_> = tenants().into_iter().map(item).collect();
    for number in 0..40 {
        let tenant = ["acme-corp", "beta-inc", "fjord-media"][number % 3];
        let phase = [SessionPhase::Running, SessionPhase::Running, SessionPhase::Hibernated];
        let path = format!("{tenant}/ada-{number:02}");
        items.push(item(session(&path, phase[number / 3 % 3], "")));
    }
    let waits = "0/12 nodes are available: 12 Insufficient cpu";
    items.push(item(session("acme-corp/bob-blender", SessionPhase::Pending, waits)));
    let fails = "image example.com/firefox:1 cannot be pulled: not found";
    items.push(item(session("beta-inc/cyd-1", SessionPhase::Failed, fails)));
    let counts = OperationCounts {
        total: 1200,
        pending: 700,
        changed: 498,
        failed: 2,
        ..OperationCounts::default()
    };
    items.push(item(operation("0198", "tenants/fjord-media", counts)));
    feed(state, NOW, at(News::Watch(snapshot(items))));
    let mut report = well();
    if region == 1 {
        report[1] = component("cluster", Health::Degraded, "12 of 40 calls were throttled");
    }
    let EventKind::News(_, report) = region_report(report) else { unreachable!() };
    feed(state, NOW, at(report));
    // The others keep the names that they were called by.
    if region == 0 {
        feed(state, NOW, identity());
    }
    let mut acme = tenant("acme-corp", "business", 12, TenantState::Active);
    acme.protected = true;
    let changes = vec![
        change(ChangeType::Updated, acme, "ops-2", NOW - 34),
        change(
            ChangeType::Updated,
            session("acme-corp/ada-00", SessionPhase::Hibernated, ""),
            "ops-1",
            NOW - 12,
        ),
    ];
    feed(state, NOW, at(News::Watch(changes)));
}

fn one_region(width: u16, height: u16) -> State {
    let mut state = fresh(width, height);
    inhabited(&mut state, 0);
    state
}

#[test]
fn the_overview_at_every_size() {
    for (width, height) in SIZES {
        check("overview", &one_region(width, height));
    }
}

#[test]
fn three_regions_of_which_one_is_sick_and_one_dead() {
    for (width, height) in SIZES {
        let mut state = three_regions(width, height);
        (0..3).for_each(|region| inhabited(&mut state, region));
        let dead = EventKind::News(RegionIndex(2), News::Watch(vec![lost()]));
        feed(&mut state, NOW + 1, dead);
        for region in 0..2 {
            let bookmark = News::Watch(vec![Watched::Quiet]);
            feed(&mut state, NOW + 41, EventKind::News(RegionIndex(region), bookmark));
            let EventKind::News(_, report) = region_report(well()) else { unreachable!() };
            feed(&mut state, NOW + 41, EventKind::News(RegionIndex(region), report));
        }
        check("regions", &state);
        key(&mut state, KeyCode::Char('t'));
        check("regions-tenants", &state);
    }
}

#[test]
fn sessions_of_all_and_of_one_tenant() {
    for (width, height) in SIZES {
        let mut state = one_region(width, height);
        key(&mut state, KeyCode::Char('S'));
        check("sessions", &state);
    }
    let mut state = one_region(80, 24);
    for c in "t/acme".chars() {
        key(&mut state, KeyCode::Char(c));
    }
    key(&mut state, KeyCode::Enter);
    key(&mut state, KeyCode::Char('s'));
    check("sessions-of-one", &state);
}

#[test]
fn a_session_with_its_objects_and_events() {
    for (width, height) in SIZES {
        let mut state = one_region(width, height);
        key(&mut state, KeyCode::Char('S'));
        let effects = feed(&mut state, NOW, EventKind::Key(Key::plain(KeyCode::Enter)));
        check("session-asked", &state);
        let [Effect::Ask(_, question @ Question::Session(_))] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        let reply = DescribeSessionResponse {
            session: Some(session("beta-inc/cyd-1", SessionPhase::Failed, "")),
            objects: vec![SessionObject {
                kind: "Deployment".into(),
                name: "cyd-1".into(),
                status: "0 of 1 ready".into(),
            }],
            events: vec![ClusterEvent {
                time: crate::testing::time(NOW - 20),
                warning: true,
                reason: "Failed".into(),
                object: "Pod/cyd-1-7d9f".into(),
                message: "Failed to pull image \"example.com/firefox:1\": not found".into(),
                count: 4,
            }],
            message: String::new(),
        };
        let answer = Answer::Session(Box::new(reply));
        feed(&mut state, NOW, here(News::Answer(question.clone(), Ok(answer))));
        check("session", &state);
    }
}

#[test]
fn a_tenants_quota_with_its_gauges() {
    for (width, height) in SIZES {
        let mut state = one_region(width, height);
        for c in "t/acme".chars() {
            key(&mut state, KeyCode::Char(c));
        }
        key(&mut state, KeyCode::Enter);
        let effects = feed(&mut state, NOW, EventKind::Key(Key::plain(KeyCode::Enter)));
        let [Effect::Ask(_, question @ Question::Quota(_)), Effect::Ask(_, objects)] =
            effects.as_slice()
        else {
            panic!("{effects:?}")
        };
        let line = |resource: &str, used: &str, hard: &str, share, full| QuotaLine {
            resource: resource.into(),
            used: used.into(),
            hard: hard.into(),
            used_permille: share,
            exhaust_time: full,
            ..QuotaLine::default()
        };
        let quota = Quota {
            tenant: "tenants/acme-corp".into(),
            lines: vec![
                line("cpu", "86500m", "100", 865, crate::testing::time(NOW + 187_200)),
                line("memory", "148Gi", "200Gi", 740, crate::testing::time(NOW + 784_800)),
                line("storage", "200Gi", "1Ti", 195, None),
                line("pods", "43", "500", 86, None),
            ],
            observed: true,
            ..Quota::default()
        };
        let answer = Answer::Quota(Box::new(quota));
        feed(&mut state, NOW, here(News::Answer(question.clone(), Ok(answer))));
        let object = |kind: &str, name: &str, state: TenantObjectState| TenantObject {
            kind: kind.into(),
            name: name.into(),
            state: state.into(),
            ..TenantObject::default()
        };
        let answer = Answer::Objects(vec![
            object("Namespace", "tenant-acme-corp", TenantObjectState::InSync),
            object("ResourceQuota", "plan", TenantObjectState::InSync),
            object("NetworkPolicy", "default-deny", TenantObjectState::InSync),
            object("NetworkPolicy", "allow-dns", TenantObjectState::Missing),
        ]);
        feed(&mut state, NOW, here(News::Answer(objects.clone(), Ok(answer))));
        check("quota", &state);
    }
}

#[test]
fn operations_and_one_of_them() {
    for (width, height) in SIZES {
        let mut state = one_region(width, height);
        key(&mut state, KeyCode::Char('p'));
        check("operations", &state);
        key(&mut state, KeyCode::Enter);
        check("operation", &state);
    }
}

#[test]
fn the_palette_offers_and_says_what_is_wrong() {
    for (width, height) in SIZES {
        let mut state = one_region(width, height);
        for c in ":tenant be".chars() {
            key(&mut state, KeyCode::Char(c));
        }
        check("palette", &state);
        for c in "x".chars() {
            key(&mut state, KeyCode::Char(c));
        }
        key(&mut state, KeyCode::Enter);
        check("palette-wrong", &state);
    }
}

#[test]
fn what_can_be_done_and_the_way_to_it() {
    for (width, height) in SIZES {
        let mut state = one_region(width, height);
        for c in "Sa".chars() {
            key(&mut state, KeyCode::Char(c));
        }
        check("menu", &state);
        let effects = feed(&mut state, NOW, EventKind::Key(Key::plain(KeyCode::Char('x'))));
        let [Effect::Work(work)] = effects.as_slice() else { panic!("{effects:?}") };
        let told = News::Worked(work.clone(), Ok(vec!["would change: 1 session".into()]));
        feed(&mut state, NOW, here(told));
        for c in "it never starts".chars() {
            key(&mut state, KeyCode::Char(c));
        }
        check("dialog", &state);
        let refused = Trouble::new("your role, viewer, may not");
        feed(&mut state, NOW, here(News::Worked(work.clone(), Err(refused))));
        check("dialog-refused", &state);
    }
}

#[test]
fn a_viewer_sees_what_is_missing() {
    let mut state = one_region(120, 40);
    let reply = streamspace_proto::v1::WhoAmIResponse {
        operator: "eve".into(),
        role: streamspace_proto::v1::Role::Viewer.into(),
        ..Default::default()
    };
    feed(&mut state, NOW, here(News::Identity(Ok(Box::new(reply)))));
    for c in "ta".chars() {
        key(&mut state, KeyCode::Char(c));
    }
    check("menu-denied", &state);
}
