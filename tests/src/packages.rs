//! Packages made of the programs under test, by the scripts that make those of a release.

#![allow(clippy::expect_used, clippy::panic, reason = "a panic fails the story, as it should")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{daemon::program, janitor};

/// Whose packages.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Debian's.
    Deb,
    /// Red Hat's.
    Rpm,
}

/// The two packages of one version, in a folder of their own.
#[derive(Debug)]
pub struct Packages {
    /// The daemon's.
    pub streamspaced: PathBuf,
    /// The command line's.
    pub ssctl: PathBuf,
    folder: TempDir,
}

impl Packages {
    /// The folder that they are in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Packages of the programs under test, as if they were this version.
///
/// It takes half a minute: a story makes them once.
pub fn build(kind: Kind, version: &str) -> Packages {
    build_of(&programs(), kind, version)
}

/// Packages of the `ssctl` and `streamspaced` in this folder, as this version. Beside the
/// programs everything in them (units, manual pages, maintainer scripts) is of this checkout.
pub fn build_of(programs: &Path, kind: Kind, version: &str) -> Packages {
    let folder = TempDir::with_prefix("streamspace-packages-").expect("a folder");
    janitor::folder(folder.path());
    let only = match kind {
        Kind::Deb => "deb",
        Kind::Rpm => "rpm",
    };
    package(programs, folder.path(), version, &["--only", only]);
    let file = |name: &str| {
        let file = folder.path().join(match kind {
            Kind::Deb => format!("{name}_{version}-1_{}.deb", architecture()),
            Kind::Rpm => format!("{name}-{version}-1.{}.rpm", std::env::consts::ARCH),
        });
        assert!(file.is_file(), "there is no {}", file.display());
        file
    };
    Packages { streamspaced: file("streamspaced"), ssctl: file("ssctl"), folder }
}

/// Runs `packaging/release/package --fast` over the programs in a folder.
pub fn package(programs: &Path, out: &Path, version: &str, options: &[&str]) {
    let output = Command::new(root().join("packaging/release/package"))
        .arg("--fast")
        .args(options)
        .args([programs, out])
        .arg(version)
        .output()
        .expect("the script starts");
    assert!(
        output.status.success(),
        "packaging/release/package: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The folder with the programs under test.
pub fn programs() -> PathBuf {
    program("ssctl").parent().expect("a folder").to_path_buf()
}

/// What Debian calls this machine's kind.
pub fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_path_buf()
}
