//! Karpenter's node pools, one for each plan.

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;

use super::{Manifests, Wish};

impl Manifests {
    /// The node pools, where the configuration wishes some. They need Karpenter.
    pub fn node_pools(&self) -> Vec<Wish> {
        let Some(config) = &self.config.node_pools else { return Vec::new() };
        let kind = GroupVersionKind::gvk("karpenter.sh", "v1", "NodePool");
        let resource = ApiResource::from_gvk_with_plural(&kind, "nodepools");
        let pool = |plan: &String| {
            let name = self.names.node_pool(plan);
            let body = json!({
                "apiVersion": "karpenter.sh/v1",
                "kind": "NodePool",
                "metadata": { "name": name, "labels": self.labels() },
                "spec": {
                    "disruption": {
                        "consolidationPolicy": "WhenEmptyOrUnderutilized",
                        "consolidateAfter": "5m",
                    },
                    "limits": { "cpu": config.cpu, "memory": config.memory },
                    "template": {
                        "metadata": { "labels": { "control.stream.space/plan": plan } },
                        "spec": {
                            "expireAfter": "168h",
                            // A node waits for its sessions, also when it expires.
                            "terminationGracePeriod": format!("{}h", config.termination_hours),
                            "nodeClassRef": {
                                "group": config.class_group,
                                "kind": config.class_kind,
                                "name": config.class_name,
                            },
                            "requirements": [
                                {
                                    "key": "karpenter.sh/capacity-type",
                                    "operator": "In",
                                    "values": ["spot", "on-demand"],
                                },
                                {
                                    "key": "kubernetes.io/arch",
                                    "operator": "In",
                                    "values": ["amd64", "arm64"],
                                },
                            ],
                            "taints": [{
                                "key": "control.stream.space/plan",
                                "value": plan,
                                "effect": "NoSchedule",
                            }],
                        },
                    },
                },
            });
            Wish { resource: resource.clone(), namespace: None, name, body }
        };
        config.plans.iter().map(pool).collect()
    }
}
