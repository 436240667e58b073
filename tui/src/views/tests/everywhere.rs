//! What is so of every page, whatever it shows.

use ratatui::style::Color;
use streamspace_proto::v1::TenantState;

use super::*;
use crate::testing::{live, lost, tenant, watched};

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
        for (width, height) in SIZES {
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
            let states =
                vec![("live", live), ("stale", stale), ("denied", denied), ("empty", empty)];
            for (name, from) in states {
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
