//! One change of many tenants: it goes on without the client and across the death of the
//! daemon, each tenant is changed once, and what was stopped goes on when it is resumed.

use std::time::Duration;

use serde_json::Value;
use sqlx::{Postgres, Transaction};
use streamspace_proto::v1;
use streamspace_tests::{
    region::Region,
    replica::{Replica, leader},
    rpc,
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, within},
};

const TENANTS: i32 = 500;
/// Work on so many tenants, on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(2);

/// A region with many tenants, whose daemon leaves the cluster alone: what is told here is
/// told of the database.
async fn with_many() -> Region {
    let region = Region::start().await;
    let reason = "the cluster is not what this is about";
    region.admin().ok(&["region", "pause", "--for", "2h", "--reason", reason]).await;
    sqlx::query(
        "INSERT INTO tenants (tenant_uid, tenant_id, namespace, display_name, plan_id,
             plan_version, seats, home_region, allowed_regions, billing_account,
             admin_subjects, labels, protected, state)
         SELECT gen_random_uuid(), id, $2 || id, id, 'free', 1, 1, $3, '{}', '', '[]', '{}',
                false, 'active'
         FROM (SELECT 'many-' || lpad(number::text, 4, '0') AS id
               FROM generate_series(1, $1) AS number) AS ids",
    )
    .bind(TENANTS)
    .bind(region.prefix())
    .bind(streamspace_tests::region::REGION)
    .execute(&region.pool())
    .await
    .unwrap();
    region
}

/// Holds one tenant's row, so that the work comes so far and no further for as long as it
/// waits for a lock, which is ten seconds.
async fn barrier(region: &Region, tenant: &str) -> Transaction<'static, Postgres> {
    let mut held = region.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM tenants WHERE tenant_id = $1 FOR NO KEY UPDATE")
        .bind(tenant)
        .execute(&mut *held)
        .await
        .unwrap();
    held
}

/// Waits until so many items are changed; returns the operation.
async fn until_changed(person: &Ssctl, at_least: i64) -> v1::Operation {
    let connection = person.connection();
    within(PATIENCE, "the operation is halfway", async || {
        let request = v1::ListOperationsRequest::default();
        let reply = connection.operations().list_operations(request).await;
        let operations = reply.map_err(|status| status.to_string())?.into_inner().operations;
        let newest = operations.into_iter().next().ok_or("there is no operation yet")?;
        let changed = newest.counts.as_ref().map_or(0, |counts| counts.changed);
        holds(changed >= at_least && !newest.done, || format!("{newest:?}"))?;
        Ok::<_, String>(newest)
    })
    .await
}

async fn until_done(person: &Ssctl, name: &str) -> Value {
    within(PATIENCE, "the operation ends", async || {
        let shown = person.run(&["operation", "show", name, "-o", "json"]).await;
        holds(shown.code == 0, || shown.stderr.clone())?;
        let operation = shown.json();
        holds(operation["done"] == true, || operation.to_string())?;
        Ok::<_, String>(operation)
    })
    .await
}

/// A number of the operation's counts.
fn count(operation: &Value, state: &str) -> i64 {
    match &operation["counts"][state] {
        Value::String(text) => text.parse().unwrap(),
        number => number.as_i64().unwrap_or(0),
    }
}

async fn number(region: &Region, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&region.pool()).await.unwrap()
}

async fn sql(region: &Region, sql: &'static str) {
    sqlx::query(sql).execute(&region.pool()).await.unwrap();
}

#[test]
fn the_client_and_the_daemon_are_killed_in_the_middle_and_each_tenant_is_changed_once() {
    story(async {
        let region = with_many().await;
        sql(&region, "UPDATE tenants SET protected = true WHERE tenant_id = 'many-0003'").await;
        sql(&region, "UPDATE tenants SET state = 'archived' WHERE tenant_id = 'many-0300'").await;
        sql(
            &region,
            "UPDATE tenants SET state = 'suspended', resume_state = 'active'
             WHERE tenant_id = 'many-0400'",
        )
        .await;
        let second = Replica::of(&region, "second").await;
        let person = region.admin().at(second.grpc());
        let (first, _) = leader(&person).await;
        assert_ne!(first, second.name(), "the first one leads");

        // What would be.
        let select = ["--filter", "name = \"tenants/many-*\"", "--reason", "leak in the gateway"];
        let suspend = |more: &[&'static str]| {
            let mut line = vec!["tenant", "suspend"];
            line.extend(select);
            line.extend(more);
            line
        };
        let rehearsed = person.run(&suspend(&["--dry-run", "-o", "json"])).await.exits(3);
        assert_eq!(rehearsed.json().as_array().unwrap().len(), 500);
        person.run(&suspend(&["--dry-run"])).await.exits(3).prints("500 tenants with 500 seats");
        person.run(&suspend(&["--confirm", "499"])).await.exits(2).says("this is 500");
        assert_eq!(person.json(&["operation", "list"]).await, Value::Array(vec![]));

        // The client is killed in the middle.
        let held = barrier(&region, "many-0200").await;
        let client = person.start(&suspend(&["--confirm", "500", "--wait"]));
        let operation = until_changed(&person, 150).await;
        assert!(operation.counts.unwrap().changed < 210, "{operation:?}");
        drop(client);
        let shown = person.json(&["operation", "show", &operation.name]).await;
        assert_ne!(shown["done"], true, "{shown}");
        assert_eq!(shown["reason"], "leak in the gateway");

        // Then the daemon that is at it.
        region.kill().await;
        held.rollback().await.unwrap();
        let ended = until_done(&person, &operation.name).await;
        assert_eq!(ended["kind"], "tenant.suspend", "{ended}");
        let counts = ["total", "changed", "unchanged", "failed", "pending", "cancelled"];
        let counts = counts.map(|state| count(&ended, state));
        assert_eq!(counts, [500, 497, 1, 2, 0, 0], "{ended}");

        // It is listed, and each result is there.
        let listed = person.json(&["operation", "list", "--filter", "done = true"]).await;
        assert_eq!(listed[0]["name"], operation.name);
        let items = person.json(&["operation", "items", &operation.name]).await;
        let items = items.as_array().unwrap();
        assert_eq!(items.len(), 500);
        let of = |tenant: &str| {
            let name = format!("tenants/{tenant}");
            items.iter().find(|item| item["target"] == name).unwrap().clone()
        };
        assert_eq!(of("many-0001")["state"], "OPERATION_ITEM_STATE_CHANGED");
        assert_eq!(of("many-0400")["state"], "OPERATION_ITEM_STATE_UNCHANGED");
        assert_eq!(of("many-0003")["error"]["reason"], "APPROVAL_REQUIRED");
        assert_eq!(of("many-0300")["error"]["reason"], "TENANT_STATE");
        let failed =
            person.ok(&["operation", "items", &operation.name, "--filter", "state = failed"]).await;
        failed.prints("by itself").prints("tenants/many-0300");
        person
            .run(&["operation", "wait", &operation.name])
            .await
            .exits(14)
            .says("tenants/many-0003: a second person must agree")
            .says("498 done, 2 not");

        // Nothing double, nothing lost: one change a tenant, and one outcome in the log.
        let once = "SELECT count(*) FROM (SELECT FROM changes WHERE actor = 'root'
                    AND name LIKE 'tenants/many-%' GROUP BY name HAVING count(*) = 1) AS one";
        assert_eq!(number(&region, once).await, 497);
        let all =
            "SELECT count(*) FROM changes WHERE actor = 'root' AND name LIKE 'tenants/many-%'";
        assert_eq!(number(&region, all).await, 497);
        let suspended = "SELECT count(*) FROM tenants WHERE state = 'suspended'";
        assert_eq!(number(&region, suspended).await, 498);
        assert_eq!(number(&region, "SELECT count(*) FROM approvals").await, 0);
        within(PATIENCE, "each item has its end in the audit log", async || {
            let ends = "SELECT count(*) FROM audit_entries WHERE phase = 'outcome'
                        AND method LIKE '%SuspendTenant' AND decision IN ('succeeded', 'failed')";
            let ends = number(&region, ends).await;
            holds(ends == 500, || format!("{ends} have one"))
        })
        .await;
    });
}

#[test]
fn an_operation_that_is_cancelled_halfway_stops_cleanly_and_is_resumed() {
    story(async {
        let region = with_many().await;
        let admin = region.admin();
        let held = barrier(&region, "many-0250").await;
        let change = ["tenant", "set", "--all", "--label", "wave=two", "--remove-label", "none"];
        let mut line = change.to_vec();
        line.extend(["--reason", "a new wave", "--yes", "-o", "name"]);
        let begun = admin.ok(&line).await.says("it touches 500 tenants with 500 seats");
        let name = begun.stdout.trim().to_owned();
        until_changed(admin, 240).await;

        admin.run(&["operation", "resume", &name]).await.exits(12).says("under way");
        admin.run(&["operation", "cancel", &name, "--dry-run"]).await.exits(3);
        admin
            .ok(&["operation", "cancel", &name, "--reason", "wrong wave"])
            .await
            .says("is stopping");
        // Once more is the same.
        admin.ok(&["operation", "cancel", &name]).await;
        held.rollback().await.unwrap();
        let ended = until_done(admin, &name).await;
        assert_eq!(ended["cancelled"], true);
        let (changed, left) = (count(&ended, "changed"), count(&ended, "cancelled"));
        assert!((240..260).contains(&changed), "{ended}");
        assert_eq!(changed + left, 500, "{ended}");
        let labelled = "SELECT count(*) FROM tenants WHERE labels->>'wave' = 'two'";
        assert_eq!(number(&region, labelled).await, changed, "the others are untouched");
        admin.run(&["operation", "wait", &name]).await.exits(14).says(&format!("{left} not"));
        admin.ok(&["operation", "list"]).await.prints("cancelled");

        // Whoever only reads neither begins nor resumes one.
        let vera = region.person("vera", "viewer").await;
        vera.run(&line).await.exits(5).says("this needs role operator");
        vera.run(&["operation", "resume", &name]).await.exits(5).says("this needs role operator");
        vera.ok(&["operation", "items", &name, "--limit", "3"]).await;
        // Nor does somebody of a role that may begin some, but not this one.
        let olga = region.person("olga", "operator").await;
        let archive = ["tenant", "archive", "--all", "--reason", "end", "--confirm", "500"];
        olga.run(&archive).await.exits(5).says("this needs role admin");

        let resumed = olga.ok(&["operation", "resume", &name, "--wait", "-o", "json"]).await.json();
        assert_eq!(count(&resumed, "changed"), 500, "{resumed}");
        assert_eq!(resumed["actor"], "olga");
        assert_eq!(number(&region, labelled).await, 500);
        let twice = "SELECT count(*) FROM (SELECT FROM changes WHERE name LIKE 'tenants/many-%'
                     AND actor IN ('root', 'olga') GROUP BY name HAVING count(*) > 1) AS twice";
        assert_eq!(number(&region, twice).await, 0);
        admin.run(&["operation", "cancel", &name]).await.exits(12).says("nothing to cancel");
    });
}

#[test]
fn a_request_is_made_once_and_a_selection_that_makes_no_sense_changes_nothing() {
    story(async {
        let region = with_many().await;
        let admin = region.admin();
        let connection = admin.connection();
        let request = v1::ChangeTenantsRequest {
            names: vec!["tenants/many-0001".into(), "tenants/many-0002".into()],
            change: Some(v1::change_tenants_request::Change::Cordon(
                v1::CordonTenantRequest::default(),
            )),
            request_id: "8d7c8c0e-5d3f-4a9a-8f0b-6f6f0e1c2d3b".into(),
            reason: "retry".into(),
            ..Default::default()
        };
        let mut names = Vec::new();
        for _ in 0..3 {
            let reply = connection.bulk().change_tenants(request.clone()).await.unwrap();
            names.push(reply.into_inner().operation.unwrap().name);
        }
        names.dedup();
        assert_eq!(names.len(), 1, "{names:?}");
        until_done(admin, &names[0]).await;
        let other = v1::ChangeTenantsRequest { reason: "another".into(), ..request.clone() };
        let refused = connection.bulk().change_tenants(other).await.unwrap_err();
        assert_eq!(rpc::reason(&refused), "REQUEST_ID_REUSED");

        // Hostile and empty selections.
        let deep = format!("{}name = \"x\"{}", "(".repeat(200), ")".repeat(200));
        let long = format!("name = \"{}\"", "x".repeat(5000));
        for filter in [
            "'; DROP TABLE tenants; --",
            "name = \"tenants/many-*\" OR",
            "nmae = \"x\"",
            "labels.\u{1b}[2J = 1",
            deep.as_str(),
            long.as_str(),
            "name = \"tenants/nobody-*\"",
        ] {
            let line = ["tenant", "cordon", "--filter", filter, "--reason", "x", "--yes"];
            let ran = admin.run(&line).await.exits(2);
            assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
        }
        // An empty variable of a script is not everybody.
        admin.run(&["tenant", "cordon", "--filter", "", "--reason", "x", "--yes"]).await.exits(2);
        admin
            .run(&["tenant", "cordon", "--all", "--reason", "x"])
            .await
            .exits(2)
            .says("--confirm 500");
        admin
            .run(&["tenant", "cordon", "many-0001", "many-x", "--reason", "x", "--yes"])
            .await
            .exits(6);
        admin.run(&["tenant", "cordon", "many-0001", "--all", "--reason", "x"]).await.exits(2);
        let cordoned = "SELECT count(*) FROM tenants WHERE state = 'cordoned'";
        assert_eq!(number(&region, cordoned).await, 2);
        // All of one kind refused has the code of that refusal.
        let restore = ["tenant", "restore", "many-0001", "many-0002", "--reason", "x", "--yes"];
        let mut line = restore.to_vec();
        line.push("--wait");
        admin.run(&line).await.exits(12).says("tenants/many-0001: ");
        // And a quota of several, by their label.
        sql(
            &region,
            "UPDATE tenants SET labels = '{\"tier\": \"gold\"}'
                      WHERE tenant_id IN ('many-0005', 'many-0006')",
        )
        .await;
        admin
            .ok(&[
                "quota",
                "set",
                "-l",
                "tier=gold",
                "pods=+5",
                "--for",
                "1h",
                "--reason",
                "x",
                "--confirm",
                "2",
                "--wait",
            ])
            .await;
        assert_eq!(number(&region, "SELECT count(*) FROM quota_overrides").await, 2);

        // Ctrl-C leaves the work to the daemon.
        let held = barrier(&region, "many-0100").await;
        let following = admin.start(&[
            "tenant",
            "set",
            "--all",
            "--label",
            "after=interrupt",
            "--reason",
            "x",
            "--yes",
            "--wait",
        ]);
        let operation = until_changed(admin, 50).await;
        assert_eq!(following.interrupt().await, 130);
        held.rollback().await.unwrap();
        let ended = until_done(admin, &operation.name).await;
        assert_eq!(count(&ended, "changed"), 500, "{ended}");

        // Who is locked does nothing more through an operation either.
        let olga = region.person("olga", "operator").await;
        let held = barrier(&region, "many-0100").await;
        olga.ok(&["tenant", "set", "--all", "--label", "by=olga", "--reason", "x", "--yes"]).await;
        let operation = until_changed(admin, 50).await;
        admin
            .ok(&["operator", "lock", "olga", "--reason", "left the company", "--confirm", "olga"])
            .await;
        held.rollback().await.unwrap();
        let ended = until_done(admin, &operation.name).await;
        assert_eq!(ended["error"]["reason"], "REQUESTER_BARRED", "{ended}");
        assert!(count(&ended, "cancelled") > 300, "{ended}");
        admin.run(&["operation", "wait", &operation.name]).await.exits(5).says("olga was locked");
    });
}
