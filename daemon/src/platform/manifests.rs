//! Pure: the configuration, to what a region has in the cluster beside its tenants.

mod nodes;
mod policies;
mod rights;
mod webhook;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource, core::ApiResource};
use serde::Serialize;
use serde_json::Value;

use super::{
    names::{FENCE, INSTANCE, LEADER, Names},
    resources,
};
use crate::kube::{ClusterConfig, INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL};

pub use webhook::{WebhookAddress, WebhookClient};

/// An object as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Its kind, and where that is served.
    pub resource: ApiResource,
    /// The namespace, for a kind that lives in one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The whole object.
    pub body: Value,
}

impl Wish {
    fn of<K>(object: &K) -> Result<Self, serde_json::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        Ok(Self {
            resource: ApiResource::erase::<K>(&()),
            namespace: object.meta().namespace.clone(),
            name: object.meta().name.clone().unwrap_or_default(),
            body: serde_json::to_value(object)?,
        })
    }

    /// What people call it, for example `ConfigMap streamspace-system/fence`.
    pub fn title(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.resource.kind, self.name),
            None => format!("{} {}", self.resource.kind, self.name),
        }
    }
}

/// What one installation has in the cluster.
#[derive(Clone, Debug)]
pub struct Manifests {
    names: Names,
    config: ClusterConfig,
    webhook: Option<WebhookClient>,
}

impl Manifests {
    /// The installation that this configuration describes.
    pub fn new(config: &ClusterConfig) -> Self {
        Self { names: Names::new(&config.instance), config: config.clone(), webhook: None }
    }

    /// With the webhook that admits sessions, where there is one.
    #[must_use]
    pub fn with_webhook(self, webhook: Option<WebhookClient>) -> Self {
        Self { webhook, ..self }
    }

    /// How things are called.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The namespace of the daemon's own objects.
    pub fn control_namespace(&self) -> Result<Wish, serde_json::Error> {
        let name = self.names.control_namespace();
        let mut labels = self.labels();
        for mode in ["enforce", "warn", "audit"] {
            let key = format!("pod-security.kubernetes.io/{mode}");
            labels.insert(key, "restricted".to_owned());
        }
        Wish::of(&Namespace {
            metadata: ObjectMeta { name: Some(name), labels: Some(labels), ..Default::default() },
            ..Default::default()
        })
    }

    /// Who may change what the daemon manages.
    pub fn fence(&self) -> Result<Wish, serde_json::Error> {
        let config = &self.config;
        let controller = config.node_pools.iter().map(|pools| pools.controller.clone());
        let users = [self.names.acting_user()]
            .into_iter()
            .chain(["kube-controller-manager", "kube-scheduler", "apiserver"].map(system))
            .chain(controller)
            .chain(config.trusted_users.iter().cloned());
        let groups = [self.names.break_glass_group()]
            .into_iter()
            // The controllers of the cluster itself, each with an account of its own.
            .chain(["serviceaccounts:kube-system", "nodes"].map(system))
            .chain(config.trusted_groups.iter().cloned());
        let lines = |names: Vec<String>| names.join("\n");
        self.config_map(
            FENCE,
            [("users", lines(users.collect())), ("groups", lines(groups.collect()))],
        )
    }

    /// The leader term below which nothing is accepted.
    pub fn leader(&self, leader_term: i64) -> Result<Wish, serde_json::Error> {
        self.config_map(LEADER, [("term", leader_term.to_string())])
    }

    /// What ties the cluster to one database.
    pub fn instance(&self, instance_uid: uuid::Uuid) -> Result<Wish, serde_json::Error> {
        self.config_map(INSTANCE, [("uid", instance_uid.to_string())])
    }

    /// The definitions of sessions and templates. All installations share them.
    pub fn definitions(&self) -> Result<Vec<Wish>, serde_json::Error> {
        resources::definitions().iter().map(Wish::of).collect()
    }

    fn config_map<const N: usize>(
        &self,
        name: &str,
        data: [(&str, String); N],
    ) -> Result<Wish, serde_json::Error> {
        Wish::of(&ConfigMap {
            metadata: ObjectMeta {
                namespace: Some(self.names.control_namespace()),
                ..self.metadata(name.to_owned())
            },
            data: Some(data.map(|(key, value)| (key.to_owned(), value)).into()),
            ..Default::default()
        })
    }

    fn metadata(&self, name: String) -> ObjectMeta {
        ObjectMeta { name: Some(name), labels: Some(self.labels()), ..Default::default() }
    }

    fn labels(&self) -> BTreeMap<String, String> {
        [(MANAGED_BY_LABEL, MANAGED_BY), (INSTANCE_LABEL, self.names.instance())]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }
}

fn system(name: &str) -> String {
    format!("system:{name}")
}

#[cfg(test)]
mod tests;
