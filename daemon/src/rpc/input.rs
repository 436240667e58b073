//! Texts that people give in requests.

use streamspace_core::text;

use super::errors::{RpcError, RpcResult};

/// The longest name of a person, a channel or a label.
const NAME_MAXIMUM: usize = 64;

/// A name that must be there: of a person, for example.
pub fn named(field: &str, value: &str) -> RpcResult<()> {
    line(field, value, NAME_MAXIMUM)
}

/// A text of one line that must be there.
pub fn line(field: &str, value: &str, maximum: usize) -> RpcResult<()> {
    if value.trim().is_empty() {
        return Err(RpcError::field(field, "is required"));
    }
    line_or_nothing(field, value, maximum)
}

/// A text of one line that may be empty.
pub fn line_or_nothing(field: &str, value: &str, maximum: usize) -> RpcResult<()> {
    text::check(value, maximum).map_err(|error| RpcError::field(field, error.to_string()))
}

/// A text of one or more lines that must be there.
pub fn lines(field: &str, value: &str, maximum: usize) -> RpcResult<()> {
    if value.trim().is_empty() {
        return Err(RpcError::field(field, "is required"));
    }
    let length = value.chars().count();
    if length > maximum {
        return Err(RpcError::field(
            field,
            format!("is {length} characters long, and at most {maximum} are allowed: shorten it"),
        ));
    }
    // A blank line is one between paragraphs.
    for one in value.lines().filter(|one| !one.trim().is_empty()) {
        line_or_nothing(field, one, maximum)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_lines_may_have_lines_and_nothing_that_acts() {
        assert!(lines("text", "rolled back\n\nlooks well", 100).is_ok());
        for (text, rule) in [
            ("", "is required"),
            (" \n", "is required"),
            ("a\u{1b}[2J", "would act on a terminal"),
            ("a\n\u{202e}b", "would act on a terminal"),
            ("abc", "at most 2"),
        ] {
            let error = lines("text", text, 2.max(100 * usize::from(text != "abc"))).unwrap_err();
            assert!(error.to_string().contains(rule), "{text:?}: {error}");
        }
        assert!(named("person", &"x".repeat(65)).is_err());
        assert!(named("person", "a\nb").is_err());
        assert!(line_or_nothing("owner", "", 10).is_ok());
    }
}
