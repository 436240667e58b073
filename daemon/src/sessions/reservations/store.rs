//! Reservations in the database, and what stands beside them there.

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow, types::Json};
use streamspace_core::{
    admission::{Limits, Observation, Place, Reservation},
    ids::{TenantId, TenantUid},
    quantity::{Bytes, Millicores},
    quota::{self, Amount, Override, Resource},
    session::{SessionName, SessionUid, UserName},
    tenant::TenantState,
};
use uuid::Uuid;

use crate::{db::DbError, plans};

/// The class of the advisory locks on a tenant's places; "plac" in ASCII.
const LOCKS: i32 = 0x706c_6163;

/// What a tenant may have, and what time it is.
#[derive(Debug)]
pub(super) struct Terms {
    /// Where it is in its life.
    pub(super) state: TenantState,
    /// Its limits.
    pub(super) limits: Limits,
    /// Set while nothing new starts in the region.
    pub(super) cordon: Option<RegionCordon>,
    /// The instant up to which the watch has shown everything; absent before there was one.
    pub(super) watched: Option<Timestamp>,
    /// The database's time.
    pub(super) now: Timestamp,
}

/// A time in which nothing new starts in the region.
#[derive(Debug)]
pub(super) struct RegionCordon {
    pub(super) reason: String,
    pub(super) until: Option<Timestamp>,
}

/// Who holds a place in a tenant, as the rows tell.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Sessions that are to run, and those of the names that are reserved or asked for.
    pub(super) seen: Vec<Observation>,
    /// Reservations that count.
    pub(super) reservations: Vec<Reservation>,
    /// Reservations that are met or over.
    pub(super) over: Vec<Reservation>,
}

/// Whose a namespace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressee {
    /// The tenant.
    pub uid: TenantUid,
    /// Its name.
    pub id: TenantId,
}

impl FromRow<'_, PgRow> for Addressee {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let id: String = row.try_get("tenant_id")?;
        Ok(Self { uid: TenantUid(row.try_get("tenant_uid")?), id: stored(TenantId::parse(&id))? })
    }
}

/// Whose namespace this is.
pub async fn addressee(
    connection: &mut PgConnection,
    namespace: &str,
) -> Result<Option<Addressee>, DbError> {
    // A tombstone keeps the name that a living tenant may have by now.
    let query = sqlx::query_as(
        "SELECT tenant_uid, tenant_id FROM tenants WHERE namespace = $1 AND state <> 'gone'",
    );
    Ok(query.bind(namespace).fetch_optional(connection).await?)
}

/// Waits until nobody else admits in the tenant; held until the transaction ends. It is no
/// lock on a row: what changes the tenant does not wait for it, nor it for that.
pub(super) async fn lock(connection: &mut PgConnection, tenant: TenantUid) -> Result<(), DbError> {
    // Two tenants with one key wait for each other, which harms nothing.
    let [.., a, b, c, d] = tenant.0.into_bytes();
    sqlx::query("SELECT pg_advisory_xact_lock($1, $2)")
        .bind(LOCKS)
        .bind(i32::from_be_bytes([a, b, c, d]))
        .execute(connection)
        .await?;
    Ok(())
}

/// What time it is for the database.
pub(super) async fn now(connection: &mut PgConnection) -> Result<Timestamp, DbError> {
    let now: jiff_sqlx::Timestamp =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(connection).await?;
    Ok(now.to_jiff())
}

/// What the tenant may have. `None`: it is gone.
pub(super) async fn terms(
    connection: &mut PgConnection,
    tenant: TenantUid,
) -> Result<Option<Terms>, DbError> {
    let query = sqlx::query_as(concat!(
        "SELECT t.state, t.plan_id, t.plan_version, ",
        plans::joined_plan_columns!(),
        ", (SELECT coalesce(json_agg(json_build_array(o.resource, o.amount) \
                ORDER BY o.create_time, o.override_id), '[]') \
              FROM quota_overrides AS o \
             WHERE o.tenant_uid = t.tenant_uid AND o.end_time IS NULL) AS overrides, \
           r.only_row IS NOT NULL AS is_cordoned, r.cordon_reason, r.cordon_until, \
           (SELECT to_timestamp(complete_through) FROM usage_watermark) AS watched, \
           clock_timestamp() AS now \
         FROM tenants AS t \
         JOIN plans AS p ON p.plan_id = t.plan_id AND p.version = t.plan_version \
         LEFT JOIN region_controls AS r ON r.cordon_time IS NOT NULL \
           AND (r.cordon_until IS NULL OR r.cordon_until > clock_timestamp()) \
         WHERE t.tenant_uid = $1 AND t.state <> 'gone'"
    ));
    Ok(query.bind(tenant.0).fetch_optional(connection).await?)
}

impl FromRow<'_, PgRow> for Terms {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let state: String = row.try_get("state")?;
        let plan = plans::Joined::default().of(row)?;
        let Json(overrides) = row.try_get::<Json<Vec<(String, i64)>>, _>("overrides")?;
        let overrides = overrides
            .into_iter()
            .zip(0..)
            .map(|((resource, amount), order)| {
                Ok(Override {
                    resource: stored(Resource::parse(&resource))?,
                    amount: Amount(amount),
                    // They come in their order, the newest last.
                    create_time: stored(Timestamp::from_second(order))?,
                    // One that is over has its end in the database.
                    expire_time: None,
                })
            })
            .collect::<Result<Vec<_>, sqlx::Error>>()?;
        let quota = quota::effective(&plan.quota, &overrides, Timestamp::MIN);
        let cordon = if row.try_get("is_cordoned")? {
            Some(RegionCordon {
                reason: row.try_get("cordon_reason")?,
                until: time(row, "cordon_until")?,
            })
        } else {
            None
        };
        Ok(Self {
            state: stored(TenantState::parse(&state).ok_or("unknown tenant state"))?,
            limits: Limits::of(&plan, &quota),
            cordon,
            watched: time(row, "watched")?,
            now: time(row, "now")?.unwrap_or_default(),
        })
    }
}

/// Who holds a place in the tenant, and what is known of the session that asks. A
/// reservation is over when its time is, by `watched`;
/// before there was a watch none is.
///
/// Reservations are read first: one that is gone by then was met by a session that the
/// second statement sees.
pub(super) async fn books(
    connection: &mut PgConnection,
    tenant: TenantUid,
    asks: Option<&SessionName>,
    watched: Option<Timestamp>,
) -> Result<Books, DbError> {
    let reservations: Vec<StoredReservation> = sqlx::query_as(
        "SELECT name, session_uid, user_name, beside, generation, pods, cpu, cpu_limit, memory, \
                memory_limit, expire_time \
         FROM session_reservations WHERE tenant_uid = $1",
    )
    .bind(tenant.0)
    .fetch_all(&mut *connection)
    .await?;
    let names = reservations.iter().map(|kept| &kept.0.name).chain(asks);
    let names: Vec<&str> = names.map(SessionName::as_str).collect();
    let seen: Vec<StoredObservation> = sqlx::query_as(
        "SELECT name, session_uid, generation, user_name, \
                state = 'running' AND NOT deleting AS is_placed, \
                pods, cpu, cpu_limit, memory, memory_limit \
         FROM sessions \
         WHERE tenant_uid = $1 AND state = 'running' AND NOT deleting \
         UNION ALL \
         SELECT name, session_uid, generation, user_name, false, 0, 0, 0, 0, 0 \
         FROM sessions \
         WHERE tenant_uid = $1 AND name = ANY ($2) AND NOT (state = 'running' AND NOT deleting)",
    )
    .bind(tenant.0)
    .bind(&names)
    .fetch_all(connection)
    .await?;
    let seen: Vec<Observation> = seen.into_iter().filter_map(|seen| seen.0).collect();
    let is_over = |kept: &Reservation| {
        watched.is_some_and(|watched| kept.expire_time <= watched)
            || seen.iter().any(|seen| kept.is_met_by(seen))
    };
    let (over, reservations) =
        reservations.into_iter().map(|kept| kept.0).partition(|kept| is_over(kept));
    Ok(Books { seen, reservations, over })
}

struct StoredReservation(Reservation);

impl FromRow<'_, PgRow> for StoredReservation {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let (name, user): (String, String) = (row.try_get("name")?, row.try_get("user_name")?);
        let uid: Uuid = row.try_get("session_uid")?;
        Ok(Self(Reservation {
            name: stored(SessionName::parse(&name))?,
            uid: Some(uid).filter(|uid| !uid.is_nil()).map(SessionUid),
            beside: row.try_get::<Option<Uuid>, _>("beside")?.map(SessionUid),
            generation: row.try_get("generation")?,
            user: stored(UserName::parse(&user))?,
            place: place(row)?,
            expire_time: time(row, "expire_time")?.unwrap_or_default(),
        }))
    }
}

/// A session, unless its name or its user is none: what no controller makes run.
struct StoredObservation(Option<Observation>);

impl FromRow<'_, PgRow> for StoredObservation {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let name: &str = row.try_get("name")?;
        let user: &str = row.try_get("user_name")?;
        let (Ok(name), Ok(user)) = (SessionName::parse(name), UserName::parse(user)) else {
            return Ok(Self(None));
        };
        let is_placed: bool = row.try_get("is_placed")?;
        Ok(Self(Some(Observation {
            name,
            uid: SessionUid(row.try_get("session_uid")?),
            generation: row.try_get("generation")?,
            user,
            place: if is_placed { Some(place(row)?) } else { None },
        })))
    }
}

fn place(row: &PgRow) -> Result<Place, sqlx::Error> {
    Ok(Place {
        sessions: 1,
        pods: row.try_get("pods")?,
        cpu: Millicores(row.try_get("cpu")?),
        cpu_limit: Millicores(row.try_get("cpu_limit")?),
        memory: Bytes(row.try_get("memory")?),
        memory_limit: Bytes(row.try_get("memory_limit")?),
    })
}

/// Writes a reservation, or what became of it.
pub(super) async fn upsert(
    connection: &mut PgConnection,
    tenant: TenantUid,
    kept: &Reservation,
) -> Result<(), DbError> {
    let Place { pods, cpu, cpu_limit, memory, memory_limit, .. } = kept.place;
    sqlx::query(
        "INSERT INTO session_reservations (tenant_uid, name, session_uid, user_name, beside, \
           generation, pods, cpu, cpu_limit, memory, memory_limit, expire_time) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (tenant_uid, name, session_uid, user_name) DO UPDATE SET \
           beside = EXCLUDED.beside, generation = EXCLUDED.generation, pods = EXCLUDED.pods, \
           cpu = EXCLUDED.cpu, cpu_limit = EXCLUDED.cpu_limit, memory = EXCLUDED.memory, \
           memory_limit = EXCLUDED.memory_limit, expire_time = EXCLUDED.expire_time",
    )
    .bind(tenant.0)
    .bind(kept.name.as_str())
    .bind(uid_of(kept))
    .bind(kept.user.as_str())
    .bind(kept.beside.map(|uid| uid.0))
    .bind(kept.generation)
    .bind(pods)
    .bind(cpu.0)
    .bind(cpu_limit.0)
    .bind(memory.0)
    .bind(memory_limit.0)
    .bind(jiff_sqlx::Timestamp::from(kept.expire_time))
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets these.
pub(super) async fn delete(
    connection: &mut PgConnection,
    tenant: TenantUid,
    over: &[Reservation],
) -> Result<(), DbError> {
    if over.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = over.iter().map(|kept| kept.name.as_str()).collect();
    let uids: Vec<Uuid> = over.iter().map(uid_of).collect();
    let users: Vec<&str> = over.iter().map(|kept| kept.user.as_str()).collect();
    sqlx::query(
        "DELETE FROM session_reservations AS r \
         USING unnest($2::text[], $3::uuid[], $4::text[]) AS gone (name, session_uid, user_name) \
         WHERE r.tenant_uid = $1 AND r.name = gone.name AND r.session_uid = gone.session_uid \
           AND r.user_name = gone.user_name",
    )
    .bind(tenant.0)
    .bind(&names)
    .bind(&uids)
    .bind(&users)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets the reservations of objects that were shown to be deleted: their uids never come
/// back. For the transaction that takes their rows away.
pub async fn gone(
    connection: &mut PgConnection,
    objects: &[(TenantUid, &str, SessionUid)],
) -> Result<(), DbError> {
    if objects.is_empty() {
        return Ok(());
    }
    // Nil stands for objects that are not there yet.
    sqlx::query(
        "DELETE FROM session_reservations AS r \
         USING UNNEST($1::uuid[], $2::text[], $3::uuid[]) AS gone (tenant_uid, name, session_uid) \
         WHERE r.tenant_uid = gone.tenant_uid AND r.name = gone.name \
           AND r.session_uid = gone.session_uid \
           AND r.session_uid <> '00000000-0000-0000-0000-000000000000'",
    )
    .bind(objects.iter().map(|(tenant, ..)| tenant.0).collect::<Vec<_>>())
    .bind(objects.iter().map(|(_, name, _)| *name).collect::<Vec<_>>())
    .bind(objects.iter().map(|(.., uid)| uid.0).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets what is met by a row of `sessions`, or over by the watch's clock.
pub(super) async fn sweep(connection: &mut PgConnection) -> Result<u64, DbError> {
    // One that an admission changes meanwhile is judged anew, by what it is then.
    let swept = sqlx::query(
        "DELETE FROM session_reservations AS r \
         WHERE r.expire_time <= (SELECT to_timestamp(complete_through) FROM usage_watermark) \
            OR EXISTS (SELECT FROM sessions AS s \
                        WHERE s.tenant_uid = r.tenant_uid AND s.name = r.name \
                          AND s.generation >= r.generation \
                          AND CASE r.session_uid \
                                WHEN '00000000-0000-0000-0000-000000000000' \
                                THEN r.beside IS DISTINCT FROM s.session_uid \
                                ELSE r.session_uid = s.session_uid END)",
    );
    Ok(swept.execute(connection).await?.rows_affected())
}

/// The uid as the row has it.
fn uid_of(kept: &Reservation) -> Uuid {
    kept.uid.map_or(Uuid::nil(), |uid| uid.0)
}

fn time(row: &PgRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    let time: Option<jiff_sqlx::Timestamp> = row.try_get(column)?;
    Ok(time.map(jiff_sqlx::Timestamp::to_jiff))
}

/// A stored value that no longer parses is a fault of the database, not of a request.
fn stored<T, E: std::fmt::Display>(parsed: Result<T, E>) -> Result<T, sqlx::Error> {
    parsed.map_err(|error| sqlx::Error::Decode(error.to_string().into()))
}
