//! All rows of one kind: which of them are shown, in which order, and which are in
//! view.
//!
//! A change costs the place of one row, however many there are: the order is kept, and
//! what comes is merged into it.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use crate::{
    pen::cells,
    query::Query,
    rows::{Align, Key, Row, Scope, Wellness},
    state::RegionIndex,
};

mod any;
mod order;
mod tally;
#[cfg(test)]
mod tests;

pub(crate) use any::AnyTable;
use order::by_name;
pub(crate) use tally::Tally;

/// From so many on the order is made anew rather than mended.
const MANY: usize = 1000;

/// What the rows are sorted by. Names decide between equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sort {
    /// The column; none is the worst first.
    pub(crate) column: Option<usize>,
    /// Against the column's own direction.
    pub(crate) reversed: bool,
}

/// Whether a row is in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Shown,
    /// It will be once [`Table::settle`] was called.
    Arriving,
    Hidden,
}

#[derive(Clone, Debug)]
struct Slot<R> {
    row: R,
    place: Place,
    /// The snapshot that brought it.
    snapshot: u32,
}

impl<R: Row> Slot<R> {
    /// Judges whether it is shown, and where it is, makes the columns wide enough.
    fn admit(&mut self, query: &Query, widths: &mut Vec<u16>, now: Timestamp) -> bool {
        let is_wanted = query.admits(&self.row, now);
        self.place = if is_wanted { Place::Shown } else { Place::Hidden };
        if is_wanted {
            measure(widths, &self.row, now);
        }
        is_wanted
    }
}

/// The snapshots of one region.
#[derive(Clone, Copy, Debug, Default)]
struct Snapshot {
    number: u32,
    /// How many rows the one under way has brought; none where none is.
    loaded: Option<usize>,
}

/// Rows, and a window on them.
#[derive(Clone, Debug)]
pub(crate) struct Table<R> {
    slots: Vec<Option<Slot<R>>>,
    free: Vec<usize>,
    places: HashMap<Key, usize>,
    /// All places, in the order of what their rows were called when that was last looked at.
    names: Vec<usize>,
    /// Whether something is called otherwise since then.
    unnamed: bool,
    /// What is shown, sorted.
    order: Vec<usize>,
    /// What is to be merged into the order.
    arriving: Vec<usize>,
    /// The order must be made anew.
    stale: bool,
    query: Query,
    sort: Sort,
    selected: usize,
    /// The row that somebody chose. Until then the top one is selected, whichever it is.
    chosen: Option<Key>,
    /// The first row in view.
    first: usize,
    /// How many rows fit.
    height: usize,
    snapshots: HashMap<RegionIndex, Snapshot>,
    widths: Vec<u16>,
    /// Of what is in the scope.
    tally: Tally,
    tallies: HashMap<RegionIndex, Tally>,
    /// What needs somebody, the worst first.
    needy: BTreeSet<(Wellness, Key)>,
    now: Timestamp,
}

impl<R: Row> Table<R> {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            names: Vec::new(),
            unnamed: false,
            order: Vec::new(),
            arriving: Vec::new(),
            stale: false,
            query: Query::default(),
            sort: Sort::default(),
            selected: 0,
            chosen: None,
            first: 0,
            height: 0,
            snapshots: HashMap::new(),
            widths: Vec::new(),
            tally: Tally::default(),
            tallies: HashMap::new(),
            needy: BTreeSet::new(),
            now,
        }
    }

    /// One that is sorted by a column from the beginning.
    pub(crate) fn sorted_by(column: Option<usize>, now: Timestamp) -> Self {
        Self { sort: Sort { column, reversed: false }, ..Self::new(now) }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&R> {
        self.row(*self.places.get(key)?)
    }

    /// All rows, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &R> {
        self.slots.iter().flatten().map(|slot| &slot.row)
    }

    /// The first rows of what is shown, in its order.
    pub(crate) fn top(&self) -> impl Iterator<Item = &R> {
        self.order.iter().filter_map(|place| self.row(*place))
    }

    pub(crate) fn sort(&self) -> Sort {
        self.sort
    }

    pub(crate) fn query(&self) -> &Query {
        &self.query
    }

    /// The widest text of each column, so that columns do not jump while scrolling.
    pub(crate) fn widths(&self) -> &[u16] {
        &self.widths
    }

    /// How many rows there are in the scope.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many rows a region has.
    pub(crate) fn tally_of(&self, region: RegionIndex) -> Option<&Tally> {
        self.tallies.get(&region)
    }

    /// What needs somebody, the worst first.
    pub(crate) fn needy(&self) -> impl Iterator<Item = &R> {
        self.needy.iter().filter_map(|(_, key)| self.get(key))
    }

    /// How many of the scope are in each state, in the order of a row's life.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let counts = R::STATES.iter().copied().zip(self.tally.states.iter().copied());
        counts.filter(|(_, count)| *count > 0)
    }

    /// The row that keys act on; none in an empty table.
    pub(crate) fn selected(&self) -> Option<&R> {
        self.row(*self.order.get(self.selected)?)
    }

    /// Where the selected row is among those that are shown, from 1.
    pub(crate) fn position(&self) -> usize {
        self.order.len().min(self.selected + 1)
    }

    /// The rows in view, and whether each is the selected one.
    pub(crate) fn window(&self) -> impl Iterator<Item = (&R, bool)> {
        let end = self.first.saturating_add(self.height).min(self.order.len());
        let places = self.order.get(self.first..end).unwrap_or_default();
        (self.first..)
            .zip(places)
            .filter_map(|(index, place)| Some((self.row(*place)?, index == self.selected)))
    }

    /// Puts a row in or replaces it. Call [`Self::settle`] after the last of several.
    pub(crate) fn put(&mut self, row: R) {
        let place = self.places.get(row.key()).copied();
        let old = place.and_then(|place| self.take(place));
        self.unnamed |= old.as_ref().is_none_or(|old| by_name(&old.row) != by_name(&row));
        let snapshot = self.snapshots.entry(row.key().region).or_default();
        let number = snapshot.number;
        if let Some(loaded) = &mut snapshot.loaded
            && old.is_none_or(|old| old.snapshot != number)
        {
            *loaded += 1;
        }
        let place = place.unwrap_or_else(|| self.free.pop().unwrap_or(self.slots.len()));
        self.places.entry(row.key().clone()).or_insert(place);
        self.count(&row, true);
        let is_wanted = self.query.admits(&row, self.now);
        if is_wanted {
            measure(&mut self.widths, &row, self.now);
            self.arriving.push(place);
        }
        let state = if is_wanted { Place::Arriving } else { Place::Hidden };
        let slot = Some(Slot { row, place: state, snapshot: number });
        if let Some(free) = self.slots.get_mut(place) {
            *free = slot;
        } else {
            self.make_room();
            self.slots.push(slot);
        }
    }

    /// Grows by an eighth, for twice as much as fifty thousand rows need is much.
    fn make_room(&mut self) {
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact(self.slots.len() / 8 + 64);
        }
    }

    /// Takes a row out. Call [`Self::settle`] after the last of several.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<R> {
        let place = self.places.remove(key)?;
        let slot = self.take(place)?;
        self.free.push(place);
        Some(slot.row)
    }

    /// From here on it is noted what comes from a region.
    pub(crate) fn begin_snapshot(&mut self, region: RegionIndex) {
        let snapshot = self.snapshots.entry(region).or_default();
        snapshot.number = snapshot.number.wrapping_add(1);
        snapshot.loaded = Some(0);
    }

    /// Drops what the snapshot did not bring.
    pub(crate) fn end_snapshot(&mut self, region: RegionIndex) {
        let snapshot = self.snapshots.entry(region).or_default();
        if snapshot.loaded.take().is_none() {
            return;
        }
        let number = snapshot.number;
        let slots = self.slots.iter().flatten();
        let is_over = |slot: &&Slot<R>| slot.row.key().region == region && slot.snapshot != number;
        let over: Vec<Key> = slots.filter(is_over).map(|slot| slot.row.key().clone()).collect();
        // One by one each costs the moving of what is below it.
        self.stale |= over.len() > MANY;
        for key in over {
            self.remove(&key);
        }
        // Now, for nobody waits for a key's effect.
        self.sort_names();
    }

    /// Puts rows in the place of all that there are of a region.
    pub(crate) fn replace(&mut self, region: RegionIndex, rows: impl Iterator<Item = R>) {
        self.begin_snapshot(region);
        rows.for_each(|row| self.put(row));
        self.end_snapshot(region);
        self.settle();
    }

    /// How many rows the snapshot of a region that is under way has brought.
    pub(crate) fn loaded(&self, region: RegionIndex) -> usize {
        self.snapshots.get(&region).and_then(|snapshot| snapshot.loaded).unwrap_or(0)
    }

    /// Shows only what belongs to a tenant. What was typed is forgotten.
    pub(crate) fn set_scope(&mut self, scope: Option<Scope>) {
        if self.query.scope() != scope.as_ref() {
            self.query = Query::of(scope);
            self.chosen = None;
            let mut tally = Tally::default();
            for row in self.iter().filter(|row| self.query.is_within(*row)) {
                tally.count(row, true);
            }
            self.tally = tally;
            self.arrange();
        }
    }

    /// Lets time pass for what is filtered by it.
    pub(crate) fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Filters anew what changes by time alone.
    pub(crate) fn refresh(&mut self) {
        if self.query.is_timed() {
            self.arrange();
        }
    }

    /// Merges in what came.
    pub(crate) fn settle(&mut self) {
        if self.stale {
            self.arrange();
            return;
        }
        let mut arrived = std::mem::take(&mut self.arriving);
        arrived.retain(|place| self.appear(*place));
        if !arrived.is_empty() {
            arrived.sort_unstable_by(|a, b| self.compare(*a, *b));
            self.order = self.merged(&arrived);
        }
        // Its room is for the next ones.
        arrived.clear();
        self.arriving = arrived;
        self.follow();
    }

    /// Filters, measures and sorts anew.
    fn arrange(&mut self) {
        self.arriving.clear();
        self.widths.clear();
        let Self { slots, query, widths, now, .. } = self;
        for slot in slots.iter_mut().flatten() {
            slot.admit(query, widths, *now);
        }
        self.sort_again();
    }

    /// Sorts anew what is shown.
    fn sort_again(&mut self) {
        self.stale = false;
        for place in std::mem::take(&mut self.arriving) {
            self.appear(place);
        }
        self.sort_names();
        self.order = self.sorted();
        self.follow();
    }

    /// Takes out of the order what a narrower filter does not let through.
    fn narrow(&mut self) {
        self.settle();
        self.widths.clear();
        let Self { slots, order, query, widths, now, .. } = self;
        order.retain(|place| match slots.get_mut(*place) {
            Some(Some(slot)) => slot.admit(query, widths, *now),
            _ => false,
        });
        self.follow();
    }

    fn slot(&self, place: usize) -> Option<&Slot<R>> {
        self.slots.get(place)?.as_ref()
    }

    fn row(&self, place: usize) -> Option<&R> {
        self.slot(place).map(|slot| &slot.row)
    }

    /// Empties a slot: out of the order, out of the counts.
    fn take(&mut self, place: usize) -> Option<Slot<R>> {
        let is_shown = self.slot(place)?.place == Place::Shown;
        if is_shown
            && !self.stale
            && let Some(index) = self.find(place)
        {
            self.order.remove(index);
        }
        let slot = self.slots.get_mut(place)?.take()?;
        self.count(&slot.row, false);
        Some(slot)
    }

    /// Where a row that is shown is in the order.
    fn find(&self, place: usize) -> Option<usize> {
        let index = self.order.binary_search_by(|other| self.compare(*other, place)).ok()?;
        (self.order.get(index) == Some(&place)).then_some(index)
    }

    fn appear(&mut self, place: usize) -> bool {
        match self.slots.get_mut(place) {
            // What came twice appears once.
            Some(Some(slot)) if slot.place == Place::Arriving => {
                slot.place = Place::Shown;
                true
            }
            _ => false,
        }
    }

    fn merged(&self, arrived: &[usize]) -> Vec<usize> {
        let mut merged = Vec::with_capacity(self.order.len() + arrived.len());
        let mut rest = self.order.as_slice();
        for place in arrived {
            let before = rest.partition_point(|other| self.compare(*other, *place).is_lt());
            let (sooner, later) = rest.split_at(before);
            merged.extend_from_slice(sooner);
            merged.push(*place);
            rest = later;
        }
        merged.extend_from_slice(rest);
        merged
    }

    fn count(&mut self, row: &R, comes: bool) {
        let key = row.key();
        self.tallies.entry(key.region).or_default().count(row, comes);
        if self.query.is_within(row) {
            self.tally.count(row, comes);
        }
        let wellness = row.wellness();
        if comes && wellness.needs_attention() {
            self.needy.insert((wellness, key.clone()));
        } else if wellness.needs_attention() {
            self.needy.remove(&(wellness, key.clone()));
        }
    }

    /// Puts the selection right after the order has changed.
    fn follow(&mut self) {
        match self.chosen.as_ref().and_then(|key| self.places.get(key)) {
            Some(place) => {
                let place = *place;
                if let Some(index) = self.find(place) {
                    self.selected = index;
                }
            }
            None if self.chosen.is_none() => self.selected = 0,
            // It is gone: the next one takes its place.
            None => {}
        }
        self.keep_in_view();
    }

    fn choose(&mut self, index: usize) {
        self.selected = index;
        self.keep_in_view();
        self.chosen = self.selected().map(|row| row.key().clone());
    }

    fn keep_in_view(&mut self) {
        let last = self.order.len().saturating_sub(1);
        self.selected = self.selected.min(last);
        let height = self.height.max(1);
        let lowest = self.selected.saturating_sub(height - 1);
        // No empty rows below the last one.
        let highest = self.selected.min(self.order.len().saturating_sub(height));
        self.first = self.first.max(lowest).min(highest.max(lowest));
    }
}

/// Makes the columns wide enough for a row.
fn measure<R: Row>(widths: &mut Vec<u16>, row: &R, now: Timestamp) {
    widths.resize(R::COLUMNS.len(), 0);
    for (width, column) in widths.iter_mut().zip(R::COLUMNS) {
        // The others have one width at all times.
        if column.align == Align::Left && *width < column.most {
            let text = (column.text)(row, now);
            // No text is wider than it has bytes.
            if text.len() > usize::from(*width) {
                *width = cells(&text).max(*width);
            }
        }
    }
}
