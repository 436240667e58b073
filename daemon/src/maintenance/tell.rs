//! What the status page and the Alertmanagers are told.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use streamspace_core::notify::Action;

use super::{
    convert::rules,
    store::{MaintenanceRecord, SilenceRecord},
};
use crate::{
    db::DbError,
    notify::{self, Channels, Level, Message, Notice, PublicState, Purpose, StatusUpdate},
    rpc::time::second,
};

/// Tells people outside.
#[derive(Clone)]
pub(super) struct Teller {
    pub(super) region: String,
    pub(super) channels: Channels,
}

/// Where a maintenance is, for the status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Planned,
    Begun,
    Over,
}

impl Teller {
    pub(super) async fn maintenance(
        &self,
        tx: &mut PgConnection,
        record: &MaintenanceRecord,
        stage: Stage,
    ) -> Result<(), DbError> {
        let (public, step, body) = match stage {
            Stage::Planned => (PublicState::Scheduled, "planned", "It is planned."),
            Stage::Begun => (PublicState::InProgress, "begun", "It has begun."),
            Stage::Over => (PublicState::Completed, "over", "It is over."),
        };
        let body = match stage {
            Stage::Over => body.to_owned(),
            _ => format!("{body} From {} until {}.", second(record.start), second(record.end)),
        };
        let message = Message {
            summary: record.title.clone(),
            severity: Level::Info,
            source: format!("regions/{}", self.region),
            details: BTreeMap::new(),
            link: String::new(),
            status: Some(StatusUpdate {
                title: record.title.clone(),
                body,
                state: public,
                components: Vec::new(),
            }),
            // A status page that plans wants to know from when until when.
            silence: Some(notify::Silence {
                matchers: Vec::new(),
                starts: record.start,
                ends: record.end,
                created_by: record.actor.clone(),
                comment: record.title.clone(),
            }),
        };
        let notice = Notice {
            dedup_key: format!("streamspace/{}/maintenances/{}", self.region, record.number),
            action: Action::Publish,
            channels: self.channels.names_for(Purpose::Public),
            message,
        };
        notify::enqueue(tx, step, &notice).await
    }

    pub(super) async fn silence(
        &self,
        tx: &mut PgConnection,
        record: &SilenceRecord,
        action: Action,
    ) -> Result<(), DbError> {
        let matcher = |it: &super::store::Matcher| notify::Matcher {
            name: it.label.clone(),
            value: it.value.clone(),
            is_regex: false,
            is_equal: !it.negative,
        };
        let message = Message {
            summary: format!("silence {}", rules(&record.matchers)),
            severity: Level::Info,
            source: format!("regions/{}", self.region),
            details: BTreeMap::new(),
            link: String::new(),
            status: None,
            silence: Some(notify::Silence {
                matchers: record.matchers.iter().map(matcher).collect(),
                starts: record.start,
                ends: record.end,
                created_by: record.actor.clone(),
                comment: record.comment.clone(),
            }),
        };
        let notice = Notice {
            dedup_key: format!("streamspace/{}/silences/{}", self.region, record.number),
            action,
            channels: self.channels.names_for(Purpose::Silence),
            message,
        };
        notify::enqueue(tx, "", &notice).await
    }
}
