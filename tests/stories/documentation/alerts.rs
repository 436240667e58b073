//! The alerts and dashboards that are shipped: a Prometheus takes them, what they ask for
//! is what a daemon exposes, and each alert has a page on what to do.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::{Value, json};
use streamspace_tests::{
    http,
    prometheus::Prometheus,
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, until},
};

use crate::{
    files,
    page::{Needs, SetUp},
    reference::described,
    world::{READER, World, root},
};

const RULES: &str = "packaging/alerts/streamspace.rules.yaml";
const RULE_TESTS: &str = "packaging/alerts/tests/streamspace.yaml";

/// Alerts of the daemon that no rule file here has: `ssctl slo export` writes their rules.
const OF_SLOS: [&str; 3] = ["SloBudgetUsed", "SloBurn", "SloNoData"];

/// What a runbook page says, in this order.
const PARTS: [&str; 6] = [
    "**What it means.**",
    "**Who is hurt.**",
    "**Look first.**",
    "**Do.**",
    "**If that does not help.**",
    "**Afterwards.**",
];

/// Labels that a scrape or a histogram adds.
const ADDED: [&str; 3] = ["job", "instance", "le"];

/// Metrics of kube-state-metrics that dashboards ask for.
const OTHERS: [&str; 2] = ["kube_node_status_allocatable", "kube_resourcequota"];

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).current_dir(root()).output();
    let output = output.expect("no program promtool: run packaging/dev/needs prometheus");
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(output.status.success(), "promtool {arguments:?}: {}", said.concat());
}

fn rules() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&read(RULES)).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key:?} in {value}"))
}

/// `ApiErrorRate` has the page `api-error-rate`.
fn page_of(alert: &str) -> String {
    let mut page = String::new();
    for letter in alert.chars() {
        if letter.is_ascii_uppercase() && !page.is_empty() {
            page.push('-');
        }
        page.push(letter.to_ascii_lowercase());
    }
    page
}

#[test]
fn a_prometheus_takes_the_rules_and_they_alert_when_they_should() {
    promtool(&["check", "rules", RULES]);
    promtool(&["test", "rules", RULE_TESTS]);
    let tests = read(RULE_TESTS);
    for rule in rules() {
        let alert = text(&rule, "alert");
        let severity = text(&rule["labels"], "severity");
        assert!(["page", "ticket"].contains(&severity), "{alert}: {severity}");
        for key in ["summary", "description"] {
            assert!(!text(&rule["annotations"], key).is_empty(), "{alert}");
        }
        assert!(!text(&rule, "for").is_empty(), "{alert}");
        let page = format!("/usr/share/doc/streamspaced/runbooks/{}.md", page_of(alert));
        assert_eq!(text(&rule["annotations"], "runbook"), page);
        assert!(tests.contains(&format!("alertname=\"{alert}\"")), "{alert} has no test");
    }
}

/// The line of the rules' first comment that gives each alert a link.
#[test]
fn the_rules_get_links_by_the_line_that_they_tell() {
    let rules = read(RULES);
    let line = rules.lines().find_map(|line| line.strip_prefix("#   sed ")).unwrap();
    let folder = root().join(RULES).parent().unwrap().to_path_buf();
    let command = format!("sed {line}");
    let output = Command::new("sh").args(["-c", &command]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{command}");
    let linked = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    fs::write(linked.path(), &output.stdout).unwrap();
    promtool(&["check", "rules", &linked.path().display().to_string()]);
    let file: Value = serde_saphyr::from_str(&String::from_utf8(output.stdout).unwrap()).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    let linked: Vec<_> =
        groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect();
    assert_eq!(linked.len(), self::rules().len());
    for rule in linked {
        let page = page_of(text(&rule, "alert"));
        let url = text(&rule["annotations"], "runbook_url");
        assert_eq!(url, format!("https://docs.example.com/runbooks/{page}.md"));
    }
}

#[test]
fn every_alert_has_a_page_and_every_page_an_alert() {
    let rules = rules();
    let mut alerts: BTreeSet<&str> = rules.iter().map(|rule| text(rule, "alert")).collect();
    let source = read("daemon/src/slo/step.rs");
    for alert in OF_SLOS {
        assert!(source.contains(&format!("\"{alert}\"")), "the daemon has no alert {alert}");
        assert!(alerts.insert(alert), "{alert} is exported, and has no rule here");
    }
    let pages: BTreeSet<String> =
        alerts.iter().map(|alert| format!("docs/runbooks/{}.md", page_of(alert))).collect();
    assert_eq!(files::below("docs/runbooks", ""), pages);
    for alert in alerts {
        let name = format!("docs/runbooks/{}.md", page_of(alert));
        let page = read(&name);
        assert!(page.contains(&format!("\n# {alert}\n")), "{name} is not headed {alert}");
        let places = PARTS.map(|part| page.find(&format!("\n{part} ")));
        assert!(places.iter().all(Option::is_some), "{name} lacks a part: {places:?}");
        assert!(places.is_sorted(), "{name}: the parts are in another order");
        let [_, _, Some(look), Some(act), ..] = places else { panic!("{name}: {places:?}") };
        assert!(page[look..act].contains("\n```sh\n"), "{name} has no command to look first");
    }
}

/// A query of a dashboard.
struct Query {
    /// The dashboard and the panel.
    place: String,
    /// As a Prometheus takes it.
    expression: String,
    /// Whether it need not show anything.
    may_be_empty: bool,
}

/// The queries of all dashboards, what Grafana fills in filled in.
fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    let names = files::below("packaging/dashboards", ".json");
    let wanted = ["capacity-planning", "platform-health", "tenant-overview"];
    let wanted = wanted.map(|name| format!("packaging/dashboards/{name}.json"));
    assert_eq!(names, BTreeSet::from(wanted));
    for name in names {
        let board: Value = serde_json::from_str(&read(&name)).unwrap();
        assert_eq!(board["schemaVersion"], json!(39), "{name}");
        let variables = board["templating"]["list"].as_array().unwrap();
        assert!(variables.iter().any(|it| it["name"] == "datasource"), "{name}");
        let mut ids = BTreeSet::new();
        for panel in board["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64()), "{name}: two panels have one id");
            let Some(targets) = panel["targets"].as_array() else { continue };
            let place = format!("{name}: {}", text(panel, "title"));
            let description = text(panel, "description");
            for target in targets {
                for of in [panel, target] {
                    assert_eq!(of["datasource"]["uid"], "${datasource}", "{place}");
                }
                let expression = filled(text(target, "expr"));
                let is_others = OTHERS.iter().any(|metric| expression.contains(metric));
                let may_be_empty = is_others || description.to_lowercase().contains("empty where");
                queries.push(Query { place: place.clone(), expression, may_be_empty });
            }
        }
    }
    assert!(queries.len() > 60, "only {} queries", queries.len());
    queries
}

fn filled(expression: &str) -> String {
    let mut text = expression.to_owned();
    for (variable, value) in [("$__rate_interval", "5m"), ("$job", ".*"), ("$namespace", ".*")] {
        text = text.replace(variable, value);
    }
    assert!(!text.contains('$'), "a variable is not filled in: {text}");
    text
}

#[test]
fn a_prometheus_takes_every_query_of_the_dashboards() {
    let record = |(number, query): (usize, Query)| {
        let expression = query.expression;
        json!({"record": format!("query:{number}"), "expr": expression, "labels": {"place": query.place}})
    };
    let rules: Vec<Value> = queries().into_iter().enumerate().map(record).collect();
    let folder = tempfile::tempdir().unwrap();
    // What is JSON is YAML.
    let file = folder.path().join("queries.yaml");
    let content = json!({"groups": [{"name": "queries", "rules": rules}]});
    fs::write(&file, content.to_string()).unwrap();
    promtool(&["check", "rules", &file.display().to_string()]);
}

/// What is asked for, by names and labels alone; that a running daemon exposes what is
/// described is held beside the reference.
#[test]
fn rules_and_dashboards_ask_for_nothing_that_no_daemon_exposes() {
    let described = described();
    let rules = rules();
    let rules = rules.iter().map(|rule| (RULES.to_owned(), text(rule, "expr").to_owned()));
    let queries = queries().into_iter().map(|query| (query.place, query.expression));
    for (place, expression) in rules.chain(queries) {
        let selectors = selectors(&expression);
        assert!(!selectors.is_empty(), "{place}: {expression} asks for nothing");
        for (name, labels) in selectors {
            if OTHERS.contains(&name.as_str()) {
                continue;
            }
            let family = ["_bucket", "_count", "_sum"].iter().find_map(|end| {
                let family = name.strip_suffix(end)?;
                described.get(family).filter(|(kind, _)| kind == "histogram")
            });
            let (_, known) = family
                .or_else(|| described.get(&name).filter(|(kind, _)| kind != "histogram"))
                .unwrap_or_else(|| panic!("{place}: no daemon exposes {name}"));
            for label in labels {
                let known = known.contains(&label) || ADDED.contains(&label.as_str());
                assert!(known, "{place}: {name} has no label {label}");
            }
        }
    }
}

/// The metrics of an expression, with the labels that they are chosen by.
fn selectors(expression: &str) -> Vec<(String, Vec<String>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(is_word) {
        rest = &rest[start..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        let matchers = after.strip_prefix('{').map(|inside| {
            let (inside, after) = split_at_brace(inside);
            rest = after;
            inside
        });
        let is_metric = word.starts_with("streamspace") || word.starts_with("kube");
        assert!(is_metric || matchers.is_none(), "whose metric is {word}?");
        if is_metric {
            let labels = outside_of_quotes(matchers.unwrap_or_default());
            let labels = labels.split(',').filter_map(|matcher| {
                let label = matcher.split(['=', '!']).next()?.trim();
                (!label.is_empty()).then(|| label.to_owned())
            });
            found.push((word.to_owned(), labels.collect()));
        }
    }
    found
}

/// What stands before the brace that closes, and behind it.
fn split_at_brace(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '}' if !quoted => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    panic!("no brace closes {text}")
}

fn outside_of_quotes(text: &str) -> String {
    text.split('"').step_by(2).collect()
}

#[test]
fn names_and_labels_of_an_expression_are_read() {
    let expression = "sum by (le) (rate(streamspace_a_bucket{x=~\"a,}b\",y!=\"c\"}[5m])) \
                      / ignoring (z) streamspace_b > 0";
    let labels = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect();
    let wanted: [(String, Vec<String>); 2] = [
        ("streamspace_a_bucket".into(), labels(&["x", "y"])),
        ("streamspace_b".into(), labels(&[])),
    ];
    assert_eq!(selectors(expression), wanted);
    assert_eq!(page_of("ApiErrorRate"), "api-error-rate");
}

/// Every panel shows something of a development region, unless it says where it does not.
#[test]
fn the_dashboards_show_a_running_daemon() {
    story(async {
        let world = World::make(&Needs { set_up: SetUp::Dev, ..Needs::default() }).await;
        let admin = Ssctl::new(world.homes[READER].folder.clone());
        let session = ["session", "create", "acme-corp/ada-desk", "--user", "ada"];
        admin.ok(&[&session[..], &["--template", "firefox-browser", "--wait"]].concat()).await;
        let prometheus = Prometheus::start().await;
        let address = prometheus.url().trim_start_matches("http://").parse().unwrap();
        let queries = queries();
        until("each panel shows something", async || {
            let (code, told) = http::get(world.http(), "/metrics").await.unwrap();
            assert_eq!(code, 200, "{told}");
            prometheus.say(told);
            let mut empty = Vec::new();
            for query in &queries {
                let expression = sooner(&query.expression);
                let path = format!("/api/v1/query?query={}", encoded(&expression));
                let Ok((code, answer)) = http::get(address, &path).await else {
                    return holds(false, || "the Prometheus does not answer yet".into());
                };
                assert!(code == 200 || code == 503, "{}: {expression}: {answer}", query.place);
                let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
                let shown = answer["data"]["result"].as_array().is_some_and(|it| !it.is_empty());
                if !shown && !query.may_be_empty {
                    empty.push(format!("{}: {expression}", query.place));
                }
            }
            holds(empty.is_empty(), || empty.join("\n"))
        })
        .await;
        world.end().await.unwrap();
    });
}

/// A Prometheus of a story has seen seconds, and no days.
fn sooner(expression: &str) -> String {
    let mut text = expression.to_owned();
    for range in ["[7d:1h]", "[1d:5m]", "[1h:5m]"] {
        text = text.replace(range, "[1m:1s]");
    }
    text.replace("[7d]", "[1m]")
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        encoded.push_str(&format!("%{byte:02X}"));
    }
    encoded
}
