//! Times in which something may be down, and silences: what does not count, and what pages
//! nobody.

mod convert;
pub mod ends;
pub mod service;
mod store;
mod tell;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::PgConnection;
use streamspace_core::slo::Minute;

use crate::db::DbError;

/// A time that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    start: Timestamp,
    end: Timestamp,
    slos: Vec<String>,
    tenants: Vec<String>,
}

impl Window {
    /// Whether a minute of a budget does not count. `tenant` is empty for a budget that is
    /// the SLO's own: one that is about some tenants leaves it as it is.
    pub fn covers(&self, slo: &str, tenant: &str, minute: Minute) -> bool {
        let is_in_it = self.start < minute.plus(1).start() && minute.start() < self.end;
        is_in_it
            && (self.slos.is_empty() || self.slos.iter().any(|id| id == slo))
            && (self.tenants.is_empty() || self.tenants.iter().any(|id| id == tenant))
    }
}

/// The maintenances that touch a time, also those that are over by now.
pub async fn windows(
    tx: &mut PgConnection,
    from: Minute,
    to: Minute,
) -> Result<Vec<Window>, DbError> {
    let records = store::touching(tx, from.start(), to.start()).await?;
    let window = |record: store::MaintenanceRecord| Window {
        start: record.start,
        end: record.end,
        slos: record.slos,
        tenants: record.tenants,
    };
    Ok(records.into_iter().map(window).collect())
}

/// What keeps alerts from paging at an instant.
#[derive(Clone, Debug, Default)]
pub struct Quiet {
    windows: Vec<Window>,
    silences: Vec<Vec<store::Matcher>>,
    at: Minute,
}

/// An alert as silences and maintenances see it.
pub type Labels = BTreeMap<String, String>;

impl Quiet {
    /// Reads what holds at an instant.
    pub async fn read(tx: &mut PgConnection, at: Timestamp) -> Result<Self, DbError> {
        let minute = Minute::holding(at);
        let records = store::touching(tx, at, at).await?;
        let holds = |record: &store::MaintenanceRecord| record.start <= at && at < record.end;
        let windows = records.into_iter().filter(holds).map(|record| Window {
            start: record.start,
            end: record.end,
            slos: record.slos,
            tenants: record.tenants,
        });
        let silences = store::silences_at(tx, at).await?;
        Ok(Self {
            windows: windows.collect(),
            silences: silences.into_iter().map(|silence| silence.matchers).collect(),
            at: minute,
        })
    }

    /// Whether an alert with these labels pages nobody. Of a maintenance the labels
    /// `subject` and `tenant` count.
    pub fn hushes(&self, labels: &Labels) -> bool {
        let label = |name: &str| labels.get(name).map(String::as_str).unwrap_or_default();
        let slo = label("subject").strip_prefix("slos/").unwrap_or_default();
        let silenced = |matchers: &Vec<store::Matcher>| {
            matchers.iter().all(|it| (label(&it.label) == it.value) != it.negative)
        };
        self.windows.iter().any(|window| window.covers(slo, label("tenant"), self.at))
            || self.silences.iter().any(silenced)
    }
}
