//! Load for a development region: a past that looks like one, and a present in which
//! something happens. What happens is made up by `streamspace_core::load`.
//!
//! - [`history`] stores past days as facts, so that there is a month to show at once.
//! - [`live`] creates, hibernates, wakes and ends sessions in the cluster, as the users of
//!   tenants would.
//!
//! Nothing here runs in a region that is none of development.

use std::{io::Write as _, sync::Arc};

use clap::Args;
use streamspace_core::{
    ids::TenantUid,
    load::{Rhythm, TenantLoad},
    plan::Plan,
    tenant::TenantState,
};
use tokio_util::sync::CancellationToken;

use crate::{
    db::{Database, Scope},
    kube::Cluster,
    tenants,
};

pub mod history;
pub mod live;
mod play;

/// The most users of a tenant that come; a tenant of more seats has idle ones.
const USERS_MAXIMUM: i32 = 500;
/// What the local clocks of the tenants show at midnight of UTC, in turns.
const ZONES: [i64; 4] = [3600, -18_000, 19_800, 0];

/// Which load is made in a development region.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct LoadOptions {
    /// Store so many past days of made-up usage, before the first five minutes of metering
    /// are closed; not again after that.
    #[arg(long, value_name = "DAYS", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=366))]
    pub load_days: u16,
    /// Let the users of the tenants work: sessions are created, hibernate, wake and end.
    #[arg(long)]
    pub load: bool,
    /// What the made-up users do follows from this number.
    #[arg(long, value_name = "NUMBER", default_value_t = 7)]
    pub load_seed: u64,
    /// How many times as fast as others the users of --load live.
    #[arg(long, value_name = "TIMES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub load_speed: u32,
    /// The most sessions of --load at once.
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    pub load_sessions: u16,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { load_days: 0, load: false, load_seed: 7, load_speed: 60, load_sessions: 200 }
    }
}

/// A tenant whose users make load.
#[derive(Clone, Debug)]
pub struct LoadTenant {
    /// Its identity.
    pub uid: TenantUid,
    /// Where its sessions are.
    pub namespace: String,
    /// How many users it has.
    pub users: u32,
    /// What its users may.
    pub plan: Arc<Plan>,
}

/// The tenants of the region that sessions may run in, each with a user a seat.
pub async fn tenants(db: &Database) -> anyhow::Result<Vec<LoadTenant>> {
    let mut tx = db.begin(&Scope::Region).await?;
    let all = tenants::list(&mut tx, false).await?;
    let runs = |state| matches!(state, TenantState::Provisioning | TenantState::Active);
    Ok(all
        .into_iter()
        .filter(|tenant| runs(tenant.state))
        .map(|tenant| LoadTenant {
            uid: tenant.uid,
            namespace: tenant.namespace,
            users: tenant.spec.seats.clamp(0, USERS_MAXIMUM).unsigned_abs(),
            plan: tenant.plan,
        })
        .collect())
}

/// What the users of these tenants do, each tenant by the clock of its zone.
fn populations(tenants: &[LoadTenant]) -> Vec<TenantLoad> {
    let zones = ZONES.into_iter().cycle();
    let tenants = tenants.iter().zip(zones);
    tenants
        .map(|(tenant, zone)| {
            TenantLoad::of_plan(tenant.uid, tenant.users, &tenant.plan, Rhythm::office(zone))
        })
        .collect()
}

/// Makes the load that is asked for: first the past, then the present until `stop`.
pub async fn run(
    options: &LoadOptions,
    db: &Database,
    cluster: &Cluster,
    catalogue: &str,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    if options.load_days == 0 && !options.load {
        return Ok(());
    }
    let tenants = tenants(db).await?;
    if options.load_days > 0 {
        let days = options.load_days;
        let stored = history::history(db, &tenants, days, options.load_seed).await?;
        say(&match stored {
            Some(stored) => format!(
                "load: {} facts of {days} days are stored; their usage shows as it is counted",
                stored.facts
            ),
            None => "load: no past is stored, for usage is counted here already; --fresh begins \
                     anew"
                .to_owned(),
        })?;
    }
    if options.load {
        let pace = live::Pace {
            seed: options.load_seed,
            speed: options.load_speed,
            sessions: usize::from(options.load_sessions),
        };
        live::live(cluster.client().clone(), &tenants, pace, catalogue, stop).await?;
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
