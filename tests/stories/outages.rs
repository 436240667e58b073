//! What the daemon stands on goes away and comes back; and its own orderly end.

use std::time::{Duration, Instant};

use serde_json::Value;
use streamspace_proto::v1::{DeleteTenantRequest, ListTenantsRequest};
use streamspace_tests::{
    database::Server,
    http, life,
    region::{Region, own_cluster, shared_cluster},
    rpc,
    runtime::story,
    wait::{holds, until},
};
use tonic::Code;

#[test]
fn while_postgresql_is_away_the_daemon_says_so_and_changes_nothing() {
    story(async {
        let (server, cluster) = tokio::join!(Server::start(), shared_cluster());
        let region = Region::on(server, cluster).await;
        let ssctl = region.admin();
        ssctl.ok(&["tenant", "create", "before", "--plan", "free", "--seats", "1", "--wait"]).await;
        let namespaces = region.namespaces().await;
        let namespace = namespaces.get(&region.namespace("before")).await.unwrap();
        let process = region.process_id().await;
        let mut watch = ssctl.start(&["tenant", "watch", "-o", "json"]);
        watch.line_with(|line| line.contains("tenants/before")).await;
        assert_eq!(readiness(&region).await.0, 200);
        assert!(metrics(&region).await.contains(r#"component_up{component="database"} 1"#));

        region.server().kill().await;
        let database = component(&region, "database", "HEALTH_UNAVAILABLE").await;
        assert!(!database["message"].as_str().unwrap().is_empty(), "{database}");
        let shown = ssctl.ok(&["region", "show"]).await;
        shown.prints("database: unavailable").prints("unavailable");
        // The cluster is well, and so it says.
        component(&region, "cluster", "HEALTH_OK").await;
        let (code, body) = readiness(&region).await;
        assert_eq!(code, 503, "{body}");
        assert!(body.contains("database Unavailable"), "{body}");
        assert_eq!(http::get(region.http(), "/livez").await.unwrap().0, 200);
        assert!(metrics(&region).await.contains(r#"component_up{component="database"} 0"#));

        let create = ["tenant", "create", "meanwhile", "--plan", "free", "--seats", "1"];
        ssctl.run(&create).await.exits(8).says("ssctl region show");
        let mut client = ssctl.connection().tenants();
        let delete = DeleteTenantRequest {
            name: "tenants/before".into(),
            reason: "try".into(),
            ..DeleteTenantRequest::default()
        };
        let refusal = client.delete_tenant(delete).await.unwrap_err();
        assert_eq!(refusal.code(), Code::Unavailable);
        assert_eq!(rpc::reason(&refusal), "AUDIT_UNAVAILABLE", "{refusal:?}");
        assert!(refusal.message().contains("nothing is changed"), "{}", refusal.message());
        let refusal = client.list_tenants(ListTenantsRequest::default()).await.unwrap_err();
        assert_eq!(rpc::reason(&refusal), "DATABASE_UNAVAILABLE", "{refusal:?}");
        // Nobody leads without the database, so nobody writes to the cluster.
        component(&region, "leader", "HEALTH_UNAVAILABLE").await;
        assert_eq!(region.process_id().await, process);

        region.server().start_again().await;
        region.is_well().await;
        assert_eq!(region.process_id().await, process, "the same process");
        assert_eq!(ssctl.json(&["region", "show"]).await["health"], "HEALTH_OK");
        let list = ssctl.json(&["tenant", "list"]).await;
        let names: Vec<_> = list.as_array().unwrap().iter().map(|t| t["name"].clone()).collect();
        assert_eq!(names, ["tenants/before"], "nothing was changed");
        let after = namespaces.get(&region.namespace("before")).await.unwrap();
        assert_eq!(after.metadata.resource_version, namespace.metadata.resource_version);
        // What was refused works now, and the watch that was open all the time sees it.
        ssctl.ok(&[&create[..], &["--wait"]].concat()).await;
        watch.line_with(|line| line.contains("tenants/meanwhile")).await;
        assert_eq!(watch.interrupt().await, 130);
    });
}

#[test]
fn a_daemon_that_starts_before_its_database_waits_for_it() {
    story(async {
        let (server, cluster) = tokio::join!(Server::start(), shared_cluster());
        let region = Region::on(server, cluster).await;
        assert!(region.stop().await.success());
        region.server().kill().await;
        region.launch().await;
        component(&region, "database", "HEALTH_UNAVAILABLE").await;
        assert_eq!(readiness(&region).await.0, 503);
        region.server().start_again().await;
        region.is_well().await;
        let create = ["tenant", "create", "patient", "--plan", "free", "--seats", "1", "--wait"];
        region.admin().ok(&create).await;
    });
}

#[test]
fn while_the_api_server_is_away_wishes_are_kept_and_come_true_afterwards() {
    story(async {
        let (server, cluster) = tokio::join!(Server::shared(), own_cluster());
        if !cluster.is_ours() {
            // Somebody else's cluster is not ours to stop.
            return;
        }
        let region = Region::on(server, cluster).await;
        let ssctl = region.admin();
        life::trial_plan(ssctl).await;
        for id in ["before", "leaving"] {
            ssctl.ok(&["tenant", "create", id, "--plan", "trial", "--seats", "1", "--wait"]).await;
        }
        life::archive(ssctl, "leaving").await;
        let process = region.process_id().await;

        region.cluster().stop_apiserver().await.unwrap();
        let cluster = component(&region, "cluster", "HEALTH_UNAVAILABLE").await;
        assert!(!cluster["message"].as_str().unwrap().is_empty(), "{cluster}");
        ssctl.ok(&["region", "show"]).await.prints("cluster: unavailable");
        component(&region, "database", "HEALTH_OK").await;
        // Reads and wishes do not need the cluster, so the replica is ready.
        let (code, body) = readiness(&region).await;
        assert_eq!(code, 200, "{body}");
        assert!(body.contains("cluster Unavailable"), "{body}");

        let create = ["tenant", "create", "meanwhile", "--plan", "free", "--seats", "1"];
        ssctl.ok(&create).await;
        let delete = ["tenant", "delete", "leaving", "--reason", "end", "--confirm", "leaving"];
        ssctl.ok(&delete).await;
        let wait = ["tenant", "set", "before", "--plan", "free", "--wait", "--timeout", "3s"];
        ssctl.run(&wait).await.exits(9).says("tenants/before");
        let state = |id: &'static str| async move {
            ssctl.json(&["tenant", "show", id]).await["state"].clone()
        };
        assert_eq!(state("meanwhile").await, "TENANT_STATE_PROVISIONING");
        assert_eq!(state("leaving").await, "TENANT_STATE_PURGING");
        assert_eq!(state("before").await, "TENANT_STATE_ACTIVE");
        let operations = ssctl.json(&["operation", "list"]).await;
        assert_ne!(operations[0]["done"], true, "{operations}");
        assert_eq!(region.process_id().await, process);

        region.cluster().start_apiserver().await.unwrap();
        region.is_well().await;
        until("the wishes come true", async || {
            let list = ssctl.json(&["tenant", "list"]).await;
            let states: Vec<_> = list
                .as_array()
                .unwrap()
                .iter()
                .map(|t| (t["name"].clone(), t["state"].clone()))
                .collect();
            let active = Value::from("TENANT_STATE_ACTIVE");
            let wanted = [
                ("tenants/before".into(), active.clone()),
                ("tenants/meanwhile".into(), active.clone()),
            ];
            holds(states == wanted, || list.to_string())
        })
        .await;
        assert_eq!(region.process_id().await, process, "the same process");
        let namespaces = region.namespaces().await;
        assert!(namespaces.get_opt(&region.namespace("meanwhile")).await.unwrap().is_some());
        assert!(namespaces.get_opt(&region.namespace("leaving")).await.unwrap().is_none());
        let operations = ssctl.json(&["operation", "list"]).await;
        assert_eq!(operations[0]["done"], true, "{operations}");
    });
}

#[test]
fn sigterm_stops_in_order_while_a_watch_is_open() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let mut watch = ssctl.start(&["tenant", "watch", "-o", "json"]);
        ssctl.ok(&["tenant", "create", "first", "--plan", "free", "--seats", "1", "--wait"]).await;
        watch.line_with(|line| line.contains("tenants/first")).await;

        let begin = Instant::now();
        let status = region.stop().await;
        assert_eq!(status.code(), Some(0), "{status}");
        // Well below the time after which a supervisor kills.
        assert!(begin.elapsed() < Duration::from_secs(10), "it took {:?}", begin.elapsed());
        let log = region.log();
        assert!(log.trim_end().lines().last().unwrap().contains("stopped"), "the log's end");
        // It gave back what it held: nobody has to wait for its end.
        let (replicas, lease_is_over): (i64, bool) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM replicas), (SELECT lease_until <= now() FROM leader)",
        )
        .fetch_one(&region.pool())
        .await
        .unwrap();
        assert_eq!((replicas, lease_is_over), (0, true));
        // The server notices the end of a session in its own time.
        until("no session stays", async || {
            let sessions: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name LIKE 'streamspaced%'",
            )
            .fetch_one(&region.pool())
            .await
            .unwrap();
            holds(sessions == 0, || format!("{sessions} do"))
        })
        .await;

        // The watch goes on with the next process.
        region.launch().await;
        region.is_well().await;
        ssctl.ok(&["tenant", "create", "second", "--plan", "free", "--seats", "1", "--wait"]).await;
        watch.line_with(|line| line.contains("tenants/second")).await;
        assert_eq!(watch.interrupt().await, 130);
    });
}

#[test]
fn metrics_and_probes_are_as_documented() {
    story(async {
        let region = Region::start().await;
        region.admin().ok(&["tenant", "list"]).await;
        region.admin().run(&["tenant", "show", "nobody"]).await.exits(6);
        assert_eq!(http::get(region.http(), "/livez").await.unwrap(), (200, "ok\n".into()));
        let (code, body) = readiness(&region).await;
        assert_eq!(code, 200);
        for part in ["database", "cluster", "leader", "change-log", "audit-log", "sessions"] {
            assert!(body.contains(&format!("{part} Ok: ")), "{part} in {body}");
        }
        assert_eq!(http::get(region.http(), "/elsewhere").await.unwrap().0, 404);

        let text = metrics(&region).await;
        for line in [
            r#"streamspace_rpc_calls_total{method="streamspace.admin.v1.TenantService/ListTenants",code="0"} 1"#,
            r#"streamspace_rpc_calls_total{method="streamspace.admin.v1.TenantService/GetTenant",code="5"} 1"#,
            r#"streamspace_rpc_seconds_count{method="streamspace.admin.v1.TenantService/GetTenant"} 1"#,
            r#"streamspace_component_up{component="database"} 1"#,
            r#"streamspace_component_up{component="cluster"} 1"#,
            "streamspace_leads 1",
            "streamspace_leader_term 1",
            "streamspace_change_revision 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
        }
    });
}

/// The part of the region, once `ssctl region show` tells that it is so.
async fn component(region: &Region, name: &str, health: &str) -> Value {
    until(&format!("{name} is {health}"), async || {
        let shown = region.admin().json(&["region", "show"]).await;
        let parts = shown["components"].as_array().cloned().unwrap_or_default();
        let part = parts.iter().find(|part| part["name"] == name && part["health"] == health);
        part.cloned().ok_or_else(|| shown.to_string())
    })
    .await
}

async fn readiness(region: &Region) -> (u16, String) {
    http::get(region.http(), "/readyz").await.unwrap()
}

async fn metrics(region: &Region) -> String {
    let (code, text) = http::get(region.http(), "/metrics").await.unwrap();
    assert_eq!(code, 200, "{text}");
    text
}
