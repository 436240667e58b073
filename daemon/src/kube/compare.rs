//! Whether a live object is what the daemon wishes of it.
//!
//! A wish is what the daemon applies. The live object holds more: defaults of the
//! server, what others own, status. Two things make a difference: a wished value that
//! is not there, and a field that the daemon does not own although it wishes it, or
//! owns although it no longer does. Ownership is what the API server notes in
//! `managedFields`; it takes a list from the daemon as soon as a hand changes anything
//! within it, so defaults that the server adds to a list are told from drift.

use std::fmt;

use serde_json::{Map, Value};

use streamspace_core::quantity::same_amount;

use super::{Kind, Object};

/// How many differences a sentence names.
const NAMED: usize = 3;
/// How much of a value a sentence shows, in characters.
const SHOWN: usize = 60;

/// How a live object differs from the wish, path by path. Empty where it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    sentences: Vec<String>,
}

impl Difference {
    /// Whether the live object is as wished.
    pub fn is_none(&self) -> bool {
        self.sentences.is_empty()
    }

    fn add(&mut self, path: &str, words: &str) {
        self.sentences.push(format!("{path} {words}"));
    }

    fn value(&mut self, path: &str, live: Option<&Value>, wish: &Value) {
        let live = live.map_or_else(|| "absent".to_owned(), show);
        self.sentences.push(format!("{path} is {live}, wished {}", show(wish)));
    }
}

/// `spec.hard.pods is "999", wished "20"; … and 2 more`
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<&str> = self.sentences.iter().take(NAMED).map(String::as_str).collect();
        f.write_str(&named.join("; "))?;
        match self.sentences.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

fn show(value: &Value) -> String {
    let text = value.to_string();
    let mut characters = text.chars();
    let head: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() { format!("{head}…") } else { head }
}

/// What the daemon owns at some place of an object.
#[derive(Clone, Copy)]
enum Owned<'a> {
    /// All of it.
    Whole,
    /// What the entry lists.
    Fields(&'a Map<String, Value>),
    /// Nothing.
    Nothing,
}

impl<'a> Owned<'a> {
    fn of(node: Option<&'a Value>) -> Self {
        match node.and_then(Value::as_object) {
            Some(fields) if fields.is_empty() => Self::Whole,
            Some(fields) => Self::Fields(fields),
            None => Self::Nothing,
        }
    }

    fn field(self, key: &str) -> Self {
        match self {
            Self::Fields(fields) => Self::of(fields.get(&format!("f:{key}"))),
            other => other,
        }
    }
}

/// Compares a live object with the wish.
pub fn compare(kind: Kind, live: &Object, wish: &Value) -> Difference {
    let mut difference = Difference::default();
    let entry = live.our_entries().find_map(|entry| entry.fields_v1.as_ref());
    let nothing = Map::new();
    let owned = entry.and_then(|fields| fields.0.as_object()).unwrap_or(&nothing);
    let comparison = Comparison { quantities: kind.has_quantities() };
    for (key, wished) in wish.as_object().into_iter().flatten() {
        match key.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                let fields = Owned::of(owned.get("f:metadata"));
                comparison.metadata(live, wished, fields, &mut difference);
            }
            _ => {
                let fields = Owned::of(owned.get(&format!("f:{key}")));
                comparison.value(key, live.content.get(key), wished, fields, &mut difference);
            }
        }
    }
    for key in owned.keys().filter_map(|key| key.strip_prefix("f:")) {
        if key != "metadata" && wish.get(key).is_none() {
            difference.add(key, "is no longer wished");
        }
    }
    if !difference.is_none() && entry.is_none() {
        difference.sentences.insert(0, "it is not applied by the daemon".into());
    }
    difference
}

struct Comparison {
    quantities: bool,
}

impl Comparison {
    fn metadata(&self, live: &Object, wish: &Value, owned: Owned<'_>, out: &mut Difference) {
        let present = [
            ("labels", live.metadata.labels.as_ref()),
            ("annotations", live.metadata.annotations.as_ref()),
        ];
        for (key, map) in present {
            let live: Map<String, Value> = map
                .into_iter()
                .flatten()
                .map(|(key, value)| (key.clone(), Value::String(value.clone())))
                .collect();
            let nothing = Map::new();
            let wished = wish.get(key).and_then(Value::as_object).unwrap_or(&nothing);
            self.fields(&format!("metadata.{key}"), Some(&live), wished, owned.field(key), out);
        }
    }

    fn value(
        &self,
        path: &str,
        live: Option<&Value>,
        wish: &Value,
        owned: Owned<'_>,
        out: &mut Difference,
    ) {
        if is_empty(wish) {
            // The API server drops what is empty, and with it who owns it.
            let differs = live.is_some_and(|live| !is_empty(live));
            if differs && !matches!(owned, Owned::Whole) {
                out.value(path, live, wish);
            }
            return;
        }
        match wish {
            Value::Object(wish) => match live {
                Some(Value::Object(live)) => self.fields(path, Some(live), wish, owned, out),
                None => self.fields(path, None, wish, owned, out),
                Some(_) => out.value(path, live, &Value::Object(wish.clone())),
            },
            Value::Array(items) => self.list(path, live, items, wish, owned, out),
            _ if !self.same(live, wish) => out.value(path, live, wish),
            _ if matches!(owned, Owned::Nothing) => out.add(path, "is owned by another"),
            _ => {}
        }
    }

    fn fields(
        &self,
        path: &str,
        live: Option<&Map<String, Value>>,
        wish: &Map<String, Value>,
        owned: Owned<'_>,
        out: &mut Difference,
    ) {
        for (key, wished) in wish {
            let live = live.and_then(|live| live.get(key));
            self.value(&join(path, key), live, wished, owned.field(key), out);
        }
        if let Owned::Fields(fields) = owned {
            for key in fields.keys().filter_map(|key| key.strip_prefix("f:")) {
                if !wish.contains_key(key) {
                    out.add(&join(path, key), "is no longer wished");
                }
            }
        }
    }

    fn list(
        &self,
        path: &str,
        live: Option<&Value>,
        items: &[Value],
        wish: &Value,
        owned: Owned<'_>,
        out: &mut Difference,
    ) {
        let present = live.and_then(Value::as_array);
        let Some(present) = present.filter(|present| present.len() == items.len()) else {
            return out.value(path, live, wish);
        };
        let before = out.sentences.len();
        for (index, (live, wish)) in present.iter().zip(items).enumerate() {
            self.value(&format!("{path}[{index}]"), Some(live), wish, Owned::Whole, out);
        }
        let ours = match owned {
            Owned::Whole => true,
            // A list of which each item is owned by itself.
            Owned::Fields(fields) => fields.keys().filter(|key| *key != ".").count() == items.len(),
            Owned::Nothing => false,
        };
        if !ours && out.sentences.len() == before {
            out.add(path, "is owned by another");
        }
    }

    fn same(&self, live: Option<&Value>, wish: &Value) -> bool {
        match (live, wish) {
            (Some(live), wish) if live == wish => true,
            (Some(Value::String(live)), Value::String(wish)) if self.quantities => {
                same_amount(live, wish)
            }
            _ => false,
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// `spec.hard.pods`, and with brackets where the key has dots of its own.
fn join(path: &str, key: &str) -> String {
    if key.contains(['.', '/']) { format!("{path}[{key}]") } else { format!("{path}.{key}") }
}

#[cfg(test)]
#[path = "compare/tests.rs"]
mod tests;
