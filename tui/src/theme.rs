//! Colours and glyphs. Nothing is said by colour alone.

use std::{fmt, str::FromStr};

use ratatui::style::{Modifier, Style};
use thiserror::Error;

use crate::{Options, rows::Wellness};
use palette::Palette;

mod palette;

/// Which colours the dashboard has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub enum ThemeName {
    /// Those of the terminal's own palette.
    #[default]
    Terminal,
    /// For light backgrounds.
    Light,
    /// Which everybody tells apart, for dark backgrounds.
    ColourBlind,
}

/// No theme is called so.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("there is no theme {0:?}: write {themes}", themes = ThemeName::ALL.map(ThemeName::word).join(", "))]
pub struct UnknownTheme(String);

impl ThemeName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Terminal, Self::Light, Self::ColourBlind];

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Light => "light",
            Self::ColourBlind => "colour-blind",
        }
    }
}

impl fmt::Display for ThemeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for ThemeName {
    type Err = UnknownTheme;

    fn from_str(word: &str) -> Result<Self, UnknownTheme> {
        let found = Self::ALL.into_iter().find(|name| name.word() == word);
        found.ok_or_else(|| UnknownTheme(word.to_owned()))
    }
}

/// What a piece of text is, which decides how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Ordinary, and all that is well.
    Plain,
    /// What the eye should find first.
    Strong,
    /// Headings, old data, and what is only there to be looked up.
    Dim,
    /// Customers hurt now.
    Hurt,
    /// Customers will hurt.
    Warn,
    /// The row that keys act on.
    Selected,
    /// The same, of old data.
    SelectedOld,
    /// A context in which mistakes are dear.
    Protected,
    /// A key that can be pressed.
    Key,
}

impl Tone {
    #[cfg(test)]
    const ALL: [Self; 9] = [
        Self::Plain,
        Self::Strong,
        Self::Dim,
        Self::Hurt,
        Self::Warn,
        Self::Selected,
        Self::SelectedOld,
        Self::Protected,
        Self::Key,
    ];
}

/// The signs that stand for something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glyphs {
    pub(crate) alarm: &'static str,
    pub(crate) unknown: &'static str,
    pub(crate) changing: &'static str,
    pub(crate) aside: &'static str,
    pub(crate) live: &'static str,
    pub(crate) marker: &'static str,
    pub(crate) rule: &'static str,
    pub(crate) bar: &'static str,
    /// Of a box: above left and right, below left and right.
    pub(crate) corners: [&'static str; 4],
    pub(crate) dot: &'static str,
    pub(crate) crumb: &'static str,
    pub(crate) ellipsis: &'static str,
    pub(crate) ascending: &'static str,
    pub(crate) descending: &'static str,
    /// An empty place of a gauge, then ever fuller ones to a whole.
    pub(crate) gauge: &'static [&'static str],
    /// Of a number beside others: from the lowest to the whole.
    pub(crate) steps: &'static [&'static str],
    /// Of a number that is not known.
    pub(crate) gap: &'static str,
    /// Whether there are patterns of dots.
    pub(crate) braille: bool,
}

static UNICODE: Glyphs = Glyphs {
    alarm: "▲",
    unknown: "?",
    changing: "~",
    aside: "–",
    live: "●",
    marker: "▌",
    rule: "─",
    bar: "│",
    corners: ["╭", "╮", "╰", "╯"],
    dot: "·",
    crumb: "›",
    ellipsis: "…",
    ascending: "▴",
    descending: "▾",
    gauge: &["·", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    steps: &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    gap: "╌",
    braille: true,
};

static ASCII: Glyphs = Glyphs {
    alarm: "!",
    unknown: "?",
    changing: "~",
    aside: "-",
    live: "*",
    marker: ">",
    rule: "-",
    bar: "|",
    corners: ["+", "+", "+", "+"],
    dot: "-",
    crumb: ">",
    ellipsis: "+",
    ascending: "^",
    descending: "v",
    gauge: &[".", "#"],
    steps: &["_", ".", ":", "-", "=", "+", "*", "#"],
    gap: "?",
    braille: false,
};

impl Glyphs {
    /// How full something is, of 1000, over so many columns.
    pub(crate) fn gauge(&self, permille: usize, columns: usize) -> String {
        let steps = self.gauge.len().saturating_sub(1).max(1);
        let filled = permille.min(1000) * columns * steps / 1000;
        let place = |column: usize| {
            let step = filled.saturating_sub(column * steps).min(steps);
            self.gauge.get(step).copied().unwrap_or(" ")
        };
        (0..columns).map(place).collect()
    }
}

/// How everything looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    /// None where there are no colours.
    palette: Option<&'static Palette>,
    pub(crate) glyphs: &'static Glyphs,
}

impl Theme {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            palette: options.color.then(|| Palette::of(options.theme)),
            glyphs: if options.ascii { &ASCII } else { &UNICODE },
        }
    }

    pub(crate) fn style(&self, tone: Tone) -> Style {
        let colored = self.palette.and_then(|palette| palette.style(tone));
        colored.unwrap_or_else(|| colorless(tone))
    }

    /// The sign of a tenant; a blank where all is well, so that the others stand out.
    pub(crate) fn glyph(&self, wellness: Wellness) -> &'static str {
        match wellness {
            Wellness::Failing | Wellness::Hindered => self.glyphs.alarm,
            Wellness::Unknown => self.glyphs.unknown,
            Wellness::Changing => self.glyphs.changing,
            Wellness::SetAside | Wellness::Resting => self.glyphs.aside,
            Wellness::Well => " ",
        }
    }
}

/// How a tone looks without colours.
fn colorless(tone: Tone) -> Style {
    Style::new().add_modifier(match tone {
        Tone::Plain | Tone::Warn => Modifier::empty(),
        Tone::Strong | Tone::Key | Tone::Hurt => Modifier::BOLD,
        Tone::Dim => Modifier::DIM,
        Tone::Selected | Tone::Protected => Modifier::REVERSED,
        Tone::SelectedOld => Modifier::REVERSED.union(Modifier::DIM),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn themes_are_found_by_their_names() {
        for name in ThemeName::ALL {
            assert_eq!(name.word().parse(), Ok(name));
        }
        let error = "dark".parse::<ThemeName>().unwrap_err().to_string();
        assert_eq!(error, "there is no theme \"dark\": write terminal, light, colour-blind");
    }

    #[test]
    fn without_colours_no_theme_has_any() {
        for theme in ThemeName::ALL {
            let theme = Theme::new(&Options { color: false, theme, ..Options::default() });
            for style in Tone::ALL.map(|tone| theme.style(tone)) {
                assert_eq!((style.fg, style.bg), (None, None));
            }
        }
    }

    #[test]
    fn a_gauge_is_as_full_as_what_it_shows() {
        for (permille, text) in [(0, "····"), (500, "██··"), (563, "██▎·"), (2000, "████")]
        {
            assert_eq!(UNICODE.gauge(permille, 4), text);
        }
        assert_eq!(ASCII.gauge(500, 4), "##..");
    }
}
