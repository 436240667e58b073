//! `ssctl tenant set`.

use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{Tenant, UpdateTenantRequest},
};

use super::{
    flags::{TenantFlags, plan_name},
    get, until_settled,
};
use crate::{
    change::{ChangeArgs, MatchArgs, request_id, show, tell_consequences},
    errors::{Doing as _, Failure, Outcome},
    output::print_one,
    resource::{call, full_name},
    shell::Shell,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tenant
    name: String,
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
    /// Wait until the cluster has the change
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    flags: TenantFlags,
}

pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    let name = full_name::<Tenant>(&args.name);
    let connection = if args.wait { shell.connect_to_wait()? } else { shell.connect()? };
    let before = get(&connection, &name).await.doing(|| format!("change {name}"))?;
    let (wish, fields) = wish(&args, &before);
    if fields.is_empty() {
        return Err(Failure::Usage {
            message: "nothing to change was named".into(),
            next: "`ssctl tenant set --help` lists the fields".into(),
        });
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
