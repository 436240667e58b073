//! What a backup says of itself.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use streamspace_core::{ids::RegionId, text};
use uuid::Uuid;

use super::BackupError;
use crate::db::dump::{Applied, Facts, Table};

/// The format of the files that this program writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

/// The longest of the words in a manifest, in characters.
const LONGEST: usize = 300;

/// The first thing in a backup: by it others know what the file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The format of the file.
    pub streamspace_backup: u32,
    /// Which backup it is.
    pub backup_id: Uuid,
    /// The version of the program that made it.
    pub program: String,
    /// The region.
    pub region: String,
    /// The host that it was made on.
    pub host: String,
    /// The time of its snapshot, by the database's clock.
    pub time: Timestamp,
}

/// How much something is, and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// In bytes.
    pub bytes: u64,
    /// SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// The rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSum {
    /// The table.
    pub name: String,
    /// Its columns, in the order of the values.
    pub columns: Vec<String>,
    /// How many rows.
    pub rows: u64,
    /// Of all its pieces together.
    #[serde(flatten)]
    pub sum: Sum,
}

/// A migration that the schema has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationSum {
    /// Its number.
    pub number: i64,
    /// Its name.
    pub name: String,
    /// The digest of its text, in hexadecimal digits.
    pub checksum: String,
}

/// The last thing in a backup: all that is in it. One without it is not whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// As at the beginning.
    pub opening: Opening,
    /// The name of the database.
    pub database: String,
    /// The version of its server.
    pub server: String,
    /// The database, as its cluster knows it; absent where it had none yet.
    pub database_uid: Option<Uuid>,
    /// The last revision of the change log.
    pub revision: i64,
    /// The last position of the audit log.
    pub audit_position: i64,
    /// The schema.
    pub migrations: Vec<MigrationSum>,
    /// The configuration and the authority.
    pub files: BTreeMap<String, Sum>,
    /// The rows, in the order in which they can be put back.
    pub tables: Vec<TableSum>,
    /// How far each sequence is.
    pub sequences: BTreeMap<String, i64>,
    /// The days that the usage has a partition for.
    pub days: Vec<String>,
    /// Files that the configuration names and that are not in the backup, with their keys.
    pub left_out: BTreeMap<String, String>,
}

impl Opening {
    /// Refuses another format, and words that do something to a terminal.
    pub(super) fn check(&self) -> Result<(), BackupError> {
        if self.streamspace_backup != FORMAT {
            return Err(BackupError::Format(self.streamspace_backup));
        }
        words("program", &self.program)?;
        words("host", &self.host)?;
        let region: Result<RegionId, _> = self.region.parse();
        region.map_err(|error| BackupError::Broken(format!("backup.json: region: {error}")))?;
        Ok(())
    }
}

impl Manifest {
    /// A manifest of nothing yet.
    pub(super) fn new(opening: Opening, facts: Facts) -> Self {
        let sum = |one: Applied| MigrationSum {
            number: one.number,
            name: one.name,
            checksum: hexadecimal(&one.checksum),
        };
        Self {
            opening,
            database: facts.database,
            server: facts.server,
            database_uid: facts.database_uid,
            revision: facts.revision,
            audit_position: facts.audit_position,
            migrations: facts.migrations.into_iter().map(sum).collect(),
            files: BTreeMap::new(),
            tables: Vec::new(),
            sequences: facts.sequences,
            days: facts.days,
            left_out: BTreeMap::new(),
        }
    }

    /// The migrations, as the database has them.
    pub fn applied(&self) -> Result<Vec<Applied>, BackupError> {
        let one = |sum: &MigrationSum| {
            let checksum = bytes(&sum.checksum).ok_or_else(|| {
                BackupError::Broken("manifest.json: migrations: no checksum".into())
            })?;
            Ok(Applied { number: sum.number, name: sum.name.clone(), checksum })
        };
        self.migrations.iter().map(one).collect()
    }

    /// How many rows there are in all.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).fold(0, u64::saturating_add)
    }

    /// How many rows a table has.
    pub fn rows_of(&self, table: &str) -> u64 {
        self.tables.iter().find(|sum| sum.name == table).map_or(0, |sum| sum.rows)
    }

    /// Refuses what cannot be meant.
    pub(super) fn check(&self) -> Result<(), BackupError> {
        self.opening.check()?;
        words("database", &self.database)?;
        words("server", &self.server)?;
        for one in &self.migrations {
            words("migrations", &one.name)?;
        }
        for (key, file) in &self.left_out {
            words("left_out", key)?;
            words("left_out", file)?;
        }
        for name in self.sequences.keys().chain(&self.days) {
            words("sequences and days", name)?;
        }
        if self.revision < 0 || self.audit_position < 0 {
            return Err(BackupError::Broken("manifest.json: revision: is negative".into()));
        }
        Ok(())
    }

    /// Refuses a backup whose tables are not those of the schema.
    pub(super) fn require_tables(&self, schema: &[Table]) -> Result<(), BackupError> {
        for table in schema {
            let Some(sum) = self.tables.iter().find(|sum| sum.name == table.name) else {
                let words = format!("the table {} of its schema is not in it", table.name);
                return Err(BackupError::Broken(words));
            };
            if sum.columns != table.columns {
                let words = format!("the table {} has other columns than its schema", table.name);
                return Err(BackupError::Broken(words));
            }
        }
        if self.tables.len() != schema.len() {
            return Err(BackupError::Broken("it has tables that its schema has not".into()));
        }
        Ok(())
    }
}

fn words(field: &str, value: &str) -> Result<(), BackupError> {
    text::check(value, LONGEST)
        .map_err(|error| BackupError::Broken(format!("manifest.json: {field}: {error}")))
}

/// A digest of what comes in pieces.
pub(super) struct Summing {
    digest: Context,
    bytes: u64,
}

impl Summing {
    pub(super) fn new() -> Self {
        Self { digest: Context::new(&SHA256), bytes: 0 }
    }

    pub(super) fn add(&mut self, piece: &[u8]) {
        self.digest.update(piece);
        self.bytes = self.bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    }

    pub(super) fn sum(self) -> Sum {
        Sum { bytes: self.bytes, sha256: hexadecimal(self.digest.finish().as_ref()) }
    }

    /// Of a whole.
    pub(super) fn of(whole: &[u8]) -> Sum {
        let mut summing = Self::new();
        summing.add(whole);
        summing.sum()
    }
}

/// The bytes as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
    }
    text
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() || digits.len() > 256 {
        return None;
    }
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(pair).collect()
}
