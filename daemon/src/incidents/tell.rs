//! What people outside are told of an incident: those on call, and the public.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use streamspace_core::{
    incident::{Severity, escalation, lifecycle::State},
    notify::Action,
};

use super::{
    change::{Changed, Tell},
    store::{self, Event, Record},
};
use crate::{
    db::DbError,
    notify::{self, Channels, Level, Message, Notice, PublicState, Purpose, StatusUpdate},
    oncall,
    rpc::ends::ACTOR,
};

/// How the keys begin of what Alertmanagers tell; others begin with the kind of an alert.
pub(super) const ALERTMANAGER: &str = "alertmanager";

/// Tells people by the channels of the configuration.
#[derive(Clone)]
pub(super) struct Teller {
    pub(super) region: String,
    pub(super) channels: Channels,
}

impl Teller {
    /// Keeps a step: the row, the timeline, and the notices, in the caller's transaction.
    pub(super) async fn keep(
        &self,
        tx: &mut PgConnection,
        changed: &Changed,
        now: jiff::Timestamp,
    ) -> Result<(), DbError> {
        let record = &changed.record;
        store::write(tx, record).await?;
        for event in &changed.events {
            store::add_event(tx, record.id, event).await?;
        }
        for tell in &changed.tells {
            self.tell(tx, record, tell, now).await?;
        }
        Ok(())
    }

    async fn tell(
        &self,
        tx: &mut PgConnection,
        record: &Record,
        tell: &Tell,
        now: jiff::Timestamp,
    ) -> Result<(), DbError> {
        match tell {
            Tell::Page(level) => self.page(tx, record, *level, now).await,
            Tell::Acknowledged => {
                let channels = paged(record, &self.channels);
                self.send(tx, record, Action::Acknowledge, &stamp(now), channels, None).await
            }
            Tell::Over => {
                let channels = paged(record, &self.channels);
                self.send(tx, record, Action::Resolve, &stamp(now), channels, None).await?;
                // Only a status page that was told of it hears that it is over.
                if record.merged_into.is_none() && self.was_public(tx, record).await? {
                    self.public(tx, record, "This incident is over.", now).await?;
                }
                Ok(())
            }
            Tell::Back(times) => self.again(tx, record, *times, now).await,
            Tell::Public(text) => self.public(tx, record, text, now).await,
        }
    }

    async fn was_public(&self, tx: &mut PgConnection, record: &Record) -> Result<bool, DbError> {
        let events = store::events(tx, record.id).await?;
        Ok(events.iter().any(|event| event.kind == "public"))
    }

    async fn page(
        &self,
        tx: &mut PgConnection,
        record: &Record,
        step: usize,
        now: jiff::Timestamp,
    ) -> Result<(), DbError> {
        let Some((level, round)) = escalation::level(&record.levels, step) else { return Ok(()) };
        let people = oncall::people(tx, &level.targets, now).await?.join(" and ");
        let channels = channels_of(level, &self.channels);
        let number = step.checked_rem(record.levels.len()).map_or(1, |it| it.saturating_add(1));
        let again = if round > 0 { " again" } else { "" };
        let by = match channels.as_slice() {
            [] => "by no channel: the configuration has none for pages".to_owned(),
            some => format!("by {}", some.join(" and ")),
        };
        let event = Event {
            time: now,
            actor: ACTOR.to_owned(),
            kind: "paged".to_owned(),
            text: format!("level {number}{again}: {people}, {by}"),
        };
        store::add_event(tx, record.id, &event).await?;
        let step = format!("level-{}", step.saturating_add(1));
        self.send(tx, record, Action::Trigger, &step, channels, Some(people)).await
    }

    /// Pages the levels once more that were paged already: they were told that it is over.
    async fn again(
        &self,
        tx: &mut PgConnection,
        record: &Record,
        times: u32,
        now: jiff::Timestamp,
    ) -> Result<(), DbError> {
        let channels = paged(record, &self.channels);
        if !channels.is_empty() {
            let levels = record.levels.iter().take(record.levels_paged);
            let mut targets: Vec<String> =
                levels.flat_map(|level| level.targets.iter().cloned()).collect();
            targets.sort_unstable();
            targets.dedup();
            let people = oncall::people(tx, &targets, now).await?.join(" and ");
            let event = Event {
                time: now,
                actor: ACTOR.to_owned(),
                kind: "paged".to_owned(),
                text: format!("again: {people}, by {}", channels.join(" and ")),
            };
            store::add_event(tx, record.id, &event).await?;
            let step = format!("back-{times}");
            self.send(tx, record, Action::Trigger, &step, channels, Some(people)).await?;
        }
        // The page that said that it is over would be wrong.
        if self.was_public(tx, record).await? {
            self.public(tx, record, "This incident is back.", now).await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        tx: &mut PgConnection,
        record: &Record,
        action: Action,
        step: &str,
        channels: Vec<String>,
        people: Option<String>,
    ) -> Result<(), DbError> {
        let mut details = BTreeMap::new();
        let mut detail = |name: &str, value: String| {
            if !value.is_empty() {
                details.insert(name.to_owned(), value);
            }
        };
        detail("incident", record.id.to_string());
        detail("severity", record.severity.as_str().to_owned());
        detail("state", record.state.to_string());
        detail("tenants", some(&record.tenants));
        detail("slos", some(&record.slos));
        detail("acknowledged_by", record.acknowledged_by.clone());
        detail("page", people.unwrap_or_default());
        detail("next", format!("ssctl incident ack {}", record.id));
        let message = Message {
            summary: format!("{} {}: {}", record.severity.as_str(), record.id, record.title),
            severity: level_of(record.severity),
            source: format!("regions/{}", self.region),
            details,
            link: self.runbook(record),
            status: None,
            silence: None,
        };
        let notice = Notice { dedup_key: self.key(record), action, channels, message };
        notify::enqueue(tx, step, &notice).await
    }

    async fn public(
        &self,
        tx: &mut PgConnection,
        record: &Record,
        text: &str,
        now: jiff::Timestamp,
    ) -> Result<(), DbError> {
        let state = match record.state {
            State::Declared => PublicState::Investigating,
            State::Triaged => PublicState::Identified,
            State::Mitigated => PublicState::Monitoring,
            State::Resolved | State::Reviewed => PublicState::Resolved,
        };
        let body = match record.next_update {
            Some(next) => {
                format!("{text}\n\nNext update by {}.", next.strftime("%Y-%m-%d %H:%M UTC"))
            }
            None => text.to_owned(),
        };
        let title = record.title.clone();
        let message = Message {
            summary: title.clone(),
            severity: level_of(record.severity),
            source: format!("regions/{}", self.region),
            details: BTreeMap::new(),
            link: String::new(),
            status: Some(StatusUpdate { title, body, state, components: Vec::new() }),
            silence: None,
        };
        let notice = Notice {
            dedup_key: self.key(record),
            action: Action::Publish,
            channels: self.channels.names_for(Purpose::Public),
            message,
        };
        notify::enqueue(tx, &stamp(now), &notice).await
    }

    /// The page of the alerts that it is about, where those are served.
    fn runbook(&self, record: &Record) -> String {
        let kind = record.dedup_key.as_deref().and_then(|key| key.split_once('/'));
        match kind {
            // What an Alertmanager tells has pages of its own.
            Some((kind, _)) if kind != ALERTMANAGER => self.channels.runbook(kind, ""),
            _ => String::new(),
        }
    }

    /// One thread of notices at each receiver.
    fn key(&self, record: &Record) -> String {
        format!("streamspace/{}/incidents/{}", self.region, record.id)
    }
}

/// Tells notices of one kind apart.
fn stamp(now: jiff::Timestamp) -> String {
    now.as_microsecond().to_string()
}

fn channels_of(level: &escalation::Level, channels: &Channels) -> Vec<String> {
    if level.channels.is_empty() {
        channels.names_for(Purpose::Page)
    } else {
        level.channels.clone()
    }
}

/// The channels that carried a page of it.
fn paged(record: &Record, channels: &Channels) -> Vec<String> {
    let levels = record.levels.iter().take(record.levels_paged);
    let mut names: Vec<String> = levels.flat_map(|level| channels_of(level, channels)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The severity in PagerDuty's words, which other receivers know too.
fn level_of(severity: Severity) -> Level {
    match severity {
        Severity::P0 | Severity::P1 => Level::Critical,
        Severity::P2 => Level::Error,
        Severity::P3 => Level::Warning,
        Severity::P4 => Level::Info,
    }
}

/// The first names of many.
pub(super) fn some(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}
