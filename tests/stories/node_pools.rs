//! Node pools for the plans: only where Karpenter is, and as configured.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::json;
use streamspace_tests::{
    region::Region,
    runtime::story,
    wait::{holds, until},
};

#[test]
fn node_pools_come_with_karpenter_and_are_kept() {
    story(async {
        let region = Region::start().await;
        region.stop().await;
        let pools = toml::toml! {
            plans = ["free", "business"]
            class_group = "karpenter.k8s.aws"
            class_kind = "EC2NodeClass"
            class_name = "default"
        };
        region.set("cluster", "node_pools", toml::Value::Table(pools));
        let config = region.config().display().to_string();
        let administrator = region.cluster().kubeconfig().display().to_string();
        let install = ["cluster", "install", "--config", &config, "--kubeconfig", &administrator];
        region.host(&install).await;
        region.launch().await;
        region.is_well().await;

        // Karpenter's definition, as far as the API server needs it.
        let definitions = Api::<CustomResourceDefinition>::all(region.client().await);
        let karpenter = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "nodepools.karpenter.sh"},
            "spec": {
                "group": "karpenter.sh", "scope": "Cluster",
                "names": {"kind": "NodePool", "plural": "nodepools", "singular": "nodepool",
                          "listKind": "NodePoolList"},
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {
                        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    }},
                }],
            },
        });
        definitions
            .patch(
                "nodepools.karpenter.sh",
                &PatchParams::apply("story"),
                &Patch::Apply(&karpenter),
            )
            .await
            .unwrap();
        let resource = ApiResource {
            group: "karpenter.sh".into(),
            version: "v1".into(),
            api_version: "karpenter.sh/v1".into(),
            kind: "NodePool".into(),
            plural: "nodepools".into(),
        };
        let hand = Api::<DynamicObject>::all_with(region.break_glass().await, &resource);
        let name = |plan: &str| format!("{}-{plan}", region.instance());
        for plan in ["free", "business"] {
            until("the node pool is there", async || {
                let live = hand.get_opt(&name(plan)).await.map_err(|e| e.to_string())?;
                holds(live.is_some(), || format!("no {}", name(plan)))
            })
            .await;
        }
        let live = hand.get(&name("business")).await.unwrap();
        let spec = &live.data["spec"];
        assert_eq!(spec["limits"], json!({"cpu": "1000", "memory": "2000Gi"}));
        assert_eq!(spec["disruption"]["consolidateAfter"], "5m", "{spec}");
        assert_eq!(spec["template"]["spec"]["expireAfter"], "168h", "{spec}");
        assert!(hand.get_opt(&name("enterprise")).await.unwrap().is_none(), "it was not wished");
        // The definition goes, and the next stories know nothing of it.
        definitions.delete("nodepools.karpenter.sh", &DeleteParams::default()).await.unwrap();
    });
}
