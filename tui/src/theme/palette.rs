//! The colours of the themes. What is not of the terminal's own palette is of the 240
//! colours that look the same everywhere.

use ratatui::style::{Color, Modifier, Style};

use super::{ThemeName, Tone};

/// What has a colour, and which.
#[derive(Debug)]
pub(super) struct Palette {
    hurt: Style,
    warn: Style,
    dim: Style,
    selected: Style,
    /// The selected row where it is old.
    selected_old: Style,
    protected: Style,
}

const fn on(text: Color, ground: Color) -> Style {
    Style::new().fg(text).bg(ground)
}

const fn colored(number: u8) -> Style {
    Style::new().fg(Color::Indexed(number))
}

const fn bold(style: Style) -> Style {
    style.add_modifier(Modifier::BOLD)
}

/// Black and white where neither is what the terminal takes for it.
const BLACK: Color = Color::Indexed(16);
const WHITE: Color = Color::Indexed(231);

/// The terminal's own sixteen colours, so that light and dark backgrounds both work.
static TERMINAL: Palette = Palette {
    hurt: bold(Style::new().fg(Color::Red)),
    warn: Style::new().fg(Color::Yellow),
    dim: Style::new().add_modifier(Modifier::DIM),
    selected: on(Color::White, Color::Blue),
    selected_old: on(Color::White, Color::Blue).add_modifier(Modifier::DIM),
    protected: bold(on(Color::White, Color::Magenta)),
};

/// Dark on white.
static LIGHT: Palette = Palette {
    hurt: bold(colored(124)),
    warn: colored(94),
    dim: colored(240),
    selected: on(WHITE, Color::Indexed(25)),
    selected_old: on(BLACK, Color::Indexed(252)),
    protected: bold(on(WHITE, Color::Indexed(90))),
};

/// Of the colours that Okabe and Ito chose so that everybody tells them apart, the nearest:
/// vermillion, orange, sky blue and reddish purple, on black.
static COLOUR_BLIND: Palette = Palette {
    hurt: bold(colored(166)),
    warn: colored(214),
    dim: colored(248),
    selected: on(BLACK, Color::Indexed(74)),
    selected_old: on(WHITE, Color::Indexed(240)),
    protected: bold(on(BLACK, Color::Indexed(175))),
};

impl Palette {
    pub(super) fn of(name: ThemeName) -> &'static Self {
        match name {
            ThemeName::Terminal => &TERMINAL,
            ThemeName::Light => &LIGHT,
            ThemeName::ColourBlind => &COLOUR_BLIND,
        }
    }

    /// How a tone looks that has a colour.
    pub(super) fn style(&self, tone: Tone) -> Option<Style> {
        match tone {
            Tone::Plain | Tone::Strong | Tone::Key => None,
            Tone::Dim => Some(self.dim),
            Tone::Hurt => Some(self.hurt),
            Tone::Warn => Some(self.warn),
            Tone::Selected => Some(self.selected),
            Tone::SelectedOld => Some(self.selected_old),
            Tone::Protected => Some(self.protected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal shows for a number from 16 on: a cube of six steps a side, then
    /// greys.
    fn rgb(color: Color) -> [u8; 3] {
        let Color::Indexed(number @ 16..) = color else {
            panic!("{color} is not the same in every terminal")
        };
        let steps = [0, 95, 135, 175, 215, 255];
        match number - 16 {
            cube @ 0..216 => [cube / 36, cube / 6 % 6, cube % 6].map(|at| steps[usize::from(at)]),
            grey => [8 + 10 * (grey - 216); 3],
        }
    }

    /// The relative luminance of WCAG 2.
    fn luminance(color: [u8; 3]) -> f64 {
        let [r, g, b] = color.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn contrast_is_counted_as_it_is_defined() {
        assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
        // The example of everybody who measures it.
        assert!((contrast([0x76; 3], [255; 3]) - 4.54).abs() < 0.01);
        assert_eq!(rgb(Color::Indexed(166)), [215, 95, 0]);
        assert_eq!(rgb(Color::Indexed(240)), [88; 3]);
    }

    #[test]
    fn everything_can_be_read_on_its_ground() {
        for (name, ground) in [(ThemeName::Light, [255; 3]), (ThemeName::ColourBlind, [0; 3])] {
            for tone in Tone::ALL {
                let Some(style) = Palette::of(name).style(tone) else { continue };
                let ground = style.bg.map_or(ground, rgb);
                let contrast = contrast(rgb(style.fg.unwrap()), ground);
                assert!(contrast >= 4.5, "{name:?} {tone:?}: {contrast:.2}");
                assert!(!style.add_modifier.contains(Modifier::DIM), "{name:?} {tone:?}");
            }
        }
    }

    #[test]
    fn no_two_tones_of_a_theme_look_the_same() {
        for name in ThemeName::ALL {
            let mut seen = Vec::new();
            for style in Tone::ALL.into_iter().filter_map(|tone| Palette::of(name).style(tone)) {
                assert!(!seen.contains(&style), "{name:?} {style:?}");
                seen.push(style);
            }
        }
    }
}
