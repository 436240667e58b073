//! `ssctl`, the admin command line of the StreamSpace control plane.

mod change;
mod commands;
mod confirm;
mod errors;
mod exit;
mod output;
mod quantity;
mod resource;
mod shell;
mod time;

use std::process::ExitCode;

use clap::Parser;

use commands::{Cli, Command, version};
use exit::Exit;
use shell::Shell;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Before anything else: runbooks ask for the version all the time.
    if let Command::Version = cli.command {
        return version::run(cli.global.output).into();
    }
    let shell = Shell::new(cli.global);
    let exit = match commands::run(&shell, cli.command) {
        Ok(()) => Exit::Done,
        Err(failure) => {
            shell.report(&failure);
            failure.exit()
        }
    };
    exit.into()
}
