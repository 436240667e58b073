//! The real server's own count of writes, which other tests rely on.

use kube::{
    Client,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use streamspace_tests::cluster::Cluster;

use crate::support::{apply, configuration, namespaces, unique, within};

/// Each write is there once with its answer, reads are not, and a dry run is told as one.
pub(crate) async fn writes_are_counted(cluster: &Cluster, client: &Client) {
    let name = unique();
    apply(client, "one", &name, json!({ "a": "1" })).await.unwrap();
    apply(client, "two", &name, json!({ "a": "2" })).await.unwrap_err();
    let dry = PatchParams::apply("one").dry_run();
    let patch = Patch::Apply(configuration(&name, &json!({ "a": "3" })));
    namespaces(client).patch(&name, &dry, &patch).await.unwrap();
    namespaces(client).get(&name).await.unwrap();
    namespaces(client).list(&ListParams::default()).await.unwrap();
    namespaces(client).delete(&name, &DeleteParams::default()).await.unwrap();
    let ours = || {
        let mut found = cluster.writes_of("test-admin").unwrap();
        found.retain(|record| record.resource == "namespaces" && record.name == name);
        let told: Vec<_> =
            found.iter().map(|record| (record.verb.clone(), record.code, record.dry_run)).collect();
        told
    };
    let wanted = [
        ("patch", 201, false),
        ("patch", 409, false),
        ("patch", 200, true),
        ("delete", 200, false),
    ]
    .map(|(verb, code, dry)| (verb.to_owned(), code, dry));
    within(async {
        while ours().len() < wanted.len() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(ours(), wanted);
    assert!(!cluster.writes_below(&name).unwrap().is_empty());
}
