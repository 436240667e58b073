//! One pool for each login.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgPool, Postgres, Transaction};

use super::DbError;
use super::scope::{self, Scope};

/// How long a caller waits for a connection before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that rested longer than this is asked whether it still lives before it
/// is used; each was asked when it came back to its pool. A server needs longer than this
/// to go and come back, so no use meets a connection to one that was replaced.
const TRUSTED: Duration = Duration::from_millis(100);

/// What every connection starts with. The limits are in milliseconds: each statement of
/// ours takes a few, so one that runs this long is stuck.
/// An absent scope is named too: what a session starts with cannot be overruled by a
/// setting of the login or of the database.
const SESSION_LIMITS: [(&str, &str); 6] = [
    ("search_path", "public"),
    ("row_security", "on"),
    ("streamspace.tenant_uids", ""),
    ("statement_timeout", "15000"),
    ("lock_timeout", "10000"),
    ("idle_in_transaction_session_timeout", "30000"),
];

/// What ends whatever a session could hold beyond its transaction: settings, cursors,
/// listening, locks. Prepared statements stay; they hold no rows and no scope.
const FORGET: &str = "CLOSE ALL; UNLISTEN *; RESET ALL; SELECT pg_advisory_unlock_all()";

/// Where the database is: one URL for each login. The logins have separate rights, and
/// none can take on another's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Owns the schema; used by migrations alone.
    #[schemars(with = "String")]
    pub owner: DatabaseUrl,
    /// Sees the whole region.
    #[schemars(with = "String")]
    pub operator: DatabaseUrl,
    /// Sees the tenants that the transaction names.
    #[schemars(with = "String")]
    pub tenant: DatabaseUrl,
    /// Inserts audit entries and can do nothing else.
    #[schemars(with = "String")]
    pub audit: DatabaseUrl,
    /// Makes partitions ahead and drops old ones, and can do nothing else.
    #[schemars(with = "String")]
    pub maintainer: DatabaseUrl,
    /// A folder with the files `owner`, `operator`, `tenant`, `audit` and `maintainer`, each
    /// with the password of a login whose URL has none, so that this file needs no secret. They
    /// are read at the start.
    #[serde(default)]
    #[schemars(extend("x-default" = "the URLs have them, or need none"))]
    pub passwords: Option<PathBuf>,
    /// The most connections of the operator's and of the tenant's pool, each.
    #[serde(default = "default_max_connections")]
    pub max_connections: u32,
}

/// The most connections of a pool, unless configured.
pub(super) const fn default_max_connections() -> u32 {
    10
}

/// A PostgreSQL URL. It may hold a password, so it does not print.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DatabaseUrl(String);

/// A URL that is not one of PostgreSQL.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a PostgreSQL URL; write it as postgres://LOGIN:PASSWORD@HOST:5432/DATABASE, or with a Unix socket as \
     postgres://LOGIN@localhost/DATABASE?host=/FOLDER"
)]
pub struct DatabaseUrlError;

impl DatabaseUrl {
    /// Takes a URL of the form `postgres://login[:password]@host[:port]/database[?host=/socket/folder]`.
    pub fn parse(url: &str) -> Result<Self, DatabaseUrlError> {
        let scheme = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if !scheme || PgConnectOptions::from_str(url).is_err() {
            return Err(DatabaseUrlError);
        }
        Ok(Self(url.to_owned()))
    }

    /// The URL with its secret. Never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The connection options, with the limits of every session and a name that shows
    /// in `pg_stat_activity`.
    pub(super) fn options(&self, purpose: &str) -> Result<PgConnectOptions, DbError> {
        Ok(PgConnectOptions::from_str(&self.0)?
            .application_name(&format!("streamspaced {purpose}"))
            .options(SESSION_LIMITS))
    }
}

impl TryFrom<String> for DatabaseUrl {
    type Error = DatabaseUrlError;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        Self::parse(&url)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DatabaseUrl(…)")
    }
}

/// How many connections a pool has, and may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolState {
    /// Whose login it is: `operator`, `tenant`, `audit` or `maintainer`.
    pub pool: &'static str,
    /// Connections that are in use or being opened.
    pub used: u32,
    /// Connections that rest.
    pub idle: u32,
    /// The most connections that it opens; who wants one more waits.
    pub maximum: u32,
}

impl PoolState {
    fn of(name: &'static str, pool: &PgPool) -> Self {
        // The two are read one after the other, so that more can rest than there were.
        let size = pool.size();
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX).min(size);
        let maximum = pool.options().get_max_connections();
        Self { pool: name, used: size.saturating_sub(idle), idle, maximum }
    }
}

/// The pools. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pools: Arc<Pools>,
}

#[derive(Debug)]
struct Pools {
    operator: PgPool,
    tenant: PgPool,
    audit: PgPool,
    maintainer: PgPool,
    session: PgConnectOptions,
}

impl Database {
    /// Builds the pools. It does not connect, so it never fails because PostgreSQL is
    /// down; it fails on a URL that cannot be read.
    #[allow(
        clippy::unused_async,
        reason = "the pools start their upkeep on the runtime that calls this"
    )]
    pub async fn connect(config: &DatabaseConfig) -> Result<Self, DbError> {
        let limits = |max_connections: u32| {
            PgPoolOptions::new()
                .max_connections(max_connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(Duration::from_mins(5))
                .max_lifetime(Duration::from_mins(30))
                .test_before_acquire(false)
                .before_acquire(|connection, meta| {
                    Box::pin(async move {
                        if meta.idle_for > TRUSTED {
                            connection.ping().await?;
                        }
                        Ok(true)
                    })
                })
        };
        let pool = |url: &DatabaseUrl, purpose: &str, max_connections: u32| {
            Ok::<_, DbError>(limits(max_connections).connect_lazy_with(url.options(purpose)?))
        };
        // Calls of different tenants follow each other on its connections.
        let tenant = limits(config.max_connections)
            .after_release(|connection, _meta| {
                Box::pin(async move {
                    sqlx::raw_sql(FORGET).execute(connection).await?;
                    Ok(true)
                })
            })
            .connect_lazy_with(config.tenant.options("tenant")?);
        Ok(Self {
            pools: Arc::new(Pools {
                operator: pool(&config.operator, "operator", config.max_connections)?,
                tenant,
                audit: pool(&config.audit, "audit", config.max_connections.div_ceil(2))?,
                maintainer: pool(&config.maintainer, "maintainer", 1)?,
                session: config.operator.options("session")?,
            }),
        })
    }

    /// Opens a transaction that sees what the scope allows: the whole region on the
    /// operator's login, or the named tenants on the tenant login.
    pub async fn begin(&self, scope: &Scope) -> Result<Transaction<'static, Postgres>, DbError> {
        match scope {
            Scope::Region => Ok(self.pools.operator.begin().await?),
            Scope::Tenants(tenants) => {
                // Built from UUIDs alone.
                let opening = AssertSqlSafe(scope::opening(tenants));
                Ok(self.pools.tenant.begin_with(opening).await?)
            }
        }
    }

    /// The pool that sees the whole region.
    pub fn operator(&self) -> &PgPool {
        &self.pools.operator
    }

    /// The pool of the login that can insert audit entries and nothing else.
    pub fn audit(&self) -> &PgPool {
        &self.pools.audit
    }

    /// The pool of the login that makes and drops partitions and can do nothing else.
    pub fn maintainer(&self) -> &PgPool {
        &self.pools.maintainer
    }

    /// How full the pools are. It asks no server.
    pub fn pool_states(&self) -> [PoolState; 4] {
        [
            PoolState::of("operator", &self.pools.operator),
            PoolState::of("tenant", &self.pools.tenant),
            PoolState::of("audit", &self.pools.audit),
            PoolState::of("maintainer", &self.pools.maintainer),
        ]
    }

    /// Options for a connection outside the pools, on the operator's login: a session
    /// that holds an advisory lock or listens.
    pub(super) fn session_options(&self, purpose: &str) -> PgConnectOptions {
        self.pools.session.clone().application_name(&format!("streamspaced {purpose}"))
    }

    /// Whether the database answers a new connection on the operator's login, beside the
    /// pools. Where it does and a pool does not answer, the pool hangs and not the database.
    pub async fn answers_beside_its_pools(&self, limit: Duration) -> bool {
        let ask = async {
            let mut connection = self.session_options("watchdog").connect().await?;
            sqlx::query("SELECT 1").execute(&mut connection).await?;
            connection.close().await
        };
        matches!(tokio::time::timeout(limit, ask).await, Ok(Ok(())))
    }

    /// Closes every pool; waits for the connections that are in use.
    pub async fn close(&self) {
        tokio::join!(
            self.pools.operator.close(),
            self.pools.tenant.close(),
            self.pools.audit.close(),
            self.pools.maintainer.close()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_does_not_print_its_secret() {
        let url = DatabaseUrl::parse("postgres://login:hunter2@db.example/streamspace").unwrap();
        assert!(!format!("{url:?}").contains("hunter2"));
    }

    #[test]
    fn other_urls_are_refused_without_being_repeated() {
        for url in ["", "mysql://a:hunter2@b/c", "db.example", "postgres://a:hunter2@b:port/c"] {
            let error = DatabaseUrl::parse(url).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn building_the_pools_needs_no_server() {
        let url = DatabaseUrl::parse("postgres://nobody@localhost/none?host=/nonexistent").unwrap();
        let config = DatabaseConfig {
            owner: url.clone(),
            operator: url.clone(),
            tenant: url.clone(),
            audit: url.clone(),
            maintainer: url,
            passwords: None,
            max_connections: default_max_connections(),
        };
        let database = Database::connect(&config).await.unwrap();
        let limits = database.pool_states().map(|state| (state.pool, state.used, state.maximum));
        let most = [("operator", 0, 10), ("tenant", 0, 10), ("audit", 0, 5), ("maintainer", 0, 1)];
        assert_eq!(limits, most);
        let error = database.begin(&Scope::Region).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
    }
}
