//! What keeps a session the right size.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget,
    ResourceMetricSource,
};
use streamspace_core::session::REPLICAS_MAXIMUM;

use super::SessionPlace;

/// The use of the requested CPU and memory, in percent, that more copies begin at.
const CPU_PERCENT: i32 = 70;
const MEMORY_PERCENT: i32 = 80;

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
