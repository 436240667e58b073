//! Amounts of usage: whole numbers of the finest unit, and what people read of them.
//!
//! The contract writes them in decimal, as 64 bits are too few: 10 TiB for 30 days are more
//! byte-seconds than those hold. They are added as they are; only what is shown is rounded.

use streamspace_client::ClientError;
use streamspace_proto::v1::UsageAmounts;

use crate::errors::{Failure, Outcome};

/// Seconds of an hour.
pub(super) const HOUR: i128 = 3600;
/// Millicore-seconds of a vCPU-hour.
pub(super) const VCPU_HOUR: i128 = 1000 * HOUR;
/// Byte-seconds of a GiB-hour.
pub(super) const GIB_HOUR: i128 = (1 << 30) * HOUR;

/// Places behind the point that people get.
const PLACES: u32 = 3;

/// What the tables say below, so that nobody takes GB for it.
pub(super) const UNITS: &str = "GiB are 1,073,741,824 bytes. Hours are rounded to three places, each by itself; what is added \
     are whole millicore-seconds, byte-seconds and seconds.";

/// What was used, in whole units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amounts {
    pub(super) cpu: i128,
    pub(super) memory: i128,
    pub(super) storage: i128,
    pub(super) sessions: i128,
    pub(super) started: i128,
    pub(super) measured: i128,
    pub(super) estimated: i128,
    pub(super) unbilled: i128,
}

impl Amounts {
    /// As the contract writes them; nothing is zero.
    pub(super) fn read(amounts: Option<&UsageAmounts>) -> Outcome<Self> {
        let Some(amounts) = amounts else { return Ok(Self::default()) };
        Ok(Self {
            cpu: whole("cpu_millicore_seconds", &amounts.cpu_millicore_seconds)?,
            memory: whole("memory_byte_seconds", &amounts.memory_byte_seconds)?,
            storage: whole("storage_byte_seconds", &amounts.storage_byte_seconds)?,
            sessions: whole("session_seconds", &amounts.session_seconds)?,
            started: whole("sessions_started", &amounts.sessions_started)?,
            measured: whole("measured_seconds", &amounts.measured_seconds)?,
            estimated: whole("estimated_seconds", &amounts.estimated_seconds)?,
            unbilled: whole("unbilled_seconds", &amounts.unbilled_seconds)?,
        })
    }

    /// Both together.
    pub(super) fn plus(self, other: Self) -> Outcome<Self> {
        let add = |a: i128, b: i128| a.checked_add(b).ok_or_else(|| odd("a sum is too large"));
        Ok(Self {
            cpu: add(self.cpu, other.cpu)?,
            memory: add(self.memory, other.memory)?,
            storage: add(self.storage, other.storage)?,
            sessions: add(self.sessions, other.sessions)?,
            started: add(self.started, other.started)?,
            measured: add(self.measured, other.measured)?,
            estimated: add(self.estimated, other.estimated)?,
            unbilled: add(self.unbilled, other.unbilled)?,
        })
    }

    /// All of them together.
    pub(super) fn sum(all: impl IntoIterator<Item = Self>) -> Outcome<Self> {
        all.into_iter().try_fold(Self::default(), Self::plus)
    }

    pub(super) fn vcpu_hours(&self) -> String {
        rounded(self.cpu, VCPU_HOUR)
    }

    pub(super) fn memory_hours(&self) -> String {
        rounded(self.memory, GIB_HOUR)
    }

    pub(super) fn storage_hours(&self) -> String {
        rounded(self.storage, GIB_HOUR)
    }

    pub(super) fn session_hours(&self) -> String {
        rounded(self.sessions, HOUR)
    }

    /// How much of what is billed is estimated, in percent; nothing where nothing is.
    pub(super) fn estimated_share(&self) -> String {
        match self.measured.checked_add(self.estimated) {
            Some(billed) if billed > 0 => share(self.estimated, billed),
            _ => String::new(),
        }
    }
}

/// A part of a whole in percent, with one place; what is not nothing never looks so.
pub(super) fn share(part: i128, whole: i128) -> String {
    let Some(parts) = part.checked_mul(100) else { return String::new() };
    match parts_of(parts, whole, 1).as_str() {
        "0.0" if part > 0 => "<0.1 %".into(),
        "0.0" => "0 %".into(),
        "100.0" if part < whole => ">99.9 %".into(),
        "100.0" => "100 %".into(),
        text => format!("{text} %"),
    }
}

/// Whole units in another one, rounded to three places, half of the last away from zero.
pub(super) fn rounded(units: i128, per: i128) -> String {
    parts_of(units, per, PLACES)
}

/// The same with so many places.
pub(super) fn parts_of(units: i128, per: i128, places: u32) -> String {
    let scale = 10_i128.pow(places);
    let (size, per) = (units.unsigned_abs(), per.unsigned_abs().max(1));
    let scale = scale.unsigned_abs();
    let (mut whole, rest) = (size / per, size % per);
    // The rest is less than a unit, so this is far from what 128 bits hold.
    let mut fraction = (rest.saturating_mul(scale) + per / 2) / per;
    if fraction == scale {
        (whole, fraction) = (whole.saturating_add(1), 0);
    }
    let sign = if units < 0 && (whole, fraction) != (0, 0) { "-" } else { "" };
    if places == 0 {
        return format!("{sign}{whole}");
    }
    let width = usize::try_from(places).unwrap_or_default();
    format!("{sign}{whole}.{fraction:0width$}")
}

pub(super) fn whole(field: &str, text: &str) -> Outcome<i128> {
    // The contract leaves out what is nothing.
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| odd(&format!("{field} is {text:?}, and that is no whole number")))
}

/// An answer that the contract does not allow.
pub(super) fn odd(what: &str) -> Failure {
    ClientError::Unexpected(what.to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(cpu: &str, memory: &str) -> Outcome<Amounts> {
        let amounts = UsageAmounts {
            cpu_millicore_seconds: cpu.into(),
            memory_byte_seconds: memory.into(),
            ..UsageAmounts::default()
        };
        Amounts::read(Some(&amounts))
    }

    #[test]
    fn a_month_of_ten_tebibytes_is_read_and_added_exactly() {
        let month = (10_i128 << 40) * 30 * 86_400;
        let one = amounts("340000", &month.to_string()).unwrap();
        assert!(one.memory > i128::from(i64::MAX));
        assert_eq!(one.memory_hours(), "7372800.000");
        assert_eq!(one.plus(one).unwrap().memory, month * 2);
        assert_eq!(one.vcpu_hours(), "0.094");
    }

    #[test]
    fn what_is_no_whole_number_is_the_daemons_fault_and_never_a_zero() {
        for text in ["1.5", "1e9", " 1", "x", "999999999999999999999999999999999999999999"] {
            assert_eq!(amounts(text, "").unwrap_err().exit() as u8, 1, "{text}");
        }
        assert_eq!(amounts("", "-5").unwrap().memory, -5);
        let most = amounts(&i128::MAX.to_string(), "").unwrap();
        assert!(most.plus(amounts("1", "").unwrap()).is_err());
        assert!(!most.vcpu_hours().is_empty());
    }

    #[test]
    fn rounding_is_to_the_nearest_and_half_goes_away_from_zero() {
        for (units, per, text) in [
            (0, HOUR, "0.000"),
            (HOUR, HOUR, "1.000"),
            (1, 2000, "0.001"),
            (-1, 2000, "-0.001"),
            (1, 2001, "0.000"),
            (-1, 2001, "0.000"),
            (1999, 2000, "1.000"),
            (7_199, HOUR, "2.000"),
            (5400, HOUR, "1.500"),
        ] {
            assert_eq!(rounded(units, per), text, "{units} of {per}");
        }
        assert_eq!(
            (share(1, 3000), share(0, 9), share(2999, 3000)),
            ("<0.1 %".into(), "0 %".into(), ">99.9 %".into())
        );
        assert_eq!((share(9, 9), share(1, 3)), ("100 %".into(), "33.3 %".into()));
    }
}
