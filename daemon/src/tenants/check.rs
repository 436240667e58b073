//! The proof of a tenant's isolation, rule by rule: the cluster and the database are
//! asked, and nothing is written.
//!
//! A rule holds only where it was asked and the answer was the right one. What cannot be
//! asked is unknown, and says why.

mod rights;
mod trials;

use sqlx::PgConnection;
use streamspace_core::ids::TenantUid;

use super::{
    TenantRecord,
    objects::{ObjectState, ObjectStatus},
};
use crate::db::{Database, DbError, Scope};

pub(super) use rights::rights;
pub(super) use trials::trials;

/// So many other tenants' namespaces are tried.
const OTHERS: i64 = 3;
/// So many faults are named.
const NAMED: usize = 5;

/// One rule and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The rule. It stays the same from version to version.
    pub(super) rule: &'static str,
    /// What it says.
    pub(super) description: &'static str,
    /// Whether it holds; `None` where that could not be asked.
    pub(super) holds: Option<bool>,
    /// How it was asked, or what is wrong.
    pub(super) message: String,
}

/// A rule before it is asked.
#[derive(Clone, Copy, Debug)]
struct Rule {
    id: &'static str,
    description: &'static str,
}

impl Rule {
    fn verdict(self, holds: Option<bool>, message: impl Into<String>) -> Verdict {
        Verdict { rule: self.id, description: self.description, holds, message: message.into() }
    }
}

/// Whether what holds the tenant in is there as wished.
pub(super) fn objects(read: Result<Vec<ObjectStatus>, String>) -> Verdict {
    let rule = Rule {
        id: "objects-as-wished",
        description: "Every object that limits the tenant is in the cluster as it should be.",
    };
    let objects = match read {
        Ok(objects) => objects,
        Err(why) => return rule.verdict(None, why),
    };
    let say = |wrong: &[&ObjectStatus]| {
        let named = wrong
            .iter()
            .take(NAMED)
            .map(|object| format!("{} {}: {}", object.kind, object.name, object.message));
        named.collect::<Vec<_>>().join("; ")
    };
    let of = |wanted: fn(ObjectState) -> bool| -> Vec<&ObjectStatus> {
        objects.iter().filter(|object| wanted(object.state)).collect()
    };
    let wrong = of(|state| {
        matches!(state, ObjectState::Drifted | ObjectState::Missing | ObjectState::Extra)
    });
    let unknown = of(|state| state == ObjectState::Unknown);
    match (wrong.is_empty(), unknown.is_empty()) {
        (false, _) => rule.verdict(Some(false), say(&wrong)),
        (true, false) => rule.verdict(None, say(&unknown)),
        (true, true) => rule.verdict(Some(true), format!("{} objects compared", objects.len())),
    }
}

/// Namespaces of other tenants, whoever asks: what is found out about them is told
/// without their names.
pub(super) async fn namespaces_of_others(
    connection: &mut PgConnection,
    tenant: TenantUid,
) -> Result<Vec<String>, DbError> {
    let query = sqlx::query_scalar(
        "SELECT namespace FROM tenants WHERE tenant_uid <> $1 AND state NOT IN ('gone', 'purging') \
         ORDER BY tenant_uid LIMIT $2",
    );
    Ok(query.bind(tenant.0).bind(OTHERS).fetch_all(connection).await?)
}

/// Whether a transaction of the tenant login sees this tenant and nobody else.
pub(super) async fn database(db: &Database, tenant: &TenantRecord) -> Verdict {
    let rule = Rule {
        id: "database-shows-one-tenant",
        description: "A caller of this tenant sees its rows in the database and no others.",
    };
    match rows_seen(db, tenant.uid).await {
        Ok((1, 0)) => rule.verdict(Some(true), "asked on the tenant login, without a predicate"),
        Ok((0, 0)) => rule.verdict(Some(false), "the tenant login does not see the tenant itself"),
        Ok((_, theirs)) => {
            rule.verdict(Some(false), format!("the tenant login sees {theirs} rows of others"))
        }
        Err(error) if error.is_unavailable() => rule.verdict(None, "the database does not answer"),
        Err(error) => {
            tracing::warn!(%error, "isolation in the database could not be asked");
            rule.verdict(None, "the database refused the question; the daemon's log has its words")
        }
    }
}

/// How many rows of the tenant and how many of others its login sees.
async fn rows_seen(db: &Database, tenant: TenantUid) -> Result<(i64, i64), DbError> {
    let mut tx = db.begin(&Scope::Tenants(vec![tenant])).await?;
    let query = sqlx::query_as(
        "SELECT (SELECT count(*) FROM tenants WHERE tenant_uid = $1), \
           (SELECT count(*) FROM tenants WHERE tenant_uid <> $1) \
           + (SELECT count(*) FROM tenant_subscription WHERE tenant_uid <> $1) \
           + (SELECT count(*) FROM quota_overrides WHERE tenant_uid <> $1) \
           + (SELECT count(*) FROM approvals WHERE tenant_uid <> $1) \
           + (SELECT count(*) FROM operations WHERE tenant_uid <> $1) \
           + (SELECT count(*) FROM changes WHERE tenant_uid <> $1)",
    );
    Ok(query.bind(tenant.0).fetch_one(&mut *tx).await?)
}

#[cfg(test)]
mod tests;
