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
        let (mut film, troupe) = made_up();
        let mut state = begin(&film, &Options::default(), Size { width: 80, height: 24 });
        let at = film.header().begin() + SignedDuration::from_secs(75);
        while film.next_time().is_some_and(|time| time <= at) {
            update(&mut state, film.next().unwrap());
        }
        Self { state, troupe, at, refuses: false }
    }

    /// As a viewer sees it, who may not ask.
    fn refused() -> Self {
        let mut scene = Self::new();
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
        scene.refuses = true;
        scene
    }

    /// Something happens, and what is asked then is answered.
    fn happens(&mut self, kind: EventKind) {
        for effect in update(&mut self.state, Event { at: self.at, kind }) {
            if let Effect::Ask(region, question) = effect {
                let answer = if self.refuses {
                    Err(Trouble::new("your role, viewer, may not ask for it: ask an admin"))
                } else {
                    Ok(self.troupe.answer(region, &question, self.at))
                };
                self.happens(EventKind::News(region, News::Answer(question, answer)));
            }
        }
    }

    /// Presses keys, and holds each size of what is shown then.
    fn check(mut self, name: &str, keys: &str) {
        for key in keys.chars() {
            let code = if key == '\r' { KeyCode::Enter } else { KeyCode::Char(key) };
            self.happens(EventKind::Key(Key::plain(code)));
        }
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
