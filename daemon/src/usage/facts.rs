//! The facts of the cluster: what a subject is allotted, and from when on.
//!
//! Each function is one step in a transaction of the caller. Facts are taken from every
//! replica; how far they are complete is said by the leader alone ([`lead`], [`listed`],
//! [`confirmed`]), and a [`Refusal`] says that it leads no more: roll back. The rules are
//! those of `streamspace_core::usage`; here is what makes their steps serial:
//!
//! - Whoever stores facts holds the row of the watermark against a change.
//! - What depends on what is known of a subject holds the subject's row.

use sqlx::PgConnection;
use streamspace_core::{
    ids::TenantUid,
    session::SessionUid,
    usage::{LeaderTerm, Listing, Refusal, Second, Transition, Watermark},
};

use super::store::{self, Hold};
use crate::db::DbError;
use append::Entry;

mod append;
mod vanished;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectKind {
    /// A session.
    Session,
    /// A home that outlives its sessions, under the UID of its volume claim.
    Home,
    /// Recordings of a session.
    Recording,
}

impl SubjectKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Session, Self::Home, Self::Recording];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Home => "home",
            Self::Recording => "recording",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Whose usage is counted, and what it is grouped by. None of it changes in its life, and
/// what was stored first stays. The texts are whatever somebody wrote; they are clipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its identity.
    pub uid: SessionUid,
    /// Whose it is. The tenant has a row.
    pub tenant: TenantUid,
    /// What it is.
    pub kind: SubjectKind,
    /// What people call it.
    pub name: String,
    /// Who uses it.
    pub user: String,
    /// What it was made from; empty for a home.
    pub template: String,
    /// The cluster that it lives in: the UID of its `kube-system`.
    pub cluster: String,
}

/// One fact of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Of which subject. Its UID is the transition's.
    pub subject: Subject,
    /// What it is allotted, and from when on.
    pub transition: Transition,
    /// What people are told of it, for example `Idle`.
    pub cause: String,
}

/// So many facts are stored by one statement.
const CHUNK: usize = 4_000;

/// Stores facts. Those that are known already change nothing, except that an incarnation
/// which was not known is filled in. Facts before the metering begins are stored too: they
/// say what is in force when it does.
pub async fn store(tx: &mut PgConnection, facts: &[Fact]) -> Result<(), DbError> {
    let watermark = store::watermark(tx, Hold::Change).await?;
    for chunk in facts.chunks(CHUNK) {
        let entries = chunk.iter().map(Entry::of).collect();
        append::append(tx, watermark.as_ref(), entries, chunk).await?;
    }
    Ok(())
}

/// A leader takes the watermark; the first one begins the metering with the next whole
/// bucket after `now`, an instant of the API server. A second time changes nothing.
pub async fn lead(
    tx: &mut PgConnection,
    leader_term: i64,
    now: Second,
) -> Result<Result<Watermark, Refusal>, DbError> {
    let begins = Watermark::beginning(now);
    sqlx::query(
        "INSERT INTO usage_watermark (leader_term, begins, complete_through, closed_through) \
         VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(begins.leader_term.0)
    .bind(begins.begins.0)
    .bind(begins.complete_through.0)
    .bind(begins.closed_through.0)
    .execute(&mut *tx)
    .await?;
    change(tx, |watermark| watermark.lead(LeaderTerm(leader_term))).await
}

/// A complete list of the cluster was made, and the facts that it shows are stored. What
/// it lacks has ended: sessions and homes alike, so `listed` names both. Returns how many
/// ended.
pub async fn listed(
    tx: &mut PgConnection,
    leader_term: i64,
    listing: Listing,
    listed: &[SessionUid],
) -> Result<Result<u64, Refusal>, DbError> {
    let mine = LeaderTerm(leader_term);
    let Some(before) = store::watermark(tx, Hold::All).await? else {
        return Ok(Err(unled(mine)));
    };
    let (after, gap) = match before.listed(mine, listing) {
        Ok(done) => done,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let ends = vanished::ends(tx, listing, listed).await?;
    let mut count: u64 = 0;
    for chunk in ends.chunks(CHUNK) {
        count += append::append(tx, Some(&before), chunk.to_vec(), &[]).await?;
    }
    sqlx::query(
        "INSERT INTO usage_gaps (list_position, from_second, to_second) VALUES ($1, $2, $3) \
         ON CONFLICT DO NOTHING",
    )
    .bind(super::row::position(gap.list))
    .bind(gap.from.0)
    .bind(gap.to.0)
    .execute(&mut *tx)
    .await?;
    set(tx, &after).await?;
    Ok(Ok(count))
}

/// The watch has delivered, and the store holds, every transition before an instant of
/// the API server. Returns through when the facts are complete now.
pub async fn confirmed(
    tx: &mut PgConnection,
    leader_term: i64,
    at: Second,
) -> Result<Result<Second, Refusal>, DbError> {
    let after = change(tx, |watermark| watermark.confirmed(LeaderTerm(leader_term), at)).await?;
    Ok(after.map(|watermark| watermark.complete_through))
}

/// Every transition before this instant is stored, or a gap is; `None` where the metering
/// has not begun.
pub async fn complete_through(tx: &mut PgConnection) -> Result<Option<Second>, DbError> {
    let watermark = store::watermark(tx, Hold::Nothing).await?;
    Ok(watermark.map(|watermark| watermark.complete_through))
}

/// Whether the end of a subject's life is stored, so that nothing more is to be learned
/// from its object.
pub async fn is_ended(
    tx: &mut PgConnection,
    tenant: TenantUid,
    uid: SessionUid,
) -> Result<bool, DbError> {
    let ended = sqlx::query_scalar(
        "SELECT end_second IS NOT NULL FROM usage_subjects \
         WHERE tenant_uid = $1 AND subject_uid = $2",
    );
    let ended: Option<bool> = ended.bind(tenant.0).bind(uid.0).fetch_optional(tx).await?;
    Ok(ended.unwrap_or(false))
}

async fn change(
    tx: &mut PgConnection,
    rule: impl FnOnce(Watermark) -> Result<Watermark, Refusal>,
) -> Result<Result<Watermark, Refusal>, DbError> {
    let Some(before) = store::watermark(tx, Hold::All).await? else {
        return Ok(Err(unled(LeaderTerm(i64::MAX))));
    };
    match rule(before) {
        Ok(after) => {
            if after != before {
                set(tx, &after).await?;
            }
            Ok(Ok(after))
        }
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// Nobody has taken the watermark yet.
fn unled(mine: LeaderTerm) -> Refusal {
    Refusal::OtherLeader { leads: LeaderTerm::default(), mine }
}

/// Writes what may change of the watermark, whose row is held.
async fn set(tx: &mut PgConnection, watermark: &Watermark) -> Result<(), DbError> {
    sqlx::query("UPDATE usage_watermark SET leader_term = $1, complete_through = $2")
        .bind(watermark.leader_term.0)
        .bind(watermark.complete_through.0)
        .execute(tx)
        .await?;
    Ok(())
}
