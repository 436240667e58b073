//! `ssctl ui`.

use std::{path::PathBuf, time::Duration};

use clap::builder::{BoolishValueParser, PossibleValuesParser, TypedValueParser as _};
use streamspace_tui::{Begin, Options, Settings, SettingsError, ThemeName, UiError};

use crate::{
    errors::{Failure, Outcome},
    shell::Shell,
    time::parse_duration,
};

/// What is not given here is taken from a variable, else from the settings.
#[derive(Clone, Debug, clap::Args)]
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
    /// Keep in a new file what happens, to look at it again with --replay
    ///
    /// It has all that the dashboard was told, and the keys that were pressed: what was seen, and
    /// what could have been.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Look at a recording again, without a daemon
    ///
    /// It shows what was seen then; the first key that looks elsewhere takes over. The help page
    /// has the keys that stop it, go back and on in it, and make it faster.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["record", "demo"])]
    replay: Option<PathBuf>,
    /// Look at three regions that are made up, without a daemon
    #[arg(long, conflicts_with = "record")]
    demo: bool,
    /// Begin so long after the begin of a recording or the demonstration
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    at: Option<Duration>,
    /// Stand still there
    #[arg(long)]
    stopped: bool,
}

/// Shows the dashboard until its user leaves it.
pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    let settings =
        Settings::load(&shell.environment.ui_file()).map_err(|error| unusable(&error))?;
    let is_on = |given: Option<bool>, set: Option<bool>| given.or(set).unwrap_or(false);
    let options = Options {
        color: shell.terminal.output.colour,
        theme: args.theme.or(settings.theme).unwrap_or_default(),
        ascii: is_on(args.ascii, settings.ascii) || !shell.terminal.unicode,
        mouse: is_on(args.mouse, settings.mouse),
        read_only: is_on(args.read_only, settings.read_only),
        record: args.record,
    };
    let keys = settings.keys;
    let begin = Begin { at: args.at.unwrap_or_default(), stopped: args.stopped };
    let shown = match args.replay {
        Some(recording) => streamspace_tui::replay(&recording, begin, options, keys).await,
        None if args.demo => streamspace_tui::demonstrate(begin, options, keys).await,
        None if begin != Begin::default() => {
            return Err(Failure::Usage {
                message: "--at and --stopped are about a recording".into(),
                next: "give --replay FILE or --demo with them".into(),
            });
        }
        None => {
            let connections =
                if shell.several() { shell.connect_to_all()? } else { vec![shell.connect()?] };
            streamspace_tui::run(&connections, options, keys).await
        }
    };
    shown.map_err(|error| failure(&error))
}

fn failure(error: &UiError) -> Failure {
    let message = error.to_string();
    let by_line = "`ssctl tenant watch` prints the same changes line by line";
    match error {
        UiError::NotATerminal(_) => Failure::Usage { message, next: by_line.into() },
        UiError::Terminal(_) => Failure::Local { message, next: by_line.into() },
        UiError::Recording(_) => Failure::Local {
            message,
            next: "name a new file to --record, and one that it made to --replay".into(),
        },
        UiError::RecordingCut(_) => Failure::Local {
            message,
            next: "what was written of it can be looked at with --replay".into(),
        },
    }
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
