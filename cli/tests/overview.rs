//! `ssctl changes` and `ssctl status` against a region whose answers are decided here:
//! what they ask for, what they print and how they end, word for word.

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
use tonic::Code;

/// Runs commands, and compares what they told with a committed file.
fn plays(name: &str, answers: fn(&str, &Value) -> Answer, script: &[(&str, i32)]) {
    let machine = Machine::new();
    let region = Region::start(answers);
    let mut transcript = String::new();
    for (line, exit) in script {
        let words: Vec<_> = line.split_whitespace().collect();
        let run = Run::new(region.command(&machine, &words).output().unwrap());
        let stderr = run.stderr.lines().fold(String::new(), |text, line| text + "| " + line + "\n");
        transcript += &format!("$ ssctl {line}\n{}{stderr}= {}\n\n", run.stdout, run.exit);
        assert_eq!(run.exit, *exit, "{transcript}");
    }
    golden(name, &steady(&transcript));
}

/// How long something lasts is different each day.
fn steady(text: &str) -> String {
    let mut steady = text.to_owned();
    for before in ["(in ", "(for "] {
        let mut parts = steady.split(before);
        let mut next = parts.next().unwrap().to_owned();
        for part in parts {
            next += &format!("{before}…{}", &part[part.find(')').unwrap()..]);
        }
        steady = next;
    }
    let mut parts = steady.split("; ");
    let mut next = parts.next().unwrap().to_owned();
    for part in parts {
        // `27000d left` of an approval.
        let left = part.find(" left").filter(|at| part[..*at].chars().all(char::is_alphanumeric));
        next += "; ";
        next += &left.map_or_else(|| part.to_owned(), |at| format!("…{}", &part[at..]));
    }
    next
}

fn entry(time: &str, actor: &str, method: &str, decision: &str, more: &Value) -> Value {
    let mut entry = json!({
        "time": time, "actor": actor, "phase": "AUDIT_PHASE_OUTCOME", "count": 1,
        "method": method, "decision": format!("AUDIT_DECISION_{decision}"),
        "resource": "tenants/acme-corp", "callId": "01a20e71-df7b-76cf-b6c5-dc9a35aaa494"
    });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

fn changes(method: &str, request: &Value) -> Answer {
    assert_eq!(method, "AuditService.ListAuditEntries");
    assert!(request["startTime"].is_string(), "the last day unless said: {request}");
    let set = "streamspace.admin.v1.QuotaService/SetQuota";
    let mut entries = vec![
        entry(
            "2026-05-02T08:00:00Z",
            "streamspaced",
            "streamspaced/EndQuotaOverride",
            "SUCCEEDED",
            &json!({
                "summary": "cpu 120 → 80", "incident": "INC-7",
                "reason": "its time is over; kim had set it for: INC-7"
            }),
        ),
        entry(
            "2026-05-01T20:00:00Z",
            "kim",
            set,
            "SUCCEEDED",
            &json!({
                "summary": "cpu 80 → 120 until 2026-05-02T08:00:00Z", "incident": "INC-7",
                "reason": "INC-7"
            }),
        ),
    ];
    if request["filter"].as_str().unwrap().contains("denial") {
        let hostile = json!({
            "statusMessage": "needs role operator", "count": 190,
            "reason": format!("\u{1b}[2J{}", "x".repeat(4000))
        });
        entries.push(entry("2026-05-01T19:00:00Z", "eve", set, "DENIED", &hostile));
    }
    Answer::Is(json!({ "entries": entries }))
}

#[test]
fn changes_are_told_in_words() {
    plays(
        "changes.txt",
        changes,
        &[
            ("changes", 0),
            ("changes acme-corp --failed --since 2026-05-01", 0),
            ("changes -o csv --reverse", 0),
            ("changes -o jsonpath={.items[*].summary}", 0),
            ("changes --month 2026-05 --since 12h", 2),
            ("changes --incident 7", 2),
            ("changes --since soon", 2),
        ],
    );
}

const END: &str = "2099-01-01T00:00:00Z";
const BEGIN: &str = "2026-01-01T00:00:00Z";

fn region(method: &str, wrong: bool) -> Answer {
    Answer::Is(match method {
        "RegionService.GetRegion" => json!({
            "name": "regions/us-east-1",
            "leader": { "replica": "node-1", "leaderTerm": "3" },
            "components": [
                { "name": "database", "health": "HEALTH_OK", "message": "PostgreSQL 15" },
                {
                    "name": "cluster", "health": if wrong { "HEALTH_DEGRADED" } else { "HEALTH_OK" },
                    "message": "no answer for 12 s", "lastTransitionTime": BEGIN
                }
            ]
        }),
        "AccessService.WhoAmI" => json!({ "operator": "ada", "roleName": "operator" }),
        "TenantService.ListTenants" => json!({ "tenants": tenants(wrong) }),
        "ApprovalService.ListApprovals" if wrong => json!({ "approvals": [{
            "name": "approvals/7", "target": "tenants/acme-corp", "requester": "kim",
            "summary": "SuspendTenant tenants/acme-corp: unpaid", "createTime": BEGIN,
            "expireTime": END
        }] }),
        "AccessService.ListCertificates" | "AccessService.ListOperatorLocks" => {
            let needed = vec![("needed_role", "admin"), ("role", "operator")];
            return Answer::No(Code::PermissionDenied, "needs role admin", "ROLE_TOO_LOW", needed);
        }
        "UsageService.GetUsageStatus" => json!({
            "beginTime": BEGIN, "completeThroughTime": END,
            "closedThroughTime": if wrong { BEGIN } else { END }
        }),
        "SessionService.ListSessions" if wrong => json!({ "sessions": [{
            "name": "tenants/acme-corp/sessions/desk-1", "phase": "SESSION_PHASE_FAILED",
            "message": "ErrImagePull\u{1b}[2J\nStatus: all well"
        }] }),
        _ => json!({}),
    })
}

fn tenants(wrong: bool) -> Value {
    let tenant = |name: &str, holds: bool| {
        json!({
            "name": name, "state": "TENANT_STATE_ACTIVE",
            "conditions": [{
                "type": "ObjectsApplied",
                "status": if holds { "CONDITION_STATUS_TRUE" } else { "CONDITION_STATUS_FALSE" },
                "reason": "Refused", "message": "ResourceQuota limits: forbidden\nStatus: all well",
                "lastTransitionTime": BEGIN
            }]
        })
    };
    json!([tenant("tenants/acme-corp", true), tenant("tenants/beta-inc", !wrong)])
}

#[test]
fn a_region_that_is_well_is_a_line() {
    let script =
        [("status", 0), ("status -o json", 0), ("status -o csv", 0), ("status --all-contexts", 0)];
    plays("status-well.txt", |method, _| region(method, false), &script);
}

#[test]
fn what_needs_a_person_is_told_with_what_to_do() {
    let script = [("status", 11), ("status -o json", 11), ("status -o csv", 11)];
    plays("status-wrong.txt", |method, _| region(method, true), &script);
}
