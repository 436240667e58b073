//! The fields of a plan as flags, for `create` and `set` alike.

use streamspace_proto::v1::{Plan, TenantQuota};

use crate::quantity::{parse_bytes, parse_cpu, parse_multiple, parse_percent, parse_price};

/// A value, or that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit<T> {
    /// This much.
    Of(T),
    /// None: unlimited, or by contract.
    Open,
}

impl<T> Limit<T> {
    fn into_option(self) -> Option<T> {
        match self {
            Self::Of(value) => Some(value),
            Self::Open => None,
        }
    }
}

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Plan")]
pub(super) struct PlanFlags {
    /// A name for people
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// The price of a seat for a month in US dollars, or 'contract'
    #[arg(long, value_name = "DOLLARS", value_parser = parse_seat_price)]
    seat_price: Option<Limit<i64>>,
    /// Sessions of one user at once, or 'unlimited'
    #[arg(long, value_name = "NUMBER", value_parser = parse_user_sessions)]
    user_sessions: Option<Limit<i32>>,
    /// Memory of one user's sessions together, for example 8Gi, or 'contract'
    #[arg(long, value_name = "BYTES", value_parser = parse_user_memory)]
    user_memory: Option<Limit<i64>>,
    /// How many days recordings and an archived tenant's data are kept
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<i32>,
    /// What the plan includes, separated by commas; in place of what it included before
    #[arg(long, value_name = "FEATURE,…", value_delimiter = ',')]
    features: Option<Vec<String>>,
    /// The promised availability over 30 days in percent, for example 99.9
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    availability: Option<i32>,
    /// CPU of a tenant, for example 100 or 500m
    #[arg(long, value_name = "CORES", value_parser = parse_cpu)]
    cpu: Option<i64>,
    /// Memory of a tenant, for example 200Gi
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    memory: Option<i64>,
    /// Persistent storage of a tenant, for example 2Ti
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    storage: Option<i64>,
    /// Pods of a tenant
    #[arg(long, value_name = "NUMBER")]
    pods: Option<i32>,
    /// How many times the quota may be promised to seats, for example 4.0
    #[arg(long, value_name = "MULTIPLE", value_parser = parse_multiple)]
    overcommit: Option<i32>,
    /// The place among the plans, the cheapest first
    #[arg(long, value_name = "NUMBER")]
    rank: Option<i32>,
}

impl PlanFlags {
    /// Puts what was given into a plan, and returns the names of those fields.
    pub(super) fn put(&self, plan: &mut Plan) -> Vec<&'static str> {
        let mut fields = Vec::new();
        if let Some(name) = &self.display_name {
            plan.display_name.clone_from(name);
            fields.push("display_name");
        }
        if let Some(price) = self.seat_price {
            plan.seat_price_micros = price.into_option();
            fields.push("seat_price_micros");
        }
        if let Some(sessions) = self.user_sessions {
            plan.user_sessions = sessions.into_option();
            fields.push("user_sessions");
        }
        if let Some(memory) = self.user_memory {
            plan.user_memory_bytes = memory.into_option();
            fields.push("user_memory_bytes");
        }
        if let Some(days) = self.retention_days {
            plan.recording_retention_days = days;
            fields.push("recording_retention_days");
        }
        if let Some(features) = &self.features {
            let given = features.iter().filter(|feature| !feature.is_empty());
            plan.features = given.cloned().collect();
            fields.push("features");
        }
        if let Some(availability) = self.availability {
            plan.availability_ppm = availability;
            fields.push("availability_ppm");
        }
        fields.extend(self.put_quota(plan));
        if let Some(overcommit) = self.overcommit {
            plan.overcommit_permille = overcommit;
            fields.push("overcommit_permille");
        }
        if let Some(rank) = self.rank {
            plan.rank = rank;
            fields.push("rank");
        }
        fields
    }

    fn put_quota(&self, plan: &mut Plan) -> Vec<&'static str> {
        let mut fields = Vec::new();
        let mut quota = plan.quota.unwrap_or_default();
        let TenantQuota { cpu_millicores, memory_bytes, storage_bytes, pods } = &mut quota;
        for (given, amount, field) in [
            (self.cpu, cpu_millicores, "quota.cpu_millicores"),
            (self.memory, memory_bytes, "quota.memory_bytes"),
            (self.storage, storage_bytes, "quota.storage_bytes"),
        ] {
            if let Some(given) = given {
                *amount = given;
                fields.push(field);
            }
        }
        if let Some(given) = self.pods {
            *pods = given;
            fields.push("quota.pods");
        }
        if !fields.is_empty() {
            plan.quota = Some(quota);
        }
        fields
    }
}

fn parse_seat_price(text: &str) -> Result<Limit<i64>, String> {
    if text == "contract" { Ok(Limit::Open) } else { parse_price(text).map(Limit::Of) }
}

fn parse_user_memory(text: &str) -> Result<Limit<i64>, String> {
    if text == "contract" { Ok(Limit::Open) } else { parse_bytes(text).map(Limit::Of) }
}

fn parse_user_sessions(text: &str) -> Result<Limit<i32>, String> {
    if text == "unlimited" {
        return Ok(Limit::Open);
    }
    let wrong = |_| format!("{text:?} is no number of sessions: write 5 or unlimited");
    text.parse().map(Limit::Of).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_is_named() {
        let mut plan = Plan::default();
        assert!(PlanFlags::default().put(&mut plan).is_empty());
        assert_eq!(plan, Plan::default());
        let flags = PlanFlags {
            seat_price: Some(Limit::Open),
            memory: Some(1 << 30),
            pods: Some(7),
            features: Some(vec![String::new()]),
            ..PlanFlags::default()
        };
        let fields = flags.put(&mut plan);
        assert_eq!(fields, ["seat_price_micros", "features", "quota.memory_bytes", "quota.pods"]);
        assert_eq!(plan.quota.unwrap().memory_bytes, 1 << 30);
        assert!(plan.features.is_empty());
    }

    #[test]
    fn a_limit_can_be_open() {
        assert_eq!(parse_user_sessions("unlimited"), Ok(Limit::Open));
        assert_eq!(parse_user_sessions("5"), Ok(Limit::Of(5)));
        assert!(parse_user_sessions("many").is_err());
        assert_eq!(parse_seat_price("contract"), Ok(Limit::Open));
        assert_eq!(parse_seat_price("29"), Ok(Limit::Of(29_000_000)));
        assert_eq!(parse_user_memory("8Gi"), Ok(Limit::Of(8 << 30)));
    }
}
