//! Makes a backup.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufWriter},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures::TryStreamExt as _;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    BackupError,
    archive::{self, AUTHORITY, CONFIG, PIECE, Writer},
    files::{self, Unfinished},
    manifest::{FORMAT, Manifest, Opening, Summing, TableSum},
};
use crate::{
    access::{Authority, AuthorityFiles},
    config::{Config, host_name},
    db::dump::{self, Dump, Made, Table},
};

/// How often it is told how far it is.
const PROGRESS: Duration = Duration::from_secs(5);
/// The largest configuration or file of the authority.
const LARGEST_FILE: u64 = 1 << 20;
/// What the files in a folder end with.
const ENDING: &str = ".streamspace-backup";

/// Where a backup goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Into a new file.
    File(PathBuf),
    /// To standard output.
    Stdout,
    /// Into a folder, under a name of region and time. Of the region's own backups there the
    /// newest stay, so many as this; all where it is absent.
    Folder {
        /// Which.
        folder: PathBuf,
        /// How many stay.
        keep: Option<u32>,
    },
}

/// What `streamspaced backup` is asked for.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// The configuration file.
    pub config: PathBuf,
    /// Where the backup goes.
    pub to: Target,
}

/// Makes a backup, and tells meanwhile how far it is. Gives what to tell the person.
pub async fn create(
    options: &BackupOptions,
    mut tell: impl FnMut(&str),
) -> Result<String, BackupError> {
    let config = Config::read(&options.config)?;
    let mut content = vec![(CONFIG.to_owned(), files::read(&options.config, LARGEST_FILE)?)];
    content.extend(authority(&config.access.directory)?);

    // Before the long work, so that a place that cannot be written to is told at once.
    let region = config.region.as_str().to_owned();
    let (place, unfinished) = match &options.to {
        Target::Stdout => (None, None),
        Target::File(place) => (Some(place.clone()), Some(Unfinished::begin(place)?)),
        Target::Folder { folder, .. } => {
            let place = folder.join(name(&region, Timestamp::now()));
            let unfinished = Unfinished::begin(&place)?;
            (Some(place), Some(unfinished))
        }
    };
    let file = match &unfinished {
        Some(unfinished) => unfinished.file()?,
        None => stdout()?,
    };
    let written = write(&config, &region, content, file, &mut tell).await;
    let manifest = match (written, unfinished) {
        (Ok(manifest), Some(unfinished)) => {
            unfinished.finish()?;
            manifest
        }
        (Ok(manifest), None) => manifest,
        (Err(error), unfinished) => {
            if let Some(unfinished) = unfinished {
                unfinished.give_up();
            }
            return Err(error);
        }
    };
    note(&config, &options.to, &manifest, &mut tell).await;
    let gone = match &options.to {
        Target::Folder { folder, keep: Some(keep) } => prune(folder, &region, *keep)?,
        _ => 0,
    };
    Ok(said(&manifest, place.as_deref(), gone))
}

/// So that a metric shows how old it is. A backup that is whole is not called failed for it.
async fn note(config: &Config, to: &Target, manifest: &Manifest, tell: &mut impl FnMut(&str)) {
    let made = Made {
        place: match to {
            Target::File(_) => "file",
            Target::Stdout => "output",
            Target::Folder { .. } => "folder",
        },
        backup: manifest.opening.backup_id,
        time: manifest.opening.time,
        rows: manifest.rows(),
        bytes: manifest.tables.iter().map(|table| table.sum.bytes).fold(0, u64::saturating_add),
    };
    if let Err(error) = dump::note(&config.database.owner, made).await {
        tell(&format!("the backup is whole, and could not be noted for the metric: {error}"));
    }
}

fn said(manifest: &Manifest, place: Option<&Path>, gone: usize) -> String {
    let place = place.map_or_else(|| "standard output".to_owned(), |it| it.display().to_string());
    let mut said = format!(
        "Backup {} of region {} is in {place}: {} rows as of {}, revision {}.",
        manifest.opening.backup_id,
        manifest.opening.region,
        manifest.rows(),
        manifest.opening.time,
        manifest.revision,
    );
    if !manifest.left_out.is_empty() {
        let keys: Vec<&str> = manifest.left_out.keys().map(String::as_str).collect();
        let _written = write!(said, "\nNot in it, keep them apart: {}.", keys.join(", "));
    }
    if gone > 0 {
        let _written = write!(said, "\nRemoved {gone} older.");
    }
    said
}

/// The authority's files, which must fit together: a backup without its key is of no use
/// when it is needed.
fn authority(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, BackupError> {
    let files = AuthorityFiles::in_folder(folder);
    Authority::open(&files)?;
    let paths = [files.key, files.certificate, files.trust];
    AUTHORITY
        .into_iter()
        .zip(paths)
        .map(|(name, path)| Ok((name.to_owned(), files::read(&path, LARGEST_FILE)?)))
        .collect()
}

async fn write(
    config: &Config,
    region: &str,
    content: Vec<(String, Vec<u8>)>,
    to: File,
    tell: &mut impl FnMut(&str),
) -> Result<Manifest, BackupError> {
    let mut dump = Dump::begin(&config.database.owner).await?;
    let opening = Opening {
        streamspace_backup: FORMAT,
        backup_id: Uuid::now_v7(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        region: region.to_owned(),
        host: host_name(),
        time: dump.facts.time,
    };
    let mut manifest = Manifest::new(opening, dump.facts.clone());
    manifest.left_out = left_out(config);
    manifest.check()?;
    let mut writer = Writer::begin(BufWriter::new(to), manifest)?;
    for (name, content) in content {
        writer.file(&name, &content)?;
    }
    for table in dump.tables.clone() {
        let sum = rows(&mut dump, &table, &mut writer, tell).await?;
        writer.table(sum);
    }
    dump.end().await?;
    let (_to, manifest) = writer.end()?;
    Ok(manifest)
}

/// Writes all rows of a table, in pieces.
async fn rows(
    dump: &mut Dump,
    table: &Table,
    writer: &mut Writer<BufWriter<File>>,
    tell: &mut impl FnMut(&str),
) -> Result<TableSum, BackupError> {
    let mut summing = Summing::new();
    let (mut rows, mut bytes, mut number) = (0_u64, 0_usize, 0_u32);
    let mut told = Instant::now();
    let mut piece = Vec::with_capacity(PIECE);
    let mut stream = dump.rows(table).await?;
    loop {
        let next = stream.try_next().await?;
        let is_full =
            piece.len().saturating_add(next.as_ref().map_or(0, bytes::Bytes::len)) > PIECE;
        if !piece.is_empty() && (next.is_none() || is_full) {
            number = number.checked_add(1).ok_or_else(|| {
                BackupError::Broken(format!("the table {} has too many rows", table.name))
            })?;
            writer.piece(&table.name, number, &piece)?;
            summing.add(&piece);
            rows = rows.saturating_add(archive::lines(&piece));
            bytes = bytes.saturating_add(piece.len());
            piece.clear();
        }
        let Some(next) = next else { break };
        piece.extend_from_slice(&next);
        if told.elapsed() > PROGRESS {
            tell(&format!("{}: {rows} rows, {} MB so far", table.name, bytes >> 20));
            told = Instant::now();
        }
    }
    drop(stream);
    Ok(TableSum {
        name: table.name.clone(),
        columns: table.columns.clone(),
        rows,
        sum: summing.sum(),
    })
}

/// Files that the configuration names and that are not the daemon's own: they come from
/// elsewhere, stand anywhere, and are put back from there.
fn left_out(config: &Config) -> BTreeMap<String, String> {
    let mut left_out = BTreeMap::new();
    for (key, file) in config.foreign_files() {
        left_out.insert(key, file.display().to_string());
    }
    left_out
}

fn stdout() -> Result<File, BackupError> {
    let descriptor = io::stdout().as_fd().try_clone_to_owned();
    Ok(File::from(descriptor.map_err(BackupError::Write)?))
}

/// A name that sorts by time.
fn name(region: &str, now: Timestamp) -> String {
    format!("{region}-{}{ENDING}", now.strftime("%Y%m%dT%H%M%SZ"))
}

/// Whether a file of this name is a backup of this region, and of no other whose name is
/// longer.
fn is_of(region: &str, name: &str) -> bool {
    let time = name
        .strip_prefix(region)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_suffix(ENDING));
    time.is_some_and(|time| {
        time.len() == 16
            && time.bytes().enumerate().all(|(at, letter)| match at {
                8 => letter == b'T',
                15 => letter == b'Z',
                _ => letter.is_ascii_digit(),
            })
    })
}

/// Removes the oldest, until so many are left. How many went.
fn prune(folder: &Path, region: &str, keep: u32) -> Result<usize, BackupError> {
    let failed = |source| BackupError::File { path: folder.to_owned(), source };
    let mut own = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_file = entry.file_type().map_err(failed)?.is_file();
        if let Some(name) = entry.file_name().to_str()
            && is_file
            && is_of(region, name)
        {
            own.push(entry.path());
        }
    }
    own.sort();
    let most = usize::try_from(keep).unwrap_or(usize::MAX);
    let old = own.len().saturating_sub(most);
    for path in own.iter().take(old) {
        fs::remove_file(path).map_err(|source| BackupError::File { path: path.clone(), source })?;
    }
    Ok(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_files_in_a_folder_only_the_regions_own_backups_go() {
        let folder = tempfile::tempdir().unwrap();
        let own = ["20261130T010000Z", "20261130T020000Z", "20261129T030000Z", "20261130T040000Z"];
        for time in own {
            fs::write(folder.path().join(format!("us-1-{time}{ENDING}")), "").unwrap();
        }
        let others = [
            format!("us-1-b-20261129T010000Z{ENDING}"),
            format!("us-1-20261129T010000{ENDING}"),
            "us-1-20261129T010000Z".to_owned(),
            "notes".to_owned(),
        ];
        for other in &others {
            fs::write(folder.path().join(other), "").unwrap();
        }
        assert_eq!(prune(folder.path(), "us-1", 2).unwrap(), 2);
        assert_eq!(prune(folder.path(), "us-1", 2).unwrap(), 0);
        for time in ["20261130T020000Z", "20261130T040000Z"] {
            assert!(folder.path().join(format!("us-1-{time}{ENDING}")).exists(), "{time}");
        }
        for other in &others {
            assert!(folder.path().join(other).exists(), "{other}");
        }
        assert!(is_of("us-1", &name("us-1", Timestamp::now())));
    }
}
