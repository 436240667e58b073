//! `RegionService`: tells how the region is, from memory.

use jiff::Timestamp;
use streamspace_core::ids::RegionId;
use streamspace_proto::v1::{self, region_service_server::RegionService};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::health::{Health, HealthBoard, Part, Report};
use crate::{
    db::Leadership,
    rpc::{
        errors::{RpcError, RpcResult},
        time::timestamp,
    },
};

/// What a replica knows of itself and of its region.
#[derive(Clone)]
pub struct Regions {
    /// The region.
    pub region: RegionId,
    /// The replica's name.
    pub replica: String,
    /// Since when the replica runs.
    pub start_time: Timestamp,
    /// Where the cluster's API server is.
    pub cluster_endpoint: String,
    /// How the parts are.
    pub board: HealthBoard,
    /// Who leads.
    pub leadership: watch::Receiver<Leadership>,
    /// The latest revision of the change log.
    pub revision: watch::Receiver<i64>,
}

impl Regions {
    fn show(&self) -> v1::Region {
        let leadership = self.leadership.borrow().clone();
        let leader = (!leadership.replica.is_empty()).then_some(v1::Leader {
            replica: leadership.replica,
            leader_term: leadership.leader_term,
        });
        v1::Region {
            name: self.region.to_name(),
            health: health(self.board.worst()).into(),
            components: self.board.read().into_iter().map(component).collect(),
            daemon_version: env!("CARGO_PKG_VERSION").into(),
            replica: self.replica.clone(),
            leader,
            revision: *self.revision.borrow(),
            start_time: timestamp(self.start_time),
            cluster_endpoint: self.cluster_endpoint.clone(),
        }
    }

    fn get(&self, name: &str) -> RpcResult<v1::Region> {
        if name == "regions/-" || name == self.region.to_name() {
            return Ok(self.show());
        }
        let id = RegionId::from_name(name)
            .map_err(|error| RpcError::field("name", error.to_string()))?;
        Err(RpcError::NotFound(id.to_name()))
    }
}

#[tonic::async_trait]
impl RegionService for Regions {
    async fn get_region(
        &self,
        request: Request<v1::GetRegionRequest>,
    ) -> Result<Response<v1::Region>, Status> {
        Ok(Response::new(self.get(&request.into_inner().name)?))
    }

    async fn list_regions(
        &self,
        _request: Request<v1::ListRegionsRequest>,
    ) -> Result<Response<v1::ListRegionsResponse>, Status> {
        let regions = vec![self.show()];
        Ok(Response::new(v1::ListRegionsResponse { regions, ..Default::default() }))
    }
}

fn component((part, report): (Part, Report)) -> v1::Component {
    v1::Component {
        name: part.as_str().into(),
        health: health(report.health).into(),
        message: report.message,
        last_transition_time: timestamp(report.since),
    }
}

fn health(health: Health) -> v1::Health {
    match health {
        Health::Unknown => v1::Health::Unspecified,
        Health::Ok => v1::Health::Ok,
        Health::Degraded => v1::Health::Degraded,
        Health::Unavailable => v1::Health::Unavailable,
    }
}
