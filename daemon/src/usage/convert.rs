//! Amounts and instants of the database in the contract's shape.

use jiff::Timestamp;
use streamspace_core::usage::{Coverage, Second, Unbilled};
use streamspace_proto::v1;

use crate::rpc::errors::{RpcError, RpcResult};

/// The sums of what was used, in the order of [`super::query::SUMS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amounts([i128; 8]);

impl Amounts {
    /// Reads sums that the database wrote as texts: no type of its driver holds 128 bits.
    pub(super) fn read(texts: &[String]) -> RpcResult<Self> {
        let wrong = || RpcError::Internal(format!("sums of usage that are no numbers: {texts:?}"));
        let mut amounts = [0; 8];
        if texts.len() != amounts.len() {
            return Err(wrong());
        }
        for (amount, text) in amounts.iter_mut().zip(texts) {
            *amount = text.parse().map_err(|_| wrong())?;
        }
        Ok(Self(amounts))
    }

    /// Adds others.
    pub(super) fn add(&mut self, other: &Self) -> RpcResult<()> {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            let added = sum.checked_add(more);
            *sum = added.ok_or_else(|| RpcError::Internal("a sum of usage overflows".into()))?;
        }
        Ok(())
    }

    /// What of it counts for a home: no session began, and its seconds are not those of one.
    pub(super) fn of_storage(mut self) -> Self {
        let [.., started, measured, estimated, unbilled] = &mut self.0;
        (*started, *measured, *estimated, *unbilled) = (0, 0, 0, 0);
        self
    }

    /// As the contract shows them.
    pub(super) fn to_proto(self) -> v1::UsageAmounts {
        let [cpu, memory, storage, sessions, started, measured, estimated, unbilled] =
            self.0.map(|amount| amount.to_string());
        v1::UsageAmounts {
            cpu_millicore_seconds: cpu,
            memory_byte_seconds: memory,
            storage_byte_seconds: storage,
            session_seconds: sessions,
            sessions_started: started,
            measured_seconds: measured,
            estimated_seconds: estimated,
            unbilled_seconds: unbilled,
        }
    }
}

/// A second on the wire.
#[expect(clippy::unnecessary_wraps, reason = "every instant of a message is optional")]
pub(super) fn instant(second: Second) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: second.0, nanos: 0 })
}

/// A second as a bindable value.
pub(super) fn bind(second: Second) -> jiff_sqlx::Timestamp {
    second.timestamp().into()
}

/// The second of an instant that the database told.
pub(super) fn second(time: jiff_sqlx::Timestamp) -> Second {
    let time: Timestamp = time.to_jiff();
    Second::holding(time)
}

/// How a piece is counted, and why it is not measured.
pub(super) fn coverage(coverage: Coverage) -> (&'static str, &'static str) {
    match coverage {
        Coverage::Measured => ("measured", ""),
        Coverage::Estimated(reason) => ("estimated", reason.as_str()),
        Coverage::Unbilled(why) => {
            let reason = match why {
                Unbilled::Pending => "pending",
                Unbilled::Hibernated => "hibernated",
                Unbilled::Failed => "failed",
                Unbilled::Unproved(reason) => reason.as_str(),
            };
            ("unbilled", reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_beyond_64_bits_are_read_added_and_shown_to_the_unit() {
        // 10 TiB for 30 days, in byte-seconds.
        let large = "28499863951113093120";
        let texts: Vec<String> =
            ["1", large, "0", "-3", "0", "0", "0", "0"].map(str::to_owned).into();
        let mut sum = Amounts::read(&texts).unwrap();
        sum.add(&Amounts::read(&texts).unwrap()).unwrap();
        let shown = sum.to_proto();
        assert_eq!(shown.memory_byte_seconds, "56999727902226186240");
        assert_eq!(
            (shown.cpu_millicore_seconds.as_str(), shown.session_seconds.as_str()),
            ("2", "-6")
        );
        assert!(Amounts::read(&texts[1..]).is_err());
        let broken = [&["1.5".to_owned()], &texts[1..]].concat();
        assert!(Amounts::read(&broken).is_err());
    }
}
