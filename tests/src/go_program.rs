//! Programs of the Go modules in `tests/cluster/` and `tests/tools/`, built into
//! `target/cluster/` when a source is newer. What takes long of it stands in Go's own cache,
//! outside of the checkout.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use tokio::process::Command;

use crate::cluster::{ClusterError, failed};

/// A program of a module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GoProgram {
    /// The module's folder below `tests/`.
    pub(crate) module: &'static str,
    /// What the program is called.
    pub(crate) name: &'static str,
    /// The package that it is built of.
    pub(crate) package: &'static str,
    /// What the release's own build would set; without it the program tells no version.
    pub(crate) version: &'static str,
}

/// Builds a program. Test processes that run at once take turns.
pub(crate) async fn build(program: GoProgram) -> Result<PathBuf, ClusterError> {
    let GoProgram { module, name, package, version } = program;
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join(module);
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
        .join("cluster");
    fs::create_dir_all(&target).map_err(failed(target.display().to_string()))?;
    let target = target.canonicalize().map_err(failed(target.display().to_string()))?;
    let lock = File::create(target.join("lock")).map_err(failed("the build's lock"))?;
    let (lock, locked) = tokio::task::spawn_blocking(move || {
        let locked = lock.lock();
        (lock, locked)
    })
    .await
    .map_err(|error| failed("the build's lock")(io::Error::other(error)))?;
    locked.map_err(failed("the build's lock"))?;
    let binary = target.join(name);
    if is_stale(&binary, &sources).map_err(failed(sources.display().to_string()))? {
        // A running program keeps its file: the new one takes the name at once and whole.
        let new = target.join(format!("{name}.new"));
        let output = Command::new("go")
            .args(["build", "-trimpath", "-ldflags", version, "-o"])
            .arg(&new)
            .arg(package)
            .current_dir(&sources)
            .output()
            .await
            .map_err(failed("go build"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(ClusterError::Build(module, said));
        }
        fs::rename(&new, &binary).map_err(failed(binary.display().to_string()))?;
    }
    drop(lock);
    Ok(binary)
}

fn is_stale(binary: &Path, sources: &Path) -> io::Result<bool> {
    let Ok(built) = fs::metadata(binary).and_then(|metadata| metadata.modified()) else {
        return Ok(true);
    };
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(sources)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            newest = newest.max(entry.metadata()?.modified()?);
        }
    }
    Ok(newest > built)
}
