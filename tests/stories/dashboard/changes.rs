//! What can be done from the dashboard is done, with what was asked for and written down.

use serde_json::Value;
use streamspace_proto::v1::SessionPhase;
use streamspace_tests::{
    pty::Drawing,
    region::shared_cluster,
    runtime::story,
    wait::{holds, within},
};

use super::{ENTER, PATIENCE, act, started};
use crate::sessions::scene::{Scene, TENANT};

/// Does something that the menu has to a tenant or a session, and waits until it was accepted.
async fn does(screen: &mut Drawing, key: &str, word: &str, fields: &[&str]) {
    // Not that of the change before.
    let accepted = |text: &str| {
        let mut lines = text.lines().map(str::trim_start);
        lines.any(|line| line.starts_with(word) && line.contains(": accepted"))
    };
    act(screen, key, word, fields, accepted).await;
}

/// Waits until a field of the tenant, by its JSON name, is so.
async fn becomes(scene: &Scene, pointer: &str, is_so: impl Fn(&Value) -> bool) {
    within(PATIENCE, pointer, async || {
        let tenant = scene.region.admin().json(&["tenant", "show", TENANT]).await;
        let value = tenant.pointer(pointer).cloned().unwrap_or_default();
        holds(is_so(&value), || format!("{tenant:#}"))
    })
    .await;
}

#[test]
fn a_tenants_whole_life_is_in_the_menu() {
    story(async {
        let scene = Scene::on(shared_cluster().await).await;
        started(&scene, &["desk-1"]).await;
        let mut screen = Drawing::start(scene.region.admin(), &["ui"], 140, 40);
        screen.shows(PATIENCE, "● live").await;
        screen.press("t");
        screen.shows(PATIENCE, &format!("ssctl tenant show {TENANT}")).await;

        does(&mut screen, "c", "cordon", &["2h", "INC-7"]).await;
        becomes(&scene, "/state", |state| state == "TENANT_STATE_CORDONED").await;
        becomes(&scene, "/cordonExpireTime", Value::is_string).await;
        screen.shows(PATIENCE, "cordoned").await;
        does(&mut screen, "u", "uncordon", &["it is up again"]).await;
        becomes(&scene, "/state", |state| state == "TENANT_STATE_ACTIVE").await;

        does(&mut screen, "p", "plan", &["enterprise", "they bought more"]).await;
        becomes(&scene, "/plan", |plan| plan == "plans/enterprise").await;
        does(&mut screen, "q", "quota", &["cpu=+4", "1h", "month end"]).await;
        let quota = scene.region.admin().json(&["quota", "show", TENANT]).await;
        let overrides = quota["overrides"].as_array().expect("a change for a time").len();
        assert_eq!(overrides, 1, "{quota:#}");

        does(&mut screen, "d", "drain", &["a new node pool", TENANT]).await;
        scene.until("desk-1", SessionPhase::Hibernated).await;
        does(&mut screen, "s", "suspend", &["they do not pay", TENANT]).await;
        becomes(&scene, "/state", |state| state == "TENANT_STATE_SUSPENDED").await;
        does(&mut screen, "r", "resume", &["they paid"]).await;
        becomes(&scene, "/state", |state| state == "TENANT_STATE_ACTIVE").await;

        screen.press("s");
        screen.shows(PATIENCE, "hibernated 1").await;
        does(&mut screen, "w", "wake", &["they are back"]).await;
        scene.until("desk-1", SessionPhase::Running).await;
        does(&mut screen, "x", "terminate", &["it is stuck", "desk-1"]).await;
        scene.until("desk-1", SessionPhase::Terminated).await;

        // Each with its reason, and one with its incident.
        let mut audit = scene.ok(&["audit", "list", "--limit", "200", "-o", "json"]).await;
        for reason in ["it is up again", "they bought more", "month end"] {
            audit = audit.prints(reason);
        }
        audit.prints("\"incident\": \"INC-7\"");
        screen.press("q");
        assert!(screen.ends(PATIENCE).await.success());
    });
}

#[test]
fn a_stolen_certificate_is_revoked() {
    story(async {
        let scene = Scene::on(shared_cluster().await).await;
        let vera = scene.region.person("vera", "viewer").await;
        vera.ok(&["tenant", "list"]).await;
        let admin = scene.region.admin();
        let filter = ["cert", "list", "--filter", "operator = \"vera\" AND kind = \"client\""];
        let listed = admin.json(&filter).await;
        let serial = listed[0]["name"].as_str().expect("its name");
        let serial = serial.trim_start_matches("certificates/").to_owned();

        let mut screen = Drawing::start(admin, &["ui"], 160, 40);
        screen.shows(PATIENCE, "● live").await;
        screen.press("x");
        screen.shows(PATIENCE, "CERTIFICATES that are valid").await;
        screen.press(&format!("/{serial}"));
        screen.press(ENTER);
        screen.shows(PATIENCE, &format!("1 with \"{serial}\"")).await;
        does(&mut screen, "r", "revoke", &["the laptop was stolen", &serial]).await;
        within(PATIENCE, "it opens nothing any more", async || {
            let ran = vera.run(&["tenant", "list"]).await;
            holds(ran.code == 4 || ran.code == 5, || format!("{} {}", ran.code, ran.stderr))
        })
        .await;
        let listed = admin.json(&filter).await;
        assert_eq!(listed[0]["revokeReason"], "the laptop was stolen");
    });
}
