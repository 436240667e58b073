//! A page as people read it, in the manner of `kubectl explain`.

use std::fmt::Write as _;

use streamspace_proto::v1::{Audience, MethodPolicy, Role};

use super::{
    contract::{Written, first_sentence},
    page::{Choice, Field, Method, Page},
};
use crate::commands::access::{audited, needs, roles, scope};

/// How deep what belongs to a title stands.
const INDENT: usize = 2;

/// How the page is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// The longest line, in characters.
    pub(super) width: usize,
    /// Whether titles stand out.
    pub(super) colour: bool,
    /// Whether fields are listed with all that is below them, and no sentences.
    pub(super) recursive: bool,
}

/// The page.
pub(super) fn text(page: &Page, style: Style) -> String {
    let mut writer = Writer { text: String::new(), style };
    writer.head(page);
    writer.section("DESCRIPTION");
    writer.paragraphs(&page.description, INDENT);
    if let Some(policy) = &page.policy {
        writer.section("ACCESS");
        writer.pairs(&access(policy));
    }
    if !page.values.is_empty() {
        writer.section("VALUES");
        writer.values(&page.values);
    }
    if !page.fields.is_empty() {
        writer.section(if page.policy.is_some() { "FIELDS OF THE REQUEST" } else { "FIELDS" });
        writer.fields(&page.fields, INDENT);
    }
    if page.policy.is_none() && !page.methods.is_empty() {
        writer.section("METHODS");
        writer.methods(&page.methods);
    }
    writer.text
}

/// A list of names with what each is, under a title.
pub(super) fn list(title: &str, items: &[(String, String)], style: Style) -> String {
    let mut writer = Writer { text: String::new(), style };
    writer.section(title);
    let items: Vec<(&str, String)> =
        items.iter().map(|(name, what)| (name.as_str(), what.clone())).collect();
    writer.pairs(&items);
    writer.text
}

fn access(policy: &MethodPolicy) -> Vec<(&'static str, String)> {
    let audience = match policy.audience() {
        Audience::Unspecified => "",
        Audience::Anonymous => "anybody, without a certificate",
        Audience::Device => "an enrolled device",
        Audience::Operator => "operators",
    };
    let roles = match policy.least_role() {
        Role::Unspecified if policy.audience() != Audience::Operator => String::new(),
        _ => roles(policy),
    };
    let changes = if policy.mutates { "something; --dry-run shows what" } else { "nothing" };
    [
        ("Who", audience.to_owned()),
        ("Roles", roles),
        ("Reach", scope(policy.scope()).to_owned()),
        ("Changes", changes.to_owned()),
        ("Needs", needs(policy)),
        ("Audited", audited(policy.audit_class())),
    ]
    .into_iter()
    .filter(|(_, words)| !words.is_empty())
    .collect()
}

struct Writer {
    text: String,
    style: Style,
}

impl Writer {
    fn head(&mut self, page: &Page) {
        let title = page.kind.to_ascii_uppercase();
        let kind = match page.kind {
            "message" | "enum" => format!("{} ({})", page.path, page.type_name),
            _ => page.path.clone(),
        };
        let mut pairs = vec![(title.as_str(), kind)];
        if matches!(page.kind, "field" | "value") {
            pairs.push(("TYPE", page.type_name.clone()));
        }
        if let ([method], true) = (page.methods.as_slice(), page.policy.is_some()) {
            pairs.push(("REQUEST", method.request.clone()));
            pairs.push(("ANSWER", answer(method)));
        }
        if !page.proto_name.is_empty() {
            let name = if page.kind == "value" { "IN JSON" } else { "IN FILTERS" };
            pairs.push((name, page.proto_name.clone()));
        }
        if !page.form.is_empty() {
            pairs.push(("IN JSON", page.form.to_owned()));
        }
        if let Some(written) = page.written {
            pairs.push(("WRITTEN", written.words().to_owned()));
        }
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
        for (name, value) in pairs {
            let name = self.bold(&format!("{name}:"), width);
            // Writing to a string does not fail.
            let _ = writeln!(self.text, "{name} {value}");
        }
    }

    fn bold(&self, text: &str, width: usize) -> String {
        let padding = " ".repeat(width.saturating_sub(text.chars().count()));
        if self.style.colour {
            format!("\u{1b}[1m{text}\u{1b}[0m{padding}")
        } else {
            format!("{text}{padding}")
        }
    }

    fn section(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let title = self.bold(&format!("{title}:"), 0);
        self.text.push_str(&title);
        self.text.push('\n');
    }

    fn paragraphs(&mut self, text: &str, indent: usize) {
        for (at, paragraph) in text.split("\n\n").enumerate() {
            if at > 0 {
                self.text.push('\n');
            }
            for line in paragraph.lines() {
                self.wrapped(line, indent);
            }
        }
    }

    fn wrapped(&mut self, line: &str, indent: usize) {
        let room = self.style.width.saturating_sub(indent).max(20);
        for line in wrap(line, room) {
            self.text.push_str(&" ".repeat(indent));
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    fn pairs(&mut self, pairs: &[(&str, String)]) {
        let widest = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let indent = INDENT + widest + 2;
        let room = self.style.width.saturating_sub(indent).max(20);
        for (name, words) in pairs {
            let mut lines = wrap(words, room).into_iter();
            let first = lines.next().unwrap_or_default();
            let line = format!("{:INDENT$}{name:<widest$}  {first}", "");
            self.text.push_str(line.trim_end());
            self.text.push('\n');
            for line in lines {
                let _ = writeln!(self.text, "{:indent$}{line}", "");
            }
        }
    }

    fn values(&mut self, values: &[Choice]) {
        let pairs: Vec<(&str, String)> = values
            .iter()
            .map(|value| {
                let words = format!("{} ({})", value.description.replace("\n\n", " "), value.name);
                (value.word.as_str(), words)
            })
            .collect();
        self.pairs(&pairs);
    }

    fn fields(&mut self, fields: &[Field], indent: usize) {
        let widest = fields.iter().map(|field| field.name.len()).max().unwrap_or(0);
        for field in fields {
            let mark = field.written.map(Written::mark).unwrap_or_default();
            let mark = if mark.is_empty() { String::new() } else { format!("  -{mark}-") };
            let padding = " ".repeat(widest - field.name.len());
            let name = self.bold(&field.name, 0);
            let line = format!("{:indent$}{name}{padding}  <{}>{mark}\n", "", field.type_name);
            self.text.push_str(&line);
            if !self.style.recursive {
                self.wrapped(first_sentence(&field.description), indent + 4);
            }
            self.fields(&field.fields, indent + INDENT);
        }
    }

    fn methods(&mut self, methods: &[Method]) {
        let pairs: Vec<(&str, String)> = methods
            .iter()
            .map(|method| (method.name.as_str(), first_sentence(&method.description).to_owned()))
            .collect();
        self.pairs(&pairs);
    }
}

fn answer(method: &Method) -> String {
    if method.streams { format!("a stream of {}", method.answer) } else { method.answer.clone() }
}

/// Breaks a line between words. What is longer than a line stays whole.
fn wrap(line: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(last) if last.chars().count() + 1 + word.chars().count() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable it is", 4), ["unbreakable", "it", "is"]);
        assert_eq!(wrap("", 10), [""; 0]);
    }
}
