//! What can be done to a table without knowing its rows: what keys and commands do.

use jiff::Timestamp;

use super::{Sort, Table};
use crate::{
    query::QueryError,
    rows::{Column, Row},
    state::RegionIndex,
};

/// What no column sorts by.
const WORST: &str = "worst";

/// What can be done to a table without knowing its rows.
pub(crate) trait AnyTable {
    /// Lets time pass for what is filtered by it.
    fn set_now(&mut self, now: Timestamp);
    /// Filters anew what changes by time alone.
    fn refresh(&mut self);
    /// Merges in what came.
    fn settle(&mut self);
    /// Takes out all that there is of a region.
    fn empty(&mut self, region: RegionIndex);
    fn select_by(&mut self, rows: isize);
    /// A page up or down: one row of the old page stays in view.
    fn select_by_pages(&mut self, pages: isize);
    fn select_first(&mut self);
    fn select_last(&mut self);
    /// Selects a row in view, counted from the first of them.
    fn select_in_view(&mut self, row: usize) -> bool;
    /// Which of the shown rows is selected.
    fn selection(&self) -> usize;
    /// Says how many rows fit.
    fn set_height(&mut self, height: usize);
    /// Shows what a text or an expression lets through. An error leaves all as it was.
    fn set_filter(&mut self, text: &str) -> Result<(), QueryError>;
    fn filter(&self) -> &str;
    fn sort_by_next(&mut self);
    fn reverse(&mut self);
    /// Sorts by a column's title, in any case; by `worst` without one.
    fn sort_by(&mut self, title: &str, reversed: bool) -> bool;
    /// Sorts by a column's title; where it is sorted so, turns the order round.
    fn sort_or_reverse(&mut self, title: &str);
    /// What it can be sorted by.
    fn orders(&self) -> Vec<String>;
    /// How many there are in the scope.
    fn total(&self) -> usize;
    fn shown(&self) -> usize;
}

/// The columns that a table can be sorted by.
fn sortable<R: Row>() -> impl Iterator<Item = (usize, &'static Column<R>)> {
    R::COLUMNS.iter().enumerate().filter(|(_, column)| column.order.is_some())
}

impl<R: Row> AnyTable for Table<R> {
    fn set_now(&mut self, now: Timestamp) {
        Self::set_now(self, now);
    }

    fn refresh(&mut self) {
        Self::refresh(self);
    }

    fn settle(&mut self) {
        Self::settle(self);
    }

    fn empty(&mut self, region: RegionIndex) {
        self.replace(region, std::iter::empty());
    }

    fn select_by(&mut self, rows: isize) {
        self.choose(self.selected.saturating_add_signed(rows));
    }

    fn select_by_pages(&mut self, pages: isize) {
        let page = self.height.saturating_sub(1).max(1);
        self.select_by(isize::try_from(page).unwrap_or(isize::MAX).saturating_mul(pages));
    }

    fn select_first(&mut self) {
        self.choose(0);
        self.chosen = None;
    }

    fn select_last(&mut self) {
        self.choose(usize::MAX);
    }

    fn select_in_view(&mut self, row: usize) -> bool {
        let is_there = row < self.height && self.first + row < self.order.len();
        if is_there {
            self.choose(self.first + row);
        }
        is_there
    }

    fn selection(&self) -> usize {
        self.selected
    }

    fn set_height(&mut self, height: usize) {
        self.height = height;
        self.keep_in_view();
    }

    fn set_filter(&mut self, text: &str) -> Result<(), QueryError> {
        if text != self.query.text() {
            let query = self.query.with(text, R::FIELDS)?;
            let narrows = query.narrows(&self.query);
            self.query = query;
            if narrows {
                self.narrow();
            } else {
                self.arrange();
            }
        }
        Ok(())
    }

    fn filter(&self) -> &str {
        self.query.text()
    }

    fn sort_by_next(&mut self) {
        let after =
            |current: usize| sortable::<R>().map(|(index, _)| index).find(|index| *index > current);
        let column = match self.sort.column {
            None => sortable::<R>().map(|(index, _)| index).next(),
            Some(current) => after(current),
        };
        self.sort = Sort { column, reversed: false };
        self.sort_again();
    }

    fn reverse(&mut self) {
        self.sort.reversed = !self.sort.reversed;
        self.sort_again();
    }

    fn sort_by(&mut self, title: &str, reversed: bool) -> bool {
        let column = sortable::<R>().find(|(_, column)| column.title.eq_ignore_ascii_case(title));
        if column.is_none() && !title.eq_ignore_ascii_case(WORST) {
            return false;
        }
        self.sort = Sort { column: column.map(|(index, _)| index), reversed };
        self.sort_again();
        true
    }

    fn sort_or_reverse(&mut self, title: &str) {
        let column = self.sort.column.and_then(|column| R::COLUMNS.get(column));
        if column.is_some_and(|column| column.title == title) {
            self.reverse();
        } else {
            self.sort_by(title, false);
        }
    }

    fn orders(&self) -> Vec<String> {
        let titles = sortable::<R>().map(|(_, column)| column.title.to_lowercase());
        std::iter::once(WORST.to_owned()).chain(titles).collect()
    }

    fn total(&self) -> usize {
        self.tally.total
    }

    fn shown(&self) -> usize {
        self.order.len()
    }
}
