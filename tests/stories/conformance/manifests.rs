//! The daemon's real manifests: both give back the same objects, and a second
//! apply writes nothing.

use std::{fs, path::Path};

use http::Method;
use serde_json::Value;

use crate::{
    pair::Pair,
    support::{APPLY, unique},
    transcript::{Mask, none_of, note},
};

const SNAPSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon/src/tenants/snapshots");

/// Each snapshot's objects, their namespace renamed.
fn snapshots() -> Vec<(String, Vec<Value>)> {
    let mut found = Vec::new();
    for file in fs::read_dir(Path::new(SNAPSHOTS)).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let namespace = unique();
        let text = fs::read_to_string(&path).unwrap().replace("tenant-acme-corp", &namespace);
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        assert!(!objects.is_empty(), "{}", path.display());
        found.push((path.file_name().unwrap().to_string_lossy().into_owned(), objects));
    }
    assert!(!found.is_empty(), "the daemon's snapshots");
    found
}

fn path(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (version, kind, namespace, name) =
        (text("/apiVersion"), text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
    let root =
        if version.contains('/') { format!("apis/{version}") } else { format!("api/{version}") };
    let plural = match kind {
        "NetworkPolicy" => "networkpolicies".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    if namespace.is_empty() {
        format!("/{root}/{plural}/{name}")
    } else {
        format!("/{root}/namespaces/{namespace}/{plural}/{name}")
    }
}

pub(crate) async fn compare(pair: &mut Pair) {
    let mut differences = Vec::new();
    for (file, objects) in snapshots() {
        let (mut left, mut right) = (Mask::controlled(), Mask::controlled());
        for object in objects {
            let path = path(&object);
            let apply = format!("{path}?fieldManager=streamspaced&force=true");
            let body = object.to_string();
            for (step, method, path, content_type, body) in [
                ("apply", Method::PATCH, &apply, APPLY, body.as_str()),
                ("apply again", Method::PATCH, &apply, APPLY, body.as_str()),
                ("get", Method::GET, &path, "", ""),
            ] {
                let (simulated, wanted) = pair.ask(&method, path, content_type, body).await;
                assert!(wanted.0 < 300, "{file}: {step} {path}: {wanted:?}");
                let request = format!("{file}: {step} {path}");
                note(&mut differences, &request, &left.apply(simulated), &right.apply(wanted));
            }
        }
    }
    none_of(&differences);
}
