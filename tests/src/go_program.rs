//! Programs of the Go module in `tests/cluster/`, built into `target/cluster/` when a source
//! is newer.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use tokio::process::Command;

use crate::cluster::{ClusterError, failed};

/// What the release's own build would set; without it the programs tell no version.
const VERSION_FLAG: &str = "-X k8s.io/component-base/version.gitVersion=v1.36.3";

/// Builds a package of the module under this name. Test processes that run at once take
/// turns.
pub(crate) async fn build(name: &str, package: &str) -> Result<PathBuf, ClusterError> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster");
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
            .args(["build", "-trimpath", "-ldflags", VERSION_FLAG, "-o"])
            .arg(&new)
            .arg(package)
            .current_dir(&sources)
            .output()
            .await
            .map_err(failed("go build"))?;
        if !output.status.success() {
            return Err(ClusterError::Build(String::from_utf8_lossy(&output.stderr).into_owned()));
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
