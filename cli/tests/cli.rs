//! The built program as a user starts it, where no daemon is needed: help, talk,
//! data and exit codes, word for word.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    reason = "a test that cannot go on must stop"
)]

mod machine;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use machine::{Machine, Run, certificate_and_key, golden, set_mode};

#[test]
fn help_is_as_it_was_agreed() {
    let machine = Machine::new();
    for (name, arguments) in [
        ("help.txt", vec!["--help"]),
        ("help-tenant.txt", vec!["tenant", "-h"]),
        ("help-tenant-create.txt", vec!["tenant", "create", "-h"]),
        ("help-tenant-set.txt", vec!["tenant", "set", "-h"]),
        ("help-tenant-delete.txt", vec!["tenant", "delete", "-h"]),
        ("help-apply.txt", vec!["apply", "--help"]),
        ("help-diff.txt", vec!["diff", "-h"]),
        ("help-login.txt", vec!["login", "-h"]),
        ("help-token-create.txt", vec!["token", "create", "-h"]),
    ] {
        let run = machine.run(&arguments);
        assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{name}");
        golden(name, &run.stdout);
    }
}

#[test]
fn errors_say_what_why_and_what_next() {
    let nobody = unused_address();
    let cases: [(&str, &[&str], i32); 12] = [
        ("no-context", &["tenant", "list"], 4),
        ("unknown-context", &["--context", "us-esat-1", "whoami"], 4),
        ("no-keys", &["whoami"], 4),
        ("bad-token", &["login", "localhost", "--token", "hello"], 2),
        ("cut-token", &["login", "localhost", "--token", "sst1_AAAA"], 2),
        ("bad-host", &["login", "https://localhost", "--token", "x"], 2),
        ("typo", &["tenant", "delet", "acme"], 2),
        ("missing-flags", &["tenant", "create", "acme"], 2),
        (
            "bad-subject",
            &["tenant", "create", "a", "--plan", "p", "--seats", "1", "--admin", "group:"],
            2,
        ),
        ("bad-duration", &["--timeout", "soon", "whoami"], 2),
        ("no-file", &["apply", "-f", "absent.yaml"], 1),
        ("unknown-to-delete", &["context", "delete", "us-esat-1"], 4),
    ];
    let mut all = String::new();
    for (name, arguments, exit) in cases {
        let machine = Machine::new();
        if name != "no-context" {
            machine.with_contexts(&[("us-east-1", &nobody), ("eu-west-1", &nobody)]);
        }
        let run = machine.run(arguments);
        assert_eq!((run.exit, run.stdout.as_str()), (exit, ""), "{name}: {}", run.stderr);
        all += &format!("$ ssctl {}\n{}\n", arguments.join(" "), machine.plain(&run.stderr));
    }
    golden("errors.txt", &all);
}

/// A command that finds its keys in plain files, as in CI.
fn with_plain_files(machine: &Machine, endpoint: &str, key_mode: u32) -> (Command, String) {
    let (certificate, key) = certificate_and_key();
    let key = machine.file("k.pem", &key);
    set_mode(Path::new(&key), key_mode);
    let mut command = machine.command(&["whoami"]);
    command
        .env("SSCTL_ENDPOINT", endpoint)
        .env("SSCTL_CA", machine.file("ca.pem", &certificate))
        .env("SSCTL_CLIENT_CERT", machine.file("c.pem", &certificate))
        .env("SSCTL_CLIENT_KEY", &key);
    (command, key)
}

#[test]
fn a_daemon_that_is_not_there_is_unavailable_and_soon() {
    let machine = Machine::new();
    let endpoint = unused_address();
    let begin = std::time::Instant::now();
    let (mut command, _) = with_plain_files(&machine, &endpoint, 0o600);
    let run = Run::new(command.output().unwrap());
    assert_eq!(run.exit, 8, "{}", run.stderr);
    let what = format!("cannot reach {endpoint}: nobody listens there");
    assert!(run.stderr.contains(&what), "{}", run.stderr);
    assert!(run.stderr.contains("next:"), "{}", run.stderr);
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
}

#[test]
fn a_daemon_that_does_not_answer_is_given_up() {
    let machine = Machine::new();
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = silent.local_addr().unwrap().to_string();
    let (mut command, _) = with_plain_files(&machine, &endpoint, 0o600);
    let run = Run::new(command.args(["--timeout", "1s"]).output().unwrap());
    assert_eq!(run.exit, 9, "{}", run.stderr);
    assert!(run.stderr.contains("no answer within 1 s"), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_refused() {
    let machine = Machine::new();
    let (mut command, key) = with_plain_files(&machine, &unused_address(), 0o644);
    let run = Run::new(command.output().unwrap());
    assert_eq!(run.exit, 4, "{}", run.stderr);
    assert!(run.stderr.contains(&format!("chmod 600 {key}")), "{}", run.stderr);
}

#[test]
fn contexts_are_listed_chosen_shown_and_forgotten() {
    let machine = Machine::new();
    machine.with_contexts(&[("us-east-1", "a.example:1"), ("eu-west-1", "b.example:2")]);
    let list = machine.run(&["context", "list"]);
    assert_eq!(
        list.stdout,
        "NAME       CURRENT  REGION     ENDPOINT     PROTECTED\n\
         eu-west-1           eu-west-1  b.example:2\n\
         us-east-1  yes      us-east-1  a.example:1\n"
    );
    let chosen = machine.run(&["context", "use", "eu-west-1"]);
    assert_eq!((chosen.exit, chosen.stderr.as_str()), (0, "context eu-west-1 is now current\n"));
    let names = machine.run(&["context", "list", "-o", "name"]);
    assert_eq!(names.stdout, "eu-west-1\nus-east-1\n");
    let shown = machine.run(&["context", "show", "-o", "yaml"]);
    assert!(shown.stdout.contains("endpoint: b.example:2"), "{}", shown.stdout);
    let deleted = machine.run(&["context", "delete", "eu-west-1"]);
    assert_eq!(deleted.exit, 0, "{}", deleted.stderr);
    let json = machine.run(&["context", "list", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 1);
    assert_eq!(json[0]["name"], "us-east-1");
    assert_eq!(json[0]["current"], false);
}

#[test]
fn a_wrong_file_is_refused_before_anything_is_sent() {
    let machine = Machine::new();
    machine.with_contexts(&[("dev", &unused_address())]);
    let text = "kind: Tenant\nname: acme\nspec: {plan: business, seast: 3}\n";
    let run = machine.feed(&["apply", "-f", "-"], text);
    assert_eq!(run.exit, 2, "{}", run.stderr);
    assert!(run.stderr.contains("spec.seast is not known; did you mean seats?"), "{}", run.stderr);
    let twice = "kind: Tenant\nname: acme\n---\nkind: Tenant\nname: tenants/acme\n";
    let run = machine.feed(&["apply", "-f", "-"], twice);
    assert_eq!(run.exit, 2, "{}", run.stderr);
    assert!(run.stderr.contains("tenants/acme is described twice"), "{}", run.stderr);
}

#[test]
fn the_version_is_told_in_every_format() {
    let machine = Machine::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(machine.run(&["version"]).stdout, format!("ssctl {version}\n"));
    assert_eq!(machine.run(&["--version"]).stdout, format!("ssctl {version}\n"));
    let json = machine.run(&["version", "-o", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["version"], version);
}

#[test]
fn colour_comes_only_where_it_is_asked_for() {
    let machine = Machine::new();
    let stderr = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = machine.command(arguments);
        Run::new(command.envs(variables.iter().copied()).output().unwrap()).stderr
    };
    assert!(!stderr(&[], &["whoami"]).contains('\u{1b}'));
    assert!(stderr(&[("CLICOLOR_FORCE", "1")], &["whoami"]).contains('\u{1b}'));
    let both = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
    assert!(!stderr(&both, &["whoami"]).contains('\u{1b}'));
    assert!(!stderr(&[("CLICOLOR_FORCE", "1")], &["--no-color", "whoami"]).contains('\u{1b}'));
}

/// The manual pages that are committed are those that this program writes.
#[test]
fn the_manual_pages_are_not_stale() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../man");
    let machine = Machine::new();
    let fresh = machine.home.path().join("man");
    let run = machine.run(&["man", fresh.to_str().unwrap()]);
    assert_eq!(run.exit, 0, "{}", run.stderr);
    let names = |folder: &Path| {
        let mut names: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into()).collect();
        names.retain(|name| name.to_string_lossy().starts_with("ssctl"));
        names.sort();
        names
    };
    let hint = "run `make man`";
    assert_eq!(names(&committed), names(&fresh), "{hint}");
    for name in names(&fresh) {
        let page = |folder: &Path| fs::read_to_string(folder.join(&name)).unwrap();
        assert!(page(&committed) == page(&fresh), "{} is stale: {hint}", name.display());
    }
}

/// Nothing is started with settings that are wrong, and what to write is told.
#[test]
fn the_settings_of_the_dashboard_are_judged_before_it_opens() {
    let machine = Machine::new();
    machine.with_contexts(&[("dev", &unused_address())]);
    let mut told = String::new();
    for settings in [
        "theme = \"dark\"\n",
        "mouse = maybe\n",
        "colours = true\n",
        "[keys]\nquitt = [\"x\"]\n",
        "[keys]\nquit = [\"pagedown\"]\n",
        "[keys]\nquit = [\"ctrl-m\"]\n",
        "[keys]\nquit = []\n",
        "theme = \"light\"\n\n[keys]\nsort = [\"q\"]\n",
        "[keys]\ncancel = [\"x\"]\n",
        "[keys]\nhelp = [\"ctrl-c\"]\n",
    ] {
        machine.file("streamspace/ui.toml", settings);
        let run = machine.run(&["ui"]);
        assert_eq!((run.exit, run.stdout.as_str()), (1, ""), "{}", run.stderr);
        told += &format!("{settings}---\n{}\n", machine.plain(&run.stderr));
    }
    golden("ui-settings.txt", &told);

    machine.file("streamspace/ui.toml", "[keys]\nquit = [\"Q\", \"f10\"]\n");
    let run = machine.run(&["ui"]);
    assert!(run.stderr.contains("the dashboard needs a terminal"), "{}", run.stderr);
    for (variable, value) in [("SSCTL_UI_THEME", "dark"), ("SSCTL_UI_MOUSE", "maybe")] {
        let output = machine.command(&["ui"]).env(variable, value).output().unwrap();
        let run = Run::new(output);
        assert!(run.exit == 2 && run.stderr.contains(value), "{} {}", run.exit, run.stderr);
    }
}

/// An address where nobody listens.
fn unused_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
