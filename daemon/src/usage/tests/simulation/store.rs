//! The database in memory, which writes down what is done to it.

use std::{collections::BTreeSet, ops::Deref};

use super::{memory, *};

/// One transaction, and what came of it.
#[derive(Debug)]
pub(super) enum Step {
    Append(Vec<Transition>),
    Lead(LeaderTerm),
    Listed {
        term: LeaderTerm,
        listing: Listing,
        listed: Vec<SessionUid>,
        outcome: Result<u64, Refusal>,
    },
    Confirmed {
        term: LeaderTerm,
        at: Second,
        outcome: Result<(), Refusal>,
    },
    Commit {
        commit: Commit,
        outcome: Result<(), Refusal>,
    },
    Correct {
        term: LeaderTerm,
        outcome: Result<(), Refusal>,
    },
}

pub(super) struct Store {
    memory: memory::Store,
    steps: Vec<Step>,
}

impl Deref for Store {
    type Target = memory::Store;

    fn deref(&self) -> &memory::Store {
        &self.memory
    }
}

impl Store {
    pub(super) fn new(begin: Second) -> Self {
        Self { memory: memory::Store::new(begin), steps: Vec::new() }
    }

    pub(super) fn done(self) -> (memory::Store, Vec<Step>) {
        (self.memory, self.steps)
    }

    pub(super) fn append(&mut self, transitions: impl IntoIterator<Item = Transition>) {
        let transitions: Vec<_> = transitions.into_iter().collect();
        if transitions.is_empty() {
            return;
        }
        self.memory.append(transitions.iter().copied());
        self.steps.push(Step::Append(transitions));
    }

    pub(super) fn lead(&mut self) -> LeaderTerm {
        let term = self.memory.lead();
        self.steps.push(Step::Lead(term));
        term
    }

    pub(super) fn listed(
        &mut self,
        term: LeaderTerm,
        listing: Listing,
        listed: &BTreeSet<SessionUid>,
    ) -> Result<u64, Refusal> {
        let outcome = self.memory.listed(term, listing, listed);
        let listed = listed.iter().copied().collect();
        self.steps.push(Step::Listed { term, listing, listed, outcome });
        outcome
    }

    pub(super) fn confirmed(&mut self, term: LeaderTerm, at: Second) -> Result<(), Refusal> {
        let outcome = self.memory.confirmed(term, at);
        self.steps.push(Step::Confirmed { term, at, outcome });
        outcome
    }

    pub(super) fn commit(&mut self, commit: &Commit, rows: &[Interval]) -> Result<(), Refusal> {
        let outcome = self.memory.commit(commit, rows);
        self.steps.push(Step::Commit { commit: *commit, outcome });
        outcome
    }

    pub(super) fn correct(&mut self, term: LeaderTerm) -> Result<u64, Refusal> {
        let outcome = self.memory.correct(term);
        self.steps.push(Step::Correct { term, outcome: outcome.map(|_| ()) });
        outcome
    }
}
