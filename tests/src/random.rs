//! Randomness that can be had again: by the seed that a failed story prints.

#![allow(clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::hash::{BuildHasher as _, RandomState};

/// Names the seed to use.
pub const SEED_VARIABLE: &str = "STREAMSPACE_SEED";

/// The `SplitMix64` generator of Steele, Lea and Flood: small, and good enough to choose
/// moments.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// From the seed of the environment, else from a new one; prints which.
    #[expect(clippy::print_stderr, reason = "shown with the story's failure")]
    pub fn from_environment() -> Self {
        let seed = std::env::var(SEED_VARIABLE).ok().filter(|seed| !seed.is_empty());
        let seed = seed.map_or_else(
            || RandomState::new().hash_one(std::process::id()),
            |seed| seed.parse().expect("the seed is a number"),
        );
        eprintln!("run it again with {SEED_VARIABLE}={seed}");
        Self::new(seed)
    }

    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// Another generator, so that what runs at once does not share one.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.number())
    }
}
