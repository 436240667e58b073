//! A region whose sessions run, with a tenant, a catalogue and nodes that are played.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::json;
use streamspace_proto::v1::{self, SessionPhase};
use streamspace_tests::{
    cluster::Cluster,
    database::Server,
    region::Region,
    sessions,
    ssctl::Ran,
    wait::{holds, within},
};
use tokio_util::sync::DropGuard;

pub(crate) const TENANT: &str = "acme-corp";
/// Who reports that a session is used.
const REPORTER: &str = "story-proxy";
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A region with a tenant, a catalogue and nodes.
pub(crate) struct Scene {
    // Before the region: nodes that are gone tell nothing.
    _nodes: DropGuard,
    pub(crate) region: Region,
}

impl Scene {
    pub(crate) async fn on(cluster: Arc<Cluster>) -> Self {
        let region = Region::on(Server::shared().await, cluster).await;
        let catalogue = format!("{}catalogue", region.prefix());
        region.stop().await;
        region.set("sessions", "catalogue_namespace", catalogue.clone());
        region.set("sessions", "activity_reporters", vec![toml::Value::from(REPORTER)]);
        region.launch().await;
        region.is_well().await;
        let templates = [("firefox", "example.com/firefox:1"), ("broken", "not an image")];
        sessions::catalogue(&region, &catalogue, &templates).await;
        let create = ["tenant", "create", TENANT, "--plan", "professional", "--seats", "5"];
        region.admin().ok(&[&create[..], &["--admin", "ann@example.com", "--wait"]].concat()).await;

        let nodes = sessions::nodes(sessions::node_client(region.cluster()).await);
        let scene = Self { _nodes: nodes, region };
        within(PATIENCE, "the catalogue is known", async || {
            let request = v1::ListTemplatesRequest::default();
            let reply = scene.region.admin().connection().sessions().list_templates(request).await;
            let templates = reply.map_err(|status| status.to_string())?.into_inner().templates;
            holds(templates.len() == 2, || format!("{templates:?}"))
        })
        .await;
        scene
    }

    /// The namespace of the templates that all tenants share.
    pub(crate) fn catalogue(&self) -> String {
        format!("{}catalogue", self.region.prefix())
    }

    pub(crate) async fn ok(&self, line: &[&str]) -> Ran {
        self.region.admin().ok(line).await
    }

    pub(crate) fn sessions(&self, client: Client) -> Api<DynamicObject> {
        sessions::sessions(client, &self.region.namespace(TENANT))
    }

    pub(crate) async fn session(&self, name: &str) -> Result<v1::Session, String> {
        let request = v1::GetSessionRequest { name: format!("tenants/{TENANT}/sessions/{name}") };
        let reply = self.region.admin().connection().sessions().get_session(request).await;
        reply.map(tonic::Response::into_inner).map_err(|status| status.to_string())
    }

    pub(crate) async fn until(&self, name: &str, phase: SessionPhase) -> v1::Session {
        within(PATIENCE, &format!("{name} is {phase:?}"), async || {
            let session = self.session(name).await?;
            holds(session.phase() == phase, || format!("{session:?}"))?;
            Ok::<_, String>(session)
        })
        .await
    }

    pub(crate) async fn described(&self, name: &str) -> v1::DescribeSessionResponse {
        let request =
            v1::DescribeSessionRequest { name: format!("tenants/{TENANT}/sessions/{name}") };
        let reply = self.region.admin().connection().sessions().describe_session(request).await;
        let told = reply.unwrap().into_inner();
        assert_eq!(told.message, "", "all can be read: {told:?}");
        told
    }

    /// The kinds and names of a session's objects.
    pub(crate) async fn kinds(&self, name: &str) -> Vec<(String, String)> {
        let told = self.described(name).await;
        told.objects.into_iter().map(|object| (object.kind, object.name)).collect()
    }

    /// Somebody used it last at this instant, as the platform's proxy tells.
    pub(crate) async fn used(&self, name: &str, last: Timestamp) {
        let status = json!({"status": {"lastActivity": format!("{last:.0}")}});
        let parameters = PatchParams { field_manager: Some(REPORTER.into()), ..Default::default() };
        let sessions = self.sessions(self.region.client().await);
        sessions.patch_status(name, &parameters, &Patch::Merge(&status)).await.unwrap();
    }

    /// The phases that are metered, in order, each once.
    pub(crate) async fn metered(&self, uid: &str) -> Vec<String> {
        let mut phases: Vec<String> = sqlx::query_scalar(
            "SELECT phase FROM usage_transitions WHERE subject_uid = $1::uuid ORDER BY position",
        )
        .bind(uid)
        .fetch_all(&self.region.pool())
        .await
        .unwrap();
        phases.dedup();
        phases
    }

    pub(crate) async fn count<K>(&self, selector: &str) -> usize
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let api: Api<K> =
            Api::namespaced(self.region.client().await, &self.region.namespace(TENANT));
        api.list(&ListParams::default().labels(selector)).await.unwrap().items.len()
    }
}
