//! Users' homes: claims of storage that outlive sessions. Pure.
//!
//! A home is made with the first session that needs it, shared by all of its user's
//! sessions in the tenant, and never changed or deleted by their reconciler.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use streamspace_core::ids::TenantUid;

use super::{
    config::SessionConfig,
    manifests::{USER_LABEL, managed_labels},
    object::HOME_LABEL,
};

/// What the home of a user is called.
pub fn name(user: &str) -> String {
    format!("home-{user}")
}

/// Whose home is made, and where.
#[derive(Clone, Copy, Debug)]
pub struct HomePlace<'a> {
    /// The user.
    pub user: &'a str,
    /// The tenant's namespace.
    pub namespace: &'a str,
    /// The tenant.
    pub tenant_uid: TenantUid,
    /// The installation that manages the cluster.
    pub instance: &'a str,
}

/// The claim. It belongs to no session.
pub fn claim(place: &HomePlace<'_>, config: &SessionConfig) -> PersistentVolumeClaim {
    let mode = if config.home_on_one_node { "ReadWriteOnce" } else { "ReadWriteMany" };
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(name(place.user)),
            namespace: Some(place.namespace.to_owned()),
            labels: Some(labels(place)),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec![mode.to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([(
                    "storage".to_owned(),
                    Quantity(config.home_size.clone()),
                )])),
                limits: None,
            }),
            storage_class_name: config.home_storage_class.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

/// The labels of a home. A claim of its name that somebody else made is given these and
/// nothing else.
pub fn labels(place: &HomePlace<'_>) -> BTreeMap<String, String> {
    let mut labels = managed_labels(place.instance, place.tenant_uid);
    for key in [HOME_LABEL, USER_LABEL] {
        labels.insert(key.to_owned(), place.user.to_owned());
    }
    labels
}
