//! Stories of objects: patches, status, scale, collections, values of custom resources.

use serde_json::{Value, json};

use crate::scripts::{Script, applied, delete, get, merged, operations, post, put, strategic};

const MAPS: &str = "/api/v1/namespaces/NAME/configmaps";
const PODS: &str = "/api/v1/namespaces/NAME/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/NAME/deployments";

pub(crate) fn scripts() -> Vec<Script> {
    vec![
        ("patches by operations", operations_of_a_map()),
        ("strategic patches", strategic_patches()),
        ("unknown fields", unknown_fields()),
        ("a status of its own", status()),
        ("a scale of its own", scale()),
        ("a namespace's own finalizers", finalize()),
        ("collections", collections()),
        ("options of deletions", deletions()),
        ("what was made immutable", immutable()),
        ("values of custom resources", values()),
        ("a custom resource with a scale", troupes()),
    ]
}

fn map(name: &str, data: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data })
}

fn operations_of_a_map() -> Vec<crate::scripts::Line> {
    let one = format!("{MAPS}/one");
    let op = |value: Value| operations(&format!("{one}?fieldManager=hand"), value);
    vec![
        op(json!([{ "op": "add", "path": "/data/a", "value": "1" }])),
        post(MAPS, map("one", json!({ "a": "1", "b": "2" }))),
        op(
            json!([{ "op": "replace", "path": "/data/a", "value": "3" }, { "op": "remove", "path": "/data/b" }, { "op": "add", "path": "/data/c", "value": "x" }]),
        ),
        op(json!([{ "op": "add", "path": "/data/c~1d", "value": "x" }])),
        op(
            json!([{ "op": "test", "path": "/data/a", "value": "3" }, { "op": "add", "path": "/metadata/labels", "value": { "l": "1" } }]),
        ),
        op(json!([{ "op": "test", "path": "/data/a", "value": "other" }])),
        op(json!([{ "op": "remove", "path": "/data/nothing" }])),
        op(json!([{ "op": "replace", "path": "/metadata/name", "value": "other" }])),
        op(
            json!([{ "op": "move", "from": "/data/a", "path": "/data/e" }, { "op": "copy", "from": "/data/e", "path": "/data/f" }]),
        ),
        op(json!([])),
        get(&one),
    ]
}

fn strategic_patches() -> Vec<crate::scripts::Line> {
    let one = format!("{DEPLOYMENTS}/one");
    let patch = |value: Value| strategic(&format!("{one}?fieldManager=hand"), value);
    let containers =
        |value: Value| json!({ "spec": { "template": { "spec": { "containers": value } } } });
    vec![
        post(
            DEPLOYMENTS,
            json!({
                "metadata": { "name": "one" },
                "spec": {
                    "replicas": 0, "paused": true, "selector": { "matchLabels": { "app": "a" } },
                    "template": {
                        "metadata": { "labels": { "app": "a" } },
                        "spec": { "containers": [
                            { "name": "main", "image": "app:1", "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }], "args": ["x", "y"] },
                            { "name": "side", "image": "side:1" },
                        ] },
                    },
                },
            }),
        ),
        patch(containers(json!([{ "name": "main", "image": "app:2" }]))),
        patch(containers(
            json!([{ "name": "main", "env": [{ "name": "B", "value": "3" }, { "name": "C", "value": "4" }], "args": ["z"] }]),
        )),
        patch(containers(json!([{ "name": "side", "$patch": "delete" }]))),
        patch(containers(
            json!([{ "name": "main", "env": [{ "name": "A", "$patch": "delete" }] }, { "name": "new", "image": "new:1" }]),
        )),
        patch(containers(json!([{ "$patch": "replace" }, { "name": "only", "image": "only:1" }]))),
        patch(json!({ "metadata": { "finalizers": ["stream.space/a"], "labels": { "l": "1" } } })),
        patch(json!({ "metadata": { "finalizers": ["stream.space/b"], "labels": { "l": null } } })),
        patch(
            json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["stream.space/a", "stream.space/b"] } }),
        ),
        patch(json!({ "spec": { "strategy": { "$retainKeys": ["type"], "type": "Recreate" } } })),
        get(&one),
        delete(&one, Value::Null),
    ]
}

fn unknown_fields() -> Vec<crate::scripts::Line> {
    let odd = json!({ "metadata": { "name": "odd" }, "data": { "a": "1" }, "bogus": 1 });
    vec![
        post(&format!("{MAPS}?fieldValidation=Strict"), odd.clone()),
        post(&format!("{MAPS}?fieldValidation=Ignore"), odd.clone()),
        post(
            &format!("{MAPS}?fieldValidation=Warn&dryRun=All"),
            json!({ "metadata": { "name": "odder", "odd": true } }),
        ),
        get(&format!("{MAPS}/odd")),
    ]
}

fn status() -> Vec<crate::scripts::Line> {
    let pod = format!("{PODS}/one");
    let status = format!("{pod}/status");
    vec![
        get(&status),
        post(
            PODS,
            json!({ "metadata": { "name": "one" }, "spec": { "automountServiceAccountToken": false, "containers": [{ "name": "main", "image": "app:1" }] } }),
        ),
        merged(
            &format!("{status}?fieldManager=node"),
            json!({ "status": { "phase": "Running" }, "metadata": { "labels": { "seen": "yes" } } }),
        ),
        merged(
            &format!("{status}?fieldManager=node"),
            json!({ "spec": { "containers": [] }, "status": { "message": "well" } }),
        ),
        merged(&format!("{pod}?fieldManager=hand"), json!({ "status": { "phase": "Failed" } })),
        strategic(
            &format!("{status}?fieldManager=node"),
            json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }, { "type": "Other", "status": "False" }] } }),
        ),
        strategic(
            &format!("{status}?fieldManager=node"),
            json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } }),
        ),
        applied(
            &format!("{status}?fieldManager=other"),
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "one" }, "status": { "phase": "Pending", "reason": "Mine" } }),
        ),
        applied(
            &format!("{status}?fieldManager=other&force=true"),
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "one" }, "status": { "phase": "Pending", "reason": "Mine" } }),
        ),
        get(&status),
        get(&pod),
        get(&format!("{PODS}?fieldSelector=status.phase%3DPending,spec.restartPolicy!%3DNever")),
        get(&format!("{PODS}?fieldSelector=spec.nodeName%3Dsomewhere")),
        get(&format!("{PODS}?fieldSelector=spec.containers%3Dx")),
        delete(&pod, json!({ "gracePeriodSeconds": 0 })),
        get(&status),
    ]
}

fn scale() -> Vec<crate::scripts::Line> {
    let one = format!("{DEPLOYMENTS}/one");
    let scale = format!("{one}/scale");
    let wanted = |replicas: i64| json!({ "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": { "name": "one", "namespace": "NAME" }, "spec": { "replicas": replicas } });
    let deployment = json!({
        "metadata": { "name": "one" },
        "spec": {
            "replicas": 0, "paused": true,
            "selector": { "matchLabels": { "app": "a", "tier": "b" }, "matchExpressions": [{ "key": "x", "operator": "DoesNotExist" }] },
            "template": { "metadata": { "labels": { "app": "a", "tier": "b" } }, "spec": { "containers": [{ "name": "main", "image": "app:1" }] } },
        },
    });
    let stale = json!({ "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": { "name": "one", "namespace": "NAME", "resourceVersion": "1" }, "spec": { "replicas": 5 } });
    vec![
        get(&scale),
        post(DEPLOYMENTS, deployment),
        get(&scale),
        put(&format!("{scale}?fieldManager=hand&dryRun=All"), wanted(2)),
        put(&format!("{scale}?fieldManager=hand"), wanted(-1)),
        put(&format!("{scale}?fieldManager=hand"), stale),
        merged(
            &format!("{scale}?fieldManager=hand&dryRun=All"),
            json!({ "spec": { "replicas": 3 } }),
        ),
        operations(
            &format!("{scale}?fieldManager=hand&dryRun=All"),
            json!([{ "op": "add", "path": "/spec/replicas", "value": 4 }]),
        ),
        delete(&one, Value::Null),
    ]
}

fn finalize() -> Vec<crate::scripts::Line> {
    let namespace = "/api/v1/namespaces/NAME";
    vec![
        get(&format!("{namespace}/finalize")),
        put(&format!("{namespace}/finalize"), json!({ "metadata": { "name": "other" } })),
        put(
            &format!("{namespace}/finalize?fieldManager=f"),
            json!({ "metadata": { "name": "NAME" }, "spec": { "finalizers": ["stream.space/x", "kubernetes"] } }),
        ),
        put(
            &format!("{namespace}/finalize?fieldManager=f"),
            json!({ "metadata": { "name": "NAME" }, "spec": { "finalizers": ["kubernetes"] } }),
        ),
        get(namespace),
    ]
}

fn collections() -> Vec<crate::scripts::Line> {
    let labelled = |name: &str, tier: &str| json!({ "metadata": { "name": name, "labels": { "tier": tier } } });
    let held = json!({ "metadata": { "name": "held", "labels": { "tier": "b" }, "finalizers": ["stream.space/hold"] } });
    vec![
        post(MAPS, labelled("a1", "a")),
        post(MAPS, labelled("a2", "a")),
        post(MAPS, labelled("b1", "b")),
        post(MAPS, held),
        delete(&format!("{MAPS}?labelSelector=tier%3Da&dryRun=All"), Value::Null),
        delete(&format!("{MAPS}?labelSelector=tier%3Da"), Value::Null),
        get(&format!("{MAPS}?labelSelector=tier")),
        delete(&format!("{MAPS}?labelSelector=tier"), Value::Null),
        get(&format!("{MAPS}?labelSelector=tier")),
        merged(
            &format!("{MAPS}/held?fieldManager=hand"),
            json!({ "metadata": { "finalizers": null } }),
        ),
        delete("/api/v1/configmaps", Value::Null),
        delete("/api/v1/namespaces", Value::Null),
    ]
}

fn deletions() -> Vec<crate::scripts::Line> {
    let one = format!("{MAPS}/one");
    let with = |options: Value| {
        let mut options = options;
        options["dryRun"] = json!(["All"]);
        delete(&one, options)
    };
    vec![
        post(MAPS, map("one", json!({}))),
        with(json!({ "propagationPolicy": "Sideways" })),
        with(json!({ "propagationPolicy": "Orphan", "orphanDependents": true })),
        with(json!({ "propagationPolicy": "Foreground" })),
        with(json!({ "propagationPolicy": "Orphan" })),
        with(json!({ "orphanDependents": true })),
        with(json!({ "propagationPolicy": "Background" })),
        with(json!({ "preconditions": { "uid": "other" } })),
        with(json!({ "preconditions": { "resourceVersion": "1" } })),
        delete(&one, Value::Null),
    ]
}

fn immutable() -> Vec<crate::scripts::Line> {
    let one = format!("{MAPS}/one");
    let mut fixed = map("one", json!({ "a": "1" }));
    fixed["immutable"] = true.into();
    vec![
        post(MAPS, fixed),
        merged(&format!("{one}?fieldManager=hand"), json!({ "data": { "a": "2" } })),
        merged(&format!("{one}?fieldManager=hand"), json!({ "immutable": false })),
        merged(
            &format!("{one}?fieldManager=hand"),
            json!({ "metadata": { "labels": { "l": "1" } } }),
        ),
    ]
}

/// The project's own definitions, with a session and a template that are wrong in every way.
fn values() -> Vec<crate::scripts::Line> {
    let sessions = "/apis/stream.space/v1alpha1/namespaces/NAME/sessions";
    let one = format!("{sessions}/one");
    let session = |spec: Value| json!({ "apiVersion": "stream.space/v1alpha1", "kind": "Session", "metadata": { "name": "one" }, "spec": spec });
    let good = json!({ "user": "ada", "template": "firefox", "state": "running" });
    let with = |field: &str, value: Value| {
        let mut spec = good.clone();
        spec[field] = value;
        session(spec)
    };
    let dry = format!("{sessions}?dryRun=All&fieldManager=hand");
    vec![
        post(&dry, session(json!({}))),
        post(&dry, json!({ "metadata": { "name": "one" } })),
        post(&dry, with("user", 1.into())),
        post(&dry, with("user", "".into())),
        post(&dry, with("user", Value::Null)),
        post(&dry, with("state", "walking".into())),
        post(&dry, with("bogus", "yes".into())),
        post(&dry, with("persistentHome", "yes".into())),
        post(&dry, with("idleTimeout", "never".into())),
        post(&dry, with("tags", json!(["a", 1]))),
        post(&dry, with("tags", "a".into())),
        post(&dry, with("resources", json!({ "memory": "1Gi", "cpu": "x" }))),
        post(&format!("{dry}&fieldValidation=Strict"), with("bogus", "yes".into())),
        post(&dry, {
            let mut long = session(good.clone());
            long["metadata"]["name"] = "a.b".into();
            long
        }),
        post(&format!("{sessions}?fieldManager=hand"), session(good.clone())),
        merged(
            &format!("{one}?fieldManager=hand"),
            json!({ "spec": { "state": "flying", "user": null } }),
        ),
        operations(
            &format!("{one}?fieldManager=hand"),
            json!([{ "op": "replace", "path": "/spec/state", "value": "hibernated" }]),
        ),
        strategic(&format!("{one}?fieldManager=hand"), json!({ "spec": { "state": "running" } })),
        put(&format!("{one}?fieldManager=hand"), with("state", "running".into())),
        applied(&format!("{one}?fieldManager=one"), with("state", 5.into())),
        applied(&format!("{one}?fieldManager=one"), with("bogus", 5.into())),
        applied(&format!("{one}?fieldManager=one&force=true"), with("state", "terminated".into())),
        merged(
            &format!("{one}/status?fieldManager=controller"),
            json!({ "status": { "phase": "Running" }, "spec": { "state": "running" }, "metadata": { "labels": { "l": "1" } } }),
        ),
        merged(
            &format!("{one}/status?fieldManager=controller"),
            json!({ "status": { "phase": 1 } }),
        ),
        merged(
            &format!("{one}/status?fieldManager=controller"),
            json!({ "status": { "bogus": 1, "url": "https://one.example" } }),
        ),
        merged(&format!("{one}?fieldManager=hand"), json!({ "status": { "phase": "Failed" } })),
        applied(
            &format!("{one}/status?fieldManager=other"),
            json!({ "apiVersion": "stream.space/v1alpha1", "kind": "Session", "metadata": { "name": "one" }, "status": { "phase": "Failed" } }),
        ),
        get(&format!("{one}/scale")),
        get(&one),
        delete(&one, Value::Null),
    ]
}

/// A kind that has what the project's own have not: a scale, bounds, keyed lists, open maps.
fn troupes() -> Vec<crate::scripts::Line> {
    let all = "/apis/conformance.example/v1alpha1/namespaces/NAME/troupes";
    let one = format!("{all}/one");
    let troupe = |spec: Value| json!({ "apiVersion": "conformance.example/v1alpha1", "kind": "Troupe", "metadata": { "name": "one" }, "spec": spec });
    let dry = format!("{all}?dryRun=All&fieldManager=hand");
    let roles = |names: &[&str]| -> Value {
        names.iter().map(|name| json!({ "name": name, "lines": 1 })).collect()
    };
    let scale = format!("{one}/scale");
    let scaled = |replicas: i64| json!({ "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": { "name": "one", "namespace": "NAME" }, "spec": { "replicas": replicas } });
    vec![
        post(&dry, troupe(json!({ "actors": 0 }))),
        post(&dry, troupe(json!({ "actors": 101 }))),
        post(&dry, troupe(json!({ "actors": 1, "understudies": "x" }))),
        post(&dry, troupe(json!({ "actors": 1, "roles": roles(&["a", "b", "c", "d"]) }))),
        post(&dry, troupe(json!({ "actors": 1, "roles": roles(&["a", "a"]) }))),
        post(&dry, troupe(json!({ "actors": 1, "roles": [{ "lines": 1 }] }))),
        post(&dry, troupe(json!({ "actors": 1, "cities": ["x", "x"] }))),
        post(&dry, troupe(json!({ "actors": 1, "cities": [] }))),
        post(&dry, troupe(json!({ "actors": 1, "since": "yesterday" }))),
        post(&dry, troupe(json!({ "actors": 1, "port": true }))),
        post(&dry, troupe(json!({ "actors": 7, "understudies": 9 }))),
        post(
            &dry,
            troupe(
                json!({ "actors": 1, "anything": { "goes": [1, "two"] }, "props": { "skull": "1" } }),
            ),
        ),
        post(
            &format!("{all}?fieldManager=hand"),
            troupe(json!({ "actors": 2, "roles": roles(&["a"]), "cities": ["x"] })),
        ),
        applied(
            &format!("{one}?fieldManager=one"),
            troupe(json!({ "actors": 2, "roles": roles(&["b"]), "cities": ["y"] })),
        ),
        applied(&format!("{one}?fieldManager=one"), troupe(json!({ "actors": 3 }))),
        applied(&format!("{one}?fieldManager=one&force=true"), troupe(json!({ "actors": 3 }))),
        get(&scale),
        put(&format!("{scale}?fieldManager=scaler"), scaled(5)),
        merged(&format!("{scale}?fieldManager=scaler"), json!({ "spec": { "replicas": 6 } })),
        merged(&format!("{scale}?fieldManager=scaler"), json!({ "spec": { "replicas": 1000 } })),
        merged(
            &format!("{one}/status?fieldManager=c"),
            json!({ "status": { "actors": 4, "selector": "troupe=one" } }),
        ),
        get(&scale),
        get(&one),
        delete(&one, Value::Null),
        get(&scale),
    ]
}
