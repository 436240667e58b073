//! Frames as committed text. `UPDATE_SNAPSHOTS=1 cargo test -p streamspace-tui`
//! writes them anew; look at what changed before it is committed.

use crossterm::event::KeyCode;

use super::*;
use crate::{
    Options, ThemeName,
    events::{Effect, Event, EventKind, News, Watched},
    keys::Key,
    state::{Answer, Question, RegionIndex},
    testing::{NOW, feed, fresh, here, region as region_report},
    theme::Theme,
    trouble::Trouble,
};
use picture::{check, picture};
use scenes::{busy, inhabited, one_region};

mod answered;
mod asking;
mod everywhere;
mod on_call;
mod pages;
mod picture;
mod scene;
mod scenes;
mod tenants;

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (200, 50), (40, 12)];

fn key(state: &mut State, code: KeyCode) {
    feed(state, NOW, EventKind::Key(Key::plain(code)));
}
