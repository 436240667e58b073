//! `ssctl token`.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use streamspace_proto::{
    json::to_value,
    v1::{CreateEnrolmentTokenRequest, Role, Tenant},
};

use super::whoami::{reach, role_word};
use crate::{
    errors::{Doing as _, Failure, Outcome},
    output::{Format, print_answer},
    resource::{ChangeArgs, full_name, request_id},
    shell::Shell,
    time::{local, parse_duration},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a one-time token with which somebody logs in
    Create(CreateArgs),
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
    let Command::Create(args) = command;
    let ttl = prost_types::Duration::try_from(args.lifetime).map_err(|error| Failure::Usage {
        message: format!("--for is too long: {error}"),
        next: "use at most 7d".into(),
    })?;
    let request = CreateEnrolmentTokenRequest {
        operator: args.operator.clone(),
        role: Role::from(args.role).into(),
        tenants: args.tenant.iter().map(|name| full_name::<Tenant>(name)).collect(),
        ttl: Some(ttl),
        validate_only: args.change.dry_run,
        request_id: request_id(),
        reason: args.change.reason(),
    };
    // Not repeated by itself: a retry would get the token without its secret.
    let connection = shell.connect()?;
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
