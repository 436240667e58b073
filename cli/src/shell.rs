//! What every command works with: the global flags, the environment, the
//! terminal.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use clap::Args;
use jiff::Timestamp;
use streamspace_client::{ClientError, Connection, Context, Contexts, Environment, Options, text};

use crate::{
    errors::{Failure, Outcome},
    output::Format,
    time::parse_duration,
};

/// Flags that every command takes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The context to use: which region's daemon
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// How to print data
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
    /// How long to wait for an answer, or with --wait for the end: 30s, 5m, 1h
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
}

impl Shell {
    /// The process's own.
    pub(crate) fn new(global: Global) -> Self {
        let terminal = Terminal::detect(global.no_color);
        Self { global, environment: Environment::from_process(), terminal, now: Timestamp::now() }
    }

    /// The format that was asked for, or the table.
    pub(crate) fn format(&self) -> Format {
        self.global.output.unwrap_or(Format::Table)
    }

    /// The context that the flag, the environment or the file names.
    pub(crate) fn context(&self) -> Outcome<Context> {
        let contexts = Contexts::load(&self.environment).map_err(ClientError::from)?;
        let named = self.global.context.as_deref();
        Ok(contexts.resolve(named, &self.environment).map_err(ClientError::from)?)
    }

    /// How calls behave.
    pub(crate) fn options(&self) -> Options {
        let mut options = Options::new(self.environment.clone());
        options.user_agent = concat!("ssctl/", env!("CARGO_PKG_VERSION")).into();
        if let Some(timeout) = self.global.timeout {
            options.request_timeout = timeout;
            options.connect_timeout = options.connect_timeout.min(timeout);
        }
        options
    }

    /// The daemon of the context.
    pub(crate) fn connect(&self) -> Outcome<Connection> {
        Ok(Connection::open(&self.context()?, &self.options())?)
    }

    /// As [`Shell::connect`], for a command whose `--timeout` is for the wait and
    /// not for each call.
    pub(crate) fn connect_to_wait(&self) -> Outcome<Connection> {
        let mut options = self.options();
        options.request_timeout = Options::new(self.environment.clone()).request_timeout;
        Ok(Connection::open(&self.context()?, &options)?)
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
        report(failure, self.terminal.talk.colour);
    }
}

/// Writes a failure to stderr.
pub(crate) fn report(failure: &Failure, colour: bool) {
    // With stderr gone there is nobody to tell.
    let _ = io::stderr().lock().write_all(failure.report(colour).as_bytes());
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
