//! Operations over sessions: the object in the cluster is written once, whoever is killed
//! when, and it is the very object that was chosen.

use std::time::Duration;

use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use prost::Message as _;
use serde_json::json;
use streamspace_core::{ids::OperationId, session::SessionUid};
use streamspace_proto::v1::{SessionState, session_service_server::SessionService as _};

use super::*;
use crate::{
    kube::ClusterConfig,
    platform::{install, manifests::Manifests},
    sessions::{
        change::{self, Look, OPERATION_ANNOTATION, Target, Wished},
        object::read_session,
        service::Sessions,
    },
};

/// A fixture with the definitions of sessions, and these tenants with their namespaces.
struct Region {
    f: Fixture,
    sessions: Sessions,
}

impl Region {
    async fn start(tenants: &[&str]) -> Self {
        let f = Fixture::start().await;
        let cluster = f.world.tenants.cluster.clone();
        install::definitions(&cluster, &Manifests::new(&ClusterConfig::default())).await.unwrap();
        f.tenants(tenants).await;
        for tenant in tenants {
            let namespace = json!({"metadata": {"name": format!("tenant-{tenant}")}});
            Api::all(cluster.client().clone())
                .create(&PostParams::default(), &serde_json::from_value(namespace).unwrap())
                .await
                .map(|_: k8s_openapi::api::core::v1::Namespace| ())
                .unwrap();
        }
        let template = v1::Template {
            name: "templates/firefox".into(),
            valid: true,
            ..v1::Template::default()
        };
        sqlx::query(
            "INSERT INTO catalogue_templates (name, template_uid, resource_version, resource) \
             VALUES ('firefox', gen_random_uuid(), 1, $1)",
        )
        .bind(template.encode_to_vec())
        .execute(f.world.test.database().operator())
        .await
        .unwrap();
        let db = f.world.test.database().clone();
        Self { sessions: Sessions { admission: Admission::new(db.clone()), db, cluster }, f }
    }

    fn api(&self, tenant: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("stream.space", "v1alpha1", "Session");
        let resource = ApiResource::from_gvk_with_plural(&kind, "sessions");
        let client = self.f.world.simulator.client();
        Api::namespaced_with(client, &format!("tenant-{tenant}"), &resource)
    }

    /// A session that a tenant made by hand, as the watch shows it.
    async fn session(&self, tenant: &str, name: &str, state: &str) -> SessionUid {
        let object = json!({
            "apiVersion": "stream.space/v1alpha1", "kind": "Session",
            "metadata": {"name": name},
            "spec": {"user": "ada", "template": "firefox", "state": state},
        });
        let object = serde_json::from_value(object).unwrap();
        self.api(tenant).create(&PostParams::default(), &object).await.unwrap();
        self.watched(tenant, name).await
    }

    /// Shows an object in the rows, as the watch of the cluster does.
    async fn watched(&self, tenant: &str, name: &str) -> SessionUid {
        let seen = read_session(&self.api(tenant).get(name).await.unwrap());
        let resource = v1::Session {
            name: format!("tenants/{tenant}/sessions/{name}"),
            ..v1::Session::default()
        };
        sqlx::query(
            "INSERT INTO sessions (tenant_uid, name, session_uid, resource_version, generation, \
               user_name, template, state, phase, deleting, pods, cpu, cpu_limit, memory, \
               memory_limit, create_time, resource) \
             SELECT tenant_uid, $2, $3, 1, $4, $5, $6, $7, 'Pending', false, 1, 1000, 1000, \
               2147483648, 2147483648, now(), $8 FROM tenants WHERE tenant_id = $1 \
             ON CONFLICT (tenant_uid, name) DO UPDATE SET session_uid = $3, generation = $4, \
               state = $7",
        )
        .bind(tenant)
        .bind(name)
        .bind(seen.metadata.uid)
        .bind(seen.metadata.generation)
        .bind(&seen.written.user)
        .bind(&seen.written.template)
        .bind(seen.state.unwrap().as_str())
        .bind(resource.encode_to_vec())
        .execute(self.f.world.test.database().operator())
        .await
        .unwrap();
        seen.uid()
    }

    async fn create(&self, request: v1::CreateSessionRequest) -> Result<v1::Operation, Status> {
        let request = by(&self.f.world.kim, request);
        Ok(self.sessions.create_session(request).await?.into_inner())
    }

    async fn change(
        &self,
        request: v1::ChangeSessionsRequest,
    ) -> Result<v1::ChangeSessionsResponse, Status> {
        let request = by(&self.f.world.kim, request);
        Ok(self.sessions.change_sessions(request).await?.into_inner())
    }

    async fn begin(&self, request: v1::ChangeSessionsRequest) -> v1::Operation {
        self.change(request).await.unwrap().operation.unwrap()
    }

    async fn state(&self, tenant: &str, name: &str) -> String {
        let object = self.api(tenant).get(name).await.unwrap();
        object.data["spec"]["state"].as_str().unwrap().to_owned()
    }
}

fn creation(name: &str) -> v1::CreateSessionRequest {
    let session = v1::Session {
        user: "ada".into(),
        template: "firefox".into(),
        cpu: "500m".into(),
        memory: "1Gi".into(),
        ..v1::Session::default()
    };
    v1::CreateSessionRequest {
        parent: "tenants/acme".into(),
        session_id: name.into(),
        session: Some(session),
        ..Default::default()
    }
}

fn these(state: SessionState, names: &[&str]) -> v1::ChangeSessionsRequest {
    let name = |name: &&str| format!("tenants/acme/sessions/{name}");
    v1::ChangeSessionsRequest {
        parent: "tenants/acme".into(),
        names: names.iter().map(name).collect(),
        state: state.into(),
        reason: "maintenance".into(),
        ..Default::default()
    }
}

fn filtered(state: SessionState, parent: &str, filter: &str) -> v1::ChangeSessionsRequest {
    v1::ChangeSessionsRequest {
        parent: parent.into(),
        filter: filter.into(),
        names: vec![],
        ..these(state, &[])
    }
}

#[tokio::test]
async fn a_session_is_made_put_to_sleep_woken_and_ended() {
    let r = Region::start(&["acme"]).await;
    let preview =
        r.create(v1::CreateSessionRequest { validate_only: true, ..creation("desk-1") }).await;
    assert_eq!(preview.unwrap().name, "");
    let begun = r.create(creation("desk-1")).await.unwrap();
    assert_eq!(
        (begun.kind.as_str(), begun.target.as_str()),
        ("session.create", "tenants/acme/sessions/desk-1")
    );
    assert!(r.api("acme").get_opt("desk-1").await.unwrap().is_none());
    r.f.runner();
    let ended = r.f.ended(&begun.name).await;
    assert_eq!((ended.error, ended.counts.unwrap().changed), (None, 1));
    let made = r.api("acme").get("desk-1").await.unwrap();
    assert_eq!(made.metadata.annotations.as_ref().unwrap()[OPERATION_ANNOTATION], begun.name);
    assert!(made.metadata.labels.is_none(), "it is the tenant's");
    let wish = read_session(&made).wish.unwrap();
    assert_eq!(
        (wish.user.as_str(), wish.resources.limits.memory.unwrap().to_string()),
        ("ada", "1Gi".into())
    );
    r.watched("acme", "desk-1").await;
    let again = r.create(creation("desk-1")).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);

    for (state, word) in [
        (SessionState::Hibernated, "hibernated"),
        (SessionState::Running, "running"),
        (SessionState::Terminated, "terminated"),
    ] {
        let begun = r.begin(these(state, &["desk-1"])).await;
        assert_eq!(begun.target, "tenants/acme/sessions/desk-1");
        let ended = r.f.ended(&begun.name).await;
        assert_eq!((ended.error, ended.counts.unwrap().changed), (None, 1), "{word}");
        assert_eq!(r.state("acme", "desk-1").await, word);
        let begun = r.begin(these(state, &["desk-1"])).await;
        let ended = r.f.ended(&begun.name).await;
        assert_eq!(ended.counts.unwrap().unchanged, 1, "{word}");
        r.watched("acme", "desk-1").await;
    }
    // Each item is in the log by itself.
    let log = r.f.log.ended.lock().unwrap();
    let methods: Vec<&str> =
        log.iter().map(|(record, _)| record.method.rsplit('/').next().unwrap()).collect();
    assert_eq!((methods.len(), methods[0], methods[1]), (7, "CreateSession", "ChangeSessions"));
    for (record, outcome) in log.iter() {
        assert_eq!(record.resource, "tenants/acme/sessions/desk-1");
        assert_eq!((record.actor.as_str(), outcome.ending), ("kim", Ending::Succeeded));
    }
    assert_eq!(log[1].1.summary, "state: hibernated");
}

#[tokio::test]
async fn a_leader_that_is_killed_between_the_write_and_the_commit_is_found_to_have_done_it() {
    let r = Region::start(&["acme"]).await;
    r.session("acme", "desk-1", "running").await;
    let made = r.create(creation("desk-2")).await.unwrap();
    let slept = r.begin(these(SessionState::Hibernated, &["desk-1"])).await;
    // What a leader does before it is killed.
    let write = async |operation: &str, session: &str, uid, wished: Wished| {
        let name = format!("tenants/acme/sessions/{session}");
        let operation = OperationId::from_name(operation).unwrap();
        let target = Target { name: &name, namespace: "tenant-acme", session, uid, operation };
        let cluster = &r.sessions.cluster;
        let Look::Differs(before) = change::look(cluster, &target, &wished).await.unwrap() else {
            panic!("it is to be written");
        };
        before.write(cluster, &target, &wished).await.unwrap();
    };
    let wish = crate::sessions::input::creation(&creation("desk-2")).unwrap().wish;
    write(&made.name, "desk-2", None, Wished::Made(Box::new(wish))).await;
    let uid = read_session(&r.api("acme").get("desk-1").await.unwrap()).uid();
    let state = streamspace_core::session::SessionState::Hibernated;
    write(&slept.name, "desk-1", Some(uid), Wished::State(state)).await;
    let versions = async || {
        let api = r.api("acme");
        let version = async |name: &str| api.get(name).await.unwrap().metadata.resource_version;
        (version("desk-1").await, version("desk-2").await)
    };
    let before = versions().await;

    r.f.runner();
    for name in [&made.name, &slept.name] {
        let ended = r.f.ended(name).await;
        assert_eq!((ended.error, ended.counts.unwrap().changed), (None, 1));
    }
    assert_eq!(versions().await, before, "nothing is written twice");
}

#[tokio::test]
async fn runners_that_are_killed_all_the_time_change_each_session_once() {
    let r = Region::start(&["acme"]).await;
    let names: Vec<String> = (0..30).map(|number| format!("desk-{number:02}")).collect();
    for name in &names {
        r.session("acme", name, "hibernated").await;
    }
    // More than one user may run.
    r.f.world.sql("UPDATE sessions SET user_name = name").await;
    let begun =
        r.begin(filtered(SessionState::Terminated, "tenants/acme", "state = hibernated")).await;
    assert_eq!(begun.target, "tenants/acme/sessions/-");
    let mut life = 3;
    loop {
        let runners = [r.f.runner(), r.f.runner()];
        tokio::time::sleep(Duration::from_millis(life)).await;
        for runner in runners {
            runner.abort();
        }
        let request = v1::GetOperationRequest { name: begun.name.clone() };
        let request = by(&r.f.world.kim, request);
        let operation = r.f.operations.get_operation(request).await.unwrap().into_inner();
        if operation.done {
            let counts = operation.counts.unwrap();
            assert_eq!((counts.changed, counts.total), (30, 30), "{operation:?}");
            break;
        }
        life += 2;
    }
    for name in &names {
        let object = r.api("acme").get(name).await.unwrap();
        assert_eq!(object.data["spec"]["state"], "terminated");
        assert_eq!(object.metadata.generation, Some(2), "{name}");
    }
}

#[tokio::test]
async fn what_was_cancelled_is_left_and_goes_on_when_it_is_resumed() {
    let r = Region::start(&["acme"]).await;
    for name in ["a", "b", "c"] {
        r.session("acme", name, "running").await;
    }
    let begun = r.begin(these(SessionState::Hibernated, &["c", "a", "b"])).await;
    let id = OperationId::from_name(&begun.name).unwrap();
    let mut tx = r.f.world.test.database().begin(&Scope::Region).await.unwrap();
    let first = bulk::pending(&mut tx, id, 1, &[]).await.unwrap().remove(0);
    assert_eq!(first.target, "tenants/acme/sessions/a");
    assert_eq!(bulk::hold(&mut tx, id, &first.key).await.unwrap(), bulk::Held::Pending);
    r.f.cancel(&begun.name).await.unwrap();
    r.f.runner();
    assert!(bulk::settle(&mut tx, id, &first.key, &bulk::Settled::Changed).await.unwrap());
    tx.commit().await.unwrap();
    let ended = r.f.ended(&begun.name).await;
    let counts = ended.counts.unwrap();
    assert_eq!((counts.changed, counts.cancelled, counts.total), (1, 2, 3));
    assert_eq!(r.state("acme", "b").await, "running");
    let viewer = caller("lee", Role::Viewer, Scope::Region);
    let denied = r.f.resume_as(&viewer, &begun.name).await.unwrap_err();
    assert_eq!(reason(&denied), "ROLE_TOO_LOW");
    let lee = caller("lee", Role::Operator, Scope::Region);
    r.f.resume_as(&lee, &begun.name).await.unwrap();
    let ended = r.f.ended(&begun.name).await;
    assert_eq!((ended.counts.unwrap().changed, ended.actor.as_str()), (3, "lee"));
    assert_eq!(r.state("acme", "b").await, "hibernated");
    assert_eq!(r.state("acme", "a").await, "running", "this one only the test settled");
}

#[tokio::test]
async fn a_request_that_is_repeated_has_one_effect() {
    let r = Region::start(&["acme"]).await;
    let id = Uuid::new_v4().to_string();
    let request = v1::CreateSessionRequest { request_id: id.clone(), ..creation("desk-1") };
    let first = r.create(request.clone()).await.unwrap();
    assert_eq!(r.create(request.clone()).await.unwrap(), first);
    let other = v1::CreateSessionRequest { session_id: "desk-2".into(), ..request.clone() };
    assert_eq!(reason(&r.create(other).await.unwrap_err()), "REQUEST_ID_REUSED");
    r.f.runner();
    r.f.ended(&first.name).await;
    r.watched("acme", "desk-1").await;
    assert_eq!(r.create(request).await.unwrap(), first, "also once it is there");

    let id = Uuid::new_v4().to_string();
    let request = v1::ChangeSessionsRequest {
        request_id: id,
        ..these(SessionState::Hibernated, &["desk-1", "desk-1"])
    };
    let first = r.change(request.clone()).await.unwrap();
    assert_eq!(r.change(request).await.unwrap(), first);
    let ended = r.f.ended(&first.operation.unwrap().name).await;
    assert_eq!(ended.counts.unwrap().total, 1);
}

#[tokio::test]
async fn another_session_of_the_name_is_left_alone() {
    let r = Region::start(&["acme"]).await;
    r.session("acme", "desk-1", "running").await;
    let ends = r.begin(these(SessionState::Terminated, &["desk-1"])).await;
    let makes = r.create(creation("desk-2")).await.unwrap();
    // Somebody else's come in between.
    r.api("acme").delete("desk-1", &DeleteParams::default()).await.unwrap();
    r.session("acme", "desk-1", "running").await;
    r.session("acme", "desk-2", "hibernated").await;
    r.f.runner();
    for (operation, reason, words) in [
        (&ends, "NOT_FOUND", "another session has the name"),
        (&makes, "ALREADY_EXISTS", "tenants/acme/sessions/desk-2"),
    ] {
        let ended = r.f.ended(&operation.name).await;
        assert_eq!(ended.counts.unwrap().failed, 1);
        let error = r.f.items(&operation.name, "").await[0].error.clone().unwrap();
        assert_eq!(error.reason, reason);
        assert!(error.message.contains(words), "{error:?}");
    }
    assert_eq!(r.state("acme", "desk-1").await, "running");
    assert_eq!(r.state("acme", "desk-2").await, "hibernated");
    // It is gone altogether.
    let ends = r.begin(these(SessionState::Terminated, &["desk-1"])).await;
    r.api("acme").delete("desk-1", &DeleteParams::default()).await.unwrap();
    let ended = r.f.ended(&ends.name).await;
    assert_eq!(ended.counts.unwrap().failed, 1);
}

#[tokio::test]
async fn a_filter_chooses_in_one_snapshot_over_all_tenants() {
    let r = Region::start(&["acme", "beta"]).await;
    r.session("acme", "desk-1", "running").await;
    r.session("acme", "game-1", "running").await;
    r.session("beta", "desk-1", "running").await;
    let request = filtered(SessionState::Hibernated, "tenants/-", "name = \"*/desk-*\"");
    let missing = v1::ChangeSessionsRequest { reason: String::new(), ..request.clone() };
    assert_eq!(r.change(missing.clone()).await.unwrap_err().code(), Code::InvalidArgument);
    let preview = v1::ChangeSessionsRequest { validate_only: true, ..missing };
    let preview = r.change(preview).await.unwrap();
    assert_eq!(preview.operation.unwrap().counts.unwrap().changed, 2);
    let begun = r.begin(request).await;
    assert_eq!(begun.target, "tenants/-/sessions/-");
    assert_eq!(begun.consequences[0].message, "it touches 2 sessions of 2 users in 2 tenants");
    r.session("beta", "desk-2", "running").await;
    r.f.runner();
    let ended = r.f.ended(&begun.name).await;
    assert_eq!(ended.counts.unwrap().changed, 2);
    assert_eq!(r.state("beta", "desk-1").await, "hibernated");
    for (tenant, name) in [("acme", "game-1"), ("beta", "desk-2")] {
        assert_eq!(r.state(tenant, name).await, "running");
    }
}

#[tokio::test]
async fn limits_hold_where_the_cluster_does_not_ask_and_nothing_is_written_before_the_platform_lets()
 {
    let r = Region::start(&["acme"]).await;
    for number in 0..20 {
        r.session("acme", &format!("desk-{number:02}"), "running").await;
    }
    r.session("acme", "late", "hibernated").await;
    let wake = these(SessionState::Running, &["late", "desk-00"]);
    let preview = v1::ChangeSessionsRequest { validate_only: true, ..wake.clone() };
    let preview = r.change(preview).await.unwrap();
    assert_eq!(
        states(&preview.items).into_values().collect::<Vec<_>>(),
        [State::Unchanged, State::Failed]
    );
    let refused = preview.items[1].error.clone().unwrap();
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (i32::from(Code::ResourceExhausted), "USER_LIMIT")
    );
    assert!(refused.message.contains("20"), "{refused:?}");
    let created = r.create(creation("more")).await.unwrap_err();
    assert_eq!(
        (created.code(), reason(&created).as_str()),
        (Code::ResourceExhausted, "USER_LIMIT")
    );

    let ready = r.f.standing.send_replace(PlatformStanding::Waiting);
    let begun = r.begin(wake).await;
    r.f.runner();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let items = r.f.items(&begun.name, "state = pending").await;
    assert_eq!(items.len(), 2);
    r.f.standing.send_replace(ready);
    let ended = r.f.ended(&begun.name).await;
    let counts = ended.counts.unwrap();
    assert_eq!((counts.unchanged, counts.failed), (1, 1));
    assert_eq!(r.state("acme", "late").await, "hibernated");
}

#[tokio::test]
async fn what_the_cluster_refuses_is_told_in_its_words() {
    let r = Region::start(&["acme"]).await;
    r.session("acme", "desk-1", "hibernated").await;
    let made = r.create(creation("desk-2")).await.unwrap();
    // Another variant of the definitions, which knows fewer fields.
    let api: Api<DynamicObject> = {
        let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
        Api::all_with(r.f.world.simulator.client(), &ApiResource::from_gvk(&kind))
    };
    let narrow = json!([{
        "op": "replace",
        "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/state/enum",
        "value": ["hibernated", "terminated"],
    }]);
    let patch: Patch<serde_json::Value> = Patch::Json(serde_json::from_value(narrow).unwrap());
    api.patch("sessions.stream.space", &PatchParams::default(), &patch).await.unwrap();
    let woken = r.begin(these(SessionState::Running, &["desk-1"])).await;
    r.f.runner();
    for operation in [made, woken] {
        let ended = r.f.ended(&operation.name).await;
        assert_eq!(ended.counts.unwrap().failed, 1, "{ended:?}");
        let error = r.f.items(&operation.name, "").await[0].error.clone().unwrap();
        assert_eq!(error.reason, "CLUSTER_REFUSED");
        assert!(error.message.contains("spec.state"), "{error:?}");
    }
}
