//! The demonstration at a time of its story, and what keys do in it.

use jiff::{SignedDuration, Timestamp};
use ratatui::layout::Size;
use streamspace_proto::v1::{Role, WhoAmIResponse};

use super::*;
use crate::{
    demo::made_up,
    recording::{Troupe, begin},
    update::update,
};

/// The demonstration when a region is slow, and who answers in it.
pub(super) struct Scene {
    pub(super) state: State,
    troupe: Box<dyn Troupe>,
    pub(super) at: Timestamp,
    /// Whether they may be asked.
    refuses: bool,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::after(75, false)
    }

    /// So many seconds after the begin.
    pub(super) fn after(seconds: i64, refuses: bool) -> Self {
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
    pub(super) fn refused() -> Self {
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
    pub(super) fn happens(&mut self, kind: EventKind) {
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

    pub(super) fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            self.happens(pressed(key));
        }
    }

    /// What a key asks of the world.
    pub(super) fn asks(&mut self, key: char) -> Vec<Effect> {
        update(&mut self.state, Event { at: self.at, kind: pressed(key) })
    }

    /// Presses keys, and holds each size of what is shown then.
    pub(super) fn check(mut self, name: &str, keys: &str) {
        self.hold(name, keys);
    }

    /// The same, and goes on after it.
    pub(super) fn hold(&mut self, name: &str, keys: &str) {
        self.press(keys);
        for (width, height) in SIZES {
            self.happens(EventKind::Resize(Size { width, height }));
            check(name, &self.state);
        }
    }
}

fn pressed(key: char) -> EventKind {
    let code = match key {
        '\r' => KeyCode::Enter,
        '\x1b' => KeyCode::Esc,
        '\x08' => KeyCode::Backspace,
        key => KeyCode::Char(key),
    };
    EventKind::Key(Key::plain(code))
}
