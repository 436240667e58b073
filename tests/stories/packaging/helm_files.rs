//! What the chart holds of others has one home, and is the same there and here.
//! `UPDATE_SNAPSHOTS=1` writes it anew.

use std::{fs, path::Path};

use serde_json::{Value, json};
use streamspace_tests::helm::chart;
use streamspaced::{
    config::Config,
    kube::{ClusterConfig, NodePoolConfig},
    platform::manifests::{Manifests, Wish},
};

use crate::root;

/// What stands in the chart's files for the name of the installation.
const INSTANCE: &str = "INSTANCE";

fn is_as_committed(path: &Path, now: &str) {
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(path, now).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(committed, now, "{}: UPDATE_SNAPSHOTS=1 writes it anew", path.display());
}

fn yaml(wishes: &[Wish]) -> String {
    let documents: Vec<_> = wishes
        .iter()
        .map(|wish| serde_saphyr::to_string(&wish.body).unwrap().trim_end().to_owned())
        .collect();
    format!("---\n{}\n", documents.join("\n---\n"))
}

#[test]
fn the_rights_come_of_what_install_gives() {
    let pools: NodePoolConfig =
        serde_json::from_value(json!({"class_group": "", "class_kind": "", "class_name": ""}))
            .unwrap();
    for (name, node_pools) in [("rights", None), ("rights-node-pools", Some(pools))] {
        let config =
            ClusterConfig { instance: INSTANCE.into(), node_pools, ..ClusterConfig::default() };
        let rights = Manifests::new(&config).rights().unwrap();
        is_as_committed(&chart().join(format!("files/{name}.yaml")), &yaml(&rights));
    }
}

#[test]
fn what_packaging_holds_is_in_the_chart_as_it_is_there() {
    for name in [
        "alerts/streamspace.rules.yaml",
        "crds/sessions.stream.space.yaml",
        "crds/templates.stream.space.yaml",
        "dashboards/capacity-planning.json",
        "dashboards/platform-health.json",
        "dashboards/tenant-overview.json",
    ] {
        let text = fs::read_to_string(root().join("packaging").join(name)).unwrap();
        let file = name.split('/').next_back().unwrap();
        is_as_committed(&chart().join("files").join(file), &text);
    }
}

/// What the chart fills in by itself, and what has no meaning in a pod.
const FILLED_IN: [&str; 9] = [
    "/region",
    "/replica",
    "/listen",
    "/database",
    "/access/directory",
    "/cluster/kubeconfig",
    "/cluster/context",
    "/sessions/webhook",
    "/notify/inbound",
];

/// The schema of `config` is the one of the program's file, without what is filled in: a key
/// that the program would refuse is refused before it is installed.
#[test]
fn the_schema_of_the_configuration_comes_of_the_code() {
    let mut config = Config::schema();
    for key in ["$schema", "title"] {
        config.as_object_mut().unwrap().remove(key);
    }
    for path in FILLED_IN {
        let (section, key) = path.rsplit_once('/').unwrap();
        let section: String =
            section.split('/').skip(1).map(|name| format!("/properties/{name}")).collect();
        let section = config.pointer_mut(&section).unwrap();
        let gone = section["properties"].as_object_mut().unwrap().remove(key);
        assert!(gone.is_some(), "{path} is no key of the configuration");
    }
    plain(&mut config, false);
    config["required"] = json!(["access", "cluster"]);
    config["description"] = json!("What stands in streamspaced.toml.");
    config["properties"]["access"]["required"] = json!(["names"]);
    config["properties"]["access"]["properties"]["names"]["minItems"] = json!(1);
    let cluster = &mut config["properties"]["cluster"];
    cluster["required"] = json!(["instance"]);
    cluster["properties"]["instance"]["pattern"] = json!("^[a-z]([-a-z0-9]{0,21}[a-z0-9])?$");
    let path = chart().join("values.schema.json");
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    schema["properties"]["config"] = config;
    is_as_committed(&path, &(serde_json::to_string_pretty(&schema).unwrap() + "\n"));
}

/// Without what a schema of draft 7 has no word for. The keys of `properties` are names.
fn plain(schema: &mut Value, are_names: bool) {
    match schema {
        Value::Object(map) => {
            map.retain(|key, _| {
                are_names || !["default", "x-default", "format"].contains(&key.as_str())
            });
            for (key, value) in map {
                plain(value, !are_names && key == "properties");
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| plain(value, false)),
        _ => {}
    }
}
