//! Where PostgreSQL's programs are on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::PostgresError;

/// The oldest major version that works.
const OLDEST: u32 = 15;

/// The programs of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) postgres: PathBuf,
    pub(super) initdb: PathBuf,
    major: u32,
}

impl Binaries {
    /// The first on `PATH` that is new enough, else the newest that a system's packages
    /// installed. Data that exist need the version that made them.
    pub(super) fn find(data: &Path) -> Result<Self, PostgresError> {
        let made_by = made_by(data)?;
        let fits = |binaries: &Self| match made_by {
            Some(major) => binaries.major == major,
            None => binaries.major >= OLDEST,
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = std::env::split_paths(&path).filter_map(|folder| Self::in_folder(&folder));
        let mut packaged: Vec<Self> =
            package_folders().iter().filter_map(|folder| Self::in_folder(folder)).collect();
        packaged.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
        on_path.chain(packaged).find(fits).ok_or_else(|| match made_by {
            Some(major) => PostgresError::OtherVersion { major, data: data.to_owned() },
            None => PostgresError::NotInstalled,
        })
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        if !folder.is_absolute() || !folder.join("initdb").is_file() {
            return None;
        }
        // The programs find their files from where they really are.
        let postgres = folder.join("postgres").canonicalize().ok()?;
        let initdb = folder.join("initdb").canonicalize().ok()?;
        let answer = Command::new(&postgres).arg("--version").output().ok()?;
        let major = parse_major(&String::from_utf8_lossy(&answer.stdout))?;
        Some(Self { postgres, initdb, major })
    }
}

/// The major version that made the data, if there are data.
fn made_by(data: &Path) -> Result<Option<u32>, PostgresError> {
    let path = data.join("PG_VERSION");
    match std::fs::read_to_string(&path) {
        Ok(version) => Ok(version.trim().parse().ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PostgresError::Folder { path, source }),
    }
}

/// Reads `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL) ").nth(1)?;
    let digits = number.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The folders of Debian's, Red Hat's and Homebrew's packages.
fn package_folders() -> Vec<PathBuf> {
    [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
    ]
    .iter()
    .filter_map(|(parent, prefix)| Some((std::fs::read_dir(parent).ok()?, prefix)))
    .flat_map(|(entries, prefix)| {
        entries
            .flatten()
            .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .map(|entry| entry.path().join("bin"))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version() {
        for (text, major) in [
            ("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)", Some(15)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres", None),
            ("postgres (PostgreSQL) x", None),
        ] {
            assert_eq!(parse_major(text), major, "{text}");
        }
    }
}
