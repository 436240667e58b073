//! `ssctl ui`.

use streamspace_tui::{Options, UiError};

use crate::{
    errors::{Failure, Outcome},
    shell::Shell,
};

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Args {
    /// Draw with ASCII characters alone
    #[arg(long)]
    ascii: bool,
}

/// Shows the dashboard until its user leaves it.
pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    let connection = shell.connect()?;
    let options = Options { color: shell.terminal.output.colour, ascii: args.ascii };
    streamspace_tui::run(connection, options).await.map_err(|error| {
        let message = error.to_string();
        match error {
            UiError::NotATerminal(_) => Failure::Usage {
                message,
                next: "`ssctl tenant watch` prints the same changes line by line".into(),
            },
            UiError::Terminal(_) => Failure::Local {
                message,
                next: "`ssctl tenant watch` prints the same changes line by line".into(),
            },
        }
    })
}
