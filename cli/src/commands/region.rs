//! `ssctl region`.

use clap::Subcommand;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{GetRegionRequest, ListRegionsRequest, Region},
};

use crate::{
    change::{Action, ChangeArgs, ForArgs, Given, Reply, act, send},
    errors::{Doing as _, Outcome},
    output::print_one,
    resource::{LimitArgs, call, full_name, list},
    shell::Shell,
    time::until,
};

mod noun;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the regions that the daemon serves
    List(LimitArgs),
    /// Show a region: the health of its parts, who leads it, and what stops it
    #[command(visible_aliases = ["get", "describe"])]
    Show(NameArg),
    /// Let nothing new start in the region: no tenant is created or brought back
    Cordon(Timed),
    /// End the region's cordon
    Uncordon(Plain),
    /// Stop the daemon's writes to the cluster, so that a hand can mend something
    Pause(Timed),
    /// End the region's pause before its time
    Unpause(Plain),
    /// Ask the leader to step down, so that another replica leads
    StepDown(Plain),
    /// The breaker on deletions that nobody asked for
    #[command(subcommand)]
    Breaker(Breaker),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Breaker {
    /// Show whether the breaker has tripped, and what tripped it
    #[command(visible_aliases = ["get", "describe"])]
    Show(NameArg),
    /// Let the daemon delete again after the breaker stopped it
    Release(Plain),
}

#[derive(Debug, clap::Args)]
pub(crate) struct NameArg {
    /// The region; the one that answers where it is not given
    name: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Plain {
    #[command(flatten)]
    region: NameArg,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Timed {
    #[command(flatten)]
    plain: Plain,
    #[command(flatten)]
    end: ForArgs,
}

/// What can be done to a region.
#[derive(Clone, Copy, Debug)]
enum Verb {
    Cordon,
    Uncordon,
    Pause,
    Unpause,
    StepDown,
    Release,
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List(LimitArgs { limit }) => {
            let regions = shell.read(async |connection| {
                list!(connection, limit, regions.list_regions, ListRegionsRequest {} => regions)
            });
            regions.await?.print_all(shell)
        }
        Command::Show(args) => {
            let name = args.full_name();
            let region = shell.read(async |connection| {
                get(connection, &name).await.doing(|| format!("show {}", spoken(&name)))
            });
            region.await?.print_one(shell)
        }
        Command::Cordon(args) => change(shell, Verb::Cordon, &args.plain, &args.end).await,
        Command::Uncordon(args) => change(shell, Verb::Uncordon, &args, &FOR_EVER).await,
        Command::Pause(args) => change(shell, Verb::Pause, &args.plain, &args.end).await,
        Command::Unpause(args) => change(shell, Verb::Unpause, &args, &FOR_EVER).await,
        Command::StepDown(args) => change(shell, Verb::StepDown, &args, &FOR_EVER).await,
        Command::Breaker(Breaker::Show(args)) => show_breaker(shell, &args.full_name()).await,
        Command::Breaker(Breaker::Release(args)) => {
            change(shell, Verb::Release, &args, &FOR_EVER).await
        }
    }
}

const FOR_EVER: ForArgs = ForArgs { lifetime: None };

impl NameArg {
    fn full_name(&self) -> String {
        full_name::<Region>(self.name.as_deref().unwrap_or("-"))
    }
}

/// A name as it is spoken of: `regions/-` is whichever answers.
fn spoken(name: &str) -> &str {
    if name == "regions/-" { "the region" } else { name }
}

async fn get(connection: &Connection, name: &str) -> Result<Region, ClientError> {
    let request = GetRegionRequest { name: name.to_owned() };
    call!(connection, regions.get_region(request))
}

async fn show_breaker(shell: &Shell, name: &str) -> Outcome {
    let doing = || format!("show the breaker of {}", spoken(name));
    let breaker = shell.read(async |connection| {
        Ok(get(connection, name).await.doing(doing)?.breaker.unwrap_or_default())
    });
    breaker.await?.print_answer(shell, noun::breaker, |breaker| Ok(to_value(breaker)?))
}

impl Verb {
    fn method(self) -> &'static str {
        match self {
            Self::Cordon => "RegionService.CordonRegion",
            Self::Uncordon => "RegionService.UncordonRegion",
            Self::Pause => "RegionService.PauseRegion",
            Self::Unpause => "RegionService.UnpauseRegion",
            Self::StepDown => "RegionService.StepDown",
            Self::Release => "RegionService.ReleaseBreaker",
        }
    }

    fn doing(self, name: &str) -> String {
        match self {
            Self::Cordon => format!("cordon {name}"),
            Self::Uncordon => format!("uncordon {name}"),
            Self::Pause => format!("pause {name}"),
            Self::Unpause => format!("unpause {name}"),
            Self::StepDown => format!("make the leader of {name} step down"),
            Self::Release => format!("release the breaker of {name}"),
        }
    }

    /// What no field of the region shows beforehand.
    fn effect(self) -> &'static str {
        match self {
            Self::StepDown => "the leader gives the lease back, and another replica leads",
            _ => "",
        }
    }

    fn done(self, shell: &Shell, region: &Region) -> String {
        let name = &region.name;
        let end = match self {
            Self::Cordon => region.cordon.as_ref().and_then(|cordon| cordon.expire_time.as_ref()),
            Self::Pause => region.pause.as_ref().and_then(|pause| pause.expire_time.as_ref()),
            _ => None,
        };
        let done = match self {
            Self::Cordon => format!("{name} is cordoned"),
            Self::Uncordon => format!("{name} is not cordoned any more"),
            Self::Pause => format!("{name} is paused: the daemon writes nothing to its cluster"),
            Self::Unpause => format!("{name} is not paused any more"),
            Self::StepDown => format!("the leader of {name} steps down"),
            Self::Release => format!("the breaker of {name} is released"),
        };
        format!("{done} {}", until(end, shell.now)).trim_end().to_owned()
    }

    async fn send(self, connection: &Connection, given: &Given) -> Result<Region, ClientError> {
        match self {
            Self::Cordon => {
                send!(connection, given, regions.cordon_region, CordonRegionRequest { ttl })
            }
            Self::Uncordon => {
                send!(connection, given, regions.uncordon_region, UncordonRegionRequest {})
            }
            Self::Pause => {
                send!(connection, given, regions.pause_region, PauseRegionRequest { ttl })
            }
            Self::Unpause => {
                send!(connection, given, regions.unpause_region, UnpauseRegionRequest {})
            }
            Self::StepDown => send!(connection, given, regions.step_down, StepDownRequest {}),
            Self::Release => {
                send!(connection, given, regions.release_breaker, ReleaseBreakerRequest {})
            }
        }
    }
}

impl Reply for Region {}

async fn change(shell: &Shell, verb: Verb, args: &Plain, end: &ForArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = args.region.full_name();
    let action = Action {
        method: verb.method(),
        doing: verb.doing(&name),
        name: name.clone(),
        lifetime: end.lifetime,
        effect: verb.effect(),
        ..Action::default()
    };
    let before = async || {
        let region = get(&connection, &name).await.doing(|| format!("show {name}"))?;
        Ok(to_value(&region)?)
    };
    let send = async |given: &Given| verb.send(&connection, given).await;
    let done = |region: &Region| verb.done(shell, region);
    let region = act(shell, &args.change, action, before, send, done).await?;
    print_one(shell, &region)
}
