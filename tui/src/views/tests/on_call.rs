//! What fires, who has it, what it costs and what is left: of the demonstration.

use super::{scene::Scene, *};
use crate::trouble::Trouble;

#[test]
fn the_alerts_at_every_size() {
    Scene::new().check("alerts", "A");
    Scene::new().check("alert", "A\r");
    Scene::new().check("alert-taken", "Aj\r");
    Scene::after(20, false).check("alerts-tickets", "A");
    Scene::refused().check("alerts-refused", "A");
}

#[test]
fn the_incidents_at_every_size() {
    Scene::new().check("incidents", "i");
    Scene::new().check("incident", "i\r");
    Scene::new().check("incident-old", "ij\r");
    Scene::refused().check("incidents-refused", "i");
}

/// From the page of what fires to an incident that is over, and what each step tells.
fn life_of_an_incident(scene: &mut Scene) {
    let steps = [
        // Of the alert that fires, in the second region, the incident that it opened.
        ("Agi", "INC-97"),
        ("K\r", "ops-1 commands"),
        ("at\x08\x081\r\rthe registry\r", "severity is one of"),
        ("\x1b", ""),
        ("at\x08\x08P0\rnorthwind\rthe registry\r", "INC-97 P0 triaged"),
        ("as\rlee\r\r", "commander of INC-97: lee"),
        ("ae\r", "INC-97 P0 triaged"),
        ("Nanother registry is asked\r", "noted in INC-97"),
        ("auWe see it\r30m\r\r", "customers read of INC-97: We see it"),
        ("am\r", "INC-97 P0 mitigated"),
        ("arit was full\r", "INC-97 P0 resolved"),
        ("aiwarn before it is full\rlee\r2026-12-31\r", "INC-97: 1 of 1 action items open"),
    ];
    for (keys, told) in steps {
        scene.press(keys);
        let shown = picture(&scene.state);
        assert!(shown.contains(told), "{keys:?} did not tell {told:?}:\n{shown}");
    }
}

#[test]
fn from_an_alert_to_the_post_mortem_by_keys_alone() {
    let mut scene = Scene::new();
    life_of_an_incident(&mut scene);
    scene.hold("incident-resolved", "");
    scene.hold("incident-menu", "a");
    scene.press("\x1b");
    scene.hold("post-mortem", "M");
    let saved = scene.asks('W');
    let [Effect::Save(name, text)] = saved.as_slice() else { panic!("{saved:?}") };
    assert_eq!(name, "INC-97.md");
    for part in ["# INC-97: ", "| Severity | P0 |", "- [ ] warn before it is full, lee"] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    scene.press("\x1bad1\r\r");
    scene.press("av\r");
    assert!(picture(&scene.state).contains("INC-97 P0 reviewed"), "{}", picture(&scene.state));
}

#[test]
fn an_alert_leads_to_its_budget() {
    let mut scene = Scene::new();
    scene.press("Agb");
    assert!(picture(&scene.state).contains("session-start"), "{}", picture(&scene.state));
}

#[test]
fn what_is_left_of_what_was_promised_at_every_size() {
    Scene::new().check("slos", "b");
    Scene::new().check("slo", "b/session-start\r\r");
    Scene::new().check("slo-broken", "b/checkout\r\r");
    Scene::refused().check("slos-refused", "b");
}

#[test]
fn an_alert_is_taken_by_one_key_and_told_on_every_page() {
    let mut scene = Scene::new();
    scene.press("AK");
    check("alert-acknowledge", &scene.state);
    scene.press("looking at the registry\r");
    check("alert-acknowledged", &scene.state);
    scene.check("alert-line", "v");
}

#[test]
fn what_is_not_known_any_more_to_fire_is_not_told_as_if_it_were() {
    let mut scene = Scene::new();
    for (region, words) in [(0, "no answer within 10 s"), (1, "no answer within 10 s")] {
        let late = News::Answer(Question::Alerts, Err(Trouble::new(words)));
        scene.happens(EventKind::News(RegionIndex(region), late));
    }
    scene.check("alerts-partly", "A");
    let mut scene = Scene::new();
    let none = News::Answer(Question::Alerts, Ok(Answer::Alerts(Vec::new())));
    scene.happens(EventKind::News(RegionIndex(0), none.clone()));
    scene.happens(EventKind::News(RegionIndex(1), none));
    let late = News::Answer(Question::Alerts, Err(Trouble::new("no answer within 10 s")));
    scene.happens(EventKind::News(RegionIndex(1), late));
    scene.check("alerts-unknown", "v");
}
