//! Changes that are held back while an error budget is frozen.

use streamspace_core::incident::IncidentId;

use super::store;
use crate::{
    db::{Database, Scope},
    rpc::errors::{RpcError, RpcResult},
    slo,
};

/// Refuses a risky change of a tenant while an error budget of theirs, or one of the region,
/// is frozen. Work under an open incident, which the caller named, goes on.
pub async fn allows(db: &Database, tenant_id: &str, what: &str, incident: &str) -> RpcResult<()> {
    let mut tx = db.begin(&Scope::Region).await?;
    let Some(slo) = slo::frozen(&mut tx, tenant_id).await? else { return Ok(()) };
    if let Ok(id) = IncidentId::parse(incident)
        && store::get(&mut tx, id).await?.is_some_and(|record| record.state.is_open())
    {
        return Ok(());
    }
    Err(RpcError::Refused {
        reason: "BUDGET_FROZEN",
        message: format!(
            "the error budget of slos/{slo} is frozen: {what} waits until it has recovered, as \
             `ssctl slo show {slo}` tells. Work under an open incident goes on: name it with \
             --incident"
        ),
    })
}
