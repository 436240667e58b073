//! Enrolment and renewal on a real PostgreSQL, and the authority's files.

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

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
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::{
    Access, AccessParts, Authority, AuthorityError, AuthorityFiles, Grant, Revocations, Serving,
    TenantNames, create_token,
};
use crate::{
    db::{Scope, testing::TestDatabase},
    rpc::{
        Call, Caller, RpcError, RpcResult,
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
    revocations: Arc<Revocations>,
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
        let revocations = Arc::new(Revocations::new());
        let judge = PeerJudge::new(authority.trust_bundle().unwrap(), revocations.clone());
        let tenants = [TenantUid(Uuid::now_v7()), TenantUid(Uuid::now_v7())];
        let access = Access::new(AccessParts {
            authority: authority.clone(),
            database: test.database().clone(),
            revocations: revocations.clone(),
            tenants: Arc::new(TwoTenants(tenants)),
            region: RegionId::parse("local").unwrap(),
            methods: streamspace_proto::policy::methods(),
            clock: system_clock(),
        });
        Self { test, authority, revocations, judge, access, tenants, _folder: folder }
    }

    async fn token(&self, role: Role, tenants: Vec<TenantUid>) -> EnrolmentToken {
        let grant = Grant { operator: "ada".into(), role, tenants };
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
        Caller {
            operator: identity.operator.clone(),
            role: Role::parse(&identity.role_name),
            role_name: identity.role_name.clone(),
            serial: identity.serial.clone(),
            scope: identity.scope.clone(),
            expires: identity.not_after,
            peer: peer.addr,
            call_id: Uuid::now_v7(),
            audience: identity.audience,
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
        let token = self.token(Role::Operator, Vec::new()).await;
        self.enrol(enrol_with(&token)).await.unwrap().credential.unwrap()
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

#[tokio::test]
async fn enrolment_gives_a_device_and_an_operator() {
    let world = World::new().await;
    let token = world.token(Role::Operator, vec![world.tenants[0]]).await;
    assert_eq!(token.authority, world.authority.fingerprint());
    let response = world.enrol(enrol_with(&token)).await.unwrap();
    assert_eq!(response.region, "regions/local");
    let credential = response.credential.unwrap();
    assert_eq!(credential.authorities, [world.authority.certificates()[0].to_vec()]);
    let now = Timestamp::now();
    let hours = |hours| SignedDuration::from_hours(hours);
    assert!(near(credential.device_expire_time, now + hours(24 * 90)));
    assert!(near(credential.client_expire_time, now + hours(12)));

    let client = world.caller(&credential.client_certificate);
    assert_eq!((client.audience, client.role), (Audience::Operator, Some(Role::Operator)));
    assert_eq!((client.operator.as_str(), client.role_name.as_str()), ("ada", "operator"));
    assert_eq!(client.scope, Scope::Tenants(vec![world.tenants[0]]));
    let device = world.caller(&credential.device_certificate);
    assert_eq!((device.audience, device.operator.as_str()), (Audience::Device, "ada"));
}

#[tokio::test]
async fn the_outcome_of_an_enrolment_names_the_operator() {
    let world = World::new().await;
    let token = world.token(Role::Viewer, Vec::new()).await;
    let mut request = Request::new(enrol_with(&token));
    request.extensions_mut().insert(call("192.0.2.1:99"));
    let response = world.access.enrol(request).await.unwrap();
    let named = response.extensions().get::<AuditedResource>().cloned();
    assert_eq!(named, Some(AuditedResource("operators/ada".into())));
}

#[tokio::test]
async fn a_token_works_once_even_when_many_try_at_once() {
    let world = World::new().await;
    let token = world.token(Role::Viewer, Vec::new()).await;
    let tries = join_all((0..8).map(|_| world.enrol(enrol_with(&token)))).await;
    let (enrolled, refused): (Vec<_>, Vec<_>) = tries.into_iter().partition(Result::is_ok);
    assert_eq!(enrolled.len(), 1);
    for refusal in refused {
        assert_eq!(reason(&refusal.unwrap_err()), "TOKEN_USED");
    }
    let (certificates,): (i64,) = sqlx::query_as("SELECT count(*) FROM certificates")
        .fetch_one(world.test.database().operator())
        .await
        .unwrap();
    assert_eq!(certificates, 2, "one device and one client");
}

#[tokio::test]
async fn each_bad_token_is_told_what_is_wrong_with_it() {
    let world = World::new().await;
    let used = world.token(Role::Viewer, Vec::new()).await;
    world.enrol(enrol_with(&used)).await.unwrap();
    let expired = world.token(Role::Viewer, Vec::new()).await;
    sqlx::query(
        "UPDATE enrolment_tokens SET expire_time = now() - interval '1 s' WHERE use_time IS NULL",
    )
    .execute(world.test.database().operator())
    .await
    .unwrap();
    let mut unknown = enrol_with(&used);
    unknown.secret = vec![7; 32];
    for (request, expected, words) in [
        (enrol_with(&used), "TOKEN_USED", "works once"),
        (enrol_with(&expired), "TOKEN_EXPIRED", "ask for a new one"),
        (unknown, "TOKEN_UNKNOWN", "of this region"),
    ] {
        let refusal = world.enrol(request).await.unwrap_err();
        assert_eq!(refusal.code(), Code::Unauthenticated);
        assert_eq!(reason(&refusal), expected);
        assert!(refusal.message().contains(words), "{refusal}");
    }
}

#[tokio::test]
async fn a_bad_request_does_not_use_the_token_up() {
    let world = World::new().await;
    let token = world.token(Role::Viewer, Vec::new()).await;
    let mut forged = csr();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let rsa_is_not_taken = vec![0x30, 0];
    for (field, change) in [
        ("device_csr", EnrolRequest { device_csr: forged, ..enrol_with(&token) }),
        ("client_csr", EnrolRequest { client_csr: rsa_is_not_taken, ..enrol_with(&token) }),
        ("device_csr", EnrolRequest { device_csr: Vec::new(), ..enrol_with(&token) }),
        ("device_name", EnrolRequest { device_name: "x".repeat(64), ..enrol_with(&token) }),
        ("device_name", EnrolRequest { device_name: "\u{1b}[2J".into(), ..enrol_with(&token) }),
    ] {
        let refusal = world.enrol(change).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument);
        let details = refusal.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field);
    }
    world.enrol(enrol_with(&token)).await.unwrap();
}

#[tokio::test]
async fn whoever_guesses_tokens_is_slowed_down_and_nobody_else() {
    let world = World::new().await;
    let token = world.token(Role::Viewer, Vec::new()).await;
    let guess = || EnrolRequest { secret: vec![7; 32], ..enrol_with(&token) };
    for _ in 0..10 {
        assert_eq!(reason(&world.enrol(guess()).await.unwrap_err()), "TOKEN_UNKNOWN");
    }
    let refusal = world.enrol(guess()).await.unwrap_err();
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::ResourceExhausted, "TOO_MANY_GUESSES")
    );

    let mut elsewhere = Request::new(enrol_with(&token));
    elsewhere.extensions_mut().insert(call("192.0.2.2:99"));
    world.access.enrol(elsewhere).await.unwrap();
}

#[tokio::test]
async fn renewal_keeps_the_end_and_the_old_one_is_good_until_the_next_is_used() {
    let world = World::new().await;
    let first = world.enrolled().await;
    // The answer to this one is lost on the way.
    world.renew(&first.device_certificate).await.unwrap();
    let second = world.renew(&first.device_certificate).await.unwrap();
    assert_eq!(second.device_expire_time, first.device_expire_time, "renewal does not extend it");
    assert_ne!(second.device_certificate, first.device_certificate);
    let caller = world.caller(&second.client_certificate);
    assert_eq!((caller.operator.as_str(), caller.role), ("ada", Some(Role::Operator)));
    let third = world.renew(&second.device_certificate).await.unwrap();
    world.renew(&third.device_certificate).await.unwrap();
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

#[tokio::test]
async fn the_use_of_a_superseded_device_revokes_its_family_alone() {
    let world = World::new().await;
    let other = world.enrolled().await;
    let first = world.enrolled().await;
    let second = world.renew(&first.device_certificate).await.unwrap();
    let third = world.renew(&second.device_certificate).await.unwrap();
    let refusal = world.renew(&first.device_certificate).await.unwrap_err();
    assert_eq!(reason(&refusal), "CREDENTIAL_REUSED");
    assert!(all_revoked(&world, &[&first, &second, &third]));
    world.renew(&other.device_certificate).await.unwrap();
}

#[tokio::test]
async fn a_thief_who_renews_first_is_found_out() {
    let world = World::new().await;
    let owner = world.enrolled().await;
    // The owner renews; the thief has a copy of what there was before.
    let owners = world.renew(&owner.device_certificate).await.unwrap();
    let thiefs = world.renew(&owner.device_certificate).await.unwrap();
    let refusal = world.renew(&owners.device_certificate).await.unwrap_err();
    assert_eq!(reason(&refusal), "CREDENTIAL_REUSED");
    assert!(all_revoked(&world, &[&owner, &owners, &thiefs]));
}

#[tokio::test]
async fn renewals_at_once_leave_one_line() {
    let world = World::new().await;
    let first = world.enrolled().await;
    let all = join_all((0..8).map(|_| world.renew(&first.device_certificate))).await;
    for renewed in all {
        renewed.unwrap();
    }
    let (open,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM certificates WHERE kind = 'device' AND superseded_by IS NULL",
    )
    .fetch_one(world.test.database().operator())
    .await
    .unwrap();
    assert_eq!(open, 1);
}

#[tokio::test]
async fn known_revocations_keep_counting_while_the_database_is_away() {
    let world = World::new().await;
    let credential = world.enrolled().await;
    let serial = world.caller(&credential.client_certificate).serial;
    sqlx::query(
        "UPDATE certificates SET revoke_time = now(), revoke_reason = 'left' WHERE serial = $1",
    )
    .bind(&serial)
    .execute(world.test.database().operator())
    .await
    .unwrap();
    assert_eq!(world.revocations.standing(&serial), Standing::Good, "not read yet");
    world.revocations.refresh(world.test.database()).await.unwrap();
    assert!(
        matches!(world.revocations.standing(&serial), Standing::Revoked { reason, .. } if reason == "left")
    );
    let away = world.test.another().await;
    away.close().await;
    assert!(world.revocations.refresh(&away).await.is_err());
    assert!(matches!(world.revocations.standing(&serial), Standing::Revoked { .. }));
}

fn by<T>(caller: &Caller, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller.clone());
    request
}

#[tokio::test]
async fn an_admin_makes_tokens_and_sees_each_secret_once() {
    let world = World::new().await;
    let credential = world.enrolled().await;
    let admin = world.caller(&credential.client_certificate);
    let request = CreateEnrolmentTokenRequest {
        operator: "grace".into(),
        role: v1::Role::Auditor.into(),
        tenants: vec!["tenants/beta".into(), "tenants/acme".into()],
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let preview = CreateEnrolmentTokenRequest { validate_only: true, ..request.clone() };
    let reply = world.access.create_enrolment_token(by(&admin, preview)).await.unwrap();
    assert_eq!(reply.into_inner().token, "", "a preview makes none");

    let first = world.access.create_enrolment_token(by(&admin, request.clone())).await.unwrap();
    let first = first.into_inner();
    assert!(near(first.expire_time, Timestamp::now() + SignedDuration::from_hours(1)));
    let retry = world.access.create_enrolment_token(by(&admin, request)).await.unwrap();
    let expected = v1::EnrolmentToken { token: String::new(), ..first.clone() };
    assert_eq!(retry.into_inner(), expected, "the same token, without its secret");

    let response = world.enrol(enrol_with(&first.token.parse().unwrap())).await.unwrap();
    let grace = world.caller(&response.credential.unwrap().client_certificate);
    assert_eq!((grace.operator.as_str(), grace.role), ("grace", Some(Role::Auditor)));
    assert_eq!(grace.scope, Scope::Tenants(vec![world.tenants[1], world.tenants[0]]));

    let me = world.access.who_am_i(by(&grace, WhoAmIRequest {})).await.unwrap().into_inner();
    assert_eq!((me.operator.as_str(), me.role_name.as_str()), ("grace", "auditor"));
    assert_eq!(me.tenants, ["tenants/beta", "tenants/acme"]);
    assert_eq!((me.region.as_str(), me.certificate_serial), ("regions/local", grace.serial));
}

#[tokio::test]
async fn every_fault_of_a_token_request_is_named_at_once() {
    let world = World::new().await;
    let admin = world.caller(&world.enrolled().await.client_certificate);
    let bad = CreateEnrolmentTokenRequest {
        operator: "Ada Lovelace".into(),
        tenants: vec!["acme".into()],
        ttl: Some(prost_types::Duration { seconds: 8 * 24 * 3600, nanos: 0 }),
        ..Default::default()
    };
    let refusal = world.access.create_enrolment_token(by(&admin, bad)).await.unwrap_err();
    let details = refusal.get_error_details();
    let fields: Vec<&str> =
        details.bad_request().unwrap().field_violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["operator", "role", "tenants[0]", "ttl"]);

    let nobody = CreateEnrolmentTokenRequest {
        operator: "ada".into(),
        role: v1::Role::Viewer.into(),
        tenants: vec!["tenants/charlie".into()],
        ..Default::default()
    };
    let refusal = world.access.create_enrolment_token(by(&admin, nobody)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::NotFound);
}

#[tokio::test]
async fn access_is_explained_by_the_rule_that_decides() {
    let world = World::new().await;
    let operator = world.caller(&world.enrolled().await.client_certificate);
    let explain = |method: &str| {
        world.access.explain_access(by(&operator, ExplainAccessRequest { method: method.into() }))
    };
    for name in [
        "TenantService.DeleteTenant",
        "DeleteTenant",
        "streamspace.admin.v1.TenantService/DeleteTenant",
        "/streamspace.admin.v1.TenantService/DeleteTenant",
    ] {
        let explained = explain(name).await.unwrap().into_inner();
        assert_eq!(explained.method, "streamspace.admin.v1.TenantService/DeleteTenant");
        assert!(!explained.allowed);
        assert_eq!(explained.rule, "least-role");
        assert!(explained.message.contains("admin"), "{}", explained.message);
        assert!(explained.policy.unwrap().needs_reason);
    }
    assert!(explain("TenantService.CreateTenant").await.unwrap().into_inner().allowed);
    let refusal = explain("TenantService.DeleteTennant").await.unwrap_err();
    assert!(refusal.message().contains("did you mean TenantService.DeleteTenant?"), "{refusal}");
    assert!(explain("").await.is_err());
}

#[test]
fn an_authority_is_made_once_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let files = AuthorityFiles::in_folder(folder.path());
    let made = Authority::create(&files, "test.example", Timestamp::now()).unwrap();
    let permissions = fs::metadata(&files.key).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);
    let before = fs::read(&files.key).unwrap();
    let again = Authority::create(&files, "test.example", Timestamp::now());
    assert!(matches!(again, Err(AuthorityError::Exists(_))));
    assert_eq!(fs::read(&files.key).unwrap(), before, "nothing was overwritten");

    let opened = Authority::open(&files).unwrap();
    assert_eq!(opened.fingerprint(), made.fingerprint());
    assert_eq!(opened.trust_domain(), "test.example");
    // What the opened one signs, the made one's bundle trusts.
    let names = ["localhost".to_owned()];
    let serving = opened.issue_server(&names, Timestamp::now()).unwrap();
    assert_eq!(serving.chain[1], made.certificates()[0]);
}

#[test]
fn files_that_do_not_go_together_are_named() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = AuthorityFiles::in_folder(one.path());
    let others = AuthorityFiles::in_folder(two.path());
    Authority::create(&files, "one.example", Timestamp::now()).unwrap();
    Authority::create(&others, "two.example", Timestamp::now()).unwrap();
    let mixed = |key, certificate, trust| {
        Authority::open(&AuthorityFiles { certificate, key, trust }).err().unwrap().to_string()
    };
    let error = mixed(others.key.clone(), files.certificate.clone(), files.trust.clone());
    assert!(error.contains("ca.key") && error.contains("not the key"), "{error}");
    let error = mixed(files.key.clone(), files.certificate.clone(), others.trust.clone());
    assert!(error.contains("trust.pem"), "{error}");
    let error = mixed(files.key.clone(), one.path().join("none.pem"), files.trust.clone());
    assert!(error.contains("none.pem"), "{error}");
    fs::write(&others.key, "secret stuff").unwrap();
    let error = mixed(others.key, files.certificate, files.trust);
    assert!(error.contains("not a private key") && !error.contains("secret stuff"), "{error}");
}

#[tokio::test]
async fn the_server_certificate_is_renewed_at_two_thirds_of_its_life() {
    let folder = tempfile::tempdir().unwrap();
    let files = AuthorityFiles::in_folder(folder.path());
    let begin = Timestamp::now();
    let authority = Arc::new(Authority::create(&files, "test.example", begin).unwrap());
    let time = Arc::new(std::sync::Mutex::new(begin));
    let clock = {
        let time = time.clone();
        Arc::new(move || *time.lock().unwrap())
    };
    let mut serving = Serving::start(authority, vec!["localhost".into()], clock).unwrap();
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    for (day, due) in [(0, false), (19, false), (20, true), (39, false), (41, true)] {
        *time.lock().unwrap() = begin + days(day);
        assert_eq!(serving.renew_if_due().unwrap(), due, "day {day}");
    }
}
