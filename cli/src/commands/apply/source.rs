//! Where documents come from: files, folders, standard input.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    document::{Document, read_documents},
    yaml::Fault,
};
use crate::errors::Failure;

/// A file that is larger than this is none that a person wrote.
const LARGEST: u64 = 16 << 20;
/// How many documents are applied at once.
const MOST_DOCUMENTS: usize = 10_000;
/// How deep folders may stand in each other.
const DEEPEST: usize = 32;
/// How many faults of a file are told.
const MOST_FAULTS: usize = 20;
/// What a file of a folder is called.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

const SHOWS_THE_FORM: &str = "`ssctl apply --help` shows the form; nothing was changed";

/// All documents of all files, in the order in which they are applied, or all that
/// is wrong with them.
///
/// Two that describe the same resource are refused: which one holds would be chance.
pub(super) fn read(files: &[PathBuf], may_be_empty: bool) -> Result<Vec<Document>, Vec<Failure>> {
    let mut documents: Vec<Document> = Vec::new();
    let mut failures = Vec::new();
    for file in files {
        for read in bytes(file) {
            match read.and_then(|(origin, bytes)| {
                read_documents(&bytes, &origin).map_err(|faults| told(&origin, &faults))
            }) {
                Ok(read) => documents.extend(read),
                Err(wrong) => failures.extend(wrong),
            }
        }
    }
    failures.extend(twins(&documents));
    if documents.len() > MOST_DOCUMENTS {
        failures.push(Failure::Usage {
            message: format!("there are more than {MOST_DOCUMENTS} documents"),
            next: "apply them folder by folder".into(),
        });
    }
    if documents.is_empty() && failures.is_empty() && !may_be_empty {
        failures.push(Failure::Usage {
            message: "there is no document to apply".into(),
            next: "a document begins with `kind: Tenant`; a folder is searched for *.yaml, *.yml \
                   and *.json"
                .into(),
        });
    }
    if !failures.is_empty() {
        return Err(failures);
    }
    // What is needed comes first; else the order is that of the files.
    let rank = |document: &Document| {
        super::kind::KINDS.iter().position(|kind| kind.word() == document.kind.word())
    };
    documents.sort_by_key(rank);
    Ok(documents)
}

fn twins(documents: &[Document]) -> Vec<Failure> {
    let mut first: BTreeMap<String, &Document> = BTreeMap::new();
    let mut failures = Vec::new();
    for document in documents {
        let title = document.title();
        if let Some(twin) = first.get(&title) {
            failures.push(Failure::Usage {
                message: format!(
                    "{title} is described twice: in {} and in {}",
                    twin.origin, document.origin
                ),
                next: "keep one of them; nothing was changed".into(),
            });
        } else {
            first.insert(title, document);
        }
    }
    failures
}

fn told(origin: &str, faults: &[Fault]) -> Vec<Failure> {
    let mut failures: Vec<Failure> = faults
        .iter()
        .take(MOST_FAULTS)
        .map(|fault| Failure::Usage {
            message: match fault.line {
                Some(line) => format!("{origin}:{line}: {}", fault.message),
                None => format!("{origin}: {}", fault.message),
            },
            next: SHOWS_THE_FORM.into(),
        })
        .collect();
    if faults.len() > MOST_FAULTS {
        failures.push(Failure::Usage {
            message: format!("{origin}: {} more are wrong", faults.len() - MOST_FAULTS),
            next: SHOWS_THE_FORM.into(),
        });
    }
    failures
}

/// What a file was read to be: where it comes from, and its bytes.
type Read = Result<(String, Vec<u8>), Vec<Failure>>;

fn bytes(file: &Path) -> Vec<Read> {
    if file == Path::new("-") {
        let origin = "standard input";
        let read = read_bytes(&mut io::stdin().lock(), origin);
        return vec![read.map(|bytes| (origin.to_owned(), bytes))];
    }
    let paths = if file.is_dir() {
        let mut paths = Vec::new();
        match walk(file, 0, &mut BTreeSet::new(), &mut paths) {
            Ok(()) => paths,
            Err(failure) => return vec![Err(vec![failure])],
        }
    } else {
        vec![file.to_owned()]
    };
    let open = |path: PathBuf| {
        let origin = path.display().to_string();
        let mut opened =
            fs::File::open(&path).map_err(|error| vec![unreadable(&origin, &error)])?;
        read_bytes(&mut opened, &origin).map(|bytes| (origin, bytes))
    };
    paths.into_iter().map(open).collect()
}

/// The files of a folder and of the folders in it, in the order of their names. What
/// begins with a dot is left alone. A folder that is met again, as by a link that
/// leads upwards, is not read twice.
fn walk(
    folder: &Path,
    depth: usize,
    seen: &mut BTreeSet<PathBuf>,
    paths: &mut Vec<PathBuf>,
) -> Result<(), Failure> {
    let shown = folder.display().to_string();
    let wrong = |error: io::Error| unreadable(&shown, &error);
    if !seen.insert(fs::canonicalize(folder).map_err(wrong)?) {
        return Ok(());
    }
    if depth > DEEPEST {
        return Err(Failure::Usage {
            message: format!("{shown}: folders stand in each other deeper than {DEEPEST} times"),
            next: "name the folders that are meant".into(),
        });
    }
    let mut entries = fs::read_dir(folder)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>())
        .map_err(wrong)?;
    entries.sort();
    for entry in entries {
        let name = entry.file_name().map(|name| name.to_string_lossy().into_owned());
        if name.is_none_or(|name| name.starts_with('.')) {
            continue;
        }
        let ending = entry.extension().and_then(|ending| ending.to_str());
        // A link that leads nowhere is told where it would have been read.
        let is_lost =
            fs::symlink_metadata(&entry).is_ok_and(|is| is.is_symlink()) && !entry.exists();
        if entry.is_dir() {
            walk(&entry, depth + 1, seen, paths)?;
        } else if ending.is_some_and(|e| ENDINGS.contains(&e)) && (entry.is_file() || is_lost) {
            paths.push(entry);
        }
    }
    Ok(())
}

fn read_bytes(reader: &mut impl io::Read, origin: &str) -> Result<Vec<u8>, Vec<Failure>> {
    let mut bytes = Vec::new();
    let read = reader.take(LARGEST + 1).read_to_end(&mut bytes);
    let read = read.map_err(|error| vec![unreadable(origin, &error)])?;
    if u64::try_from(read).unwrap_or(u64::MAX) > LARGEST {
        return Err(vec![Failure::Usage {
            message: format!("{origin}: it is larger than 16 MiB"),
            next: "split it; nothing was changed".into(),
        }]);
    }
    Ok(bytes)
}

fn unreadable(origin: &str, error: &io::Error) -> Failure {
    Failure::Local {
        message: format!("cannot read {origin}: {error}"),
        next: "name a YAML or JSON file, a folder, or - for standard input".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACME: &str = "kind: Tenant\nname: acme\nspec: {plan: free, seats: 1}\n";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let documents = read(&[folder.to_owned()], false).unwrap();
        documents.iter().map(Document::title).collect()
    }

    fn refused(files: &[PathBuf]) -> Vec<String> {
        let failures = read(files, false).unwrap_err();
        failures.iter().map(|failure| failure.report(false)).collect()
    }

    #[test]
    fn a_folder_is_read_whole_and_in_order() {
        let folder = folder(&[
            ("b.yml", "kind: Quota\nname: acme\nspec: {cpu: 8}\n"),
            ("a.yaml", ACME),
            ("deep/er/c.json", "{\"kind\": \"Plan\", \"name\": \"free\", \"spec\": {}}"),
            ("notes.txt", "not YAML: ["),
            (".git/x.yaml", "not: [YAML"),
            (".hidden.yaml", "not: [YAML"),
            ("empty.yaml", "# nothing\n"),
        ]);
        assert_eq!(names(folder.path()), ["plans/free", "tenants/acme", "quotas/acme"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_loop_of_links_ends() {
        let folder = folder(&[("sub/a.yaml", ACME)]);
        let link = |name: &str, to: &str| {
            std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
        };
        link("sub/up", "..");
        link("sub/self", ".");
        link("again", "sub");
        assert_eq!(names(folder.path()), ["tenants/acme"]);
        link("lost.yaml", "nowhere");
        let said = refused(&[folder.path().to_owned()]).concat();
        assert!(said.contains("lost.yaml"), "{said}");
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_place() {
        let folder = folder(&[
            ("a.yaml", "kind: Tenant\nname: a\nspec:\n  seast: 3\n  plan: [x]\n"),
            ("b.yaml", "kind: Tenant\nname: [\n"),
        ]);
        let said = refused(&[folder.path().to_owned(), folder.path().join("absent.yaml")]);
        assert_eq!(said.len(), 4, "{said:?}");
        for (said, part) in said.iter().zip(["a.yaml:4: ", "a.yaml:5: ", "b.yaml:2: ", "absent"]) {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn what_is_described_twice_and_nothing_at_all_are_refused() {
        let twice = folder(&[("a.yaml", ACME), ("b.yaml", ACME)]);
        let said = refused(&[twice.path().to_owned()]).concat();
        assert!(said.contains("tenants/acme is described twice"), "{said}");
        let empty = folder(&[("a.yaml", "---\n---\n")]);
        let said = refused(&[empty.path().to_owned()]).concat();
        assert!(said.contains("no document"), "{said}");
        assert!(read(&[empty.path().to_owned()], true).unwrap().is_empty());
    }

    #[test]
    fn a_file_without_an_end_is_given_up() {
        if !Path::new("/dev/zero").exists() {
            return;
        }
        let said = refused(&[PathBuf::from("/dev/zero")]).concat();
        assert!(said.contains("larger than 16 MiB"), "{said}");
    }
}
