//! Numbers over time as text: a line of steps, and a chart of bars. What is not known is
//! a gap with a sign of its own, and never a zero.

mod dots;

pub(crate) use dots::Dots;

use crate::{
    pen::{Line, text_width},
    theme::{Glyphs, Tone},
};

/// What stands for several values where there is no room for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resample {
    /// The largest, so that no peak is lost.
    Maximum,
    /// The mean of those that are known.
    Mean,
}

/// One line of steps, as wide as it is told to be, scaled to its own maximum. No step but
/// the lowest is a zero, so that little is told from nothing.
pub(crate) fn sparkline(
    values: &[Option<u64>],
    width: usize,
    by: Resample,
    glyphs: &Glyphs,
) -> String {
    let values = resampled(values, width, by);
    let most = most(&values);
    let highest = glyphs.steps.len().saturating_sub(1);
    let sign = |value: &Option<u64>| match value {
        None => glyphs.gap,
        Some(value) => glyphs.steps.get(scaled(*value, most, highest)).copied().unwrap_or(" "),
    };
    values.iter().map(sign).collect()
}

/// A chart of several lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bars<'a> {
    /// From the oldest on.
    pub(crate) values: &'a [Option<u64>],
    pub(crate) by: Resample,
    /// Of the whole chart, with its axis.
    pub(crate) width: usize,
    /// Of the bars alone.
    pub(crate) height: usize,
    /// What the bars look like.
    pub(crate) tone: Tone,
    /// Says a value in words, for the top of the axis.
    pub(crate) words: fn(u64) -> String,
    /// Told below, from the begin of the first bar to the end of the last one; those
    /// between are left out where there is no room.
    pub(crate) times: &'a [String],
}

impl Bars<'_> {
    /// The lines: the maximum in words, the bars, the axis and its times.
    pub(crate) fn lines(&self, glyphs: &Glyphs) -> Vec<Line> {
        let room = self.width.saturating_sub(1);
        let values = resampled(self.values, self.values.len().min(room), self.by);
        // All bars are equally wide.
        let columns = room.checked_div(values.len()).unwrap_or(0);
        let most = most(&values);
        let top = if values.iter().all(Option::is_none) {
            glyphs.unknown.to_owned()
        } else {
            (self.words)(most)
        };
        let mut lines = vec![vec![(top, Tone::Dim)]];
        for row in (0..self.height).rev() {
            // Where there is room a bar stands apart from the next one.
            let gap = usize::from(columns > 1);
            let place = |value: &Option<u64>| {
                let bar = self.place(*value, most, row, glyphs).repeat(columns - gap);
                format!("{bar}{}", " ".repeat(gap))
            };
            let bars = values.iter().map(place).collect();
            lines.push(vec![(glyphs.bar.to_owned(), Tone::Dim), (bars, self.tone)]);
        }
        let [_, _, corner, _] = glyphs.corners;
        let width = values.len() * columns;
        lines.push(vec![(format!("{corner}{}", glyphs.rule.repeat(width)), Tone::Dim)]);
        lines.push(vec![(times(self.times, width + 1), Tone::Dim)]);
        lines
    }

    /// What a bar is in one row, counted from below.
    fn place<'g>(&self, value: Option<u64>, most: u64, row: usize, glyphs: &'g Glyphs) -> &'g str {
        let Some(value) = value else { return if row == 0 { glyphs.gap } else { " " } };
        let whole = glyphs.steps.len();
        let filled = scaled(value, most, self.height * whole);
        match filled.saturating_sub(row * whole).min(whole).checked_sub(1) {
            Some(step) => glyphs.steps.get(step).copied().unwrap_or(" "),
            None => " ",
        }
    }
}

/// Times from the left edge to the right one, the first and the last before those between.
fn times(times: &[String], width: usize) -> String {
    let last = times.len().saturating_sub(1);
    let mut placed: Vec<(usize, &str)> = Vec::new();
    let edges = [0, last];
    let between = 1..last;
    for index in edges.into_iter().chain(between) {
        let Some(text) = times.get(index) else { continue };
        let (length, middle) = (text_width(text), (width * index).checked_div(last).unwrap_or(0));
        let begin = match index {
            0 => 0,
            _ if index == last => width.saturating_sub(length),
            _ => middle.saturating_sub(length / 2),
        };
        let is_free = |(other, text): &(usize, &str)| {
            begin + length < *other || other + text_width(text) < begin
        };
        if begin + length <= width && placed.iter().all(is_free) {
            placed.push((begin, text));
        }
    }
    placed.sort_unstable();
    let mut line = String::new();
    for (begin, text) in placed {
        let room = begin.saturating_sub(text_width(&line));
        line.push_str(&" ".repeat(room));
        line.push_str(text);
    }
    line
}

fn most(values: &[Option<u64>]) -> u64 {
    values.iter().flatten().copied().max().unwrap_or(0)
}

/// A value of steps of which the maximum has all: rounded up, so that only zero has none.
fn scaled(value: u64, most: u64, steps: usize) -> usize {
    let most = u128::from(most.max(1));
    let steps = u128::try_from(steps).unwrap_or(0);
    let step = (u128::from(value) * steps).div_ceil(most).min(steps);
    usize::try_from(step).unwrap_or(usize::MAX)
}

/// As many values as columns: each for those that fall into it.
fn resampled(values: &[Option<u64>], columns: usize, by: Resample) -> Vec<Option<u64>> {
    let of = |column: usize| {
        let begin = column * values.len() / columns;
        let end = ((column + 1) * values.len() / columns).max(begin + 1);
        let known = values.get(begin..end)?.iter().flatten().copied();
        match by {
            Resample::Maximum => known.max(),
            Resample::Mean => mean(known),
        }
    };
    (0..columns).map(of).collect()
}

/// The mean, rounded up: what is not nothing does not become nothing.
fn mean(values: impl Iterator<Item = u64>) -> Option<u64> {
    let (sum, number) =
        values.fold((0_u128, 0_u128), |(sum, number), value| (sum + u128::from(value), number + 1));
    (number > 0).then(|| u64::try_from(sum.div_ceil(number)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Options, theme::Theme};

    fn glyphs(ascii: bool) -> &'static Glyphs {
        Theme::new(&Options { ascii, ..Options::default() }).glyphs
    }

    fn known(values: impl IntoIterator<Item = u64>) -> Vec<Option<u64>> {
        values.into_iter().map(Some).collect()
    }

    #[test]
    fn a_sparkline_climbs_to_its_maximum() {
        let values = known(0..8);
        assert_eq!(sparkline(&values, 8, Resample::Maximum, glyphs(false)), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&values, 8, Resample::Maximum, glyphs(true)), "_.:-=+*#");
        let values = known((0..8).map(|value| value * 1_000_000));
        assert_eq!(sparkline(&values, 8, Resample::Mean, glyphs(false)), "▁▂▃▄▅▆▇█");
    }

    #[test]
    fn what_is_not_known_is_a_gap_and_little_is_not_nothing() {
        let values = [Some(0), None, Some(1), Some(1000)];
        assert_eq!(sparkline(&values, 4, Resample::Maximum, glyphs(false)), "▁╌▂█");
        assert_eq!(sparkline(&values, 4, Resample::Maximum, glyphs(true)), "_?.#");
        assert_eq!(sparkline(&[None; 3], 3, Resample::Mean, glyphs(false)), "╌╌╌");
        assert_eq!(sparkline(&[Some(0); 3], 3, Resample::Mean, glyphs(false)), "▁▁▁");
        assert_eq!(sparkline(&[], 3, Resample::Mean, glyphs(false)), "╌╌╌");
    }

    #[test]
    fn several_values_in_a_column_are_their_maximum_or_their_mean() {
        let values = [Some(1), Some(9), None, Some(4), None, None];
        let by = |by| resampled(&values, 3, by);
        assert_eq!(by(Resample::Maximum), [Some(9), Some(4), None]);
        assert_eq!(by(Resample::Mean), [Some(5), Some(4), None]);
        let wider = resampled(&known([1, 2]), 4, Resample::Maximum);
        assert_eq!(wider, known([1, 1, 2, 2]));
    }

    fn chart(values: &[Option<u64>], width: usize, height: usize, ascii: bool) -> Vec<String> {
        let times = ["03:00", "04:00", "05:00"].map(str::to_owned);
        let bars = Bars {
            values,
            by: Resample::Maximum,
            width,
            height,
            tone: Tone::Plain,
            words: |most| crate::format::many(usize::try_from(most).unwrap(), "session"),
            times: &times,
        };
        let text = |line: &Line| line.iter().map(|(text, _)| text.as_str()).collect();
        bars.lines(glyphs(ascii)).iter().map(text).collect()
    }

    #[test]
    fn bars_have_an_axis_with_its_maximum_and_times() {
        let values = [Some(0), Some(600), Some(1200), None, Some(1), Some(900)];
        let lines = chart(&values, 20, 2, false);
        assert_eq!(lines[0], "1,200 sessions");
        assert_eq!(lines[1], "│      ██       ▄▄ ");
        assert_eq!(lines[2], "│   ██ ██ ╌╌ ▁▁ ██ ");
        assert_eq!(lines[3], "╰──────────────────");
        assert_eq!(lines[4], "03:00  04:00  05:00");
        let lines = chart(&values, 20, 2, true);
        assert_eq!(lines[1], "|      ##       -- ");
        assert_eq!(lines[2], "|   ## ## ?? __ ## ");
        assert!(lines.concat().is_ascii());
    }

    #[test]
    fn times_without_room_are_left_out() {
        let lines = chart(&known([1, 2, 3]), 13, 1, false);
        assert_eq!(lines[3], "03:00   05:00");
        let lines = chart(&known([1, 2, 3]), 8, 1, false);
        assert_eq!(lines[3], "03:00");
    }

    #[test]
    fn of_nothing_known_the_maximum_is_not_known() {
        assert_eq!(chart(&[None, None], 9, 1, false)[0], "?");
        assert_eq!(chart(&[], 9, 1, false)[1], "│");
        assert_eq!(chart(&[Some(0)], 9, 1, false)[..2], ["0 sessions", "│        "]);
    }

    proptest! {
        #[test]
        fn a_chart_keeps_its_width_and_its_gaps(
            values in proptest::collection::vec(proptest::option::of(any::<u64>()), 0..60),
            width in 0..80_usize,
            height in 1..6_usize,
        ) {
            for by in [Resample::Maximum, Resample::Mean] {
                let line = sparkline(&values, width, by, glyphs(false));
                prop_assert_eq!(text_width(&line), width);
                let gaps = resampled(&values, width, by).iter().filter(|it| it.is_none()).count();
                prop_assert_eq!(line.matches('╌').count(), gaps);
                prop_assert_eq!(line.contains('█'), values.iter().flatten().any(|it| *it > 0) && width > 0);
            }
            let times = Vec::new();
            let (by, tone) = (Resample::Maximum, Tone::Plain);
            let words = |_| String::new();
            let bars = Bars { values: &values, by, width, height, tone, words, times: &times };
            let lines = bars.lines(glyphs(false));
            prop_assert_eq!(lines.len(), height + 3);
            for line in &lines {
                let text: String = line.iter().map(|(text, _)| text.as_str()).collect();
                prop_assert!(text_width(&text) <= width.max(1));
            }
        }
    }
}
