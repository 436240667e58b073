//! A terminal's screen as a picture: SVG that needs no font of ours. Text is stretched to the
//! cells that it has; lines and blocks are drawn, so that they meet whatever the font is.

#![allow(clippy::expect_used, reason = "a panic fails the test, as it should")]

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use vt100::{Cell, Color, Screen};

/// A cell's width and height, and the margin around all of them.
const WIDTH: u16 = 9;
const HEIGHT: u16 = 18;
const MARGIN: u16 = 9;
/// Where a row's text stands, below its top.
const BASELINE: u16 = 13;
/// How much is left of what is dim, in percent.
const DIM: u16 = 60;

/// The colours that a terminal has where a program does not say which.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    back: Rgb,
    ink: Rgb,
    /// The sixteen that have names.
    named: [Rgb; 16],
}

impl Ground {
    /// Of a dark terminal.
    pub const DARK: Self = Self {
        back: Rgb(0x0d_1117),
        ink: Rgb(0xd4_d8de),
        named: [
            Rgb(0x48_4f58),
            Rgb(0xff_7b72),
            Rgb(0x7e_e787),
            Rgb(0xe3_b341),
            Rgb(0x1f_5fb8),
            Rgb(0x9a_4bd1),
            Rgb(0x76_e3ea),
            Rgb(0xff_ffff),
            Rgb(0x6e_7681),
            Rgb(0xff_a198),
            Rgb(0x9b_e9a8),
            Rgb(0xf2_cc60),
            Rgb(0x79_c0ff),
            Rgb(0xd2_a8ff),
            Rgb(0xb3_f0ff),
            Rgb(0xff_ffff),
        ],
    };
    /// Of a light one, with the same names.
    pub const LIGHT: Self =
        Self { back: Rgb(0xff_ffff), ink: Rgb(0x1f_2328), named: Self::DARK.named };

    fn color(&self, color: Color, default: Rgb) -> Rgb {
        const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
        let step = |at: u8| STEPS.get(usize::from(at % 6)).copied().unwrap_or(0);
        match color {
            Color::Default => default,
            Color::Rgb(r, g, b) => Rgb::of([r, g, b]),
            Color::Idx(number) => match (self.named.get(usize::from(number)), number) {
                (Some(named), _) => *named,
                (None, grey @ 232..) => Rgb::of([8 + 10 * (grey - 232); 3]),
                (None, cube) => {
                    let cube = cube - 16;
                    Rgb::of([step(cube / 36), step(cube / 6), step(cube)])
                }
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rgb(u32);

impl Rgb {
    fn of([r, g, b]: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, r, g, b]))
    }

    /// So much of it over another, in percent.
    fn over(self, other: Self, percent: u16) -> Self {
        let ([_, r, g, b], [_, under_r, under_g, under_b]) =
            (self.0.to_be_bytes(), other.0.to_be_bytes());
        let mix = |over: u8, under: u8| {
            let sum = u16::from(over) * percent + u16::from(under) * (100 - percent);
            u8::try_from(sum / 100).unwrap_or(u8::MAX)
        };
        Self::of([mix(r, under_r), mix(g, under_g), mix(b, under_b)])
    }
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:06x}", self.0)
    }
}

/// How a cell looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    ink: Rgb,
    back: Rgb,
    bold: bool,
}

impl Look {
    fn of(cell: &Cell, ground: &Ground) -> Self {
        let ink = ground.color(cell.fgcolor(), ground.ink);
        let back = ground.color(cell.bgcolor(), ground.back);
        let (ink, back) = if cell.inverse() { (back, ink) } else { (ink, back) };
        let ink = if cell.dim() { ink.over(back, DIM) } else { ink };
        Self { ink, back, bold: cell.bold() }
    }
}

/// Cells beside each other that are drawn as one.
struct Run {
    look: Look,
    text: String,
    x: u16,
    cells: u16,
}

/// The picture of a screen.
pub fn picture(screen: &Screen, ground: &Ground) -> String {
    let (rows, columns) = screen.size();
    let (width, height) = (columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN);
    let mut grounds = String::new();
    let mut texts = String::new();
    let mut shapes = Shapes::default();
    for row in 0..rows {
        let y = MARGIN + row * HEIGHT;
        let cells: Vec<&Cell> =
            (0..columns).filter_map(|column| screen.cell(row, column)).collect();
        for run in runs(&cells, ground, |one, other| one.look.back == other.look.back) {
            if run.look.back != ground.back {
                let (x, width, fill) = (run.x, run.cells * WIDTH, run.look.back);
                line(
                    &mut grounds,
                    format_args!(
                        r#"<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT}" fill="{fill}"/>"#
                    ),
                );
            }
        }
        for run in runs(&cells, ground, goes_on) {
            if !shapes.take(&run, y) {
                text(&mut texts, &run, y, ground);
            }
        }
    }
    format!(
        concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" "#,
            r#"width="{width}" height="{height}" font-size="15" fill="{ink}" "#,
            r#"font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace">"#,
            "\n<rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{back}\"/>\n{grounds}{shapes}{texts}</svg>\n",
        ),
        width = width,
        height = height,
        ink = ground.ink,
        back = ground.back,
        grounds = grounds,
        shapes = shapes,
        texts = texts,
    )
}

fn line(out: &mut String, arguments: fmt::Arguments<'_>) {
    writeln!(out, "{arguments}").expect("a text takes all");
}

/// Puts cells together where `joins` says so of a run and the cell behind it.
fn runs(cells: &[&Cell], ground: &Ground, joins: impl Fn(&Run, &Run) -> bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (column, cell) in (0..).zip(cells).filter(|(_, cell)| !cell.is_wide_continuation()) {
        let text = if cell.has_contents() { cell.contents() } else { " " };
        let next = Run {
            look: Look::of(cell, ground),
            text: text.to_owned(),
            x: MARGIN + column * WIDTH,
            cells: if cell.is_wide() { 2 } else { 1 },
        };
        match runs.last_mut() {
            Some(last) if joins(last, &next) => {
                last.text.push_str(&next.text);
                last.cells += next.cells;
            }
            _ => runs.push(next),
        }
    }
    runs
}

/// Whether text goes on in a cell. What a font may not have stands alone, so that one of
/// another width moves nothing else; a gap of more than one cell is not drawn.
fn goes_on(run: &Run, next: &Run) -> bool {
    let is_gap = run.text.starts_with(' ');
    match next.text.as_str() {
        " " if is_gap => true,
        " " => run.look == next.look && run.text.is_ascii() && !run.text.ends_with(' '),
        text if text.is_ascii() => run.look == next.look && run.text.is_ascii() && !is_gap,
        text => run.look == next.look && run.text.ends_with(text),
    }
}

fn text(out: &mut String, run: &Run, y: u16, ground: &Ground) {
    let text = run.text.trim_end();
    if text.is_empty() {
        return;
    }
    // One space at most is behind it.
    let cells = run.cells - u16::from(text.len() < run.text.len());
    let (x, y, length) = (run.x, y + BASELINE, cells * WIDTH);
    let bold = if run.look.bold { r#" font-weight="bold""# } else { "" };
    let fill = run.look.ink;
    let fill = if fill == ground.ink { String::new() } else { format!(r#" fill="{fill}""#) };
    let escaped = escape(text);
    line(
        out,
        format_args!(r#"<text x="{x}" y="{y}" textLength="{length}"{bold}{fill}>{escaped}</text>"#),
    );
}

/// A text such that XML has it as it is.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Blocks and lines, by their colour: what is filled, and what is stroked.
#[derive(Default)]
struct Shapes(BTreeMap<Rgb, [String; 2]>);

impl Shapes {
    /// Takes a run of one sign that is drawn and not written.
    fn take(&mut self, run: &Run, y: u16) -> bool {
        let Some(sign) = run.text.chars().next() else { return false };
        let [filled, stroked] = self.0.entry(run.look.ink).or_default();
        let (x, cells) = (run.x, run.cells);
        let (middle, half) = (f32::from(x) + 4.5, f32::from(y) + 9.5);
        let wide = cells * WIDTH;
        let drawn = match sign {
            // Eighths of the height, from below.
            '▁'..='█' => {
                let eighths = u16::try_from(u32::from(sign) - 0x2580).unwrap_or(8);
                let high = f32::from(HEIGHT * eighths) / 8.0;
                let top = f32::from(y + HEIGHT) - high;
                write!(filled, "M{x} {top}h{wide}v{high}h-{wide}z")
            }
            // Eighths of the width, from the left, each in its own cell.
            '▉'..='▏' => {
                let eighths = u16::try_from(0x2590 - u32::from(sign)).unwrap_or(8);
                let part = f32::from(WIDTH * eighths) / 8.0;
                (0..cells)
                    .map(|cell| x + cell * WIDTH)
                    .try_for_each(|x| write!(filled, "M{x} {y}h{part}v{HEIGHT}h-{part}z"))
            }
            '─' => write!(stroked, "M{x} {half}h{wide}"),
            '│' => write!(stroked, "M{middle} {y}v{HEIGHT}"),
            '╭' => write!(stroked, "M{middle} {}v-4.5q0 -4 4 -4h.5", y + HEIGHT),
            '╮' => write!(stroked, "M{middle} {}v-4.5q0 -4 -4 -4h-.5", y + HEIGHT),
            '╰' => write!(stroked, "M{middle} {y}v5.5q0 4 4 4h.5"),
            '╯' => write!(stroked, "M{middle} {y}v5.5q0 4 -4 4h-.5"),
            _ => return false,
        };
        drawn.expect("a text takes all");
        true
    }
}

impl fmt::Display for Shapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (color, [filled, stroked]) in &self.0 {
            if !filled.is_empty() {
                writeln!(f, r#"<path fill="{color}" d="{filled}"/>"#)?;
            }
            if !stroked.is_empty() {
                writeln!(f, r#"<path fill="none" stroke="{color}" d="{stroked}"/>"#)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(bytes: &str) -> String {
        let mut terminal = vt100::Parser::new(2, 12, 0);
        terminal.process(bytes.as_bytes());
        picture(terminal.screen(), &Ground::DARK)
    }

    #[track_caller]
    fn has(picture: &str, part: &str) {
        assert!(picture.contains(part), "no {part}:\n{picture}");
    }

    #[test]
    fn what_looks_the_same_is_one_text_in_its_cells() {
        let picture = drawn("a<&>\x1b[1;31mb\x1b[m  cd");
        has(&picture, r#"<text x="9" y="22" textLength="36">a&lt;&amp;&gt;</text>"#);
        has(
            &picture,
            r##"<text x="45" y="22" textLength="9" font-weight="bold" fill="#ff7b72">b</text>"##,
        );
        has(&picture, r#"<text x="72" y="22" textLength="18">cd</text>"#);
        assert_eq!(picture.matches("<text").count(), 3, "{picture}");
    }

    #[test]
    fn what_another_font_has_moves_nothing() {
        let picture = drawn("ab ▲▲ 株c");
        has(&picture, r#"<text x="36" y="22" textLength="18">▲▲</text>"#);
        has(&picture, r#"<text x="63" y="22" textLength="18">株</text>"#);
        has(&picture, r#"<text x="81" y="22" textLength="9">c</text>"#);
    }

    #[test]
    fn grounds_are_behind_and_reverse_turns_them_round() {
        let picture = drawn("\x1b[7m x \x1b[m\r\n\x1b[48;5;25m\x1b[38;5;231my");
        has(&picture, r##"<rect x="9" y="9" width="27" height="18" fill="#d4d8de"/>"##);
        has(&picture, r##" fill="#0d1117">x</text>"##);
        has(&picture, r##"<rect x="9" y="27" width="9" height="18" fill="#005faf"/>"##);
        has(&picture, r##" fill="#ffffff">y</text>"##);
    }

    #[test]
    fn dim_is_nearer_to_the_ground() {
        assert_eq!(Rgb(0xff_0000).over(Rgb(0x00_ff00), 60), Rgb(0x99_6600));
        has(&drawn("\x1b[2mx"), r##" fill="#84888e">x</text>"##);
    }

    #[test]
    fn lines_and_blocks_are_drawn_from_edge_to_edge() {
        let picture = drawn("──█▄▌\r\n│╭");
        has(&picture, "M9 18.5h18");
        has(&picture, "M27 9h9v18h-9z");
        has(&picture, "M36 18h9v9h-9z");
        has(&picture, "M45 9h4.5v18h-4.5z");
        has(&picture, "M13.5 27v18");
        assert!(!picture.contains("<text"), "{picture}");
    }
}
