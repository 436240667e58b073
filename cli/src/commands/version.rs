//! `ssctl version`: no runtime, no descriptors, no files.

use std::io::{self, Write as _};

use serde_json::json;

use crate::{
    exit::Exit,
    output::{Format, Output},
};

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
