//! One tenant, from a key press to a real cluster and back.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use streamspace_proto::v1::{
    CreateTenantRequest, DeleteTenantRequest, GetTenantRequest, Tenant, TenantState,
    UpdateTenantRequest,
};
use streamspace_tests::{
    life,
    region::{REGION, Region},
    rpc,
    runtime::story,
    wait::{holds, until},
};
use tonic::Code;
use uuid::Uuid;

#[test]
fn a_tenant_from_its_preview_to_its_tombstone() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let namespaces = region.namespaces().await;
        let namespace = region.namespace("acme-corp");
        let create = [
            "tenant",
            "create",
            "acme-corp",
            "--plan",
            "business",
            "--seats",
            "10",
            "--admin",
            "a@acme.com",
            "--billing-account",
            "acct-1",
            "--label",
            "segment=gold",
        ];

        // The preview shows all and changes nothing.
        let preview = [&create[..], &["--dry-run"]].concat();
        ssctl.run(&preview).await.exits(3).prints("acme-corp").prints("plans/business");
        ssctl.run(&["tenant", "show", "acme-corp"]).await.exits(6);
        assert_eq!(count(&region, "tenants").await, 0);
        assert_eq!(count(&region, "changes").await, 0);
        assert_eq!(count(&region, "tenant_subscription").await, 0);
        assert!(namespaces.get_opt(&namespace).await.unwrap().is_none());

        // A watch that is open sees all that follows.
        let mut watch = ssctl.start(&["tenant", "watch", "-o", "json"]);
        let wait = [&create[..], &["--wait", "-o", "json"]].concat();
        let created = ssctl.ok(&wait).await.json();
        assert_eq!(created["state"], "TENANT_STATE_ACTIVE", "{created}");
        let uid = created["uid"].as_str().unwrap().to_owned();

        let shown = ssctl.json(&["tenant", "show", "acme-corp"]).await;
        assert_eq!(shown["name"], "tenants/acme-corp");
        assert_eq!(shown["uid"], uid.as_str());
        assert_eq!(shown["namespace"], namespace.as_str());
        assert_eq!(shown["seats"], 10);
        assert_eq!(shown["labels"]["segment"], "gold");
        assert_eq!(shown["generation"], shown["observedGeneration"]);
        let condition = &shown["conditions"][0];
        assert_eq!(condition["type"], "NamespaceReady", "{shown}");
        assert_eq!(condition["status"], "CONDITION_STATUS_TRUE", "{shown}");
        ssctl.ok(&["tenant", "show", "acme-corp"]).await.prints("acme-corp").prints("active");
        ssctl.ok(&["tenant", "list"]).await.prints("acme-corp").prints("business");
        let listed = ssctl.json(&["tenant", "list", "--filter", "labels.segment = gold"]).await;
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
        let others = ssctl.json(&["tenant", "list", "--filter", "plan = free"]).await;
        assert_eq!(others, json!([]));

        // The namespace on the API server.
        let live = namespaces.get(&namespace).await.unwrap();
        let labels = live.metadata.labels.clone().unwrap();
        for (key, value) in [
            ("app.kubernetes.io/managed-by", "streamspaced"),
            ("control.stream.space/tenant", "acme-corp"),
            ("control.stream.space/plan", "business"),
            ("control.stream.space/region", REGION),
            ("tenant-id", "acme-corp"),
            ("tier", "business"),
            ("region", REGION),
            ("pod-security.kubernetes.io/enforce", "baseline"),
            ("pod-security.kubernetes.io/audit", "restricted"),
            ("pod-security.kubernetes.io/warn", "restricted"),
        ] {
            assert_eq!(labels.get(key).map(String::as_str), Some(value), "{key} in {labels:?}");
        }
        assert!(labels.values().any(|value| *value == uid), "no uid in {labels:?}");
        let annotations = live.metadata.annotations.clone().unwrap();
        assert_eq!(annotations["control.stream.space/billing-account"], "acct-1");
        let managers = live.metadata.managed_fields.clone().unwrap();
        assert!(managers.iter().any(|m| m.manager.as_deref() == Some("streamspaced")));

        let seen =
            watched(&mut watch, |seen| seen["tenant"]["state"] == "TENANT_STATE_ACTIVE").await;
        assert_eq!(seen["tenant"]["uid"], uid.as_str());

        // A change of plan and seats comes to the cluster.
        let set = ["tenant", "set", "acme-corp", "--plan", "enterprise", "--seats", "20", "--wait"];
        let preview = [&set[..7], &["--dry-run"]].concat();
        ssctl.run(&preview).await.exits(3).prints("enterprise");
        assert_eq!(ssctl.json(&["tenant", "show", "acme-corp"]).await["seats"], 10);
        ssctl.ok(&set).await;
        let live = namespaces.get(&namespace).await.unwrap();
        assert_eq!(live.metadata.labels.unwrap()["control.stream.space/plan"], "enterprise");
        assert_eq!(count(&region, "tenant_subscription").await, 2);

        // Its plan keeps it for a year; the trial keeps nothing.
        life::trial_plan(ssctl).await;
        let trial = ["tenant", "set", "acme-corp", "--plan", "trial", "--wait"];
        ssctl.ok(&[&trial[..], &["--accept-overcommit"]].concat()).await;
        let early = ["tenant", "delete", "acme-corp", "--reason", "x", "--confirm", "acme-corp"];
        ssctl.run(&early).await.exits(12).says("archive");
        life::archive(ssctl, "acme-corp").await;

        // The end needs a reason and a confirmation, each told apart.
        let delete = ["tenant", "delete", "acme-corp"];
        let reason = ["--reason", "contract ended"];
        let confirm = ["--confirm", "acme-corp"];
        ssctl.run(&[&delete[..], &confirm].concat()).await.exits(2).says("a reason is needed");
        ssctl.run(&[&delete[..], &reason].concat()).await.exits(2).says("--confirm acme-corp");
        ssctl.run(&[&delete[..], &reason, &["--confirm", "acme"]].concat()).await.exits(2);
        ssctl.run(&[&delete[..], &["--dry-run"]].concat()).await.exits(3).prints("acme-corp");
        assert_eq!(
            ssctl.json(&["tenant", "show", "acme-corp"]).await["state"],
            "TENANT_STATE_ARCHIVED",
            "nothing of these deleted it"
        );
        let all = [&delete[..], &reason, &confirm, &["--wait", "-o", "json"]].concat();
        let operation = ssctl.ok(&all).await.json();
        assert_eq!(operation["done"], true, "{operation}");
        assert_eq!(operation["kind"], "tenant.delete", "{operation}");
        assert!(operation.get("error").is_none_or(Value::is_null), "{operation}");
        assert!(namespaces.get_opt(&namespace).await.unwrap().is_none(), "the namespace is gone");
        ssctl.run(&["tenant", "show", "acme-corp"]).await.exits(6);
        let (state, gone_uid): (String, Uuid) =
            sqlx::query_as("SELECT state, tenant_uid FROM tenants WHERE tenant_id = 'acme-corp'")
                .fetch_one(&region.pool())
                .await
                .unwrap();
        assert_eq!((state.as_str(), gone_uid.to_string()), ("gone", uid.clone()), "a tombstone");
        let seen = watched(&mut watch, |seen| seen["change"] == "deleted").await;
        assert_eq!(seen["tenant"]["uid"], uid.as_str());
        assert_eq!(watch.interrupt().await, 130);

        // The name is free again, for another tenant.
        let again = ssctl.ok(&wait).await.json();
        assert_ne!(again["uid"], uid.as_str());

        // Who did what, with the reason.
        let entries = ssctl.json(&["audit", "list", "--limit", "1000"]).await;
        let deletion = entries.as_array().unwrap().iter().find(|entry| {
            entry["reason"] == "contract ended" && entry["phase"] == "AUDIT_PHASE_INTENT"
        });
        let deletion = deletion.unwrap_or_else(|| panic!("no intent of the deletion: {entries}"));
        assert_eq!(deletion["actor"], "root");
        assert_eq!(deletion["resource"], "tenants/acme-corp");
        let outcome = entries.as_array().unwrap().iter().find(|entry| {
            entry["callId"] == deletion["callId"] && entry["phase"] == "AUDIT_PHASE_OUTCOME"
        });
        assert_eq!(outcome.unwrap()["decision"], "AUDIT_DECISION_SUCCEEDED");
    });
}

#[test]
fn drift_that_somebody_else_makes_is_repaired() {
    story(async {
        let region = Region::start().await;
        create(&region, "drift-inc").await;
        let namespaces = Api::<Namespace>::all(region.break_glass().await);
        let name = region.namespace("drift-inc");
        let pod_security = "pod-security.kubernetes.io/enforce";

        // A label changed by force, one taken away, and one that is nobody's business.
        let theirs = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name, "labels": {
                pod_security: "privileged", "tier": "enterprise", "cost-centre": "42",
            } },
        });
        let somebody = PatchParams::apply("somebody").force();
        namespaces.patch(&name, &somebody, &Patch::Apply(&theirs)).await.unwrap();
        let removed = json!({ "metadata": { "labels": { "tenant-id": null } } });
        let merge = PatchParams { field_manager: Some("kubectl".into()), ..PatchParams::default() };
        namespaces.patch(&name, &merge, &Patch::Merge(&removed)).await.unwrap();

        until("the drift is repaired", async || {
            let live = namespaces.get(&name).await.map_err(|error| error.to_string())?;
            let labels = live.metadata.labels.unwrap_or_default();
            let is = |key: &str, value: &str| labels.get(key).is_some_and(|found| found == value);
            let whole =
                is(pod_security, "baseline") && is("tier", "free") && is("tenant-id", "drift-inc");
            holds(whole, || format!("{labels:?}"))
        })
        .await;
        let labels = namespaces.get(&name).await.unwrap().metadata.labels.unwrap();
        assert_eq!(labels["cost-centre"], "42", "what is not ours stays");

        // And a namespace that is deleted by hand comes back.
        let before = namespaces.get(&name).await.unwrap().metadata.uid;
        namespaces.delete(&name, &kube::api::DeleteParams::default()).await.unwrap();
        until("the namespace is there again", async || {
            let live = namespaces.get_opt(&name).await.map_err(|error| error.to_string())?;
            let uid = live.and_then(|live| live.metadata.uid);
            holds(uid.is_some() && uid != before, || format!("{uid:?}"))
        })
        .await;
    });
}

#[test]
fn a_namespace_of_somebody_else_is_left_alone() {
    story(async {
        let region = Region::start().await;
        let namespaces = region.namespaces().await;
        let name = region.namespace("taken");
        let theirs = Namespace {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some(BTreeMap::from([("owner".into(), "another team".replace(' ', "-"))])),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let before = namespaces.create(&PostParams::default(), &theirs).await.unwrap();

        let create = ["tenant", "create", "taken", "--plan", "free", "--seats", "1"];
        region.admin().ok(&create).await;
        let condition = until("the condition says why", async || {
            let shown = region.admin().json(&["tenant", "show", "taken"]).await;
            let condition = shown["conditions"][0].clone();
            holds(condition["reason"] == "NamespaceExists", || shown.to_string())?;
            Ok::<_, String>(condition)
        })
        .await;
        assert_eq!(condition["status"], "CONDITION_STATUS_FALSE");
        let message = condition["message"].as_str().unwrap();
        assert!(message.contains(&name) && message.contains("does not belong"), "{message}");

        // The wait says it too, and does not end well.
        let wait = [&["tenant", "set", "taken", "--seats", "2", "--wait", "--timeout", "3s"][..]];
        region.admin().run(&wait.concat()).await.exits(9).says("does not belong");

        // Deleting the tenant does not delete what was never its own.
        let delete =
            ["tenant", "delete", "taken", "--reason", "clash", "--confirm", "taken", "--wait"];
        region.admin().ok(&delete).await;
        let after = namespaces.get(&name).await.unwrap();
        assert_eq!(after.metadata.uid, before.metadata.uid);
        assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
    });
}

#[test]
fn a_retry_is_not_a_second_effect_and_a_lost_update_is_refused() {
    story(async {
        let region = Region::start().await;
        let connection = region.admin().connection();
        let mut client = connection.tenants();
        life::trial_plan(region.admin()).await;

        let request = CreateTenantRequest {
            tenant_id: "once-ltd".into(),
            tenant: Some(Tenant { plan: "plans/trial".into(), seats: 3, ..Tenant::default() }),
            request_id: Uuid::new_v4().to_string(),
            ..CreateTenantRequest::default()
        };
        // Four at the same moment, and one after: one effect, one reply.
        let tries = (0..4).map(|_| {
            let (mut client, request) = (connection.tenants(), request.clone());
            async move { client.create_tenant(request).await }
        });
        let replies = futures::future::join_all(tries).await;
        let first = replies[0].as_ref().unwrap().get_ref().clone();
        for reply in &replies {
            assert_eq!(*reply.as_ref().unwrap().get_ref(), first);
        }
        assert_eq!(client.create_tenant(request.clone()).await.unwrap().into_inner(), first);
        assert_eq!(count(&region, "tenants").await, 1);
        assert_eq!(count(&region, "tenant_subscription").await, 1);
        let created: i64 =
            sqlx::query_scalar("SELECT count(*) FROM changes WHERE type = 'created'")
                .fetch_one(&region.pool())
                .await
                .unwrap();
        assert_eq!(created, 1);

        // The same id for something else is a mistake of the client, and is told.
        let other = CreateTenantRequest { tenant_id: "twice-ltd".into(), ..request.clone() };
        let refusal = client.create_tenant(other).await.unwrap_err();
        assert_eq!(refusal.code(), Code::AlreadyExists);
        assert_eq!(rpc::reason(&refusal), "REQUEST_ID_REUSED");
        // And a new id for the same name is a conflict.
        let again = CreateTenantRequest { request_id: Uuid::new_v4().to_string(), ..request };
        let refusal = client.create_tenant(again).await.unwrap_err();
        assert_eq!(rpc::reason(&refusal), "ALREADY_EXISTS");

        // Two read the same tenant; the second to write is refused.
        let read = active(&region, "once-ltd").await;
        let write = |seats: i32, etag: &str| UpdateTenantRequest {
            tenant: Some(Tenant {
                name: "tenants/once-ltd".into(),
                seats,
                etag: etag.to_owned(),
                ..Tenant::default()
            }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["seats".into()] }),
            request_id: Uuid::new_v4().to_string(),
            ..UpdateTenantRequest::default()
        };
        let after = client.update_tenant(write(4, &read.etag)).await.unwrap().into_inner();
        assert_ne!(after.etag, read.etag);
        let refusal = client.update_tenant(write(5, &read.etag)).await.unwrap_err();
        assert_eq!(
            (refusal.code(), rpc::reason(&refusal).as_str()),
            (Code::Aborted, "ETAG_MISMATCH")
        );
        let delete = DeleteTenantRequest {
            name: "tenants/once-ltd".into(),
            etag: read.etag.clone(),
            reason: "stale".into(),
            request_id: Uuid::new_v4().to_string(),
            ..DeleteTenantRequest::default()
        };
        let refusal = client.delete_tenant(delete.clone()).await.unwrap_err();
        assert_eq!(rpc::reason(&refusal), "ETAG_MISMATCH");
        let set = ["tenant", "set", "once-ltd", "--seats", "6", "--if-match", &read.etag];
        region.admin().run(&set).await.exits(7).says("was changed meanwhile");
        assert_eq!(active(&region, "once-ltd").await.seats, 4);

        // A deletion that is repeated gives the same operation.
        life::archive(region.admin(), "once-ltd").await;
        let delete = DeleteTenantRequest { etag: String::new(), ..delete };
        let first = client.delete_tenant(delete.clone()).await.unwrap().into_inner();
        let second = client.delete_tenant(delete).await.unwrap().into_inner();
        assert_eq!(first.name, second.name);
        assert_eq!(count(&region, "operations").await, 1);

        // What is protected is not deleted.
        let create =
            ["tenant", "create", "safe-ltd", "--plan", "free", "--seats", "1", "--protected"];
        region.admin().ok(&create).await;
        let delete =
            ["tenant", "delete", "safe-ltd", "--reason", "by mistake", "--confirm", "safe-ltd"];
        region.admin().run(&delete).await.exits(12).says("protected");
        region.admin().ok(&["tenant", "show", "safe-ltd"]).await;
    });
}

#[test]
fn hostile_input_is_refused_by_the_field_and_changes_nothing() {
    story(async {
        let region = Region::start().await;
        create(&region, "bystander").await;
        let before = picture(&region).await;
        let long = "a".repeat(64 * 1024);
        let most = "a".repeat(41);

        // At the command line: the exit code, and the field or flag in the words.
        let good = ["--plan", "free", "--seats", "1"];
        for (id, field) in [
            ("", "tenant_id"),
            ("ab", "tenant_id"),
            (most.as_str(), "tenant_id"),
            (long.as_str(), "tenant_id"),
            ("Acme", "tenant_id"),
            ("acme corp", "tenant_id"),
            ("acmé-corp", "tenant_id"),
            ("аcme-corp", "tenant_id"),
            ("acme\u{202e}proc", "tenant_id"),
            ("acme\u{1b}[2J", "tenant_id"),
            ("acme\n", "tenant_id"),
            ("../kube-system", "tenant_id"),
            ("acme/../../x", "tenant_id"),
            ("tenants/", "tenant_id"),
            ("acme-", "tenant_id"),
            ("1acme", "tenant_id"),
            ("acme.corp", "tenant_id"),
            ("acme;drop table tenants", "tenant_id"),
            ("acme%2f", "tenant_id"),
        ] {
            let arguments = [&["tenant", "create", id][..], &good].concat();
            let ran = region.admin().run(&arguments).await.exits(2).says(field);
            assert!(
                !ran.stderr.contains('\u{1b}'),
                "a control character is sent: {:?}",
                ran.stderr
            );
            assert!(ran.stderr.len() < 4096, "{} bytes of talk", ran.stderr.len());
        }
        for (flags, word) in [
            (&["--plan", "free", "--seats", "-1"][..], "seats"),
            (&["--plan", "free", "--seats=-1"], "seats"),
            (&["--plan", "free", "--seats", "0"], "seats"),
            (&["--plan", "free", "--seats", "100001"], "seats"),
            (&["--plan", "free", "--seats", "99999999999"], "seats"),
            (&["--plan", "free", "--seats", "ten"], "seats"),
            (&["--plan", "platinum", "--seats", "1"], "plan"),
            (&["--plan", "", "--seats", "1"], "plan"),
            (&["--plan", "../free", "--seats", "1"], "plan"),
            (&["--plan", "free", "--seats", "1", "--admin", "system:masters"], "admin_subjects"),
            (&["--plan", "free", "--seats", "1", "--admin", "a\u{7}b"], "admin_subjects"),
            (&["--plan", "free", "--seats", "1", "--display-name", "a\u{1b}[31m"], "display_name"),
            (&["--plan", "free", "--seats", "1", "--display-name", &long], "display_name"),
            (&["--plan", "free", "--seats", "1", "--billing-account", "a b"], "billing_account"),
            (&["--plan", "free", "--seats", "1", "--label", "kubernetes.io/x=y"], "labels"),
            (&["--plan", "free", "--seats", "1", "--label", "a=../b"], "labels"),
        ] {
            let arguments = [&["tenant", "create", "hostile"][..], flags].concat();
            region.admin().run(&arguments).await.exits(2).says(word);
        }
        for name in ["../x", "no/such", "", "\u{1b}[2J"] {
            let ran = region.admin().run(&["tenant", "show", name]).await.exits(2).says("name");
            assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
        }
        region.admin().run(&["tenant", "show", "no-such"]).await.exits(6);
        region
            .admin()
            .run(&["tenant", "list", "--filter", "plan = "])
            .await
            .exits(2)
            .says("filter");
        region
            .admin()
            .run(&["tenant", "list", "--filter", "secret = 1"])
            .await
            .exits(2)
            .says("secret");

        // On the wire, past all that the command line would not send.
        let mut client = region.admin().connection().tenants();
        let wish = || Tenant { plan: "plans/free".into(), seats: 1, ..Tenant::default() };
        let request = |tenant: Option<Tenant>| CreateTenantRequest {
            tenant_id: "hostile".into(),
            tenant,
            ..CreateTenantRequest::default()
        };
        let labels = (0..65).map(|n| (format!("k{n}"), String::new())).collect();
        for (request, field) in [
            (request(None), "tenant"),
            (request(Some(Tenant { plan: "free".into(), ..wish() })), "tenant.plan"),
            (request(Some(Tenant { plan: String::new(), ..wish() })), "tenant.plan"),
            (request(Some(Tenant { seats: i32::MIN, ..wish() })), "tenant.seats"),
            (request(Some(Tenant { labels, ..wish() })), "tenant.labels"),
            (
                request(Some(Tenant { home_region: "regions/elsewhere".into(), ..wish() })),
                "tenant.home_region",
            ),
            (
                CreateTenantRequest { request_id: "not a uuid".into(), ..request(Some(wish())) },
                "request_id",
            ),
        ] {
            let refusal = client.create_tenant(request).await.unwrap_err();
            assert_eq!(refusal.code(), Code::InvalidArgument, "{field}: {refusal:?}");
            let fields = rpc::fields(&refusal);
            assert!(fields.iter().any(|found| found == field), "{field} is not among {fields:?}");
        }
        for isolation in [2, 3, 99] {
            let refusal = client.create_tenant(request(Some(Tenant { isolation, ..wish() }))).await;
            let code = refusal.unwrap_err().code();
            assert!(
                matches!(code, Code::FailedPrecondition | Code::InvalidArgument),
                "{isolation}: {code}"
            );
        }
        // Larger than any request of ours may be.
        let huge = Tenant { display_name: "x".repeat(8 << 20), ..wish() };
        let refusal = client.create_tenant(request(Some(huge))).await.unwrap_err();
        assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal:?}");
        assert_eq!(rpc::reason(&refusal), "REQUEST_TOO_LARGE", "{refusal:?}");
        let mask = UpdateTenantRequest {
            tenant: Some(Tenant { name: "tenants/bystander".into(), ..wish() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["state".into(), "uid".into()] }),
            ..UpdateTenantRequest::default()
        };
        let refusal = client.update_tenant(mask).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal:?}");
        let get = GetTenantRequest { name: "plans/free".into() };
        assert_eq!(client.get_tenant(get).await.unwrap_err().code(), Code::InvalidArgument);

        assert_eq!(picture(&region).await, before, "something changed");
    });
}

/// All that a refused request could have changed.
async fn picture(region: &Region) -> (Vec<i64>, Vec<String>, Value) {
    let mut counts = Vec::new();
    for table in ["tenants", "tenant_subscription", "operations", "changes", "requests"] {
        counts.push(count(region, table).await);
    }
    let all = region.namespaces().await.list(&kube::api::ListParams::default()).await.unwrap();
    let ours = all.into_iter().filter_map(|namespace| namespace.metadata.name);
    let ours = ours.filter(|name| name.starts_with(region.prefix())).collect();
    (counts, ours, region.admin().json(&["tenant", "list"]).await)
}

async fn count(region: &Region, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&region.pool()).await.unwrap()
}

async fn create(region: &Region, id: &str) {
    let create = ["tenant", "create", id, "--plan", "free", "--seats", "1", "--wait"];
    region.admin().ok(&create).await;
}

/// The tenant, once it is active.
async fn active(region: &Region, id: &str) -> Tenant {
    let mut client = region.admin().connection().tenants();
    let name = format!("tenants/{id}");
    until("the tenant is active", async || {
        let tenant = client.get_tenant(GetTenantRequest { name: name.clone() }).await;
        let tenant = tenant.map_err(|status| status.to_string())?.into_inner();
        let whole = tenant.state() == TenantState::Active
            && tenant.observed_generation == tenant.generation;
        holds(whole, || format!("{tenant:?}"))?;
        Ok::<_, String>(tenant)
    })
    .await
}

/// Reads a watch until it shows what is wanted.
async fn watched(
    watch: &mut streamspace_tests::ssctl::Following,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    loop {
        let seen: Value = serde_json::from_str(&watch.line().await).unwrap();
        if wanted(&seen) {
            return seen;
        }
    }
}
