//! `ssctl plan`.

use clap::Subcommand;
use jiff::Timestamp;
use streamspace_proto::v1::{GetPlanRequest, ListPlansRequest, Plan, TenantQuota};

use crate::{
    errors::{Doing as _, Outcome},
    output::{Cell, Column, print_all, print_one},
    resource::{Noun, full_name, pages, short},
    shell::Shell,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the plans, cheapest first
    List,
    /// Show a plan
    #[command(visible_aliases = ["get", "describe"])]
    Show {
        /// The plan
        name: String,
    },
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    let connection = shell.connect()?;
    match command {
        Command::List => {
            let plans = pages(&connection, None, async |connection, page_size, page_token| {
                let request = ListPlansRequest { page_size, page_token };
                let reply = connection
                    .call(|| {
                        let (mut client, request) = (connection.plans(), request.clone());
                        async move { client.list_plans(request).await }
                    })
                    .await?;
                Ok((reply.plans, reply.next_page_token))
            });
            print_all(shell, &plans.await?)
        }
        Command::Show { name } => {
            let name = full_name::<Plan>(&name);
            let plan = connection
                .call(|| {
                    let (mut client, name) = (connection.plans(), name.clone());
                    async move { client.get_plan(GetPlanRequest { name }).await }
                })
                .await
                .doing(|| format!("show {name}"))?;
            print_one(shell, &plan)
        }
    }
}

impl Noun for Plan {
    const PLURAL: &'static str = "plans";
    const PREFIX: &'static str = "plans/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |plan: &Self, _| short(Self::PREFIX, &plan.name).into()),
            Column::new("PRICE", |plan, _| price(plan).into()),
            Column::new("SESSIONS/USER", |plan, _| {
                plan.user_sessions.map_or_else(|| "unlimited".into(), Cell::from)
            }),
            Column::new("MEMORY/USER", |plan, _| {
                plan.user_memory_bytes.map_or_else(|| "by contract".into(), bytes).into()
            }),
            Column::new("AVAILABILITY", |plan, _| availability(plan).into()),
            Column::wide("RECORDINGS", |plan, _| {
                format!("{}d", plan.recording_retention_days).into()
            }),
            Column::wide("QUOTA", |plan, _| {
                plan.quota.as_ref().map(quota).unwrap_or_default().into()
            }),
            Column::wide("FEATURES", |plan, _| plan.features.join(", ").into()),
            Column::wide("VERSION", |plan, _| plan.version.into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        let days = self.recording_retention_days;
        vec![
            ("Name", short(Self::PREFIX, &self.name).into()),
            ("Display name", self.display_name.clone().into()),
            ("Version", self.version.into()),
            ("Price", price(self).into()),
            (
                "Sessions of a user",
                self.user_sessions.map_or_else(|| "unlimited".into(), Cell::from),
            ),
            (
                "Memory of a user",
                self.user_memory_bytes.map_or_else(|| "by contract".into(), bytes).into(),
            ),
            ("Recordings", format!("kept {days} days").into()),
            ("Availability", availability(self).into()),
            ("Tenant quota", self.quota.as_ref().map(quota).unwrap_or_default().into()),
            ("Features", self.features.join("\n").into()),
        ]
    }
}

/// Micros of a dollar as dollars: exact, with at least two digits.
fn price(plan: &Plan) -> String {
    let Some(micros) = plan.seat_price_micros else { return "by contract".into() };
    let (dollars, rest) = (micros / 1_000_000, (micros % 1_000_000).abs());
    let digits = format!("{rest:06}");
    let kept = digits.trim_end_matches('0').len().max(2);
    format!("${dollars}.{} a seat", digits.get(..kept).unwrap_or(&digits))
}

/// Millionths as a percentage: 999000 is 99.9 %.
fn availability(plan: &Plan) -> String {
    if plan.availability_ppm == 0 {
        return "none".into();
    }
    let (whole, rest) = (plan.availability_ppm / 10_000, plan.availability_ppm % 10_000);
    let text = format!("{whole}.{rest:04}");
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn bytes(count: i64) -> String {
    for (unit, size) in [("Ti", 1_i64 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if count >= size && count % size == 0 {
            return format!("{} {unit}B", count / size);
        }
    }
    format!("{count} B")
}

fn quota(quota: &TenantQuota) -> String {
    let cpu = match quota.cpu_millicores {
        whole if whole % 1000 == 0 => format!("{}", whole / 1000),
        part => format!("{part}m"),
    };
    format!(
        "{cpu} CPU, {} memory, {} storage, {} pods",
        bytes(quota.memory_bytes),
        bytes(quota.storage_bytes),
        quota.pods
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_exactly() {
        let plan = |micros, ppm| Plan {
            seat_price_micros: micros,
            availability_ppm: ppm,
            ..Plan::default()
        };
        assert_eq!(price(&plan(Some(25_000_000), 0)), "$25.00 a seat");
        assert_eq!(price(&plan(Some(12_345_000), 0)), "$12.345 a seat");
        assert_eq!(price(&plan(None, 0)), "by contract");
        assert_eq!(availability(&plan(None, 999_000)), "99.9 %");
        assert_eq!(availability(&plan(None, 999_950)), "99.995 %");
        assert_eq!(availability(&plan(None, 1_000_000)), "100 %");
        assert_eq!(bytes(8 << 30), "8 GiB");
        assert_eq!(bytes(1536 << 20), "1536 MiB");
        assert_eq!(bytes(5), "5 B");
    }
}
