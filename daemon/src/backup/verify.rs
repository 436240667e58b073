//! Reads a backup from its beginning to its end, and tells what is in it.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use tar::Archive;

use super::{
    BackupError, Manifest,
    archive::{self, Piece, Reader},
};
use crate::db::dump;

/// What a backup holds beside the rows.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) manifest: Manifest,
    /// The configuration and the authority, by their names.
    pub(super) files: Vec<(String, Vec<u8>)>,
}

/// Opens a backup. It must be a file: it is read twice by who restores it.
pub(super) fn open(path: &Path) -> Result<File, BackupError> {
    let failed = |source| BackupError::File { path: path.to_owned(), source };
    if path == Path::new("-") {
        return Err(BackupError::Refused(
            "a backup is read from a file, and not from standard input: it is read whole before \
             anything is done with it; write it into a file first, readable by you alone"
                .into(),
        ));
    }
    let file = File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(BackupError::Refused(format!("{} is no file", path.display())));
    }
    Ok(file)
}

/// Reads all of it, and holds it against its digests.
pub(super) fn check(path: &Path) -> Result<Checked, BackupError> {
    let mut archive = Archive::new(BufReader::with_capacity(1 << 18, open(path)?));
    let mut reader = Reader::begin(&mut archive)?;
    let mut files = Vec::new();
    let manifest = loop {
        match reader.next()? {
            Piece::File(name, content) => files.push((name, content)),
            Piece::Rows(..) => {}
            Piece::End(manifest) => break *manifest,
        }
    };
    drop(reader);
    let mut rest = archive.into_inner();
    archive::require_end(&mut rest)?;
    // What is behind the padding, if anything.
    let mut one = [0];
    if rest.read(&mut one).map_err(BackupError::Read)? != 0 {
        return Err(BackupError::Broken("something follows its end".into()));
    }
    Ok(Checked { manifest, files })
}

/// Tells what is in a backup, or what is wrong with it.
pub fn verify(path: &Path) -> Result<String, BackupError> {
    let Checked { manifest, .. } = check(path)?;
    let opening = &manifest.opening;
    let mut said = format!(
        "Backup {}\nof region {}, made on {} by streamspaced {}\n\
         as of {}, revision {}, position {} of the audit log\n\
         of the database {} on PostgreSQL {}\n",
        opening.backup_id,
        opening.region,
        opening.host,
        opening.program,
        opening.time,
        manifest.revision,
        manifest.audit_position,
        manifest.database,
        manifest.server,
    );
    for table in ["tenants", "certificates", "audit_entries", "sessions", "incidents"] {
        let _written = writeln!(said, "  {} {table}", manifest.rows_of(table));
    }
    let _written = writeln!(
        said,
        "  {} rows in {} tables, and the configuration and the authority",
        manifest.rows(),
        manifest.tables.len()
    );
    for (key, file) in &manifest.left_out {
        let _written = writeln!(said, "Not in it: {key} ({file})");
    }
    dump::require_known(&manifest.applied()?)?;
    said += match dump::newer_than(&manifest.applied()?) {
        0 => "It is whole, and this program can restore it.",
        _ => "It is whole, and this program can restore it; it brings the schema up to date then.",
    };
    Ok(said)
}
