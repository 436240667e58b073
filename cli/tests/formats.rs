//! The built program's answers in every format, word for word.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "a test that cannot go on must stop"
)]

mod machine;
mod region;

use machine::{Machine, Run, golden};
use region::{Answer, Region};
use serde_json::{Value, json};

const FORMATS: [&str; 7] = ["table", "wide", "json", "yaml", "jsonl", "csv", "name"];

fn tenant(name: &str, display_name: &str, seats: i32) -> Value {
    json!({
        "name": format!("tenants/{name}"), "displayName": display_name, "plan": "plans/business",
        "planVersion": 1, "seats": seats, "state": "TENANT_STATE_ACTIVE", "generation": "3",
        "labels": { "tier": "gold", "example.com/team-a": "x" }
    })
}

fn answers(method: &str, _: &Value) -> Answer {
    Answer::Is(match method {
        "TenantService.ListTenants" => json!({ "tenants": [
            tenant("acme", "=HYPERLINK(\"http://x\")", 10),
            tenant("beta", "Škoda, \"Auto\"\u{1b}[2J", 3),
        ] }),
        "TenantService.GetTenant" => tenant("acme", "Acme", 10),
        "TenantService.CheckTenant" => json!({ "holds": true, "rules": [
            { "rule": "default-deny", "description": "nothing comes in",
              "status": "CONDITION_STATUS_TRUE", "message": "asked" },
        ] }),
        "QuotaService.GetQuota" => json!({
            "tenant": "tenants/acme", "observed": true,
            "lines": [{ "resource": "pods", "hard": "20", "used": "5", "headroom": "15",
                        "usedPermille": 250, "plan": "20" }],
        }),
        "AccessService.WhoAmI" => json!({
            "operator": "ada", "roleName": "admin", "region": "regions/r", "tenants": []
        }),
        other => panic!("{other} is not expected"),
    })
}

/// What a command prints in each format, and what a template takes out of it.
#[test]
fn each_answer_is_printed_in_each_format() {
    let machine = Machine::new();
    let region = Region::start(answers);
    for (name, command, templates) in [
        (
            "tenant-list",
            "tenant list",
            &[
                "{.items[*].name}",
                "{range .items[?(@.seats>5)]}{.name}{\"\\t\"}{.seats}{\"\\n\"}{end}",
                "{.items[-1].labels.example\\.com/team-a}",
                "{.items[*].nmae}",
            ][..],
        ),
        ("tenant-show", "tenant show acme", &["{.name} {.generation}", "{.labels}"]),
        ("tenant-check", "tenant check acme", &["{.rules[*].rule}"]),
        ("quota-show", "quota show acme", &["{.lines[0].hard}"]),
        ("whoami", "whoami", &["{.operator}"]),
        ("version", "version", &["{.version}"]),
    ] {
        let mut transcript = String::new();
        let templates = templates.iter().map(|template| format!("jsonpath={template}"));
        for format in FORMATS.iter().map(|format| (*format).to_owned()).chain(templates) {
            let mut words: Vec<_> = command.split(' ').collect();
            words.extend(["-o", &format]);
            let run = Run::new(region.command(&machine, &words).output().unwrap());
            let stderr =
                run.stderr.lines().fold(String::new(), |text, line| text + "| " + line + "\n");
            transcript += &format!(
                "$ ssctl {command} -o '{format}'\n{}{stderr}= {}\n\n",
                run.stdout, run.exit
            );
        }
        let transcript = transcript.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        golden(&format!("format-{name}.txt"), &transcript);
    }
}

#[test]
fn the_contexts_of_the_machine_are_printed_in_each_format() {
    let machine = Machine::new();
    machine.with_contexts(&[("us-east-1", "a.example:1"), ("eu-west-1", "b.example:2")]);
    let mut transcript = String::new();
    for format in
        FORMATS.into_iter().chain(["jsonpath={range .items[?(@.current==true)]}{.name}{end}"])
    {
        let run = machine.run(&["context", "list", "-o", format]);
        assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{format}");
        let stdout = machine.plain(&run.stdout);
        transcript += &format!("$ ssctl context list -o '{format}'\n{stdout}\n");
    }
    golden("format-context-list.txt", &transcript);
}

#[test]
fn a_wrong_format_says_what_is_wrong_and_what_to_write() {
    let machine = Machine::new();
    let mut transcript = String::new();
    for format in [
        "jsno",
        "jsonpath",
        "jsonpath=",
        "jsonpath=.items[*].name",
        "jsonpath={.items[*}",
        "jsonpath={.items[?(@.seats=5)]}",
        "jsonpath={range .items[*]}{.name}",
        "jsonpath={items}",
    ] {
        let run = machine.run(&["tenant", "list", "-o", format]);
        assert_eq!((run.exit, run.stdout.as_str()), (2, ""), "{format}");
        transcript += &format!("$ ssctl tenant list -o '{format}'\n{}\n", run.stderr);
    }
    golden("format-errors.txt", &transcript);
}
