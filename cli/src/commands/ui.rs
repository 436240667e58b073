//! `ssctl ui`.

use clap::builder::{BoolishValueParser, PossibleValuesParser, TypedValueParser as _};
use streamspace_tui::{Options, Settings, SettingsError, ThemeName, UiError};

use crate::{
    errors::{Failure, Outcome},
    shell::Shell,
};

/// What is not given here is taken from a variable, else from the settings.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Args {
    /// Its colours: those of the terminal's palette, or others
    ///
    /// `light` is for light backgrounds, `colour-blind` for dark ones, with colours that
    /// everybody tells apart. `NO_COLOR` and `--no-color` take all of them away.
    #[arg(
        long,
        value_name = "NAME",
        env = "SSCTL_UI_THEME",
        hide_env_values = true,
        value_parser = PossibleValuesParser::new(ThemeName::ALL.map(ThemeName::word))
            .try_map(|word| word.parse::<ThemeName>())
    )]
    theme: Option<ThemeName>,
    /// Draw with ASCII characters alone
    #[arg(long, env = "SSCTL_UI_ASCII", hide_env_values = true, value_name = "BOOL",
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    ascii: Option<bool>,
    /// Listen to the mouse: click a row or a heading, turn the wheel
    ///
    /// The terminal's own selection needs a key held down then, in most terminals shift.
    #[arg(long, env = "SSCTL_UI_MOUSE", hide_env_values = true, value_name = "BOOL",
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    mouse: Option<bool>,
    /// Change nothing from it, whatever the certificate allows
    #[arg(long, env = "SSCTL_UI_READ_ONLY", hide_env_values = true, value_name = "BOOL",
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    read_only: Option<bool>,
}

/// Shows the dashboard until its user leaves it.
pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    let settings =
        Settings::load(&shell.environment.ui_file()).map_err(|error| unusable(&error))?;
    let connections =
        if shell.several() { shell.connect_to_all()? } else { vec![shell.connect()?] };
    let is_on = |given: Option<bool>, set: Option<bool>| given.or(set).unwrap_or(false);
    let options = Options {
        color: shell.terminal.output.colour,
        theme: args.theme.or(settings.theme).unwrap_or_default(),
        ascii: is_on(args.ascii, settings.ascii) || !shell.terminal.unicode,
        mouse: is_on(args.mouse, settings.mouse),
        read_only: is_on(args.read_only, settings.read_only),
    };
    streamspace_tui::run(&connections, options, settings.keys).await.map_err(|error| {
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

fn unusable(error: &SettingsError) -> Failure {
    let next = match error {
        SettingsError::Unreadable { path, .. } => {
            format!("check who owns {}, or move it away", path.display())
        }
        SettingsError::Wrong { path, .. } => {
            format!("mend it, or move {} away: all is as it comes then", path.display())
        }
    };
    Failure::Local { message: error.to_string(), next }
}
