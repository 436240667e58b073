//! What stands before a page: the list of what can be done, and the way to a change.

use streamspace_client::text::escape;

use crate::{
    actions::{Dialog, Menu, Rehearsal, Stage, Verb, Work},
    events::Effect,
    keys::Action,
    prompt::erase_word,
    state::{Overlay, State},
    trouble::Trouble,
};

/// Opens the list for the thing at hand.
pub(super) fn open_menu(state: &mut State) {
    let Some(subject) = state.subject() else {
        return state.notify("nothing is selected that something could be done to".into());
    };
    if let Some(region) = state.region(subject.region) {
        let menu = Menu::new(subject, region, state.locked.as_deref());
        state.overlay = Some(Overlay::Menu(menu));
    }
}

/// A key with a meaning.
pub(super) fn act(state: &mut State, action: Action) -> Option<Effect> {
    match state.overlay.as_mut()? {
        Overlay::Menu(menu) => match action {
            Action::Up => menu.select_by(-1),
            Action::Down => menu.select_by(1),
            Action::Accept => return picked(state, None),
            _ => state.overlay = None,
        },
        Overlay::Dialog(dialog) => match action {
            Action::Cancel => state.overlay = None,
            Action::Accept => {
                let work = dialog.accept();
                return work.map(send).or_else(|| rehearse(state));
            }
            Action::NextChoice | Action::Down => {
                dialog.move_by(1);
                return rehearse(state);
            }
            Action::LastChoice | Action::Up => {
                dialog.move_by(-1);
                return rehearse(state);
            }
            Action::Erase => dialog.edit(|text| {
                text.pop();
            }),
            Action::EraseWord => dialog.edit(erase_word),
            Action::EraseAll => dialog.edit(String::clear),
            _ => {}
        },
    }
    None
}

/// A letter: it picks, or is written.
pub(super) fn typed(state: &mut State, c: char) -> Option<Effect> {
    match state.overlay.as_mut()? {
        Overlay::Menu(_) => picked(state, Some(c)),
        Overlay::Dialog(dialog) => {
            dialog.insert(c);
            None
        }
    }
}

fn picked(state: &mut State, key: Option<char>) -> Option<Effect> {
    let Some(Overlay::Menu(menu)) = &state.overlay else { return None };
    let (verb, subject) = (menu.pick(key)?, menu.subject.clone());
    let id = state.next_id();
    let dialog = Dialog::new(subject.clone(), verb, state.region(subject.region)?, id);
    state.overlay = Some(Overlay::Dialog(Box::new(dialog)));
    rehearse(state)
}

fn rehearse(state: &mut State) -> Option<Effect> {
    match &mut state.overlay {
        Some(Overlay::Dialog(dialog)) => dialog.rehearse().map(send),
        _ => None,
    }
}

fn send(work: Work) -> Effect {
    Effect::Work(Box::new(work))
}

/// What came of it. A dialog that was left is told of in a word.
pub(super) fn worked(state: &mut State, work: &Work, result: Result<Vec<String>, Trouble>) {
    if let Some(Overlay::Dialog(dialog)) = &mut state.overlay
        && dialog.is_of(work)
    {
        match (work.rehearse, result) {
            (true, Ok(lines)) => dialog.told(work, Rehearsal::Told(safe(&lines))),
            (true, Err(trouble)) => dialog.told(work, Rehearsal::Refused(trouble.words)),
            (false, Err(trouble)) => dialog.stage = Stage::Failed(trouble.words),
            (false, Ok(lines)) => {
                state.overlay = None;
                state.notify(done(work.verb, &work.subject.id, &safe(&lines)));
            }
        }
        return;
    }
    match result {
        _ if work.rehearse => {}
        Ok(lines) => state.notify(done(work.verb, &work.subject.id, &safe(&lines))),
        Err(Trouble { words, .. }) => {
            state.notify(format!("{} {}: {words}", work.verb.word(), work.subject.id));
        }
    }
}

fn done(verb: Verb, id: &str, lines: &[String]) -> String {
    let mut text = format!("{} {id}: accepted", verb.word());
    if let Some(line) = lines.first() {
        text = format!("{text}, {line}");
    }
    text
}

fn safe(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| escape(line).into_owned()).collect()
}
