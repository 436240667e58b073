//! Structured logs on standard error. Each line of a call carries its `call_id`.
//!
//! Where standard error is the journal of systemd, a line has its priority in front, as
//! `sd-daemon(3)` says, and no time of its own: the journal keeps both.

use std::io::{self, IsTerminal as _, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};

/// How the daemon logs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `json`: one object a line; `text`: for people.
    #[schemars(with = "String")]
    pub format: LogFormat,
    /// Which lines: a level, or directives such as `info,streamspaced::tenants=debug`. A
    /// reload takes it up.
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

impl LogConfig {
    /// Checks what a type alone does not. The error begins with the key.
    pub fn check(&self) -> Result<(), String> {
        parse(&self.filter).map(drop)
    }
}

/// Which lines are logged, as long as the daemon runs.
#[derive(Clone, Debug)]
pub struct Filter {
    handle: reload::Handle<EnvFilter, Registry>,
}

impl Filter {
    /// Logs other lines from now on. The error begins with the key.
    pub fn set(&self, directives: &str) -> Result<(), String> {
        let filter = parse(directives)?;
        self.handle.reload(filter).map_err(|error| format!("log.filter: {error}"))
    }
}

fn parse(directives: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(directives).map_err(|error| {
        format!(
            "log.filter: {directives:?}: {error}; write a level, or directives such as \
             \"info,kube_client=off\""
        )
    })
}

/// Starts logging. Fails on a filter that cannot be read, naming it.
pub fn start(config: &LogConfig) -> Result<Filter, String> {
    let (filter, handle) = reload::Layer::new(parse(&config.filter)?);
    let output = Output { journal: is_journal() };
    let layer = match (config.format, output.journal) {
        (LogFormat::Json, journal) => {
            let layer = fmt::layer().json().flatten_event(true).with_current_span(true);
            let layer = layer.with_span_list(false).with_writer(output);
            if journal { layer.without_time().boxed() } else { layer.boxed() }
        }
        (LogFormat::Text, true) => {
            fmt::layer().with_ansi(false).with_writer(output).without_time().boxed()
        }
        (LogFormat::Text, false) => {
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            fmt::layer().with_ansi(colours).with_writer(output).boxed()
        }
    };
    let registry = tracing_subscriber::registry().with(filter).with(layer);
    registry.try_init().map_err(|error| error.to_string())?;
    Ok(Filter { handle })
}

/// Whether standard error is the very socket of the journal that the variable tells of. A
/// child whose standard error goes elsewhere inherits the variable too.
fn is_journal() -> bool {
    let Ok(told) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(io::stderr())
        .is_ok_and(|found| told == format!("{}:{}", found.st_dev, found.st_ino))
}

#[derive(Clone, Copy)]
struct Output {
    journal: bool,
}

impl MakeWriter<'_> for Output {
    type Writer = Line<io::Stderr>;

    fn make_writer(&self) -> Self::Writer {
        Line { priority: self.journal.then_some("<6>"), to: io::stderr() }
    }

    fn make_writer_for(&self, meta: &Metadata<'_>) -> Self::Writer {
        Line { priority: self.journal.then(|| priority(*meta.level())), to: io::stderr() }
    }
}

/// Of `syslog(3)`.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

/// Writes one event. Each of its lines gets the priority, since the journal makes an entry of
/// each.
struct Line<W> {
    priority: Option<&'static str>,
    to: W,
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let Some(priority) = self.priority else { return self.to.write(event) };
        let mut whole = Vec::with_capacity(event.len() + priority.len());
        for line in event.split_inclusive(|byte| *byte == b'\n') {
            whole.extend_from_slice(priority.as_bytes());
            whole.extend_from_slice(line);
        }
        // At once, so that lines of several threads do not mix.
        self.to.write_all(&whole)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_for_the_journal_has_its_priority_and_others_have_none() {
        let write = |priority| {
            let mut line = Line { priority, to: Vec::new() };
            line.write_all(b"one\ntwo\n").unwrap();
            String::from_utf8(line.to).unwrap()
        };
        assert_eq!(write(Some(priority(Level::WARN))), "<4>one\n<4>two\n");
        assert_eq!(write(None), "one\ntwo\n");
        assert_eq!([Level::ERROR, Level::TRACE].map(priority), ["<3>", "<7>"]);
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let config = LogConfig { filter: "info,a=loud".into(), ..LogConfig::default() };
        let fault = config.check().unwrap_err();
        assert!(fault.starts_with("log.filter: ") && fault.contains("kube_client=off"), "{fault}");
        LogConfig::default().check().unwrap();
    }
}
