//! Where documents come from: files, folders, standard input.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::document::{Document, read_documents};
use crate::errors::{Failure, Outcome};

/// A file that is larger than this is none that a person wrote.
const LARGEST: u64 = 16 << 20;

/// All documents of all files, in their order. Two that describe the same tenant
/// are refused: which one holds would be chance.
pub(super) fn read(files: &[PathBuf]) -> Outcome<Vec<Document>> {
    let mut documents: Vec<Document> = Vec::new();
    for file in files {
        for (origin, text) in texts(file)? {
            documents.extend(read_documents(&origin, &text)?);
        }
    }
    for (at, document) in documents.iter().enumerate() {
        let twin = documents.iter().skip(at + 1).find(|d| d.tenant.name == document.tenant.name);
        if let Some(twin) = twin {
            return Err(Failure::Usage {
                message: format!(
                    "{} is described twice: in {} and in {}",
                    document.tenant.name, document.origin, twin.origin
                ),
                next: "keep one of them".into(),
            });
        }
    }
    if documents.is_empty() {
        return Err(Failure::Usage {
            message: "there is no document to apply".into(),
            next: "a document begins with `kind: Tenant`; a folder is searched for *.yaml".into(),
        });
    }
    Ok(documents)
}

fn texts(file: &Path) -> Outcome<Vec<(String, String)>> {
    if file == Path::new("-") {
        let text = read_text(&mut io::stdin().lock(), "standard input")?;
        return Ok(vec![("standard input".into(), text)]);
    }
    let paths = if file.is_dir() { yaml_files(file)? } else { vec![file.to_owned()] };
    paths
        .into_iter()
        .map(|path| {
            let origin = path.display().to_string();
            let mut opened = fs::File::open(&path).map_err(|error| unreadable(&origin, &error))?;
            Ok((origin.clone(), read_text(&mut opened, &origin)?))
        })
        .collect()
}

fn yaml_files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let shown = folder.display().to_string();
    let mut paths = fs::read_dir(folder)
        .and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
        })
        .map_err(|error| unreadable(&shown, &error))?;
    paths.retain(|path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        path.is_file() && matches!(extension, Some("yaml" | "yml"))
    });
    paths.sort();
    Ok(paths)
}

fn read_text(reader: &mut impl io::Read, origin: &str) -> Outcome<String> {
    let mut text = String::new();
    let read = reader.take(LARGEST + 1).read_to_string(&mut text);
    let read = read.map_err(|error| unreadable(origin, &error))?;
    if u64::try_from(read).unwrap_or(u64::MAX) > LARGEST {
        return Err(unreadable(origin, &io::Error::other("it is larger than 16 MiB")));
    }
    Ok(text)
}

fn unreadable(origin: &str, error: &io::Error) -> Failure {
    Failure::Usage {
        message: format!("cannot read {origin}: {error}"),
        next: "name a YAML file, a folder, or - for standard input".into(),
    }
}
