//! `ssctl tenant watch`.

use prost_types::Timestamp;
use streamspace_proto::v1::{ResourceKind, Tenant, resource::Resource as Kind};

use super::noun::{message, state_word};
use crate::{
    commands::stream::{Seen, Streamed, follow},
    errors::Outcome,
    output::Column,
    resource::{Noun as _, full_name, short},
    shell::Shell,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these tenants; all without
    names: Vec<String>,
}

impl Streamed for Tenant {
    const KIND: ResourceKind = ResourceKind::Tenant;
    const FIELD: &'static str = "tenant";
    const WIDTHS: &'static [usize] = &[26, 9, 20, 13, 13, 6, 12];

    fn of(resource: Kind) -> Option<Self> {
        match resource {
            Kind::Tenant(tenant) => Some(tenant),
            _ => None,
        }
    }

    fn shown_since(&self) -> Option<Timestamp> {
        self.update_time
    }

    fn lines() -> Vec<Column<Seen<Self>>> {
        vec![
            Column::new("TIME", |seen: &Seen<Self>, _| seen.time()),
            Column::new("CHANGE", |seen, _| seen.what.clone().into()),
            Column::new("NAME", |seen, _| short(Self::PREFIX, &seen.resource.name).into()),
            Column::new("STATE", |seen, _| state_word(&seen.resource).into()),
            Column::new("PLAN", |seen, _| short("plans/", &seen.resource.plan).into()),
            Column::new("SEATS", |seen, _| seen.resource.seats.into()),
            Column::new("ACTOR", |seen, _| seen.actor.clone().into()),
            Column::new("MESSAGE", |seen, _| message(&seen.resource).into()),
        ]
    }
}

/// Prints what is there, then what changes, until it is interrupted.
pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    let names = args.names.iter().map(|name| full_name::<Tenant>(name)).collect();
    follow(shell, names, |_: &Tenant| true).await
}
