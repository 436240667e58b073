//! Who may not change anything cannot from the dashboard either: nothing is even asked.

use streamspace_proto::v1::SessionPhase;
use streamspace_tests::{
    pty::Drawing,
    region::shared_cluster,
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, within},
};

use super::{DOWN, ENTER, ESCAPE, PATIENCE, started};
use crate::sessions::scene::{Scene, TENANT};

/// The keys of what can be done to a session, and to a tenant.
const MENUS: [(&str, &str); 2] = [("S", "hwx"), ("t", "cusrpqdx")];

/// Tries every entry of both menus, by its key and by enter.
async fn tries_everything(screen: &mut Drawing, missing: &str) {
    for (page, keys) in MENUS {
        screen.press(page);
        screen.press("a");
        screen.shows(PATIENCE, " can be ").await;
        screen
            .until(PATIENCE, "every entry says what is missing", |text| {
                text.matches(missing).count() == keys.len()
            })
            .await;
        for key in keys.chars() {
            screen.press(&key.to_string());
            screen.press(ENTER);
            screen.press(DOWN);
        }
        // All of the keys were taken once the last line is selected.
        screen
            .until(PATIENCE, "the last entry is selected", |text| {
                let mut entries = text.lines().filter(|line| line.contains(missing));
                entries.next_back().is_some_and(|line| line.contains('▌'))
            })
            .await;
        let text = screen.text();
        assert!(text.contains(" can be ") && !text.contains("--reason"), "{text}");
        screen.press(ESCAPE);
        screen.until(PATIENCE, "it is closed", |text| !text.contains(" can be ")).await;
    }
}

/// The methods by which somebody asked for a change, once the last of them is there.
async fn asked(scene: &Scene, actor: &str, last: &str) -> Vec<String> {
    within(PATIENCE, "the audit log has what was asked last", async || {
        let methods: Vec<String> = sqlx::query_scalar(
            "SELECT method FROM audit_entries WHERE actor = $1 AND phase <> 'outcome'
               AND method NOT LIKE '%/Enrol'",
        )
        .bind(actor)
        .fetch_all(&scene.region.pool())
        .await
        .map_err(|error| error.to_string())?;
        holds(methods.iter().any(|method| method == last), || format!("{methods:?}"))?;
        Ok::<_, String>(methods)
    })
    .await
}

/// Asks for something that no menu has.
async fn creates(person: &Ssctl) -> i32 {
    let name = format!("{TENANT}/desk-2");
    let create = ["session", "create", &name, "--user", "ada", "--template", "firefox"];
    person.run(&create).await.code
}

#[test]
fn what_a_viewer_may_not_is_grey_and_asks_nothing() {
    story(async {
        let scene = Scene::on(shared_cluster().await).await;
        started(&scene, &["desk-1"]).await;
        let eve = scene.region.person("eve", "viewer").await;
        let otto = scene.region.person("otto", "operator").await;
        for (person, arguments, missing) in [
            (&eve, &["ui"][..], "(needs the role operator)"),
            (&otto, &["ui", "--read-only"], "(opened with --read-only)"),
        ] {
            let mut screen = Drawing::start(person, arguments, 120, 40);
            screen.shows(PATIENCE, "● live").await;
            screen.shows(PATIENCE, "of 1 session").await;
            tries_everything(&mut screen, missing).await;
            screen.press("q");
            assert!(screen.ends(PATIENCE).await.success());
        }
        assert_eq!(scene.session("desk-1").await.unwrap().phase(), SessionPhase::Running);

        // What each asks after that is all that either asked.
        assert_eq!((creates(&eve).await, creates(&otto).await), (5, 0));
        let last = "streamspace.admin.v1.SessionService/CreateSession";
        for actor in ["eve", "otto"] {
            let methods = asked(&scene, actor, last).await;
            assert!(methods.iter().all(|method| method == last), "{actor}: {methods:?}");
        }
    });
}
