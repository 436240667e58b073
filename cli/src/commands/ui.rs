//! `ssctl ui`.

use std::{path::PathBuf, time::Duration};

use streamspace_tui::{Begin, Options, UiError};

use crate::{
    errors::{Failure, Outcome},
    shell::Shell,
    time::parse_duration,
};

#[derive(Clone, Debug, clap::Args)]
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
    /// Keep in a new file what happens, to look at it again with --replay
    ///
    /// It has all that the dashboard was told, and the keys that were pressed: what was seen, and
    /// what could have been.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Look at a recording again, without a daemon
    ///
    /// It shows what was seen then; the first key that looks elsewhere takes over. `P` stops it,
    /// `,` and `.` go ten seconds back and on, `<` and `>` make it slower and faster.
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
    let options = Options {
        color: shell.terminal.output.colour,
        ascii: args.ascii || !shell.terminal.unicode,
        mouse: args.mouse,
        read_only: args.read_only,
        record: args.record,
    };
    let begin = Begin { at: args.at.unwrap_or_default(), stopped: args.stopped };
    let shown = match args.replay {
        Some(recording) => streamspace_tui::replay(&recording, begin, options).await,
        None if args.demo => streamspace_tui::demonstrate(begin, options).await,
        None if begin != Begin::default() => {
            return Err(Failure::Usage {
                message: "--at and --stopped are about a recording".into(),
                next: "give --replay FILE or --demo with them".into(),
            });
        }
        None => {
            let connections =
                if shell.several() { shell.connect_to_all()? } else { vec![shell.connect()?] };
            streamspace_tui::run(&connections, options).await
        }
    };
    shown.map_err(failure)
}

fn failure(error: UiError) -> Failure {
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
