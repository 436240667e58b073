//! The service that makes and explains access.

mod break_glass;
mod certificates;
mod locks;
mod tokens;

use std::{sync::Arc, time::Duration, time::Instant};

use futures::future::BoxFuture;
use jiff::Timestamp;
use streamspace_core::{
    access::{explain, rules},
    ids::{RegionId, TenantId, TenantUid},
    suggest, text,
};
use streamspace_proto::{
    policy::Method,
    v1::{
        self, CreateEnrolmentTokenRequest, Credential, EnrolRequest, EnrolResponse, EnrolmentToken,
        ExplainAccessRequest, ExplainAccessResponse, RenewCredentialRequest,
        RenewCredentialResponse, WhoAmIRequest, WhoAmIResponse,
        access_service_server::AccessService,
    },
};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use super::{
    ca::{Authority, AuthorityError, CLIENT_LIFE, DEVICE_LIFE, Grant, Issued, Kind, RequestedKey},
    locks as locked,
    renewal::{self, Renewal},
    status::Standings,
    store::{self, Belonging},
    token::{self, TokenError},
};
use crate::{
    db::{Database, Scope},
    rpc::{
        Call, Caller, Clock, RpcError, RpcResult,
        audit::{AuditedResource, AuditedSummary},
        limits::{RateLimit, peer_key},
        peer::PeerError,
        policy::{role_to_proto, rule_of},
        status::status,
        time,
    },
};

/// Turns names of tenants into their uids and back. Tenants implement it.
pub trait TenantNames: Send + Sync + 'static {
    /// The uids of living tenants, in the same order. Fails with
    /// [`RpcError::NotFound`] on the first that does not exist.
    fn uids<'a>(&'a self, tenants: &'a [TenantId]) -> BoxFuture<'a, RpcResult<Vec<TenantUid>>>;
    /// The names (`tenants/{tenant}`) of these tenants, in the same order; tombstones
    /// have theirs too.
    fn names<'a>(&'a self, tenants: &'a [TenantUid]) -> BoxFuture<'a, RpcResult<Vec<String>>>;
}

/// So many wrong tokens a minute may come from one peer.
const GUESSES: u32 = 10;
const GUESSES_WITHIN: Duration = Duration::from_mins(1);
const LONGEST_DEVICE_NAME: usize = 63;
const LONGEST_SENTENCE: usize = 1000;

/// Everything that the service needs.
pub struct AccessParts {
    /// Signs certificates.
    pub authority: Arc<Authority>,
    /// Keeps tokens and certificates.
    pub database: Database,
    /// Told at once when a revocation, a lock or a grant changes here.
    pub standings: Arc<Standings>,
    /// Names of tenants.
    pub tenants: Arc<dyn TenantNames>,
    /// The region that is served.
    pub region: RegionId,
    /// Every method with its rule.
    pub methods: Vec<Method>,
    /// The time that certificates begin at.
    pub clock: Clock,
}

/// Implements `AccessService`.
pub struct Access {
    parts: AccessParts,
    guesses: RateLimit<std::net::IpAddr>,
}

impl Access {
    /// A service of these parts.
    pub fn new(parts: AccessParts) -> Self {
        Self { parts, guesses: RateLimit::new(GUESSES, GUESSES_WITHIN) }
    }

    /// Commits a change of who may do what, and makes it count at once: here before the
    /// reply, on the other replicas as soon as they are told.
    async fn enforce(&self, mut tx: sqlx::Transaction<'static, sqlx::Postgres>) -> RpcResult<()> {
        super::status::notify(&mut tx).await?;
        commit(tx).await?;
        self.parts.standings.refresh_at_once(&self.parts.database).await;
        Ok(())
    }

    async fn enrol_device(&self, request: &EnrolRequest) -> Result<(Grant, Credential), Status> {
        let device_key = key(&request.device_csr, "device_csr")?;
        let client_key = key(&request.client_csr, "client_csr")?;
        let name = request.device_name.trim();
        if name.chars().count() > LONGEST_DEVICE_NAME || name.chars().any(char::is_control) {
            let text = "must be at most 63 characters, none of them a control character";
            return Err(RpcError::field("device_name", text).into());
        }
        let now = (self.parts.clock)();
        let end = after(now, DEVICE_LIFE);
        let mut tx = self.parts.database.begin(&Scope::Region).await.map_err(RpcError::from)?;
        let grant = token::consume(&mut tx, &request.secret).await.map_err(token_status)?;
        // The token stays unused: nothing is committed.
        refuse_locked(&mut tx, &grant.operator).await?;
        let belonging = Belonging { family: Uuid::now_v7(), grant: &grant, device_name: name };
        let issued =
            Pair::issue(&self.parts.authority, (&device_key, &client_key), &grant, (now, end))?;
        issued.insert(&mut tx, belonging).await?;
        commit(tx).await?;
        let credential = self.credential(&issued);
        Ok((grant, credential))
    }

    async fn renew(
        &self,
        serial: &str,
        request: &RenewCredentialRequest,
    ) -> Result<Credential, Status> {
        let device_key = key(&request.device_csr, "device_csr")?;
        let client_key = key(&request.client_csr, "client_csr")?;
        let now = (self.parts.clock)();
        let mut tx = self.parts.database.begin(&Scope::Region).await.map_err(RpcError::from)?;
        let device = match renewal::decide(&mut tx, serial).await.map_err(RpcError::from)? {
            Renewal::Granted(device) => {
                refuse_locked(&mut tx, &device.grant.operator).await?;
                device
            }
            Renewal::Unknown => {
                return Err(gone("DEVICE_UNKNOWN", "this region does not know this device"));
            }
            Renewal::Revoked => return Err(gone("CERTIFICATE_REVOKED", "this device was revoked")),
            Renewal::Reused(device) => {
                self.enforce(tx).await?;
                tracing::warn!(operator = %device.grant.operator, %serial, "{}", renewal::REUSED);
                return Err(gone(
                    "CREDENTIAL_REUSED",
                    "this device certificate was renewed before, and its successor is in use: two \
                     machines hold the same credential, so all of it was revoked. If you did not \
                     copy it, tell an admin",
                ));
            }
        };
        let keys = (&device_key, &client_key);
        let issued =
            Pair::issue(&self.parts.authority, keys, &device.grant, (now, device.expires))?;
        let belonging = Belonging {
            family: device.family,
            grant: &device.grant,
            device_name: &device.device_name,
        };
        issued.insert(&mut tx, belonging).await?;
        renewal::advance(&mut tx, &device, &issued.device.serial).await.map_err(RpcError::from)?;
        commit(tx).await?;
        Ok(self.credential(&issued))
    }

    fn credential(&self, issued: &Pair) -> Credential {
        let authorities = self.parts.authority.certificates();
        Credential {
            device_certificate: issued.device.certificate.to_vec(),
            client_certificate: issued.client.certificate.to_vec(),
            authorities: authorities.iter().map(|authority| authority.to_vec()).collect(),
            device_expire_time: time::timestamp(issued.device.expires),
            client_expire_time: time::timestamp(issued.client.expires),
        }
    }

    fn find(&self, name: &str) -> RpcResult<&Method> {
        let asked = name.trim_start_matches('/').replace('/', ".");
        let dotted = |method: &Method| method.path.replace('/', ".");
        let found = self.parts.methods.iter().find(|method| {
            let full = dotted(method);
            !asked.is_empty() && (full == asked || full.ends_with(&format!(".{asked}")))
        });
        found.ok_or_else(|| {
            let text = match self.nearest(&asked) {
                Some(near) => format!("no method is called that (did you mean {near}?)"),
                None => "no method is called that; `Service.Method` names one, for example \
                         `TenantService.DeleteTenant`"
                    .to_owned(),
            };
            RpcError::field("method", text)
        })
    }

    /// The method that was probably meant: with its service, or by its own name alone.
    fn nearest(&self, asked: &str) -> Option<String> {
        let full = || self.parts.methods.iter().map(|method| short_name(&method.path));
        if asked.contains('.') {
            let short = asked.rsplit('.').take(2).collect::<Vec<_>>();
            let short = short.into_iter().rev().collect::<Vec<_>>().join(".");
            if let Some(near) = suggest::nearest(&short, full()) {
                return Some(near);
            }
        }
        let alone = asked.rsplit('.').next().unwrap_or(asked);
        let own = |short: &String| short.rsplit('.').next().unwrap_or(short).to_owned();
        let near = suggest::nearest(alone, full().map(|short| own(&short)))?;
        full().find(|short| own(short) == near)
    }
}

/// `Service.Method` of a path.
fn short_name(path: &str) -> String {
    let service_and_method = path.rsplit('.').next().unwrap_or(path);
    service_and_method.replace('/', ".")
}

/// A device certificate and the client certificate that goes with it.
struct Pair {
    device: Issued,
    client: Issued,
}

impl Pair {
    fn issue(
        authority: &Authority,
        (device_key, client_key): (&RequestedKey, &RequestedKey),
        grant: &Grant,
        (now, end): (Timestamp, Timestamp),
    ) -> RpcResult<Self> {
        let failed = |error: AuthorityError| RpcError::Internal(error.to_string());
        let client_end = after(now, CLIENT_LIFE).min(end);
        Ok(Self {
            device: authority.issue(device_key, Kind::Device, grant, now, end).map_err(failed)?,
            client: authority
                .issue(client_key, Kind::Client, grant, now, client_end)
                .map_err(failed)?,
        })
    }

    async fn insert(&self, tx: &mut sqlx::PgConnection, belonging: Belonging<'_>) -> RpcResult<()> {
        store::insert(tx, &self.device, Kind::Device, belonging).await?;
        store::insert(tx, &self.client, Kind::Client, belonging).await?;
        Ok(())
    }
}

fn after(now: Timestamp, life: jiff::SignedDuration) -> Timestamp {
    now.checked_add(life).unwrap_or(Timestamp::MAX)
}

async fn commit(tx: sqlx::Transaction<'static, sqlx::Postgres>) -> RpcResult<()> {
    tx.commit().await.map_err(|error| RpcError::Database(error.into()))
}

fn key(request: &[u8], field: &str) -> RpcResult<RequestedKey> {
    RequestedKey::from_request(request).map_err(|error| RpcError::field(field, error.to_string()))
}

/// A locked person gets nothing, also where the lock is newer than what this replica knows.
async fn refuse_locked(tx: &mut sqlx::PgConnection, operator: &str) -> Result<(), Status> {
    let Some(lock) = locked::of(tx, operator).await.map_err(RpcError::from)? else {
        return Ok(());
    };
    let error =
        PeerError::Locked { operator: lock.operator, until: lock.expire_time, reason: lock.reason };
    Err(status(Code::PermissionDenied, error.reason(), error.to_string(), &[]))
}

fn gone(reason: &str, what: &str) -> Status {
    let text = format!("{what}: ask an admin for a new token and log in with it");
    status(Code::Unauthenticated, reason, text, &[])
}

fn token_status(error: TokenError) -> Status {
    let reason = match &error {
        TokenError::Unknown => "TOKEN_UNKNOWN",
        TokenError::Used(_) => "TOKEN_USED",
        TokenError::Expired(_) => "TOKEN_EXPIRED",
        TokenError::Revoked(_) => "TOKEN_REVOKED",
        _ => return token_fault(error).into(),
    };
    status(Code::Unauthenticated, reason, error.to_string(), &[])
}

fn token_fault(error: TokenError) -> RpcError {
    match error {
        TokenError::Database(error) => RpcError::Database(error),
        TokenError::Name(_) => RpcError::field("operator", error.to_string()),
        TokenError::Life => RpcError::field("ttl", error.to_string()),
        other => RpcError::Internal(other.to_string()),
    }
}

/// A text of one line that a person gives.
fn sentence<'a>(field: &str, given: &'a str) -> RpcResult<&'a str> {
    let given = given.trim();
    text::check(given, LONGEST_SENTENCE)
        .map_err(|error| RpcError::field(field, error.to_string()))?;
    Ok(given)
}

#[tonic::async_trait]
impl AccessService for Access {
    async fn enrol(
        &self,
        request: Request<EnrolRequest>,
    ) -> Result<Response<EnrolResponse>, Status> {
        let call = *request.extensions().get::<Call>().ok_or(RpcError::NoCaller)?;
        let peer = peer_key(call.peer.ip());
        if self.guesses.is_exhausted(&peer, Instant::now()) {
            let text = "too many wrong tokens from this address: wait a minute";
            return Err(status(Code::ResourceExhausted, "TOO_MANY_GUESSES", text, &[]));
        }
        let (grant, credential) = match self.enrol_device(request.get_ref()).await {
            Ok(enrolled) => enrolled,
            Err(refusal) => {
                if refusal.code() == Code::Unauthenticated {
                    self.guesses.count(peer, Instant::now());
                }
                return Err(refusal);
            }
        };
        let mut response = Response::new(EnrolResponse {
            credential: Some(credential),
            region: self.parts.region.to_name(),
        });
        let (operator, role) = (&grant.operator, grant.role);
        let extensions = response.extensions_mut();
        extensions.insert(AuditedResource(format!("operators/{operator}")));
        extensions
            .insert(AuditedSummary(format!("device of {operator} enrolled with role {role}")));
        Ok(response)
    }

    async fn renew_credential(
        &self,
        request: Request<RenewCredentialRequest>,
    ) -> Result<Response<RenewCredentialResponse>, Status> {
        let caller = Caller::of(&request)?;
        let credential = self.renew(&caller.serial, request.get_ref()).await?;
        caller.notes.changes(format!("certificates of {} renewed", caller.operator));
        Ok(Response::new(RenewCredentialResponse { credential: Some(credential) }))
    }

    async fn create_enrolment_token(
        &self,
        request: Request<CreateEnrolmentTokenRequest>,
    ) -> Result<Response<EnrolmentToken>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.new_token(caller, request.get_ref()).await?))
    }

    async fn list_enrolment_tokens(
        &self,
        request: Request<v1::ListEnrolmentTokensRequest>,
    ) -> Result<Response<v1::ListEnrolmentTokensResponse>, Status> {
        Ok(Response::new(self.tokens(request.get_ref()).await?))
    }

    async fn revoke_enrolment_token(
        &self,
        request: Request<v1::RevokeEnrolmentTokenRequest>,
    ) -> Result<Response<EnrolmentToken>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.take_back(caller, request.get_ref()).await?))
    }

    async fn list_certificates(
        &self,
        request: Request<v1::ListCertificatesRequest>,
    ) -> Result<Response<v1::ListCertificatesResponse>, Status> {
        Ok(Response::new(self.certificates(request.get_ref()).await?))
    }

    async fn revoke_certificate(
        &self,
        request: Request<v1::RevokeCertificateRequest>,
    ) -> Result<Response<v1::Certificate>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.revoke(caller, request.get_ref()).await?))
    }

    async fn lock_operator(
        &self,
        request: Request<v1::LockOperatorRequest>,
    ) -> Result<Response<v1::OperatorLock>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.lock(caller, request.get_ref()).await?))
    }

    async fn unlock_operator(
        &self,
        request: Request<v1::UnlockOperatorRequest>,
    ) -> Result<Response<v1::OperatorLock>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.unlock(caller, request.get_ref()).await?))
    }

    async fn list_operator_locks(
        &self,
        request: Request<v1::ListOperatorLocksRequest>,
    ) -> Result<Response<v1::ListOperatorLocksResponse>, Status> {
        Ok(Response::new(self.operator_locks(request.get_ref()).await?))
    }

    async fn break_glass(
        &self,
        request: Request<v1::BreakGlassRequest>,
    ) -> Result<Response<v1::BreakGlassGrant>, Status> {
        let caller = Caller::of(&request)?;
        Ok(audited_grant(self.begin_break_glass(caller, request.get_ref()).await?))
    }

    async fn end_break_glass(
        &self,
        request: Request<v1::EndBreakGlassRequest>,
    ) -> Result<Response<v1::BreakGlassGrant>, Status> {
        let caller = Caller::of(&request)?;
        Ok(audited_grant(self.finish_break_glass(caller, request.get_ref()).await?))
    }

    async fn list_break_glass_grants(
        &self,
        request: Request<v1::ListBreakGlassGrantsRequest>,
    ) -> Result<Response<v1::ListBreakGlassGrantsResponse>, Status> {
        Ok(Response::new(self.break_glass_grants(request.get_ref()).await?))
    }

    async fn review_break_glass(
        &self,
        request: Request<v1::ReviewBreakGlassRequest>,
    ) -> Result<Response<v1::BreakGlassGrant>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.review_grant(caller, request.get_ref()).await?))
    }

    async fn who_am_i(
        &self,
        request: Request<WhoAmIRequest>,
    ) -> Result<Response<WhoAmIResponse>, Status> {
        let caller = Caller::of(&request)?;
        let tenants = match &caller.scope {
            Scope::Region => Vec::new(),
            Scope::Tenants(uids) => self.parts.tenants.names(uids).await?,
        };
        Ok(Response::new(WhoAmIResponse {
            operator: caller.operator.clone(),
            role: role_to_proto(caller.role).into(),
            role_name: caller.role_name.clone(),
            tenants,
            certificate_serial: caller.serial.clone(),
            expire_time: time::timestamp(caller.expires),
            region: self.parts.region.to_name(),
            break_glass_expire_time: caller.break_glass.and_then(|g| time::timestamp(g.until)),
        }))
    }

    async fn explain_access(
        &self,
        request: Request<ExplainAccessRequest>,
    ) -> Result<Response<ExplainAccessResponse>, Status> {
        let caller = Caller::of(&request)?;
        let method = self.find(&request.get_ref().method)?;
        let mut decision = explain(&rule_of(&method.policy), &caller.facts());
        if let Some(grant) = caller.break_glass
            && decision.rule == rules::BREAK_GLASS
        {
            // Else it would read as if it were for good.
            decision.message = format!("{} (until {})", decision.message, grant.until);
        }
        Ok(Response::new(ExplainAccessResponse {
            method: method.path.clone(),
            policy: Some(method.policy.clone()),
            allowed: decision.allowed,
            rule: decision.rule.into(),
            message: decision.message,
        }))
    }
}

/// A grant whose name the audit entry has; the request may have none.
fn audited_grant(grant: v1::BreakGlassGrant) -> Response<v1::BreakGlassGrant> {
    let named = AuditedResource(grant.name.clone());
    let mut response = Response::new(grant);
    response.extensions_mut().insert(named);
    response
}
