//! `streamspaced`: arguments, then configuration, then the region.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Parser as _;
use streamspace_core::ids::RegionId;
use streamspaced::{
    backup::{self, BackupOptions, RestoreOptions, Target},
    config::Config,
    dev::mode::{self, DevOptions},
    kube::{Cluster, ClusterConfig},
    platform::{
        install::{self, InstallOptions},
        manifests::Manifests,
    },
    region,
    setup::{self, InitOptions, TokenOptions, check, schema},
    simulator::config::DevConfig,
    systemd::{Handed, Manager, activation},
    telemetry::logs,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::arguments::{
    Arguments, BackupArguments, BackupCommand, ClusterCommand, Command, DevArguments,
    InitArguments, TokenCommand,
};

mod arguments;
mod manual;

/// Lists and caches are many small pieces, made and dropped by several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Before there are threads, since it changes the environment.
    let handed = match arguments.command {
        Command::Run { .. } => activation::take(),
        _ => Ok(Handed::default()),
    };
    let handed = match handed {
        Ok(handed) => handed,
        Err(error) => return fail(&error.into()),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    match runtime.block_on(execute(arguments.command, handed)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a program goes to standard error")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("streamspaced: {}", in_one_line(error));
    ExitCode::FAILURE
}

/// An error and its causes, without the causes that it tells already.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line += ": ";
            line += &cause;
        }
    }
    line
}

async fn execute(command: Command, handed: Handed) -> anyhow::Result<()> {
    match command {
        Command::Run { config } => run(config, handed).await,
        Command::CheckConfig { config } => check_config(&config).await,
        Command::Migrate { config, plan } => {
            let config = Config::read(&config)?;
            let said = if plan { schema::plan(&config).await } else { schema::run(&config).await };
            said.map(|said| print(&said))
        }
        Command::Init(arguments) => init(arguments).await,
        Command::Backup(arguments) => back_up(arguments).await,
        Command::Restore(arguments) => {
            let options = RestoreOptions {
                file: arguments.file,
                config: arguments.config,
                database_superuser: arguments.database_superuser,
                database: arguments.database,
                new_authority: arguments.new_authority,
                dry_run: arguments.dry_run,
            };
            print(&backup::restore(&options, tell).await?);
            Ok(())
        }
        Command::Token(TokenCommand::Create { config, operator, role, life }) => {
            let config = Config::read(&config)?;
            let life = life.try_into().context("--for: must not be negative")?;
            let token =
                setup::create_token(&config, &TokenOptions { operator, role, life }).await?;
            print(&token);
            Ok(())
        }
        Command::Cluster(command) => cluster(command).await,
        Command::Man { folder } => crate::manual::write(&folder),
        Command::Dev(arguments) => mode::run(dev_options(arguments)?, stop_on_signals()?).await,
    }
}

async fn back_up(arguments: BackupArguments) -> anyhow::Result<()> {
    if let Some(BackupCommand::Verify { file }) = arguments.command {
        print(&backup::verify(&file)?);
        return Ok(());
    }
    let to = match (arguments.output, arguments.folder) {
        (Some(file), _) if file == Path::new("-") => Target::Stdout,
        (Some(file), _) => Target::File(file),
        (None, Some(folder)) => Target::Folder { folder, keep: arguments.keep },
        (None, None) => anyhow::bail!("--output: name the file, or give --folder"),
    };
    let options = BackupOptions { config: arguments.config, to };
    let said = backup::create(&options, tell).await?;
    // Standard output may be the backup.
    tell(&said);
    Ok(())
}

/// How far it is goes to standard error.
#[expect(clippy::print_stderr, reason = "what is told meanwhile is not the answer")]
fn tell(words: &str) {
    eprintln!("{words}");
}

async fn run(path: PathBuf, handed: Handed) -> anyhow::Result<()> {
    // From the start on: a hangup ends a process that has not asked for it.
    let asked = reload_on_hangup()?;
    let (config, fields) = Config::read_with_fields(&path)?;
    let filter = logs::start(&config.log).map_err(anyhow::Error::msg)?;
    let cluster = Cluster::open(&config.cluster).await?;
    let brought = region::Brought {
        grpc: handed.grpc,
        http: handed.http,
        manager: Manager::from_env(),
        reloads: Some(region::Reloads { path, fields, filter, asked }),
        ..region::Brought::default()
    };
    Ok(region::run(config, cluster, brought, None, stop_on_signals()?).await?)
}

async fn check_config(path: &Path) -> anyhow::Result<()> {
    let faults = check::check(path).await;
    for fault in &faults {
        print(fault);
    }
    match faults.len() {
        0 => print(&format!("{}: no fault", path.display())),
        1 => anyhow::bail!("{}: 1 fault", path.display()),
        more => anyhow::bail!("{}: {more} faults", path.display()),
    }
    Ok(())
}

fn dev_options(arguments: DevArguments) -> anyhow::Result<DevOptions> {
    let config = match &arguments.config {
        Some(path) => DevConfig::read(path)?,
        None => DevConfig::default(),
    };
    let mut faults = config.simulator.faults;
    if !faults.is_empty() && arguments.kubeconfig.is_some() {
        anyhow::bail!(
            "simulator.faults: --kubeconfig names a real cluster, which nobody makes fail; leave \
             one of both out"
        );
    }
    faults.extend(arguments.faults);
    let region = arguments.region;
    Ok(DevOptions {
        data_dir: arguments.data_dir.map_or_else(|| default_dev_dir(&region), Ok)?,
        listen: arguments.listen,
        http: arguments.http,
        cluster: ClusterConfig {
            kubeconfig: arguments.kubeconfig,
            context: arguments.kube_context,
            ..ClusterConfig::default()
        },
        context: arguments.context.unwrap_or_else(|| region.to_string()),
        faults,
        notify: config.notify,
        load: arguments.load,
        region,
        samples: !arguments.no_samples,
        fresh: arguments.fresh,
        log_filter: arguments.log,
    })
}

async fn cluster(command: ClusterCommand) -> anyhow::Result<()> {
    match command {
        ClusterCommand::Install { config, crds, print: true, .. } => {
            let config = Config::read(&config)?;
            print(install::print(&Manifests::new(&config.cluster), crds)?.trim_end());
            Ok(())
        }
        ClusterCommand::Install { config, kubeconfig, kube_context, crds, dry_run, .. } => {
            let mut config = Config::read(&config)?.cluster;
            if kubeconfig.is_some() {
                config.kubeconfig = kubeconfig;
                config.context = None;
            }
            config.context = kube_context.or(config.context);
            let cluster = Cluster::open(&config).await?;
            let options = InstallOptions { definitions: crds, dry_run };
            install::install(&cluster, &Manifests::new(&config), options, print).await?;
            Ok(())
        }
        ClusterCommand::Pin { config, yes } => {
            let config = Config::read(&config)?;
            setup::pin(&config, |question| yes || ask(question)).await.map(|said| print(&said))
        }
    }
}

/// Asks whoever sits at the terminal. Without one the answer is no.
fn ask(question: &str) -> bool {
    print(question);
    if !std::io::stdin().is_terminal() {
        return false;
    }
    print("Type yes to accept:");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}

async fn init(arguments: InitArguments) -> anyhow::Result<()> {
    let options = InitOptions {
        config: arguments.config,
        region: arguments.region,
        database_superuser: arguments.database_superuser,
        keep_passwords: arguments.keep_passwords,
        database: arguments.database,
        operator: arguments.operator,
    };
    print(&setup::init(&options).await?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer of a command goes to standard output")]
fn print(text: &str) {
    println!("{text}");
}

/// Root's own folder is closed to the unprivileged user that PostgreSQL runs as.
fn default_dev_dir(region: &RegionId) -> anyhow::Result<PathBuf> {
    let name = match region.as_str() {
        "dev" => "streamspace-dev".to_owned(),
        other => format!("streamspace-dev-{other}"),
    };
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| home.as_ref().map(|home| home.join(".local/share")));
    let is_root = home.as_deref() == Some(std::path::Path::new("/root"));
    if is_root {
        return Ok(PathBuf::from("/var/lib").join(name));
    }
    let data = data.context("neither HOME nor XDG_DATA_HOME is set; give --data-dir")?;
    Ok(data.join(name))
}

/// SIGTERM and SIGINT stop in order; a second one ends at once.
fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let cancelled = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if cancelled.is_cancelled() {
                std::process::exit(130);
            }
            cancelled.cancel();
        }
    });
    Ok(stop)
}

/// SIGHUP asks for a reload. Several that come while one is under way ask for one more.
fn reload_on_hangup() -> anyhow::Result<mpsc::Receiver<()>> {
    let (ask, asked) = mpsc::channel(1);
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            // Where it is full, one is asked for already.
            let _asked = ask.try_send(());
        }
    });
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::in_one_line;

    #[test]
    fn each_cause_is_told_once() {
        let error = anyhow!("no such login").context("refused (no such login)").context("init");
        assert_eq!(in_one_line(&error), "init: refused (no such login)");
        assert_eq!(in_one_line(&anyhow!("inner").context("outer")), "outer: inner");
    }
}
