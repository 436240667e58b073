//! The reference is made from the code, and is as the code is.
//!
//! `make reference` writes it anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use streamspace_tests::{
    http,
    runtime::story,
    wait::{holds, until},
};

use crate::{
    api, commands, configuration, files,
    page::{Needs, SetUp},
    world::{World, root},
};

/// Stands before and behind a part that is made, in a page that is written by hand.
const BEGIN: &str = "<!-- made from the code by `make reference` -->";
const END: &str = "<!-- until here -->";

fn is_update() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

#[test]
fn the_commands_are_as_the_programs_say() {
    hold("docs/reference/commands/", &commands::pages(), "make reference");
}

#[test]
fn the_api_is_as_the_contract_says() {
    hold("docs/reference/api/", &api::pages(), "make reference");
}

/// Holds a folder to what is made, or makes it so; `how` does that.
pub(crate) fn hold(folder: &str, made: &BTreeMap<String, String>, how: &str) {
    let stale: Vec<&String> =
        made.iter().filter(|(name, text)| !is_so(name, text)).map(|(name, _)| name).collect();
    let mut superfluous = files::below(folder.trim_end_matches('/'), "");
    superfluous.retain(|name| !made.contains_key(name));
    if is_update() {
        for name in superfluous {
            fs::remove_file(root().join(name)).unwrap();
        }
        return;
    }
    assert!(
        stale.is_empty() && superfluous.is_empty(),
        "run `{how}`: {stale:?} are not as the code is, {superfluous:?} are of nothing"
    );
}

/// What the programs read of their environment.
#[test]
fn every_variable_is_described_and_nothing_else() {
    let mut read = BTreeSet::new();
    for folder in ["cli/src", "client/src", "daemon/src"] {
        for file in files::below(folder, ".rs").into_iter().filter(|name| !name.contains("tests")) {
            let text = fs::read_to_string(root().join(&file)).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            read.extend(code.split('"').filter(|word| is_variable(word)).map(str::to_owned));
        }
    }
    let rows = rows("docs/reference/configuration.md");
    let named = rows.iter().flat_map(|row| row[0].split('`')).filter(|word| is_variable(word));
    assert_eq!(named.map(str::to_owned).collect::<BTreeSet<_>>(), read);
}

pub(crate) fn is_variable(word: &str) -> bool {
    let ours = ["SSCTL_", "STREAMSPACED_"].iter().any(|prefix| word.starts_with(prefix));
    ours && word.ends_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[test]
fn the_configuration_is_as_the_code_is() {
    let name = "docs/reference/configuration.md";
    let page = fs::read_to_string(root().join(name)).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("where the part begins");
    let (_, after) = rest.split_once(END).expect("where the part ends");
    let new = format!("{before}{BEGIN}\n\n{}\n{END}{after}", configuration::table());
    assert!(is_so(name, &new), "run `make reference`: {name} is not as the code is");
}

/// Whether a file is so; where it is to be, it becomes so.
fn is_so(name: &str, text: &str) -> bool {
    let path = root().join(name);
    let is_so = fs::read_to_string(&path).is_ok_and(|found| found == text);
    if !is_so && is_update() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return true;
    }
    is_so
}

/// `code` and first words of each row of a table.
pub(crate) fn rows(name: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join(name)).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn the_exit_codes_are_as_the_manual_says() {
    let index = &commands::pages()["docs/reference/commands/README.md"];
    let table = index.split("\nExit codes:\n").nth(1).unwrap().split("```").next().unwrap();
    let said: BTreeMap<String, String> = table
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(code, words)| (code.to_owned(), words.trim().split(" (").next().unwrap().to_owned()))
        .collect();
    let written: BTreeMap<String, String> = rows("docs/reference/exit-codes.md")
        .into_iter()
        .filter(|row| row[0].parse::<u8>().is_ok())
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    assert_eq!(written, said);
}

/// A metric: its type and its labels.
pub(crate) type Metric = (String, BTreeSet<String>);

/// The metrics of the reference, by the names that a query uses.
pub(crate) fn described() -> BTreeMap<String, Metric> {
    let mut described: BTreeMap<String, Metric> = BTreeMap::new();
    for row in
        rows("docs/reference/metrics.md").iter().filter(|row| row[0].starts_with("`streamspace_"))
    {
        let [name, kind, unit, labels, meaning] = &row[..] else { panic!("{row:?}") };
        assert!(!unit.is_empty() && !meaning.is_empty(), "{name} has no unit or no meaning");
        let labels = labels.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        described.insert(name.trim_matches('`').to_owned(), (kind.clone(), labels));
    }
    described
}

#[test]
fn every_metric_is_described_and_nothing_else() {
    let described = described();
    story(async {
        let world = World::make(&Needs { set_up: SetUp::Dev, ..Needs::default() }).await;
        // What is metered is shown once the metering has begun.
        until("the daemon exposes what is described", async || {
            let (code, text) = http::get(world.http(), "/metrics").await.unwrap();
            assert_eq!(code, 200, "{text}");
            let exposed = exposed(&text);
            let of = |one: &BTreeMap<String, Metric>, other: &BTreeMap<String, Metric>| {
                let differs =
                    |(name, metric): &(&String, &Metric)| other.get(*name) != Some(metric);
                one.iter().filter(differs).map(|(name, _)| name.clone()).collect::<Vec<_>>()
            };
            holds(described == exposed, || {
                format!(
                    "described and not so: {:?}; exposed and not described so: {:?}",
                    of(&described, &exposed),
                    of(&exposed, &described)
                )
            })
        })
        .await;
        world.end().await.unwrap();
    });
}

/// What a daemon exposes, by the names that a query uses.
fn exposed(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            let total = if kind == "counter" { "_total" } else { "" };
            metrics.insert(format!("{name}{total}"), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((name, rest)) = line.split_once('{')
            && let Some((labels, _)) = rest.split_once('}')
        {
            let name = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| name.strip_suffix(part).filter(|name| metrics.contains_key(*name)))
                .unwrap_or(name);
            let labels = labels.split("\",").filter_map(|label| label.split('=').next());
            let labels = labels.filter(|label| *label != "le").map(str::to_owned);
            metrics.get_mut(name).expect("a type before a sample").1.extend(labels);
        }
    }
    metrics
}
