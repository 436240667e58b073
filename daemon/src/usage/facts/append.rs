//! The one way by which transitions come into the store.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use sqlx::PgConnection;
use streamspace_core::{
    ids::TenantUid,
    session::SessionUid,
    usage::{History, Ledger, Order, Second, Span, Transition, Watermark, late},
};
use uuid::Uuid;

use super::{
    super::{row, store},
    Fact,
};
use crate::db::DbError;

/// A transition with the tenant that it is kept under.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) tenant: TenantUid,
    pub(super) transition: Transition,
    pub(super) cause: String,
}

type Key = (TenantUid, SessionUid, Order);

impl Entry {
    pub(super) fn of(fact: &Fact) -> Self {
        Self {
            tenant: fact.subject.tenant,
            transition: row::bounded(&fact.transition),
            cause: row::clipped(&fact.cause),
        }
    }

    fn key(&self) -> Key {
        (self.tenant, self.transition.session, self.transition.order)
    }

    fn subject(&self) -> (TenantUid, SessionUid) {
        (self.tenant, self.transition.session)
    }

    /// Which of two of one state is kept: the one that knows its incarnation, then the
    /// earlier.
    fn preferred(&self, other: &Self) -> Ordering {
        let rank = |entry: &Self| {
            let transition = entry.transition;
            (transition.incarnation.is_none(), transition.at, transition)
        };
        rank(self).cmp(&rank(other))
    }
}

/// Columns of entries, to be bound as arrays.
#[derive(Default)]
struct Columns {
    tenants: Vec<Uuid>,
    subjects: Vec<Uuid>,
    positions: Vec<i64>,
    at: Vec<i64>,
    phases: Vec<&'static str>,
    cpu: Vec<i64>,
    memory: Vec<i64>,
    home: Vec<i64>,
    pods: Vec<Option<Uuid>>,
    container_starts: Vec<Option<i64>>,
    causes: Vec<String>,
}

impl Columns {
    fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut columns = Self::default();
        for Entry { tenant, transition, cause } in entries {
            columns.tenants.push(tenant.0);
            columns.subjects.push(transition.session.0);
            columns.positions.push(row::position(transition.order));
            columns.at.push(transition.at.0);
            columns.phases.push(transition.state.phase.as_str());
            columns.cpu.push(transition.state.cpu.0);
            columns.memory.push(transition.state.memory.0);
            columns.home.push(transition.state.home.0);
            columns.pods.push(transition.incarnation.map(|run| run.pod.0));
            columns.container_starts.push(transition.incarnation.map(|run| run.container_start.0));
            columns.causes.push(cause.clone());
        }
        columns
    }
}

/// Stores transitions, with the ends that follow from them, and notes what of it is late.
/// The watermark's row is held. `facts` names their subjects where these may be new.
/// Returns how many transitions are new to the store.
pub(super) async fn append(
    tx: &mut PgConnection,
    watermark: Option<&Watermark>,
    entries: Vec<Entry>,
    facts: &[Fact],
) -> Result<u64, DbError> {
    let mut wanted: BTreeMap<Key, Entry> = BTreeMap::new();
    for entry in entries {
        let better = |kept: &Entry| entry.preferred(kept) == Ordering::Less;
        if wanted.get(&entry.key()).is_none_or(better) {
            wanted.insert(entry.key(), entry);
        }
    }
    let wanted: Vec<Entry> = wanted.into_values().collect();
    let (fresh, fills) = unknown(tx, wanted).await?;
    if fresh.is_empty() && fills.is_empty() {
        return Ok(0);
    }
    let touched: BTreeSet<_> = fresh.iter().chain(&fills).map(Entry::subject).collect();
    insert_subjects(tx, &touched, facts).await?;
    let mut earliest = hold_subjects(tx, &touched).await?;

    let mut spans = Vec::new();
    let all = || fresh.iter().chain(&fills).map(|entry| &entry.transition);
    let ledger = match (watermark, all().map(|t| t.at).min(), all().map(|t| t.order).min()) {
        (Some(watermark), Some(at), Some(order)) => {
            Some(store::ledger(tx, watermark, at.plus(-1), Some(order)).await?)
        }
        _ => None,
    };
    let count = u64::try_from(fresh.len()).unwrap_or(u64::MAX);
    let fresh = match &ledger {
        Some(ledger) => with_ends(fresh, ledger, &mut earliest),
        None => fresh,
    };
    insert(tx, &fresh).await?;
    let filled = fill(tx, &fills).await?;
    if let Some(ledger) = &ledger {
        let of = |entry: &Entry, at| late(at, ledger).map(|span| (entry.subject(), span));
        spans.extend(fresh.iter().filter_map(|entry| of(entry, entry.transition.at)));
        let mut touched = filled
            .into_iter()
            .filter_map(|(key, at)| late(at, ledger).map(|span| ((key.0, key.1), span)));
        spans.extend(&mut touched);
    }
    note_late(tx, spans).await?;
    refresh(tx, &touched).await?;
    Ok(count)
}

/// Which transitions the store does not have, and of which it lacks the incarnation.
async fn unknown(
    tx: &mut PgConnection,
    wanted: Vec<Entry>,
) -> Result<(Vec<Entry>, Vec<Entry>), DbError> {
    let columns = Columns::of(&wanted);
    let knows: Vec<bool> = columns.pods.iter().map(Option::is_some).collect();
    let rows: Vec<(i64, bool)> = sqlx::query_as(
        "SELECT wanted.number, known.position IS NULL \
         FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::boolean[]) WITH ORDINALITY \
              AS wanted (tenant_uid, subject_uid, position, knows, number) \
         LEFT JOIN usage_transitions AS known USING (tenant_uid, subject_uid, position) \
         WHERE known.position IS NULL OR known.pod_uid IS NULL AND wanted.knows",
    )
    .bind(&columns.tenants)
    .bind(&columns.subjects)
    .bind(&columns.positions)
    .bind(knows)
    .fetch_all(tx)
    .await?;
    let rows: BTreeMap<usize, bool> = rows
        .into_iter()
        .filter_map(|(number, is_new)| Some((usize::try_from(number).ok()?, is_new)))
        .collect();
    let (mut fresh, mut fills) = (Vec::new(), Vec::new());
    for (number, entry) in (1..).zip(wanted) {
        match rows.get(&number) {
            Some(true) => fresh.push(entry),
            Some(false) => fills.push(entry),
            None => {}
        }
    }
    Ok((fresh, fills))
}

/// In the order of their keys, as everybody does, so that nobody waits in a circle.
async fn insert_subjects(
    tx: &mut PgConnection,
    touched: &BTreeSet<(TenantUid, SessionUid)>,
    facts: &[Fact],
) -> Result<(), DbError> {
    let facts: BTreeMap<_, _> =
        facts.iter().map(|fact| ((fact.subject.tenant, fact.subject.uid), fact)).collect();
    let facts: Vec<&Fact> = touched.iter().filter_map(|key| facts.get(key).copied()).collect();
    if facts.is_empty() {
        return Ok(());
    }
    let column =
        |of: fn(&Fact) -> Uuid| -> Vec<Uuid> { facts.iter().map(|fact| of(fact)).collect() };
    let text = |of: fn(&Fact) -> &str| -> Vec<String> {
        facts.iter().map(|fact| row::clipped(of(fact))).collect()
    };
    sqlx::query(
        "INSERT INTO usage_subjects (tenant_uid, subject_uid, kind, name, user_name, template, cluster) \
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], \
                              $7::text[]) \
         ON CONFLICT DO NOTHING",
    )
    .bind(column(|fact| fact.subject.tenant.0))
    .bind(column(|fact| fact.subject.uid.0))
    .bind(text(|fact| fact.subject.kind.as_str()))
    .bind(text(|fact| &fact.subject.name))
    .bind(text(|fact| &fact.subject.user))
    .bind(text(|fact| &fact.subject.template))
    .bind(text(|fact| &fact.subject.cluster))
    .execute(tx)
    .await?;
    Ok(())
}

/// Holds the subjects, and says what is the first that is known of each.
async fn hold_subjects(
    tx: &mut PgConnection,
    touched: &BTreeSet<(TenantUid, SessionUid)>,
) -> Result<BTreeMap<(TenantUid, SessionUid), Order>, DbError> {
    let (tenants, subjects) = arrays(touched);
    sqlx::query(
        "SELECT FROM usage_subjects \
         JOIN UNNEST($1::uuid[], $2::uuid[]) AS wanted (tenant_uid, subject_uid) \
              USING (tenant_uid, subject_uid) \
         ORDER BY tenant_uid, subject_uid FOR NO KEY UPDATE OF usage_subjects",
    )
    .bind(&tenants)
    .bind(&subjects)
    .execute(&mut *tx)
    .await?;
    let rows: Vec<(Uuid, Uuid, i64)> = sqlx::query_as(
        "SELECT wanted.tenant_uid, wanted.subject_uid, known.position \
         FROM UNNEST($1::uuid[], $2::uuid[]) AS wanted (tenant_uid, subject_uid) \
         CROSS JOIN LATERAL (SELECT position FROM usage_transitions AS known \
                             WHERE known.tenant_uid = wanted.tenant_uid \
                               AND known.subject_uid = wanted.subject_uid \
                             ORDER BY position LIMIT 1) AS known",
    )
    .bind(&tenants)
    .bind(&subjects)
    .fetch_all(tx)
    .await?;
    let read = |(tenant, subject, position)| {
        ((TenantUid(tenant), SessionUid(subject)), row::order(position))
    };
    Ok(rows.into_iter().map(read).collect())
}

/// The facts in the order of their keys, each with the end that goes with it.
fn with_ends(
    fresh: Vec<Entry>,
    ledger: &Ledger,
    earliest: &mut BTreeMap<(TenantUid, SessionUid), Order>,
) -> Vec<Entry> {
    let mut all: BTreeMap<Key, Entry> = BTreeMap::new();
    for entry in fresh {
        // What the rule asks is whether anything was known up to a list, which the first
        // that is known answers.
        let first = earliest.get(&entry.subject()).copied();
        let known = first.map(|order| Transition { order, ..entry.transition });
        let end = History::new(known).unlisted(&entry.transition, ledger);
        let order = first.map_or(entry.transition.order, |first| first.min(entry.transition.order));
        earliest.insert(entry.subject(), order);
        if let Some(end) = end {
            let end = Entry { tenant: entry.tenant, transition: end, cause: String::new() };
            all.entry(end.key()).or_insert(end);
        }
        all.insert(entry.key(), entry);
    }
    all.into_values().collect()
}

async fn insert(tx: &mut PgConnection, entries: &[Entry]) -> Result<(), DbError> {
    let columns = Columns::of(entries);
    sqlx::query(
        "INSERT INTO usage_transitions (tenant_uid, subject_uid, position, at, phase, cpu_millicores, \
                                        memory_bytes, home_bytes, pod_uid, container_start, cause) \
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::text[], \
                              $6::bigint[], $7::bigint[], $8::bigint[], $9::uuid[], $10::bigint[], \
                              $11::text[]) \
         ON CONFLICT DO NOTHING",
    )
    .bind(columns.tenants)
    .bind(columns.subjects)
    .bind(columns.positions)
    .bind(columns.at)
    .bind(columns.phases)
    .bind(columns.cpu)
    .bind(columns.memory)
    .bind(columns.home)
    .bind(columns.pods)
    .bind(columns.container_starts)
    .bind(columns.causes)
    .execute(tx)
    .await?;
    Ok(())
}

/// Fills in incarnations. It is the same state of the cluster, so nothing else of the row
/// can differ. Returns what was filled, with its instant.
async fn fill(tx: &mut PgConnection, fills: &[Entry]) -> Result<Vec<(Key, Second)>, DbError> {
    if fills.is_empty() {
        return Ok(Vec::new());
    }
    let columns = Columns::of(fills);
    let rows: Vec<(Uuid, Uuid, i64, i64)> = sqlx::query_as(
        "UPDATE usage_transitions AS known \
         SET pod_uid = wanted.pod_uid, container_start = wanted.container_start \
         FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[]) \
              AS wanted (tenant_uid, subject_uid, position, pod_uid, container_start) \
         WHERE known.tenant_uid = wanted.tenant_uid AND known.subject_uid = wanted.subject_uid \
           AND known.position = wanted.position AND known.pod_uid IS NULL \
         RETURNING known.tenant_uid, known.subject_uid, known.position, known.at",
    )
    .bind(columns.tenants)
    .bind(columns.subjects)
    .bind(columns.positions)
    .bind(columns.pods)
    .bind(columns.container_starts)
    .fetch_all(tx)
    .await?;
    let read = |(tenant, subject, position, at)| {
        ((TenantUid(tenant), SessionUid(subject), row::order(position)), Second(at))
    };
    Ok(rows.into_iter().map(read).collect())
}

/// A span that is there already is held, and not only passed by: whoever corrects it takes
/// it away first and then reads the facts, so that it waits for these.
async fn note_late(
    tx: &mut PgConnection,
    spans: Vec<((TenantUid, SessionUid), Span)>,
) -> Result<(), DbError> {
    let spans: BTreeSet<_> = spans.into_iter().collect();
    if spans.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&((TenantUid, SessionUid), Span)) -> Uuid| -> Vec<Uuid> {
        spans.iter().map(of).collect()
    };
    let from: Vec<i64> = spans.iter().map(|(_, span)| span.from.0).collect();
    let to: Vec<i64> = spans.iter().map(|(_, span)| span.to.0).collect();
    sqlx::query(
        "INSERT INTO usage_late (tenant_uid, subject_uid, from_second, to_second) \
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) \
         ON CONFLICT (tenant_uid, subject_uid, from_second, to_second) \
         DO UPDATE SET to_second = EXCLUDED.to_second",
    )
    .bind(column(|(subject, _)| subject.0.0))
    .bind(column(|(subject, _)| subject.1.0))
    .bind(from)
    .bind(to)
    .execute(tx)
    .await?;
    Ok(())
}

/// Brings what the subjects say of their latest transition up to date. Its instant is
/// raised to that of all before it, as in a history.
async fn refresh(
    tx: &mut PgConnection,
    touched: &BTreeSet<(TenantUid, SessionUid)>,
) -> Result<(), DbError> {
    let (tenants, subjects) = arrays(touched);
    sqlx::query(
        "UPDATE usage_subjects AS subject \
         SET position = latest.position, at = raised.at, phase = latest.phase, \
             cpu_millicores = latest.cpu_millicores, memory_bytes = latest.memory_bytes, \
             home_bytes = latest.home_bytes, pod_uid = latest.pod_uid, \
             container_start = latest.container_start, \
             end_second = CASE latest.phase WHEN 'Terminated' THEN raised.at END \
         FROM UNNEST($1::uuid[], $2::uuid[]) AS wanted (tenant_uid, subject_uid) \
         CROSS JOIN LATERAL (SELECT * FROM usage_transitions AS known \
                             WHERE known.tenant_uid = wanted.tenant_uid \
                               AND known.subject_uid = wanted.subject_uid \
                             ORDER BY position DESC LIMIT 1) AS latest \
         CROSS JOIN LATERAL (SELECT max(at) AS at FROM usage_transitions AS known \
                             WHERE known.tenant_uid = wanted.tenant_uid \
                               AND known.subject_uid = wanted.subject_uid) AS raised \
         WHERE subject.tenant_uid = wanted.tenant_uid AND subject.subject_uid = wanted.subject_uid",
    )
    .bind(&tenants)
    .bind(&subjects)
    .execute(tx)
    .await?;
    Ok(())
}

fn arrays(subjects: &BTreeSet<(TenantUid, SessionUid)>) -> (Vec<Uuid>, Vec<Uuid>) {
    subjects.iter().map(|(tenant, subject)| (tenant.0, subject.0)).unzip()
}
