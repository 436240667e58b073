//! Access on a real PostgreSQL: what each theme shares.

mod authority;
mod break_glass;
mod certificates;
mod enrolment;
mod explain;
mod locks;
mod renewal;
mod standings;
mod tokens;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, future::BoxFuture, future::join_all};
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use streamspace_core::{
    access::{Audience, Role},
    ids::{RegionId, TenantId, TenantUid},
};
use streamspace_proto::{
    token::EnrolmentToken,
    v1::{
        self, CreateEnrolmentTokenRequest, EnrolRequest, EnrolResponse, ExplainAccessRequest,
        RenewCredentialRequest, WhoAmIRequest, access_service_server::AccessService as _,
    },
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::{
    Access, AccessParts, Authority, AuthorityError, AuthorityFiles, Grant, Serving, Standings,
    TenantNames, create_token,
};
use crate::{
    db::{Scope, testing::TestDatabase},
    rpc::{
        Call, CallNotes, Caller, RpcError, RpcResult,
        audit::AuditedResource,
        peer::{CertificateStatus, PeerInfo, PeerJudge, Standing},
        system_clock,
    },
};

const HOUR: Duration = Duration::from_hours(1);

/// Tenants `acme` and `beta`, and no others.
struct TwoTenants([TenantUid; 2]);

impl TenantNames for TwoTenants {
    fn uids<'a>(&'a self, tenants: &'a [TenantId]) -> BoxFuture<'a, RpcResult<Vec<TenantUid>>> {
        let uid = |tenant: &TenantId| match tenant.as_str() {
            "acme" => Ok(self.0[0]),
            "beta" => Ok(self.0[1]),
            _ => Err(RpcError::NotFound(tenant.to_name())),
        };
        let uids = tenants.iter().map(uid).collect();
        async move { uids }.boxed()
    }

    fn names<'a>(&'a self, tenants: &'a [TenantUid]) -> BoxFuture<'a, RpcResult<Vec<String>>> {
        let name =
            |uid: &TenantUid| if *uid == self.0[0] { "tenants/acme" } else { "tenants/beta" };
        let names = tenants.iter().map(|uid| name(uid).to_owned()).collect();
        async move { Ok(names) }.boxed()
    }
}

struct World {
    test: TestDatabase,
    authority: Arc<Authority>,
    standings: Arc<Standings>,
    judge: PeerJudge,
    access: Access,
    tenants: [TenantUid; 2],
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = AuthorityFiles::in_folder(folder.path());
        let authority =
            Arc::new(Authority::create(&files, "test.example", Timestamp::now()).unwrap());
        let test = TestDatabase::create().await;
        let standings = Arc::new(Standings::new());
        let judge = PeerJudge::new(authority.trust_bundle().unwrap(), standings.clone());
        let tenants = [TenantUid(Uuid::now_v7()), TenantUid(Uuid::now_v7())];
        let access = Access::new(AccessParts {
            authority: authority.clone(),
            database: test.database().clone(),
            standings: standings.clone(),
            tenants: Arc::new(TwoTenants(tenants)),
            region: RegionId::parse("local").unwrap(),
            methods: streamspace_proto::policy::methods(),
            clock: system_clock(),
        });
        Self { test, authority, standings, judge, access, tenants, _folder: folder }
    }

    async fn token(&self, role: Role, tenants: Vec<TenantUid>) -> EnrolmentToken {
        self.token_of("ada", role, tenants).await
    }

    async fn token_of(
        &self,
        operator: &str,
        role: Role,
        tenants: Vec<TenantUid>,
    ) -> EnrolmentToken {
        let grant = Grant { operator: operator.into(), role, tenants };
        let fingerprint = self.authority.fingerprint();
        let token = create_token(self.test.database(), fingerprint, &grant, "init", HOUR).await;
        token.unwrap().text.parse().unwrap()
    }

    async fn enrol(&self, request: EnrolRequest) -> Result<EnrolResponse, Status> {
        let mut request = Request::new(request);
        request.extensions_mut().insert(call("192.0.2.1:99"));
        self.access.enrol(request).await.map(tonic::Response::into_inner)
    }

    /// The caller that a certificate makes.
    fn caller(&self, certificate: &[u8]) -> Caller {
        let peer = peer(certificate);
        let identity = self.judge.judge(&peer, Timestamp::now()).unwrap();
        let break_glass = self.judge.break_glass(&identity, Timestamp::now());
        let own = Role::parse(&identity.role_name);
        Caller {
            operator: identity.operator.clone(),
            role: break_glass.map_or(own, |_| Some(Role::Admin)),
            role_name: identity.role_name.clone(),
            serial: identity.serial.clone(),
            scope: identity.scope.clone(),
            expires: identity.not_after,
            peer: peer.addr,
            call_id: Uuid::now_v7(),
            audience: identity.audience,
            break_glass,
            notes: CallNotes::default(),
            item: None,
        }
    }

    async fn renew(&self, device: &[u8]) -> Result<v1::Credential, Status> {
        let caller = self.caller(device);
        assert_eq!(caller.audience, Audience::Device);
        let (device_csr, client_csr) = (csr(), csr());
        let mut request = Request::new(RenewCredentialRequest { device_csr, client_csr });
        request.extensions_mut().insert(caller);
        let response = self.access.renew_credential(request).await?;
        Ok(response.into_inner().credential.unwrap())
    }

    async fn enrolled(&self) -> v1::Credential {
        self.enrolled_as("ada", Role::Operator).await
    }

    async fn enrolled_as(&self, operator: &str, role: Role) -> v1::Credential {
        let token = self.token_of(operator, role, Vec::new()).await;
        self.enrol(enrol_with(&token)).await.unwrap().credential.unwrap()
    }

    /// A caller who enrolled just now.
    async fn person(&self, operator: &str, role: Role) -> Caller {
        let credential = self.enrolled_as(operator, role).await;
        self.caller(&credential.client_certificate)
    }

    /// Why a certificate is refused now, on this replica; empty where it is good.
    fn refused(&self, certificate: &[u8]) -> &'static str {
        let judged = self.judge.judge(&peer(certificate), Timestamp::now());
        judged.err().map_or("", |error| error.reason())
    }

    fn database(&self) -> &crate::db::Database {
        self.test.database()
    }
}

fn call(peer: &str) -> Call {
    Call { id: Uuid::now_v7(), peer: peer.parse().unwrap() }
}

fn peer(certificate: &[u8]) -> PeerInfo {
    let certificate = CertificateDer::from(certificate.to_vec());
    PeerInfo::new("192.0.2.1:99".parse().unwrap(), vec![certificate])
}

fn csr() -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    CertificateParams::default().serialize_request(&key).unwrap().der().to_vec()
}

fn enrol_with(token: &EnrolmentToken) -> EnrolRequest {
    EnrolRequest {
        secret: token.secret.expose().to_vec(),
        device_csr: csr(),
        client_csr: csr(),
        device_name: "laptop".into(),
    }
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

fn near(time: Option<prost_types::Timestamp>, expected: Timestamp) -> bool {
    let seconds = time.unwrap().seconds;
    (seconds - expected.as_second()).abs() <= 60
}

fn by<T>(caller: &Caller, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller.clone());
    request
}

/// Whether every certificate of these is refused as revoked, by this replica at once.
fn all_revoked(world: &World, credentials: &[&v1::Credential]) -> bool {
    credentials.iter().all(|credential| {
        [&credential.device_certificate, &credential.client_certificate].into_iter().all(|der| {
            let judged = world.judge.judge(&peer(der), Timestamp::now());
            judged.is_err_and(|error| error.reason() == "CERTIFICATE_REVOKED")
        })
    })
}
