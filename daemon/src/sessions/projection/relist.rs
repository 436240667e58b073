//! A complete list of what is metered: at the beginning of a term, and where the watch lost
//! its place.

use std::collections::HashSet;

use kube::core::DynamicObject;
use streamspace_core::{
    session::SessionUid,
    usage::{Listing, Order},
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Sight, StepError, Term,
    batch::Memory,
    clock::SLACK,
    facts,
    source::{Page, Pages, Watched},
};
use crate::{
    db::ChangeType,
    sessions::{
        object::{read_home, read_session},
        reservations,
        store::{self, Told},
    },
    usage::facts as usage_facts,
};

/// How many rows are removed at once.
const BATCH: i64 = 500;

/// Where the watches begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct From {
    pub(super) sessions: u64,
    pub(super) homes: u64,
}

/// What a list brought so far.
#[derive(Default)]
struct Listed {
    all: HashSet<SessionUid>,
    sessions: Vec<Uuid>,
}

impl Term {
    /// Lists sessions and homes, stores them, and ends what they lack. One that loses its
    /// place makes the other be listed too: of a list there is one instant.
    pub(super) async fn relist(&self, memory: &mut Memory) -> Result<From, StepError> {
        memory.clear();
        let asked = Instant::now();
        let (mut sessions, mut homes) = (Pages::of(&self.sessions), Pages::of(&self.homes));
        // The sessions first, and the list counts as one of the state that shows them: an
        // older one would take up what was known of a session before instead of what is
        // listed. Homes are shown by a later state, as if a watch had told of them.
        let Some(mut page_of_sessions) = sessions.next().await? else {
            return Err(StepError::NotLeader);
        };
        self.clock.told(page_of_sessions.date, asked);
        let Some(mut page_of_homes) = homes.next().await? else {
            return Err(StepError::NotLeader);
        };
        let from = From { sessions: page_of_sessions.version, homes: page_of_homes.version };
        let listing = Listing { order: Order(from.sessions), at: page_of_sessions.date };
        let mut listed = Listed::default();
        memory.ceiling = Some(listing.at);
        loop {
            self.take(Watched::Sessions, &page_of_sessions, memory, &mut listed).await?;
            match sessions.next().await? {
                Some(next) => page_of_sessions = next,
                None => break,
            }
        }
        memory.ceiling = Some(page_of_homes.date);
        loop {
            self.take(Watched::Homes, &page_of_homes, memory, &mut listed).await?;
            match homes.next().await? {
                Some(next) => page_of_homes = next,
                None => break,
            }
        }
        self.forget_unlisted(&listed.sessions, memory).await?;
        self.end_unlisted(listing, &listed, memory).await?;
        memory.ceiling = None;
        self.clock.passed(listing.at.plus(-SLACK));
        self.board.edit(|state| state.lists += 1);
        Ok(from)
    }

    async fn take(
        &self,
        watched: Watched,
        page: &Page,
        memory: &mut Memory,
        listed: &mut Listed,
    ) -> Result<(), StepError> {
        let sights: Vec<Sight> =
            page.objects.iter().map(|object| sight(watched, object, false)).collect();
        for sight in &sights {
            listed.all.insert(SessionUid(sight.metadata().uid));
            if watched == Watched::Sessions {
                listed.sessions.push(sight.metadata().uid);
            }
        }
        self.store(&sights, memory).await
    }

    /// Removes the rows of sessions that are not there any more, or are no tenant's.
    async fn forget_unlisted(&self, listed: &[Uuid], memory: &Memory) -> Result<(), StepError> {
        let is_kept = |uid: &Uuid| memory.last.contains_key(&SessionUid(*uid));
        let kept: Vec<Uuid> = listed.iter().copied().filter(is_kept).collect();
        loop {
            let mut tx = self.leading().await?;
            let rows = store::lock_unlisted(&mut tx, &kept, BATCH).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let told = rows.iter().map(|record| Told { change: ChangeType::Deleted, record });
            store::record_changes(&mut tx, &told.collect::<Vec<_>>()).await?;
            store::delete(&mut tx, &rows.iter().collect::<Vec<_>>()).await?;
            let gone: Vec<_> =
                rows.iter().map(|it| (it.tenant, it.name.as_str(), it.uid)).collect();
            reservations::gone(&mut tx, &gone).await?;
            tx.commit().await?;
        }
    }

    /// Ends the usage of what the list lacks.
    async fn end_unlisted(
        &self,
        listing: Listing,
        listed: &Listed,
        memory: &mut Memory,
    ) -> Result<(), StepError> {
        let all: Vec<SessionUid> = listed.all.iter().copied().collect();
        let mut tx = self.leading().await?;
        let term = self.leadership.leader_term;
        let ended = usage_facts::listed(&mut tx, term, listing, &all).await??;
        let (revived, owed) =
            facts::revived(&mut tx, listing, &memory.last, &memory.cluster).await?;
        usage_facts::store(&mut tx, &revived).await?;
        tx.commit().await?;
        memory.owed = owed.then_some(listing.order.0);
        let (known, revived) = (all.len(), revived.len());
        tracing::info!(known, ended, revived, "sessions and homes are listed");
        Ok(())
    }
}

/// What an object of a kind is a sight of.
pub(super) fn sight(watched: Watched, object: &DynamicObject, gone: bool) -> Sight {
    match watched {
        Watched::Homes => Sight::Home { seen: Box::new(read_home(object)), gone },
        Watched::Sessions | Watched::Templates => {
            Sight::Session { seen: Box::new(read_session(object)), gone }
        }
    }
}
