//! The built program in a real pseudo-terminal: tables that fit it, colour by the
//! conventions, a dumb terminal, questions, and nothing that acts on it.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "a test that cannot go on must stop"
)]

mod machine;
mod region;

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::ffi::OsStrExt as _,
    process::Command,
};

use machine::{Machine, golden};
use region::{Answer, Region};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize},
};
use serde_json::{Value, json};

/// What a terminal of this width got, and how the command ended.
fn on_terminal(mut command: Command, columns: u16, typed: &str) -> (String, i32) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let path = std::ffi::OsStr::from_bytes(name.as_bytes());
    let slave = || OpenOptions::new().read(true).write(true).open(path).unwrap();
    let terminal = slave();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    let mut modes = tcgetattr(&terminal).unwrap();
    // What is typed is not shown, so that only the program's own words are.
    modes.local_modes.remove(rustix::termios::LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Now, &modes).unwrap();
    let mut child = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
    // The command holds copies of the terminal's end: without them reading ends.
    drop(command);
    drop(terminal);
    let mut master = File::from(master);
    master.write_all(typed.as_bytes()).unwrap();
    let mut shown = Vec::new();
    let mut buffer = [0; 4096];
    // Linux ends a terminal that nobody holds any more with an error.
    while let Ok(count @ 1..) = master.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..count]);
    }
    let exit = child.wait().unwrap().code().unwrap();
    (String::from_utf8(shown).unwrap().replace("\r\n", "\n"), exit)
}

fn tenants(_: &str, _: &Value) -> Answer {
    let tenant = |name: &str, state: &str, wrong: &str| {
        let condition = json!({
            "type": "Ready", "status": if wrong.is_empty() { "CONDITION_STATUS_TRUE" }
            else { "CONDITION_STATUS_FALSE" }, "message": wrong
        });
        json!({
            "name": format!("tenants/{name}"), "plan": "plans/business", "seats": 10,
            "state": format!("TENANT_STATE_{state}"), "displayName": "株式会社 \u{1b}[2J",
            "conditions": [condition], "labels": { "tier": "gold" }
        })
    };
    Answer::Is(json!({ "tenants": [
        tenant("acme-corp", "ACTIVE", ""),
        tenant("a-tenant-with-quite-a-long-name", "SUSPENDED", ""),
        tenant("beta", "PROVISIONING", "the namespace is being made and its quota is awaited"),
    ] }))
}

fn command(region: &Region, machine: &Machine, line: &str, variables: &[(&str, &str)]) -> Command {
    let words: Vec<_> = line.split_whitespace().collect();
    let mut command = region.command(machine, &words);
    command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8").envs(variables.iter().copied());
    command
}

#[test]
fn tables_fit_the_terminal() {
    let (machine, region) = (Machine::new(), Region::start(tenants));
    let mut transcript = String::new();
    for (columns, line) in [
        (200, "tenant list --no-color"),
        (100, "tenant list --no-color"),
        (60, "tenant list --no-color"),
        (40, "tenant list --no-color"),
        (24, "tenant list --no-color"),
        (100, "tenant list --no-color -o wide"),
        (60, "tenant list --no-color -o name"),
        (60, "tenant list --no-color -o jsonpath={.items[0].displayName}"),
    ] {
        let (shown, exit) = on_terminal(command(&region, &machine, line, &[]), columns, "");
        assert_eq!(exit, 0, "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        transcript += &format!("$ ssctl {line}   # {columns} columns\n{shown}\n");
        if !line.contains("wide") {
            let lines = shown.lines().filter(|line| !line.starts_with("too narrow"));
            for line in lines {
                assert!(line.chars().count() <= usize::from(columns), "{columns}: {line}");
            }
        }
    }
    golden("terminal.txt", &transcript);
}

#[test]
fn colour_follows_the_conventions() {
    let (machine, region) = (Machine::new(), Region::start(tenants));
    let coloured = |variables: &[(&str, &str)], line: &str| {
        let (shown, exit) = on_terminal(command(&region, &machine, line, variables), 100, "");
        assert_eq!(exit, 0, "{shown}");
        shown.contains("\u{1b}[")
    };
    assert!(coloured(&[], "tenant list"));
    assert!(!coloured(&[("NO_COLOR", "1")], "tenant list"));
    assert!(coloured(&[("NO_COLOR", "")], "tenant list"));
    assert!(!coloured(&[("TERM", "dumb")], "tenant list"));
    assert!(coloured(&[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], "tenant list"));
    assert!(!coloured(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], "tenant list"));
    assert!(!coloured(&[], "tenant list --no-color"));
    // Data for programs never has any.
    for format in ["json", "yaml", "jsonl", "csv", "name"] {
        assert!(
            !coloured(&[("CLICOLOR_FORCE", "1")], &format!("tenant list -o {format}")),
            "{format}"
        );
    }
}

#[test]
fn a_pipe_gets_plain_columns_unless_colour_is_forced() {
    let (machine, region) = (Machine::new(), Region::start(tenants));
    let piped = |variables: &[(&str, &str)]| {
        let output = command(&region, &machine, "tenant list", variables).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let plain = piped(&[]);
    assert!(!plain.contains('\u{1b}') && !plain.contains('─'), "{plain}");
    // Whole lines, however long.
    assert_eq!(plain.lines().count(), 4, "{plain}");
    assert!(piped(&[("CLICOLOR_FORCE", "1")]).contains("\u{1b}["));
}

#[test]
fn without_unicode_lines_are_dashes() {
    let (machine, region) = (Machine::new(), Region::start(tenants));
    let ascii = command(&region, &machine, "tenant list --no-color", &[("LC_ALL", "C")]);
    let (shown, _) = on_terminal(ascii, 100, "");
    assert!(shown.contains("-----") && !shown.contains('─'), "{shown}");
}

#[test]
fn enter_alone_leaves_it() {
    let (machine, region) = (
        Machine::new(),
        Region::start(|_, _| {
            Answer::Is(json!({ "name": "tenants/acme", "plan": "plans/free", "seats": 1 }))
        }),
    );
    let line = "tenant suspend acme --reason x --no-color";
    let (shown, exit) = on_terminal(command(&region, &machine, line, &[]), 100, "\n");
    assert_eq!(exit, 2, "{shown}");
    assert!(shown.contains("Type acme to go on, or Enter to leave it"), "{shown}");
    assert!(shown.contains("not confirmed; nothing was changed"), "{shown}");
    let sent = region.asked();
    assert!(
        sent.iter().all(|(method, request)| {
            method != "TenantService.SuspendTenant" || request["validateOnly"] == true
        }),
        "{sent:?}"
    );
    let (shown, exit) = on_terminal(command(&region, &machine, line, &[]), 100, "acme\n");
    assert_eq!(exit, 0, "{shown}");
}
