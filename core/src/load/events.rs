//! All that happens, in the order of time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use super::{
    Load, LoadEvent,
    life::Stage,
    user::{Due, User},
};
use crate::usage::Second;

/// What happens in a [`Load`], in the order of time. Of one second, the users' in the
/// order of the users.
#[derive(Debug)]
pub struct Events {
    load: Load,
    users: Vec<User>,
    /// When which user, or session of theirs, has to do something.
    agenda: BinaryHeap<Reverse<(Second, usize, Due)>>,
    ready: VecDeque<(Second, LoadEvent)>,
    closed: bool,
}

impl Events {
    pub(super) fn new(load: Load) -> Self {
        let mut users = Vec::new();
        for (place, tenant) in load.tenants.iter().enumerate() {
            users.extend((0..tenant.users).map(|index| User::new(&load, place, tenant, index)));
        }
        let mut events =
            Self { load, users, agenda: BinaryHeap::new(), ready: VecDeque::new(), closed: false };
        for (index, user) in events.users.iter_mut().enumerate() {
            if let Some(visit) = user.next_visit(&events.load, events.load.begin) {
                events.agenda.push(Reverse((visit, index, Due::Visit)));
            }
        }
        events
    }

    /// How many sessions there are now, hibernated ones among them.
    pub fn alive(&self) -> usize {
        self.users.iter().map(User::sessions).sum()
    }

    /// How much it has in memory beside users and sessions.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.agenda.len() + self.ready.len()
    }

    /// Does what is due next; whether anything was.
    fn step(&mut self) -> bool {
        let Some(Reverse((at, index, due))) = self.agenda.pop() else {
            return false;
        };
        let Some(user) = self.users.get_mut(index) else {
            return true;
        };
        let mut stage = Stage { load: &self.load, at, ready: &mut self.ready };
        for (next, due) in user.act(due, &mut stage) {
            if next < self.load.end {
                self.agenda.push(Reverse((next, index, due)));
            }
        }
        true
    }

    /// Ends what is alive.
    fn close(&mut self) {
        self.closed = true;
        if self.load.closes {
            let at = self.load.end;
            for user in &mut self.users {
                user.close(&mut Stage { load: &self.load, at, ready: &mut self.ready });
            }
        }
    }
}

impl Iterator for Events {
    type Item = (Second, LoadEvent);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if !self.step() {
                if self.closed {
                    return None;
                }
                self.close();
            }
        }
    }
}
