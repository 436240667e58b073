//! `ssctl break-glass`.

use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::Value;
use streamspace_client::Connection;
use streamspace_proto::v1::{BreakGlassGrant, ListBreakGlassGrantsRequest};

use crate::{
    change::{Action, ChangeArgs, Given, Reply, act, send},
    errors::{Failure, Outcome},
    output::{Cell, Column, Tone, print_one},
    resource::{LimitArgs, Noun, full_name, list, short},
    shell::Shell,
    time::{instant, local, parse_duration, until},
};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    start: StartArgs,
}

#[derive(Debug, clap::Args)]
struct StartArgs {
    /// For how long: one minute to four hours
    #[arg(
        long = "for",
        value_parser = parse_duration,
        default_value = "30m",
        value_name = "DURATION"
    )]
    lifetime: Duration,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// End a grant before its time
    End {
        /// The grant; your own where it is not given
        name: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// List grants, newest first
    List {
        /// Only those that nobody has reviewed
        #[arg(long)]
        unreviewed: bool,
        #[command(flatten)]
        limit: LimitArgs,
    },
    /// Record that you looked at what was done under somebody else's grant
    Review {
        /// The grant
        name: String,
        /// What you found
        #[arg(long, value_name = "TEXT")]
        review: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    match args.command {
        None => start(shell, &shell.connect()?, &args.start).await,
        Some(Command::End { name, change }) => {
            end(shell, &shell.connect()?, name.as_deref(), &change).await
        }
        Some(Command::List { unreviewed, limit: LimitArgs { limit } }) => {
            let grants = shell.read(async |connection| {
                list!(connection, limit, access.list_break_glass_grants,
                    ListBreakGlassGrantsRequest { unreviewed: unreviewed } => grants)
            });
            grants.await?.print_all(shell)
        }
        Some(Command::Review { name, review, change }) => {
            self::review(shell, &shell.connect()?, &name, &review, &change).await
        }
    }
}

impl Reply for BreakGlassGrant {}

async fn nothing() -> Outcome<Value> {
    Ok(Value::Null)
}

async fn start(shell: &Shell, connection: &Connection, args: &StartArgs) -> Outcome {
    let action = Action {
        method: "AccessService.BreakGlass",
        doing: "break the glass".into(),
        name: "break-glass".into(),
        lifetime: Some(args.lifetime),
        ..Action::default()
    };
    let send = async |given: &Given| send!(connection, given, access.break_glass, new BreakGlassRequest { ttl });
    let done = |grant: &BreakGlassGrant| {
        let until = until(grant.expire_time.as_ref(), shell.now);
        format!(
            "{} has the role admin {until}; everybody is told, and somebody else will review it; \
             `ssctl break-glass end` ends it",
            grant.operator
        )
    };
    print_one(shell, &act(shell, &args.change, action, nothing, send, done).await?)
}

async fn end(
    shell: &Shell,
    connection: &Connection,
    typed: Option<&str>,
    change: &ChangeArgs,
) -> Outcome {
    let name = typed.map(full_name::<BreakGlassGrant>).unwrap_or_default();
    let shown = if name.is_empty() { "your grant".to_owned() } else { name.clone() };
    let action = Action {
        method: "AccessService.EndBreakGlass",
        doing: format!("end {shown}"),
        name: shown,
        effect: "it ends now",
        ..Action::default()
    };
    let send = async |given: &Given| {
        let given = Given { name: name.clone(), ..given.clone() };
        send!(connection, &given, access.end_break_glass, EndBreakGlassRequest {})
    };
    let done = |grant: &BreakGlassGrant| format!("{} has ended", grant.name);
    print_one(shell, &act(shell, change, action, nothing, send, done).await?)
}

async fn review(
    shell: &Shell,
    connection: &Connection,
    typed: &str,
    review: &str,
    change: &ChangeArgs,
) -> Outcome {
    if review.trim().is_empty() {
        return Err(Failure::Usage {
            message: "the review is empty".into(),
            next: "say what you found with --review TEXT".into(),
        });
    }
    let name = full_name::<BreakGlassGrant>(typed);
    let action = Action {
        method: "AccessService.ReviewBreakGlass",
        doing: format!("review {name}"),
        name,
        ..Action::default()
    };
    let send = async |given: &Given| {
        send!(
            connection,
            given,
            access.review_break_glass,
            ReviewBreakGlassRequest { review: review.to_owned() }
        )
    };
    let done = |grant: &BreakGlassGrant| format!("{} is reviewed", grant.name);
    print_one(shell, &act(shell, change, action, nothing, send, done).await?)
}

impl Noun for BreakGlassGrant {
    const PLURAL: &'static str = "grants";
    const PREFIX: &'static str = "breakGlassGrants/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |grant: &Self, _| short(Self::PREFIX, &grant.name).into()),
            Column::new("OPERATOR", |grant, _| grant.operator.clone().into()),
            Column::new("STATE", state),
            Column::new("BEGUN", |grant, _| local(grant.start_time.as_ref()).into()),
            Column::new("REVIEWED BY", reviewer),
            Column::new("REASON", |grant, _| grant.reason.clone().into()),
            Column::wide("ROLE", |grant, _| grant.role_name.clone().into()),
            Column::wide("ENDED", |grant, _| local(ended(grant)).into()),
            Column::wide("REVIEW", |grant, _| grant.review.clone().into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        vec![
            ("Name", short(Self::PREFIX, &self.name).into()),
            ("Operator", self.operator.clone().into()),
            ("Own role", self.role_name.clone().into()),
            ("State", state(self, now)),
            ("Reason", self.reason.clone().into()),
            ("Begun", local(self.start_time.as_ref()).into()),
            ("Ended by hand", local(self.end_time.as_ref()).into()),
            ("Ends by itself", local(self.expire_time.as_ref()).into()),
            ("Reviewed by", reviewer(self, now)),
            ("Review", self.review.clone().into()),
            ("Reviewed", local(self.review_time.as_ref()).into()),
        ]
    }
}

fn ended(grant: &BreakGlassGrant) -> Option<&prost_types::Timestamp> {
    grant.end_time.as_ref().or(grant.expire_time.as_ref())
}

fn state(grant: &BreakGlassGrant, now: Timestamp) -> Cell {
    let over = instant(ended(grant)).is_some_and(|end| end <= now);
    if over {
        "over".into()
    } else {
        Cell::toned(until(grant.expire_time.as_ref(), now), Tone::Bad)
    }
}

fn reviewer(grant: &BreakGlassGrant, _: Timestamp) -> Cell {
    if grant.reviewer.is_empty() {
        Cell::toned("nobody yet", Tone::Doubtful)
    } else {
        grant.reviewer.clone().into()
    }
}
