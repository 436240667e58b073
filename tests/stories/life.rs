//! A tenant's whole life, with the shipped command line, on a real cluster.

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::Api;
use serde_json::json;
use streamspace_tests::{
    region::Region,
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, until},
};

async fn state(ssctl: &Ssctl, id: &str) -> String {
    let shown = ssctl.json(&["tenant", "show", id]).await;
    shown["state"].as_str().unwrap_or_default().replace("TENANT_STATE_", "").to_lowercase()
}

async fn becomes(ssctl: &Ssctl, id: &str, wanted: &str) {
    until("the tenant is in its state", async || {
        let now = state(ssctl, id).await;
        holds(now == wanted, || format!("{now}, not {wanted}"))
    })
    .await;
}

/// One value of the live quota.
async fn hard(region: &Region, id: &str, key: &str) -> String {
    let quotas = Api::<ResourceQuota>::namespaced(region.client().await, &region.namespace(id));
    let quota = quotas.get("streamspace").await.unwrap();
    quota.spec.unwrap().hard.unwrap().remove(key).map_or_else(String::new, |value| value.0)
}

async fn has(region: &Region, id: &str, key: &str, wanted: &str) {
    until("the live quota is as wished", async || {
        let now = hard(region, id, key).await;
        holds(now == wanted, || format!("{key} is {now}, not {wanted}"))
    })
    .await;
}

#[test]
fn a_whole_life_with_two_people() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let other = region.person("otto", "admin").await;
        let create = ["tenant", "create", "whole", "--plan", "business", "--seats", "10"];
        ssctl.ok(&[&create[..], &["--protected", "--wait"]].concat()).await.says("200Gi");

        // Cordoned for a time, which ends by itself.
        ssctl.ok(&["tenant", "cordon", "whole", "--for", "10m", "--reason", "quiet"]).await;
        assert_eq!(state(ssctl, "whole").await, "cordoned");
        has(&region, "whole", "pods", "0").await;
        sqlx::query("UPDATE tenants SET cordon_until = now() WHERE tenant_id = 'whole'")
            .execute(&region.pool())
            .await
            .unwrap();
        becomes(ssctl, "whole", "active").await;
        has(&region, "whole", "pods", "500").await;

        // Suspending a protected tenant wants a second person.
        let suspend = ["tenant", "suspend", "whole", "--reason", "unpaid", "--confirm", "whole"];
        let asked = ssctl.run(&suspend).await.exits(13).says("approval approve");
        assert_eq!(state(ssctl, "whole").await, "active", "{}", asked.stderr);
        let approvals = ssctl.json(&["approval", "list"]).await;
        let approval = approvals[0]["name"].as_str().unwrap().replace("approvals/", "");
        // Not by oneself, not for another request.
        ssctl.run(&["approval", "approve", &approval]).await.exits(5);
        other.ok(&["approval", "approve", &approval, "--reason", "agreed"]).await;
        let different =
            ["tenant", "suspend", "whole", "--reason", "another reason", "--confirm", "whole"];
        ssctl.run(&different).await.exits(13);
        ssctl.ok(&suspend).await;
        assert_eq!(state(ssctl, "whole").await, "suspended");
        has(&region, "whole", "pods", "0").await;
        ssctl.ok(&["tenant", "resume", "whole"]).await;
        becomes(ssctl, "whole", "active").await;

        // A protected tenant is not deleted, and taking the protection off is no one person's.
        let delete = ["tenant", "delete", "whole", "--reason", "end", "--confirm", "whole"];
        ssctl.run(&delete).await.exits(12);
        let bare = ["tenant", "set", "whole", "--protected=false", "--reason", "end"];
        approved(ssctl, &other, &bare).await;

        // Archived, back, archived again.
        let archive = ["tenant", "archive", "whole", "--reason", "end", "--confirm", "whole"];
        ssctl.ok(&archive).await;
        becomes(ssctl, "whole", "archived").await;
        ssctl.ok(&["tenant", "restore", "whole"]).await;
        becomes(ssctl, "whole", "active").await;
        ssctl.ok(&archive).await;
        let shown = ssctl.json(&["tenant", "show", "whole"]).await;
        assert!(shown["retentionEndTime"].is_string(), "{shown}");

        // Its plan keeps it for 90 days; before that, a second person again.
        ssctl.run(&delete).await.exits(12).says("--before-retention");
        let early = [&delete[..], &["--before-retention"]].concat();
        approved(ssctl, &other, &early).await;
        until("nothing is left", async || {
            let live = region.namespaces().await.get_opt(&region.namespace("whole")).await;
            let gone = live.map_err(|e| e.to_string())?.is_none();
            holds(gone && ssctl.run(&["tenant", "show", "whole"]).await.code == 6, || {
                "it is still there".to_owned()
            })
        })
        .await;
    });
}

/// Runs a command that waits for approval, gets it from the other, and runs it again.
async fn approved(who: &Ssctl, other: &Ssctl, command: &[&str]) {
    who.run(command).await.exits(13);
    let pending = who.json(&["approval", "list", "--filter", "state = pending"]).await;
    let newest = pending[0]["name"].as_str().unwrap().replace("approvals/", "");
    other.ok(&["approval", "approve", &newest]).await;
    who.ok(command).await;
}

#[test]
fn a_quota_for_a_time_reverts_also_across_a_restart() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let create = ["tenant", "create", "burst", "--plan", "business", "--seats", "1", "--wait"];
        ssctl.ok(&create).await;
        has(&region, "burst", "requests.cpu", "100").await;
        let set = ["quota", "set", "burst", "cpu=+40", "--for", "8s", "--reason", "a fair"];
        ssctl.run(&[&set[..], &["--dry-run"]].concat()).await.exits(3).prints("140");
        assert_eq!(hard(&region, "burst", "requests.cpu").await, "100", "a preview");
        ssctl.ok(&set).await;
        has(&region, "burst", "requests.cpu", "140").await;
        assert_eq!(hard(&region, "burst", "limits.cpu").await, "280", "limits are twice");
        ssctl.ok(&["quota", "show", "burst"]).await.prints("140").prints("a fair");
        region.kill().await;
        region.launch().await;
        has(&region, "burst", "requests.cpu", "100").await;

        // For good, and reset.
        ssctl.ok(&["quota", "set", "burst", "cpu=80", "memory=100Gi"]).await;
        has(&region, "burst", "requests.memory", "100Gi").await;
        ssctl.ok(&["quota", "reset", "burst", "memory"]).await;
        has(&region, "burst", "requests.memory", "200Gi").await;
        has(&region, "burst", "requests.cpu", "80").await;
        ssctl.ok(&["quota", "check", "burst", "cpu=80"]).await;
        ssctl.run(&["quota", "check", "burst", "cpu=81"]).await.exits(11);
    });
}

#[test]
fn bad_quantities_are_refused_by_name_and_change_nothing() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        ssctl
            .ok(&["tenant", "create", "exact", "--plan", "business", "--seats", "1", "--wait"])
            .await;
        let long = format!("memory={}", "9".repeat(65_536));
        for bad in [
            "memory=1e999",
            "memory=-1",
            "memory=1.5Gi",
            "memory=",
            "memory=١٢Gi",
            "cpu=0",
            "cpu=1e3",
            "cpu=0x10",
            "pods=1.5",
            "pods=-3",
            "memory=9999999Ei",
            "cpu=+",
            "cpu=NaN",
            "cpu=\u{1b}[2J",
            "gpu=1",
            "cpu",
            "=1",
            "memory=1Mi",
            "pods=99999999999999999999",
            &long,
        ] {
            let ran = ssctl.run(&["quota", "set", "exact", bad]).await.exits(2);
            let field = bad.split('=').next().unwrap_or_default();
            let named = ran.stderr.contains("changes[0]") || ran.stderr.contains(field);
            assert!(named, "{bad:.40}: {}", ran.stderr);
            assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
            assert!(ran.stderr.len() < 2000, "{bad:.40}: {} bytes", ran.stderr.len());
        }
        ssctl.run(&["quota", "set", "exact", "cpu=1", "cpu=2"]).await.exits(2);
        for (flag, value) in [
            ("--plan", "../free"),
            ("--plan", "FREE"),
            ("--seats", "0"),
            ("--seats", "-1"),
            ("--seats", "1e9"),
            ("--admin", "system:masters"),
            ("--label", "a=b\u{1b}c"),
        ] {
            ssctl.run(&["tenant", "set", "exact", flag, value]).await.exits(2);
        }
        let deep = "a".repeat(65_536);
        for name in
            ["ünïcode", "a\u{7}b", "", "../../etc", "a/b", "A-B", "-a", "a..b", deep.as_str()]
        {
            let create = ["tenant", "create", name, "--plan", "free", "--seats", "1"];
            ssctl.run(&create).await.exits(2);
        }
        for (what, bad) in
            [("cordon", "0s"), ("cordon", "400d"), ("pause", "-5m"), ("pause", "2 h x")]
        {
            ssctl.run(&["tenant", what, "exact", "--for", bad, "--reason", "x"]).await.exits(2);
        }
        let shown = ssctl.json(&["tenant", "show", "exact"]).await;
        assert_eq!(
            (&shown["generation"], &shown["state"]),
            (&json!("1"), &json!("TENANT_STATE_ACTIVE"))
        );
        assert_eq!(ssctl.json(&["tenant", "list"]).await.as_array().map(Vec::len), Some(1));
        assert_eq!(hard(&region, "exact", "requests.cpu").await, "100");
    });
}

#[test]
fn consequences_come_first_and_a_promise_beyond_the_declared_needs_a_word() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let create = ["tenant", "create", "big", "--plan", "business", "--seats", "100"];
        ssctl
            .run(&create)
            .await
            .exits(12)
            .says("promised 6400Gi, quota 200Gi")
            .says("--accept-overcommit");
        assert_eq!(ssctl.json(&["tenant", "list"]).await, json!([]));
        ssctl.ok(&[&create[..], &["--accept-overcommit", "--wait"]].concat()).await;

        // A pod that runs is over the limits of the smaller plan: it is told, and goes on.
        let pods = Api::<k8s_openapi::api::core::v1::Pod>::namespaced(
            region.client().await,
            &region.namespace("big"),
        );
        let pod = serde_json::from_value(json!({
            "metadata": {"name": "large"},
            "spec": {"automountServiceAccountToken": false, "containers": [{
                "name": "main", "image": "example.invalid/none",
                "resources": {"requests": {"memory": "120Gi", "cpu": "1"},
                              "limits": {"memory": "120Gi", "cpu": "1"}},
            }]},
        }))
        .unwrap();
        region.takes_pods_of("big").await;
        pods.create(&<_>::default(), &pod).await.unwrap();
        until("the quota counts it", async || {
            let shown = ssctl.ok(&["quota", "show", "big"]).await.stdout;
            holds(shown.contains("120Gi"), || shown.clone())
        })
        .await;
        let down = ["tenant", "set", "big", "--plan", "professional", "--seats", "5"];
        let preview = ssctl.run(&[&down[..], &["--dry-run"]].concat()).await.exits(3);
        let said = preview.stdout + &preview.stderr;
        assert!(said.contains("120Gi") && said.contains("80Gi"), "{said}");
        ssctl.ok(&[&down[..], &["--wait"]].concat()).await;
        has(&region, "big", "requests.memory", "80Gi").await;
        pods.get("large").await.unwrap();
    });
}

#[test]
fn a_plan_has_versions_and_tenants_keep_theirs() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        ssctl.ok(&["tenant", "create", "early", "--plan", "free", "--seats", "1", "--wait"]).await;
        ssctl.ok(&["plan", "set", "free", "--pods", "30", "--reason", "more room"]).await;
        ssctl.ok(&["tenant", "create", "late", "--plan", "free", "--seats", "1", "--wait"]).await;
        assert_eq!(hard(&region, "early", "pods").await, "20");
        assert_eq!(hard(&region, "late", "pods").await, "30");
        ssctl.ok(&["plan", "show", "free@1"]).await.prints("20");
        let up = ["tenant", "set", "early", "--plan", "free"];
        ssctl.run(&[&up[..], &["--dry-run"]].concat()).await.exits(3);
        ssctl.ok(&[&up[..], &["--wait"]].concat()).await;
        has(&region, "early", "pods", "30").await;
        ssctl.run(&["plan", "set", "free", "--memory", "1.5Gi"]).await.exits(2);
    });
}

#[test]
fn a_cordoned_region_takes_no_new_tenant_and_a_foreign_namespace_is_adopted_only_when_told() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let create = |id: &'static str| ["tenant", "create", id, "--plan", "free", "--seats", "1"];
        ssctl.ok(&["region", "cordon", "--reason", "full"]).await;
        ssctl.run(&create("later")).await.exits(12).says("cordon");
        ssctl.ok(&["region", "uncordon"]).await;
        ssctl.ok(&[&create("later")[..], &["--wait"]].concat()).await;

        let foreign = serde_json::from_value(json!({
            "metadata": {"name": region.namespace("elder"), "labels": {"team": "data"}},
        }))
        .unwrap();
        region.namespaces().await.create(&<_>::default(), &foreign).await.unwrap();
        ssctl.ok(&create("elder")).await;
        until("it is told", async || {
            let shown = ssctl.json(&["tenant", "show", "elder"]).await;
            holds(shown.to_string().contains("NamespaceExists"), || shown.to_string())
        })
        .await;
        let live = region.namespaces().await.get(&region.namespace("elder")).await.unwrap();
        assert!(!live.metadata.labels.unwrap().contains_key("tenant-id"), "it was touched");
        // A tenant that never had anything is deleted without being archived.
        let delete = ["tenant", "delete", "elder", "--reason", "mistake", "--confirm", "elder"];
        ssctl.ok(&[&delete[..], &["--wait"]].concat()).await;
        ssctl.ok(&[&create("elder")[..], &["--adopt", "--wait"]].concat()).await;
        let live = region.namespaces().await.get(&region.namespace("elder")).await.unwrap();
        let labels = live.metadata.labels.unwrap();
        assert_eq!(labels["team"], "data", "what was there stays");
        assert_eq!(labels["tenant-id"], "elder");
    });
}

#[test]
fn the_glass_is_broken_loudly_and_reviewed_by_another() {
    story(async {
        let region = Region::start().await;
        let nora = region.person("nora", "operator").await;
        let vic = region.person("vic", "viewer").await;
        let make = ["plan", "set", "free", "--pods", "25", "--reason", "night"];
        nora.run(&make).await.exits(5);
        vic.run(&["break-glass", "--for", "30m", "--reason", "night"]).await.exits(5);
        nora.ok(&["break-glass", "--for", "30m", "--reason", "the region is down"]).await;
        until("she has the role", async || {
            let ran = nora.run(&make).await;
            holds(ran.code == 0, || ran.stderr.clone())
        })
        .await;
        assert!(region.log().contains("ERROR"), "nobody was told");
        nora.ok(&["break-glass", "end"]).await;
        until("she has it no more", async || {
            let ran = nora.run(&make).await;
            holds(ran.code == 5, || format!("{}", ran.code))
        })
        .await;
        let grants = region.admin().json(&["break-glass", "list"]).await;
        let grant = grants[0]["name"].as_str().unwrap().replace("breakGlassGrants/", "");
        let review = ["break-glass", "review", &grant, "--review", "right to do so"];
        region.admin().ok(&review).await;
        let audited = region.admin().json(&["audit", "list", "--limit", "1000"]).await;
        assert!(audited.to_string().contains("the region is down"), "{audited}");
    });
}
