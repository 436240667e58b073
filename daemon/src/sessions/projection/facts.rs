//! What sights of sessions and homes say of usage.

use std::collections::HashMap;

use sqlx::PgConnection;
use streamspace_core::{
    ids::TenantUid,
    quantity::{Bytes, Millicores},
    session::{Amounts, SessionPhase, SessionUid},
    usage::{Incarnation, Listing, Order, PodUid, Second, State, Transition},
};
use uuid::Uuid;

use super::{
    Sight,
    shown::{self, Owner},
};
use crate::{
    db::DbError,
    sessions::object::{SeenHome, SeenMetadata, SeenSession},
    usage::facts::{Fact, Subject, SubjectKind},
};

/// A session that is so much older than its tenant was there before it, in a namespace that
/// the tenant took over. Less can be a matter of clocks.
const ADOPTED_AFTER: i64 = 15 * 60;

/// What is known of the API server's time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Whatever is told from now on happened at this instant or later.
    pub(super) floor: Second,
    /// Nothing has happened after this instant yet.
    pub(super) ceiling: Second,
}

/// What a subject costs, as it was stored last.
pub(super) type Last = (State, Option<Incarnation>);

/// The transition that a sight shows, and why it came about.
pub(super) fn fact(
    sight: &Sight,
    owner: &Owner,
    template: Option<&Amounts>,
    cluster: &str,
    clock: Clock,
) -> Fact {
    let metadata = sight.metadata();
    let uid = SessionUid(metadata.uid);
    let (state, incarnation, cause) = match sight {
        Sight::Session { seen, gone: false } => {
            (state_of(seen, template), incarnation(seen), shown::cause(seen))
        }
        Sight::Home { seen, gone: false } => (home(seen), None, String::new()),
        Sight::Session { gone: true, .. } | Sight::Home { gone: true, .. } => {
            (over(), None, "Deleted".to_owned())
        }
    };
    let (kind, user, template) = match sight {
        Sight::Session { seen, .. } => {
            (SubjectKind::Session, &seen.written.user, seen.written.template.clone())
        }
        Sight::Home { seen, .. } => (SubjectKind::Home, &seen.user, String::new()),
    };
    let subject = Subject {
        uid,
        tenant: owner.uid,
        kind,
        name: metadata.name.clone(),
        user: user.clone(),
        template,
        cluster: cluster.to_owned(),
    };
    let order = Order(metadata.resource_version);
    let at = instant(metadata, sight.is_gone(), owner, clock);
    Fact { subject, transition: Transition { session: uid, order, at, state, incarnation }, cause }
}

/// Since when it is so: the last write of its status, before the first its creation. What
/// is gone went at the last instant that is known of it, which is never too late.
///
/// An author can write times of his own choice, so they are held between its creation,
/// which is the API server's word, and the present.
fn instant(metadata: &SeenMetadata, gone: bool, owner: &Owner, clock: Clock) -> Second {
    let holding = |time: Option<jiff::Timestamp>| time.map(Second::holding);
    let created = Second::holding(metadata.create_time);
    let at = if gone {
        let known = [metadata.deletion_time, metadata.write_time].map(holding);
        known.into_iter().flatten().fold(clock.floor, Second::max)
    } else {
        holding(metadata.status_time).unwrap_or(created)
    };
    let since = Second::holding(owner.since);
    let earliest = if created.plus(ADOPTED_AFTER) < since { since } else { created };
    at.min(clock.ceiling).max(earliest)
}

fn state_of(seen: &SeenSession, template: Option<&Amounts>) -> State {
    let each = shown::each(seen, template);
    let copies = i64::from(seen.status.allotted.map_or(1, |allotted| allotted.replicas));
    State {
        phase: seen.status.phase.unwrap_or(SessionPhase::Pending),
        cpu: Millicores(each.cpu_request.0.saturating_mul(copies)),
        memory: Bytes(each.memory_request.0.saturating_mul(copies)),
        home: Bytes(0),
    }
}

/// A home costs its size as long as it is there, whether anybody uses it or not.
fn home(seen: &SeenHome) -> State {
    State { phase: SessionPhase::Hibernated, home: seen.size, ..over() }
}

fn over() -> State {
    State { phase: SessionPhase::Terminated, cpu: Millicores(0), memory: Bytes(0), home: Bytes(0) }
}

/// Which run it is. Of a session of several copies no single pod tells.
fn incarnation(seen: &SeenSession) -> Option<Incarnation> {
    let run = seen.status.run.as_ref()?;
    let is_single = seen.written.max_replicas.is_none_or(|copies| copies <= 1);
    let start = run.container_start.filter(|_| is_single)?;
    Some(Incarnation { pod: PodUid(run.pod_uid), container_start: Second::holding(start) })
}

/// Facts of those that a list shows alive while they count as ended, and whether there are
/// some that must wait for a later list.
///
/// That is so where nobody knew whose a session was when an earlier list was made, so that
/// the list seemed to lack it. It lives again from the list on that shows it; what was
/// between is not counted. Where the cluster has not moved since, there is no place between
/// the end and whatever it writes next.
pub(super) async fn revived(
    tx: &mut PgConnection,
    listing: Listing,
    last: &HashMap<SessionUid, Last>,
    cluster: &str,
) -> Result<(Vec<Fact>, bool), DbError> {
    let alive = last.iter().filter(|(_, last)| last.0.phase != SessionPhase::Terminated);
    let alive: Vec<Uuid> = alive.map(|(uid, _)| uid.0).collect();
    let ended: Vec<Ended> = sqlx::query_as(
        "SELECT subject_uid, tenant_uid, kind, name, user_name, template, position \
         FROM usage_subjects WHERE subject_uid = ANY ($1) AND end_second IS NOT NULL",
    )
    .bind(alive)
    .fetch_all(tx)
    .await?;
    let Listing { order, at } = listing;
    let (mut facts, mut owed) = (Vec::new(), false);
    for subject in ended {
        if u64::try_from(subject.position).is_ok_and(|position| position >= order.0) {
            owed = true;
            continue;
        }
        let uid = SessionUid(subject.subject_uid);
        let known = last.get(&uid).zip(SubjectKind::parse(&subject.kind));
        let Some((&(state, incarnation), kind)) = known else { continue };
        facts.push(Fact {
            subject: Subject {
                uid,
                tenant: TenantUid(subject.tenant_uid),
                kind,
                name: subject.name,
                user: subject.user_name,
                template: subject.template,
                cluster: cluster.to_owned(),
            },
            transition: Transition { session: uid, order, at, state, incarnation },
            cause: "SeenAgain".to_owned(),
        });
    }
    Ok((facts, owed))
}

/// A subject whose life counts as ended.
#[derive(sqlx::FromRow)]
struct Ended {
    subject_uid: Uuid,
    tenant_uid: Uuid,
    kind: String,
    name: String,
    user_name: String,
    template: String,
    position: i64,
}
