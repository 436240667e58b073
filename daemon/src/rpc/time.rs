//! Instants and spans on the wire.

use std::time::Duration;

use jiff::Timestamp;

/// An instant on the wire.
pub fn timestamp(time: Timestamp) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() })
}

/// A span from the wire; a negative one counts as none.
pub fn duration(span: &prost_types::Duration) -> Duration {
    let seconds = u64::try_from(span.seconds).unwrap_or(0);
    let nanoseconds = u32::try_from(span.nanos).unwrap_or(0);
    Duration::new(seconds, nanoseconds.min(999_999_999))
}
