//! A key, and what it is called.

use std::{fmt, str::FromStr};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use thiserror::Error;

/// The keys that are no character, as the help page and the settings call them.
const NAMED: [(KeyCode, &str); 16] = [
    (KeyCode::Char(' '), "space"),
    (KeyCode::Up, "up"),
    (KeyCode::Down, "down"),
    (KeyCode::Left, "left"),
    (KeyCode::Right, "right"),
    (KeyCode::Enter, "enter"),
    (KeyCode::Esc, "esc"),
    (KeyCode::PageUp, "pgup"),
    (KeyCode::PageDown, "pgdn"),
    (KeyCode::Home, "home"),
    (KeyCode::End, "end"),
    (KeyCode::Insert, "insert"),
    (KeyCode::Delete, "delete"),
    (KeyCode::Backspace, "backspace"),
    (KeyCode::Tab, "tab"),
    (KeyCode::BackTab, "shift-tab"),
];
/// What a terminal sends for a letter with control and for a key of its own.
const SAME: [(char, &str); 3] = [('i', "tab"), ('m', "enter"), ('[', "esc")];
/// The last of the function keys.
const FUNCTIONS: u8 = 12;

/// A key, with the modifiers that tell two keys apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) code: KeyCode,
    pub(crate) control: bool,
}

/// Why a text is no key.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// It is not called so.
    #[error(
        "there is no key {0:?}: write a character such as \"q\", \"ctrl-a\" to \"ctrl-z\", \"f1\" to \
         \"f12\", or {named}", named = named()
    )]
    Unknown(String),
    /// A terminal sends the same for another key.
    #[error("a terminal sends the same for {0:?} and \"{1}\": write \"{1}\"")]
    Same(String, &'static str),
}

fn named() -> String {
    NAMED.map(|(_, name)| name).join(", ")
}

impl Key {
    pub(crate) const fn plain(code: KeyCode) -> Self {
        Self { code, control: false }
    }

    pub(super) const fn char(c: char) -> Self {
        Self::plain(KeyCode::Char(c))
    }

    pub(super) const fn control(c: char) -> Self {
        Self { code: KeyCode::Char(c), control: true }
    }

    /// Whether it is text where text is typed.
    pub(super) fn is_text(self) -> bool {
        matches!(self.code, KeyCode::Char(_)) && !self.control
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
        match (NAMED.iter().find(|(code, _)| *code == self.code), self.code) {
            (Some((_, name)), _) => f.write_str(name),
            (None, KeyCode::Char(c)) => write!(f, "{c}"),
            (None, KeyCode::F(number)) => write!(f, "f{number}"),
            (None, other) => write!(f, "{other}"),
        }
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let unknown = || KeyError::Unknown(text.to_owned());
        let (control, name) = match text.strip_prefix("ctrl-") {
            Some(name) if !name.is_empty() => (true, name),
            _ => (false, text),
        };
        if let Some((code, _)) = NAMED.iter().find(|(_, known)| *known == name) {
            return Ok(Self { code: *code, control });
        }
        let mut chars = name.chars();
        let code = match (chars.next(), chars.as_str()) {
            (Some(c), "") if control => {
                let c = c.to_ascii_lowercase();
                if let Some((_, same)) = SAME.iter().find(|(other, _)| *other == c) {
                    return Err(KeyError::Same(text.to_owned(), same));
                }
                // A terminal has no control of other characters.
                KeyCode::Char(Some(c).filter(char::is_ascii_lowercase).ok_or_else(unknown)?)
            }
            (Some(c), "") if !c.is_control() && !c.is_whitespace() => KeyCode::Char(c),
            (Some('f'), number) if number.bytes().all(|digit| digit.is_ascii_digit()) => {
                let number = number.parse().ok().filter(|number| (1..=FUNCTIONS).contains(number));
                KeyCode::F(number.ok_or_else(unknown)?)
            }
            _ => return Err(unknown()),
        };
        Ok(Self { code, control })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyMap;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for key in KeyMap::standard().all().flat_map(|binding| binding.keys.clone()) {
            assert_eq!(key.to_string().parse(), Ok(key), "{key}");
        }
        for text in ["f5", "f12", "space", "ctrl-space", "ctrl-pgup", "ctrl-a", "-", "é", "Q"] {
            assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
        }
        assert_eq!("ctrl-X".parse(), Ok(Key::control('x')));
    }

    #[test]
    fn what_is_no_key_is_told() {
        for text in ["", " ", "pagedown", "ctrl-", "ctrl-5", "f0", "f13", "f+1", "qq", "\u{1b}"] {
            assert_eq!(text.parse::<Key>(), Err(KeyError::Unknown(text.into())));
        }
        assert_eq!("ctrl-i".parse::<Key>(), Err(KeyError::Same("ctrl-i".into(), "tab")));
        let told = KeyError::Unknown("pagedown".into()).to_string();
        assert!(told.starts_with("there is no key \"pagedown\": write a character"), "{told}");
        assert!(told.contains("\"f12\", or space, up") && told.contains("pgdn"), "{told}");
    }
}
