//! The PostgreSQL of the stories: one server that they share, or one of a story's own
//! that it may stop.

#![allow(clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::{PgPool, postgres::PgPoolOptions};
use streamspaced::dev::postgres::{PostgresError, PostgresOptions, PrivatePostgres};
use tokio::{sync::OnceCell, task::spawn_blocking};
use uuid::Uuid;

static SHARED: OnceCell<Server> = OnceCell::const_new();

/// A running PostgreSQL. It goes with the last clone, or with the process.
#[derive(Clone, Debug)]
pub struct Server {
    postgres: Arc<Mutex<PrivatePostgres>>,
}

impl Server {
    /// The one that the stories of this process share.
    pub async fn shared() -> Self {
        SHARED.get_or_init(Self::start).await.clone()
    }

    /// One of the caller's own.
    pub async fn start() -> Self {
        let started = spawn_blocking(|| {
            PrivatePostgres::start_with(&scratch_folder(), PostgresOptions::scratch())
        });
        let postgres = started.await.expect("no panic").expect("PostgreSQL starts");
        Self { postgres: Arc::new(Mutex::new(postgres)) }
    }

    /// Ends it at once, as a crash would.
    pub async fn kill(&self) {
        self.change(PrivatePostgres::kill_server).await;
    }

    /// Starts it on the same data.
    pub async fn start_again(&self) {
        self.change(PrivatePostgres::start_again).await;
    }

    async fn change(&self, change: fn(&mut PrivatePostgres) -> Result<(), PostgresError>) {
        let postgres = Arc::clone(&self.postgres);
        let changed = spawn_blocking(move || {
            change(&mut postgres.lock().unwrap_or_else(PoisonError::into_inner))
        });
        changed.await.expect("no panic").expect("PostgreSQL obeys");
    }

    /// The superuser's URL of a database.
    pub fn superuser_url(&self, database: &str) -> String {
        self.postgres.lock().unwrap_or_else(PoisonError::into_inner).url("postgres", database)
    }

    /// A pool of the superuser, who sees all.
    pub fn pool(&self, database: &str) -> PgPool {
        PgPoolOptions::new()
            .max_connections(2)
            .connect_lazy(&self.superuser_url(database))
            .expect("a good URL")
    }
}

/// A folder that the account of PostgreSQL can come to, with a name short enough for a
/// socket.
fn scratch_folder() -> PathBuf {
    let id = Uuid::new_v4().simple().to_string();
    std::env::temp_dir().join(format!("ss-story-{}", id.get(..12).unwrap_or(&id)))
}
