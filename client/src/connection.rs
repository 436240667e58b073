//! The door to a region.

use std::{sync::Arc, time::Duration};

use streamspace_proto::v1::{
    WatchRequest, access_service_client::AccessServiceClient,
    alert_service_client::AlertServiceClient, approval_service_client::ApprovalServiceClient,
    audit_service_client::AuditServiceClient, bulk_service_client::BulkServiceClient,
    incident_service_client::IncidentServiceClient,
    maintenance_service_client::MaintenanceServiceClient,
    notify_service_client::NotifyServiceClient, oncall_service_client::OncallServiceClient,
    operation_service_client::OperationServiceClient, plan_service_client::PlanServiceClient,
    quota_service_client::QuotaServiceClient, region_service_client::RegionServiceClient,
    session_service_client::SessionServiceClient, simulator_service_client::SimulatorServiceClient,
    slo_service_client::SloServiceClient, tenant_service_client::TenantServiceClient,
    usage_service_client::UsageServiceClient, watch_service_client::WatchServiceClient,
};
use tonic::{Response, Status};

use crate::{
    ClientError, Context, Environment, Watch,
    carrier::{Carrier, Incident},
    channel::{self, Proof},
    renew::Renewer,
    retry,
};

pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How a connection behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a call may take. 30 seconds by default. A stream may go on; only
    /// its beginning is held to it.
    pub request_timeout: Duration,
    /// How long TCP and TLS together may take. 5 seconds by default.
    pub connect_timeout: Duration,
    /// What the daemon's log calls this program.
    pub user_agent: String,
    /// Where the lock for renewals is.
    pub environment: Environment,
    /// The incident that every call belongs to, for the audit log.
    pub incident: Option<Incident>,
    /// Whether a certificate that is due is renewed first. It is by default. Who may be
    /// cut off in the middle of a call, as completion is, must not begin with it: the
    /// answer of a renewal that is not kept is lost.
    pub renews: bool,
}

impl Options {
    /// The defaults in an environment.
    pub fn new(environment: Environment) -> Self {
        Self {
            request_timeout: REQUEST_TIMEOUT,
            connect_timeout: Duration::from_secs(5),
            user_agent: concat!("streamspace-client/", env!("CARGO_PKG_VERSION")).into(),
            environment,
            incident: None,
            renews: true,
        }
    }
}

/// A region's daemon, ready to be called. Cheap to clone: clones share one HTTP/2
/// connection, which is made anew by itself after a loss.
#[derive(Clone, Debug)]
pub struct Connection {
    context: Context,
    options: Options,
    proof: Proof,
    carrier: Carrier,
}

impl Connection {
    /// Opens the context without touching keys or network; the first call does,
    /// and reports what is wrong with either.
    ///
    /// It must be called inside a Tokio runtime. An error means options that make
    /// no sense.
    pub fn open(context: &Context, options: &Options) -> Result<Self, ClientError> {
        let renewer = Renewer::new(context.clone(), &options.environment, options.clone());
        let proof = Proof::Renewing(Arc::new(renewer));
        let channel = channel::lazy(&context.endpoint, proof.clone(), options)?;
        let carrier = Carrier::new(channel, options.incident.as_ref());
        Ok(Self { context: context.clone(), options: options.clone(), proof, carrier })
    }

    /// The context that it speaks to.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// How it behaves.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// A channel of its own, for a stream that outlives the connection cap and
    /// must not wait behind others.
    pub(crate) fn another_carrier(&self) -> Result<Carrier, ClientError> {
        let channel = channel::lazy(&self.context.endpoint, self.proof.clone(), &self.options)?;
        Ok(self.carrier.over(channel))
    }

    /// The version of the daemon, once it has answered and where it tells.
    pub fn daemon_version(&self) -> Option<&str> {
        self.carrier.version()
    }

    /// Tenants.
    pub fn tenants(&self) -> TenantServiceClient<Carrier> {
        TenantServiceClient::new(self.carrier.clone())
    }

    /// Plans.
    pub fn plans(&self) -> PlanServiceClient<Carrier> {
        PlanServiceClient::new(self.carrier.clone())
    }

    /// How much tenants may use.
    pub fn quotas(&self) -> QuotaServiceClient<Carrier> {
        QuotaServiceClient::new(self.carrier.clone())
    }

    /// Sessions and their templates.
    pub fn sessions(&self) -> SessionServiceClient<Carrier> {
        SessionServiceClient::new(self.carrier.clone())
    }

    /// What tenants used.
    pub fn usage(&self) -> UsageServiceClient<Carrier> {
        UsageServiceClient::new(self.carrier.clone())
    }

    /// Requests that wait for a second person.
    pub fn approvals(&self) -> ApprovalServiceClient<Carrier> {
        ApprovalServiceClient::new(self.carrier.clone())
    }

    /// One change of many resources.
    pub fn bulk(&self) -> BulkServiceClient<Carrier> {
        BulkServiceClient::new(self.carrier.clone())
    }

    /// Service level objectives and their budgets.
    pub fn slos(&self) -> SloServiceClient<Carrier> {
        SloServiceClient::new(self.carrier.clone())
    }

    /// Incidents.
    pub fn incidents(&self) -> IncidentServiceClient<Carrier> {
        IncidentServiceClient::new(self.carrier.clone())
    }

    /// Rotas and escalation policies.
    pub fn oncall(&self) -> OncallServiceClient<Carrier> {
        OncallServiceClient::new(self.carrier.clone())
    }

    /// Maintenances and silences.
    pub fn maintenance(&self) -> MaintenanceServiceClient<Carrier> {
        MaintenanceServiceClient::new(self.carrier.clone())
    }

    /// Alerts.
    pub fn alerts(&self) -> AlertServiceClient<Carrier> {
        AlertServiceClient::new(self.carrier.clone())
    }

    /// What is told to people and systems outside.
    pub fn notify(&self) -> NotifyServiceClient<Carrier> {
        NotifyServiceClient::new(self.carrier.clone())
    }

    /// Faults of a development region's simulated cluster.
    pub fn simulator(&self) -> SimulatorServiceClient<Carrier> {
        SimulatorServiceClient::new(self.carrier.clone())
    }

    /// The region and its health.
    pub fn regions(&self) -> RegionServiceClient<Carrier> {
        RegionServiceClient::new(self.carrier.clone())
    }

    /// Who may do what.
    pub fn access(&self) -> AccessServiceClient<Carrier> {
        AccessServiceClient::new(self.carrier.clone())
    }

    /// The audit log.
    pub fn audit(&self) -> AuditServiceClient<Carrier> {
        AuditServiceClient::new(self.carrier.clone())
    }

    /// Operations.
    pub fn operations(&self) -> OperationServiceClient<Carrier> {
        OperationServiceClient::new(self.carrier.clone())
    }

    /// The raw stream of changes; [`Connection::watch`] is the one that resumes.
    pub fn watches(&self) -> WatchServiceClient<Carrier> {
        WatchServiceClient::new(self.carrier.clone())
    }

    /// A watch that survives losses of the connection.
    pub fn watch(&self, request: WatchRequest) -> Watch {
        Watch::start(self.clone(), request)
    }

    /// Makes a call, and makes it again where the daemon is away for a moment.
    ///
    /// Only for calls that may be repeated: reads, and mutations with a request
    /// id that is the same each time.
    pub async fn call<T, F>(&self, call: impl Fn() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        retry::call(self.options.request_timeout, call).await
    }
}
