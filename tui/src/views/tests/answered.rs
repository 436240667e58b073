//! The pages that a daemon is asked for, and the badge of a recording: of the demonstration.

use jiff::SignedDuration;
use ratatui::layout::Size;
use streamspace_proto::v1::{Quota, QuotaLine};

use super::{scene::Scene, *};
use crate::recording::Place;

#[test]
fn what_a_tenant_used_and_what_all_take() {
    Scene::new().check("usage", "t/acme-corp\ru");
    Scene::new().check("usage-all", "U");
}

#[test]
fn every_theme_shows_of_what_was_asked_what_is_live_old_refused_or_not_there() {
    let none = |question: Question, answer: Answer| News::Answer(question, Ok(answer));
    for theme in ThemeName::ALL {
        let themed = |mut scene: Scene, key: char| {
            scene.state.theme = Theme::new(&Options { theme, ..Options::default() });
            scene.press(&key.to_string());
            scene.happens(EventKind::Resize(Size { width: 80, height: 24 }));
            scene
        };
        for (page, key) in [("alerts", 'A'), ("slos", 'b'), ("incidents", 'i')] {
            check(&format!("{theme}/{page}-live"), &themed(Scene::new(), key).state);
            check(&format!("{theme}/{page}-denied"), &themed(Scene::refused(), key).state);
            let mut stale = themed(Scene::new(), key);
            stale.at += SignedDuration::from_secs(41);
            stale.happens(EventKind::Tick);
            check(&format!("{theme}/{page}-stale"), &stale.state);
            let mut empty = themed(Scene::new(), key);
            for region in (0..3).map(RegionIndex) {
                for news in [
                    none(Question::Alerts, Answer::Alerts(Vec::new())),
                    none(Question::Incidents, Answer::Incidents(Vec::new())),
                    none(Question::Budgets, Answer::Budgets(Box::default())),
                ] {
                    empty.happens(EventKind::News(region, news));
                }
            }
            check(&format!("{theme}/{page}-empty"), &empty.state);
        }
    }
}

#[test]
fn an_incident_is_declared_of_an_alert_and_told_on_every_page() {
    let mut scene = Scene::new();
    scene.press("AjD");
    check("declare", &scene.state);
    scene.press("\r\rthe shop is blind\r");
    check("declared", &scene.state);
    scene.check("incidents-more", "i");
}

#[test]
fn the_audit_log_at_every_size() {
    Scene::new().check("audit", "l");
}

#[test]
fn the_certificates_at_every_size() {
    Scene::new().check("certificates", "x");
}

#[test]
fn the_regions_at_every_size() {
    Scene::new().check("regions-page", "r");
}

#[test]
fn yaml_of_a_tenant_at_every_size() {
    Scene::new().check("yaml", "t/acme-corp\rY");
}

#[test]
fn who_may_not_ask_is_told_so() {
    Scene::refused().check("audit-refused", "l");
    Scene::refused().check("certificates-refused", "x");
    Scene::refused().check("usage-refused", "t/acme-corp\ru");
    Scene::refused().check("usage-all-refused", "U");
}

#[test]
fn what_one_region_does_not_answer_any_more_is_not_drawn_as_known() {
    let mut scene = Scene::new();
    scene.happens(EventKind::Key(Key::plain(KeyCode::Char('l'))));
    let slow = Err(Trouble::new("no answer within 10 s"));
    let late = News::Answer(Question::Audit, slow);
    scene.happens(EventKind::News(RegionIndex(1), late));
    scene.check("audit-partly", "");
}

#[test]
fn texts_of_any_length_are_drawn() {
    let long = "x".repeat(70_000);
    let line = QuotaLine {
        resource: long.clone(),
        used: long.clone(),
        hard: long.clone(),
        ..QuotaLine::default()
    };
    let quota = Quota { lines: vec![line], observed: true, ..Quota::default() };
    let mut scene = Scene::new();
    for key in "t/acme-corp\r\r".chars() {
        let code = if key == '\r' { KeyCode::Enter } else { KeyCode::Char(key) };
        scene.happens(EventKind::Key(Key::plain(code)));
    }
    let answer = Ok(Answer::Quota(Box::new(quota)));
    let question = Question::Quota("tenants/acme-corp".into());
    scene.happens(EventKind::News(RegionIndex(0), News::Answer(question, answer)));
    assert!(picture(&scene.state).contains("xxxx"));
}

#[test]
fn a_recording_says_that_it_is_one() {
    let mut scene = Scene::new();
    scene.state.place = Some(Place {
        title: "recording",
        seconds: 75,
        of: 1800,
        playing: true,
        speed: 10,
        cut: true,
    });
    scene.check("recording", "");
}
