//! `ssctl`, the admin command line of the StreamSpace control plane.

mod bulk;
mod change;
mod commands;
mod complete;
mod confirm;
mod errors;
mod exit;
mod output;
mod quantity;
mod read;
mod resource;
mod shell;
mod skew;
mod time;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use commands::{Cli, Command, version};
use exit::Exit;
use shell::Shell;

fn main() -> ExitCode {
    // A shell that completes waits for every millisecond.
    if let Some(exit) = complete::requested(std::env::args_os()) {
        return exit.into();
    }
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    // Before anything else: runbooks ask for the version all the time.
    if let Command::Version(args) = &cli.command
        && !args.verify
    {
        return version::run(cli.global.output.as_ref()).into();
    }
    let mut shell = Shell::new(cli.global);
    shell.incident = change::incident(&matches);
    let outcome = commands::run(&shell, cli.command);
    shell.warn_of_skew();
    let exit = match outcome {
        Ok(()) => Exit::Done,
        Err(failure) => {
            shell.report(&failure);
            failure.exit()
        }
    };
    exit.into()
}
