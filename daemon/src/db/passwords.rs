//! Passwords of the database's logins in files beside the configuration: so that the
//! configuration can be shown and kept where no secret belongs.

use std::{
    fmt::Write as _,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::pool::{DatabaseConfig, DatabaseUrl};

/// The keys of the URLs, which are the names of the files.
const LOGINS: [&str; 5] = ["owner", "operator", "tenant", "audit", "maintainer"];
/// No password that somebody means is longer.
const LONGEST: usize = 1024;

impl DatabaseConfig {
    /// The files that there may be.
    pub(crate) fn password_files(&self) -> Vec<PathBuf> {
        let folder = self.passwords.iter();
        folder.flat_map(|folder| LOGINS.map(|name| folder.join(name))).collect()
    }

    /// Gives each URL without a password the one of its login's file. The error begins
    /// with the key and holds no secret.
    pub(crate) fn read_passwords(&mut self) -> Result<(), String> {
        let Some(folder) = self.passwords.clone() else { return Ok(()) };
        let urls = [
            &mut self.owner,
            &mut self.operator,
            &mut self.tenant,
            &mut self.audit,
            &mut self.maintainer,
        ];
        for (name, url) in LOGINS.into_iter().zip(urls) {
            let Some(login) = Login::of(url.expose()) else {
                return Err(format!(
                    "database.{name}: names no login, whose password would be in \
                     database.passwords; write it as postgres://LOGIN@HOST:5432/DATABASE"
                ));
            };
            if login.has_password {
                continue;
            }
            let password = read(&folder.join(name))
                .map_err(|message| format!("database.passwords: {message}"))?;
            *url = DatabaseUrl::parse(&login.with(&password))
                .map_err(|error| format!("database.{name}: {error}"))?;
        }
        Ok(())
    }
}

/// A URL, cut where its password is or would be.
struct Login<'a> {
    until: &'a str,
    rest: &'a str,
    has_password: bool,
}

impl<'a> Login<'a> {
    /// Nothing where the URL has no login.
    fn of(url: &'a str) -> Option<Self> {
        let start = url.find("://")?.checked_add(3)?;
        let authority = url.get(start..)?.split(['/', '?', '#']).next()?;
        let end = start.checked_add(authority.rfind('@')?)?;
        let (until, rest) = url.split_at_checked(end)?;
        let user = until.get(start..)?;
        Some(Self { until, rest, has_password: user.contains(':') }).filter(|_| !user.is_empty())
    }

    fn with(&self, password: &str) -> String {
        let mut url = format!("{}:", self.until);
        for byte in password.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                url.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _written = write!(url, "%{byte:02X}");
            }
        }
        url + self.rest
    }
}

/// The first line of a file that has one line.
fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let mut text = String::new();
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(2);
    fs::File::open(path)
        .and_then(|file| file.take(most).read_to_string(&mut text))
        .map_err(|error| format!("{shown}: {error}; it should hold the password of that login"))?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() || password.len() > LONGEST || password.contains(char::is_control) {
        return Err(format!(
            "{shown}: should hold one line, a password of 1 to {LONGEST} bytes without control \
             characters"
        ));
    }
    Ok(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, folder: &Path) -> DatabaseConfig {
        let url = |login: &str| DatabaseUrl::parse(&url.replace("LOGIN", login)).unwrap();
        DatabaseConfig {
            owner: url("owner"),
            operator: url("operator"),
            tenant: url("tenant"),
            audit: url("audit"),
            maintainer: DatabaseUrl::parse("postgres://m:own@db/streamspace").unwrap(),
            passwords: Some(folder.to_owned()),
            max_connections: 1,
        }
    }

    fn folder(owner: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("owner"), owner).unwrap();
        for name in ["operator", "tenant", "audit"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        folder
    }

    #[test]
    fn a_url_without_a_password_takes_the_one_of_its_file() {
        let folder = folder("p@ss/w:rd?#%ä \n");
        let mut read = config("postgres://LOGIN@db:5432/s?sslmode=verify-full", folder.path());
        read.read_passwords().unwrap();
        assert_eq!(
            read.owner.expose(),
            "postgres://owner:p%40ss%2Fw%3Ard%3F%23%25%C3%A4%20@db:5432/s?sslmode=verify-full"
        );
        assert_eq!(read.audit.expose(), "postgres://audit:audit@db:5432/s?sslmode=verify-full");
        // One that has a password keeps it, and needs no file.
        assert_eq!(read.maintainer.expose(), "postgres://m:own@db/streamspace");
    }

    #[test]
    fn a_file_that_is_no_password_is_named_and_not_shown() {
        for (text, word) in [
            ("", "owner: should hold one line"),
            ("secret\nsecret\n", "owner: should hold one line"),
            ("secret\u{7}", "owner: should hold one line"),
            (&"s".repeat(LONGEST + 1), "owner: should hold one line"),
        ] {
            let folder = folder(text);
            let mut read = config("postgres://LOGIN@db/s", folder.path());
            let error = read.read_passwords().unwrap_err();
            assert!(error.starts_with("database.passwords: "), "{error}");
            assert!(error.contains(word) && !error.contains("secret"), "{error}");
        }
        let folder = folder("x");
        let mut read = config("postgres://db/s", folder.path());
        let error = read.read_passwords().unwrap_err();
        assert!(error.starts_with("database.owner: names no login"), "{error}");
        fs::remove_file(folder.path().join("tenant")).unwrap();
        let mut read = config("postgres://LOGIN@db/s", folder.path());
        let error = read.read_passwords().unwrap_err();
        assert!(error.contains("tenant: No such file"), "{error}");
    }
}
