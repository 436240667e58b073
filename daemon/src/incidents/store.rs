//! Incidents in the database.

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};
use streamspace_core::incident::{
    IncidentId, Role, Severity,
    escalation::{Level, ROUNDS},
    lifecycle::State,
};

use crate::{db::DbError, oncall::levels};

/// Rows of a timeline.
pub(super) const EVENTS_MAXIMUM: i64 = 2_500;

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: IncidentId,
    pub(super) title: String,
    pub(super) severity: Severity,
    pub(super) state: State,
    /// What alerts that are about the same have in common.
    pub(super) dedup_key: Option<String>,
    pub(super) commander: String,
    pub(super) communications: String,
    pub(super) scribe: String,
    /// Ids, in order.
    pub(super) tenants: Vec<String>,
    /// Ids, in order.
    pub(super) slos: Vec<String>,
    pub(super) declared_by: String,
    /// When its first alert began, or when it was declared.
    pub(super) start: Timestamp,
    pub(super) declared: Timestamp,
    pub(super) acknowledged_by: String,
    pub(super) acknowledged: Option<Timestamp>,
    pub(super) mitigated: Option<Timestamp>,
    pub(super) resolved: Option<Timestamp>,
    pub(super) reviewed: Option<Timestamp>,
    pub(super) merged_into: Option<IncidentId>,
    /// Whether it ended with its last alert, and not by a person.
    pub(super) self_resolved: bool,
    /// How often its alerts opened it again.
    pub(super) returns: u32,
    pub(super) policy: String,
    pub(super) levels: Vec<Level>,
    /// From when the minutes of the levels run; `None`: it pages nobody.
    pub(super) paging_since: Option<Timestamp>,
    pub(super) levels_paged: usize,
    pub(super) next_update: Option<Timestamp>,
    pub(super) version: i64,
}

impl Record {
    /// Who has a role.
    pub(super) fn person(&self, role: Role) -> &str {
        match role {
            Role::Commander => &self.commander,
            Role::Communications => &self.communications,
            Role::Scribe => &self.scribe,
        }
    }
}

fn word<T>(row: &PgRow, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, sqlx::Error> {
    let word: &str = row.try_get(column)?;
    parse(word).ok_or_else(|| sqlx::Error::Decode(format!("{column}: {word:?}").into()))
}

fn maybe(row: &PgRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    let time: Option<jiff_sqlx::Timestamp> = row.try_get(column)?;
    Ok(time.map(jiff_sqlx::Timestamp::to_jiff))
}

fn always(row: &PgRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    Ok(row.try_get::<jiff_sqlx::Timestamp, _>(column)?.to_jiff())
}

fn id(number: i32) -> Result<IncidentId, sqlx::Error> {
    let id = u32::try_from(number).ok().and_then(IncidentId::new);
    id.ok_or_else(|| sqlx::Error::Decode("a number of an incident that is none".into()))
}

fn number(id: IncidentId) -> i32 {
    i32::try_from(id.number()).unwrap_or(i32::MAX)
}

impl FromRow<'_, PgRow> for Record {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let merged: Option<i32> = row.try_get("merged_into")?;
        let paged: i32 = row.try_get("levels_paged")?;
        let returns: i32 = row.try_get("return_count")?;
        Ok(Self {
            id: id(row.try_get("incident_number")?)?,
            title: row.try_get("title")?,
            severity: word(row, "severity", Severity::parse)?,
            state: word(row, "state", State::parse)?,
            dedup_key: row.try_get("dedup_key")?,
            commander: row.try_get("commander")?,
            communications: row.try_get("communications")?,
            scribe: row.try_get("scribe")?,
            tenants: row.try_get("tenants")?,
            slos: row.try_get("slos")?,
            declared_by: row.try_get("declared_by")?,
            start: always(row, "start_time")?,
            declared: always(row, "declare_time")?,
            acknowledged_by: row.try_get("acknowledged_by")?,
            acknowledged: maybe(row, "acknowledge_time")?,
            mitigated: maybe(row, "mitigate_time")?,
            resolved: maybe(row, "resolve_time")?,
            reviewed: maybe(row, "review_time")?,
            merged_into: merged.map(id).transpose()?,
            self_resolved: row.try_get("self_resolved")?,
            returns: u32::try_from(returns).unwrap_or_default(),
            policy: row.try_get("escalation_policy")?,
            levels: levels::of_json(row.try_get("levels")?)?,
            paging_since: maybe(row, "page_time")?,
            levels_paged: usize::try_from(paged).unwrap_or_default(),
            next_update: maybe(row, "next_update_time")?,
            version: row.try_get("version")?,
        })
    }
}

/// The next number; nobody else takes it before this transaction ends.
pub(super) async fn next_id(tx: &mut PgConnection) -> Result<IncidentId, DbError> {
    const LOCK: i64 = 0x5353_494e_4349_4431;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
    let query = sqlx::query_scalar("SELECT coalesce(max(incident_number), 0) + 1 FROM incidents");
    Ok(id(query.fetch_one(tx).await?)?)
}

/// Writes one: a new one, or what has become of one.
pub(super) async fn write(tx: &mut PgConnection, record: &Record) -> Result<(), DbError> {
    let time = |time: Option<Timestamp>| time.map(jiff_sqlx::Timestamp::from);
    sqlx::query(
        "INSERT INTO incidents (incident_number, title, severity, state, dedup_key, commander, \
         communications, scribe, tenants, slos, declared_by, start_time, declare_time, \
         acknowledged_by, acknowledge_time, mitigate_time, resolve_time, review_time, \
         merged_into, escalation_policy, levels, page_time, levels_paged, next_update_time, \
         version, self_resolved, return_count) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, \
         $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, \
         $27) \
         ON CONFLICT (incident_number) DO UPDATE SET title = excluded.title, \
         severity = excluded.severity, state = excluded.state, dedup_key = excluded.dedup_key, \
         commander = excluded.commander, communications = excluded.communications, \
         scribe = excluded.scribe, tenants = excluded.tenants, slos = excluded.slos, \
         start_time = excluded.start_time, acknowledged_by = excluded.acknowledged_by, \
         acknowledge_time = excluded.acknowledge_time, mitigate_time = excluded.mitigate_time, \
         resolve_time = excluded.resolve_time, review_time = excluded.review_time, \
         merged_into = excluded.merged_into, page_time = excluded.page_time, \
         levels_paged = excluded.levels_paged, next_update_time = excluded.next_update_time, \
         version = excluded.version, self_resolved = excluded.self_resolved, \
         return_count = excluded.return_count",
    )
    .bind(number(record.id))
    .bind(&record.title)
    .bind(record.severity.as_str())
    .bind(record.state.as_str())
    .bind(&record.dedup_key)
    .bind(&record.commander)
    .bind(&record.communications)
    .bind(&record.scribe)
    .bind(&record.tenants)
    .bind(&record.slos)
    .bind(&record.declared_by)
    .bind(jiff_sqlx::Timestamp::from(record.start))
    .bind(jiff_sqlx::Timestamp::from(record.declared))
    .bind(&record.acknowledged_by)
    .bind(time(record.acknowledged))
    .bind(time(record.mitigated))
    .bind(time(record.resolved))
    .bind(time(record.reviewed))
    .bind(record.merged_into.map(number))
    .bind(&record.policy)
    .bind(levels::to_json(&record.levels))
    .bind(time(record.paging_since))
    .bind(i32::try_from(record.levels_paged).unwrap_or(i32::MAX))
    .bind(time(record.next_update))
    .bind(record.version)
    .bind(record.self_resolved)
    .bind(i32::try_from(record.returns).unwrap_or(i32::MAX))
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn get(tx: &mut PgConnection, id: IncidentId) -> Result<Option<Record>, DbError> {
    let query = sqlx::query_as("SELECT * FROM incidents WHERE incident_number = $1");
    Ok(query.bind(number(id)).fetch_optional(tx).await?)
}

/// One of them, which nobody else changes meanwhile.
pub(super) async fn lock(tx: &mut PgConnection, id: IncidentId) -> Result<Option<Record>, DbError> {
    let query = sqlx::query_as("SELECT * FROM incidents WHERE incident_number = $1 FOR UPDATE");
    Ok(query.bind(number(id)).fetch_optional(tx).await?)
}

/// The open one with a key, which nobody else changes meanwhile.
pub(super) async fn lock_open(
    tx: &mut PgConnection,
    dedup_key: &str,
) -> Result<Option<Record>, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM incidents WHERE dedup_key = $1 \
         AND state IN ('declared', 'triaged', 'mitigated') FOR UPDATE",
    );
    Ok(query.bind(dedup_key).fetch_optional(tx).await?)
}

/// The last one with a key, open or not. Others may change it meanwhile.
pub(super) async fn last(
    tx: &mut PgConnection,
    dedup_key: &str,
) -> Result<Option<Record>, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM incidents WHERE dedup_key = $1 ORDER BY incident_number DESC LIMIT 1",
    );
    Ok(query.bind(dedup_key).fetch_optional(tx).await?)
}

/// Those that are open, the gravest first and then the newest; with `closed` the others
/// after them.
pub(super) async fn list(tx: &mut PgConnection, closed: bool) -> Result<Vec<Record>, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM incidents \
         WHERE $1 OR state IN ('declared', 'triaged', 'mitigated') \
         ORDER BY state IN ('resolved', 'reviewed'), \
         CASE WHEN state IN ('resolved', 'reviewed') THEN '' ELSE severity END, \
         incident_number DESC LIMIT 10000",
    );
    Ok(query.bind(closed).fetch_all(tx).await?)
}

/// Those that nobody has acknowledged and whose levels were not all paged in all rounds.
pub(super) async fn paging(tx: &mut PgConnection) -> Result<Vec<IncidentId>, DbError> {
    let rows: Vec<i32> = sqlx::query_scalar(
        "SELECT incident_number FROM incidents \
         WHERE state IN ('declared', 'triaged', 'mitigated') AND page_time IS NOT NULL \
         AND acknowledge_time IS NULL AND levels_paged < $1 * jsonb_array_length(levels) \
         ORDER BY incident_number",
    )
    .bind(i32::try_from(ROUNDS).unwrap_or(i32::MAX))
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(id).collect::<Result<_, _>>()?)
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) time: Timestamp,
    pub(super) actor: String,
    pub(super) kind: String,
    pub(super) text: String,
}

impl FromRow<'_, PgRow> for Event {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            time: always(row, "time")?,
            actor: row.try_get("actor")?,
            kind: row.try_get("kind")?,
            text: row.try_get("text")?,
        })
    }
}

pub(super) async fn add_event(
    tx: &mut PgConnection,
    id: IncidentId,
    event: &Event,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO incident_events (incident_number, time, actor, kind, text) \
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(number(id))
    .bind(jiff_sqlx::Timestamp::from(event.time))
    .bind(&event.actor)
    .bind(&event.kind)
    .bind(&event.text)
    .execute(tx)
    .await?;
    Ok(())
}

/// What happened, the newest first.
pub(super) async fn events(tx: &mut PgConnection, id: IncidentId) -> Result<Vec<Event>, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM incident_events WHERE incident_number = $1 \
         ORDER BY event_id DESC LIMIT $2",
    );
    Ok(query.bind(number(id)).bind(EVENTS_MAXIMUM).fetch_all(tx).await?)
}

/// An alert of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) alert: String,
    pub(super) id: IncidentId,
    pub(super) firing: bool,
}

impl FromRow<'_, PgRow> for Joined {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            alert: row.try_get("alert")?,
            id: id(row.try_get("incident_number")?)?,
            firing: row.try_get("firing")?,
        })
    }
}

/// Joins an alert to an incident, whatever closed one it was in.
pub(super) async fn claim(
    tx: &mut PgConnection,
    id: IncidentId,
    alert: &str,
    firing: bool,
) -> Result<(), DbError> {
    let query = sqlx::query(
        "INSERT INTO incident_alerts (alert, incident_number, firing) VALUES ($1, $2, $3) \
         ON CONFLICT (alert) DO UPDATE SET incident_number = excluded.incident_number",
    );
    query.bind(alert).bind(number(id)).bind(firing).execute(tx).await?;
    Ok(())
}

/// Notes that an alert is over. Its incident, where it had one and fired until now.
pub(super) async fn over(
    tx: &mut PgConnection,
    alert: &str,
) -> Result<Option<IncidentId>, DbError> {
    let found: Option<i32> = sqlx::query_scalar(
        "UPDATE incident_alerts SET firing = false WHERE alert = $1 AND firing \
         RETURNING incident_number",
    )
    .bind(alert)
    .fetch_optional(tx)
    .await?;
    Ok(found.map(id).transpose()?)
}

/// The alerts of an incident, by name.
pub(super) async fn alerts_of(
    tx: &mut PgConnection,
    id: IncidentId,
) -> Result<Vec<Joined>, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM incident_alerts WHERE incident_number = $1 ORDER BY alert LIMIT 1000",
    );
    Ok(query.bind(number(id)).fetch_all(tx).await?)
}

/// The alerts that fire as far as incidents know, and those of these names.
pub(super) async fn joined(
    tx: &mut PgConnection,
    names: &[String],
) -> Result<Vec<Joined>, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM incident_alerts WHERE firing OR alert = ANY ($1) ORDER BY alert",
    );
    Ok(query.bind(names).fetch_all(tx).await?)
}

/// Moves the alerts of an incident to another.
pub(super) async fn move_alerts(
    tx: &mut PgConnection,
    from: IncidentId,
    to: IncidentId,
) -> Result<(), DbError> {
    sqlx::query("UPDATE incident_alerts SET incident_number = $2 WHERE incident_number = $1")
        .bind(number(from))
        .bind(number(to))
        .execute(tx)
        .await?;
    Ok(())
}

/// Work that an incident leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Action {
    pub(super) number: i32,
    pub(super) text: String,
    pub(super) owner: String,
    pub(super) due: String,
    pub(super) done: bool,
}

pub(super) async fn actions(tx: &mut PgConnection, id: IncidentId) -> Result<Vec<Action>, DbError> {
    let rows = sqlx::query(
        "SELECT * FROM incident_actions WHERE incident_number = $1 ORDER BY action_number",
    )
    .bind(number(id))
    .fetch_all(tx)
    .await?;
    let read = |row: &PgRow| -> Result<Action, sqlx::Error> {
        Ok(Action {
            number: row.try_get("action_number")?,
            text: row.try_get("text")?,
            owner: row.try_get("owner")?,
            due: row.try_get("due")?,
            done: row.try_get("done")?,
        })
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

pub(super) async fn write_action(
    tx: &mut PgConnection,
    id: IncidentId,
    action: &Action,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO incident_actions (incident_number, action_number, text, owner, due, done) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (incident_number, action_number) DO UPDATE SET done = excluded.done",
    )
    .bind(number(id))
    .bind(action.number)
    .bind(&action.text)
    .bind(&action.owner)
    .bind(&action.due)
    .bind(action.done)
    .execute(tx)
    .await?;
    Ok(())
}

/// A tenant that is hit: its id, its plan, and how many sessions it has.
pub(super) async fn tenants(
    tx: &mut PgConnection,
    ids: &[String],
) -> Result<Vec<(String, String, i64)>, DbError> {
    let query = sqlx::query_as(
        "SELECT tenant_id, plan_id, \
         (SELECT count(*) FROM sessions WHERE sessions.tenant_uid = tenants.tenant_uid) \
         FROM tenants WHERE tenant_id = ANY ($1) AND state <> 'gone' ORDER BY tenant_id",
    );
    Ok(query.bind(ids).fetch_all(tx).await?)
}
