//! How many rows there are, kept while they come and go.

use crate::rows::Row;

/// How many rows there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) total: usize,
    /// How many need somebody.
    pub(crate) attention: usize,
    /// In each state, as [`Row::STATES`] has them.
    pub(crate) states: Vec<usize>,
}

impl Tally {
    pub(super) fn count<R: Row>(&mut self, row: &R, comes: bool) {
        let add = |number: &mut usize| {
            *number = if comes { *number + 1 } else { number.saturating_sub(1) };
        };
        self.states.resize(R::STATES.len(), 0);
        add(&mut self.total);
        if row.wellness().needs_attention() {
            add(&mut self.attention);
        }
        if let Some(state) = self.states.get_mut(row.state()) {
            add(state);
        }
    }

    /// How many are in a state.
    pub(crate) fn in_state(&self, state: usize) -> usize {
        self.states.get(state).copied().unwrap_or(0)
    }
}
