//! The outbox against a real PostgreSQL, and receivers of all tempers.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use sqlx::Row as _;
use streamspace_core::{
    access::Role,
    notify::{Action, NoticeState},
};
use streamspace_proto::v1;
use tempfile::TempDir;

use self::receiver::{Manner, Receiver};
use super::{
    Channels, Level, Message, Notice, NotifyCounters, Sender, SenderParts, config::NotifyConfig,
    enqueue, service::Notices, store,
};
use crate::{
    db::{Leadership, Scope, testing::TestDatabase},
    rpc::{Caller, caller::testing::caller, errors::RpcError},
};

mod alertmanager;
mod crashes;
mod inbound;
mod kinds;
mod receiver;
mod rpcs;
mod sending;

/// What a receiver that hangs is waited for.
const DEADLINE: Duration = Duration::from_millis(400);

/// A region that the replica `one` leads.
struct World {
    test: TestDatabase,
    leadership: Leadership,
    folder: TempDir,
}

fn kim() -> Caller {
    caller("kim", Role::Operator, Scope::Region)
}

impl World {
    async fn start() -> Self {
        let test = TestDatabase::create().await;
        let world = Self {
            test,
            leadership: Leadership { replica: "one".into(), leader_term: 1, leads: true },
            folder: tempfile::tempdir().unwrap(),
        };
        world.lead(1).await;
        std::fs::write(world.secret(), "0123456789abcdef\n").unwrap();
        world
    }

    /// Lets the replica `one` lead in a term.
    async fn lead(&self, term: i64) {
        sqlx::query("UPDATE leader SET leader_term = $1, replica = 'one'")
            .bind(term)
            .execute(self.test.database().operator())
            .await
            .unwrap();
    }

    /// The next leader, as it is after the one before was killed.
    async fn next_leader(&mut self) {
        self.leadership.leader_term += 1;
        self.lead(self.leadership.leader_term).await;
    }

    /// A file with the secret `0123456789abcdef`.
    fn secret(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    fn channels(&self, text: &str) -> Channels {
        let text = text.replace("SECRET", &self.secret().display().to_string());
        let config: NotifyConfig = toml::from_str(&text).unwrap();
        Channels::within(&config, DEADLINE).unwrap()
    }

    fn sender(&self, channels: &Channels) -> Sender {
        Sender::new(SenderParts {
            db: self.test.database().clone(),
            channels: channels.clone(),
            counters: Arc::new(NotifyCounters::default()),
        })
    }

    fn service(&self, channels: &Channels) -> Notices {
        let region = "us-west-2".parse().unwrap();
        Notices::new(self.test.database().clone(), region, channels.clone())
    }

    async fn enqueue(&self, step: &str, notice: &Notice) {
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        enqueue(&mut tx, step, notice).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// All notices, the oldest first.
    async fn rows(&self) -> Vec<store::Record> {
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        let mut rows = store::list(&mut tx, None, i64::MAX, 1_000).await.unwrap();
        rows.reverse();
        rows
    }

    async fn states(&self) -> Vec<NoticeState> {
        self.rows().await.iter().map(|row| row.state).collect()
    }

    /// As if the waits of all that wait were over.
    async fn wait_is_over(&self) {
        sqlx::query("UPDATE notify_outbox SET next_time = now() WHERE state = 'waiting'")
            .execute(self.test.database().operator())
            .await
            .unwrap();
    }
}

fn notice(key: &str, action: Action, channels: &[&str]) -> Notice {
    Notice {
        dedup_key: key.into(),
        action,
        channels: channels.iter().map(|name| (*name).to_owned()).collect(),
        message: Message {
            summary: "it burns".into(),
            severity: Level::Critical,
            source: "regions/us-west-2".into(),
            details: [("budget left".to_owned(), "12 %".to_owned())].into(),
            link: "https://runbooks.example.com/slo-burn.md".into(),
            ..Message::default()
        },
    }
}

/// A webhook with the name `hook` at a receiver.
fn hook(receiver: &Receiver) -> String {
    format!("[channels.hook]\nkind = 'webhook'\nfor = ['page']\nurl = '{}'\n", receiver.url())
}
