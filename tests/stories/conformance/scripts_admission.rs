//! Stories of admission and of access: limit ranges, Pod Security, what must be said, and
//! the reviews that answer who may do what.

use serde_json::{Value, json};

use crate::scripts::{Line, Script, get, merged, post};

const PODS: &str = "/api/v1/namespaces/NAME/pods?dryRun=All";
const SERVICES: &str = "/api/v1/namespaces/NAME/services?dryRun=All";
const CLAIMS: &str = "/api/v1/namespaces/NAME/persistentvolumeclaims?dryRun=All";

pub(crate) fn scripts() -> Vec<Script> {
    vec![
        ("limit ranges", limits()),
        ("the restricted level", security("restricted")),
        ("the baseline level", security("baseline")),
        ("what specifications must say", specifications()),
        ("who may do what", reviews()),
    ]
}

fn pod(name: &str, containers: Value) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "automountServiceAccountToken": false, "containers": containers } })
}

fn asking(name: &str, resources: Value) -> Value {
    pod(name, json!([{ "name": "main", "image": "app:1", "resources": resources }]))
}

fn limits() -> Vec<Line> {
    let claim = |amount: &str| json!({ "metadata": { "name": "c" }, "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": amount } } } });
    vec![
        post(
            "/api/v1/namespaces/NAME/limitranges",
            json!({ "metadata": { "name": "l" }, "spec": { "limits": [
                { "type": "Container", "default": { "cpu": "500m", "memory": "1Gi" }, "defaultRequest": { "cpu": "250m", "memory": "512Mi" }, "max": { "cpu": "2" }, "min": { "memory": "64Mi" } },
                { "type": "PersistentVolumeClaim", "max": { "storage": "10Gi" }, "min": { "storage": "1Gi" } },
            ] } }),
        ),
        post(PODS, asking("silent", json!({}))),
        post(PODS, asking("limited", json!({ "limits": { "cpu": "1", "memory": "2Gi" } }))),
        post(PODS, asking("requesting", json!({ "requests": { "cpu": "100m" } }))),
        post(PODS, asking("large", json!({ "limits": { "cpu": "3" } }))),
        post(PODS, asking("small", json!({ "requests": { "memory": "1Mi" } }))),
        post(
            PODS,
            pod(
                "two",
                json!([{ "name": "a", "image": "a:1" }, { "name": "b", "image": "b:1", "resources": { "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "1", "memory": "1Gi" } } }]),
            ),
        ),
        post(CLAIMS, claim("5Gi")),
        post(CLAIMS, claim("20Gi")),
        post(CLAIMS, claim("1Mi")),
    ]
}

fn security(level: &str) -> Vec<Line> {
    let good = json!({
        "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
        "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" },
    });
    let with = |name: &str, more: Value| {
        let mut context = good.clone();
        context.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        pod(name, json!([{ "name": "main", "image": "app:1", "securityContext": context }]))
    };
    let spec = |name: &str, more: Value| {
        let mut pod = with(name, json!({}));
        pod["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        pod
    };
    vec![
        merged(
            "/api/v1/namespaces/NAME?fieldManager=one",
            json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": level } } }),
        ),
        post(PODS, with("good", json!({}))),
        post(
            PODS,
            pod(
                "silent",
                json!([{ "name": "a", "image": "a:1" }, { "name": "b", "image": "b:1" }]),
            ),
        ),
        post(
            PODS,
            with("privileged", json!({ "privileged": true, "allowPrivilegeEscalation": true })),
        ),
        post(PODS, with("root", json!({ "runAsNonRoot": false, "runAsUser": 0 }))),
        post(
            PODS,
            with("capable", json!({ "capabilities": { "add": ["SYS_ADMIN", "NET_ADMIN"] } })),
        ),
        post(PODS, with("unconfined", json!({ "seccompProfile": { "type": "Unconfined" } }))),
        post(PODS, spec("host", json!({ "hostNetwork": true, "hostPID": true, "hostIPC": true }))),
        post(
            PODS,
            spec(
                "path",
                json!({ "volumes": [{ "name": "root", "hostPath": { "path": "/" } }, { "name": "e", "emptyDir": {} }] }),
            ),
        ),
        post(
            PODS,
            spec(
                "ports",
                json!({ "containers": [{ "name": "main", "image": "app:1", "securityContext": good, "ports": [{ "containerPort": 80, "hostPort": 8080 }, { "containerPort": 81, "hostPort": 8081 }] }] }),
            ),
        ),
        post(
            PODS,
            spec(
                "users",
                json!({ "securityContext": { "runAsNonRoot": false, "runAsUser": 0, "seccompProfile": { "type": "Unconfined" } } }),
            ),
        ),
    ]
}

fn specifications() -> Vec<Line> {
    let deployment = |spec: Value| json!({ "metadata": { "name": "d" }, "spec": spec });
    let template = |labels: Value| json!({ "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "main", "image": "app:1" }] } });
    let deployments = "/apis/apps/v1/namespaces/NAME/deployments?dryRun=All";
    vec![
        post(PODS, pod("none", json!([]))),
        post(PODS, pod("unnamed", json!([{ "image": "a:1" }]))),
        post(
            PODS,
            pod("twice", json!([{ "name": "a", "image": "a:1" }, { "name": "a", "image": "b:1" }])),
        ),
        post(PODS, pod("pictureless", json!([{ "name": "a" }]))),
        post(PODS, pod("misnamed", json!([{ "name": "A_b", "image": "a:1" }]))),
        post(
            PODS,
            pod(
                "mounts",
                json!([{ "name": "a", "image": "a:1", "volumeMounts": [{ "name": "v", "mountPath": "/v" }] }]),
            ),
        ),
        post(
            deployments,
            deployment(
                json!({ "selector": { "matchLabels": { "a": "b" } }, "template": template(json!({ "a": "c" })) }),
            ),
        ),
        post(
            deployments,
            deployment(
                json!({ "replicas": -1, "selector": { "matchLabels": { "a": "b" } }, "template": template(json!({ "a": "b" })) }),
            ),
        ),
        post(SERVICES, json!({ "metadata": { "name": "s" }, "spec": { "clusterIP": "None" } })),
        post(SERVICES, json!({ "metadata": { "name": "s" }, "spec": { "ports": [] } })),
        post(
            SERVICES,
            json!({ "metadata": { "name": "s" }, "spec": { "ports": [{ "port": 80 }, { "port": 81 }] } }),
        ),
        post(
            CLAIMS,
            json!({ "metadata": { "name": "c" }, "spec": { "accessModes": ["ReadWriteOnce"] } }),
        ),
        post(
            CLAIMS,
            json!({ "metadata": { "name": "c" }, "spec": { "resources": { "requests": { "storage": "1Gi" } } } }),
        ),
        get("/api/v1/namespaces/NAME/pods/none/status"),
    ]
}

fn reviews() -> Vec<Line> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    const ROOT: &str = "/apis/authorization.k8s.io/v1";
    let roles = format!("/apis/{RBAC}/v1/namespaces/NAME/roles");
    let bindings = format!("/apis/{RBAC}/v1/namespaces/NAME/rolebindings");
    let rules = json!([
        { "apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"] },
        { "apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["*"] },
        { "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"], "verbs": ["get"] },
    ]);
    let binding = |name: &str, kind: &str, role: &str, subjects: Value| json!({ "metadata": { "name": name }, "roleRef": { "apiGroup": RBAC, "kind": kind, "name": role }, "subjects": subjects });
    let ask = |user: &str, groups: Value, attributes: Value| {
        let mut all = json!({ "namespace": "NAME" });
        all.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        post(
            &format!("{ROOT}/subjectaccessreviews"),
            json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": { "user": user, "groups": groups, "resourceAttributes": all } }),
        )
    };
    let pods = |verb: &str| json!({ "verb": verb, "resource": "pods" });
    vec![
        post(&roles, json!({ "metadata": { "name": "reader" }, "rules": rules })),
        post(
            &bindings,
            binding(
                "people",
                "Role",
                "reader",
                json!([{ "kind": "User", "name": "NAME-ada", "apiGroup": RBAC }, { "kind": "Group", "name": "NAME-readers", "apiGroup": RBAC }]),
            ),
        ),
        post(
            &bindings,
            binding(
                "accounts",
                "Role",
                "reader",
                json!([{ "kind": "ServiceAccount", "name": "robot", "namespace": "NAME" }]),
            ),
        ),
        post(
            &bindings,
            binding(
                "nothing",
                "ClusterRole",
                "NAME-not-there",
                json!([{ "kind": "User", "name": "NAME-eve", "apiGroup": RBAC }]),
            ),
        ),
        ask("NAME-ada", json!([]), pods("get")),
        ask("NAME-ada", json!([]), pods("delete")),
        ask(
            "NAME-ada",
            json!([]),
            json!({ "verb": "get", "resource": "pods", "subresource": "log" }),
        ),
        ask(
            "NAME-ada",
            json!([]),
            json!({ "verb": "get", "resource": "pods", "subresource": "exec" }),
        ),
        ask(
            "NAME-ada",
            json!([]),
            json!({ "verb": "update", "group": "apps", "resource": "deployments", "subresource": "scale" }),
        ),
        ask(
            "NAME-ada",
            json!([]),
            json!({ "verb": "update", "group": "apps", "resource": "deployments" }),
        ),
        ask("NAME-ada", json!([]), json!({ "verb": "get", "resource": "secrets", "name": "one" })),
        ask("NAME-ada", json!([]), json!({ "verb": "get", "resource": "secrets", "name": "two" })),
        ask(
            "NAME-ada",
            json!([]),
            json!({ "verb": "get", "resource": "pods", "namespace": "default" }),
        ),
        ask("NAME-eve", json!([]), pods("get")),
        ask("NAME-bob", json!(["NAME-readers"]), pods("list")),
        ask("system:serviceaccount:NAME:robot", json!([]), pods("list")),
        ask("NAME-bob", json!(["system:masters"]), pods("delete")),
        ask("", json!([]), pods("get")),
        post(
            &format!("{ROOT}/namespaces/NAME/localsubjectaccessreviews"),
            json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "LocalSubjectAccessReview", "metadata": { "namespace": "NAME" }, "spec": { "user": "NAME-ada", "resourceAttributes": { "namespace": "NAME", "verb": "get", "resource": "pods" } } }),
        ),
        post(
            &format!("{ROOT}/selfsubjectaccessreviews"),
            json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": { "resourceAttributes": { "namespace": "NAME", "verb": "delete", "resource": "pods" } } }),
        ),
        get(&format!("{ROOT}/subjectaccessreviews")),
    ]
}
