//! `ssctl completion SHELL`.

use clap::CommandFactory as _;
use clap_complete::Shell as Dialect;

use crate::{commands::Cli, errors::Outcome, shell::Shell};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell that will read it
    #[arg(value_enum)]
    dialect: Dialect,
}

/// Prints a script that completes commands and flags.
pub(crate) fn run(shell: &Shell, args: &Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.dialect, &mut Cli::command(), "ssctl", &mut script);
    shell.print(&String::from_utf8_lossy(&script))
}
