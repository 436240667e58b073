//! Names that a daemon told a moment ago, so that a second TAB asks nobody, and a slow
//! region still has some.

use std::{
    fs::{self, OpenOptions},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use streamspace_client::Context;

use super::names::Kind;

/// How long names are offered without asking. Long enough for the second TAB of a list,
/// and for little more: a daemon that has gone must not be spoken for.
const FRESH: Duration = Duration::from_secs(3);
/// How long names are offered where the daemon is too slow to answer in time.
const STALE: Duration = Duration::from_mins(10);
/// A longer file is not ours.
const LONGEST: u64 = 1 << 20;

/// A name and a few words about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) about: String,
}

/// What was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// What the names begin with.
    pub(super) prefix: String,
    /// Whether those are all that begin so.
    pub(super) whole: bool,
    pub(super) names: Vec<Name>,
}

impl Told {
    /// Whether it answers what begins so.
    fn answers(&self, prefix: &str) -> bool {
        self.prefix == prefix || (self.whole && prefix.starts_with(&self.prefix))
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    /// Seconds since 1970.
    at: u64,
    told: Told,
}

/// How old what is kept may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// As good as an answer.
    Fresh,
    /// Better than nothing.
    Stale,
}

/// What is kept of one kind in one context.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    path: PathBuf,
}

impl Cache {
    /// In the folder for what can be lost. Who logs in to another region, or as somebody
    /// else, gets another file.
    pub(super) fn new(folder: &Path, context: &Context, kind: Kind) -> Self {
        let mut hasher = DefaultHasher::new();
        context.name.hash(&mut hasher);
        context.endpoint.hash(&mut hasher);
        context.credential.to_string().hash(&mut hasher);
        for authority in &context.authorities {
            authority.as_ref().hash(&mut hasher);
        }
        let file = format!("{:016x}-{}.json", hasher.finish(), kind.word());
        Self { path: folder.join(file) }
    }

    /// Beside it, for who asks for all.
    pub(super) fn lock(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    /// What answers the prefix, where it is young enough.
    pub(super) fn load(&self, prefix: &str, age: Age) -> Option<Told> {
        if fs::metadata(&self.path).ok()?.len() > LONGEST {
            return None;
        }
        let stored: Stored = serde_json::from_slice(&fs::read(&self.path).ok()?).ok()?;
        let limit = match age {
            Age::Fresh => FRESH,
            Age::Stale => STALE,
        };
        // A file from the future is from before the clock was set: nobody knows how old.
        let passed = seconds().checked_sub(stored.at)?;
        (passed < limit.as_secs() && stored.told.answers(prefix)).then_some(stored.told)
    }

    /// Keeps what was told. It need not survive a power cut, so nothing waits for a disk;
    /// where it cannot be kept, the next TAB asks again.
    pub(super) fn store(&self, told: &Told) -> io::Result<()> {
        let stored = Stored { at: seconds(), told: told.clone() };
        let text = serde_json::to_vec(&stored)?;
        let folder = self.path.parent().ok_or_else(|| io::Error::other("no folder"))?;
        make_folder(folder)?;
        let neighbour = self.path.with_extension(format!("{}.new", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options
            .open(&neighbour)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| fs::rename(&neighbour, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(&neighbour);
        }
        written
    }

    /// Forgets what was told: nobody answers any more.
    pub(super) fn forget(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use streamspace_client::context::CredentialReference;

    use super::*;

    fn context(name: &str) -> Context {
        Context {
            name: name.into(),
            endpoint: "localhost:1".parse().unwrap(),
            region: String::new(),
            authorities: Vec::new(),
            credential: CredentialReference::File { path: "k".into() },
            protected: false,
        }
    }

    fn told(prefix: &str, whole: bool) -> Told {
        let name = Name { name: "acme".into(), about: String::new() };
        Told { prefix: prefix.into(), whole, names: vec![name] }
    }

    #[test]
    fn what_is_kept_answers_what_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path(), &context("a"), Kind::Tenants);
        assert_eq!(cache.load("", Age::Stale), None);
        cache.store(&told("", true)).unwrap();
        assert!(cache.load("", Age::Fresh).is_some());
        assert!(cache.load("ac", Age::Fresh).is_some());
        cache.store(&told("ac", false)).unwrap();
        assert!(cache.load("ac", Age::Fresh).is_some());
        assert_eq!(cache.load("acm", Age::Fresh), None);
        assert_eq!(cache.load("", Age::Fresh), None);
        let other = Cache::new(folder.path(), &context("b"), Kind::Tenants);
        assert_eq!(other.load("ac", Age::Stale), None);
        let other = Cache::new(folder.path(), &context("a"), Kind::Plans);
        assert_eq!(other.load("ac", Age::Stale), None);
        cache.forget();
        assert_eq!(cache.load("ac", Age::Stale), None);
    }

    #[test]
    fn names_grow_old() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path(), &context("a"), Kind::Tenants);
        let keep = |at: u64| {
            let text = serde_json::to_vec(&Stored { at, told: told("", true) }).unwrap();
            fs::write(&cache.path, text).unwrap();
        };
        keep(seconds() - FRESH.as_secs() - 1);
        assert_eq!(cache.load("", Age::Fresh), None);
        assert!(cache.load("", Age::Stale).is_some());
        keep(seconds() - STALE.as_secs() - 1);
        assert_eq!(cache.load("", Age::Stale), None);
        keep(seconds() + 3600);
        assert_eq!(cache.load("", Age::Stale), None);
        fs::write(&cache.path, b"{").unwrap();
        assert_eq!(cache.load("", Age::Stale), None);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_them() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("streamspace/completion");
        let cache = Cache::new(&folder, &context("a"), Kind::Tenants);
        cache.store(&told("", true)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&cache.path), mode(&folder)), (0o600, 0o700));
    }
}
