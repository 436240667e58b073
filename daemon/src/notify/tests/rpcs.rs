//! The service.

use super::*;

#[tokio::test]
async fn notices_are_listed_in_pages_the_newest_first() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let channels = world.channels(&hook(&receiver));
    for key in ["a", "b", "c"] {
        world.enqueue("", &notice(key, Action::Trigger, &["hook"])).await;
    }
    let service = world.service(&channels);
    let list = async |state: v1::NoticeState, page_token: String| {
        let state = state.into();
        let request = v1::ListNoticesRequest { state, page_size: 2, page_token };
        service.list(&kim(), &request).await
    };
    let all = v1::NoticeState::Unspecified;
    let first = list(all, String::new()).await.unwrap();
    let second = list(all, first.next_page_token.clone()).await.unwrap();
    let keys: Vec<_> =
        first.notices.iter().chain(&second.notices).map(|it| it.dedup_key.as_str()).collect();
    assert_eq!(keys, ["c", "b", "a"]);
    assert_eq!(second.next_page_token, "");
    let sent = list(v1::NoticeState::Sent, String::new()).await.unwrap();
    assert!(sent.notices.is_empty());
    let wrong = list(v1::NoticeState::Sent, first.next_page_token).await;
    assert!(matches!(wrong, Err(RpcError::Invalid(_))), "{wrong:?}");
}

#[tokio::test]
async fn a_channel_is_tried_and_shows_how_it_is() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let channels = world.channels(&hook(&receiver));
    let service = world.service(&channels);
    let test = v1::TestChannelRequest { name: "channels/hook".into(), ..Default::default() };
    let dry = v1::TestChannelRequest { validate_only: true, ..test.clone() };
    assert_eq!(service.test(&kim(), &dry).await.unwrap().action, "test");
    assert_eq!(world.rows().await.len(), 0, "a preview keeps nothing");
    let once =
        v1::TestChannelRequest { request_id: uuid::Uuid::new_v4().to_string(), ..test.clone() };
    let first = service.test(&kim(), &once).await.unwrap();
    assert_eq!(service.test(&kim(), &once).await.unwrap().name, first.name);
    assert_eq!(world.rows().await.len(), 1);
    receiver.next([Manner::status(500)]);
    let sender = world.sender(&channels);
    sender.round(&world.leadership, "hook").await;
    let shown = async || {
        let request = v1::ListChannelsRequest {};
        service.list_channels(&kim(), &request).await.unwrap().channels.remove(0)
    };
    let channel = shown().await;
    assert_eq!(
        (channel.kind.as_str(), channel.purposes.as_slice()),
        ("webhook", &["page".to_owned()][..])
    );
    assert_eq!((channel.waiting_count, channel.last_success_time), (1, None));
    assert!(channel.last_error.contains("500"), "{}", channel.last_error);
    world.wait_is_over().await;
    sender.round(&world.leadership, "hook").await;
    let channel = shown().await;
    assert!(channel.waiting_count == 0 && channel.last_success_time.is_some());
    for (name, is) in [("channels/none", "NotFound"), ("hook", "Invalid")] {
        let request = v1::TestChannelRequest { name: name.into(), ..Default::default() };
        let error = service.test(&kim(), &request).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(is), "{error:?}");
    }
}

#[tokio::test]
async fn what_was_refused_is_sent_once_more_unless_it_is_over() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let channels = world.channels(&hook(&receiver));
    let (service, sender) = (world.service(&channels), world.sender(&channels));
    for key in ["a", "b"] {
        world.enqueue("", &notice(key, Action::Trigger, &["hook"])).await;
        receiver.next([Manner::status(400)]);
        sender.round(&world.leadership, "hook").await;
    }
    world.enqueue("", &notice("b", Action::Resolve, &["hook"])).await;
    sender.round(&world.leadership, "hook").await;
    let rows = world.rows().await;
    let retry = async |row: &store::Record, validate_only: bool| {
        let name = format!("notices/{}", row.uid);
        let request = v1::RetryNoticeRequest { name, validate_only, ..Default::default() };
        service.retry(&kim(), &request).await
    };
    let reason = |result: Result<v1::Notice, RpcError>| match result {
        Err(RpcError::Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(retry(&rows[1], false).await), "NOTICE_OVER");
    assert_eq!(reason(retry(&rows[2], false).await), "NOTICE_NOT_REFUSED");
    assert_eq!(retry(&rows[0], true).await.unwrap().state(), v1::NoticeState::Waiting);
    assert_eq!(world.rows().await[0].state, NoticeState::Refused, "a preview changes nothing");
    assert_eq!(retry(&rows[0], false).await.unwrap().state(), v1::NoticeState::Waiting);
    assert_eq!(sender.round(&world.leadership, "hook").await, 1);
    assert_eq!(world.rows().await[0].state, NoticeState::Sent);
    let none = v1::RetryNoticeRequest { name: "notices/x".into(), ..Default::default() };
    assert!(matches!(service.retry(&kim(), &none).await, Err(RpcError::Invalid(_))));
}
