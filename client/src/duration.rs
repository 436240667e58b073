//! Spans of time as people write them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Reads `90s`, `30m`, `1h30m` or `7d`; a day has 24 hours. More than nothing.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write 90s, 5m, 1h30m or 7d");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let duration = Duration::try_from(duration).map_err(|_| wrong())?;
    if duration.is_zero() { Err(wrong()) } else { Ok(duration) }
}
