//! The configuration of a backup, for another place: with other database URLs, and the
//! authority beside it.

use std::{fmt::Write as _, path::Path};

use toml::{Table, Value};

use super::BackupError;
use crate::db::DatabaseConfig;

/// The text with these URLs and this folder of the authority. Comments and order stay where
/// that can be done line by line; what the file means is the same in any case.
pub(super) fn moved(
    text: &str,
    database: &DatabaseConfig,
    access: &Path,
) -> Result<String, BackupError> {
    let broken = |error: toml::de::Error| {
        BackupError::Broken(format!("streamspaced.toml: {}", error.message()))
    };
    let mut wanted: Table = text.parse().map_err(broken)?;
    let urls = [
        ("owner", &database.owner),
        ("operator", &database.operator),
        ("tenant", &database.tenant),
        ("audit", &database.audit),
        ("maintainer", &database.maintainer),
    ];
    let section = wanted.entry("database").or_insert_with(|| Table::new().into());
    let Some(section) = section.as_table_mut() else {
        return Err(BackupError::Broken("streamspaced.toml: database: is no section".into()));
    };
    for (name, url) in urls {
        section.insert(name.to_owned(), Value::String(url.expose().to_owned()));
    }
    // The new passwords are in the URLs.
    section.remove("passwords");
    let mut lines = String::from("[database]\n");
    for (key, value) in section.iter() {
        let _written = writeln!(lines, "{key} = {value}");
    }
    let folder = Value::String(access.display().to_string());
    let section = wanted.entry("access").or_insert_with(|| Table::new().into());
    let Some(section) = section.as_table_mut() else {
        return Err(BackupError::Broken("streamspaced.toml: access: is no section".into()));
    };
    section.insert("directory".to_owned(), folder.clone());

    let edited = edited(text, &lines, &format!("directory = {folder}\n"));
    let is_same = edited.parse::<Table>().is_ok_and(|table| table == wanted);
    Ok(if is_same { edited } else { wanted.to_string() })
}

/// The text with another section `database`, and another line in the section `access`.
fn edited(text: &str, database: &str, directory: &str) -> String {
    let mut edited = String::new();
    let mut section = "";
    let mut placed = false;
    for line in text.lines() {
        let start = line.trim();
        if start.starts_with('[') {
            section = start;
            if section == "[database]" {
                edited += database;
                edited.push('\n');
                continue;
            }
        }
        let is_directory = start.starts_with("directory") && section == "[access]";
        if section == "[database]" || is_directory {
            continue;
        }
        edited += line;
        edited.push('\n');
        if start == "[access]" {
            edited += directory;
            placed = true;
        }
    }
    if !placed {
        let _written = write!(edited, "\n[access]\n{directory}");
    }
    edited
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::DatabaseUrl;

    fn database() -> DatabaseConfig {
        let url = |login: &str| {
            DatabaseUrl::parse(&format!("postgres://streamspace_{login}:new@there/s")).unwrap()
        };
        DatabaseConfig {
            owner: url("owner"),
            operator: url("operator"),
            tenant: url("tenant"),
            audit: url("audit"),
            maintainer: url("maintainer"),
            passwords: None,
            max_connections: 10,
        }
    }

    #[test]
    fn comments_stay_and_what_is_not_moved_means_the_same() {
        let text = "# of us\nregion = 'us-1'\n\n[database]\nowner = 'postgres://o:old@here/s'\n\
                    passwords = '/secret'\nmax_connections = 7\n# of the tenants\n[tenants]\n\
                    workers = 3\n[access]\n# names\nnames = ['a']\ndirectory = '/old'\n";
        let moved = moved(text, &database(), Path::new("/new/\"access\"")).unwrap();
        let table: Table = moved.parse().unwrap();
        assert!(moved.starts_with("# of us\n") && moved.contains("# names"), "{moved}");
        assert!(!moved.contains("old") && !moved.contains("passwords"), "{moved}");
        assert_eq!(table["database"]["max_connections"].as_integer(), Some(7));
        assert_eq!(
            table["database"]["audit"].as_str(),
            Some("postgres://streamspace_audit:new@there/s")
        );
        assert_eq!(table["access"]["directory"].as_str(), Some("/new/\"access\""));
        assert_eq!(table["tenants"]["workers"].as_integer(), Some(3));
    }

    #[test]
    fn other_forms_of_the_file_are_written_anew() {
        for text in [
            "region = 'us-1'\ndatabase.owner = 'postgres://o:old@here/s'\naccess.directory = '/old'\n",
            "region = 'us-1'\ndatabase = {owner = 'postgres://o:old@here/s'}\n",
            "region = 'us-1'\n",
        ] {
            let table: Table =
                moved(text, &database(), Path::new("/new")).unwrap().parse().unwrap();
            assert_eq!(
                table["database"]["owner"].as_str(),
                Some("postgres://streamspace_owner:new@there/s")
            );
            assert_eq!(table["access"]["directory"].as_str(), Some("/new"));
            assert_eq!(table["region"].as_str(), Some("us-1"));
        }
        assert!(moved("region = ", &database(), Path::new("/new")).is_err());
        assert!(moved("database = 1", &database(), Path::new("/new")).is_err());
    }
}
