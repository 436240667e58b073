//! The durable half of the store: one file of JSON lines, each a change, that
//! is flushed before the change is seen and rewritten when most of it is stale.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::Object;

const FILE: &str = "objects.jsonl";
const NEW_FILE: &str = "objects.jsonl.new";
const LOCK_FILE: &str = "lock";
/// Stale lines that are always allowed, so that a small store is not rewritten all the time.
const STALE_LINES_ALLOWED: usize = 1_000;

/// A folder that cannot be opened as a simulator's data.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open. Stop that process or choose another folder.
    #[error("{} is in use by another process; stop it or choose another folder", .0.display())]
    InUse(PathBuf),
    /// The file system refused.
    #[error("cannot use {}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A line before the last is not a record. Restore the file or remove the folder.
    #[error("{}, line {line}: not a record ({why}); restore the file or remove the folder", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// One change: the object at `key` as of `revision`, absent when it was removed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) revision: u64,
    /// Empty in a line that only carries the revision.
    pub(crate) key: String,
    pub(crate) object: Option<Object>,
}

/// The open file; holds the folder's lock.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    file: File,
    length: u64,
    lines: usize,
    /// A failed write that could not be undone: nothing more may be written.
    broken: bool,
    _lock: File,
}

impl Journal {
    /// Opens or makes the folder and reads what it holds. A last line that was
    /// cut short is dropped: its change was never acknowledged.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Vec<Record>), OpenError> {
        let failed = |path: &Path, source| OpenError::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        let lock_path = folder.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|error| failed(&lock_path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(&lock_path, error)),
        }
        let path = folder.join(FILE);
        let content = match std::fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(&path, error)),
        };
        let (records, length) = parse(&path, &content)?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|file| file.set_len(length).and_then(|()| file.sync_all()).map(|()| file))
            .and_then(|file| sync_folder(folder).map(|()| file))
            .map_err(|error| failed(&path, error))?;
        let lines = records.len();
        Ok((
            Self { folder: folder.to_owned(), file, length, lines, broken: false, _lock: lock },
            records,
        ))
    }

    /// Appends one change and flushes it to the disk.
    pub(crate) fn append(&mut self, record: &Record) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write failed and could not be undone"));
        }
        let line = line(record)?;
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.broken =
                self.file.set_len(self.length).and_then(|()| self.file.sync_data()).is_err();
            return Err(error);
        }
        self.length += u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.lines += 1;
        Ok(())
    }

    /// Whether most lines are stale when `live` objects are left.
    pub(crate) fn wants_rewrite(&self, live: usize) -> bool {
        self.lines > STALE_LINES_ALLOWED + 4 * live
    }

    /// Replaces the file by one with these records alone; the old one stays
    /// whole until the new one is on the disk.
    pub(crate) fn rewrite(&mut self, records: &[Record]) -> io::Result<()> {
        let mut content = Vec::new();
        for record in records {
            content.extend(line(record)?);
        }
        let new_path = self.folder.join(NEW_FILE);
        match std::fs::remove_file(&new_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut new = OpenOptions::new().create_new(true).append(true).open(&new_path)?;
        new.write_all(&content)?;
        new.sync_all()?;
        std::fs::rename(&new_path, self.folder.join(FILE))?;
        // From here on the name means the new file, and so must the handle.
        self.file = new;
        self.length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.lines = records.len();
        let synced = sync_folder(&self.folder);
        self.broken = synced.is_err();
        synced
    }
}

fn line(record: &Record) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
}

/// The records, and how many bytes of the file they take.
fn parse(path: &Path, content: &[u8]) -> Result<(Vec<Record>, u64), OpenError> {
    let mut records = Vec::new();
    let mut length = 0;
    let mut lines = content.split_inclusive(|byte| *byte == b'\n').enumerate().peekable();
    while let Some((index, bytes)) = lines.next() {
        let is_last = lines.peek().is_none();
        let whole = bytes.ends_with(b"\n");
        match serde_json::from_slice::<Record>(bytes) {
            Ok(record) if whole => {
                length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                records.push(record);
            }
            Ok(_) | Err(_) if is_last => {
                tracing::warn!(file = %path.display(), line = index + 1, "dropped a record that was cut short");
            }
            parsed => {
                let why = parsed
                    .err()
                    .map_or_else(|| "no end of line".to_owned(), |error| error.to_string());
                return Err(OpenError::Corrupt { path: path.to_owned(), line: index + 1, why });
            }
        }
    }
    Ok((records, length))
}

/// Makes a new name in the folder as durable as the file behind it.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The line that carries a revision and no object.
pub(crate) fn revision_only(revision: u64) -> Record {
    Record { revision, key: String::new(), object: None }
}

/// The revision that an object was written at.
pub(crate) fn revision_of(object: &Object) -> u64 {
    object
        .get("metadata")
        .and_then(|metadata| metadata.get("resourceVersion"))
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}
