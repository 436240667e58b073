//! `ssctl login`.

use std::{
    fs,
    io::{self, Read as _},
};

use streamspace_client::{
    Address, Connection,
    enrol::{Enrolment, enrol},
};
use streamspace_proto::token::EnrolmentToken;

use super::whoami;
use crate::{
    errors::{Doing as _, Failure, Outcome},
    shell::Shell,
};

/// A token is shorter; more is no token.
const LONGEST_INPUT: u64 = 4096;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the daemon is; the port is 7443 where it is not given
    #[arg(value_name = "HOST[:PORT]")]
    host: Address,
    /// The enrolment token, or - to read it from standard input
    #[arg(long, env = "SSCTL_TOKEN", hide_env_values = true)]
    token: String,
    /// Ask for names before destructive work in this context, even with --yes
    #[arg(long)]
    protected: bool,
}

/// Trades a token for keys, keeps them, and makes their context current.
pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    let token = EnrolmentToken::parse(&read_token(args.token)?).doing(|| "log in".into())?;
    let enrolment = Enrolment {
        endpoint: args.host.clone(),
        token,
        context: shell.named_context()?.map(str::to_owned),
        device_name: device_name(),
        protected: args.protected,
    };
    let options = shell.options();
    let context = enrol(enrolment, &shell.environment, &options)
        .await
        .doing(|| format!("log in to {}", args.host))?;
    shell.talk(&format!("keys are in: {}", context.credential));
    shell.talk(&format!("context {} is now current", context.name));
    // The first use of the certificate shows that it works.
    let connection = Connection::open(&context, &options)?;
    let who = whoami::ask(&connection).await.doing(|| "use the new certificate".into())?;
    let reach = whoami::reach(&who.tenants);
    shell.talk(&format!(
        "logged in to region {} as {} ({}, {reach})",
        context.region, who.operator, who.role_name
    ));
    Ok(())
}

fn read_token(given: String) -> Outcome<String> {
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    io::stdin().lock().take(LONGEST_INPUT).read_to_string(&mut text).map_err(|error| {
        Failure::Local {
            message: format!("cannot read the token from standard input: {error}"),
            next: "give it with --token or in SSCTL_TOKEN".into(),
        }
    })?;
    Ok(text)
}

/// What the list of devices calls this machine.
fn device_name() -> String {
    let file = |path| fs::read_to_string(path).ok();
    let variable = || std::env::var("HOSTNAME").or_else(|_| std::env::var("COMPUTERNAME")).ok();
    file("/proc/sys/kernel/hostname")
        .or_else(|| file("/etc/hostname"))
        .or_else(variable)
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unnamed".into())
}
