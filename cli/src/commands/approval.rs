//! `ssctl approval`.

use clap::Subcommand;
use jiff::Timestamp;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{Approval, ApprovalState, GetApprovalRequest, ListApprovalsRequest},
};

use crate::{
    change::{Action, ChangeArgs, Given, Reply, act, send},
    errors::{Doing as _, Outcome},
    output::{Cell, Column, Tone, print_one},
    resource::{ListArgs, Noun, call, full_name, list, short, word},
    shell::Shell,
    time::{age, local, remaining, until},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List requests for approval, newest first
    List {
        #[command(flatten)]
        list: ListArgs,
        /// Only those that wait for somebody
        #[arg(long)]
        pending: bool,
    },
    /// Show what would be done, who asked, and why
    #[command(visible_aliases = ["get", "describe"])]
    Show {
        /// The approval
        name: String,
    },
    /// Agree: who asked can then do it, once
    Approve(DecideArgs),
    /// Refuse, or as who asked, withdraw
    Reject(DecideArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DecideArgs {
    /// The approval
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List { list: args, pending } => {
            let filter = filter(&args.filter, pending);
            let approvals = shell.read(async |connection| {
                list!(connection, args.limit, approvals.list_approvals,
                    ListApprovalsRequest { filter: filter.clone() } => approvals)
            });
            approvals.await?.print_all(shell)
        }
        Command::Show { name } => {
            let name = full_name::<Approval>(&name);
            let approval = shell.read(async |connection| {
                get(connection, &name).await.doing(|| format!("show {name}"))
            });
            approval.await?.print_one(shell)
        }
        Command::Approve(args) => decide(shell, &shell.connect()?, &args, true).await,
        Command::Reject(args) => decide(shell, &shell.connect()?, &args, false).await,
    }
}

fn filter(expression: &str, pending: bool) -> String {
    match (expression, pending) {
        (expression, false) => expression.to_owned(),
        ("", true) => "state = \"pending\"".into(),
        (expression, true) => format!("state = \"pending\" AND ({expression})"),
    }
}

async fn get(connection: &Connection, name: &str) -> Result<Approval, ClientError> {
    let request = GetApprovalRequest { name: name.to_owned() };
    call!(connection, approvals.get_approval(request))
}

impl Reply for Approval {}

async fn decide(
    shell: &Shell,
    connection: &Connection,
    args: &DecideArgs,
    approves: bool,
) -> Outcome {
    let name = full_name::<Approval>(&args.name);
    let (method, verb) = if approves {
        ("ApprovalService.ApproveRequest", "approve")
    } else {
        ("ApprovalService.RejectRequest", "reject")
    };
    let doing = format!("{verb} {name}");
    let action = Action { method, doing: doing.clone(), name: name.clone(), ..Action::default() };
    let before = async || Ok(to_value(&get(connection, &name).await.doing(|| doing)?)?);
    let send = async |given: &Given| {
        if approves {
            send!(connection, given, approvals.approve_request, ApproveRequestRequest {})
        } else {
            send!(connection, given, approvals.reject_request, RejectRequestRequest {})
        }
    };
    let done = |approval: &Approval| {
        if !approves {
            return format!("{} is rejected", approval.name);
        }
        let until = until(approval.expire_time.as_ref(), shell.now);
        let text = format!(
            "{} is approved: {} can repeat the same command, once, {until}",
            approval.name, approval.requester
        );
        text.trim_end_matches([',', ' ']).to_owned()
    };
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

impl Noun for Approval {
    const PLURAL: &'static str = "approvals";
    const PREFIX: &'static str = "approvals/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |approval: &Self, _| short(Self::PREFIX, &approval.name).into()),
            Column::new("STATE", |approval, _| state(approval)),
            Column::new("METHOD", |approval, _| approval.method.clone().into()),
            Column::new("TARGET", |approval, _| approval.target.clone().into()),
            Column::new("ASKED BY", |approval, _| approval.requester.clone().into()),
            Column::new("REASON", |approval, _| approval.reason.clone().into()),
            Column::new("AGE", |approval, now| age(approval.create_time.as_ref(), now).into()),
            Column::wide("ENDS IN", |approval, now| {
                remaining(approval.expire_time.as_ref(), now).into()
            }),
            Column::wide("DECIDED BY", |approval, _| approval.approver.clone().into()),
            Column::wide("SUMMARY", |approval, _| approval.summary.clone().into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        vec![
            ("Name", short(Self::PREFIX, &self.name).into()),
            ("State", state(self)),
            ("What", self.summary.clone().into()),
            ("Method", self.method.clone().into()),
            ("Target", self.target.clone().into()),
            ("Request", self.request_sha256.clone().into()),
            ("Asked by", self.requester.clone().into()),
            ("Reason", self.reason.clone().into()),
            ("Asked", local(self.create_time.as_ref()).into()),
            ("Good", until(self.expire_time.as_ref(), now).into()),
            ("Decided by", self.approver.clone().into()),
            ("They said", self.decision_reason.clone().into()),
            ("Decided", local(self.decide_time.as_ref()).into()),
            ("Used", local(self.use_time.as_ref()).into()),
        ]
    }
}

fn state(approval: &Approval) -> Cell {
    let tone = match approval.state() {
        ApprovalState::Pending => Tone::Doubtful,
        ApprovalState::Approved => Tone::Good,
        ApprovalState::Rejected => Tone::Bad,
        ApprovalState::Used | ApprovalState::Expired | ApprovalState::Unspecified => Tone::Plain,
    };
    Cell::toned(word("APPROVAL_STATE_", approval.state().as_str_name()), tone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_joins_the_filter() {
        assert_eq!(filter("", false), "");
        assert_eq!(filter("", true), "state = \"pending\"");
        assert_eq!(filter("a = 1 OR b = 2", true), "state = \"pending\" AND (a = 1 OR b = 2)");
    }
}
