//! The tenants in the order of the table, and which of them are in view.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, HashMap, HashSet},
};

use streamspace_proto::v1::TenantState;

use super::{Tenant, TenantKey, state_word};
use crate::pen::cells;

/// What the table is sorted by. Names decide between equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    /// What needs somebody comes first.
    #[default]
    Worst,
    Name,
    State,
    Plan,
    /// The most first.
    Seats,
    /// The newest first.
    Age,
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::Worst => Self::Name,
            Self::Name => Self::State,
            Self::State => Self::Plan,
            Self::Plan => Self::Seats,
            Self::Seats => Self::Age,
            Self::Age => Self::Worst,
        }
    }

    fn compare(self, a: &Tenant, b: &Tenant) -> Ordering {
        let by_key = match self {
            Self::Worst => a.wellness.cmp(&b.wellness),
            Self::Name => Ordering::Equal,
            Self::State => a.whole.state.cmp(&b.whole.state),
            Self::Plan => a.plan.cmp(&b.plan),
            Self::Seats => b.whole.seats.cmp(&a.whole.seats),
            Self::Age => Reverse(a.created).cmp(&Reverse(b.created)),
        };
        by_key.then_with(|| a.id.cmp(&b.id)).then_with(|| a.key.cmp(&b.key))
    }
}

/// The widest text of each column among the tenants that the filter lets through,
/// so that columns do not jump while scrolling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Widths {
    pub(crate) id: u16,
    pub(crate) state: u16,
    pub(crate) plan: u16,
    pub(crate) seats: u16,
    pub(crate) namespace: u16,
}

/// All tenants, and a window on them.
#[derive(Clone, Debug, Default)]
pub(crate) struct TenantList {
    by_key: HashMap<TenantKey, Tenant>,
    /// What the filter lets through, sorted.
    visible: Vec<TenantKey>,
    filter: String,
    sort: Sort,
    reversed: bool,
    selected: usize,
    /// Whether somebody chose the row. Until then the top one is selected,
    /// whichever it is; afterwards the selection follows its tenant.
    chosen: bool,
    /// The first row in view.
    first: usize,
    /// How many rows fit.
    height: usize,
    /// What the snapshot under way has brought.
    snapshot: Option<HashSet<TenantKey>>,
    widths: Widths,
    counts: BTreeMap<i32, usize>,
    attention: usize,
}

impl TenantList {
    pub(crate) fn get(&self, key: &TenantKey) -> Option<&Tenant> {
        self.by_key.get(key)
    }

    /// How many there are, filtered or not.
    pub(crate) fn total(&self) -> usize {
        self.by_key.len()
    }

    /// How many the filter lets through.
    pub(crate) fn shown(&self) -> usize {
        self.visible.len()
    }

    pub(crate) fn filter(&self) -> &str {
        &self.filter
    }

    pub(crate) fn sort(&self) -> (Sort, bool) {
        (self.sort, self.reversed)
    }

    pub(crate) fn widths(&self) -> Widths {
        self.widths
    }

    /// How many of all tenants need somebody.
    pub(crate) fn attention(&self) -> usize {
        self.attention
    }

    /// How many of all tenants are in each state, in the order of a tenant's life.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (TenantState, usize)> {
        self.counts
            .iter()
            .map(|(state, count)| (TenantState::try_from(*state).unwrap_or_default(), *count))
    }

    /// The row that keys act on; none in an empty table.
    pub(crate) fn selected(&self) -> Option<&Tenant> {
        self.by_key.get(self.visible.get(self.selected)?)
    }

    /// The rows in view, and whether each is the selected one.
    pub(crate) fn window(&self) -> impl Iterator<Item = (&Tenant, bool)> {
        let end = self.first.saturating_add(self.height);
        let end = end.min(self.visible.len());
        let keys = self.visible.get(self.first..end).unwrap_or_default();
        (self.first..)
            .zip(keys)
            .filter_map(|(index, key)| Some((self.by_key.get(key)?, index == self.selected)))
    }

    /// Puts a tenant in or replaces it, and returns what it was. Call
    /// [`Self::arrange`] after the last of several.
    pub(crate) fn put(&mut self, tenant: Tenant) -> Option<Tenant> {
        if let Some(seen) = &mut self.snapshot {
            seen.insert(tenant.key.clone());
        }
        self.by_key.insert(tenant.key.clone(), tenant)
    }

    /// Takes a tenant out. Call [`Self::arrange`] after the last of several.
    pub(crate) fn remove(&mut self, key: &TenantKey) -> Option<Tenant> {
        if let Some(seen) = &mut self.snapshot {
            seen.remove(key);
        }
        self.by_key.remove(key)
    }

    /// From here on it is noted what comes.
    pub(crate) fn begin_snapshot(&mut self) {
        self.snapshot = Some(HashSet::new());
    }

    /// Drops what the snapshot did not bring.
    pub(crate) fn end_snapshot(&mut self) {
        if let Some(seen) = self.snapshot.take() {
            self.by_key.retain(|key, _| seen.contains(key));
        }
    }

    /// How many tenants the snapshot under way has brought.
    pub(crate) fn loaded(&self) -> usize {
        self.snapshot.as_ref().map_or(0, HashSet::len)
    }

    /// Filters, sorts and counts anew.
    pub(crate) fn arrange(&mut self) {
        let selected = self.visible.get(self.selected).filter(|_| self.chosen).cloned();
        let wanted = self.filter.to_lowercase();
        let mut rows: Vec<&Tenant> =
            self.by_key.values().filter(|tenant| tenant.contains(&wanted)).collect();
        let (sort, reversed) = (self.sort, self.reversed);
        rows.sort_unstable_by(|a, b| {
            let order = sort.compare(a, b);
            if reversed { order.reverse() } else { order }
        });
        self.widths = rows.iter().fold(Widths::default(), |widths, row| Widths {
            id: widths.id.max(row.id_width),
            state: widths.state.max(cells(state_word(row.whole.state()))),
            plan: widths.plan.max(row.plan_width),
            seats: widths.seats.max(cells(&row.seats)),
            namespace: widths.namespace.max(row.namespace_width),
        });
        let visible: Vec<_> = rows.into_iter().map(|row| row.key.clone()).collect();
        self.visible = visible;

        self.counts.clear();
        self.attention = 0;
        for tenant in self.by_key.values() {
            *self.counts.entry(tenant.whole.state).or_default() += 1;
            self.attention += usize::from(tenant.wellness.needs_attention());
        }
        if !self.chosen {
            self.selected = 0;
        } else if let Some(key) = selected
            && let Some(place) = self.visible.iter().position(|other| *other == key)
        {
            self.selected = place;
        }
        self.keep_in_view();
    }

    pub(crate) fn set_filter(&mut self, filter: String) {
        self.filter = filter;
        self.arrange();
    }

    pub(crate) fn sort_by_next(&mut self) {
        self.sort = self.sort.next();
        self.reversed = false;
        self.arrange();
    }

    pub(crate) fn reverse(&mut self) {
        self.reversed = !self.reversed;
        self.arrange();
    }

    /// Says how many rows fit.
    pub(crate) fn set_height(&mut self, height: usize) {
        self.height = height;
        self.keep_in_view();
    }

    pub(crate) fn select_by(&mut self, rows: isize) {
        self.chosen = true;
        self.selected = self.selected.saturating_add_signed(rows);
        self.keep_in_view();
    }

    /// A page up or down: one row of the old page stays in view.
    pub(crate) fn select_by_pages(&mut self, pages: isize) {
        let page = self.height.saturating_sub(1).max(1);
        self.select_by(isize::try_from(page).unwrap_or(isize::MAX).saturating_mul(pages));
    }

    pub(crate) fn select_first(&mut self) {
        self.chosen = false;
        self.selected = 0;
        self.keep_in_view();
    }

    pub(crate) fn select_last(&mut self) {
        self.chosen = true;
        self.selected = usize::MAX;
        self.keep_in_view();
    }

    fn keep_in_view(&mut self) {
        let last = self.visible.len().saturating_sub(1);
        self.selected = self.selected.min(last);
        let height = self.height.max(1);
        let lowest = self.selected.saturating_sub(height - 1);
        // No empty rows below the last one.
        let highest = self.selected.min(self.visible.len().saturating_sub(height));
        self.first = self.first.max(lowest).min(highest.max(lowest));
    }
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1;

    use super::*;

    fn tenant(id: &str, state: TenantState, seats: i32) -> Tenant {
        Tenant::new(v1::Tenant {
            name: format!("tenants/{id}"),
            uid: format!("uid-{id}"),
            plan: "plans/free".into(),
            state: state.into(),
            seats,
            ..v1::Tenant::default()
        })
    }

    fn ids(list: &TenantList) -> Vec<&str> {
        list.window().map(|(tenant, _)| tenant.id.as_str()).collect()
    }

    fn list() -> TenantList {
        let mut list = TenantList::default();
        list.set_height(10);
        list.put(tenant("b", TenantState::Active, 1));
        list.put(tenant("a", TenantState::Active, 2));
        list.put(tenant("c", TenantState::Provisioning, 3));
        list.arrange();
        list
    }

    #[test]
    fn the_worst_is_first_and_names_decide_between_equals() {
        assert_eq!(ids(&list()), ["c", "a", "b"]);
    }

    #[test]
    fn sorting_goes_through_the_columns_and_turns_round() {
        let mut list = list();
        list.sort_by_next();
        assert_eq!(ids(&list), ["a", "b", "c"]);
        list.reverse();
        assert_eq!(ids(&list), ["c", "b", "a"]);
        while list.sort().0 != Sort::Seats {
            list.sort_by_next();
        }
        assert_eq!(ids(&list), ["c", "a", "b"]);
    }

    #[test]
    fn the_selection_follows_its_tenant_once_somebody_chose_it() {
        let mut list = list();
        list.put(tenant("0", TenantState::Provisioning, 1));
        list.arrange();
        assert_eq!(list.selected().unwrap().id, "0", "nobody chose");
        list.select_by(2);
        assert_eq!(list.selected().unwrap().id, "a");
        list.put(tenant("a", TenantState::Provisioning, 1));
        list.arrange();
        assert_eq!(list.selected().unwrap().id, "a");
        list.remove(&tenant("a", TenantState::Active, 1).key);
        list.arrange();
        assert_eq!(list.selected().unwrap().id, "c", "the next takes its place");
    }

    #[test]
    fn a_snapshot_drops_what_it_does_not_hold() {
        let mut list = list();
        list.begin_snapshot();
        list.put(tenant("b", TenantState::Active, 1));
        list.arrange();
        assert_eq!((list.total(), list.loaded()), (3, 1), "old data stay until the end");
        list.end_snapshot();
        list.arrange();
        assert_eq!(ids(&list), ["b"]);
    }

    #[test]
    fn the_window_has_only_what_fits() {
        let mut list = list();
        list.set_height(2);
        assert_eq!(ids(&list), ["c", "a"]);
        list.select_last();
        assert_eq!(ids(&list), ["a", "b"]);
        list.select_by(-1);
        assert_eq!(ids(&list), ["a", "b"], "it moves only where it must");
        list.set_filter("PROV".into());
        assert_eq!(ids(&list), ["c"]);
    }
}
