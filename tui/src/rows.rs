//! What tables are made of: a row, its columns, and how it is.
//!
//! A new table is one file here, with a row and its columns, and one view.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use streamspace_core::filter::FieldValue;
use uuid::Uuid;

use crate::{
    state::{Question, RegionIndex},
    theme::Tone,
};

mod alert;
mod audit;
mod budget;
mod certificate;
mod incident;
mod operation;
mod session;
mod tenant;

pub(crate) use alert::Alert;
pub(crate) use audit::Audit;
pub(crate) use budget::Budget;
pub(crate) use certificate::Certificate;
pub(crate) use incident::Incident;
pub(crate) use operation::Operation;
pub(crate) use session::Session;
pub(crate) use tenant::{Tenant, condition_word, shell_word, short, state_word};

/// The identity of a row: where it is, and its uid, which is never used again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) region: RegionIndex,
    uid: Uid,
}

/// Nearly all are UUIDs, which take no room of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Uid {
    Uuid(Uuid),
    Other(Arc<str>),
}

impl Key {
    /// Of what has no uid, as an operation, the name is the identity.
    pub(crate) fn new(region: RegionIndex, uid: &str, name: &str) -> Self {
        let uid = if uid.is_empty() { name } else { uid };
        let uid = Uuid::try_parse(uid).map_or_else(|_| Uid::Other(uid.into()), Uid::Uuid);
        Self { region, uid }
    }
}

/// How a thing is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wellness {
    /// It should work and does not.
    Failing,
    /// It cannot become what it should.
    Hindered,
    /// It cannot be told.
    Unknown,
    /// It is on its way.
    Changing,
    /// Somebody wanted it so.
    SetAside,
    /// Nothing to look at.
    Well,
    /// It does nothing, as it should.
    Resting,
}

impl Wellness {
    /// Whether somebody should look.
    pub(crate) fn needs_attention(self) -> bool {
        self <= Self::Unknown
    }
}

/// All rows that belong to one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) region: RegionIndex,
    /// The last part of the tenant's name, as the daemon has it.
    pub(crate) tenant: Arc<str>,
}

impl Scope {
    /// The tenant's whole name, as the contract has it.
    pub(crate) fn name(&self) -> String {
        format!("tenants/{}", self.tenant)
    }
}

/// A line of a table.
pub(crate) trait Row: Sized + 'static {
    /// The columns, as they stand from left to right. The first one is what a row is
    /// called, and never left out.
    const COLUMNS: &'static [Column<Self>];
    /// One of them, in words.
    const NOUN: &'static str;
    /// What a filter may name, as in the contract.
    const FIELDS: &'static [&'static str];
    /// What is said of those that somebody should look at.
    const ATTENTION: &'static str = "not well";
    /// What brings the rows, where it is no watch: until it is answered it is not known how
    /// many there are.
    const ASKED: Option<Question> = None;
    /// The states that are counted above the table, in their order.
    const STATES: &'static [&'static str];

    fn key(&self) -> &Key;
    fn wellness(&self) -> Wellness;
    /// What the worst is by, the least first.
    fn urgency(&self) -> i64 {
        self.wellness() as i64
    }
    /// Which of [`Self::STATES`] it is in.
    fn state(&self) -> usize;
    /// Whether it belongs to a tenant.
    fn is_in(&self, _scope: &Scope) -> bool {
        true
    }
    /// What a text is looked for in.
    fn texts(&self) -> impl Iterator<Item = &str>;
    /// What a filter reads.
    fn field(&self, name: &str, now: Timestamp) -> Option<FieldValue>;
}

/// What a row is sorted by in one column. What is not known comes before what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SortKey<'a> {
    Number(Option<i64>),
    Text(&'a str),
}

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// One column of a table.
pub(crate) struct Column<R: 'static> {
    /// Its heading; in lower case what the palette sorts by.
    pub(crate) title: &'static str,
    pub(crate) align: Align,
    /// The least width at which it is worth its place, and the most that it takes.
    pub(crate) least: u16,
    pub(crate) most: u16,
    /// Where there is no room for all, the highest go first.
    pub(crate) rank: u8,
    pub(crate) text: fn(&R, Timestamp) -> Cow<'_, str>,
    /// What the table is sorted by, where it can be by this column.
    pub(crate) order: Option<fn(&R) -> SortKey<'_>>,
    /// Whether the most, or the newest, is wanted first.
    pub(crate) falls: bool,
    pub(crate) look: Look,
    /// How full a gauge before its text is, of 1000; none has no gauge.
    pub(crate) gauge: Option<fn(&R) -> Option<usize>>,
    /// Whether it takes no room where no row says anything in it.
    pub(crate) sparse: bool,
}

/// How a column looks beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// As the row.
    Plain,
    /// It tells how the row is.
    Verdict,
    /// It is there to be looked up.
    Aside,
}

impl<R> Column<R> {
    const fn left(title: &'static str, least: u16, most: u16, rank: u8) -> Self {
        Self {
            title,
            align: Align::Left,
            least,
            most,
            rank,
            text: |_, _| Cow::Borrowed(""),
            order: None,
            falls: false,
            look: Look::Plain,
            gauge: None,
            sparse: most == u16::MAX,
        }
    }

    /// A column of numbers. Each has the same width at all times, so that nothing jumps.
    const fn right(title: &'static str, width: u16, rank: u8) -> Self {
        Self { align: Align::Right, falls: true, ..Self::left(title, width, width, rank) }
    }

    const fn showing(mut self, text: fn(&R, Timestamp) -> Cow<'_, str>) -> Self {
        self.text = text;
        self
    }

    const fn ordered(mut self, order: fn(&R) -> SortKey<'_>) -> Self {
        self.order = Some(order);
        self
    }

    const fn gauged(mut self, gauge: fn(&R) -> Option<usize>) -> Self {
        self.gauge = Some(gauge);
        self
    }

    const fn sparse(mut self) -> Self {
        self.sparse = true;
        self
    }

    const fn looking(mut self, look: Look) -> Self {
        self.look = look;
        self
    }
}

/// The tone of a verdict.
pub(crate) fn tone(wellness: Wellness) -> Tone {
    match wellness {
        Wellness::Failing => Tone::Hurt,
        Wellness::Hindered => Tone::Warn,
        Wellness::Unknown | Wellness::SetAside | Wellness::Resting => Tone::Dim,
        Wellness::Changing | Wellness::Well => Tone::Plain,
    }
}

/// An instant to sort by: the older, the smaller.
fn by_time(time: Option<Timestamp>) -> SortKey<'static> {
    SortKey::Number(time.map(Timestamp::as_microsecond))
}

/// A number to sort by.
fn by_number(number: impl Into<i64>) -> SortKey<'static> {
    SortKey::Number(Some(number.into()))
}

/// A place in a list to sort by.
fn by_place(place: usize) -> SortKey<'static> {
    SortKey::Number(i64::try_from(place).ok())
}

/// How long something has been, as a column shows it.
fn age_of(since: Option<Timestamp>, now: Timestamp) -> Cow<'static, str> {
    since.map_or(Cow::Borrowed("?"), |since| {
        Cow::Owned(crate::format::age(crate::format::seconds_since(since, now)))
    })
}

/// A time ago as a filter counts it.
fn seconds(since: Option<Timestamp>, now: Timestamp) -> Option<FieldValue> {
    Some(FieldValue::Integer(crate::format::seconds_since(since?, now)))
}
