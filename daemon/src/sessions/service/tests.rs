//! What is read, and what is refused at once, over a database and the simulator.

use std::collections::BTreeSet;

use kube::{Api, api::PostParams};
use prost::Message as _;
use serde_json::json;
use streamspace_core::access::Role;
use streamspace_proto::v1::SessionState as State;
use tonic::Code;

use super::*;
use crate::{
    db::Scope,
    rpc::caller::testing::caller,
    tenants::service::tests::{World, field, reason},
};

struct Shown {
    world: World,
    sessions: Sessions,
}

impl Shown {
    async fn start() -> Self {
        let world = World::start().await;
        let db = world.test.database().clone();
        let cluster = world.tenants.cluster.clone();
        let sessions = Sessions { admission: Admission::new(db.clone()), db, cluster };
        Self { world, sessions }
    }

    /// A row as the watch shows one.
    async fn row(&self, tenant: &str, name: &str, user: &str, change: &str) {
        let resource = v1::Session {
            name: format!("tenants/{tenant}/sessions/{name}"),
            user: user.into(),
            ..v1::Session::default()
        };
        sqlx::query(
            "INSERT INTO sessions (tenant_uid, name, session_uid, resource_version, generation, \
               user_name, template, state, phase, deleting, pods, cpu, cpu_limit, memory, \
               memory_limit, create_time, resource) \
             SELECT tenant_uid, $2, gen_random_uuid(), 1, 1, $3, 'firefox', 'running', 'Running', \
               false, 1, 500, 500, 1073741824, 1073741824, now() - interval '1 hour', $4 \
             FROM tenants WHERE tenant_id = $1",
        )
        .bind(tenant)
        .bind(name)
        .bind(user)
        .bind(resource.encode_to_vec())
        .execute(self.world.test.database().operator())
        .await
        .unwrap();
        if !change.is_empty() {
            let sql = format!("UPDATE sessions SET {change} WHERE name = '{name}'");
            self.world.sql(&sql).await;
        }
    }

    /// A template of a tenant, or of the catalogue where that is empty.
    async fn template(&self, tenant: &str, name: &str, fault: &str) {
        let full = match tenant {
            "" => format!("templates/{name}"),
            tenant => format!("tenants/{tenant}/templates/{name}"),
        };
        let template = v1::Template {
            name: full,
            display_name: name.to_uppercase(),
            valid: fault.is_empty(),
            message: fault.into(),
            ..v1::Template::default()
        };
        let statement = match tenant {
            "" => {
                "INSERT INTO catalogue_templates (name, template_uid, resource_version, resource) \
                 SELECT $2, gen_random_uuid(), 1, $3 WHERE $1 = ''"
            }
            _ => {
                "INSERT INTO templates (tenant_uid, name, template_uid, resource_version, resource) \
                 SELECT tenant_uid, $2, gen_random_uuid(), 1, $3 FROM tenants WHERE tenant_id = $1"
            }
        };
        sqlx::query(statement)
            .bind(tenant)
            .bind(name)
            .bind(template.encode_to_vec())
            .execute(self.world.test.database().operator())
            .await
            .unwrap();
    }

    async fn names(&self, who: &Caller, parent: &str, filter: &str) -> RpcResult<Vec<String>> {
        let mut names = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListSessionsRequest {
                parent: parent.into(),
                page_size: 2,
                page_token,
                filter: filter.into(),
            };
            let page = self.sessions.list(who, &request).await?;
            assert!(page.sessions.len() <= 2);
            names.extend(page.sessions.into_iter().map(|session| session.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(names);
            }
        }
    }

    async fn create(&self, template: &str) -> RpcResult<v1::Operation> {
        let session =
            v1::Session { user: "ada".into(), template: template.into(), ..v1::Session::default() };
        let request = v1::CreateSessionRequest {
            parent: "tenants/acme".into(),
            session_id: "new".into(),
            session: Some(session),
            ..Default::default()
        };
        self.sessions.create(&self.world.kim, &request).await
    }
}

#[tokio::test]
async fn lists_are_pages_of_what_a_filter_matches_in_scope() {
    let shown = Shown::start().await;
    let kim = &shown.world.kim;
    for tenant in ["acme", "beta"] {
        shown.world.tenant(tenant, "active", "").await;
    }
    for number in 1..=5 {
        shown.row("acme", &format!("a-{number}"), "ada", "").await;
    }
    shown.row("acme", "b-1", "bob", "state = 'hibernated', phase = 'Hibernated'").await;
    shown.row("acme", "c-1", "bob", "node = 'n1', last_activity = now() - interval '10 min'").await;
    shown.row("beta", "z-1", "ada", "deleting = true, create_time = now()").await;
    let all = shown.names(kim, "tenants/-", "").await.unwrap();
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (8, 8));
    let acme = shown.names(kim, "tenants/acme", "").await.unwrap();
    assert_eq!((acme.len(), acme[0].as_str()), (7, "tenants/acme/sessions/a-1"));
    assert!(acme.is_sorted());
    let few = async |filter: &str| {
        let names = shown.names(kim, "tenants/-", filter).await.unwrap();
        let last = |name: &String| name.rsplit('/').next().unwrap().to_owned();
        names.iter().map(last).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(few("user = \"bob\"").await, "b-1 c-1");
    assert_eq!(
        few("user = ada AND phase = \"Running\" AND tenant = acme").await,
        "a-1 a-2 a-3 a-4 a-5"
    );
    assert_eq!(few("state = hibernated OR node : *").await, "b-1 c-1");
    assert_eq!(few("idle > 300 AND idle < 900").await, "c-1");
    assert_eq!(few("age < 60").await, "z-1");
    assert_eq!(few("deleting = true").await, "z-1");
    assert_eq!(few("name = \"*/a-3\"").await, "a-3");
    assert_eq!(few("user = nobody").await, "");
    assert_eq!(field(shown.names(kim, "tenants/-", "age = old").await), "filter");
    assert_eq!(field(shown.names(kim, "acme", "").await), "parent");
    assert_eq!(reason(shown.names(kim, "tenants/nobody", "").await), "NOT_FOUND");
    let damaged = v1::ListSessionsRequest {
        parent: "tenants/-".into(),
        page_token: "AAAA".into(),
        ..Default::default()
    };
    assert_eq!(field(shown.sessions.list(kim, &damaged).await), "page_token");

    // A caller of one tenant sees its own.
    let beta: Uuid = sqlx::query_scalar("SELECT tenant_uid FROM tenants WHERE tenant_id = 'beta'")
        .fetch_one(shown.world.test.database().operator())
        .await
        .unwrap();
    let nora = caller("nora", Role::Viewer, Scope::Tenants(vec![TenantUid(beta)]));
    let own = shown.names(&nora, "tenants/-", "").await.unwrap();
    assert_eq!(own, ["tenants/beta/sessions/z-1"]);
    for name in ["tenants/acme/sessions/a-1", "tenants/beta/sessions/nothing"] {
        let hidden = shown.sessions.get(&nora, name).await;
        assert!(matches!(&hidden, Err(RpcError::NotFound(of)) if of == name), "{hidden:?}");
        assert_eq!(reason(Box::pin(shown.sessions.describe(&nora, name)).await), "NOT_FOUND");
    }
    assert!(shown.sessions.get(&nora, "tenants/beta/sessions/z-1").await.is_ok());
    assert_eq!(field(shown.sessions.get(&nora, "z-1").await), "name");
}

#[tokio::test]
async fn a_template_that_is_broken_or_missing_is_told_before_anything_is_begun() {
    let shown = Shown::start().await;
    shown.world.tenant("acme", "active", "").await;
    shown.template("", "firefox", "").await;
    shown.template("", "broken", "spec.baseImage: is empty").await;
    shown.template("", "own", "").await;
    shown.template("acme", "own", "spec.ports: has no TCP port").await;
    shown.template("acme", "private", "").await;
    let words = |result: RpcResult<v1::Operation>| result.unwrap_err().to_string();
    assert_eq!(
        words(shown.create("firefux").await),
        "session.template: there is no template `firefux` in the tenant or in the catalogue: \
         `firefox` was meant, perhaps"
    );
    assert!(words(shown.create("broken").await).contains("spec.baseImage: is empty"));
    assert!(words(shown.create("own").await).contains("delete it to use the catalogue's"));
    assert_eq!(field(shown.create("own").await), "session.template");
    assert!(shown.create("private").await.is_ok());

    let list = async |parent: &str, filter: &str| {
        let request = v1::ListTemplatesRequest {
            parent: parent.into(),
            filter: filter.into(),
            ..Default::default()
        };
        let reply = shown.sessions.templates(&shown.world.kim, &request).await.unwrap();
        reply.templates.into_iter().map(|template| template.name).collect::<Vec<_>>()
    };
    assert_eq!(list("", "").await, ["templates/broken", "templates/firefox", "templates/own"]);
    assert_eq!(list("", "valid = false").await, ["templates/broken"]);
    assert_eq!(list("", "display_name = FIREFOX").await, ["templates/firefox"]);
    assert_eq!(
        list("tenants/acme", "").await,
        ["tenants/acme/templates/own", "tenants/acme/templates/private"]
    );
}

#[tokio::test]
async fn a_tenant_that_is_closed_starts_nothing_new() {
    let shown = Shown::start().await;
    shown.world.tenant("acme", "cordoned", "").await;
    shown.template("", "firefox", "").await;
    assert_eq!(reason(shown.create("firefox").await), "TENANT_STATE");
    shown.world.sql("UPDATE tenants SET state = 'purging'").await;
    assert_eq!(reason(shown.create("firefox").await), "TENANT_PURGING");
}

#[tokio::test]
async fn a_change_says_which_sessions_what_and_where_it_matters_why() {
    let shown = Shown::start().await;
    shown.world.tenant("acme", "active", "").await;
    shown.world.tenant("beta", "active", "").await;
    shown.row("acme", "a-1", "ada", "").await;
    shown.row("acme", "a.strange-one", "ada", "deleting = true").await;
    let change = async |names: &[&str], filter: &str, state: v1::SessionState, reason: &str| {
        let request = v1::ChangeSessionsRequest {
            parent: "tenants/acme".into(),
            filter: filter.into(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            state: state.into(),
            reason: reason.into(),
            ..Default::default()
        };
        shown.sessions.change(&shown.world.kim, &request).await
    };
    let one = &["tenants/acme/sessions/a-1"][..];
    assert_eq!(field(change(one, "", State::Unspecified, "").await), "state");
    assert_eq!(field(change(&[], "", State::Hibernated, "").await), "filter");
    assert_eq!(field(change(one, "user = ada", State::Hibernated, "x").await), "names");
    assert_eq!(field(change(one, "", State::Terminated, " ").await), "reason");
    assert_eq!(field(change(&[], "user = ada", State::Hibernated, "").await), "reason");
    assert_eq!(field(change(&[], "user = nobody", State::Hibernated, "x").await), "filter");
    assert_eq!(field(change(&["a-1"], "", State::Hibernated, "").await), "names[0]");
    let others = &["tenants/acme/sessions/a-1", "tenants/beta/sessions/a-1"];
    assert_eq!(field(change(others, "", State::Hibernated, "").await), "names[1]");
    let missing =
        change(&["tenants/acme/sessions/b"], "", State::Hibernated, "").await.unwrap_err();
    assert!(missing.to_string().starts_with("tenants/acme/sessions/b does not"), "{missing}");
    let many: Vec<String> = (0..10_001).map(|n| format!("tenants/acme/sessions/{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(field(change(&many, "", State::Hibernated, "").await), "names");
    let begun = change(one, "", State::Hibernated, "").await.unwrap().operation.unwrap();
    assert_eq!((begun.kind.as_str(), begun.target.as_str()), ("session.hibernate", one[0]));
    let codes: Vec<&str> = begun.consequences.iter().map(|told| told.code.as_str()).collect();
    assert_eq!(codes, ["TOUCHES", "ENDS_RUNS"]);
    // Also one that nobody could make under that name here.
    let strange = &["tenants/acme/sessions/a.strange-one"];
    let begun = change(strange, "", State::Terminated, "x").await.unwrap().operation.unwrap();
    assert_eq!(begun.counts.unwrap().pending, 1);
}

#[tokio::test]
async fn who_wakes_a_session_of_a_suspended_tenant_hears_that_it_sleeps_on() {
    let shown = Shown::start().await;
    shown.world.tenant("acme", "suspended", "").await;
    shown.row("acme", "a-1", "ada", "phase = 'Hibernated'").await;
    let name = "tenants/acme/sessions/a-1";
    let asleep = v1::Session {
        name: name.into(),
        conditions: vec![v1::Condition {
            r#type: "Awake".into(),
            status: v1::ConditionStatus::False.into(),
            reason: "TenantSuspended".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    sqlx::query("UPDATE sessions SET resource = $1")
        .bind(asleep.encode_to_vec())
        .execute(shown.world.test.database().operator())
        .await
        .unwrap();
    let request = v1::ChangeSessionsRequest {
        parent: "tenants/acme".into(),
        names: vec![name.into()],
        state: State::Running.into(),
        validate_only: true,
        ..Default::default()
    };
    let told = shown.sessions.change(&shown.world.kim, &request).await.unwrap();
    let told = told.operation.unwrap().consequences;
    let codes: Vec<&str> = told.iter().map(|told| told.code.as_str()).collect();
    assert_eq!(codes, ["TOUCHES", "TENANT_CLOSED"]);
}

#[tokio::test]
async fn a_description_has_the_objects_and_events_and_says_what_is_missing() {
    use k8s_openapi::api::core::v1::{Event, Namespace, PersistentVolumeClaim, Service};
    let shown = Shown::start().await;
    shown.world.tenant("acme", "active", "").await;
    shown.row("acme", "desk-1", "ada", "").await;
    let client = || shown.world.simulator.client();
    macro_rules! make {
        ($api:expr, $kind:ty, $object:expr) => {{
            let object: $kind = serde_json::from_value($object).unwrap();
            let api: Api<$kind> = $api;
            api.create(&PostParams::default(), &object).await.unwrap();
        }};
    }
    make!(Api::all(client()), Namespace, json!({"metadata": {"name": "tenant-acme"}}));
    let ours = json!({"control.stream.space/session": "desk-1"});
    make!(
        Api::namespaced(client(), "tenant-acme"),
        Service,
        json!({"metadata": {"name": "desk-1", "labels": ours}, "spec": {"ports": [{"port": 3000}]}})
    );
    make!(
        Api::namespaced(client(), "tenant-acme"),
        PersistentVolumeClaim,
        json!({
            "metadata": {"name": "home-ada", "labels": {"control.stream.space/home": "ada"}},
            "spec": {
                "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "10Gi"}},
            },
        })
    );
    for (name, object, minute) in
        [("e-2", "desk-1", 2), ("e-1", "desk-1", 1), ("e-3", "desk-10", 3)]
    {
        make!(
            Api::namespaced(client(), "tenant-acme"),
            Event,
            json!({
                "metadata": {"name": name, "namespace": "tenant-acme"},
                "involvedObject": {
                    "kind": "Service", "name": object, "namespace": "tenant-acme",
                    "apiVersion": "v1",
                },
                "reason": "Trouble", "type": "Warning", "message": format!("m\u{1b}{minute}"),
                "lastTimestamp": format!("2026-01-01T00:0{minute}:00Z"), "count": 3,
            })
        );
    }
    let name = "tenants/acme/sessions/desk-1";
    let told = Box::pin(shown.sessions.describe(&shown.world.kim, name)).await.unwrap();
    let kinds: Vec<(&str, &str)> =
        told.objects.iter().map(|object| (object.kind.as_str(), object.name.as_str())).collect();
    assert_eq!(kinds, [("Service", "desk-1"), ("PersistentVolumeClaim", "home-ada")]);
    let words: Vec<&str> = told.events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(words, ["m\\u{1b}1", "m\\u{1b}2"]);
    assert_eq!((told.events[0].object.as_str(), told.events[0].count), ("Service/desk-1", 3));
    assert!(told.message.contains("session"), "{}", told.message);
    // A cluster that is away hides nothing that is known.
    shown.world.simulator.set_available(false);
    let told = Box::pin(shown.sessions.describe(&shown.world.kim, name)).await.unwrap();
    assert_eq!((told.session.unwrap().name.as_str(), told.objects.len()), (name, 0));
    assert!(told.message.contains("pods could not be read"), "{}", told.message);
    assert!(told.message.len() < 20_000);
    let refused = shown.sessions.get(&shown.world.kim, "tenants/acme/sessions/desk-2").await;
    assert_eq!(Status::from(refused.unwrap_err()).code(), Code::NotFound);
}
