//! What stands before a page: the list of what can be done, and the way to a change.

use streamspace_client::text::escape;

use crate::{
    actions::{Dialog, Kind, Menu, Rehearsal, Stage, Subject, Verb, Work, missing},
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

/// Begins to do something to the thing at hand, without the list.
pub(super) fn begin(state: &mut State, verb: Verb) -> Option<Effect> {
    let subject = state.subject().filter(|subject| Verb::of(subject.kind).contains(&verb));
    let Some(subject) = subject else {
        state.notify(format!("nothing is selected to {}", verb.word()));
        return None;
    };
    let missing = missing(verb, state.region(subject.region)?, state.locked.as_deref());
    if let Some(missing) = missing {
        state.notify(format!("{} {}: {missing}", verb.word(), subject.id));
        return None;
    }
    open(state, &subject, verb)
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
    open(state, &subject, verb)
}

/// Opens the way to a change.
fn open(state: &mut State, subject: &Subject, verb: Verb) -> Option<Effect> {
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
                state.notify(done(work, &safe(&lines)));
            }
        }
        return;
    }
    match result {
        _ if work.rehearse => {}
        Ok(lines) => state.notify(done(work, &safe(&lines))),
        Err(Trouble { words, .. }) => {
            state.notify(format!("{} {}: {words}", work.verb.word(), work.subject.id));
        }
    }
}

fn done(work: &Work, lines: &[String]) -> String {
    let mut text = format!("{} {}: accepted", work.verb.word(), work.subject.id);
    if let (Kind::Alert, Some(line)) = (work.subject.kind, lines.first()) {
        return line.clone();
    }
    if let Some(line) = lines.first() {
        text = format!("{text}, {line}");
    }
    text
}

fn safe(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| escape(line).into_owned()).collect()
}
