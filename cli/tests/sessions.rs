//! Sessions, templates and what holds them: what is asked for, what is printed, and how it
//! ends, word for word.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "a test that cannot go on must stop"
)]

mod machine;
mod play;
mod region;

use machine::{Machine, Run};
use play::{plays, with};
use region::{Answer, Region};
use serde_json::{Value, json};
use tonic::Code;

/// What is later than now is 0s old on any day.
const END: &str = "2099-01-01T00:00:00Z";
const OPERATION: &str = "operations/0190a3b4-0000-7000-8000-000000000001";

fn session(name: &str, phase: &str) -> Value {
    json!({
        "name": name, "uid": "018f-uid", "user": "ada", "template": "firefox",
        "state": "SESSION_STATE_RUNNING", "phase": format!("SESSION_PHASE_{phase}"),
        "cpu": "500m", "memory": "2Gi", "idleTimeout": "1800s", "maxSessionDuration": "28800s",
        "tags": ["demo", "blue"], "createTime": END, "lastActivityTime": END, "generation": "2",
        "podName": "desk-1-abc", "node": "n-1", "url": "https://desk-1.example"
    })
}

/// What a tenant or the cluster says is anybody's text.
fn hostile() -> Value {
    with(
        session("tenants/beta/sessions/desk-2", "FAILED"),
        json!({
            "message": "ErrImagePull: \u{1b}]0;owned\u{7}\u{1b}[2J\nStatus: all well\u{202e}",
            "tags": ["\u{1b}[31m"], "node": "", "podName": "", "url": ""
        }),
    )
}

fn described() -> Value {
    let conditions = json!([
        {
            "type": "Admitted", "status": "CONDITION_STATUS_TRUE", "reason": "Fits",
            "message": "", "lastTransitionTime": END
        },
        {
            "type": "PodReady", "status": "CONDITION_STATUS_FALSE", "reason": "ErrImagePull",
            "message": "no such image\u{1b}[2J", "lastTransitionTime": END
        }
    ]);
    json!({
        "session": with(hostile(), json!({ "conditions": conditions })),
        "objects": [
            { "kind": "Deployment", "name": "desk-2", "status": "0 of 1 ready" },
            { "kind": "PersistentVolumeClaim", "name": "home-ada", "status": "Bound\u{9b}2J" }
        ],
        "events": [
            {
                "time": END, "reason": "Scheduled", "object": "Pod/desk-2-abc", "count": 1,
                "message": "assigned to n-1"
            },
            {
                "time": END, "warning": true, "reason": "Failed", "object": "Pod/desk-2-abc",
                "count": 12, "message": "pull of evil\u{1b}]8;;http://x\u{7} failed\nsecond line"
            }
        ]
    })
}

/// A change of three sessions of two tenants, of which one is refused.
fn changed(request: &Value) -> Answer {
    let item = |name: &str, state: &str| json!({ "target": name, "state": format!("OPERATION_ITEM_STATE_{state}") });
    let refused = json!({ "code": 9, "reason": "SUSPENDED", "message": "the tenant is suspended" });
    let one = request["names"].as_array().is_some_and(|names| names.len() == 1);
    let (items, counts) = if one {
        let items = json!([item(request["names"][0].as_str().unwrap(), "CHANGED")]);
        (items, json!({ "total": "1", "changed": "1" }))
    } else if request["filter"] == "(user = \"nobody\") AND state != \"terminated\"" {
        (json!([]), json!({}))
    } else {
        let items = json!([
            item("tenants/acme/sessions/desk-1", "CHANGED"),
            item("tenants/acme/sessions/desk-3", "UNCHANGED"),
            with(item("tenants/beta/sessions/desk-2", "FAILED"), json!({ "error": refused })),
        ]);
        (items, json!({ "total": "3", "changed": "1", "unchanged": "1", "failed": "1" }))
    };
    let operation = json!({
        "name": OPERATION, "kind": "session.change", "target": "tenants/-", "actor": "ada",
        "counts": { "total": "3", "pending": "3" }, "progress": "0 of 3",
        "consequences": [{ "code": "TOUCHES", "message": "it touches 3 sessions of 2 tenants" }]
    });
    if request["validateOnly"] == json!(true) {
        let operation =
            with(operation, json!({ "name": "", "counts": counts, "consequences": [] }));
        return Answer::Is(json!({ "operation": operation, "items": items }));
    }
    Answer::Is(json!({ "operation": operation }))
}

fn sessions(method: &str, request: &Value) -> Answer {
    let (one, gone) = ("tenants/acme/sessions/desk-1", "tenants/acme/sessions/gone");
    Answer::Is(match method {
        "SessionService.ListSessions" if request["filter"] == "phase != \"Hibernated\"" => {
            json!({})
        }
        "SessionService.ListSessions" => {
            json!({ "sessions": [session(one, "RUNNING"), hostile()] })
        }
        "SessionService.GetSession" if request["name"] == gone => {
            return Answer::No(Code::NotFound, "there is no such session", "NOT_FOUND", vec![]);
        }
        "SessionService.GetSession" => session(one, "RUNNING"),
        "SessionService.DescribeSession" => described(),
        "SessionService.CreateSession" if request["session"]["memory"] == "999Gi" => {
            return Answer::No(
                Code::FailedPrecondition,
                "requests.memory: 999Gi more are needed than the 10Gi left",
                "QUOTA_EXCEEDED",
                vec![],
            );
        }
        "SessionService.CreateSession" if request["validateOnly"] == json!(true) => json!({
            "kind": "session.create",
            "consequences": [{ "code": "OVER_QUOTA", "message": "9 of 10 pods are used then" }]
        }),
        "SessionService.CreateSession" => json!({
            "name": OPERATION, "kind": "session.create", "target": one
        }),
        "SessionService.ChangeSessions" => return changed(request),
        "OperationService.WaitOperation" => json!({
            "name": OPERATION, "kind": "session.change", "target": "tenants/-", "done": true,
            "counts": { "total": "2", "changed": "1", "unchanged": "1" }, "progress": "2 of 2"
        }),
        "OperationService.ListOperationItems" => json!({ "items": [
            { "target": one, "state": "OPERATION_ITEM_STATE_CHANGED" },
            { "target": "tenants/acme/sessions/desk-3", "state": "OPERATION_ITEM_STATE_UNCHANGED" }
        ] }),
        "SessionService.ListTemplates" => {
            let parent = request["parent"].as_str().unwrap_or_default();
            let prefix = if parent.is_empty() { String::new() } else { format!("{parent}/") };
            json!({ "templates": [
                {
                    "name": format!("{prefix}templates/firefox"), "displayName": "Firefox",
                    "category": "browsers", "baseImage": "registry.example/firefox:1",
                    "cpu": "500m", "memory": "2Gi", "valid": true, "port": 3000
                },
                {
                    "name": format!("{prefix}templates/odd"), "displayName": "\u{1b}[2JOdd",
                    "message": "spec.baseImage: is missing"
                }
            ] })
        }
        other => panic!("not expected: {other}"),
    })
}

#[test]
fn sessions_are_shown() {
    plays(
        "session-reads.txt",
        sessions,
        &[
            ("session list", 0),
            ("session list acme --user ada --template 'fire*fox' --phase running -o wide", 0),
            (
                "session list -A --state hibernated --node n-1 --older-than 2h --idle-for 30m -o csv",
                0,
            ),
            ("session list --filter 'cpu : *' --user ada -o name", 0),
            ("session list -o jsonpath={.items[1].message}", 0),
            ("session list acme -A", 2),
            ("session list --phase sleeping", 2),
            ("session show acme/desk-1", 0),
            ("session get tenants/acme/sessions/desk-1 -o yaml", 0),
            ("session show acme/gone", 6),
            ("session show desk-1", 2),
            ("session describe beta/desk-2", 0),
            ("session describe beta/desk-2 -o json", 0),
            ("template list", 0),
            ("template list acme --invalid --filter 'category = \"browsers\"' -o wide", 0),
            ("template show firefox", 0),
            ("template get acme/odd", 0),
            ("template show none", 6),
        ],
    );
}

#[test]
fn sessions_are_changed() {
    plays(
        "session-actions.txt",
        sessions,
        &[
            (
                "session create acme/desk-1 --user ada --template firefox --cpu 2 --memory 4Gi \
                 --idle-timeout 1h --max-duration 4h --tag demo --tag blue --shared 3 \
                 --without-home --hibernated --dry-run",
                3,
            ),
            ("session create acme/desk-1 --user ada --template firefox --reason demo", 0),
            ("session create acme/desk-1 --user ada --template firefox --wait -o name", 0),
            ("session create acme/desk-1 --user ada --template firefox --memory 999Gi", 12),
            ("session create acme/desk-1 --template firefox", 2),
            ("session create acme/desk-1 --user ada --template firefox --shared 11", 2),
            ("session create desk-1 --user ada --template firefox", 2),
            ("session hibernate acme/desk-1 --dry-run", 3),
            ("session hibernate acme/desk-1 --reason night -o name", 0),
            ("session wake acme/desk-1 --wait -o name", 0),
            ("session terminate acme/desk-1", 2),
            ("session terminate acme/desk-1 --reason over", 2),
            ("session terminate acme/desk-1 --confirm acme/desk-1 --reason over -o name", 0),
            ("session hibernate --tenant acme --user ada --dry-run", 3),
            ("session hibernate --template firefox --dry-run -o csv", 3),
            ("session hibernate --user nobody --dry-run", 0),
            ("session hibernate --user nobody --yes", 0),
            ("session hibernate --user ada", 2),
            ("session hibernate --user ada --confirm 4", 2),
            ("session hibernate --user ada --confirm 3 --reason night --wait -o name", 0),
            ("session terminate acme/desk-1 acme/desk-3 beta/desk-2 --yes --reason over", 2),
            (
                "session terminate acme/desk-1 acme/desk-3 beta/desk-2 --confirm 3 --reason over -o name",
                0,
            ),
            ("session hibernate", 2),
            ("session hibernate --filter '' --yes", 2),
            ("session hibernate acme/desk-1 --tenant acme", 2),
            ("session drain --tenant acme --dry-run -o name", 3),
            ("session drain --template firefox --terminate --confirm 3 --reason hole -o name", 0),
            ("session drain", 2),
        ],
    );
}

#[test]
fn a_session_that_fails_ends_the_wait() {
    plays(
        "session-fails.txt",
        |method, request| match method {
            "SessionService.GetSession" => Answer::Is(hostile()),
            "SessionService.ListSessions" => Answer::Is(json!({ "sessions": [hostile()] })),
            "OperationService.ListOperationItems" if request.get("filter").is_none() => {
                let item = |name: &str| {
                    json!({
                        "target": name, "state": "OPERATION_ITEM_STATE_CHANGED"
                    })
                };
                Answer::Is(json!({ "items": [
                    item("tenants/beta/sessions/desk-2"), item("tenants/acme/sessions/desk-1")
                ] }))
            }
            _ => sessions(method, request),
        },
        &[
            ("session wake beta/desk-2 --wait", 1),
            ("session wake --template firefox --confirm 3 --wait -o name", 14),
        ],
    );
}

#[test]
fn a_wait_ends_at_its_time_and_the_work_goes_on() {
    let (machine, region) = (Machine::new(), Region::start(sessions));
    let line = "session hibernate acme/desk-1 --wait --timeout 1s";
    let words: Vec<_> = line.split(' ').collect();
    let run = Run::new(region.command(&machine, &words).output().unwrap());
    assert_eq!(run.exit, 9, "{}", run.stderr);
    assert!(run.stderr.contains("acme/desk-1 is not hibernated yet: running"), "{}", run.stderr);
    assert!(run.stderr.contains("it goes on"), "{}", run.stderr);
}

#[test]
fn a_daemon_without_sessions_is_told_to_be_older() {
    plays(
        "session-skew.txt",
        |_, _| Answer::Unknown,
        &[("session list", 1), ("usage status", 1), ("tenant neighbours acme", 1)],
    );
}

fn quotas(method: &str, _: &Value) -> Answer {
    let line = |resource: &str, exhausts: Option<&str>| {
        json!({
            "resource": resource, "hard": "100", "plan": "100", "used": "90", "headroom": "10",
            "usedPermille": 900, "exhaustTime": exhausts
        })
    };
    Answer::Is(match method {
        "QuotaService.GetQuota" => json!({
            "tenant": "tenants/acme", "observed": true,
            "lines": [line("pods", None), line("requests.cpu", Some("2026-01-01T00:00:00Z"))],
            "users": [
                {
                    "user": "ada\u{1b}[2J", "sessions": "5", "sessionsHard": "5",
                    "memory": "8Gi", "memoryHard": "16Gi"
                },
                { "user": "bob", "sessions": "1", "sessionsHard": "-1", "memory": "2Gi" }
            ]
        }),
        "UsageService.ListNeighbours" => json!({ "neighbours": [
            {
                "node": "n-1", "tenant": "tenants/acme", "sessions": "3",
                "cpuMillicores": "1500", "memoryBytes": "6442450944"
            },
            {
                "node": "n-1", "tenant": "tenants/beta", "sessions": "1",
                "cpuMillicores": "4000", "memoryBytes": "1073741824"
            }
        ] }),
        other => panic!("not expected: {other}"),
    })
}

#[test]
fn who_holds_what_and_who_is_beside() {
    plays(
        "session-holders.txt",
        quotas,
        &[
            ("quota show acme", 0),
            ("quota show acme -o csv", 0),
            ("tenant neighbours acme", 0),
            ("tenant neighbours acme -o json", 0),
        ],
    );
}
