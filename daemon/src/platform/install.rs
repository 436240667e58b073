//! `streamspaced cluster install`: what a cluster's administrator does once, and again
//! after each upgrade. It gives rights, which nobody may give to themselves; so it runs
//! under the administrator's identity and the daemon cannot do it.
//!
//! The field manager is the daemon's own: what is installed here is what the leader
//! keeps, and of two owners of one field each would see the other's as drift.

use std::{fmt::Write as _, time::Duration};

use thiserror::Error;

use super::{
    features, keep,
    keep::Done,
    manifests::{Manifests, Wish},
    resources::{SESSIONS, TEMPLATES},
};
use crate::kube::{Cluster, ClusterError};

const ESTABLISHED_LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);
/// Another installation may write the shared definitions in the same moment.
const ATTEMPTS: u32 = 5;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct InstallOptions {
    /// Whether the definitions of sessions and templates are installed too.
    pub definitions: bool,
    /// Whether nothing is changed, and only told what would be.
    pub dry_run: bool,
}

/// Why it is not installed.
#[derive(Debug, Error)]
pub enum InstallError {
    /// The cluster refused one object.
    #[error("{title}: {source}{hint}")]
    Refused {
        /// The object.
        title: String,
        /// In the cluster's words.
        source: ClusterError,
        /// What to do.
        hint: &'static str,
    },
    /// The definitions are there and not served.
    #[error(
        "{name} is not served after {} s; `kubectl get crd {name} -o yaml` tells why in its \
         conditions", ESTABLISHED_LIMIT.as_secs()
    )]
    NotEstablished {
        /// The definition.
        name: &'static str,
    },
    /// The manifest cannot be written as JSON.
    #[error("a manifest of the daemon is not JSON: {0}")]
    Manifest(#[from] serde_json::Error),
    /// The manifest cannot be written as YAML.
    #[error("a manifest of the daemon cannot be printed: {0}")]
    Yaml(String),
}

/// Everything, in the order in which it is applied.
fn wishes(manifests: &Manifests, definitions: bool) -> Result<Vec<Wish>, serde_json::Error> {
    let mut wishes = if definitions { manifests.definitions()? } else { Vec::new() };
    wishes.push(manifests.control_namespace()?);
    wishes.push(manifests.fence()?);
    wishes.push(manifests.leader(0)?);
    wishes.extend(manifests.rights()?);
    // After what they read, or they would refuse until it is there.
    wishes.extend(manifests.policies()?);
    Ok(wishes)
}

/// Everything as one YAML stream, for review or for another tool.
pub fn print(manifests: &Manifests, definitions: bool) -> Result<String, InstallError> {
    let mut text = String::new();
    for wish in wishes(manifests, definitions)? {
        let document = yaml(&wish.body)?;
        // Writing to a string cannot fail.
        let _written = write!(text, "---\n{document}");
    }
    Ok(text)
}

/// An object as YAML.
pub(super) fn yaml(body: &serde_json::Value) -> Result<String, InstallError> {
    serde_saphyr::to_string(body).map_err(|error| InstallError::Yaml(error.to_string()))
}

/// Installs, or brings up to date. Each object is told to `say` when it is done.
pub async fn install(
    cluster: &Cluster,
    manifests: &Manifests,
    options: InstallOptions,
    mut say: impl FnMut(&str),
) -> Result<(), InstallError> {
    for wish in wishes(manifests, options.definitions)? {
        let is_term = wish == manifests.leader(0)?;
        let done = settle(cluster, &wish, is_term, options.dry_run)
            .await
            .map_err(|source| refused(&wish, source))?;
        let words = match (done, options.dry_run) {
            (Done::Unchanged, _) => "unchanged",
            (Done::Created, false) => "created",
            (Done::Changed, false) => "changed",
            (Done::Created, true) => "would be created",
            (Done::Changed, true) => "would be changed",
        };
        say(&format!("{} {words}", wish.title()));
    }
    if options.definitions && !options.dry_run {
        for name in [SESSIONS, TEMPLATES] {
            established(cluster, name).await?;
        }
    }
    Ok(())
}

/// Makes the definitions of sessions and templates and waits until they are served: for a
/// cluster that the process holds itself, which needs nothing else of an installation.
pub async fn definitions(cluster: &Cluster, manifests: &Manifests) -> Result<(), InstallError> {
    for wish in manifests.definitions()? {
        written(cluster, &wish).await.map_err(|source| refused(&wish, source))?;
    }
    for name in [SESSIONS, TEMPLATES] {
        established(cluster, name).await?;
    }
    Ok(())
}

async fn settle(
    cluster: &Cluster,
    wish: &Wish,
    is_term: bool,
    dry_run: bool,
) -> Result<Done, ClusterError> {
    let live = keep::live(cluster, wish).await?;
    match live {
        // Once there it belongs to the leaders: the term is never lowered.
        Some(_) if is_term => Ok(Done::Unchanged),
        None if dry_run => Ok(Done::Created),
        Some(live) if dry_run => {
            let wished = keep::apply(cluster, wish, true).await?;
            let same = wished.metadata.labels == live.metadata.labels && wished.data == live.data;
            Ok(if same { Done::Unchanged } else { Done::Changed })
        }
        None => written(cluster, wish).await.map(|_version| Done::Created),
        Some(live) => {
            let version = written(cluster, wish).await?;
            let same = live.metadata.resource_version == version;
            Ok(if same { Done::Unchanged } else { Done::Changed })
        }
    }
}

/// Applies, and gives the version that the object has then: the same as before where
/// nothing had to change.
async fn written(cluster: &Cluster, wish: &Wish) -> Result<Option<String>, ClusterError> {
    let mut attempt = 1;
    loop {
        match keep::apply(cluster, wish, false).await {
            Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
            applied => return Ok(applied?.metadata.resource_version),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn established(cluster: &Cluster, name: &'static str) -> Result<(), InstallError> {
    let wait = async {
        loop {
            if matches!(features::is_served(cluster, name).await, Ok(true)) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(ESTABLISHED_LIMIT, wait)
        .await
        .map_err(|_elapsed| InstallError::NotEstablished { name })
}

fn refused(wish: &Wish, source: ClusterError) -> InstallError {
    let hint = match &source {
        ClusterError::Refused { code: 403, .. } => {
            ". This takes a cluster administrator: name a kubeconfig of theirs with --kubeconfig"
        }
        ClusterError::Refused { code: 404, .. }
            if wish.resource.group == "admissionregistration.k8s.io" =>
        {
            ". Validating admission policies need Kubernetes 1.30 or newer; without them, set \
             cluster.fence = false"
        }
        _ => "",
    };
    InstallError::Refused { title: wish.title(), source, hint }
}
