//! One life of an object of each kind, told to both in the same words: what is
//! refused, made, applied, disputed, changed by hand, replaced, held and deleted.

use http::Method;
use serde_json::{Value, json};

use crate::{
    pair::Pair,
    support::{APPLY, JSON, MERGE, apply, unique},
    transcript::{Mask, none_of, note},
};

/// A kind, and what two versions of an object say beside their metadata.
struct Sample {
    /// `api/v1` or `apis/{group}/{version}`.
    root: &'static str,
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
    first: Value,
    second: Value,
    /// What a hand changes by a merge patch.
    drift: Value,
}

impl Sample {
    fn new(
        (root, plural, kind, namespaced): (&'static str, &'static str, &'static str, bool),
        first: Value,
        second: Value,
        drift: Value,
    ) -> Self {
        Self { root, plural, kind, namespaced, first, second, drift }
    }

    fn collection(&self, namespace: &str) -> String {
        let (root, plural) = (self.root, self.plural);
        if self.namespaced {
            format!("/{root}/namespaces/{namespace}/{plural}")
        } else {
            format!("/{root}/{plural}")
        }
    }

    /// An object of this name that says `said`.
    fn object(&self, name: &str, said: &Value) -> Value {
        let mut object = said.clone();
        let version = self.root.trim_start_matches("apis/").trim_start_matches("api/");
        object["apiVersion"] = version.into();
        object["kind"] = self.kind.into();
        object["metadata"] = json!({ "name": name, "labels": { "sample": "yes" } });
        object
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

#[allow(clippy::too_many_lines, reason = "a table")]
fn samples() -> Vec<Sample> {
    let rules =
        |verbs: Value| json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": verbs }]);
    let role = |name: &str, subjects: Value| json!({ "roleRef": { "kind": "ClusterRole", "name": name, "apiGroup": RBAC }, "subjects": subjects });
    let mut samples = vec![
        Sample::new(
            ("api/v1", "configmaps", "ConfigMap", true),
            json!({ "data": { "a": "1", "b": "2" } }),
            json!({ "data": { "b": "3", "c": "" }, "binaryData": { "d": "aGVsbG8=" } }),
            json!({ "data": { "b": "drift", "e": "5" } }),
        ),
        Sample::new(
            ("api/v1", "resourcequotas", "ResourceQuota", true),
            json!({ "spec": { "hard": { "pods": "20", "requests.memory": "1024Mi", "requests.cpu": "1000m" } } }),
            json!({ "spec": { "hard": { "pods": "1000", "limits.memory": "1.5Gi", "requests.cpu": 2, "services.nodeports": "0" } } }),
            json!({ "spec": { "hard": { "pods": "7", "secrets": "10" } } }),
        ),
        Sample::new(
            ("api/v1", "limitranges", "LimitRange", true),
            json!({ "spec": { "limits": [{ "type": "Container", "default": { "cpu": "1000m", "memory": "1024Mi" }, "max": { "cpu": "2", "ephemeral-storage": "10Gi" } }] } }),
            json!({ "spec": { "limits": [
                { "type": "Container", "defaultRequest": { "cpu": "250m" }, "default": { "cpu": "500m" }, "min": { "memory": "1Mi" } },
                { "type": "PersistentVolumeClaim", "max": { "storage": "1024Gi" } },
            ] } }),
            json!({ "spec": { "limits": [] } }),
        ),
        Sample::new(
            ("apis/networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", true),
            json!({ "spec": { "podSelector": {}, "egress": [{ "ports": [{ "port": 53, "protocol": "UDP" }, { "port": 53 }], "to": [{ "namespaceSelector": { "matchLabels": { "a": "b" } } }] }] } }),
            json!({ "spec": { "podSelector": { "matchLabels": { "x": "y" } }, "policyTypes": ["Ingress"], "ingress": [{ "from": [{ "podSelector": {} }, { "ipBlock": { "cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"] } }] }] } }),
            json!({ "spec": { "policyTypes": ["Ingress", "Egress"], "egress": [{}] } }),
        ),
        Sample::new(
            ("apis/rbac.authorization.k8s.io/v1", "roles", "Role", true),
            json!({ "rules": rules(json!(["get", "list"])) }),
            json!({ "rules": rules(json!(["get"])) }),
            json!({ "rules": [] }),
        ),
        Sample::new(
            ("apis/rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", false),
            json!({ "rules": rules(json!(["get", "list"])) }),
            json!({ "rules": rules(json!(["get"])) }),
            json!({ "rules": null }),
        ),
        Sample::new(
            ("apis/rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding", true),
            role("view", json!([{ "kind": "User", "name": "ada" }])),
            role(
                "view",
                json!([{ "kind": "Group", "name": "admins", "apiGroup": RBAC }, { "kind": "ServiceAccount", "name": "s", "namespace": "default" }]),
            ),
            json!({ "subjects": [{ "kind": "User", "name": "eve" }] }),
        ),
        Sample::new(
            (
                "apis/rbac.authorization.k8s.io/v1",
                "clusterrolebindings",
                "ClusterRoleBinding",
                false,
            ),
            role("view", json!([{ "kind": "User", "name": "ada" }])),
            role("view", json!([])),
            json!({ "roleRef": { "name": "edit" } }),
        ),
        Sample::new(
            ("apis/policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", true),
            json!({ "spec": { "maxUnavailable": 0, "selector": { "matchLabels": { "live": "true" } } } }),
            json!({ "spec": { "maxUnavailable": "50%", "selector": { "matchLabels": { "live": "false" } }, "unhealthyPodEvictionPolicy": "AlwaysAllow" } }),
            json!({ "spec": { "selector": { "matchLabels": { "live": "drift" } } } }),
        ),
        Sample::new(
            ("api/v1", "secrets", "Secret", true),
            json!({ "data": { "a": "aGVsbG8=" } }),
            json!({ "data": { "b": "aGVsbG8=" }, "type": "Opaque" }),
            json!({ "data": { "a": null, "b": "Yg==" } }),
        ),
    ];
    samples.extend(workloads());
    let creations = json!({ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"] });
    samples.push(Sample::new(
        ("apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", false),
        json!({ "spec": {
            "matchConstraints": { "resourceRules": [creations], "objectSelector": { "matchLabels": { "never": "there" } } },
            "matchConditions": [{ "name": "one", "expression": "true" }],
            "variables": [{ "name": "v", "expression": "1" }],
            "validations": [{ "expression": "true", "message": "no" }],
        } }),
        json!({ "spec": {
            "failurePolicy": "Ignore",
            "paramKind": { "apiVersion": "v1", "kind": "ConfigMap" },
            "matchConstraints": { "resourceRules": [creations], "objectSelector": { "matchLabels": { "never": "there" } } },
            "matchConditions": [{ "name": "one", "expression": "false" }, { "name": "two", "expression": "true" }],
            "validations": [{ "expression": "1 == 1" }],
        } }),
        json!({ "spec": { "failurePolicy": "Fail" } }),
    ));
    samples.push(Sample::new(
        ("apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", false),
        json!({ "spec": { "policyName": "nobody", "validationActions": ["Deny"] } }),
        json!({ "spec": { "policyName": "nobody", "validationActions": ["Audit"], "matchResources": { "namespaceSelector": { "matchLabels": { "a": "b" } } }, "paramRef": { "name": "x", "namespace": "default", "parameterNotFoundAction": "Deny" } } }),
        json!({ "spec": { "policyName": "somebody" } }),
    ));
    samples
}

/// What runs and what it needs. Nothing runs here: deployments are paused and want nothing.
fn workloads() -> Vec<Sample> {
    let container =
        |image: &str| json!({ "name": "main", "image": image, "ports": [{ "containerPort": 80 }] });
    let pod = |image: &str, more: Value| {
        let mut spec =
            json!({ "containers": [container(image)], "automountServiceAccountToken": false });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let deployment = |image: &str, more: Value| {
        let mut spec = json!({
            "replicas": 0, "paused": true, "selector": { "matchLabels": { "app": "a" } },
            "template": { "metadata": { "labels": { "app": "a" } }, "spec": pod(image, json!({})) },
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "spec": spec })
    };
    vec![
        Sample::new(
            ("api/v1", "pods", "Pod", true),
            json!({ "spec": pod("registry.example/app:1", json!({ "restartPolicy": "Never" })) }),
            json!({ "spec": pod("registry.example/app", json!({ "restartPolicy": "Never" })) }),
            json!({ "metadata": { "annotations": { "drift": "yes" } } }),
        ),
        Sample::new(
            ("apis/apps/v1", "deployments", "Deployment", true),
            deployment("app:1", json!({})),
            deployment("app", json!({ "strategy": { "type": "Recreate" }, "minReadySeconds": 5 })),
            json!({ "spec": { "revisionHistoryLimit": 3 } }),
        ),
        Sample::new(
            ("api/v1", "services", "Service", true),
            json!({ "spec": { "clusterIP": "None", "selector": { "app": "a" }, "ports": [{ "port": 80 }] } }),
            json!({ "spec": { "clusterIP": "None", "selector": { "app": "b" }, "ports": [{ "name": "web", "port": 80, "targetPort": "http" }, { "name": "dns", "port": 53, "protocol": "UDP" }] } }),
            json!({ "spec": { "publishNotReadyAddresses": true } }),
        ),
        Sample::new(
            ("apis/networking.k8s.io/v1", "ingresses", "Ingress", true),
            json!({ "spec": { "rules": [{ "host": "a.example.com", "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": { "service": { "name": "a", "port": { "name": "http" } } } }] } }] } }),
            json!({ "spec": { "ingressClassName": "nginx", "tls": [{ "hosts": ["a.example.com"] }], "defaultBackend": { "service": { "name": "b", "port": { "number": 80 } } } } }),
            json!({ "spec": { "ingressClassName": "other" } }),
        ),
        Sample::new(
            ("apis/autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true),
            json!({ "spec": { "maxReplicas": 3, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "a" } } }),
            json!({ "spec": { "minReplicas": 2, "maxReplicas": 5, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "a" }, "metrics": [{ "type": "Resource", "resource": { "name": "memory", "target": { "type": "AverageValue", "averageValue": "1024Mi" } } }] } }),
            json!({ "spec": { "maxReplicas": 9 } }),
        ),
    ]
}

type Request = (Method, String, &'static str, Value);

/// The life's requests; `NAME` is the run's own name.
#[allow(clippy::too_many_lines, reason = "a life is told in one piece")]
fn life(sample: &Sample, name: &str) -> Vec<Request> {
    let collection = sample.collection(name);
    let absent = sample.collection(&format!("{name}-absent"));
    let at = |more: &str| format!("{collection}/{name}{more}");
    let object = |said: &Value| sample.object(name, said);
    let (first, second) = (object(&sample.first), object(&sample.second));
    let post = |object: &Value| (Method::POST, collection.clone(), JSON, object.clone());
    let applied = |more: &str, object: &Value| {
        (Method::PATCH, at(&format!("?fieldManager={more}")), APPLY, object.clone())
    };
    let merged = |manager: &str, patch: Value| {
        (Method::PATCH, at(&format!("?fieldManager={manager}")), MERGE, patch)
    };
    let with = |object: &Value, pointer: &str, value: Value| {
        let mut object = object.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[field] = value;
        object
    };
    let get = || (Method::GET, at(""), "", Value::Null);
    let list = |query: &str| {
        (
            Method::GET,
            format!("{collection}?labelSelector=sample%3Dyes,!kept{query}"),
            "",
            Value::Null,
        )
    };
    let bare = sample.object(name, &json!({}));
    let mut requests = vec![
        get(),
        (Method::DELETE, at(""), "", Value::Null),
        merged("hand", json!({ "metadata": { "labels": { "a": "1" } } })),
        (Method::GET, at("/nothing/more"), "", Value::Null),
        post(&with(&first, "/metadata/name", "Bad_Name/x".into())),
        post(&with(&first, "/metadata/labels", json!({ "bad key!": "x" }))),
        post(&with(&first, "/apiVersion", "v9".into())),
        applied("one", &with(&first, "/bogus", 1.into())),
        applied("one", &with(&first, "/kind", "Pod".into())),
        applied("one&dryRun=All", &second),
        (Method::POST, format!("{collection}?dryRun=All"), JSON, first.clone()),
        post(&with(&first, "/bogus", 1.into())),
        post(&first),
        get(),
        // What was made by another manner is not the applier's.
        applied("one", &first),
        applied("one", &second),
        applied("one&force=true", &second),
        applied("one", &second),
        applied("two", &first),
        merged(
            "hand",
            json!({ "metadata": { "labels": { "a": "1" }, "annotations": { "n": "m" } } }),
        ),
        merged("hand&dryRun=All", sample.drift.clone()),
        merged("hand", sample.drift.clone()),
        applied("one", &second),
        applied("one&force=true", &second),
        merged("hand", json!({ "metadata": { "resourceVersion": "1" } })),
        merged("hand", json!({ "metadata": { "uid": "11111111-1111-1111-1111-111111111111" } })),
        merged("hand", json!({ "metadata": { "name": "else" } })),
        applied("two&force=true", &first),
        applied("one", &with(&second, "/metadata/ownerReferences", json!([]))),
        applied("one&force=true", &first),
        list(""),
        list(&format!("&fieldSelector=metadata.name%3D{name}")),
        (Method::PUT, at("?fieldManager=put"), JSON, second.clone()),
        (
            Method::PUT,
            at("?fieldManager=put"),
            JSON,
            with(&second, "/metadata/labels", json!({ "sample": "yes", "z": "1" })),
        ),
        (Method::PUT, at("?fieldManager=put"), JSON, with(&first, "/metadata/name", "else".into())),
        get(),
        (Method::DELETE, at(""), JSON, json!({ "preconditions": { "uid": "another" } })),
        (Method::DELETE, at("?dryRun=All"), "", Value::Null),
        merged("hold", json!({ "metadata": { "finalizers": ["stream.space/hold"] } })),
        (Method::DELETE, at(""), "", Value::Null),
        (Method::DELETE, at(""), "", Value::Null),
        post(&first),
        merged(
            "hand",
            json!({ "metadata": { "finalizers": ["stream.space/hold", "stream.space/more"] } }),
        ),
        merged("hand", json!({ "metadata": { "finalizers": null } })),
        get(),
        // Made by an apply alone, and given up again.
        applied("one", &first),
        applied("one", &second),
        applied("two&force=true", &first),
        applied("one", &second),
        (Method::DELETE, at(""), "", Value::Null),
        get(),
    ];
    if sample.kind == "ConfigMap" {
        requests.extend([
            applied("one", &first),
            applied("one", &bare),
            (Method::DELETE, at(""), "", Value::Null),
        ]);
    }
    if sample.namespaced {
        let elsewhere = with(&first, "/metadata/namespace", "elsewhere".into());
        requests.extend([
            post(&elsewhere),
            applied("one", &elsewhere),
            (Method::POST, absent.clone(), JSON, first.clone()),
            (Method::PATCH, format!("{absent}/{name}?fieldManager=one"), APPLY, first.clone()),
            (Method::GET, absent, "", Value::Null),
            (Method::POST, format!("/{}/{}", sample.root, sample.plural), JSON, first),
        ]);
    }
    requests
}

/// Tells the lives to both, and fails with all answers that differ.
pub(crate) async fn compare(pair: &mut Pair) {
    let mut differences = Vec::new();
    for sample in samples() {
        let name = unique();
        pair.both(async |client| apply(client, "test", &name, json!({})).await.unwrap()).await;
        let (mut left, mut right) = (Mask::controlled(), Mask::controlled());
        for (method, path, content_type, body) in life(&sample, &name) {
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let (simulated, wanted) = pair.ask(&method, &path, content_type, &body).await;
            let (simulated, wanted) = (left.apply(simulated), right.apply(wanted));
            note(&mut differences, &format!("{method} {path} {body}"), &simulated, &wanted);
        }
        // Nothing that selects by the sample's label may meet the next one.
        pair.both(async |client| {
            let end = kube::api::DeleteParams::default();
            crate::support::namespaces(client).delete(&name, &end).await.unwrap()
        })
        .await;
    }
    none_of(&differences);
}
