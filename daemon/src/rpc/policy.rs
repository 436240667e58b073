//! The policy layer over the whole server: every call meets the rule of its method.
//!
//! A path without a rule is not served. What passes carries a [`Call`], a [`Caller`]
//! where the peer is verified, and the admission that the audit layer acts on. Open
//! streams are judged again before each message, and when anything about certificates,
//! people or grants changes or their time ends.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::{FutureExt as _, future::BoxFuture};
use http::{Request, Response};
use jiff::Timestamp;
use streamspace_core::access::{
    Audience, CallerFacts, Decision, Role, Rule, ScopeKind, decide, rules,
};
use streamspace_proto::{
    policy::Method,
    v1::{self, MethodPolicy},
};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;
use tower::{Layer, Service};
use uuid::Uuid;

use super::{
    Clock, RpcError,
    audit::{Admission, AuditRecord, AuditSink},
    caller::{BreakGlass, Call, CallNotes, Caller},
    limits::{RateLimit, peer_key},
    message::{LARGEST_OF_ANYONE, LARGEST_REQUEST, UnaryRequest},
    peer::{Identity, PeerError, PeerInfo, PeerJudge},
    status::{code_number, refuse, status, with_call_id},
};
use crate::db::Scope;
use guarded::GuardedBody;

mod guarded;

/// The rule that a peer without a verified certificate meets, in the audit log and in
/// answers.
pub const CERTIFICATE_RULE: &str = "certificate";

/// The rule that a locked operator meets.
pub const LOCK_RULE: &str = "operator-lock";

/// The rule that a peer without a verified certificate meets when it calls too often.
pub const RATE_RULE: &str = "anonymous-rate";
/// The metadata of a request that names the incident which it belongs to.
pub const INCIDENT: &str = "streamspace-incident";
const LONGEST_INCIDENT: usize = 64;
/// So many mutations a minute may come from one address whose callers prove nothing.
const OF_ANYONE: u32 = 60;
const OF_ANYONE_WITHIN: Duration = Duration::from_mins(1);

/// The rule of a method in the terms that decide. A half-written policy lets nobody
/// in.
pub fn rule_of(policy: &MethodPolicy) -> Rule {
    Rule {
        audience: match policy.audience() {
            v1::Audience::Anonymous => Audience::Anonymous,
            v1::Audience::Device => Audience::Device,
            v1::Audience::Operator | v1::Audience::Unspecified => Audience::Operator,
        },
        least_role: role_of(policy.least_role()),
        also_roles: policy.also_roles().filter_map(role_of).collect(),
        scope: match policy.scope() {
            v1::Scope::Tenant => ScopeKind::Tenant,
            v1::Scope::Self_ => ScopeKind::Caller,
            v1::Scope::Region | v1::Scope::Unspecified => ScopeKind::Region,
        },
        mutates: policy.mutates,
        needs_reason: policy.needs_reason,
        needs_approval: policy.needs_approval,
    }
}

/// The role of the contract in the terms that decide.
pub fn role_of(role: v1::Role) -> Option<Role> {
    match role {
        v1::Role::Unspecified => None,
        v1::Role::Viewer => Some(Role::Viewer),
        v1::Role::Operator => Some(Role::Operator),
        v1::Role::Admin => Some(Role::Admin),
        v1::Role::Billing => Some(Role::Billing),
        v1::Role::Auditor => Some(Role::Auditor),
    }
}

/// The role in the terms of the contract.
pub fn role_to_proto(role: Option<Role>) -> v1::Role {
    match role {
        None => v1::Role::Unspecified,
        Some(Role::Viewer) => v1::Role::Viewer,
        Some(Role::Operator) => v1::Role::Operator,
        Some(Role::Admin) => v1::Role::Admin,
        Some(Role::Billing) => v1::Role::Billing,
        Some(Role::Auditor) => v1::Role::Auditor,
    }
}

/// Makes [`PolicyService`]s. It stands outside the audit layer.
#[derive(Clone)]
pub struct PolicyLayer {
    policy: Arc<Policy>,
}

struct Policy {
    methods: HashMap<String, Arc<Ruled>>,
    judge: Arc<PeerJudge>,
    sink: Arc<dyn AuditSink>,
    clock: Clock,
    /// Mutations of peers that proved nothing. Each leaves two lines in the audit log.
    of_anyone: RateLimit<IpAddr>,
}

struct Ruled {
    method: Method,
    rule: Rule,
}

impl PolicyLayer {
    /// Enforces the rules of these methods, as `streamspace_proto::policy::methods()`
    /// gives them.
    pub fn new(
        methods: Vec<Method>,
        judge: Arc<PeerJudge>,
        sink: Arc<dyn AuditSink>,
        clock: Clock,
    ) -> Self {
        let methods = methods
            .into_iter()
            .map(|method| {
                let rule = rule_of(&method.policy);
                (method.path.clone(), Arc::new(Ruled { method, rule }))
            })
            .collect();
        let of_anyone = RateLimit::new(OF_ANYONE, OF_ANYONE_WITHIN);
        Self { policy: Arc::new(Policy { methods, judge, sink, clock, of_anyone }) }
    }
}

impl<S> Layer<S> for PolicyLayer {
    type Service = PolicyService<S>;

    fn layer(&self, inner: S) -> PolicyService<S> {
        PolicyService { inner, policy: Arc::clone(&self.policy) }
    }
}

/// A service that only admitted calls reach.
#[derive(Clone)]
pub struct PolicyService<S> {
    inner: S,
    policy: Arc<Policy>,
}

impl<S> Service<Request<Body>> for PolicyService<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        let policy = Arc::clone(&self.policy);
        let id = Uuid::now_v7();
        async move {
            // Every log line of the call carries it.
            tracing::Span::current().record("call_id", tracing::field::display(id));
            let response = match policy.admit(request, id).await {
                Ok(Admitted { request, guard }) => {
                    let response = ready.call(request).await?;
                    match guard {
                        Some(guard) => policy.guard(response, guard),
                        None => response,
                    }
                }
                Err(status) => refuse(&status),
            };
            Ok(with_call_id(response, id))
        }
        .boxed()
    }
}

struct Admitted {
    request: Request<Body>,
    /// What an open stream must go on to meet, where it opens one.
    guard: Option<Guard>,
}

/// Whose stream it is, and by which rule it was opened.
struct Guard {
    identity: Arc<Identity>,
    ruled: Arc<Ruled>,
}

impl Policy {
    async fn admit(&self, mut request: Request<Body>, id: Uuid) -> Result<Admitted, Status> {
        let path = request.uri().path().trim_start_matches('/');
        let Some(ruled) = self.methods.get(path) else {
            return Err(unknown_method(path));
        };
        let Ruled { method, rule } = ruled.as_ref();
        let Some(peer) = request.extensions().get::<PeerInfo>().cloned() else {
            // Wired without the acceptor: nobody knows who this is.
            return Err(status(Code::Internal, "INTERNAL", "the connection has no peer", &[]));
        };
        let now = (self.clock)();
        let judged = self.judge.judge(&peer, now);
        let identity = judged.as_ref().ok().cloned();
        let break_glass = identity.as_ref().and_then(|i| self.judge.break_glass(i, now));
        let incident = incident(request.headers());
        // What is no incident's name stays out of the log.
        let known_incident = incident.as_deref().unwrap_or_default();
        let notes = CallNotes::of_incident(known_incident);
        let caller =
            identity.as_deref().map(|identity| caller_of(identity, &peer, id, break_glass, notes));
        // Whoever is refused for an end, a revocation or a lock has a name all the same.
        let named = match rule.audience {
            Audience::Anonymous => identity.clone(),
            Audience::Device | Audience::Operator => self.judge.named(&peer, now),
        };
        let record = |decided: &str| AuditRecord {
            call_id: id,
            actor: named.as_ref().map(|n| n.operator.clone()).unwrap_or_default(),
            certificate_serial: named.as_ref().map(|n| n.serial.clone()).unwrap_or_default(),
            role: named.as_ref().map(|n| role_in_log(n, break_glass)).unwrap_or_default(),
            method: method.path.clone(),
            resource: String::new(),
            request_sha256: Vec::new(),
            reason: String::new(),
            incident: known_incident.to_owned(),
            rule: decided.to_owned(),
            peer: peer.addr.to_string(),
        };
        let deny = |record: AuditRecord, status: Status| {
            let message = status.message().to_owned();
            self.sink.denied(record, code_number(status.code()), message);
            status
        };

        if rule.audience != Audience::Anonymous
            && let Err(error) = &judged
        {
            return Err(deny(record(peer_rule(error)), refused_peer(error)));
        }
        let facts = identity.as_ref().map_or_else(nobody, |i| facts_of(i, break_glass));
        let decision = decide(rule, &facts, true);
        if !decision.allowed {
            let status = denied(method, rule, &facts, &decision);
            return Err(deny(record(decision.rule), status));
        }

        self.require_informed(rule)?;
        if let Err(status) = &incident {
            return Err(status.clone());
        }
        if rule.mutates && caller.is_none() {
            let counted = self.require_patience(peer.addr.ip());
            counted.map_err(|status| deny(record(RATE_RULE), status))?;
        }

        let mut admission = Admission::Read;
        if rule.mutates {
            let Some(descriptor) = &method.input else {
                return Err(status(
                    Code::Internal,
                    "INTERNAL",
                    "the method cannot be audited",
                    &[],
                ));
            };
            let (parts, body) = request.into_parts();
            let largest = if caller.is_some() { LARGEST_REQUEST } else { LARGEST_OF_ANYONE };
            let (message, body) = UnaryRequest::read(body, descriptor, largest).await?;
            request = Request::from_parts(parts, body);
            if !message.validate_only() {
                let record = AuditRecord {
                    resource: message.resource(),
                    request_sha256: message.sha256.to_vec(),
                    reason: message.reason(),
                    ..record(decision.rule)
                };
                let decision = decide(rule, &facts, !record.reason.trim().is_empty());
                if !decision.allowed {
                    let status = denied(method, rule, &facts, &decision);
                    return Err(deny(
                        AuditRecord { rule: decision.rule.to_owned(), ..record },
                        status,
                    ));
                }
                admission = Admission::Mutation(Arc::new(record));
            }
        }
        request.extensions_mut().insert(admission);
        request.extensions_mut().insert(Call { id, peer: peer.addr });
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        let guard = identity.filter(|_| method.streams);
        let guard = guard.map(|identity| Guard { identity, ruled: Arc::clone(ruled) });
        Ok(Admitted { request, guard })
    }

    /// Refuses an address whose callers prove nothing and change too much.
    fn require_patience(&self, address: IpAddr) -> Result<(), Status> {
        if self.of_anyone.count(peer_key(address), Instant::now()) {
            return Ok(());
        }
        let text = "too many calls from this address: wait a minute";
        let metadata = [("rule", RATE_RULE)];
        Err(status(Code::ResourceExhausted, "TOO_MANY_CALLS", text, &metadata))
    }

    /// Refuses until it is known who was revoked or locked. What is in memory may be told
    /// before, and enrolment asks the database itself.
    fn require_informed(&self, rule: &Rule) -> Result<(), Status> {
        let is_harmless = rule.scope == ScopeKind::Caller && !rule.mutates;
        if rule.audience == Audience::Anonymous || is_harmless || self.judge.is_informed() {
            return Ok(());
        }
        let text = "the daemon began just now and does not know yet who was revoked or locked, \
                    for which it needs the database: try again";
        Err(status(Code::Unavailable, "DATABASE_UNAVAILABLE", text, &[]))
    }

    /// Whether a stream that is open may stay so at `now`, and until when that holds if
    /// nothing changes.
    fn still_admitted(&self, guard: &Guard, now: Timestamp) -> Result<Timestamp, Status> {
        let Guard { identity, ruled } = guard;
        self.judge.still_good(identity, now).map_err(|error| refused_peer(&error))?;
        let break_glass = self.judge.break_glass(identity, now);
        let facts = facts_of(identity, break_glass);
        let decision = decide(&ruled.rule, &facts, true);
        if !decision.allowed {
            return Err(denied(&ruled.method, &ruled.rule, &facts, &decision));
        }
        let grant_end = break_glass.map_or(Timestamp::MAX, |grant| grant.until);
        Ok(identity.not_after.min(grant_end))
    }

    /// Judges the caller of a stream for as long as it is open.
    fn guard(self: &Arc<Self>, response: Response<Body>, guard: Guard) -> Response<Body> {
        response.map(|inner| Body::new(GuardedBody::new(inner, guard, Arc::clone(self))))
    }
}

/// What decides about an identity.
fn facts_of(identity: &Identity, break_glass: Option<BreakGlass>) -> CallerFacts {
    let role = match identity.audience {
        Audience::Operator => Role::parse(&identity.role_name),
        Audience::Device | Audience::Anonymous => None,
    };
    CallerFacts {
        audience: identity.audience,
        role,
        role_name: identity.role_name.clone(),
        scoped_to_tenants: matches!(identity.scope, Scope::Tenants(_)),
        break_glass: break_glass.is_some(),
    }
}

fn caller_of(
    identity: &Identity,
    peer: &PeerInfo,
    call_id: Uuid,
    break_glass: Option<BreakGlass>,
    notes: CallNotes,
) -> Caller {
    Caller {
        operator: identity.operator.clone(),
        role: facts_of(identity, break_glass).effective_role(),
        role_name: identity.role_name.clone(),
        serial: identity.serial.clone(),
        scope: identity.scope.clone(),
        expires: identity.not_after,
        peer: peer.addr,
        call_id,
        audience: identity.audience,
        break_glass,
        notes,
        item: None,
    }
}

/// The incident that the caller names in the metadata; empty where there is none.
fn incident(headers: &http::HeaderMap) -> Result<String, Status> {
    let Some(given) = headers.get(INCIDENT) else { return Ok(String::new()) };
    match given.to_str() {
        Ok(name) if is_incident(name) => Ok(name.to_owned()),
        _ => {
            let text = "must be a letter and then at most 63 letters, digits and -, for example \
                        INC-7";
            Err(RpcError::field(INCIDENT, text).into())
        }
    }
}

/// Whether this can be the name of an incident.
fn is_incident(name: &str) -> bool {
    name.len() <= LONGEST_INCIDENT
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The role of the certificate, and whether a grant was in force beside it.
fn role_in_log(identity: &Identity, break_glass: Option<BreakGlass>) -> String {
    match break_glass {
        None => identity.role_name.clone(),
        Some(_) => format!("{} (break-glass)", identity.role_name),
    }
}

fn nobody() -> CallerFacts {
    CallerFacts {
        audience: Audience::Anonymous,
        role: None,
        role_name: String::new(),
        scoped_to_tenants: false,
        break_glass: false,
    }
}

fn unknown_method(path: &str) -> Status {
    let text = format!(
        "this daemon does not know the method {}: compare `ssctl version` with the daemon's",
        path.escape_default().take(128).collect::<String>()
    );
    status(Code::Unimplemented, "METHOD_UNKNOWN", text, &[])
}

fn peer_rule(error: &PeerError) -> &'static str {
    match error {
        PeerError::Locked { .. } => LOCK_RULE,
        _ => CERTIFICATE_RULE,
    }
}

/// A locked operator is known and may not; everybody else here proved nobody.
fn refused_peer(error: &PeerError) -> Status {
    let code = match error {
        PeerError::Locked { .. } => Code::PermissionDenied,
        _ => Code::Unauthenticated,
    };
    status(code, error.reason(), error.to_string(), &[("rule", peer_rule(error))])
}

/// The word for programs of each rule that can deny.
fn denial_reason(rule: &str) -> &'static str {
    match rule {
        rules::AUDIENCE => "WRONG_CREDENTIAL",
        rules::UNKNOWN_ROLE => "ROLE_UNKNOWN",
        rules::LEAST_ROLE => "ROLE_TOO_LOW",
        rules::REGION_SCOPE => "SCOPE_TOO_NARROW",
        rules::NEEDS_REASON => "REASON_REQUIRED",
        _ => "DENIED",
    }
}

/// Whether this caller may call a method, for another one that does its work in their
/// name and has a reason. A refusal is the one that the method itself would give.
pub fn allowed(method: &Method, facts: &CallerFacts) -> Result<(), Status> {
    let rule = rule_of(&method.policy);
    let decision = decide(&rule, facts, true);
    if decision.allowed { Ok(()) } else { Err(denied(method, &rule, facts, &decision)) }
}

fn denied(method: &Method, rule: &Rule, facts: &CallerFacts, decision: &Decision) -> Status {
    let least = rule.least_role.map_or("", Role::as_str);
    let mut metadata = vec![("rule", decision.rule), ("method", method.path.as_str())];
    if decision.rule == rules::LEAST_ROLE || decision.rule == rules::UNKNOWN_ROLE {
        metadata.push(("needed_role", least));
        metadata.push(("role", facts.role_name.as_str()));
    }
    let reason = denial_reason(decision.rule);
    if decision.rule == rules::NEEDS_REASON {
        let bad = status(Code::InvalidArgument, reason, decision.message.clone(), &metadata);
        let mut details = bad.get_error_details();
        details.add_bad_request_violation("reason", decision.message.clone());
        return Status::with_error_details(Code::InvalidArgument, bad.message(), details);
    }
    status(Code::PermissionDenied, reason, decision.message.clone(), &metadata)
}
