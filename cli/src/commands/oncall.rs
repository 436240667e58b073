//! `ssctl oncall`: who is on call, and who is paged after whom.

use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::Value;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{
        EscalationLevel, EscalationPolicy, ListEscalationPoliciesRequest, ListRotasRequest, Plan,
        Rota, RotaOverride,
    },
};

use crate::{
    change::{Action, ChangeArgs, Given, Reply, act, send},
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, Column, print_one},
    resource::{Noun, call, full_name, short},
    shell::Shell,
    time::{local, parse_duration, parse_when, proto_instant},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show who is on call: by every rota, now or at a time
    Show {
        /// Only by this rota
        name: Option<String>,
        /// When: 2026-12-24T03:00, 2h (ago)
        #[arg(long, value_parser = parse_when, value_name = "TIME")]
        at: Option<Timestamp>,
    },
    /// Make a rota, or replace it
    #[command(after_long_help = SET_EXAMPLES)]
    Set(SetArgs),
    /// Have somebody else on call for a time
    Override(OverrideArgs),
    /// Delete a rota with its overrides
    Delete(NameArgs),
    /// Who is paged after whom
    #[command(subcommand)]
    Policy(PolicyCommand),
}

const SET_EXAMPLES: &str = "\
Examples:
  ssctl oncall set primary kim lee max --zone Europe/Berlin --start 2026-03-30
  ssctl oncall set night ada bob --days 1 --handover 20:00";

#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// The rota
    name: String,
    /// Who takes turns, in this order
    #[arg(required = true, value_name = "PERSON")]
    people: Vec<String>,
    /// How many days a turn has
    #[arg(long, value_name = "NUMBER", default_value_t = 7)]
    days: i32,
    /// When a turn is handed over, by the clock of the zone
    #[arg(long, value_name = "TIME", default_value = "09:00")]
    handover: String,
    /// The zone of that clock
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
    /// The day on which the first person's turn begins; today without
    #[arg(long, value_name = "DAY")]
    start: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OverrideArgs {
    /// The rota
    name: String,
    /// Who is on call instead
    person: String,
    /// From when: 2026-12-24T18:00; now without
    #[arg(long, value_parser = parse_when, value_name = "TIME")]
    from: Option<Timestamp>,
    /// How long: 90m, 12h, 2d
    #[arg(long = "for", value_parser = parse_duration, value_name = "DURATION")]
    length: Duration,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NameArgs {
    /// The rota or the policy
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// List escalation policies
    List,
    /// Make an escalation policy, or replace it
    #[command(after_long_help = POLICY_EXAMPLES)]
    Set(PolicyArgs),
    /// Delete an escalation policy; incidents that are open keep its levels
    Delete(NameArgs),
}

const POLICY_EXAMPLES: &str = "\
Examples:
  ssctl oncall policy set default --level rotas/primary --level rotas/night,ada=30
  ssctl oncall policy set fast --level rotas/primary=5 --plan enterprise --rto 15
  ssctl oncall policy set both --level rotas/primary=10:phone --level ada=:phone,chat

A level is who is paged, with commas between several, and behind = the minutes that they
have to acknowledge: 15 without, and 5 for the plan enterprise. Behind a colon are the
channels that carry it: those of the configuration for pages without.";

#[derive(Debug, clap::Args)]
pub(crate) struct PolicyArgs {
    /// The policy; the one named default is used where no other fits
    name: String,
    /// A level: TARGET[,TARGET]…[=MINUTES[:CHANNEL[,CHANNEL]…]]; repeated for the next ones
    #[arg(long = "level", required = true, value_parser = level, value_name = "LEVEL")]
    levels: Vec<EscalationLevel>,
    /// It pages for incidents that hit a tenant of this plan
    #[arg(long, value_name = "PLAN", requires = "rto")]
    plan: Option<String>,
    /// The recovery time objective of the plan, in minutes; each level has fewer
    #[arg(long, value_name = "MINUTES", default_value_t = 0, hide_default_value = true)]
    rto: i32,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Reply for Rota {}
impl Reply for EscalationPolicy {}

/// `rotas/primary,ada=15:phone`.
fn level(text: &str) -> Result<EscalationLevel, String> {
    let names =
        |text: &str| -> Vec<String> { text.split(',').map(|it| it.trim().to_owned()).collect() };
    let (targets, how) = match text.rsplit_once('=') {
        Some((targets, how)) => (targets, Some(how)),
        None => (text, None),
    };
    let (minutes, channels) = match how.map(|how| (how, how.split_once(':'))) {
        Some((_, Some((minutes, channels)))) => {
            (Some(minutes).filter(|minutes| !minutes.is_empty()), Some(channels))
        }
        Some((minutes, None)) => (Some(minutes), None),
        None => (None, None),
    };
    let minutes = minutes.map_or(Some(0), |it| it.parse().ok().filter(|minutes| *minutes > 0));
    let minutes = minutes.ok_or("behind = are minutes, 1 or more")?;
    let targets = names(targets);
    if targets.iter().any(String::is_empty) {
        return Err("it names nobody: rotas/NAME or a person".to_owned());
    }
    let channels = channels.map(names).unwrap_or_default();
    if channels.iter().any(String::is_empty) {
        return Err("behind : are channels, as `ssctl notify channels` names them".to_owned());
    }
    Ok(EscalationLevel { targets, minutes, channels })
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::Show { name, at } => show(shell, name.as_deref(), at).await,
        Command::Set(args) => set(shell, &args).await,
        Command::Override(args) => stand_in(shell, &args).await,
        Command::Delete(args) => delete(shell, &args).await,
        Command::Policy(PolicyCommand::List) => {
            let read = shell.read(async |connection| policies(connection).await);
            read.await?.print_all(shell)
        }
        Command::Policy(PolicyCommand::Set(args)) => set_policy(shell, &args).await,
        Command::Policy(PolicyCommand::Delete(args)) => delete_policy(shell, &args).await,
    }
}

async fn rotas(connection: &Connection, at: Option<Timestamp>) -> Result<Vec<Rota>, ClientError> {
    let request = ListRotasRequest { at: at.map(proto_instant) };
    Ok(call!(connection, oncall.list_rotas(request))?.rotas)
}

async fn policies(connection: &Connection) -> Outcome<Vec<EscalationPolicy>> {
    let request = ListEscalationPoliciesRequest {};
    let reply = call!(connection, oncall.list_escalation_policies(request));
    Ok(reply.doing(|| "list escalation policies".into())?.escalation_policies)
}

async fn show(shell: &Shell, name: Option<&str>, at: Option<Timestamp>) -> Outcome {
    let Some(name) = name.map(full_name::<Rota>) else {
        let read = shell
            .read(async |connection| rotas(connection, at).await.doing(|| "list rotas".into()));
        return read.await?.print_all(shell);
    };
    let read = shell.read(async |connection| {
        let all = rotas(connection, at).await.doing(|| format!("show {name}"))?;
        let found = all.into_iter().find(|rota| rota.name == name);
        found.ok_or_else(|| Failure::not_found(&name))
    });
    read.await?.print_one(shell)
}

/// A rota as it is, or nothing.
async fn current(connection: &Connection, name: &str) -> Outcome<Value> {
    let all = rotas(connection, None).await.doing(|| format!("read {name}"))?;
    Ok(match all.iter().find(|rota| rota.name == name) {
        Some(rota) => to_value(rota)?,
        None => Value::Null,
    })
}

async fn set(shell: &Shell, args: &SetArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = full_name::<Rota>(&args.name);
    let today = || shell.now.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    let rota = Rota {
        name: name.clone(),
        people: args.people.clone(),
        turn_days: args.days,
        handover: args.handover.clone(),
        time_zone: args.zone.clone(),
        start_date: args.start.clone().unwrap_or_else(today),
        ..Rota::default()
    };
    let action = Action {
        method: "OncallService.SetRota",
        doing: format!("set {name}"),
        name: name.clone(),
        ..Action::default()
    };
    let before = async || current(&connection, &name).await;
    let send = async |given: &Given| send!(&connection, given, oncall.set_rota, new SetRotaRequest { rota: Some(rota.clone()) });
    print_one(shell, &act(shell, &args.change, action, before, send, told).await?)
}

fn told(rota: &Rota) -> String {
    let who = if rota.on_call.is_empty() { "nobody" } else { &rota.on_call };
    format!("by {} {who} is on call", rota.name)
}

async fn stand_in(shell: &Shell, args: &OverrideArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = full_name::<Rota>(&args.name);
    let from = args.from.unwrap_or(shell.now);
    let to = from.checked_add(args.length).map_err(|_| Failure::Usage {
        message: "--for ends after the calendar".into(),
        next: "give a shorter time".into(),
    })?;
    let stand_in = RotaOverride {
        person: args.person.clone(),
        start_time: Some(proto_instant(from)),
        end_time: Some(proto_instant(to)),
    };
    let action = Action {
        method: "OncallService.AddOverride",
        doing: format!("add an override to {name}"),
        name: name.clone(),
        ..Action::default()
    };
    let before = async || current(&connection, &name).await;
    let send = async |given: &Given| {
        send!(
            &connection,
            given,
            oncall.add_override,
            AddOverrideRequest { r#override: Some(stand_in.clone()) }
        )
    };
    print_one(shell, &act(shell, &args.change, action, before, send, told).await?)
}

async fn delete(shell: &Shell, args: &NameArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = full_name::<Rota>(&args.name);
    let action = Action {
        method: "OncallService.DeleteRota",
        doing: format!("delete {name}"),
        name: name.clone(),
        ends_it: true,
        ..Action::default()
    };
    let before = async || current(&connection, &name).await;
    let send =
        async |given: &Given| send!(&connection, given, oncall.delete_rota, DeleteRotaRequest {});
    let done = |rota: &Rota| format!("{} is deleted", rota.name);
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

/// A policy as it is, or nothing.
async fn current_policy(connection: &Connection, name: &str) -> Outcome<Value> {
    let all = policies(connection).await?;
    Ok(match all.iter().find(|policy| policy.name == name) {
        Some(policy) => to_value(policy)?,
        None => Value::Null,
    })
}

async fn set_policy(shell: &Shell, args: &PolicyArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = full_name::<EscalationPolicy>(&args.name);
    let policy = EscalationPolicy {
        name: name.clone(),
        levels: args.levels.clone(),
        plan: args.plan.as_deref().map(full_name::<Plan>).unwrap_or_default(),
        rto_minutes: args.rto,
    };
    let action = Action {
        method: "OncallService.SetEscalationPolicy",
        doing: format!("set {name}"),
        name: name.clone(),
        ..Action::default()
    };
    let before = async || current_policy(&connection, &name).await;
    let send = async |given: &Given| {
        send!(&connection, given, oncall.set_escalation_policy, new SetEscalationPolicyRequest {
            escalation_policy: Some(policy.clone()),
        })
    };
    let done = |policy: &EscalationPolicy| format!("{} pages {}", policy.name, levels(policy));
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

async fn delete_policy(shell: &Shell, args: &NameArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = full_name::<EscalationPolicy>(&args.name);
    let action = Action {
        method: "OncallService.DeleteEscalationPolicy",
        doing: format!("delete {name}"),
        name: name.clone(),
        ends_it: true,
        ..Action::default()
    };
    let before = async || current_policy(&connection, &name).await;
    let send = async |given: &Given| {
        send!(&connection, given, oncall.delete_escalation_policy, DeleteEscalationPolicyRequest {})
    };
    let done = |policy: &EscalationPolicy| format!("{} is deleted", policy.name);
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

impl Noun for Rota {
    const PLURAL: &'static str = "rotas";
    const PREFIX: &'static str = "rotas/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("ROTA", |rota: &Self, _| short(Self::PREFIX, &rota.name).into()),
            Column::new("ON CALL", |rota, _| on_call(rota).into()),
            Column::new("UNTIL", |rota, _| local(rota.until.as_ref()).into()),
            Column::new("NEXT", |rota, _| rota.next.clone().into()),
            Column::wide("PEOPLE", |rota, _| rota.people.join(", ").into()),
            Column::wide("TURN", |rota, _| turn(rota).into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        let overrides: Vec<_> = (self.overrides.iter())
            .map(|it| {
                let from = local(it.start_time.as_ref());
                format!("{} from {from} to {}", it.person, local(it.end_time.as_ref()))
            })
            .collect();
        vec![
            ("Rota", short(Self::PREFIX, &self.name).into()),
            ("On call", on_call(self).into()),
            ("Until", local(self.until.as_ref()).into()),
            ("Next", self.next.clone().into()),
            ("People", self.people.join(", ").into()),
            ("Turn", turn(self).into()),
            ("Overrides", overrides.join("\n").into()),
        ]
    }
}

fn on_call(rota: &Rota) -> &str {
    if rota.on_call.is_empty() { "nobody" } else { &rota.on_call }
}

fn turn(rota: &Rota) -> String {
    let days = rota.turn_days;
    let length = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
    format!("{length} from {} at {} {}", rota.start_date, rota.handover, rota.time_zone)
}

impl Noun for EscalationPolicy {
    const PLURAL: &'static str = "escalation policies";
    const PREFIX: &'static str = "escalationPolicies/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("POLICY", |policy: &Self, _| short(Self::PREFIX, &policy.name).into()),
            Column::new("PLAN", |policy, _| short(Plan::PREFIX, &policy.plan).into()),
            Column::new("LEVELS", |policy, _| levels(policy).into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        let mut pairs = vec![
            ("Policy", short(Self::PREFIX, &self.name).into()),
            ("Levels", levels(self).into()),
        ];
        if !self.plan.is_empty() {
            pairs.push(("Plan", short(Plan::PREFIX, &self.plan).into()));
            pairs.push(("RTO", format!("{} min", self.rto_minutes).into()));
        }
        pairs
    }
}

/// `kim (15 min), then ada (15 min)`.
fn levels(policy: &EscalationPolicy) -> String {
    let level = |level: &EscalationLevel| {
        let targets: Vec<_> = level.targets.iter().map(|it| short(Rota::PREFIX, it)).collect();
        let by = match level.channels.as_slice() {
            [] => String::new(),
            some => format!(", by {}", some.join(" and ")),
        };
        format!("{} ({} min{by})", targets.join(" and "), level.minutes)
    };
    policy.levels.iter().map(level).collect::<Vec<_>>().join(", then ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_targets_and_minutes() {
        let read = |text| level(text).map(|level| (level.targets, level.minutes));
        assert_eq!(read("rotas/primary"), Ok((vec!["rotas/primary".into()], 0)));
        assert_eq!(read("kim,lee=20"), Ok((vec!["kim".into(), "lee".into()], 20)));
        let by = |text| level(text).map(|level| (level.minutes, level.channels));
        assert_eq!(by("kim=20"), Ok((20, vec![])));
        assert_eq!(by("kim=20:phone,chat"), Ok((20, vec!["phone".into(), "chat".into()])));
        assert_eq!(by("kim=:phone"), Ok((0, vec!["phone".into()])));
        for wrong in
            ["", "=5", "kim,", "kim=", "kim=0", "kim=x", "kim=-1", "kim=5:", "kim=5:a,", "kim=:"]
        {
            assert!(level(wrong).is_err(), "{wrong}");
        }
    }
}
