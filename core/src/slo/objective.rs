//! How much must be good.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::text;

/// One whole, in the unit of an objective.
pub(super) const WHOLE: u32 = 1_000_000_000;

/// The share of events that must be good: more than none and less than all, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Objective(u32);

/// Why a text is no objective.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ObjectiveError {
    /// It is no decimal number.
    #[error(
        "`{0}` is no decimal number of percent: write digits with at most seven decimals, for \
         example 99.9"
    )]
    Unreadable(String),
    /// It is 0 or less.
    #[error("`{0}` promises nothing: it must be more than 0 %, for example 99.9")]
    Nothing(String),
    /// It is 100 % or more.
    #[error(
        "`{0}` leaves no error budget, so the first bad event would break it: it must be less than \
         100 %, for example 99.99"
    )]
    Everything(String),
}

impl Objective {
    /// From millionths, as a plan has it; `None` for 0 and for all.
    pub fn from_ppm(ppm: i32) -> Option<Self> {
        let billionths = u32::try_from(ppm).ok()?.checked_mul(1_000)?;
        Self::from_billionths(billionths)
    }

    /// From billionths; `None` for 0 and for all.
    pub fn from_billionths(billionths: u32) -> Option<Self> {
        (1..WHOLE).contains(&billionths).then_some(Self(billionths))
    }

    /// Reads a share of one, for example `0.999`.
    pub fn from_share(text: &str) -> Result<Self, ObjectiveError> {
        Self::read(text, 9)
    }

    /// In billionths.
    pub fn billionths(self) -> u32 {
        self.0
    }

    /// The error budget in billionths: the share of events that may be bad.
    pub fn budget(self) -> u32 {
        WHOLE - self.0
    }

    fn read(text: &str, places: u32) -> Result<Self, ObjectiveError> {
        let shown = || text::excerpt(text);
        let unreadable = || ObjectiveError::Unreadable(shown());
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty()
            || !is_number(whole)
            || !is_number(decimals)
            || (digits.contains('.') && decimals.is_empty())
        {
            return Err(unreadable());
        }
        let decimals = decimals.trim_end_matches('0');
        let length = u32::try_from(decimals.len()).map_err(|_| unreadable())?;
        if length > places {
            return Err(unreadable());
        }
        if negative {
            return Err(ObjectiveError::Nothing(shown()));
        }
        let everything = || ObjectiveError::Everything(shown());
        let scale = 10_u64.pow(places);
        let whole: u64 = whole.parse().map_err(|_| everything())?;
        let part: u64 = if decimals.is_empty() {
            0
        } else {
            decimals.parse::<u64>().map_err(|_| unreadable())? * 10_u64.pow(places - length)
        };
        let value = whole.checked_mul(scale).and_then(|value| value.checked_add(part));
        match value.and_then(|value| u32::try_from(value).ok()) {
            Some(0) => Err(ObjectiveError::Nothing(shown())),
            Some(value) => Self::from_billionths(value).ok_or_else(everything),
            None => Err(everything()),
        }
    }
}

impl FromStr for Objective {
    type Err = ObjectiveError;

    /// Reads percent, for example `99.9`.
    fn from_str(text: &str) -> Result<Self, ObjectiveError> {
        Self::read(text, 7)
    }
}

impl fmt::Display for Objective {
    /// In percent, without zeros at the end: `99.9`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 10_000_000, self.0 % 10_000_000);
        let text = format!("{whole}.{part:07}");
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}
