//! Numbers, ages and instants as the screen shows them. Clocks are UTC.

use jiff::{Timestamp, tz::TimeZone};

/// `1,284`.
pub(crate) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many of something: `1 tenant`, `1,284 tenants`.
pub(crate) fn many(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number))
}

/// CPU in cores, with two digits below the point so that columns of them stand in line.
pub(crate) fn cores(millicores: i64) -> String {
    let hundredths = millicores.saturating_add(5) / 10;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Bytes in GiB, with one digit below the point.
pub(crate) fn gibibytes(bytes: i64) -> String {
    let tenths = i128::from(bytes) * 10 + (1 << 29);
    let tenths = tenths >> 30;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// A sum over time in hours of its unit, with two digits below the point: `2,505.10`.
pub(crate) fn hours(sum: u128, unit_hour: u128) -> String {
    let hundredths = (sum.saturating_mul(100) + unit_hour / 2) / unit_hour.max(1);
    let whole = usize::try_from(hundredths / 100).unwrap_or(usize::MAX);
    format!("{}.{:02}", count(whole), hundredths % 100)
}

/// How long ago, in whole seconds; 0 for what a skewed clock puts into the future.
pub(crate) fn seconds_since(then: Timestamp, now: Timestamp) -> i64 {
    now.as_second().saturating_sub(then.as_second()).max(0)
}

/// `45s`, `3m`, `5h12m`, `12d`: at most six characters for the next 270 years.
pub(crate) fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if minutes == 0 => format!("{seconds}s"),
        () if hours == 0 => format!("{minutes}m"),
        () if days == 0 && minutes % 60 == 0 => format!("{hours}h"),
        () if days == 0 => format!("{hours}h{:02}m", minutes % 60),
        () => format!("{days}d"),
    }
}

/// A protobuf instant; none where it is absent or out of range.
pub(crate) fn instant(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
}

/// `Tue 2026-11-24 03:12:07 UTC`.
pub(crate) fn clock(time: Timestamp) -> String {
    utc(time, "%a %Y-%m-%d %H:%M:%S UTC")
}

/// `03:12:07`.
pub(crate) fn time_of_day(time: Timestamp) -> String {
    utc(time, "%H:%M:%S")
}

/// `2026-11-24 03:12:07`.
pub(crate) fn date_and_time(time: Timestamp) -> String {
    utc(time, "%Y-%m-%d %H:%M:%S")
}

fn utc(time: Timestamp, pattern: &str) -> String {
    time.to_zoned(TimeZone::UTC).strftime(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_thousands_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1284, "1,284"), (1_000_000, "1,000,000")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(many(1, "tenant"), "1 tenant");
        assert_eq!(many(0, "tenant"), "0 tenants");
    }

    #[test]
    fn ages_are_brief() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (61, "1m"), (7200, "2h"), (18_360, "5h06m"), (90_000, "1d")]
        {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn amounts_stand_in_line() {
        for (millicores, text) in [(0, "0.00"), (250, "0.25"), (4000, "4.00"), (86_500, "86.50")] {
            assert_eq!(cores(millicores), text);
        }
        for (bytes, text) in [(0, "0.0"), (512 << 20, "0.5"), (8 << 30, "8.0"), (1 << 40, "1024.0")]
        {
            assert_eq!(gibibytes(bytes), text);
        }
    }

    #[test]
    fn hours_are_rounded_and_never_cut() {
        for (sum, text) in [(0, "0.00"), (18_000, "0.01"), (9_018_360_000, "2,505.10")] {
            assert_eq!(hours(sum, 3_600_000), text);
        }
    }

    #[test]
    fn a_clock_is_utc() {
        let time = "2026-11-24T04:12:07+01:00".parse().unwrap();
        assert_eq!(clock(time), "Tue 2026-11-24 03:12:07 UTC");
    }
}
