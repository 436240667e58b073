//! The table of the configuration, from the types that read it.

use serde_json::Value;
use streamspaced::config::Config;

/// The table, a row for each key.
pub(crate) fn table() -> String {
    let schema = Config::schema();
    let mut table = "| key | default | |\n|--|--|--|\n".to_owned();
    let mut sections = Vec::new();
    rows(&schema, "", &mut table, &mut sections);
    while !sections.is_empty() {
        let (name, schema, is_optional) = sections.remove(0);
        let schema: Value = schema;
        let default = if is_optional { "none" } else { "" };
        let name: String = name;
        table += &format!("| **`[{name}]`** | {default} | {} |\n", words(&schema));
        let mut below = Vec::new();
        rows(&schema, &name, &mut table, &mut below);
        below.append(&mut sections);
        sections = below;
    }
    table
}

/// The keys of one section; what is a section of its own is put aside.
fn rows(schema: &Value, name: &str, table: &mut String, sections: &mut Vec<(String, Value, bool)>) {
    let schema = concrete(schema);
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (key, value) in schema["properties"].as_object().expect("a section has keys") {
        let is_section = !concrete(value)["properties"].is_null();
        if is_section {
            let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            let is_optional = !value["anyOf"].is_null();
            sections.push((name, value.clone(), is_optional));
            continue;
        }
        // A section for each name of the reader's own choice.
        let each = &value["additionalProperties"];
        if !each["properties"].is_null() {
            let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            sections.push((format!("{name}.NAME"), each.clone(), true));
            continue;
        }
        let default = if let Some(words) = value["x-default"].as_str() {
            words.to_owned()
        } else if required.iter().any(|required| required.as_str() == Some(key)) {
            "required".to_owned()
        } else {
            match &value["default"] {
                Value::Null => "none".to_owned(),
                Value::String(text) => format!("`{text}`"),
                Value::Array(list) if list.is_empty() => "none".to_owned(),
                other => format!("`{}`", other.to_string().replace(',', ", ")),
            }
        };
        *table += &format!("| `{key}` | {default} | {} |\n", words(value));
    }
}

/// The type itself, where it may be absent too.
fn concrete(schema: &Value) -> &Value {
    let choices = schema["anyOf"].as_array();
    choices.and_then(|all| all.iter().find(|one| !one["properties"].is_null())).unwrap_or(schema)
}

fn words(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
