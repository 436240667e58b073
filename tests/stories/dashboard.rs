//! The dashboard as it is shipped, on a terminal of its own: what it shows is what is, also
//! while its daemon is not there.

use std::time::Duration;

use rustix::process::Signal;
use streamspace_proto::v1::SessionPhase;
use streamspace_tests::{
    pty::Drawing,
    region::shared_cluster,
    runtime::story,
    wait::{holds, within},
};

use crate::sessions::scene::{Scene, TENANT};

mod certificates;
mod changes;
mod hostile;
mod incidents;
mod network;
mod recordings;
mod regions;
mod rights;
mod scale;
mod terminal;

/// The machine may be busy with other stories.
const PATIENCE: Duration = Duration::from_mins(1);
const ENTER: &str = "\r";
const ESCAPE: &str = "\u{1b}";
const DOWN: &str = "\u{1b}[B";

async fn started(scene: &Scene, sessions: &[&str]) {
    for name in sessions {
        let name = format!("{TENANT}/{name}");
        let line = ["session", "create", &name, "--user", "ada", "--template", "firefox"];
        scene.ok(&[&line[..], &["--idle-timeout", "1h", "--wait"]].concat()).await;
    }
}

/// Picks what a key of the menu stands for, fills the fields in, and waits until it is done.
/// What it would do is told before it is sent.
async fn act(
    screen: &mut Drawing,
    key: &str,
    word: &str,
    fields: &[&str],
    is_done: impl Fn(&str) -> bool,
) {
    screen.press("a");
    screen.shows(PATIENCE, " can be ").await;
    screen.press(key);
    screen.until(PATIENCE, word, |text| text.contains(&format!(" {word} "))).await;
    let (last, before) = fields.split_last().expect("a field at least");
    for field in before {
        screen.press(field);
        screen.press(ENTER);
    }
    screen.press(last);
    let is_told = |text: &str| text.contains("would change") || text.contains("would be:");
    screen.until(PATIENCE, "it is told what it would do", is_told).await;
    within(PATIENCE, "it is done", async || {
        let text = screen.text();
        // Where something else was told than what it would do now, it is not sent yet.
        if text.contains('╭') && !text.contains("doing it") {
            screen.press(ENTER);
        }
        holds(!text.contains('╭') && is_done(&text), || text)
    })
    .await;
}

#[test]
fn a_tenant_is_found_and_a_session_of_it_hibernated() {
    story(async {
        let scene = Scene::on(shared_cluster().await).await;
        started(&scene, &["desk-1", "desk-2"]).await;
        let mut screen = Drawing::start(scene.region.admin(), &["ui"], 120, 40);
        screen.shows(PATIENCE, "● live").await;
        screen.shows(PATIENCE, "SESSIONS NOT WELL 0 of 2 sessions").await;

        screen.press("t/acme");
        screen.shows(PATIENCE, "1 with \"acme\"").await;
        screen.press(ENTER);
        screen.press(ENTER);
        screen.shows(PATIENCE, "QUOTA").await;
        // What the cluster counts against it.
        screen.shows(PATIENCE, "used").await;
        screen.press("s");
        screen.shows(PATIENCE, &format!("SESSIONS of {TENANT} 2  running 2")).await;

        screen.press("/name = \"*desk-2\"");
        screen.press(ENTER);
        screen.shows(PATIENCE, "1 where name").await;
        screen.press("a");
        screen.shows(PATIENCE, "hibernate: scale it to zero").await;
        screen.press("h");
        screen.shows(PATIENCE, "would change: 1 session").await;
        assert_eq!(scene.session("desk-2").await.unwrap().phase(), SessionPhase::Running);
        screen.press("over the weekend");
        screen.shows(PATIENCE, "--reason 'over the weekend'").await;
        screen.press(ENTER);
        screen.shows(PATIENCE, "accepted, 1 session").await;
        screen.shows(PATIENCE, "running 1 · hibernated 1").await;
        scene.until("desk-2", SessionPhase::Hibernated).await;
        assert_eq!(scene.session("desk-1").await.unwrap().phase(), SessionPhase::Running);
        // The reason is in the audit log.
        let audit = scene.ok(&["audit", "list", "--limit", "20"]).await;
        audit.prints("over the weekend");

        screen.press(ESCAPE);
        screen.shows(PATIENCE, "1/2").await;
        screen.press("q");
        assert!(screen.ends(PATIENCE).await.success());
        let left = screen.text();
        assert!(!left.contains("SESSIONS"), "the terminal is as it was before:\n{left}");
    });
}

#[test]
fn whatever_becomes_of_the_daemon_the_dashboard_says_so_and_comes_back() {
    story(async {
        let scene = Scene::on(shared_cluster().await).await;
        started(&scene, &["desk-1"]).await;
        let mut screen = Drawing::start(scene.region.admin(), &["ui"], 100, 30);
        screen.shows(PATIENCE, "● live").await;
        screen.press("S");
        screen.shows(PATIENCE, "desk-1").await;

        // It is killed: what was known stays, and is not drawn as healthy.
        scene.region.kill().await;
        screen.shows(PATIENCE, "not live").await;
        screen
            .until(PATIENCE, "the row is doubted", |text| row(text, "desk-1").contains('?'))
            .await;
        screen.press("t");
        screen.shows(PATIENCE, "TENANTS 1").await;
        screen.press("S");
        scene.region.launch().await;
        scene.region.is_well().await;
        screen.shows(PATIENCE, "● live").await;

        // It sleeps: silence is not taken for life.
        scene.region.signal(Signal::STOP).await;
        screen.until(PATIENCE, "the data are old", |text| text.contains(" old")).await;
        scene.region.signal(Signal::CONT).await;
        screen.shows(PATIENCE, "● live").await;
        let rows = screen.text().matches("desk-1").count();
        assert_eq!(rows, 2, "in the table once, and in the command:\n{}", screen.text());

        // And it can be left while nobody is there.
        scene.region.signal(Signal::STOP).await;
        screen.press("q");
        let ended = screen.ends(PATIENCE).await;
        scene.region.signal(Signal::CONT).await;
        assert!(ended.success());
    });
}

/// The line of the table that tells of something with this name; empty where there is none.
fn row<'a>(text: &'a str, name: &str) -> &'a str {
    let table = text.split("── CHANGED since").next().unwrap_or_default();
    let mut lines = table.lines().filter(|line| !line.contains('$'));
    lines.find(|line| line.split_whitespace().any(|word| word == name)).unwrap_or_default()
}
