//! `ssctl tenant`.

use clap::Subcommand;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::v1::{
    GetTenantRequest, ListTenantObjectsRequest, ListTenantsRequest, Tenant, TenantView,
};

use crate::{
    errors::{Doing as _, Outcome},
    resource::{ListArgs, call, full_name, list},
    shell::Shell,
};

mod action;
mod check;
mod create;
mod delete;
mod find;
mod flags;
mod neighbours;
mod noun;
mod objects;
mod set;
mod wait;
mod watch;

use action::Verb;
pub(crate) use action::no_etag;
pub(crate) use create::call as create_call;
pub(crate) use flags::parse_label;
pub(crate) use noun::{override_words, pause_words};
pub(crate) use set::{call as update_call, mask};
pub(crate) use wait::until_settled;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List tenants
    List(ListCommand),
    /// Show a tenant: its wish, and what was observed in the cluster
    #[command(visible_aliases = ["get", "describe"])]
    Show {
        /// The tenant
        name: String,
        /// Show its objects in the cluster instead, and whether each is as wished
        #[arg(long)]
        objects: bool,
    },
    /// Find tenants in all regions that this machine is logged in to
    Find(find::Args),
    /// Create a tenant
    Create(create::Args),
    /// Change a tenant: only what the flags name
    Set(set::Args),
    /// Delete an archived tenant and all that it has in the cluster
    Delete(delete::Args),
    /// Let nothing new start in a tenant; what runs goes on
    Cordon(action::Timed),
    /// End a tenant's cordon
    Uncordon(action::Plain),
    /// Hibernate every session of a tenant, and let nothing start
    Suspend(action::Plain),
    /// End a suspension: the tenant is again what it was
    Resume(action::Plain),
    /// Keep only a tenant's data, for as long as its plan retains it
    Archive(action::Plain),
    /// Bring an archived tenant back
    Restore(action::Plain),
    /// Stop the daemon's writes to the cluster for a tenant, so that a hand can mend something
    Pause(action::Timed),
    /// End a tenant's pause before its time
    Unpause(action::Plain),
    /// Prove a tenant's isolation, rule by rule; ends with 11 where one does not hold
    Check {
        /// The tenant
        name: String,
    },
    /// Show whose sessions share nodes with a tenant's, and what they take there
    Neighbours {
        /// The tenant
        name: String,
    },
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
        Command::List(args) => all(shell, args).await,
        Command::Show { name, objects } => {
            let name = full_name::<Tenant>(&name);
            if objects {
                let objects = shell.read(async |connection| {
                    let request = ListTenantObjectsRequest { name: name.clone() };
                    let reply = call!(connection, tenants.list_tenant_objects(request));
                    Ok(reply.doing(|| format!("show the objects of {name}"))?.objects)
                });
                return objects.await?.print_all(shell);
            }
            let tenant = shell.read(async |connection| {
                get(connection, &name).await.doing(|| format!("show {name}"))
            });
            tenant.await?.print_one(shell)
        }
        Command::Find(args) => find::run(shell, &args).await,
        Command::Create(args) => create::run(shell, args).await,
        Command::Set(args) => set::run(shell, args).await,
        Command::Delete(args) => delete::run(shell, args).await,
        Command::Cordon(args) => action::timed(shell, Verb::Cordon, &args).await,
        Command::Uncordon(args) => action::plain(shell, Verb::Uncordon, &args).await,
        Command::Suspend(args) => action::plain(shell, Verb::Suspend, &args).await,
        Command::Resume(args) => action::plain(shell, Verb::Resume, &args).await,
        Command::Archive(args) => action::plain(shell, Verb::Archive, &args).await,
        Command::Restore(args) => action::plain(shell, Verb::Restore, &args).await,
        Command::Pause(args) => action::timed(shell, Verb::Pause, &args).await,
        Command::Unpause(args) => action::plain(shell, Verb::Unpause, &args).await,
        Command::Check { name } => check::run(shell, &name).await,
        Command::Neighbours { name } => neighbours::run(shell, &name).await,
        Command::Watch(args) => watch::run(shell, args).await,
    }
}

async fn all(shell: &Shell, args: ListCommand) -> Outcome {
    let filter = filter(&args.list.filter, &args.labels);
    let (limit, view) = (args.list.limit, view(shell));
    let tenants = shell.read(async |connection| {
        list!(connection, limit, tenants.list_tenants, ListTenantsRequest {
            filter: filter.clone(),
            order_by: args.sort.clone(),
            show_deleted: args.deleted,
            view: view
        } => tenants)
    });
    tenants.await?.print_all(shell)
}

/// How much of each tenant the output shows.
fn view(shell: &Shell) -> i32 {
    let view = if shell.format().is_data() { TenantView::Full } else { TenantView::Basic };
    view.into()
}

/// The expression of `--filter` and each `-l` as one.
pub(crate) fn filter(expression: &str, labels: &[(String, String)]) -> String {
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
    let request = GetTenantRequest { name: name.to_owned() };
    call!(connection, tenants.get_tenant(request))
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
