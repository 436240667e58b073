//! The budgets with the least left: what was promised and may not be kept.

use super::{BUDGETS, NAME, ROOMY, fitting, more, title};
use crate::{
    format::many,
    keys::Action,
    pen::{Pen, cells},
    rows::{Budget, Row as _, tone},
    state::State,
    table::AnyTable as _,
    theme::Tone,
    views::table::region_name,
};

/// `100.00 %`, `43.20 of 43.20`, `21.3×`, `12d 4h`
const LEFT: u16 = 10;
const MINUTES: u16 = 20;
const BURN: u16 = 9;
const GONE: u16 = 9;

/// How many lines it wants; none where no budget is known.
pub(super) fn wanted(state: &State) -> Option<usize> {
    let total = state.budgets.total();
    (total > 0).then(|| state.budgets.tally().attention.max(BUDGETS.min(total)))
}

pub(super) fn draw(state: &State, pen: &mut Pen<'_>) {
    let all = format!("{}, least left first", many(state.budgets.total(), "budget"));
    title("BUDGETS NOT WELL", state.budgets.tally().attention, &all, state, pen);
    let room = usize::from(pen.height().saturating_sub(1));
    let wanted = wanted(state).unwrap_or(0);
    let lines = worst(state, fitting(wanted, room));
    let columns = columns(pen.width());
    let dim = pen.theme.style(Tone::Dim);
    for (end, heading, _) in &columns {
        pen.right(*end, 0, heading, dim);
    }
    let begin = columns.first().map_or(pen.width(), |(end, ..)| end.saturating_sub(LEFT));
    for (y, budget) in (1..).zip(&lines) {
        row(budget, y, begin, &columns, state, pen);
    }
    more(wanted, lines.len(), Action::Slos, state, pen);
}

/// The worst of them, in the order of the table of budgets.
fn worst(state: &State, many: usize) -> Vec<&Budget> {
    let mut all: Vec<_> =
        state.budgets.iter().map(|budget| ((budget.urgency(), budget.key()), budget)).collect();
    if many < all.len() {
        all.select_nth_unstable_by_key(many, |(order, _)| *order);
        all.truncate(many);
    }
    all.sort_unstable_by_key(|(order, _)| *order);
    all.into_iter().map(|(_, budget)| budget).collect()
}

type Shown = fn(&Budget) -> String;

/// Where columns end, what they are called and what they show: as many as there is room for.
fn columns(width: u16) -> Vec<(u16, &'static str, Shown)> {
    let mut all: Vec<(u16, &str, Shown)> = vec![(LEFT, "LEFT", Budget::left)];
    if width >= ROOMY {
        all.push((MINUTES, "MINUTES", Budget::minutes));
    }
    all.push((BURN, "BURN 1h", |budget| budget.burn_in_an_hour().into_owned()));
    all.push((GONE, "GONE IN", |budget| budget.lasts().into_owned()));
    let whole: u16 = all.iter().map(|(width, ..)| width).sum();
    let mut end = width.saturating_sub(whole + 2);
    all.into_iter()
        .map(|(width, heading, shown)| {
            end += width;
            (end, heading, shown)
        })
        .collect()
}

fn row(
    budget: &Budget,
    y: u16,
    begin: u16,
    columns: &[(u16, &'static str, Shown)],
    state: &State,
    pen: &mut Pen<'_>,
) {
    let live = state.is_live(budget.key().region);
    let seen = |tone| if live { tone } else { Tone::Dim };
    let verdict = seen(tone(budget.wellness()));
    pen.text(1, y, pen.theme.glyph(budget.wellness()), verdict);
    let mut x = 3;
    if state.several() {
        let name = region_name(state, budget.key().region);
        pen.clipped(x, y, NAME - 2, name, pen.theme.style(Tone::Dim));
        x += NAME - 1;
    }
    let whose = match &*budget.tenant {
        "" => budget.slo.clone(),
        tenant => format!("{} of {tenant}", budget.slo),
    };
    let plain = pen.theme.style(seen(Tone::Plain));
    let room = begin.saturating_sub(x + 1);
    pen.clipped(x, y, room.min(cells(&whose)), &whose, plain);
    if !budget.is_measured() {
        let end = columns.last().map_or(0, |(end, ..)| *end);
        pen.right(end, y, budget.state_word(), pen.theme.style(verdict));
        return;
    }
    for (place, (end, _, shown)) in columns.iter().enumerate() {
        let tone = if place == 0 { verdict } else { seen(Tone::Plain) };
        pen.right(*end, y, &shown(budget), pen.theme.style(tone));
    }
}
