//! What stands before a page: the list of what can be done, and the way to a change.

use streamspace_client::text::escape;

use crate::{
    actions::{Dialog, Field, Given, Kind, Menu, Rehearsal, Stage, Subject, Verb, Work, missing},
    events::Effect,
    keys::{Action, Mode},
    prompt::erase_word,
    rows::{Incident, Key},
    state::{Overlay, RegionIndex, State},
    trouble::Trouble,
};

/// The longest title of an incident.
const TITLE: usize = 200;

/// Opens the list for the thing at hand.
pub(super) fn open_menu(state: &mut State) {
    let Some(subject) = state.subject() else {
        return state.notify("nothing is selected that something could be done to".into());
    };
    let menu = Menu::new(subject.clone(), |verb| hindrance(state, &subject, verb));
    state.overlay = Some(Overlay::Menu(menu));
}

/// Why something cannot be done: what whoever looks lacks, or how the thing is.
fn hindrance(state: &State, subject: &Subject, verb: Verb) -> Option<String> {
    let missing = missing(verb, state.region(subject.region)?, state.locked.as_deref());
    let key = Key::new(subject.region, "", &subject.name);
    let incident = state.incidents.get(&key).filter(|_| subject.kind == Kind::Incident);
    missing.or_else(|| verb.not_now(incident?))
}

/// Begins to tell that one has what is at hand: an alert or an incident.
pub(super) fn acknowledge(state: &mut State) -> Option<Effect> {
    let of_incident = state.subject().is_some_and(|subject| subject.kind == Kind::Incident);
    let verb = if of_incident { Verb::AcknowledgeIncident } else { Verb::Acknowledge };
    begin(state, verb)
}

/// Begins to declare an incident: of the alert at hand, else of a region, which must be known
/// where there are several.
pub(super) fn declare(state: &mut State, region: Option<RegionIndex>) -> Option<Effect> {
    let of_alert = state.subject().filter(|subject| subject.kind == Kind::Alert);
    let one = (!state.several()).then_some(RegionIndex::default());
    let at_hand = region.or_else(|| state.region_at_hand()).or(one);
    let of_region = at_hand.and_then(|index| {
        let name = state.region(index)?.name().to_owned();
        Some(Subject {
            region: index,
            name: format!("regions/{name}"),
            id: name,
            kind: Kind::Region,
        })
    });
    let subject = of_alert.filter(|_| region.is_none()).or(of_region);
    let Some(subject) = subject else {
        let command = state.keys.of(Mode::Page, Action::Command);
        state.notify(format!(
            "of which region? {command}declare and its name, or select something of it"
        ));
        return None;
    };
    start(state, &subject, Verb::Declare)
}

/// Begins to do something to the thing at hand, without the list.
pub(super) fn begin(state: &mut State, verb: Verb) -> Option<Effect> {
    let subject = state.subject().filter(|subject| Verb::of(subject.kind).contains(&verb));
    let Some(subject) = subject else {
        state.notify(format!("nothing is selected to {}", verb.word()));
        return None;
    };
    start(state, &subject, verb)
}

/// Opens the way to a change, where it may be done.
fn start(state: &mut State, subject: &Subject, verb: Verb) -> Option<Effect> {
    if let Some(missing) = hindrance(state, subject, verb) {
        state.notify(format!("{} {}: {missing}", verb.word(), subject.id));
        return None;
    }
    open(state, subject, verb)
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
    let given = given(state, subject, verb);
    let dialog = Dialog::new(subject.clone(), verb, state.region(subject.region)?, id, &given);
    state.overlay = Some(Overlay::Dialog(Box::new(dialog)));
    rehearse(state)
}

/// What a field says before anybody writes: of an alert its own words, of an incident how grave
/// it was.
fn given(state: &State, subject: &Subject, verb: Verb) -> Given {
    let key = Key::new(subject.region, "", &subject.name);
    match verb {
        Verb::Declare => {
            let alert = state.alerts.get(&key).filter(|_| subject.kind == Kind::Alert);
            let title = alert.map(|alert| alert.summary.chars().take(TITLE).collect());
            let title = title.map(|title: String| (Field::Title, title));
            title.into_iter().chain([(Field::Severity, "P2".to_owned())]).collect()
        }
        Verb::Triage => {
            let severity = state.incidents.get(&key).map(Incident::severity_word);
            severity.map(|word| (Field::Severity, word.to_owned())).into_iter().collect()
        }
        Verb::Assign => [(Field::Role, "commander".to_owned())].into_iter().collect(),
        _ => Given::default(),
    }
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
    if let (Kind::Alert | Kind::Incident | Kind::Region, Some(line)) =
        (work.subject.kind, lines.first())
    {
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
