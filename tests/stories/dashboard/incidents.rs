//! An incident by the dashboard alone: from the alert that fires to the post-mortem in a file.

use streamspace_tests::{
    pty::Drawing,
    receiver::{Mood, Receiver},
    region::Region,
    runtime::story,
    wait::{holds, until},
};

use super::{DOWN, ENTER, ESCAPE, PATIENCE, act};
use crate::incidents::{Door, again, pages};

/// Takes a field's two letters away.
const ERASE: &str = "\u{7f}\u{7f}";

#[test]
fn an_alert_becomes_a_post_mortem_by_keys_alone() {
    story(async {
        let region = Region::start().await;
        let receiver = Receiver::start(Mood::Takes).await;
        pages(&region, &receiver);
        let door = Door::of(&region);
        again(&region).await;
        let ssctl = region.admin();
        let create = ["tenant", "create", "acme-shop", "--plan", "business", "--seats", "1"];
        ssctl.ok(&[&create[..], &["--wait"]].concat()).await;

        let mut screen = Drawing::start(ssctl, &["ui"], 140, 45);
        screen.shows(PATIENCE, "● live").await;
        door.tell("firing").await;
        // On every page, within the seconds in which it is asked for.
        screen.shows(PATIENCE, "checkout answers nobody").await;
        screen.press("i");
        screen.shows(PATIENCE, "INCIDENTS 1").await;
        screen.press(ENTER);
        screen.shows(PATIENCE, "incidents › INC-1").await;

        let line = |text: &str, words: &str| text.lines().any(|line| line.starts_with(words));
        act(&mut screen, "a", "acknowledge", &["on my way"], |text| {
            line(text, " INC-1 P2 declared, ") && text.contains("commands")
        })
        .await;
        let severity = format!("{ERASE}P1");
        act(&mut screen, "t", "triage", &[&severity, "acme-shop", "nobody can pay"], |text| {
            line(text, " INC-1 P1 triaged")
        })
        .await;
        // What is done about it, with the incident as its reason.
        screen.press("t");
        screen.shows(PATIENCE, "ssctl tenant show acme-shop").await;
        act(&mut screen, "p", "plan", &["enterprise", "INC-1"], |text| {
            text.contains("plan acme-shop: accepted")
        })
        .await;
        screen.press("i");
        screen.shows(PATIENCE, "INCIDENTS 1").await;
        screen.press(ENTER);
        screen.shows(PATIENCE, "incidents › INC-1").await;
        act(&mut screen, "u", "update", &["We work on it", "30m"], |text| {
            line(text, " customers read of INC-1")
        })
        .await;
        act(&mut screen, "m", "mitigate", &["a larger plan"], |text| {
            line(text, " INC-1 P1 mitigated")
        })
        .await;
        act(&mut screen, "r", "resolve", &["it pays again"], |text| {
            line(text, " INC-1 P1 resolved")
        })
        .await;
        let task = ["warn before the plan is full", "lee", "2026-12-31"];
        act(&mut screen, "i", "action", &task, |text| {
            line(text, " INC-1: 1 of 1 action items open")
        })
        .await;

        screen.press("M");
        screen.shows(PATIENCE, "# INC-1: checkout answers nobody").await;
        for part in ["UpdateTenant tenants/acme-shop", "warn before the plan is full, lee"] {
            until("the page has it all", async || {
                screen.press(DOWN);
                holds(screen.text().contains(part), || screen.text())
            })
            .await;
        }
        screen.press("W");
        screen.shows(PATIENCE, "written to ").await;
        let written = std::fs::read_to_string(ssctl.home().join("INC-1.md")).unwrap();
        assert_eq!(written, ssctl.ok(&["incident", "export", "1"]).await.stdout);
        // Once more does not take the first one away.
        screen.press("W");
        screen.shows(PATIENCE, "INC-1-2.md").await;

        screen.press(ESCAPE);
        act(&mut screen, "v", "review", &["agreed"], |text| line(text, " INC-1 P1 reviewed")).await;
        let shown = ssctl.json(&["incident", "show", "1"]).await;
        assert_eq!(shown["incident"]["state"], "INCIDENT_STATE_REVIEWED");
        assert_eq!(shown["incident"]["tenants"], serde_json::json!(["tenants/acme-shop"]));
        until("its end is told to who was paged", async || {
            let (begun, over) = (receiver.keys("trigger"), receiver.keys("resolve"));
            holds(begun.len() == 1 && begun == over, || format!("{begun:?} and {over:?}"))
        })
        .await;
        screen.press("q");
        assert!(screen.ends(PATIENCE).await.success());
    });
}
