//! One path of a template. kubectl's way of writing is turned into RFC 9535's: no
//! `$` at the start, dashes in names, and `\.` for a dot that is part of a name.

use jsonpath_rust::{
    parser::{model::JpQuery, parse_json_path},
    query::js_path_process,
};
use serde_json::Value;

use super::TemplateError;

/// A path, ready to be followed.
#[derive(Clone, Debug)]
pub(super) struct Path {
    query: JpQuery,
    /// Whether it begins at the whole value also inside a range.
    pub(super) from_root: bool,
    /// The names in it, outside filters.
    pub(super) names: Vec<String>,
}

impl Path {
    /// Reads a path that begins at this character of the template.
    pub(super) fn parse(characters: &[char], begin: usize) -> Result<Self, TemplateError> {
        let mut reader = Reader { characters, at: 0, begin, names: Vec::new() };
        reader.skip_space();
        let start = reader.at;
        let from_root = match reader.peek() {
            Some('$') => {
                reader.at += 1;
                true
            }
            Some('@') => {
                reader.at += 1;
                false
            }
            Some('.' | '[') => false,
            _ => return Err(reader.wrong(start, "a path is missing here, such as .items[*].name")),
        };
        // A dot alone is the value itself.
        let rest: String = characters.iter().skip(reader.at).collect();
        let mut whole = String::from("$");
        let mut query = read(&whole).ok_or_else(|| reader.wrong(start, "this is no path"))?;
        if rest.trim() == "." {
            return Ok(Self { query, from_root, names: Vec::new() });
        }
        while let Some((at, segment)) = reader.segment()? {
            whole.push_str(&segment);
            // Piece by piece, so that an error can say which.
            query = read(&whole).ok_or_else(|| {
                let piece: String =
                    characters.get(at..reader.at).unwrap_or_default().iter().collect();
                reader.wrong(at, format!("{piece} is not understood; {}", hint(&piece)))
            })?;
        }
        Ok(Self { query, from_root, names: reader.names })
    }

    /// What it leads to, in order.
    pub(super) fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let found = js_path_process(&self.query, value).unwrap_or_default();
        found.into_iter().map(jsonpath_rust::query::QueryRef::val).collect()
    }
}

fn read(path: &str) -> Option<JpQuery> {
    parse_json_path(path).ok()
}

/// What was probably meant by a piece that is none.
fn hint(piece: &str) -> &'static str {
    if piece.contains("length") {
        "the last one is [-1]"
    } else if piece.contains('?') && piece.contains('=') && !piece.contains("==") {
        "to compare, write =="
    } else if piece.contains('?') {
        "a filter is written [?(@.seats>5)], a text in it in quotes"
    } else if piece.starts_with('[') {
        "in brackets stand a number, a slice 0:2, *, a filter ?(@.seats>5) or a quoted name"
    } else {
        "a name with other characters is written ['name']"
    }
}

struct Reader<'a> {
    characters: &'a [char],
    at: usize,
    /// Where in the template the path begins.
    begin: usize,
    names: Vec<String>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn wrong(&self, at: usize, message: impl Into<String>) -> TemplateError {
        TemplateError::new(self.begin + at, message)
    }

    /// The next piece as RFC 9535 writes it, and where it began.
    fn segment(&mut self) -> Result<Option<(usize, String)>, TemplateError> {
        let begin = self.at;
        let Some(first) = self.peek() else { return Ok(None) };
        if first == '[' {
            return Ok(Some((begin, self.brackets()?)));
        }
        if first != '.' {
            let message = "a dot or a bracket is missing here; a brace holds one path";
            return Err(self.wrong(begin, message));
        }
        self.at += 1;
        let deep = self.peek() == Some('.');
        if deep {
            self.at += 1;
        }
        let dots = if deep { ".." } else { "" };
        let segment = match self.peek() {
            Some('[') => format!("{dots}{}", self.brackets()?),
            Some('*') => {
                self.at += 1;
                format!("{dots}[*]")
            }
            _ => {
                let name = self.name();
                if name.is_empty() {
                    return Err(self.wrong(begin, "a name is missing behind the dot"));
                }
                let segment = format!("{dots}[{}]", quote(&name));
                self.names.push(name);
                segment
            }
        };
        Ok(Some((begin, segment)))
    }

    /// A name up to where the path goes on. A backslash takes the next character in.
    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(character) = self.peek() {
            match character {
                '\\' => {
                    self.at += 1;
                    name.extend(self.peek());
                }
                '.' | '[' | ']' | '(' | ')' | '{' | '}' | ',' | '=' | '<' | '>' | '!' | '&'
                | '|' | '"' | '\'' | '?' | '*' => break,
                space if space.is_whitespace() => break,
                other => name.push(other),
            }
            self.at += 1;
        }
        name
    }

    /// What stands in brackets, with them. Names in filters are turned as well.
    fn brackets(&mut self) -> Result<String, TemplateError> {
        let begin = self.at;
        let mut text = String::new();
        let mut depth = 0_usize;
        while let Some(character) = self.peek() {
            match character {
                '"' | '\'' => {
                    let quoted = self.quoted(character)?;
                    text.push_str(&quoted);
                    continue;
                }
                '[' => depth += 1,
                ']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        text.push(']');
                        return Ok(text);
                    }
                }
                '.' if self.begins_name() => {
                    self.at += 1;
                    let name = self.name();
                    text.push('[');
                    text.push_str(&quote(&name));
                    text.push(']');
                    continue;
                }
                _ => {}
            }
            text.push(character);
            self.at += 1;
        }
        Err(self.wrong(begin, "this bracket is not closed"))
    }

    /// Whether a name follows the dot: not a digit of a number.
    fn begins_name(&self) -> bool {
        let next = self.characters.get(self.at + 1);
        next.is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '\\'))
    }

    /// A quoted text with its quotes, as it is.
    fn quoted(&mut self, mark: char) -> Result<String, TemplateError> {
        let begin = self.at;
        let mut text = String::from(mark);
        self.at += 1;
        while let Some(character) = self.peek() {
            text.push(character);
            self.at += 1;
            if character == '\\' {
                text.extend(self.peek());
                self.at += 1;
            } else if character == mark {
                return Ok(text);
            }
        }
        Err(self.wrong(begin, "this quote is not closed"))
    }
}

/// A name as RFC 9535 quotes it.
fn quote(name: &str) -> String {
    // A JSON text is one, with the other kind of quotes.
    Value::from(name).to_string()
}
