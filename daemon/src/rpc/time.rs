//! Instants and spans on the wire.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::errors::RpcError;

/// An instant on the wire.
pub fn timestamp(time: Timestamp) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() })
}

/// An instant for people, to the second.
pub fn second(time: Timestamp) -> impl std::fmt::Display {
    time.strftime("%Y-%m-%d %H:%M:%S UTC")
}

/// An instant from the wire; `None` where it is none.
pub fn instant(time: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// A span from the wire; a negative one counts as none.
pub fn duration(span: &prost_types::Duration) -> Duration {
    let seconds = u64::try_from(span.seconds).unwrap_or(0);
    let nanoseconds = u32::try_from(span.nanos).unwrap_or(0);
    Duration::new(seconds, nanoseconds.min(999_999_999))
}

/// How long something may last that ends by itself.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The shortest time, in seconds.
    pub shortest: i64,
    /// The longest, in seconds.
    pub longest: i64,
    /// Both for people, for example `one minute to 90 days`.
    pub words: &'static str,
}

/// Reads a time to live from the field of this name: absent, or within the bounds.
pub fn ttl(
    field: &str,
    span: Option<&prost_types::Duration>,
    bounds: Bounds,
) -> Result<Option<SignedDuration>, RpcError> {
    let Some(span) = span else { return Ok(None) };
    let wrong = || RpcError::field(field, format!("must be {}", bounds.words));
    // Both parts of a duration on the wire have the same sign.
    if span.nanos < 0 || span.nanos > 999_999_999 {
        return Err(wrong());
    }
    let longest = span.seconds == bounds.longest && span.nanos == 0;
    if !longest && !(bounds.shortest..bounds.longest).contains(&span.seconds) {
        return Err(wrong());
    }
    // The database keeps microseconds.
    Ok(Some(SignedDuration::new(span.seconds, span.nanos - span.nanos % 1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { shortest: 60, longest: 3600, words: "one minute to one hour" };

    #[test]
    fn a_time_to_live_is_within_its_bounds_or_names_its_field() {
        let read = |seconds, nanos| {
            ttl("ttl", Some(&prost_types::Duration { seconds, nanos }), BOUNDS)
                .map_err(|error| error.to_string())
        };
        assert_eq!(ttl("ttl", None, BOUNDS).unwrap(), None);
        assert_eq!(read(60, 0), Ok(Some(SignedDuration::from_secs(60))));
        assert_eq!(read(3600, 0), Ok(Some(SignedDuration::from_hours(1))));
        assert_eq!(read(61, 1_999), Ok(Some(SignedDuration::new(61, 1_000))));
        for (seconds, nanos) in [
            (0, 0),
            (59, 999_999_999),
            (-60, 0),
            (3600, 1),
            (3601, 0),
            (60, -1),
            (60, i32::MAX),
            (i64::MAX, 0),
            (i64::MIN, i32::MIN),
        ] {
            let error = read(seconds, nanos).unwrap_err();
            assert_eq!(error, "ttl: must be one minute to one hour", "{seconds} {nanos}");
        }
    }
}
