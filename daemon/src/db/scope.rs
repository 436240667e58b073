//! Which rows a transaction may touch.

use sqlx::PgConnection;
use streamspace_core::ids::TenantUid;
use uuid::Uuid;

use super::DbError;

/// What a caller may see: the whole region, or some tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every tenant of the region.
    Region,
    /// These tenants and nothing else. An empty list sees nothing.
    Tenants(Vec<TenantUid>),
}

impl Scope {
    /// The tenants as a bindable value: `None` for the whole region. It goes with
    /// `($1::uuid[] IS NULL OR tenant_uid = ANY ($1))`, the predicate that row-level
    /// security stands behind.
    pub fn tenant_uids(&self) -> Option<Vec<Uuid>> {
        match self {
            Self::Region => None,
            Self::Tenants(tenants) => Some(tenants.iter().map(|tenant| tenant.0).collect()),
        }
    }

    /// Whether rows of this tenant are within the scope.
    pub fn contains(&self, tenant: TenantUid) -> bool {
        match self {
            Self::Region => true,
            Self::Tenants(tenants) => tenants.contains(&tenant),
        }
    }
}

/// Holds the transaction to these tenants; the setting ends with the transaction.
pub(super) async fn enter(
    transaction: &mut PgConnection,
    tenants: &[TenantUid],
) -> Result<(), DbError> {
    let tenant_uids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    sqlx::query("SELECT set_config('streamspace.tenant_uids', $1::uuid[]::text, true)")
        .bind(tenant_uids)
        .execute(transaction)
        .await?;
    Ok(())
}
