//! An error budget: what is left of what an SLO allows to go wrong.

use std::borrow::Cow;

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_core::filter::FieldValue;
use streamspace_proto::v1::{self, BudgetState};

use super::{Column, Key, Look, Row, Scope, SortKey, Wellness, by_place, short};
use crate::{
    format::{age, minutes, percent, rate, span},
    state::{Question, RegionIndex},
};

/// The windows of which a column tells how fast it burns, in seconds.
const SHORTEST: i64 = 300;
const HOUR: i64 = 3600;
const QUARTER: i64 = 6 * 3600;
/// From then on nobody plans by hours, or at all.
const DAYS: i64 = 10 * 86_400;
const YEAR: i64 = 365 * 86_400;
/// So far apart are budgets of which one is worse, whatever is left of them.
const APART: i64 = 1 << 40;

/// One budget.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    key: Key,
    /// The last part of the SLO's name.
    pub(crate) slo: String,
    /// Whose, where the SLO has one for each.
    pub(crate) tenant: String,
    pub(crate) objective: String,
    /// Why nothing is measured, or what it asks for.
    words: String,
    /// As the daemon has them: escape what is shown.
    pub(crate) whole: Box<v1::Budget>,
    service: Box<str>,
}

impl Budget {
    /// A budget, and what is known of its SLO.
    pub(crate) fn new(region: RegionIndex, budget: &v1::Budget, slo: Option<&v1::Slo>) -> Self {
        let safe = |text: &str| escape(text).into_owned();
        let problem = slo.map_or("", |slo| slo.problem.as_str());
        let words = match (problem, budget.frozen) {
            ("", true) => "frozen: hold risky changes back".to_owned(),
            ("", false) => String::new(),
            (problem, true) => format!("frozen; {problem}"),
            (problem, false) => problem.to_owned(),
        };
        Self {
            key: Self::key_of(region, &budget.slo, &budget.tenant),
            slo: safe(short(&budget.slo)),
            tenant: safe(short(&budget.tenant)),
            objective: safe(&budget.objective),
            words: safe(&words),
            service: slo.map_or("", |slo| slo.service.as_str()).into(),
            whole: Box::new(budget.clone()),
        }
    }

    /// The key of the budget of an SLO, and of whose it is.
    pub(crate) fn key_of(region: RegionIndex, slo: &str, tenant: &str) -> Key {
        Key::new(region, "", &format!("{slo} {tenant}"))
    }

    /// All of a region: its budgets, and the SLOs that have none because something is wrong
    /// with them.
    pub(crate) fn all<'a>(
        region: RegionIndex,
        slos: &'a [v1::Slo],
        budgets: &'a [v1::Budget],
    ) -> impl Iterator<Item = Self> + 'a {
        let of = |name: &str| slos.iter().find(|slo| slo.name == name);
        let known = budgets.iter().map(move |budget| Self::new(region, budget, of(&budget.slo)));
        let wrong = slos.iter().filter(|slo| {
            !slo.problem.is_empty() && !budgets.iter().any(|budget| budget.slo == slo.name)
        });
        let none = |slo: &v1::Slo| v1::Budget {
            slo: slo.name.clone(),
            objective: slo.objective.clone(),
            state: BudgetState::NoData.into(),
            ..v1::Budget::default()
        };
        known.chain(wrong.map(move |slo| Self::new(region, &none(slo), Some(slo))))
    }

    pub(crate) fn state_word(&self) -> &'static str {
        Self::STATES.get(self.state()).copied().unwrap_or("unknown")
    }

    /// Why nothing is measured, or what it asks for.
    pub(crate) fn words(&self) -> &str {
        &self.words
    }

    /// What a daemon is asked for it by: its SLO, and whose.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.whole.slo, self.whole.tenant).trim_end().to_owned()
    }

    /// The share that is left.
    pub(crate) fn left(&self) -> String {
        percent(self.whole.remaining_ppm)
    }

    /// Whether anything was ever measured of it.
    pub(crate) fn is_measured(&self) -> bool {
        self.whole.as_of.is_some()
    }

    /// How much of it is left, of 1000; none is less than nothing.
    pub(crate) fn permille(&self) -> usize {
        usize::try_from(self.whole.remaining_ppm / 1000).unwrap_or(0)
    }

    /// How fast it burns over a window of so many seconds, where it is told and had events.
    fn burn(&self, seconds: i64) -> Option<i64> {
        let is_it = |one: &&v1::BurnRate| one.window.is_some_and(|it| it.seconds == seconds);
        self.whole.burn_rates.iter().find(is_it)?.burn_rate_milli
    }

    fn burn_word(&self, seconds: i64) -> Cow<'static, str> {
        self.burn(seconds).map_or(Cow::Borrowed(""), |milli| Cow::Owned(rate(milli)))
    }

    /// How fast it burned in the last hour.
    pub(crate) fn burn_in_an_hour(&self) -> Cow<'static, str> {
        self.burn_word(HOUR)
    }

    /// How long what is left lasts, as it burned in the last hour.
    pub(crate) fn lasts(&self) -> Cow<'static, str> {
        match self.whole.exhausted_in.map(|left| left.seconds) {
            Some(..=0) => Cow::Borrowed("gone"),
            Some(YEAR..) => Cow::Borrowed(">1y"),
            Some(seconds @ DAYS..) => Cow::Owned(age(seconds)),
            Some(seconds) => Cow::Owned(span(seconds)),
            None => Cow::Borrowed(""),
        }
    }

    /// Minutes that are left, of those that there were.
    pub(crate) fn minutes(&self) -> String {
        let of = |span: Option<&prost_types::Duration>| minutes(span);
        format!("{} of {}", of(self.whole.remaining.as_ref()), of(self.whole.allowed.as_ref()))
    }

    /// The tenant whose it is.
    pub(crate) fn scope(&self) -> Option<Scope> {
        let tenant = self.whole.tenant.strip_prefix("tenants/")?;
        Some(Scope { region: self.key.region, tenant: tenant.into() })
    }
}

const fn burning(
    title: &'static str,
    rank: u8,
    text: fn(&Budget, Timestamp) -> Cow<'_, str>,
    order: fn(&Budget) -> SortKey<'_>,
) -> Column<Budget> {
    Column::<Budget>::right(title, 8, rank).showing(text).ordered(order)
}

impl Row for Budget {
    const NOUN: &'static str = "budget";
    const ASKED: Option<Question> = Some(Question::Budgets);
    const FIELDS: &'static [&'static str] = &[
        "slo",
        "service",
        "tenant",
        "objective",
        "state",
        "remaining_percent:integer",
        "burn_rate_1h:integer",
        "frozen:bool",
    ];
    const ATTENTION: &'static str = "not well";
    const STATES: &'static [&'static str] =
        &["new", "ok", "ticket", "page", "exhausted", "no-data"];
    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::left("SLO", 14, 32, 0)
            .showing(|budget, _| Cow::Borrowed(&budget.slo))
            .ordered(|budget| SortKey::Text(&budget.slo)),
        Column::<Self>::left("TENANT", 8, 24, 7)
            .showing(|budget, _| Cow::Borrowed(&budget.tenant))
            .ordered(|budget| SortKey::Text(&budget.tenant))
            .sparse(),
        Column::<Self>::left("STATE", 9, 9, 3)
            .showing(|budget, _| Cow::Borrowed(budget.state_word()))
            .ordered(|budget| by_place(budget.state()))
            .looking(Look::Verdict),
        Column::<Self>::left("TARGET", 7, 11, 6)
            .showing(|budget, _| Cow::Owned(format!("{} %", budget.objective)))
            .looking(Look::Aside),
        Column::<Self> { most: 20, ..Column::<Self>::right("LEFT", 10, 2) }
            .showing(|budget, _| {
                Cow::Owned(if budget.is_measured() { budget.left() } else { String::new() })
            })
            .gauged(|budget| budget.is_measured().then(|| budget.permille()))
            .ordered(|budget| SortKey::Number(Some(-budget.whole.remaining_ppm)))
            .looking(Look::Verdict),
        Column::<Self>::right("MINUTES LEFT", 19, 7)
            .showing(|budget, _| {
                Cow::Owned(if budget.is_measured() { budget.minutes() } else { String::new() })
            })
            .looking(Look::Plain),
        burning(
            "BURN-5M",
            5,
            |budget, _| budget.burn_word(SHORTEST),
            |budget| SortKey::Number(budget.burn(SHORTEST)),
        ),
        burning(
            "BURN-1H",
            4,
            |budget, _| budget.burn_word(HOUR),
            |budget| SortKey::Number(budget.burn(HOUR)),
        ),
        burning(
            "BURN-6H",
            8,
            |budget, _| budget.burn_word(QUARTER),
            |budget| SortKey::Number(budget.burn(QUARTER)),
        ),
        Column::<Self>::right("LASTS", 7, 3)
            .showing(|budget, _| budget.lasts())
            // The soonest first.
            .ordered(|budget| {
                let left = budget.whole.exhausted_in.map(|left| left.seconds);
                SortKey::Number(left.map(i64::saturating_neg))
            })
            .looking(Look::Verdict),
        Column::<Self>::left("PROBLEM", 14, u16::MAX, 9)
            .showing(|budget, _| Cow::Borrowed(&budget.words))
            .looking(Look::Verdict),
    ];

    fn key(&self) -> &Key {
        &self.key
    }

    fn wellness(&self) -> Wellness {
        match self.whole.state() {
            BudgetState::Exhausted | BudgetState::Page => Wellness::Failing,
            BudgetState::Ticket => Wellness::Hindered,
            BudgetState::NoData => Wellness::Unknown,
            BudgetState::Unspecified => Wellness::Changing,
            BudgetState::Ok if !self.words.is_empty() => Wellness::Hindered,
            BudgetState::Ok => Wellness::Well,
        }
    }

    /// What is used up or burns, then what may burn, then what is not known; of these what
    /// has least left.
    fn urgency(&self) -> i64 {
        let place = match self.whole.state() {
            BudgetState::Page | BudgetState::Exhausted => 0,
            BudgetState::Ticket => 1,
            BudgetState::NoData => 2,
            BudgetState::Ok | BudgetState::Unspecified => 3,
        };
        place * APART + self.whole.remaining_ppm.clamp(-APART / 2, APART / 2)
    }

    fn state(&self) -> usize {
        usize::try_from(i32::from(self.whole.state())).unwrap_or(0)
    }

    fn is_in(&self, scope: &Scope) -> bool {
        self.scope().is_some_and(|own| own == *scope)
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        [&*self.slo, &self.tenant, &self.objective, &self.words, self.state_word()].into_iter()
    }

    fn field(&self, name: &str, _: Timestamp) -> Option<FieldValue> {
        let text = match name {
            "slo" => short(&self.whole.slo),
            "service" => &*self.service,
            "tenant" => short(&self.whole.tenant),
            "objective" => &self.whole.objective,
            "state" => self.state_word(),
            "remaining_percent" => {
                return Some(FieldValue::Integer(self.whole.remaining_ppm.div_euclid(10_000)));
            }
            "burn_rate_1h" => return Some(FieldValue::Integer(self.burn(HOUR)?.div_euclid(1000))),
            "frozen" => return Some(FieldValue::Bool(self.whole.frozen)),
            _ => return None,
        };
        Some(FieldValue::from(text))
    }
}
