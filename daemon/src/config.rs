//! The configuration file of the daemon.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Deserialize;
use streamspace_core::ids::RegionId;
use thiserror::Error;

mod fields;
pub mod reference;

pub use fields::Fields;

use crate::{
    db::DatabaseConfig,
    kube::ClusterConfig,
    notify::config::NotifyConfig,
    sessions::config::SessionConfig,
    slo::config::SloConfig,
    telemetry::logs::LogConfig,
    tenants::{breaker::BreakerConfig, manifests::NetworkConfig},
    usage::config::UsageConfig,
};

/// What `streamspaced run` reads from its TOML file. The comments of this type and of its
/// parts are the reference in `docs/reference/configuration.md`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The region that this daemon serves, for example `us-east-1`: a DNS label of 3 to 40
    /// characters that begins with a letter.
    #[schemars(with = "String")]
    pub region: RegionId,
    /// The name of this replica, unique in the region.
    #[serde(default = "host_name")]
    #[schemars(extend("x-default" = "the host's name"))]
    pub replica: String,
    /// Where it listens.
    #[serde(default)]
    pub listen: ListenConfig,
    /// One PostgreSQL URL for each login: `postgres://LOGIN:PASSWORD@HOST:5432/DATABASE`, or
    /// `postgres://LOGIN@localhost/DATABASE?host=/FOLDER` for a Unix socket.
    pub database: DatabaseConfig,
    /// The cluster that it manages.
    #[serde(default)]
    pub cluster: ClusterConfig,
    /// The region's authority, and the daemon's own certificate.
    #[serde(default)]
    pub access: AccessConfig,
    /// What becomes of tenants in the cluster.
    #[serde(default)]
    pub tenants: TenantConfig,
    /// How sessions are reconciled and admitted.
    #[serde(default)]
    pub sessions: SessionConfig,
    /// How long usage is kept, and what measures it.
    #[serde(default)]
    pub usage: UsageConfig,
    /// How service level objectives are measured.
    #[serde(default)]
    pub slo: SloConfig,
    /// Who is told, and who may tell the daemon.
    #[serde(default)]
    pub notify: NotifyConfig,
    /// Logs go to standard error.
    #[serde(default)]
    pub log: LogConfig,
}

/// The name of this host.
pub fn host_name() -> String {
    let from_kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = std::env::var("HOSTNAME").ok().or_else(from_kernel).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "streamspaced".into() } else { name.to_owned() }
}

/// Where the daemon listens.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListenConfig {
    /// gRPC over mutual TLS.
    pub grpc: SocketAddr,
    /// `/metrics`, `/livez` and `/readyz` over plain HTTP. Keep it on a private address.
    pub http: SocketAddr,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            grpc: SocketAddr::from(([0, 0, 0, 0], 7443)),
            http: SocketAddr::from(([127, 0, 0, 1], 7480)),
        }
    }
}

/// Certificates.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// The folder of the authority, which `streamspaced init` fills: `ca.pem`, `ca.key`,
    /// `trust.pem`. All replicas share the same content.
    pub directory: PathBuf,
    /// Host names and addresses that clients reach the daemon by. They go into its
    /// certificate. A reload takes them up.
    pub names: Vec<String>,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/etc/streamspace/access"),
            names: vec!["localhost".into(), "127.0.0.1".into(), "::1".into()],
        }
    }
}

/// What becomes of tenants in the cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TenantConfig {
    /// The namespace of tenant `acme` is this and `acme`. 1 to 23 lower-case letters, digits
    /// and hyphens, a letter first. A tenant keeps the namespace that it was created with.
    pub namespace_prefix: String,
    /// How many tenants the leader works on at once, 1 to 256.
    pub workers: usize,
    /// How often the leader looks at all tenants, 1 to 86400 and up to a fifth more, beside
    /// what changes and the cluster's watches tell. Such a look is one query and no call to
    /// the cluster.
    pub resync_seconds: u32,
    /// The breaker on deletions that nobody asked for. All replicas need the same.
    pub breaker: BreakerConfig,
    /// What the cluster's network is like, and what tenants reach of it.
    pub network: NetworkConfig,
}

impl Default for TenantConfig {
    fn default() -> Self {
        Self {
            namespace_prefix: "tenant-".into(),
            workers: 16,
            resync_seconds: 300,
            breaker: BreakerConfig::default(),
            network: NetworkConfig::default(),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}. `streamspaced init` writes one")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}: {message}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The place and the fault.
        message: String,
    },
}

/// What the configuration of a region that manages a real cluster cannot have.
const NO_SIMULATOR: &str = "simulator: a region that is run for good manages a real cluster, which \
                            nobody makes fail; leave the section out here, and give it to \
                            `streamspaced dev --config`";

impl Config {
    /// Reads and checks a configuration file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::read_with_fields(path).map(|(config, _)| config)
    }

    /// As [`Config::read`], and what stands in the file, to tell later what changed.
    pub fn read_with_fields(path: &Path) -> Result<(Self, Fields), ConfigError> {
        let (mut config, fields) = Self::parse(path)?;
        let invalid = |message: String| ConfigError::Invalid { path: path.into(), message };
        if let Some(message) = config.faults().into_iter().next() {
            return Err(invalid(message));
        }
        config.database.read_passwords().map_err(invalid)?;
        Ok((config, fields))
    }

    /// Reads a configuration file, and does not look for [`Config::faults`].
    pub fn parse(path: &Path) -> Result<(Self, Fields), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.into(), source })?;
        let invalid = |message: String| ConfigError::Invalid { path: path.into(), message };
        let config: Self = toml::from_str(&text).map_err(|error| {
            let table = text.parse::<toml::Table>().ok();
            if table.is_some_and(|table| table.contains_key("simulator")) {
                return invalid(NO_SIMULATOR.into());
            }
            invalid(error.to_string())
        })?;
        let fields = Fields::of(&text).map_err(|error| invalid(error.to_string()))?;
        Ok((config, fields))
    }

    /// Every key with its default and what it is, for the reference: a JSON schema, its
    /// parts written out.
    pub fn schema() -> serde_json::Value {
        let settings = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<Self>().to_value()
    }

    /// What a type alone does not refuse: the fault of each section, which begins with its
    /// key. Files that are named are read.
    pub fn faults(&self) -> Vec<String> {
        let within = |section: &str, checked: Result<(), String>| {
            checked.map_err(|message| format!("{section}.{message}"))
        };
        let checked = [
            self.tenants.check(),
            within("tenants.breaker", self.tenants.breaker.check()),
            within("tenants.network", self.tenants.network.check()),
            self.cluster.check(),
            self.sessions.check(),
            self.usage.check(),
            self.slo.check(),
            self.log.check(),
            self.access.check(),
        ];
        let faults = checked.into_iter().filter_map(Result::err);
        faults.chain(self.notify.faults()).collect()
    }
}

impl Config {
    /// Files with secrets that others gave us: the key that names each, and where it is.
    pub fn foreign_files(&self) -> Vec<(String, PathBuf)> {
        let mut files = Vec::new();
        let mut add = |field: String, file: Option<&PathBuf>| {
            files.extend(file.map(|file| (field, file.clone())));
        };
        add("cluster.kubeconfig".into(), self.cluster.kubeconfig.as_ref());
        add("slo.prometheus_token_file".into(), self.slo.prometheus_token_file.as_ref());
        let actual = &self.usage.actual;
        add("usage.actual.prometheus_token_file".into(), actual.prometheus_token_file.as_ref());
        add("notify.inbound.token_file".into(), self.notify.inbound.token_file.as_ref());
        for (name, channel) in &self.notify.channels {
            let section = format!("notify.channels.{name}");
            add(format!("{section}.routing_key_file"), channel.routing_key_file.as_ref());
            add(format!("{section}.token_file"), channel.token_file.as_ref());
            add(format!("{section}.secret_file"), channel.secret_file.as_ref());
        }
        files
    }
}

impl AccessConfig {
    fn check(&self) -> Result<(), String> {
        if self.names.is_empty() {
            return Err(
                "access.names: name at least one host that clients reach the daemon by".into()
            );
        }
        Ok(())
    }
}

impl TenantConfig {
    fn check(&self) -> Result<(), String> {
        let prefix = &self.namespace_prefix;
        // A tenant id has up to 40 characters and a namespace up to 63.
        let fits = prefix.len() <= 23
            && prefix.starts_with(|c: char| c.is_ascii_lowercase())
            && prefix.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !fits {
            return Err(format!(
                "tenants.namespace_prefix: {prefix:?} must be 1 to 23 lower-case letters, digits \
                 and hyphens, and begin with a letter"
            ));
        }
        if !(1..=256).contains(&self.workers) {
            return Err(format!("tenants.workers: {} must be 1 to 256", self.workers));
        }
        if !(1..=86_400).contains(&self.resync_seconds) {
            return Err(format!(
                "tenants.resync_seconds: {} must be 1 to 86400",
                self.resync_seconds
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
        region = "us-east-1"
        [listen]
        grpc = "127.0.0.1:1"
        [database]
        owner = "postgres://streamspace_owner@db/streamspace"
        operator = "postgres://streamspace_operator@db/streamspace"
        tenant = "postgres://streamspace_tenant@db/streamspace"
        audit = "postgres://streamspace_audit@db/streamspace"
        maintainer = "postgres://streamspace_maintainer@db/streamspace"
    "#;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let file = std::env::temp_dir().join(format!("config-{}.toml", uuid::Uuid::new_v4()));
        std::fs::write(&file, text).unwrap();
        let result = Config::read(&file);
        std::fs::remove_file(&file).unwrap();
        result
    }

    #[test]
    fn what_is_not_given_has_a_default() {
        let config = read(WHOLE).unwrap();
        assert_eq!(config.tenants.namespace_prefix, "tenant-");
        assert_eq!(config.listen.http.port(), 7480);
    }

    #[test]
    fn a_fault_is_named_with_its_place() {
        let unknown = WHOLE.replace("[listen]", "[listen]\ngrcp = 1");
        for (text, word) in [
            (unknown.as_str(), "grcp"),
            (&WHOLE.replace("us-east-1", "US_EAST"), "region"),
            (&format!("{WHOLE}\n[tenants]\nnamespace_prefix = \"Kube_\""), "namespace_prefix"),
            (
                &format!("{WHOLE}\n[tenants.network]\ningress_namespace = \"Not_One\""),
                "tenants.network.ingress_namespace",
            ),
            (&format!("{WHOLE}\n[tenants]\nresync_seconds = 0"), "tenants.resync_seconds"),
            (&format!("{WHOLE}\n[tenants]\nresync_seconds = 86401"), "tenants.resync_seconds"),
            (
                &format!("{WHOLE}\n[tenants.network]\ncluster_ranges = [\"10.1.0.0/8\"]"),
                "10.0.0.0/8",
            ),
            (
                &format!("{WHOLE}\n[usage.actual]\nperiod_seconds = 5"),
                "usage.actual.period_seconds",
            ),
            (&format!("{WHOLE}\n[[simulator.faults]]\nkind = \"gone\""), "streamspaced dev"),
            (
                &WHOLE.replace("[database]", "[database]\npasswords = '/nowhere'"),
                "database.passwords: /nowhere/owner",
            ),
            ("", "region"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
