//! What is shown of a plan.

use jiff::Timestamp;
use streamspace_proto::v1::Plan;

use crate::{
    output::{Cell, Column},
    quantity::{bytes, decimal, dollars, quota},
    resource::{Noun, short},
    time::local,
};

impl Noun for Plan {
    const PLURAL: &'static str = "plans";
    const PREFIX: &'static str = "plans/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |plan: &Self, _| short(Self::PREFIX, &plan.name).into()),
            Column::new("VERSION", |plan, _| plan.version.into()),
            Column::new("PRICE", |plan, _| price(plan).into()),
            Column::new("SESSIONS/USER", |plan, _| sessions(plan)),
            Column::new("MEMORY/USER", |plan, _| memory(plan).into()),
            Column::new("AVAILABILITY", |plan, _| availability(plan).into()),
            Column::wide("RECORDINGS", |plan, _| {
                format!("{}d", plan.recording_retention_days).into()
            }),
            Column::wide("QUOTA", |plan, _| {
                plan.quota.as_ref().map(quota).unwrap_or_default().into()
            }),
            Column::wide("OVERCOMMIT", |plan, _| overcommit(plan).into()),
            Column::wide("FEATURES", |plan, _| plan.features.join(", ").into()),
            Column::wide("SINCE", |plan, _| local(plan.create_time.as_ref()).into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        let days = self.recording_retention_days;
        vec![
            ("Name", short(Self::PREFIX, &self.name).into()),
            ("Display name", self.display_name.clone().into()),
            ("Version", self.version.into()),
            ("Since", local(self.create_time.as_ref()).into()),
            ("Price", price(self).into()),
            ("Sessions of a user", sessions(self)),
            ("Memory of a user", memory(self).into()),
            ("Recordings", format!("kept {days} days").into()),
            ("Availability", availability(self).into()),
            ("Tenant quota", self.quota.as_ref().map(quota).unwrap_or_default().into()),
            ("Overcommit", overcommit(self).into()),
            ("Features", self.features.join("\n").into()),
        ]
    }
}

fn sessions(plan: &Plan) -> Cell {
    plan.user_sessions.map_or_else(|| "unlimited".into(), Cell::from)
}

fn memory(plan: &Plan) -> String {
    plan.user_memory_bytes.map_or_else(|| "by contract".into(), bytes)
}

fn price(plan: &Plan) -> String {
    match plan.seat_price_micros {
        Some(micros) => format!("{} a seat", dollars(micros)),
        None => "by contract".into(),
    }
}

/// Millionths as a percentage: 999000 is 99.9 %.
fn availability(plan: &Plan) -> String {
    match plan.availability_ppm {
        0 => "none".into(),
        ppm => format!("{} %", decimal(ppm, 4)),
    }
}

/// Thousandths as a multiple; nothing from a daemon that does not tell.
fn overcommit(plan: &Plan) -> String {
    match plan.overcommit_permille {
        0 => String::new(),
        permille => format!("{} times the quota", decimal(permille, 3)),
    }
}
