//! What keeps a session the right size. Pure.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::autoscaling::v2::{
        CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
        HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget,
        ResourceMetricSource,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use serde_json::{Value, json};
use streamspace_core::ids::TenantUid;

use crate::kube::{INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL, TENANT_UID_LABEL};

/// The most copies of a shared session.
pub const REPLICAS_MAXIMUM: i32 = 10;

const SESSION_API_VERSION: &str = "stream.space/v1alpha1";
const SESSION_KIND: &str = "Session";
/// The use of the requested CPU and memory, in percent, that more copies begin at.
const CPU_PERCENT: i32 = 70;
const MEMORY_PERCENT: i32 = 80;

/// Whose objects are made. Its Deployment carries the session's own name.
#[derive(Clone, Copy, Debug)]
pub struct SessionPlace<'a> {
    /// The name of the Session object.
    pub name: &'a str,
    /// Its uid: with it, what is made here goes.
    pub uid: &'a str,
    /// The tenant's namespace.
    pub namespace: &'a str,
    /// The tenant.
    pub tenant_uid: TenantUid,
    /// The installation that manages the cluster.
    pub instance: &'a str,
}

/// Scales a shared session between 1 and `maximum` copies, which is held to 1 to 10. Up
/// at once by two in half a minute, down by one a minute after five quiet minutes.
///
/// It never goes to nothing: that is hibernation, and the API refuses 0 with CPU and
/// memory alone.
pub fn autoscaler(session: &SessionPlace<'_>, maximum: i32) -> HorizontalPodAutoscaler {
    let rules = |window: i32, pods: i32, period: i32| HPAScalingRules {
        policies: Some(vec![HPAScalingPolicy {
            type_: "Pods".to_owned(),
            value: pods,
            period_seconds: period,
        }]),
        select_policy: Some("Max".to_owned()),
        stabilization_window_seconds: Some(window),
        tolerance: None,
    };
    let metric = |name: &str, percent: i32| MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: name.to_owned(),
            target: MetricTarget {
                type_: "Utilization".to_owned(),
                average_utilization: Some(percent),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    };
    HorizontalPodAutoscaler {
        metadata: session.metadata(),
        spec: HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: session.name.to_owned(),
            },
            min_replicas: Some(1),
            max_replicas: maximum.clamp(1, REPLICAS_MAXIMUM),
            metrics: Some(vec![metric("cpu", CPU_PERCENT), metric("memory", MEMORY_PERCENT)]),
            behavior: Some(HorizontalPodAutoscalerBehavior {
                scale_up: Some(rules(0, 2, 30)),
                scale_down: Some(rules(300, 1, 60)),
            }),
        },
        ..HorizontalPodAutoscaler::default()
    }
}

/// Watches what a session really uses and recommends; it changes no pod. Its kind is a
/// custom one, so it is made only where that is installed.
pub fn recommender(session: &SessionPlace<'_>) -> Value {
    json!({
        "apiVersion": "autoscaling.k8s.io/v1",
        "kind": "VerticalPodAutoscaler",
        "metadata": session.metadata(),
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": session.name},
            "updatePolicy": {"updateMode": "Off"},
        },
    })
}

impl SessionPlace<'_> {
    fn metadata(&self) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.name.to_owned()),
            namespace: Some(self.namespace.to_owned()),
            labels: Some(BTreeMap::from([
                (MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned()),
                (INSTANCE_LABEL.to_owned(), self.instance.to_owned()),
                (TENANT_UID_LABEL.to_owned(), self.tenant_uid.0.to_string()),
            ])),
            owner_references: Some(vec![OwnerReference {
                api_version: SESSION_API_VERSION.to_owned(),
                kind: SESSION_KIND.to_owned(),
                name: self.name.to_owned(),
                uid: self.uid.to_owned(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn session() -> SessionPlace<'static> {
        SessionPlace {
            name: "a-firefox",
            uid: "01900000-0000-4000-8000-0000000000aa",
            namespace: "tenant-acme-corp",
            tenant_uid: TenantUid(uuid::uuid!("01900000-0000-7000-8000-000000000001")),
            instance: "streamspace",
        }
    }

    /// The committed pictures. `UPDATE_SNAPSHOTS=1` writes them anew.
    #[test]
    fn the_objects_are_as_committed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sessions/snapshots");
        let horizontal = serde_json::to_value(autoscaler(&session(), 5)).unwrap();
        for (name, value) in [("autoscaler", horizontal), ("recommender", recommender(&session()))]
        {
            let now = format!("---\n{}\n", serde_saphyr::to_string(&value).unwrap().trim_end());
            let path = folder.join(format!("{name}.yaml"));
            if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, &now).unwrap();
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), now, "{name}");
        }
    }

    #[test]
    fn a_shared_session_has_one_to_ten_copies() {
        for (wished, most) in [(i32::MIN, 1), (0, 1), (1, 1), (5, 5), (10, 10), (i32::MAX, 10)] {
            let spec = autoscaler(&session(), wished).spec;
            assert_eq!((spec.min_replicas, spec.max_replicas), (Some(1), most));
        }
    }

    #[test]
    fn the_recommender_changes_nothing() {
        assert_eq!(recommender(&session())["spec"]["updatePolicy"], json!({"updateMode": "Off"}));
    }
}
