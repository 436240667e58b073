//! What a development region puts into its built-in cluster before the daemon looks at it:
//! the definitions of sessions and templates, and a catalogue with a few of the latter.

use std::{fs, path::Path};

use anyhow::Context as _;
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api,
    api::{Patch, PatchParams},
};

use crate::{
    kube::{Cluster, ClusterConfig, limited},
    platform::{install, manifests::Manifests, resources::Template},
};

const SAMPLE_TEMPLATES: &str = include_str!("../../../packaging/dev/templates.yaml");
/// Once: a sample that somebody deleted stays deleted.
pub(super) const MARKER: &str = "templates-applied";
const MANAGER: &str = "streamspaced-dev";

/// Makes the definitions, and the catalogue with its samples the first time.
pub(super) async fn furnish(
    cluster: &Cluster,
    config: &ClusterConfig,
    catalogue: &str,
    data_dir: &Path,
    samples: bool,
) -> anyhow::Result<()> {
    install::definitions(cluster, &Manifests::new(config)).await?;
    let apply = PatchParams::apply(MANAGER);
    let namespaces: Api<Namespace> = Api::all(cluster.client().clone());
    let namespace = Namespace {
        metadata: ObjectMeta { name: Some(catalogue.to_owned()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    limited(namespaces.patch(catalogue, &apply, &Patch::Apply(&namespace)))
        .await
        .context("the catalogue's namespace")?;
    let marker = data_dir.join(MARKER);
    if !samples || marker.exists() {
        return Ok(());
    }
    let templates: Api<Template> = Api::namespaced(cluster.client().clone(), catalogue);
    for template in sample_templates()? {
        let name = template.metadata.name.clone().unwrap_or_default();
        limited(templates.patch(&name, &apply, &Patch::Apply(&template)))
            .await
            .with_context(|| format!("the sample template {name}"))?;
    }
    fs::write(&marker, "").with_context(|| format!("cannot write {}", marker.display()))
}

fn sample_templates() -> anyhow::Result<Vec<Template>> {
    let documents = SAMPLE_TEMPLATES.split("\n---\n");
    documents
        .map(|document| serde_saphyr::from_str(document).context("a sample template"))
        .collect()
}

#[cfg(test)]
mod tests {
    use streamspace_sim::Simulator;

    use super::*;

    #[test]
    fn the_samples_are_valid() {
        let names: Vec<_> = sample_templates()
            .unwrap()
            .into_iter()
            .map(|template| template.metadata.name.unwrap())
            .collect();
        assert_eq!(names, ["firefox-browser", "code-server", "blender"]);
    }

    #[tokio::test]
    async fn a_sample_that_was_deleted_stays_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let simulator = Simulator::open(&folder.path().join("cluster")).unwrap();
        let cluster = Cluster::from_client(simulator.client(), "the simulator");
        let config = ClusterConfig::default();
        let again = async || {
            furnish(&cluster, &config, "catalogue", folder.path(), true).await.unwrap();
        };
        again().await;
        let features = crate::platform::features::look(&cluster).await.unwrap();
        assert!(features.sessions_counted);
        let templates: Api<Template> = Api::namespaced(simulator.client(), "catalogue");
        assert_eq!(templates.list(&<_>::default()).await.unwrap().items.len(), 3);
        templates.delete("blender", &<_>::default()).await.unwrap();
        again().await;
        assert_eq!(templates.list(&<_>::default()).await.unwrap().items.len(), 2);
    }
}
