//! What an event does to the state. Pure: the same state and event make the same
//! state and effects.

use crossterm::event::KeyCode;
use jiff::Timestamp;
use ratatui::layout::Size;
use streamspace_client::{ClientError, WatchEvent, text::escape};
use streamspace_proto::v1::{
    Change, ChangeType, Region, Resource, TenantState, WhoAmIResponse, resource,
};

use crate::{
    format::{age, seconds_since, time_of_day},
    keys::{Action, Key, Mode},
    state::{
        Entry, EntryKind, Identity, Link, Page, RegionReport, State, Tenant, TenantKey, describe,
    },
    views,
};

/// The longest filter that can be typed.
const LONGEST_FILTER: usize = 200;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum EventKind {
    /// Time passed.
    Tick,
    /// The terminal has another size.
    Resize(Size),
    Key(Key),
    /// Text came as a whole.
    Paste(String),
    /// The watch brought something, in this order.
    Watch(Vec<WatchEvent>),
    /// The region was asked how it is.
    Region(Result<Box<Region>, ClientError>),
    /// The daemon was asked who looks.
    Identity(Result<Box<WhoAmIResponse>, ClientError>),
}

/// What the world should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Quit,
    /// Draw every cell, whatever is thought to be there.
    Repaint,
}

/// Takes an event in.
pub(crate) fn update(state: &mut State, event: Event) -> Vec<Effect> {
    state.now = event.at;
    let mut effects = Vec::new();
    match event.kind {
        EventKind::Resize(size) => state.size = size,
        EventKind::Key(key) => effects.extend(press(state, key)),
        EventKind::Paste(text) if state.typing => text.chars().for_each(|c| type_in(state, c)),
        EventKind::Watch(events) => {
            for event in events {
                watched(state, event);
            }
            state.tenants.arrange();
        }
        EventKind::Region(Ok(region)) => {
            state.region = Some(RegionReport::new(&region, state.now));
            state.region_error = None;
        }
        EventKind::Region(Err(error)) => state.region_error = Some(told(&error)),
        EventKind::Identity(Ok(reply)) => {
            state.identity = Some(Identity::new(&reply));
            if !reply.region.is_empty() {
                let region = reply.region.rsplit('/').next().unwrap_or_default();
                state.target.region = escape(region).into_owned();
            }
        }
        // The time is taken already. What is pasted into a table would be a row of
        // commands that nobody meant. What keeps the identity back, watch and region
        // tell as well.
        EventKind::Tick | EventKind::Paste(_) | EventKind::Identity(Err(_)) => {}
    }
    settle(state);
    effects
}

/// Puts selection and scrolling right for what the screen has room for.
fn settle(state: &mut State) {
    let rows = views::table_rows(state);
    state.tenants.set_height(rows);
    state.scroll = state.scroll.min(views::last_scroll(state));
}

fn press(state: &mut State, key: Key) -> Option<Effect> {
    let mode = state.mode();
    match (state.keys.lookup(mode, key), key) {
        (Some(action), _) => return act(state, mode, action),
        (None, Key { code: KeyCode::Char(c), control: false }) if mode == Mode::Prompt => {
            type_in(state, c);
        }
        (None, _) => {}
    }
    None
}

fn act(state: &mut State, mode: Mode, action: Action) -> Option<Effect> {
    match action {
        Action::Quit => return Some(Effect::Quit),
        Action::Repaint => return Some(Effect::Repaint),
        Action::Help if state.page == Page::Help => go_back(state),
        Action::Help => go(state, Page::Help),
        Action::Open => {
            if let Some(tenant) = state.tenants.selected() {
                let page = Page::Tenant(tenant.key.clone());
                go(state, page);
            }
        }
        Action::Back if mode == Mode::Page => go_back(state),
        Action::Back => state.tenants.set_filter(String::new()),
        Action::Filter => state.typing = true,
        Action::Accept => state.typing = false,
        Action::Cancel => {
            state.typing = false;
            state.tenants.set_filter(String::new());
        }
        Action::Erase => edit_filter(state, |filter| {
            filter.pop();
        }),
        Action::EraseWord => edit_filter(state, |filter| {
            let kept = filter.trim_end().rfind(' ').map_or(0, |space| space + 1);
            filter.truncate(kept);
        }),
        Action::EraseAll => edit_filter(state, String::clear),
        Action::Sort => state.tenants.sort_by_next(),
        Action::Reverse => state.tenants.reverse(),
        Action::Up
        | Action::Down
        | Action::PageUp
        | Action::PageDown
        | Action::First
        | Action::Last => travel(state, mode, action),
    }
    None
}

fn travel(state: &mut State, mode: Mode, action: Action) {
    let page = views::page_height(state).saturating_sub(1).max(1);
    let table = &mut state.tenants;
    let scroll = &mut state.scroll;
    match (mode, action) {
        (Mode::Page, Action::Up) => *scroll = scroll.saturating_sub(1),
        (Mode::Page, Action::Down) => *scroll = scroll.saturating_add(1),
        (Mode::Page, Action::PageUp) => *scroll = scroll.saturating_sub(page),
        (Mode::Page, Action::PageDown) => *scroll = scroll.saturating_add(page),
        (Mode::Page, Action::First) => *scroll = 0,
        (Mode::Page, Action::Last) => *scroll = usize::MAX,
        (_, Action::Up) => table.select_by(-1),
        (_, Action::Down) => table.select_by(1),
        (_, Action::PageUp) => table.select_by_pages(-1),
        (_, Action::PageDown) => table.select_by_pages(1),
        (_, Action::First) => table.select_first(),
        (_, Action::Last) => table.select_last(),
        _ => {}
    }
}

fn go(state: &mut State, page: Page) {
    let from = std::mem::replace(&mut state.page, page);
    state.back.push(from);
    state.scroll = 0;
}

fn go_back(state: &mut State) {
    state.page = state.back.pop().unwrap_or(Page::Tenants);
    state.scroll = 0;
}

fn type_in(state: &mut State, c: char) {
    if escape(c.encode_utf8(&mut [0; 4])).chars().count() == 1 {
        edit_filter(state, |filter| {
            if filter.chars().count() < LONGEST_FILTER {
                filter.push(c);
            }
        });
    }
}

fn edit_filter(state: &mut State, edit: impl FnOnce(&mut String)) {
    let mut filter = state.tenants.filter().to_owned();
    edit(&mut filter);
    state.tenants.set_filter(filter);
}

fn watched(state: &mut State, event: WatchEvent) {
    match event {
        WatchEvent::Lost { error, .. } => {
            if matches!(state.link, Link::Live | Link::Loading) {
                note(state, "no longer live".into());
            }
            let since = match state.link {
                Link::Lost { since, .. } => since,
                _ => state.now,
            };
            // A refusal comes from a daemon that is there; all else says the same of
            // the region as of the watch, and sooner than the next question would.
            let answered = matches!(error, ClientError::Refused(_));
            let error = told(&error);
            if !answered {
                state.region_error = Some(error.clone());
            }
            state.link = Link::Lost { error, since };
            return;
        }
        WatchEvent::Failed(error) => {
            let error = told(&error);
            note(state, "the daemon ended the watch".into());
            state.link = Link::Failed { error };
            return;
        }
        WatchEvent::Connected { resumed } => connected(state, resumed),
        WatchEvent::Item(resource) => {
            if let Some(tenant) = tenant_of(*resource) {
                state.tenants.put(tenant);
            }
        }
        WatchEvent::Synced { .. } => {
            state.tenants.end_snapshot();
            state.link = Link::Live;
        }
        WatchEvent::Change(change) => changed(state, *change),
        WatchEvent::Bookmark { .. } => {}
    }
    state.heard = Some(state.now);
}

fn connected(state: &mut State, resumed: bool) {
    if resumed {
        if let Some(heard) = state.heard {
            let away = age(seconds_since(heard, state.now));
            note(state, format!("live again after {away}, nothing missed"));
        }
        state.link = Link::Live;
        return;
    }
    if let Some(heard) = state.heard {
        let from = time_of_day(heard);
        note(state, format!("live again; changes since {from} are not listed"));
    }
    state.tenants.begin_snapshot();
    state.link = Link::Loading;
}

fn note(state: &mut State, text: String) {
    let kind = EntryKind::Connection(text);
    let at = state.now;
    state.changes.add(Entry { at, kind });
}

fn changed(state: &mut State, change: Change) {
    let type_ = change.r#type();
    let Some(resource::Resource::Tenant(after)) = change.resource.and_then(|r| r.resource) else {
        return;
    };
    let key = TenantKey::of(&after);
    let before = state.tenants.get(&key).map(|tenant| tenant.whole.as_ref());
    let what = describe(type_, before, &after);
    let gone = type_ == ChangeType::Deleted || after.state() == TenantState::Gone;
    let tenant = Tenant::new(after);
    state.changes.add(Entry {
        at: crate::format::instant(change.time.as_ref()).unwrap_or(state.now),
        kind: EntryKind::Change {
            key: key.clone(),
            actor: escape(&change.actor).into_owned(),
            tenant: tenant.id.clone(),
            what,
        },
    });
    if gone {
        state.tenants.remove(&key);
    } else {
        state.tenants.put(tenant);
    }
}

fn tenant_of(resource: Resource) -> Option<Tenant> {
    match resource.resource? {
        resource::Resource::Tenant(tenant) if tenant.state() != TenantState::Gone => {
            Some(Tenant::new(tenant))
        }
        _ => None,
    }
}

/// An error with what to do about it, where that is more than to wait: the
/// dashboard tries again by itself.
fn told(error: &ClientError) -> String {
    let text = error.to_string();
    let waiting_helps = match error {
        ClientError::Broken(_) | ClientError::TimedOut(_) => true,
        ClientError::Refused(_) => error.is_transient(),
        _ => false,
    };
    let text = match error.next_step().filter(|_| !waiting_helps) {
        Some(step) => format!("{text}; {step}"),
        None => text,
    };
    escape(&text).into_owned()
}

#[cfg(test)]
mod tests;
