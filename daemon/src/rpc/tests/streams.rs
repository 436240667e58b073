//! Open streams end when their caller is no longer who it was, or may no longer.

use std::time::{Duration, Instant};

use http_body::Frame;
use http_body_util::StreamBody;
use streamspace_proto::{
    policy::{Method, methods},
    v1,
};
use tonic::Code;
use tonic_types::StatusExt as _;
use tower::{Layer as _, Service as _, service_fn};

use super::{policy::World, *};
use crate::rpc::Clock;

const WATCH: &str = "streamspace.admin.v1.WatchService/Watch";

/// Opens a stream that never ends by itself, and sends what the other end puts in.
async fn open_stream(
    world: &World,
    peer: &PeerInfo,
) -> (tokio::sync::mpsc::UnboundedSender<Bytes>, Body) {
    let (messages, source) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let source = Arc::new(Mutex::new(Some(source)));
    let handler = service_fn(move |_: Request<Body>| {
        let source = source.lock().unwrap().take().unwrap();
        let frames = futures::stream::unfold(source, |mut source| async move {
            let message = source.recv().await?;
            Some((Ok::<_, Status>(Frame::data(message)), source))
        });
        let body = Body::new(StreamBody::new(frames));
        async move { Ok::<_, Infallible>(Response::new(body)) }
    });
    let mut service = world.layer.layer(handler);
    let response = service.call(request(WATCH, peer, framed(&()))).await.unwrap();
    (messages, response.into_body())
}

async fn next_data(body: &mut Body) -> Bytes {
    body.frame().await.unwrap().unwrap().into_data().unwrap()
}

/// The status that a stream ends with; nothing follows it.
async fn end_of(body: &mut Body) -> Status {
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert!(body.frame().await.is_none(), "nothing follows");
    Status::from_header_map(&trailers).unwrap()
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

async fn end_reason(body: &mut Body) -> String {
    let status = end_of(body).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    reason(&status)
}

#[tokio::test]
async fn a_revocation_ends_an_open_stream_before_its_next_message() {
    let world = World::new();
    let (issued, _) = world.region.client("viewer", &[]);
    let peer = connection(vec![issued.certificate.clone()]);
    let (messages, mut body) = open_stream(&world, &peer).await;
    messages.send(Bytes::from_static(b"first")).unwrap();
    assert_eq!(next_data(&mut body).await, "first");
    world.status.revoke(&issued.serial);
    messages.send(Bytes::from_static(b"second")).unwrap();
    assert_eq!(end_reason(&mut body).await, "CERTIFICATE_REVOKED");
    assert!(messages.is_closed(), "the source of the stream is gone too");
}

/// Waits on a stream until nothing but a change or the time can wake it, then changes
/// something, and tells how it ended.
async fn end_of_silence(mut body: Body, change: impl FnOnce()) -> Status {
    let (asleep, falls_asleep) = tokio::sync::oneshot::channel();
    let ended = tokio::spawn(async move {
        let mut asleep = Some(asleep);
        let mut end = std::pin::pin!(end_of(&mut body));
        std::future::poll_fn(|context| {
            let polled = end.as_mut().poll(context);
            if let Some(asleep) = asleep.take() {
                asleep.send(polled.is_pending()).unwrap();
            }
            polled
        })
        .await
    });
    assert!(falls_asleep.await.unwrap(), "it is open");
    change();
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
    ended.expect("nothing was sent on it").unwrap()
}

#[tokio::test]
async fn a_revocation_ends_a_silent_stream_at_once() {
    let world = World::new();
    let (issued, _) = world.region.client("viewer", &[]);
    let peer = connection(vec![issued.certificate.clone()]);
    let (_messages, body) = open_stream(&world, &peer).await;
    let begin = Instant::now();
    let end = end_of_silence(body, || world.status.revoke(&issued.serial)).await;
    assert_eq!(reason(&end), "CERTIFICATE_REVOKED");
    // It is woken; a look each second or less would be slower on the average.
    assert!(begin.elapsed() < Duration::from_millis(400), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_lock_ends_every_stream_of_a_person() {
    let world = World::new();
    let mut bodies = Vec::new();
    for role in ["viewer", "admin"] {
        bodies.push(open_stream(&world, &world.peer(role)).await);
    }
    world.status.lock("ada");
    for (messages, mut body) in bodies {
        let end = end_of(&mut body).await;
        assert_eq!(
            (end.code(), reason(&end).as_str()),
            (Code::PermissionDenied, "OPERATOR_LOCKED")
        );
        assert!(messages.is_closed());
    }
}

/// The contract, with a watch that only an admin may open.
fn with_watch_for_admins() -> Vec<Method> {
    let mut methods = methods();
    for method in methods.iter_mut().filter(|method| method.path == WATCH) {
        method.policy.least_role = v1::Role::Admin.into();
    }
    methods
}

/// The moment of the tests, going on.
fn running_clock() -> Clock {
    let begin = Instant::now();
    Arc::new(move || now() + SignedDuration::try_from(begin.elapsed()).unwrap())
}

#[tokio::test]
async fn a_stream_that_a_grant_opened_ends_with_the_grant() {
    let world = World::with(with_watch_for_admins(), running_clock());
    let operator = world.peer("operator");
    world.status.grant("ada", now() + hours(1));
    let (_messages, body) = open_stream(&world, &operator).await;
    let end = end_of_silence(body, || world.status.end_grants()).await;
    assert_eq!((end.code(), reason(&end).as_str()), (Code::PermissionDenied, "ROLE_TOO_LOW"));
}

#[tokio::test]
async fn a_grant_whose_time_is_over_ends_its_streams_by_itself() {
    let world = World::with(with_watch_for_admins(), running_clock());
    let operator = world.peer("operator");
    world.status.grant("ada", now() + SignedDuration::from_millis(1500));
    let (_messages, body) = open_stream(&world, &operator).await;
    let end = end_of_silence(body, || ()).await;
    assert_eq!(reason(&end), "ROLE_TOO_LOW");
}

#[tokio::test]
async fn a_stream_that_needs_no_grant_outlives_it() {
    let world = World::new();
    world.status.grant("ada", now() + hours(1));
    let (messages, mut body) = open_stream(&world, &world.peer("operator")).await;
    world.status.end_grants();
    messages.send(Bytes::from_static(b"still here")).unwrap();
    assert_eq!(next_data(&mut body).await, "still here");
}

#[tokio::test]
async fn a_certificate_whose_time_is_over_ends_a_silent_stream() {
    let world = World::with_clock(running_clock());
    let (_key, request) = key();
    let grant = Grant { operator: "ada".into(), role: Role::Viewer, tenants: Vec::new() };
    let times = (now() - hours(1), now() + SignedDuration::from_secs(2));
    let issued = world.region.authority.issue(&request, Kind::Client, &grant, times.0, times.1);
    let peer = connection(vec![issued.unwrap().certificate]);
    let (_messages, body) = open_stream(&world, &peer).await;
    let end = end_of_silence(body, || ()).await;
    assert_eq!(reason(&end), "CERTIFICATE_EXPIRED");
}

#[tokio::test]
async fn a_stream_does_not_outlive_its_certificate() {
    let time = Arc::new(Mutex::new(now()));
    let clock: Clock = {
        let time = time.clone();
        Arc::new(move || *time.lock().unwrap())
    };
    let world = World::with_clock(clock);
    let peer = world.peer("viewer");
    let (_messages, mut body) = open_stream(&world, &peer).await;
    *time.lock().unwrap() = now() + hours(13);
    assert_eq!(end_reason(&mut body).await, "CERTIFICATE_EXPIRED");
}
