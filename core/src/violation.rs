//! What is wrong with an input, field by field.

use std::fmt;

/// One thing that is wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field, for example `admin_subjects[2].name`.
    pub field: String,
    /// What is wrong with it, and what to do.
    pub description: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}

/// Collects what is wrong, so that a caller hears of everything at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation { field: field.into(), description: description.into() });
    }

    /// Adds the error of a check, or hands on its value.
    pub fn check<T, E: fmt::Display>(
        &mut self,
        field: impl Into<String>,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, error.to_string());
                None
            }
        }
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Violation>) {
        self.0.extend(others);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was collected, in the order of the checks.
    pub fn into_vec(self) -> Vec<Violation> {
        self.0
    }

    /// `Ok` when nothing is wrong.
    pub fn into_result(self) -> Result<(), Vec<Violation>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collects_in_order() {
        let mut violations = Violations::new();
        assert!(violations.is_empty());
        assert_eq!(violations.check("seats", Ok::<_, String>(3)), Some(3));
        assert_eq!(violations.check("plan", Err::<(), _>("is not there")), None);
        violations.add("seats", "is too small");
        let collected = violations.into_result().unwrap_err();
        let shown: Vec<_> = collected.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["plan: is not there", "seats: is too small"]);
    }
}
