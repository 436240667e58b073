//! `ssctl tenant create`.

use serde_json::Value;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{CreateTenantRequest, Tenant},
};

use super::{
    flags::{TenantFlags, plan_name},
    until_settled,
};
use crate::{
    change::{ChangeArgs, request_id, show, tell_consequences},
    errors::{Doing as _, Outcome},
    output::print_one,
    resource::{Noun as _, call, short},
    shell::Shell,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The new name: lower-case letters, digits and -, 3 to 40 characters
    name: String,
    /// The plan that the customer buys
    #[arg(long)]
    plan: String,
    /// How many users the customer pays for
    #[arg(long)]
    seats: i32,
    /// Take over a namespace of the tenant's name that exists already
    #[arg(long)]
    adopt: bool,
    /// Accept that the seats are promised more than the plan's multiple of the quota
    #[arg(long)]
    accept_overcommit: bool,
    #[command(flatten)]
    change: ChangeArgs,
    /// Wait until the cluster has the tenant
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    flags: TenantFlags,
}

pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    let id = short(Tenant::PREFIX, &args.name).to_owned();
    let mut tenant = Tenant { plan: plan_name(&args.plan), seats: args.seats, ..Tenant::default() };
    args.flags.put(&mut tenant);
    let request = CreateTenantRequest {
        tenant_id: id.clone(),
        tenant: Some(tenant),
        validate_only: args.change.dry_run,
        request_id: request_id(),
        reason: args.change.reason(),
        accept_overcommit: args.accept_overcommit,
        adopt: args.adopt,
    };
    let connection = if args.wait { shell.connect_to_wait()? } else { shell.connect()? };
    let tenant = call(&connection, &request).await.doing(|| format!("create tenant {id}"))?;
    if args.change.dry_run {
        let name = format!("{}{id}", Tenant::PREFIX);
        let after = to_value(&tenant)?;
        return Err(show(shell, &name, &Value::Null, &after, "", &tenant)?);
    }
    shell.talk(&format!("{} created", tenant.name));
    tell_consequences(shell, &tenant);
    let tenant = if args.wait { until_settled(shell, &connection, tenant).await? } else { tenant };
    print_one(shell, &tenant)
}

/// Creates a tenant; repeated safely, since the request has an id.
pub(crate) async fn call(
    connection: &Connection,
    request: &CreateTenantRequest,
) -> Result<Tenant, ClientError> {
    call!(connection, tenants.create_tenant(request.clone()))
}
