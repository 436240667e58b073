//! The table of tenants, the page of one, and how fresh they are.

use streamspace_proto::v1::{Health, TenantState};

use super::*;
use crate::testing::{component, live, lost, tenant, watched, well};

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
