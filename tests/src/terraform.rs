//! What a folder of Terraform says of itself, by the parser that its makers publish.

#![allow(clippy::expect_used, clippy::panic, reason = "a panic fails the story, as it should")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use crate::go_program::{self, GoProgram};

const INSPECT: GoProgram = GoProgram {
    module: "tools",
    name: "terraform-config-inspect",
    package: "github.com/hashicorp/terraform-config-inspect",
    version: "",
};

/// The parser, built if need be.
#[derive(Debug)]
pub struct Inspector {
    program: PathBuf,
}

impl Inspector {
    /// Builds it.
    pub async fn new() -> Self {
        let program = go_program::build(INSPECT).await;
        Self { program: program.unwrap_or_else(|error| panic!("no parser: {error}")) }
    }

    /// Variables, outputs, resources and module calls of a folder. It must have no fault.
    pub async fn read(&self, folder: &Path) -> Value {
        let output = Command::new(&self.program).arg("--json").arg(folder).output().await;
        let output = output.expect("the parser starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let read: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}: {text}", folder.display()));
        assert!(
            output.status.success() && read.get("diagnostics").is_none(),
            "{}: {text}",
            folder.display()
        );
        read
    }
}
