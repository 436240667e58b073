//! This version and the one before, one minor number apart: on one schema, and as client and
//! daemon of each other.

use std::collections::BTreeSet;

use serde_json::Value;
use streamspace_tests::{
    daemon::Version,
    database::Server,
    region::{Region, shared_cluster},
    replica::{Replica, leader},
    runtime::story,
    ssctl::{Following, Ssctl},
    wait::{holds, until},
};

const NEWER: &str = "the schema is of a newer version, which this one lives with";

async fn create(person: &Ssctl, id: &str) {
    person.ok(&["tenant", "create", id, "--plan", "free", "--seats", "1", "--wait"]).await;
}

/// Reads what a watch tells until this tenant is active, and gives the tenants that it told
/// of as created meanwhile.
async fn sees(watch: &mut Following, id: &str, created: &mut Vec<String>) {
    loop {
        let line = watch.line().await;
        let told: Value = serde_json::from_str(&line).expect("a line of JSON");
        let tenant = told["tenant"].clone();
        let name = tenant["name"].as_str().unwrap_or_default().to_owned();
        if told["change"] == "created" {
            created.push(name.clone());
        }
        if name == format!("tenants/{id}") && tenant["state"] == "TENANT_STATE_ACTIVE" {
            return;
        }
    }
}

async fn leads(person: &Ssctl, wanted: impl Fn(&str) -> bool) {
    until("the other one leads", async || {
        let (name, _) = leader(person).await;
        holds(wanted(&name), || format!("{name} leads"))
    })
    .await;
}

async fn version(person: &Ssctl) -> String {
    let region = person.json(&["region", "show"]).await;
    region["daemonVersion"].as_str().unwrap_or_default().to_owned()
}

/// As the upgrade guide says it, and back again; a watch is open all the time.
#[test]
fn a_region_is_upgraded_and_taken_back_while_a_watch_is_open() {
    story(async {
        let (server, cluster) = tokio::join!(Server::start(), shared_cluster());
        let region = Region::of_version(Version::Before, server, cluster).await;
        let config = region.config().display().to_string();
        let person = region.admin();
        assert_eq!(version(person).await, Version::Before.number());
        // A client of the version before goes on after a change, and where there was none it
        // begins anew.
        create(person, "first").await;
        let mut watch = person.start(&["tenant", "watch", "-o", "jsonl"]);
        let mut created = Vec::new();
        sees(&mut watch, "first", &mut created).await;
        create(person, "before").await;
        sees(&mut watch, "before", &mut created).await;

        // The new schema comes while the version before serves, which goes on.
        region.turn_to(Version::This);
        let plan = region.host(&["migrate", "--plan", "--config", &config]).await;
        assert!(plan.contains("would run, and none did."), "{plan}");
        let ran = region.host(&["migrate", "--config", &config]).await;
        assert!(ran.contains("The schema is up to date."), "{ran}");
        create(person, "goes-on").await;
        sees(&mut watch, "goes-on", &mut created).await;

        // It starts there as well: a pod of it may be moved meanwhile.
        region.turn_to(Version::Before);
        let again = region.host(&["migrate", "--config", &config]).await;
        assert!(again.contains("of a newer version"), "{again}");
        region.kill().await;
        region.launch().await;
        region.is_well().await;
        assert!(region.log().contains(NEWER), "{}", region.log());
        create(person, "starts-again").await;
        sees(&mut watch, "starts-again", &mut created).await;

        // Both beside each other, the version before as the leader and then not.
        let second = Replica::of(&region, "second").await;
        let there = person.at(second.grpc()).with_version(Version::This);
        assert_eq!(version(&there).await, Version::This.number());
        create(&there, "beside").await;
        sees(&mut watch, "beside", &mut created).await;
        region.stop().await;
        leads(&there, |name| name == second.name()).await;
        create(&there, "led-by-the-new").await;
        region.turn_to(Version::This);
        region.launch().await;
        region.is_well().await;
        second.stop().await;
        leads(person, |name| name != "second").await;
        assert_eq!(version(person).await, Version::This.number());
        create(person, "upgraded").await;
        sees(&mut watch, "upgraded", &mut created).await;

        // And back, without a word to the database.
        region.turn_to(Version::Before);
        region.stop().await;
        region.launch().await;
        region.is_well().await;
        create(person, "taken-back").await;
        sees(&mut watch, "taken-back", &mut created).await;
        assert_eq!(watch.interrupt().await, 130);

        let all = [
            "before",
            "goes-on",
            "starts-again",
            "beside",
            "led-by-the-new",
            "upgraded",
            "taken-back",
        ];
        let all = all.map(|id| format!("tenants/{id}"));
        assert_eq!(created, all, "each once, in order, and none is lost");
        let listed = person.json(&["tenant", "list"]).await;
        let mut listed: BTreeSet<_> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["name"].as_str().unwrap().to_owned())
            .collect();
        assert!(listed.remove("tenants/first"));
        assert_eq!(listed, all.into_iter().collect());
    });
}

/// What people and scripts do all day, by one version's client at the other's daemon.
async fn a_day(person: &Ssctl) {
    let ok = async |arguments: &[&str]| {
        let ran = person.ok(arguments).await;
        assert!(!ran.stderr.contains("warning: ssctl is"), "{}", ran.stderr);
        ran
    };
    ok(&["whoami"]).await;
    ok(&["doctor"]).await.prints("version");
    let acme = ["tenant", "create", "acme", "--plan", "business", "--seats", "2"];
    person.run(&[&acme[..], &["--dry-run"]].concat()).await.exits(3).prints("tenants/acme");
    ok(&[&acme[..], &["--wait"]].concat()).await;
    person.run(&acme).await.exits(7);
    ok(&["tenant", "set", "acme", "--seats", "3"]).await;
    assert_eq!(person.json(&["tenant", "show", "acme"]).await["seats"], 3);
    // The cluster makes a new namespace's account a moment after it.
    until("every rule holds", async || {
        let ran = person.run(&["tenant", "check", "acme"]).await;
        holds(ran.code == 0, || ran.stdout.clone())
    })
    .await;
    ok(&["quota", "set", "acme", "cpu=8", "--for", "8h", "--reason", "story"]).await;
    ok(&["quota", "show", "acme"]).await;
    ok(&["plan", "list"]).await.prints("business");
    ok(&["session", "list"]).await;
    ok(&["usage", "show", "acme"]).await;
    ok(&["slo", "list"]).await;
    ok(&["alert", "list"]).await;
    let declared = ["incident", "declare", "--severity", "p3", "slow desktops"];
    ok(&declared).await;
    ok(&["incident", "list"]).await.prints("slow desktops");
    ok(&["region", "pause", "--for", "10m", "--reason", "story"]).await;
    ok(&["region", "unpause", "--reason", "story"]).await;
    ok(&["operation", "list"]).await;
    ok(&["changes"]).await.prints("acme");
    ok(&["audit", "list"]).await.prints("TenantService.CreateTenant");
    ok(&["access", "why", "DeleteTenant"]).await;
    ok(&["token", "create", "--operator", "grace", "--role", "viewer"]).await;
    ok(&["tenant", "list", "--filter", "seats > 2"]).await.prints("acme");
    person.run(&["tenant", "list", "--filter", "seatz > 2"]).await.exits(2).says("seats");
    person.run(&["tenant", "show", "nobody"]).await.exits(6);
    ok(&["tenant", "archive", "acme", "--confirm", "acme", "--reason", "story", "--wait"]).await;
    // The incident wants a person.
    person.run(&["status"]).await.exits(11).prints("slow desktops");
}

#[test]
fn a_client_of_the_version_before_works_with_this_daemon() {
    story(async {
        let region = Region::start().await;
        a_day(&region.person("old", "admin").await.with_version(Version::Before)).await;
        // Its login too: the file that it writes, and the certificate that it asks for.
        let machine = region.machine("older").with_version(Version::Before);
        let token = region.token("older", "viewer").await;
        machine.ok(&["login", &region.grpc().to_string(), "--token", &token]).await;
        machine.clone().with_version(Version::This).ok(&["tenant", "list"]).await;
    });
}

#[test]
fn this_client_works_with_a_daemon_of_the_version_before() {
    story(async {
        let (server, cluster) = tokio::join!(Server::start(), shared_cluster());
        let region = Region::of_version(Version::Before, server, cluster).await;
        a_day(&region.admin().clone().with_version(Version::This)).await;
    });
}
