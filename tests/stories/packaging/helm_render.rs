//! The chart as Helm renders it: without a cluster.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use streamspace_tests::{
    helm::{Helm, NAMESPACE, RELEASE, chart, values_file},
    runtime::story,
};
use streamspaced::{config::Config, platform::manifests::Manifests};

pub(crate) const VALUES: [&str; 3] = ["minimal", "default", "production"];

/// The only object of a kind and a name.
pub(crate) fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found: Vec<_> = objects
        .iter()
        .filter(|one| one["kind"] == kind && one["metadata"]["name"] == name)
        .collect();
    let [one] = found[..] else { panic!("{} of {kind} {name}", found.len()) };
    one
}

/// The file that the daemon reads, from the chart's `ConfigMap`.
pub(crate) fn configuration(objects: &[Value]) -> String {
    let map = object(objects, "ConfigMap", "streamspaced");
    map["data"]["streamspaced.toml"].as_str().unwrap().to_owned()
}

/// Reads that file as the daemon does, with files where Secrets would be mounted.
fn read(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    for file in [
        "database/owner",
        "database/operator",
        "database/tenant",
        "database/audit",
        "database/maintainer",
        "secrets/pagerduty/key",
        "inbound/token",
    ] {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "a-secret-of-many-characters\n").unwrap();
    }
    let mut text = text.to_owned();
    for mounted in ["database", "secrets", "inbound"] {
        // The whole name of a folder alone.
        for end in ["\"", "/"] {
            let here = folder.path().join(mounted).display().to_string() + end;
            text = text.replace(&format!("/etc/streamspace/{mounted}{end}"), &here);
        }
    }
    let path = folder.path().join("streamspaced.toml");
    std::fs::write(&path, &text).unwrap();
    Config::read(&path).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn helm_finds_nothing_to_say_against_the_chart() {
    story(async {
        let helm = Helm::new(None).await;
        for values in VALUES {
            let (chart, values) = (chart(), values_file(values));
            helm.ok(&[
                "lint",
                "--strict",
                "--namespace",
                NAMESPACE,
                &chart.display().to_string(),
                "-f",
                &values.display().to_string(),
            ])
            .await;
        }
    });
}

#[test]
fn the_daemon_reads_the_file_that_the_chart_writes() {
    story(async {
        let helm = Helm::new(None).await;
        for values in VALUES {
            let objects = helm.objects(values, &[]).await;
            let text = configuration(&objects);
            assert!(!text.contains("_owner:") && text.contains("_owner@"), "{text}");
            let config = read(&text);
            for url in [&config.database.owner, &config.database.maintainer] {
                assert!(url.expose().contains("sslmode=verify-full"), "TLS is not proved");
                assert!(
                    url.expose().contains(":a-secret-of-many-characters@"),
                    "the password's file is not read"
                );
            }
            assert!(config.access.names.contains(&format!("streamspaced.{NAMESPACE}.svc")));
            assert!(config.listen.http.ip().is_unspecified(), "probes come from outside");
        }
        let production = read(&configuration(&helm.objects("production", &[]).await));
        assert_eq!(production.database.max_connections, 20);
        assert!(production.cluster.node_pools.is_some());
        assert_eq!(production.notify.channels.len(), 1);
        assert!(production.notify.inbound.listen.is_some());
        assert!(production.database.audit.expose().contains("database-ca/ca.crt"));
        assert_eq!(
            production.sessions.webhook.service.as_deref(),
            Some("streamspace-system/streamspaced-webhook:7444")
        );
        let minimal = read(&configuration(&helm.objects("minimal", &[]).await));
        assert_eq!(minimal.sessions.webhook.listen, None);
    });
}

/// One home: what the chart gives is what `streamspaced cluster install` gives of the same
/// configuration, and one binding more.
#[test]
fn the_chart_gives_the_rights_that_install_gives() {
    story(async {
        let helm = Helm::new(None).await;
        for values in VALUES {
            let objects = helm.objects(values, &[]).await;
            let config = read(&configuration(&objects)).cluster;
            let manifests = Manifests::new(&config);
            let mut wished = manifests.rights().unwrap();
            wished.extend(manifests.definitions().unwrap());
            let mut wished: BTreeMap<String, Value> = wished
                .into_iter()
                .map(|wish| (wish.title(), serde_json::to_value(wish.body).unwrap()))
                .collect();
            let extra = format!("ClusterRoleBinding {}-base", config.instance);
            let api = ["rbac.authorization.k8s.io/v1", "apiextensions.k8s.io/v1"];
            let mut given = 0;
            for object in
                objects.iter().filter(|one| api.iter().any(|api| one["apiVersion"] == *api))
            {
                let title = title(object);
                if title == extra {
                    assert_eq!(object["roleRef"]["name"], format!("{}-base", config.instance));
                    assert_eq!(
                        object["subjects"],
                        json!([{"kind": "ServiceAccount", "name": "streamspaced",
                                "namespace": NAMESPACE}])
                    );
                    continue;
                }
                let mut object = object.clone();
                if object["kind"] == "CustomResourceDefinition" {
                    let kept = object["metadata"].as_object_mut().unwrap().remove("annotations");
                    assert_eq!(kept, Some(json!({"helm.sh/resource-policy": "keep"})));
                }
                let wish = wished.remove(&title);
                let wish = wish.map(alike);
                assert_eq!(Some(alike(object)), wish, "{values}: {title}");
                given += 1;
            }
            assert!(wished.is_empty(), "{values}: not given: {:?}", wished.keys());
            assert!(given > 9, "{given}");
        }
    });
}

/// Helm writes a whole number that is a float without its point.
fn alike(mut value: Value) -> Value {
    match &mut value {
        Value::Object(map) => map.values_mut().for_each(|one| *one = alike(one.take())),
        Value::Array(list) => list.iter_mut().for_each(|one| *one = alike(one.take())),
        Value::Number(number) => return json!(number.as_f64()),
        _ => {}
    }
    value
}

fn title(object: &Value) -> String {
    let word = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (kind, name) = (word("/kind").unwrap(), word("/metadata/name").unwrap());
    match word("/metadata/namespace") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// Secrets are named and never made; nothing that the chart makes bears the marks of what the
/// daemon manages, which the fences keep from everybody else.
#[test]
fn the_chart_makes_no_secret_and_nothing_that_is_the_daemons() {
    story(async {
        let helm = Helm::new(None).await;
        for values in VALUES {
            for object in helm.objects(values, &[]).await {
                let (kind, title) = (object["kind"].as_str().unwrap(), title(&object));
                assert_ne!(kind, "Secret", "{title}");
                // Of the daemon's own rights alone: the guard leaves them to administrators.
                let managed = &object["metadata"]["labels"]["control.stream.space/instance"];
                assert!(managed.is_null() || kind.contains("Role"), "{title}");
                assert!(title.len() < 200 && !title.contains("INSTANCE"), "{title}");
            }
        }
    });
}

#[test]
fn production_is_spread_fenced_off_and_watched() {
    story(async {
        let helm = Helm::new(None).await;
        let objects = helm.objects("production", &[]).await;
        let pod = &object(&objects, "Deployment", "streamspaced")["spec"]["template"]["spec"];
        assert_eq!(pod["topologySpreadConstraints"].as_array().unwrap().len(), 2);
        assert_eq!(
            pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
            json!({"app.kubernetes.io/name": "streamspaced", "app.kubernetes.io/instance": RELEASE})
        );
        let container = &pod["containers"][0];
        assert!(container["image"].as_str().unwrap().contains("@sha256:"), "{container}");
        let service = object(&objects, "Service", "streamspaced");
        assert_eq!(service["spec"]["externalTrafficPolicy"], "Local");
        let budget = object(&objects, "PodDisruptionBudget", "streamspaced");
        assert_eq!(budget["spec"]["maxUnavailable"], 1);
        // Each port of the pod is reached by somebody, and egress is named.
        let policy = &object(&objects, "NetworkPolicy", "streamspaced")["spec"];
        let open: Vec<_> = policy["ingress"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| rule["ports"][0]["port"].as_str().unwrap())
            .collect();
        let ports = container["ports"].as_array().unwrap();
        assert_eq!(open.len(), ports.len(), "{open:?}");
        for port in ports {
            assert!(open.contains(&port["name"].as_str().unwrap()), "{port} in {open:?}");
        }
        for rule in policy["ingress"].as_array().unwrap() {
            assert!(!rule["from"].as_array().unwrap().is_empty(), "open to all: {rule}");
        }
        assert_eq!(policy["egress"].as_array().unwrap().len(), 6, "{policy}");
        for rule in policy["egress"].as_array().unwrap() {
            assert!(!rule["ports"].as_array().unwrap().is_empty(), "any port: {rule}");
        }
        let schema = object(&objects, "FlowSchema", "streamspace-daemon");
        assert_eq!(
            schema["spec"]["priorityLevelConfiguration"]["name"],
            object(&objects, "PriorityLevelConfiguration", "streamspace-daemon")["metadata"]["name"]
        );
        object(&objects, "ServiceMonitor", "streamspaced");
        let rules = object(&objects, "PrometheusRule", "streamspaced");
        assert!(!rules["spec"]["groups"][0]["rules"].as_array().unwrap().is_empty());
        let board = object(&objects, "ConfigMap", "streamspaced-platform-health");
        let board = board["data"]["streamspace-platform-health.json"].as_str().unwrap();
        serde_json::from_str::<Value>(board).unwrap();
        // And of all that nothing where nobody asked for it.
        let minimal = helm.objects("minimal", &[]).await;
        for kind in ["ServiceMonitor", "PrometheusRule"] {
            assert!(minimal.iter().all(|object| object["kind"] != kind), "{kind}");
        }
    });
}

#[test]
fn what_cannot_be_is_refused_with_the_name_of_the_value() {
    story(async {
        let helm = Helm::new(None).await;
        let (chart, values) =
            (chart().display().to_string(), values_file("default").display().to_string());
        let with = async |namespace: &str, more: &[&str]| {
            let mut arguments = vec!["template", RELEASE, &chart, "-n", namespace, "-f", &values];
            arguments.extend(more);
            helm.refused(&arguments).await
        };
        // The values file is good as it is, so each refusal is of what was changed.
        helm.objects("default", &[]).await;
        for (set, word) in [
            ("region=US_EAST", "region"),
            ("region=", "region"),
            ("image.repository=", "image/repository"),
            ("image.digest=sha256:1", "image/digest"),
            ("replicas=0", "replicas"),
            ("database.host=", "database/host"),
            ("database.host=a b", "database/host"),
            ("database.sslMode=disable", "database/sslMode"),
            ("database.password=x", "password"),
            ("database.existingSecret=", "database/existingSecret"),
            ("config.region=other", "region"),
            ("config.database.owner=x", "database"),
            ("config.tenants.worker=3", "worker"),
            ("config.cluster.instance=Streamspace", "config/cluster/instance"),
            ("config.sessions.controller=none", "config/sessions/controller"),
            ("config.access.names=null", "names"),
            ("podSecurity.user=0", "podSecurity/user"),
            ("inbound.enabled=true", "inbound/existingSecret"),
            ("networkPolicy.grpc.cidrs={10.0.0.1}", "networkPolicy/grpc/cidrs"),
            ("terminationGracePeriodSeconds=5", "terminationGracePeriodSeconds"),
            ("replica=3", "replica"),
            ("networkPolicy.webhook.cidrs=null", "networkPolicy.webhook.cidrs: is empty"),
            ("config.cluster.instance=other", "other-system"),
        ] {
            let said = with(NAMESPACE, &["--set", set]).await;
            assert!(said.contains(word), "{set}: {said}");
        }
        let said = with("default", &[]).await;
        assert!(said.contains("give --namespace streamspace-system"), "{said}");
        let bare = helm.refused(&["template", RELEASE, &chart, "-n", NAMESPACE]).await;
        for word in ["region", "repository", "host", "names"] {
            assert!(bare.contains(word), "{word}: {bare}");
        }
    });
}

/// What the README says of values is what there is.
#[test]
fn every_value_is_explained() {
    let text = std::fs::read_to_string(chart().join("values.yaml")).unwrap();
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(chart().join("values.schema.json")).unwrap())
            .unwrap();
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    same_keys("", &values, &schema);
    let readme = std::fs::read_to_string(chart().join("README.md")).unwrap();
    for key in schema["properties"].as_object().unwrap().keys().filter(|key| *key != "global") {
        assert!(readme.contains(&format!("`{key}")), "README.md says nothing of {key}");
    }
}

/// Every key of the schema stands in the values, so that who reads them sees all of it.
fn same_keys(path: &str, values: &Value, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else { return };
    for (key, below) in properties {
        let path = format!("{path}.{key}");
        // The configuration has a reference of its own.
        if [".global", ".config"].contains(&path.as_str()) {
            continue;
        }
        assert!(!values[key].is_null(), "values.yaml has no {path}");
        assert!(below["description"].is_string(), "values.schema.json explains no {path}");
        same_keys(&path, &values[key], below);
    }
}
