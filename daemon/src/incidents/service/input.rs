//! What people say of an incident.

use jiff::civil::Date;
use sqlx::PgConnection;
use streamspace_core::ids::{IdError, SloId, TenantId};

use super::super::{change::Hit, store};
use crate::{
    rpc::errors::{RpcError, RpcResult},
    slo,
};

/// The most tenants, and the most SLOs, of one request.
const TENANTS_MAXIMUM: usize = 1_000;
const SLOS_MAXIMUM: usize = 100;

/// Whom it hits, by names.
pub(super) fn hit(tenants: &[String], slos: &[String]) -> RpcResult<Hit> {
    let tenant = |name: &str| TenantId::from_name(name).map(|id| id.as_str().to_owned());
    let slo = |name: &str| SloId::from_name(name).map(|id| id.as_str().to_owned());
    Ok(Hit {
        tenants: ids("tenants", tenants, TENANTS_MAXIMUM, tenant)?,
        slos: ids("slos", slos, SLOS_MAXIMUM, slo)?,
    })
}

fn ids(
    field: &str,
    names: &[String],
    maximum: usize,
    read: impl Fn(&str) -> Result<String, IdError>,
) -> RpcResult<Vec<String>> {
    if names.len() > maximum {
        return Err(RpcError::field(field, format!("must be at most {maximum}")));
    }
    let each = |(index, name): (usize, &String)| {
        let field = format!("{field}[{index}]");
        read(name).map_err(|error| RpcError::field(&field, error.to_string()))
    };
    names.iter().enumerate().map(each).collect()
}

/// Refuses tenants and SLOs that do not exist.
pub(super) async fn known(tx: &mut PgConnection, hit: &Hit) -> RpcResult<()> {
    let tenants = store::tenants(tx, &hit.tenants).await?;
    let missing = hit.tenants.iter().find(|id| !tenants.iter().any(|(tenant, ..)| tenant == *id));
    if let Some(id) = missing {
        return Err(RpcError::NotFound(format!("tenants/{id}")));
    }
    match slo::unknown(tx, &hit.slos).await? {
        Some(id) => Err(RpcError::NotFound(format!("slos/{id}"))),
        None => Ok(()),
    }
}

/// A day, or nothing.
pub(super) fn day(field: &str, value: &str) -> RpcResult<()> {
    let is_day = value.len() == 10 && value.parse::<Date>().is_ok();
    if value.is_empty() || is_day {
        return Ok(());
    }
    Err(RpcError::field(field, "must be a day such as 2026-03-31"))
}
