//! Which key does what. Help line and help page are made from this map, so they
//! cannot tell of a key that does something else.

use crossterm::event::KeyCode;

mod custom;
mod key;

pub(crate) use key::{Key, KeyError};

/// Leaves from anywhere, whatever other keys do.
const LEAVE: Key = Key::control('c');

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Quit,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Open,
    Back,
    BackInHistory,
    Forward,
    Filter,
    Command,
    Sort,
    Reverse,
    /// The overview.
    Overview,
    /// The table of tenants.
    Tenants,
    /// The sessions of the tenant at hand, or of all.
    Sessions,
    AllSessions,
    Operations,
    Changes,
    /// What the tenant at hand uses, or what all use.
    Usage,
    AllUsage,
    Regions,
    /// The table of incidents, or that of the alert at hand.
    Incidents,
    /// The post-mortem of the incident at hand.
    PostMortem,
    /// The table of error budgets, or that of the alert at hand.
    Slos,
    /// The table of alerts.
    Alerts,
    Audit,
    Certificates,
    /// All of the thing at hand, as the contract has it.
    Yaml,
    /// Within a recording: stop or go on, go back or on, faster or slower.
    Pause,
    Earlier,
    Later,
    Faster,
    Slower,
    Help,
    Repaint,
    /// What can be done to the thing at hand.
    Act,
    /// Tells that one has the alert or the incident at hand.
    Acknowledge,
    /// Declares an incident.
    Declare,
    /// Adds to the timeline of the incident at hand.
    Note,
    /// The command that does the same.
    Copy,
    /// Writes what the page shows to a file.
    Save,
    Accept,
    Cancel,
    NextChoice,
    LastChoice,
    Erase,
    EraseWord,
    EraseAll,
}

/// Where a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A table with a selected row.
    Table,
    /// A page of text that scrolls.
    Page,
    /// A line that is being typed. What has no binding is text.
    Prompt,
    /// A list of what can be done. What has no binding picks by its letter.
    Menu,
    /// Fields that are being filled in. What has no binding is text.
    Dialog,
}

/// One line of the map.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) action: Action,
    pub(crate) modes: &'static [Mode],
    /// The first one is the one that the help line shows.
    pub(crate) keys: Vec<Key>,
    /// What it does, for the help page.
    pub(crate) label: &'static str,
    /// One word for the help line; none keeps it out of there.
    pub(crate) hint: Option<&'static str>,
}

/// Which key does what.
#[derive(Clone, Debug)]
pub struct KeyMap {
    bindings: Vec<Binding>,
}

impl Default for KeyMap {
    fn default() -> Self {
        Self::standard()
    }
}

impl KeyMap {
    /// The bindings that the dashboard comes with.
    #[rustfmt::skip]
    pub(crate) fn standard() -> Self {
        use Action as A;
        use KeyCode::{BackTab, Backspace, Down, End, Enter, Esc, Home, PageDown, PageUp, Tab, Up};
        use Mode::{Dialog, Menu, Page, Prompt, Table};

        const READING: &[Mode] = &[Table, Page];
        const TYPING: &[Mode] = &[Prompt, Dialog];
        const ANSWERING: &[Mode] = &[Prompt, Menu, Dialog];
        const ANYWHERE: &[Mode] = &[Table, Page, Prompt, Menu, Dialog];
        let (char, control, plain) = (Key::char, Key::control, Key::plain);
        let bindings = [
            (A::Quit, READING, vec![char('q')], "leave the dashboard", Some("quit")),
            (A::Quit, ANYWHERE, vec![LEAVE], "leave, from anywhere", None),
            (A::Help, READING, vec![char('?')], "all keys and commands", Some("help")),
            (A::Command, READING, vec![char(':')], "go anywhere, by name", Some("go")),
            (A::Open, &[Table] as &[Mode], vec![plain(Enter)], "all about the selected row", Some("details")),
            (A::Back, &[Page], vec![plain(Esc), plain(Backspace)], "go back", Some("back")),
            (A::Back, &[Table], vec![plain(Esc)], "clear the filter, then go back", None),
            (A::BackInHistory, READING, vec![char('['), control('o')], "the page before", None),
            (A::Forward, READING, vec![char(']')], "the page after, once you went back", None),
            (A::Filter, &[Table], vec![char('/')], "show only what contains a text, or what an expression matches", Some("filter")),
            (A::Sort, &[Table], vec![char('o')], "sort by the next column", Some("order")),
            (A::Reverse, &[Table], vec![char('O')], "turn the order round", None),
            (A::Overview, READING, vec![char('v'), char('1')], "the overview", Some("overview")),
            (A::Tenants, READING, vec![char('t'), char('2')], "the tenants", Some("tenants")),
            (A::AllSessions, READING, vec![char('S'), char('3')], "all sessions", None),
            (A::Sessions, READING, vec![char('s')], "the sessions of the tenant at hand, or all", Some("sessions")),
            (A::Operations, READING, vec![char('p'), char('4')], "the operations", Some("operations")),
            (A::Changes, READING, vec![char('c'), char('5')], "what changed", Some("changes")),
            (A::Usage, READING, vec![char('u')], "what the tenant at hand uses, or what all use", Some("usage")),
            (A::AllUsage, READING, vec![char('U'), char('6')], "what all use", None),
            (A::Regions, READING, vec![char('r'), char('7')], "the regions", None),
            (A::Incidents, READING, vec![char('i')], "the incidents, or that of the alert at hand", Some("incidents")),
            (A::PostMortem, READING, vec![char('M')], "the post-mortem of the incident at hand", None),
            (A::Slos, READING, vec![char('b')], "the SLOs with their error budgets, or that of the alert at hand", Some("SLOs")),
            (A::Alerts, READING, vec![char('A')], "the alerts", Some("alerts")),
            (A::Audit, READING, vec![char('l'), char('8')], "the audit log", None),
            (A::Certificates, READING, vec![char('x'), char('9')], "the certificates", None),
            (A::Yaml, READING, vec![char('Y')], "all of it as YAML", None),
            (A::Pause, READING, vec![char('P')], "in a recording: stop, or go on", None),
            (A::Earlier, READING, vec![char(',')], "in a recording: ten seconds back", None),
            (A::Later, READING, vec![char('.')], "in a recording: ten seconds on", None),
            (A::Faster, READING, vec![char('>')], "in a recording: faster", None),
            (A::Slower, READING, vec![char('<')], "in a recording: slower", None),
            (A::Up, READING, vec![char('k'), plain(Up)], "up", None),
            (A::Down, READING, vec![char('j'), plain(Down)], "down", None),
            (A::PageUp, READING, vec![plain(PageUp), control('b')], "a page up", None),
            (A::PageDown, READING, vec![plain(PageDown), control('f'), char(' ')], "a page down", None),
            (A::First, READING, vec![char('g'), plain(Home)], "to the first", None),
            (A::Last, READING, vec![char('G'), plain(End)], "to the last", None),
            (A::Act, READING, vec![char('a')], "what can be done to the selected row, or to what the page is about", Some("act")),
            (A::Acknowledge, READING, vec![char('K')], "tell that you have the alert or the incident at hand", None),
            (A::Declare, READING, vec![char('D')], "declare an incident, of the alert at hand or of its region", None),
            (A::Note, READING, vec![char('N')], "add a note to the incident at hand", None),
            (A::Copy, READING, vec![char('y')], "copy the command that shows the same", Some("copy")),
            (A::Save, &[Page], vec![char('W')], "write the YAML or the post-mortem to a file here", None),
            (A::Repaint, ANYWHERE, vec![control('l')], "draw the screen anew", None),
            (A::Accept, ANSWERING, vec![plain(Enter)], "take what is typed", Some("take")),
            (A::Cancel, ANSWERING, vec![plain(Esc)], "drop what is typed", Some("drop")),
            (A::NextChoice, &[Prompt], vec![plain(Tab)], "the next way to go on", Some("complete")),
            (A::LastChoice, &[Prompt], vec![plain(BackTab)], "the one before", None),
            (A::NextChoice, &[Dialog], vec![plain(Tab)], "the next field", Some("next")),
            (A::LastChoice, &[Dialog], vec![plain(BackTab)], "the field before", None),
            (A::Up, ANSWERING, vec![plain(Up)], "up", None),
            (A::Down, ANSWERING, vec![plain(Down)], "down", None),
            (A::Erase, TYPING, vec![plain(Backspace), control('h')], "erase a character", None),
            (A::EraseWord, TYPING, vec![control('w')], "erase a word", None),
            (A::EraseAll, TYPING, vec![control('u')], "erase all", None),
        ];
        let bindings = bindings
            .into_iter()
            .map(|(action, modes, keys, label, hint)| Binding { action, modes, keys, label, hint })
            .collect();
        Self { bindings }
    }

    pub(crate) fn lookup(&self, mode: Mode, key: Key) -> Option<Action> {
        self.in_mode(mode).find(|binding| binding.keys.contains(&key)).map(|binding| binding.action)
    }

    pub(crate) fn in_mode(&self, mode: Mode) -> impl Iterator<Item = &Binding> {
        let here = move |binding: &&Binding| binding.modes.contains(&mode);
        self.bindings.iter().filter(here)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter()
    }

    /// The key that a page tells of for an action; a `?` where there is none.
    pub(crate) fn of(&self, mode: Mode, action: Action) -> String {
        let binding = self.in_mode(mode).find(|binding| binding.action == action);
        let key = binding.and_then(|binding| binding.keys.first());
        key.map_or_else(|| "?".to_owned(), ToString::to_string)
    }

    /// What the help line shows: key and word.
    pub(crate) fn hints(&self, mode: Mode) -> Vec<(String, &'static str)> {
        self.in_mode(mode)
            .filter_map(|binding| Some((binding.keys.first()?.to_string(), binding.hint?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyEvent, KeyModifiers};

    use super::*;

    #[test]
    fn no_key_does_two_things_in_one_place() {
        KeyMap::standard().check().unwrap();
    }

    #[test]
    fn letters_are_text_while_typing() {
        let map = KeyMap::standard();
        assert_eq!(map.lookup(Mode::Table, Key::char('q')), Some(Action::Quit));
        assert_eq!(map.lookup(Mode::Prompt, Key::char('q')), None);
        assert_eq!(map.lookup(Mode::Prompt, Key::control('c')), Some(Action::Quit));
    }

    #[test]
    fn capital_letters_come_with_and_without_the_shift_flag() {
        for modifiers in [KeyModifiers::SHIFT, KeyModifiers::NONE] {
            let key = KeyEvent::new(KeyCode::Char('G'), modifiers).into();
            assert_eq!(KeyMap::standard().lookup(Mode::Table, key), Some(Action::Last));
        }
    }
}
