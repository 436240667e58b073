//! What the cluster would have shown of a load, and what was truly used.

use std::collections::BTreeMap;

use super::LoadEvent;
use crate::{
    ids::TenantUid,
    session::{SessionPhase, SessionUid},
    usage::{
        ByteSeconds, MillicoreSeconds, Order, Second, SessionCount, SessionSeconds, Span, State,
        Transition, Usage,
    },
};

/// The facts that the events are, each with its event. Their order is counted up from
/// `first`, as the resource version of a cluster is.
pub fn transitions(
    events: impl IntoIterator<Item = (Second, LoadEvent)>,
    first: Order,
) -> impl Iterator<Item = (LoadEvent, Transition)> {
    events.into_iter().zip(first.0..).map(|((at, event), order)| {
        let transition = Transition {
            session: event.subject.uid,
            order: Order(order),
            at,
            state: event.state,
            incarnation: event.incarnation,
        };
        (event, transition)
    })
}

/// What each tenant truly used in a span: the straight integral over the events, which
/// shares nothing with the metering that is held against it.
#[derive(Clone, Debug)]
pub struct Oracle {
    span: Span,
    /// What is so of each that is alive, and since when.
    now: BTreeMap<SessionUid, (TenantUid, Second, State)>,
    used: BTreeMap<TenantUid, Usage>,
}

impl Oracle {
    /// Of which nothing was told yet.
    pub fn new(span: Span) -> Self {
        Self { span, now: BTreeMap::new(), used: BTreeMap::new() }
    }

    /// Takes the next event. They come in the order of time.
    pub fn see(&mut self, at: Second, event: &LoadEvent) {
        let (uid, tenant) = (event.subject.uid, event.subject.tenant);
        let before = self.now.remove(&uid);
        match before {
            Some((tenant, since, state)) => self.add(tenant, since, at, state),
            None if self.span.contains(at) => {
                self.used.entry(tenant).or_default().started.0 += 1;
            }
            None => {}
        }
        if event.state.phase != SessionPhase::Terminated {
            self.now.insert(uid, (tenant, at, event.state));
        }
    }

    fn add(&mut self, tenant: TenantUid, since: Second, until: Second, state: State) {
        let seconds = i128::from((until.min(self.span.to).0 - since.max(self.span.from).0).max(0));
        let running = if state.phase == SessionPhase::Running { seconds } else { 0 };
        *self.used.entry(tenant).or_default() += Usage {
            cpu: MillicoreSeconds(i128::from(state.cpu.0) * running),
            memory: ByteSeconds(i128::from(state.memory.0) * running),
            storage: ByteSeconds(i128::from(state.home.0) * seconds),
            sessions: SessionSeconds(running),
            started: SessionCount(0),
        };
    }

    /// What each tenant used, where nothing changes any more before the end of the span.
    pub fn usage(mut self) -> BTreeMap<TenantUid, Usage> {
        let end = self.span.to;
        for (tenant, since, state) in std::mem::take(&mut self.now).into_values() {
            self.add(tenant, since, end, state);
        }
        self.used
    }
}
