//! `ssctl slo create`, `set` and `delete`.

use std::time::Duration;

use streamspace_client::parse_duration;
use streamspace_proto::{json::to_value, v1::Slo};

use super::{flags::SloFlags, get};
use crate::{
    change::{Action, ChangeArgs, Given, Loss, act, send},
    commands::tenant::mask,
    confirm::{ConfirmArgs, Question},
    errors::{Doing as _, Failure, Outcome},
    output::print_one,
    resource::{Noun as _, full_name, short},
    shell::Shell,
    time::proto_duration,
};

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// The new name
    name: String,
    /// How much of the past is read from the Prometheus: 3d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    backfill: Option<Duration>,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    flags: SloFlags,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// The SLO
    name: String,
    /// Only where it still has this etag
    #[arg(long, value_name = "ETAG")]
    if_match: Option<String>,
    /// One budget for all again; with --objective where it was the plan's
    #[arg(long, conflicts_with = "per_tenant", help_heading = "SLO")]
    no_per_tenant: bool,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    flags: SloFlags,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    /// The SLO
    name: String,
    /// Only where it still has this etag
    #[arg(long, value_name = "ETAG")]
    if_match: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(super) async fn create(shell: &Shell, args: &CreateArgs) -> Outcome {
    let name = full_name::<Slo>(&args.name);
    let mut slo = Slo::default();
    let fields = args.flags.put(&mut slo)?;
    for (field, flag) in [
        ("service", "--service NAME"),
        ("objective", "--objective PERCENT, or --per-tenant with --by-plan"),
        ("sli", "one of --total with --good or --bad, --latency, --probe, --own, --pushed"),
    ] {
        if !fields.contains(&field) {
            return Err(Failure::Usage {
                message: format!("an SLO needs its {field}"),
                next: format!("give {flag}"),
            });
        }
    }
    let backfill = proto_duration(args.backfill)?;
    let connection = shell.connect()?;
    let action = Action {
        method: "SloService.CreateSlo",
        doing: format!("create {name}"),
        name,
        ..Action::default()
    };
    let send = async |given: &Given| {
        send!(&connection, given, slos.create_slo, new CreateSloRequest {
            slo_id: short(Slo::PREFIX, &given.name).to_owned(),
            slo: Some(slo.clone()),
            backfill: backfill,
        })
    };
    let before = async || Ok(serde_json::Value::Null);
    let done = |slo: &Slo| format!("{} created", slo.name);
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

pub(super) async fn set(shell: &Shell, args: &SetArgs) -> Outcome {
    let name = full_name::<Slo>(&args.name);
    let etag = args.if_match.clone().unwrap_or_default();
    let mut slo = Slo { name: name.clone(), etag: etag.clone(), ..Slo::default() };
    let mut fields = args.flags.put(&mut slo)?;
    if args.no_per_tenant {
        // What is named and absent is cleared.
        fields.push("per_tenant");
    }
    if fields.is_empty() {
        return Err(Failure::Usage {
            message: "nothing to change was named".into(),
            next: "`ssctl slo set --help` lists the fields".into(),
        });
    }
    let connection = shell.connect()?;
    let doing = format!("change {name}");
    let action = Action {
        method: "SloService.UpdateSlo",
        doing: doing.clone(),
        name: name.clone(),
        etag,
        ..Action::default()
    };
    let send = async |given: &Given| {
        send!(&connection, given, slos.update_slo, new UpdateSloRequest {
            slo: Some(slo.clone()),
            update_mask: Some(mask(&fields)),
        })
    };
    let before = async || Ok(to_value(&get(&connection, &name).await.doing(|| doing)?)?);
    let begins_anew = ["sli", "per_tenant"].iter().any(|field| fields.contains(field));
    let done = |slo: &Slo| {
        let anew = if begins_anew { "; what was measured in another way is gone" } else { "" };
        format!("{} is changed{anew}", slo.name)
    };
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

pub(super) async fn delete(shell: &Shell, args: &DeleteArgs) -> Outcome {
    let name = full_name::<Slo>(&args.name);
    let connection = shell.connect()?;
    let doing = format!("delete {name}");
    let slo = get(&connection, &name).await.doing(|| doing.clone())?;
    let what = format!("{name} will be deleted, with all that was measured for it.");
    let action = Action {
        method: "SloService.DeleteSlo",
        doing,
        name: name.clone(),
        etag: args.if_match.clone().unwrap_or_default(),
        ends_it: true,
        loss: Some(Loss {
            args: &args.confirm,
            question: Question {
                what: &what,
                name: short(Slo::PREFIX, &name),
                protected: connection.context().protected,
            },
        }),
        ..Action::default()
    };
    let send =
        async |given: &Given| send!(&connection, given, slos.delete_slo, DeleteSloRequest { etag });
    let before = async || Ok(to_value(&slo)?);
    let done = |slo: &Slo| format!("{} is deleted", slo.name);
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}
