//! The faults in force, their names and their ends.
//!
//! They live in memory, as the simulator's own rules do, and so do the replies by
//! request id: a start begins with the faults of its configuration and no others.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use streamspace_core::violation::Violation;
use streamspace_proto::v1::{self, FaultKind};
use streamspace_sim::{ActiveFault, FaultRule, Faults};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::convert;
use crate::rpc::{
    errors::{RpcError, RpcResult},
    time::timestamp,
};

/// What the names of faults begin with.
pub(super) const PREFIX: &str = "faults/";
/// So many faults may be in force.
const MOST: usize = 100;
/// So many replies are kept for retries.
const REMEMBERED: usize = 1000;

/// The faults of a simulated cluster; clones share them.
#[derive(Clone, Debug)]
pub struct FaultBoard {
    faults: Faults,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest first.
    held: Vec<Held>,
    /// The oldest first.
    replies: VecDeque<Remembered>,
}

/// What the simulator does not know of a fault.
#[derive(Debug)]
struct Held {
    id: u64,
    shown: v1::Fault,
    end: Option<AbortHandle>,
}

/// A mutating request that was done.
#[derive(Debug)]
struct Remembered {
    key: Key,
    reply: Reply,
}

/// Tells a retry from another request.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// Who asked.
    pub(super) actor: String,
    /// The id that they chose.
    pub(super) id: Uuid,
    /// The digest of the request without its id.
    pub(super) sha256: Vec<u8>,
}

/// What a request was answered with.
#[derive(Clone, Debug)]
enum Reply {
    Created(Box<v1::Fault>),
    Ended(Vec<v1::Fault>),
}

/// Which faults are to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    One(u64),
    All,
}

impl FaultBoard {
    /// The faults of this simulator, of which none are in force yet.
    pub fn new(faults: Faults) -> Self {
        Self { faults, state: Arc::default() }
    }

    /// Adds a fault of the configuration. The violations name their fields as
    /// `fault.percent` is.
    pub(super) fn configure(
        &self,
        fault: &v1::Fault,
        ttl: Option<SignedDuration>,
    ) -> Result<v1::Fault, Vec<Violation>> {
        let rule = convert::rule(fault)?;
        self.insert(&mut self.state(), fault, rule, ttl)
    }

    /// Adds a fault, or tells what it would be.
    pub(super) fn create(
        &self,
        fault: &v1::Fault,
        ttl: Option<SignedDuration>,
        key: Option<Key>,
        validate_only: bool,
    ) -> RpcResult<v1::Fault> {
        let mut state = self.state();
        if let Some(reply) = state.reply(key.as_ref())? {
            let Reply::Created(first) = reply else { return Err(RpcError::RequestIdReused) };
            return Ok(*first);
        }
        let rule = convert::rule(fault).map_err(RpcError::Invalid)?;
        if state.held.len() >= MOST {
            return Err(RpcError::Refused {
                reason: "FAULT_LIMIT",
                message: format!(
                    "{MOST} faults are there already, the spent ones among them: end some with \
                     `ssctl simulator fault delete NAME`, or all with --all"
                ),
            });
        }
        if validate_only {
            return Ok(shown(fault, ttl));
        }
        let reply = self.insert(&mut state, fault, rule, ttl).map_err(RpcError::Invalid)?;
        state.remember(key, Reply::Created(Box::new(reply.clone())));
        Ok(reply)
    }

    /// Every fault, the newest first, with how often it acted.
    pub(super) fn list(&self) -> Vec<v1::Fault> {
        let state = self.state();
        let active = self.faults.list();
        state.held.iter().rev().map(|held| held.with_hits(&active)).collect()
    }

    /// Ends faults, or tells which it would end.
    pub(super) fn delete(
        &self,
        which: Which,
        key: Option<Key>,
        validate_only: bool,
    ) -> RpcResult<Vec<v1::Fault>> {
        let mut state = self.state();
        if let Some(reply) = state.reply(key.as_ref())? {
            let Reply::Ended(first) = reply else { return Err(RpcError::RequestIdReused) };
            return Ok(first);
        }
        let fits = |held: &Held| which == Which::All || which == Which::One(held.id);
        if let Which::One(id) = which
            && !state.held.iter().any(fits)
        {
            return Err(RpcError::NotFound(format!("{PREFIX}{id}")));
        }
        if validate_only {
            let active = self.faults.list();
            let found = state.held.iter().rev().filter(|held| fits(held));
            return Ok(found.map(|held| held.with_hits(&active)).collect());
        }
        let found = state.held.iter().rev().filter(|held| fits(held));
        let ids: Vec<u64> = found.map(|held| held.id).collect();
        let ended: Vec<v1::Fault> =
            ids.into_iter().filter_map(|id| self.remove(&mut state, id)).collect();
        state.remember(key, Reply::Ended(ended.clone()));
        Ok(ended)
    }

    fn insert(
        &self,
        state: &mut State,
        fault: &v1::Fault,
        rule: FaultRule,
        ttl: Option<SignedDuration>,
    ) -> Result<v1::Fault, Vec<Violation>> {
        // What is asked for was judged field by field; this holds whatever else the
        // simulator cannot follow.
        let id = self.faults.add(rule).map_err(|error| {
            vec![Violation { field: "fault".into(), description: error.to_string() }]
        })?;
        if fault.kind() == FaultKind::CutWatch {
            // A watch meets a fault where it is opened: those that are open are opened anew.
            self.faults.cut_watches();
        }
        let shown = v1::Fault { name: format!("{PREFIX}{id}"), ..shown(fault, ttl) };
        tracing::info!(
            fault = shown.name,
            kind = shown.kind().as_str_name(),
            "the simulated cluster fails from now on"
        );
        let end = ttl.map(|ttl| {
            let board = self.clone();
            let ttl = Duration::try_from(ttl).unwrap_or_default();
            tokio::spawn(async move {
                tokio::time::sleep(ttl).await;
                board.remove(&mut board.state(), id);
            })
            .abort_handle()
        });
        state.held.push(Held { id, shown: shown.clone(), end });
        Ok(shown)
    }

    /// Ends a fault and tells how often it acted.
    fn remove(&self, state: &mut State, id: u64) -> Option<v1::Fault> {
        let index = state.held.iter().position(|held| held.id == id)?;
        let held = state.held.remove(index);
        let last = self.faults.list();
        self.faults.remove(id);
        if let Some(end) = &held.end {
            end.abort();
        }
        let ended = held.with_hits(&last);
        tracing::info!(
            fault = ended.name,
            hits = ended.hits,
            "the simulated cluster does not fail so any more"
        );
        Some(ended)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The reply that the same request got before.
    fn reply(&self, key: Option<&Key>) -> RpcResult<Option<Reply>> {
        let Some(key) = key else { return Ok(None) };
        let same = |before: &&Remembered| before.key.actor == key.actor && before.key.id == key.id;
        match self.replies.iter().find(same) {
            Some(before) if before.key.sha256 == key.sha256 => Ok(Some(before.reply.clone())),
            Some(_) => Err(RpcError::RequestIdReused),
            None => Ok(None),
        }
    }

    fn remember(&mut self, key: Option<Key>, reply: Reply) {
        let Some(key) = key else { return };
        if self.replies.len() >= REMEMBERED {
            self.replies.pop_front();
        }
        self.replies.push_back(Remembered { key, reply });
    }
}

impl Held {
    fn with_hits(&self, active: &[ActiveFault]) -> v1::Fault {
        let hits = active.iter().find(|fault| fault.id == self.id).map_or(0, |fault| fault.struck);
        v1::Fault { hits: i64::try_from(hits).unwrap_or(i64::MAX), ..self.shown.clone() }
    }
}

/// A fault as it is told: what was asked for, and when it was made and ends.
fn shown(fault: &v1::Fault, ttl: Option<SignedDuration>) -> v1::Fault {
    let now = Timestamp::now();
    v1::Fault {
        name: String::new(),
        percent: if fault.percent == 0 { 100 } else { fault.percent },
        hits: 0,
        create_time: timestamp(now),
        expire_time: ttl.and_then(|ttl| now.checked_add(ttl).ok()).and_then(timestamp),
        ..fault.clone()
    }
}
