//! What tenants used: what is asked for, what is printed, and how it ends, word for word.

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

use play::{plays, with};
use region::Answer;
use serde_json::{Value, json};

/// What is later than now is 0s old on any day.
const END: &str = "2099-01-01T00:00:00Z";
const UID: &str = "0190a3b4-0000-7000-8000-00000000000a";

/// 1 vCPU and 2 GiB from 10:02:30 to 10:08:10, and a home of 10 TiB for 30 days.
fn amounts() -> Value {
    json!({
        "cpuMillicoreSeconds": "340000", "memoryByteSeconds": "730144440320",
        "storageByteSeconds": "28499527604306083840", "sessionSeconds": "340",
        "sessionsStarted": "1", "measuredSeconds": "300", "estimatedSeconds": "40",
        "unbilledSeconds": "86060"
    })
}

fn row(tenant: &str, fields: Value) -> Value {
    let row = json!({
        "tenant": format!("tenants/{tenant}"), "tenantUid": UID,
        "startTime": "2026-11-29T00:00:00Z", "endTime": "2026-11-30T00:00:00Z",
        "amounts": amounts()
    });
    with(row, fields)
}

/// What pods took of it, where memory and recordings have no source.
fn actual() -> Value {
    json!({
        "cpuMillicoreSeconds": "900000", "egressBytes": "3221225472",
        "cpuCoveredSeconds": "300", "memoryCoveredSeconds": "0",
        "egressCoveredSeconds": "340", "recordingCoveredSeconds": "0",
        "showbackCpuMillicoreSeconds": "940000", "showbackMemoryByteSeconds": "730144440320"
    })
}

fn small(cpu: &str) -> Value {
    json!({ "cpuMillicoreSeconds": cpu, "sessionSeconds": "7200", "measuredSeconds": "7200" })
}

fn usage(method: &str, request: &Value) -> Answer {
    let all = request["parent"] == "tenants/-";
    Answer::Is(match method {
        "UsageService.QueryUsage" if request["startTime"] == "2026-10-01T00:00:00Z" => {
            json!({ "rows": [
                row("acme", json!({ "amounts": small("680000") })),
                row("gone", json!({ "amounts": small("1"), "tenantUid": "old" }))
            ] })
        }
        "UsageService.QueryUsage" => {
            let rows = if all {
                json!([row("acme", json!({})), row("beta", json!({ "amounts": small("7200000") }))])
            } else if request["group"] == "USAGE_GROUP_USER" {
                json!([
                    row("acme", json!({ "user": "ada" })),
                    row("acme", json!({ "user": "\u{1b}[2Jbob", "amounts": small("-5") }))
                ])
            } else {
                json!([row("acme", json!({ "actual": actual() }))])
            };
            let mut reply = json!({
                "rows": rows, "total": amounts(), "closedThroughTime": "2026-11-29T06:20:00Z"
            });
            if !all {
                reply["totalActual"] = actual();
            }
            reply
        }
        "UsageService.ExportUsage" => {
            return Answer::Are(vec![
                row("acme", json!({ "user": "ada", "template": "firefox" })),
                row(
                    "beta",
                    json!({
                        "user": "=cmd|' /C calc'!A0", "template": "a,\"b\"",
                        "amounts": small("-3600000")
                    }),
                ),
            ]);
        }
        "UsageService.ListLiveUsage" => json!({
            "tenants": [{
                "tenant": "tenants/acme", "runningSessions": "3", "totalSessions": "9",
                "cpuMillicores": "1500", "memoryBytes": "6442450944"
            }],
            "total": { "runningSessions": "4", "totalSessions": "12", "cpuMillicores": "2000",
                       "memoryBytes": "8589934592" },
            "asOfTime": "2026-11-29T06:20:00Z"
        }),
        "UsageService.GetUsageStatus" => json!({
            "beginTime": "2026-11-01T00:00:00Z", "completeThroughTime": END,
            "closedThroughTime": END, "leaderTerm": "7", "last30Days": amounts(),
            "gaps": [{ "startTime": "2026-11-28T10:00:00Z", "endTime": "2026-11-28T10:02:05Z" }],
            "dirtyHours": "2", "lateSpans": "1", "corrections": "3",
            "actualSources": [
                { "metric": "cpu", "source": "metrics.k8s.io", "lastReadTime": END },
                { "metric": "memory", "source": "metrics.k8s.io", "lastReadTime": END,
                  "problem": "the cluster does not answer" },
                { "metric": "egress", "source": "Prometheus",
                  "problem": "it cannot be reached\u{1b}[2J" },
                { "metric": "recordings", "problem": "no source is configured" }
            ]
        }),
        "UsageService.ExplainUsage" => explained(request["session"] == "wrong"),
        "UsageService.VerifyUsage" => {
            let faults = i32::from(all);
            json!({
                "holds": !all,
                "checks": [
                    { "rule": "intervals are hours", "checked": "1200" },
                    { "rule": "hours are days", "checked": "50", "faults": faults.to_string() }
                ],
                "faults": if all { json!(["acme 2026-11-03: hours 340000, day 340001\u{1b}[2J"]) }
                          else { json!([]) }
            })
        }
        other => panic!("not expected: {other}"),
    })
}

fn explained(wrong: bool) -> Value {
    let interval = |start: &str, cpu: &str, seconds: &str| {
        json!({
            "startTime": start,
            "amounts": {
                "cpuMillicoreSeconds": cpu, "sessionSeconds": seconds, "measuredSeconds": seconds
            }
        })
    };
    let total = json!({
        "cpuMillicoreSeconds": "340000", "sessionSeconds": "340", "measuredSeconds": "340"
    });
    let mut intervals = vec![
        interval("2026-11-29T10:00:00Z", "150000", "150"),
        interval("2026-11-29T10:05:00Z", "200000", "200"),
    ];
    let correction = with(
        interval("2026-11-29T10:05:00Z", "-10000", "-10"),
        json!({ "correction": 1, "doubts": "the end came late" }),
    );
    if !wrong {
        intervals.push(correction);
    }
    json!({
        "total": total,
        "subjects": [{
            "uid": UID, "kind": "session", "name": "desk-1", "user": "ada", "template": "firefox",
            "amounts": total, "intervals": intervals,
            "pieces": [
                {
                    "startTime": "2026-11-29T10:01:00Z", "endTime": "2026-11-29T10:02:30Z",
                    "coverage": "unbilled", "reason": "Pending"
                },
                {
                    "startTime": "2026-11-29T10:02:30Z", "endTime": "2026-11-29T10:08:10Z",
                    "coverage": "measured", "cpuMillicores": "1000"
                }
            ],
            "events": [
                {
                    "time": "2026-11-29T10:01:00Z", "phase": "Pending", "position": "1201",
                    "cause": "Created"
                },
                {
                    "time": "2026-11-29T10:02:30Z", "phase": "Running", "cpuMillicores": "1000",
                    "position": "1207", "cause": "Ready\u{1b}[2J", "podUid": "p-1"
                },
                {
                    "time": "2026-11-29T10:08:10Z", "phase": "Hibernated", "position": "1250",
                    "cause": "Idle"
                }
            ]
        }]
    })
}

#[test]
fn usage_is_told_in_units_that_add_up() {
    plays(
        "usage-reads.txt",
        usage,
        &[
            ("usage show acme --month 2026-11", 0),
            ("usage show acme --month 2026-11 --by user -o wide", 0),
            ("usage show acme --from 2026-11-29 --to 2026-11-30 --by day --zone Europe/Berlin", 0),
            ("usage show acme --month 2026-11 --by hour -o csv", 0),
            ("usage show - --month 2026-11", 0),
            ("usage show acme --month 2026-11 -o json", 0),
            ("usage show acme --month 2026-13", 2),
            ("usage show acme --month 2026-11 --since 7d", 2),
            ("usage show acme --zone Mars/Olympus", 2),
            ("usage show acme --since 2026-11-02 --until 2026-11-01", 2),
            ("usage top --month 2026-11 --by sessions", 0),
            ("usage top --live --by memory --limit 5", 0),
            ("usage top --live --month 2026-11", 2),
            ("usage compare 2026-10 2026-11", 0),
            ("usage compare 2026-10 2026-11 acme --by memory -o csv", 0),
            ("usage compare 2026-10 november", 2),
            ("usage status", 0),
            ("usage explain acme --day 2026-11-29", 0),
            ("usage explain acme --day 2026-11-29 --session wrong --user ada -o csv", 11),
            ("usage explain acme --day tomorrow", 2),
            ("usage verify acme --month 2026-10", 0),
            ("usage verify --month 2026-10", 11),
            ("usage verify --month 2026-10 -o csv", 11),
        ],
    );
}

#[test]
fn usage_is_exported() {
    plays(
        "usage-export.txt",
        usage,
        &[
            ("usage export --month 2026-11", 0),
            ("usage export acme --month 2026-11 --format jsonl --by hour", 0),
            ("usage export --month 2026-11 --format focus", 0),
            ("usage export --month 2026-11 -o json", 2),
            ("usage export --month 2026-11 --format xml", 2),
        ],
    );
}
