//! The stream of one client.
//!
//! A snapshot is read after its revision, so it holds at least every change up to it; later
//! ones may come again as changes, which replace what they name. What a client has not read
//! yet stays in the change log; where that becomes too much, a gap and a snapshot stand for
//! it.

use std::time::Duration;

use jiff::Timestamp;
use prost::Message as _;
use streamspace_proto::v1::{self, watch_response::Event};
use tokio::{sync::mpsc, time::timeout};
use tonic::Status;

use super::{
    mask::Mask,
    selection::{Selection, Selections, kind_to_proto},
    snapshot::Keys,
};
use crate::{
    db::{
        Database, DbError, Scope,
        changes::{ChangeKind, ChangeLog, ChangeRow, ChangeType, Wanted},
    },
    rpc::{errors::RpcError, time::timestamp},
};

/// So many changes are read at once.
const BATCH: i64 = 500;
const BOOKMARK_PERIOD: Duration = Duration::from_secs(5);
/// A stream that is more changes behind than this leaves them out. After a snapshot of more
/// resources than this it may be as many behind as that held: to send another one would be
/// more work than to catch up, and a client that is slower than the changes of a large region
/// would get snapshots and nothing else.
pub(super) const MOST_BEHIND: i64 = 5_000;

/// What is sent to the client.
pub(super) type Sender = mpsc::Sender<Result<v1::WatchResponse, Status>>;

/// Why a stream ended.
pub(super) enum Ended {
    /// The client went away.
    ClientGone,
    /// The client is told this.
    Status(Status),
}

impl From<DbError> for Ended {
    fn from(error: DbError) -> Self {
        Self::Status(RpcError::from(error).into())
    }
}

/// The stream of one client.
pub(super) struct WatchStream {
    db: Database,
    changes: ChangeLog,
    scope: Scope,
    selections: Selections,
    wanted: Wanted,
    sender: Sender,
    /// How many changes it may be behind.
    allowance: i64,
    /// As long as the log has not passed this revision, it cannot be further behind than that.
    safe_until: i64,
}

impl WatchStream {
    pub(super) fn new(
        db: Database,
        changes: ChangeLog,
        scope: Scope,
        selections: Selections,
        sender: Sender,
    ) -> Self {
        let wanted = selections.wanted();
        let (allowance, safe_until) = (MOST_BEHIND, 0);
        Self { db, changes, scope, selections, wanted, sender, allowance, safe_until }
    }

    /// The last revision that was given.
    pub(super) async fn head(&self) -> Result<i64, DbError> {
        let mut tx = self.db.begin(&self.scope).await?;
        let query = sqlx::query_scalar("SELECT revision FROM change_sequence");
        Ok(query.fetch_one(&mut *tx).await?)
    }

    /// Whether a client that holds this revision can go on behind it. One that the log has
    /// not come to, or that was lost with a restore, is of another history.
    pub(super) async fn knows(&self, revision: i64) -> Result<bool, DbError> {
        let mut tx = self.db.begin(&self.scope).await?;
        let query = sqlx::query_scalar(
            "SELECT $1 <= revision AND NOT coalesce($1 > lost_after AND $1 < lost_until, false)
             FROM change_sequence",
        );
        Ok(query.bind(revision).fetch_one(&mut *tx).await?)
    }

    /// Sends what follows a revision; after 0, a snapshot first.
    pub(super) async fn run(mut self, after: i64) -> Result<(), Ended> {
        let mut revision = after;
        if revision == 0 {
            revision = self.head().await?;
            self.snapshot(revision).await?;
        }
        let mut latest = self.changes.latest();
        loop {
            let seen = *latest.borrow_and_update();
            revision = self.changes_after(revision).await?.max(revision);
            // Everything up to `seen` was read; rows that are not wanted were skipped.
            revision = revision.max(seen);
            match timeout(BOOKMARK_PERIOD, latest.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => {
                    return Err(Ended::Status(Status::unavailable("the change log stopped")));
                }
                Err(_) => {
                    // A bookmark promises that nothing is missing, so look first.
                    revision = self.changes_after(revision).await?.max(revision);
                    self.send(Event::Bookmark(v1::Bookmark { revision })).await?;
                }
            }
        }
    }

    /// Sends what was there at a revision, or is by now.
    async fn snapshot(&mut self, revision: i64) -> Result<(), Ended> {
        let now = Timestamp::now();
        let mut plan = Vec::new();
        let mut tx = self.db.begin(&self.scope).await?;
        for (kind, selection) in self.selections.each() {
            let names = self.selections.names();
            let keys = Keys::choose(&mut tx, &self.scope, kind, selection, names, now).await?;
            plan.push((kind, keys));
        }
        drop(tx);
        let counts = plan.iter().map(|(kind, keys)| count(*kind, keys.len())).collect();
        self.send(Event::Snapshot(v1::Snapshot { counts })).await?;
        let mut counts = Vec::new();
        let mut total = 0;
        for (kind, keys) in plan {
            let sent = self.items(kind, &keys).await?;
            counts.push(count(kind, sent));
            total += sent;
        }
        self.send(Event::Synced(v1::Synced { revision, counts })).await?;
        self.allowance = MOST_BEHIND.max(integer(total));
        self.safe_until = revision.saturating_add(self.allowance);
        Ok(())
    }

    /// Sends the resources of a snapshot that still match; returns how many did.
    async fn items(&self, kind: ChangeKind, keys: &Keys) -> Result<usize, Ended> {
        let Some(selection) = self.selections.of(kind) else { return Ok(0) };
        let mut sent = 0;
        for page in 0..keys.pages() {
            let mut tx = self.db.begin(&self.scope).await?;
            let resources = keys.page(&mut tx, &self.scope, page).await?;
            drop(tx);
            let now = Timestamp::now();
            for mut resource in resources {
                if selection.matches(&resource, now) {
                    selection.mask.apply(&mut resource);
                    let item = v1::Resource { resource: Some(resource) };
                    self.send(Event::Item(item)).await?;
                    sent += 1;
                }
            }
        }
        Ok(sent)
    }

    /// Sends the changes after a revision, or what stands for them; returns the last revision
    /// that was read.
    async fn changes_after(&mut self, mut after: i64) -> Result<i64, Ended> {
        loop {
            if self.is_too_far_behind(after).await? {
                let to_revision = self.head().await?;
                let gap = v1::Gap { from_revision: after, to_revision };
                self.send(Event::Gap(gap)).await?;
                self.snapshot(to_revision).await?;
                after = to_revision;
            }
            let rows = self.changes.read_wanted(&self.scope, &self.wanted, after, BATCH).await?;
            let full = integer(rows.len()) >= BATCH;
            for row in rows {
                after = row.revision;
                // Nothing of other kinds was asked for.
                if let Some(selection) = self.selections.of(row.kind) {
                    self.send(Event::Change(change(&row, selection)?)).await?;
                }
            }
            if !full {
                return Ok(after);
            }
        }
    }

    /// Whether more changes than allowed are still to be sent. They are counted only where
    /// that is possible, by the number of revisions.
    async fn is_too_far_behind(&mut self, after: i64) -> Result<bool, DbError> {
        let latest = *self.changes.latest().borrow();
        self.safe_until = self.safe_until.max(after.saturating_add(self.allowance));
        if latest <= self.safe_until {
            return Ok(false);
        }
        let most = self.allowance + 1;
        let behind = self.changes.count_wanted(&self.scope, &self.wanted, after, most).await?;
        if behind > self.allowance {
            return Ok(true);
        }
        self.safe_until = latest + (self.allowance - behind);
        Ok(false)
    }

    async fn send(&self, event: Event) -> Result<(), Ended> {
        let response = v1::WatchResponse { event: Some(event) };
        self.sender.send(Ok(response)).await.map_err(|_| Ended::ClientGone)
    }
}

fn integer(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(kind: ChangeKind, count: usize) -> v1::KindCount {
    v1::KindCount { kind: kind_to_proto(kind).into(), count: integer(count) }
}

/// A change as a client with this selection sees it.
fn change(row: &ChangeRow, selection: &Selection) -> Result<v1::Change, Ended> {
    let mut resource = v1::Resource::decode(row.resource.as_slice()).map_err(|error| {
        let words = format!("revision {} of the change log: {error}", row.revision);
        Ended::Status(RpcError::Internal(words).into())
    })?;
    let now = Timestamp::now();
    let shows = resource.resource.as_ref().is_none_or(|it| selection.matches(it, now));
    if let Some(it) = &mut resource.resource {
        if shows { selection.mask.apply(it) } else { Mask::identity().apply(it) }
    }
    let change_type = match row.change {
        _ if !shows => v1::ChangeType::Left,
        ChangeType::Created => v1::ChangeType::Created,
        ChangeType::Updated => v1::ChangeType::Updated,
        ChangeType::Deleted => v1::ChangeType::Deleted,
    };
    Ok(v1::Change {
        revision: row.revision,
        r#type: change_type.into(),
        resource: Some(resource),
        time: timestamp(row.time),
        actor: row.actor.clone(),
    })
}
