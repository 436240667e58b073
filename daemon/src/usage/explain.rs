//! From a number down to the intervals and the events behind it.
//!
//! What was committed is shown as it stands in rows; what is known now is computed anew
//! from the facts, by the same functions that the intervals come from. All is read in one
//! snapshot, so that the sums agree to the unit.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use streamspace_core::{
    session::SessionUid,
    usage::{History, Ledger, Span, Transition, pieces},
};
use streamspace_proto::v1;
use uuid::Uuid;

use super::{
    convert::{self, Amounts},
    facts::SubjectKind,
    input::Explain,
    query::{amounts, sums},
    row,
    store::{self, Hold},
};
use crate::{
    db::DbError,
    rpc::errors::{RpcError, RpcResult},
};

/// The most subjects of an answer.
const SUBJECTS_MAXIMUM: usize = 500;
/// The most intervals of an answer, unless its first subject alone has more: it is one
/// message.
const INTERVALS_MAXIMUM: i64 = 20_000;
/// The most events of an answer, and the most pieces.
const EVENTS_MAXIMUM: usize = 8_000;

/// A subject with what the time has of it.
struct Subject {
    uid: Uuid,
    shown: v1::ExplainedSubject,
    lines: i64,
}

/// What is behind the number of one tenant. The transaction sees one snapshot.
pub(super) async fn explain(
    tx: &mut PgConnection,
    tenant: Uuid,
    wish: &Explain,
) -> RpcResult<v1::ExplainUsageResponse> {
    let (mut subjects, total) = subjects(tx, tenant, wish).await?;
    if subjects.is_empty() && !wish.session.is_empty() && !is_known(tx, tenant, wish).await? {
        let name = format!("tenants/{}/sessions/{}", wish.tenant, wish.session);
        return Err(RpcError::NotFound(name));
    }
    let found = subjects.len();
    subjects.truncate(SUBJECTS_MAXIMUM);
    let mut lines: i64 = 0;
    let fits = subjects.iter().take_while(|subject| {
        let is_first = lines == 0;
        lines = lines.saturating_add(subject.lines);
        is_first || lines <= INTERVALS_MAXIMUM
    });
    let fits = fits.count();
    subjects.truncate(fits);
    let mut truncated = subjects.len() < found;
    let uids: Vec<Uuid> = subjects.iter().map(|subject| subject.uid).collect();
    let mut intervals = intervals(tx, tenant, &uids, wish.span).await?;
    for subject in &mut subjects {
        subject.shown.intervals = intervals.remove(&subject.uid).unwrap_or_default();
    }
    truncated |= !add_facts(tx, tenant, &mut subjects, wish.span).await?;
    Ok(v1::ExplainUsageResponse {
        total: Some(total.to_proto()),
        subjects: subjects.into_iter().map(|subject| subject.shown).collect(),
        truncated,
    })
}

/// Whether anything was ever metered under the name or UID that is asked for.
async fn is_known(tx: &mut PgConnection, tenant: Uuid, wish: &Explain) -> Result<bool, DbError> {
    let known = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM usage_subjects \
                        WHERE tenant_uid = $1 AND (name = $2 OR subject_uid = $3))",
    );
    let known = known.bind(tenant).bind(&wish.session).bind(Uuid::parse_str(&wish.session).ok());
    Ok(known.fetch_one(tx).await?)
}

/// The subjects with their sums, one more than are shown, and the sum of all that there
/// are. Those are among them that lived in the time and used nothing.
async fn subjects(
    tx: &mut PgConnection,
    tenant: Uuid,
    wish: &Explain,
) -> RpcResult<(Vec<Subject>, Amounts)> {
    let Explain { span, user, template, session, .. } = wish;
    let mut rows = sqlx::query(concat!(
        "WITH wanted AS MATERIALIZED ( \
             SELECT subject_uid, kind, name, user_name, template, end_second FROM usage_subjects \
             WHERE tenant_uid = $1 AND ($4 = '' OR user_name = $4) AND ($5 = '' OR template = $5) \
               AND ($6 = '' OR name = $6 OR subject_uid = $7) \
         ), \
         used AS ( \
             SELECT subject_uid, ",
        sums!(),
        " AS amounts, count(*) AS lines \
             FROM (SELECT subject_uid, cpu_millicore_seconds, memory_byte_seconds, storage_byte_seconds, \
                          session_seconds, sessions_started, measured_seconds, estimated_seconds, \
                          unbilled_seconds \
                   FROM usage_intervals \
                   WHERE tenant_uid = $1 AND bucket_time >= $2 AND bucket_time < $3 \
                   UNION ALL \
                   SELECT subject_uid, cpu_millicore_seconds, memory_byte_seconds, storage_byte_seconds, \
                          session_seconds, sessions_started, measured_seconds, estimated_seconds, \
                          unbilled_seconds \
                   FROM usage_corrections \
                   WHERE tenant_uid = $1 AND bucket_time >= $2 AND bucket_time < $3) AS rows \
             JOIN wanted USING (subject_uid) \
             GROUP BY subject_uid \
         ) \
         SELECT wanted.*, amounts, coalesce(lines, 0) AS lines \
         FROM wanted LEFT JOIN used USING (subject_uid) \
         WHERE lines > 0 \
            OR (end_second IS NULL OR end_second > $8) AND EXISTS ( \
                   SELECT FROM usage_transitions AS known \
                   WHERE known.tenant_uid = $1 AND known.subject_uid = wanted.subject_uid AND at < $9) \
         ORDER BY name, subject_uid"
    ))
    .bind(tenant)
    .bind(convert::bind(span.from))
    .bind(convert::bind(span.to))
    .bind(user)
    .bind(template)
    .bind(session)
    .bind(Uuid::parse_str(session).ok())
    .bind(span.from.0)
    .bind(span.to.0)
    .fetch(tx);
    let mut total = Amounts::default();
    let mut subjects = Vec::new();
    while let Some(row) = rows.try_next().await.map_err(DbError::from)? {
        let read = |row: &PgRow| -> Result<_, sqlx::Error> {
            let uid: Uuid = row.try_get("subject_uid")?;
            let shown = v1::ExplainedSubject {
                uid: uid.to_string(),
                kind: row.try_get("kind")?,
                name: row.try_get("name")?,
                user: row.try_get("user_name")?,
                template: row.try_get("template")?,
                ..Default::default()
            };
            let amounts: Option<Vec<String>> = row.try_get("amounts")?;
            Ok((Subject { uid, shown, lines: row.try_get("lines")? }, amounts))
        };
        let (mut subject, amounts) = read(&row).map_err(DbError::from)?;
        let amounts = amounts.map(|texts| Amounts::read(&texts)).transpose()?.unwrap_or_default();
        let amounts = if subject.shown.kind == SubjectKind::Session.as_str() {
            amounts
        } else {
            amounts.of_storage()
        };
        total.add(&amounts)?;
        if subjects.len() <= SUBJECTS_MAXIMUM {
            subject.shown.amounts = Some(amounts.to_proto());
            subjects.push(subject);
        }
    }
    Ok((subjects, total))
}

type Intervals = BTreeMap<Uuid, Vec<v1::ExplainedInterval>>;

/// What was committed of each subject, and the corrections.
async fn intervals(
    tx: &mut PgConnection,
    tenant: Uuid,
    subjects: &[Uuid],
    span: Span,
) -> RpcResult<Intervals> {
    let rows: Vec<PgRow> = sqlx::query(concat!(
        "SELECT subject_uid, bucket_time, 0 AS number, doubts, ",
        amounts!(),
        " AS amounts FROM usage_intervals \
         WHERE tenant_uid = $1 AND bucket_time >= $3 AND bucket_time < $4 AND subject_uid = ANY ($2) \
         UNION ALL \
         SELECT subject_uid, bucket_time, number, doubts, ",
        amounts!(),
        " FROM usage_corrections \
         WHERE tenant_uid = $1 AND bucket_time >= $3 AND bucket_time < $4 AND subject_uid = ANY ($2) \
         ORDER BY 2, 3"
    ))
    .bind(tenant)
    .bind(subjects)
    .bind(convert::bind(span.from))
    .bind(convert::bind(span.to))
    .fetch_all(tx)
    .await
    .map_err(DbError::from)?;
    let mut intervals = Intervals::new();
    for row in rows {
        let read = |row: &PgRow| -> Result<_, sqlx::Error> {
            let interval = v1::ExplainedInterval {
                start_time: convert::instant(convert::second(row.try_get("bucket_time")?)),
                correction: row.try_get("number")?,
                doubts: row.try_get("doubts")?,
                amounts: None,
            };
            let amounts: Vec<String> = row.try_get("amounts")?;
            Ok((row.try_get::<Uuid, _>("subject_uid")?, interval, amounts))
        };
        let (subject, interval, amounts) = read(&row).map_err(DbError::from)?;
        let amounts = Some(Amounts::read(&amounts)?.to_proto());
        let interval = v1::ExplainedInterval { amounts, ..interval };
        intervals.entry(subject).or_default().push(interval);
    }
    Ok(intervals)
}

/// What is known of one subject: the facts as the history needs them, with their causes.
#[derive(Default)]
struct Facts {
    transitions: Vec<Transition>,
    causes: BTreeMap<u64, String>,
}

/// Adds pieces and events. `false`: there are too many, and some subjects have none.
async fn add_facts(
    tx: &mut PgConnection,
    tenant: Uuid,
    subjects: &mut [Subject],
    span: Span,
) -> RpcResult<bool> {
    let Some(watermark) = store::watermark(tx, Hold::Nothing).await? else {
        return Ok(true);
    };
    let ledger = store::ledger(tx, &watermark, span.from, None).await?;
    let uids: Vec<Uuid> = subjects.iter().map(|subject| subject.uid).collect();
    let (mut facts, mut complete) = facts(tx, tenant, &uids, span, &ledger).await?;
    // Of what is still to come nothing is known.
    let known = Span::new(span.from, span.to.min(watermark.complete_through));
    let (mut events, mut parts) = (0_usize, 0_usize);
    for subject in subjects {
        let Some(Facts { transitions, causes }) = facts.remove(&SessionUid(subject.uid)) else {
            continue;
        };
        let history = History::new(transitions);
        let of_subject = shown_events(&history, &causes, span);
        let pieces: Vec<_> = if known.is_empty() {
            Vec::new()
        } else {
            pieces(&history, &ledger, known).iter().map(piece).collect()
        };
        events = events.saturating_add(of_subject.len());
        parts = parts.saturating_add(pieces.len());
        if events.max(parts) > EVENTS_MAXIMUM {
            return Ok(false);
        }
        subject.shown.events = of_subject;
        subject.shown.pieces = pieces;
    }
    // A subject whose facts were cut off has been left out by `facts`.
    complete &= facts.is_empty();
    Ok(complete)
}

/// The facts that say what was in force in the span, and what the gaps of it prove: from
/// the one in force before the first gap that touches it to the one after it, and up to
/// the lists that ended its gaps. `false`: there are too many, and those of some subjects
/// are left out.
async fn facts(
    tx: &mut PgConnection,
    tenant: Uuid,
    subjects: &[Uuid],
    span: Span,
    ledger: &Ledger,
) -> RpcResult<(BTreeMap<SessionUid, Facts>, bool)> {
    let touching = ledger.gaps().iter().filter(|gap| gap.to >= span.from && gap.from <= span.to);
    let (mut from, mut list) = (span.from, 0_i64);
    for gap in touching {
        from = from.min(gap.from);
        list = list.max(row::position(gap.list));
    }
    // Instants as the history has them: none before that of an earlier state.
    let rows: Vec<PgRow> = sqlx::query(
        "WITH known AS MATERIALIZED ( \
             SELECT subject_uid, position, phase, cpu_millicores, memory_bytes, home_bytes, pod_uid, \
                    container_start, cause, \
                    max(at) OVER (PARTITION BY subject_uid ORDER BY position) AS at \
             FROM usage_transitions WHERE tenant_uid = $1 AND subject_uid = ANY ($2) \
         ), \
         bounds AS ( \
             SELECT subject_uid, max(position) FILTER (WHERE at < $3) AS first, \
                    min(position) FILTER (WHERE at >= $4) AS next \
             FROM known GROUP BY subject_uid \
         ) \
         SELECT known.* FROM known JOIN bounds USING (subject_uid) \
         WHERE position >= coalesce(first, position) AND position <= greatest(coalesce(next, position), $5) \
         ORDER BY array_position($2, subject_uid), position \
         LIMIT $6",
    )
    .bind(tenant)
    .bind(subjects)
    .bind(from.0)
    .bind(span.to.0)
    .bind(list)
    .bind(i64::try_from(EVENTS_MAXIMUM + 1).unwrap_or(i64::MAX))
    .fetch_all(tx)
    .await
    .map_err(DbError::from)?;
    let complete = rows.len() <= EVENTS_MAXIMUM;
    let mut facts: BTreeMap<SessionUid, Facts> = BTreeMap::new();
    let mut latest_read = None;
    for found in rows {
        let read = || -> Result<_, sqlx::Error> {
            Ok((row::transition(&found)?, found.try_get::<String, _>("cause")?))
        };
        let (transition, cause) = read().map_err(DbError::from)?;
        latest_read = Some(transition.session);
        let of_subject = facts.entry(transition.session).or_default();
        of_subject.causes.insert(transition.order.0, cause);
        of_subject.transitions.push(transition);
    }
    // Half a history would say something else than the whole one.
    if let Some(cut) = latest_read.filter(|_| !complete) {
        facts.remove(&cut);
    }
    Ok((facts, complete))
}

/// The events of a time, with the one in force when it begins.
fn shown_events(
    history: &History,
    causes: &BTreeMap<u64, String>,
    span: Span,
) -> Vec<v1::ExplainedEvent> {
    let known = history.transitions();
    let first = known.partition_point(|transition| transition.at <= span.from).saturating_sub(1);
    let within = known.iter().skip(first).take_while(|transition| transition.at < span.to);
    within.map(|transition| event(transition, causes)).collect()
}

fn event(transition: &Transition, causes: &BTreeMap<u64, String>) -> v1::ExplainedEvent {
    let Transition { order, at, state, incarnation, .. } = transition;
    v1::ExplainedEvent {
        time: convert::instant(*at),
        phase: state.phase.as_str().to_owned(),
        cpu_millicores: state.cpu.0,
        memory_bytes: state.memory.0,
        home_bytes: state.home.0,
        position: row::position(*order),
        cause: causes.get(&order.0).cloned().unwrap_or_default(),
        pod_uid: incarnation.map(|run| run.pod.0.to_string()).unwrap_or_default(),
    }
}

fn piece(piece: &streamspace_core::usage::Piece) -> v1::ExplainedPiece {
    let (coverage, reason) = convert::coverage(piece.coverage);
    v1::ExplainedPiece {
        start_time: convert::instant(piece.span.from),
        end_time: convert::instant(piece.span.to),
        coverage: coverage.to_owned(),
        reason: reason.to_owned(),
        cpu_millicores: piece.cpu.0,
        memory_bytes: piece.memory.0,
        home_bytes: piece.home.0,
    }
}
