//! `ssctl completion SHELL`.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell as Dialect;

use crate::{commands::Cli, complete, errors::Outcome, shell::Shell};

/// How to install it, for `--help` and the manual.
pub(super) const HELP: &str = "\
To have it in every new shell:
  bash  ssctl completion bash >~/.local/share/bash-completion/completions/ssctl
        (the package bash-completion reads that; without it, put
        `source <(ssctl completion bash)` into ~/.bashrc)
  zsh   put `source <(ssctl completion zsh)` into ~/.zshrc, behind compinit
  fish  ssctl completion fish >~/.config/fish/completions/ssctl.fish

In these three, names of tenants, plans, operations, approvals, tokens,
certificates and operators come from the region of the context in use, or of
--context on the line. They are asked for at each TAB, for 120 ms at most; what
was told within the last 3 seconds is not asked for again. Where the daemon is
away, nothing is offered and nothing is said. Where it is slow, names that it
told within the last 10 minutes are offered. They are kept in
$XDG_CACHE_HOME/streamspace/completion, readable by you alone. In elvish and
powershell, commands and flags are completed.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// The shell that will read it
    #[arg(value_enum, value_name = "SHELL")]
    dialect: Dialect,
}

/// Prints a script that completes commands, flags and names.
pub(crate) fn run(shell: &Shell, args: &Args) -> Outcome {
    if let Some(script) = complete::script(args.dialect, &program()) {
        return shell.print(&script);
    }
    let mut script = Vec::new();
    clap_complete::generate(args.dialect, &mut Cli::command(), "ssctl", &mut script);
    shell.print(&String::from_utf8_lossy(&script))
}

/// What the script calls: the name alone where the shell found it by that, so that an
/// update is found too; else the place, so that it is right in every folder.
fn program() -> String {
    let Some(called) = std::env::args_os().next() else { return "ssctl".into() };
    if Path::new(&called).components().count() < 2 {
        return called.to_string_lossy().into_owned();
    }
    std::path::absolute(&called).unwrap_or_else(|_| called.into()).to_string_lossy().into_owned()
}
