//! The outbox in the database.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow, types::Json};
use streamspace_core::notify::{Action, NoticeState};
use uuid::Uuid;

use super::Message;
use crate::db::{DbError, Leadership, lease};

/// How long one who tries is waited for, before the same leader tries again: several questions
/// to a receiver, and what the database takes.
const PATIENCE_SECONDS: i32 = 90;
/// How long what was sent is kept.
const KEPT_DAYS: i32 = 30;
/// How long what was refused is kept: people look at it.
const REFUSED_DAYS: i32 = 90;
/// How long is known what a receiver calls a thing.
const REMOTE_DAYS: i32 = 400;

/// A notice as a row.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) uid: Uuid,
    pub(super) position: i64,
    pub(super) channel: String,
    pub(super) dedup_key: String,
    pub(super) action: Action,
    pub(super) step: String,
    /// `None`: what stands there is no message of this version.
    pub(super) message: Option<Message>,
    pub(super) state: NoticeState,
    pub(super) attempts: i32,
    pub(super) next: Timestamp,
    pub(super) problem: String,
    pub(super) created: Timestamp,
    pub(super) settled: Option<Timestamp>,
}

impl FromRow<'_, PgRow> for Record {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let unknown = |word: &str| sqlx::Error::Decode(format!("unknown word {word:?}").into());
        let time = |column: &str| -> Result<Timestamp, sqlx::Error> {
            Ok(row.try_get::<jiff_sqlx::Timestamp, _>(column)?.to_jiff())
        };
        let Json(message) = row.try_get::<Json<serde_json::Value>, _>("message")?;
        let (action, state): (&str, &str) = (row.try_get("action")?, row.try_get("state")?);
        Ok(Self {
            uid: row.try_get("notice_uid")?,
            position: row.try_get("position")?,
            channel: row.try_get("channel")?,
            dedup_key: row.try_get("dedup_key")?,
            action: Action::parse(action).ok_or_else(|| unknown(action))?,
            step: row.try_get("step")?,
            message: serde_json::from_value(message).ok(),
            state: NoticeState::parse(state).ok_or_else(|| unknown(state))?,
            attempts: row.try_get("attempts")?,
            next: time("next_time")?,
            problem: row.try_get("problem")?,
            created: time("create_time")?,
            settled: row
                .try_get::<Option<jiff_sqlx::Timestamp>, _>("settle_time")?
                .map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}

/// Keeps a notice for a channel. The same is not kept twice.
pub(super) async fn insert(
    tx: &mut PgConnection,
    channel: &str,
    dedup_key: &str,
    action: Action,
    step: &str,
    message: &Message,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO notify_outbox (notice_uid, channel, dedup_key, action, step, message) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (channel, dedup_key, action, step) DO NOTHING",
    )
    // Its beginning alone tells it from others: people type it.
    .bind(Uuid::new_v4())
    .bind(channel)
    .bind(dedup_key)
    .bind(action.as_str())
    .bind(step)
    .bind(Json(message))
    .execute(tx)
    .await?;
    Ok(())
}

/// Claims what is due of a channel: of each key the first that waits, up to `most`. Who
/// claims has raised `attempts`, and commits before it sends. What a leader before claimed is
/// due at once: that one sends no more, or its receiver gets it twice under one key.
pub(super) async fn claim(
    tx: &mut PgConnection,
    leadership: &Leadership,
    channel: &str,
    most: usize,
) -> Result<Vec<Record>, DbError> {
    if !lease::still_leads(tx, leadership).await? {
        return Ok(Vec::new());
    }
    let mut claimed: Vec<Record> = sqlx::query_as(
        "WITH heads AS ( \
             SELECT DISTINCT ON (dedup_key) notice_uid, position, next_time, claim_term \
             FROM notify_outbox WHERE channel = $1 AND state = 'waiting' \
             ORDER BY dedup_key, position \
         ), due AS ( \
             SELECT notice_uid FROM heads \
             WHERE next_time <= clock_timestamp() OR claim_term < $2 \
             ORDER BY position LIMIT $3 \
         ) \
         UPDATE notify_outbox SET attempts = attempts + 1, claim_term = $2, \
             next_time = clock_timestamp() + make_interval(secs => $4) \
         FROM due WHERE notify_outbox.notice_uid = due.notice_uid AND state = 'waiting' \
         RETURNING notify_outbox.*",
    )
    .bind(channel)
    .bind(leadership.leader_term)
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .bind(f64::from(PATIENCE_SECONDS))
    .fetch_all(tx)
    .await?;
    claimed.sort_by_key(|record| record.position);
    Ok(claimed)
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) state: NoticeState,
    /// After which time it is tried again, where it still waits.
    pub(super) wait: Duration,
    /// What the try met; empty where nothing.
    pub(super) problem: String,
    /// What the receiver calls the thing, where that is known anew: its kind and its id, which
    /// is empty where there is no such thing any more.
    pub(super) remote: Option<(&'static str, String)>,
}

/// Notes what became of a try, where nobody has tried since. Whether it is noted.
pub(super) async fn note(
    tx: &mut PgConnection,
    claimed: &Record,
    tried: &Tried,
) -> Result<bool, DbError> {
    let done = sqlx::query(
        "UPDATE notify_outbox SET state = $3, problem = $4, claim_term = NULL, \
             next_time = clock_timestamp() + make_interval(secs => $5), \
             settle_time = CASE WHEN $3 = 'waiting' THEN NULL ELSE clock_timestamp() END \
         WHERE notice_uid = $1 AND attempts = $2 AND state = 'waiting'",
    )
    .bind(claimed.uid)
    .bind(claimed.attempts)
    .bind(tried.state.as_str())
    .bind(&tried.problem)
    .bind(tried.wait.as_secs_f64())
    .execute(&mut *tx)
    .await?;
    // What the receiver made is known also to who tries since.
    if let Some((thing, id)) = &tried.remote {
        remember(tx, claimed, thing, id).await?;
    }
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let query = match tried.state {
        NoticeState::Sent => sqlx::query(
            "INSERT INTO notify_channels (channel, success_time) VALUES ($1, clock_timestamp()) \
             ON CONFLICT (channel) DO UPDATE SET success_time = clock_timestamp()",
        )
        .bind(&claimed.channel),
        NoticeState::Waiting | NoticeState::Refused => sqlx::query(
            "INSERT INTO notify_channels (channel, error_time, error) \
             VALUES ($1, clock_timestamp(), $2) \
             ON CONFLICT (channel) DO UPDATE SET error_time = clock_timestamp(), error = $2",
        )
        .bind(&claimed.channel)
        .bind(&tried.problem),
        NoticeState::Expired => return Ok(true),
    };
    query.execute(tx).await?;
    Ok(true)
}

async fn remember(
    tx: &mut PgConnection,
    of: &Record,
    thing: &str,
    id: &str,
) -> Result<(), DbError> {
    let query = if id.is_empty() {
        sqlx::query(
            "DELETE FROM notify_remotes WHERE channel = $1 AND dedup_key = $2 AND thing = $3",
        )
    } else {
        sqlx::query(
            "INSERT INTO notify_remotes (channel, dedup_key, thing, remote_id) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (channel, dedup_key, thing) \
             DO UPDATE SET remote_id = $4, update_time = now()",
        )
    };
    let query = query.bind(&of.channel).bind(&of.dedup_key).bind(thing);
    let query = if id.is_empty() { query } else { query.bind(id) };
    query.execute(tx).await?;
    Ok(())
}

/// What the receiver calls the thing of a notice; empty where that is not known.
pub(super) async fn remote(
    tx: &mut PgConnection,
    of: &Record,
    thing: &str,
) -> Result<String, DbError> {
    let query = sqlx::query_scalar(
        "SELECT remote_id FROM notify_remotes \
         WHERE channel = $1 AND dedup_key = $2 AND thing = $3",
    );
    let query = query.bind(&of.channel).bind(&of.dedup_key).bind(thing);
    Ok(query.fetch_optional(tx).await?.unwrap_or_default())
}

/// Refuses what waits for channels that are not configured.
pub(super) async fn refuse_others(tx: &mut PgConnection, names: &[String]) -> Result<u64, DbError> {
    let done = sqlx::query(
        "UPDATE notify_outbox SET state = 'refused', settle_time = clock_timestamp(), \
             claim_term = NULL, problem = 'no channel ' || channel || ' is configured: name it \
as notify.channels.' || channel || ', then retry the notice' \
         WHERE state = 'waiting' AND NOT channel = ANY($1)",
    )
    .bind(names)
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}

/// Takes away what was settled long ago.
pub(super) async fn prune(tx: &mut PgConnection) -> Result<u64, DbError> {
    let done = sqlx::query(
        "DELETE FROM notify_outbox WHERE settle_time < now() - make_interval(days => \
             CASE WHEN state = 'refused' THEN $2 ELSE $1 END)",
    )
    .bind(KEPT_DAYS)
    .bind(REFUSED_DAYS)
    .execute(&mut *tx)
    .await?;
    sqlx::query("DELETE FROM notify_remotes WHERE update_time < now() - make_interval(days => $1)")
        .bind(REMOTE_DAYS)
        .execute(tx)
        .await?;
    Ok(done.rows_affected())
}

/// Up to `most` notices before a position, the newest first.
pub(super) async fn list(
    tx: &mut PgConnection,
    state: Option<NoticeState>,
    before: i64,
    most: usize,
) -> Result<Vec<Record>, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM notify_outbox WHERE position < $1 AND ($2 IS NULL OR state = $2) \
         ORDER BY position DESC LIMIT $3",
    );
    Ok(query
        .bind(before)
        .bind(state.map(NoticeState::as_str))
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(tx)
        .await?)
}

/// One of them, which nobody else changes meanwhile.
pub(super) async fn lock(tx: &mut PgConnection, uid: Uuid) -> Result<Option<Record>, DbError> {
    let query = sqlx::query_as("SELECT * FROM notify_outbox WHERE notice_uid = $1 FOR UPDATE");
    Ok(query.bind(uid).fetch_optional(tx).await?)
}

/// The one that was kept under these.
pub(super) async fn kept(
    tx: &mut PgConnection,
    channel: &str,
    dedup_key: &str,
    action: Action,
    step: &str,
) -> Result<Record, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM notify_outbox \
         WHERE channel = $1 AND dedup_key = $2 AND action = $3 AND step = $4",
    );
    let query = query.bind(channel).bind(dedup_key).bind(action.as_str()).bind(step);
    Ok(query.fetch_one(tx).await?)
}

/// Whether a later notice of the same thread, which ended it, was sent.
pub(super) async fn is_over(tx: &mut PgConnection, of: &Record) -> Result<bool, DbError> {
    let query = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM notify_outbox WHERE channel = $1 AND dedup_key = $2 \
         AND position > $3 AND action IN ('resolve', 'unsilence') AND state = 'sent')",
    );
    Ok(query.bind(&of.channel).bind(&of.dedup_key).bind(of.position).fetch_one(tx).await?)
}

/// Lets a refused one wait again.
pub(super) async fn retry(tx: &mut PgConnection, uid: Uuid) -> Result<Record, DbError> {
    let query = sqlx::query_as(
        "UPDATE notify_outbox SET state = 'waiting', next_time = clock_timestamp(), \
             claim_term = NULL, settle_time = NULL \
         WHERE notice_uid = $1 RETURNING *",
    );
    Ok(query.bind(uid).fetch_one(tx).await?)
}

/// How a channel is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) channel: String,
    pub(super) waiting: i64,
    pub(super) refused: i64,
    /// Those of the last day, where their thread is not over since; no tests.
    pub(super) given_up: i64,
    /// How long the oldest of those that wait does, in seconds.
    pub(super) oldest_seconds: i64,
    pub(super) success: Option<Timestamp>,
    pub(super) error_time: Option<Timestamp>,
    pub(super) error: String,
}

/// How each channel is that has anything to show.
pub(super) async fn standings(tx: &mut PgConnection) -> Result<Vec<Standing>, DbError> {
    let rows = sqlx::query(
        "WITH rows AS ( \
             SELECT channel, count(*) FILTER (WHERE state = 'waiting') AS waiting, \
                 count(*) FILTER (WHERE state = 'refused') AS refused, \
                 count(*) FILTER (WHERE state = 'refused' AND action <> 'test' \
                     AND settle_time > now() - interval '1 day' AND NOT EXISTS ( \
                         SELECT FROM notify_outbox AS later \
                         WHERE later.channel = kept.channel \
                         AND later.dedup_key = kept.dedup_key \
                         AND later.position > kept.position AND later.state = 'sent' \
                         AND later.action IN ('resolve', 'unsilence'))) AS given_up, \
                 min(create_time) FILTER (WHERE state = 'waiting') AS oldest \
             FROM notify_outbox AS kept GROUP BY channel \
         ) \
         SELECT channel, coalesce(waiting, 0) AS waiting, coalesce(refused, 0) AS refused, \
             coalesce(given_up, 0) AS given_up, \
             coalesce(greatest(0, extract(epoch FROM now() - oldest)), 0)::bigint AS oldest, \
             success_time, error_time, coalesce(error, '') AS error \
         FROM rows FULL JOIN notify_channels USING (channel) ORDER BY channel",
    )
    .fetch_all(tx)
    .await?;
    let read = |row: &PgRow| -> Result<Standing, sqlx::Error> {
        let maybe = |column: &str| -> Result<Option<Timestamp>, sqlx::Error> {
            let time: Option<jiff_sqlx::Timestamp> = row.try_get(column)?;
            Ok(time.map(jiff_sqlx::Timestamp::to_jiff))
        };
        Ok(Standing {
            channel: row.try_get("channel")?,
            waiting: row.try_get("waiting")?,
            refused: row.try_get("refused")?,
            given_up: row.try_get("given_up")?,
            oldest_seconds: row.try_get("oldest")?,
            success: maybe("success_time")?,
            error_time: maybe("error_time")?,
            error: row.try_get("error")?,
        })
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}
