//! `ssctl session`.

use clap::Subcommand;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::v1::{GetSessionRequest, ListSessionsRequest, Session};

use crate::{
    errors::{Doing as _, Outcome},
    resource::{call, list},
    shell::Shell,
};

mod action;
mod create;
mod describe;
mod filter;
mod name;
mod noun;
mod wait;
mod watch;

use action::Verb;
pub(crate) use name::tenant;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List sessions: those of a tenant, or of all tenants
    #[command(after_help = LIST_EXAMPLES)]
    List(ListCommand),
    /// Show a session: its wish, and what was observed of it
    #[command(visible_alias = "get")]
    Show {
        /// The session, as TENANT/SESSION
        name: String,
    },
    /// Show a session with its conditions, its objects and what the cluster says of them
    Describe {
        /// The session, as TENANT/SESSION
        name: String,
    },
    /// Create a session in a tenant's namespace
    ///
    /// It is refused at once where it is not valid or a limit would be passed. The operation is
    /// done when the cluster has taken it; with --wait the command ends when it runs.
    #[command(after_help = CREATE_EXAMPLES)]
    Create(create::Args),
    /// Scale sessions to zero; they wake again
    #[command(after_help = CHANGE_EXAMPLES)]
    Hibernate(action::Args),
    /// Let hibernated sessions run again
    Wake(action::Args),
    /// End sessions: all but their users' homes is removed
    Terminate(action::Args),
    /// Hibernate or terminate all sessions of a tenant, of a template, or of both
    #[command(after_help = DRAIN_EXAMPLES)]
    Drain(action::DrainArgs),
    /// Print sessions as they change, until Ctrl-C
    Watch(watch::Args),
}

const LIST_EXAMPLES: &str = "\
Examples:
  ssctl session list acme-corp
  ssctl session list --phase failed
  ssctl session list -A --idle-for 2h --user ada -o name
  ssctl session list --filter 'template = \"firefox*\" AND NOT node = \"n-1\"'";

const CREATE_EXAMPLES: &str = "\
Examples:
  ssctl session create acme-corp/desk-1 --user ada --template firefox --wait
  ssctl session create acme-corp/desk-2 --user ada --template firefox --cpu 2 --memory 4Gi --dry-run";

const CHANGE_EXAMPLES: &str = "\
Examples:
  ssctl session hibernate acme-corp/desk-1 --wait
  ssctl session hibernate --tenant acme-corp --user ada --dry-run
  ssctl session terminate --filter 'phase = \"Failed\"' --confirm 12
Several sessions are rehearsed first; what is confirmed is the number of them.";

const DRAIN_EXAMPLES: &str = "\
Examples:
  ssctl session drain --tenant acme-corp --dry-run
  ssctl session drain --template firefox --terminate --reason 'a hole in it' --wait";

#[derive(Debug, clap::Args)]
pub(crate) struct ListCommand {
    /// The tenant; all tenants without
    tenant: Option<String>,
    /// Those of all tenants, as without a tenant
    #[arg(short = 'A', long, conflicts_with = "tenant")]
    all_tenants: bool,
    #[command(flatten)]
    of: filter::OfArgs,
    #[command(flatten)]
    how: filter::HowArgs,
    /// At most so many; of each region where several are asked
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List(args) => all(shell, &args).await,
        Command::Show { name } => {
            let name = name::full(&name)?;
            let session = shell.read(async |connection| {
                get(connection, &name).await.doing(|| format!("show {name}"))
            });
            session.await?.print_one(shell)
        }
        Command::Describe { name } => describe::run(shell, &name).await,
        Command::Create(args) => create::run(shell, args).await,
        Command::Hibernate(args) => action::run(shell, Verb::Hibernate, &args).await,
        Command::Wake(args) => action::run(shell, Verb::Wake, &args).await,
        Command::Terminate(args) => action::run(shell, Verb::Terminate, &args).await,
        Command::Drain(args) => action::drain(shell, &args).await,
        Command::Watch(args) => watch::run(shell, &args).await,
    }
}

async fn all(shell: &Shell, args: &ListCommand) -> Outcome {
    let parent = name::parent(args.tenant.as_deref());
    let filter = args.of.expression_with(&args.how);
    let sessions =
        shell.read(async |connection| list(connection, args.limit, &parent, &filter).await);
    sessions.await?.print_all(shell)
}

/// The sessions of a parent that match.
pub(crate) async fn list(
    connection: &Connection,
    limit: Option<usize>,
    parent: &str,
    filter: &str,
) -> Outcome<Vec<Session>> {
    list!(connection, limit, sessions.list_sessions, ListSessionsRequest {
        parent: parent.to_owned(), filter: filter.to_owned()
    } => sessions)
}

/// One session by its full name.
async fn get(connection: &Connection, name: &str) -> Result<Session, ClientError> {
    let request = GetSessionRequest { name: name.to_owned() };
    call!(connection, sessions.get_session(request))
}
