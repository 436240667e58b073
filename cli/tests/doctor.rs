//! `ssctl doctor` where no daemon is needed: what is broken on this machine has its own
//! line and its remedy.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must stop")]

mod machine;
mod region;

use std::path::Path;

use machine::{Machine, Run, set_mode};
use region::{Answer, Region};
use serde_json::{Value, json};

fn checks(run: &Run) -> Vec<Value> {
    let value: Value = serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{error}: {:?} {:?}", run.stdout, run.stderr));
    value.as_array().unwrap().clone()
}

#[track_caller]
fn is(checks: &[Value], name: &str, state: &str, message: &str, next: &str) {
    let check = checks.iter().find(|check| check["check"] == name);
    let check = check.unwrap_or_else(|| panic!("{name} is not in {checks:?}"));
    let text = |key: &str| check.get(key).and_then(Value::as_str).unwrap_or_default();
    assert!(
        text("state") == state && text("message").contains(message) && text("next").contains(next),
        "{check}"
    );
}

fn doctor(machine: &Machine) -> Vec<Value> {
    let run = machine.run(&["doctor", "-o", "json"]);
    assert_eq!(run.exit, 11, "{} {}", run.stdout, run.stderr);
    checks(&run)
}

#[test]
fn a_machine_that_is_not_logged_in() {
    let found = doctor(&Machine::new());
    is(&found, "context file", "failed", "has no contexts", "ssctl login HOST --token TOKEN");
    is(&found, "context", "skipped", "context file", "");
    is(&found, "environment", "ok", "", "");
}

#[test]
fn a_context_file_that_is_broken() {
    let machine = Machine::new();
    machine.file("streamspace/contexts.toml", "current = ");
    let found = doctor(&machine);
    is(&found, "context file", "failed", "is broken", "mend it by hand");
    is(&found, "context", "skipped", "", "");
}

#[cfg(unix)]
#[test]
fn a_context_file_that_everybody_writes() {
    let machine = Machine::new();
    machine.with_contexts(&[("dev", "127.0.0.1:1")]);
    let file = machine.home.path().join("streamspace/contexts.toml");
    set_mode(&file, 0o666);
    let found = doctor(&machine);
    is(&found, "context file", "failed", "can be written by everybody", "chmod go-w");
    // All the same the rest is looked at.
    is(&found, "keys", "failed", "none.toml", "ssctl login");
    is(&found, "certificate", "skipped", "no keys", "");
    is(&found, "connection", "failed", "nobody listens there", "streamspaced runs");
    is(&found, "answer", "skipped", "without keys", "");
}

#[test]
fn a_context_that_is_not_there() {
    let machine = Machine::new();
    machine.with_contexts(&[("us-east-1", "127.0.0.1:1")]);
    let run = machine.run(&["doctor", "-o", "json", "--context", "us-esat-1"]);
    assert_eq!(run.exit, 11);
    let found = checks(&run);
    is(&found, "context file", "ok", "us-east-1 is current", "");
    is(&found, "context", "failed", "did you mean us-east-1?", "ssctl context list");
}

#[test]
fn a_variable_that_nobody_reads() {
    let machine = Machine::new();
    let run = machine.command(&["doctor", "-o", "json"]).env("SSCTL_CONTEX", "x").output();
    let found = checks(&Run::new(run.unwrap()));
    is(&found, "environment", "warning", "SSCTL_CONTEX is set", "did you mean SSCTL_CONTEXT?");
}

#[test]
fn a_terminal_that_is_not_utf_8() {
    let machine = Machine::new();
    let run = machine.command(&["doctor", "-o", "json"]).env("LC_ALL", "POSIX").output();
    is(&checks(&Run::new(run.unwrap())), "terminal", "warning", "not UTF-8", "LANG=");
}

/// A region of another version that is ill, as its daemon tells it.
fn ill(method: &str, _: &Value) -> Answer {
    match method {
        "AccessService.WhoAmI" => Answer::Is(json!({
            "operator": "ada\u{1b}[2J", "roleName": "viewer", "region": "regions/far"
        })),
        _ => Answer::Is(json!({ "name": "regions/far", "components": [
            { "name": "database", "health": "HEALTH_OK", "message": "fine" },
            { "name": "cluster", "health": "HEALTH_UNAVAILABLE", "message": "refused\u{1b}[2J" },
        ] })),
    }
}

#[test]
fn a_region_that_is_ill_and_of_another_version() {
    let region = Region::of_version(Some("7.0.0"), ill);
    let machine = Machine::new();
    let mut command = region.command(&machine, &["doctor", "-o", "json"]);
    let run = Run::new(command.output().unwrap());
    assert_eq!(run.exit, 11, "{} {}", run.stdout, run.stderr);
    let found = checks(&run);
    is(&found, "context file", "ok", "SSCTL_ENDPOINT takes their place", "");
    is(&found, "environment", "ok", "SSCTL_ENDPOINT=127.0.0.1", "");
    is(&found, "answer", "ok", "region far", "");
    is(&found, "version", "warning", "daemon 7.0.0", "");
    is(&found, "region cluster", "failed", "unavailable: refused", "ssctl region show");
    assert!(found.iter().all(|check| check["check"] != "region database"), "{found:?}");
    // What a daemon says acts on no terminal.
    let run = Run::new(region.command(&machine, &["doctor"]).output().unwrap());
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
    assert!(run.stdout.contains("refused\\u{1b}[2J"), "{}", run.stdout);
    assert!(run.stderr.contains("region cluster"), "{}", run.stderr);
}

#[test]
fn the_doctor_prints_columns_but_no_names() {
    let machine = Machine::new();
    let run = machine.run(&["doctor", "-o", "csv"]);
    assert_eq!(run.exit, 11);
    assert!(run.stdout.starts_with("CONTEXT,CHECK,STATE,MESSAGE,NEXT\r\n"), "{}", run.stdout);
    assert_eq!(machine.run(&["doctor", "-o", "name"]).exit, 2);
    assert!(Path::new(machine.home.path()).exists());
}
