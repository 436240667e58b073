//! `ssctl version`: no runtime, no descriptors, no files, unless it verifies some.

mod sums;
mod verify;

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use serde_json::json;

use crate::{
    exit::Exit,
    output::{Format, Output},
};

pub(crate) use verify::run as verify;

#[derive(Debug, clap::Args)]
#[command(after_long_help = verify::HELP)]
pub(crate) struct Args {
    /// Hold files of a release against its signed sums; this program itself where none is named
    #[arg(long)]
    pub(crate) verify: bool,
    /// A downloaded file of a release
    #[arg(value_name = "FILE", requires = "verify")]
    files: Vec<PathBuf>,
    /// The list of sums [default: SHA256SUMS beside the first FILE]
    #[arg(long, value_name = "FILE", requires = "verify")]
    sums: Option<PathBuf>,
    /// Whose signature counts, a public key of minisign [default: the one in this program]
    #[arg(long, value_name = "FILE", requires = "verify")]
    key: Option<PathBuf>,
}

/// Prints the version.
pub(crate) fn run(output: Option<&Output>) -> Exit {
    let version = env!("CARGO_PKG_VERSION");
    let text = match output.map(|output| output.format) {
        Some(Format::Json | Format::Jsonl) => format!("{{\"version\":\"{version}\"}}\n"),
        Some(Format::Yaml) => format!("version: {version}\n"),
        Some(Format::Csv) => format!("VERSION\r\n{version}\r\n"),
        Some(Format::JsonPath) => output
            .and_then(|output| output.template.as_ref())
            .map(|template| template.fill(&json!({ "version": version }), false))
            .unwrap_or_default(),
        _ => format!("ssctl {version}\n"),
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Local,
        _ => Exit::Done,
    }
}
