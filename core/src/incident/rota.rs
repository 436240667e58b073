//! Whose turn it is: turns of whole days, handed over at a time of day.
//!
//! The time of day is one of the civil clock of a zone. Where that clock is put forward
//! over it, the handover is as much later; where it shows it twice, the first counts. So
//! turns follow each other without a gap and without an overlap.

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Time},
    tz::TimeZone,
};
use thiserror::Error;

/// The most people of a rota.
pub const PEOPLE_MAXIMUM: usize = 50;
/// The longest turn, in days.
pub const TURN_DAYS_MAXIMUM: u8 = 28;

/// Who takes turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rota {
    people: Vec<String>,
    turn_days: u8,
    handover: Time,
    zone: TimeZone,
    start: Date,
}

/// Why there is no such rota.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RotaError {
    /// Nobody, or too many.
    #[error("people: {0}: must be 1 to {PEOPLE_MAXIMUM}")]
    People(usize),
    /// Too short or too long.
    #[error("turn_days: {0}: must be 1 to {TURN_DAYS_MAXIMUM}")]
    TurnDays(i64),
    /// No time of day.
    #[error("handover: must be a time of day such as 09:00")]
    Handover,
    /// No zone of the database.
    #[error("time_zone: must be a zone of the IANA database, such as Europe/Berlin")]
    TimeZone,
    /// No day.
    #[error("start_date: must be a day of the years 1970 to 2200, such as 2026-03-30")]
    StartDate,
}

/// Somebody else for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Who.
    pub person: String,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
}

/// Who is on call, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// Who; `None` before the first turn.
    pub person: Option<String>,
    /// Until when, or until something changes.
    pub until: Timestamp,
}

impl Rota {
    /// The rota of texts as the contract has them.
    ///
    /// # Errors
    ///
    /// What is wrong with the first text that is; the message begins with its field.
    pub fn new(
        people: Vec<String>,
        turn_days: i64,
        handover: &str,
        time_zone: &str,
        start_date: &str,
    ) -> Result<Self, RotaError> {
        if people.is_empty() || people.len() > PEOPLE_MAXIMUM {
            return Err(RotaError::People(people.len()));
        }
        let days = u8::try_from(turn_days).ok();
        let turn_days = days
            .filter(|days| (1..=TURN_DAYS_MAXIMUM).contains(days))
            .ok_or(RotaError::TurnDays(turn_days))?;
        let is_time = handover.len() == 5 && handover.is_ascii();
        let handover = Time::strptime("%H:%M", handover).ok().filter(|_| is_time);
        let start: Option<Date> = start_date.parse().ok();
        Ok(Self {
            people,
            turn_days,
            handover: handover.ok_or(RotaError::Handover)?,
            zone: TimeZone::get(time_zone).map_err(|_| RotaError::TimeZone)?,
            start: start
                .filter(|start| (1970..=2200).contains(&start.year()))
                .ok_or(RotaError::StartDate)?,
        })
    }

    /// When the turn of this index begins; the nearest instant that there is.
    fn begin(&self, turn: i64) -> Timestamp {
        let days = turn.saturating_mul(self.turn_days.into());
        let day =
            i32::try_from(days).ok().and_then(|days| self.start.checked_add(days.days()).ok());
        let Some(day) = day else { return Timestamp::MAX };
        let at = self.zone.to_ambiguous_timestamp(day.to_datetime(self.handover));
        at.compatible().unwrap_or(Timestamp::MAX)
    }

    /// The index of the turn at an instant; negative before the first.
    fn turn(&self, at: Timestamp) -> i64 {
        let day = self.zone.to_datetime(at).date();
        let since = self.start.until(day).map_or(0, |span| i64::from(span.get_days()));
        let mut turn = since.div_euclid(self.turn_days.into());
        // The day began before the handover, or the clock was put back over it.
        while self.begin(turn) > at {
            turn -= 1;
        }
        while self.begin(turn.saturating_add(1)) <= at {
            turn += 1;
        }
        turn
    }

    /// Whose turn it is at an instant, by the turns and by overrides, of which the last of
    /// the slice that fits holds.
    pub fn at(&self, at: Timestamp, overrides: &[Override]) -> Shift {
        let turn = self.turn(at);
        let length = i64::try_from(self.people.len()).unwrap_or(i64::MAX);
        let place = usize::try_from(turn.rem_euclid(length.max(1))).unwrap_or_default();
        let by_turn = if turn < 0 { None } else { self.people.get(place).cloned() };
        let next = if turn < 0 { self.begin(0) } else { self.begin(turn.saturating_add(1)) };
        let holds = |it: &&Override| it.from <= at && at < it.to;
        let holding = overrides.iter().rev().find(holds);
        let person = holding.map_or(by_turn, |it| Some(it.person.clone()));
        let changes = overrides.iter().flat_map(|it| [it.from, it.to]).filter(|time| *time > at);
        let until = changes.fold(next, Timestamp::min);
        Shift { person, until }
    }
}
