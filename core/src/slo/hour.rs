//! An hour of what was measured, minute by minute.

use thiserror::Error;

use super::{Counts, Minute, Sums};

/// Minutes of an hour.
pub const MINUTES: usize = 60;

/// A minute: what was counted, where it was measured, and whether it is excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cell {
    /// What was counted; `None` where nothing was measured.
    pub counts: Option<Counts>,
    /// Whether it counts neither as good nor as bad.
    pub excluded: bool,
}

impl Cell {
    /// What it adds to a sum.
    pub fn sums(self) -> Sums {
        match (self.excluded, self.counts) {
            (true, _) => Sums { excluded: 1, ..Sums::default() },
            (false, Some(counts)) => Sums { counts, measured: 1, excluded: 0 },
            (false, None) => Sums::default(),
        }
    }
}

/// A point in what was measured: everything before minute `minute` of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// The hour that holds the last minute before the point, counted since 1970 UTC.
    pub hour: i64,
    /// How many of its minutes lie before the point, 1 to 60.
    pub minutes: usize,
}

impl Point {
    /// The point at which a minute begins.
    pub fn before(minute: Minute) -> Self {
        let last = minute.plus(-1);
        Self { hour: last.hour(), minutes: last.of_hour() + 1 }
    }
}

/// An hour: what was counted before it, and its minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hour {
    /// Everything since the SLO was made, up to this hour.
    pub before: Sums,
    cells: [Cell; MINUTES],
}

/// Why bytes are no hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the minutes of an hour cannot be read: {0}; nothing but the daemon writes them")]
pub struct DecodeError(&'static str);

impl Hour {
    /// An hour in which nothing was measured yet.
    pub fn after(before: Sums) -> Self {
        Self { before, cells: [Cell::default(); MINUTES] }
    }

    /// One of its minutes, 0 to 59; a gap beyond.
    pub fn cell(&self, minute: usize) -> Cell {
        self.cells.get(minute).copied().unwrap_or_default()
    }

    /// Sets a minute, 0 to 59. Beyond, nothing is set.
    pub fn set(&mut self, minute: usize, cell: Cell) {
        if let Some(place) = self.cells.get_mut(minute) {
            *place = cell;
        }
    }

    /// Everything up to and with its first so many minutes.
    pub fn up_to(&self, minutes: usize) -> Sums {
        self.cells.iter().take(minutes).fold(self.before, |sums, cell| sums + cell.sums())
    }

    /// Everything up to its end.
    pub fn end(&self) -> Sums {
        self.up_to(MINUTES)
    }

    /// Its minutes as bytes, those at the end that are gaps left out: of each a number of
    /// variable length that is twice as large as whether it was measured and its events,
    /// together with whether it is excluded, and where there are events, the bad ones.
    pub fn encode(&self) -> Vec<u8> {
        let used = self.cells.iter().rposition(|cell| *cell != Cell::default());
        let mut bytes = Vec::with_capacity(used.map_or(0, |last| last * 4));
        for cell in self.cells.iter().take(used.map_or(0, |last| last + 1)) {
            let excluded = u64::from(cell.excluded);
            match cell.counts {
                None => write(&mut bytes, excluded),
                Some(counts) => {
                    write(&mut bytes, ((counts.total + 1) << 1) | excluded);
                    if counts.total > 0 {
                        write(&mut bytes, counts.bad);
                    }
                }
            }
        }
        bytes
    }

    /// Reads what [`Hour::encode`] wrote.
    pub fn decode(before: Sums, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut hour = Self::after(before);
        let mut rest = bytes;
        let mut minute = 0;
        while !rest.is_empty() {
            if minute == MINUTES {
                return Err(DecodeError("it has more than 60 minutes"));
            }
            let head = read(&mut rest)?;
            let excluded = head & 1 == 1;
            let counts = match (head >> 1).checked_sub(1) {
                None => None,
                Some(0) => Some(Counts::default()),
                Some(total) => {
                    let bad = read(&mut rest)?;
                    if total > Counts::MAXIMUM || bad > total {
                        return Err(DecodeError("a minute has more events than there can be"));
                    }
                    Some(Counts { total, bad })
                }
            };
            hour.set(minute, Cell { counts, excluded });
            minute += 1;
        }
        Ok(hour)
    }
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn write(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn read(rest: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value: u64 = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let Some((byte, after)) = rest.split_first() else {
            return Err(DecodeError("it ends within a number"));
        };
        *rest = after;
        let part = u64::from(byte & 0x7f);
        if part.leading_zeros() < shift {
            return Err(DecodeError("a number is too large"));
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(DecodeError("a number is too long"))
}
