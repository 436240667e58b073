//! What every command works with: the global flags, the environment, the
//! terminal.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    sync::{Arc, Mutex},
    time::Duration,
};

use clap::Args;
use jiff::Timestamp;
use streamspace_client::{
    ClientError, Connection, Context, Contexts, Environment, Incident, Options,
    context::ContextError, text,
};

use crate::{
    errors::{Failure, Outcome},
    output::{Format, Output, OutputParser, Template},
    skew,
    time::parse_duration,
};

/// Flags that every command takes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The context to use: which region's daemon; for reads several, separated by commas
    #[arg(long, global = true, value_name = "NAME", value_delimiter = ',')]
    pub(crate) context: Vec<String>,
    /// Ask the regions of all contexts at once; for reads
    #[arg(long, global = true)]
    pub(crate) all_contexts: bool,
    /// How to print data
    #[arg(short, long, global = true, value_parser = OutputParser, value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
    /// How long to wait for an answer, or with --wait for the end: 30s, 5m, 1h
    ///
    /// 30s where it is not given; 5s for each where several regions are asked.
    #[arg(long, global = true, value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) timeout: Option<Duration>,
    /// Say nothing on standard error but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Use no colour
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// Where an output stream goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    /// Whether it is a terminal.
    pub(crate) terminal: bool,
    /// Whether it may have colour.
    pub(crate) colour: bool,
}

/// What the three standard streams are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// Whether somebody can type.
    pub(crate) input: bool,
    /// Where data goes.
    pub(crate) output: Stream,
    /// Where talk goes.
    pub(crate) talk: Stream,
    /// Whether what is written may have more than ASCII characters.
    pub(crate) unicode: bool,
}

impl Terminal {
    /// The process's own, by the conventions of `NO_COLOR`, `CLICOLOR_FORCE` and
    /// dumb terminals.
    fn detect(no_color: bool) -> Self {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        let forced = set("CLICOLOR_FORCE");
        let never = no_color || env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let stream =
            |terminal: bool| Stream { terminal, colour: !never && (forced || (terminal && !dumb)) };
        Self {
            input: io::stdin().is_terminal(),
            output: stream(io::stdout().is_terminal()),
            talk: stream(io::stderr().is_terminal()),
            unicode: is_unicode(|name| env::var(name).ok()),
        }
    }

    /// Whether a question can be asked and answered.
    pub(crate) fn can_ask(self) -> bool {
        self.input && self.talk.terminal
    }
}

/// Whether the locale's encoding is UTF-8, by the first of its variables that is
/// set. Where none is, as in most containers, nothing speaks against it.
fn is_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    locale.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// What every command works with.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    pub(crate) global: Global,
    pub(crate) environment: Environment,
    pub(crate) terminal: Terminal,
    /// The instant of the command, from which ages are told.
    pub(crate) now: Timestamp,
    /// The incident that the command's change belongs to.
    pub(crate) incident: Option<Incident>,
    /// The connections that were opened, for what they learn of the daemons.
    opened: Arc<Mutex<Vec<Connection>>>,
}

/// How long each of several regions may take where no other time is given.
const SEVERAL_TIMEOUT: Duration = Duration::from_secs(5);

impl Shell {
    /// The process's own.
    pub(crate) fn new(global: Global) -> Self {
        let terminal = Terminal::detect(global.no_color);
        Self {
            global,
            environment: Environment::from_process(),
            terminal,
            now: Timestamp::now(),
            incident: None,
            opened: Arc::default(),
        }
    }

    /// The format that was asked for, or the table.
    pub(crate) fn format(&self) -> Format {
        self.global.output.as_ref().map_or(Format::Table, |output| output.format)
    }

    /// The template of `-o jsonpath=…`.
    pub(crate) fn template(&self) -> Option<&Template> {
        self.global.output.as_ref()?.template.as_deref()
    }

    /// Whether several contexts were named, so that reads ask all of them.
    ///
    /// `--all-contexts` is several also where the file has one: what a script gets
    /// must not depend on what was logged in to.
    pub(crate) fn several(&self) -> bool {
        self.global.all_contexts || self.global.context.len() > 1
    }

    /// The context that the flag names, if it names one. Several are an error.
    pub(crate) fn named_context(&self) -> Outcome<Option<&str>> {
        if !self.several() {
            return Ok(self.global.context.first().map(String::as_str));
        }
        let named = match self.global.context.len() {
            0 => "--all-contexts names all".to_owned(),
            count => format!("--context names {count}"),
        };
        Err(Failure::Usage {
            message: format!("this command speaks to one region, and {named}"),
            next: "name one with --context NAME; only reads ask several, a change is made region \
                   by region, so that one is looked at before the next"
                .into(),
        })
    }

    /// The same command for all contexts, where it does not name some itself.
    pub(crate) fn everywhere(&self) -> Self {
        let mut everywhere = self.clone();
        everywhere.global.all_contexts = self.global.context.is_empty();
        everywhere
    }

    /// The one context that the flag, the environment or the file names.
    pub(crate) fn context(&self) -> Outcome<Context> {
        let named = self.named_context()?;
        let contexts = Contexts::load(&self.environment).map_err(ClientError::from)?;
        Ok(contexts.resolve(named, &self.environment).map_err(ClientError::from)?)
    }

    /// The contexts that a read asks, each once, in the order in which they are
    /// named; those of the file by name.
    pub(crate) fn contexts(&self) -> Outcome<Vec<Context>> {
        let contexts = Contexts::load(&self.environment).map_err(ClientError::from)?;
        if self.global.all_contexts {
            if !self.global.context.is_empty() {
                return Err(Failure::Usage {
                    message: "--all-contexts and --context do not go together".into(),
                    next: "leave one of them out".into(),
                });
            }
            let all: Vec<_> = contexts.iter().cloned().collect();
            if !all.is_empty() {
                return Ok(all);
            }
            // A machine without a file, such as a build's, may have one in its variables.
            let plain = self.environment.plain_context().map_err(ClientError::from)?;
            let none = ContextError::NoneChosen { known: Vec::new() };
            return Ok(vec![plain.ok_or(ClientError::from(none))?]);
        }
        let mut named: Vec<Context> = Vec::new();
        for name in &self.global.context {
            let context = contexts.get(name).map_err(ClientError::from)?;
            if !named.iter().any(|known| known.name == context.name) {
                named.push(context.clone());
            }
        }
        Ok(named)
    }

    /// How calls behave.
    pub(crate) fn options(&self) -> Options {
        let mut options = Options::new(self.environment.clone());
        options.user_agent = concat!("ssctl/", env!("CARGO_PKG_VERSION")).into();
        if let Some(timeout) = self.global.timeout {
            options.request_timeout = timeout;
            options.connect_timeout = options.connect_timeout.min(timeout);
        }
        options.incident.clone_from(&self.incident);
        options
    }

    /// The daemon of the one context: for changes and for streams. Reads go
    /// through [`Shell::read`].
    pub(crate) fn connect(&self) -> Outcome<Connection> {
        self.open(&self.context()?, &self.options())
    }

    /// How long each of several regions may take in all.
    pub(crate) fn deadline(&self) -> Duration {
        self.global.timeout.unwrap_or(SEVERAL_TIMEOUT)
    }

    /// The daemons of all contexts that were named.
    pub(crate) fn connect_to_all(&self) -> Outcome<Vec<Connection>> {
        let mut options = self.options();
        options.request_timeout = self.deadline();
        options.connect_timeout = options.connect_timeout.min(self.deadline());
        self.contexts()?.iter().map(|context| self.open(context, &options)).collect()
    }

    fn open(&self, context: &Context, options: &Options) -> Outcome<Connection> {
        let connection = Connection::open(context, options)?;
        if let Ok(mut opened) = self.opened.lock() {
            opened.push(connection.clone());
        }
        Ok(connection)
    }

    /// Warns where a daemon that answered is too far from this program's version.
    pub(crate) fn warn_of_skew(&self) {
        let Ok(opened) = self.opened.lock() else { return };
        let daemons = opened.iter().filter_map(|connection| {
            Some((connection.context().name.as_str(), connection.daemon_version()?))
        });
        for warning in skew::warnings(env!("CARGO_PKG_VERSION"), daemons) {
            self.talk(&warning);
        }
    }

    /// As [`Shell::connect`], for a command whose `--timeout` is for the wait and
    /// not for each call.
    pub(crate) fn connect_to_wait(&self) -> Outcome<Connection> {
        let mut options = self.options();
        options.request_timeout = Options::new(self.environment.clone()).request_timeout;
        self.open(&self.context()?, &options)
    }

    /// Prints data.
    #[expect(clippy::unused_self, reason = "data has one way out, and a command has that one")]
    pub(crate) fn print(&self, data: &str) -> Outcome {
        let mut stdout = io::stdout().lock();
        stdout.write_all(data.as_bytes())?;
        stdout.flush()?;
        Ok(())
    }

    /// Tells people something, on stderr.
    pub(crate) fn talk(&self, line: &str) {
        if !self.global.quiet {
            warn(line);
        }
    }

    /// Tells about a failure that does not end the command.
    pub(crate) fn report(&self, failure: &Failure) {
        self.report_in("", failure);
    }

    /// The same, of one region among several.
    pub(crate) fn report_in(&self, context: &str, failure: &Failure) {
        let text = failure.report_from(context, self.terminal.talk.colour);
        // With stderr gone there is nobody to tell.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

/// Writes a line to stderr, whatever `--quiet` says.
pub(crate) fn warn(line: &str) {
    let line = text::escape_lines(line);
    let _ = writeln!(io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_tells_what_may_be_written() {
        let with = |pairs: &[(&str, &str)]| {
            is_unicode(|name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(with(&[("LANG", "en_GB.UTF-8")]));
        assert!(with(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]));
        assert!(!with(&[("LANG", "POSIX")]));
        assert!(with(&[]));
    }
}
