//! The file of a backup: a tar archive with these members, in this order and no others.
//!
//! | member | what |
//! |--|--|
//! | `backup.json` | that it is one, of whom and when |
//! | `streamspaced.toml` | the configuration |
//! | `access/ca.key`, `access/ca.pem`, `access/trust.pem` | the authority |
//! | `database/TABLE/000001`, … | the rows of a table, in pieces, as `COPY` writes them |
//! | `manifest.json` | all that is in it, with digests |
//! | `manifest.sha256` | the digest of that |
//!
//! The manifest comes last, so a file that was cut off is known by it. Each piece is small,
//! so nobody needs room for more than one. Whoever reads takes every member for hostile:
//! names, kinds and sizes are as here or the file is refused, and nothing is ever unpacked
//! to where a name says.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use tar::{Archive, Builder, Entries, EntryType, Header};

use super::{
    BackupError,
    manifest::{Manifest, Opening, Sum, Summing, TableSum},
};

/// The largest piece of a table's rows, in bytes.
pub(super) const PIECE: usize = 4 << 20;
/// The largest of any other member, in bytes.
const SMALL: u64 = 1 << 20;
/// The largest manifest, in bytes.
const MANIFEST: u64 = 8 << 20;
/// What a piece may have more than [`PIECE`]: the rest of what came from the database at once.
const SLACK: u64 = 4 << 20;
/// What tar fills its file up to, and no more than that follows the end.
const PADDING: u64 = 64 << 10;

/// The files of the configuration and the authority.
pub(super) const CONFIG: &str = "streamspaced.toml";
pub(super) const AUTHORITY: [&str; 3] = ["access/ca.key", "access/ca.pem", "access/trust.pem"];

const OPENING: &str = "backup.json";
const CONTENTS: &str = "manifest.json";
const DIGEST: &str = "manifest.sha256";

/// Writes a backup.
pub(super) struct Writer<W: Write> {
    tar: Builder<W>,
    manifest: Manifest,
    seconds: u64,
}

impl<W: Write> Writer<W> {
    /// Begins with who made it.
    pub(super) fn begin(to: W, manifest: Manifest) -> Result<Self, BackupError> {
        let seconds = u64::try_from(manifest.opening.time.as_second()).unwrap_or_default();
        let mut writer = Self { tar: Builder::new(to), manifest, seconds };
        let opening = json(&writer.manifest.opening)?;
        writer.member(OPENING, &opening)?;
        Ok(writer)
    }

    fn member(&mut self, name: &str, content: &[u8]) -> Result<(), BackupError> {
        let mut header = Header::new_ustar();
        header.set_path(name).map_err(BackupError::Write)?;
        header.set_size(u64::try_from(content.len()).unwrap_or(u64::MAX));
        header.set_mode(0o600);
        header.set_mtime(self.seconds);
        header.set_entry_type(EntryType::Regular);
        header.set_cksum();
        self.tar.append(&header, content).map_err(BackupError::Write)
    }

    /// Adds a file of the configuration or the authority.
    pub(super) fn file(&mut self, name: &str, content: &[u8]) -> Result<(), BackupError> {
        self.member(name, content)?;
        self.manifest.files.insert(name.to_owned(), Summing::of(content));
        Ok(())
    }

    /// Adds the next piece of a table's rows.
    pub(super) fn piece(
        &mut self,
        table: &str,
        number: u32,
        content: &[u8],
    ) -> Result<(), BackupError> {
        self.member(&format!("database/{table}/{number:06}"), content)
    }

    /// Notes that a table's rows are all there.
    pub(super) fn table(&mut self, sum: TableSum) {
        self.manifest.tables.push(sum);
    }

    /// Ends it with all that is in it.
    pub(super) fn end(mut self) -> Result<(W, Manifest), BackupError> {
        let contents = json(&self.manifest)?;
        self.member(CONTENTS, &contents)?;
        let digest = Summing::of(&contents).sha256;
        self.member(DIGEST, format!("{digest}\n").as_bytes())?;
        let mut to = self.tar.into_inner().map_err(BackupError::Write)?;
        to.flush().map_err(BackupError::Write)?;
        Ok((to, self.manifest))
    }
}

fn json(what: &impl serde::Serialize) -> Result<Vec<u8>, BackupError> {
    serde_json::to_vec_pretty(what).map_err(|error| BackupError::Broken(error.to_string()))
}

/// What comes next in a backup.
#[derive(Debug)]
pub(super) enum Piece {
    /// A file of the configuration or the authority.
    File(String, Vec<u8>),
    /// Some of the rows of a table.
    Rows(String, Vec<u8>),
    /// The end: everything was there, and as its digests say.
    End(Box<Manifest>),
}

/// Reads a backup from its beginning, and holds what it reads against what it must be.
pub(super) struct Reader<'a, R: Read> {
    entries: Entries<'a, R>,
    /// By whom it is.
    pub(super) opening: Opening,
    files: BTreeMap<String, Sum>,
    tables: Vec<(String, Sum, u64)>,
    /// The table whose pieces are being read, and the number of the last one.
    current: Option<(String, u32, Summing, u64)>,
}

impl<'a, R: Read> Reader<'a, R> {
    /// Begins to read; refuses what is no backup, or none that this program reads.
    pub(super) fn begin(archive: &'a mut Archive<R>) -> Result<Self, BackupError> {
        let mut entries = archive.entries().map_err(BackupError::Read)?.raw(true);
        let no_backup = |_| BackupError::NoBackup;
        let (name, content) =
            member(&mut entries).map_err(no_backup)?.ok_or(BackupError::NoBackup)?;
        if name != OPENING {
            return Err(BackupError::NoBackup);
        }
        let opening: Opening =
            serde_json::from_slice(&content).map_err(|_| BackupError::NoBackup)?;
        opening.check()?;
        let (files, tables) = (BTreeMap::new(), Vec::new());
        Ok(Self { entries, opening, files, tables, current: None })
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> Result<Piece, BackupError> {
        let (name, content) = member(&mut self.entries)?.ok_or(BackupError::CutOff)?;
        if name == CONTENTS {
            return self.end(&content).map(|manifest| Piece::End(Box::new(manifest)));
        }
        if let Some(rest) = name.strip_prefix("database/") {
            let table = self.take_piece(rest, &content)?;
            return Ok(Piece::Rows(table, content));
        }
        // The configuration first, then the authority's, each once.
        let expected = std::iter::once(CONFIG).chain(AUTHORITY).nth(self.files.len());
        if expected != Some(name.as_str()) {
            return Err(unexpected(&name));
        }
        self.files.insert(name.clone(), Summing::of(&content));
        Ok(Piece::File(name, content))
    }

    fn take_piece(&mut self, rest: &str, content: &[u8]) -> Result<String, BackupError> {
        let unexpected = || unexpected(&format!("database/{rest}"));
        let (table, number) = rest.split_once('/').ok_or_else(unexpected)?;
        if self.files.len() != AUTHORITY.len() + 1 {
            return Err(unexpected());
        }
        if self.current.as_ref().is_none_or(|(current, ..)| current != table) {
            self.settle();
            if self.tables.iter().any(|(known, ..)| known == table) {
                return Err(unexpected());
            }
            self.current = Some((table.to_owned(), 0, Summing::new(), 0));
        }
        let Some((_, last, summing, rows)) = &mut self.current else { return Err(unexpected()) };
        *last = last.saturating_add(1);
        if number != format!("{last:06}") {
            return Err(unexpected());
        }
        summing.add(content);
        *rows = rows.saturating_add(lines(content));
        Ok(table.to_owned())
    }

    /// The pieces of a table are over.
    fn settle(&mut self) {
        if let Some((table, _, summing, rows)) = self.current.take() {
            self.tables.push((table, summing.sum(), rows));
        }
    }

    fn end(&mut self, contents: &[u8]) -> Result<Manifest, BackupError> {
        self.settle();
        let (name, digest) = member(&mut self.entries)?.ok_or(BackupError::CutOff)?;
        if name != DIGEST {
            return Err(unexpected(&name));
        }
        let damaged = |what: &str| BackupError::Damaged(what.to_owned());
        if digest != format!("{}\n", Summing::of(contents).sha256).as_bytes() {
            return Err(damaged(CONTENTS));
        }
        let manifest: Manifest = serde_json::from_slice(contents)
            .map_err(|error| BackupError::Broken(format!("{CONTENTS}: {error}")))?;
        manifest.check()?;
        if manifest.opening != self.opening {
            return Err(damaged(OPENING));
        }
        if manifest.files.len() != AUTHORITY.len() + 1 {
            return Err(BackupError::Broken(format!("{CONTENTS}: files: not all of them")));
        }
        for (name, sum) in &manifest.files {
            if self.files.get(name) != Some(sum) {
                return Err(damaged(name));
            }
        }
        let full: Vec<&TableSum> =
            manifest.tables.iter().filter(|table| table.sum.bytes > 0).collect();
        for (table, (name, sum, rows)) in full.iter().zip(&self.tables) {
            if table.name != *name || table.sum != *sum || table.rows != *rows {
                return Err(damaged(&format!("database/{}", table.name)));
            }
        }
        let claims_rows = |table: &TableSum| table.sum.bytes == 0 && table.rows != 0;
        if full.len() != self.tables.len() || manifest.tables.iter().any(claims_rows) {
            return Err(damaged("database"));
        }
        if member(&mut self.entries)?.is_some() {
            return Err(unexpected("what follows the manifest"));
        }
        Ok(manifest)
    }
}

fn unexpected(name: &str) -> BackupError {
    BackupError::Broken(format!(
        "{} is a member that does not belong there",
        streamspace_core::text::excerpt(name)
    ))
}

/// How many rows these are: each ends with a newline, and one within a value is written
/// otherwise.
pub(super) fn lines(content: &[u8]) -> u64 {
    let lines = content.split(|byte| *byte == b'\n').count().saturating_sub(1);
    u64::try_from(lines).unwrap_or(u64::MAX)
}

/// The next member, as it stands in the file. Nothing but a plain file of a plain name and
/// of no more than its size is one.
fn member(entries: &mut Entries<'_, impl Read>) -> Result<Option<(String, Vec<u8>)>, BackupError> {
    let Some(entry) = entries.next() else { return Ok(None) };
    let mut entry = entry.map_err(BackupError::Read)?;
    let name = String::from_utf8_lossy(&entry.header().path_bytes()).into_owned();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._/".contains(letter);
    let is_plain = name.chars().all(plain)
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
    if !is_plain || entry.header().entry_type() != EntryType::Regular {
        return Err(unexpected(&name));
    }
    let size = entry.header().entry_size().map_err(BackupError::Read)?;
    let most = match name.as_str() {
        CONTENTS => MANIFEST,
        name if name.starts_with("database/") => {
            u64::try_from(PIECE).unwrap_or(u64::MAX).saturating_add(SLACK)
        }
        _ => SMALL,
    };
    if size > most {
        return Err(BackupError::Broken(format!(
            "{} is of {size} bytes, and {most} is the most",
            streamspace_core::text::excerpt(&name)
        )));
    }
    // Grown as it comes: a size is a claim.
    let mut content = Vec::new();
    entry.by_ref().take(most).read_to_end(&mut content).map_err(BackupError::Read)?;
    if u64::try_from(content.len()) != Ok(size) {
        return Err(BackupError::CutOff);
    }
    Ok(Some((name, content)))
}

/// Refuses more than what tar fills its file up with.
pub(super) fn require_end(rest: &mut impl Read) -> Result<(), BackupError> {
    let mut padding = Vec::new();
    rest.take(PADDING + 1).read_to_end(&mut padding).map_err(BackupError::Read)?;
    let is_long = u64::try_from(padding.len()).is_ok_and(|length| length > PADDING);
    if is_long || padding.iter().any(|byte| *byte != 0) {
        return Err(unexpected("what follows the end"));
    }
    Ok(())
}
