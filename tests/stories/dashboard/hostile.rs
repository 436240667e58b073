//! Names and words that would do something to a terminal do nothing to it.

use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::PostParams};
use prost::Message as _;
use serde_json::json;
use streamspace_client::text::misleads;
use streamspace_proto::v1;
use streamspace_tests::{
    pty::Drawing,
    region::shared_cluster,
    runtime::story,
    sessions::object,
    wait::{holds, within},
};

use super::{ENTER, ESCAPE, PATIENCE, started};
use crate::sessions::scene::{Scene, TENANT};

/// Title, clipboard, bell, clearing, colours, the answer to a question, in both ways to
/// write a control sequence; and what turns the order of reading round.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}]52;c;b3duZWQ=\u{7}\u{7}\u{1b}[2J\u{1b}[31mred\
                       \u{9b}2J\u{9d}0;owned\u{9c}\u{1b}[6n\u{1b}c\r\n\t\u{8}\u{202e}gnp\u{2066}x";
/// What a name may have, and takes other widths than it has characters.
const ODD: &str = "é e\u{301}\u{302}\u{303} 株式会社 شركة 👩🏽‍💻 🇪🇺 ﷽";
/// The title that the dashboard itself gives.
const TITLE: &[u8] = b"\x1b]0;ssctl ui\x07";

/// The end of what the cluster tells of the session.
const LAST: &str = "and-no-more";

fn long() -> String {
    format!("{HOSTILE}{}", ODD.repeat(10 * 1024 / ODD.len()))
}

/// Writes hostile words where only the cluster or a daemon that is not ours could.
async fn poison(scene: &Scene) -> v1::Session {
    let pool = scene.region.pool();
    let bytes: Vec<u8> = sqlx::query_scalar("SELECT resource FROM sessions WHERE name = 'desk-2'")
        .fetch_one(&pool)
        .await
        .unwrap();
    let session = v1::Session {
        user: format!("{HOSTILE}{ODD}"),
        template: format!("{ODD}{HOSTILE}"),
        node: HOSTILE.into(),
        message: long(),
        ..v1::Session::decode(bytes.as_slice()).unwrap()
    };
    sqlx::query("UPDATE sessions SET resource = $1 WHERE name = 'desk-2'")
        .bind(session.encode_to_vec())
        .execute(&pool)
        .await
        .unwrap();
    let condition = json!([{
        "type": format!("Quota{HOSTILE}"), "status": "False", "reason": HOSTILE,
        "message": long(), "observedGeneration": 1, "lastTransitionTime": "2026-05-01T00:00:00Z",
    }]);
    sqlx::query(
        "UPDATE tenants SET display_name = $1, billing_account = $1, conditions = $2
         WHERE tenant_id = 'odd-name'",
    )
    .bind(format!("{HOSTILE}{ODD}"))
    .bind(sqlx::types::Json(condition))
    .execute(&pool)
    .await
    .unwrap();
    let namespace = scene.region.namespace(TENANT);
    let events: Api<Event> = Api::namespaced(scene.region.client().await, &namespace);
    let uid = scene.session("desk-2").await.unwrap().uid;
    let event = json!({
        "metadata": {"name": "hostile", "namespace": namespace},
        "involvedObject": {
            "kind": "Session", "apiVersion": "stream.space/v1alpha1", "name": "desk-2",
            "namespace": namespace, "uid": uid,
        },
        "reason": HOSTILE, "message": format!("{HOSTILE}{ODD} {LAST}"), "type": "Warning", "source": {"component": HOSTILE},
        "firstTimestamp": "2026-05-01T00:00:00Z", "lastTimestamp": "2026-05-01T00:00:00Z", "count": 1,
    });
    events.create(&PostParams::default(), &object(event)).await.unwrap();
    session
}

/// Tells of the session as somebody whose name is no better.
async fn tell(scene: &Scene, session: &v1::Session) {
    let session = v1::resource::Resource::Session(session.clone());
    sqlx::query(
        "INSERT INTO changes (tenant_uid, kind, type, name, actor, resource)
         SELECT tenant_uid, 'session', 'updated', $1, $1, $2 FROM sessions WHERE name = 'desk-2'",
    )
    .bind(HOSTILE)
    .bind(v1::Resource { resource: Some(session) }.encode_to_vec())
    .execute(&scene.region.pool())
    .await
    .unwrap();
}

/// Nothing reached the terminal but what the dashboard itself says to it.
fn is_harmless(screen: &Drawing) {
    let bytes = screen.bytes();
    let count = |part: &[u8]| bytes.windows(part.len()).filter(|window| *window == part).count();
    assert_eq!(count(TITLE), 1, "the title is given once");
    assert_eq!(count(b"\x1b]"), 1, "nothing else is told to the terminal beside the screen");
    assert_eq!(count(b"\x07"), 1, "the only bell is the end of the title");
    for (part, what) in
        [(&b"\x1b[6n"[..], "a question"), (b"\x1bc", "a reset"), (b"\x1bP", "a string")]
    {
        assert_eq!(count(part), 0, "{what}");
    }
    let text = String::from_utf8_lossy(&bytes);
    let acting = text.chars().find(|c| misleads(*c) && !"\u{1b}\u{7}\r\n".contains(*c));
    assert_eq!(acting, None, "it acts on the terminal");
}

/// Where a word begins in a row, in cells.
fn column(screen: &vt100::Screen, y: u16, word: &str) -> Option<u16> {
    let (_, width) = screen.size();
    let cell = |x: u16| screen.cell(y, x).map_or("", vt100::Cell::contents);
    (0..width).find(|x| {
        let rest: String = (*x..width).map(cell).collect();
        !cell(*x).is_empty() && rest.starts_with(word)
    })
}

/// The first row of the screen that has all these words.
fn place(screen: &vt100::Screen, words: &[&str]) -> u16 {
    let (_, width) = screen.size();
    let mut rows = screen.rows(0, width);
    let found = rows.position(|row| words.iter().all(|word| row.contains(word)));
    u16::try_from(found.unwrap_or_else(|| panic!("{words:?}:\n{}", screen.contents()))).unwrap()
}

/// Each row of the table has this word where the heading has its column.
fn stand_in_line(screen: &Drawing, heading: &str, rows: &[(&str, &str)]) {
    let cells = screen.screen();
    let x = column(&cells, place(&cells, &["NAME", heading]), heading).unwrap();
    for (name, word) in rows {
        let found = column(&cells, place(&cells, &[name, word]), word);
        assert_eq!(found, Some(x), "{heading} of {name}:\n{}", screen.text());
    }
}

/// Waits until the end of a page tells something, over however many lines. The end goes
/// further down with each answer of the daemon.
async fn until_told(screen: &mut Drawing, words: &str) {
    within(PATIENCE, "the end of the page tells it", async || {
        screen.press("G");
        let text = screen.text();
        let joined: String = text.split_whitespace().collect();
        holds(joined.contains(words) && joined.contains("CHANGEDsince"), || text)
    })
    .await;
}

#[test]
fn what_would_act_on_the_terminal_is_shown_and_does_nothing() {
    story(async {
        let scene = Scene::on(shared_cluster().await).await;
        started(&scene, &["desk-1", "desk-2", "desk-3"]).await;
        // The contract refuses what acts, and lets through what is only odd.
        let create = ["tenant", "create", "odd-name", "--plan", "free", "--seats", "1"];
        let named =
            |name: &str| [&create[..], &["--display-name", name, "--wait"]].concat().join("\0");
        for (name, code) in [("a\u{1b}]0;owned\u{7}", 2), ("gnp.\u{202e}exe", 2), (ODD, 0)] {
            let line = named(name);
            let line: Vec<&str> = line.split('\0').collect();
            let ran = scene.region.admin().run(&line).await;
            assert_eq!(ran.code == 0, code == 0, "{name:?}: {}", ran.stderr);
        }
        let cordon = ["tenant", "cordon", "odd-name", "--for", "1h", "--reason", ODD];
        scene.ok(&cordon).await;
        let session = poison(&scene).await;

        for (columns, rows) in [(140, 40), (60, 20)] {
            let mut screen = Drawing::start(scene.region.admin(), &["ui"], columns, rows);
            screen.shows(PATIENCE, "● live").await;
            screen.shows(PATIENCE, r"\u{1b}").await;
            screen.press("S");
            screen.shows(PATIENCE, "SESSIONS 3 ").await;
            screen.shows(PATIENCE, "desk-3").await;
            let running = [("desk-1", "running"), ("desk-2", "running"), ("desk-3", "running")];
            stand_in_line(&screen, "PHASE", &running);
            screen.press("/desk-2");
            screen.press(ENTER);
            screen.press(ENTER);
            screen.shows(PATIENCE, r"\u{8}").await;
            // What the daemon is asked of it comes later, and makes the page longer.
            until_told(&mut screen, LAST).await;
            screen.press("t");
            screen.shows(PATIENCE, "TENANTS 2 ").await;
            stand_in_line(&screen, "STATE", &[(TENANT, "active"), ("odd-name", "cordoned")]);
            screen.press("/odd-name");
            screen.press(ENTER);
            screen.press(ENTER);
            until_told(&mut screen, r"\u{9d}").await;
            screen.press("a");
            screen.shows(PATIENCE, "can be").await;
            screen.press(ESCAPE);
            screen.until(PATIENCE, "it is closed", |text| !text.contains("can be")).await;
            // What changes is told as well.
            screen.press("c");
            let name = format!("{ODD} {columns}");
            scene.ok(&["tenant", "set", TENANT, "--display-name", &name]).await;
            screen.shows(PATIENCE, TENANT).await;
            tell(&scene, &session).await;
            screen.shows(PATIENCE, "desk-2").await;
            is_harmless(&screen);
            screen.press("q");
            assert!(screen.ends(PATIENCE).await.success());
        }
    });
}
