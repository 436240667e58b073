//! What is told of the projection: to health, metrics and people.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

/// How the projection is. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ProjectionBoard {
    state: Arc<Mutex<ProjectionState>>,
}

/// How the projection is at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectionState {
    /// Whether this replica follows the cluster.
    pub follows: bool,
    /// Sessions and homes that are known.
    pub known: u64,
    /// Sessions and homes that were seen in namespaces of no tenant, at the last list.
    pub homeless: u64,
    /// Objects that the database did not take, since the start.
    pub refused: u64,
    /// Complete lists that were made, since the start.
    pub lists: u64,
    /// Through when everything that happened is stored, by the API server's clock.
    pub watched: Option<Timestamp>,
    /// Why nothing comes, while that is so; empty otherwise.
    pub fault: String,
}

impl ProjectionBoard {
    /// How it is now.
    pub fn read(&self) -> ProjectionState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn edit(&self, edit: impl FnOnce(&mut ProjectionState)) {
        edit(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes what hinders, or that nothing does. Returns whether that is news.
    pub(super) fn fault(&self, fault: &str) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = state.fault != fault;
        fault.clone_into(&mut state.fault);
        is_news
    }
}
