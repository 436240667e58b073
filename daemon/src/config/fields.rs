//! What stands in a configuration file, key by key, to tell two of them apart.

use std::{collections::BTreeMap, fmt};

/// The keys of a file with their values. It does not print the values: some are secrets.
#[derive(Clone, PartialEq)]
pub struct Fields(BTreeMap<String, toml::Value>);

impl Fields {
    pub(super) fn of(text: &str) -> Result<Self, toml::de::Error> {
        let mut fields = BTreeMap::new();
        flatten("", text.parse()?, &mut fields);
        Ok(Self(fields))
    }

    /// The keys that stand in one of both alone, or with another value, in order.
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let keys = self.0.keys().chain(other.0.keys());
        let mut changed: Vec<String> =
            keys.filter(|key| self.0.get(*key) != other.0.get(*key)).cloned().collect();
        changed.sort();
        changed.dedup();
        changed
    }

    /// Takes one key as it is in the other.
    pub fn take(&mut self, key: &str, other: &Self) {
        match other.0.get(key) {
            Some(value) => self.0.insert(key.to_owned(), value.clone()),
            None => self.0.remove(key),
        };
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

fn flatten(before: &str, table: toml::Table, fields: &mut BTreeMap<String, toml::Value>) {
    for (key, value) in table {
        let key = if before.is_empty() { key } else { format!("{before}.{key}") };
        match value {
            toml::Value::Table(table) => flatten(&key, table, fields),
            value => drop(fields.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_by_key_and_never_by_value() {
        let before =
            Fields::of("region = 'a-1'\n[log]\nfilter = 'info'\n[database]\nowner = 's3cret'");
        let after =
            Fields::of("region = 'a-1'\nlog.filter = 'warn'\n[sessions.webhook]\nlisten = '1'");
        let (mut before, after) = (before.unwrap(), after.unwrap());
        let changed = ["database.owner", "log.filter", "sessions.webhook.listen"];
        assert_eq!(before.changed(&after), changed);
        assert_eq!(after.changed(&before), changed);
        assert!(!format!("{before:?}").contains("s3cret"));
        before.take("log.filter", &after);
        before.take("database.owner", &after);
        assert_eq!(before.changed(&after), ["sessions.webhook.listen"]);
    }
}
