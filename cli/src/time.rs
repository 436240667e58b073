//! Spans and instants as people write and read them.

use std::time::Duration;

use clap::Args;
use jiff::{
    Timestamp, ToSpan as _, Unit,
    civil::{Date, DateTime},
    tz::TimeZone,
};

use crate::errors::{Failure, Outcome};

pub(crate) use streamspace_client::parse_duration;

/// A span as the contract writes it.
pub(crate) fn proto_duration(span: Option<Duration>) -> Outcome<Option<prost_types::Duration>> {
    let written = span.map(prost_types::Duration::try_from).transpose();
    written.map_err(|error| Failure::Usage {
        message: format!("the time is too long: {error}"),
        next: "write 30m, 8h or 7d".into(),
    })
}

/// Flags of every list over time. The rules are in [`TIMES`].
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PeriodArgs {
    /// From when on: 12h, 7d, 2026-05-01, 2026-05-01T12:00 or with an offset
    #[arg(long, value_parser = parse_when, value_name = "TIME")]
    pub(crate) since: Option<Timestamp>,
    /// Until before when, written as --since
    #[arg(long, value_parser = parse_when, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
    /// A whole month, as 2026-05
    #[arg(long, value_parser = parse_month, value_name = "MONTH", conflicts_with_all = ["since", "until"])]
    pub(crate) month: Option<Month>,
}

/// How times are read; for the long help of what has [`PeriodArgs`].
pub(crate) const TIMES: &str = "\
Times: 12h and 7d are so long ago, a day has 24 hours. 2026-05-01 is the first
moment of that day, 2026-05-01T12:00 a moment of it, both where this machine is
(TZ); 2026-05-01T12:00:00Z and 2026-05-01T12:00:00+02:00 are the same everywhere.
--until is not included: --since 2026-05-01 --until 2026-05-02 is one day.";

/// From the first instant to before the second; open where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// The first and the last instant of a month where this machine is; the last is
/// not in it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Month(Timestamp, Timestamp);

impl PeriodArgs {
    /// The period that the flags name.
    pub(crate) fn resolve(&self) -> Outcome<Period> {
        if let Some(Month(since, until)) = self.month {
            return Ok(Period { since: Some(since), until: Some(until) });
        }
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            return Err(Failure::Usage {
                message: format!("--since {since} is not before --until {until}"),
                next: "give the earlier time with --since".into(),
            });
        }
        Ok(Period { since: self.since, until: self.until })
    }
}

/// An instant, or how long ago: `2026-05-01T12:00:00Z`, `2026-05-01`, `12h`.
pub(crate) fn parse_when(text: &str) -> Result<Timestamp, String> {
    when(text, Timestamp::now(), &TimeZone::system())
}

/// The same, where a date without an offset is one of the zone.
pub(crate) fn when(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let wrong = || {
        format!(
            "{text:?} is no time: write 12h, 7d, 2026-05-01, 2026-05-01T12:00 or \
             2026-05-01T12:00:00Z"
        )
    };
    if text.starts_with(|c: char| c.is_ascii_digit()) && text.get(4..5) == Some("-") {
        let local = text.parse::<DateTime>().map_err(|_| wrong())?;
        return Ok(local.to_zoned(zone.clone()).map_err(|error| error.to_string())?.timestamp());
    }
    let ago = parse_duration(text).map_err(|_| wrong())?;
    now.checked_sub(ago).map_err(|error| error.to_string())
}

/// A month: `2026-05`.
fn parse_month(text: &str) -> Result<Month, String> {
    month(text, &TimeZone::system())
}

/// The first and the last instant of a month of the zone.
pub(crate) fn month_bounds(text: &str, zone: &TimeZone) -> Result<(Timestamp, Timestamp), String> {
    month(text, zone).map(|Month(since, until)| (since, until))
}

fn month(text: &str, zone: &TimeZone) -> Result<Month, String> {
    let wrong = || format!("{text:?} is no month: write 2026-05");
    let digits = text.len() == 7
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !digits {
        return Err(wrong());
    }
    let first: Date = format!("{text}-01").parse().map_err(|_| wrong())?;
    let next = first.checked_add(1.month()).map_err(|_| wrong())?;
    let begin = |date: Date| date.to_zoned(zone.clone()).map(|zoned| zoned.timestamp());
    Ok(Month(begin(first).map_err(|_| wrong())?, begin(next).map_err(|_| wrong())?))
}

/// An instant as the contract writes it.
pub(crate) fn proto_instant(instant: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = (instant.as_second(), instant.subsec_nanosecond());
    // Before 1970 jiff counts the fraction down; the contract always counts up.
    if nanos < 0 {
        return prost_types::Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 };
    }
    prost_types::Timestamp { seconds, nanos }
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
    let zoned = time.to_zoned(TimeZone::system());
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
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (text, instant) in [
            ("12h", "2026-05-02T00:00:00Z"),
            ("7d", "2026-04-25T12:00:00Z"),
            ("2026-05-01T12:00:00Z", "2026-05-01T12:00:00Z"),
            ("2026-05-01T12:00:00+02:00", "2026-05-01T10:00:00Z"),
            ("2026-05-01", "2026-04-30T22:00:00Z"),
            ("2026-05-01T12:30", "2026-05-01T10:30:00Z"),
            // The clock went from 2 to 3: the hour that was not is the next one.
            ("2026-03-29T02:30", "2026-03-29T01:30:00Z"),
        ] {
            assert_eq!(when(text, now, &berlin).unwrap().to_string(), instant, "{text}");
        }
        for text in ["yesterday", "", "2026-5-1", "2026-13-01", "-5h", "5"] {
            let error = when(text, now, &berlin).unwrap_err();
            assert!(error.contains("write 12h"), "{text}: {error}");
        }
    }

    #[test]
    fn a_month_is_one_of_this_machine() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let Month(since, until) = month("2026-03", &berlin).unwrap();
        assert_eq!(since.to_string(), "2026-02-28T23:00:00Z");
        assert_eq!(until.to_string(), "2026-03-31T22:00:00Z");
        for text in ["2026-13", "2026-5", "05-2026", "2026-05-01", "may"] {
            assert!(month(text, &berlin).unwrap_err().contains("write 2026-05"), "{text}");
        }
    }

    #[test]
    fn a_period_runs_forward() {
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let (early, late) = (at("2026-05-01T00:00:00Z"), at("2026-05-02T00:00:00Z"));
        let forward = PeriodArgs { since: early, until: late, month: None };
        assert_eq!(forward.resolve().unwrap(), Period { since: early, until: late });
        let backward = PeriodArgs { since: late, until: early, month: None };
        assert_eq!(backward.resolve().unwrap_err().exit() as u8, 2);
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
