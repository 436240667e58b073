//! Tenants in the database. Every function runs in the caller's transaction, whose
//! login and scope decide what it sees.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow, types::Json};
use streamspace_core::{
    conditions::Condition,
    ids::{PlanId, RegionId, TenantId, TenantUid},
    tenant::{Subject, TenantSpec, TenantState},
};

use crate::db::DbError;

/// A tenant as the database holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantRecord {
    /// The identity behind the name.
    pub uid: TenantUid,
    /// The wish.
    pub spec: TenantSpec,
    /// The version of the plan that applies.
    pub plan_version: i32,
    /// The Kubernetes namespace.
    pub namespace: String,
    /// Where it is in its life.
    pub state: TenantState,
    /// What was observed in the cluster.
    pub conditions: Vec<Condition>,
    /// Counts the changes of the wish.
    pub generation: i64,
    /// The generation that the conditions speak of.
    pub observed_generation: i64,
    /// When it was created.
    pub create_time: Timestamp,
    /// When wish or observation last changed.
    pub update_time: Timestamp,
}

impl FromRow<'_, PgRow> for TenantRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let text = |column: &str| row.try_get::<String, _>(column);
        let time = |column: &str| {
            row.try_get::<jiff_sqlx::Timestamp, _>(column).map(jiff_sqlx::Timestamp::to_jiff)
        };
        let allowed: Vec<String> = row.try_get("allowed_regions")?;
        let Json(admin_subjects) = row.try_get::<Json<Vec<Subject>>, _>("admin_subjects")?;
        let Json(labels) = row.try_get::<Json<BTreeMap<String, String>>, _>("labels")?;
        let Json(conditions) = row.try_get::<Json<Vec<Condition>>, _>("conditions")?;
        Ok(Self {
            uid: TenantUid(row.try_get("tenant_uid")?),
            spec: TenantSpec {
                id: stored(TenantId::parse(&text("tenant_id")?))?,
                display_name: text("display_name")?,
                plan: stored(PlanId::parse(&text("plan_id")?))?,
                seats: row.try_get("seats")?,
                home_region: stored(RegionId::parse(&text("home_region")?))?,
                allowed_regions: allowed
                    .iter()
                    .map(|region| stored(RegionId::parse(region)))
                    .collect::<Result<_, _>>()?,
                billing_account: text("billing_account")?,
                admin_subjects,
                labels,
                protected: row.try_get("protected")?,
            },
            plan_version: row.try_get("plan_version")?,
            namespace: text("namespace")?,
            state: stored(TenantState::parse(&text("state")?).ok_or("unknown tenant state"))?,
            conditions,
            generation: row.try_get("generation")?,
            observed_generation: row.try_get("observed_generation")?,
            create_time: time("create_time")?,
            update_time: time("update_time")?,
        })
    }
}

/// A stored value that no longer parses is a fault of the database, not of a request.
fn stored<T, E: std::fmt::Display>(parsed: Result<T, E>) -> Result<T, sqlx::Error> {
    parsed.map_err(|error| sqlx::Error::Decode(error.to_string().into()))
}

/// `SELECT` over tenants, with the given rest of the statement.
macro_rules! select_tenants {
    ($rest:literal) => {
        concat!(
            "SELECT tenant_uid, tenant_id, namespace, display_name, plan_id, plan_version, seats, \
             home_region, allowed_regions, billing_account, admin_subjects, labels, protected, \
             state, conditions, generation, observed_generation, create_time, update_time \
             FROM tenants ",
            $rest
        )
    };
}

/// The living tenant of this name.
pub(super) async fn by_id(
    connection: &mut PgConnection,
    id: &TenantId,
) -> Result<Option<TenantRecord>, DbError> {
    let statement = select_tenants!("WHERE tenant_id = $1 AND state <> 'gone'");
    let query = sqlx::query_as(statement).bind(id.as_str());
    Ok(query.fetch_optional(connection).await?)
}

/// The living tenant of this name, locked until the transaction ends.
pub(super) async fn lock_by_id(
    connection: &mut PgConnection,
    id: &TenantId,
) -> Result<Option<TenantRecord>, DbError> {
    let statement = select_tenants!("WHERE tenant_id = $1 AND state <> 'gone' FOR UPDATE");
    let query = sqlx::query_as(statement).bind(id.as_str());
    Ok(query.fetch_optional(connection).await?)
}

/// The tenant with this uid, whatever its state.
pub(super) async fn by_uid(
    connection: &mut PgConnection,
    uid: TenantUid,
) -> Result<Option<TenantRecord>, DbError> {
    let statement = select_tenants!("WHERE tenant_uid = $1");
    Ok(sqlx::query_as(statement).bind(uid.0).fetch_optional(connection).await?)
}

/// The tenant with this uid, locked until the transaction ends.
pub(super) async fn lock_by_uid(
    connection: &mut PgConnection,
    uid: TenantUid,
) -> Result<Option<TenantRecord>, DbError> {
    let statement = select_tenants!("WHERE tenant_uid = $1 FOR UPDATE");
    Ok(sqlx::query_as(statement).bind(uid.0).fetch_optional(connection).await?)
}

/// The tenants in scope, by name; tombstones only where they are asked for.
pub async fn list(
    connection: &mut PgConnection,
    with_gone: bool,
) -> Result<Vec<TenantRecord>, DbError> {
    let statement = select_tenants!("WHERE $1 OR state <> 'gone' ORDER BY tenant_id, tenant_uid");
    Ok(sqlx::query_as(statement).bind(with_gone).fetch_all(connection).await?)
}

/// The uids of all tenants that are not tombstones.
pub async fn live_uids(connection: &mut PgConnection) -> Result<Vec<TenantUid>, DbError> {
    let query = sqlx::query_scalar("SELECT tenant_uid FROM tenants WHERE state <> 'gone'");
    Ok(query.fetch_all(connection).await?.into_iter().map(TenantUid).collect())
}

/// Writes a new tenant. `false`: a living tenant has the name.
pub(super) async fn insert(
    connection: &mut PgConnection,
    tenant: &TenantRecord,
) -> Result<bool, DbError> {
    let spec = &tenant.spec;
    let result = sqlx::query(
        "INSERT INTO tenants (tenant_uid, tenant_id, namespace, display_name, plan_id, \
         plan_version, seats, home_region, allowed_regions, billing_account, admin_subjects, \
         labels, protected, state, create_time, update_time) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15) \
         ON CONFLICT (tenant_id) WHERE state <> 'gone' DO NOTHING",
    )
    .bind(tenant.uid.0)
    .bind(spec.id.as_str())
    .bind(&tenant.namespace)
    .bind(&spec.display_name)
    .bind(spec.plan.as_str())
    .bind(tenant.plan_version)
    .bind(spec.seats)
    .bind(spec.home_region.as_str())
    .bind(region_names(spec))
    .bind(&spec.billing_account)
    .bind(Json(&spec.admin_subjects))
    .bind(Json(&spec.labels))
    .bind(spec.protected)
    .bind(tenant.state.as_str())
    .bind(jiff_sqlx::Timestamp::from(tenant.create_time))
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Writes what may change of a tenant that the transaction holds the lock of.
pub(super) async fn update(
    connection: &mut PgConnection,
    tenant: &TenantRecord,
) -> Result<(), DbError> {
    let spec = &tenant.spec;
    sqlx::query(
        "UPDATE tenants SET display_name = $2, plan_id = $3, plan_version = $4, seats = $5, \
         allowed_regions = $6, billing_account = $7, admin_subjects = $8, labels = $9, \
         protected = $10, state = $11, conditions = $12, generation = $13, \
         observed_generation = $14, update_time = $15 WHERE tenant_uid = $1",
    )
    .bind(tenant.uid.0)
    .bind(&spec.display_name)
    .bind(spec.plan.as_str())
    .bind(tenant.plan_version)
    .bind(spec.seats)
    .bind(region_names(spec))
    .bind(&spec.billing_account)
    .bind(Json(&spec.admin_subjects))
    .bind(Json(&spec.labels))
    .bind(spec.protected)
    .bind(tenant.state.as_str())
    .bind(Json(&tenant.conditions))
    .bind(tenant.generation)
    .bind(tenant.observed_generation)
    .bind(jiff_sqlx::Timestamp::from(tenant.update_time))
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes which plan and how many seats a tenant has from now on.
pub(super) async fn subscribe(
    connection: &mut PgConnection,
    tenant: &TenantRecord,
    actor: &str,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO tenant_subscription (tenant_uid, subscription_id, plan_id, plan_version, \
         seats, actor) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(tenant.uid.0)
    .bind(uuid::Uuid::now_v7())
    .bind(tenant.spec.plan.as_str())
    .bind(tenant.plan_version)
    .bind(tenant.spec.seats)
    .bind(actor)
    .execute(connection)
    .await?;
    Ok(())
}

fn region_names(spec: &TenantSpec) -> Vec<String> {
    spec.allowed_regions.iter().map(|region| region.as_str().to_owned()).collect()
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A tenant as it is right after its creation.
    pub(crate) fn a_tenant() -> TenantRecord {
        TenantRecord {
            uid: TenantUid(uuid::uuid!("01900000-0000-7000-8000-000000000001")),
            spec: TenantSpec {
                id: TenantId::parse("acme-corp").unwrap(),
                display_name: "Acme".into(),
                plan: PlanId::parse("business").unwrap(),
                seats: 10,
                home_region: RegionId::parse("us-east-1").unwrap(),
                allowed_regions: vec![],
                billing_account: "acct-1".into(),
                admin_subjects: vec![],
                labels: BTreeMap::new(),
                protected: false,
            },
            plan_version: 1,
            namespace: "tenant-acme-corp".into(),
            state: TenantState::Provisioning,
            conditions: vec![],
            generation: 1,
            observed_generation: 0,
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::UNIX_EPOCH,
        }
    }
}
