//! Completion against a region in miniature that says what no region should.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod machine;
mod region;

use std::time::Instant;

use machine::{Machine, Run};
use region::{Answer, Region};
use serde_json::{Value, json};

const BREAKS: &str = " \t\n\"'@><=;|&(:";

fn complete(region: &Region, machine: &Machine, line: &str) -> Vec<String> {
    let mut command = region.command(machine, &["__complete", "bash", line, BREAKS]);
    let run = Run::new(command.output().unwrap());
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{line}");
    run.stdout.lines().map(str::to_owned).collect()
}

/// The same, until the region has answered in time.
fn offered(region: &Region, machine: &Machine, line: &str) -> Vec<String> {
    let begin = Instant::now();
    loop {
        let words = complete(region, machine, line);
        if !words.is_empty() {
            return words;
        }
        assert!(begin.elapsed().as_secs() < 60, "nothing is offered for {line:?}");
    }
}

const HOSTILE: [&str; 10] = [
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "a b",
    "--flag",
    "*",
    "~root",
    "a\nb",
    "\u{1b}[2J",
    "a'b",
];

fn hostile(_: &str, _: &Value) -> Answer {
    let tenant = |id: &str| json!({ "name": format!("tenants/{id}"), "plan": "plans/free" });
    let mut tenants: Vec<Value> = HOSTILE.iter().map(|id| tenant(id)).collect();
    tenants.push(tenant("acme-corp"));
    Answer::Is(json!({ "tenants": tenants }))
}

#[test]
fn what_a_shell_would_act_on_is_not_offered() {
    let (region, machine) = (Region::start(hostile), Machine::new());
    assert_eq!(offered(&region, &machine, "ssctl tenant show "), ["acme-corp"]);
    // Nor from what was kept.
    assert_eq!(offered(&region, &machine, "ssctl tenant show "), ["acme-corp"]);
    // What is typed is no part of a filter where it would have to be quoted.
    region.asked();
    assert_eq!(complete(&region, &machine, "ssctl tenant show 'x\" OR y'"), [""; 0]);
    assert!(region.asked().iter().all(|(_, request)| request.get("filter").is_none()));
}

#[test]
fn descriptions_are_one_harmless_line() {
    let region = Region::start(|_, _| {
        Answer::Is(json!({ "plans": [
            { "name": "plans/free", "displayName": "free\tand\u{1b}[2J\nmore" }
        ] }))
    });
    let machine = Machine::new();
    let begin = Instant::now();
    let run = loop {
        let arguments = ["__complete", "zsh", "ssctl", "plan", "show", "f"];
        let run = Run::new(region.command(&machine, &arguments).output().unwrap());
        if !run.stdout.is_empty() {
            break run;
        }
        assert!(begin.elapsed().as_secs() < 60, "nothing is offered");
    };
    assert_eq!(run.stdout, "free\tfree\\u{9}and\\u{1b}[2J\n");
}

#[test]
fn sessions_users_and_templates_are_offered_as_they_are_typed() {
    let region = Region::start(|method, request| {
        let session = |tenant: &str, id: &str| json!({ "name": format!("tenants/{tenant}/sessions/{id}"), "user": "ada" });
        Answer::Is(match (method, request["parent"].as_str()) {
            ("SessionService.ListSessions", Some("tenants/acme")) => {
                json!({ "sessions": [session("acme", "desk-1"), session("acme", "x;y")] })
            }
            ("SessionService.ListSessions", _) => json!({
                "sessions": [session("acme", "desk-1"), session("beta", "desk-2")],
                "nextPageToken": "more"
            }),
            ("SessionService.ListTemplates", _) => {
                json!({ "templates": [{ "name": "templates/firefox" }] })
            }
            (other, _) => panic!("not expected: {other}"),
        })
    });
    let machine = Machine::new();
    let all = offered(&region, &machine, "ssctl session show ");
    assert_eq!(all, ["acme/desk-1", "beta/desk-2"]);
    // All of them were more than are asked for: those of the tenant are asked for again.
    assert_eq!(offered(&region, &machine, "ssctl session wake acme/"), ["acme/desk-1"]);
    assert_eq!(offered(&region, &machine, "ssctl session list --user a"), ["ada"]);
    assert_eq!(offered(&region, &machine, "ssctl template show f"), ["firefox"]);
}

#[test]
fn a_second_tab_asks_nobody() {
    let (region, machine) = (Region::start(hostile), Machine::new());
    offered(&region, &machine, "ssctl tenant show ");
    region.asked();
    // Within the few seconds for which names are kept, unless the machine stood still.
    let begin = Instant::now();
    assert_eq!(complete(&region, &machine, "ssctl tenant show ac"), ["acme-corp"]);
    if begin.elapsed().as_secs() < 2 {
        assert_eq!(region.asked(), []);
    }
}

#[test]
fn a_call_that_hangs_is_given_up() {
    let (region, machine) = (Region::start(|_, _| Answer::Never), Machine::new());
    // It returns, which is all that can be said of a call without an end.
    assert_eq!(complete(&region, &machine, "ssctl tenant show "), [""; 0]);
}

#[test]
fn who_refuses_is_not_told_about() {
    let region = Region::start(|_, _| {
        Answer::No(tonic::Code::PermissionDenied, "no", "ROLE_MISSING", Vec::new())
    });
    assert_eq!(complete(&region, &Machine::new(), "ssctl tenant show "), [""; 0]);
}

#[test]
fn scripts_are_printed_for_every_shell() {
    let machine = Machine::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = machine.run(&["completion", shell]);
        assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{shell}");
        assert!(run.stdout.contains("ssctl"), "{shell}");
    }
    let help = machine.run(&["completion", "--help"]).stdout;
    for shell in ["bash", "zsh", "fish"] {
        assert!(help.contains(&format!("ssctl completion {shell}")), "{help}");
    }
}

#[test]
fn a_request_that_no_script_makes_is_answered_with_nothing() {
    let machine = Machine::new();
    for arguments in [
        vec!["__complete"],
        vec!["__complete", "tcsh", "x"],
        vec!["__complete", "refresh", "a", "b", "c"],
    ] {
        let run = machine.run(&arguments);
        assert_eq!(
            (run.exit, run.stdout.as_str(), run.stderr.as_str()),
            (0, "", ""),
            "{arguments:?}"
        );
    }
}
