//! The command line next to the daemon, which the development region uses as a person
//! would: it logs in and applies the sample tenants.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

/// `ssctl` with the context of the development region.
pub(super) struct Ssctl {
    program: PathBuf,
    context: String,
}

impl Ssctl {
    /// The program beside this one, else the one on the path; `None` where there is
    /// neither.
    pub(super) fn find(context: &str) -> Option<Self> {
        let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join("ssctl")));
        let on_path = std::env::var_os("PATH").into_iter().flat_map(|path| {
            std::env::split_paths(&path).map(|folder| folder.join("ssctl")).collect::<Vec<_>>()
        });
        let program = beside.into_iter().chain(on_path).find(|candidate| candidate.is_file())?;
        Some(Self { program, context: context.into() })
    }

    /// The command as a person would type it.
    pub(super) fn shown(&self) -> String {
        self.program.display().to_string()
    }

    /// Whether the context exists and the daemon knows it.
    pub(super) async fn is_logged_in(&self) -> bool {
        self.run(&["--context", &self.context, "whoami"], &[]).await.is_ok()
    }

    /// Makes the context from a one-time token.
    pub(super) async fn log_in(&self, endpoint: &str, token: &str) -> Result<(), String> {
        // The token goes by the environment: arguments are there for everyone to read.
        let arguments = ["login", endpoint, "--context", &self.context];
        self.run(&arguments, &[("SSCTL_TOKEN", token)]).await
    }

    /// Applies a file.
    pub(super) async fn apply(&self, file: &Path) -> Result<(), String> {
        let file = file.display().to_string();
        let reason = "sample tenants of a development region";
        let arguments = ["--context", &self.context, "apply", "-f", &file, "--reason", reason];
        self.run(&arguments, &[]).await
    }

    async fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<(), String> {
        let output = Command::new(&self.program)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}
