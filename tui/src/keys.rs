//! Which key does what. Help line and help page are made from this map, so they
//! cannot tell of a key that does something else.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

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
    Filter,
    Sort,
    Reverse,
    Help,
    Repaint,
    Accept,
    Cancel,
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
}

/// A key, with the modifiers that tell two keys apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) code: KeyCode,
    pub(crate) control: bool,
}

impl Key {
    pub(crate) const fn plain(code: KeyCode) -> Self {
        let control = false;
        Self { code, control }
    }

    const fn char(c: char) -> Self {
        Self::plain(KeyCode::Char(c))
    }

    const fn control(c: char) -> Self {
        Self { code: KeyCode::Char(c), control: true }
    }
}

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        Self { code: event.code, control: event.modifiers.contains(KeyModifiers::CONTROL) }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.control {
            f.write_str("ctrl-")?;
        }
        match self.code {
            KeyCode::Char(' ') => f.write_str("space"),
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::Up => f.write_str("up"),
            KeyCode::Down => f.write_str("down"),
            KeyCode::Enter => f.write_str("enter"),
            KeyCode::Esc => f.write_str("esc"),
            KeyCode::PageUp => f.write_str("pgup"),
            KeyCode::PageDown => f.write_str("pgdn"),
            KeyCode::Home => f.write_str("home"),
            KeyCode::End => f.write_str("end"),
            KeyCode::Backspace => f.write_str("backspace"),
            other => write!(f, "{other}"),
        }
    }
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

/// All bindings.
#[derive(Clone, Debug)]
pub(crate) struct KeyMap {
    bindings: Vec<Binding>,
}

impl KeyMap {
    /// The bindings that the dashboard comes with.
    #[rustfmt::skip]
    pub(crate) fn standard() -> Self {
        use Action as A;
        use KeyCode::{Backspace, Down, End, Enter, Esc, Home, PageDown, PageUp, Up};
        use Mode::{Page, Prompt, Table};

        const READING: &[Mode] = &[Table, Page];
        const ANYWHERE: &[Mode] = &[Table, Page, Prompt];
        let (char, control, plain) = (Key::char, Key::control, Key::plain);
        let bindings = [
            (A::Quit, READING, vec![char('q')], "leave the dashboard", Some("quit")),
            (A::Quit, ANYWHERE, vec![control('c')], "leave, from anywhere", None),
            (A::Help, READING, vec![char('?')], "all keys", Some("help")),
            (A::Open, &[Table] as &[Mode], vec![plain(Enter)], "all about the selected row", Some("details")),
            (A::Back, &[Page], vec![plain(Esc), plain(Backspace)], "go back", Some("back")),
            (A::Back, &[Table], vec![plain(Esc)], "clear the filter", None),
            (A::Filter, &[Table], vec![char('/')], "show only what contains a text", Some("filter")),
            (A::Sort, &[Table], vec![char('s')], "sort by the next column", Some("sort")),
            (A::Reverse, &[Table], vec![char('S')], "turn the order round", None),
            (A::Up, READING, vec![char('k'), plain(Up)], "up", None),
            (A::Down, READING, vec![char('j'), plain(Down)], "down", None),
            (A::PageUp, READING, vec![plain(PageUp), control('b')], "a page up", None),
            (A::PageDown, READING, vec![plain(PageDown), control('f'), char(' ')], "a page down", None),
            (A::First, READING, vec![char('g'), plain(Home)], "to the first", None),
            (A::Last, READING, vec![char('G'), plain(End)], "to the last", None),
            (A::Repaint, ANYWHERE, vec![control('l')], "draw the screen anew", None),
            (A::Accept, &[Prompt], vec![plain(Enter)], "keep the filter", Some("keep")),
            (A::Cancel, &[Prompt], vec![plain(Esc)], "drop the filter", Some("drop")),
            (A::Up, &[Prompt], vec![plain(Up)], "up while typing", None),
            (A::Down, &[Prompt], vec![plain(Down)], "down while typing", None),
            (A::Erase, &[Prompt], vec![plain(Backspace), control('h')], "erase a character", None),
            (A::EraseWord, &[Prompt], vec![control('w')], "erase a word", None),
            (A::EraseAll, &[Prompt], vec![control('u')], "erase all", None),
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

    /// What the help line shows: key and word.
    pub(crate) fn hints(&self, mode: Mode) -> Vec<(String, &'static str)> {
        self.in_mode(mode)
            .filter_map(|binding| Some((binding.keys.first()?.to_string(), binding.hint?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things_in_one_place() {
        let map = KeyMap::standard();
        for mode in [Mode::Table, Mode::Page, Mode::Prompt] {
            let mut seen = Vec::new();
            for key in map.in_mode(mode).flat_map(|binding| &binding.keys) {
                assert!(!seen.contains(key), "{key} twice in {mode:?}");
                seen.push(*key);
            }
        }
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
