//! The check that walks the catalogue: every table with a tenant key has every part of
//! its isolation, and no login has more than its part. It runs at start, after each new
//! partition, and in the tests.
//!
//! Each query of [`CHECKS`] returns what is wrong and nothing else: the object, the
//! fault, and the remedy.
//!
//! Beside the faults there are [`public_rights`]: what PostgreSQL itself gives to
//! everybody, and only a superuser can take away. The tenants are apart with them too, so
//! they are told and do not keep the daemon from starting: where somebody else runs the
//! PostgreSQL, nobody may be able to.

use std::fmt;

use sqlx::{PgConnection, PgPool};

use super::DbError;

/// A part that is missing, or a right too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The table, function, view or login.
    pub object: String,
    /// What is wrong with it.
    pub fault: String,
    /// The statement or the change that mends it.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}; {}", self.object, self.fault, self.remedy)
    }
}

/// Why the catalogue is not good.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The schema does not keep the tenants apart.
    #[error("the database does not keep the tenants apart:\n{}", lines(.0))]
    Faults(Vec<Fault>),
    /// The check could not be made.
    #[error(transparent)]
    Database(#[from] DbError),
}

fn lines(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(|fault| format!("  - {fault}")).collect();
    lines.join("\n")
}

/// The names that a rule lets pass, each with its reason in the schema.
const EXCEPTIONS: &str =
    "SELECT coalesce(array_agg(object), '{}') FROM catalogue_exceptions WHERE rule = $1";

/// The queries. `$1` are unique indexes that need not start with the tenant, `$2` are tables
/// without a tenant key that the tenant login may use.
const CHECKS: [&str; 11] = [
    include_str!("catalogue/row_security.sql"),
    include_str!("catalogue/policies.sql"),
    include_str!("catalogue/extra_policies.sql"),
    include_str!("catalogue/columns.sql"),
    include_str!("catalogue/unique_keys.sql"),
    include_str!("catalogue/foreign_keys.sql"),
    include_str!("catalogue/partitions.sql"),
    include_str!("catalogue/table_rights.sql"),
    include_str!("catalogue/functions.sql"),
    include_str!("catalogue/views.sql"),
    include_str!("catalogue/logins.sql"),
];

/// What everybody may do in a new database, and how it is taken away.
const PUBLIC_RIGHTS: &str = include_str!("catalogue/public_rights.sql");

/// Walks the catalogue; an error lists every fault with its remedy. Rights of everybody
/// that should be taken away are logged.
pub async fn check(pool: &PgPool) -> Result<(), CatalogueError> {
    let mut connection = pool.acquire().await.map_err(DbError::from)?;
    let unique = exceptions(&mut connection, "unique_without_tenant").await?;
    let shared = exceptions(&mut connection, "shared_table").await?;
    let mut faults = Vec::new();
    for query in CHECKS {
        let rows: Vec<(String, String, String)> = sqlx::query_as(query)
            .bind(&unique)
            .bind(&shared)
            .fetch_all(&mut *connection)
            .await
            .map_err(DbError::from)?;
        faults.extend(rows.into_iter().map(Fault::from));
    }
    let rights = public_rights(&mut connection).await?;
    if !rights.is_empty() {
        let remedies: Vec<&str> = rights.iter().map(|right| right.remedy.as_str()).collect();
        tracing::warn!(
            remedy = remedies.join("; "),
            "everybody who reaches the database may do more there than the daemon needs; as its superuser, run the remedy"
        );
    }
    if faults.is_empty() { Ok(()) } else { Err(CatalogueError::Faults(faults)) }
}

async fn exceptions(connection: &mut PgConnection, rule: &str) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar(EXCEPTIONS).bind(rule).fetch_one(connection).await?)
}

/// What everybody may still do though no login needs it, with the statement, for a
/// superuser, that takes it away.
pub async fn public_rights(connection: &mut PgConnection) -> Result<Vec<Fault>, DbError> {
    let rows: Vec<(String, String, String)> =
        sqlx::query_as(PUBLIC_RIGHTS).fetch_all(connection).await?;
    Ok(rows.into_iter().map(Fault::from).collect())
}

impl From<(String, String, String)> for Fault {
    fn from((object, fault, remedy): (String, String, String)) -> Self {
        Self { object, fault, remedy }
    }
}
