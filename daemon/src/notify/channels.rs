//! The channels that are configured.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use streamspace_core::platform::runbook;

use super::config::{ChannelConfig, Kind, NotifyConfig};
use crate::http_client::{Client, Terms};

/// How long one question to a receiver may take: PagerDuty and others answer within a second.
const DEADLINE: Duration = Duration::from_secs(10);
/// The largest answer: a hundred incidents of a status page.
const ANSWER_MAXIMUM: usize = 16 << 20;

/// What a channel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Wakes somebody.
    Page,
    /// Waits for the morning.
    Ticket,
    /// Everybody reads it.
    Public,
    /// Quietens alerts.
    Silence,
}

impl Purpose {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
            Self::Public => "public",
            Self::Silence => "silence",
        }
    }
}

/// The channels that are configured, by name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Channels {
    all: Arc<BTreeMap<String, Channel>>,
    runbooks: Option<Arc<str>>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) kind: Kind,
    pub(super) purposes: Vec<Purpose>,
    pub(super) client: Client,
    pub(super) routing_key_file: Option<PathBuf>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) page: String,
}

impl Channel {
    fn new(config: &ChannelConfig, terms: Terms) -> Result<Self, String> {
        let client =
            Client::new(config.url(), config.token_file.clone(), config.authorities(), terms)?;
        Ok(Self {
            kind: config.kind,
            purposes: config.purposes.clone(),
            client: match config.kind {
                Kind::Statuspage => client.with_scheme("OAuth"),
                _ => client,
            },
            routing_key_file: config.routing_key_file.clone(),
            secret_file: config.secret_file.clone(),
            page: config.page.clone().unwrap_or_default(),
        })
    }
}

impl Channels {
    /// Those of a configuration, or what is wrong with it.
    pub fn new(config: &NotifyConfig) -> Result<Self, String> {
        Self::within(config, DEADLINE)
    }

    /// The same, with a time within which each must answer.
    pub(super) fn within(config: &NotifyConfig, deadline: Duration) -> Result<Self, String> {
        config.check()?;
        let terms = Terms { deadline, answer_maximum: ANSWER_MAXIMUM };
        let made = config
            .channels
            .iter()
            .map(|(name, channel)| Ok((name.clone(), Channel::new(channel, terms)?)));
        Ok(Self {
            all: Arc::new(made.collect::<Result<_, String>>()?),
            runbooks: config.runbooks.as_deref().map(|url| url.trim_end_matches('/').into()),
        })
    }

    /// The names of those that are for something.
    pub fn names_for(&self, purpose: Purpose) -> Vec<String> {
        let are = self.all.iter().filter(|(_, channel)| channel.purposes.contains(&purpose));
        are.map(|(name, _)| name.clone()).collect()
    }

    /// Where to read what to do about an alert: its own link, or its page where those are
    /// served. Empty where nobody serves them.
    pub fn runbook(&self, kind: &str, own: &str) -> String {
        match &self.runbooks {
            Some(url) if own.is_empty() => format!("{url}/{}", runbook(kind)),
            _ => own.to_owned(),
        }
    }

    /// All names.
    pub fn names(&self) -> Vec<String> {
        self.all.keys().cloned().collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Channel> {
        self.all.get(name)
    }
}
