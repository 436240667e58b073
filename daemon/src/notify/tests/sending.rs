//! What waits is sent in its order, and tried again or not by what the receiver says.

use super::*;

/// How long the only notice that waits still does, in seconds.
async fn wait(world: &World) -> f64 {
    let row = sqlx::query(
        "SELECT extract(epoch FROM next_time - now())::float8 FROM notify_outbox \
         WHERE state = 'waiting'",
    );
    row.fetch_one(world.test.database().operator()).await.unwrap().get(0)
}

#[tokio::test]
async fn each_answer_has_its_end() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let sender = world.sender(&world.channels(&hook(&receiver)));
    world.enqueue("", &notice("a", Action::Trigger, &["hook"])).await;
    let busy = Manner::Answers(429, Some("30"), "slowly\u{1b}[2J".into());
    receiver.next([busy, Manner::status(500), Manner::Hangs, Manner::Closes, Manner::status(202)]);
    let mut problems = Vec::new();
    for attempt in 1..=4 {
        assert_eq!(sender.round(&world.leadership, "hook").await, 1);
        let row = world.rows().await.remove(0);
        assert_eq!((row.state, row.attempts), (NoticeState::Waiting, attempt));
        if attempt == 1 {
            let wait = wait(&world).await;
            assert!((25.0..=30.0).contains(&wait), "{wait}");
        }
        assert_eq!(sender.round(&world.leadership, "hook").await, 0, "it is not its time");
        problems.push(row.problem);
        world.wait_is_over().await;
    }
    for (problem, words) in problems.iter().zip([
        "429 Too Many Requests: slowly\\u{1b}[2J",
        "500 Internal Server Error",
        "did not answer within 0.4 s",
        "answer",
    ]) {
        assert!(problem.contains(words), "{problem}");
    }
    sender.round(&world.leadership, "hook").await;
    let row = world.rows().await.remove(0);
    assert_eq!((row.state, row.attempts, row.problem.as_str()), (NoticeState::Sent, 5, ""));
    let got = receiver.got();
    let keys: Vec<_> = got.iter().map(|got| got.headers["idempotency-key"].as_str()).collect();
    assert_eq!(keys, ["a/trigger"; 5], "it is the same each time");
    assert!(got.windows(2).all(|pair| pair[0].text == pair[1].text));
}

#[tokio::test]
async fn what_is_refused_is_not_sent_again_and_holds_up_nothing() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let sender = world.sender(&world.channels(&hook(&receiver)));
    world.enqueue("", &notice("a", Action::Trigger, &["hook"])).await;
    world.enqueue("", &notice("a", Action::Resolve, &["hook"])).await;
    receiver.next([Manner::Answers(400, None, "no such key".into())]);
    sender.round(&world.leadership, "hook").await;
    world.wait_is_over().await;
    sender.round(&world.leadership, "hook").await;
    assert_eq!(world.states().await, [NoticeState::Refused, NoticeState::Sent]);
    assert_eq!(sender.round(&world.leadership, "hook").await, 0);
    let refused = world.rows().await.remove(0);
    assert!(refused.problem.contains("400 Bad Request: no such key"), "{}", refused.problem);
    let actions: Vec<_> = receiver
        .got()
        .iter()
        .map(|got| got.json()["action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(actions, ["trigger", "resolve"]);
}

#[tokio::test]
async fn within_a_key_the_order_holds_and_keys_do_not_wait_for_each_other() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let sender = world.sender(&world.channels(&hook(&receiver)));
    world.enqueue("", &notice("a", Action::Trigger, &["hook"])).await;
    world.enqueue("", &notice("a", Action::Resolve, &["hook"])).await;
    receiver.next([Manner::status(503)]);
    assert_eq!(sender.round(&world.leadership, "hook").await, 1, "the first alone");
    world.enqueue("", &notice("b", Action::Trigger, &["hook"])).await;
    assert_eq!(sender.round(&world.leadership, "hook").await, 1, "of the other key");
    assert_eq!(
        world.states().await,
        [NoticeState::Waiting, NoticeState::Waiting, NoticeState::Sent]
    );
    world.wait_is_over().await;
    sender.round(&world.leadership, "hook").await;
    sender.round(&world.leadership, "hook").await;
    assert_eq!(world.states().await, [NoticeState::Sent; 3]);
    let got = receiver.got();
    let told: Vec<_> = got.iter().map(|got| got.headers["idempotency-key"].as_str()).collect();
    assert_eq!(told, ["a/trigger", "b/trigger", "a/trigger", "a/resolve"]);
}

#[tokio::test]
async fn the_same_is_kept_once_and_steps_tell_apart() {
    let world = World::start().await;
    let again = notice("a", Action::Trigger, &["hook", "other"]);
    for step in ["level-1", "level-1", "level-2"] {
        world.enqueue(step, &again).await;
    }
    let rows = world.rows().await;
    let kept: Vec<_> = rows.iter().map(|row| (row.channel.as_str(), row.step.as_str())).collect();
    assert_eq!(
        kept,
        [("hook", "level-1"), ("other", "level-1"), ("hook", "level-2"), ("other", "level-2")]
    );
    // Who does not commit has kept nothing.
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    enqueue(&mut tx, "level-3", &again).await.unwrap();
    drop(tx);
    assert_eq!(world.rows().await.len(), 4);
}

#[tokio::test]
async fn what_no_channel_takes_is_refused_and_says_so() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let sender = world.sender(&world.channels(&hook(&receiver)));
    world.enqueue("", &notice("a", Action::Trigger, &["nobody", "hook"])).await;
    sender.keep_once(&world.leadership, true).await.unwrap();
    let rows = world.rows().await;
    assert_eq!((rows[0].state, rows[1].state), (NoticeState::Refused, NoticeState::Waiting));
    assert_eq!(
        rows[0].problem,
        "no channel nobody is configured: name it as notify.channels.nobody, then retry the notice"
    );
}

#[tokio::test]
async fn what_was_settled_long_ago_goes() {
    let world = World::start().await;
    let sender = world.sender(&Channels::default());
    world.enqueue("", &notice("a", Action::Trigger, &["x", "y", "z"])).await;
    for (channel, state, days) in [("x", "sent", 31), ("y", "sent", 29), ("z", "refused", 31)] {
        sqlx::query(
            "UPDATE notify_outbox SET state = $2, \
             settle_time = now() - make_interval(days => $3) WHERE channel = $1",
        )
        .bind(channel)
        .bind(state)
        .bind(days)
        .execute(world.test.database().operator())
        .await
        .unwrap();
    }
    sender.keep_once(&world.leadership, true).await.unwrap();
    let rows = world.rows().await;
    let left: Vec<_> = rows.iter().map(|row| row.channel.as_str()).collect();
    assert_eq!(left, ["y", "z"]);
}

/// The loop itself: one channel hangs, the other sends at once, and both stop.
#[tokio::test]
async fn a_channel_that_hangs_holds_up_no_other() {
    let world = World::start().await;
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    slow.next(std::iter::repeat_n(Manner::Hangs, 100));
    let text = format!(
        "{}[channels.slow]\nkind = 'webhook'\nfor = ['page']\nurl = '{}'\n",
        hook(&quick),
        slow.url()
    );
    let config: NotifyConfig = toml::from_str(&text).unwrap();
    let channels = Channels::within(&config, Duration::from_mins(1)).unwrap();
    let sender = world.sender(&channels);
    let (leads, leadership) = tokio::sync::watch::channel(world.leadership.clone());
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(sender.run(leadership, stop.clone()));
    for key in ["a", "b", "c"] {
        world.enqueue("", &notice(key, Action::Trigger, &["slow", "hook"])).await;
    }
    until(async || quick.got().len() == 3 && slow.got().len() == 3).await;
    until(async || {
        let rows = world.rows().await;
        rows.iter().filter(|row| row.state == NoticeState::Sent).count() == 3
    })
    .await;
    // Who leads no more sends no more.
    leads.send(Leadership { leads: false, ..world.leadership.clone() }).unwrap();
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
}

/// Waits until something holds.
pub(super) async fn until(holds: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "it does not come to that");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
