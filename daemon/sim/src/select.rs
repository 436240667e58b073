//! Label and field selectors of lists and watches.

use serde_json::Value;

use crate::{kinds::Resource, schema::at, status::Failure, store::Stored};

/// What a list or a watch asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<(String, Test)>,
    fields: Vec<(Field, bool, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Name,
    Namespace,
    Within(&'static [&'static str]),
}

impl Selector {
    /// Reads the two query parameters.
    pub(crate) fn parse(labels: &str, fields: &str, resource: &Resource) -> Result<Self, Failure> {
        let mut parsed = Vec::new();
        for text in requirements(labels) {
            let text = text.trim();
            if text.is_empty() {
                return Err(Failure::bad_request("found '', expected: identifier after ','"));
            }
            if text.starts_with(['=', '>', '<', '(', ')']) {
                let found = text.get(..1).unwrap_or_default();
                let why = format!("found '{found}', expected: !, identifier, or 'end of string'");
                return Err(Failure::bad_request(why));
            }
            let requirement = label_requirement(text).map_err(|why| {
                Failure::bad_request(format!("unable to parse requirement: {why}"))
            })?;
            parsed.push(requirement);
        }
        let fields = fields
            .split(',')
            .filter(|text| !text.trim().is_empty())
            .map(|text| field_requirement(text, resource))
            .collect::<Result<_, _>>()?;
        Ok(Self { labels: parsed, fields })
    }

    /// Whether nothing is asked.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, object: &Stored) -> bool {
        let fits = |(key, test): &(String, Test)| {
            let value = object.label(key);
            let number = || value.and_then(|value| value.parse::<i64>().ok());
            match test {
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(values) => {
                    value.is_some_and(|value| values.iter().any(|wanted| wanted == value))
                }
                Test::NotIn(values) => {
                    value.is_none_or(|value| values.iter().all(|refused| refused != value))
                }
                Test::Above(limit) => number().is_some_and(|number| number > *limit),
                Test::Below(limit) => number().is_some_and(|number| number < *limit),
            }
        };
        self.labels.iter().all(fits)
            && self.fields.iter().all(|(field, equal, wanted)| {
                let is_it = match field {
                    Field::Name => *object.name == **wanted,
                    Field::Namespace => *object.namespace == **wanted,
                    Field::Within(path) => {
                        let object = object.object();
                        let value = at(&object, path).and_then(Value::as_str).unwrap_or_default();
                        value == wanted
                    }
                };
                is_it == *equal
            })
    }
}

/// Splits at commas outside parentheses.
fn requirements(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    // Nothing at all selects everything; nothing beside a comma is an error.
    if matches!(parts.as_slice(), [only] if only.trim().is_empty()) { Vec::new() } else { parts }
}

fn label_requirement(text: &str) -> Result<(String, Test), String> {
    let (key, wanted) = split_requirement(text)?;
    let values: &[String] = match &wanted {
        Test::In(values) | Test::NotIn(values) => values,
        _ => &[],
    };
    let key = key.trim().to_owned();
    if let Some(why) = crate::validation::qualified_name(&key).first() {
        return Err(format!("key: Invalid value: {key:?}: {why}"));
    }
    for value in values {
        if let Some(why) = crate::validation::label_value(value).first() {
            return Err(format!("values[0][{key}]: Invalid value: {value:?}: {why}"));
        }
    }
    Ok((key, wanted))
}

fn split_requirement(text: &str) -> Result<(&str, Test), String> {
    if let Some(key) = text.strip_prefix('!') {
        return Ok((key, Test::Absent));
    }
    for (sign, above) in [('>', true), ('<', false)] {
        if let Some((key, value)) = text.split_once(sign) {
            let value = value.trim();
            if value.starts_with('=') {
                return Err("found '=', expected: identifier".to_owned());
            }
            let limit = value.parse().map_err(|_| {
                format!(
                    "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                )
            })?;
            return Ok((key, if above { Test::Above(limit) } else { Test::Below(limit) }));
        }
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Ok((key, Test::NotIn(vec![value.trim().to_owned()])));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        if value.contains('=') {
            return Err("found '=', expected: identifier".to_owned());
        }
        return Ok((key, Test::In(vec![value.trim().to_owned()])));
    }
    let mut words = text.splitn(2, char::is_whitespace);
    let key = words.next().unwrap_or_default();
    let Some(rest) = words.next().map(str::trim) else {
        return Ok((key, Test::Exists));
    };
    let (negated, list) = match (rest.strip_prefix("notin"), rest.strip_prefix("in")) {
        (Some(list), _) => (true, list.trim()),
        (_, Some(list)) => (false, list.trim()),
        _ => {
            return Err(format!("found '{rest}', expected: in, notin, =, ==, !=, gt, lt"));
        }
    };
    let inner = list
        .strip_prefix('(')
        .and_then(|list| list.strip_suffix(')'))
        .ok_or_else(|| format!("found '{list}' expected: '('"))?;
    let values = inner.split(',').map(|value| value.trim().to_owned()).collect();
    Ok((key, if negated { Test::NotIn(values) } else { Test::In(values) }))
}

fn field_requirement(text: &str, resource: &Resource) -> Result<(Field, bool, String), Failure> {
    let (name, equal, value) = if let Some((name, value)) = text.split_once("!=") {
        (name, false, value)
    } else if let Some((name, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (name, true, value)
    } else {
        return Err(Failure::bad_request(format!(
            "invalid selector: '{text}'; can't understand '{text}'"
        )));
    };
    let is_event = resource.plural == "events";
    let is_pod = resource.is("", "pods");
    let field = match name.trim() {
        "metadata.name" => Field::Name,
        "name" if resource.is("", "namespaces") => Field::Name,
        "metadata.namespace" if resource.namespaced => Field::Namespace,
        "status.phase" if resource.is("", "namespaces") => Field::Within(&["status", "phase"]),
        "type" if resource.is("", "secrets") => Field::Within(&["type"]),
        "status.phase" if is_pod => Field::Within(&["status", "phase"]),
        "spec.nodeName" if is_pod => Field::Within(&["spec", "nodeName"]),
        "spec.restartPolicy" if is_pod => Field::Within(&["spec", "restartPolicy"]),
        "spec.schedulerName" if is_pod => Field::Within(&["spec", "schedulerName"]),
        "spec.serviceAccountName" if is_pod => Field::Within(&["spec", "serviceAccountName"]),
        "spec.type" if resource.is("", "services") => Field::Within(&["spec", "type"]),
        "spec.clusterIP" if resource.is("", "services") => Field::Within(&["spec", "clusterIP"]),
        "reason" if is_event => Field::Within(&["reason"]),
        "type" if is_event => Field::Within(&["type"]),
        "involvedObject.kind" | "regarding.kind" if is_event => {
            Field::Within(&["regarding", "kind"])
        }
        "involvedObject.name" | "regarding.name" if is_event => {
            Field::Within(&["regarding", "name"])
        }
        other => {
            return Err(Failure::bad_request(format!("field label not supported: {other}")));
        }
    };
    Ok((field, equal, value.trim().to_owned()))
}
