//! Ties one cluster to one database. A daemon whose database was emptied, or whose
//! kubeconfig was exchanged, must not write to the cluster that it then sees.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use thiserror::Error;
use uuid::Uuid;

use super::{
    Blocked, fence, keep,
    manifests::Manifests,
    names::INSTANCE,
    store::{self, PinRow},
};
use crate::{
    db::{Database, DbError},
    kube::{Cluster, ClusterError, FIELD_MANAGER, limited},
};

/// The reason where the cluster alone has forgotten.
pub(super) const MARK_MISSING: &str = "MarkMissing";

const ACCEPT: &str = "If this is as it should be, accept the cluster on the host with \
                      `streamspaced cluster pin`";

/// How the cluster and the database stand to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Each knows the other.
    Pinned,
    /// Neither knows of any, and the cluster holds nothing that is managed.
    Fresh,
    /// They do not belong together, as far as they know.
    Mismatch(Blocked),
}

/// Why the pin cannot be told.
#[derive(Debug, Error)]
pub enum PinError {
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The manifest cannot be written as JSON.
    #[error("a manifest of the daemon is not JSON: {0}")]
    Manifest(#[from] serde_json::Error),
}

/// What the cluster shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The UID of the namespace `kube-system`, which no two clusters share.
    pub kube_system_uid: String,
    /// The database that the cluster belongs to, as its mark says; as text, for a hand
    /// may have written it.
    pub mark: Option<String>,
    /// Whether there are managed namespaces of the installation.
    pub has_tenants: bool,
}

/// Looks at the cluster, as the acting identity: the parameters are closed to others.
pub async fn look(cluster: &Cluster, manifests: &Manifests) -> Result<Seen, ClusterError> {
    let client = cluster.client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let system = limited(namespaces.get("kube-system")).await?;
    let control = manifests.names().control_namespace();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &control);
    let mark = limited(maps.get_opt(INSTANCE)).await?;
    let selector = manifests.names().selector();
    let two = ListParams::default().labels(&selector).limit(2);
    let managed = limited(namespaces.list(&two)).await?;
    let has_tenants = managed.items.iter().any(|one| one.metadata.name.as_ref() != Some(&control));
    Ok(Seen {
        kube_system_uid: system.metadata.uid.unwrap_or_default(),
        mark: mark.map(|map| map.data.unwrap_or_default().remove("uid").unwrap_or_default()),
        has_tenants,
    })
}

/// Looks at both and tells how they stand.
pub async fn verify(
    db: &Database,
    acting: &Cluster,
    manifests: &Manifests,
) -> Result<Pin, PinError> {
    let row = store::pin(db).await?;
    let seen = look(acting, manifests).await?;
    Ok(judge(row.as_ref(), &seen))
}

/// Pins a fresh cluster: the database's uid stands in the database first, then in the
/// cluster, then the cluster's in the database. Each step can be repeated.
pub async fn establish(
    db: &Database,
    acting: &Cluster,
    manifests: &Manifests,
) -> Result<Pin, PinError> {
    let instance_uid = store::instance_uid(db, Uuid::now_v7()).await?;
    let seen = look(acting, manifests).await?;
    match &seen.mark {
        Some(mark) if *mark == instance_uid.to_string() => {}
        Some(_) => return verify(db, acting, manifests).await,
        None => {
            // Not an apply: of two databases that see the same fresh cluster, one wins.
            let wish = manifests.instance(instance_uid)?;
            let body = serde_json::from_value(wish.body.clone())?;
            let parameters =
                PostParams { field_manager: Some(FIELD_MANAGER.into()), ..Default::default() };
            match limited(keep::api(acting, &wish).create(&parameters, &body)).await {
                Ok(_) => {}
                Err(error) if error.is_conflict() => return verify(db, acting, manifests).await,
                Err(error) => return Err(error.into()),
            }
        }
    }
    store::set_pin(db, &seen.kube_system_uid, acting.endpoint()).await?;
    Ok(Pin::Pinned)
}

/// Makes the cluster that is there the database's, whatever either said before.
pub async fn accept(
    db: &Database,
    cluster: &Cluster,
    manifests: &Manifests,
) -> Result<(), PinError> {
    let reader = cluster.acting(0)?;
    let seen = look(&reader, manifests).await?;
    // A database that knows of no uid takes the cluster's, so that one that was lost and
    // made anew goes on where the old one was.
    let marked = seen.mark.as_deref().and_then(|mark| Uuid::parse_str(mark).ok());
    let instance_uid = store::instance_uid(db, marked.unwrap_or_else(Uuid::now_v7)).await?;
    let in_cluster = fence::accepted(&reader, &manifests.leader(0)?).await?.unwrap_or_default();
    let acting = cluster.acting(store::leader_term(db).await?.max(in_cluster))?;
    keep::apply(&acting, &manifests.instance(instance_uid)?, false).await?;
    Ok(store::set_pin(db, &seen.kube_system_uid, cluster.endpoint()).await?)
}

/// Puts back the mark of a cluster that is pinned and lost it under a leader's eyes.
pub(super) async fn mark_again(
    db: &Database,
    acting: &Cluster,
    manifests: &Manifests,
) -> Result<(), PinError> {
    let instance_uid = store::instance_uid(db, Uuid::now_v7()).await?;
    keep::apply(acting, &manifests.instance(instance_uid)?, false).await?;
    Ok(())
}

fn judge(row: Option<&PinRow>, seen: &Seen) -> Pin {
    let mismatch = |reason, text: String| {
        Pin::Mismatch(Blocked { reason, message: format!("{text}. {ACCEPT}") })
    };
    let pinned = row.filter(|row| !row.kube_system_uid.is_empty());
    match (pinned, &seen.mark) {
        (Some(row), _) if row.kube_system_uid != seen.kube_system_uid => mismatch(
            "AnotherCluster",
            format!(
                "this is not the cluster that the database manages: its kube-system has the UID \
                 {}, and the database knows {}. Nothing is written to it",
                seen.kube_system_uid, row.kube_system_uid
            ),
        ),
        (Some(row), Some(mark)) if *mark == row.instance_uid.to_string() => Pin::Pinned,
        (Some(row), Some(mark)) => mismatch(
            "AnotherDatabase",
            format!(
                "the cluster belongs to another database: its mark is {mark:?}, and this database \
                 is {}. Nothing is written to it",
                row.instance_uid
            ),
        ),
        (Some(_), None) => mismatch(
            MARK_MISSING,
            "the cluster has lost the mark of its database: it may have been restored from a \
             backup, or its control namespace was deleted. Nothing is written to it"
                .to_owned(),
        ),
        (None, Some(mark)) if row.is_some_and(|row| *mark == row.instance_uid.to_string()) => {
            Pin::Fresh
        }
        (None, Some(mark)) => mismatch(
            "UnknownCluster",
            format!(
                "the database knows no cluster, and this one belongs to the database {mark:?}: \
                 the database may be new or restored. Nothing is written to the cluster"
            ),
        ),
        (None, None) if seen.has_tenants => mismatch(
            "UnknownCluster",
            "the database knows no cluster, and this one has managed namespaces: the database \
             may be new or restored. Nothing is written to the cluster"
                .to_owned(),
        ),
        (None, None) => Pin::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: Uuid = uuid::uuid!("01900000-0000-7000-8000-00000000000a");

    fn row(kube_system_uid: &str) -> PinRow {
        PinRow { kube_system_uid: kube_system_uid.into(), instance_uid: UID }
    }

    fn seen(mark: Option<&str>, has_tenants: bool) -> Seen {
        Seen { kube_system_uid: "here".into(), mark: mark.map(str::to_owned), has_tenants }
    }

    fn reason(row: Option<&PinRow>, seen: &Seen) -> &'static str {
        match judge(row, seen) {
            Pin::Pinned => "Pinned",
            Pin::Fresh => "Fresh",
            Pin::Mismatch(blocked) => {
                assert!(blocked.message.contains("streamspaced cluster pin"), "says what to do");
                blocked.reason
            }
        }
    }

    #[test]
    fn a_cluster_and_a_database_that_know_each_other_are_pinned() {
        let uid = UID.to_string();
        assert_eq!(reason(Some(&row("here")), &seen(Some(&uid), true)), "Pinned");
        assert_eq!(reason(None, &seen(None, false)), "Fresh");
        assert_eq!(reason(Some(&row("")), &seen(None, false)), "Fresh");
        assert_eq!(
            reason(Some(&row("")), &seen(Some(&uid), false)),
            "Fresh",
            "a process that ended while it pinned goes on"
        );
    }

    #[test]
    fn all_else_says_what_does_not_fit() {
        let uid = UID.to_string();
        assert_eq!(reason(Some(&row("there")), &seen(Some(&uid), true)), "AnotherCluster");
        assert_eq!(reason(Some(&row("there")), &seen(None, false)), "AnotherCluster");
        assert_eq!(reason(Some(&row("here")), &seen(Some("x"), true)), "AnotherDatabase");
        assert_eq!(reason(Some(&row("here")), &seen(None, true)), "MarkMissing");
        assert_eq!(reason(None, &seen(Some(&uid), false)), "UnknownCluster");
        assert_eq!(reason(None, &seen(None, true)), "UnknownCluster");
        assert_eq!(reason(Some(&row("")), &seen(None, true)), "UnknownCluster");
        assert_eq!(reason(Some(&row("")), &seen(Some(""), false)), "UnknownCluster");
    }
}
