//! Holds the code to the arrows that `docs/architecture.md` draws, the dependency tree to
//! what may not be in it, and the reference in `docs/` to what is in the code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_path_buf()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The arrows that `docs/architecture.md` draws, in the block with this name: who uses
/// whom.
type Arrows = BTreeMap<String, BTreeSet<String>>;

fn drawn(name: &str) -> Arrows {
    let mut arrows = Arrows::new();
    for line in block(name).lines() {
        let (from, to) = line.split_once("->").unwrap_or_else(|| panic!("no arrow: {line}"));
        let to = to.split(',').map(str::trim).filter(|other| !other.is_empty());
        let to = to.map(str::to_owned).collect();
        assert!(arrows.insert(from.trim().to_owned(), to).is_none(), "twice: {from}");
    }
    arrows
}

/// The fenced block of the document that begins with this line.
fn block(name: &str) -> String {
    let document = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let fence = format!("```{name}\n");
    let start = document.find(&fence).unwrap_or_else(|| panic!("no block {name}")) + fence.len();
    let length = document[start..].find("\n```").expect("the block ends");
    document[start..start + length].to_owned()
}

#[test]
fn crates_use_exactly_what_the_document_says() {
    let metadata: serde_json::Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let mut used = Arrows::new();
    for package in metadata["packages"].as_array().unwrap() {
        // What only tests use does not make an arrow.
        let ours =
            package["dependencies"].as_array().unwrap().iter().filter(|dependency| {
                dependency["path"].is_string() && dependency["kind"].is_null()
            });
        let names = ours.map(|dependency| dependency["name"].as_str().unwrap().to_owned());
        used.insert(package["name"].as_str().unwrap().to_owned(), names.collect());
    }
    assert_eq!(used, drawn("arrows-of-crates"));
}

#[test]
fn the_daemons_folders_use_exactly_what_the_document_says() {
    let source = root().join("daemon/src");
    let mut used = Arrows::new();
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).unwrap();
        let floor = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if floor == "lib" || is_test_code(relative) {
            continue;
        }
        let mut others = used_modules(&production_code(&file));
        others.remove(floor);
        used.entry(floor.to_owned()).or_default().extend(others);
    }
    assert_eq!(used, drawn("arrows-of-the-daemon"));
}

/// The pictures show floors: whoever uses another stands on a floor above it.
#[test]
fn the_pictures_stand_on_the_arrows() {
    for (picture, arrows) in
        [("house", "arrows-of-crates"), ("house-of-the-daemon", "arrows-of-the-daemon")]
    {
        let picture = block(picture);
        let floor = |name: &str| {
            let is_there = |line: &str| {
                let outside = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_');
                line.split(outside).any(|word| word == name)
            };
            let found = picture.lines().position(is_there);
            found.unwrap_or_else(|| panic!("{name} is not in the picture"))
        };
        for (name, others) in drawn(arrows) {
            for other in others {
                assert!(floor(&name) < floor(&other), "{name} does not stand above {other}");
            }
        }
    }
}

#[test]
fn no_capability_reaches_into_anothers_store() {
    let source = root().join("daemon/src");
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).unwrap();
        let floor = relative.iter().next().unwrap().to_str().unwrap();
        for path in paths(&production_code(&file)) {
            let parts: Vec<&str> = path.split("::").collect();
            if let [other, "store", ..] = parts.as_slice() {
                assert_eq!(*other, floor, "{} uses {path}", relative.display());
            }
        }
    }
}

#[test]
fn core_has_no_io_no_clock_and_no_async() {
    for file in rust_files(&root().join("core/src")) {
        let code = production_code(&file);
        for banned in
            ["std::fs", "std::net", "std::env", "Timestamp::now", "Instant::now", "async fn"]
        {
            assert!(!code.contains(banned), "{} has {banned}", file.display());
        }
    }
}

/// Holds on machines without `cargo deny` as well.
#[test]
fn cryptography_is_aws_lc_rs_alone() {
    let tree = cargo(&["tree", "--workspace", "--edges", "normal,build", "--prefix", "none"]);
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("aws-lc-rs"));
    for banned in ["ring", "openssl", "openssl-sys", "native-tls"] {
        assert!(!names.contains(banned), "{banned} is in the dependency tree");
    }
}

/// Whoever adds a dependency says what it is for.
#[test]
fn every_dependency_has_its_reason() {
    let metadata: serde_json::Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let document = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let mut unnamed = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            if !dependency["path"].is_string() && !document.contains(&format!("`{name}`")) {
                unnamed.insert(name);
            }
        }
    }
    assert!(unnamed.is_empty(), "docs/dependencies.md does not name {unnamed:?}");
}

#[test]
fn every_error_reason_is_in_the_reference_and_nothing_else() {
    // A reason of one word cannot be told from other texts; these are known.
    let mut given = BTreeSet::from(["INTERNAL", "DENIED", "OVERCOMMIT"].map(str::to_owned));
    for file in rust_files(&root().join("daemon/src")) {
        if !is_test_code(&file) {
            let code = production_code(&file);
            given.extend(code.split('"').filter(|text| is_reason(text)).map(str::to_owned));
        }
    }
    let document = fs::read_to_string(root().join("docs/reference/errors.md")).unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    let named = rows.flat_map(|row| row.split(['`', ',', ' '])).filter(|word| !word.is_empty());
    assert_eq!(given, named.map(str::to_owned).collect());
}

/// Two words or more in capitals, and not the name of a variable, a file or a capability of
/// containers.
fn is_reason(text: &str) -> bool {
    let variables = [
        "CARGO_",
        "DAC_OVERRIDE",
        "JOURNAL_STREAM",
        "LC_ALL",
        "LISTEN_",
        "NET_BIND_SERVICE",
        "NOTIFY_SOCKET",
        "NO_COLOR",
        "PG_VERSION",
        "SSCTL_",
        "STREAMSPACE",
        "UPDATE_",
        "XDG_",
    ];
    let letters = |c: char| c == '_' || c.is_ascii_uppercase();
    let ends = |c: char| c.is_ascii_uppercase();
    text.contains('_')
        && text.starts_with(ends)
        && text.ends_with(ends)
        && text.chars().all(letters)
        && !variables.iter().any(|name| text.starts_with(name))
}

#[test]
fn every_exit_code_is_in_the_reference() {
    let code = fs::read_to_string(root().join("cli/src/exit.rs")).unwrap();
    let table = code.split("\nExit codes:\n").nth(1).unwrap().split('"').next().unwrap();
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let given: BTreeSet<String> =
        table.lines().filter_map(first).map(|word| word.trim_matches(';').to_owned()).collect();
    let document = fs::read_to_string(root().join("docs/reference/exit-codes.md")).unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| ").and_then(first));
    let named: BTreeSet<String> = rows.filter(|word| word.parse::<u8>().is_ok()).collect();
    assert_eq!(given, named);
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn is_test_code(relative: &Path) -> bool {
    let names: Vec<_> = relative.iter().filter_map(|name| name.to_str()).collect();
    names.iter().any(|name| matches!(*name, "tests" | "tests.rs" | "testing.rs"))
}

/// The code of a file without its tests and comments.
fn production_code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The first parts of all paths into this crate.
fn used_modules(code: &str) -> BTreeSet<String> {
    paths(code).iter().filter_map(|path| path.split("::").next()).map(str::to_owned).collect()
}

/// Every path that begins with `crate::` (`streamspaced::` in the program), without
/// that beginning, nested use lists written out.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "streamspaced::"] {
        for (index, _) in code.match_indices(start) {
            let before = code[..index].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            expand("", &code[index + start.len()..], &mut found);
        }
    }
    found
}

/// Reads one path or list at the start of `text`; returns what follows it.
fn expand<'a>(prefix: &str, text: &'a str, found: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            let after = expand(prefix, rest, found);
            if after.len() == rest.len() {
                return "";
            }
            rest = after;
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let path = format!("{prefix}{}", &text[..end]);
    if let Some(rest) = text[end..].strip_prefix("::") {
        return expand(&format!("{path}::"), rest, found);
    }
    found.push(path);
    let rest = &text[end..];
    rest.strip_prefix(" as ").map_or(rest, |named| {
        let end = named.find(|c: char| !c.is_alphanumeric() && c != '_');
        &named[end.unwrap_or(named.len())..]
    })
}

#[test]
fn nested_use_lists_are_read() {
    let code = "use crate::{db::{Database, changes::{self as log, ChangeLog}}, kube::Cluster};";
    assert_eq!(
        paths(code),
        ["db::Database", "db::changes::self", "db::changes::ChangeLog", "kube::Cluster"]
    );
}
