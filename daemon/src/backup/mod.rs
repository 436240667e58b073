//! `streamspaced backup` and `streamspaced restore`: a region's own state in one file, and a
//! region out of it on an empty machine.
//!
//! - A backup is one snapshot of all rows, the configuration and the authority. It is made
//!   while the daemon serves, by the owner's login alone ([`crate::db::dump`]).
//! - A restore changes nothing before the whole file was read and held against its digests.
//!   It goes into an empty database, which is marked until the last step; a daemon refuses a
//!   marked one. Killed at any line, the same command goes on.
//! - What was restored is older than the world around it. What that means stands in
//!   [`aftermath`].

mod aftermath;
mod archive;
mod config;
mod create;
mod files;
mod manifest;
mod restore;
mod verify;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use create::{BackupOptions, Target, create};
pub use manifest::{Manifest, Opening};
pub use restore::{RestoreOptions, restore};
pub use verify::verify;

use crate::{
    access::AuthorityError,
    config::ConfigError,
    db::{dump::DumpError, migrate::MigrateError},
};

/// Why a backup is not made, or not taken.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The logins or the database could not be made.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The backup cannot be written.
    #[error("the backup cannot be written: {0}")]
    Write(#[source] std::io::Error),
    /// The backup cannot be read.
    #[error("the backup cannot be read: {0}; it is damaged, or no backup: take another one")]
    Read(#[source] std::io::Error),
    /// It is something else.
    #[error(
        "this is no backup of streamspaced; where it is encrypted or packed, make it plain first, \
         for example with `age --decrypt` or `zstd -d`"
    )]
    NoBackup,
    /// It is of a later program.
    #[error(
        "the backup is of format {0}, and this program reads format {format}: restore it with the \
         version that made it, or a later one",
        format = manifest::FORMAT
    )]
    Format(u32),
    /// It ends too early.
    #[error("the backup is not whole: it ends before its manifest; take another one")]
    CutOff,
    /// A digest does not fit.
    #[error("the backup is damaged: {0} is not what its manifest says; take another one")]
    Damaged(String),
    /// It cannot be meant.
    #[error("the backup cannot be used: {0}")]
    Broken(String),
    /// What is there is in the way, or what is needed is not there.
    #[error("{0}")]
    Refused(String),
}
