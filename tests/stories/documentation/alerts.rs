//! The rules of the platform's alerts: Prometheus takes them, they fire at what they say,
//! each has a page of what to do, and each metric in them is one that is described.

use std::{collections::BTreeSet, process::Command};

use crate::world::root;

const RULES: &str = "packaging/alerts/streamspace.rules.yaml";

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// What follows a word on its line, for each line that has it.
fn values(text: &str, word: &str) -> Vec<String> {
    text.lines().filter_map(|line| Some(line.split_once(word)?.1.trim().to_owned())).collect()
}

#[test]
fn prometheus_takes_the_rules_and_they_fire_at_what_they_say() {
    for arguments in
        [["check", "rules", RULES], ["test", "rules", "packaging/alerts/tests/streamspace.yaml"]]
    {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(root())
            .output()
            .expect("no program promtool: run packaging/dev/needs prometheus");
        assert!(
            output.status.success(),
            "{arguments:?}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn each_alert_has_a_page_and_each_page_an_alert() {
    let rules = read(RULES);
    let mut alerts: BTreeSet<String> = values(&rules, "- alert: ").into_iter().collect();
    // Those of SLOs are exported, and not packaged.
    alerts.extend(["SloBurn", "SloBudgetUsed", "SloNoData"].map(str::to_owned));
    let folder = root().join("docs/runbooks");
    let pages: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().next().unwrap().trim_start_matches("# ").to_owned()
        })
        .collect();
    assert_eq!(alerts, pages);
    let tested = read("packaging/alerts/tests/streamspace.yaml");
    for alert in values(&rules, "- alert: ") {
        assert!(tested.contains(&format!("alertname=\"{alert}\"")), "nothing tests {alert}");
    }
}

#[test]
fn each_metric_of_the_rules_is_described() {
    let metrics = read("docs/reference/metrics.md");
    let rules = read(RULES);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = 0;
    for (at, _) in rules.match_indices("streamspace_") {
        let name: String = rules[at..].chars().take_while(|c| is_part(*c)).collect();
        let family =
            name.trim_end_matches("_bucket").trim_end_matches("_count").trim_end_matches("_sum");
        assert!(metrics.contains(&format!("`{family}`")), "{name} is not described");
        found += 1;
    }
    assert!(found > 0, "the rules name no metric");
}
