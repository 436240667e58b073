//! The nouns, one file each.

use clap::{Parser, Subcommand};

use crate::{
    errors::{Failure, Outcome},
    exit,
    shell::{Global, Shell},
};

mod access;
mod alert;
mod apply;
mod approval;
mod audit;
mod break_glass;
mod cert;
mod changes;
mod completion;
mod context;
mod diff;
mod doctor;
pub(crate) mod explain;
pub(crate) mod incident;
mod login;
mod maintenance;
mod man;
mod notify;
mod oncall;
pub(crate) mod operation;
mod operator;
mod plan;
mod quota;
mod region;
mod session;
mod silence;
mod simulator;
pub(crate) mod slo;
mod status;
mod stream;
mod template;
pub(crate) mod tenant;
mod token;
mod ui;
mod usage;
pub(crate) mod version;
mod whoami;

/// Run the StreamSpace control plane of a region: its tenants, access and health
#[derive(Debug, Parser)]
#[command(name = "ssctl", version, after_long_help = exit::TABLE, disable_help_subcommand = true)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tenants: the customers of a region
    #[command(subcommand, visible_alias = "tenants")]
    Tenant(tenant::Command),
    /// Plans: what customers buy
    #[command(subcommand, visible_alias = "plans")]
    Plan(plan::Command),
    /// Quotas: how much tenants may use
    #[command(subcommand, visible_alias = "quotas")]
    Quota(quota::Command),
    /// Sessions: the desktops and applications of users
    #[command(subcommand, visible_alias = "sessions")]
    Session(session::Command),
    /// Templates: what sessions are made of
    #[command(subcommand, visible_alias = "templates")]
    Template(template::Command),
    /// What tenants used, how well it is known, and why it is so
    #[command(subcommand)]
    Usage(usage::Command),
    /// Service level objectives, and what is left of their error budgets
    #[command(subcommand, visible_alias = "slos")]
    Slo(slo::Command),
    /// What the daemon alerts for
    #[command(subcommand, visible_alias = "alerts")]
    Alert(alert::Command),
    /// What goes wrong, who works on it, and what is written down of it
    #[command(subcommand, visible_alias = "incidents")]
    Incident(incident::Command),
    /// Who is on call, and who is paged after whom
    #[command(subcommand)]
    Oncall(oncall::Command),
    /// Times in which something may be down
    #[command(subcommand)]
    Maintenance(maintenance::Command),
    /// Alerts that page nobody for a time
    #[command(subcommand, visible_alias = "silences")]
    Silence(silence::Command),
    /// What is told to people and systems outside, and whether they got it
    #[command(subcommand)]
    Notify(notify::Command),
    /// Regions and their health
    #[command(subcommand, visible_alias = "regions")]
    Region(region::Command),
    /// Work that the daemon carries on by itself
    #[command(subcommand, visible_alias = "operations")]
    Operation(operation::Command),
    /// The live dashboard
    Ui(ui::Args),
    /// Make plans, tenants and quotas as files describe them
    Apply(apply::Args),
    /// Show what applying files would change; ends with 3 where something would
    Diff(diff::Args),
    /// How the regions are, on one screen: what needs a person, first
    ///
    /// Ends with 0 where all is well, with 11 where something needs a person, and with
    /// 10 where a region was not read. --all-contexts asks every region at once.
    Status,
    /// Who changed what: the last 24 hours where no time is given, newest first
    ///
    /// It is the audit log for people: one line a change, also what the daemon ended
    /// by itself. Renewals of certificates, which clients make by themselves, are left
    /// out; `ssctl audit list` has everything.
    Changes(changes::Args),
    /// The log of who did what
    #[command(subcommand)]
    Audit(audit::Command),
    /// Log in to a region with an enrolment token
    Login(login::Args),
    /// Who you are to the daemon
    Whoami,
    /// Who may call what
    #[command(subcommand)]
    Access(access::Command),
    /// Requests that wait for a second person
    #[command(subcommand, visible_alias = "approvals")]
    Approval(approval::Command),
    /// Take the role admin for a time, in an emergency
    ///
    /// It is told loudly, and another person reviews what was done.
    BreakGlass(break_glass::Args),
    /// People with a client certificate, and their locks
    #[command(subcommand, visible_alias = "operators")]
    Operator(operator::Command),
    /// The certificates that the region issued
    #[command(subcommand, visible_alias = "certs")]
    Cert(cert::Command),
    /// Enrolment tokens
    #[command(subcommand)]
    Token(token::Command),
    /// The regions that this machine is logged in to
    #[command(subcommand, visible_alias = "contexts")]
    Context(context::Command),
    /// Find what is wrong between here and the daemon, step by step
    ///
    /// Of this machine: the context file, variables, the terminal, completion. Of each
    /// context: keys, certificates, name, connection, TLS, the daemon's answer, versions,
    /// clocks, the time of an answer, the region's parts. It goes on as far as it can, and
    /// ends with 11 where a check failed; each tells what to do.
    Doctor,
    /// Explain a resource, a field or a method in the contract's own words
    Explain(explain::Args),
    /// The simulated cluster of a development region, which fails on demand
    #[command(subcommand)]
    Simulator(simulator::Command),
    /// Print a completion script for a shell
    Completion(completion::Args),
    /// Print the version of this program, or verify what was downloaded
    Version(version::Args),
    /// Write the manual pages
    #[command(hide = true)]
    Man(man::Args),
}

/// Runs a command to its end.
pub(crate) fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::Version(args) => version::verify(shell, &args),
        Command::Completion(args) => completion::run(shell, &args),
        Command::Man(args) => man::run(&args),
        Command::Explain(args) => explain::run(shell, &args),
        Command::Context(command) => context::run(shell, command),
        // The dashboard listens to signals itself, and draws on a thread of its own. One more
        // would read ahead of it, and hold what it read.
        Command::Ui(args) => {
            let runtime = runtime(&mut tokio::runtime::Builder::new_current_thread())?;
            let outcome = runtime.block_on(ui::run(shell, args));
            runtime.shutdown_background();
            outcome
        }
        command => online(run_online(shell, command)),
    }
}

async fn run_online(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::Tenant(command) => tenant::run(shell, command).await,
        Command::Plan(command) => plan::run(shell, command).await,
        Command::Session(command) => session::run(shell, command).await,
        Command::Template(command) => template::run(shell, command).await,
        Command::Usage(command) => usage::run(shell, command).await,
        Command::Slo(command) => slo::run(shell, command).await,
        Command::Alert(command) => alert::run(shell, command).await,
        Command::Incident(command) => incident::run(shell, command).await,
        Command::Oncall(command) => oncall::run(shell, command).await,
        Command::Maintenance(command) => maintenance::run(shell, command).await,
        Command::Silence(command) => silence::run(shell, command).await,
        Command::Notify(command) => notify::run(shell, command).await,
        Command::Region(command) => region::run(shell, command).await,
        Command::Operation(command) => operation::run(shell, command).await,
        Command::Apply(args) => apply::run(shell, args).await,
        Command::Diff(args) => diff::run(shell, args).await,
        Command::Status => status::run(shell).await,
        Command::Changes(args) => changes::run(shell, args).await,
        Command::Audit(command) => audit::run(shell, command).await,
        Command::Doctor => doctor::run(shell).await,
        Command::Login(args) => login::run(shell, args).await,
        Command::Whoami => whoami::run(shell).await,
        Command::Access(command) => access::run(shell, command).await,
        Command::Quota(command) => quota::run(shell, command).await,
        Command::Approval(command) => approval::run(shell, command).await,
        Command::BreakGlass(args) => break_glass::run(shell, args).await,
        Command::Operator(command) => operator::run(shell, command).await,
        Command::Cert(command) => cert::run(shell, command).await,
        Command::Token(command) => token::run(shell, command).await,
        Command::Simulator(command) => simulator::run(shell, command).await,
        // They need no daemon and never come here.
        Command::Version(_)
        | Command::Completion(_)
        | Command::Man(_)
        | Command::Explain(_)
        | Command::Context(_)
        | Command::Ui(_) => Ok(()),
    }
}

/// Runs what needs the network, until it is done or Ctrl-C.
fn online(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = runtime(&mut tokio::runtime::Builder::new_current_thread())?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
        }
    });
    // A keyring or a prompt that still waits must not hold up the end.
    runtime.shutdown_background();
    outcome
}

fn runtime(builder: &mut tokio::runtime::Builder) -> Outcome<tokio::runtime::Runtime> {
    builder.enable_all().build().map_err(|error| Failure::Local {
        message: format!("cannot start: {error}"),
        next: "check the limits of this machine with `ulimit -a`".into(),
    })
}
