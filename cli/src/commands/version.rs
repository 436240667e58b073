//! `ssctl version`: no runtime, no descriptors, no files.

use std::io::{self, Write as _};

use crate::{exit::Exit, output::Format};

/// Prints the version.
pub(crate) fn run(format: Option<Format>) -> Exit {
    let version = env!("CARGO_PKG_VERSION");
    let text = match format {
        Some(Format::Json | Format::Jsonl) => format!("{{\"version\":\"{version}\"}}\n"),
        Some(Format::Yaml) => format!("version: {version}\n"),
        _ => format!("ssctl {version}\n"),
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Local,
        _ => Exit::Done,
    }
}
