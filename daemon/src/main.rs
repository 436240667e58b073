//! `streamspaced`: arguments, then configuration, then the region.

use std::{
    io::IsTerminal as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use streamspace_core::{access::Role, ids::RegionId};
use streamspaced::{
    backup::{self, BackupOptions, RestoreOptions, Target},
    config::Config,
    dev::{
        load::LoadOptions,
        mode::{self, DevOptions},
    },
    kube::{Cluster, ClusterConfig},
    platform::{
        install::{self, InstallOptions},
        manifests::Manifests,
    },
    region,
    setup::{self, InitOptions, TokenOptions, check, schema},
    simulator::config::{DevConfig, FaultConfig},
    systemd::{Handed, Manager, activation},
    telemetry::logs,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

/// Lists and caches are many small pieces, made and dropped by several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The StreamSpace control-plane daemon of one region.
#[derive(Parser)]
#[command(name = "streamspaced", version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon.
    Run {
        /// The configuration file.
        #[arg(long, default_value = DEFAULT_CONFIG, env = "STREAMSPACED_CONFIG")]
        config: PathBuf,
    },
    /// Tell what is wrong with the configuration file and the files that it names.
    ///
    /// Connects nowhere. Each fault is a line with its field and what to do; exits with 1
    /// where there is one.
    CheckConfig {
        /// The configuration file.
        #[arg(long, default_value = DEFAULT_CONFIG, env = "STREAMSPACED_CONFIG")]
        config: PathBuf,
    },
    /// Bring the schema of the database up to date, before a new version starts.
    ///
    /// A start does the same. It can be repeated, and several wait for each other.
    Migrate {
        /// The configuration file.
        #[arg(long, default_value = DEFAULT_CONFIG, env = "STREAMSPACED_CONFIG")]
        config: PathBuf,
        /// Tell which migrations would run, and run none.
        #[arg(long)]
        plan: bool,
    },
    /// Make the authority of a region, prepare its database, and print one enrolment token.
    ///
    /// Writes the configuration file where it is not there yet. Refuses where the region
    /// has an authority already.
    Init(InitArguments),
    /// Put the region's own state into one file: its database, configuration and authority.
    ///
    /// Works while the daemon serves, with the configuration's logins. The file holds what
    /// makes its reader an admin, so it is for its owner alone; encrypt it where it is kept.
    Backup(BackupArguments),
    /// Make a region out of a backup, on an empty machine.
    ///
    /// Reads the whole backup before anything is done, refuses where something is already, and
    /// can be run again wherever it was broken off. The region is paused afterwards.
    Restore(RestoreArguments),
    /// One-time enrolment tokens, made on the host: the way in when everyone is locked out.
    #[command(subcommand)]
    Token(TokenCommand),
    /// What the daemon needs in its cluster.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Run a whole region on this machine, for trying things out.
    ///
    /// Starts a private PostgreSQL, makes an authority, a context for ssctl and three sample
    /// tenants, and manages the cluster of --kubeconfig, or a built-in simulator.
    Dev(DevArguments),
}

const DEFAULT_CONFIG: &str = "/etc/streamspace/streamspaced.toml";

#[derive(Args)]
struct InitArguments {
    /// The configuration file to read, or to write where it is not there.
    #[arg(long, default_value = DEFAULT_CONFIG, env = "STREAMSPACED_CONFIG")]
    config: PathBuf,
    /// The region, for a configuration that is written.
    #[arg(long, default_value = "local")]
    region: RegionId,
    /// A superuser's URL of the PostgreSQL server: makes the five logins and the database.
    /// Without it they must be there, as the configuration names them.
    #[arg(long, env = "STREAMSPACED_DATABASE_SUPERUSER", hide_env_values = true)]
    database_superuser: Option<String>,
    /// The database, for a configuration that is written.
    #[arg(long, default_value = "streamspace")]
    database: String,
    /// Who the enrolment token is for.
    #[arg(long, default_value = "admin")]
    operator: String,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
struct BackupArguments {
    #[command(subcommand)]
    command: Option<BackupCommand>,
    /// The configuration file.
    #[arg(long, default_value = DEFAULT_CONFIG, env = "STREAMSPACED_CONFIG")]
    config: PathBuf,
    /// The file that is written, or - for standard output. One that is there is not
    /// overwritten.
    #[arg(long, short, value_name = "FILE", required_unless_present = "folder")]
    output: Option<PathBuf>,
    /// A folder that it is written to, under a name of region and time.
    #[arg(long, conflicts_with = "output")]
    folder: Option<PathBuf>,
    /// How many of the region's backups stay in the folder; older ones are removed once the
    /// new one is whole.
    #[arg(long, requires = "folder", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
}

#[derive(Subcommand)]
enum BackupCommand {
    /// Read a backup from its beginning to its end, and tell what is in it.
    ///
    /// Fails where it is damaged, or where this program cannot restore it. Connects nowhere.
    Verify {
        /// The backup.
        file: PathBuf,
    },
}

#[derive(Args)]
struct RestoreArguments {
    /// The backup.
    file: PathBuf,
    /// The configuration file. Where it is not there, it is written as the backup has it; else
    /// the backup goes into the database that it names.
    #[arg(long, default_value = DEFAULT_CONFIG, env = "STREAMSPACED_CONFIG")]
    config: PathBuf,
    /// A superuser's URL of the PostgreSQL server: makes the five logins and the database.
    #[arg(long, env = "STREAMSPACED_DATABASE_SUPERUSER", hide_env_values = true)]
    database_superuser: Option<String>,
    /// The database that is made. [default: its name in the backup]
    #[arg(long)]
    database: Option<String>,
    /// Make another authority: every certificate ends, and everybody enrols again.
    #[arg(long)]
    new_authority: bool,
    /// Read the backup and look at what is there, tell what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make a token and print it.
    Create {
        /// The configuration file.
        #[arg(long, default_value = DEFAULT_CONFIG, env = "STREAMSPACED_CONFIG")]
        config: PathBuf,
        /// Who will use it: the name in the certificate.
        #[arg(long)]
        operator: String,
        /// What they may do: viewer, operator, admin, billing or auditor.
        #[arg(long, default_value = "admin", value_parser = role)]
        role: Role,
        /// How long the token can be used, for example 30m; at most 7d.
        #[arg(long = "for", default_value = "1h")]
        life: jiff::SignedDuration,
    },
}

#[derive(Subcommand)]
enum ClusterCommand {
    /// Prepare a cluster, as its administrator: rights, fences, and the control namespace.
    ///
    /// It can be repeated, and is, after each upgrade. The daemon needs none of these
    /// rights itself.
    Install {
        /// The configuration file.
        #[arg(long, default_value = DEFAULT_CONFIG, env = "STREAMSPACED_CONFIG")]
        config: PathBuf,
        /// An administrator's kubeconfig. [default: the one of the configuration]
        #[arg(long)]
        kubeconfig: Option<PathBuf>,
        /// The context in the kubeconfig.
        #[arg(long)]
        kube_context: Option<String>,
        /// Install the definitions of sessions and templates too.
        #[arg(long)]
        crds: bool,
        /// Print the objects as YAML and ask no cluster.
        #[arg(long, conflicts_with = "dry_run")]
        print: bool,
        /// Tell what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Accept the cluster that is there as this database's.
    ///
    /// For a daemon that writes nothing because the cluster or the database is not the one
    /// that it knew. Shows what is accepted, and asks.
    Pin {
        /// The configuration file.
        #[arg(long, default_value = DEFAULT_CONFIG, env = "STREAMSPACED_CONFIG")]
        config: PathBuf,
        /// Accept without being asked.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args)]
struct DevArguments {
    /// Where everything is kept. [default: a folder for each region below the user's data
    /// folder]
    #[arg(long, env = "STREAMSPACED_DEV_DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen for clients. Port 0 takes any free one. [default: where it did before,
    /// else the first free port of 127.0.0.1 from 7443 on]
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where metrics and health are. [default: likewise, from 7480 on]
    #[arg(long)]
    http: Option<SocketAddr>,
    /// The cluster to manage. Without it, a built-in simulator.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig.
    #[arg(long, requires = "kubeconfig")]
    kube_context: Option<String>,
    /// The name of the region.
    #[arg(long, default_value = "dev")]
    region: RegionId,
    /// The context that is made for ssctl. [default: the name of the region]
    #[arg(long)]
    context: Option<String>,
    /// A TOML file: [simulator] says how the simulator fails, [notify] who is told.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One way in which the simulator fails from the start on; repeat it. For example
    /// too-many-requests,verb=patch,resource=namespaces,percent=20,for=10m, with the keys verb,
    /// resource, namespace, object, percent, limit, latency, retry-after, seed and for.
    #[arg(long = "fault", value_name = "KIND[,KEY=VALUE]...", conflicts_with = "kubeconfig")]
    faults: Vec<FaultConfig>,
    /// Forget all that is in the data folder, and begin anew.
    #[arg(long)]
    fresh: bool,
    /// Make no sample tenants.
    #[arg(long)]
    no_samples: bool,
    #[command(flatten)]
    load: LoadOptions,
    /// What to log on standard error: a level, or directives.
    #[arg(long, default_value = "warn,kube_client=off")]
    log: String,
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text)
        .ok_or_else(|| "must be viewer, operator, admin, billing or auditor".to_owned())
}

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
    eprintln!("streamspaced: {error:#}");
    ExitCode::FAILURE
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
