//! The projection over the simulator and a database.

use std::time::{Duration, Instant};

use kube::{
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::{DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};
use streamspace_core::{ids::TenantUid, session::SessionPhase};
use streamspace_sim::Simulator;

use super::*;
use crate::{
    db::{NewChange, changes, testing::TestDatabase},
    platform::{Features, Ready, resources::definitions},
    sessions::{record::SessionRecord, store},
};

#[path = "tests/faults.rs"]
mod faults;

const LIMIT: Duration = Duration::from_secs(20);
const NAMESPACE: &str = "tenant-acme";
const CATALOGUE: &str = "catalogue";

struct World {
    test: TestDatabase,
    simulator: Simulator,
    standing: watch::Sender<Standing>,
    board: ProjectionBoard,
    tenant: TenantUid,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A fact as it is stored.
#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Stored {
    phase: String,
    at: i64,
    cpu_millicores: i64,
    memory_bytes: i64,
    home_bytes: i64,
    cause: String,
}

impl World {
    /// A tenant, its namespace, and a catalogue; nobody leads yet.
    async fn prepare() -> Self {
        let test = TestDatabase::create().await;
        let simulator = Simulator::in_memory();
        let tenant = test.insert_tenant("acme").await;
        let stop = CancellationToken::new();
        let changes = ChangeLog::new(test.database().clone());
        let (standing, may_write) = watch::channel(Standing::default());
        let settings = ProjectionSettings {
            watch_seconds: 1,
            probe_period: Duration::from_millis(200),
            ..ProjectionSettings::new("a", CATALOGUE)
        };
        let cluster = Cluster::from_client(simulator.client(), "simulator");
        let projection =
            SessionProjection::new(test.database().clone(), cluster, changes.clone(), settings);
        let board = projection.board();
        tokio::spawn(changes.run(stop.clone()));
        tokio::spawn(projection.run(may_write, stop.clone()));
        let world = Self { test, simulator, standing, board, tenant, stop };
        for namespace in [NAMESPACE, CATALOGUE] {
            world.namespace(namespace).await;
        }
        world
    }

    async fn start() -> Self {
        let world = Self::prepare().await;
        world.install(|_| {}).await;
        world.lead(1).await;
        world.until("it follows", async || world.board.read().lists == 1).await;
        world
    }

    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.simulator.client(), namespace, resource)
    }

    fn sessions(&self) -> Api<DynamicObject> {
        self.api(&ApiResource::erase::<Session>(&()), NAMESPACE)
    }

    async fn namespace(&self, name: &str) {
        let resource = ApiResource::erase::<Namespace>(&());
        let api: Api<DynamicObject> = Api::all_with(self.simulator.client(), &resource);
        let namespace = DynamicObject::new(name, &resource);
        api.create(&PostParams::default(), &namespace).await.unwrap();
    }

    /// Installs the definitions, changed.
    async fn install(&self, change: impl Fn(&mut Value)) {
        let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
        let resource = ApiResource::from_gvk_with_plural(&kind, "customresourcedefinitions");
        let api: Api<DynamicObject> = Api::all_with(self.simulator.client(), &resource);
        for definition in definitions() {
            let mut value = serde_json::to_value(definition).unwrap();
            change(&mut value);
            let definition = serde_json::from_value(value).unwrap();
            api.create(&PostParams::default(), &definition).await.unwrap();
        }
        let sessions = self.sessions();
        let is_served = async || sessions.list(&kube::api::ListParams::default()).await.is_ok();
        self.until("the definitions are served", is_served).await;
    }

    async fn lead(&self, leader_term: i64) {
        self.sql(&format!("UPDATE leader SET leader_term = {leader_term}, replica = 'a'")).await;
        let acting = Cluster::from_client(self.simulator.client(), "simulator");
        let features = Features::default();
        self.standing.send_replace(Standing::Ready(Ready { acting, leader_term, features }));
    }

    async fn rest(&self) {
        self.standing.send_replace(Standing::Waiting);
        self.until("it rests", async || !self.board.read().follows).await;
    }

    async fn sql(&self, sql: &str) {
        let statement = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()));
        statement.execute(self.test.database().operator()).await.unwrap();
    }

    async fn number(&self, sql: &str) -> i64 {
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()));
        query.fetch_one(self.test.database().operator()).await.unwrap()
    }

    async fn create_in(&self, namespace: &str, name: &str, spec: Value) {
        let body = json!({"apiVersion": "stream.space/v1alpha1", "kind": "Session",
                          "metadata": {"name": name, "namespace": namespace}, "spec": spec});
        let api = self.api(&ApiResource::erase::<Session>(&()), namespace);
        let session = serde_json::from_value(body).unwrap();
        api.create(&PostParams::default(), &session).await.unwrap();
    }

    async fn create(&self, name: &str) {
        let spec = json!({"user": "ada", "template": "firefox", "state": "running",
                          "resources": {"cpu": "500m", "memory": "1Gi"}});
        self.create_in(NAMESPACE, name, spec).await;
    }

    /// Writes the status as a controller does. Returns the second of it.
    async fn tell(&self, name: &str, status: Value) -> i64 {
        let patch = Patch::Merge(json!({ "status": status }));
        let params = PatchParams { field_manager: Some("c".into()), ..PatchParams::default() };
        let told = self.sessions().patch_status(name, &params, &patch).await.unwrap();
        let entries = told.metadata.managed_fields.unwrap();
        let entry = entries.iter().find(|it| it.subresource.as_deref() == Some("status"));
        entry.unwrap().time.as_ref().unwrap().0.as_second()
    }

    async fn row(&self, name: &str) -> Option<SessionRecord> {
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        store::by_name(&mut tx, self.tenant, name).await.unwrap()
    }

    async fn facts(&self, name: &str) -> Vec<Stored> {
        sqlx::query_as(
            "SELECT t.phase, t.at, t.cpu_millicores, t.memory_bytes, t.home_bytes, t.cause \
             FROM usage_transitions AS t JOIN usage_subjects USING (tenant_uid, subject_uid) \
             WHERE name = $1 ORDER BY t.position",
        )
        .bind(name)
        .fetch_all(self.test.database().operator())
        .await
        .unwrap()
    }

    /// What watchers were told of a session.
    async fn told(&self, name: &str) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT type FROM changes WHERE kind = 'session' AND name = $1 ORDER BY change_id",
        )
        .bind(format!("tenants/acme/sessions/{name}"))
        .fetch_all(self.test.database().operator())
        .await
        .unwrap()
    }

    async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let begin = Instant::now();
        while !holds().await {
            assert!(begin.elapsed() < LIMIT, "{what} did not come; {:?}", self.board.read());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_phase(&self, name: &str, phase: SessionPhase) {
        let is_there = async || self.row(name).await.is_some_and(|row| row.phase == phase);
        self.until("the phase", is_there).await;
    }
}

fn running() -> Value {
    json!({
        "phase": "Running", "podName": "desk-1",
        "allotted": {"cpu": "250m", "cpuLimit": "500m", "memory": "512Mi", "memoryLimit": "1Gi",
                     "replicas": 1},
        "run": {"podUID": "01900000-0000-4000-8000-0000000000bb",
                "containerStart": "2026-11-01T10:00:05Z", "node": "n1"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "PodReady", "message": "there",
                        "lastTransitionTime": "2026-11-01T10:00:07Z"}],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_shown_told_and_counted() {
    let world = World::start().await;
    world.create("desk").await;
    world.until_phase("desk", SessionPhase::Pending).await;
    let running_since = world.tell("desk", running()).await;
    world.until_phase("desk", SessionPhase::Running).await;
    let row = world.row("desk").await.unwrap();
    assert_eq!((row.user.as_str(), row.node.as_str(), row.place.pods), ("ada", "n1", 1));
    // It may take what it wishes, and what it gets is what is shown and counted.
    assert_eq!((row.place.cpu.0, row.resource.cpu.as_str()), (500, "250m"));
    assert_eq!(row.resource.name, "tenants/acme/sessions/desk");
    assert_eq!(row.resource.pod_name, "desk-1");
    // What costs nothing is told and is no fact.
    world.tell("desk", json!({"lastActivity": "2026-11-01T10:30:00Z"})).await;
    world
        .until("activity", async || world.row("desk").await.unwrap().last_activity.is_some())
        .await;
    let asleep = json!({"phase": "Hibernated", "run": null, "podName": null, "conditions": [
        {"type": "Awake", "status": "False", "reason": "Idle", "message": "nobody used it",
         "lastTransitionTime": "2026-11-01T11:00:00Z"}]});
    world.tell("desk", asleep).await;
    world.until_phase("desk", SessionPhase::Hibernated).await;
    world.sessions().delete("desk", &DeleteParams::default()).await.unwrap();
    world.until("its end", async || world.row("desk").await.is_none()).await;

    assert_eq!(world.told("desk").await, ["created", "updated", "updated", "updated", "deleted"]);
    let facts = world.facts("desk").await;
    let phases: Vec<_> = facts.iter().map(|it| (it.phase.as_str(), it.cause.as_str())).collect();
    let expected = [
        ("Pending", ""),
        ("Running", "PodReady"),
        ("Hibernated", "Idle"),
        ("Terminated", "Deleted"),
    ];
    assert_eq!(phases, expected);
    let (run, end) = (&facts[1], &facts[3]);
    assert_eq!((run.at, run.cpu_millicores, run.memory_bytes), (running_since, 250, 512 << 20));
    assert!((run.at..=run.at + 20).contains(&end.at));
    let incarnations = "SELECT count(*) FROM usage_transitions WHERE pod_uid IS NOT NULL";
    assert_eq!(world.number(incarnations).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_says_what_a_session_does_not() {
    let world = World::start().await;
    let template = |namespace: &str, cpu: &str| {
        let body = json!({"apiVersion": "stream.space/v1alpha1", "kind": "Template",
            "metadata": {"name": "firefox", "namespace": namespace},
            "spec": {"displayName": "Firefox", "baseImage": "firefox:1",
                     "defaultResources": {"cpu": cpu, "memory": "3Gi"}}});
        let api = world.api(&ApiResource::erase::<Template>(&()), namespace);
        async move {
            api.create(&PostParams::default(), &serde_json::from_value(body).unwrap())
                .await
                .unwrap()
        }
    };
    template(CATALOGUE, "2").await;
    let find = async |tenant| {
        let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
        store::template(&mut tx, tenant, "firefox").await.unwrap()
    };
    world.until("the catalogue's", async || find(None).await.is_some()).await;
    let spec = json!({"user": "ada", "template": "firefox", "state": "running"});
    world.create_in(NAMESPACE, "one", spec.clone()).await;
    world.until_phase("one", SessionPhase::Pending).await;
    template(NAMESPACE, "3").await;
    world.until("the own", async || find(Some(world.tenant)).await.is_some()).await;
    world.create_in(NAMESPACE, "two", spec).await;
    world.until_phase("two", SessionPhase::Pending).await;
    assert_eq!(world.row("one").await.unwrap().place.cpu.0, 2000);
    let two = world.row("two").await.unwrap();
    assert_eq!((two.place.cpu.0, two.place.memory.0), (3000, 3 << 30));
    let shown = find(Some(world.tenant)).await.unwrap();
    assert_eq!((shown.name.as_str(), shown.valid), ("tenants/acme/templates/firefox", true));
    let api = world.api(&ApiResource::erase::<Template>(&()), NAMESPACE);
    api.delete("firefox", &DeleteParams::default()).await.unwrap();
    world.until("its end", async || find(Some(world.tenant)).await.is_none()).await;
    assert!(find(None).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_is_counted_as_long_as_it_is_there() {
    let world = World::start().await;
    let body = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "home-ada", "namespace": NAMESPACE,
                     "labels": {HOME_LABEL: "ada"}},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "10Gi"}}}});
    let api = world.api(&ApiResource::erase::<PersistentVolumeClaim>(&()), NAMESPACE);
    api.create(&PostParams::default(), &serde_json::from_value(body).unwrap()).await.unwrap();
    world.until("the home", async || world.facts("home-ada").await.len() == 1).await;
    api.delete("home-ada", &DeleteParams::default()).await.unwrap();
    world.until("its end", async || world.facts("home-ada").await.len() == 2).await;
    let facts = world.facts("home-ada").await;
    let shown: Vec<_> = facts.iter().map(|it| (it.phase.as_str(), it.home_bytes)).collect();
    assert_eq!(shown, [("Hibernated", 10 << 30), ("Terminated", 0)]);
    let homes = "SELECT count(*) FROM usage_subjects WHERE kind = 'home' AND user_name = 'ada' AND cluster <> ''";
    assert_eq!(world.number(homes).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watch_says_through_when_all_is_known() {
    let world = World::start().await;
    let listed = world.number("SELECT complete_through FROM usage_watermark").await;
    let watched = async || world.board.read().watched.is_some_and(|it| it.as_second() > listed);
    world.until("a confirmation", watched).await;
    let through = world.number("SELECT complete_through FROM usage_watermark").await;
    // Never beyond what the API server has told, less what its answer may have taken.
    assert!(through > listed && through <= jiff::Timestamp::now().as_second() - 2);
    assert_eq!(world.number("SELECT count(*) FROM usage_gaps").await, 1);
}
