//! Colours and glyphs. The sixteen colours of the terminal's own palette, so that
//! light and dark backgrounds both work, and nothing said by colour alone.

use ratatui::style::{Color, Modifier, Style};

use crate::{Options, rows::Wellness};

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
    /// A context in which mistakes are dear.
    Protected,
    /// A key that can be pressed.
    Key,
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
    color: bool,
    pub(crate) glyphs: &'static Glyphs,
}

impl Theme {
    pub(crate) fn new(options: Options) -> Self {
        Self { color: options.color, glyphs: if options.ascii { &ASCII } else { &UNICODE } }
    }

    pub(crate) fn style(&self, tone: Tone) -> Style {
        let style = Style::new();
        let colored = |color: Color| if self.color { style.fg(color) } else { style };
        match tone {
            Tone::Plain => style,
            Tone::Strong | Tone::Key => style.add_modifier(Modifier::BOLD),
            Tone::Dim => style.add_modifier(Modifier::DIM),
            Tone::Hurt => colored(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Warn => colored(Color::Yellow),
            Tone::Selected if self.color => style.fg(Color::White).bg(Color::Blue),
            Tone::Protected if self.color => {
                style.fg(Color::White).bg(Color::Magenta).add_modifier(Modifier::BOLD)
            }
            Tone::Selected | Tone::Protected => style.add_modifier(Modifier::REVERSED),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_as_full_as_what_it_shows() {
        for (permille, text) in [(0, "····"), (500, "██··"), (563, "██▎·"), (2000, "████")]
        {
            assert_eq!(UNICODE.gauge(permille, 4), text);
        }
        assert_eq!(ASCII.gauge(500, 4), "##..");
    }
}
