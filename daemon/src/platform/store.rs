//! The pin and the leader term in the database.

use uuid::Uuid;

use crate::db::{Database, DbError, Leadership};

/// What the database knows of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PinRow {
    /// The UID of the namespace `kube-system`; empty until a cluster is pinned.
    pub(super) kube_system_uid: String,
    /// This database, as the cluster knows it.
    pub(super) instance_uid: Uuid,
}

pub(super) async fn pin(db: &Database) -> Result<Option<PinRow>, DbError> {
    let row: Option<(String, Uuid)> =
        sqlx::query_as("SELECT kube_system_uid, instance_uid FROM cluster_pin")
            .fetch_optional(db.operator())
            .await?;
    Ok(row.map(|(kube_system_uid, instance_uid)| PinRow { kube_system_uid, instance_uid }))
}

/// The uid of this database, made the first time it is asked for. It stands here before
/// the cluster hears of it, so that a process that ends in between finds its own mark.
pub(super) async fn instance_uid(db: &Database, wished: Uuid) -> Result<Uuid, DbError> {
    Ok(sqlx::query_scalar(
        "INSERT INTO cluster_pin (kube_system_uid, instance_uid, endpoint) VALUES ('', $1, '')
         ON CONFLICT (only_row) DO UPDATE SET only_row = true
         RETURNING instance_uid",
    )
    .bind(wished)
    .fetch_one(db.operator())
    .await?)
}

pub(super) async fn set_pin(
    db: &Database,
    kube_system_uid: &str,
    endpoint: &str,
) -> Result<(), DbError> {
    sqlx::query("UPDATE cluster_pin SET kube_system_uid = $1, endpoint = $2, pin_time = now()")
        .bind(kube_system_uid)
        .bind(endpoint)
        .execute(db.operator())
        .await?;
    Ok(())
}

/// Whether an operator paused the daemon's writes to the cluster.
pub(super) async fn is_paused(db: &Database) -> Result<bool, DbError> {
    let query = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM region_controls WHERE pause_time IS NOT NULL \
                          AND (pause_until IS NULL OR pause_until > now()))",
    );
    Ok(query.fetch_one(db.operator()).await?)
}

/// The highest leader term so far.
pub(super) async fn leader_term(db: &Database) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar("SELECT leader_term FROM leader").fetch_one(db.operator()).await?)
}

/// Raises the term of a lease whose term the cluster has left behind. The lease is lost
/// with it; who takes it next has a term that the cluster accepts.
pub(super) async fn raise_leader_term(
    db: &Database,
    held: &Leadership,
    accepted: i64,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE leader SET leader_term = $3
         WHERE leader_term = $1 AND replica = $2 AND leader_term < $3",
    )
    .bind(held.leader_term)
    .bind(&held.replica)
    .bind(accepted)
    .execute(db.operator())
    .await?;
    Ok(())
}
