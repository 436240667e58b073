//! The layers with real certificates and a handler that notes what reaches it.

mod audit;
mod peer;
mod policy;
mod streams;
mod tls;

use std::{
    collections::HashMap,
    convert::Infallible,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use streamspace_core::{
    access::Role,
    ids::{GrantId, TenantUid},
};
use tempfile::TempDir;
use tokio::sync::watch;
use tonic::{Status, body::Body};
use uuid::Uuid;

use super::{
    BreakGlass,
    audit::{AuditRecord, AuditSink, AuditUnavailable, Outcome},
    peer::{CertificateStatus, PeerInfo, Standing},
};
use crate::access::{
    Authority, AuthorityFiles, Grant,
    ca::{Issued, Kind, RequestedKey},
};

/// An authority in a folder of its own.
struct Region {
    authority: Authority,
    files: AuthorityFiles,
    _folder: TempDir,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The moment of the tests.
fn now() -> Timestamp {
    at("2030-01-01T00:00:00Z")
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

impl Region {
    fn new() -> Self {
        Self::of("test.example", now() - hours(1))
    }

    fn of(trust_domain: &str, time: Timestamp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = AuthorityFiles::in_folder(folder.path());
        let authority = Authority::create(&files, trust_domain, time).unwrap();
        Self { authority, files, _folder: folder }
    }

    /// A client certificate of twelve hours, with its key.
    fn client(&self, role: &str, tenants: &[TenantUid]) -> (Issued, KeyPair) {
        let (key, request) = key();
        let grant = Grant { operator: "ada".into(), role: Role::Viewer, tenants: tenants.into() };
        let times = (now() - hours(1), now() + hours(12));
        (self.authority.issue_named(&request, role, &grant, times).unwrap(), key)
    }

    fn device(&self) -> (Issued, KeyPair) {
        let (key, request) = key();
        let grant = Grant { operator: "ada".into(), role: Role::Admin, tenants: Vec::new() };
        let (from, to) = (now() - hours(1), now() + hours(24));
        (self.authority.issue(&request, Kind::Device, &grant, from, to).unwrap(), key)
    }

    /// A certificate that the authority itself would never make.
    fn odd(&self, change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let key = KeyPair::from_pem(&fs::read_to_string(&self.files.key).unwrap()).unwrap();
        let pem = fs::read_to_string(&self.files.certificate).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&pem, key).unwrap();
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().into()
    }
}

fn key() -> (KeyPair, RequestedKey) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).unwrap();
    (key, RequestedKey::from_request(request.der()).unwrap())
}

/// A connection that proved these certificates.
fn connection(certificates: Vec<CertificateDer<'static>>) -> PeerInfo {
    PeerInfo::new("192.0.2.7:4711".parse().unwrap(), certificates)
}

/// What a test knows of certificates and people.
struct KnownStatus {
    revoked: Mutex<HashMap<String, Standing>>,
    locked: Mutex<HashMap<String, Standing>>,
    grants: Mutex<HashMap<String, BreakGlass>>,
    changes: watch::Sender<u64>,
    is_unread: AtomicBool,
}

impl Default for KnownStatus {
    fn default() -> Self {
        Self {
            revoked: Mutex::default(),
            locked: Mutex::default(),
            grants: Mutex::default(),
            changes: watch::Sender::new(0),
            is_unread: AtomicBool::new(false),
        }
    }
}

impl KnownStatus {
    fn changed(&self) {
        self.changes.send_modify(|version| *version += 1);
    }

    fn revoke(&self, serial: &str) {
        let standing = Standing::Revoked { since: now(), reason: "lost laptop".into() };
        self.revoked.lock().unwrap().insert(serial.into(), standing);
        self.changed();
    }

    fn lock(&self, operator: &str) {
        let standing = Standing::Locked { until: None, reason: "on leave".into() };
        self.locked.lock().unwrap().insert(operator.into(), standing);
        self.changed();
    }

    fn grant(&self, operator: &str, until: Timestamp) {
        let grant = BreakGlass { grant: GrantId(Uuid::now_v7()), until };
        self.grants.lock().unwrap().insert(operator.into(), grant);
        self.changed();
    }

    fn end_grants(&self) {
        self.grants.lock().unwrap().clear();
        self.changed();
    }
}

impl CertificateStatus for KnownStatus {
    fn standing(&self, serial: &str, operator: &str, _now: Timestamp) -> Standing {
        let locked = self.locked.lock().unwrap().get(operator).cloned();
        let revoked = || self.revoked.lock().unwrap().get(serial).cloned();
        locked.or_else(revoked).unwrap_or(Standing::Good)
    }

    fn break_glass(&self, operator: &str, now: Timestamp) -> Option<BreakGlass> {
        self.grants.lock().unwrap().get(operator).copied().filter(|grant| now < grant.until)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn is_known(&self) -> bool {
        !self.is_unread.load(Ordering::SeqCst)
    }
}

/// What happened, in order.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    Intent(AuditRecord),
    Handler,
    Outcome(AuditRecord, Outcome),
    Denied(AuditRecord, i32, String),
}

/// Keeps entries in memory, and can refuse them.
#[derive(Default)]
struct MemorySink {
    events: Mutex<Vec<Event>>,
    refuses_intents: AtomicBool,
    refused_outcomes: AtomicUsize,
    changed: tokio::sync::Notify,
}

impl MemorySink {
    fn note(&self, event: Event) {
        self.events.lock().unwrap().push(event);
        self.changed.notify_waiters();
    }

    fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Waits until the events are as wished.
    async fn until(&self, wished: impl Fn(&[Event]) -> bool) -> Vec<Event> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let events = self.events();
            if wished(&events) {
                return events;
            }
            changed.await;
        }
    }
}

impl AuditSink for MemorySink {
    fn intent<'a>(
        &'a self,
        record: &'a AuditRecord,
    ) -> BoxFuture<'a, Result<(), AuditUnavailable>> {
        async move {
            if self.refuses_intents.load(Ordering::SeqCst) {
                return Err(AuditUnavailable("the disk is full".into()));
            }
            self.note(Event::Intent(record.clone()));
            Ok(())
        }
        .boxed()
    }

    fn outcome<'a>(
        &'a self,
        record: &'a AuditRecord,
        outcome: &'a Outcome,
    ) -> BoxFuture<'a, Result<(), AuditUnavailable>> {
        async move {
            let less = |left: usize| left.checked_sub(1);
            if self.refused_outcomes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
            {
                return Err(AuditUnavailable("the disk is full".into()));
            }
            self.note(Event::Outcome(record.clone(), outcome.clone()));
            Ok(())
        }
        .boxed()
    }

    fn denied(&self, record: AuditRecord, code: i32, message: String) {
        self.note(Event::Denied(record, code, message));
    }

    fn left(&self, _call: Uuid) {}
}

/// A message in its frame.
fn framed(message: &impl prost::Message) -> Body {
    let mut frame = vec![0];
    let message = message.encode_to_vec();
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&message);
    Body::new(Full::new(Bytes::from(frame)))
}

fn request(path: &str, peer: &PeerInfo, body: Body) -> Request<Body> {
    let mut request = Request::post(format!("http://daemon/{path}")).body(body).unwrap();
    request.extensions_mut().insert(peer.clone());
    request
}

/// What a handler answers when all is well: a message, and the status in trailers.
fn well() -> Response<Body> {
    answer(b"\0\0\0\0\0", &Status::ok(""))
}

fn answer(message: &'static [u8], status: &Status) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let body = Full::new(Bytes::from_static(message))
        .with_trailers(std::future::ready(Some(Ok::<_, Infallible>(trailers))));
    let mut response = Response::new(Body::new(body));
    let content = http::HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(http::header::CONTENT_TYPE, content);
    response
}

/// The status of an answer, wherever it stands, and the message.
async fn read(response: Response<Body>) -> (Status, Bytes) {
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let status = Status::from_header_map(&parts.headers)
        .or_else(|| collected.trailers().and_then(Status::from_header_map))
        .unwrap();
    (status, collected.to_bytes())
}
