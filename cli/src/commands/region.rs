//! `ssctl region`.

use clap::Subcommand;
use jiff::Timestamp;
use streamspace_proto::v1::{GetRegionRequest, Health, ListRegionsRequest, Region};

use crate::{
    errors::{Doing as _, Outcome},
    output::{Cell, Column, Tone, print_all, print_one},
    resource::{Noun, full_name, pages, short, word},
    shell::Shell,
    time::age,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the regions that the daemon serves
    List,
    /// Show a region: the health of its parts, and who leads it
    #[command(visible_aliases = ["get", "describe"])]
    Show {
        /// The region; the one that answers where it is not given
        name: Option<String>,
    },
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    let connection = shell.connect()?;
    match command {
        Command::List => {
            let regions = pages(&connection, None, async |connection, page_size, page_token| {
                let request = ListRegionsRequest { page_size, page_token };
                let reply = connection
                    .call(|| {
                        let (mut client, request) = (connection.regions(), request.clone());
                        async move { client.list_regions(request).await }
                    })
                    .await?;
                Ok((reply.regions, reply.next_page_token))
            });
            print_all(shell, &regions.await?)
        }
        Command::Show { name } => {
            let name = full_name::<Region>(name.as_deref().unwrap_or("-"));
            let region = connection
                .call(|| {
                    let (mut client, name) = (connection.regions(), name.clone());
                    async move { client.get_region(GetRegionRequest { name }).await }
                })
                .await
                .doing(|| format!("show {name}"))?;
            print_one(shell, &region)
        }
    }
}

impl Noun for Region {
    const PLURAL: &'static str = "regions";
    const PREFIX: &'static str = "regions/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |region: &Self, _| short(Self::PREFIX, &region.name).into()),
            Column::new("HEALTH", |region, _| health(region.health())),
            Column::new("WRONG", |region, _| wrong(region).into()),
            Column::new("LEADER", |region, _| leader(region).into()),
            Column::new("UP", |region, now| age(region.start_time.as_ref(), now).into()),
            Column::wide("VERSION", |region, _| region.daemon_version.clone().into()),
            Column::wide("REVISION", |region, _| region.revision.into()),
            Column::wide("CLUSTER", |region, _| region.cluster_endpoint.clone().into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let mut pairs = vec![
            ("Name", short(Self::PREFIX, &self.name).into()),
            ("Health", health(self.health())),
            ("Leader", leader(self).into()),
            ("Answered by", self.replica.clone().into()),
            ("Version", self.daemon_version.clone().into()),
            ("Up for", age(self.start_time.as_ref(), now).into()),
            ("Revision", self.revision.into()),
            ("Cluster", self.cluster_endpoint.clone().into()),
        ];
        for (at, component) in self.components.iter().enumerate() {
            let title = if at == 0 { "Parts" } else { "" };
            let state = health(component.health());
            let since = age(component.last_transition_time.as_ref(), now);
            let text =
                format!("{}: {} for {since}: {}", component.name, state.text, component.message);
            pairs.push((title, Cell::toned(text, state.tone)));
        }
        pairs
    }
}

fn health(health: Health) -> Cell {
    let tone = match health {
        Health::Ok => Tone::Good,
        Health::Degraded | Health::Unspecified => Tone::Doubtful,
        Health::Unavailable => Tone::Bad,
    };
    let text = match health {
        Health::Unspecified => "unknown".into(),
        known => word("HEALTH_", known.as_str_name()),
    };
    Cell::toned(text, tone)
}

fn wrong(region: &Region) -> String {
    let parts = region.components.iter().filter(|part| part.health() != Health::Ok);
    parts.map(|part| part.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn leader(region: &Region) -> String {
    match &region.leader {
        Some(leader) => format!("{} (term {})", leader.replica, leader.leader_term),
        None => "none".into(),
    }
}
