//! How sessions are reconciled and admitted.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use streamspace_core::quantity::Bytes;

use super::{manifests::check_host_pattern, webhook::reach};

/// Who makes sessions run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    /// The daemon.
    #[default]
    Builtin,
    /// A controller of the platform. The daemon shows, admits and meters what that makes.
    External,
}

/// How sessions are reconciled and admitted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// Who makes sessions run: `builtin` is the daemon; with `external` a controller of the
    /// platform does, and the daemon shows, admits and meters what that makes.
    pub controller: Controller,
    /// The namespace of the templates that all tenants share. A tenant's own templates come
    /// first.
    pub catalogue_namespace: String,
    /// The host name of a session, for example `{session}.{tenant}.example.com`. Where it is
    /// given, each session has an `Ingress` of that host.
    pub host_pattern: Option<String>,
    /// The class of such an `Ingress`; the cluster's default where it is absent.
    pub ingress_class: Option<String>,
    /// The size of a user's home, a Kubernetes quantity.
    pub home_size: String,
    /// The storage class of homes; the cluster's default where it is absent.
    pub home_storage_class: Option<String>,
    /// Whether a home can be mounted on one node alone (`ReadWriteOnce`). Otherwise it is
    /// shared by all sessions of its user (`ReadWriteMany`).
    pub home_on_one_node: bool,
    /// Whose word on a session's last activity counts: field managers of
    /// `status.lastActivity`, or names in `status.activity.reporter`. With none, nothing
    /// hibernates by itself.
    pub activity_reporters: Vec<String>,
    /// How many sessions the leader works on at once, 1 to 256.
    pub workers: usize,
    /// How the cluster asks whether a session may start.
    pub webhook: WebhookConfig,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            controller: Controller::Builtin,
            catalogue_namespace: "streamspace-catalogue".into(),
            host_pattern: None,
            ingress_class: None,
            home_size: "10Gi".into(),
            home_storage_class: None,
            home_on_one_node: false,
            activity_reporters: Vec::new(),
            workers: 16,
            webhook: WebhookConfig::default(),
        }
    }
}

impl SessionConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    ///
    /// The name of the field, what is wrong with it and what to write.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=256).contains(&self.workers) {
            return Err(format!("sessions.workers: {} must be 1 to 256", self.workers));
        }
        let namespace = &self.catalogue_namespace;
        let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_label = (1..=63).contains(&namespace.len())
            && namespace.chars().all(is_inner)
            && !namespace.starts_with('-')
            && !namespace.ends_with('-');
        if !is_label {
            return Err(format!(
                "sessions.catalogue_namespace: {namespace:?} must be 1 to 63 lower-case letters, \
                 digits and hyphens, and not start or end with a hyphen"
            ));
        }
        if !Bytes::parse(&self.home_size).is_ok_and(|size| size > Bytes(0)) {
            return Err(format!(
                "sessions.home_size: {:?} is no size: write a quantity such as 10Gi",
                self.home_size
            ));
        }
        if let Some(pattern) = &self.host_pattern {
            check_host_pattern(pattern)
                .map_err(|message| format!("sessions.host_pattern: {pattern:?} {message}"))?;
        }
        reach::check(&self.webhook)
    }
}

/// How the cluster asks whether a session may start. Every replica answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookConfig {
    /// Where it listens, over TLS with a certificate of the region's authority. Without it
    /// there is no webhook, and limits hold only for what operators create.
    pub listen: Option<SocketAddr>,
    /// How the API server reaches it by an address, for example
    /// `https://10.0.0.5:7444/admit`. The host must be among `access.names`. One of `url` and
    /// `service` is given.
    pub url: Option<String>,
    /// How the API server reaches it by a Service in the cluster: `NAMESPACE/NAME:PORT`.
    pub service: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_session_could_be_made_with_is_refused() {
        let check = |text: &str| toml::from_str::<SessionConfig>(text).unwrap().check();
        assert_eq!(check(""), Ok(()));
        for (text, field) in [
            ("workers = 0", "sessions.workers"),
            ("workers = 257", "sessions.workers"),
            ("catalogue_namespace = 'Catalogue'", "sessions.catalogue_namespace"),
            ("catalogue_namespace = ''", "sessions.catalogue_namespace"),
            ("home_size = 'large'", "sessions.home_size"),
            ("home_size = '0'", "sessions.home_size"),
            ("host_pattern = '{session}.example.com'", "sessions.host_pattern"),
            ("[webhook]\nurl = 'https://a/admit'\nservice = 'n/s:1'", "sessions.webhook"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.starts_with(field), "{text}: {error}");
        }
    }
}
