//! How long a session may be idle or run, as its object writes it: `30m`, `8h`.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use crate::text;

/// The most characters of it: the definitions of the objects allow no more.
const LENGTH_MAXIMUM: usize = 10;

/// A length of time in whole seconds, more than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

/// Why a text is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{value}` {fault}: write digits and one of s, m and h, for example `{example}`")]
pub struct SpanError {
    /// The value, escaped and shortened to 64 characters.
    pub value: String,
    /// What is wrong with it.
    pub fault: &'static str,
    /// What would do.
    pub example: &'static str,
}

impl Span {
    /// So many minutes, of more than none: less are one.
    pub const fn from_minutes(minutes: u16) -> Self {
        // `i64::from` is no constant function yet; a cast up loses nothing.
        let minutes = if minutes == 0 { 1 } else { minutes };
        Self(minutes as i64 * 60)
    }

    /// Reads `^[0-9]+(s|m|h)$` of at most ten characters. Nothing at all is refused: a
    /// session that is idle after no time could not be used.
    pub fn parse(value: &str, example: &'static str) -> Result<Self, SpanError> {
        let refuse = |fault| SpanError { value: text::excerpt(value), fault, example };
        if value.is_empty() {
            return Err(refuse("is empty"));
        }
        if value.len() > LENGTH_MAXIMUM {
            return Err(refuse("is longer than ten characters"));
        }
        let no_length = || refuse("is no length of time");
        let (digits, seconds) = [('s', 1_i64), ('m', 60), ('h', 3600)]
            .into_iter()
            .find_map(|(unit, seconds)| Some((value.strip_suffix(unit)?, seconds)))
            .ok_or_else(no_length)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(no_length());
        }
        let count: i64 = digits.parse().map_err(|_| no_length())?;
        match count.checked_mul(seconds) {
            Some(0) => Err(refuse("is no time at all")),
            Some(seconds) => Ok(Self(seconds)),
            None => Err(refuse("is too long to count")),
        }
    }

    /// How many seconds it is.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// The instant at which it is over that began at `start`; the last instant there is
    /// where it ends after that.
    pub fn after(self, start: Timestamp) -> Timestamp {
        start.saturating_add(SignedDuration::from_secs(self.0)).unwrap_or(Timestamp::MAX)
    }
}

/// Shows the largest unit that is exact: `90m`, `8h`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if self.0 % 3600 == 0 {
            format!("{}h", self.0 / 3600)
        } else if self.0 % 60 == 0 {
            format!("{}m", self.0 / 60)
        } else {
            format!("{}s", self.0)
        };
        f.pad(&shown)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_shows() {
        for (written, seconds, shown) in [
            ("30m", 1800, "30m"),
            ("8h", 28800, "8h"),
            ("90s", 90, "90s"),
            ("3600s", 3600, "1h"),
            ("0001m", 60, "1m"),
            ("999999999h", 3_599_999_996_400, "999999999h"),
        ] {
            let span = Span::parse(written, "30m").unwrap();
            assert_eq!((span.seconds(), span.to_string().as_str()), (seconds, shown));
        }
        assert_eq!(Span::from_minutes(30).to_string(), "30m");
        assert_eq!(Span::from_minutes(0).to_string(), "1m");
    }

    #[test]
    fn what_is_no_length_says_what_to_write() {
        for value in ["", "30", "m", "1d", "1h30m", "-1m", "+1m", " 1m", "1m ", "1.5h", "٣m", "1M"]
        {
            let error = Span::parse(value, "30m").unwrap_err();
            assert!(error.to_string().ends_with("for example `30m`"), "{error}");
        }
        for (value, fault) in [
            ("0s", "is no time at all"),
            ("000h", "is no time at all"),
            ("99999999999h", "is longer than ten characters"),
        ] {
            assert_eq!(Span::parse(value, "8h").unwrap_err().fault, fault);
        }
    }

    #[test]
    fn the_end_of_time_is_an_end() {
        let longest = Span::parse("999999999h", "8h").unwrap();
        assert_eq!(longest.after(Timestamp::MAX), Timestamp::MAX);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(seconds in 1..=999_999_999_i64) {
            let span = Span(seconds);
            prop_assert_eq!(Span::parse(&span.to_string(), "8h"), Ok(span));
        }

        #[test]
        fn any_text_has_an_answer(value in any::<String>()) {
            if let Err(error) = Span::parse(&value, "8h") {
                prop_assert!(error.to_string().chars().count() < 200);
            }
        }
    }
}
