//! What usage is counted in. Whole numbers of 128 bits: 10 TiB for 30 days are more
//! byte-seconds than 64 bits hold.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Neg, Sub},
};

use super::Metric;

macro_rules! quantity {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i128);

        impl Add for $name {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl Sub for $name {
            type Output = Self;

            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl Neg for $name {
            type Output = Self;

            fn neg(self) -> Self {
                Self(-self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

quantity!(
    /// Thousandths of a core, times seconds. Negative only in a correction.
    MillicoreSeconds
);
quantity!(
    /// Bytes, times seconds. Negative only in a correction.
    ByteSeconds
);
quantity!(
    /// Seconds that a session ran. Negative only in a correction.
    SessionSeconds
);
quantity!(
    /// Sessions, counted. Negative only in a correction.
    SessionCount
);

/// What was used: of one session in one bucket, or a sum of such, or a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The requested CPU over the billable seconds.
    pub cpu: MillicoreSeconds,
    /// The requested memory over the billable seconds.
    pub memory: ByteSeconds,
    /// The size of the home over all seconds of the session's life.
    pub storage: ByteSeconds,
    /// The billable seconds.
    pub sessions: SessionSeconds,
    /// The sessions whose life began.
    pub started: SessionCount,
}

impl Usage {
    /// The numbers with the metrics that they are of.
    pub fn amounts(&self) -> [(Metric, i128); 5] {
        [
            (Metric::Cpu, self.cpu.0),
            (Metric::Memory, self.memory.0),
            (Metric::Storage, self.storage.0),
            (Metric::SessionTime, self.sessions.0),
            (Metric::SessionsStarted, self.started.0),
        ]
    }

    fn zip(
        self,
        other: Self,
        cpu: fn(MillicoreSeconds, MillicoreSeconds) -> MillicoreSeconds,
        bytes: fn(ByteSeconds, ByteSeconds) -> ByteSeconds,
        sessions: fn(SessionSeconds, SessionSeconds) -> SessionSeconds,
        count: fn(SessionCount, SessionCount) -> SessionCount,
    ) -> Self {
        Self {
            cpu: cpu(self.cpu, other.cpu),
            memory: bytes(self.memory, other.memory),
            storage: bytes(self.storage, other.storage),
            sessions: sessions(self.sessions, other.sessions),
            started: count(self.started, other.started),
        }
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.zip(other, Add::add, Add::add, Add::add, Add::add)
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.zip(other, Sub::sub, Sub::sub, Sub::sub, Sub::sub)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(usages: I) -> Self {
        usages.fold(Self::default(), Add::add)
    }
}
