//! How the values of the rules stand in rows.
//!
//! Positions and amounts are `bigint`. A bucket has 300 seconds, so the largest amount of
//! which a bucket still fits is 2^63 / 300: [`CPU_MAXIMUM`] is what a quota can be, and
//! [`SUBJECT_BYTES_MAXIMUM`] is more than any machine or volume has. Facts are held to
//! both when they are stored; sums of many rows are `numeric`.

use sqlx::{Column, Row, postgres::PgRow};
use streamspace_core::{
    quantity::{Bytes, Millicores},
    quota::CPU_MAXIMUM,
    session::{SessionPhase, SessionUid},
    usage::{
        Bucket, ByteSeconds, Coverage, CoveredSeconds, Incarnation, Interval, MillicoreSeconds,
        Order, PodUid, Reason, Second, SessionCount, SessionSeconds, State, Transition, Unbilled,
        Usage,
    },
};
use uuid::Uuid;

/// The most memory, and the largest home, that one subject is counted with: 16 PiB.
pub const SUBJECT_BYTES_MAXIMUM: Bytes = Bytes(1 << 54);

/// The most characters of a text that comes from the cluster.
const TEXT_MAXIMUM: usize = 253;

/// A position as the database holds it. The cluster's own are positive and of 63 bits.
pub(super) fn position(order: Order) -> i64 {
    i64::try_from(order.0).unwrap_or(i64::MAX)
}

/// A position as the rules hold it.
pub(super) fn order(position: i64) -> Order {
    Order(u64::try_from(position).unwrap_or(0))
}

/// A text of the cluster as it is stored: of a bounded length, and without the character
/// that PostgreSQL has no text of.
pub(super) fn clipped(text: &str) -> String {
    text.chars().filter(|character| *character != '\0').take(TEXT_MAXIMUM).collect()
}

/// A fact as it is stored: its amounts are none below nothing, and a bucket of them fits.
pub(super) fn bounded(transition: &Transition) -> Transition {
    let State { phase, cpu, memory, home } = transition.state;
    let bytes = |bytes: Bytes| Bytes(bytes.0.clamp(0, SUBJECT_BYTES_MAXIMUM.0));
    let state = State {
        phase,
        cpu: Millicores(cpu.0.clamp(0, CPU_MAXIMUM.0)),
        memory: bytes(memory),
        home: bytes(home),
    };
    Transition { state, ..*transition }
}

/// Reads a transition from the columns of `usage_transitions`, by their names.
pub(super) fn transition(row: &PgRow) -> Result<Transition, sqlx::Error> {
    let columns = [
        "subject_uid",
        "position",
        "at",
        "phase",
        "cpu_millicores",
        "memory_bytes",
        "home_bytes",
        "pod_uid",
        "container_start",
    ];
    let mut places = [0; 9];
    for (place, column) in places.iter_mut().zip(columns) {
        *place = row.try_column(column)?.ordinal();
    }
    transition_of(row, places)
}

/// Reads a transition from nine columns that follow each other: subject, position, instant,
/// phase, CPU, memory, home, pod and container start. A tick reads a hundred thousand, and
/// looking for their names would take as long as the rest.
pub(super) fn transition_at(row: &PgRow, first: usize) -> Result<Transition, sqlx::Error> {
    transition_of(row, std::array::from_fn(|place| first + place))
}

fn transition_of(row: &PgRow, places: [usize; 9]) -> Result<Transition, sqlx::Error> {
    let [subject, position, at, word, cpu, memory, home, pod, container_start] = places;
    let pod: Option<Uuid> = row.try_get(pod)?;
    let container_start: Option<i64> = row.try_get(container_start)?;
    let incarnation = pod
        .zip(container_start)
        .map(|(pod, start)| Incarnation { pod: PodUid(pod), container_start: Second(start) });
    Ok(Transition {
        session: SessionUid(row.try_get(subject)?),
        order: order(row.try_get(position)?),
        at: Second(row.try_get(at)?),
        state: State {
            phase: phase(row.try_get(word)?)?,
            cpu: Millicores(row.try_get(cpu)?),
            memory: Bytes(row.try_get(memory)?),
            home: Bytes(row.try_get(home)?),
        },
        incarnation,
    })
}

fn phase(word: &str) -> Result<SessionPhase, sqlx::Error> {
    SessionPhase::parse(word).ok_or_else(|| damaged(format!("no phase of a session: {word:?}")))
}

/// A row that nothing of this daemon has written.
pub(super) fn damaged(what: String) -> sqlx::Error {
    sqlx::Error::Decode(what.into())
}

/// An amount of one row: it fits, as all facts are held to what fits.
pub(super) fn amount(quantity: i128) -> i64 {
    i64::try_from(quantity).unwrap_or(if quantity < 0 { i64::MIN } else { i64::MAX })
}

/// Seconds of one bucket.
pub(super) fn seconds(seconds: i64) -> i32 {
    i32::try_from(seconds).unwrap_or(if seconds < 0 { i32::MIN } else { i32::MAX })
}

/// Why seconds are not measured: `why:seconds` with spaces between. An estimated second
/// says what is not proved (`estimated/another_incarnation:20`), and one that is not
/// billed why (`pending:30`, `unproved/request_changed:5`).
pub fn doubts(covered: &CoveredSeconds) -> String {
    let mut text = String::new();
    for (coverage, seconds) in covered.kinds() {
        let (kind, why) = match coverage {
            Coverage::Measured => continue,
            Coverage::Estimated(reason) => ("estimated/", reason.as_str()),
            Coverage::Unbilled(Unbilled::Pending) => ("", "pending"),
            Coverage::Unbilled(Unbilled::Hibernated) => ("", "hibernated"),
            Coverage::Unbilled(Unbilled::Failed) => ("", "failed"),
            Coverage::Unbilled(Unbilled::Unproved(reason)) => ("unproved/", reason.as_str()),
        };
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(kind);
        text.push_str(why);
        text.push(':');
        text.push_str(&seconds.to_string());
    }
    text
}

/// Reads the covered seconds back; `None` where the text is not one of [`doubts`].
pub fn covered(measured: i64, doubts: &str) -> Option<CoveredSeconds> {
    let mut covered = CoveredSeconds { measured, ..CoveredSeconds::default() };
    for entry in doubts.split_ascii_whitespace() {
        let (why, seconds) = entry.split_once(':')?;
        let coverage = match why.split_once('/') {
            Some(("estimated", reason)) => Coverage::Estimated(Reason::parse(reason)?),
            Some(("unproved", reason)) => {
                Coverage::Unbilled(Unbilled::Unproved(Reason::parse(reason)?))
            }
            Some(_) => return None,
            None => Coverage::Unbilled(match why {
                "pending" => Unbilled::Pending,
                "hibernated" => Unbilled::Hibernated,
                "failed" => Unbilled::Failed,
                _ => return None,
            }),
        };
        covered.add(coverage, seconds.parse().ok()?);
    }
    Some(covered)
}

/// Seconds of a life, by the columns that hold them: measured, estimated, unbilled.
pub(super) fn by_column(covered: &CoveredSeconds) -> [i32; 3] {
    let estimated = covered.estimated.values().sum();
    let unbilled = covered.unbilled.values().sum();
    [covered.measured, estimated, unbilled].map(seconds)
}

/// Reads an interval, or the amounts of a correction, from a row whose bucket stands as
/// seconds in `bucket`.
pub(super) fn interval(row: &PgRow) -> Result<Interval, sqlx::Error> {
    let start: i64 = row.try_get("bucket")?;
    let big = |column| row.try_get::<i64, _>(column).map(i128::from);
    let small = |column| row.try_get::<i32, _>(column).map(i128::from);
    let measured: i32 = row.try_get("measured_seconds")?;
    let text: &str = row.try_get("doubts")?;
    Ok(Interval {
        session: SessionUid(row.try_get("subject_uid")?),
        bucket: Bucket::starting_at(Second(start))
            .ok_or_else(|| damaged(format!("no bucket begins at {start}")))?,
        usage: Usage {
            cpu: MillicoreSeconds(big("cpu_millicore_seconds")?),
            memory: ByteSeconds(big("memory_byte_seconds")?),
            storage: ByteSeconds(big("storage_byte_seconds")?),
            sessions: SessionSeconds(small("session_seconds")?),
            started: SessionCount(small("sessions_started")?),
        },
        covered: covered(measured.into(), text)
            .ok_or_else(|| damaged(format!("no reasons for seconds: {text:?}")))?,
    })
}

#[cfg(test)]
mod tests {
    use streamspace_core::usage::BUCKET_SECONDS;

    use super::*;

    #[test]
    fn a_bucket_of_the_largest_amounts_fits() {
        for largest in [CPU_MAXIMUM.0, SUBJECT_BYTES_MAXIMUM.0] {
            assert!(largest.checked_mul(BUCKET_SECONDS).is_some());
        }
    }

    #[test]
    fn doubts_are_read_back() {
        let mut seconds = CoveredSeconds { measured: 40, ..CoveredSeconds::default() };
        assert_eq!(doubts(&seconds), "");
        for (number, reason) in (1..).zip(Reason::ALL) {
            seconds.add(Coverage::Estimated(reason), number);
            seconds.add(Coverage::Unbilled(Unbilled::Unproved(reason)), -number);
        }
        seconds.add(Coverage::Unbilled(Unbilled::Pending), 30);
        seconds.add(Coverage::Unbilled(Unbilled::Failed), 2);
        seconds.add(Coverage::Unbilled(Unbilled::Hibernated), 1);
        let text = doubts(&seconds);
        assert!(text.starts_with("estimated/incarnation_unknown:1 "), "{text}");
        assert_eq!(covered(40, &text), Some(seconds));
        for other in ["pending", "pending:", "x:1", "estimated/x:1", "other/x:1", "pending:1x"] {
            assert_eq!(covered(0, other), None, "{other}");
        }
    }

    #[test]
    fn a_text_of_the_cluster_is_clipped() {
        assert_eq!(clipped("a\0b"), "ab");
        assert_eq!(clipped(&"ä".repeat(300)).chars().count(), TEXT_MAXIMUM);
    }
}
