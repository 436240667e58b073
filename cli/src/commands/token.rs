//! `ssctl token`.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde_json::Value;
use streamspace_client::Connection;
use streamspace_proto::{
    json::to_value,
    v1::{CreateEnrolmentTokenRequest, EnrolmentToken, ListEnrolmentTokensRequest, Role, Tenant},
};

use super::whoami::{reach, role_word};
use crate::{
    change::{Action, ChangeArgs, Given, Loss, Reply, act, request_id, send},
    confirm::{ConfirmArgs, Question},
    errors::{Doing as _, Failure, Outcome},
    output::{Format, print_answer, print_one},
    resource::{LimitArgs, Noun as _, full_name, list, short},
    shell::Shell,
    time::{local, parse_duration, proto_duration},
};

mod noun;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a one-time token with which somebody logs in
    Create(CreateArgs),
    /// List tokens, newest first; their secrets are not kept
    List(LimitArgs),
    /// Take back a token that was not used
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// The token's name, as `ssctl token list` shows it
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Who will use it: the name that the audit log will have
    #[arg(long, value_name = "NAME")]
    operator: String,
    /// What they may do
    #[arg(long, value_enum)]
    role: RoleArg,
    /// A tenant that they may reach; repeat it. The whole region without
    #[arg(long, value_name = "NAME")]
    tenant: Vec<String>,
    /// How long the token can be used, at most 7d
    #[arg(long = "for", value_parser = parse_duration, default_value = "1h", value_name = "DURATION")]
    lifetime: Duration,
    #[command(flatten)]
    change: ChangeArgs,
}

/// The roles, as they are typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleArg {
    /// Reads the region and its tenants
    Viewer,
    /// Does the daily work
    Operator,
    /// Does everything, including access
    Admin,
    /// Reads usage and writes money matters
    Billing,
    /// Reads everything and writes nothing
    Auditor,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Viewer => Self::Viewer,
            RoleArg::Operator => Self::Operator,
            RoleArg::Admin => Self::Admin,
            RoleArg::Billing => Self::Billing,
            RoleArg::Auditor => Self::Auditor,
        }
    }
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::Create(args) => create(shell, &shell.connect()?, &args).await,
        Command::List(LimitArgs { limit }) => {
            let tokens = shell.read(async |connection| {
                list!(connection, limit, access.list_enrolment_tokens,
                    ListEnrolmentTokensRequest {} => tokens)
            });
            tokens.await?.print_all(shell)
        }
        Command::Revoke(args) => revoke(shell, &shell.connect()?, &args).await,
    }
}

impl Reply for EnrolmentToken {}

async fn revoke(shell: &Shell, connection: &Connection, args: &RevokeArgs) -> Outcome {
    let name = full_name::<EnrolmentToken>(&args.name);
    let id = short(EnrolmentToken::PREFIX, &name);
    let what = format!("Token {id} will be taken back: nobody can log in with it.");
    let question = Question { what: &what, name: id, protected: connection.context().protected };
    let action = Action {
        method: "AccessService.RevokeEnrolmentToken",
        doing: format!("revoke {name}"),
        name: name.clone(),
        effect: "nobody can log in with it any more",
        loss: Some(Loss { args: &args.confirm, question }),
        ..Action::default()
    };
    let before = async || Ok(Value::Null);
    let send = async |given: &Given| {
        send!(connection, given, access.revoke_enrolment_token, RevokeEnrolmentTokenRequest {})
    };
    let done = |token: &EnrolmentToken| format!("{} for {} is revoked", token.name, token.operator);
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

async fn create(shell: &Shell, connection: &Connection, args: &CreateArgs) -> Outcome {
    let request = CreateEnrolmentTokenRequest {
        operator: args.operator.clone(),
        role: Role::from(args.role).into(),
        tenants: args.tenant.iter().map(|name| full_name::<Tenant>(name)).collect(),
        ttl: proto_duration(Some(args.lifetime))?,
        validate_only: args.change.dry_run,
        request_id: request_id(),
        reason: args.change.reason(),
    };
    // Not repeated by itself: a retry would get the token without its secret.
    let token = connection
        .access()
        .create_enrolment_token(request)
        .await
        .doing(|| format!("make a token for {}", args.operator))?
        .into_inner();
    let (role, reach) = (role_word(token.role), reach(&token.tenants));
    let whom = format!("{} ({role}, {reach})", token.operator);
    if args.change.dry_run {
        shell.talk(&format!("would make a token for {whom}"));
        return Err(Failure::Changes);
    }
    if !matches!(shell.format(), Format::Table | Format::Wide | Format::Name) {
        return print_answer(shell, &[("token", token.token.clone().into())], &to_value(&token)?);
    }
    let until = local(token.expire_time.as_ref());
    shell.talk(&format!("a token for {whom}, good once until {until}; it is not shown again"));
    let endpoint = &connection.context().endpoint;
    shell.talk(&format!("they run: ssctl login {endpoint} --token TOKEN"));
    shell.print(&format!("{}\n", streamspace_client::text::escape(&token.token)))
}
