//! The configuration file of the daemon.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use streamspace_core::ids::RegionId;
use thiserror::Error;

use crate::{
    db::DatabaseConfig,
    kube::ClusterConfig,
    telemetry::logs::LogConfig,
    tenants::{breaker::BreakerConfig, manifests::NetworkConfig},
};

/// What `streamspaced run` reads from its TOML file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The region that this daemon serves, for example `us-east-1`.
    pub region: RegionId,
    /// The name of this replica, unique in the region. The host's name where it is
    /// absent.
    #[serde(default = "host_name")]
    pub replica: String,
    /// Where it listens.
    #[serde(default)]
    pub listen: ListenConfig,
    /// The five logins of the database.
    pub database: DatabaseConfig,
    /// The cluster that it manages.
    #[serde(default)]
    pub cluster: ClusterConfig,
    /// Certificates.
    #[serde(default)]
    pub access: AccessConfig,
    /// What becomes of tenants in the cluster.
    #[serde(default)]
    pub tenants: TenantConfig,
    /// Logs.
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenConfig {
    /// gRPC over mutual TLS.
    pub grpc: SocketAddr,
    /// Metrics and health over plain HTTP; keep it on a private address.
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// The folder that `streamspaced init` filled.
    pub directory: PathBuf,
    /// Host names and addresses that clients reach the daemon by.
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantConfig {
    /// The namespace of tenant `acme` is this and `acme`.
    pub namespace_prefix: String,
    /// How many tenants the leader works on at once.
    pub workers: usize,
    /// How often the leader looks at all tenants, in seconds, beside the looks that a
    /// change asks for.
    pub resync_seconds: u32,
    /// When the breaker on deletions that nobody asked for trips.
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

impl Config {
    /// Reads and checks a configuration file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.into(), source })?;
        let invalid = |message: String| ConfigError::Invalid { path: path.into(), message };
        let config: Self = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        config.check().map_err(invalid)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let prefix = &self.tenants.namespace_prefix;
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
        if !(1..=256).contains(&self.tenants.workers) {
            return Err(format!("tenants.workers: {} must be 1 to 256", self.tenants.workers));
        }
        if !(1..=86_400).contains(&self.tenants.resync_seconds) {
            return Err(format!(
                "tenants.resync_seconds: {} must be 1 to 86400",
                self.tenants.resync_seconds
            ));
        }
        self.tenants.breaker.check().map_err(|message| format!("tenants.breaker.{message}"))?;
        self.tenants.network.check().map_err(|message| format!("tenants.network.{message}"))?;
        self.cluster.check()?;
        if self.access.names.is_empty() {
            return Err(
                "access.names: name at least one host that clients reach the daemon by".into()
            );
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
            ("", "region"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
