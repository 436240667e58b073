//! The dashboard over a network that loses everything, or is slow: the daemon is well, and
//! who looks does not see it.

use std::time::Duration;

use streamspace_tests::{
    pty::Drawing,
    region::shared_cluster,
    relay::{Passage, Relay},
    runtime::story,
    wait::{holds, within},
};

use super::{PATIENCE, row, started};
use crate::sessions::scene::{Scene, TENANT};

/// Longer than a daemon may be silent before what it said is not believed any more.
const SLOW: Duration = Duration::from_secs(2);
/// So many answers tell how a slow network is shown.
const ANSWERS: usize = 30;

/// Whether the table's row of the session is drawn as old: dim, and without a verdict.
fn is_doubted(screen: &Drawing, name: &str) -> bool {
    let (screen, text) = (screen.screen(), screen.text());
    let doubted = row(&text, name);
    let Some(y) = text.lines().position(|line| line == doubted) else { return false };
    let y = u16::try_from(y).expect("a screen has few rows");
    let x = doubted.find(name).map(|at| doubted.split_at(at).0.chars().count());
    let x = x.and_then(|x| u16::try_from(x).ok()).unwrap_or_default();
    doubted.contains('?') && screen.cell(y, x).is_some_and(vt100::Cell::dim)
}

/// The line that is selected.
fn selected(text: &str) -> String {
    text.lines().find(|line| line.starts_with('▌')).unwrap_or_default().to_owned()
}

#[test]
fn a_network_that_swallows_everything_is_told_and_what_changed_meanwhile_comes_after_it() {
    story(async {
        let scene = Scene::on(shared_cluster().await).await;
        started(&scene, &["desk-1", "desk-2"]).await;
        let relay = Relay::before(scene.region.grpc()).await;
        let person = scene.region.admin().at(relay.address());
        let mut screen = Drawing::start(&person, &["ui"], 120, 30);
        screen.shows(PATIENCE, "● live").await;
        screen.press("S");
        screen.shows(PATIENCE, "SESSIONS 2  running 2").await;
        assert!(!is_doubted(&screen, "desk-1"), "{}", screen.text());

        relay.set(Passage::Lost);
        screen.until(PATIENCE, "the data are old", |text| text.contains(" old")).await;
        within(PATIENCE, "the rows are doubted", async || {
            let doubted = is_doubted(&screen, "desk-1") && is_doubted(&screen, "desk-2");
            holds(doubted, || screen.text())
        })
        .await;
        // Somebody who is not cut off goes on.
        started(&scene, &["desk-3"]).await;
        let end = format!("{TENANT}/desk-1");
        scene.ok(&["session", "hibernate", &end, "--reason", "story", "--wait"]).await;
        let text = screen.text();
        assert!(!text.contains("desk-3") && row(&text, "desk-1").contains("running"), "{text}");
        assert!(is_doubted(&screen, "desk-1") && !text.contains("● live"), "{text}");

        relay.set(Passage::Open);
        screen.shows(PATIENCE, "SESSIONS 3  running 2 · hibernated 1").await;
        screen.shows(PATIENCE, "● live").await;
        let text = screen.text();
        for name in ["desk-1", "desk-2", "desk-3"] {
            let rows = text.lines().filter(|line| line.contains(name) && !line.contains('$'));
            assert_eq!(rows.count(), 1, "{name}:\n{text}");
            assert!(!is_doubted(&screen, name), "{name}:\n{text}");
        }
        assert!(row(&text, "desk-1").contains("hibernated"), "{text}");

        // Connections that are closed, and none that can be made.
        relay.set(Passage::Closed);
        screen.shows(PATIENCE, "not live").await;
        within(PATIENCE, "the rows are doubted", async || {
            holds(is_doubted(&screen, "desk-3"), || screen.text())
        })
        .await;
        relay.set(Passage::Open);
        screen.shows(PATIENCE, "● live").await;

        // And it can be left while nothing comes through.
        relay.set(Passage::Lost);
        screen.until(PATIENCE, "the data are old", |text| text.contains(" old")).await;
        screen.press("q");
        assert!(screen.ends(PATIENCE).await.success());
    });
}

#[test]
fn a_slow_network_is_not_told_as_live_and_keys_are_at_once() {
    story(async {
        let scene = Scene::on(shared_cluster().await).await;
        started(&scene, &["desk-1", "desk-2"]).await;
        let relay = Relay::before(scene.region.grpc()).await;
        let person = scene.region.admin().at(relay.address());
        let mut screen = Drawing::start(&person, &["ui"], 120, 30);
        screen.shows(PATIENCE, "● live").await;
        screen.press("S");
        screen.shows(PATIENCE, "SESSIONS 2  running 2").await;

        relay.set(Passage::Slow(SLOW));
        screen.until(PATIENCE, "the data are old", |text| !text.contains("● live")).await;
        // Whatever comes, comes too late to be what is.
        let enough = relay.arrived() + ANSWERS;
        within(PATIENCE, "many late answers have come", async || {
            let text = screen.text();
            assert!(!text.contains("● live"), "late answers are not live:\n{text}");
            holds(relay.arrived() >= enough, || text)
        })
        .await;
        let before = selected(&screen.text());
        assert!(before.contains("desk-1"), "{before}");
        let late = relay.arrived();
        screen.press("j");
        screen
            .until(PATIENCE, "the selection moves", |text| selected(text).contains("desk-2"))
            .await;
        screen.press("k");
        screen.until(PATIENCE, "it moves back", |text| selected(text).contains("desk-1")).await;
        let came = relay.arrived() - late;
        assert!(came < ANSWERS, "the keys waited for {came} answers");

        // Changes come all the same, late.
        started(&scene, &["desk-3"]).await;
        screen.shows(PATIENCE, "desk-3").await;
        assert!(!screen.text().contains("● live"), "{}", screen.text());
        relay.set(Passage::Open);
        screen.shows(PATIENCE, "● live").await;
        screen.shows(PATIENCE, "SESSIONS 3  running 3").await;

        // One that is opened there shows what it gets, and can be left.
        relay.set(Passage::Slow(SLOW));
        let mut other = Drawing::start(&person, &["ui"], 120, 30);
        other.press("S");
        other.shows(PATIENCE, "SESSIONS 3 ").await;
        other.press("q");
        assert!(other.ends(PATIENCE).await.success());
        screen.press("q");
        assert!(screen.ends(PATIENCE).await.success());
    });
}
