//! Places: whether a session may start beside what runs and what was admitted before it.
//!
//! Every replica admits, so what is admitted stands in the database until the watch shows
//! it. Of requests of one tenant one is looked at at a time; different tenants never wait
//! for each other. The rules, and what ends a reservation, stand in
//! [`streamspace_core::admission`].

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::PgConnection;
use streamspace_core::{
    admission::{Admitted, Ledger, Place, Reason, Refusal, Request},
    ids::TenantUid,
    plan::Bytes,
    session::{SessionUid, UserName, Wish},
    tenant::TenantState,
    text,
};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio_util::sync::CancellationToken;

use crate::db::{Database, DbError, Leadership, Scope, lease};
use store::RegionCordon;

mod place;
mod store;
#[cfg(test)]
mod tests;

pub use store::{Addressee, addressee, gone};

/// How often the leader forgets reservations that are met or over.
const SWEEP_PERIOD: Duration = Duration::from_secs(3);

/// So many tenants are admitted to at once, on one replica.
const GATES: usize = 64;

/// Admits sessions. Cheap to clone; every replica has one.
#[derive(Clone, Debug)]
pub struct Admission {
    db: Database,
    /// Requests of one tenant wait here, without a connection: a flood of one tenant's takes
    /// none from the others.
    gates: Arc<Vec<Mutex<()>>>,
    unjudged: Arc<AtomicU64>,
}

/// What the sessions of one user hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserHeld {
    /// The user.
    pub user: UserName,
    /// Sessions that run or may start.
    pub sessions: i64,
    /// The memory that they request.
    pub memory: Bytes,
}

impl Admission {
    /// Keeps reservations in `db`.
    pub fn new(db: Database) -> Self {
        let gates = std::iter::repeat_with(Mutex::default).take(GATES).collect();
        Self { db, gates: Arc::new(gates), unjudged: Arc::default() }
    }

    /// How many sessions this replica had to refuse because it could not judge them: the
    /// database was away, or too slow.
    pub fn unjudged(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.unjudged)
    }

    /// Counts one that could not be judged.
    pub(super) fn could_not_judge(&self) {
        self.unjudged.fetch_add(1, Ordering::Relaxed);
    }

    /// Admits a request and reserves its place, or tells all that refuses it. A rehearsal
    /// (`dry_run`) is answered alike and reserves nothing.
    ///
    /// What is refused leaves nothing behind, and a request that is made again takes no
    /// second place.
    pub async fn admit(
        &self,
        tenant: TenantUid,
        request: &Request,
        dry_run: bool,
    ) -> Result<Result<Admitted, Vec<Refusal>>, DbError> {
        let _first = self.first_in_line(tenant).await;
        let mut tx = self.db.begin(&Scope::Region).await?;
        store::lock(&mut tx, tenant).await?;
        let Some(terms) = store::terms(&mut tx, tenant).await? else {
            return Ok(Err(vec![closed_for_ever()]));
        };
        let books = store::books(&mut tx, tenant, Some(&request.name), terms.watched).await?;
        let mut ledger = Ledger::load(books.seen, books.reservations);
        // A cordon of the region closes a tenant like its own.
        let cordon = terms.cordon.as_ref().filter(|_| terms.state == TenantState::Active);
        let state = if cordon.is_some() { TenantState::Cordoned } else { terms.state };
        let admitted = match ledger.admit(request, &terms.limits, state, terms.now) {
            Ok(admitted) => admitted,
            Err(refusals) => return Ok(Err(told_of(cordon, refusals))),
        };
        if dry_run {
            return Ok(Ok(admitted));
        }
        store::delete(&mut tx, tenant, &books.over).await?;
        if let Admitted::Reserved(reservation) = &admitted {
            store::upsert(&mut tx, tenant, reservation).await?;
        }
        tx.commit().await?;
        Ok(Ok(admitted))
    }

    /// Waits until no other request of the tenant is looked at on this replica.
    async fn first_in_line(&self, tenant: TenantUid) -> Option<MutexGuard<'_, ()>> {
        // The end of a uid is random.
        let [.., last] = tenant.0.into_bytes();
        let gate = self.gates.get(usize::from(last) % GATES)?;
        Some(gate.lock().await)
    }

    /// The same for a session's wish: it takes what it says itself, else what its template
    /// says, else the defaults.
    pub async fn admit_session(
        &self,
        tenant: TenantUid,
        wish: &Wish,
        uid: Option<SessionUid>,
        generation: i64,
        dry_run: bool,
    ) -> Result<Result<Admitted, Vec<Refusal>>, DbError> {
        let place = self.place(tenant, wish).await?;
        let request =
            Request { name: wish.name.clone(), uid, generation, user: wish.user.clone(), place };
        self.admit(tenant, &request, dry_run).await
    }

    /// What a session of this wish takes, by the templates that are known now.
    pub async fn place(&self, tenant: TenantUid, wish: &Wish) -> Result<Place, DbError> {
        let mut connection = self.db.operator().acquire().await?;
        place::of(&mut connection, tenant, wish).await
    }

    /// Whose namespace this is; nobody's where it is of no living tenant.
    pub async fn addressee(&self, namespace: &str) -> Result<Option<Addressee>, DbError> {
        let mut connection = self.db.operator().acquire().await?;
        addressee(&mut connection, namespace).await
    }
}

/// What each user of a tenant holds, who holds most memory first: what quotas show.
pub async fn held(
    connection: &mut PgConnection,
    tenant: TenantUid,
) -> Result<Vec<UserHeld>, DbError> {
    let now = store::now(connection).await?;
    let books = store::books(connection, tenant, None, Some(now)).await?;
    let users = books.seen.iter().filter(|seen| seen.place.is_some()).map(|seen| &seen.user);
    let users = users.chain(books.reservations.iter().map(|kept| &kept.user)).cloned();
    let mut sums: BTreeMap<UserName, Place> = users.map(|user| (user, Place::default())).collect();
    let ledger = Ledger::load(books.seen, books.reservations);
    for (user, sum) in &mut sums {
        let places = ledger.of_user(user).into_iter().map(|holder| holder.place);
        *sum = places.fold(Place::default(), Place::plus);
    }
    let mut held: Vec<UserHeld> = sums
        .into_iter()
        .map(|(user, sum)| UserHeld { user, sessions: sum.sessions, memory: sum.memory })
        .collect();
    held.sort_by(|one, other| {
        let by_memory = other.memory.0.cmp(&one.memory.0);
        by_memory.then(other.sessions.cmp(&one.sessions)).then_with(|| one.user.cmp(&other.user))
    });
    Ok(held)
}

/// Forgets what is met or over, while this replica leads, until it is stopped. Admission
/// itself needs it not: what is over counts for nobody.
pub async fn run(db: Database, leadership: watch::Receiver<Leadership>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(SWEEP_PERIOD)).await.is_some() {
        let now = leadership.borrow().clone();
        if !now.leads {
            continue;
        }
        match sweep(&db, &now).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::debug!(forgotten, "reservations are met or over"),
            Err(error) => tracing::debug!(%error, "reservations are swept again later"),
        }
    }
}

/// Forgets what is met or over, if this replica still leads. Returns how many that were.
pub async fn sweep(db: &Database, leadership: &Leadership) -> Result<u64, DbError> {
    let mut tx = db.begin(&Scope::Region).await?;
    if !lease::still_leads(&mut tx, leadership).await? {
        return Ok(0);
    }
    let forgotten = store::sweep(&mut tx).await?;
    tx.commit().await?;
    Ok(forgotten)
}

/// Where it is the region that is cordoned, that is what is told.
fn told_of(cordon: Option<&RegionCordon>, mut refusals: Vec<Refusal>) -> Vec<Refusal> {
    let Some(RegionCordon { reason, until }) = cordon else { return refusals };
    let closed = Reason::TenantClosed(TenantState::Cordoned);
    for refusal in refusals.iter_mut().filter(|refusal| refusal.reason == closed) {
        let why = match reason.as_str() {
            "" => String::new(),
            reason => format!(" ({})", text::excerpt(reason)),
        };
        refusal.message = format!("the region is cordoned{why}, and nothing new starts");
        refusal.remedy = match until {
            Some(until) => format!("try again after {until}"),
            None => "wait until an operator ends the cordon".to_owned(),
        };
    }
    refusals
}

fn closed_for_ever() -> Refusal {
    Refusal {
        reason: Reason::TenantClosed(TenantState::Gone),
        message: "there is no such tenant any more, and nothing new starts".to_owned(),
        remedy: "use another tenant".to_owned(),
    }
}
