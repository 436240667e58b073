//! What somebody likes, from a file of its own: looks, and which key does what.

use std::{
    collections::BTreeMap,
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

use crate::{ThemeName, UnknownTheme, keys::KeyMap};

/// What the file says. What it does not say is as the dashboard comes.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Which colours.
    pub theme: Option<ThemeName>,
    /// Whether it keeps to ASCII.
    pub ascii: Option<bool>,
    /// Whether it listens to the mouse.
    pub mouse: Option<bool>,
    /// Whether nothing may be changed from it.
    pub read_only: Option<bool>,
    /// Which key does what.
    pub keys: KeyMap,
}

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// It cannot be read.
    #[error("cannot read the settings {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It says something that cannot be.
    #[error("the settings {} are wrong{at}: {why}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where in it.
        at: String,
        /// What is wrong, and what to write instead.
        why: String,
    },
}

/// The file as TOML has it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    theme: Option<ThemeName>,
    ascii: Option<bool>,
    mouse: Option<bool>,
    read_only: Option<bool>,
    #[serde(default)]
    keys: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
}

/// What is wrong, and where in the text where that is known.
struct Wrong {
    why: String,
    span: Option<Range<usize>>,
}

impl Settings {
    /// Reads a file. No file is no settings.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(SettingsError::Unreadable { path: path.to_owned(), error });
            }
        };
        Self::parse(&text).map_err(|wrong| {
            let before = wrong.span.and_then(|span| text.get(..span.start));
            let at = before.map(|before| format!(" in line {}", before.matches('\n').count() + 1));
            SettingsError::Wrong {
                path: path.to_owned(),
                at: at.unwrap_or_default(),
                why: wrong.why,
            }
        })
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let stored: Stored = toml::from_str(text).map_err(|error| Wrong {
            why: error.message().replace('\n', ", "),
            span: error.span(),
        })?;
        let mut keys = KeyMap::standard();
        let mut last = None;
        for (action, names) in &stored.keys {
            let wrong = |why: String, span| Wrong { why, span: Some(span) };
            let parsed = names.iter().map(|name| {
                let key = name.get_ref().parse();
                key.map_err(|error: crate::keys::KeyError| wrong(error.to_string(), name.span()))
            });
            let parsed = parsed.collect::<Result<Vec<_>, Wrong>>()?;
            keys.rebind(action.get_ref(), &parsed)
                .map_err(|error| wrong(error.to_string(), action.span()))?;
            last = Some(action.span());
        }
        keys.check().map_err(|error| {
            let named = stored.keys.keys().find(|action| error.names(action.get_ref()));
            Wrong { why: error.to_string(), span: named.map(Spanned::span).or(last) }
        })?;
        let Stored { theme, ascii, mouse, read_only, .. } = stored;
        Ok(Self { theme, ascii, mouse, read_only, keys })
    }
}

impl TryFrom<String> for ThemeName {
    type Error = UnknownTheme;

    fn try_from(word: String) -> Result<Self, UnknownTheme> {
        word.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let path = file.path().to_str().unwrap();
        Settings::load(file.path()).map_err(|error| error.to_string().replace(path, "ui.toml"))
    }

    #[test]
    fn what_is_written_is_taken_and_the_rest_is_as_it_comes() {
        let text = "theme = \"light\"\nmouse = true\n[keys]\nquit = [\"q\", \"ctrl-x\"]\n";
        let settings = load(text).unwrap();
        assert_eq!(settings.theme, Some(ThemeName::Light));
        assert_eq!((settings.ascii, settings.mouse, settings.read_only), (None, Some(true), None));
        let quit = settings.keys.all().find(|binding| binding.name() == Some("quit")).unwrap();
        assert_eq!(quit.keys.iter().map(ToString::to_string).collect::<Vec<_>>(), ["q", "ctrl-x"]);
        let none = Settings::load(Path::new("/nowhere/ui.toml")).unwrap();
        let table = crate::keys::Mode::Table;
        assert_eq!(none.keys.hints(table), KeyMap::standard().hints(table));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_what_to_write() {
        for (text, told) in [
            (
                "theme = \"dark\"",
                "in line 1: there is no theme \"dark\": write terminal, light, colour-blind",
            ),
            (
                "\ncolour = 1",
                "in line 2: unknown field `colour`, expected one of `theme`, `ascii`, `mouse`, \
                 `read_only`, `keys`",
            ),
            ("ascii = \"yes\"", "in line 1: invalid type: string \"yes\", expected a boolean"),
            ("[keys]\nquit = \"q\"", "in line 2: invalid type: string \"q\", expected a sequence"),
            (
                "[keys]\nhelp = [\"h\"]\nquitt = [\"x\"]",
                "in line 3: there is no action \"quitt\": did you mean quit?; \
                 docs/how-to/dashboard.md lists them",
            ),
            (
                "[keys]\nsort = [\"q\"]",
                "in line 2: \"q\" would be both quit and sort: give one of them another key",
            ),
            (
                "[keys]\nquit = []",
                "in line 2: quit would have no key: give it one, or leave the line out",
            ),
        ] {
            assert_eq!(load(text).unwrap_err(), format!("the settings ui.toml are wrong {told}"));
        }
        let told = load("[keys]\nquit = [\"q\",\n \"pagedown\"]").unwrap_err();
        assert!(told.contains("wrong in line 3: there is no key \"pagedown\": write a"), "{told}");
    }
}
