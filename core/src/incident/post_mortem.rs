//! What is written down of an incident, as Markdown.
//!
//! Every text of it may come from anybody: what would be markup is escaped.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::{IncidentId, Severity, lifecycle::State};
use crate::text;

/// All that a post-mortem tells.
#[derive(Clone, Debug)]
pub struct PostMortem {
    /// Which incident.
    pub id: IncidentId,
    /// What was wrong.
    pub title: String,
    /// How grave it was.
    pub severity: Severity,
    /// Where it is.
    pub state: State,
    /// When its first alert began, or when it was declared.
    pub start: Timestamp,
    /// When it was declared.
    pub declared: Timestamp,
    /// By whom.
    pub declared_by: String,
    /// When somebody had it, and who.
    pub acknowledged: Option<(Timestamp, String)>,
    /// When users were not hurt any more.
    pub mitigated: Option<Timestamp>,
    /// When the cause was gone.
    pub resolved: Option<Timestamp>,
    /// Roles and who had them.
    pub roles: Vec<(&'static str, String)>,
    /// Tenants, each with its plan.
    pub tenants: Vec<(String, String)>,
    /// What it cost.
    pub budgets: Vec<Burned>,
    /// When, who, what: the oldest first.
    pub timeline: Vec<(Timestamp, String, String)>,
    /// What is to be done.
    pub actions: Vec<Action>,
}

/// What it cost of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burned {
    /// Which SLO, and which tenant's.
    pub name: String,
    /// Events in that time.
    pub total: u64,
    /// Bad ones among them.
    pub bad: u64,
    /// How much of the whole budget, in millionths; `None`: not measured.
    pub used_ppm: Option<i64>,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// What.
    pub text: String,
    /// Who does it.
    pub owner: String,
    /// By when.
    pub due: String,
    /// Whether it is done.
    pub is_done: bool,
}

/// A text of anybody as text of a line of Markdown: no markup, no control characters, no
/// end of a table's cell.
#[must_use]
pub fn markdown(value: &str) -> String {
    let mut shown = String::with_capacity(value.len());
    for character in text::escape(value).chars() {
        match character {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            // A URL is no link by itself either.
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '|'
            | '~' | ':' => {
                shown.push('\\');
                shown.push(character);
            }
            _ => shown.push(character),
        }
    }
    shown
}

/// A time span in words: `1 h 12 min`, `52 s`.
#[must_use]
pub fn span(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Millionths as a percentage with two places, rounded up: a cost is not made smaller.
#[must_use]
pub fn percent(ppm: i64) -> String {
    let hundredths = ppm.max(0).saturating_add(99) / 100;
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

impl PostMortem {
    /// The whole text.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(page, "# {}: {}\n", self.id, markdown(&self.title));
        self.facts(&mut page);
        self.hit(&mut page);
        self.happened(&mut page);
        self.to_do(&mut page);
        page
    }

    fn facts(&self, page: &mut String) {
        let mut row = |name: &str, value: &str| {
            let _ = writeln!(page, "| {name} | {value} |");
        };
        row("", "");
        row("--", "--");
        row("Severity", self.severity.as_str());
        row("State", self.state.as_str());
        row("Began", &instant(self.start));
        let since = |at: Timestamp| span(at.duration_since(self.start));
        let declared = instant(self.declared);
        row(
            "Declared",
            &format!(
                "{declared} by {}, after {}",
                markdown(&self.declared_by),
                since(self.declared)
            ),
        );
        let acknowledged = self.acknowledged.as_ref().map_or("not".to_owned(), |(at, who)| {
            format!("{} by {}, after {}", instant(*at), markdown(who), since(*at))
        });
        row("Acknowledged", &acknowledged);
        for (name, at) in [("Mitigated", self.mitigated), ("Resolved", self.resolved)] {
            let at =
                at.map_or("not".to_owned(), |at| format!("{}, after {}", instant(at), since(at)));
            row(name, &at);
        }
        for (role, who) in &self.roles {
            row(role, &markdown(who));
        }
    }

    fn hit(&self, page: &mut String) {
        let _ = writeln!(page, "\n## Whom it hit\n");
        if self.tenants.is_empty() {
            let _ = writeln!(page, "No tenant was named.");
        } else {
            let _ = writeln!(page, "| Tenant | Plan |\n|--|--|");
        }
        for (tenant, plan) in &self.tenants {
            let _ = writeln!(page, "| {} | {} |", markdown(tenant), markdown(plan));
        }
        let _ = writeln!(page, "\n## What it cost\n");
        if self.budgets.is_empty() {
            let _ = writeln!(page, "No SLO was named.");
            return;
        }
        let _ = writeln!(page, "| SLO | Events | Bad | Of the error budget |\n|--|--:|--:|--:|");
        for burned in &self.budgets {
            let used = burned.used_ppm.map_or("not measured".to_owned(), percent);
            let (total, bad) = (burned.total, burned.bad);
            let _ = writeln!(page, "| {} | {total} | {bad} | {used} |", markdown(&burned.name));
        }
    }

    fn happened(&self, page: &mut String) {
        let _ = writeln!(page, "\n## What happened\n\n| Time | Who | What |\n|--|--|--|");
        for (at, who, what) in &self.timeline {
            let _ = writeln!(page, "| {} | {} | {} |", instant(*at), markdown(who), markdown(what));
        }
    }

    fn to_do(&self, page: &mut String) {
        let _ = writeln!(page, "\n## What is to be done\n");
        if self.actions.is_empty() {
            let _ = writeln!(page, "Nothing was written down.");
        }
        for action in &self.actions {
            let mark = if action.is_done { 'x' } else { ' ' };
            let mut line = format!("- [{mark}] {}", markdown(&action.text));
            if !action.owner.is_empty() {
                let _ = write!(line, ", {}", markdown(&action.owner));
            }
            if !action.due.is_empty() {
                let _ = write!(line, ", by {}", markdown(&action.due));
            }
            let _ = writeln!(page, "{line}");
        }
    }
}
