//! Forgetting a development region, so that the next start is its first.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    furnish,
    postgres::{PostgresError, PrivatePostgres},
};

/// What a development region makes below its folder, but for its lock and its ports.
const MADE: [&str; 6] =
    ["postgres", "cluster", "access", "samples-applied", "tenants.yaml", furnish::MARKER];

/// Removes what a region keeps in this folder, and nothing else that is there. It blocks.
pub(super) fn forget(data_dir: &Path) -> anyhow::Result<()> {
    let postgres = data_dir.join("postgres");
    if postgres.exists() {
        // A killed region leaves its PostgreSQL running. Taken over, it can be stopped.
        match PrivatePostgres::start(&postgres) {
            Ok(mut server) => server.stop()?,
            Err(error @ (PostgresError::Busy(_) | PostgresError::Foreign(_))) => {
                return Err(error.into());
            }
            // Data that no server takes are the best reason to begin anew.
            Err(error) => tracing::warn!(%error, "the old database does not start; it is removed"),
        }
    }
    for path in MADE.map(|name| data_dir.join(name)) {
        remove(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

fn remove(path: &PathBuf) -> std::io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
