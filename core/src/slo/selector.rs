//! Selectors of PromQL: a metric and what its labels must be.
//!
//! They go into queries and rules that the daemon writes. So they are read into their
//! parts and written anew: nothing else of PromQL can come in through one.

use std::fmt::{self, Write as _};

use thiserror::Error;

use crate::text;

/// More characters than any selector needs.
const MAXIMUM: usize = 1_024;

/// A metric and its label matchers: `http_requests_total{code=~"5.."}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Selector {
    metric: String,
    matchers: Vec<Matcher>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Matcher {
    label: String,
    operator: &'static str,
    value: String,
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{shown}` is no selector: {fault}; write a metric and its labels without a function or a \
     range, for example http_requests_total{{job=\"api\",code=~\"5..\"}}"
)]
pub struct SelectorError {
    shown: String,
    fault: &'static str,
}

impl Selector {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let failed = |fault| SelectorError { shown: text::excerpt(text), fault };
        if text.len() > MAXIMUM {
            return Err(failed("it is longer than 1,024 characters"));
        }
        let mut rest = Rest(text.trim());
        let metric = rest.name(true).ok_or_else(|| failed("it does not begin with a metric"))?;
        let mut matchers = Vec::new();
        rest.space();
        if rest.take('{') {
            loop {
                rest.space();
                if rest.take('}') {
                    break;
                }
                matchers.push(rest.matcher().map_err(failed)?);
                rest.space();
                if !rest.take(',') {
                    if rest.take('}') {
                        break;
                    }
                    return Err(failed("a comma or } is missing"));
                }
            }
        }
        rest.space();
        if !rest.0.is_empty() {
            return Err(failed("something follows it"));
        }
        if matchers.iter().any(|matcher| matcher.label == "__name__") {
            return Err(failed("the metric is named twice"));
        }
        Ok(Self { metric, matchers })
    }

    /// The same labels of a metric with something at its end: `_bucket` of a histogram.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        Self { metric: format!("{}{suffix}", self.metric), matchers: self.matchers.clone() }
    }

    /// With one more label, which must have just this value.
    #[must_use]
    pub fn with_label(&self, label: &str, value: &str) -> Self {
        let mut selector = self.clone();
        let (label, value) = (label.to_owned(), value.to_owned());
        selector.matchers.push(Matcher { label, operator: "=", value });
        selector
    }

    /// Whether a name can be that of a label.
    pub fn is_label(name: &str) -> bool {
        let mut rest = Rest(name);
        name.len() <= 64 && rest.name(false).is_some() && rest.0.is_empty()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        if self.matchers.is_empty() {
            return Ok(());
        }
        for (index, matcher) in self.matchers.iter().enumerate() {
            f.write_char(if index == 0 { '{' } else { ',' })?;
            write!(f, "{}{}", matcher.label, matcher.operator)?;
            write_quoted(f, &matcher.value)?;
        }
        f.write_char('}')
    }
}

/// A string of PromQL.
pub(super) fn write_quoted(to: &mut impl fmt::Write, value: &str) -> fmt::Result {
    to.write_char('"')?;
    for character in value.chars() {
        match character {
            '"' => to.write_str("\\\"")?,
            '\\' => to.write_str("\\\\")?,
            other => to.write_char(other)?,
        }
    }
    to.write_char('"')
}

struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn space(&mut self) {
        self.0 = self.0.trim_start();
    }

    fn take(&mut self, character: char) -> bool {
        match self.0.strip_prefix(character) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn name(&mut self, colons: bool) -> Option<String> {
        let fits = |(index, c): (usize, char)| {
            c == '_'
                || c.is_ascii_alphabetic()
                || (colons && c == ':')
                || (index > 0 && c.is_ascii_digit())
        };
        let length = self.0.char_indices().take_while(|at| fits(*at)).count();
        let (name, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn matcher(&mut self) -> Result<Matcher, &'static str> {
        let label = self.name(false).ok_or("a label is missing")?;
        self.space();
        let operator = ["=~", "!~", "!=", "="]
            .into_iter()
            .find(|operator| self.0.starts_with(operator))
            .ok_or("a label needs =, !=, =~ or !~ and a value")?;
        self.0 = self.0.get(operator.len()..).unwrap_or_default();
        self.space();
        let value = self.quoted().ok_or("a label's value must be in quotation marks")?;
        if value.chars().any(text::acts_on_terminals) {
            return Err("a label's value has a control character");
        }
        Ok(Matcher { label, operator, value })
    }

    /// A string in single or double quotation marks, with `\\` and `\"` in it alone.
    fn quoted(&mut self) -> Option<String> {
        let quote = self.0.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let mut value = String::new();
        let mut characters = self.0.char_indices().skip(1);
        while let Some((index, character)) = characters.next() {
            match character {
                c if c == quote => {
                    self.0 = self.0.get(index + 1..)?;
                    return Some(value);
                }
                '\\' => match characters.next()?.1 {
                    escaped @ ('\\' | '"' | '\'') => value.push(escaped),
                    _ => return None,
                },
                other => value.push(other),
            }
        }
        None
    }
}
