//! Plans: what a customer buys, and the quota that comes with it.
//!
//! A plan is data with versions. The four that every region starts with stand in
//! [`seeded`]. All numbers are integers with their unit in the type.

use std::fmt;

use crate::ids::{IdError, PlanId};

pub use crate::quantity::{Bytes, Millicores};
pub use overcommit::{Overcommit, overcommit, promised_memory};
pub use validate::validate;

mod overcommit;
mod validate;

/// The declared overcommit of the seeded plans.
const OVERCOMMIT_PERMILLE: i32 = 4000;

/// An amount of money in millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroUsd(pub i64);

/// Shows dollars, with at least two digits and no more than are needed: `29.00 USD`.
impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let digits = format!("{:06}", micros % 1_000_000);
        let needed = digits.trim_end_matches('0');
        write!(f, "{sign}{}.{needed:0<2} USD", micros / 1_000_000)
    }
}

/// The most that a tenant may request in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// CPU.
    pub cpu: Millicores,
    /// Memory.
    pub memory: Bytes,
    /// Persistent storage.
    pub storage: Bytes,
    /// Pods.
    pub pods: i32,
}

/// One version of what a customer can buy. A version never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What people call it.
    pub id: PlanId,
    /// The version, from 1.
    pub version: i32,
    /// The place among the plans, cheapest first.
    pub rank: i32,
    /// A name for people.
    pub display_name: String,
    /// The price of a seat for a month; absent where a contract sets it.
    pub seat_price: Option<MicroUsd>,
    /// Sessions of one user at once; absent where they are unlimited.
    pub user_sessions: Option<i32>,
    /// Memory of one user's sessions together; absent where a contract sets it.
    pub user_memory: Option<Bytes>,
    /// How long recordings are kept, in days.
    pub recording_retention_days: i32,
    /// What the plan includes, each with those of the plan before.
    pub features: Vec<String>,
    /// The promised availability over 30 days, in millionths: 999,000 is 99.9 %.
    pub availability_ppm: i32,
    /// The default quota of a tenant.
    pub quota: Quota,
    /// How much memory may be promised to seats, in thousandths of the quota's: 4,000 is
    /// four times as much. Beyond it an operator must accept the overcommit.
    pub overcommit_permille: i32,
}

impl Plan {
    /// Whether the plan includes a feature.
    pub fn includes(&self, feature: &str) -> bool {
        self.features.iter().any(|included| included == feature)
    }
}

/// The row of a seeded plan, in the units of people: dollars, gibibytes, cores.
struct Row {
    id: &'static str,
    display_name: &'static str,
    seat_dollars: Option<i64>,
    user_sessions: Option<i32>,
    user_gibibytes: Option<i64>,
    retention_days: i32,
    /// Beside those of the row before.
    features: &'static [&'static str],
    availability_ppm: i32,
    cores: i64,
    memory_gibibytes: i64,
    storage_gibibytes: i64,
    pods: i32,
}

const ROWS: [Row; 4] = [
    Row {
        id: "free",
        display_name: "Free",
        seat_dollars: Some(0),
        user_sessions: Some(1),
        user_gibibytes: Some(2),
        retention_days: 7,
        features: &["core"],
        availability_ppm: 990_000,
        cores: 4,
        memory_gibibytes: 8,
        storage_gibibytes: 50,
        pods: 20,
    },
    Row {
        id: "professional",
        display_name: "Professional",
        seat_dollars: Some(29),
        user_sessions: Some(5),
        user_gibibytes: Some(16),
        retention_days: 30,
        features: &["analytics", "recording", "collaboration"],
        availability_ppm: 995_000,
        cores: 40,
        memory_gibibytes: 80,
        storage_gibibytes: 400,
        pods: 200,
    },
    Row {
        id: "business",
        display_name: "Business",
        seat_dollars: Some(99),
        user_sessions: Some(20),
        user_gibibytes: Some(64),
        retention_days: 90,
        features: &["sso", "dlp", "compliance", "branding"],
        availability_ppm: 999_000,
        cores: 100,
        memory_gibibytes: 200,
        storage_gibibytes: 1024,
        pods: 500,
    },
    Row {
        id: "enterprise",
        display_name: "Enterprise",
        seat_dollars: None,
        user_sessions: None,
        user_gibibytes: None,
        retention_days: 365,
        features: &[
            "multi-region",
            "dedicated-clusters",
            "advanced-audit",
            "api-rate-limit",
            "hybrid",
        ],
        availability_ppm: 999_900,
        cores: 400,
        memory_gibibytes: 1024,
        storage_gibibytes: 10240,
        pods: 2000,
    },
];

/// The plans that every region starts with, cheapest first.
///
/// Fails only where an id in the table is no DNS label; a test holds that none is.
pub fn seeded() -> Result<Vec<Plan>, IdError> {
    let mut features: Vec<String> = Vec::new();
    (1..)
        .zip(&ROWS)
        .map(|(rank, row)| {
            features.extend(row.features.iter().map(ToString::to_string));
            Ok(Plan {
                id: PlanId::parse(row.id)?,
                version: 1,
                rank,
                display_name: row.display_name.to_owned(),
                seat_price: row.seat_dollars.map(|dollars| MicroUsd(dollars * 1_000_000)),
                user_sessions: row.user_sessions,
                user_memory: row.user_gibibytes.map(gibibytes),
                recording_retention_days: row.retention_days,
                features: features.clone(),
                availability_ppm: row.availability_ppm,
                quota: Quota {
                    cpu: Millicores(row.cores * 1000),
                    memory: gibibytes(row.memory_gibibytes),
                    storage: gibibytes(row.storage_gibibytes),
                    pods: row.pods,
                },
                overcommit_permille: OVERCOMMIT_PERMILLE,
            })
        })
        .collect()
}

const fn gibibytes(count: i64) -> Bytes {
    Bytes(count << 30)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_seeded_plans_read_as_they_are_sold() {
        let lines: Vec<String> = seeded()
            .unwrap()
            .iter()
            .map(|plan| {
                let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
                format!(
                    "{} v{} #{} {} sessions {} memory {} days {} ppm {} quota {} {} {} {} overcommit {} features {}",
                    plan.id,
                    plan.version,
                    plan.rank,
                    shown(plan.seat_price.map(|price| price.to_string())),
                    shown(plan.user_sessions.map(|sessions| sessions.to_string())),
                    shown(plan.user_memory.map(|memory| memory.to_string())),
                    plan.recording_retention_days,
                    plan.availability_ppm,
                    plan.quota.cpu,
                    plan.quota.memory,
                    plan.quota.storage,
                    plan.quota.pods,
                    plan.overcommit_permille,
                    plan.features.len(),
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                "free v1 #1 0.00 USD sessions 1 memory 2Gi days 7 ppm 990000 quota 4 8Gi 50Gi 20 overcommit 4000 features 1",
                "professional v1 #2 29.00 USD sessions 5 memory 16Gi days 30 ppm 995000 quota 40 80Gi 400Gi 200 overcommit 4000 features 4",
                "business v1 #3 99.00 USD sessions 20 memory 64Gi days 90 ppm 999000 quota 100 200Gi 1Ti 500 overcommit 4000 features 8",
                "enterprise v1 #4 - sessions - memory - days 365 ppm 999900 quota 400 1Ti 10Ti 2000 overcommit 4000 features 13",
            ]
        );
    }

    #[test]
    fn each_plan_includes_the_one_before() {
        let plans = seeded().unwrap();
        for pair in plans.windows(2) {
            let [smaller, larger] = pair else { panic!("windows of two") };
            assert!(smaller.features.iter().all(|feature| larger.includes(feature)));
            assert!(smaller.quota.memory < larger.quota.memory);
        }
        assert!(plans[2].includes("sso") && !plans[1].includes("sso"));
    }

    #[test]
    fn money_reads_as_people_write_it() {
        let money = [
            (0, "0.00 USD"),
            (29_000_000, "29.00 USD"),
            (1, "0.000001 USD"),
            (1_500_000, "1.50 USD"),
            (-250_000, "-0.25 USD"),
            (i64::MIN, "-9223372036854.775808 USD"),
        ];
        for (micros, shown) in money {
            assert_eq!(MicroUsd(micros).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn no_micro_dollar_is_lost(value in any::<i64>()) {
            let shown = MicroUsd(value).to_string();
            let (whole, part) = shown.strip_suffix(" USD").unwrap().split_once('.').unwrap();
            let read: i128 = format!("{whole}{part:0<6}").parse().unwrap();
            prop_assert_eq!(read, i128::from(value));
        }
    }
}
