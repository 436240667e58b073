//! `ssctl tenant set`.

use std::collections::BTreeSet;

use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{Tenant, UpdateTenantRequest, change_tenants_request::Change},
};

use super::{
    action::no_etag,
    flags::{TenantFlags, plan_name},
    get, until_settled,
};
use crate::{
    bulk::{self, Bulk, Chosen, Selection},
    change::{ChangeArgs, MatchArgs, request_id, show, tell_consequences},
    errors::{Doing as _, Failure, Outcome},
    output::print_one,
    resource::call,
    shell::Shell,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tenant; several become one operation, which the daemon carries on by itself
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The plan that the customer buys
    #[arg(long)]
    plan: Option<String>,
    /// How many users the customer pays for
    #[arg(long)]
    seats: Option<i32>,
    /// A label to take away; repeat it
    #[arg(long = "remove-label", value_name = "KEY")]
    removed_labels: Vec<String>,
    /// Accept that the seats are promised more than the plan's multiple of the quota
    #[arg(long)]
    accept_overcommit: bool,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    guard: MatchArgs,
    /// Wait until the cluster has the change; of several, until the operation is done
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    flags: TenantFlags,
    #[command(flatten)]
    selection: Selection,
}

pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    match args.selection.chosen(&args.names)? {
        Chosen::One(name) => one(shell, &args, name).await,
        Chosen::Many(many) => {
            no_etag(&args.guard)?;
            let request = of_each(&args);
            if request.update_mask.as_ref().is_none_or(|mask| mask.paths.is_empty()) {
                return Err(nothing_named());
            }
            let bulk = Bulk {
                verb: "change",
                loss: "",
                change: Change::Update(request),
                many,
                args: &args.change,
                confirm: args.selection.confirmed(),
                wait: args.wait,
            };
            bulk::run(shell, bulk).await
        }
    }
}

fn nothing_named() -> Failure {
    Failure::Usage {
        message: "nothing to change was named".into(),
        next: "`ssctl tenant set --help` lists the fields".into(),
    }
}

/// What is changed of each of several: of the labels only those that are named, since each
/// tenant has others beside.
fn of_each(args: &Args) -> UpdateTenantRequest {
    let (mut wish, fields) = wish(args, &Tenant::default());
    let others = fields.iter().filter(|field| **field != "labels");
    let mut paths: Vec<String> = others.map(|field| (*field).to_owned()).collect();
    let set = args.flags.labels.iter().map(|(key, _)| key);
    let named: BTreeSet<&String> = set.chain(&args.removed_labels).collect();
    paths.extend(named.into_iter().map(|key| format!("labels.{key}")));
    wish.etag.clear();
    UpdateTenantRequest {
        tenant: Some(wish),
        update_mask: Some(prost_types::FieldMask { paths }),
        accept_overcommit: args.accept_overcommit,
        ..UpdateTenantRequest::default()
    }
}

async fn one(shell: &Shell, args: &Args, name: String) -> Outcome {
    let connection = if args.wait { shell.connect_to_wait()? } else { shell.connect()? };
    let before = get(&connection, &name).await.doing(|| format!("change {name}"))?;
    let (wish, fields) = wish(args, &before);
    if fields.is_empty() {
        return Err(nothing_named());
    }
    let request = UpdateTenantRequest {
        tenant: Some(wish),
        update_mask: Some(mask(&fields)),
        validate_only: args.change.dry_run,
        request_id: request_id(),
        reason: args.change.reason(),
        accept_overcommit: args.accept_overcommit,
    };
    let after = call(&connection, &request).await.doing(|| format!("change {name}"))?;
    if args.change.dry_run {
        let (old, new) = (to_value(&before)?, to_value(&after)?);
        return Err(show(shell, &name, &old, &new, "", &after)?);
    }
    shell.talk(&format!("{name} changed"));
    tell_consequences(shell, &after);
    let after = if args.wait { until_settled(shell, &connection, after).await? } else { after };
    print_one(shell, &after)
}

/// The tenant with the new values, and the fields that have one.
fn wish(args: &Args, before: &Tenant) -> (Tenant, Vec<&'static str>) {
    let mut wish = Tenant {
        name: before.name.clone(),
        labels: before.labels.clone(),
        etag: args.guard.etag(),
        ..Tenant::default()
    };
    let mut fields = args.flags.put(&mut wish);
    if !args.removed_labels.is_empty() {
        wish.labels.retain(|key, _| !args.removed_labels.contains(key));
        fields.push("labels");
        fields.dedup();
    }
    if let Some(plan) = &args.plan {
        wish.plan = plan_name(plan);
        fields.push("plan");
    }
    if let Some(seats) = args.seats {
        wish.seats = seats;
        fields.push("seats");
    }
    // The new labels are the old ones and more: somebody else's change since they
    // were read must not be lost.
    if fields.contains(&"labels") && wish.etag.is_empty() {
        wish.etag.clone_from(&before.etag);
    }
    fields.sort_unstable();
    fields.dedup();
    (wish, fields)
}

/// A mask of the fields.
pub(crate) fn mask(fields: &[&str]) -> prost_types::FieldMask {
    prost_types::FieldMask { paths: fields.iter().map(|field| (*field).to_owned()).collect() }
}

/// Changes a tenant; repeated safely, since the request has an id.
pub(crate) async fn call(
    connection: &Connection,
    request: &UpdateTenantRequest,
) -> Result<Tenant, ClientError> {
    call!(connection, tenants.update_tenant(request.clone()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn of_several_only_the_named_labels_are_touched() {
        let line = [
            "set",
            "--all",
            "--label",
            "tier=gold",
            "--remove-label",
            "old",
            "--seats",
            "3",
            "--label",
            "a/b=1",
        ];
        let request = of_each(&Line::parse_from(line).args);
        let mask = request.update_mask.unwrap().paths;
        assert_eq!(mask, ["seats", "labels.a/b", "labels.old", "labels.tier"]);
        let tenant = request.tenant.unwrap();
        assert_eq!((tenant.seats, tenant.labels.get("old")), (3, None));
        assert_eq!(tenant.labels["tier"], "gold");
        assert_eq!((tenant.name.as_str(), tenant.etag.as_str()), ("", ""));
    }
}
