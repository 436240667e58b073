//! Makes a region out of a backup, on an empty machine.
//!
//! In this order, and each step can be repeated: the file is read whole; the logins and the
//! database are made, or those of the configuration are taken; the database is marked; its
//! schema is made as the backup had it; all rows come in one transaction; the schema is
//! brought up to date; what the restore means is set right ([`super::aftermath`]); the
//! authority and the configuration are written; the mark goes.

use std::{
    fmt::Write as _,
    io::BufReader,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use sqlx::Connection as _;
use tar::Archive;

use super::{
    BackupError, Manifest,
    aftermath::{self, Aftermath},
    archive::{AUTHORITY, CONFIG, Piece, Reader},
    config,
    files::{self, Unfinished},
    verify::{self, Checked},
};
use crate::{
    access::{Authority, AuthorityFiles},
    config::Config,
    db::{
        DatabaseUrl,
        dump::{self, DumpError, Found, Load, Phase, Table, UnderWay},
        migrate::{self, MigrateError},
    },
};

const PROGRESS: Duration = Duration::from_secs(5);

/// What `streamspaced restore` is asked for.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// The backup.
    pub file: PathBuf,
    /// The configuration file: written where it is not there, else its database is taken.
    pub config: PathBuf,
    /// A superuser's URL, to make the logins and the database with.
    pub database_superuser: Option<String>,
    /// The name of the database that is made; that of the backup where it is absent.
    pub database: Option<String>,
    /// Make another authority than the backup's, so that everybody enrols again.
    pub new_authority: bool,
    /// Only tell what would be done.
    pub dry_run: bool,
}

/// Where it all goes.
enum Place {
    /// To a machine with nothing: all is made.
    Empty { superuser: String, database: String, access: PathBuf },
    /// To where a configuration is that names the database and the authority's folder.
    Configured(Box<Config>),
}

impl Place {
    fn access(&self) -> &Path {
        match self {
            Self::Empty { access, .. } => access,
            Self::Configured(config) => &config.access.directory,
        }
    }
}

/// Restores a backup, and tells meanwhile how far it is. Gives what to tell the person.
pub async fn restore(
    options: &RestoreOptions,
    mut tell: impl FnMut(&str),
) -> Result<String, BackupError> {
    tell(&format!("reading {}", options.file.display()));
    let checked = verify::check(&options.file)?;
    let manifest = &checked.manifest;
    dump::require_known(&manifest.applied()?)?;
    let (place, found) = place(options, manifest).await?;
    if found == Found::Occupied {
        // Nothing else is let through: a run that was killed at its last line, or a second one.
        return Ok(format!(
            "Region {} was restored from this backup already; nothing was changed.",
            manifest.opening.region
        ));
    }
    let again = matches!(found, Found::UnderWay(_));
    let authority = judge_authority(&checked, place.access(), options.new_authority, again)?;
    if options.dry_run {
        return Ok(plan(options, manifest, &place, found));
    }

    // Held until the end, so that two of them do not give the logins passwords in turn.
    let unfinished = match &place {
        Place::Empty { .. } => {
            if let Some(folder) = options.config.parent() {
                files::make_folder(folder)?;
            }
            Some(Unfinished::begin(&options.config)?)
        }
        Place::Configured(_) => None,
    };
    let worked = work(options, &checked, &place, authority, &mut tell).await;
    let (owner, aftermath) = match (worked, unfinished) {
        (Ok((owner, text, aftermath)), Some(unfinished)) => {
            unfinished.finish_with(text.as_bytes())?;
            (owner, aftermath)
        }
        (Ok((owner, _, aftermath)), None) => (owner, aftermath),
        (Err(error), unfinished) => {
            if let Some(unfinished) = unfinished {
                unfinished.give_up();
            }
            return Err(error);
        }
    };
    dump::finish(&owner).await?;
    Ok(said(options, manifest, aftermath))
}

/// All but the configuration file, whose text is given, and the last step.
async fn work(
    options: &RestoreOptions,
    checked: &Checked,
    place: &Place,
    authority: AuthorityTodo,
    tell: &mut impl FnMut(&str),
) -> Result<(DatabaseUrl, String, Aftermath), BackupError> {
    let manifest = &checked.manifest;
    let (owner, text) = match place {
        Place::Configured(config) => (config.database.owner.clone(), String::new()),
        Place::Empty { superuser, database, access } => {
            tell("making the logins and the database");
            let made = migrate::setup_with_passwords(superuser, database).await?;
            // Before the long work, so that a configuration that cannot be moved is told.
            let text = config::moved(text(checked)?, &made, access)?;
            (made.owner, text)
        }
    };
    dump::mark(&owner, manifest.opening.backup_id).await?;
    let phase = match dump::look(&owner).await? {
        Found::UnderWay(UnderWay { phase, .. }) => phase,
        Found::Empty | Found::Occupied => Phase::Loading,
    };
    if phase < Phase::Loaded {
        tell("making the schema");
        dump::make_schema(&owner, &manifest.applied()?).await?;
        load(&options.file, manifest, &owner, tell).await?;
    }
    dump::upgrade(&owner).await?;
    let mut connection = dump::connect(&owner).await?;
    let aftermath = aftermath::settle(&mut connection, manifest, options.new_authority).await?;
    connection.close().await.map_err(DumpError::from)?;
    write_authority(checked, place.access(), authority)?;
    Ok((owner, text, aftermath))
}

/// Where it goes and what is there; refuses where something is that must not be lost.
async fn place(
    options: &RestoreOptions,
    manifest: &Manifest,
) -> Result<(Place, Found), BackupError> {
    let refused = |words: String| Err(BackupError::Refused(words));
    let config = options.config.display();
    let backup = manifest.opening.backup_id;
    if options.config.exists() {
        let read = Config::read(&options.config)?;
        if read.region.as_str() != manifest.opening.region {
            return refused(format!(
                "region: {config} is of region {}, and the backup is of {}; correct the file, or \
                 take another backup",
                read.region, manifest.opening.region
            ));
        }
        let found = dump::look(&read.database.owner).await?;
        if found == Found::Occupied && dump::was_restored_from(&read.database.owner, backup).await?
        {
            return Ok((Place::Configured(Box::new(read)), found));
        }
        require_free(found, manifest, &format!("the database that {config} names"))?;
        let is_ours = matches!(found, Found::UnderWay(state) if state.backup == backup);
        if options.database_superuser.is_some() && !is_ours {
            return refused(format!(
                "{config} exists and names the database's logins. Leave --database-superuser out \
                 to restore into that database, or move the file away to have all made anew"
            ));
        }
        return Ok((Place::Configured(Box::new(read)), found));
    }
    let Some(superuser) = options.database_superuser.clone() else {
        return refused(format!(
            "{config} is not there, and without --database-superuser the logins cannot be made. \
             Give one, for example --database-superuser \
             'postgres:///postgres?host=/run/postgresql', or write the file with the five \
             database URLs"
        ));
    };
    let database = options.database.clone().unwrap_or_else(|| manifest.database.clone());
    let server = dump::look_at_server(&superuser, &database).await?;
    if !server.others.is_empty() {
        return refused(format!("--database-superuser: {}", MigrateError::Shared(server.others)));
    }
    let found = match &server.database {
        Some(url) => dump::look(url).await?,
        None => Found::Empty,
    };
    require_free(found, manifest, &format!("the database {database} of that server"))?;
    let folder = options.config.parent().unwrap_or_else(|| Path::new("."));
    let access = std::path::absolute(folder.join("access"))
        .map_err(|source| BackupError::File { path: folder.to_owned(), source })?;
    Ok((Place::Empty { superuser, database, access }, found))
}

/// Nothing may be there but what an earlier try of the same restore left.
fn require_free(found: Found, manifest: &Manifest, what: &str) -> Result<(), BackupError> {
    match found {
        Found::Empty => Ok(()),
        Found::UnderWay(state) if state.backup == manifest.opening.backup_id => Ok(()),
        Found::UnderWay(state) => Err(BackupError::Refused(format!(
            "{what} is being restored from another backup, {}: go on with that one, or drop the \
             database and begin anew",
            state.backup
        ))),
        Found::Occupied => Err(BackupError::Refused(format!(
            "{what} is not empty, and nothing in it is overwritten: give an empty one. If nobody \
             needs what is there, stop every daemon and drop that database first"
        ))),
    }
}

/// What becomes of the authority's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthorityTodo {
    /// It is the backup's already.
    Nothing,
    /// The backup's is written.
    Write,
    /// Another one is made.
    Make,
}

fn judge_authority(
    checked: &Checked,
    folder: &Path,
    new_authority: bool,
    again: bool,
) -> Result<AuthorityTodo, BackupError> {
    let files = AuthorityFiles::in_folder(folder);
    let key = checked.files.iter().find(|(name, _)| *name == AUTHORITY[0]);
    let same = files::read(&files.key, 1 << 20);
    match (files.key.exists(), new_authority) {
        (false, true) => Ok(AuthorityTodo::Make),
        (false, false) => Ok(AuthorityTodo::Write),
        (true, false) if same.is_ok_and(|same| key.is_some_and(|(_, key)| *key == same)) => {
            Ok(AuthorityTodo::Nothing)
        }
        // Made by the try that was broken off: before its first step there was none.
        (true, true) if again && Authority::open(&files).is_ok() => Ok(AuthorityTodo::Nothing),
        (true, _) => Err(BackupError::Refused(format!(
            "{} exists and is of another authority than the backup's; it is not overwritten: move \
             the folder away to have the backup's, or made anew with --new-authority",
            files.key.display()
        ))),
    }
}

fn write_authority(
    checked: &Checked,
    folder: &Path,
    todo: AuthorityTodo,
) -> Result<(), BackupError> {
    let names = AuthorityFiles::in_folder(folder);
    match todo {
        AuthorityTodo::Nothing => {}
        AuthorityTodo::Make => {
            files::make_folder(folder)?;
            Authority::create(&names, &checked.manifest.opening.region, Timestamp::now())?;
        }
        AuthorityTodo::Write => {
            files::make_folder(folder)?;
            // The key last: by it a later try knows that all of them are there.
            for (name, place, mode) in [
                (AUTHORITY[1], &names.certificate, 0o644),
                (AUTHORITY[2], &names.trust, 0o644),
                (AUTHORITY[0], &names.key, 0o600),
            ] {
                let content = checked.files.iter().find(|(known, _)| known == name);
                let Some((_, content)) = content else {
                    return Err(BackupError::Broken(format!("{name} is not in it")));
                };
                let is_there = files::read(place, 1 << 20).is_ok_and(|there| there == *content);
                if !is_there {
                    files::write(place, content, mode)?;
                }
            }
        }
    }
    Ok(())
}

/// The configuration of the backup.
fn text(checked: &Checked) -> Result<&str, BackupError> {
    let content = checked.files.iter().find(|(name, _)| name == CONFIG);
    content
        .and_then(|(_, content)| std::str::from_utf8(content).ok())
        .ok_or_else(|| BackupError::Broken(format!("{CONFIG} is no text")))
}

/// Puts all rows into the schema, at once.
async fn load(
    file: &Path,
    manifest: &Manifest,
    owner: &DatabaseUrl,
    tell: &mut impl FnMut(&str),
) -> Result<(), BackupError> {
    let mut load = Load::begin(owner, &manifest.days).await?;
    manifest.require_tables(&load.tables)?;
    let mut archive = Archive::new(BufReader::with_capacity(1 << 18, verify::open(file)?));
    let mut reader = Reader::begin(&mut archive)?;
    let mut ahead = reader.next()?;
    while matches!(ahead, Piece::File(..)) {
        ahead = reader.next()?;
    }
    let mut told = Instant::now();
    loop {
        let table: Table = match &ahead {
            Piece::Rows(name, _) => {
                let table = load.tables.iter().find(|table| table.name == *name);
                table
                    .cloned()
                    .ok_or_else(|| BackupError::Broken(format!("the schema has no table {name}")))?
            }
            Piece::End(read) if **read == *manifest => break,
            Piece::End(_) | Piece::File(..) => {
                return Err(BackupError::Damaged(
                    "the file, which changed while it was read,".into(),
                ));
            }
        };
        let mut bytes = 0_usize;
        let loaded = load
            .rows(&table, || {
                let Piece::Rows(name, content) = &mut ahead else { return Ok(None) };
                if *name != table.name {
                    return Ok(None);
                }
                let content = std::mem::take(content);
                bytes = bytes.saturating_add(content.len());
                if told.elapsed() > PROGRESS {
                    tell(&format!("{}: {} MB of its rows so far", table.name, bytes >> 20));
                    told = Instant::now();
                }
                ahead = reader.next()?;
                Ok::<_, BackupError>(Some(content))
            })
            .await
            .map_err(|error| {
                BackupError::Broken(format!("the rows of {}: {error}", table.name))
            })??;
        if loaded != manifest.rows_of(&table.name) {
            return Err(BackupError::Damaged(format!(
                "database/{}: {loaded} rows of {}",
                table.name,
                manifest.rows_of(&table.name)
            )));
        }
    }
    tell(&format!("{} rows are there; keeping them", manifest.rows()));
    Ok(load.commit(&manifest.sequences).await?)
}

/// The step alone, for who tries what a kill behind it leaves.
#[cfg(test)]
pub(super) async fn load_for_tests(
    file: &Path,
    manifest: &Manifest,
    owner: &DatabaseUrl,
) -> Result<(), BackupError> {
    load(file, manifest, owner, &mut |_: &str| {}).await
}

fn plan(options: &RestoreOptions, manifest: &Manifest, place: &Place, found: Found) -> String {
    let opening = &manifest.opening;
    let mut said = format!(
        "Backup {} of region {} as of {} can be restored here, and nothing was changed:\n",
        opening.backup_id, opening.region, opening.time
    );
    if let Found::UnderWay(_) = found {
        said += "- an earlier try of this restore is there, and is gone on with\n";
    }
    match place {
        Place::Configured(config) => {
            let _written = writeln!(
                said,
                "- {} rows go into the empty database that {} names\n- the authority goes to {}",
                manifest.rows(),
                options.config.display(),
                config.access.directory.display()
            );
        }
        Place::Empty { database, access, .. } => {
            let _written = writeln!(
                said,
                "- the five logins get new passwords, and the database {database} is made\n\
                 - {} rows go into it\n- the authority goes to {}, and the configuration to {}",
                manifest.rows(),
                access.display(),
                options.config.display()
            );
        }
    }
    let migrations = manifest.applied().map_or(0, |applied| dump::newer_than(&applied));
    if migrations > 0 {
        let _written =
            writeln!(said, "- its schema is brought up to date: {migrations} migrations");
    }
    if options.new_authority {
        said += "- another authority is made: every certificate ends, and everybody enrols again\n";
    }
    said + "- the region is paused, and writes to the cluster once you have accepted and resumed it"
}

fn said(options: &RestoreOptions, manifest: &Manifest, done: Aftermath) -> String {
    let opening = &manifest.opening;
    let config = options.config.display();
    let mut said = format!(
        "Region {} is restored as of {} (revision {}). What was done since is lost.\n",
        opening.region, opening.time, manifest.revision
    );
    for (count, words) in [
        (done.tokens, "enrolment tokens that nobody had used have ended"),
        (done.approvals, "approvals that nobody had used have ended"),
        (done.grants, "grants of break-glass have ended"),
        (
            done.operations,
            "operations over many tenants are cancelled; look, then `ssctl operation resume`",
        ),
        (done.notices, "notices that waited were not sent: `ssctl notify list`"),
        (done.certificates, "certificates are good no more"),
    ] {
        if count > 0 {
            let _written = writeln!(said, "{count} {words}.");
        }
    }
    if options.new_authority {
        said += "Another authority was made: everybody enrols again.\n";
    } else {
        let _written = writeln!(
            said,
            "Certificates that were revoked and people who were locked since {} are good again: \
             revoke and lock them anew before you resume. Who renewed a certificate since enrols \
             again.",
            opening.time
        );
    }
    for (key, file) in &manifest.left_out {
        if !Path::new(file).exists() {
            let _written = writeln!(said, "Put back what {key} names: {file}");
        }
    }
    said + &format!(
        "The region is paused and its cluster does not know this database yet. In this order:\n  \
         streamspaced check-config --config {config}\n  \
         streamspaced run --config {config}\n  \
         streamspaced cluster pin --config {config}      # no other daemon of this region may go on\n  \
         ssctl region show && ssctl tenant list          # what would be made or changed\n  \
         ssctl region unpause"
    )
}
