//! The manual pages: they are those that the programs write, each command has its own, and
//! what they must say is in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use streamspace_tests::daemon::program;
use streamspaced::config::reference::sections;

use crate::{
    commands,
    reference::{is_variable, rows},
    world::root,
};

/// The committed pages by their file names.
fn committed() -> BTreeMap<String, String> {
    let folder = root().join("man");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    // Beside them is what writes them.
    entries
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| {
            let text = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect()
}

/// A page as it is read: without fonts and the signs of roff.
fn read(text: &str) -> String {
    let mut text = text.to_owned();
    for (sign, stands) in [
        ("\\fB", ""),
        ("\\fI", ""),
        ("\\fR", ""),
        ("\\%", ""),
        ("\\&", ""),
        ("\\-", "-"),
        ("\\(aq", "'"),
        ("\\(ti", "~"),
        ("\\(ha", "^"),
        ("\\(ga", "`"),
        ("\\e", "\\"),
    ] {
        text = text.replace(sign, stands);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_pages_are_those_that_the_programs_write() {
    let fresh = tempfile::tempdir().unwrap();
    for name in ["ssctl", "streamspaced"] {
        let folder = fresh.path().to_str().unwrap();
        let status = Command::new(program(name)).args(["man", folder]).status().unwrap();
        assert!(status.success(), "{name} man");
    }
    let written: BTreeMap<String, String> = fs::read_dir(fresh.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let text = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect();
    let committed = committed();
    let names: BTreeSet<&String> = written.keys().chain(committed.keys()).collect();
    let stale: Vec<_> =
        names.into_iter().filter(|name| written.get(*name) != committed.get(*name)).collect();
    assert!(stale.is_empty(), "run `make man`: {stale:?} are not as the programs write them");
}

#[test]
fn each_command_has_its_page_and_each_page_its_command() {
    let section = |program: &str| if program == "ssctl" { "1" } else { "8" };
    let commands: BTreeSet<String> = commands::all()
        .iter()
        .map(|entry| format!("{}.{}", entry.path.join("-"), section(&entry.path[0])))
        .collect();
    let pages: BTreeSet<String> =
        committed().into_keys().filter(|name| !name.ends_with(".5")).collect();
    assert_eq!(pages, commands);
}

#[test]
fn a_page_has_what_help_says() {
    let pages = committed();
    for entry in commands::all() {
        let section = if entry.path[0] == "ssctl" { 1 } else { 8 };
        let name = format!("{}.{section}", entry.path.join("-"));
        let page = read(&pages[&name]);
        let (about, _) = entry.about().split_once('\n').map_or_else(
            || (entry.about(), String::new()),
            |(first, rest)| (first.to_owned(), rest.to_owned()),
        );
        let about = about.replace("\\<", "<").replace('`', "");
        assert!(page.contains(about.trim_end_matches('.')), "{name} does not say {about:?}");
        for flag in entry.flags() {
            assert!(page.contains(flag), "{name} has no {flag}");
        }
        for title in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS"] {
            assert!(page.contains(&format!(".SH \"{title}\"")), "{name} has no {title}");
        }
        let usage = entry.usage(false);
        let usage = usage.lines().next().unwrap().trim_start_matches("Usage: ");
        assert!(page.contains(usage), "{name} does not say {usage:?}");
    }
}

#[test]
fn every_key_of_the_configuration_is_in_its_page() {
    let page = read(&committed()["streamspaced.toml.5"]);
    let mut found = 0;
    for section in sections() {
        let heading = format!(".SS \"[{}]\"", section.name);
        assert!(section.name.is_empty() || page.contains(&heading), "no {heading}");
        for key in section.keys {
            let kind = key.kind.replace('`', "");
            let term = format!(".TP {} ({kind}", key.name);
            assert!(page.contains(&term), "{}: no {term:?}", section.name);
            found += 1;
        }
    }
    assert!(found > 50, "only {found} keys were found");
}

#[test]
fn codes_variables_and_keys_are_in_the_pages() {
    let pages = committed();
    let ssctl = read(&pages["ssctl.1"]);
    let daemon: String = pages
        .iter()
        .filter(|(name, _)| name.starts_with("streamspaced"))
        .map(|(_, text)| read(text))
        .collect();
    for row in rows("docs/reference/exit-codes.md") {
        if row[0].parse::<u8>().is_ok() {
            assert!(ssctl.contains(&format!(".TP {} {}", row[0], row[1])), "ssctl.1: no {row:?}");
        }
    }
    for row in rows("docs/reference/configuration.md") {
        for name in row[0].split('`').filter(|word| is_variable(word)) {
            let page = if name.starts_with("SSCTL") { &ssctl } else { &daemon };
            assert!(page.contains(name), "no page has {name}");
        }
    }
    let config = read(&pages["ssctl-config.5"]);
    let mut actions = 0;
    for row in rows("docs/how-to/dashboard.md") {
        let [action, keys, _] = &row[..] else { continue };
        if action == "action" {
            continue;
        }
        let keys = keys.replace("` `", ", ").replace('`', "");
        let term = format!(".TP {} ({keys})", action.replace('`', ""));
        assert!(
            action.starts_with("`ssctl") || config.contains(&term),
            "ssctl-config.5: no {term:?}"
        );
        actions += 1;
    }
    assert!(actions > 40, "only {actions} actions were found");
}

/// A page that no tool complains about looks right in all of them.
#[test]
fn mandoc_finds_nothing_to_mend() {
    let Ok(version) = Command::new("mandoc").arg("-V").output() else {
        eprintln!("mandoc is not there: the pages are not checked by it");
        return;
    };
    drop(version);
    let folder = root().join("man");
    let output = Command::new("mandoc")
        .args(["-T", "lint", "-W", "style"])
        .args(committed().keys())
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // A page has no date, so that it is the same on every day that it is made.
    let faults: Vec<&str> =
        said.lines().filter(|line| !line.contains("missing date, using \"\"")).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What `ssctl doctor` looks at, by the names in its code.
fn checks() -> BTreeSet<String> {
    let mut checks = BTreeSet::new();
    for file in ["machine.rs", "region.rs"] {
        let path = root().join("cli/src/commands/doctor").join(file);
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let constants = code.split("const NAME: &str = \"").skip(1);
        let made = code.split("Check::").skip(1).filter_map(|rest| {
            let (_, arguments) = rest.split_once('(')?;
            arguments.trim_start().strip_prefix('"')
        });
        let names = constants.chain(made).filter_map(|rest| rest.split('"').next());
        checks.extend(names.map(str::to_owned));
    }
    checks
}

#[test]
fn every_check_of_the_doctor_is_explained() {
    let checks = checks();
    assert!(checks.len() >= 16, "only {checks:?} were found");
    let rows: BTreeSet<String> = rows("docs/how-to/doctor.md")
        .into_iter()
        .filter(|row| row.len() == 3)
        .map(|row| row[0].trim_matches('`').to_owned())
        .filter(|name| name != "check")
        .collect();
    assert_eq!(rows, checks, "docs/how-to/doctor.md");
    let page = read(&committed()["ssctl-doctor.1"]);
    for check in checks {
        assert!(page.contains(&format!(".TP {check} ")), "ssctl-doctor.1: no {check}");
    }
}
