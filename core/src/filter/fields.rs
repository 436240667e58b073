//! The fields that a filter or an order may name.

use super::FilterError;
use crate::{suggest, text};

/// The type of a field, where it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldType {
    Unknown,
    Integer,
    Bool,
}

/// The known fields.
pub(crate) struct Fields<'a>(Vec<(&'a str, FieldType)>);

impl<'a> Fields<'a> {
    /// Reads names such as `plan`, `seats:integer`, `protected:bool` and `labels.*`.
    pub(crate) fn new(known: &[&'a str]) -> Self {
        let read = |entry: &&'a str| match entry.split_once(':') {
            Some((name, "integer")) => (name, FieldType::Integer),
            Some((name, "bool")) => (name, FieldType::Bool),
            Some((name, _)) => (name, FieldType::Unknown),
            None => (*entry, FieldType::Unknown),
        };
        Self(known.iter().map(read).collect())
    }

    /// The type of a field, or an error that names the one probably meant.
    pub(crate) fn resolve(&self, field: &str, position: usize) -> Result<FieldType, FilterError> {
        let known = self.0.iter().find(|(name, _)| match name.strip_suffix('*') {
            Some(prefix) => field.strip_prefix(prefix).is_some_and(|key| !key.is_empty()),
            None => *name == field,
        });
        known.map(|(_, field_type)| *field_type).ok_or_else(|| FilterError::UnknownField {
            position,
            field: text::excerpt(field),
            hint: self.hint(field),
        })
    }

    /// Whether the name is that of a map whose keys are fields, as `labels` is.
    pub(crate) fn is_map(&self, field: &str) -> bool {
        self.0.iter().any(|(name, _)| name.strip_suffix(".*") == Some(field))
    }

    /// An example of a comparison with a field: a known one where it is known.
    pub(crate) fn example(&self, word: &str) -> String {
        match self.0.iter().find(|(name, _)| *name == word) {
            Some((name, FieldType::Bool)) => format!("compare the field, as in `{name} = true`"),
            Some((name, FieldType::Integer)) => format!("compare the field, as in `{name} >= 1`"),
            Some((name, FieldType::Unknown)) => {
                format!("compare the field, as in `{name} = \"value\"` or `{name} : *`")
            }
            None => {
                let field = self.0.first().map_or("field", |(name, _)| name);
                format!("say in which field, as in `{field} = \"*{}*\"`", text::excerpt(word))
            }
        }
    }

    fn hint(&self, field: &str) -> String {
        let after_dot = field.split_once('.').map(|(_, key)| key).filter(|key| !key.is_empty());
        let candidates = self.0.iter().map(|(name, _)| match (name.strip_suffix('*'), after_dot) {
            (Some(prefix), Some(key)) => format!("{prefix}{key}"),
            (Some(prefix), None) => prefix.trim_end_matches('.').to_owned(),
            (None, _) => (*name).to_owned(),
        });
        // Of `labels` alone, the key is what is missing.
        if let Some(near) = suggest::nearest(field, candidates)
            && !self.is_map(&near)
        {
            return format!("did you mean `{}`?", text::excerpt(&near));
        }
        let names: Vec<String> =
            self.0.iter().map(|(name, _)| format!("`{}`", name.replace('*', "KEY"))).collect();
        format!("there are {}", names.join(", "))
    }
}
