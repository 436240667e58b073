//! A line over time in dots, eight a character, with a line where its zero is. What is below
//! zero looks otherwise, and what is not known has no dots.

use super::times;
use crate::{
    pen::{Line, text_width},
    theme::{Glyphs, Tone},
};

/// Dots of a character, and the bits of a braille pattern that they are: from above, the left
/// column and the right one.
const HIGH: usize = 4;
const WIDE: usize = 2;
const BITS: [[u32; HIGH]; WIDE] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
const BRAILLE: u32 = 0x2800;
/// How wide what stands before the axis is.
const LABEL: usize = 9;

/// A chart of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dots<'a> {
    /// From the oldest on.
    pub(crate) values: &'a [Option<i64>],
    /// The whole: the line is drawn between it and zero, or lower where a value is.
    pub(crate) whole: i64,
    /// Of the whole chart, with its axis.
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Says a value in words, beside the axis.
    pub(crate) words: fn(i64) -> String,
    /// Told below, from the begin to the end.
    pub(crate) times: &'a [String],
}

/// Where in a grid of dots something is: how many of them are below it.
struct Grid {
    least: i128,
    most: i128,
    rows: usize,
}

impl Grid {
    fn place(&self, value: i64) -> usize {
        let span = (self.most - self.least).max(1);
        let above = (i128::from(value) - self.least).clamp(0, span);
        let last = i128::try_from(self.rows.saturating_sub(1)).unwrap_or(0);
        // To the nearest.
        usize::try_from((above * last * 2 + span) / (span * 2)).unwrap_or(0)
    }
}

impl Dots<'_> {
    /// The lines: the chart with words at its top, its zero and its bottom, the axis and its
    /// times.
    pub(crate) fn lines(&self, glyphs: &Glyphs) -> Vec<Line> {
        let room = self.width.saturating_sub(LABEL + 2);
        let (wide, high) = if glyphs.braille { (WIDE, HIGH) } else { (1, 1) };
        let (columns, rows) = (room * wide, self.height * high);
        let values = spread(self.values, columns);
        let known = || values.iter().flatten().copied();
        let most = known().max().unwrap_or(0).max(self.whole);
        let lowest = known().min().unwrap_or(0).min(0);
        // What is below zero has a line of its own at least.
        let one = most / i64::try_from(self.height.saturating_sub(1).max(1)).unwrap_or(1);
        let least = if lowest < 0 { lowest.min(one.saturating_neg()) } else { 0 };
        let grid = Grid { least: least.into(), most: most.into(), rows };
        let dots = line(&values, &grid);
        let zero = grid.place(0) / high;
        let mut lines = Vec::with_capacity(self.height + 2);
        for row in (0..self.height).rev() {
            let label = match row {
                _ if row + 1 == self.height => (self.words)(most),
                _ if row == zero => (self.words)(0),
                0 => (self.words)(least),
                _ => String::new(),
            };
            let label = if text_width(&label) > LABEL { String::new() } else { label };
            let mut pieces =
                vec![(format!("{label:>LABEL$} "), Tone::Dim), (glyphs.bar.to_owned(), Tone::Dim)];
            for column in 0..room {
                let cell = Cell { dots: &dots, column: column * wide, row: row * high, wide, high };
                let is_known = (0..wide)
                    .any(|dot| values.get(column * wide + dot).is_some_and(Option::is_some));
                let (sign, tone) = match cell.sign(glyphs) {
                    Some(sign) => (sign, if row < zero { Tone::Hurt } else { Tone::Plain }),
                    None if row == zero && is_known => (glyphs.rule.to_owned(), Tone::Dim),
                    None if row == zero => (glyphs.gap.to_owned(), Tone::Dim),
                    None => (" ".to_owned(), Tone::Plain),
                };
                match pieces.last_mut() {
                    Some((text, before)) if *before == tone => text.push_str(&sign),
                    _ => pieces.push((sign, tone)),
                }
            }
            lines.push(pieces);
        }
        let margin = " ".repeat(LABEL + 1);
        lines.push(vec![(format!("{margin}{}", times(self.times, room + 1)), Tone::Dim)]);
        lines
    }
}

/// One character of the chart.
struct Cell<'a> {
    /// Of each column from which dot up to which one there are any.
    dots: &'a [Option<(usize, usize)>],
    column: usize,
    row: usize,
    wide: usize,
    high: usize,
}

impl Cell<'_> {
    fn is_set(&self, column: usize, row: usize) -> bool {
        let range = self.dots.get(self.column + column).copied().flatten();
        range.is_some_and(|(from, to)| (from..=to).contains(&(self.row + row)))
    }

    /// None where no dot is in it.
    fn sign(&self, glyphs: &Glyphs) -> Option<String> {
        if self.wide == 1 {
            return self.is_set(0, 0).then(|| glyphs.live.to_owned());
        }
        let mut pattern = 0;
        for (column, bits) in BITS.iter().enumerate() {
            for (above, bit) in bits.iter().enumerate() {
                if self.is_set(column, self.high - 1 - above) {
                    pattern |= bit;
                }
            }
        }
        let sign = char::from_u32(BRAILLE + pattern).filter(|_| pattern > 0);
        sign.map(String::from)
    }
}

/// Of each column from which dot up to which one the line goes: it has no holes where it
/// falls steeply.
fn line(values: &[Option<i64>], grid: &Grid) -> Vec<Option<(usize, usize)>> {
    let mut before: Option<usize> = None;
    let mut dots = Vec::with_capacity(values.len());
    for value in values {
        let place = value.map(|value| grid.place(value));
        dots.push(place.map(|place| match before {
            Some(before) if before > place => (place, before - 1),
            Some(before) if before < place => (before + 1, place),
            _ => (place, place),
        }));
        before = place;
    }
    dots
}

/// As many values as columns: of several the least, so that no fall is lost.
fn spread(values: &[Option<i64>], columns: usize) -> Vec<Option<i64>> {
    let of = |column: usize| {
        let begin = column * values.len() / columns;
        let end = ((column + 1) * values.len() / columns).max(begin + 1);
        values.get(begin..end)?.iter().flatten().copied().min()
    };
    (0..columns).map(of).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Options, theme::Theme};

    fn drawn(values: &[Option<i64>], width: usize, height: usize, ascii: bool) -> Vec<Line> {
        let glyphs = Theme::new(&Options { ascii, ..Options::default() }).glyphs;
        let times = ["then", "now"].map(str::to_owned);
        let words = |value| format!("{value}");
        Dots { values, whole: 100, width, height, words, times: &times }.lines(glyphs)
    }

    fn text(line: &Line) -> String {
        line.iter().map(|(text, _)| text.as_str()).collect()
    }

    #[test]
    fn what_is_left_falls_from_the_whole_and_below_zero() {
        let values: Vec<_> = (0..16).map(|step| Some(100 - 10 * step)).collect();
        let lines = drawn(&values, 19, 4, false);
        assert_eq!(text(&lines[0]), "      100 │⠑⢄      ");
    }

    #[test]
    fn what_is_not_known_has_no_dots_and_the_zero_line_tells_it() {
        let values = [Some(100), None, Some(0), Some(50)];
        let lines = drawn(&values, 15, 2, true);
        assert_eq!(text(&lines[0]), "      100 |*  *");
        assert_eq!(text(&lines[1]), "        0 |-?*-");
        assert!(lines.iter().all(|line| text(line).is_ascii()));
    }

    proptest! {
        #[test]
        fn a_chart_keeps_its_width_whatever_the_values(
            values in proptest::collection::vec(proptest::option::of(any::<i64>()), 0..90),
            width in 0..90_usize,
            height in 1..9_usize,
            ascii in any::<bool>(),
        ) {
            let lines = drawn(&values, width, height, ascii);
            prop_assert_eq!(lines.len(), height + 1);
            for line in lines.iter().take(height) {
                prop_assert!(text_width(&text(line)) <= width.max(LABEL + 2));
            }
        }
    }
}
