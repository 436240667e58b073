//! The steps of a tenant's life: `ssctl tenant cordon|suspend|archive|pause …`.

use std::time::Duration;

use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{self, Consequence, Plan, Tenant, change_tenants_request::Change},
};

use super::{get, until_settled};
use crate::{
    bulk::{self, Bulk, Chosen, Selection},
    change::{Action, ChangeArgs, ForArgs, Given, Loss, MatchArgs, Reply, act, send},
    confirm::Question,
    errors::{Doing as _, Failure, Outcome},
    output::print_one,
    resource::{Noun as _, short},
    shell::Shell,
    time::{proto_duration, until},
};

/// A step in the life of one tenant or of several.
#[derive(Debug, clap::Args)]
pub(crate) struct Plain {
    /// The tenant; several become one operation, which the daemon carries on by itself
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    guard: MatchArgs,
    /// Wait until the cluster has the change; of several, until the operation is done
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    selection: Selection,
}

/// A step that can end by itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Timed {
    #[command(flatten)]
    plain: Plain,
    #[command(flatten)]
    end: ForArgs,
}

/// The steps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    Cordon,
    Uncordon,
    Suspend,
    Resume,
    Archive,
    Restore,
    Pause,
    Unpause,
}

impl Verb {
    fn method(self) -> &'static str {
        match self {
            Self::Cordon => "TenantService.CordonTenant",
            Self::Uncordon => "TenantService.UncordonTenant",
            Self::Suspend => "TenantService.SuspendTenant",
            Self::Resume => "TenantService.ResumeTenant",
            Self::Archive => "TenantService.ArchiveTenant",
            Self::Restore => "TenantService.RestoreTenant",
            Self::Pause => "TenantService.PauseTenant",
            Self::Unpause => "TenantService.UnpauseTenant",
        }
    }

    /// As in "cannot cordon", and as in "is cordoned".
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Cordon => ("cordon", "is cordoned"),
            Self::Uncordon => ("uncordon", "is not cordoned any more"),
            Self::Suspend => ("suspend", "is being suspended"),
            Self::Resume => ("resume", "is being resumed"),
            Self::Archive => ("archive", "is being archived"),
            Self::Restore => ("restore", "is being brought back"),
            Self::Pause => ("pause", "is paused"),
            Self::Unpause => ("unpause", "is not paused any more"),
        }
    }

    /// What a person who is asked should know is lost.
    fn loss(self) -> &'static str {
        match self {
            Self::Suspend => "nothing starts until it is resumed",
            Self::Archive => {
                "nothing starts until it is restored, and its data is kept for a time only"
            }
            _ => "",
        }
    }

    /// What is done to each of several.
    fn of_each(self, ttl: Option<prost_types::Duration>) -> Change {
        match self {
            Self::Cordon => Change::Cordon(v1::CordonTenantRequest { ttl, ..Default::default() }),
            Self::Uncordon => Change::Uncordon(v1::UncordonTenantRequest::default()),
            Self::Suspend => Change::Suspend(v1::SuspendTenantRequest::default()),
            Self::Resume => Change::Resume(v1::ResumeTenantRequest::default()),
            Self::Archive => Change::Archive(v1::ArchiveTenantRequest::default()),
            Self::Restore => Change::Restore(v1::RestoreTenantRequest::default()),
            Self::Pause => Change::Pause(v1::PauseTenantRequest { ttl, ..Default::default() }),
            Self::Unpause => Change::Unpause(v1::UnpauseTenantRequest::default()),
        }
    }

    async fn send(self, connection: &Connection, given: &Given) -> Result<Tenant, ClientError> {
        match self {
            Self::Cordon => {
                send!(connection, given, tenants.cordon_tenant, CordonTenantRequest { etag, ttl })
            }
            Self::Uncordon => {
                send!(connection, given, tenants.uncordon_tenant, UncordonTenantRequest { etag })
            }
            Self::Suspend => {
                send!(connection, given, tenants.suspend_tenant, SuspendTenantRequest { etag })
            }
            Self::Resume => {
                send!(connection, given, tenants.resume_tenant, ResumeTenantRequest { etag })
            }
            Self::Archive => {
                send!(connection, given, tenants.archive_tenant, ArchiveTenantRequest { etag })
            }
            Self::Restore => {
                send!(connection, given, tenants.restore_tenant, RestoreTenantRequest { etag })
            }
            Self::Pause => {
                send!(connection, given, tenants.pause_tenant, PauseTenantRequest { etag, ttl })
            }
            Self::Unpause => {
                send!(connection, given, tenants.unpause_tenant, UnpauseTenantRequest { etag })
            }
        }
    }

    /// What was done, and when it ends by itself.
    fn done(self, shell: &Shell, tenant: &Tenant) -> String {
        let end = match self {
            Self::Cordon => tenant.cordon_expire_time.as_ref(),
            Self::Pause => tenant.pause.as_ref().and_then(|pause| pause.expire_time.as_ref()),
            _ => None,
        };
        let (_, is) = self.words();
        format!("{} {is} {}", tenant.name, until(end, shell.now)).trim_end().to_owned()
    }
}

impl Reply for Tenant {
    fn consequences(&self) -> &[Consequence] {
        &self.consequences
    }
}

pub(super) async fn plain(shell: &Shell, verb: Verb, args: &Plain) -> Outcome {
    step(shell, verb, args, None).await
}

pub(super) async fn timed(shell: &Shell, verb: Verb, args: &Timed) -> Outcome {
    step(shell, verb, &args.plain, args.end.lifetime).await
}

async fn step(shell: &Shell, verb: Verb, args: &Plain, lifetime: Option<Duration>) -> Outcome {
    match args.selection.chosen(&args.names)? {
        Chosen::One(name) => one(shell, verb, args, &name, lifetime).await,
        Chosen::Many(many) => {
            no_etag(&args.guard)?;
            let change = verb.of_each(proto_duration(lifetime)?);
            let bulk = Bulk {
                verb: verb.words().0,
                loss: verb.loss(),
                change,
                many,
                args: &args.change,
                confirm: args.selection.confirmed(),
                wait: args.wait,
            };
            bulk::run(shell, bulk).await
        }
    }
}

/// Each tenant has an etag of its own, so one of several is a slip.
pub(crate) fn no_etag(guard: &MatchArgs) -> Outcome {
    match guard.if_match {
        None => Ok(()),
        Some(_) => Err(Failure::Usage {
            message: "--if-match is for one tenant".into(),
            next: "leave it out: each of several tenants has an etag of its own".into(),
        }),
    }
}

async fn one(
    shell: &Shell,
    verb: Verb,
    args: &Plain,
    name: &str,
    lifetime: Option<Duration>,
) -> Outcome {
    let name = name.to_owned();
    let confirm = args.selection.confirmed();
    let takes_away = !verb.loss().is_empty();
    let connection = if args.wait { shell.connect_to_wait()? } else { shell.connect()? };
    let doing = format!("{} {name}", verb.words().0);
    let what = if takes_away && !args.change.dry_run {
        let tenant = get(&connection, &name).await.doing(|| doing.clone())?;
        described(&tenant, verb.loss(), &connection)
    } else {
        String::new()
    };
    let loss = takes_away.then_some(Loss {
        args: &confirm,
        question: Question {
            what: &what,
            name: short(Tenant::PREFIX, &name),
            protected: connection.context().protected,
        },
    });
    let action = Action {
        method: verb.method(),
        doing: doing.clone(),
        name: name.clone(),
        etag: args.guard.etag(),
        lifetime,
        loss,
        ..Action::default()
    };
    let before = async || Ok(to_value(&get(&connection, &name).await.doing(|| doing.clone())?)?);
    let send = async |given: &Given| verb.send(&connection, given).await;
    let done = |tenant: &Tenant| verb.done(shell, tenant);
    let tenant = act(shell, &args.change, action, before, send, done).await?;
    let tenant = if args.wait { until_settled(shell, &connection, tenant).await? } else { tenant };
    print_one(shell, &tenant)
}

/// Whose loss it is, as a sentence.
pub(super) fn described(tenant: &Tenant, loss: &str, connection: &Connection) -> String {
    let context = connection.context();
    let region = if context.region.is_empty() {
        context.endpoint.to_string()
    } else {
        context.region.clone()
    };
    format!(
        "Tenant {} ({}, {} seats) in region {region}: {loss}.",
        short(Tenant::PREFIX, &tenant.name),
        short(Plan::PREFIX, &tenant.plan),
        tenant.seats,
    )
}
