//! `ssctl diff`: what applying files would change.

use super::apply::{self, FORM, Files};
use crate::{errors::Outcome, shell::Shell};

#[derive(Debug, clap::Args)]
#[command(after_long_help = FORM)]
pub(crate) struct Args {
    #[command(flatten)]
    files: Files,
}

/// Shows it; ends with 0 where nothing would change and with 3 where something
/// would. Any other code says that it could not tell.
pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    apply::preview(shell, &args.files).await
}
