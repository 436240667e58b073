//! The breaker on deletions that nobody asked for.
//!
//! What the daemon deletes because it is no longer wished (a prune) is counted in the
//! database before it is done. More than a few of them in a short time point to a fault
//! of ours rather than to a wish: the breaker trips, and nothing at all is deleted until
//! an operator releases it. A deletion that an operator asked for is not counted, but it
//! waits as well while the breaker is open.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::PgConnection;

use crate::{
    db::{Database, DbError, Leadership, Scope, lease},
    kube::Kind,
};

/// When the breaker trips.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// So many in the window are done, and the next one trips it; at least 1.
    pub limit: u32,
    /// The window, 1 to 86400.
    pub window_seconds: u32,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { limit: 20, window_seconds: 600 }
    }
}

impl BreakerConfig {
    /// Checks what a type alone does not. The error begins with the key.
    pub fn check(&self) -> Result<(), String> {
        if self.limit == 0 {
            return Err("limit: must be at least 1".into());
        }
        if !(1..=86_400).contains(&self.window_seconds) {
            return Err(format!("window_seconds: {} must be 1 to 86400", self.window_seconds));
        }
        Ok(())
    }

    /// The window.
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.window_seconds.into())
    }
}

/// Whether a deletion may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It is counted and may be done.
    Granted,
    /// The breaker is open, and says why.
    Open(String),
    /// Another replica leads.
    NotLeader,
}

/// Counts one deletion that nobody asked for, before it is done.
pub async fn ask(
    db: &Database,
    config: &BreakerConfig,
    leadership: &Leadership,
    (kind, namespace, name): (Kind, &str, &str),
) -> Result<Permission, DbError> {
    let mut tx = db.begin(&Scope::Region).await?;
    if !lease::still_leads(&mut tx, leadership).await? {
        return Ok(Permission::NotLeader);
    }
    // The row's lock makes the counting one at a time.
    sqlx::query("SELECT FROM breaker FOR UPDATE").execute(&mut *tx).await?;
    if let Some(message) = open_message(&mut tx).await? {
        return Ok(Permission::Open(message));
    }
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM breaker_deletions, breaker \
         WHERE time > greatest(now() - $1 * interval '1 second', \
                               coalesce(release_time, '-infinity'))",
    )
    .bind(f64::from(config.window_seconds))
    .fetch_one(&mut *tx)
    .await?;
    let permission = if count >= i64::from(config.limit) {
        let message = format!(
            "{count} objects that nobody asked to delete were deleted within {} min, and the next \
             would be {kind} {namespace}/{name}; nothing is deleted until an operator has looked \
             and runs `ssctl region breaker release`",
            config.window().as_secs() / 60
        );
        sqlx::query("UPDATE breaker SET trip_time = clock_timestamp(), message = $1")
            .bind(&message)
            .execute(&mut *tx)
            .await?;
        tracing::error!(message, "the breaker tripped");
        Permission::Open(message)
    } else {
        sqlx::query("INSERT INTO breaker_deletions (kind, namespace, name) VALUES ($1, $2, $3)")
            .bind(kind.as_str())
            .bind(namespace)
            .bind(name)
            .execute(&mut *tx)
            .await?;
        Permission::Granted
    };
    tx.commit().await?;
    Ok(permission)
}

/// Why the breaker is open; `None` while it is closed.
pub async fn open_message(connection: &mut PgConnection) -> Result<Option<String>, DbError> {
    let query = sqlx::query_scalar(
        "SELECT message FROM breaker \
         WHERE trip_time IS NOT NULL AND (release_time IS NULL OR release_time < trip_time)",
    );
    Ok(query.fetch_optional(connection).await?)
}

/// Forgets deletions that are of no use to the breaker or to a person any more.
pub async fn forget_old(connection: &mut PgConnection) -> Result<(), DbError> {
    sqlx::query("DELETE FROM breaker_deletions WHERE time < now() - interval '30 days'")
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TestDatabase;

    async fn leader(test: &TestDatabase) -> Leadership {
        sqlx::query("UPDATE leader SET leader_term = 7, replica = 'a'")
            .execute(test.database().operator())
            .await
            .unwrap();
        Leadership { replica: "a".into(), leader_term: 7, leads: true }
    }

    #[tokio::test]
    async fn it_trips_over_the_limit_and_opens_again_only_by_release() {
        let test = TestDatabase::create().await;
        let db = test.database();
        let leadership = leader(&test).await;
        let config = BreakerConfig { limit: 3, window_seconds: 600 };
        let ask = |name: &'static str| {
            let leadership = &leadership;
            async move { ask(db, &config, leadership, (Kind::Role, "tenant-a", name)).await.unwrap() }
        };
        for name in ["a", "b", "c"] {
            assert_eq!(ask(name).await, Permission::Granted);
        }
        let Permission::Open(message) = ask("d").await else { panic!("not tripped") };
        assert!(message.contains("Role tenant-a/d"), "{message}");
        assert_eq!(ask("e").await, Permission::Open(message.clone()));
        let mut tx = db.begin(&Scope::Region).await.unwrap();
        assert_eq!(open_message(&mut tx).await.unwrap(), Some(message));
        drop(tx);
        sqlx::query("UPDATE breaker SET release_time = clock_timestamp(), release_actor = 'kim'")
            .execute(db.operator())
            .await
            .unwrap();
        assert_eq!(ask("f").await, Permission::Granted, "what was before counts no more");
        let other = Leadership { leader_term: 6, ..leadership.clone() };
        let late = super::ask(db, &config, &other, (Kind::Role, "n", "g")).await.unwrap();
        assert_eq!(late, Permission::NotLeader);
    }

    #[tokio::test]
    async fn what_is_older_than_the_window_does_not_count() {
        let test = TestDatabase::create().await;
        let leadership = leader(&test).await;
        sqlx::query(
            "INSERT INTO breaker_deletions (time, kind, namespace, name) \
             SELECT now() - interval '11 minutes', 'Role', 'n', 'r' FROM generate_series(1, 50)",
        )
        .execute(test.database().operator())
        .await
        .unwrap();
        let config = BreakerConfig::default();
        let answer = ask(test.database(), &config, &leadership, (Kind::Role, "n", "r")).await;
        assert_eq!(answer.unwrap(), Permission::Granted);
    }
}
