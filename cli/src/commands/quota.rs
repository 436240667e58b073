//! `ssctl quota`.

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{
        CheckQuotaRequest, Consequence, GetQuotaRequest, Quota, QuotaChange, QuotaLine,
        ResetQuotaRequest, SetQuotaRequest, Tenant,
    },
};

use super::tenant::override_words;
use crate::{
    change::{Action, ChangeArgs, ForArgs, Given, MatchArgs, Reply, act},
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, Column, Format, Layout, Tone, details, print_all, print_answer},
    quantity::{RESOURCES, decimal, parse_assignment},
    resource::{Noun, call, full_name, short},
    shell::Shell,
    time::until,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what a tenant may use, where that comes from, and what it uses
    #[command(visible_aliases = ["get", "describe"])]
    Show {
        /// The tenant
        tenant: String,
    },
    /// Set resources of a tenant's quota, for ever or for a time
    Set(SetArgs),
    /// End overrides before their time: the plan's quota applies again
    Reset(ResetArgs),
    /// Tell whether an amount would still fit; ends with 11 where it does not
    Check {
        /// The tenant
        tenant: String,
        /// What is needed beside what is used now: cpu=10, memory=100Gi, storage=1Ti, pods=20
        #[arg(required = true, value_name = "RESOURCE=AMOUNT", value_parser = parse_assignment)]
        needs: Vec<QuotaChange>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// The tenant
    tenant: String,
    /// The amount of a resource, cpu=80 or memory=100Gi; with a plus added to what
    /// applies: cpu=+40
    #[arg(required = true, value_name = "RESOURCE=AMOUNT", value_parser = parse_assignment)]
    changes: Vec<QuotaChange>,
    #[command(flatten)]
    end: ForArgs,
    /// Accept that the seats are promised more than the plan's multiple of the quota
    #[arg(long)]
    accept_overcommit: bool,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    guard: MatchArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ResetArgs {
    /// The tenant
    tenant: String,
    /// The resources whose overrides end; all without
    #[arg(value_parser = RESOURCES)]
    resources: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    guard: MatchArgs,
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    let connection = shell.connect()?;
    match command {
        Command::Show { tenant } => {
            let name = full_name::<Tenant>(&tenant);
            let quota =
                get(&connection, &name).await.doing(|| format!("show the quota of {name}"))?;
            print(shell, &quota)
        }
        Command::Set(args) => set(shell, &connection, &args).await,
        Command::Reset(args) => reset(shell, &connection, &args).await,
        Command::Check { tenant, needs } => {
            check(shell, &connection, full_name::<Tenant>(&tenant), needs).await
        }
    }
}

async fn get(connection: &Connection, tenant: &str) -> Result<Quota, ClientError> {
    let request = GetQuotaRequest { tenant: tenant.to_owned() };
    call!(connection, quotas.get_quota(request))
}

impl Reply for Quota {
    fn consequences(&self) -> &[Consequence] {
        &self.consequences
    }

    /// What may be used, without what is used meanwhile.
    fn compared(&self) -> Outcome<Value> {
        let hard: serde_json::Map<_, _> = self
            .lines
            .iter()
            .map(|line| (line.resource.clone(), line.hard.clone().into()))
            .collect();
        let overrides = self.overrides.iter().map(|set| {
            let end = set.expire_time.as_ref().and_then(|end| crate::time::instant(Some(end)));
            let value = json!({
                "amount": crate::quantity::amount(&set.resource, set.amount),
                "expireTime": end.map(|end| end.to_string()),
            });
            (set.resource.clone(), value)
        });
        let overrides: serde_json::Map<_, _> = overrides.collect();
        Ok(json!({ "hard": hard, "override": overrides }))
    }
}

async fn set(shell: &Shell, connection: &Connection, args: &SetArgs) -> Outcome {
    let send = async |given: &Given| {
        let given = given.clone();
        let request = SetQuotaRequest {
            tenant: given.name,
            changes: args.changes.clone(),
            ttl: given.ttl,
            etag: given.etag,
            validate_only: given.validate_only,
            request_id: given.request_id,
            reason: given.reason,
            accept_overcommit: args.accept_overcommit,
        };
        call!(connection, quotas.set_quota(request))
    };
    let action = Action {
        method: "QuotaService.SetQuota",
        lifetime: args.end.lifetime,
        ..action(&args.tenant, &args.guard, "set")
    };
    change(shell, connection, &args.change, action, send, "set").await
}

async fn reset(shell: &Shell, connection: &Connection, args: &ResetArgs) -> Outcome {
    let send = async |given: &Given| {
        let given = given.clone();
        let request = ResetQuotaRequest {
            tenant: given.name,
            resources: args.resources.clone(),
            etag: given.etag,
            validate_only: given.validate_only,
            request_id: given.request_id,
            reason: given.reason,
        };
        call!(connection, quotas.reset_quota(request))
    };
    let action =
        Action { method: "QuotaService.ResetQuota", ..action(&args.tenant, &args.guard, "reset") };
    change(shell, connection, &args.change, action, send, "reset").await
}

fn action(tenant: &str, guard: &MatchArgs, verb: &str) -> Action<'static> {
    let name = full_name::<Tenant>(tenant);
    Action {
        doing: format!("{verb} the quota of {name}"),
        name,
        etag: guard.etag(),
        ..Action::default()
    }
}

async fn change(
    shell: &Shell,
    connection: &Connection,
    args: &ChangeArgs,
    action: Action<'_>,
    send: impl AsyncFn(&Given) -> Result<Quota, ClientError>,
    done: &str,
) -> Outcome {
    let (name, doing) = (action.name.clone(), action.doing.clone());
    let before = async || get(connection, &name).await.doing(|| doing)?.compared();
    let told = |quota: &Quota| {
        let ends = quota.overrides.iter().filter(|set| set.expire_time.is_some());
        let ends: Vec<_> = ends
            .map(|set| format!("{} {}", set.resource, until(set.expire_time.as_ref(), shell.now)))
            .collect();
        let pending =
            if ends.is_empty() { String::new() } else { format!("; {}", ends.join(", ")) };
        format!("the quota of {name} is {done}{pending}")
    };
    let quota = act(shell, args, action, before, send, told).await?;
    print(shell, &quota)
}

async fn check(
    shell: &Shell,
    connection: &Connection,
    tenant: String,
    needs: Vec<QuotaChange>,
) -> Outcome {
    let request = CheckQuotaRequest { tenant: tenant.clone(), needs };
    let answer = call!(connection, quotas.check_quota(request))
        .doing(|| format!("check the quota of {tenant}"))?;
    let verdict =
        if answer.fits { Cell::toned("yes", Tone::Good) } else { Cell::toned("no", Tone::Bad) };
    let pairs: [(&str, Cell); 2] =
        [("Fits", verdict), ("Missing", answer.shortfalls.join("\n").into())];
    print_answer(shell, &pairs, &to_value(&answer)?)?;
    if answer.fits {
        return Ok(());
    }
    let id = short(Tenant::PREFIX, &tenant);
    Err(Failure::CheckFailed {
        message: format!("that does not fit into the quota of {tenant}"),
        next: format!("`ssctl quota set {id} RESOURCE=+AMOUNT --for 8h` raises it for a time"),
    })
}

/// The lines as a table, and below it what else is to know; else the whole value.
fn print(shell: &Shell, quota: &Quota) -> Outcome {
    if matches!(shell.format(), Format::Json | Format::Yaml | Format::Jsonl) {
        return print_answer(shell, &[], &to_value(quota)?);
    }
    print_all(shell, &quota.lines)?;
    if !matches!(shell.format(), Format::Table | Format::Wide) {
        return Ok(());
    }
    let overrides = quota.overrides.iter().map(|set| override_words(set, shell.now));
    let overrides = overrides.collect::<Vec<_>>().join("\n");
    let unseen = if quota.observed { "" } else { "what is used is not known" };
    let why = [unseen, &quota.message];
    let why: Vec<_> = why.into_iter().filter(|part| !part.is_empty()).collect();
    let pairs: [(&str, Cell); 2] =
        [("Overrides", overrides.into()), ("Note", Cell::toned(why.join(": "), Tone::Doubtful))];
    if pairs.iter().all(|(_, cell)| cell.text.is_empty()) {
        return Ok(());
    }
    shell.print(&details(&pairs, Layout::new(shell.terminal, false)))
}

impl Noun for QuotaLine {
    const PLURAL: &'static str = "limits";
    const PREFIX: &'static str = "";

    fn resource_name(&self) -> &str {
        &self.resource
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("RESOURCE", |line: &Self, _| line.resource.clone().into()),
            Column::new("LIMIT", |line, _| line.hard.clone().into()),
            Column::new("USED", |line, _| line.used.clone().into()),
            Column::new("LEFT", |line, _| line.headroom.clone().into()),
            Column::new("USE", |line, _| used(line)),
            Column::new("PLAN", |line, _| line.plan.clone().into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let columns = Self::columns();
        columns.iter().map(|column| (column.title, (column.cell)(self, now))).collect()
    }
}

/// How much is used, in percent; nothing where it was not observed.
fn used(line: &QuotaLine) -> Cell {
    if line.used.is_empty() {
        return "".into();
    }
    let tone = match line.used_permille {
        ..800 => Tone::Good,
        800..=1000 => Tone::Doubtful,
        _ => Tone::Bad,
    };
    Cell::toned(format!("{} %", decimal(line.used_permille, 1)), tone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_is_told_by_its_tone_and_nothing_where_it_is_not_known() {
        let line = |used: &str, used_permille| QuotaLine {
            used: used.into(),
            used_permille,
            ..QuotaLine::default()
        };
        assert_eq!(used(&line("", 0)), Cell::from(""));
        assert_eq!(used(&line("1", 125)), Cell::toned("12.5 %", Tone::Good));
        assert_eq!(used(&line("9", 900)), Cell::toned("90 %", Tone::Doubtful));
        assert_eq!(used(&line("12", 1200)), Cell::toned("120 %", Tone::Bad));
    }

    #[test]
    fn a_preview_compares_limits_and_not_what_is_used() {
        let quota = |used: &str| Quota {
            lines: vec![QuotaLine {
                resource: "requests.cpu".into(),
                hard: "40".into(),
                used: used.into(),
                ..QuotaLine::default()
            }],
            ..Quota::default()
        };
        assert_eq!(quota("1").compared().unwrap(), quota("2").compared().unwrap());
    }
}
