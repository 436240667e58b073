//! What stands before what. Names decide between equals, so all rows are kept in the order
//! of their names as well: another order is then one by a single column.

use std::cmp::{Ordering, Reverse};

use super::{Place, Table};
use crate::rows::{Column, Key, Row, SortKey};

impl<R: Row> Table<R> {
    pub(super) fn compare(&self, a: usize, b: usize) -> Ordering {
        let (Some(a), Some(b)) = (self.row(a), self.row(b)) else { return a.cmp(&b) };
        let order = self.sort_key(a).cmp(&self.sort_key(b));
        let order = if self.falls() { order.reverse() } else { order };
        order.then_with(|| by_name(a).cmp(&by_name(b)))
    }

    fn column(&self) -> Option<&'static Column<R>> {
        R::COLUMNS.get(self.sort.column?)
    }

    /// What a row is sorted by, before its name.
    fn sort_key<'a>(&self, row: &'a R) -> SortKey<'a> {
        match self.column().and_then(|column| column.order) {
            Some(order) => order(row),
            None => SortKey::Number(Some(row.urgency())),
        }
    }

    /// Whether the greatest is first.
    fn falls(&self) -> bool {
        self.column().is_some_and(|column| column.falls) != self.sort.reversed
    }

    /// What is shown, in its order. Names are in order already, so that a stable sort has no
    /// need to look at them; and it looks at what is beside the places, not at each row.
    pub(super) fn sorted(&self) -> Vec<usize> {
        let slots = self.names.iter().filter_map(|place| Some((*place, self.slot(*place)?)));
        let shown = slots.filter(|(_, slot)| slot.place == Place::Shown);
        let mut keys: Vec<_> =
            shown.map(|(place, slot)| (self.sort_key(&slot.row), place)).collect();
        if self.falls() {
            keys.sort_by_key(|(key, _)| Reverse(*key));
        } else {
            keys.sort_by_key(|(key, _)| *key);
        }
        keys.into_iter().map(|(_, place)| place).collect()
    }

    /// Brings the order of names up to date.
    pub(super) fn sort_names(&mut self) {
        if !std::mem::take(&mut self.unnamed) {
            return;
        }
        // Nearly all stand where they should, which this sort is quick with.
        self.names.extend(self.names.len()..self.slots.len());
        let named = self.names.iter().map(|place| (self.row(*place).map(by_name), *place));
        let mut named: Vec<_> = named.collect();
        named.sort();
        self.names = named.into_iter().map(|(_, place)| place).collect();
    }
}

/// What a row is called; the key decides where two are called the same.
pub(super) fn by_name<R: Row>(row: &R) -> (Option<SortKey<'_>>, &Key) {
    let order = R::COLUMNS.first().and_then(|column| column.order);
    (order.map(|order| order(row)), row.key())
}
