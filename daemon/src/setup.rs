//! What is done on the host: `streamspaced init`, `token create`, `cluster pin`,
//! `check-config` and `migrate`.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context as _;
use jiff::Timestamp;
use streamspace_core::{access::Role, ids::RegionId};

use crate::{
    access::{self, Authority, AuthorityFiles, Grant},
    config::{AccessConfig, Config},
    db::{
        Database, DatabaseConfig,
        migrate::{self, MigrateError},
    },
    kube::Cluster,
    platform::{
        manifests::Manifests,
        pin::{self, Pin},
    },
};

pub mod check;
pub mod schema;

const FIRST_TOKEN_LIFE: Duration = Duration::from_hours(1);
/// Who makes tokens on the host, in the database and in the audit log.
const HOST: &str = "host";

/// What `streamspaced init` is asked for.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// The configuration file to read, or to write where it is not there.
    pub config: PathBuf,
    /// The region, for a configuration that is written.
    pub region: RegionId,
    /// A superuser's URL, to make the logins and the database with.
    pub database_superuser: Option<String>,
    /// Whether the logins keep the passwords that they have, or their lack of any.
    pub keep_passwords: bool,
    /// The database, for a configuration that is written.
    pub database: String,
    /// Who the first token is for.
    pub operator: String,
}

/// What `streamspaced token create` is asked for.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    /// Who will use it.
    pub operator: String,
    /// What they may do.
    pub role: Role,
    /// How long it can be used.
    pub life: Duration,
}

/// Prepares a region: logins and schema in the database, the configuration file, the
/// authority, and one enrolment token. The authority comes last before the token, so
/// that a run that failed can be repeated until there is one. Gives what to tell the
/// person.
pub async fn init(options: &InitOptions) -> anyhow::Result<String> {
    let existing = options.config.exists().then(|| Config::read(&options.config)).transpose()?;
    let directory = match &existing {
        Some(config) => config.access.directory.clone(),
        None => beside(&options.config),
    };
    let files = AuthorityFiles::in_folder(&directory);
    anyhow::ensure!(
        !files.key.exists(),
        "{} exists: this region has its authority already, and a new one would lock everybody \
         out. `streamspaced token create` makes another way in",
        files.key.display()
    );
    let (database, access) = match (existing, &options.database_superuser) {
        (Some(config), None) => (config.database, config.access),
        (Some(_), Some(_)) => anyhow::bail!(
            "{} exists and names the database's logins. Leave --database-superuser out to use \
             them, or move the file away to have new ones made",
            options.config.display()
        ),
        (None, Some(superuser)) => {
            let made = make_logins(superuser, options).await?;
            write_config(options, &made, &directory)?;
            let config = Config::read(&options.config)?;
            (config.database, config.access)
        }
        (None, None) => anyhow::bail!(
            "{} is not there, and without --database-superuser the logins cannot be made. Give \
             one, for example --database-superuser 'postgres:///postgres?host=/run/postgresql', \
             or write the file with the five database URLs",
            options.config.display()
        ),
    };
    if let Err(error) = migrate::run(&database.owner).await {
        let error = anyhow::Error::from(error);
        return Err(match &options.database_superuser {
            None => error,
            Some(_) => error.context(format!(
                "{} is written, but there is no schema yet; mend what follows, then run init \
                 again without --database-superuser",
                options.config.display()
            )),
        });
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    Authority::create(&files, options.region.as_str(), Timestamp::now())?;
    let token = TokenOptions {
        operator: options.operator.clone(),
        role: Role::Admin,
        life: FIRST_TOKEN_LIFE,
    };
    let token = token_for(&database, &access, &token).await?;
    Ok(format!(
        "Region {} has its authority in {}.\nStart the daemon:\n  streamspaced run --config {}\n\
         Then, within an hour and once, on your own machine:\n  ssctl login HOST:7443 --token {}",
        options.region,
        directory.display(),
        options.config.display(),
        token
    ))
}

async fn make_logins(superuser: &str, options: &InitOptions) -> anyhow::Result<DatabaseConfig> {
    if options.keep_passwords {
        return Ok(migrate::setup(superuser, &options.database).await?);
    }
    match migrate::setup_with_passwords(superuser, &options.database).await {
        Err(error @ MigrateError::Shared(_)) => anyhow::bail!(
            "--database-superuser: {error}. With --keep-passwords the logins stay as they are and \
             the file is written without passwords, for you to add"
        ),
        made => Ok(made?),
    }
}

/// Makes a token on the host.
pub async fn create_token(config: &Config, options: &TokenOptions) -> anyhow::Result<String> {
    token_for(&config.database, &config.access, options).await
}

/// Accepts the cluster that is there as the database's, if `agrees` does after it is told
/// what that means. Gives what to tell the person.
pub async fn pin(config: &Config, agrees: impl FnOnce(&str) -> bool) -> anyhow::Result<String> {
    let cluster = Cluster::open(&config.cluster).await?;
    let manifests = Manifests::new(&config.cluster);
    let db = Database::connect(&config.database).await?;
    let result = async {
        let acting = cluster.acting(0)?;
        let seen = pin::look(&acting, &manifests).await.context(
            "the cluster cannot be looked at; is it prepared with `streamspaced cluster install`?",
        )?;
        let words = match pin::verify(&db, &acting, &manifests).await? {
            Pin::Pinned => return Ok("The cluster and the database know each other.".to_owned()),
            Pin::Fresh => "Neither knows of any; the daemon would pin them by itself.".to_owned(),
            Pin::Mismatch(blocked) => blocked.message,
        };
        let question = format!(
            "{words}\n\nCluster:   {}\nIts UID:   {}\nBelongs to: {}\nTenants:   {}\n\nOnce \
             accepted, the leader of region {} writes to it: tenants of this database are made \
             there, and namespaces that this database does not know are reported as orphaned and \
             left alone.",
            cluster.endpoint(),
            seen.kube_system_uid,
            seen.mark.as_deref().unwrap_or("no database"),
            if seen.has_tenants { "it has managed namespaces" } else { "none" },
            config.region,
        );
        anyhow::ensure!(
            agrees(&question),
            "nothing was changed; give --yes to accept the cluster without being asked"
        );
        pin::accept(&db, &cluster, &manifests).await?;
        Ok(format!("Accepted. Region {} manages {}.", config.region, cluster.endpoint()))
    }
    .await;
    db.close().await;
    result
}

async fn token_for(
    database: &DatabaseConfig,
    access: &AccessConfig,
    options: &TokenOptions,
) -> anyhow::Result<String> {
    let authority = Authority::open(&AuthorityFiles::in_folder(&access.directory))?;
    let grant =
        Grant { operator: options.operator.clone(), role: options.role, tenants: Vec::new() };
    let db = Database::connect(database).await?;
    let token =
        access::create_token(&db, authority.fingerprint(), &grant, HOST, options.life).await;
    db.close().await;
    Ok(token?.text)
}

/// The folder `access` beside the configuration file.
fn beside(config: &std::path::Path) -> PathBuf {
    config.parent().unwrap_or_else(|| std::path::Path::new(".")).join("access")
}

/// The file may hold passwords one day, so only its owner reads it.
fn write_config(
    options: &InitOptions,
    database: &DatabaseConfig,
    directory: &std::path::Path,
) -> anyhow::Result<()> {
    if let Some(parent) = options.config.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let text = format!(
        "# streamspaced, the StreamSpace control-plane daemon of one region.\n\
         region = {}\n\n[listen]\ngrpc = \"0.0.0.0:7443\"\nhttp = \"127.0.0.1:7480\"\n\n\
         # One login for each kind of work; none can take on another's rights.\n[database]\n\
         owner = {}\noperator = {}\ntenant = {}\naudit = {}\nmaintainer = {}\n\n\
         # Without a kubeconfig, the service account of the pod.\n[cluster]\n\
         # kubeconfig = \"/etc/streamspace/kubeconfig\"\n\
         # Once, and after each upgrade, as the cluster's administrator:\n\
         #   streamspaced cluster install --crds --kubeconfig FILE\n\
         instance = \"streamspace\"\n\n[access]\ndirectory = {}\n\
         # Host names and addresses that clients reach the daemon by.\n\
         names = [\"localhost\", \"127.0.0.1\"]\n\n[log]\nformat = \"json\"\nfilter = \"info,kube_client=off\"\n",
        quoted(options.region.as_str()),
        quoted(database.owner.expose()),
        quoted(database.operator.expose()),
        quoted(database.tenant.expose()),
        quoted(database.audit.expose()),
        quoted(database.maintainer.expose()),
        quoted(&std::path::absolute(directory)?.display().to_string()),
    );
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&options.config)
        .with_context(|| format!("cannot write {}", options.config.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}
