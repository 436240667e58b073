//! Tenants in the database. Every function runs in the caller's transaction, whose
//! login and scope decide what it sees.

use std::sync::Arc;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use sqlx::{PgConnection, types::Json};
use streamspace_core::{
    conditions::Condition,
    ids::{TenantId, TenantUid},
    plan::{Plan, Quota},
    quota,
    tenant::{Life, TenantSpec, TenantState},
};
use uuid::Uuid;

pub use crate::regions::controls::Pause;
use crate::{db::DbError, plans};
use row::select_tenants;
pub use views::{live_by_uid, view_live};

mod row;
mod views;

/// A tenant as the database holds it, with the version of the plan that applies and the
/// overrides of its quota: all that says what it should be in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantRecord {
    /// The identity behind the name.
    pub uid: TenantUid,
    /// The wish.
    pub spec: TenantSpec,
    /// The version of the plan that applies.
    pub plan_version: i32,
    /// That version of the plan itself. The row holds its name and version alone.
    pub plan: Arc<Plan>,
    /// What the quota is instead of the plan's, as long as it has not ended; the newest
    /// last. They have rows of their own, which [`update`] does not touch.
    pub overrides: Vec<QuotaOverride>,
    /// The Kubernetes namespace.
    pub namespace: String,
    /// Whether a namespace of this name that exists already is taken over.
    pub adopt: bool,
    /// Where it is in its life.
    pub state: TenantState,
    /// The state that restore leads back to.
    pub prior_state: Option<TenantState>,
    /// The state that resume leads back to.
    pub resume_state: Option<TenantState>,
    /// When the cordon ends by itself.
    pub cordon_until: Option<Timestamp>,
    /// Why nothing new may start.
    pub cordon_reason: String,
    /// Set while the daemon writes nothing to the cluster for this tenant.
    pub pause: Option<Pause>,
    /// When it was archived.
    pub archive_time: Option<Timestamp>,
    /// The end of the plan's retention of an archived tenant.
    pub purge_after: Option<Timestamp>,
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

/// One resource of a tenant's quota that is not the plan's, and who set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaOverride {
    /// Its key.
    pub id: Uuid,
    /// What it sets, and until when.
    pub set: quota::Override,
    /// Why.
    pub reason: String,
    /// Who set it.
    pub actor: String,
}

impl TenantRecord {
    /// The quota that applies: the plan's, where no override says otherwise. An override
    /// applies until it is ended in the database, which raises the generation.
    pub fn quota(&self) -> Quota {
        self.quota_of(&self.plan)
    }

    /// The quota that would apply under another plan, or another version of it.
    pub fn quota_of(&self, plan: &Plan) -> Quota {
        let set: Vec<quota::Override> = self.overrides.iter().map(|entry| entry.set).collect();
        quota::effective(&plan.quota, &set, Timestamp::MIN)
    }

    /// Where it is in its life, and what that leads back to.
    pub fn life(&self) -> Life {
        Life { state: self.state, restores_to: self.prior_state, resumes_to: self.resume_state }
    }

    /// Takes up what came of an event.
    pub fn set_life(&mut self, life: Life) {
        self.state = life.state;
        self.prior_state = life.restores_to;
        self.resume_state = life.resumes_to;
        if !life.keeps_cordon() {
            self.cordon_until = None;
            self.cordon_reason.clear();
        }
    }

    /// Whether a pause holds the daemon's writes for this tenant back at `now`.
    pub fn is_paused(&self, now: Timestamp) -> bool {
        self.pause.as_ref().is_some_and(|pause| now < pause.until)
    }
}

/// Selects the living tenant of the name `$1`.
pub const SELECT_BY_ID: &str = select_tenants!("WHERE t.tenant_id = $1 AND t.state <> 'gone'");

/// The living tenant of this name.
pub async fn by_id(
    connection: &mut PgConnection,
    id: &TenantId,
) -> Result<Option<TenantRecord>, DbError> {
    let query = sqlx::query_as(SELECT_BY_ID).bind(id.as_str());
    Ok(query.fetch_optional(connection).await?)
}

/// The living tenant of this name, locked until the transaction ends.
pub async fn lock_by_id(
    connection: &mut PgConnection,
    id: &TenantId,
) -> Result<Option<TenantRecord>, DbError> {
    let locked = sqlx::query_scalar(
        "SELECT tenant_uid FROM tenants WHERE tenant_id = $1 AND state <> 'gone' FOR UPDATE",
    );
    match locked.bind(id.as_str()).fetch_optional(&mut *connection).await? {
        Some(uid) => by_uid(connection, TenantUid(uid)).await,
        None => Ok(None),
    }
}

/// The tenant with this uid, whatever its state.
pub(super) async fn by_uid(
    connection: &mut PgConnection,
    uid: TenantUid,
) -> Result<Option<TenantRecord>, DbError> {
    let statement = select_tenants!("WHERE t.tenant_uid = $1");
    Ok(sqlx::query_as(statement).bind(uid.0).fetch_optional(connection).await?)
}

/// The tenant with this uid, locked until the transaction ends.
pub(super) async fn lock_by_uid(
    connection: &mut PgConnection,
    uid: TenantUid,
) -> Result<Option<TenantRecord>, DbError> {
    // A statement of its own: overrides that were committed while this waited for the
    // lock are in the snapshot of the next one only.
    let locked = sqlx::query("SELECT FROM tenants WHERE tenant_uid = $1 FOR UPDATE");
    if locked.bind(uid.0).fetch_optional(&mut *connection).await?.is_none() {
        return Ok(None);
    }
    by_uid(connection, uid).await
}

/// The tenants in scope, by name; tombstones only where they are asked for.
pub async fn list(
    connection: &mut PgConnection,
    with_gone: bool,
) -> Result<Vec<TenantRecord>, DbError> {
    read_all(connection, select_tenants!("WHERE $1 OR t.state <> 'gone'"), with_gone).await
}

/// The same without the conditions that hold.
pub(super) async fn list_basic(
    connection: &mut PgConnection,
    with_gone: bool,
) -> Result<Vec<TenantRecord>, DbError> {
    let statement = select_tenants!(
        "jsonb_path_query_array(t.conditions, '$[*] ? (@.status != \"True\")')",
        "WHERE $1 OR t.state <> 'gone'"
    );
    read_all(connection, statement, with_gone).await
}

async fn read_all(
    connection: &mut PgConnection,
    statement: &'static str,
    with_gone: bool,
) -> Result<Vec<TenantRecord>, DbError> {
    let mut rows = sqlx::query(statement).bind(with_gone).fetch(connection);
    let mut plans = plans::Joined::default();
    let mut tenants = Vec::new();
    // Unsorted rows are read while the database makes the next.
    while let Some(row) = rows.try_next().await? {
        tenants.push(TenantRecord::read(&row, &mut plans)?);
    }
    tenants.sort_by(|a, b| (a.spec.id.as_str(), a.uid.0).cmp(&(b.spec.id.as_str(), b.uid.0)));
    Ok(tenants)
}

/// What time it is for the database, whose clock all replicas share.
pub async fn now(connection: &mut PgConnection) -> Result<Timestamp, DbError> {
    let now: jiff_sqlx::Timestamp =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(connection).await?;
    Ok(now.to_jiff())
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
         labels, protected, state, create_time, update_time, adopt) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, $16) \
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
    .bind(tenant.adopt)
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Writes what may change of a tenant that the transaction holds the lock of.
pub async fn update(connection: &mut PgConnection, tenant: &TenantRecord) -> Result<(), DbError> {
    let spec = &tenant.spec;
    let time = |time: Option<Timestamp>| time.map(jiff_sqlx::Timestamp::from);
    let pause = tenant.pause.as_ref();
    sqlx::query(
        "UPDATE tenants SET display_name = $2, plan_id = $3, plan_version = $4, seats = $5, \
         allowed_regions = $6, billing_account = $7, admin_subjects = $8, labels = $9, \
         protected = $10, state = $11, conditions = $12, generation = $13, \
         observed_generation = $14, update_time = $15, adopt = $16, prior_state = $17, \
         cordon_until = $18, cordon_reason = $19, pause_until = $20, pause_reason = $21, \
         pause_actor = $22, archive_time = $23, purge_after = $24, resume_state = $25 WHERE tenant_uid = $1",
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
    .bind(tenant.adopt)
    .bind(tenant.prior_state.map(TenantState::as_str))
    .bind(time(tenant.cordon_until))
    .bind(&tenant.cordon_reason)
    .bind(time(pause.map(|pause| pause.until)))
    .bind(pause.map_or("", |pause| pause.reason.as_str()))
    .bind(pause.map_or("", |pause| pause.actor.as_str()))
    .bind(time(tenant.archive_time))
    .bind(time(tenant.purge_after))
    .bind(tenant.resume_state.map(TenantState::as_str))
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes which plan and how many seats a tenant has from now on; none where it ends.
pub(super) async fn subscribe(
    connection: &mut PgConnection,
    tenant: &TenantRecord,
    seats: i32,
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
    .bind(seats)
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
    use std::collections::BTreeMap;

    use streamspace_core::ids::{PlanId, RegionId};

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
            plan: Arc::new(
                streamspace_core::plan::seeded()
                    .unwrap()
                    .into_iter()
                    .find(|plan| plan.id.as_str() == "business")
                    .unwrap(),
            ),
            overrides: vec![],
            namespace: "tenant-acme-corp".into(),
            adopt: false,
            state: TenantState::Provisioning,
            prior_state: None,
            resume_state: None,
            cordon_until: None,
            cordon_reason: String::new(),
            pause: None,
            archive_time: None,
            purge_after: None,
            conditions: vec![],
            generation: 1,
            observed_generation: 0,
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::UNIX_EPOCH,
        }
    }
}
