//! Every key of the configuration with what it is, from the types that read it: the one
//! description that the reference and the manual page are made of.

use serde_json::Value;

use super::Config;

/// The names that clients reach the daemon by: a reload takes them up.
pub const NAMES: &str = "access.names";
/// Which lines are logged: a reload takes it up.
pub const FILTER: &str = "log.filter";
/// What a reload takes up. Everything else waits for a restart.
const RELOADED: [&str; 2] = [NAMES, FILTER];

/// A table of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name, for example `access`; none for the keys that stand before all tables.
    pub name: String,
    /// Whether there is none where the file has none.
    pub is_optional: bool,
    /// What it is about.
    pub about: String,
    /// Its keys.
    pub keys: Vec<Key>,
}

/// A key of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name within the table.
    pub name: String,
    /// What a value is, for example `text` or `number of seconds`.
    pub kind: String,
    /// The value where the file has none, `required`, or what happens then.
    pub default: String,
    /// What it is about.
    pub about: String,
    /// Whether a reload takes it up.
    pub is_reloaded: bool,
}

/// The tables in order, the keys that stand before all of them first.
pub fn sections() -> Vec<Section> {
    let mut waiting = vec![(String::new(), Config::schema(), false)];
    let mut sections = Vec::new();
    while !waiting.is_empty() {
        let (name, schema, is_optional) = waiting.remove(0);
        let mut below = Vec::new();
        let keys = keys(&schema, &name, &mut below);
        sections.push(Section { name, is_optional, about: words(&schema), keys });
        // The tables of a table come directly behind it.
        below.append(&mut waiting);
        waiting = below;
    }
    sections
}

/// The keys of one table; what is a table of its own is put aside.
fn keys(schema: &Value, section: &str, below: &mut Vec<(String, Value, bool)>) -> Vec<Key> {
    let schema = concrete(schema);
    let within = |key: &str| match section {
        "" => key.to_owned(),
        section => format!("{section}.{key}"),
    };
    let field = |name: &str| schema.get(name).cloned().unwrap_or_default();
    let required: Vec<Value> = field("required").as_array().cloned().unwrap_or_default();
    let mut keys = Vec::new();
    for (key, value) in field("properties").as_object().into_iter().flatten() {
        if concrete(value).get("properties").is_some() {
            below.push((within(key), value.clone(), value.get("anyOf").is_some()));
            continue;
        }
        // A table for each name of the reader's own choice.
        let each =
            value.get("additionalProperties").filter(|each| each.get("properties").is_some());
        if let Some(each) = each {
            below.push((format!("{}.NAME", within(key)), each.clone(), true));
            continue;
        }
        let is_required = required.iter().any(|required| required.as_str() == Some(key));
        keys.push(Key {
            name: key.clone(),
            kind: kind(key, value),
            default: default(value, is_required),
            about: words(value),
            is_reloaded: RELOADED.contains(&within(key).as_str()),
        });
    }
    keys
}

/// The type itself, where it may be absent too.
fn concrete(schema: &Value) -> &Value {
    let choices = schema.get("anyOf").and_then(Value::as_array);
    choices.and_then(|all| all.iter().find(|one| one.get("properties").is_some())).unwrap_or(schema)
}

fn default(value: &Value, is_required: bool) -> String {
    if let Some(words) = value.get("x-default").and_then(Value::as_str) {
        return words.to_owned();
    }
    if is_required {
        return "required".to_owned();
    }
    match value.get("default") {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(Value::Array(list)) if list.is_empty() => "none".to_owned(),
        Some(other) => format!("`{}`", other.to_string().replace(',', ", ")),
    }
}

/// What a value is, in the words of TOML; the unit is in the name of a key.
fn kind(key: &str, schema: &Value) -> String {
    let unit = |units: &str| match key {
        key if key.ends_with("_seconds") => "number of seconds".to_owned(),
        key if key.ends_with("_hours") => "number of hours".to_owned(),
        key if key.ends_with("_days") => "number of days".to_owned(),
        _ => units.to_owned(),
    };
    let is = |word: &str| match schema.get("type") {
        Some(Value::String(kind)) => kind == word,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind.as_str() == Some(word)),
        _ => false,
    };
    if is("array") {
        "list of texts".to_owned()
    } else if is("boolean") {
        "`true` or `false`".to_owned()
    } else if is("integer") || is("number") {
        unit("number")
    } else {
        "text".to_owned()
    }
}

fn words(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_kind_a_default_and_words() {
        let sections = sections();
        let names: Vec<&str> = sections.iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names.first(), Some(&""));
        for name in ["access", "tenants.breaker", "sessions.webhook", "notify.channels.NAME"] {
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
        let key = |section: &str, key: &str| {
            let found = sections.iter().find(|one| one.name == section).unwrap();
            found.keys.iter().find(|one| one.name == key).unwrap_or_else(|| panic!("{key}")).clone()
        };
        assert_eq!(key("tenants", "resync_seconds").kind, "number of seconds");
        assert_eq!(key("tenants", "resync_seconds").default, "`300`");
        assert_eq!(key("access", "names").kind, "list of texts");
        assert_eq!(key("cluster", "fence").kind, "`true` or `false`");
        assert_eq!(key("listen", "grpc").kind, "text");
        assert_eq!(key("", "region").default, "required");
        for section in &sections {
            for key in &section.keys {
                assert!(!key.about.is_empty(), "{}.{} says nothing", section.name, key.name);
            }
        }
    }

    #[test]
    fn what_a_reload_takes_up_is_a_key() {
        let sections = sections();
        let mut reloaded = Vec::new();
        for section in &sections {
            let keys = section.keys.iter().filter(|key| key.is_reloaded);
            reloaded.extend(keys.map(|key| format!("{}.{}", section.name, key.name)));
        }
        assert_eq!(reloaded, RELOADED);
    }
}
