//! Usage, exact to the second: from what a session is allotted to what a tenant used.
//!
//! ```text
//!  transitions ──► History ─┐
//!                           ├─► pieces ─► intervals ──► hours, days ──► billing period
//!  lists, gaps ──► Ledger ──┘        late facts ─► corrections ─┘
//! ```
//!
//! Usage is not sampled. Each change of what a session is allotted is a [`Transition`]
//! with the API server's second, and what was used is the integral of the steps between
//! them ([`integrate`]): a session that lives for one second is counted for one second.
//! Running alone costs compute; a home costs storage as long as it is there.
//!
//! Times are half-open, `[from, to)`; a transition counts from its second on, and of
//! several in one second the last. All sums are whole numbers, so that they can be taken
//! apart and put together again to the unit.
//!
//! What nobody watched is told apart from what was measured ([`Coverage`]), and is never
//! counted above the truth; the rule is in `coverage.rs`. Nothing here remembers
//! anything: the same facts give the same usage after any crash, by any replica
//! ([`Watermark`]).

pub use correction::{Correction, correct, corrected, late};
pub use counter::{Increase, Reading, increase, over_buckets, showback, spread};
pub use coverage::{Coverage, CoveredSeconds, Gap, Ledger, Reason, Unbilled};
pub use instant::{BUCKET_SECONDS, Bucket, Second, Span};
pub use integrate::{Interval, Piece, integrate, intervals, pieces};
pub use period::{Month, MonthError, Parts, days, parts};
pub use quantity::{ByteSeconds, MillicoreSeconds, SessionCount, SessionSeconds, Usage};
pub use rollup::{Cell, Entry, Grain, Metric, Rollup, dirty, entries, rollup};
pub use transition::{
    History, Incarnation, Listing, Order, PodUid, Session, State, Transition, vanished,
};
pub use verify::{Books, Fault, verify};
pub use watermark::{Commit, LeaderTerm, Refusal, Watermark};

mod correction;
mod counter;
mod coverage;
mod instant;
mod integrate;
mod period;
mod quantity;
mod rollup;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod transition;
mod verify;
mod watermark;
