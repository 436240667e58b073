//! What a change did, in one line for people. It goes into the audit log.

use std::fmt::{Display, Write as _};

use jiff::Timestamp;

/// The longest line, in characters.
const LONGEST: usize = 500;
/// The longest value of a field.
const LONGEST_VALUE: usize = 80;

/// What a call changed that found everything as it wished it.
pub const NO_CHANGE: &str = "no change: it was so already";
/// What a call changed whose request had been carried out before.
pub const REPEATED: &str = "no change: the same request was carried out before";

/// Collects what differs: `seats 10 → 20; plan professional → business`. No secrets, and
/// nothing that names a person who is no operator: the audit log keeps it for ever.
#[derive(Debug, Default)]
pub struct Summary(Vec<String>);

impl Summary {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells of a field where it differs.
    pub fn field(&mut self, name: &str, before: impl Display, after: impl Display) {
        let (before, after) = (before.to_string(), after.to_string());
        if before != after {
            self.tell(format!("{name} {} → {}", value(&before), value(&after)));
        }
    }

    /// Tells this as it is.
    pub fn tell(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The line. What does not fit into it is counted.
    pub fn into_text(self) -> String {
        let mut line = String::new();
        let mut length = 0;
        for (index, part) in self.0.iter().enumerate() {
            let part = clip(part, LONGEST);
            let more = part.chars().count() + 2;
            if index > 0 && length + more > LONGEST {
                let _ = write!(line, "; and {} more", self.0.len() - index);
                break;
            }
            if index > 0 {
                line.push_str("; ");
            }
            line.push_str(&part);
            length += more;
        }
        line
    }
}

/// An instant as people read it, in whole seconds.
pub fn instant(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

/// ` until` and an instant; nothing where there is none.
pub fn until(end: Option<Timestamp>) -> String {
    end.map(|end| format!(" until {}", instant(end))).unwrap_or_default()
}

/// A value that may be empty, or of any length.
fn value(text: &str) -> String {
    if text.is_empty() { "none".to_owned() } else { clip(text, LONGEST_VALUE) }
}

fn clip(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let mut summary = Summary::new();
        summary.field("seats", 10, 20);
        summary.field("plan", "business", "business");
        summary.field("billing account", "", "A-1");
        assert_eq!(summary.into_text(), "seats 10 → 20; billing account none → A-1");
        assert_eq!(Summary::new().into_text(), "");
    }

    #[test]
    fn a_long_line_says_how_much_is_left_out() {
        let mut summary = Summary::new();
        summary.field("display name", "é".repeat(9000), "b");
        for index in 0..100 {
            summary.tell(format!("label l-{index} added"));
        }
        let line = summary.into_text();
        assert!(line.chars().count() <= LONGEST + 20, "{line}");
        assert!(line.contains("é…") && line.ends_with(" more"), "{line}");
    }

    #[test]
    fn an_instant_has_whole_seconds() {
        let time: Timestamp = "2026-05-02T08:00:00.123456Z".parse().unwrap();
        assert_eq!(until(Some(time)), " until 2026-05-02T08:00:00Z");
        assert_eq!(until(None), "");
    }
}
