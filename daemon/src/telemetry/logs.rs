//! Structured logs on standard error. Each line of a call carries its `call_id`.

use std::io::IsTerminal as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How the daemon logs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `json`: one object a line; `text`: for people.
    #[schemars(with = "String")]
    pub format: LogFormat,
    /// Which lines: a level, or directives such as `info,streamspaced::tenants=debug`.
    pub filter: String,
}

/// The shape of a line.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Default for LogConfig {
    fn default() -> Self {
        // The client of the cluster logs every failed request; the health of the cluster
        // is told once, when it changes.
        Self { format: LogFormat::Json, filter: "info,kube_client=off".into() }
    }
}

/// Starts logging. Fails on a filter that cannot be read, naming it.
pub fn start(config: &LogConfig) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|error| format!("log.filter: {:?}: {error}", config.filter))?;
    let registry = tracing_subscriber::registry().with(filter);
    let result = match config.format {
        LogFormat::Json => {
            let layer = fmt::layer().json().flatten_event(true).with_current_span(true);
            registry.with(layer.with_span_list(false).with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let layer = fmt::layer().with_ansi(colours).with_writer(std::io::stderr);
            registry.with(layer).try_init()
        }
    };
    result.map_err(|error| error.to_string())
}
