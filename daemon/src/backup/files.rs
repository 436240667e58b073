//! Files that are there as a whole or not at all.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};

use super::BackupError;

/// What a file is called while it is being written.
const UNFINISHED: &str = "unfinished";

fn failed(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}

/// A file on its way: beside its place, for its owner alone, until all of it is there.
#[derive(Debug)]
pub(super) struct Unfinished {
    place: PathBuf,
    beside: PathBuf,
    file: File,
}

impl Unfinished {
    /// Refuses a place that is taken. What a killed process left beside it is overwritten;
    /// who is still writing there is not.
    pub(super) fn begin(place: &Path) -> Result<Self, BackupError> {
        if place.symlink_metadata().is_ok() {
            return Err(taken(place));
        }
        let Some(name) = place.file_name() else {
            return Err(BackupError::Refused(format!("{} is no name of a file", place.display())));
        };
        let mut beside = name.to_owned();
        beside.push(".");
        beside.push(UNFINISHED);
        let beside = place.with_file_name(beside);
        let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(no_follow)
            .open(&beside)
            .map_err(failed(&beside))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(BackupError::Refused(format!(
                    "another process is writing {}; wait for it",
                    beside.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(&beside)(error)),
        }
        file.set_permissions(Permissions::from_mode(0o600)).map_err(failed(&beside))?;
        file.set_len(0).map_err(failed(&beside))?;
        Ok(Self { place: place.to_owned(), beside, file })
    }

    /// Where to write to.
    pub(super) fn file(&self) -> Result<File, BackupError> {
        self.file.try_clone().map_err(failed(&self.beside))
    }

    /// Puts it in its place, once it is on the disk. A place that was taken meanwhile stays
    /// as it is.
    pub(super) fn finish(self) -> Result<(), BackupError> {
        self.file.sync_all().map_err(failed(&self.beside))?;
        match renameat_with(CWD, &self.beside, CWD, &self.place, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => return Err(taken(&self.place)),
            // Not every file system can; then whoever comes in between is overwritten.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                if self.place.symlink_metadata().is_ok() {
                    return Err(taken(&self.place));
                }
                fs::rename(&self.beside, &self.place).map_err(failed(&self.place))?;
            }
            Err(error) => return Err(failed(&self.place)(error.into())),
        }
        sync_folder(&self.place)
    }

    /// Writes this content and puts it in its place.
    pub(super) fn finish_with(self, content: &[u8]) -> Result<(), BackupError> {
        let written = self.file()?.write_all(content).map_err(failed(&self.place));
        match written {
            Ok(()) => self.finish(),
            Err(error) => {
                self.give_up();
                Err(error)
            }
        }
    }

    /// Takes away what was written.
    pub(super) fn give_up(self) {
        // It is told of already why; what stays is overwritten the next time.
        let _stays = fs::remove_file(&self.beside);
    }
}

fn taken(place: &Path) -> BackupError {
    BackupError::Refused(format!(
        "{} is there already, and is not overwritten; name another file, or move it away",
        place.display()
    ))
}

/// So that a crash of the machine does not forget the name.
pub(super) fn sync_folder(file: &Path) -> Result<(), BackupError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
}

/// Writes a new file with this mode, as a whole.
pub(super) fn write(place: &Path, content: &[u8], mode: u32) -> Result<(), BackupError> {
    let unfinished = Unfinished::begin(place)?;
    let changed = unfinished.file()?.set_permissions(Permissions::from_mode(mode));
    match changed.map_err(failed(place)) {
        Ok(()) => unfinished.finish_with(content),
        Err(error) => {
            unfinished.give_up();
            Err(error)
        }
    }
}

/// Reads a file of at most so many bytes.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, BackupError> {
    let mut content = Vec::new();
    let file = File::open(path).map_err(failed(path))?;
    file.take(most.saturating_add(1)).read_to_end(&mut content).map_err(failed(path))?;
    if u64::try_from(content.len()).is_ok_and(|length| length > most) {
        return Err(BackupError::Refused(format!(
            "{} has more than {most} bytes, and is no such file",
            path.display()
        )));
    }
    Ok(content)
}

/// Makes a folder for its owner alone, where it is not there.
pub(super) fn make_folder(folder: &Path) -> Result<(), BackupError> {
    if folder.as_os_str().is_empty() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))
}
