//! Failures on demand: the simulated cluster of a development region fails as it is asked
//! to, and the daemon weathers it.

use std::{path::Path, process::Stdio};

use serde_json::Value;
use streamspace_tests::{
    daemon::program,
    development::Development,
    region::Region,
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, until},
};
use tokio::process::Command;

const FAULT: [&str; 3] = ["simulator", "fault", "create"];

/// Makes a fault, and returns its name.
async fn fault(ssctl: &Ssctl, flags: &[&str]) -> String {
    let made = ssctl.json(&[&FAULT[..], flags].concat()).await;
    made["name"].as_str().unwrap().to_owned()
}

/// Every fault by its name, with how often it acted.
async fn faults(ssctl: &Ssctl) -> Vec<(String, i64)> {
    let list = ssctl.json(&["simulator", "fault", "list"]).await;
    let hits = |fault: &Value| fault["hits"].as_str().unwrap_or("0").parse().unwrap();
    let name = |fault: &Value| fault["name"].as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|fault| (name(fault), hits(fault))).collect()
}

#[test]
fn tenants_become_active_in_a_storm() {
    story(async {
        let mut dev = Development::new();
        dev.start(&["--no-samples"]).await;
        let ssctl = dev.ssctl();
        let storm = fault(
            ssctl,
            &["--kind", "too-many-requests", "--verb", "patch", "--percent", "30", "--seed", "7"],
        )
        .await;
        let slow = ["--kind", "latency", "--latency", "50ms", "--percent", "50"];
        let slow = fault(ssctl, &slow).await;
        let lost = ["--kind", "drop-connection", "--percent", "5"];
        let lost = fault(ssctl, &lost).await;
        let cut = ["--kind", "cut-watch", "--limit", "15"];
        let cut = fault(ssctl, &cut).await;

        let tenants = ["storm-1", "storm-2", "storm-3", "storm-4", "storm-5", "storm-6"];
        for tenant in tenants {
            ssctl.ok(&["tenant", "create", tenant, "--plan", "free", "--seats", "1"]).await;
        }
        dev.are_active(&tenants).await;
        let found = faults(ssctl).await;
        assert_eq!(found.len(), 4, "the newest first: {found:?}");
        assert_eq!(found[0].0, cut);
        for name in [&storm, &slow, &lost, &cut] {
            let (_, hits) = found.iter().find(|(found, _)| found == name).unwrap();
            assert!(*hits > 0, "{name} never acted: {found:?}");
        }
        let table = ssctl.ok(&["simulator", "fault", "list"]).await.stdout;
        assert!(table.contains("30 % of patch"), "{table}");
        assert!(table.contains("latency 50ms"), "{table}");

        // One ends by its short name, and says how often it acted; then the rest.
        let short = storm.trim_start_matches("faults/");
        let ended = ssctl.ok(&["simulator", "fault", "delete", short]).await;
        ended.says("does not act any more; it acted on");
        assert_eq!(faults(ssctl).await.len(), 3);
        ssctl.ok(&["simulator", "fault", "delete", "--all"]).await;
        assert_eq!(faults(ssctl).await, []);
        ssctl.run(&["simulator", "fault", "delete", short]).await.exits(6);
        ssctl.ok(&["simulator", "fault", "delete", "--all"]).await.says("there was no fault");

        // The log of who did what has all of it.
        let log = ssctl.ok(&["audit", "list", "-o", "json"]).await.stdout;
        assert!(log.contains("SimulatorService/CreateFault"), "{log}");
        assert!(log.contains(&format!("\"resource\": \"{storm}\"")), "{log}");
        dev.interrupt().await;
    });
}

#[test]
fn a_fault_ends_by_itself_and_a_preview_never_begins() {
    story(async {
        let mut dev = Development::new();
        dev.start(&["--no-samples"]).await;
        let ssctl = dev.ssctl();
        let every = ["--kind", "internal-error"];
        let preview = ssctl.run(&[&FAULT[..], &every, &["--dry-run"]].concat()).await.exits(3);
        preview.prints("FAULT_KIND_INTERNAL_ERROR");
        assert_eq!(faults(ssctl).await, []);

        // While every request fails nothing becomes active; the fault ends, and all is well.
        fault(ssctl, &[&every[..], &["--for", "4s"]].concat()).await;
        ssctl.ok(&["tenant", "create", "patient", "--plan", "free", "--seats", "1"]).await;
        until("the fault acts", async || {
            let found = faults(ssctl).await;
            holds(found.iter().any(|(_, hits)| *hits > 0), || format!("{found:?}"))
        })
        .await;
        assert_eq!(dev.tenants().await[0].1, "TENANT_STATE_PROVISIONING");
        until("the fault ends by itself", async || {
            let found = faults(ssctl).await;
            holds(found.is_empty(), || format!("{found:?}"))
        })
        .await;
        dev.are_active(&["patient"]).await;

        // What cannot be is said by its field, before or by the daemon.
        ssctl.run(&[&FAULT[..], &["--kind", "latency"]].concat()).await.exits(2);
        let wrong = ["--kind", "gone", "--latency", "5s"];
        ssctl.run(&[&FAULT[..], &wrong].concat()).await.exits(2).says("fault.latency");
        let wrong = ["--kind", "gone", "--for", "25h"];
        ssctl.run(&[&FAULT[..], &wrong].concat()).await.exits(2).says("24 hours");
        dev.interrupt().await;
    });
}

#[test]
fn faults_of_the_configuration_act_from_the_start_and_no_others_outlive_it() {
    story(async {
        let mut dev = Development::new();
        let file = tempfile::NamedTempFile::new().unwrap();
        let section = "[[simulator.faults]]\nkind = \"latency\"\nlatency = \"20ms\"\n";
        std::fs::write(file.path(), section).unwrap();
        let path = file.path().display().to_string();
        let flag = "too-many-requests,verb=patch,resource=namespaces,limit=3";
        let configured = ["--config", &path, "--fault", flag];
        let said = dev.start(&configured).await;
        assert!(said.contains("faults: 2 from the start on"), "{said}");
        dev.are_active(&["acme-corp", "beta-inc", "charlie-llc"]).await;
        let ssctl = dev.ssctl();
        let found = faults(ssctl).await;
        assert_eq!(found.iter().map(|(_, hits)| (*hits).min(3)).collect::<Vec<_>>(), [3, 3]);
        assert_eq!(found[0].1, 3, "it is spent: {found:?}");
        ssctl.ok(&["simulator", "fault", "list"]).await.prints("3 of 3, spent");

        // A restart keeps the cluster and no fault but the configured ones.
        fault(ssctl, &["--kind", "conflict"]).await;
        assert_eq!(faults(ssctl).await.len(), 3);
        dev.interrupt().await;
        dev.start(&["--fault", "latency,latency=1ms"]).await;
        assert_eq!(faults(dev.ssctl()).await.len(), 1);
        dev.are_active(&["acme-corp", "beta-inc", "charlie-llc"]).await;
        dev.interrupt().await;

        refuses(dev.data(), &["--fault", "gone,percent=200"], 2, "percent: must be 1 to 100").await;
        let real = ["--fault", "gone", "--kubeconfig", "/nowhere"];
        refuses(dev.data(), &real, 2, "cannot be used with").await;
        std::fs::write(file.path(), "[simulator]\nfault = 1\n").unwrap();
        refuses(dev.data(), &["--config", &path], 1, "unknown field `fault`").await;
        std::fs::write(file.path(), section).unwrap();
        let real = ["--config", &path, "--kubeconfig", "/nowhere"];
        refuses(dev.data(), &real, 1, "simulator.faults: --kubeconfig names a real").await;
    });
}

/// `streamspaced dev` does not start so, and says why.
async fn refuses(data: &Path, more: &[&str], code: i32, words: &str) {
    let output = Command::new(program("streamspaced"))
        .args(["dev", "--data-dir"])
        .arg(data)
        .args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .args(more)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{more:?}: {said}");
    assert!(said.contains(words), "{more:?}: {said}");
}

#[test]
fn a_region_on_a_real_cluster_refuses() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        for command in [
            &["simulator", "fault", "list"][..],
            &["simulator", "fault", "create", "--kind", "gone"],
            &["simulator", "fault", "create", "--kind", "gone", "--dry-run"],
            &["simulator", "fault", "delete", "--all"],
        ] {
            let ran = ssctl.run(command).await.exits(12);
            ran.says("manages a real cluster").says("streamspaced dev");
        }
        // Neither by its configuration: it does not start with one.
        region.stop().await;
        region.set("simulator", "faults", toml::Value::Array(Vec::new()));
        let config = region.config().display().to_string();
        let output = Command::new(program("streamspaced"))
            .args(["run", "--config", &config])
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("simulator: a region that is run for good"), "{said}");
    });
}
