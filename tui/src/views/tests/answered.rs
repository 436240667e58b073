//! The pages that a daemon is asked for, and the badge of a recording: of the demonstration.

use jiff::{SignedDuration, Timestamp};
use ratatui::layout::Size;
use streamspace_proto::v1::{Quota, QuotaLine, Role, WhoAmIResponse};

use super::*;
use crate::{
    demo::made_up,
    recording::{Place, Troupe, begin},
    update::update,
};

/// The demonstration when a region is slow, and who answers in it.
struct Scene {
    state: State,
    troupe: Box<dyn Troupe>,
    at: Timestamp,
    /// Whether they may be asked.
    refuses: bool,
}

impl Scene {
    fn new() -> Self {
        Self::after(75, false)
    }

    /// So many seconds after the begin.
    fn after(seconds: i64, refuses: bool) -> Self {
        let (mut film, troupe) = made_up();
        let state = begin(&film, &Options::default(), Size { width: 80, height: 24 });
        let (begin, end) = (film.header().begin(), SignedDuration::from_secs(seconds));
        let mut scene = Self { state, troupe, at: begin, refuses };
        while film.next_time().is_some_and(|time| time <= begin + end) {
            let event = film.next().unwrap();
            scene.at = event.at;
            scene.happens(event.kind);
        }
        scene.at = begin + end;
        scene
    }

    /// As a viewer sees it, who may not ask.
    fn refused() -> Self {
        let mut scene = Self::after(75, true);
        for index in 0..scene.state.regions.len() {
            let reply = WhoAmIResponse {
                operator: "eve".into(),
                role: Role::Viewer.into(),
                role_name: "viewer".into(),
                ..WhoAmIResponse::default()
            };
            let region = RegionIndex(u16::try_from(index).unwrap());
            scene.happens(EventKind::News(region, News::Identity(Ok(Box::new(reply)))));
        }
        scene
    }

    /// Something happens, and what is asked then is answered.
    fn happens(&mut self, kind: EventKind) {
        for effect in update(&mut self.state, Event { at: self.at, kind }) {
            if let Effect::Work(work) = effect {
                let (result, news) = self.troupe.work(&work, self.at);
                let region = work.subject.region;
                for news in [News::Worked(work, result)].into_iter().chain(news) {
                    self.happens(EventKind::News(region, news));
                }
            } else if let Effect::Ask(region, question) = effect {
                let answer = if self.refuses {
                    let words = "your role, viewer, may not ask for it: ask an admin";
                    Err(Trouble { refused: true, ..Trouble::new(words) })
                } else {
                    Ok(self.troupe.answer(region, &question, self.at))
                };
                self.happens(EventKind::News(region, News::Answer(question, answer)));
            }
        }
    }

    fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            let code = if key == '\r' { KeyCode::Enter } else { KeyCode::Char(key) };
            self.happens(EventKind::Key(Key::plain(code)));
        }
    }

    /// Presses keys, and holds each size of what is shown then.
    fn check(mut self, name: &str, keys: &str) {
        self.press(keys);
        for (width, height) in SIZES {
            self.happens(EventKind::Resize(Size { width, height }));
            check(name, &self.state);
        }
    }
}

#[test]
fn what_a_tenant_used_and_what_all_take() {
    Scene::new().check("usage", "t/acme-corp\ru");
    Scene::new().check("usage-all", "U");
}

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
