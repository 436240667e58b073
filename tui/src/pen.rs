//! Writing into a part of the screen: everything is clipped to it, and text that
//! does not fit ends with an ellipsis.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Span};

use crate::theme::{Theme, Tone};

/// A line of text: pieces one after another.
pub(crate) type Line = Vec<(String, Tone)>;

/// Writes into one rectangle of a buffer. Positions count from its corner.
pub(crate) struct Pen<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    pub(crate) theme: &'a Theme,
}

impl<'a> Pen<'a> {
    pub(crate) fn new(buffer: &'a mut Buffer, area: Rect, theme: &'a Theme) -> Self {
        let area = area.intersection(buffer.area);
        Self { buffer, area, theme }
    }

    pub(crate) fn width(&self) -> u16 {
        self.area.width
    }

    pub(crate) fn height(&self) -> u16 {
        self.area.height
    }

    /// A pen for a part of this one's area, given from its corner.
    pub(crate) fn part(&mut self, x: u16, y: u16, width: u16, height: u16) -> Pen<'_> {
        let part = Rect {
            x: self.area.x.saturating_add(x),
            y: self.area.y.saturating_add(y),
            width,
            height,
        };
        Pen { area: part.intersection(self.area), buffer: self.buffer, theme: self.theme }
    }

    /// Writes text and returns the column after it.
    pub(crate) fn text(&mut self, x: u16, y: u16, text: &str, tone: Tone) -> u16 {
        self.clipped(x, y, self.area.width, text, self.theme.style(tone))
    }

    /// Writes text into a column of a width, and returns the column after it.
    pub(crate) fn clipped(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let width = width.min(self.area.width.saturating_sub(x));
        if width == 0 || y >= self.area.height {
            return x;
        }
        let (left, row) = (self.area.x + x, self.area.y + y);
        let (fits, room) = (text_width(text) <= usize::from(width), usize::from(width));
        if fits {
            let (end, _) = self.buffer.set_stringn(left, row, text, room, style);
            return end.saturating_sub(self.area.x);
        }
        let (end, _) = self.buffer.set_stringn(left, row, text, room - 1, style);
        let ellipsis = self.theme.glyphs.ellipsis;
        let (end, _) = self.buffer.set_stringn(end, row, ellipsis, 1, style);
        end.saturating_sub(self.area.x)
    }

    /// Writes text so that it ends before a column.
    pub(crate) fn right(&mut self, end: u16, y: u16, text: &str, style: Style) -> u16 {
        let end = end.min(self.area.width);
        let start = end.saturating_sub(cells(text));
        self.clipped(start, y, end - start, text, style);
        start
    }

    /// Writes pieces one after another and returns the column after the last.
    pub(crate) fn pieces(&mut self, x: u16, y: u16, end: u16, pieces: &[(String, Tone)]) -> u16 {
        pieces.iter().fold(x, |x, (text, tone)| {
            let style = self.theme.style(*tone);
            self.clipped(x, y, end.saturating_sub(x), text, style)
        })
    }

    /// Gives a whole row a style.
    pub(crate) fn paint_row(&mut self, y: u16, style: Style) {
        if y < self.area.height {
            let row = Rect { y: self.area.y + y, height: 1, ..self.area };
            self.buffer.set_style(row, style);
        }
    }

    /// Empties the whole area.
    pub(crate) fn clear(&mut self) {
        for y in self.area.top()..self.area.bottom() {
            for x in self.area.left()..self.area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }

    /// Draws lines around the whole area.
    pub(crate) fn frame(&mut self) {
        let glyphs = self.theme.glyphs;
        let (right, bottom) = (self.width().saturating_sub(1), self.height().saturating_sub(1));
        self.rule(0);
        self.rule(bottom);
        self.bar(0);
        for y in 0..self.height() {
            self.text(right, y, glyphs.bar, Tone::Dim);
        }
        let [top_left, top_right, bottom_left, bottom_right] = glyphs.corners;
        for (x, y, corner) in [
            (0, 0, top_left),
            (right, 0, top_right),
            (0, bottom, bottom_left),
            (right, bottom, bottom_right),
        ] {
            self.text(x, y, corner, Tone::Dim);
        }
    }

    /// Draws a line over a whole row.
    pub(crate) fn rule(&mut self, y: u16) {
        let line = self.theme.glyphs.rule.repeat(self.area.width.into());
        self.text(0, y, &line, Tone::Dim);
    }

    /// Draws a line down a whole column.
    pub(crate) fn bar(&mut self, x: u16) {
        for y in 0..self.area.height {
            self.text(x, y, self.theme.glyphs.bar, Tone::Dim);
        }
    }
}

/// How many columns a text takes.
pub(crate) fn text_width(text: &str) -> usize {
    Span::raw(text).width()
}

/// As [`text_width`], for places on a screen.
pub(crate) fn cells(text: &str) -> u16 {
    u16::try_from(text_width(text)).unwrap_or(u16::MAX)
}

/// Breaks text into lines of at most so many columns, between words where it can.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && text_width(&line) + 1 + text_width(word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            line.push(c);
            if text_width(&line) > width.max(2) {
                line.pop();
                lines.push(std::mem::replace(&mut line, c.to_string()));
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_stay_whole_where_they_fit() {
        assert_eq!(wrap("namespaces is forbidden", 12), ["namespaces", "is forbidden"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert!(wrap("  ", 3).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_line_is_too_long(text in ".{0,80}", width in 2..40_usize) {
            let lines = wrap(&text, width);
            for line in &lines {
                prop_assert!(text_width(line) <= width, "{line:?}");
            }
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
