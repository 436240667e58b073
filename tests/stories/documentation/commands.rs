//! The commands and their flags, from the programs' own help.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use streamspace_tests::daemon::program;

use crate::{files, world::root};

/// A command with its help.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The words that it is called with, the program's name first.
    pub(crate) path: Vec<String>,
    help: String,
    children: Vec<(String, String)>,
}

impl Entry {
    fn read(path: &[String]) -> Self {
        let output = Command::new(program(&path[0]))
            .args(&path[1..])
            .arg("--help")
            .env_clear()
            .env("TERM", "dumb")
            .env("COLUMNS", "100")
            .output()
            .expect("the program starts");
        assert!(output.status.success(), "{path:?} --help");
        let help = String::from_utf8(output.stdout).expect("help is text");
        let children = section(&help, "Commands:").map(children).unwrap_or_default();
        Self { path: path.to_vec(), help, children }
    }

    /// Its whole name.
    fn name(&self) -> String {
        self.path.join(" ")
    }

    /// What stands before `Usage:`.
    pub(crate) fn about(&self) -> String {
        let about = self.help.split("\nUsage:").next().unwrap_or_default().trim();
        about.replace('<', "\\<")
    }

    /// From `Usage:` on, without what is the same for every command.
    pub(crate) fn usage(&self, is_root: bool) -> String {
        let start = self.help.find("Usage:").unwrap_or_default();
        let mut kept = String::new();
        let mut is_shown = true;
        for line in self.help[start..].lines() {
            if !line.is_empty() && !line.starts_with(' ') {
                is_shown = is_root || !["Global options:", "Exit codes:"].contains(&line);
            }
            if is_shown {
                kept.push_str(line.trim_end());
                kept.push('\n');
            }
        }
        kept.trim_end().to_owned()
    }

    /// The long flags that it takes.
    pub(crate) fn flags(&self) -> BTreeSet<&str> {
        let words = self.help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        words.filter(|word| word.starts_with("--")).collect()
    }
}

/// The part of a help with this heading.
fn section<'a>(help: &'a str, heading: &str) -> Option<&'a str> {
    let start = help.find(&format!("\n{heading}\n"))? + heading.len() + 2;
    let rest = &help[start..];
    Some(&rest[..rest.find("\n\n").unwrap_or(rest.len())])
}

/// Names and words of the commands below.
fn children(section: &str) -> Vec<(String, String)> {
    let mut children: Vec<(String, String)> = Vec::new();
    for line in section.lines() {
        match (line.strip_prefix("  "), children.last_mut()) {
            (Some(text), _) if !text.starts_with(' ') => {
                let (name, words) = text.split_once(' ').unwrap_or((text, ""));
                if name != "help" {
                    children.push((name.to_owned(), words.trim().to_owned()));
                }
            }
            (Some(more), Some((_, words))) => {
                words.push(' ');
                words.push_str(more.trim());
            }
            _ => {}
        }
    }
    children
}

/// Every command of both programs, depth first.
pub(crate) fn all() -> Vec<Entry> {
    let mut entries = Vec::new();
    for name in ["ssctl", "streamspaced"] {
        walk(&[name.to_owned()], &mut entries);
    }
    entries
}

fn walk(path: &[String], entries: &mut Vec<Entry>) {
    let entry = Entry::read(path);
    let children = entry.children.clone();
    entries.push(entry);
    for (name, _) in children {
        walk(&[path, &[name]].concat(), entries);
    }
}

/// The pages of the reference, by their names below the root.
pub(crate) fn pages() -> BTreeMap<String, String> {
    let entries = all();
    let (roots, others): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().partition(|entry| entry.path.len() == 1);
    let mut pages = BTreeMap::new();
    let mut index = "# Commands\n\nMade from the programs' own help. ".to_owned();
    index += "`ssctl COMMAND --help` says the same, and so does `man ssctl-COMMAND`.\n";
    for root in roots {
        let name = root.name();
        index += &format!("\n## {name}\n\n{}\n\n| command | |\n|--|--|\n", root.about());
        for (child, words) in &root.children {
            let is_daemon = name == "streamspaced";
            let page = if is_daemon { "streamspaced" } else { child.as_str() };
            let anchor = if is_daemon { format!("#{name}-{child}") } else { String::new() };
            index += &format!("| [`{name} {child}`]({page}.md{anchor}) | {} |\n", cell(words));
        }
        index += &format!("\n```text\n{}\n```\n", root.usage(true));
        for (child, _) in &root.children {
            let below: Vec<&&Entry> = others
                .iter()
                .filter(|entry| entry.path[0] == name && entry.path[1] == *child)
                .collect();
            if name == "streamspaced" {
                let page = pages
                    .entry(page_name(&name))
                    .or_insert_with(|| format!("# streamspaced\n\n{}\n", root.about()));
                for entry in below {
                    *page += &part(entry);
                }
            } else {
                let mut page = format!("# {name} {child}\n\n{}\n", below[0].about());
                page += &table(below[0]);
                page += "\nOptions that every command takes: [ssctl](README.md#ssctl).\n";
                if below[0].children.is_empty() {
                    page += &format!("\n```text\n{}\n```\n", below[0].usage(false));
                }
                for entry in below.iter().skip(1) {
                    page += &part(entry);
                }
                pages.insert(page_name(child), page);
            }
        }
    }
    pages.insert(page_name("README"), index);
    pages
}

fn page_name(name: &str) -> String {
    format!("docs/reference/commands/{name}.md")
}

fn table(entry: &Entry) -> String {
    if entry.children.is_empty() {
        return String::new();
    }
    let mut table = "\n| command | |\n|--|--|\n".to_owned();
    for (child, words) in &entry.children {
        let name = format!("{} {child}", entry.name());
        table += &format!("| [`{name}`](#{}) | {} |\n", name.replace(' ', "-"), cell(words));
    }
    table
}

fn part(entry: &Entry) -> String {
    let (name, about) = (entry.name(), entry.about());
    let table = table(entry);
    format!("\n## {name}\n\n{about}\n{table}\n```text\n{}\n```\n", entry.usage(false))
}

/// Words in a table.
pub(crate) fn cell(words: &str) -> String {
    words.replace('|', "\\|").replace('<', "\\<")
}

/// What stands in the text of the pages is there too: `ssctl tenant list --deleted`.
#[test]
fn every_command_in_the_text_is_there() {
    let entries = all();
    let mut wrong = Vec::new();
    let mut found = 0;
    for name in files::pages() {
        let text = fs::read_to_string(root().join(&name)).unwrap();
        // A page may say what was there once, and decisions do.
        if name.starts_with("docs/adr/") {
            continue;
        }
        let text = without_blocks(&text);
        let spans = text.split('`').skip(1).step_by(2);
        for span in
            spans.filter(|span| span.starts_with("ssctl ") || span.starts_with("streamspaced "))
        {
            found += 1;
            wrong.extend(
                check(&entries, span).err().map(|fault| format!("{name}: `{span}`: {fault}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found > 50, "only {found} commands were found");
}

/// Whether there is such a command with such flags.
fn check(entries: &[Entry], text: &str) -> Result<(), String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: Vec<&str> = text.split(' ').collect();
    // The longest command that the words begin with.
    let is_called = |entry: &&Entry| {
        entry.path.len() <= words.len() && entry.path.iter().zip(&words).all(|(a, b)| a == b)
    };
    let entry = entries.iter().filter(is_called).max_by_key(|entry| entry.path.len());
    let entry = entry.ok_or("there is no such program")?;
    let next = words.get(entry.path.len()).copied().unwrap_or_default();
    let is_name =
        next.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !next.starts_with('-');
    if !entry.children.is_empty() && is_name && !next.is_empty() {
        return Err(format!("`{}` has no {next:?}", entry.name()));
    }
    let flags = entry.flags();
    let quoted: String = text.split('\'').step_by(2).collect();
    for word in quoted.split(' ').filter(|word| word.starts_with("--")) {
        let flag = word.split(['=', '[', ',', ')']).next().unwrap_or_default();
        if !flags.contains(flag) {
            return Err(format!("`{}` has no {flag}", entry.name()));
        }
    }
    Ok(())
}

fn without_blocks(text: &str) -> String {
    let outside = text.split("```").step_by(2);
    outside.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_command_that_is_not_there_is_found() {
    let entries = all();
    for text in [
        "ssctl tenant list --deleted",
        "ssctl --help",
        "streamspaced run",
        "ssctl tenant show NAME",
    ] {
        check(&entries, text).unwrap();
    }
    for text in
        ["ssctl tenat list", "ssctl tenant lst", "ssctl tenant list --no-such", "streamspaced walk"]
    {
        check(&entries, text).unwrap_err();
    }
}
