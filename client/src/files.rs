//! Files that several processes share: written whole or not at all, locked while
//! they change, and closed to others where they hold keys.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// Whoever the umask lets.
    Open,
    /// Its owner alone: mode 0600, in a folder of mode 0700.
    Owner,
}

/// Writes a file through a neighbour and a rename, so that a reader and a crash
/// see the old content or the new, never a part.
pub fn write_atomically(path: &Path, content: &[u8], privacy: Privacy) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("the path has no folder"))?;
    make_folder(folder, privacy)?;
    let mut neighbour = path.as_os_str().to_owned();
    neighbour.push(format!(".{}.new", std::process::id()));
    let neighbour = PathBuf::from(neighbour);
    let written = write_and_rename(&neighbour, path, content, privacy);
    if written.is_err() {
        // What is left of the attempt is of no use; its own error matters more.
        let _ = fs::remove_file(&neighbour);
    }
    written
}

fn write_and_rename(
    neighbour: &Path,
    path: &Path,
    content: &[u8],
    privacy: Privacy,
) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(if privacy == Privacy::Owner { 0o600 } else { 0o644 });
    }
    let mut file = options.open(neighbour)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(neighbour, path)?;
    sync_folder(path)
}

/// The rename itself must reach the disk too: a renewed key that a power cut
/// takes back would be a superseded one.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn make_folder(folder: &Path, privacy: Privacy) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
        if privacy == Privacy::Owner {
            builder.mode(0o700);
        }
        builder.create(folder)?;
        if privacy == Privacy::Owner {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
    }
    #[cfg(not(unix))]
    builder.create(folder)?;
    Ok(())
}

/// Whether others than the owner may read a file.
pub fn is_open_to_others(path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        fs::metadata(path).map(|_| false)
    }
}

/// A lock between processes. It ends with the value, and with the process.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, waiting at most `patience` for another process.
    ///
    /// It blocks the thread: call it where that is allowed. `TimedOut` when the
    /// other process does not let go.
    pub fn take(path: &Path, patience: Duration) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            make_folder(folder, Privacy::Open)?;
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        let begin = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(fs::TryLockError::Error(error)) => return Err(error),
                Err(fs::TryLockError::WouldBlock) if begin.elapsed() >= patience => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("another process holds {}", path.display()),
                    ));
                }
                Err(fs::TryLockError::WouldBlock) => {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_private_file_is_closed_to_others_from_its_first_byte() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/dev.toml");
        write_atomically(&path, b"one", Privacy::Owner).unwrap();
        write_atomically(&path, b"two", Privacy::Owner).unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(!is_open_to_others(&path).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(is_open_to_others(&path).unwrap());
    }

    #[test]
    fn a_lock_is_held_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::take(&path, Duration::ZERO).unwrap();
        let refused = Lock::take(&path, Duration::ZERO).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        drop(held);
        Lock::take(&path, Duration::ZERO).unwrap();
    }
}
