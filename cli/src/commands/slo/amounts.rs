//! Shares, rates and spans of budgets as decimals, from the contract's whole numbers: nothing
//! goes through a float.

/// So many parts of 10^`places` as a decimal with that many places.
fn fixed(parts: i64, places: u32) -> String {
    let scale = 10_u64.checked_pow(places).unwrap_or(1);
    let sign = if parts < 0 { "-" } else { "" };
    let size = parts.unsigned_abs();
    let (whole, rest) = (size / scale, size % scale);
    let width = usize::try_from(places).unwrap_or(0);
    if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest:0width$}") }
}

/// Millionths as percent with two decimals, rounded down, so that it never shows more than
/// there is: 699999 is `69.99 %`.
pub(crate) fn percent(ppm: i64) -> String {
    format!("{} %", fixed(ppm.div_euclid(100), 2))
}

/// What was or would be used of a budget, in millionths, as percent with two decimals, rounded
/// up, so that a cost is never shown too small. A post-mortem has the same, of the daemon.
pub(crate) fn cost(ppm: i64) -> String {
    percent(ppm.max(0).saturating_add(99))
}

/// Millionths as percent, exactly: 999700 is `99.97 %`.
pub(crate) fn exact_percent(ppm: i64) -> String {
    let text = fixed(ppm, 4);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}

/// Thousandths as a burn rate: 14400 is `14.40`, rounded down.
pub(crate) fn rate(milli: i64) -> String {
    fixed(milli.div_euclid(10), 2)
}

/// The same where there may have been no event.
pub(crate) fn rate_or_none(milli: Option<i64>) -> String {
    milli.map_or_else(|| "-".to_owned(), rate)
}

/// A span in minutes with two decimals, rounded down: 43 min 12 s is `43.20`.
pub(crate) fn minutes(span: Option<&prost_types::Duration>) -> String {
    // Hundredths of a minute are 600 ms.
    let milli = span.map_or(0, |span| {
        span.seconds.saturating_mul(1000).saturating_add(i64::from(span.nanos / 1_000_000))
    });
    fixed(milli.div_euclid(600), 2)
}

/// A span for people, in its two largest units: `45s`, `20m`, `1h30m`, `3d`, `3d4h`.
pub(crate) fn span(span: &prost_types::Duration) -> String {
    let seconds = span.seconds.max(0);
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

/// The same; nothing where it is absent.
pub(crate) fn span_or_none(value: Option<&prost_types::Duration>) -> String {
    value.map(span).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seconds: i64) -> prost_types::Duration {
        prost_types::Duration { seconds, nanos: 0 }
    }

    #[test]
    fn numbers_are_exact_and_never_show_more_than_there_is() {
        assert_eq!(percent(700_000), "70.00 %");
        assert_eq!(percent(699_999), "69.99 %");
        assert_eq!(percent(-1), "-0.01 %");
        assert_eq!(percent(-1_250_000), "-125.00 %");
        assert_eq!(percent(i64::MIN), "-922337203685477.59 %");
        assert_eq!(cost(462_901), "46.30 %");
        assert_eq!(cost(1), "0.01 %");
        assert_eq!(cost(-1), "0.00 %");
        assert_eq!(exact_percent(999_700), "99.97 %");
        assert_eq!(exact_percent(1_000_000), "100 %");
        assert_eq!(rate(14_400), "14.40");
        assert_eq!(rate_or_none(None), "-");
        assert_eq!(minutes(Some(&of(2592))), "43.20");
        assert_eq!(
            minutes(Some(&prost_types::Duration { seconds: 1814, nanos: 400_000_000 })),
            "30.24"
        );
        assert_eq!(minutes(Some(&of(-30))), "-0.50");
        assert_eq!(minutes(Some(&of(i64::MAX))), fixed(i64::MAX / 600, 2));
    }

    #[test]
    fn spans_are_brief() {
        for (seconds, text) in [
            (0, "0s"),
            (-5, "0s"),
            (45, "45s"),
            (90, "1m30s"),
            (1200, "20m"),
            (5400, "1h30m"),
            (3600, "1h"),
            (259_200, "3d"),
            (273_600, "3d4h"),
        ] {
            assert_eq!(span(&of(seconds)), text);
        }
    }
}
