//! Spans and instants as people write and read them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo, Timestamp, Unit};

use crate::errors::{Failure, Outcome};

/// `90s`, `5m`, `1h30m`, `7d`. A day has 24 hours.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write 90s, 5m, 1h30m or 7d");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let duration = Duration::try_from(duration).map_err(|_| wrong())?;
    if duration.is_zero() { Err(wrong()) } else { Ok(duration) }
}

/// A span as the contract writes it.
pub(crate) fn proto_duration(span: Option<Duration>) -> Outcome<Option<prost_types::Duration>> {
    let written = span.map(prost_types::Duration::try_from).transpose();
    written.map_err(|error| Failure::Usage {
        message: format!("the time is too long: {error}"),
        next: "write 30m, 8h or 7d".into(),
    })
}

/// An instant, or how long ago: `2026-05-01T12:00:00Z`, `2026-05-01`, `12h`.
pub(crate) fn parse_since(text: &str) -> Result<Timestamp, String> {
    since(text, Timestamp::now())
}

fn since(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>() {
        let zoned = date.to_zoned(jiff::tz::TimeZone::system()).map_err(|e| e.to_string())?;
        return Ok(zoned.timestamp());
    }
    let ago = parse_duration(text).map_err(|_| {
        format!("{text:?} is no time: write 12h, 7d, 2026-05-01 or 2026-05-01T12:00:00Z")
    })?;
    now.checked_sub(ago).map_err(|error| error.to_string())
}

/// A protobuf instant; none where it is absent or out of range.
pub(crate) fn instant(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
}

/// How long ago, in the largest two units at most: `45s`, `3m`, `5h12m`, `12d`.
pub(crate) fn age(time: Option<&prost_types::Timestamp>, now: Timestamp) -> String {
    let Some(time) = instant(time) else { return String::new() };
    brief(now.as_second().saturating_sub(time.as_second()).max(0))
}

/// How long until then, as [`age`]; `over` where it has passed.
pub(crate) fn remaining(time: Option<&prost_types::Timestamp>, now: Timestamp) -> String {
    let Some(time) = instant(time) else { return String::new() };
    let left = time.as_second().saturating_sub(now.as_second());
    if left <= 0 { "over".into() } else { brief(left) }
}

fn brief(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if minutes == 0 => format!("{seconds}s"),
        () if hours == 0 => format!("{minutes}m"),
        () if days == 0 && minutes % 60 == 0 => format!("{hours}h"),
        () if days == 0 => format!("{hours}h{}m", minutes % 60),
        () => format!("{days}d"),
    }
}

/// Until when and how long that is, as in `until 18:00 (in 2h)`; empty without an
/// end.
pub(crate) fn until(end: Option<&prost_types::Timestamp>, now: Timestamp) -> String {
    match end {
        Some(_) => format!("until {} (in {})", local(end), remaining(end, now)),
        None => String::new(),
    }
}

/// An instant for people: local time with its offset, in seconds.
pub(crate) fn local(time: Option<&prost_types::Timestamp>) -> String {
    let Some(time) = instant(time) else { return String::new() };
    let zoned = time.to_zoned(jiff::tz::TimeZone::system());
    let zoned = zoned.round(Unit::Second).unwrap_or(zoned);
    zoned.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h30m", 5400), ("7d", 604_800)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "-5m", "0s", "soon"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_past_is_read() {
        let now: Timestamp = "2026-05-02T12:00:00Z".parse().unwrap();
        assert_eq!(since("12h", now).unwrap().to_string(), "2026-05-02T00:00:00Z");
        let written = "2026-05-01T12:00:00Z";
        assert_eq!(since(written, now).unwrap().to_string(), written);
        assert!(since("yesterday", now).is_err());
    }

    #[test]
    fn ages_are_brief() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let ago = |seconds: i64| prost_types::Timestamp { seconds: 1_000_000 - seconds, nanos: 0 };
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (7200, "2h"), (18_720, "5h12m"), (90_000, "1d")]
        {
            assert_eq!(age(Some(&ago(seconds)), now), text);
        }
        assert_eq!(age(None, now), "");
        assert_eq!(remaining(Some(&ago(-60)), now), "1m");
        assert_eq!(remaining(Some(&ago(60)), now), "over");
    }
}
