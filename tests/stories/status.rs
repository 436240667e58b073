//! How the regions are, on one screen and in an exit code.

use std::fs;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ObjectMeta, PostParams};
use serde_json::Value;
use streamspace_tests::{
    region::{REGION, Region},
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, until},
};

/// What needs a person, as kinds and names.
fn needs(status: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let needs = status["needs"].as_array().cloned().unwrap_or_default();
    needs.iter().map(|it| (text(&it["kind"]), text(&it["name"]))).collect()
}

async fn status(ssctl: &Ssctl, code: i32) -> Value {
    ssctl.run(&["status", "-o", "json"]).await.exits(code).json()
}

/// One more context, of a region that is not there.
fn with_a_dead_region(ssctl: &Ssctl) {
    let path = ssctl.environment().contexts_file();
    let mut table: toml::Table = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let contexts = table["contexts"].as_table_mut().unwrap();
    let mut dead = contexts[REGION].clone();
    dead["endpoint"] = "127.0.0.1:1".into();
    contexts.insert("gone".into(), dead);
    fs::write(path, table.to_string()).unwrap();
}

#[test]
fn a_region_that_is_well_is_one_line_and_what_needs_a_person_is_told() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let create = |id| ["tenant", "create", id, "--plan", "business", "--seats", "1"];
        ssctl.ok(&[&create("acme")[..], &["--protected", "--wait"]].concat()).await;
        until("all is well", async || {
            let run = ssctl.run(&["status"]).await;
            holds(run.code == 0 && run.stdout.contains("all well"), || run.stdout.clone())
        })
        .await;
        let well = status(ssctl, 0).await;
        assert_eq!(well["well"], true);
        assert_eq!((&well["role"], &well["operator"]), (&"admin".into(), &"root".into()));
        assert_eq!(well["tenants"]["active"], 1);

        // A quota for a time is worth knowing, and needs nobody.
        ssctl.ok(&["quota", "set", "acme", "cpu=+40", "--for", "1h", "--reason", "a fair"]).await;
        ssctl.ok(&["status"]).await.prints("cpu is 140 until ");

        // A request that waits for a second person.
        let suspend = ["tenant", "suspend", "acme", "--reason", "unpaid", "--confirm", "acme"];
        ssctl.run(&suspend).await.exits(13);
        let waiting = status(ssctl, 11).await;
        assert_eq!(needs(&waiting), [("approval".into(), "tenants/acme".into())]);
        let run = ssctl.run(&["status"]).await.exits(11);
        run.prints("your request waits")
            .prints("ssctl approval show")
            .says("1 thing needs a person");

        // A namespace that is somebody else's, so that a tenant fails.
        let taken = Namespace {
            metadata: ObjectMeta { name: Some(region.namespace("taken")), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        region.namespaces().await.create(&PostParams::default(), &taken).await.unwrap();
        ssctl.ok(&create("taken")).await;
        let failing = ("tenant".to_owned(), "tenants/taken".to_owned());
        until("the failing tenant is told", async || {
            let run = ssctl.run(&["status", "-o", "json"]).await;
            let found = needs(&run.json());
            holds(run.code == 11 && found.contains(&failing), || format!("{found:?}"))
        })
        .await;

        // A login that ends soon.
        let kim = region.person("kim", "operator").await;
        sqlx::query(
            "UPDATE certificates SET expire_time = now() + interval '3 days' \
             WHERE operator = 'kim' AND kind = 'device'",
        )
        .execute(&region.pool())
        .await
        .unwrap();
        let found = needs(&status(ssctl, 11).await);
        assert!(found.iter().any(|(kind, _)| kind == "certificate"), "{found:?}");

        // What is not for a role is no error.
        let seen = status(&kim, 11).await;
        let hidden = seen["notForTheRole"].as_array().unwrap();
        assert!(hidden.contains(&"locks".into()), "{seen}");
        assert!(needs(&seen).contains(&failing), "{seen}");
        kim.run(&["status"]).await.exits(11).prints("not for operator");

        // Rows for a spreadsheet.
        let rows = ssctl.run(&["status", "-o", "csv"]).await.exits(11);
        assert!(rows.stdout.starts_with("KIND,NAME,NEEDS A PERSON,"), "{}", rows.stdout);
    });
}

#[test]
fn a_dead_region_is_told_and_holds_up_nobody() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        with_a_dead_region(ssctl);
        let all = ["status", "--all-contexts"];
        let run = ssctl.run(&all).await.exits(10);
        run.prints("gone").prints("all well").says("gone");
        let read = ssctl.run(&[&all[..], &["-o", "json"]].concat()).await.exits(10).json();
        assert_eq!(read["unread"][0]["context"], "gone");
        assert_eq!(read["items"][0]["context"], REGION);
        assert_eq!(read["items"][0]["well"], true);

        // What is known to be wrong counts more than what is not known.
        let create = ["tenant", "create", "acme", "--plan", "free", "--seats", "1", "--protected"];
        ssctl.ok(&[&create[..], &["--wait"]].concat()).await;
        let suspend = ["tenant", "suspend", "acme", "--reason", "unpaid", "--confirm", "acme"];
        ssctl.run(&suspend).await.exits(13);
        ssctl.run(&all).await.exits(11).prints("gone").prints("your request waits");

        ssctl.run(&["status", "--context", "gone"]).await.exits(8);
    });
}
