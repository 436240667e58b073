//! `ssctl tenant delete`.

use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{Consequence, Operation, Tenant},
};

use super::{super::operation, action::described, get};
use crate::{
    change::{Action, ChangeArgs, Given, Loss, MatchArgs, Reply, act, send},
    confirm::{ConfirmArgs, Question},
    errors::{Doing as _, Outcome},
    output::print_one,
    resource::{Noun as _, full_name, short},
    shell::Shell,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tenant
    name: String,
    /// Do not wait for the end of the plan's retention; a second person must approve
    #[arg(long)]
    before_retention: bool,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    guard: MatchArgs,
    /// Wait until the cluster holds nothing of it any more
    #[arg(long)]
    wait: bool,
}

impl Reply for Operation {
    fn consequences(&self) -> &[Consequence] {
        &self.consequences
    }
}

pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    let name = full_name::<Tenant>(&args.name);
    let connection = if args.wait { shell.connect_to_wait()? } else { shell.connect()? };
    let doing = format!("delete {name}");
    let tenant = get(&connection, &name).await.doing(|| doing.clone())?;
    let what = described(&tenant, "it will be deleted with all that it has", &connection);
    let action = Action {
        method: "TenantService.DeleteTenant",
        doing,
        name: name.clone(),
        etag: args.guard.etag(),
        ends_it: true,
        loss: Some(Loss {
            args: &args.confirm,
            question: Question {
                what: &what,
                name: short(Tenant::PREFIX, &name),
                protected: connection.context().protected,
            },
        }),
        ..Action::default()
    };
    let before = async || Ok(to_value(&tenant)?);
    let send = async |given: &Given| send(&connection, given, args.before_retention).await;
    let done = |operation: &Operation| format!("{name} is being deleted by {}", operation.name);
    let operation = act(shell, &args.change, action, before, send, done).await?;
    let operation = if args.wait && !operation.done {
        operation::wait(shell, &connection, &operation.name).await?
    } else {
        operation
    };
    print_one(shell, &operation)
}

async fn send(
    connection: &Connection,
    given: &Given,
    before_retention: bool,
) -> Result<Operation, ClientError> {
    send!(
        connection,
        given,
        tenants.delete_tenant,
        DeleteTenantRequest { etag, before_retention: before_retention }
    )
}
