//! An alert: something that needs somebody, and who has it.

use std::borrow::Cow;

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_core::filter::FieldValue;
use streamspace_proto::v1::{self, AlertSeverity};

use super::{
    Column, Key, Look, Row, Scope, SortKey, Wellness, age_of, by_place, by_time, seconds, short,
};
use crate::{
    format::instant,
    state::{Question, RegionIndex},
};

/// So far apart are alerts of which one is worse, whenever they began.
const APART: i64 = 1 << 40;

/// One alert.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    key: Key,
    /// What it is, and which rule of it.
    pub(crate) kind: String,
    /// What it is about, and of whom.
    pub(crate) subject: String,
    /// Who has it in hand; empty where nobody.
    pub(crate) owner: String,
    pub(crate) summary: String,
    pub(crate) since: Option<Timestamp>,
    /// As the daemon has it: escape what is shown.
    pub(crate) whole: Box<v1::Alert>,
}

impl Alert {
    pub(crate) fn new(region: RegionIndex, alert: &v1::Alert) -> Self {
        let safe = |text: &str| escape(text).into_owned();
        let kind = format!("{} {}", alert.kind, alert.rule);
        let subject = alert.subject.strip_prefix("slos/").unwrap_or(&alert.subject);
        let whose = match short(&alert.tenant) {
            "" => String::new(),
            tenant => format!(" of {tenant}"),
        };
        Self {
            key: Key::new(region, "", &alert.name),
            kind: safe(kind.trim_end()),
            subject: safe(&format!("{subject}{whose}")),
            owner: safe(&alert.acknowledged_by),
            summary: safe(&alert.summary),
            since: instant(alert.start_time.as_ref()),
            whole: Box::new(alert.clone()),
        }
    }

    pub(crate) fn is_page(&self) -> bool {
        self.whole.severity() == AlertSeverity::Page
    }

    pub(crate) fn severity_word(&self) -> &'static str {
        match self.whole.severity() {
            AlertSeverity::Page => "page",
            AlertSeverity::Ticket => "ticket",
            AlertSeverity::Unspecified => "alert",
        }
    }

    /// The tenant that it is about.
    pub(crate) fn scope(&self) -> Option<Scope> {
        let tenant = self.whole.tenant.strip_prefix("tenants/")?;
        Some(Scope { region: self.key.region, tenant: tenant.into() })
    }

    /// Who has it, in words.
    pub(crate) fn has_it(&self) -> String {
        let owner = if self.owner.is_empty() { "nobody" } else { &self.owner };
        format!("{owner} has it")
    }
}

impl Row for Alert {
    const NOUN: &'static str = "alert";
    const ASKED: Option<Question> = Some(Question::Alerts);
    const FIELDS: &'static [&'static str] = &[
        "name",
        "kind",
        "rule",
        "subject",
        "tenant",
        "severity",
        "acknowledged_by",
        "age:integer",
    ];
    const ATTENTION: &'static str = "that nobody has";
    const STATES: &'static [&'static str] = &["other", "page", "ticket"];
    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::left("ALERT", 14, 32, 0)
            .showing(|alert, _| Cow::Borrowed(&alert.kind))
            .ordered(|alert| SortKey::Text(&alert.kind)),
        Column::<Self>::left("SEVERITY", 8, 8, 2)
            .showing(|alert, _| Cow::Borrowed(alert.severity_word()))
            .ordered(|alert| by_place(alert.state()))
            .looking(Look::Verdict),
        Column::<Self>::right("AGE", 6, 3)
            .showing(|alert, now| age_of(alert.since, now))
            .ordered(|alert| by_time(alert.since)),
        Column::<Self>::left("OWNER", 7, 20, 2)
            .showing(|alert, _| {
                Cow::Borrowed(if alert.owner.is_empty() { "nobody" } else { &alert.owner })
            })
            .ordered(|alert| SortKey::Text(&alert.owner))
            .looking(Look::Verdict),
        Column::<Self>::left("ABOUT", 14, 44, 4)
            .showing(|alert, _| Cow::Borrowed(&alert.subject))
            .ordered(|alert| SortKey::Text(&alert.subject)),
        Column::<Self>::left("SUMMARY", 24, u16::MAX, 5)
            .showing(|alert, _| Cow::Borrowed(&alert.summary)),
    ];

    fn key(&self) -> &Key {
        &self.key
    }

    /// One that somebody has is taken care of.
    fn wellness(&self) -> Wellness {
        match (self.owner.is_empty(), self.is_page()) {
            (true, true) => Wellness::Failing,
            (true, false) => Wellness::Hindered,
            (false, _) => Wellness::Changing,
        }
    }

    /// A page before a ticket, of these what nobody has, of these the newest.
    fn urgency(&self) -> i64 {
        let place = 2 * i64::from(!self.is_page()) + i64::from(!self.owner.is_empty());
        let since = self.since.map_or(0, Timestamp::as_second);
        place * APART - since.clamp(0, APART - 1)
    }

    fn state(&self) -> usize {
        usize::try_from(i32::from(self.whole.severity())).unwrap_or(0)
    }

    fn is_in(&self, scope: &Scope) -> bool {
        self.key.region == scope.region && short(&self.whole.tenant) == &*scope.tenant
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        [&*self.kind, &self.subject, &self.owner, &self.summary, self.severity_word()].into_iter()
    }

    fn field(&self, name: &str, now: Timestamp) -> Option<FieldValue> {
        let text = match name {
            "name" => &*self.whole.name,
            "kind" => &self.whole.kind,
            "rule" => &self.whole.rule,
            "subject" => &self.whole.subject,
            "tenant" => short(&self.whole.tenant),
            "severity" => self.severity_word(),
            "acknowledged_by" => &self.whole.acknowledged_by,
            "age" => return seconds(self.since, now),
            _ => return None,
        };
        Some(FieldValue::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::time;

    #[test]
    fn the_most_urgent_is_a_page_that_nobody_has_and_of_these_the_newest() {
        use AlertSeverity::{Page, Ticket};
        let alert = |severity: AlertSeverity, owner: &str, began: i64| {
            let alert = v1::Alert {
                severity: severity.into(),
                acknowledged_by: owner.into(),
                start_time: time(began),
                ..v1::Alert::default()
            };
            Alert::new(RegionIndex(0), &alert).urgency()
        };
        let ordered = [
            alert(Page, "", 200),
            alert(Page, "", 100),
            alert(Page, "ops-1", 300),
            alert(Ticket, "", 400),
            alert(Ticket, "", i64::MIN),
            alert(Ticket, "ops-1", i64::MAX),
        ];
        assert!(ordered.is_sorted(), "{ordered:?}");
    }
}
