//! `ssctl quota`.

use clap::Subcommand;
use serde_json::{Value, json};
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{
        CheckQuotaRequest, Consequence, GetQuotaRequest, Quota, QuotaChange, ResetQuotaRequest,
        SetQuotaRequest, Tenant, change_tenants_request::Change,
    },
};

use super::tenant::no_etag;
use crate::{
    bulk::{self, Bulk, Chosen, Selection},
    change::{Action, ChangeArgs, ForArgs, Given, MatchArgs, Reply, act, send},
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, Tone, print_answer},
    quantity::{RESOURCES, parse_assignment},
    read::Read,
    resource::{Noun as _, call, full_name, short},
    shell::Shell,
    time::{proto_duration, until},
};
use table::print;

mod table;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what a tenant may use, where that comes from, what it uses and who of it, and when
    /// it will be used up
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
    /// The tenant, and the amounts of resources: acme-corp cpu=80 memory=100Gi; with a plus
    /// added to what applies: cpu=+40. Several tenants become one operation
    #[arg(required = true, value_name = "TENANT|RESOURCE=AMOUNT")]
    words: Vec<String>,
    #[command(flatten)]
    end: ForArgs,
    /// Accept that the seats are promised more than the plan's multiple of the quota
    #[arg(long)]
    accept_overcommit: bool,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    guard: MatchArgs,
    /// Of several tenants: wait until the operation is done
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ResetArgs {
    /// The tenant, and the resources whose overrides end: acme-corp cpu memory; all without.
    /// Several tenants become one operation: a further one is written as tenants/NAME
    #[arg(value_name = "TENANT|RESOURCE")]
    words: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    guard: MatchArgs,
    /// Of several tenants: wait until the operation is done
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    selection: Selection,
}

/// The tenants among the words of `quota set`, and the amounts.
fn amounts(words: &[String]) -> Outcome<(Vec<String>, Vec<QuotaChange>)> {
    let (amounts, names): (Vec<String>, Vec<String>) =
        words.iter().cloned().partition(|word| word.contains('='));
    let usage = |message: String| Failure::Usage {
        message,
        next: "write the tenant and then what it may use, as in `acme-corp cpu=+40`".into(),
    };
    if amounts.is_empty() {
        return Err(usage("no amount of a resource was named".into()));
    }
    let amounts = amounts.iter().map(|word| parse_assignment(word).map_err(usage));
    Ok((names, amounts.collect::<Outcome<_>>()?))
}

/// The tenants among the words of `quota reset`, and the resources. The first word is a
/// tenant where no selection is given; a further one is written in full, so that a slip in a
/// resource is no tenant.
fn resources(words: &[String], selected: bool) -> Outcome<(Vec<String>, Vec<String>)> {
    let (mut names, mut resources) = (Vec::new(), Vec::new());
    for (place, word) in words.iter().enumerate() {
        if (place == 0 && !selected) || word.starts_with(Tenant::PREFIX) {
            names.push(word.clone());
        } else if RESOURCES.contains(&word.as_str()) {
            resources.push(word.clone());
        } else {
            return Err(Failure::Usage {
                message: format!("{word:?} is no resource"),
                next: format!(
                    "name one of {}; a further tenant is written as {}{word}",
                    RESOURCES.join(", "),
                    Tenant::PREFIX
                ),
            });
        }
    }
    Ok((names, resources))
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::Show { tenant } => {
            let name = full_name::<Tenant>(&tenant);
            let quota = shell.read(async |connection| {
                get(connection, &name).await.doing(|| format!("show the quota of {name}"))
            });
            print(shell, quota.await?)
        }
        Command::Set(args) => {
            let (names, changes) = amounts(&args.words)?;
            match args.selection.chosen(&names)? {
                Chosen::One(name) => set(shell, &shell.connect()?, &args, name, changes).await,
                Chosen::Many(many) => {
                    no_etag(&args.guard)?;
                    let ttl = proto_duration(args.end.lifetime)?;
                    let accept_overcommit = args.accept_overcommit;
                    let request =
                        SetQuotaRequest { changes, ttl, accept_overcommit, ..Default::default() };
                    let bulk = Bulk {
                        verb: "set the quota of",
                        loss: "",
                        change: Change::SetQuota(request),
                        many,
                        args: &args.change,
                        confirm: args.selection.confirmed(),
                        wait: args.wait,
                    };
                    bulk::run(shell, bulk).await
                }
            }
        }
        Command::Reset(args) => {
            let (names, resources) = resources(&args.words, args.selection.is_given())?;
            match args.selection.chosen(&names)? {
                Chosen::One(name) => reset(shell, &shell.connect()?, &args, name, resources).await,
                Chosen::Many(many) => {
                    no_etag(&args.guard)?;
                    let request = ResetQuotaRequest { resources, ..Default::default() };
                    let bulk = Bulk {
                        verb: "reset the quota of",
                        loss: "the plan's quota applies again",
                        change: Change::ResetQuota(request),
                        many,
                        args: &args.change,
                        confirm: args.selection.confirmed(),
                        wait: args.wait,
                    };
                    bulk::run(shell, bulk).await
                }
            }
        }
        Command::Check { tenant, needs } => {
            check(shell, &shell.connect()?, full_name::<Tenant>(&tenant), needs).await
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

async fn set(
    shell: &Shell,
    connection: &Connection,
    args: &SetArgs,
    name: String,
    changes: Vec<QuotaChange>,
) -> Outcome {
    let send = async |given: &Given| {
        send!(connection, given, quotas.set_quota, new SetQuotaRequest {
            tenant: given.name.clone(),
            changes: changes.clone(),
            ttl,
            etag,
            accept_overcommit: args.accept_overcommit,
        })
    };
    let action = Action {
        method: "QuotaService.SetQuota",
        lifetime: args.end.lifetime,
        ..action(name, &args.guard, "set")
    };
    change(shell, connection, &args.change, action, send, "set").await
}

async fn reset(
    shell: &Shell,
    connection: &Connection,
    args: &ResetArgs,
    name: String,
    resources: Vec<String>,
) -> Outcome {
    let send = async |given: &Given| {
        send!(connection, given, quotas.reset_quota, new ResetQuotaRequest {
            tenant: given.name.clone(),
            resources: resources.clone(),
            etag,
        })
    };
    let action = Action { method: "QuotaService.ResetQuota", ..action(name, &args.guard, "reset") };
    change(shell, connection, &args.change, action, send, "reset").await
}

fn action(name: String, guard: &MatchArgs, verb: &str) -> Action<'static> {
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
    print(shell, Read::of_one(connection, quota))
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

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::QuotaLine;

    use super::*;

    #[test]
    fn tenants_and_amounts_are_told_apart_by_what_they_look_like() {
        let words =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (names, changes) = amounts(&words(&["acme", "cpu=+40", "beta", "pods=3"])).unwrap();
        assert_eq!((names, changes.len()), (words(&["acme", "beta"]), 2));
        assert!(amounts(&words(&["acme"])).is_err());
        assert!(amounts(&words(&["acme", "cpu="])).is_err());
        let told = |given: &[&str], selected| resources(&words(given), selected);
        let cpu = words(&["cpu"]);
        assert_eq!(told(&["cpu", "cpu"], false).unwrap(), (cpu.clone(), cpu.clone()));
        let two = told(&["acme", "tenants/beta", "cpu"], false).unwrap();
        assert_eq!(two, (words(&["acme", "tenants/beta"]), cpu.clone()));
        assert_eq!(told(&["cpu"], true).unwrap(), (vec![], cpu));
        assert!(told(&["acme", "gpu"], false).is_err());
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
