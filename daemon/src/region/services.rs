//! The services of a region's daemon.

use std::sync::Arc;

use streamspace_proto::{
    policy,
    v1::{
        access_service_server::AccessServiceServer, alert_service_server::AlertServiceServer,
        approval_service_server::ApprovalServiceServer, audit_service_server::AuditServiceServer,
        bulk_service_server::BulkServiceServer, incident_service_server::IncidentServiceServer,
        maintenance_service_server::MaintenanceServiceServer,
        notify_service_server::NotifyServiceServer, oncall_service_server::OncallServiceServer,
        operation_service_server::OperationServiceServer, plan_service_server::PlanServiceServer,
        quota_service_server::QuotaServiceServer, region_service_server::RegionServiceServer,
        session_service_server::SessionServiceServer,
        simulator_service_server::SimulatorServiceServer, slo_service_server::SloServiceServer,
        tenant_service_server::TenantServiceServer, usage_service_server::UsageServiceServer,
        watch_service_server::WatchServiceServer,
    },
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::parts::Parts;
use crate::{
    access::{Access, AccessParts},
    alerts::service::Alerts,
    approvals::service::Approvals,
    audit::Audit,
    bulk::{change::Work, service::Bulk},
    incidents::service::Incidents,
    maintenance::service::Maintenances,
    notify::service::Notices,
    oncall::service::Oncall,
    operations::service::Operations,
    plans::service::Plans,
    quotas::service::Quotas,
    regions::service::Regions,
    rpc::{self, server},
    sessions::service::Sessions,
    simulator::service::Simulations,
    slo::service::Slos,
    tenants::{Directory, ManifestWishes, service::Tenants},
    usage::service::Usages,
    watch::service::Watches,
};

impl Parts {
    pub(super) fn services(&self, stop: &CancellationToken) -> Routes {
        let db = || self.db.clone();
        let access = Access::new(AccessParts {
            authority: Arc::clone(&self.authority),
            database: db(),
            standings: Arc::clone(&self.standings),
            tenants: Arc::new(Directory::new(db())),
            region: self.region.clone(),
            methods: policy::methods(),
            clock: rpc::system_clock(),
        });
        let regions = Regions {
            region: self.region.clone(),
            replica: self.replica.clone(),
            start_time: self.start_time,
            cluster_endpoint: self.cluster.endpoint().to_owned(),
            board: self.board.clone(),
            leadership: self.leadership.clone(),
            revision: self.changes.latest(),
            db: db(),
            controls: self.controls.clone(),
        };
        let Work { tenants, quotas } = self.work();
        let notices = Notices::new(db(), self.region.clone(), self.channels.clone());
        let operations = Operations::new(db(), self.changes.clone());
        let simulations = Simulations::new(self.faults.clone(), self.cluster.endpoint());
        let usages = Usages::new(db(), stop.clone()).counting(Arc::clone(&self.counters));
        let sessions =
            Sessions { db: db(), cluster: self.cluster.clone(), admission: self.admission.clone() };
        let watches = Watches::new(db(), self.changes.clone(), stop.clone());
        let clock = rpc::system_clock;
        let region = self.region.as_str();
        let incidents = Incidents::new(db(), clock(), region, self.channels.clone());
        let maintenances = Maintenances::new(db(), clock(), region, self.channels.clone());
        let mut services = Routes::builder();
        services
            .add_service(AccessServiceServer::new(access))
            .add_service(AlertServiceServer::new(Alerts::new(db(), self.channels.clone())))
            .add_service(ApprovalServiceServer::new(Approvals::new(db())))
            .add_service(AuditServiceServer::new(Audit::new(db())))
            .add_service(BulkServiceServer::new(Bulk { db: db(), work: self.work() }))
            .add_service(NotifyServiceServer::new(notices))
            .add_service(IncidentServiceServer::new(incidents))
            .add_service(MaintenanceServiceServer::new(maintenances))
            .add_service(OncallServiceServer::new(Oncall::new(
                db(),
                clock(),
                self.channels.clone(),
            )))
            .add_service(OperationServiceServer::new(operations))
            .add_service(PlanServiceServer::new(Plans::new(db())))
            .add_service(QuotaServiceServer::new(quotas))
            .add_service(RegionServiceServer::new(regions))
            .add_service(SessionServiceServer::new(sessions))
            .add_service(SimulatorServiceServer::new(simulations))
            .add_service(SloServiceServer::new(Slos::new(db(), rpc::system_clock())))
            .add_service(TenantServiceServer::new(tenants))
            .add_service(UsageServiceServer::new(usages))
            .add_service(WatchServiceServer::new(watches));
        server::add_health_and_reflection(&mut services);
        services.routes()
    }

    /// The services that change one tenant.
    pub(super) fn work(&self) -> Work {
        let tenants = Tenants {
            db: self.db.clone(),
            region: self.region.clone(),
            namespace_prefix: self.namespace_prefix.clone(),
            cluster: self.cluster.clone(),
            instance: self.surroundings.instance.clone(),
            wishes: Arc::new(ManifestWishes::new(self.surroundings.clone())),
            leadership: self.leadership.clone(),
        };
        Work { tenants, quotas: Quotas::new(self.db.clone(), self.cluster.clone()) }
    }
}
