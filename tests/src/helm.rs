//! The real Helm, and the chart in `packaging/helm/streamspaced`.

#![allow(clippy::expect_used, clippy::panic, reason = "a panic fails the story, as it should")]

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    cluster::ClusterError,
    go_program::{self, GoProgram},
    janitor,
};

const HELM: GoProgram = GoProgram {
    module: "tools",
    name: "helm",
    package: "helm.sh/helm/v4/cmd/helm",
    version: "-X helm.sh/helm/v4/internal/version.version=v4.3.2",
};

/// Helm, with folders of its own.
#[derive(Debug)]
pub struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: TempDir,
}

impl Helm {
    /// The program alone, built if need be.
    pub async fn program() -> Result<PathBuf, ClusterError> {
        go_program::build(HELM).await
    }

    /// One that asks no cluster, or the one of this kubeconfig.
    pub async fn new(kubeconfig: Option<&Path>) -> Self {
        let program = Self::program().await.unwrap_or_else(|error| panic!("no helm: {error}"));
        let home = TempDir::with_prefix("streamspace-helm-").expect("a folder");
        janitor::folder(home.path());
        let kubeconfig = kubeconfig.map_or_else(|| home.path().join("none"), Path::to_owned);
        Self { program, kubeconfig, home }
    }

    /// Runs it.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        Command::new(&self.program)
            .args(arguments)
            .env("HOME", self.home.path())
            .env("HELM_CACHE_HOME", self.home.path().join("cache"))
            .env("HELM_CONFIG_HOME", self.home.path().join("config"))
            .env("HELM_DATA_HOME", self.home.path().join("data"))
            .env("KUBECONFIG", &self.kubeconfig)
            .kill_on_drop(true)
            .output()
            .await
            .expect("helm starts")
    }

    /// Runs it and returns what it prints. It must succeed.
    pub async fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let (said, told) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "helm {}: {said}{told}", arguments.join(" "));
        said
    }

    /// Runs it and returns what it says on standard error. It must fail.
    pub async fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let said = text(&output.stdout);
        assert!(!output.status.success(), "helm {}: {said}", arguments.join(" "));
        text(&output.stderr)
    }

    /// The objects that the chart becomes with one of its `ci/` files.
    pub async fn objects(&self, values: &str, more: &[&str]) -> Vec<Value> {
        let (chart, values) = (shown(&chart()), shown(&values_file(values)));
        let mut arguments = vec!["template", RELEASE, &chart, "-n", NAMESPACE, "-f", &values];
        arguments.extend(more);
        documents(&self.ok(&arguments).await)
    }
}

/// What the release is called.
pub const RELEASE: &str = "streamspaced";
/// Where it is.
pub const NAMESPACE: &str = "streamspace-system";

/// The chart.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/helm/streamspaced")
}

/// One of the chart's values files for tests.
pub fn values_file(name: &str) -> PathBuf {
    chart().join(format!("ci/{name}-values.yaml"))
}

/// The documents of a YAML stream, without empty ones.
pub fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text)
        .unwrap_or_else(|error| panic!("it is no YAML: {error}\n{text}"));
    all.into_iter().filter(|document| !document.is_null()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
