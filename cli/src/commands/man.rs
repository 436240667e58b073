//! `ssctl man DIR`: the manual pages, from the same words as `--help`.

use std::{fs, path::PathBuf};

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::{
    commands::Cli,
    errors::{Failure, Outcome},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to write them
    folder: PathBuf,
}

/// Writes a page for each command that is shown.
pub(crate) fn run(args: &Args) -> Outcome {
    let failed = |error: std::io::Error| Failure::Local {
        message: format!("cannot write to {}: {error}", args.folder.display()),
        next: "name a folder that can be written".into(),
    };
    fs::create_dir_all(&args.folder).map_err(failed)?;
    let mut root = Cli::command();
    root.build();
    let mut pages = Vec::new();
    collect(&root, "ssctl", &mut pages);
    for (name, command) in pages {
        let mut page = Vec::new();
        // A page without a date is the same on every day that it is made.
        let title = name.to_uppercase();
        let source = concat!("StreamSpace ", env!("CARGO_PKG_VERSION"));
        let man = Man::new(command).title(title).source(source).date("").manual("StreamSpace");
        man.render(&mut page).map_err(failed)?;
        fs::write(args.folder.join(format!("{name}.1")), page).map_err(failed)?;
    }
    Ok(())
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Command)>) {
    pages.push((name.to_owned(), command.clone().display_name(name.to_owned())));
    for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
        collect(child, &format!("{name}-{}", child.get_name()), pages);
    }
}
