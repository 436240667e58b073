//! What each kind of receiver gets.

use serde_json::json;

use super::*;
use crate::notify::{PublicState, StatusUpdate};

#[tokio::test]
async fn pagerduty_gets_events_of_one_key() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let text = format!(
        "[channels.pd]\nkind = 'pagerduty'\nfor = ['page']\nurl = '{}/v2/enqueue'\n\
         routing_key_file = 'SECRET'",
        receiver.url()
    );
    let sender = world.sender(&world.channels(&text));
    for action in [Action::Trigger, Action::Acknowledge, Action::Resolve, Action::Test] {
        world.enqueue("", &notice("a", action, &["pd"])).await;
        sender.round(&world.leadership, "pd").await;
    }
    world.enqueue("", &notice("a", Action::Publish, &["pd"])).await;
    sender.round(&world.leadership, "pd").await;
    let got = receiver.got();
    assert!(got.iter().all(|got| got.path == "/v2/enqueue" && got.method == "POST"));
    let trigger = got[0].json();
    let created = trigger["payload"]["timestamp"].clone();
    assert!(created.as_str().unwrap().parse::<Timestamp>().is_ok());
    assert_eq!(
        trigger,
        json!({
            "routing_key": "0123456789abcdef",
            "event_action": "trigger",
            "dedup_key": "a",
            "client": "StreamSpace",
            "links": [{ "href": "https://runbooks.example.com/slo-burn.md", "text": "More" }],
            "payload": {
                "summary": "it burns", "source": "regions/us-west-2", "severity": "critical",
                "timestamp": created, "custom_details": { "budget left": "12 %" },
            },
        })
    );
    let actions: Vec<_> = got[1..].iter().map(|got| got.json()["event_action"].clone()).collect();
    assert_eq!(actions, ["acknowledge", "resolve", "resolve"], "a test pages nobody");
    let last = world.rows().await.pop().unwrap();
    assert_eq!(last.state, NoticeState::Refused);
    assert_eq!(last.problem, "a channel of kind pagerduty takes no publish");
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_waited_for() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let text = format!("{}secret_file = 'SECRET'\ntoken_file = 'SECRET'", hook(&receiver));
    let sender = world.sender(&world.channels(&text));
    std::fs::remove_file(world.secret()).unwrap();
    world.enqueue("", &notice("a", Action::Trigger, &["hook"])).await;
    sender.round(&world.leadership, "hook").await;
    let row = world.rows().await.remove(0);
    assert_eq!((row.state, receiver.got().len()), (NoticeState::Waiting, 0));
    assert!(row.problem.contains("No such file"), "{}", row.problem);
    std::fs::write(world.secret(), "another").unwrap();
    world.wait_is_over().await;
    sender.round(&world.leadership, "hook").await;
    assert_eq!(world.states().await, [NoticeState::Sent]);
    let got = receiver.got().remove(0);
    assert_eq!(got.headers["authorization"], "Bearer another");
    let signature = &got.headers["streamspace-signature"];
    let (seconds, tag) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"another");
    let tag: Vec<u8> = (0..tag.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&tag[at..at + 2], 16).unwrap())
        .collect();
    let signed = format!("{seconds}.{}", got.text);
    aws_lc_rs::hmac::verify(&key, signed.as_bytes(), &tag).unwrap();
}

fn publish(state: PublicState, body: &str) -> Notice {
    let mut notice = notice("a", Action::Publish, &["page"]);
    notice.message.status = Some(StatusUpdate {
        title: "Sessions do not start".into(),
        body: body.into(),
        state,
        components: vec!["c1".into()],
    });
    notice
}

#[tokio::test]
async fn a_status_page_gets_one_incident_whatever_is_killed() {
    let mut world = World::start().await;
    let receiver = Receiver::start().await;
    let text = format!(
        "[channels.page]\nkind = 'statuspage'\nfor = ['public']\nurl = '{}'\npage = 'p1'\n\
         token_file = 'SECRET'",
        receiver.url()
    );
    let sender = world.sender(&world.channels(&text));
    world.enqueue("1", &publish(PublicState::Investigating, "we look")).await;
    // It is made, and the leader is killed before that is noted.
    let none = || Manner::json(&json!([]));
    let there = |step: &str| {
        let metadata = json!({ "streamspace": { "dedup_key": "a", "step": step } });
        json!({ "id": "i1", "metadata": metadata })
    };
    receiver.next([none(), none(), Manner::Answers(201, None, there("1").to_string())]);
    let claimed = sender.claim(&world.leadership, "page", 8).await.unwrap();
    sender.send(&claimed[0]).await.unwrap();
    let made = receiver.got().pop().unwrap();
    assert_eq!((made.method.as_str(), made.path.as_str()), ("POST", "/v1/pages/p1/incidents"));
    assert_eq!(made.headers["authorization"], "OAuth 0123456789abcdef");
    assert_eq!(
        made.json()["incident"],
        json!({
            "name": "Sessions do not start", "status": "investigating", "body": "we look",
            "component_ids": ["c1"],
            "metadata": { "streamspace": { "dedup_key": "a", "step": "1" } },
        })
    );
    // The next one finds it, and makes no other.
    world.next_leader().await;
    let other = json!({ "id": "i0", "metadata": {} });
    receiver.next([Manner::json(&json!([other, there("1")]))]);
    sender.round(&world.leadership, "page").await;
    assert_eq!(world.states().await, [NoticeState::Sent]);
    assert_eq!(receiver.got().iter().filter(|got| got.method == "POST").count(), 1);
    // An update goes to the same one; sent again it is told once.
    world.enqueue("2", &publish(PublicState::Resolved, "it works")).await;
    receiver.next([Manner::json(&there("1")), Manner::Closes, Manner::json(&there("2"))]);
    sender.round(&world.leadership, "page").await;
    let patch = receiver.got().pop().unwrap();
    assert_eq!(
        (patch.method.as_str(), patch.path.as_str()),
        ("PATCH", "/v1/pages/p1/incidents/i1")
    );
    assert_eq!(patch.json()["incident"]["status"], "resolved");
    world.wait_is_over().await;
    sender.round(&world.leadership, "page").await;
    assert_eq!(world.states().await, [NoticeState::Sent; 2]);
    assert_eq!(receiver.got().iter().filter(|got| got.method == "PATCH").count(), 1);
    // Planned work without its times cannot be told.
    let mut planned = publish(PublicState::Scheduled, "we change disks");
    planned.dedup_key = "b".into();
    receiver.next([none(), none()]);
    world.enqueue("1", &planned).await;
    sender.round(&world.leadership, "page").await;
    let row = world.rows().await.pop().unwrap();
    assert_eq!(row.state, NoticeState::Refused);
    assert!(row.problem.contains("its beginning and its end"), "{}", row.problem);
}
