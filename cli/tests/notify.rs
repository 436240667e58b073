//! Notices and channels: what is asked for, what is printed, and how it ends, word for word.

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
use tonic::Code;

/// What is later than now is 0s old on any day.
const LATER: &str = "2099-01-01T00:00:00Z";

fn notice(id: &str, fields: Value) -> Value {
    let notice = json!({
        "name": format!("notices/{id}"), "channel": "channels/oncall",
        "dedupKey": "streamspace/us-west-2/incidents/7", "action": "trigger", "step": "level-1",
        "summary": "sessions do not start\u{1b}[2J\nall well", "severity": "critical",
        "state": "NOTICE_STATE_SENT", "attempts": 1, "createTime": LATER
    });
    with(notice, fields)
}

fn refused(id: &str) -> Value {
    let problem = "it answers with 400 Bad Request: Invalid routing key";
    notice(id, json!({ "state": "NOTICE_STATE_REFUSED", "problem": problem, "settleTime": LATER }))
}

fn tested(channel: &str, fields: Value) -> Value {
    let test = json!({
        "channel": channel, "action": "test", "summary": "ada tries the channel",
        "severity": "info", "step": "1", "dedupKey": "streamspace/us-west-2/notify/test"
    });
    notice(&format!("5f00-{}", channel.trim_start_matches("channels/")), with(test, fields))
}

fn answer(method: &str, request: &Value) -> Answer {
    Answer::Is(match method {
        "NotifyService.ListNotices" if request["state"] == "NOTICE_STATE_REFUSED" => {
            json!({ "notices": [
                refused("3a11aa22-0000-4000-8000-00000000000a"),
                refused("3a11bb22-0000-4000-8000-00000000000b")
            ] })
        }
        "NotifyService.ListNotices" => json!({ "notices": [
            tested("channels/bad", json!({
                "state": "NOTICE_STATE_REFUSED", "problem": "it answers with 401 Unauthorized"
            })),
            tested("channels/oncall", json!({})),
            refused("3a11aa22-0000-4000-8000-00000000000a"),
            notice("7c", json!({
                "state": "NOTICE_STATE_WAITING", "attempts": 4,
                "problem": "it cannot be reached: connection refused"
            }))
        ] }),
        "NotifyService.ListChannels" => json!({ "channels": [
            {
                "name": "channels/oncall", "kind": "pagerduty", "purposes": ["page", "ticket"],
                "waitingCount": "1", "refusedCount": "2", "lastSuccessTime": LATER,
                "lastErrorTime": LATER, "lastError": "it cannot be reached"
            },
            { "name": "channels/gone", "refusedCount": "1" },
            { "name": "channels/page", "kind": "statuspage", "purposes": ["public"] }
        ] }),
        "NotifyService.TestChannel" if request["name"] == "channels/none" => {
            let words = "channels/none does not exist in this region";
            return Answer::No(Code::NotFound, words, "NOT_FOUND", vec![]);
        }
        "NotifyService.TestChannel" => {
            let waits = json!({ "state": "NOTICE_STATE_WAITING", "attempts": 0 });
            tested(request["name"].as_str().unwrap(), waits)
        }
        "NotifyService.RetryNotice" => {
            let id = request["name"].as_str().unwrap().trim_start_matches("notices/");
            notice(id, json!({ "state": "NOTICE_STATE_WAITING" }))
        }
        other => panic!("{other}"),
    })
}

#[test]
fn notices_are_shown_tried_and_sent_again() {
    plays(
        "notify.txt",
        answer,
        &[
            ("notify list", 0),
            ("notify list --state refused --limit 1 -o wide", 0),
            ("notify list --state lost", 2),
            ("notify channels", 0),
            ("notify channels -o json", 0),
            ("notify test oncall", 0),
            ("notify test oncall --dry-run", 3),
            ("notify test oncall --wait", 0),
            ("notify test bad --wait", 11),
            ("notify test none", 6),
            ("notify retry 3a11aa", 0),
            ("notify retry 3a11", 2),
            ("notify retry ff", 6),
            ("notify retry 3a11bb --dry-run", 3),
        ],
    );
}
