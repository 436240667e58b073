//! One document: a `kind`, a `name`, and under `spec` the fields that people write.
//!
//! ```yaml
//! kind: Tenant
//! name: acme-corp
//! spec:
//!   plan: business
//!   seats: 10
//! ```
//!
//! What `show -o yaml` and `list -o yaml` print is taken too: there the fields stand
//! beside the name, whose beginning tells the kind, and what only the daemon writes
//! is passed over.

use std::fmt;

use serde_json::Value as Json;
use streamspace_client::context::nearest;

use super::{
    SET_LABEL,
    fields::Reader,
    kind::{Fields, KINDS, Kind, Wish},
    yaml::{self, Fault, Node, Value, short},
};
use crate::output::preview;

/// What a document has beside the fields of its kind.
const FRAME: [&str; 3] = ["kind", "name", "spec"];

/// What one document wants.
pub(super) struct Document {
    /// The file and the line, for messages.
    pub(super) origin: String,
    pub(super) kind: &'static dyn Kind,
    /// The resource's full name.
    pub(super) name: String,
    /// The fields that it gives, as the contract's JSON.
    pub(super) wish: Wish,
    /// What it has of fields that only the daemon writes.
    observed: Fields,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("title", &self.title())
            .field("origin", &self.origin)
            .field("wish", &self.wish)
            .finish_non_exhaustive()
    }
}

/// All documents of a file, or all that is wrong with it.
pub(super) fn read_documents(bytes: &[u8], origin: &str) -> Result<Vec<Document>, Vec<Fault>> {
    let nodes = yaml::parse(bytes).map_err(|fault| vec![fault])?;
    let mut documents = Vec::new();
    let mut faults = Vec::new();
    for node in &nodes {
        let items = match &node.value {
            // As `list -o yaml` prints them.
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        for item in items {
            match Document::read(item, origin) {
                Ok(document) => documents.push(document),
                Err(wrong) => faults.extend(wrong),
            }
        }
    }
    if faults.is_empty() { Ok(documents) } else { Err(faults) }
}

impl Document {
    fn read(node: &Node, origin: &str) -> Result<Self, Vec<Fault>> {
        let one = |fault: Fault| vec![fault];
        let Value::Map(entries) = &node.value else {
            let found = node.value.described();
            return Err(one(Fault::new(
                node.line,
                format!("a document must be a map with kind, name and spec, and this is {found}"),
            )));
        };
        let entry = |name: &str| {
            let named = |key: &Node| matches!(&key.value, Value::Text(text) if text == name);
            entries.iter().find(|(key, _)| named(key)).map(|(_, value)| value)
        };
        let name = entry("name").ok_or_else(|| {
            one(Fault::new(node.line, "the document has no name: write name: acme-corp"))
        })?;
        let Value::Text(typed) = &name.value else {
            let found = name.value.described();
            let message = format!("name must be text, and this is {found}: put it into quotes");
            return Err(one(Fault::new(name.line, message)));
        };
        let kind = kind_of(entry("kind"), typed, node.line).map_err(one)?;
        let full = full_name(kind, typed).map_err(|message| one(Fault::new(name.line, message)))?;

        let spec = entry("spec");
        let mut reader = Reader::new(kind.style(), spec.is_none());
        let rest: Vec<(Node, Node)> = entries
            .iter()
            .filter(|(key, _)| !matches!(&key.value, Value::Text(text) if FRAME.contains(&text.as_str())))
            .cloned()
            .collect();
        let given = match spec {
            None => kind.read_spec(&mut reader, &rest),
            Some(spec) => {
                for (key, _) in &rest {
                    stray(&mut reader, key);
                }
                match &spec.value {
                    Value::Map(fields) => kind.read_spec(&mut reader, fields),
                    Value::Null => Ok(Fields::new()),
                    other => {
                        let found = other.described();
                        let message = format!("spec must be a map of fields, and this is {found}");
                        reader.fault(spec.line, message);
                        Ok(Fields::new())
                    }
                }
            }
        };
        let Reader { mut faults, given: leaves, guard, observed, .. } = reader;
        let fields = given.unwrap_or_else(|message| {
            faults.push(Fault::new(node.line, message));
            Fields::new()
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut wish = Wish { fields, given: leaves, guard };
        kind.settle(&full, &mut wish);
        let origin = format!("{origin}:{}", node.line);
        Ok(Self { origin, kind, name: full, wish, observed })
    }

    /// What lines about it call it.
    pub(super) fn title(&self) -> String {
        self.kind.title(&self.name)
    }

    /// The set of files that the document itself names.
    pub(super) fn own_set(&self) -> Option<&str> {
        self.wish.fields.get("labels")?.get(SET_LABEL)?.as_str()
    }

    /// The fields that it has otherwise than they are, and that only the daemon
    /// writes.
    pub(super) fn passed_over(&self, before: &Fields) -> Vec<&str> {
        let alone = |name: &str, value: Option<&Json>| {
            let mut fields = Fields::new();
            fields.extend(value.map(|value| (name.to_owned(), value.clone())));
            Json::Object(fields)
        };
        let differs = |(name, value): &(&String, &Json)| {
            let (is, says) = (alone(name, before.get(*name)), alone(name, Some(value)));
            !preview(&self.name, &is, &says, false).is_empty()
        };
        self.observed.iter().filter(differs).map(|(name, _)| name.as_str()).collect()
    }
}

/// The kind that is given, or that the beginning of the name tells.
fn kind_of(given: Option<&Node>, name: &str, line: u64) -> Result<&'static dyn Kind, Fault> {
    let words: Vec<String> = KINDS.iter().map(|kind| kind.word().to_owned()).collect();
    let Some(given) = given else {
        let told = KINDS.iter().find(|kind| kind.owns_prefix() && name.starts_with(kind.prefix()));
        return told.copied().ok_or_else(|| {
            let message = format!("the document has no kind; there are {}", words.join(", "));
            Fault::new(line, message)
        });
    };
    let Value::Text(word) = &given.value else {
        let found = given.value.described();
        let message = format!("kind must be one of {}, and this is {found}", words.join(", "));
        return Err(Fault::new(given.line, message));
    };
    KINDS.iter().find(|kind| kind.word() == word).copied().ok_or_else(|| {
        let hint = match nearest(word, &words) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there are {}", words.join(", ")),
        };
        Fault::new(given.line, format!("kind {:?} is not known; {hint}", short(word)))
    })
}

fn full_name(kind: &dyn Kind, typed: &str) -> Result<String, String> {
    let id = typed.strip_prefix(kind.prefix()).unwrap_or(typed);
    if id.is_empty() || id.contains(['/', '@']) {
        return Err(format!(
            "name {:?} is none of a {}: write acme-corp or {}acme-corp",
            short(typed),
            kind.word(),
            kind.prefix()
        ));
    }
    Ok(format!("{}{id}", kind.prefix()))
}

/// A key beside kind, name and spec.
fn stray(reader: &mut Reader, key: &Node) {
    let Some(typed) = reader.key(key) else { return };
    let frame = FRAME.map(str::to_owned);
    let hint = match nearest(&typed, &frame) {
        Some(near) => format!("did you mean {near}?"),
        None => "a document has kind, name and spec; the fields stand under spec".into(),
    };
    reader.fault(key.line, format!("{} is not known; {hint}", short(&typed)));
}

#[cfg(test)]
mod tests;
