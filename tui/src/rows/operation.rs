//! An operation: work that a daemon carries on by itself.

use std::borrow::Cow;

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_core::filter::{FieldValue, vocabulary};
use streamspace_proto::v1;

use super::{Column, Key, Look, Row, Scope, SortKey, Wellness, age_of, by_place, by_time, short};
use crate::{
    format::{count, instant},
    state::RegionIndex,
};

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    key: Key,
    /// The last part of the name.
    pub(crate) id: String,
    target: String,
    kind: String,
    actor: String,
    /// What it is at, or why it failed.
    words: String,
    created: Option<Timestamp>,
    /// All of it, as the daemon sent it: escape what is shown.
    pub(crate) whole: Box<v1::Operation>,
}

impl Operation {
    pub(crate) fn new(region: RegionIndex, operation: v1::Operation) -> Self {
        let words = match &operation.error {
            Some(error) => &error.message,
            None => &operation.progress,
        };
        Self {
            key: Key::new(region, "", &operation.name),
            id: escape(short(&operation.name)).into_owned(),
            target: escape(&operation.target).into_owned(),
            kind: escape(&operation.kind).into_owned(),
            actor: escape(&operation.actor).into_owned(),
            words: escape(words).into_owned(),
            created: instant(operation.create_time.as_ref()),
            whole: Box::new(operation),
        }
    }

    pub(crate) fn state_word(&self) -> &'static str {
        Self::STATES.get(self.state()).copied().unwrap_or("unknown")
    }

    /// How many of its items are finished, of how many; empty where it is over one.
    pub(crate) fn progress(&self) -> String {
        self.whole.counts.as_ref().map_or_else(String::new, |counts| {
            let number = |count: i64| usize::try_from(count).unwrap_or(0);
            let done = number(counts.total.saturating_sub(counts.pending));
            format!("{}/{}", count(done), count(number(counts.total)))
        })
    }

    fn failed_items(&self) -> i64 {
        self.whole.counts.as_ref().map_or(0, |counts| counts.failed)
    }
}

impl Row for Operation {
    const NOUN: &'static str = "operation";
    const FIELDS: &'static [&'static str] = &vocabulary::OPERATION;
    const STATES: &'static [&'static str] = &["running", "stopping", "done", "failed", "cancelled"];
    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::left("TARGET", 14, 48, 0)
            .showing(|operation, _| Cow::Borrowed(&operation.target))
            .ordered(|operation| SortKey::Text(&operation.target)),
        Column::<Self>::left("KIND", 8, 24, 1)
            .showing(|operation, _| Cow::Borrowed(&operation.kind))
            .ordered(|operation| SortKey::Text(&operation.kind)),
        Column::<Self>::left("STATE", 9, 9, 2)
            .showing(|operation, _| Cow::Borrowed(operation.state_word()))
            .ordered(|operation| by_place(operation.state()))
            .looking(Look::Verdict),
        Column::<Self>::right("ITEMS", 13, 4)
            .showing(|operation, _| Cow::Owned(operation.progress())),
        Column::<Self>::left("BY", 6, 20, 6)
            .showing(|operation, _| Cow::Borrowed(&operation.actor))
            .ordered(|operation| SortKey::Text(&operation.actor)),
        Column::<Self>::right("AGE", 6, 3)
            .showing(|operation, now| age_of(operation.created, now))
            .ordered(|operation| by_time(operation.created)),
        Column::<Self>::left("WORDS", 18, u16::MAX, 5)
            .showing(|operation, _| Cow::Borrowed(&operation.words))
            .looking(Look::Verdict),
    ];

    fn key(&self) -> &Key {
        &self.key
    }

    fn wellness(&self) -> Wellness {
        match (self.whole.done, &self.whole.error) {
            (true, Some(_)) => Wellness::Failing,
            (false, _) if self.failed_items() > 0 => Wellness::Hindered,
            (false, _) => Wellness::Changing,
            (true, None) if self.whole.cancelled => Wellness::SetAside,
            (true, None) => Wellness::Well,
        }
    }

    fn state(&self) -> usize {
        match (self.whole.done, self.whole.cancelled, &self.whole.error) {
            (false, false, _) => 0,
            (false, true, _) => 1,
            (true, true, _) => 4,
            (true, false, None) => 2,
            (true, false, Some(_)) => 3,
        }
    }

    fn is_in(&self, scope: &Scope) -> bool {
        let target = self.whole.target.strip_prefix("tenants/").unwrap_or_default();
        let tenant = target.split('/').next().unwrap_or_default();
        self.key.region == scope.region && tenant == &*scope.tenant
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        [&*self.target, &self.kind, &self.actor, &self.id, self.state_word(), &self.words]
            .into_iter()
    }

    fn field(&self, name: &str, _: Timestamp) -> Option<FieldValue> {
        let text = |text: &str| Some(FieldValue::from(text));
        match name {
            "name" => text(&self.whole.name),
            "kind" => text(&self.whole.kind),
            "target" => text(&self.whole.target),
            "actor" => text(&self.whole.actor),
            "done" => Some(FieldValue::Bool(self.whole.done)),
            _ => None,
        }
    }
}
