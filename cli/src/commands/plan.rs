//! `ssctl plan`.

use clap::Subcommand;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{GetPlanRequest, ListPlanVersionsRequest, ListPlansRequest, Plan},
};

use super::tenant::mask;
use crate::{
    change::{Action, ChangeArgs, Given, Reply, act, send},
    errors::{Doing as _, Failure, Outcome},
    output::print_one,
    resource::{LimitArgs, Noun as _, call, full_name, list, short},
    shell::Shell,
};

mod flags;
mod noun;

use flags::PlanFlags;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the plans, cheapest first
    List(LimitArgs),
    /// Show a plan: its newest version, or another as NAME@VERSION
    #[command(visible_aliases = ["get", "describe"])]
    Show {
        /// The plan, NAME or NAME@VERSION
        name: String,
        /// List all its versions instead, the newest first
        #[arg(long)]
        versions: bool,
    },
    /// Make a plan, with its version 1
    Create(CreateArgs),
    /// Make the next version of a plan: only what the flags name differs
    ///
    /// Tenants keep their version until they are set to the plan again.
    Set(SetArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// The new name
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    flags: PlanFlags,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// The plan
    name: String,
    /// Only where this is still its newest version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    if_version: i32,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    flags: PlanFlags,
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List(LimitArgs { limit }) => {
            let plans = shell.read(async |connection| {
                list!(connection, limit, plans.list_plans, ListPlansRequest {} => plans)
            });
            plans.await?.print_all(shell)
        }
        Command::Show { name, versions } => {
            let name = full_name::<Plan>(&name);
            let doing = || format!("show {name}");
            if versions {
                let versions = shell.read(async |connection| {
                    let request = ListPlanVersionsRequest { name: name.clone() };
                    let reply = call!(connection, plans.list_plan_versions(request));
                    Ok(reply.doing(doing)?.plans)
                });
                return versions.await?.print_all(shell);
            }
            let plan = shell.read(async |connection| get(connection, &name).await.doing(doing));
            plan.await?.print_one(shell)
        }
        Command::Create(args) => create(shell, &shell.connect()?, &args).await,
        Command::Set(args) => set(shell, &shell.connect()?, &args).await,
    }
}

async fn get(connection: &Connection, name: &str) -> Result<Plan, ClientError> {
    let request = GetPlanRequest { name: name.to_owned() };
    call!(connection, plans.get_plan(request))
}

impl Reply for Plan {}

async fn create(shell: &Shell, connection: &Connection, args: &CreateArgs) -> Outcome {
    let name = full_name::<Plan>(&args.name);
    let mut plan = Plan::default();
    args.flags.put(&mut plan);
    let action = Action {
        method: "PlanService.CreatePlan",
        doing: format!("create {name}"),
        name: name.clone(),
        ..Action::default()
    };
    let send = async |given: &Given| {
        send!(connection, given, plans.create_plan, new CreatePlanRequest {
            plan_id: short(Plan::PREFIX, &given.name).to_owned(),
            plan: Some(plan.clone()),
        })
    };
    let before = async || Ok(serde_json::Value::Null);
    let done = |plan: &Plan| format!("{} created", plan.name);
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

async fn set(shell: &Shell, connection: &Connection, args: &SetArgs) -> Outcome {
    let name = full_name::<Plan>(&args.name);
    let mut plan = Plan { name: name.clone(), ..Plan::default() };
    let fields = args.flags.put(&mut plan);
    if fields.is_empty() {
        return Err(Failure::Usage {
            message: "nothing to change was named".into(),
            next: "`ssctl plan set --help` lists the fields".into(),
        });
    }
    let action = Action {
        method: "PlanService.UpdatePlan",
        doing: format!("change {name}"),
        name: name.clone(),
        ..Action::default()
    };
    let send = async |given: &Given| {
        send!(connection, given, plans.update_plan, new UpdatePlanRequest {
            plan: Some(plan.clone()),
            update_mask: Some(mask(&fields)),
            if_version: args.if_version,
        })
    };
    let before = async || {
        let plan = get(connection, &name).await.doing(|| format!("change {name}"))?;
        Ok(to_value(&plan)?)
    };
    let done = |plan: &Plan| {
        let id = short(Plan::PREFIX, &plan.name);
        format!(
            "{} has version {}; tenants keep theirs until `ssctl tenant set NAME --plan {id}`",
            plan.name, plan.version
        )
    };
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}
