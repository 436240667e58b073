//! `ssctl usage`: what tenants used, how well it is known, and why it is so.

use clap::Subcommand;

use crate::{errors::Outcome, shell::Shell};

mod actual;
mod amounts;
mod compare;
mod explain;
mod export;
mod focus;
mod period;
mod show;
mod status;
mod top;
mod verify;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what a tenant used: this month where no time is given
    #[command(visible_aliases = ["get", "describe"], after_help = show::EXAMPLES)]
    Show(show::Args),
    /// Show who used most, or with --live who takes most now
    #[command(after_help = top::EXAMPLES)]
    Top(top::Args),
    /// Compare two months, tenant by tenant
    #[command(after_help = compare::EXAMPLES)]
    Compare(compare::Args),
    /// Show how far the metering has come, and what it does not know
    Status,
    /// Write what was used in each hour or day to standard output
    #[command(after_help = export::HELP)]
    Export(export::Args),
    /// Go from a number down to the five minutes and the events behind it
    ///
    /// The sums add up on the page: what is added is printed in whole units, and what people read
    /// stands beside. Ends with 11 where they do not.
    #[command(after_help = explain::EXAMPLES)]
    Explain(explain::Args),
    /// Prove that intervals, hours and days come to the same; ends with 11 where they do not
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Args),
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::Show(args) => show::run(shell, &args).await,
        Command::Top(args) => top::run(shell, &args).await,
        Command::Compare(args) => compare::run(shell, &args).await,
        Command::Status => status::run(shell).await,
        Command::Export(args) => export::run(shell, &args).await,
        Command::Explain(args) => explain::run(shell, &args).await,
        Command::Verify(args) => verify::run(shell, &args).await,
    }
}
