//! Intent, handler, outcome: in this order, whatever happens.

use std::time::Duration;

use streamspace_proto::v1::{CreateTenantRequest, DeleteTenantRequest};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tonic::Code;
use tower::{Layer as _, Service as _, ServiceBuilder, ServiceExt as _, service_fn};

use super::*;
use crate::rpc::{
    Caller,
    audit::{AuditLayer, AuditedResource, Ending, MUTATION_DEADLINE},
    peer::PeerJudge,
    policy::PolicyLayer,
    status::refuse,
};

const CREATE: &str = "streamspace.admin.v1.TenantService/CreateTenant";
const DELETE: &str = "streamspace.admin.v1.TenantService/DeleteTenant";
const LIST: &str = "streamspace.admin.v1.TenantService/ListTenants";

struct World {
    policy: PolicyLayer,
    sink: Arc<MemorySink>,
    calls: TaskTracker,
    admin: PeerInfo,
    deadline: Duration,
}

impl World {
    fn new() -> Self {
        let region = Region::new();
        let sink = Arc::<MemorySink>::default();
        let bundle = region.authority.trust_bundle().unwrap();
        let judge = PeerJudge::new(bundle, Arc::<KnownStatus>::default());
        let methods = streamspace_proto::policy::methods();
        let policy = PolicyLayer::new(methods, Arc::new(judge), sink.clone(), Arc::new(now));
        let admin = connection(vec![region.client("admin", &[]).0.certificate]);
        Self { policy, sink, calls: TaskTracker::new(), admin, deadline: MUTATION_DEADLINE }
    }

    async fn call<H, F>(&self, path: &str, body: Body, handler: H) -> Response<Body>
    where
        H: Fn(Request<Body>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let sink = self.sink.clone();
        let audit = AuditLayer::with_deadline(self.sink.clone(), self.calls.clone(), self.deadline);
        let handler = service_fn(move |request| {
            sink.note(Event::Handler);
            let answer = handler(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let service =
            ServiceBuilder::new().layer(self.policy.clone()).layer(audit).service(handler);
        service.oneshot(request(path, &self.admin, body)).await.unwrap()
    }
}

fn create() -> Body {
    framed(&CreateTenantRequest {
        tenant_id: "acme".into(),
        reason: "a new customer".into(),
        ..Default::default()
    })
}

#[tokio::test]
async fn the_intent_comes_before_the_handler_and_the_outcome_before_the_answer() {
    let world = World::new();
    let response = world.call(CREATE, create(), |_| async { well() }).await;
    let events = world.sink.events();
    let [Event::Intent(intent), Event::Handler, Event::Outcome(record, outcome)] =
        events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(intent, record);
    assert_eq!(
        (intent.actor.as_str(), intent.role.as_str(), intent.method.as_str()),
        ("ada", "admin", CREATE)
    );
    assert_eq!(
        (intent.resource.as_str(), intent.reason.as_str()),
        ("tenants/acme", "a new customer")
    );
    assert_eq!(intent.rule, "least-role");
    assert_eq!((outcome.ending, outcome.code), (Ending::Succeeded, 0));
    let (status, message) = read(response).await;
    assert_eq!(status.code(), Code::Ok);
    assert_eq!(message, &b"\0\0\0\0\0"[..], "message and trailers arrive whole");
}

#[tokio::test]
async fn without_the_log_nothing_changes_and_reads_go_on() {
    let world = World::new();
    world.sink.refuses_intents.store(true, Ordering::SeqCst);
    let response = world.call(CREATE, create(), |_| async { well() }).await;
    let (status, _) = read(response).await;
    assert_eq!(status.code(), Code::Unavailable);
    let reason =
        tonic_types::StatusExt::get_error_details(&status).error_info().unwrap().reason.clone();
    assert_eq!(reason, "AUDIT_UNAVAILABLE");
    assert_eq!(world.sink.events(), [], "the handler was not called");

    let response = world.call(LIST, framed(&()), |_| async { well() }).await;
    assert_eq!(read(response).await.0.code(), Code::Ok);
    let preview = framed(&CreateTenantRequest { validate_only: true, ..Default::default() });
    let response = world.call(CREATE, preview, |_| async { well() }).await;
    assert_eq!(read(response).await.0.code(), Code::Ok);
    assert_eq!(world.sink.events(), [Event::Handler, Event::Handler], "neither is audited");
}

#[tokio::test]
async fn endings_follow_the_status() {
    for (code, ending) in [
        (Code::Ok, Ending::Succeeded),
        (Code::InvalidArgument, Ending::Failed),
        (Code::Aborted, Ending::Failed),
        (Code::Unavailable, Ending::Unknown),
        (Code::Internal, Ending::Unknown),
    ] {
        let world = World::new();
        let status = Status::new(code, "so it ended");
        let response = world
            .call(CREATE, create(), move |_| {
                let status = status.clone();
                async move {
                    if code == Code::Ok { well() } else { crate::rpc::status::refuse(&status) }
                }
            })
            .await;
        assert_eq!(read(response).await.0.code(), code);
        let events = world.sink.events();
        let Some(Event::Outcome(_, outcome)) = events.last() else { panic!("{events:?}") };
        assert_eq!((outcome.ending, outcome.code), (ending, i32::from(code)));
    }
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_the_handler() {
    let world = World::new();
    let (release, held) = oneshot::channel::<()>();
    let held = Arc::new(Mutex::new(Some(held)));
    let call = world.call(CREATE, create(), move |_| {
        let held = held.lock().unwrap().take().unwrap();
        async move {
            held.await.unwrap();
            well()
        }
    });
    {
        let mut call = Box::pin(call);
        let started = world.sink.until(|events| events.contains(&Event::Handler));
        tokio::select! {
            _ = &mut call => panic!("the handler is held"),
            _ = started => {}
        }
        // The client goes away here.
    }
    assert!(!world.sink.events().iter().any(|e| matches!(e, Event::Outcome(..))));
    release.send(()).unwrap();
    let events = world.sink.until(|events| events.len() == 3).await;
    let Some(Event::Outcome(_, outcome)) = events.last() else { panic!("{events:?}") };
    assert_eq!(outcome.ending, Ending::Succeeded);
    world.calls.close();
    world.calls.wait().await;
}

#[tokio::test]
async fn a_handler_that_takes_too_long_ends_as_unknown() {
    let mut world = World::new();
    world.deadline = Duration::from_millis(50);
    let response = world
        .call(
            DELETE,
            framed(&DeleteTenantRequest { reason: "x".into(), ..Default::default() }),
            |_| std::future::pending(),
        )
        .await;
    assert_eq!(read(response).await.0.code(), Code::DeadlineExceeded);
    let events = world.sink.events();
    let Some(Event::Outcome(_, outcome)) = events.last() else { panic!("{events:?}") };
    assert_eq!((outcome.ending, outcome.code), (Ending::Unknown, 4));
}

#[tokio::test]
async fn a_handler_that_panics_ends_as_unknown() {
    let world = World::new();
    let response = world.call(CREATE, create(), |_| async { panic!("a defect, on purpose") }).await;
    assert_eq!(read(response).await.0.code(), Code::Internal);
    let events = world.sink.events();
    let Some(Event::Outcome(_, outcome)) = events.last() else { panic!("{events:?}") };
    assert_eq!(outcome.ending, Ending::Unknown);
    assert!(!outcome.message.contains("purpose"), "{outcome:?}");
}

#[tokio::test]
async fn an_outcome_that_cannot_be_written_follows_later() {
    let world = World::new();
    world.sink.refused_outcomes.store(2, Ordering::SeqCst);
    let response = world.call(CREATE, create(), |_| async { well() }).await;
    assert_eq!(read(response).await.0.code(), Code::Ok, "the answer does not wait for it");
    let events = world.sink.until(|events| events.len() == 3).await;
    assert!(matches!(events.last(), Some(Event::Outcome(..))), "{events:?}");
    assert_eq!(world.sink.refused_outcomes.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_handler_can_name_what_the_call_was_about() {
    let world = World::new();
    let response = world
        .call(CREATE, create(), |_| async {
            let mut response = well();
            response.extensions_mut().insert(AuditedResource("operators/grace".into()));
            response
        })
        .await;
    drop(response);
    let events = world.sink.events();
    let Some(Event::Outcome(record, _)) = events.last() else { panic!("{events:?}") };
    assert_eq!(record.resource, "operators/grace");
}

#[tokio::test]
async fn nothing_passes_without_the_policy_layer_in_front() {
    let sink = Arc::<MemorySink>::default();
    let layer = AuditLayer::new(sink.clone(), TaskTracker::new());
    let handler = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(well()) });
    let peer = connection(Vec::new());
    let response = layer.layer(handler).call(request(CREATE, &peer, create())).await.unwrap();
    assert_eq!(read(response).await.0.code(), Code::Internal);
    assert_eq!(sink.events(), []);
}

#[tokio::test]
async fn the_outcome_names_the_approval_that_was_used_and_none_that_was_rolled_back() {
    let world = World::new();
    let uses = |answer: fn() -> Response<Body>| {
        move |request: Request<Body>| {
            let caller = request.extensions().get::<Caller>().unwrap();
            caller.notes.approved_by("approvals/7");
            async move { answer() }
        }
    };
    world.call(CREATE, create(), uses(well)).await;
    let refuses = || refuse(&Status::failed_precondition("the etag is another one"));
    world.call(CREATE, create(), uses(refuses)).await;
    let outcomes: Vec<String> = world
        .sink
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Outcome(record, _) => Some(record.rule),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes, ["least-role; approvals/7", "least-role"]);
}

#[tokio::test]
async fn an_incident_and_a_summary_are_in_the_log_and_a_wrong_incident_is_refused() {
    let world = World::new();
    let named = |incident: &str| {
        let mut request = request(CREATE, &world.admin, create());
        let incident = http::HeaderValue::from_bytes(incident.as_bytes()).unwrap();
        request.headers_mut().insert("streamspace-incident", incident);
        request
    };
    let send = async |request: Request<Body>| {
        let audit = AuditLayer::new(world.sink.clone(), world.calls.clone());
        let handler = service_fn(|request: Request<Body>| async move {
            let caller: &Caller = request.extensions().get().unwrap();
            assert_eq!(caller.notes.incident(), "INC-7");
            caller.notes.changes("seats 10 → 20");
            Ok::<_, Infallible>(well())
        });
        let service =
            ServiceBuilder::new().layer(world.policy.clone()).layer(audit).service(handler);
        read(service.oneshot(request).await.unwrap()).await.0
    };
    assert_eq!(send(named("INC-7")).await.code(), Code::Ok);
    let events = world.sink.events();
    let [Event::Intent(intent), Event::Outcome(_, outcome)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((&intent.incident[..], &outcome.summary[..]), ("INC-7", "seats 10 → 20"));

    let long = format!("I{}", "x".repeat(64));
    for wrong in ["7", "", "INC 7", "INC_7", "é", &long] {
        let refusal = send(named(wrong)).await;
        assert_eq!(refusal.code(), Code::InvalidArgument, "{wrong}");
        let details = tonic_types::StatusExt::get_error_details(&refusal);
        let field = details.bad_request().unwrap().field_violations[0].field.clone();
        assert_eq!(field, "streamspace-incident");
    }
    assert_eq!(world.sink.events().len(), 2, "and leaves nothing in the log");
}
