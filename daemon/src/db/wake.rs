//! Being woken by NOTIFY. A notification carries nothing and may be lost, so whoever
//! listens polls as well.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::{Database, DbError};

/// A connection that listens on one channel, until it is lost.
pub struct Wake {
    listener: PgListener,
}

impl Wake {
    /// Listens on `channel`. `purpose` shows in `pg_stat_activity`.
    pub async fn listen(
        database: &Database,
        channel: &str,
        purpose: &str,
    ) -> Result<Self, DbError> {
        // A pool of one: the listener needs a connection that nobody else uses.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(3))
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(database.session_options(purpose));
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(channel).await?;
        Ok(Self { listener })
    }

    /// Waits for a notification; several that came together count as one.
    pub async fn heard(&mut self) -> Result<(), DbError> {
        match self.listener.try_recv().await? {
            Some(_wake) => {
                while self.listener.next_buffered().is_some() {}
                Ok(())
            }
            None => Err(sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into()).into()),
        }
    }
}
