//! The reconciler over the simulator, with a stand-in for nodes and controllers, and a
//! database.

use std::sync::atomic::{AtomicBool, Ordering};

use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};
use streamspace_core::session::SessionPhase;
use streamspace_sim::Simulator;

use super::*;
use crate::{
    db::{ChangeType, NewChange, Scope, changes, testing::TestDatabase},
    kube::ClusterConfig,
    platform::{Features, install, manifests::Manifests},
    sessions::{
        config::Controller,
        manifests::{SessionKind, is_headless},
        object::{SeenSession, read_session},
    },
    simulator::kubelet,
};

#[path = "tests/lives.rs"]
mod lives;
#[path = "tests/pauses.rs"]
mod pauses;
#[path = "tests/templates.rs"]
mod templates_told;

const LIMIT: Duration = Duration::from_secs(20);
const INSTANCE: &str = "streamspace";
const CATALOGUE: &str = "catalogue";
const TENANT: &str = "tenant-acme";

/// Says of every session at once whether it is ended.
#[derive(Default)]
struct TestMetering(AtomicBool);

impl Metering for TestMetering {
    fn is_ended(&self, _: TenantUid, _: SessionUid) -> BoxFuture<'_, Result<bool, DbError>> {
        let ended = self.0.load(Ordering::Relaxed);
        Box::pin(async move { Ok(ended) })
    }
}

struct World {
    test: TestDatabase,
    simulator: Simulator,
    cluster: Cluster,
    metering: Arc<TestMetering>,
    standing: watch::Sender<Standing>,
    tenant: TenantUid,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn config() -> SessionConfig {
    SessionConfig {
        catalogue_namespace: CATALOGUE.into(),
        host_pattern: Some("{session}.{tenant}.example.com".into()),
        activity_reporters: vec!["proxy".into()],
        ..SessionConfig::default()
    }
}

fn claims() -> ApiResource {
    follow::claim_resource()
}

impl World {
    async fn start() -> Self {
        Self::with(config()).await
    }

    async fn with(config: SessionConfig) -> Self {
        let test = TestDatabase::create().await;
        let simulator = Simulator::in_memory();
        let cluster = Cluster::from_client(simulator.client(), "simulator");
        let cluster_config = ClusterConfig { instance: INSTANCE.into(), ..Default::default() };
        install::definitions(&cluster, &Manifests::new(&cluster_config)).await.unwrap();
        let tenant = test.insert_tenant("acme").await;
        let stop = CancellationToken::new();
        let changes = ChangeLog::new(test.database().clone());
        let (standing, may_write) = watch::channel(Standing::default());
        let metering = Arc::new(TestMetering::default());
        let settings = ReconcilerSettings {
            resync: Duration::from_millis(500),
            ..ReconcilerSettings::new(INSTANCE, "a", config)
        };
        let reconciler = SessionReconciler::new(
            test.database().clone(),
            cluster.clone(),
            changes.clone(),
            Arc::clone(&metering) as _,
            settings,
        );
        tokio::spawn(changes.run(stop.clone()));
        tokio::spawn(reconciler.run(may_write, stop.clone()));
        let options = kubelet::Options { controllers: true, latency: Duration::from_millis(20) };
        tokio::spawn(kubelet::run(simulator.client(), options, stop.clone()));
        let world = Self { test, simulator, cluster, metering, standing, tenant, stop };
        for namespace in [TENANT, CATALOGUE] {
            world.namespace(namespace).await;
        }
        world.template(CATALOGUE, "firefox", "registry.example/firefox:1").await;
        world.lead(1).await;
        world
    }

    async fn namespace(&self, name: &str) {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let kind = kube::core::GroupVersionKind::gvk("", "v1", "Namespace");
        let resource = ApiResource::from_gvk_with_plural(&kind, "namespaces");
        let api: Api<DynamicObject> = Api::all_with(self.cluster.client().clone(), &resource);
        let namespace = serde_json::from_value(body).unwrap();
        api.create(&PostParams::default(), &namespace).await.unwrap();
    }

    async fn lead(&self, leader_term: i64) {
        self.sql(&format!("UPDATE leader SET leader_term = {leader_term}, replica = 'a'")).await;
        self.standing.send_replace(Standing::Ready(Ready {
            acting: self.cluster.clone(),
            leader_term,
            features: Features::default(),
        }));
    }

    async fn sql(&self, sql: &str) {
        sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(self.test.database().operator())
            .await
            .unwrap();
    }

    /// Changes the tenant's row as a service does: with an entry in the change log.
    async fn tenant_is(&self, set: &str) {
        self.sql(&format!("UPDATE tenants SET {set} WHERE tenant_uid = '{}'", self.tenant.0)).await;
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        let change = NewChange {
            kind: crate::db::ChangeKind::Tenant,
            change: ChangeType::Updated,
            tenant_uid: self.tenant,
            name: "tenants/acme".into(),
            actor: "kim".into(),
            resource: vec![],
        };
        changes::record(&mut tx, &change).await.unwrap();
        tx.commit().await.unwrap();
    }

    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.cluster.client().clone(), namespace, resource)
    }

    fn sessions(&self) -> Api<DynamicObject> {
        self.api(&follow::session_resource(), TENANT)
    }

    async fn template(&self, namespace: &str, name: &str, image: &str) {
        let body = json!({
            "apiVersion": "stream.space/v1alpha1", "kind": "Template",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"displayName": "Firefox", "baseImage": image,
                     "defaultResources": {"memory": "2Gi", "cpu": "1000m"},
                     "vnc": {"enabled": true, "port": 3000}},
        });
        let parameters = PatchParams::apply("author").force();
        self.api(&follow::template_resource(), namespace)
            .patch(name, &parameters, &Patch::Apply(body))
            .await
            .unwrap();
    }

    async fn create(&self, name: &str, more: Value) {
        let mut spec = json!({"user": "ada", "template": "firefox", "state": "running"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let body = json!({
            "apiVersion": "stream.space/v1alpha1", "kind": "Session",
            "metadata": {"name": name, "namespace": TENANT}, "spec": spec,
        });
        let session = serde_json::from_value(body).unwrap();
        self.sessions().create(&PostParams::default(), &session).await.unwrap();
    }

    async fn wish(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.sessions().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn session(&self, name: &str) -> Option<SeenSession> {
        self.sessions().get_opt(name).await.unwrap().map(|object| read_session(&object))
    }

    async fn until(
        &self,
        name: &str,
        what: &str,
        is: impl Fn(&SeenSession) -> bool,
    ) -> SeenSession {
        let start = std::time::Instant::now();
        loop {
            let session = self.session(name).await.unwrap();
            if is(&session) {
                return session;
            }
            assert!(start.elapsed() < LIMIT, "{name} is not {what}: {session:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn phase(&self, name: &str, phase: SessionPhase) -> SeenSession {
        self.until(name, phase.as_str(), |session| session.status.phase == Some(phase)).await
    }

    async fn eventually<F: Future<Output = bool>>(&self, what: &str, is: impl Fn() -> F) {
        let start = std::time::Instant::now();
        while !is().await {
            assert!(start.elapsed() < LIMIT, "not so: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn child(&self, kind: SessionKind, name: &str) -> Option<DynamicObject> {
        self.api(&kind.api_resource(), TENANT).get_opt(name).await.unwrap()
    }

    async fn home(&self, user: &str) -> Option<DynamicObject> {
        self.api(&claims(), TENANT).get_opt(&format!("home-{user}")).await.unwrap()
    }

    async fn delete(&self, name: &str) {
        self.sessions().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// A report of a proxy that writes the status itself.
    async fn report(&self, name: &str, last: &str) {
        let parameters =
            PatchParams { field_manager: Some("proxy".into()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"status": {"lastActivity": last}}));
        self.sessions().patch_status(name, &parameters, &patch).await.unwrap();
    }

    /// Waits until nothing is written any more.
    async fn quiet(&self) -> u64 {
        let mut before = self.simulator.writes();
        loop {
            tokio::time::sleep(Duration::from_millis(700)).await;
            let now = self.simulator.writes();
            if now == before {
                return now;
            }
            before = now;
        }
    }
}

fn replicas(object: Option<DynamicObject>) -> Option<i64> {
    object?.data.get("spec")?.get("replicas")?.as_i64()
}

fn image(object: Option<DynamicObject>) -> Option<String> {
    let image = object?.data.pointer("/spec/template/spec/containers/0/image")?.clone();
    image.as_str().map(str::to_owned)
}
