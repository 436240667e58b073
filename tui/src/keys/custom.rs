//! Keys as somebody likes them: actions by their names, and what cannot be.

use streamspace_core::suggest;
use thiserror::Error;

use super::{Action, Binding, Key, KeyMap, LEAVE, Mode};

/// Why keys cannot be given to an action.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum BindError {
    /// No action is called so.
    #[error("there is no action {name:?}{}; docs/how-to/dashboard.md lists them", did_you_mean(*.meant))]
    Unknown {
        /// What was written.
        name: String,
        /// What was probably meant.
        meant: Option<&'static str>,
    },
    /// It would have no key.
    #[error("{0} would have no key: give it one, or leave the line out")]
    NoKey(&'static str),
    /// Text is typed where it is pressed.
    #[error(
        "{0} is pressed where text is typed, and \"{1}\" is text: write another, such as \"ctrl-t\""
    )]
    Text(&'static str, Key),
    /// It leaves from anywhere.
    #[error("\"ctrl-c\" always leaves the dashboard: write another key")]
    Leaves,
    /// Two actions of one place would have it.
    #[error("\"{key}\" would be both {one} and {other}: give one of them another key")]
    Twice {
        /// The key.
        key: Key,
        /// What it does.
        one: &'static str,
        /// What it would do too.
        other: &'static str,
    },
}

fn did_you_mean(meant: Option<&'static str>) -> String {
    meant.map(|name| format!(": did you mean {name}?")).unwrap_or_default()
}

impl BindError {
    /// Whether it is about an action.
    pub(crate) fn names(&self, action: &str) -> bool {
        matches!(self, Self::Twice { one, other, .. } if [one, other].contains(&&action))
    }
}

impl Action {
    /// What settings call it. It stays the same from release to release.
    fn word(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::Up => "up",
            Self::Down => "down",
            Self::PageUp => "page-up",
            Self::PageDown => "page-down",
            Self::First => "first",
            Self::Last => "last",
            Self::Open => "open",
            Self::Back => "back",
            Self::BackInHistory => "back-in-history",
            Self::Forward => "forward",
            Self::Filter => "filter",
            Self::Command => "command",
            Self::Sort => "sort",
            Self::Reverse => "reverse",
            Self::Overview => "overview",
            Self::Tenants => "tenants",
            Self::Sessions => "sessions",
            Self::AllSessions => "all-sessions",
            Self::Operations => "operations",
            Self::Changes => "changes",
            Self::Usage => "usage",
            Self::AllUsage => "all-usage",
            Self::Regions => "regions",
            Self::Incidents => "incidents",
            Self::Slos => "slos",
            Self::Alerts => "alerts",
            Self::Audit => "audit",
            Self::Certificates => "certificates",
            Self::Yaml => "yaml",
            Self::PostMortem => "post-mortem",
            Self::Save => "save",
            Self::Pause => "pause",
            Self::Earlier => "earlier",
            Self::Later => "later",
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Help => "help",
            Self::Repaint => "repaint",
            Self::Act => "act",
            Self::Acknowledge => "acknowledge",
            Self::Declare => "declare",
            Self::Note => "note",
            Self::Copy => "copy",
            Self::Accept => "accept",
            Self::Cancel => "cancel",
            Self::NextChoice => "next-choice",
            Self::LastChoice => "last-choice",
            Self::Erase => "erase",
            Self::EraseWord => "erase-word",
            Self::EraseAll => "erase-all",
        }
    }
}

impl Binding {
    /// What settings call it; none where its key is not theirs to choose.
    pub(crate) fn name(&self) -> Option<&'static str> {
        match self.action {
            _ if self.keys == [LEAVE] => None,
            Action::Up if !self.is_for_reading() => Some("choice-up"),
            Action::Down if !self.is_for_reading() => Some("choice-down"),
            action => Some(action.word()),
        }
    }

    /// Whether it is there while a page is read, not only while something is asked.
    pub(crate) fn is_for_reading(&self) -> bool {
        self.modes.iter().any(|mode| matches!(mode, Mode::Table | Mode::Page))
    }

    fn is_for_typing(&self) -> bool {
        // In a menu letters pick.
        self.modes.iter().any(|mode| matches!(mode, Mode::Prompt | Mode::Dialog | Mode::Menu))
    }
}

impl KeyMap {
    /// Gives an action other keys instead of those that it has. Whether two actions have
    /// the same is known once all have theirs: [`Self::check`].
    pub(crate) fn rebind(&mut self, name: &str, keys: &[Key]) -> Result<(), BindError> {
        let names = || self.bindings.iter().filter_map(Binding::name);
        let Some(known) = names().find(|known| *known == name) else {
            let (name, meant) = (name.to_owned(), suggest::nearest(name, names()));
            return Err(BindError::Unknown { name, meant });
        };
        if keys.is_empty() {
            return Err(BindError::NoKey(known));
        }
        if keys.contains(&LEAVE) {
            return Err(BindError::Leaves);
        }
        for binding in self.bindings.iter_mut().filter(|it| it.name() == Some(known)) {
            if let Some(text) = keys.iter().find(|key| key.is_text() && binding.is_for_typing()) {
                return Err(BindError::Text(known, *text));
            }
            binding.keys = keys.to_vec();
        }
        Ok(())
    }

    /// What is not as it comes: an action's name and its keys.
    pub(crate) fn customs(&self) -> Vec<(&'static str, Vec<Key>)> {
        let standard = Self::standard();
        let pairs = self.bindings.iter().zip(&standard.bindings);
        let other = pairs.filter(|(own, standard)| own.keys != standard.keys);
        let mut customs: Vec<_> =
            other.filter_map(|(own, _)| Some((own.name()?, own.keys.clone()))).collect();
        customs.dedup();
        customs
    }

    /// Whether each key does one thing in each place.
    pub(crate) fn check(&self) -> Result<(), BindError> {
        for (index, one) in self.bindings.iter().enumerate() {
            let others = self.bindings.iter().skip(index + 1);
            for other in others.filter(|other| one.modes.iter().any(|it| other.modes.contains(it)))
            {
                if let Some(key) = one.keys.iter().find(|key| other.keys.contains(key)) {
                    let name = |binding: &Binding| binding.name().unwrap_or("leave");
                    let (one, other) = (name(one), name(other));
                    return Err(BindError::Twice { key: *key, one, other });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyCode;

    use super::*;

    /// The line of the table for people, with all bindings of a name.
    fn rows() -> Vec<String> {
        let map = KeyMap::standard();
        let mut names: Vec<&str> = Vec::new();
        for name in map.all().filter_map(Binding::name) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let row = |name: &&str| {
            let of: Vec<_> = map.all().filter(|binding| binding.name() == Some(name)).collect();
            let mut keys: Vec<String> = Vec::new();
            for key in of.iter().flat_map(|binding| &binding.keys).map(|key| format!("`{key}`")) {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            let labels: Vec<_> = of.iter().map(|binding| binding.label).collect();
            format!("| `{name}` | {} | {} |", keys.join(" "), labels.join("; "))
        };
        names.iter().map(row).collect()
    }

    #[test]
    fn the_table_of_actions_is_not_stale() {
        let page = include_str!("../../../docs/how-to/dashboard.md");
        let listed = page.lines().skip_while(|line| !line.starts_with("| action |")).skip(2);
        let listed: Vec<_> = listed.take_while(|line| line.starts_with('|')).collect();
        let rows = rows();
        assert_eq!(listed, rows, "write into docs/how-to/dashboard.md:\n{}", rows.join("\n"));
    }

    #[test]
    fn a_key_that_was_given_away_does_the_new_thing_only() {
        let mut map = KeyMap::standard();
        map.rebind("quit", &[Key::char('Q'), Key::plain(KeyCode::F(10))]).unwrap();
        map.rebind("sort", &[Key::char('q')]).unwrap();
        map.check().unwrap();
        assert_eq!(map.lookup(Mode::Table, Key::char('q')), Some(Action::Sort));
        assert_eq!(map.lookup(Mode::Page, Key::char('Q')), Some(Action::Quit));
        assert_eq!(map.lookup(Mode::Table, Key::char('o')), None);
        assert_eq!(map.lookup(Mode::Prompt, Key::control('c')), Some(Action::Quit));
        let hints = map.hints(Mode::Table);
        assert!(hints.contains(&("Q".into(), "quit")) && hints.contains(&("q".into(), "order")));
    }

    #[test]
    fn an_action_in_two_places_has_its_keys_in_both() {
        let mut map = KeyMap::standard();
        map.rebind("back", &[Key::char('b')]).unwrap();
        map.rebind("choice-up", &[Key::control('p')]).unwrap();
        for mode in [Mode::Table, Mode::Page] {
            assert_eq!(map.lookup(mode, Key::char('b')), Some(Action::Back));
            assert_eq!(map.lookup(mode, Key::plain(KeyCode::Esc)), None);
            assert_eq!(map.lookup(mode, Key::plain(KeyCode::Up)), Some(Action::Up));
        }
        assert_eq!(map.lookup(Mode::Menu, Key::control('p')), Some(Action::Up));
        assert_eq!(map.lookup(Mode::Menu, Key::plain(KeyCode::Up)), None);
    }

    #[test]
    fn what_cannot_be_is_told() {
        let told = |name: &str, keys: &[Key]| {
            let mut map = KeyMap::standard();
            map.rebind(name, keys).and_then(|()| map.check()).unwrap_err().to_string()
        };
        for (name, key, words) in [
            (
                "quitt",
                Key::char('x'),
                "there is no action \"quitt\": did you mean quit?; docs/how-to/dashboard.md lists them",
            ),
            (
                "leave",
                Key::char('x'),
                "there is no action \"leave\"; docs/how-to/dashboard.md lists them",
            ),
            (
                "sort",
                Key::char('q'),
                "\"q\" would be both quit and sort: give one of them another key",
            ),
            (
                "accept",
                Key::char('x'),
                "accept is pressed where text is typed, and \"x\" is text: write another, such as \"ctrl-t\"",
            ),
            ("sort", LEAVE, "\"ctrl-c\" always leaves the dashboard: write another key"),
        ] {
            assert_eq!(told(name, &[key]), words);
        }
        assert_eq!(told("quit", &[]), "quit would have no key: give it one, or leave the line out");
    }
}
