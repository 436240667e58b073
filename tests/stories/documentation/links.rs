//! Every relative link of the documentation leads somewhere.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{files, world::root};

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut found = 0;
    for name in files::all() {
        let text = fs::read_to_string(root().join(&name)).unwrap();
        let folder = Path::new(&name).parent().unwrap();
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            found += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target =
                if path.is_empty() { root().join(&name) } else { root().join(folder).join(path) };
            if !target.exists() {
                broken.push(format!("{name}: {link} is not there"));
            } else if !anchor.is_empty() {
                let text = fs::read_to_string(&target).unwrap_or_default();
                if !anchors(&text).contains(anchor) {
                    broken.push(format!("{name}: {link} has no such heading"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(found > 100, "only {found} links were found");
}

/// Every page can be found from the index.
#[test]
fn every_page_is_in_the_index() {
    let index = fs::read_to_string(root().join("docs/README.md")).unwrap();
    let linked: BTreeSet<String> =
        links(&index).into_iter().map(|link| format!("docs/{link}")).collect();
    let missing: Vec<String> = files::all()
        .into_iter()
        .filter(|name| name.starts_with("docs/") && name != "docs/README.md")
        // These have indexes of their own.
        .filter(|name| !files::is_made(name) || name.ends_with("/README.md"))
        .filter(|name| !name.starts_with("docs/adr/") || name.ends_with("/README.md"))
        .filter(|name| !linked.contains(name))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not link {missing:?}");
}

/// The targets of links, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in prose(text) {
        // Odd parts are code.
        let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for part in outside.split("](").skip(1) {
            links.extend(part.split(')').next().map(|link| link.trim().to_owned()));
        }
    }
    links
}

/// Lines outside of fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        inside ^= is_fence;
        !inside && !is_fence
    })
}

/// What headings are linked by, as GitHub makes it.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let slug = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    headings.map(slug).collect()
}

#[test]
fn links_and_headings_are_read() {
    let text =
        "# A `b` page!\nsee [x](y.md#z) and `[no](code)`\n```text\n[no](either)\n```\n[w]( v.md )";
    assert_eq!(links(text), ["y.md#z", "v.md"]);
    assert_eq!(anchors(text), BTreeSet::from(["a-b-page".to_owned()]));
}
