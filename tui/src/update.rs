//! What an event does to the state. Pure: the same state and event make the same
//! state and effects.

use crossterm::event::KeyCode;
use jiff::Timestamp;
use ratatui::layout::Position;
use streamspace_client::text::escape;

use crate::{
    actions::Verb,
    events::{Effect, Event, EventKind, News, Play},
    keys::{Action, Key, Mode},
    prompt::{Prompt, PromptKind},
    rows::{self, Alert, Audit, Budget, Certificate, Incident, Row as _},
    state::{Answer, Identity, Overlay, Page, RegionIndex, Report, State},
    views,
};

mod answers;
mod asking;
mod line;
mod news;

/// How many seconds one step within a recording is.
const STEP: i64 = 10;

/// Takes an event in.
pub(crate) fn update(state: &mut State, event: Event) -> Vec<Effect> {
    set_time(state, event.at);
    let mut effects = Vec::new();
    match event.kind {
        EventKind::Resize(size) => state.size = size,
        EventKind::Key(key) => effects.extend(press(state, key)),
        EventKind::Paste(text) => paste(state, &text),
        EventKind::Wheel(rows) => wheel(state, rows),
        EventKind::Click(at) => click(state, at),
        EventKind::News(region, news) => take(state, region, news),
        EventKind::Tick => {
            for table in state.tables_mut() {
                table.refresh();
            }
            state.note_trends();
        }
    }
    settle(state);
    effects.extend(asking::ask(state));
    effects
}

fn set_time(state: &mut State, now: Timestamp) {
    state.now = now;
    for table in state.tables_mut() {
        table.set_now(now);
    }
}

fn take(state: &mut State, index: RegionIndex, news: News) {
    let now = state.now;
    match news {
        News::Watch(events) => {
            for event in events {
                news::watched(state, index, event);
            }
            for table in state.tables_mut() {
                table.settle();
            }
        }
        News::Answer(question, answer) => {
            listed(state, index, answer.as_ref().ok());
            state.details.take(index, &question, answer, now);
        }
        News::Worked(work, result) => {
            if !work.rehearse && result.is_ok() {
                state.details.renew();
            }
            answers::worked(state, &work, result);
        }
        News::Region(Ok(report)) => {
            if let Some(region) = region(state, index) {
                region.report = Some(Report::new(&report, now));
                region.report_error = None;
                (region.contact, region.unanswered) = (Some(now), false);
            }
        }
        News::Region(Err(trouble)) => {
            if let Some(region) = region(state, index) {
                // A refusal is an answer.
                region.unanswered = !trouble.refused;
                region.report_error = Some(trouble.words);
            }
        }
        News::Identity(Ok(reply)) => {
            if let Some(region) = region(state, index) {
                region.identity = Some(Identity::new(&reply, now));
                if !reply.region.is_empty() {
                    region.target.region = escape(rows::short(&reply.region)).into_owned();
                }
            }
        }
        // What keeps the identity back, watch and region tell as well.
        News::Identity(Err(_)) => {}
    }
}

/// Puts the rows of an answer into their table, in the place of all that it had of the region.
fn listed(state: &mut State, index: RegionIndex, answer: Option<&Answer>) {
    match answer {
        Some(Answer::Incidents(incidents)) => {
            let row = |incident| {
                let row = Incident::new(index, incident);
                let before = state.incidents.get(row.key());
                row.knowing(before)
            };
            let rows: Vec<_> = incidents.iter().map(row).collect();
            state.incidents.replace(index, rows.into_iter());
        }
        Some(Answer::Impacts(impacts)) => {
            for impact in impacts {
                let key = rows::Key::new(index, "", &impact.name);
                if let Some(row) = state.incidents.get(&key).cloned() {
                    state.incidents.put(row.with_impact(impact));
                }
            }
            state.incidents.settle();
        }
        Some(Answer::Budgets(all)) => {
            let rows = Budget::all(index, &all.slos, &all.budgets);
            state.budgets.replace(index, rows);
        }
        Some(Answer::Alerts(alerts)) => {
            let rows = alerts.iter().map(|alert| Alert::new(index, alert));
            state.alerts.replace(index, rows);
        }
        Some(Answer::Audit(entries)) => {
            let rows = entries.iter().map(|entry| Audit::new(index, entry));
            state.audit.replace(index, rows);
        }
        Some(Answer::Certificates(certificates)) => {
            let rows = certificates.iter().map(|one| Certificate::new(index, one));
            state.certificates.replace(index, rows);
        }
        _ => {}
    }
}

fn region(state: &mut State, index: RegionIndex) -> Option<&mut crate::state::Region> {
    state.regions.get_mut(usize::from(index.0))
}

/// Puts selection and scrolling right for what the screen has room for.
fn settle(state: &mut State) {
    let rows = views::table_rows(state);
    for table in state.tables_mut() {
        table.set_height(rows);
    }
    state.scroll = state.scroll.min(views::last_scroll(state));
}

fn press(state: &mut State, key: Key) -> Option<Effect> {
    let mode = state.mode();
    match (state.keys.lookup(mode, key), key) {
        (Some(Action::Quit), _) => return Some(Effect::Quit),
        (Some(Action::Repaint), _) => return Some(Effect::Repaint),
        (Some(Action::Pause), _) => return Some(Effect::Play(Play::Toggle)),
        (Some(Action::Earlier), _) => return Some(Effect::Play(Play::By(-STEP))),
        (Some(Action::Later), _) => return Some(Effect::Play(Play::By(STEP))),
        (Some(Action::Faster), _) => return Some(Effect::Play(Play::Faster(true))),
        (Some(Action::Slower), _) => return Some(Effect::Play(Play::Faster(false))),
        (Some(action), _) if state.overlay.is_some() && state.prompt.is_none() => {
            return answers::act(state, action);
        }
        (Some(action), _) => return act(state, mode, action),
        (None, Key { code: KeyCode::Char(c), control: false }) if state.prompt.is_some() => {
            line::edit(state, |prompt| prompt.insert(c));
        }
        (None, Key { code: KeyCode::Char(c), control: false }) => {
            return answers::typed(state, c);
        }
        (None, _) => {}
    }
    None
}

/// What is pasted into a table would be a row of commands that nobody meant.
fn paste(state: &mut State, text: &str) {
    if state.prompt.is_some() {
        line::edit(state, |prompt| text.chars().for_each(|c| prompt.insert(c)));
    } else if let Some(Overlay::Dialog(dialog)) = &mut state.overlay {
        text.chars().for_each(|c| dialog.insert(c));
    }
}

fn wheel(state: &mut State, rows: isize) {
    match state.table_mut() {
        Some(table) => table.select_by(rows),
        None => state.scroll = state.scroll.saturating_add_signed(rows),
    }
}

/// A click selects a row, one on the selected row opens it; one on a heading sorts.
fn click(state: &mut State, at: Position) {
    if state.overlay.is_some() {
        return;
    }
    if let Some(title) = views::heading_at(state, at)
        && let Some(table) = state.table_mut()
    {
        table.sort_or_reverse(title);
        return;
    }
    let Some(row) = views::row_at(state, at) else { return };
    let Some(table) = state.table_mut() else { return };
    let before = table.selection();
    if table.select_in_view(row) && table.selection() == before {
        open(state);
    }
}

fn act(state: &mut State, mode: Mode, action: Action) -> Option<Effect> {
    match action {
        Action::Act => answers::open_menu(state),
        Action::Help if state.page == Page::Help => state.go_back(),
        Action::Help => state.go(Page::Help),
        Action::Overview => state.go(Page::Overview),
        Action::Tenants => state.go(Page::Tenants),
        Action::AllSessions => state.go(Page::Sessions(None)),
        Action::Sessions => {
            let scope = state.tenant_at_hand();
            state.go(Page::Sessions(scope));
        }
        Action::Operations => state.go(Page::Operations),
        Action::Changes => state.go(Page::Changes),
        Action::Usage => {
            let scope = state.tenant_at_hand();
            state.go(Page::Usage(scope));
        }
        Action::AllUsage => state.go(Page::Usage(None)),
        Action::Incidents => {
            let page = state.incidents_at_hand();
            state.go(page);
        }
        Action::PostMortem => {
            let page = state.post_mortem_at_hand();
            go_if_any(state, page, "no incident is at hand that could have a post-mortem");
        }
        Action::Declare => return answers::declare(state, None),
        Action::Note => return answers::begin(state, Verb::Note),
        Action::Slos => {
            let page = state.slos_at_hand();
            state.go(page);
        }
        Action::Alerts => state.go(Page::Alerts),
        Action::Acknowledge => return answers::acknowledge(state),
        Action::Regions => state.go(Page::Regions),
        Action::Audit => state.go(Page::Audit),
        Action::Certificates => state.go(Page::Certificates),
        Action::Yaml => {
            let page = state.resource_at_hand().map(|(at, name)| Page::Yaml(at, name));
            go_if_any(state, page, "nothing is at hand that could be shown");
        }
        Action::Open => open(state),
        Action::Back => back(state),
        Action::BackInHistory => state.go_back(),
        Action::Forward => state.go_forward(),
        Action::Copy => {
            let command = views::command(state)?;
            state.notify(format!("copied: {command}"));
            return Some(Effect::Copy(command));
        }
        Action::Save => return save(state),
        Action::Filter => {
            let text = state.table().map(|table| table.filter().to_owned());
            state.prompt = text.map(|text| Prompt::new(PromptKind::Filter, text));
        }
        Action::Command => {
            state.prompt = Some(Prompt::new(PromptKind::Command, String::new()));
            line::edit(state, |_| {});
        }
        Action::Accept => return line::accept(state),
        Action::Cancel => {
            let prompt = state.prompt.take();
            if prompt.is_some_and(|prompt| prompt.kind == PromptKind::Filter) {
                line::clear_filter(state);
            }
        }
        Action::NextChoice | Action::LastChoice => {
            if let Some(prompt) = &mut state.prompt {
                prompt.pick(action == Action::NextChoice);
                prompt.error = None;
            }
        }
        Action::Erase => line::edit(state, Prompt::erase),
        Action::EraseWord => line::edit(state, Prompt::erase_word),
        Action::EraseAll => line::edit(state, Prompt::erase_all),
        Action::Sort => {
            if let Some(table) = state.table_mut() {
                table.sort_by_next();
            }
        }
        Action::Reverse => {
            if let Some(table) = state.table_mut() {
                table.reverse();
            }
        }
        Action::Up
        | Action::Down
        | Action::PageUp
        | Action::PageDown
        | Action::First
        | Action::Last => travel(state, mode, action),
        // Anybody has done with them before.
        Action::Quit
        | Action::Repaint
        | Action::Pause
        | Action::Earlier
        | Action::Later
        | Action::Faster
        | Action::Slower => {}
    }
    None
}

/// Goes to a page, or says why there is none.
fn go_if_any(state: &mut State, page: Option<Page>, missing: &str) {
    match page {
        Some(page) => state.go(page),
        None => state.notify(missing.into()),
    }
}

/// Has what the page shows written to a file.
fn save(state: &mut State) -> Option<Effect> {
    let document = views::document(state);
    if document.is_none() {
        state.notify("only YAML and a post-mortem can be written to a file".into());
    }
    document.map(|(name, text)| Effect::Save(name, text))
}

fn open(state: &mut State) {
    let page = match state.page {
        Page::Tenants => state.tenants.selected().map(|row| Page::Tenant(row.key().clone())),
        Page::Sessions(_) => state.sessions.selected().map(|row| Page::Session(row.key().clone())),
        Page::Operations => {
            state.operations.selected().map(|row| Page::Operation(row.key().clone()))
        }
        Page::Incidents => state.incidents.selected().map(|row| Page::Incident(row.key().clone())),
        Page::Slos => state.budgets.selected().map(|row| Page::Slo(row.key().clone())),
        Page::Alerts => state.alerts.selected().map(|row| Page::Alert(row.key().clone())),
        Page::Certificates => state.resource_at_hand().map(|(at, name)| Page::Yaml(at, name)),
        _ => None,
    };
    if let Some(page) = page {
        state.go(page);
    }
}

/// First what narrows the table goes, then the page.
fn back(state: &mut State) {
    if state.table().is_some_and(|table| !table.filter().is_empty()) {
        line::clear_filter(state);
    } else {
        state.go_back();
    }
}

fn travel(state: &mut State, mode: Mode, action: Action) {
    let page = views::page_height(state).saturating_sub(1).max(1);
    if let Some(table) = state.table_mut() {
        return match action {
            Action::Up => table.select_by(-1),
            Action::Down => table.select_by(1),
            Action::PageUp => table.select_by_pages(-1),
            Action::PageDown => table.select_by_pages(1),
            Action::First => table.select_first(),
            _ => table.select_last(),
        };
    }
    if mode == Mode::Page {
        let scroll = &mut state.scroll;
        *scroll = match action {
            Action::Up => scroll.saturating_sub(1),
            Action::Down => scroll.saturating_add(1),
            Action::PageUp => scroll.saturating_sub(page),
            Action::PageDown => scroll.saturating_add(page),
            Action::First => 0,
            _ => usize::MAX,
        };
    }
}

#[cfg(test)]
mod tests;
