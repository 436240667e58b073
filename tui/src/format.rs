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

/// So many parts of 100 as a decimal with two places.
fn hundredths(parts: i64) -> String {
    let sign = if parts < 0 { "-" } else { "" };
    let size = parts.unsigned_abs();
    format!("{sign}{}.{:02}", size / 100, size % 100)
}

/// Millionths in percent, rounded down, so that it never shows more than there is.
pub(crate) fn percent(ppm: i64) -> String {
    format!("{} %", hundredths(ppm.div_euclid(100)))
}

/// Thousandths as a burn rate: 14400 is `14.40`, rounded down.
pub(crate) fn rate(milli: i64) -> String {
    hundredths(milli.div_euclid(10))
}

/// A span in minutes, rounded down: 43 min 12 s is `43.20`.
pub(crate) fn minutes(span: Option<&prost_types::Duration>) -> String {
    let milli = span.map_or(0, |span| {
        span.seconds.saturating_mul(1000).saturating_add(i64::from(span.nanos / 1_000_000))
    });
    hundredths(milli.div_euclid(600))
}

/// A span in its two largest units: `45s`, `20m`, `1h30m`, `3d4h`.
pub(crate) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    let pair = |large: i64, unit: char, small: i64, sub: char| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{sub}") }
    };
    match () {
        () if days > 0 => pair(days, 'd', hours, 'h'),
        () if hours > 0 => pair(hours, 'h', minutes, 'm'),
        () if minutes > 0 => pair(minutes, 'm', rest, 's'),
        () => format!("{rest}s"),
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
    fn shares_and_rates_never_show_more_than_there_is() {
        for (ppm, text) in [(700_000, "70.00 %"), (699_999, "69.99 %"), (-1, "-0.01 %")] {
            assert_eq!(percent(ppm), text);
        }
        assert_eq!(percent(i64::MIN), "-922337203685477.59 %");
        assert_eq!(rate(14_400), "14.40");
        let of = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        assert_eq!(minutes(of(2592).as_ref()), "43.20");
        assert_eq!(minutes(of(-30).as_ref()), "-0.50");
        for (seconds, text) in [(-5, "0s"), (90, "1m30s"), (3600, "1h"), (273_600, "3d4h")] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_clock_is_utc() {
        let time = "2026-11-24T04:12:07+01:00".parse().unwrap();
        assert_eq!(clock(time), "Tue 2026-11-24 03:12:07 UTC");
    }
}
