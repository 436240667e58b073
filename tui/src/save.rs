//! Files that somebody asks for: each a new one, so that nothing is overwritten.

use std::{
    env,
    fs::OpenOptions,
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

/// So many files of one name are told apart by a number.
const MOST: u32 = 1000;

/// Writes a text to a file where the program was started, called `name`, or `name-2` and so on
/// where that is there. Others on the machine cannot read it: it may name customers.
pub(crate) fn new_file(name: &str, text: &str) -> io::Result<PathBuf> {
    new_file_in(&env::current_dir()?, name, text)
}

fn new_file_in(folder: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, "txt"));
    // A daemon chose the name; it must not choose the folder.
    let stem: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' })
        .collect();
    for number in 1..=MOST {
        let name = match number {
            1 => format!("{stem}.{end}"),
            number => format!("{stem}-{number}.{end}"),
        };
        let path = folder.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                return Ok(path);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, "too many files of this name are here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_kept_and_no_name_leads_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| new_file_in(folder.path(), name, text).unwrap();
        let first = write("INC-7.md", "one");
        let second = write("INC-7.md", "two");
        assert_eq!(second, folder.path().join("INC-7-2.md"));
        assert_eq!(std::fs::read_to_string(first).unwrap(), "one");
        let hostile = write("../../etc/x.yaml", "three");
        assert_eq!(hostile, folder.path().join("______etc_x.yaml"));
    }
}
