//! `ssctl ui`.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use streamspace_tui::{Options, ThemeName, UiError};

use crate::{
    errors::{Failure, Outcome},
    shell::Shell,
};

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Args {
    /// Its colours: those of the terminal's palette, or others
    ///
    /// `light` is for light backgrounds, `colour-blind` for dark ones, with colours that
    /// everybody tells apart. `NO_COLOR` and `--no-color` take all of them away.
    #[arg(
        long,
        value_name = "NAME",
        default_value_t,
        value_parser = PossibleValuesParser::new(ThemeName::ALL.map(ThemeName::word))
            .try_map(|word| word.parse::<ThemeName>())
    )]
    theme: ThemeName,
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
        theme: args.theme,
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
