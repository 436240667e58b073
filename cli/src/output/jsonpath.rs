//! `-o jsonpath=…`: templates in the form that kubectl made known.
//!
//! Text stands for itself; in braces stands a path, a quoted text, or
//! `range PATH … end`. The paths themselves are RFC 9535, which a crate reads and
//! follows; what kubectl writes otherwise is turned into it by [`path`].

mod path;

use std::fmt;

use serde_json::Value;
use streamspace_client::{context::nearest, text::escape_lines};

use path::Path;

/// A template, ready to be filled.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Path(Path),
    Range(Path, Vec<Part>),
}

/// What is wrong with a template, and where: the first character is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateError {
    at: usize,
    message: String,
}

impl TemplateError {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at + 1, self.message)
    }
}

/// What a template looks like; the end of most errors.
const EXAMPLE: &str = r#"write it as '{range .items[*]}{.name}{"\n"}{end}'"#;

/// How deep ranges may stand in each other. Nobody writes more.
const DEEPEST: usize = 16;

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let characters: Vec<char> = text.chars().collect();
        if !characters.contains(&'{') {
            let hint = match characters.first() {
                Some('.' | '$' | '[' | '@') => format!("paths stand in braces: write '{{{text}}}'"),
                _ => format!("there is no path in it: {EXAMPLE}"),
            };
            return Err(TemplateError::new(0, hint));
        }
        let mut reader = Reader { characters: &characters, at: 0, open: Vec::new() };
        Ok(Self { parts: reader.parts()? })
    }

    /// The text for a value. `terminal` says that nothing in it may act on one.
    pub(crate) fn fill(&self, value: &Value, terminal: bool) -> String {
        let mut text = String::new();
        fill(&self.parts, Scope { root: value, here: value }, terminal, &mut text);
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }

    /// What may be meant where a path finds nothing: the name in it that is nowhere
    /// in the value, and the nearest one that is.
    pub(crate) fn hint(&self, value: &Value) -> Option<String> {
        let mut known = Vec::new();
        collect_names(value, &mut known);
        known.sort_unstable();
        known.dedup();
        let mut names = Vec::new();
        collect_path_names(&self.parts, &mut names);
        let unknown = names.into_iter().find(|name| known.binary_search(name).is_err())?;
        let meant = nearest(unknown, &known)?;
        Some(format!("nothing here is called {unknown}; did you mean {meant}?"))
    }
}

/// Where paths begin: the whole value, and the item of a range.
#[derive(Clone, Copy)]
struct Scope<'a> {
    root: &'a Value,
    here: &'a Value,
}

impl<'a> Scope<'a> {
    fn find(self, path: &Path) -> Vec<&'a Value> {
        path.find(if path.from_root { self.root } else { self.here })
    }
}

fn fill(parts: &[Part], scope: Scope<'_>, terminal: bool, text: &mut String) {
    for part in parts {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Path(path) => {
                for (at, found) in scope.find(path).into_iter().enumerate() {
                    if at > 0 {
                        text.push(' ');
                    }
                    push(found, terminal, text);
                }
            }
            Part::Range(path, body) => {
                for here in scope.find(path) {
                    fill(body, Scope { here, ..scope }, terminal, text);
                }
            }
        }
    }
}

fn push(value: &Value, terminal: bool, text: &mut String) {
    match value {
        Value::String(string) if terminal => text.push_str(&escape_lines(string)),
        Value::String(string) => text.push_str(string),
        // JSON escapes what would act on a terminal, all but what only looks odd.
        other if terminal => text.push_str(&escape_lines(&other.to_string())),
        other => text.push_str(&other.to_string()),
    }
}

fn collect_names(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                names.push(name.clone());
                collect_names(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
        _ => {}
    }
}

fn collect_path_names<'a>(parts: &'a [Part], names: &mut Vec<&'a String>) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Path(path) => names.extend(&path.names),
            Part::Range(path, body) => {
                names.extend(&path.names);
                collect_path_names(body, names);
            }
        }
    }
}

struct Reader<'a> {
    characters: &'a [char],
    at: usize,
    /// Where each range that is still open began.
    open: Vec<usize>,
}

impl<'a> Reader<'a> {
    /// Reads until the end, or until the `{end}` of the innermost range.
    fn parts(&mut self) -> Result<Vec<Part>, TemplateError> {
        let mut parts = Vec::new();
        loop {
            let text: String = self.rest().iter().take_while(|c| **c != '{').collect();
            self.at += text.chars().count();
            if !text.is_empty() {
                parts.push(Part::Text(text));
            }
            let Some((begin, inner)) = self.braces()? else {
                return match self.open.last() {
                    Some(range) => {
                        Err(TemplateError::new(*range, "this range has no {end} behind it"))
                    }
                    None => Ok(parts),
                };
            };
            let word: String = inner.iter().take_while(|c| c.is_ascii_alphabetic()).collect();
            match (word.as_str(), inner.first()) {
                ("end", _) if inner.len() == word.len() => {
                    if self.open.pop().is_none() {
                        let message = "this {end} has no {range PATH} before it";
                        return Err(TemplateError::new(begin, message));
                    }
                    return Ok(parts);
                }
                ("range", _) => {
                    if self.open.len() >= DEEPEST {
                        return Err(TemplateError::new(
                            begin,
                            "ranges stand in each other too deep",
                        ));
                    }
                    self.open.push(begin.saturating_sub(1));
                    let path = Path::parse(inner.get(word.len()..).unwrap_or_default(), begin + 5)?;
                    parts.push(Part::Range(path, self.parts()?));
                }
                (_, Some('"' | '\'')) => parts.push(Part::Text(quoted(inner, begin)?)),
                ("", _) => parts.push(Part::Path(Path::parse(inner, begin)?)),
                _ => {
                    let inner: String = inner.iter().collect();
                    let message = format!(
                        "{inner:?} is no path: paths begin with a dot, as in '{{.{inner}}}'"
                    );
                    return Err(TemplateError::new(begin, message));
                }
            }
        }
    }

    fn rest(&self) -> &'a [char] {
        self.characters.get(self.at..).unwrap_or_default()
    }

    /// What stands in the next braces, without space around it, and where it begins.
    fn braces(&mut self) -> Result<Option<(usize, &'a [char])>, TemplateError> {
        let open = self.at;
        if self.rest().is_empty() {
            return Ok(None);
        }
        let mut quote = None;
        let mut escaped = false;
        for (offset, character) in self.rest().iter().enumerate().skip(1) {
            match (quote, character) {
                _ if escaped => escaped = false,
                (_, '\\') => escaped = true,
                (Some(mark), character) if mark == *character => quote = None,
                (None, '"' | '\'') => quote = Some(*character),
                (None, '}') => {
                    let close = open + offset;
                    self.at = close + 1;
                    let inner = self.characters.get(open + 1..close).unwrap_or_default();
                    let before = inner.iter().take_while(|c| c.is_whitespace()).count();
                    let after = inner.iter().rev().take_while(|c| c.is_whitespace()).count();
                    let inner = inner.get(before..inner.len().saturating_sub(after));
                    return Ok(Some((open + 1 + before, inner.unwrap_or_default())));
                }
                _ => {}
            }
        }
        let what = if quote.is_some() { "a quote in this brace" } else { "this brace" };
        Err(TemplateError::new(open, format!("{what} is not closed: {EXAMPLE}")))
    }
}

/// The text of a quoted piece, `"\n"` for example.
fn quoted(inner: &[char], begin: usize) -> Result<String, TemplateError> {
    let mark = inner.first().copied();
    let mut text = String::new();
    let mut characters = inner.iter().copied().enumerate().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, same @ ('\\' | '"' | '\'' | '/'))) => text.push(same),
                _ => {
                    let message = r#"only \n, \t, \r, \\, \" and \' are known behind a backslash"#;
                    return Err(TemplateError::new(begin + at, message));
                }
            },
            _ if Some(character) == mark => {
                return match characters.next() {
                    None => Ok(text),
                    Some((at, _)) => Err(TemplateError::new(
                        begin + at,
                        "a brace holds one piece; put what follows into braces of its own",
                    )),
                };
            }
            other => text.push(other),
        }
    }
    Err(TemplateError::new(begin, "the quote is not closed"))
}

#[cfg(test)]
mod tests;
