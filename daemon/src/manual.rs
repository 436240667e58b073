//! `streamspaced man DIR`: the manual pages, from the same words as `--help` and as the
//! reference of the configuration, and from what stands in `manual/` beside.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context as _;
use clap::CommandFactory as _;
use streamspace_manual::{Manual, Page, prose_page};
use streamspaced::config::reference::{self, Key};

use crate::arguments::Arguments;

const SOURCE: &str = concat!("StreamSpace ", env!("CARGO_PKG_VERSION"));

const EXIT_STATUS: &str = "\
`0`
: done, or stopped as it was asked to
`1`
: something failed; standard error says what, and what to do
`2`
: the command, or a value in it, is wrong
`130`
: ended at once by a second signal
";

/// What pages say that no argument can say.
const BESIDE: [(&str, &str); 11] = [
    ("streamspaced", include_str!("manual/streamspaced.md")),
    ("streamspaced-run", include_str!("manual/run.md")),
    ("streamspaced-check-config", include_str!("manual/check-config.md")),
    ("streamspaced-migrate", include_str!("manual/migrate.md")),
    ("streamspaced-init", include_str!("manual/init.md")),
    ("streamspaced-backup", include_str!("manual/backup.md")),
    ("streamspaced-restore", include_str!("manual/restore.md")),
    ("streamspaced-token-create", include_str!("manual/token-create.md")),
    ("streamspaced-cluster-install", include_str!("manual/cluster-install.md")),
    ("streamspaced-cluster-pin", include_str!("manual/cluster-pin.md")),
    ("streamspaced-dev", include_str!("manual/dev.md")),
];

/// The page of the file: what stands before the keys, and what stands behind them.
const FILE_BEFORE: &str = include_str!("manual/file-before.md");
const FILE_AFTER: &str = include_str!("manual/file-after.md");

/// Writes a page for each command that is shown, and that of the configuration file.
pub(crate) fn write(folder: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot write to {}", folder.display());
    fs::create_dir_all(folder).with_context(cannot)?;
    for page in pages() {
        fs::write(folder.join(&page.file), page.text).with_context(cannot)?;
    }
    Ok(())
}

fn pages() -> Vec<Page> {
    let manual = Manual { section: 8, source: SOURCE, exit_status: EXIT_STATUS, beside: &BESIDE };
    let mut pages = manual.pages(Arguments::command());
    let words = format!("{FILE_BEFORE}\n{}\n{FILE_AFTER}", keys());
    pages.push(prose_page("streamspaced.toml", 5, SOURCE, &words));
    pages
}

/// Every key, below the table that it stands in.
fn keys() -> String {
    let mut words = String::new();
    for section in reference::sections() {
        // Writing to a string does not fail.
        let _ = if section.name.is_empty() {
            writeln!(words, "## Before all tables\n")
        } else {
            let optional = if section.is_optional { " It can be left out as a whole." } else { "" };
            writeln!(words, "## [{}]\n\n{}{optional}\n", section.name, section.about)
        };
        for key in &section.keys {
            let _ = writeln!(words, "{}\n", term(key));
        }
    }
    words
}

fn term(key: &Key) -> String {
    let reload = if key.is_reloaded { "; reload" } else { "" };
    let default = match key.default.as_str() {
        "required" => "It must be given.".to_owned(),
        default => format!("Default: {default}."),
    };
    format!("`{}` ({}{reload})\n: {} {default}", key.name, key.kind, key.about)
}
