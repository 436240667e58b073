//! `SimulatorService`: makes the simulated cluster of a development region fail on demand.

use jiff::{SignedDuration, Timestamp};
use prost::Name;
use streamspace_proto::v1::{self, simulator_service_server::SimulatorService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    board::{FaultBoard, Key, PREFIX, Which},
    config::word_of,
};
use crate::rpc::{
    Caller,
    audit::AuditedResource,
    canonical,
    errors::{RpcError, RpcResult},
    summary,
    time::{Bounds, ttl},
};

/// How long a fault that ends by itself may last.
pub(super) const LIFE: Bounds =
    Bounds { shortest: 1, longest: 86_400, words: "one second to 24 hours" };

/// The faults of this region's cluster, where it is a simulated one.
#[derive(Clone, Debug)]
pub struct Simulations {
    board: Option<FaultBoard>,
    cluster: String,
}

impl Simulations {
    /// `board` is there on the simulator alone; `cluster` tells people what the region
    /// manages.
    pub fn new(board: Option<FaultBoard>, cluster: impl Into<String>) -> Self {
        Self { board, cluster: cluster.into() }
    }

    fn board(&self) -> RpcResult<&FaultBoard> {
        self.board.as_ref().ok_or_else(|| RpcError::Refused {
            reason: "NO_SIMULATOR",
            message: format!(
                "this region manages a real cluster, {}, which nobody makes fail: practise on a \
                 development region, which `streamspaced dev` starts with a simulated one",
                self.cluster
            ),
        })
    }

    fn create(&self, caller: &Caller, request: &v1::CreateFaultRequest) -> RpcResult<v1::Fault> {
        let board = self.board()?;
        let fault =
            request.fault.as_ref().ok_or_else(|| RpcError::field("fault", "is required"))?;
        let life: Option<SignedDuration> = ttl("ttl", request.ttl.as_ref(), LIFE)?;
        let key = key(caller, "CreateFault", &request.request_id, request)?;
        let made = board.create(fault, life, key, request.validate_only)?;
        let end = life.and_then(|life| Timestamp::now().checked_add(life).ok());
        caller.notes.changes(format!(
            "{} made to happen{}",
            word_of(made.kind()),
            summary::until(end)
        ));
        Ok(made)
    }

    fn delete(
        &self,
        caller: &Caller,
        request: &v1::DeleteFaultRequest,
    ) -> RpcResult<v1::DeleteFaultResponse> {
        let board = self.board()?;
        let which = which(&request.name)?;
        let key = key(caller, "DeleteFault", &request.request_id, request)?;
        let faults = board.delete(which, key, request.validate_only)?;
        caller.notes.changes(match faults.as_slice() {
            [] => summary::NO_CHANGE.to_owned(),
            [one] => format!("{} ended after {} hits", word_of(one.kind()), one.hits),
            several => format!("{} faults ended", several.len()),
        });
        Ok(v1::DeleteFaultResponse { faults })
    }
}

/// What tells a retry of this request; none where it has no id. As
/// [`Once`](crate::rpc::once::Once) does for what is kept in the database.
fn key(
    caller: &Caller,
    method: &'static str,
    request_id: &str,
    request: &impl Name,
) -> RpcResult<Option<Key>> {
    if request_id.is_empty() {
        return Ok(None);
    }
    let id = Uuid::try_parse(request_id)
        .map_err(|_| RpcError::field("request_id", "must be a UUID such as `uuidgen` prints"))?;
    let sha256 = canonical::digest_without(method, request, &["request_id"])?;
    Ok(Some(Key { actor: caller.operator.clone(), id, sha256 }))
}

fn which(name: &str) -> RpcResult<Which> {
    match name.strip_prefix(PREFIX) {
        Some("-") => Ok(Which::All),
        // A number in any other form is no name: `faults/07` is not `faults/7`.
        Some(id) => {
            let number = id.parse::<u64>().ok().filter(|number| number.to_string() == id);
            number.map(Which::One).ok_or_else(|| RpcError::NotFound(name.to_owned()))
        }
        None => Err(RpcError::field("name", "must be `faults/{fault}`, or `faults/-` for all")),
    }
}

#[tonic::async_trait]
impl SimulatorService for Simulations {
    async fn create_fault(
        &self,
        request: Request<v1::CreateFaultRequest>,
    ) -> Result<Response<v1::Fault>, Status> {
        let caller = Caller::of(&request)?;
        let fault = self.create(caller, request.get_ref())?;
        let resource = AuditedResource(fault.name.clone());
        let mut response = Response::new(fault);
        response.extensions_mut().insert(resource);
        Ok(response)
    }

    async fn list_faults(
        &self,
        _: Request<v1::ListFaultsRequest>,
    ) -> Result<Response<v1::ListFaultsResponse>, Status> {
        let faults = self.board()?.list();
        Ok(Response::new(v1::ListFaultsResponse { faults }))
    }

    async fn delete_fault(
        &self,
        request: Request<v1::DeleteFaultRequest>,
    ) -> Result<Response<v1::DeleteFaultResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.delete(caller, request.get_ref())?))
    }
}
