//! Holds the code to the arrows that `docs/architecture.md` draws, and the dependency
//! tree to what may not be in it.

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

/// The arrows between crates: who may use whom.
const CRATE_ARROWS: [(&str, &[&str]); 8] = [
    ("streamspace-core", &[]),
    ("streamspace-proto", &[]),
    ("streamspace-client", &["streamspace-proto"]),
    ("streamspace-sim", &[]),
    ("streamspaced", &["streamspace-core", "streamspace-proto", "streamspace-sim"]),
    ("streamspace-tui", &["streamspace-client", "streamspace-proto"]),
    ("ssctl", &["streamspace-client", "streamspace-proto", "streamspace-tui"]),
    (
        "streamspace-tests",
        &["streamspace-client", "streamspace-proto", "streamspace-sim", "streamspaced"],
    ),
];

#[test]
fn crates_use_only_what_stands_below_them() {
    let metadata: serde_json::Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let allowed: BTreeMap<&str, &[&str]> = CRATE_ARROWS.into_iter().collect();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let below = allowed.get(name).unwrap_or_else(|| panic!("{name} is not in the picture"));
        seen.insert(name.to_owned());
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            // What only tests use does not make an arrow.
            if dependency["path"].is_string() && dependency["kind"].is_null() {
                assert!(below.contains(&other), "{name} must not use {other}");
            }
        }
    }
    assert_eq!(seen.len(), allowed.len(), "{seen:?}");
}

/// The floors of the daemon, from the ground up. A folder uses only those named here.
const DAEMON_ARROWS: [(&str, &[&str]); 16] = [
    ("db", &[]),
    ("kube", &[]),
    ("rpc", &["db"]),
    ("access", &["db", "rpc"]),
    ("audit", &["db", "rpc"]),
    ("operations", &["db", "rpc"]),
    ("plans", &["db", "rpc"]),
    ("regions", &["db", "kube", "rpc"]),
    ("tenants", &["access", "db", "kube", "operations", "plans", "rpc"]),
    ("watch", &["db", "operations", "rpc", "tenants"]),
    ("telemetry", &["db", "regions", "rpc"]),
    ("config", &["db", "kube", "telemetry"]),
    ("setup", &["access", "config", "db"]),
    (
        "region",
        &[
            "access", "audit", "config", "db", "kube", "operations", "plans", "regions", "rpc",
            "telemetry", "tenants", "watch",
        ],
    ),
    ("dev", &["access", "config", "db", "kube", "region", "telemetry"]),
    ("main", &["config", "dev", "kube", "region", "setup", "telemetry"]),
];

#[test]
fn the_daemons_folders_use_only_what_stands_below_them() {
    let source = root().join("daemon/src");
    let floors: BTreeMap<&str, &[&str]> = DAEMON_ARROWS.into_iter().collect();
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).unwrap();
        let floor = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if floor == "lib" || is_test_code(relative) {
            continue;
        }
        let below = floors.get(floor).unwrap_or_else(|| panic!("{floor} is not in the picture"));
        for used in used_modules(&production_code(&file)) {
            if used != floor && !below.contains(&used.as_str()) {
                wrong.push(format!("{}: {floor} must not use {used}", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
