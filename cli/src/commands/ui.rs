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
    /// Listen to the mouse: click a row, turn the wheel
    ///
    /// The terminal's own selection needs a key held down then, in most terminals shift.
    #[arg(long)]
    mouse: bool,
    /// Change nothing from it, whatever the certificate allows
    #[arg(long)]
    read_only: bool,
}

/// Shows the dashboard until its user leaves it.
pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    let connections =
        if shell.several() { shell.connect_to_all()? } else { vec![shell.connect()?] };
    let options = Options {
        color: shell.terminal.output.colour,
        ascii: args.ascii || !shell.terminal.unicode,
        mouse: args.mouse,
        read_only: args.read_only,
    };
    streamspace_tui::run(&connections, options).await.map_err(|error| {
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
