//! The files of the documentation.

use std::{collections::BTreeSet, fs, path::Path};

use crate::world::root;

/// What is made from the code; it is not run.
const MADE: [&str; 2] = ["docs/reference/commands/", "docs/reference/api/"];

/// Every page, below the root of the project: the README, and what is in `docs/`.
pub(crate) fn all() -> BTreeSet<String> {
    let mut pages = BTreeSet::from(["README.md".to_owned()]);
    collect(&root().join("docs"), "docs", ".md", &mut pages);
    pages
}

/// Every file below a folder whose name ends so.
pub(crate) fn below(folder: &str, end: &str) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    collect(&root().join(folder), folder, end, &mut files);
    files
}

/// The pages that are written by hand.
pub(crate) fn pages() -> BTreeSet<String> {
    all().into_iter().filter(|name| !is_made(name)).collect()
}

/// Whether a page is made from the code.
pub(crate) fn is_made(name: &str) -> bool {
    MADE.iter().any(|folder| name.starts_with(folder))
}

fn collect(folder: &Path, name: &str, end: &str, files: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("a file");
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &name, end, files);
        } else if name.ends_with(end) {
            files.insert(name);
        }
    }
}
