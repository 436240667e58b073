//! `ssctl tenant neighbours`: whose sessions share a tenant's nodes.

use jiff::Timestamp;
use streamspace_proto::v1::{ListNeighboursRequest, Neighbour, Tenant};

use crate::{
    errors::{Doing as _, Outcome},
    output::{Cell, Column},
    quantity::{bytes, cpu},
    resource::{Noun, call, full_name, short},
    shell::Shell,
};

pub(super) async fn run(shell: &Shell, typed: &str) -> Outcome {
    let tenant = full_name::<Tenant>(typed);
    let neighbours = shell.read(async |connection| {
        let request = ListNeighboursRequest { tenant: tenant.clone() };
        let reply = call!(connection, usage.list_neighbours(request));
        Ok(reply.doing(|| format!("show the neighbours of {tenant}"))?.neighbours)
    });
    neighbours.await?.print_all(shell)
}

impl Noun for Neighbour {
    const PLURAL: &'static str = "nodes with sessions of it";
    const PREFIX: &'static str = "";

    fn resource_name(&self) -> &str {
        &self.tenant
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NODE", |one: &Neighbour, _| one.node.clone().into()),
            Column::new("TENANT", |one, _| short(Tenant::PREFIX, &one.tenant).into()),
            Column::new("SESSIONS", |one, _| one.sessions.into()),
            Column::new("CPU", |one, _| cpu(one.cpu_millicores).into()),
            Column::new("MEMORY", |one, _| bytes(one.memory_bytes).into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let columns = Self::columns();
        columns.iter().map(|column| (column.title, (column.cell)(self, now))).collect()
    }
}
