//! The reconciler over the simulator and a database.

use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;
use streamspace_core::{conditions, tenant::TenantState};
use streamspace_sim::{ObjectRef, Refusal, Simulator, Times};

use super::*;
use crate::{
    db::testing::TestDatabase,
    kube::{DeleteOptions, Object, TENANT_UID_LABEL},
};

#[path = "tests/pauses.rs"]
mod pauses;

const LIMIT: Duration = Duration::from_secs(20);
const INSTANCE: &str = "streamspace";

/// A namespace, a quota and a role; what they say can be changed.
struct TestWishes {
    pods: AtomicI64,
    with_role: std::sync::atomic::AtomicBool,
}

impl Wishes for TestWishes {
    fn of(&self, tenant: &TenantRecord, _features: Features) -> Vec<Wish> {
        let labels = json!({
            MANAGED_BY_LABEL: MANAGED_BY, INSTANCE_LABEL: INSTANCE,
            TENANT_UID_LABEL: tenant.uid.0.to_string(),
        });
        let within =
            |name: &str| json!({"name": name, "namespace": tenant.namespace, "labels": labels});
        // Every second generation wishes one pod more.
        let pods = self.pods.load(Ordering::Relaxed) + tenant.generation - 1;
        let mut wishes = vec![
            json!({"apiVersion": "v1", "kind": "Namespace",
                   "metadata": {"name": tenant.namespace, "labels": labels}}),
            json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": within("limits"),
                   "spec": {"hard": {"pods": pods.to_string()}}}),
        ];
        if self.with_role.load(Ordering::Relaxed) {
            wishes.push(json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": within("administrators"),
                "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
            }));
        }
        wishes.into_iter().filter_map(Wish::new).collect()
    }
}

struct World {
    test: TestDatabase,
    simulator: Simulator,
    cluster: Cluster,
    wishes: Arc<TestWishes>,
    standing: watch::Sender<Standing>,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    async fn start() -> Self {
        let world = Self::prepare().await;
        world.lead(1).await;
        world
    }

    /// Everything, without a leader.
    async fn prepare() -> Self {
        let test = TestDatabase::create().await;
        let simulator = Simulator::in_memory();
        let cluster = Cluster::from_client(simulator.client(), "simulator");
        let wishes = Arc::new(TestWishes { pods: 20.into(), with_role: true.into() });
        let (standing, may_write) = watch::channel(Standing::default());
        let stop = CancellationToken::new();
        let changes = ChangeLog::new(test.database().clone());
        let settings = ReconcilerSettings {
            breaker: BreakerConfig { limit: 2, window_seconds: 600 },
            ..ReconcilerSettings::new(INSTANCE, "a")
        };
        let reconciler = TenantReconciler::new(
            test.database().clone(),
            cluster.clone(),
            changes.clone(),
            Arc::clone(&wishes) as _,
            settings,
        );
        tokio::spawn(changes.run(stop.clone()));
        tokio::spawn(reconciler.run(may_write, stop.clone()));
        Self { test, simulator, cluster, wishes, standing, stop }
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

    /// Changes a tenant's row as a service does: with an entry in the change log.
    async fn change(&self, uid: TenantUid, set: &str) {
        self.sql(&format!("UPDATE tenants SET {set} WHERE tenant_uid = '{}'", uid.0)).await;
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        let change = crate::db::NewChange {
            kind: crate::db::ChangeKind::Tenant,
            change: crate::db::ChangeType::Updated,
            tenant_uid: uid,
            name: "tenants/x".into(),
            actor: "kim".into(),
            resource: vec![],
        };
        crate::db::changes::record(&mut tx, &change).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn create(&self, id: &str) -> TenantUid {
        let uid = self.test.insert_tenant(id).await;
        self.change(uid, "state = 'provisioning'").await;
        uid
    }

    async fn tenant(&self, uid: TenantUid) -> TenantRecord {
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        store::by_uid(&mut tx, uid).await.unwrap().unwrap()
    }

    /// Waits until the tenant is so.
    async fn until(
        &self,
        uid: TenantUid,
        what: &str,
        is: impl Fn(&TenantRecord) -> bool,
    ) -> TenantRecord {
        let start = std::time::Instant::now();
        loop {
            let tenant = self.tenant(uid).await;
            if is(&tenant) {
                return tenant;
            }
            assert!(start.elapsed() < LIMIT, "not {what}: {tenant:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn active(&self, uid: TenantUid) -> TenantRecord {
        self.until(uid, "active", |tenant| {
            tenant.state == TenantState::Active && tenant.observed_generation == tenant.generation
        })
        .await
    }

    async fn object(&self, kind: Kind, id: &str, name: &str) -> Option<Object> {
        self.cluster.get(kind, &format!("tenant-{id}"), name).await.unwrap()
    }

    async fn until_object(
        &self,
        kind: Kind,
        id: &str,
        name: &str,
        is: impl Fn(Option<&Object>) -> bool,
    ) {
        let start = std::time::Instant::now();
        loop {
            let live = self.object(kind, id, name).await;
            if is(live.as_ref()) {
                return;
            }
            assert!(start.elapsed() < LIMIT, "{kind} {name}: {live:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A hand's change of an object.
    async fn patch(&self, kind: Kind, id: &str, name: &str, patch: serde_json::Value) {
        let api: kube::Api<Object> = kube::Api::namespaced_with(
            self.cluster.client().clone(),
            &format!("tenant-{id}"),
            &kind.api_resource(),
        );
        let parameters = kube::api::PatchParams {
            field_manager: Some("kubectl-edit".into()),
            ..Default::default()
        };
        api.patch(name, &parameters, &kube::api::Patch::Merge(patch)).await.unwrap();
    }

    async fn delete(&self, kind: Kind, id: &str, name: &str) {
        let live = self.object(kind, id, name).await.unwrap();
        let which = DeleteOptions {
            uid: live.metadata.uid.unwrap(),
            resource_version: live.metadata.resource_version.unwrap(),
        };
        self.cluster.delete(kind, &format!("tenant-{id}"), name, &which).await.unwrap();
    }
}

fn pods(object: Option<&Object>) -> Option<&str> {
    object?.content.get("spec")?.get("hard")?.get("pods")?.as_str()
}

fn message(tenant: &TenantRecord, type_: &str) -> String {
    conditions::get(&tenant.conditions, type_).map(|it| it.message.clone()).unwrap_or_default()
}

fn failing(tenant: &TenantRecord, type_: &str) -> bool {
    conditions::get(&tenant.conditions, type_)
        .is_some_and(|it| it.status == conditions::ConditionStatus::False)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_become_active_and_then_cost_no_write() {
    let world = World::start().await;
    let mut uids = Vec::new();
    for number in 0..20 {
        uids.push(world.create(&format!("t-{number}")).await);
    }
    for uid in &uids {
        world.active(*uid).await;
    }
    // The events on their state come a little later than the state.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let writes = world.simulator.writes();
    let rows = || async {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM changes")
            .fetch_one(world.test.database().operator())
            .await
            .unwrap();
        count
    };
    let changes = rows().await;
    assert!(writes >= 60, "{writes}");
    // A new term looks at every tenant.
    world.lead(2).await;
    let new = world.create("one-more").await;
    world.active(new).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let more = world.simulator.writes() - writes;
    assert!(more <= 4, "three objects and an event of the new one, and not {more}");
    assert!(rows().await - changes <= 3, "the others' rows are not written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_on_every_object_is_repaired() {
    let world = World::start().await;
    let uid = world.create("acme").await;
    world.active(uid).await;
    let hard = |pods: &str| json!({"spec": {"hard": {"pods": pods}}});
    world.patch(Kind::ResourceQuota, "acme", "limits", hard("999")).await;
    world.until_object(Kind::ResourceQuota, "acme", "limits", |it| pods(it) == Some("20")).await;
    world.delete(Kind::Role, "acme", "administrators").await;
    world.until_object(Kind::Role, "acme", "administrators", |it| it.is_some()).await;
    // A label of ours that is taken hides the object from the watch.
    let strip = json!({"metadata": {"labels": {MANAGED_BY_LABEL: null}}});
    world.patch(Kind::Role, "acme", "administrators", strip).await;
    world
        .until_object(Kind::Role, "acme", "administrators", |it| {
            it.is_some_and(|live| live.label(MANAGED_BY_LABEL) == Some(MANAGED_BY))
        })
        .await;
    // A whole namespace that is deleted by a hand comes back with all in it.
    world.delete(Kind::Namespace, "acme", "tenant-acme").await;
    world
        .until_object(Kind::Namespace, "acme", "tenant-acme", |it| {
            it.is_none_or(Object::is_terminating)
        })
        .await;
    world
        .until_object(Kind::Role, "acme", "administrators", |it| {
            it.is_some_and(|live| !live.is_terminating())
        })
        .await;
    world.active(uid).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_cluster_refuses_of_one_object_stops_no_other() {
    let world = World::start().await;
    let quota = ObjectRef::namespaced("resourcequotas", "tenant-bad", "limits");
    world.simulator.faults().refuse_writes(quota.clone(), Refusal::Forbidden, Times::Always);
    let bad = world.create("bad").await;
    let good = world.create("good").await;
    world.active(good).await;
    let tenant = world.until(bad, "refused", |it| failing(it, "ObjectsApplied")).await;
    assert!(message(&tenant, "ObjectsApplied").starts_with("ResourceQuota limits: "), "{tenant:?}");
    assert_eq!(tenant.state, TenantState::Provisioning);
    assert!(world.object(Kind::Role, "bad", "administrators").await.is_some());
    world.simulator.faults().clear(&quota);
    world.active(bad).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_longer_wished_is_pruned_until_the_breaker_trips() {
    let world = World::prepare().await;
    world.lead(1).await;
    let mut uids = Vec::new();
    for id in ["a", "b", "c", "d"] {
        let uid = world.create(&format!("prune-{id}")).await;
        world.active(uid).await;
        uids.push(uid);
    }
    // One that a hand made, with our labels, is not ours.
    let labels = json!({MANAGED_BY_LABEL: MANAGED_BY, INSTANCE_LABEL: INSTANCE, TENANT_UID_LABEL: uids[0].0.to_string()});
    let api: kube::Api<k8s_openapi::api::rbac::v1::Role> =
        kube::Api::namespaced(world.cluster.client().clone(), "tenant-prune-a");
    let role =
        serde_json::from_value(json!({"metadata": {"name": "by-hand", "labels": labels}})).unwrap();
    api.create(
        &kube::api::PostParams { field_manager: Some("kubectl".into()), ..Default::default() },
        &role,
    )
    .await
    .unwrap();
    world.wishes.with_role.store(false, Ordering::Relaxed);
    for uid in &uids {
        world.change(*uid, "generation = generation + 1").await;
    }
    let start = std::time::Instant::now();
    let left = loop {
        let mut left = 0;
        for id in ["a", "b", "c", "d"] {
            let role = world.object(Kind::Role, &format!("prune-{id}"), "administrators").await;
            left += usize::from(role.is_some());
        }
        let mut open = 0;
        for uid in &uids {
            open += usize::from(
                message(&world.tenant(*uid).await, "ObjectsApplied").contains("breaker release"),
            );
        }
        if open == 2 {
            break left;
        }
        assert!(start.elapsed() < LIMIT, "{left} left, {open} told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(left, 2, "the limit is two");
    // A deletion that was asked for waits as well.
    world.change(uids[0], "state = 'purging'").await;
    world
        .until(uids[0], "held", |it| message(it, "NamespaceReady").contains("breaker release"))
        .await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(world.object(Kind::Namespace, "prune-a", "tenant-prune-a").await.is_some());
    world.sql("UPDATE breaker SET release_time = now()").await;
    world.until(uids[0], "gone", |it| it.state == TenantState::Gone).await;
    for uid in &uids[1..] {
        world.active(*uid).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_deleted_because_a_row_is_absent() {
    let world = World::prepare().await;
    for number in 0..5 {
        let labels = json!({MANAGED_BY_LABEL: MANAGED_BY, INSTANCE_LABEL: INSTANCE,
            TENANT_UID_LABEL: Uuid::now_v7().to_string(), "control.stream.space/tenant": "lost"});
        let name = format!("tenant-lost-{number}");
        let wish = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        world.cluster.apply(Kind::Namespace, &name, &name, &wish).await.unwrap();
    }
    let labels = json!({MANAGED_BY_LABEL: MANAGED_BY, INSTANCE_LABEL: INSTANCE});
    let control = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "streamspace-system", "labels": labels},
    });
    let name = "streamspace-system";
    world.cluster.apply(Kind::Namespace, name, name, &control).await.unwrap();
    let writes = world.simulator.writes();
    world.lead(1).await;
    let start = std::time::Instant::now();
    loop {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM orphans WHERE tenant_label = 'lost'")
                .fetch_one(world.test.database().operator())
                .await
                .unwrap();
        if count == 5 {
            break;
        }
        assert!(start.elapsed() < LIMIT, "{count} orphans are told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.simulator.writes(), writes);
    let all: i64 = sqlx::query_scalar("SELECT count(*) FROM orphans")
        .fetch_one(world.test.database().operator())
        .await
        .unwrap();
    assert_eq!(all, 5, "the installation's own namespace is none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_namespace_is_adopted_only_when_told_so() {
    let world = World::start().await;
    let api: kube::Api<k8s_openapi::api::core::v1::Namespace> =
        kube::Api::all(world.cluster.client().clone());
    for id in ["foreign", "adopted"] {
        let namespace =
            serde_json::from_value(json!({"metadata": {"name": format!("tenant-{id}")}})).unwrap();
        api.create(&kube::api::PostParams::default(), &namespace).await.unwrap();
    }
    let blocked = world.create("foreign").await;
    let adopted = world.test.insert_tenant("adopted").await;
    world.change(adopted, "state = 'provisioning', adopt = true").await;
    world.active(adopted).await;
    let tenant = world.until(blocked, "blocked", |it| failing(it, "NamespaceReady")).await;
    assert!(message(&tenant, "NamespaceReady").contains("does not belong"), "{tenant:?}");
    assert!(world.object(Kind::ResourceQuota, "foreign", "limits").await.is_none());
    // Its purge leaves it where it is.
    world.change(blocked, "state = 'purging'").await;
    world.until(blocked, "gone", |it| it.state == TenantState::Gone).await;
    assert!(world.object(Kind::Namespace, "foreign", "tenant-foreign").await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_that_are_cut_and_forgotten_lose_nothing() {
    let world = World::start().await;
    let uid = world.create("acme").await;
    world.active(uid).await;
    for round in 0..3 {
        world.simulator.faults().expire_next_watches(2);
        world.simulator.faults().cut_watches();
        world.delete(Kind::Role, "acme", "administrators").await;
        world
            .patch(
                Kind::ResourceQuota,
                "acme",
                "limits",
                json!({"spec": {"hard": {"pods": round.to_string()}}}),
            )
            .await;
        world.simulator.compact();
        world
            .until_object(Kind::ResourceQuota, "acme", "limits", |it| pods(it) == Some("20"))
            .await;
        world.until_object(Kind::Role, "acme", "administrators", |it| it.is_some()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_replaced_writes_nothing() {
    let world = World::start().await;
    let uid = world.create("acme").await;
    world.active(uid).await;
    // Three objects, and the event on its state that comes a little later.
    let all_written = async {
        while world.simulator.writes() < 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_written).await.unwrap();
    // The lease went to another, and this replica has not heard of it.
    world.sql("UPDATE leader SET leader_term = 9, replica = 'b'").await;
    let writes = world.simulator.writes();
    world.change(uid, "generation = generation + 1").await;
    let new = world.create("new").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(world.simulator.writes(), writes);
    assert!(world.tenant(new).await.conditions.is_empty());
}
