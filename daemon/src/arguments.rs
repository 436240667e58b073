//! What `streamspaced` is called with.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use streamspace_core::{access::Role, ids::RegionId};
use streamspaced::{dev::load::LoadOptions, simulator::config::FaultConfig};

/// The StreamSpace control-plane daemon of one region.
#[derive(Parser)]
#[command(name = "streamspaced", version, about, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
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
    /// Write the manual pages.
    #[command(hide = true)]
    Man {
        /// Where to write them.
        folder: PathBuf,
    },
}

const DEFAULT_CONFIG: &str = "/etc/streamspace/streamspaced.toml";

#[derive(Args)]
pub(crate) struct InitArguments {
    /// The configuration file to read, or to write where it is not there.
    #[arg(long, default_value = DEFAULT_CONFIG, env = "STREAMSPACED_CONFIG")]
    pub(crate) config: PathBuf,
    /// The region, for a configuration that is written.
    #[arg(long, default_value = "local")]
    pub(crate) region: RegionId,
    /// A superuser's URL of the PostgreSQL server: makes the five logins and the database.
    /// Without it they must be there, as the configuration names them.
    #[arg(long, env = "STREAMSPACED_DATABASE_SUPERUSER", hide_env_values = true)]
    pub(crate) database_superuser: Option<String>,
    /// Leave the logins' passwords as they are, and write the URLs without any: for a server
    /// that asks for none, or that another region shares. Then add them to the file, or name
    /// their folder in database.passwords.
    #[arg(long, requires = "database_superuser")]
    pub(crate) keep_passwords: bool,
    /// The database, for a configuration that is written.
    #[arg(long, default_value = "streamspace")]
    pub(crate) database: String,
    /// Who the enrolment token is for.
    #[arg(long, default_value = "admin")]
    pub(crate) operator: String,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BackupArguments {
    #[command(subcommand)]
    pub(crate) command: Option<BackupCommand>,
    /// The configuration file.
    #[arg(long, default_value = DEFAULT_CONFIG, env = "STREAMSPACED_CONFIG")]
    pub(crate) config: PathBuf,
    /// The file that is written, or - for standard output. One that is there is not
    /// overwritten.
    #[arg(long, short, value_name = "FILE", required_unless_present = "folder")]
    pub(crate) output: Option<PathBuf>,
    /// A folder that it is written to, under a name of region and time.
    #[arg(long, conflicts_with = "output")]
    pub(crate) folder: Option<PathBuf>,
    /// How many of the region's backups stay in the folder; older ones are removed once the
    /// new one is whole.
    #[arg(long, requires = "folder", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: Option<u32>,
}

#[derive(Subcommand)]
pub(crate) enum BackupCommand {
    /// Read a backup from its beginning to its end, and tell what is in it.
    ///
    /// Fails where it is damaged, or where this program cannot restore it. Connects nowhere.
    Verify {
        /// The backup.
        file: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct RestoreArguments {
    /// The backup.
    pub(crate) file: PathBuf,
    /// The configuration file. Where it is not there, it is written as the backup has it; else
    /// the backup goes into the database that it names.
    #[arg(long, default_value = DEFAULT_CONFIG, env = "STREAMSPACED_CONFIG")]
    pub(crate) config: PathBuf,
    /// A superuser's URL of the PostgreSQL server: makes the five logins and the database.
    #[arg(long, env = "STREAMSPACED_DATABASE_SUPERUSER", hide_env_values = true)]
    pub(crate) database_superuser: Option<String>,
    /// The database that is made. [default: its name in the backup]
    #[arg(long)]
    pub(crate) database: Option<String>,
    /// Make another authority: every certificate ends, and everybody enrols again.
    #[arg(long)]
    pub(crate) new_authority: bool,
    /// Read the backup and look at what is there, tell what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
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
pub(crate) enum ClusterCommand {
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
pub(crate) struct DevArguments {
    /// Where everything is kept. [default: a folder for each region below the user's data
    /// folder]
    #[arg(long, env = "STREAMSPACED_DEV_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where to listen for clients. Port 0 takes any free one. [default: where it did before,
    /// else the first free port of 127.0.0.1 from 7443 on]
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// Where metrics and health are. [default: likewise, from 7480 on]
    #[arg(long)]
    pub(crate) http: Option<SocketAddr>,
    /// The cluster to manage. Without it, a built-in simulator.
    #[arg(long)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig.
    #[arg(long, requires = "kubeconfig")]
    pub(crate) kube_context: Option<String>,
    /// The name of the region.
    #[arg(long, default_value = "dev")]
    pub(crate) region: RegionId,
    /// The context that is made for ssctl. [default: the name of the region]
    #[arg(long)]
    pub(crate) context: Option<String>,
    /// A TOML file: [simulator] says how the simulator fails, [notify] who is told.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One way in which the simulator fails from the start on; repeat it. For example
    /// too-many-requests,verb=patch,resource=namespaces,percent=20,for=10m, with the keys verb,
    /// resource, namespace, object, percent, limit, latency, retry-after, seed and for.
    #[arg(long = "fault", value_name = "KIND[,KEY=VALUE]...", conflicts_with = "kubeconfig")]
    pub(crate) faults: Vec<FaultConfig>,
    /// Forget all that is in the data folder, and begin anew.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Make no sample tenants.
    #[arg(long)]
    pub(crate) no_samples: bool,
    #[command(flatten)]
    pub(crate) load: LoadOptions,
    /// What to log on standard error: a level, or directives.
    #[arg(long, default_value = "warn,kube_client=off")]
    pub(crate) log: String,
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text)
        .ok_or_else(|| "must be viewer, operator, admin, billing or auditor".to_owned())
}
