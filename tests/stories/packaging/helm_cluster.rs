//! The chart on a real API server: each of its objects is taken; it is installed, and then a
//! real daemon runs with nothing but what the chart gave it.

use std::{fs, path::Path};

use k8s_openapi::{
    api::{
        admissionregistration::v1::ValidatingAdmissionPolicy,
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::{Namespace, Pod, ServiceAccount},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
    core::GroupVersionKind,
    discovery,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use streamspace_tests::{
    cluster::Cluster,
    daemon::{Daemon, Log, program},
    database::Server,
    helm::{Helm, NAMESPACE, RELEASE, chart, values_file},
    http,
    ports::Port,
    region::own_cluster,
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, until},
};
use tokio::process::Command;

use crate::{
    helm_render::{VALUES, configuration, object},
    helm_rights,
};

/// The Prometheus operator's kinds as far as a rehearsal needs them: a name, and no schema. What
/// its own definitions would refuse is not seen here.
async fn make_foreign_definitions(client: &Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for (kind, plural) in
        [("ServiceMonitor", "servicemonitors"), ("PrometheusRule", "prometheusrules")]
    {
        let name = format!("{plural}.monitoring.coreos.com");
        let definition = serde_json::from_value(json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": name},
            "spec": {
                "group": "monitoring.coreos.com", "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {
                    "openAPIV3Schema": {
                        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    },
                }}],
            },
        }))
        .unwrap();
        definitions.create(&PostParams::default(), &definition).await.unwrap();
        until("the definition is served", async || {
            let live = definitions.get(&name).await.map_err(|error| error.to_string())?;
            let conditions = live.status.and_then(|status| status.conditions).unwrap_or_default();
            let served =
                conditions.iter().any(|one| one.type_ == "Established" && one.status == "True");
            holds(served, || format!("{conditions:?}"))
        })
        .await;
    }
}

/// Rehearses one object with strict checking of its fields, as the API server would take it.
async fn rehearse(client: &Client, object: &Value) -> Result<(), String> {
    let (api, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    let (group, version) = api.split_once('/').unwrap_or(("", api));
    let kind = GroupVersionKind::gvk(group, version, kind);
    let (resource, _) = discovery::pinned_kind(client, &kind).await.map_err(|e| e.to_string())?;
    let name = object["metadata"]["name"].as_str().unwrap();
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let mut parameters = PatchParams::apply("rehearsal").force().validation_strict();
    parameters.dry_run = true;
    api.patch(name, &parameters, &Patch::Apply(object))
        .await
        .map(drop)
        .map_err(|error| format!("{} {name}: {error}", kind.kind))
}

/// The control namespace as the leader will have it: no pod that is not restricted.
async fn make_namespace(client: &Client) {
    let namespace: Namespace = serde_json::from_value(json!({
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }))
    .unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
}

/// A pod of the Deployment, as its controller would make it.
fn pod_of(objects: &[Value]) -> Pod {
    let template = &object(objects, "Deployment", "streamspaced")["spec"]["template"];
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "rehearsal", "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }))
    .unwrap()
}

/// The cluster as the chart's service account sees it.
async fn kubeconfig_of_the_account(cluster: &Cluster, client: &Client) -> Kubeconfig {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let asked = TokenRequest {
        spec: Some(TokenRequestSpec { expiration_seconds: Some(3600), ..Default::default() }),
        ..Default::default()
    };
    let token = accounts
        .create_token_request("streamspaced", &PostParams::default(), &asked)
        .await
        .unwrap();
    let token = token.status.unwrap().token.unwrap();
    let mut kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    for user in &mut kubeconfig.auth_infos {
        user.auth_info =
            Some(AuthInfo { token: Some(token.clone().into()), ..AuthInfo::default() });
    }
    kubeconfig
}

/// The host's program, which must succeed.
async fn streamspaced(arguments: &[&str]) -> String {
    let output = Command::new(program("streamspaced")).args(arguments).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The file of the chart with the places of this machine in it. Logins and their passwords
/// are those that `init` made, in the files that the chart mounts of a Secret.
fn as_mounted(text: &str, init: &toml::Table, folder: &Path, ports: &[Port; 2]) -> toml::Table {
    let mut table: toml::Table = toml::from_str(text).unwrap();
    let passwords = folder.join("passwords");
    fs::create_dir(&passwords).unwrap();
    for login in ["owner", "operator", "tenant", "audit", "maintainer"] {
        let url = init["database"][login].as_str().unwrap();
        let (user, rest) = url.split_once('@').unwrap();
        let (user, password) = user.rsplit_once(':').unwrap();
        fs::write(passwords.join(login), format!("{password}\n")).unwrap();
        table["database"][login] = format!("{user}@{rest}").into();
    }
    let mut put = |section: &str, key: &str, value: String| {
        table[section].as_table_mut().unwrap().insert(key.into(), value.into());
    };
    put("database", "passwords", passwords.display().to_string());
    put("access", "directory", folder.join("access").display().to_string());
    put("cluster", "kubeconfig", folder.join("kubeconfig").display().to_string());
    put("listen", "grpc", ports[0].address().to_string());
    put("listen", "http", ports[1].address().to_string());
    table
}

#[test]
fn an_api_server_takes_every_object_of_the_chart() {
    story(async {
        let cluster = own_cluster().await;
        let client = cluster.client().await.unwrap();
        make_namespace(&client).await;
        make_foreign_definitions(&client).await;
        let helm = Helm::new(Some(cluster.kubeconfig())).await;
        let mut faults = Vec::new();
        for values in VALUES {
            let objects = helm.objects(values, &[]).await;
            assert!(objects.len() > 15, "{}", objects.len());
            for object in &objects {
                let taken = rehearse(&client, object).await;
                faults.extend(taken.err().map(|fault| format!("{values}: {fault}")));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    });
}

#[test]
fn an_installed_chart_is_all_that_a_daemon_needs() {
    story(async {
        let (server, cluster) = tokio::join!(Server::start(), own_cluster());
        let client = cluster.client().await.unwrap();
        let helm = Helm::new(Some(cluster.kubeconfig())).await;
        make_namespace(&client).await;
        let (chart, values) =
            (chart().display().to_string(), values_file("minimal").display().to_string());
        let said = helm.ok(&["install", RELEASE, &chart, "-n", NAMESPACE, "-f", &values]).await;
        for word in ["token create", "ssctl login control.us-east-1.example.com", "port-forward"] {
            assert!(said.contains(word), "the notes do not say {word:?}: {said}");
        }
        helm_rights::are_as_they_should(&client).await;
        let objects = helm.objects("minimal", &[]).await;
        // There are no nodes; but its namespace takes such a pod, and would take no other.
        let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        pods.create(&dry, &pod_of(&objects)).await.unwrap();
        let mut loose = pod_of(&objects);
        loose.spec.as_mut().unwrap().containers[0].security_context = None;
        let refusal = pods.create(&dry, &loose).await.unwrap_err().to_string();
        assert!(refusal.contains("violates PodSecurity"), "{refusal}");

        // The region is made, and the daemon run, with the account's token and the chart's file.
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let said = streamspaced(&[
            "init",
            "--config",
            &at("init.toml"),
            "--region",
            "us-east-1",
            "--database-superuser",
            &server.superuser_url("postgres"),
            "--operator",
            "ada",
        ])
        .await;
        let init: toml::Table =
            toml::from_str(&fs::read_to_string(at("init.toml")).unwrap()).unwrap();
        let account = kubeconfig_of_the_account(&cluster, &client).await;
        fs::write(at("kubeconfig"), serde_json::to_string(&account).unwrap()).unwrap();
        let ports = [Port::take(), Port::take()];
        let file = as_mounted(&configuration(&objects), &init, folder.path(), &ports);
        fs::write(at("streamspaced.toml"), file.to_string()).unwrap();
        let log = Log::new(folder.path().join("streamspaced.log"));
        let config = at("streamspaced.toml");
        let daemon = Daemon::start(&["run", "--config", &config], log.path(), &[]);
        until("every part of the region is well", async || {
            let (code, body) =
                http::get(ports[1].address(), "/readyz").await.map_err(|e| e.to_string())?;
            let well = body.lines().all(|line| line.split(' ').nth(1) == Some("Ok:"));
            holds(code == 200 && well, || format!("{code}: {body}"))
        })
        .await;

        // By itself the leader made what `cluster install` makes beside the rights. On these
        // Helm has put its own mark.
        let administrator = cluster.kubeconfig().display().to_string();
        let said_of_install = streamspaced(&[
            "cluster",
            "install",
            "--crds",
            "--dry-run",
            "--config",
            &config,
            "--kubeconfig",
            &administrator,
        ])
        .await;
        for line in said_of_install.lines() {
            let of_helm = line.contains("Role") || line.starts_with("CustomResourceDefinition");
            assert!(line.ends_with(" unchanged") || of_helm, "{said_of_install}");
        }
        assert!(said_of_install.contains("ValidatingAdmissionPolicy streamspace-guard unchanged"));
        assert!(!said_of_install.contains("created"), "{said_of_install}");

        // A tenant becomes what it should, by these rights alone.
        let token = said.split("--token").nth(1).unwrap().split_whitespace().next().unwrap();
        let admin = Ssctl::new(folder.path().join("ada"));
        admin.ok(&["login", &ports[0].address().to_string(), "--token", token]).await;
        let create = [
            "tenant",
            "create",
            "acme",
            "--plan",
            "free",
            "--seats",
            "1",
            "--admin",
            "a@acme.example",
            "--wait",
        ];
        admin.ok(&create).await;
        nobody_else_passes(&account, &client).await;

        // An upgrade goes through the fences, with more rights.
        make_foreign_definitions(&client).await;
        let values = values_file("production").display().to_string();
        helm.ok(&["upgrade", RELEASE, &chart, "-n", NAMESPACE, "-f", &values]).await;
        helm_rights::are_as_they_should(&client).await;

        // What tenants have stays when the release goes, and so do the fences and the kinds.
        helm.ok(&["uninstall", RELEASE, "-n", NAMESPACE, "--wait"]).await;
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
        policies.get("streamspace-guard").await.unwrap();
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        definitions.get("sessions.stream.space").await.unwrap();
        let namespaces: Api<Namespace> = Api::all(client);
        namespaces.get("tenant-acme").await.unwrap();
        assert!(daemon.stop(Signal::TERM).await.success());
    });
}

/// A cluster that was prepared with `streamspaced cluster install` goes over to the chart, as its
/// page says.
#[test]
fn a_cluster_that_was_prepared_by_hand_is_taken_over() {
    story(async {
        let cluster = own_cluster().await;
        let helm = Helm::new(Some(cluster.kubeconfig())).await;
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("streamspaced.toml").display().to_string();
        let logins: String = ["owner", "operator", "tenant", "audit", "maintainer"]
            .iter()
            .map(|login| format!("{login} = 'postgres://{login}@db/streamspace'\n"))
            .collect();
        fs::write(&config, format!("region = 'us-east-1'\n[database]\n{logins}")).unwrap();
        let administrator = cluster.kubeconfig().display().to_string();
        let install =
            ["cluster", "install", "--crds", "--config", &config, "--kubeconfig", &administrator];
        streamspaced(&install).await;
        let (chart, values) =
            (chart().display().to_string(), values_file("minimal").display().to_string());
        let install = ["install", RELEASE, &chart, "-n", NAMESPACE, "-f", &values];
        let said = helm.refused(&install).await;
        assert!(said.contains("ownership"), "{said}");
        let over = [&install[..], &["--take-ownership", "--force-conflicts"]].concat();
        helm.ok(&over).await;
        let values = values_file("default").display().to_string();
        helm.ok(&["upgrade", RELEASE, &chart, "-n", NAMESPACE, "-f", &values]).await;
        helm_rights::are_as_they_should(&cluster.client().await.unwrap()).await;
    });
}

/// The account cannot write by itself, and who takes it and acts as the daemon's user without the
/// term of the leader is stopped by the fence, also where no tenant is.
async fn nobody_else_passes(account: &Kubeconfig, administrator: &Client) {
    let namespaces: Api<Namespace> = Api::all(administrator.clone());
    let foreign: Namespace =
        serde_json::from_value(json!({"metadata": {"name": "of-somebody-else"}})).unwrap();
    namespaces.create(&PostParams::default(), &foreign).await.unwrap();
    for acting in [false, true] {
        let mut config =
            Config::from_custom_kubeconfig(account.clone(), &KubeConfigOptions::default())
                .await
                .unwrap();
        config.default_retry = false;
        if acting {
            config.auth_info.impersonate = Some("streamspace:daemon".to_owned());
        }
        let client = Client::try_from(config).unwrap();
        let theirs: Api<Namespace> = Api::all(client);
        for name in ["of-somebody-else", "tenant-acme", "kube-system"] {
            let answer = theirs.delete(name, &<_>::default()).await;
            let refusal = answer.map(|_| ()).unwrap_err().to_string();
            let word =
                if acting && name != "kube-system" { "stale leader term" } else { "forbidden" };
            assert!(refusal.contains(word), "{acting}: {name}: {refusal}");
        }
    }
}
