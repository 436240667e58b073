//! `ssctl session create`.

use std::time::Duration;

use serde_json::Value;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{CreateSessionRequest, Operation, Session, SessionPhase, SessionState},
};

use super::{super::operation, name, wait::until_phase};
use crate::{
    change::{ChangeArgs, reason, request_id, show, tell_consequences},
    errors::{Doing as _, Outcome},
    output::print_one,
    resource::{Noun as _, call, short},
    shell::Shell,
    time::{parse_duration, proto_duration},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tenant and the new name, as TENANT/SESSION: lower-case letters, digits and -, at most
    /// 52 characters
    name: String,
    /// Who owns it
    #[arg(long, value_name = "NAME")]
    user: String,
    /// What it is made of, looked up in the tenant's namespace and then in the catalogue
    #[arg(long, value_name = "NAME")]
    template: String,
    /// The CPU that it requests, as 500m or 2; the template's without it
    #[arg(long, value_name = "AMOUNT")]
    cpu: Option<String>,
    /// The memory that it requests, as 512Mi or 4Gi; the template's without it
    #[arg(long, value_name = "AMOUNT")]
    memory: Option<String>,
    /// How long nobody must have used it before it hibernates; 30m without it
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    idle_timeout: Option<Duration>,
    /// How long it may run from one start to the next before it is terminated; 8h without it
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_duration: Option<Duration>,
    /// A word to find it by; repeat it
    #[arg(long = "tag", value_name = "WORD")]
    tags: Vec<String>,
    /// Share it, in at most so many copies
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..=10))]
    shared: Option<i32>,
    /// Do not mount the user's home
    #[arg(long)]
    without_home: bool,
    /// Create it asleep
    #[arg(long)]
    hibernated: bool,
    #[command(flatten)]
    change: ChangeArgs,
    /// Wait until it runs
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(shell: &Shell, args: Args) -> Outcome {
    let (parent, id) = name::split(&args.name)?;
    let name = name::full(&args.name)?;
    let state = if args.hibernated { SessionState::Hibernated } else { SessionState::Running };
    let session = Session {
        user: args.user,
        template: args.template,
        state: state.into(),
        cpu: args.cpu.unwrap_or_default(),
        memory: args.memory.unwrap_or_default(),
        without_home: args.without_home,
        idle_timeout: proto_duration(args.idle_timeout)?,
        max_session_duration: proto_duration(args.max_duration)?,
        tags: args.tags,
        max_replicas: args.shared.unwrap_or_default(),
        ..Session::default()
    };
    let mut request = CreateSessionRequest {
        parent,
        session_id: id,
        session: Some(session.clone()),
        validate_only: args.change.dry_run,
        request_id: request_id(),
        reason: args.change.reason(),
    };
    let connection = if args.wait { shell.connect_to_wait()? } else { shell.connect()? };
    let doing = || format!("create {name}");
    if args.change.dry_run {
        let rehearsed = send(&connection, &request).await.doing(doing)?;
        let after = to_value(&Session { name: name.clone(), ..session })?;
        let effect = if args.hibernated { "it is created asleep" } else { "" };
        return Err(show(shell, &name, &Value::Null, &after, effect, &rehearsed)?);
    }
    request.reason =
        reason(shell, "SessionService.CreateSession", args.change.given_reason()).await?;
    let begun = send(&connection, &request).await.doing(doing)?;
    shell.talk(&format!("{name} is being created by {}", begun.name));
    tell_consequences(shell, &begun);
    if !args.wait {
        let id = short(Operation::PREFIX, &begun.name);
        shell.talk(&format!("`ssctl operation wait {id}` follows it"));
        return print_one(shell, &begun);
    }
    operation::wait(shell, &connection, &begun.name).await?;
    let phase = if args.hibernated { SessionPhase::Hibernated } else { SessionPhase::Running };
    match until_phase(shell, &connection, &name, phase).await? {
        Some(session) => print_one(shell, &session),
        None => Ok(()),
    }
}

/// Creates or rehearses; repeated safely, since the request has an id.
async fn send(
    connection: &Connection,
    request: &CreateSessionRequest,
) -> Result<Operation, ClientError> {
    call!(connection, sessions.create_session(request.clone()))
}
