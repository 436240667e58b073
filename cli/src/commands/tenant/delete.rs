//! `ssctl tenant delete`.

use serde_json::Value;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{DeleteTenantRequest, Operation, Tenant},
};

use super::{super::operation, get};
use crate::{
    confirm::{ConfirmArgs, Question, ask, confirm},
    errors::{Doing as _, Failure, Outcome},
    output::{preview, print_one},
    resource::{ChangeArgs, Noun as _, full_name, request_id, short},
    shell::Shell,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tenant
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
    /// Only where the tenant still has this etag
    #[arg(long, value_name = "ETAG")]
    if_match: Option<String>,
    /// Wait until the cluster holds nothing of it any more
    #[arg(long)]
    wait: bool,
}

pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    let name = full_name::<Tenant>(&args.name);
    let connection = if args.wait { shell.connect_to_wait()? } else { shell.connect()? };
    let tenant = get(&connection, &name).await.doing(|| format!("delete {name}"))?;
    let mut request = DeleteTenantRequest {
        name: name.clone(),
        etag: args.if_match.clone().unwrap_or_default(),
        validate_only: args.change.dry_run,
        request_id: request_id(),
        reason: args.change.reason(),
    };
    if args.change.dry_run {
        if request.reason.is_empty() {
            // The preview checks the request too, and it is not the reason that
            // it is asked about.
            request.reason = "preview".into();
        }
        call(&connection, &request).await.doing(|| format!("delete {name}"))?;
        let colour = shell.terminal.output.colour;
        shell.print(&preview(&name, &to_value(&tenant)?, &Value::Null, colour))?;
        return Err(Failure::Changes);
    }
    request.reason = reason(shell, args.change.reason.clone()).await?;
    let id = short(Tenant::PREFIX, &name);
    let what = format!(
        "Tenant {id} ({}, {} seats) and all that it has in region {} will be deleted.",
        short("plans/", &tenant.plan),
        tenant.seats,
        region(&connection),
    );
    let protected = connection.context().protected;
    confirm(shell, &args.confirm, &Question { what: &what, name: id, protected }).await?;
    let operation = call(&connection, &request).await.doing(|| format!("delete {name}"))?;
    shell.talk(&format!("{name} is being deleted by {}", operation.name));
    let operation = if args.wait && !operation.done {
        operation::wait(shell, &connection, &operation.name).await?
    } else {
        operation
    };
    print_one(shell, &operation)
}

fn region(connection: &Connection) -> String {
    let context = connection.context();
    if context.region.is_empty() { context.endpoint.to_string() } else { context.region.clone() }
}

/// The reason of the flag, else one that is typed.
async fn reason(shell: &Shell, given: Option<String>) -> Outcome<String> {
    let given = match given {
        Some(reason) => reason,
        None if shell.terminal.can_ask() => ask("Why, for the audit log: ".into()).await?,
        None => String::new(),
    };
    let given = given.trim().to_owned();
    if given.is_empty() {
        return Err(Failure::Usage {
            message: "a reason is needed".into(),
            next: "say why with --reason TEXT; it goes to the audit log".into(),
        });
    }
    Ok(given)
}

async fn call(
    connection: &Connection,
    request: &DeleteTenantRequest,
) -> Result<Operation, ClientError> {
    connection
        .call(|| {
            let (mut client, request) = (connection.tenants(), request.clone());
            async move { client.delete_tenant(request).await }
        })
        .await
}
