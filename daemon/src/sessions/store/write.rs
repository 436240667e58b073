//! What the projection writes of sessions, many rows at a time.

use prost::Message as _;
use sqlx::PgConnection;
use streamspace_proto::v1;
use uuid::Uuid;

use crate::{
    db::{ChangeKind, ChangeType, DbError},
    sessions::record::SessionRecord,
};

/// Who tells of sessions in the change log.
const ACTOR: &str = "streamspaced";

/// A change of a session that readers of the change log are told.
pub(in crate::sessions) struct Told<'a> {
    /// What happened to it.
    pub(in crate::sessions) change: ChangeType,
    /// The session after it, or as it was last.
    pub(in crate::sessions) record: &'a SessionRecord,
}

/// Writes rows, in the place of those of the same name. No name stands there twice.
pub(in crate::sessions) async fn upsert(
    tx: &mut PgConnection,
    records: &[&SessionRecord],
) -> Result<(), DbError> {
    if records.is_empty() {
        return Ok(());
    }
    let all = || records.iter().copied();
    let time = jiff_sqlx::Timestamp::from;
    sqlx::query(
        "INSERT INTO sessions (tenant_uid, name, session_uid, resource_version, generation, \
             user_name, template, state, phase, deleting, pods, cpu, cpu_limit, memory, \
             memory_limit, node, last_activity, create_time, resource) \
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[], \
             $6::text[], $7::text[], $8::text[], $9::text[], $10::boolean[], $11::bigint[], \
             $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[], \
             $17::timestamptz[], $18::timestamptz[], $19::bytea[]) \
         ON CONFLICT (tenant_uid, name) DO UPDATE SET \
             session_uid = excluded.session_uid, resource_version = excluded.resource_version, \
             generation = excluded.generation, user_name = excluded.user_name, \
             template = excluded.template, state = excluded.state, phase = excluded.phase, \
             deleting = excluded.deleting, pods = excluded.pods, cpu = excluded.cpu, \
             cpu_limit = excluded.cpu_limit, memory = excluded.memory, \
             memory_limit = excluded.memory_limit, node = excluded.node, \
             last_activity = excluded.last_activity, create_time = excluded.create_time, \
             resource = excluded.resource",
    )
    .bind(all().map(|it| it.tenant.0).collect::<Vec<_>>())
    .bind(all().map(|it| it.name.as_str()).collect::<Vec<_>>())
    .bind(all().map(|it| it.uid.0).collect::<Vec<_>>())
    .bind(all().map(|it| it.resource_version).collect::<Vec<_>>())
    .bind(all().map(|it| it.generation).collect::<Vec<_>>())
    .bind(all().map(|it| it.user.as_str()).collect::<Vec<_>>())
    .bind(all().map(|it| it.template.as_str()).collect::<Vec<_>>())
    .bind(all().map(|it| it.state.as_str()).collect::<Vec<_>>())
    .bind(all().map(|it| it.phase.as_str()).collect::<Vec<_>>())
    .bind(all().map(|it| it.deleting).collect::<Vec<_>>())
    .bind(all().map(|it| it.place.pods).collect::<Vec<_>>())
    .bind(all().map(|it| it.place.cpu.0).collect::<Vec<_>>())
    .bind(all().map(|it| it.place.cpu_limit.0).collect::<Vec<_>>())
    .bind(all().map(|it| it.place.memory.0).collect::<Vec<_>>())
    .bind(all().map(|it| it.place.memory_limit.0).collect::<Vec<_>>())
    .bind(all().map(|it| it.node.as_str()).collect::<Vec<_>>())
    .bind(all().map(|it| it.last_activity.map(time)).collect::<Vec<_>>())
    .bind(all().map(|it| time(it.create_time)).collect::<Vec<_>>())
    .bind(all().map(|it| it.resource.encode_to_vec()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes rows, each as long as it is of the same object.
pub(in crate::sessions) async fn delete(
    tx: &mut PgConnection,
    records: &[&SessionRecord],
) -> Result<(), DbError> {
    if records.is_empty() {
        return Ok(());
    }
    let all = || records.iter().copied();
    sqlx::query(
        "DELETE FROM sessions AS s USING UNNEST($1::uuid[], $2::text[], $3::uuid[]) \
             AS gone (tenant_uid, name, session_uid) \
         WHERE s.tenant_uid = gone.tenant_uid AND s.name = gone.name \
           AND s.session_uid = gone.session_uid",
    )
    .bind(all().map(|it| it.tenant.0).collect::<Vec<_>>())
    .bind(all().map(|it| it.name.as_str()).collect::<Vec<_>>())
    .bind(all().map(|it| it.uid.0).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes changes in the order given, as [`crate::db::changes::record`] writes one.
pub(in crate::sessions) async fn record_changes(
    tx: &mut PgConnection,
    changes: &[Told<'_>],
) -> Result<(), DbError> {
    if changes.is_empty() {
        return Ok(());
    }
    let tenants: Vec<Uuid> = changes.iter().map(|told| told.record.tenant.0).collect();
    // Before an identity is drawn, so that the identities follow the commits. In one order,
    // so that two who hold several tenants never wait for each other.
    sqlx::query(
        "SELECT FROM tenants WHERE tenant_uid = ANY ($1) ORDER BY tenant_uid FOR NO KEY UPDATE",
    )
    .bind(&tenants)
    .execute(&mut *tx)
    .await?;
    let resource = |told: &Told<'_>| {
        let session = v1::resource::Resource::Session(told.record.resource.clone());
        v1::Resource { resource: Some(session) }.encode_to_vec()
    };
    sqlx::query(
        "WITH inserted AS ( \
             INSERT INTO changes (tenant_uid, kind, type, name, actor, resource) \
             SELECT tenant_uid, $1, type, name, $2, resource \
             FROM UNNEST($3::uuid[], $4::text[], $5::text[], $6::bytea[]) WITH ORDINALITY \
                 AS told (tenant_uid, type, name, resource, place) \
             ORDER BY place RETURNING 1 \
         ) \
         SELECT pg_notify('streamspace_changes', '') FROM inserted LIMIT 1",
    )
    .bind(ChangeKind::Session.as_str())
    .bind(ACTOR)
    .bind(&tenants)
    .bind(changes.iter().map(|told| told.change.as_str()).collect::<Vec<_>>())
    .bind(changes.iter().map(|told| told.record.resource.name.as_str()).collect::<Vec<_>>())
    .bind(changes.iter().map(resource).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
