//! Who is on call when, and who is paged after whom.

mod convert;
pub mod levels;
pub mod service;
mod store;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use sqlx::PgConnection;
use streamspace_core::{
    ids::{EscalationPolicyId, RotaId},
    incident::escalation::{DEFAULT_MINUTES, ENTERPRISE_MINUTES, Level, built_in},
};

use crate::db::DbError;

/// The policy that is used where no other fits.
const DEFAULT: &str = "default";
/// The plan whose people are called sooner.
const ENTERPRISE: &str = "enterprise";

/// Who is paged after whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its id; empty for the built-in one.
    pub id: String,
    /// The levels, at least one.
    pub levels: Vec<Level>,
}

/// How many minutes a level has that says nothing.
fn minutes_of(plan: &str) -> u16 {
    if plan == ENTERPRISE { ENTERPRISE_MINUTES } else { DEFAULT_MINUTES }
}

/// The policy of this id; `None` where there is none.
pub async fn policy(
    tx: &mut PgConnection,
    id: &EscalationPolicyId,
) -> Result<Option<Policy>, DbError> {
    let found = store::policy(tx, id).await?;
    Ok(found.map(|record| Policy { id: record.id, levels: record.levels }))
}

/// The policy for what hits tenants of these plans: of those bound to one of them the one
/// whose first level has the fewest minutes, else the one named `default`, else the built-in
/// one.
pub async fn policy_for(tx: &mut PgConnection, plans: &[String]) -> Result<Policy, DbError> {
    let records = store::policies(tx).await?;
    let first = |record: &store::PolicyRecord| record.levels.first().map(|level| level.minutes);
    let bound = records.iter().filter(|record| plans.contains(&record.plan));
    let found = bound
        .min_by_key(|record| first(record))
        .or_else(|| records.iter().find(|record| record.id == DEFAULT));
    if let Some(record) = found {
        return Ok(Policy { id: record.id.clone(), levels: record.levels.clone() });
    }
    let minutes = plans.iter().map(|plan| minutes_of(plan)).min();
    Ok(Policy { id: String::new(), levels: built_in(minutes.unwrap_or(DEFAULT_MINUTES)) })
}

/// Whom targets stand for at an instant: a person is themselves, a rota whoever is on call.
pub async fn people(
    tx: &mut PgConnection,
    targets: &[String],
    at: Timestamp,
) -> Result<Vec<String>, DbError> {
    let mut people = Vec::with_capacity(targets.len());
    for target in targets {
        let Ok(id) = RotaId::from_name(target) else {
            people.push(target.clone());
            continue;
        };
        let person = match on_call(tx, &id, at).await {
            // A page goes out all the same: it names the rota, and another level may be well.
            Err(error) if !error.is_unavailable() => {
                tracing::error!(rota = id.as_str(), %error, "nobody knows who is on call");
                None
            }
            found => found?,
        };
        people.push(match person {
            Some(person) => format!("{person} ({target})"),
            None => format!("nobody ({target})"),
        });
    }
    Ok(people)
}

/// Who is on call by a rota. `None`: it is gone, or its first turn has not begun.
async fn on_call(
    tx: &mut PgConnection,
    id: &RotaId,
    at: Timestamp,
) -> Result<Option<String>, DbError> {
    let Some(record) = store::rota(tx, id).await? else { return Ok(None) };
    Ok(record.rota.at(at, &store::overrides(tx, id, at).await?).person)
}
