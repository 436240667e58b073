//! Who changed what, in the words of `ssctl changes`, also what the daemon ended by itself
//! and was killed at.

use std::time::Duration;

use serde_json::Value;
use streamspace_tests::{
    region::Region,
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, until},
};

/// What a person finds with these flags, newest first: who, which method, what changed,
/// why.
async fn found(ssctl: &Ssctl, flags: &[&str]) -> Vec<Value> {
    let read = ssctl.json(&[&["changes"], flags].concat()).await;
    read.as_array().unwrap().clone()
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap_or_default()
}

/// The entries of the daemon's own ends, by phase.
async fn ends(ssctl: &Ssctl, phase: &str) -> Vec<Value> {
    let filter = format!("actor = \"streamspaced\" AND phase = \"{phase}\"");
    let read = ssctl.json(&["audit", "list", "--limit", "1000", "--filter", &filter]).await;
    read.as_array().unwrap().clone()
}

async fn overrides(ssctl: &Ssctl, id: &str) -> usize {
    let shown = ssctl.json(&["tenant", "show", id]).await;
    shown["quotaOverrides"].as_array().map_or(0, Vec::len)
}

#[test]
fn a_quota_for_a_time_and_its_end_are_both_told_though_the_daemon_was_killed_between() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let create = ["tenant", "create", "night", "--plan", "business", "--seats", "1", "--wait"];
        ssctl.ok(&create).await;
        ssctl.ok(&["tenant", "set", "night", "--seats", "2", "--reason", "one more"]).await;
        let set = ["quota", "set", "night", "cpu=+40", "--for", "10s", "--incident", "INC-7"];
        ssctl.ok(&set).await;
        region.kill().await;
        region.launch().await;
        until("the quota has come back", async || {
            let run = ssctl.run(&["tenant", "show", "night", "-o", "json"]).await;
            let shown: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
            let left = shown["quotaOverrides"].as_array().map_or(0, Vec::len);
            holds(run.code == 0 && left == 0, || format!("{left} overrides; {}", run.stderr))
        })
        .await;
        until("its end is in the log", async || {
            let count = ends(ssctl, "outcome").await.len();
            holds(count == 1, || format!("{count} ends"))
        })
        .await;

        let all = found(ssctl, &["night"]).await;
        let told: Vec<_> = all
            .iter()
            .map(|entry| [text(entry, "actor"), text(entry, "method").rsplit('/').next().unwrap()])
            .collect();
        assert_eq!(
            told,
            [
                ["streamspaced", "EndQuotaOverride"],
                ["root", "SetQuota"],
                ["root", "UpdateTenant"],
                ["root", "CreateTenant"],
            ]
        );
        let summaries: Vec<_> = all.iter().map(|entry| text(entry, "summary")).collect();
        assert_eq!(summaries[0], "cpu 140 → 100");
        assert!(summaries[1].starts_with("cpu 100 → 140 until 20"), "{}", summaries[1]);
        assert_eq!(summaries[2], "seats 1 → 2");
        assert_eq!(summaries[3], "created: plan business, 1 seat");
        assert_eq!(text(&all[0], "reason"), "its time is over; root had set it for: INC-7");
        assert_eq!(ends(ssctl, "intent").await.len(), 1);

        // The incident has both, and nothing else.
        let incident = found(ssctl, &["--incident", "INC-7", "--reverse"]).await;
        let methods: Vec<_> = incident.iter().map(|entry| text(entry, "method")).collect();
        let set = "streamspace.admin.v1.QuotaService/SetQuota";
        assert_eq!(methods, [set, "streamspaced/EndQuotaOverride"]);
        ssctl.ok(&["audit", "list", "--incident", "INC-7"]).await.prints("EndQuotaOverride");

        // As people read it.
        ssctl
            .ok(&["changes", "night"])
            .await
            .prints("set quota of night")
            .prints("end quota override of night")
            .prints("INC-7");
        let none = ssctl.ok(&["changes", "--until", "1h"]).await.says("no audit entries");
        assert_eq!(none.stdout, "");
        assert_eq!(found(ssctl, &["--actor", "streamspaced"]).await.len(), 1);
    });
}

/// Whatever line the daemon is killed at, an end has one intent and one outcome, and that
/// is true.
#[test]
fn a_kill_at_an_end_doubles_and_loses_nothing() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let create = ["tenant", "create", "burst", "--plan", "business", "--seats", "1", "--wait"];
        ssctl.ok(&create).await;
        let rounds: usize = 8;
        for round in 1..=rounds {
            ssctl.ok(&["quota", "set", "burst", "pods=600", "--for", "1s"]).await;
            // Around the end, each time a little later: before it, in its midst, behind it.
            let step = u64::try_from(round).unwrap();
            tokio::time::sleep(Duration::from_millis(900 + 35 * step)).await;
            region.kill().await;
            region.launch().await;
            until("what was set is over and told", async || {
                let run = ssctl.run(&["tenant", "show", "burst", "-o", "json"]).await;
                if run.code != 0 {
                    return Err(run.stderr);
                }
                let left = overrides(ssctl, "burst").await;
                let told = ends(ssctl, "outcome").await.len();
                holds(left == 0 && told == round, || format!("{left} left, {told} told"))
            })
            .await;
        }
        let outcomes = ends(ssctl, "outcome").await;
        assert_eq!(ends(ssctl, "intent").await.len(), rounds);
        for outcome in outcomes {
            assert_eq!(text(&outcome, "decision"), "AUDIT_DECISION_SUCCEEDED", "{outcome}");
            assert_eq!(text(&outcome, "summary"), "pods 600 → 500", "{outcome}");
        }
    });
}

#[test]
fn whatever_has_an_end_tells_it_and_a_denial_is_told_where_it_is_asked_for() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let create = ["tenant", "create", "quiet", "--plan", "business", "--seats", "1", "--wait"];
        ssctl.ok(&create).await;
        let eve = region.person("eve", "viewer").await;
        for command in [
            &["tenant", "cordon", "quiet"][..],
            &["tenant", "pause", "quiet"],
            &["region", "cordon"],
            &["region", "pause"],
            &["operator", "lock", "eve", "--confirm", "eve"],
        ] {
            ssctl.ok(&[command, &["--for", "1s", "--reason", "a drill"]].concat()).await;
        }
        let names = [
            "EndOperatorLock",
            "EndRegionCordon",
            "EndRegionPause",
            "EndTenantCordon",
            "EndTenantPause",
        ];
        until("all five ends are told", async || {
            let ends = ends(ssctl, "outcome").await;
            let mut found: Vec<_> =
                ends.iter().map(|end| text(end, "method").replace("streamspaced/", "")).collect();
            found.sort();
            holds(found == names, || format!("{found:?}"))
        })
        .await;
        for end in ends(ssctl, "outcome").await {
            assert!(text(&end, "reason").ends_with(": a drill"), "{end}");
        }

        eve.run(&["tenant", "cordon", "quiet", "--reason", "I may not"]).await.exits(5);
        ssctl.run(&["plan", "create", "free", "--cpu", "1"]).await;
        until("the denial is told", async || {
            let failed = found(ssctl, &["--failed", "--actor", "eve"]).await;
            holds(
                failed.iter().any(|entry| text(entry, "decision") == "AUDIT_DECISION_DENIED"),
                || format!("{failed:?}"),
            )
        })
        .await;
        ssctl.ok(&["changes", "--failed", "--actor", "eve"]).await.prints("denied: ");
        let told = found(ssctl, &["--actor", "eve"]).await;
        assert!(
            told.iter().all(|entry| text(entry, "decision") != "AUDIT_DECISION_DENIED"),
            "{told:?}"
        );
        // A viewer may not read the log, and is told so.
        eve.run(&["changes"]).await.exits(5);
    });
}
