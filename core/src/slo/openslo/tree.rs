//! A tree of values that knows where it is, so that every fault names its place.

use serde_json::{Map, Value};

use crate::{text, violation::Violations};

/// A value and its path.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) path: String,
    pub(super) value: &'a Value,
}

impl<'a> Node<'a> {
    pub(super) fn new(path: impl Into<String>, value: &'a Value) -> Self {
        Self { path: path.into(), value }
    }

    /// What stands under a key; `None` where nothing does.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Self::new(format!("{}.{key}", self.path), value))
    }

    /// What stands under a key, which must be there.
    pub(super) fn need(&self, key: &str, remedy: &str, faults: &mut Violations) -> Option<Self> {
        let node = self.get(key);
        if node.is_none() {
            faults.add(format!("{}.{key}", self.path), format!("is missing: {remedy}"));
        }
        node
    }

    /// It as a map, with no other keys than these.
    pub(super) fn map(
        &self,
        keys: &[&str],
        faults: &mut Violations,
    ) -> Option<&'a Map<String, Value>> {
        let Some(map) = self.value.as_object() else {
            faults.add(&self.path, format!("must be a map with {}", keys.join(", ")));
            return None;
        };
        for key in map.keys().filter(|key| !keys.contains(&key.as_str())) {
            faults.add(
                format!("{}.{}", self.path, text::excerpt(key)),
                format!("is not known here; what is: {}", keys.join(", ")),
            );
        }
        Some(map)
    }

    /// It as a list.
    pub(super) fn list(&self, faults: &mut Violations) -> Vec<Self> {
        let Some(items) = self.value.as_array() else {
            faults.add(&self.path, "must be a list");
            return Vec::new();
        };
        let at = |(index, value)| Self::new(format!("{}[{index}]", self.path), value);
        items.iter().enumerate().map(at).collect()
    }

    /// It as a text.
    pub(super) fn text(&self, faults: &mut Violations) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            faults.add(&self.path, "must be a text");
        }
        text
    }

    /// It as a decimal, as it was written.
    pub(super) fn decimal(&self, faults: &mut Violations) -> Option<String> {
        let Value::Number(number) = self.value else {
            faults.add(&self.path, "must be a decimal number, for example 0.999");
            return None;
        };
        // The shortest decimal that is this number: the one that was written.
        Some(number.to_string())
    }
}
