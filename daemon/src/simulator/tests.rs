use std::time::Duration;

use streamspace_core::access::Role;
use streamspace_proto::v1::{
    CreateFaultRequest, DeleteFaultRequest, Fault, FaultKind, ListFaultsRequest,
    simulator_service_server::SimulatorService as _,
};
use streamspace_sim::Simulator;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::{FaultBoard, service::Simulations};
use crate::{
    db::Scope,
    rpc::{audit::AuditedResource, caller::testing::caller},
};

fn request<T>(actor: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller(actor, Role::Admin, Scope::Region));
    request
}

fn fault(kind: FaultKind) -> CreateFaultRequest {
    let fault = Fault { kind: kind.into(), ..Fault::default() };
    CreateFaultRequest { fault: Some(fault), ..CreateFaultRequest::default() }
}

struct Door {
    simulator: Simulator,
    service: Simulations,
}

impl Door {
    fn new() -> Self {
        let simulator = Simulator::in_memory();
        let board = FaultBoard::new(simulator.faults().clone());
        Self { simulator, service: Simulations::new(Some(board), "the built-in simulator") }
    }

    async fn create(&self, message: CreateFaultRequest) -> Result<Fault, Status> {
        Ok(self.service.create_fault(request("ada", message)).await?.into_inner())
    }

    async fn delete(&self, message: DeleteFaultRequest) -> Result<Vec<Fault>, Status> {
        Ok(self.service.delete_fault(request("ada", message)).await?.into_inner().faults)
    }

    async fn list(&self) -> Vec<Fault> {
        let reply = self.service.list_faults(request("ada", ListFaultsRequest {})).await;
        reply.unwrap().into_inner().faults
    }
}

fn named(name: &str) -> DeleteFaultRequest {
    DeleteFaultRequest { name: name.into(), ..DeleteFaultRequest::default() }
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_fault_acts_is_counted_and_ends() {
    let door = Door::new();
    let made = door.create(fault(FaultKind::InternalError)).await.unwrap();
    assert_eq!((made.percent, made.hits), (100, 0));
    let client = door.simulator.client();
    let answer = client.apiserver_version().await;
    let Err(kube::Error::Api(status)) = answer else { panic!("{answer:?}") };
    assert_eq!(status.code, 500);
    let second = door.create(fault(FaultKind::CutWatch)).await.unwrap();
    let names: Vec<_> = door.list().await.into_iter().map(|f| (f.name, f.hits)).collect();
    assert_eq!(names, [(second.name.clone(), 0), (made.name.clone(), 1)], "the newest first");

    let ended = door.delete(named(&made.name)).await.unwrap();
    assert_eq!((ended.len(), ended[0].hits), (1, 1));
    client.apiserver_version().await.unwrap();
    let gone = door.delete(named(&made.name)).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    let rest = door.delete(named("faults/-")).await.unwrap();
    assert_eq!(rest.into_iter().map(|f| f.name).collect::<Vec<_>>(), [second.name]);
    assert_eq!(door.delete(named("faults/-")).await.unwrap(), []);
}

#[tokio::test]
async fn a_preview_changes_nothing() {
    let door = Door::new();
    let preview = CreateFaultRequest { validate_only: true, ..fault(FaultKind::Gone) };
    assert_eq!(door.create(preview).await.unwrap().name, "");
    assert_eq!(door.list().await, []);
    let made = door.create(fault(FaultKind::Gone)).await.unwrap();
    let preview = DeleteFaultRequest { validate_only: true, ..named("faults/-") };
    assert_eq!(door.delete(preview).await.unwrap().len(), 1);
    assert_eq!(door.list().await.len(), 1);
    let wrong = CreateFaultRequest { validate_only: true, ..fault(FaultKind::Latency) };
    assert_eq!(door.create(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    door.delete(named(&made.name)).await.unwrap();
}

#[tokio::test]
async fn a_retry_has_no_second_effect() {
    let door = Door::new();
    let id = Uuid::new_v4().to_string();
    let wish = CreateFaultRequest { request_id: id.clone(), ..fault(FaultKind::Gone) };
    let first = door.create(wish.clone()).await.unwrap();
    assert_eq!(door.create(wish.clone()).await.unwrap(), first);
    assert_eq!(door.list().await.len(), 1);
    // Somebody else's id is another one.
    let other = door.service.create_fault(request("grace", wish)).await.unwrap();
    assert_ne!(other.get_ref().name, first.name);
    assert_eq!(
        other.extensions().get(),
        Some(&AuditedResource(other.get_ref().name.clone())),
        "the audit log names the new fault"
    );
    let reused = CreateFaultRequest { request_id: id.clone(), ..fault(FaultKind::Conflict) };
    assert_eq!(reason(&door.create(reused).await.unwrap_err()), "REQUEST_ID_REUSED");
    let reused = DeleteFaultRequest { request_id: id, ..named("faults/-") };
    assert_eq!(reason(&door.delete(reused).await.unwrap_err()), "REQUEST_ID_REUSED");

    let end = DeleteFaultRequest { request_id: Uuid::new_v4().into(), ..named(&first.name) };
    let ended = door.delete(end.clone()).await.unwrap();
    assert_eq!(door.delete(end).await.unwrap(), ended, "the first reply, not NOT_FOUND");
    let bad = CreateFaultRequest { request_id: "mine".into(), ..fault(FaultKind::Gone) };
    assert_eq!(door.create(bad).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(start_paused = true)]
async fn a_fault_with_a_life_ends_by_itself() {
    let door = Door::new();
    let ttl = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let wish = CreateFaultRequest { ttl: ttl(5), ..fault(FaultKind::InternalError) };
    let made = door.create(wish).await.unwrap();
    assert!(made.expire_time.is_some());
    tokio::time::sleep(Duration::from_millis(4900)).await;
    assert_eq!(door.list().await.len(), 1);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(door.list().await, []);
    door.simulator.client().apiserver_version().await.unwrap();
    for seconds in [0, -1, 86_401] {
        let wish = CreateFaultRequest { ttl: ttl(seconds), ..fault(FaultKind::Gone) };
        let error = door.create(wish).await.unwrap_err();
        let details = error.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "ttl");
    }
}

#[tokio::test]
async fn bad_input_names_its_field() {
    let door = Door::new();
    let error = door.create(CreateFaultRequest::default()).await.unwrap_err();
    assert!(error.message().contains("fault: is required"), "{}", error.message());
    for name in ["", "1", "tenants/acme"] {
        let error = door.delete(named(name)).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{name}");
    }
    for name in ["faults/", "faults/07", "faults/x", "faults/+1"] {
        let error = door.delete(named(name)).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound, "{name}");
    }
}

#[tokio::test]
async fn there_is_an_end_to_how_many() {
    let door = Door::new();
    for _ in 0..100 {
        door.create(fault(FaultKind::CutWatch)).await.unwrap();
    }
    let error = door.create(fault(FaultKind::CutWatch)).await.unwrap_err();
    assert_eq!(reason(&error), "FAULT_LIMIT");
    door.delete(named("faults/-")).await.unwrap();
    door.create(fault(FaultKind::CutWatch)).await.unwrap();
}

#[tokio::test]
async fn a_real_cluster_refuses_every_call() {
    let service = Simulations::new(None, "https://10.0.0.1:6443");
    let create = service.create_fault(request("ada", fault(FaultKind::Gone))).await.unwrap_err();
    let list = service.list_faults(request("ada", ListFaultsRequest {})).await.unwrap_err();
    let delete = service.delete_fault(request("ada", named("faults/-"))).await.unwrap_err();
    for status in [create, list, delete] {
        assert_eq!(
            (status.code(), reason(&status)),
            (Code::FailedPrecondition, "NO_SIMULATOR".into())
        );
        assert!(status.message().contains("streamspaced dev"), "{}", status.message());
    }
}

/// Which of twenty requests fail.
async fn pattern(door: &Door, seed: i64) -> Vec<bool> {
    let mut wish = fault(FaultKind::InternalError);
    if let Some(fault) = &mut wish.fault {
        (fault.percent, fault.seed) = (50, seed);
    }
    let made = door.create(wish).await.unwrap();
    let client = door.simulator.client();
    let mut failed = Vec::new();
    for _ in 0..20 {
        failed.push(client.apiserver_version().await.is_err());
    }
    let ended = door.delete(named(&made.name)).await.unwrap();
    let hits = failed.iter().filter(|failed| **failed).count();
    assert_eq!(ended[0].hits, i64::try_from(hits).unwrap());
    failed
}

#[tokio::test]
async fn the_same_seed_chooses_the_same_requests() {
    let door = Door::new();
    let first = pattern(&door, 7).await;
    assert!(first.contains(&true) && first.contains(&false), "{first:?}");
    assert_eq!(pattern(&door, 7).await, first);
    assert_ne!(pattern(&door, 8).await, first);
}
