//! `ssctl man DIR`: the manual pages, from the same words as `--help`, and from what stands
//! in `man/` beside.

use std::{fs, path::PathBuf};

use clap::CommandFactory as _;
use streamspace_manual::{Manual, Page, prose_page};

use crate::{
    commands::Cli,
    errors::{Failure, Outcome},
    exit,
};

const SOURCE: &str = concat!("StreamSpace ", env!("CARGO_PKG_VERSION"));

/// What pages say that no argument can say.
const BESIDE: [(&str, &str); 8] = [
    ("ssctl", include_str!("man/ssctl.md")),
    ("ssctl-apply", include_str!("man/apply.md")),
    ("ssctl-context", include_str!("man/context.md")),
    ("ssctl-doctor", include_str!("man/doctor.md")),
    ("ssctl-login", include_str!("man/login.md")),
    ("ssctl-tenant-create", include_str!("man/tenant-create.md")),
    ("ssctl-tenant-set", include_str!("man/tenant-set.md")),
    ("ssctl-ui", include_str!("man/ui.md")),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to write them
    folder: PathBuf,
}

/// Writes a page for each command that is shown, and that of the files.
pub(crate) fn run(args: &Args) -> Outcome {
    let failed = |error: std::io::Error| Failure::Local {
        message: format!("cannot write to {}: {error}", args.folder.display()),
        next: "name a folder that can be written".into(),
    };
    fs::create_dir_all(&args.folder).map_err(failed)?;
    for page in pages() {
        fs::write(args.folder.join(&page.file), page.text).map_err(failed)?;
    }
    Ok(())
}

fn pages() -> Vec<Page> {
    let exit_status = exit_status();
    let manual = Manual { section: 1, source: SOURCE, exit_status: &exit_status, beside: &BESIDE };
    let mut pages = manual.pages(Cli::command());
    pages.push(prose_page("ssctl-config", 5, SOURCE, include_str!("man/config.md")));
    pages
}

/// The table that `--help` prints, as terms.
fn exit_status() -> String {
    let rows = exit::TABLE.lines().filter_map(|line| line.trim().split_once(' '));
    let rows = rows.filter(|(code, _)| code.parse::<u8>().is_ok());
    rows.map(|(code, words)| format!("`{code}`\n: {}\n", words.trim())).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_belongs_to_a_page() {
        let pages = pages();
        for (name, words) in BESIDE {
            let file = format!("{name}.1");
            assert!(pages.iter().any(|page| page.file == file), "there is no {file}");
            assert!(words.starts_with("# "), "{name} begins without a section");
        }
    }

    #[test]
    fn the_exit_codes_are_those_of_the_table() {
        let status = exit_status();
        assert!(status.starts_with("`0`\n: done\n`1`\n: local failure\n"), "{status}");
        assert_eq!(status.matches('\n').count(), (exit::TABLE.lines().count() - 1) * 2);
    }
}
