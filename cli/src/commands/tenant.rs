//! `ssctl tenant`.

use clap::Subcommand;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::v1::{GetTenantRequest, ListTenantsRequest, Tenant};

use crate::{
    errors::{Doing as _, Outcome},
    output::{print_all, print_one},
    resource::{ListArgs, full_name, pages},
    shell::Shell,
};

mod create;
mod delete;
mod flags;
mod noun;
mod set;
mod wait;
mod watch;

pub(crate) use create::call as create_call;
pub(crate) use set::{call as update_call, mask};
pub(crate) use wait::until_active;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List tenants
    List(ListCommand),
    /// Show a tenant: its wish, and what was observed in the cluster
    #[command(visible_aliases = ["get", "describe"])]
    Show {
        /// The tenant
        name: String,
    },
    /// Create a tenant
    Create(create::Args),
    /// Change a tenant: only what the flags name
    Set(set::Args),
    /// Delete a tenant and all that it has in the cluster
    Delete(delete::Args),
    /// Print tenants as they change, until Ctrl-C
    Watch(watch::Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListCommand {
    #[command(flatten)]
    list: ListArgs,
    /// Only those with the label; repeat it
    #[arg(short = 'l', long = "label", value_name = "KEY=VALUE", value_parser = flags::parse_label)]
    labels: Vec<(String, String)>,
    /// The order: fields separated by commas, each with an optional ' desc'
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FIELDS")]
    sort: String,
    /// Show deleted tenants as well
    #[arg(long)]
    deleted: bool,
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List(args) => list(shell, args).await,
        Command::Show { name } => {
            let name = full_name::<Tenant>(&name);
            let tenant = get(&shell.connect()?, &name).await.doing(|| format!("show {name}"))?;
            print_one(shell, &tenant)
        }
        Command::Create(args) => create::run(shell, args).await,
        Command::Set(args) => set::run(shell, args).await,
        Command::Delete(args) => delete::run(shell, args).await,
        Command::Watch(args) => watch::run(shell, args).await,
    }
}

async fn list(shell: &Shell, args: ListCommand) -> Outcome {
    let connection = shell.connect()?;
    let filter = filter(&args.list.filter, &args.labels);
    let limit = args.list.limit;
    let tenants = pages(&connection, limit, async |connection, page_size, page_token| {
        let request = ListTenantsRequest {
            page_size,
            page_token,
            filter: filter.clone(),
            order_by: args.sort.clone(),
            show_deleted: args.deleted,
        };
        let reply = connection
            .call(|| {
                let (mut client, request) = (connection.tenants(), request.clone());
                async move { client.list_tenants(request).await }
            })
            .await?;
        Ok((reply.tenants, reply.next_page_token))
    });
    print_all(shell, &tenants.await?)
}

/// The expression of `--filter` and each `-l` as one.
fn filter(expression: &str, labels: &[(String, String)]) -> String {
    // In a filter a star stands for anything; in a label it is a star.
    let quoted = |value: &str| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('*', "\\*");
        format!("\"{value}\"")
    };
    let mut terms: Vec<_> =
        labels.iter().map(|(key, value)| format!("labels.{key} = {}", quoted(value))).collect();
    match (expression.is_empty(), terms.is_empty()) {
        (true, _) => {}
        (false, true) => terms.push(expression.to_owned()),
        (false, false) => terms.push(format!("({expression})")),
    }
    terms.join(" AND ")
}

/// One tenant by its full name.
pub(crate) async fn get(connection: &Connection, name: &str) -> Result<Tenant, ClientError> {
    connection
        .call(|| {
            let (mut client, name) = (connection.tenants(), name.to_owned());
            async move { client.get_tenant(GetTenantRequest { name }).await }
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_join_the_filter() {
        let labels = [("tier".to_owned(), "go\"l*d".to_owned())];
        assert_eq!(filter("", &[]), "");
        assert_eq!(filter("seats > 1", &[]), "seats > 1");
        assert_eq!(
            filter("a = 1 OR b = 2", &labels),
            "labels.tier = \"go\\\"l\\*d\" AND (a = 1 OR b = 2)"
        );
    }
}
