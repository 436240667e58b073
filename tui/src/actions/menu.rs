//! The list of what can be done to one thing.

use super::{Subject, Verb};

/// One line of it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) verb: Verb,
    /// Why it cannot be picked.
    pub(crate) missing: Option<String>,
}

/// The list, and which line is selected.
#[derive(Clone, Debug)]
pub(crate) struct Menu {
    pub(crate) subject: Subject,
    pub(crate) items: Vec<Item>,
    pub(crate) selected: usize,
}

impl Menu {
    /// What can be done to a thing, where its `missing` says of each verb why it cannot.
    pub(crate) fn new(subject: Subject, missing: impl Fn(Verb) -> Option<String>) -> Self {
        let items = Verb::of(subject.kind)
            .iter()
            .map(|verb| Item { verb: *verb, missing: missing(*verb) })
            .collect();
        Self { subject, items, selected: 0 }
    }

    pub(crate) fn select_by(&mut self, rows: isize) {
        let last = self.items.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(rows).min(last);
    }

    /// The selected verb, or the one of a key, where it may be done.
    pub(crate) fn pick(&self, key: Option<char>) -> Option<Verb> {
        let item = match key {
            Some(key) => self.items.iter().find(|item| item.verb.key() == key),
            None => self.items.get(self.selected),
        };
        item.filter(|item| item.missing.is_none()).map(|item| item.verb)
    }
}
