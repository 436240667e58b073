//! A database for each test: one private PostgreSQL for the process, one migrated
//! template, one copy for each test.

#![allow(clippy::missing_panics_doc, reason = "a panic fails the test, as it should")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};

use sqlx::PgPool;
use streamspace_core::ids::TenantUid;
use uuid::Uuid;

use super::{Database, DatabaseConfig, migrate};
use crate::dev::postgres::{PostgresOptions, PrivatePostgres};

const TEMPLATE: &str = "template_of_tests";

/// The server of this test process. It goes when the process ends, in whatever way.
static SERVER: LazyLock<Mutex<PrivatePostgres>> = LazyLock::new(|| {
    // On a thread of its own: the caller is within a runtime that may not block on another.
    std::thread::spawn(|| Mutex::new(migrated_server(TEMPLATE))).join().unwrap()
});

static COPIES: AtomicU32 = AtomicU32::new(0);

/// A folder for a scratch server, short enough for a socket and open to every account.
pub fn scratch_folder() -> PathBuf {
    std::env::temp_dir().join(format!("ss-test-{}", &Uuid::new_v4().simple().to_string()[..12]))
}

/// A scratch server with one migrated database.
fn migrated_server(database: &str) -> PrivatePostgres {
    let server =
        PrivatePostgres::start_with(&scratch_folder(), PostgresOptions::scratch()).unwrap();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let config = migrate::setup(&server.superuser_url(), database).await.unwrap();
        migrate::run(&config.owner).await.unwrap();
    });
    server
}

/// An empty, migrated database of one test.
pub struct TestDatabase {
    /// Where each login connects.
    pub config: DatabaseConfig,
    database: Database,
    /// The superuser's URL of this database.
    pub superuser_url: String,
    /// The server, if the test has one of its own.
    own_server: Option<PrivatePostgres>,
}

impl TestDatabase {
    /// A copy of the template on the server that the tests share.
    pub async fn create() -> Self {
        let name = format!("test_{}", COPIES.fetch_add(1, Ordering::Relaxed));
        let (superuser_url, own_url) = {
            let server = SERVER.lock().unwrap();
            (server.superuser_url(), server.url("postgres", &name))
        };
        let config = migrate::setup_from_template(&superuser_url, &name, TEMPLATE).await.unwrap();
        Self {
            database: Database::connect(&config).await.unwrap(),
            config,
            superuser_url: own_url,
            own_server: None,
        }
    }

    /// A database on a server of its own, which the test may stop.
    pub async fn with_own_server() -> Self {
        let server = tokio::task::spawn_blocking(|| migrated_server("streamspace")).await.unwrap();
        let config = migrate::setup(&server.superuser_url(), "streamspace").await.unwrap();
        Self {
            database: Database::connect(&config).await.unwrap(),
            config,
            superuser_url: server.url("postgres", "streamspace"),
            own_server: Some(server),
        }
    }

    /// The server of [`TestDatabase::with_own_server`].
    pub fn server(&mut self) -> &mut PrivatePostgres {
        self.own_server.as_mut().unwrap()
    }

    /// The pools.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Further pools of the same database, as another replica has them.
    pub async fn another(&self) -> Database {
        Database::connect(&self.config).await.unwrap()
    }

    /// A pool of the superuser, who sees all.
    pub async fn superuser(&self) -> PgPool {
        PgPool::connect(&self.superuser_url).await.unwrap()
    }

    /// A pool of the owner.
    pub async fn owner(&self) -> PgPool {
        PgPool::connect(self.config.owner.expose()).await.unwrap()
    }

    /// A tenant row on the free plan.
    pub async fn insert_tenant(&self, tenant_id: &str) -> TenantUid {
        let tenant = TenantUid(Uuid::now_v7());
        sqlx::query(
            "INSERT INTO tenants (tenant_uid, tenant_id, namespace, display_name, plan_id, plan_version, seats,
                                  home_region, allowed_regions, billing_account, admin_subjects, labels,
                                  protected, state)
             VALUES ($1, $2, 'tenant-' || $2, $2, 'free', 1, 1, 'local', '{local}', '', '[]', '{}', false, 'active')",
        )
        .bind(tenant.0)
        .bind(tenant_id)
        .execute(self.database.operator())
        .await
        .unwrap();
        tenant
    }
}
