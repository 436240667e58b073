//! Under which account the server runs, and folders that only it may enter.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::PostgresError;

/// The account of the server's processes. PostgreSQL refuses to run as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    uid: u32,
    gid: u32,
    /// The name, if it is another account than ours.
    other: Option<&'static str>,
}

impl Account {
    /// Our own account; for root, `postgres` or else `nobody`.
    pub(super) fn find() -> Result<Self, PostgresError> {
        let uid = rustix::process::geteuid();
        if !uid.is_root() {
            return Ok(Self {
                uid: uid.as_raw(),
                gid: rustix::process::getegid().as_raw(),
                other: None,
            });
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| {
                Some(Self {
                    uid: number_of("-u", name)?,
                    gid: number_of("-g", name)?,
                    other: Some(name),
                })
            })
            .ok_or(PostgresError::NoAccount)
    }

    /// Makes the command run under this account, with nothing of PostgreSQL's own
    /// environment, and away from the terminal's signals.
    pub(super) fn prepare(&self, command: &mut Command) {
        for (name, _value) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").current_dir("/").process_group(0);
        if self.other.is_some() {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Makes a folder that only this account may enter (and root), or checks that it is
    /// one.
    pub(super) fn private_folder(&self, path: &Path) -> Result<(), PostgresError> {
        let failed = |source| PostgresError::Folder { path: path.to_owned(), source };
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        let found = std::fs::symlink_metadata(path).map_err(failed)?;
        let ours = rustix::process::geteuid().as_raw();
        if !found.is_dir() || (found.uid() != self.uid && found.uid() != ours) {
            return Err(PostgresError::Foreign(path.to_owned()));
        }
        if found.permissions().mode() & 0o077 != 0 {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
                .map_err(failed)?;
        }
        if found.uid() != self.uid {
            chown(path, Some(self.uid), Some(self.gid)).map_err(failed)?;
        }
        Ok(())
    }

    /// Fails if the account cannot come to the folder: one above is closed to it.
    pub(super) fn require_way_to(&self, folder: &Path) -> Result<(), PostgresError> {
        let Some(name) = self.other else {
            return Ok(());
        };
        for above in folder.ancestors().skip(1) {
            let found = std::fs::metadata(above)
                .map_err(|source| PostgresError::Folder { path: above.to_owned(), source })?;
            let bit = if found.uid() == self.uid {
                0o100
            } else if found.gid() == self.gid {
                0o010
            } else {
                0o001
            };
            if found.permissions().mode() & bit == 0 {
                return Err(PostgresError::NoWay {
                    account: name,
                    closed: above.to_owned(),
                    folder: folder.to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// What `id` says, which also knows accounts that are not in `/etc/passwd`.
fn number_of(which: &str, name: &str) -> Option<u32> {
    let answer = Command::new("id").args([which, name]).output().ok()?;
    String::from_utf8_lossy(&answer.stdout).trim().parse().ok()
}
