//! A leader is killed between any two steps; nothing is lost, and what comes twice has the
//! same key.

use super::*;

#[tokio::test]
async fn who_is_killed_before_the_claim_leaves_it_to_the_next() {
    let mut world = World::start().await;
    let receiver = Receiver::start().await;
    let sender = world.sender(&world.channels(&hook(&receiver)));
    world.enqueue("", &notice("a", Action::Trigger, &["hook"])).await;
    let before = world.leadership.clone();
    world.next_leader().await;
    assert_eq!(sender.round(&before, "hook").await, 0, "it leads no more");
    assert_eq!(sender.round(&world.leadership, "hook").await, 1);
    assert_eq!((world.states().await, receiver.got().len()), (vec![NoticeState::Sent], 1));
}

#[tokio::test]
async fn who_is_killed_between_claim_and_send_leaves_it_to_the_next() {
    let mut world = World::start().await;
    let receiver = Receiver::start().await;
    let sender = world.sender(&world.channels(&hook(&receiver)));
    world.enqueue("", &notice("a", Action::Trigger, &["hook"])).await;
    let claimed = sender.claim(&world.leadership, "hook", 8).await.unwrap();
    assert_eq!(claimed.len(), 1);
    drop(claimed);
    assert_eq!(sender.round(&world.leadership, "hook").await, 0, "somebody has it");
    world.next_leader().await;
    assert_eq!(sender.round(&world.leadership, "hook").await, 1, "the next need not wait");
    let row = world.rows().await.remove(0);
    assert_eq!((row.state, row.attempts, receiver.got().len()), (NoticeState::Sent, 2, 1));
}

#[tokio::test]
async fn who_is_killed_between_send_and_note_leaves_it_to_be_sent_again_under_its_key() {
    let mut world = World::start().await;
    let receiver = Receiver::start().await;
    let sender = world.sender(&world.channels(&hook(&receiver)));
    world.enqueue("", &notice("a", Action::Trigger, &["hook"])).await;
    let claimed = sender.claim(&world.leadership, "hook", 8).await.unwrap();
    let told = sender.send(&claimed[0]).await.unwrap();
    assert_eq!(told.state, NoticeState::Sent);
    world.next_leader().await;
    receiver.next([Manner::status(500)]);
    sender.round(&world.leadership, "hook").await;
    // The leader before wakes up late: its news are of a try that is not the last.
    sender.note(&claimed[0], &told).await.unwrap();
    assert_eq!(world.states().await, [NoticeState::Waiting]);
    world.wait_is_over().await;
    sender.round(&world.leadership, "hook").await;
    assert_eq!(world.states().await, [NoticeState::Sent]);
    let got = receiver.got();
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|got| got.headers["idempotency-key"] == "a/trigger"));
}
