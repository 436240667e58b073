//! What was seen is kept, and seen again; and a demonstration needs nothing at all.

use std::collections::HashSet;

use streamspace_tests::{pty::Drawing, region::shared_cluster, runtime::story, ssctl::Ssctl};
use streamspace_tui::{Options, Projection};

use super::{PATIENCE, started};
use crate::sessions::scene::Scene;

/// What is on a screen, without the room at the end of lines.
fn lines(text: &str) -> String {
    text.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_was_seen_is_seen_again_without_a_daemon() {
    story(async {
        let scene = Scene::on(shared_cluster().await).await;
        started(&scene, &["desk-1"]).await;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("night.rec");
        let file = file.to_str().expect("a path in UTF-8");
        let admin = scene.region.admin();
        let mut screen = Drawing::start(admin, &["ui", "--record", file], 100, 30);
        screen.shows(PATIENCE, "● live").await;
        screen.press("S");
        screen.shows(PATIENCE, "desk-1").await;
        let mut seen = HashSet::from([lines(&screen.text())]);
        started(&scene, &["desk-2"]).await;
        screen.shows(PATIENCE, "desk-2").await;
        seen.insert(lines(&screen.text()));
        scene.region.kill().await;
        screen.shows(PATIENCE, "not live").await;
        seen.insert(lines(&screen.text()));
        screen.press("q");
        assert!(screen.ends(PATIENCE).await.success());

        // Each of its frames was recorded.
        let mut again = Projection::open(file.as_ref(), &Options::default()).expect("it is whole");
        while again.step().is_some() {
            seen.remove(&lines(&again.text()));
        }
        assert!(
            seen.is_empty(),
            "not seen again:\n{}",
            seen.into_iter().next().unwrap_or_default()
        );

        // Somebody looks at it later, with nothing of that region at hand.
        let stranger = Ssctl::new(folder.path().join("home"));
        let replay = ["ui", "--replay", file, "--at", "1h", "--stopped"];
        let mut screen = Drawing::start(&stranger, &replay, 100, 30);
        screen.shows(PATIENCE, "recording").await;
        screen.shows(PATIENCE, "desk-2").await;
        screen.shows(PATIENCE, "not live").await;
        screen.press("t");
        screen.shows(PATIENCE, "TENANTS 1").await;
        screen.press("a");
        screen.shows(PATIENCE, "this is a recording").await;
        screen.press("\u{1b}");
        screen.until(PATIENCE, "the menu is gone", |text| !text.contains("this is a")).await;
        screen.press("q");
        assert!(screen.ends(PATIENCE).await.success());

        // A file that is there is not written over.
        let mut screen = Drawing::start(scene.region.admin(), &["ui", "--record", file], 100, 30);
        screen.shows(PATIENCE, "cannot record into").await;
        assert!(!screen.ends(PATIENCE).await.success());
    });
}

#[test]
fn a_demonstration_needs_nothing() {
    story(async {
        let folder = tempfile::tempdir().expect("a folder");
        let stranger = Ssctl::new(folder.path().join("home"));
        let mut screen = Drawing::start(&stranger, &["ui", "--demo"], 120, 40);
        screen.shows(PATIENCE, "made up").await;
        screen.press("S/finn-vscode");
        screen.shows(PATIENCE, "with \"finn-vscode\"").await;
        screen.press("\r");
        screen.press("a");
        screen.shows(PATIENCE, "hibernate: scale it to zero").await;
        screen.press("q");
        screen.press("\u{1b}");
        screen.press("q");
        assert!(screen.ends(PATIENCE).await.success());
    });
}
