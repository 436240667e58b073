//! `ssctl apply`: tenants as files describe them.
//!
//! Only what a file says is changed; what it leaves out stays as it is. So the
//! same file can be applied again and again.

use std::path::PathBuf;

use serde_json::Value;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{CreateTenantRequest, Tenant, UpdateTenantRequest},
};
use tonic::Code;

use super::tenant;
use crate::{
    change::{ChangeArgs, consequence_lines, request_id, tell_consequences},
    errors::{Doing as _, Failure, Outcome},
    output::preview,
    resource::{Noun as _, short},
    shell::Shell,
};

mod document;
mod source;

use document::Document;

/// What `--help` and the manual show of a file's form.
const FORM: &str = "\
A file holds YAML documents of this form, separated by ---. Under spec stand the
fields of a tenant as `ssctl tenant show -o yaml` prints them; what is left out
stays as it is.

  kind: Tenant
  name: acme-corp
  spec:
    plan: business
    seats: 10
    displayName: Acme Corporation
    labels: {tier: gold}
    adminSubjects:
      - {kind: user, name: a@acme.com}";

#[derive(Debug, clap::Args)]
#[command(after_long_help = FORM)]
pub(crate) struct Args {
    /// A YAML file, a folder of them, or - for standard input; repeat it
    #[arg(short = 'f', long = "file", required = true, value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
    /// Take over namespaces of new tenants' names that exist already
    #[arg(long)]
    adopt: bool,
    /// Accept that seats are promised more than a plan's multiple of the quota
    #[arg(long)]
    accept_overcommit: bool,
    #[command(flatten)]
    change: ChangeArgs,
    /// Wait until the cluster has all of it
    #[arg(long)]
    wait: bool,
}

/// What became of one document.
enum Effect {
    /// The tenant as it is now, and in a word what was done to it.
    Applied(Box<Tenant>, &'static str),
    /// What would change, as a diff; empty where nothing would.
    Previewed(String),
}

/// Applies all documents. All are read before the first is applied, so that a
/// slip in the last one changes nothing.
pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    let documents = source::read(&args.files)?;
    let connection = if args.wait { shell.connect_to_wait()? } else { shell.connect()? };
    let mut applied = Vec::new();
    let mut failures = Vec::new();
    let mut would_change = false;
    for document in &documents {
        match apply(&connection, document, &args, shell.terminal.output.colour).await {
            Ok(Effect::Previewed(diff)) => {
                would_change |= !diff.is_empty();
                shell.print(&diff)?;
            }
            Ok(Effect::Applied(tenant, what)) => {
                shell.print(&format!("{} {what}\n", tenant.name))?;
                tell_consequences(shell, &*tenant);
                applied.push(*tenant);
            }
            Err(failure) => {
                shell.report(&failure);
                failures.push(failure.exit());
            }
        }
    }
    let done = documents.len() - failures.len();
    if let Some(first) = failures.first() {
        return Err(match done {
            0 => Failure::AllFailed(*first),
            _ => Failure::PartlyDone { done, failed: failures.len() },
        });
    }
    if would_change {
        return Err(Failure::Changes);
    }
    if args.wait {
        for tenant in applied {
            tenant::until_settled(shell, &connection, tenant).await?;
        }
    }
    Ok(())
}

async fn apply(
    connection: &Connection,
    document: &Document,
    args: &Args,
    colour: bool,
) -> Outcome<Effect> {
    let name = document.tenant.name.clone();
    let doing = || format!("apply {name} from {}", document.origin);
    match tenant::get(connection, &name).await {
        Ok(before) => update(connection, document, before, args, colour).await.doing(doing),
        Err(error) if error.code() == Some(Code::NotFound) => {
            create(connection, document, args, colour).await.doing(doing)
        }
        Err(error) => Err(error).doing(doing),
    }
}

async fn create(
    connection: &Connection,
    document: &Document,
    args: &Args,
    colour: bool,
) -> Result<Effect, ClientError> {
    let name = &document.tenant.name;
    let request = CreateTenantRequest {
        tenant_id: short(Tenant::PREFIX, name).to_owned(),
        tenant: Some(document.tenant.clone()),
        validate_only: args.change.dry_run,
        request_id: request_id(),
        reason: args.change.reason(),
        accept_overcommit: args.accept_overcommit,
        adopt: args.adopt,
    };
    let tenant = tenant::create_call(connection, &request).await?;
    if args.change.dry_run {
        let diff = preview(name, &Value::Null, &value(&tenant)?, colour);
        return Ok(Effect::Previewed(diff + &consequence_lines(&tenant)));
    }
    Ok(Effect::Applied(Box::new(tenant), "created"))
}

async fn update(
    connection: &Connection,
    document: &Document,
    before: Tenant,
    args: &Args,
    colour: bool,
) -> Result<Effect, ClientError> {
    let fields = document.changed_fields(&before);
    if fields.is_empty() {
        return Ok(if args.change.dry_run {
            Effect::Previewed(String::new())
        } else {
            Effect::Applied(Box::new(before), "unchanged")
        });
    }
    let request = UpdateTenantRequest {
        tenant: Some(document.tenant.clone()),
        update_mask: Some(tenant::mask(&fields)),
        validate_only: args.change.dry_run,
        request_id: request_id(),
        reason: args.change.reason(),
        accept_overcommit: args.accept_overcommit,
    };
    let after = tenant::update_call(connection, &request).await?;
    if args.change.dry_run {
        let (old, new) = (value(&before)?, value(&after)?);
        let diff = preview(&before.name, &old, &new, colour);
        let brought = if diff.is_empty() { String::new() } else { consequence_lines(&after) };
        return Ok(Effect::Previewed(diff + &brought));
    }
    Ok(Effect::Applied(Box::new(after), "changed"))
}

fn value(tenant: &Tenant) -> Result<Value, ClientError> {
    to_value(tenant).map_err(|error| ClientError::Unexpected(error.to_string()))
}
