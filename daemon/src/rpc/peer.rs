//! Who a peer is: judges the certificate that the handshake proved.
//!
//! Chain and purpose are judged once a connection; expiry, revocation and locks at every
//! call. Each way to fail has an explanation of its own, with the next step.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use rustls::{
    crypto::{WebPkiSupportedAlgorithms, aws_lc_rs},
    pki_types::{CertificateDer, TrustAnchor, UnixTime},
};
use streamspace_core::access::{Audience, Role, may_break_glass};
use thiserror::Error;
use tokio::sync::watch;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use self::certificate::{end_of, parse, scope_of, spiffe_name, timestamp};
use super::caller::BreakGlass;
use crate::db::Scope;

pub use certificate::{is_name, serial_text};

mod certificate;

/// The extension that names the tenants that a certificate reaches: a SEQUENCE OF
/// OCTET STRING, each the 16 bytes of a tenant's uid. A certificate without it
/// reaches the whole region. The arc is one of those that `2.25` derives from a
/// random number.
pub const TENANTS_OID: &[u64] = &[2, 25, 4_973_205_118_260_437_961];
/// What stands in the place of the role in a device certificate.
pub const DEVICE_ROLE: &str = "device";

const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// What is known of a certificate and its owner beside what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing against it.
    Good,
    /// It was revoked.
    Revoked {
        /// When.
        since: Timestamp,
        /// Why, in the words of whoever did it.
        reason: String,
    },
    /// Its owner is locked, whatever certificate they hold.
    Locked {
        /// When that ends by itself; `None` when somebody must end it.
        until: Option<Timestamp>,
        /// Why, in the words of whoever did it.
        reason: String,
    },
}

/// Tells the standing of certificates and people, from memory.
pub trait CertificateStatus: Send + Sync {
    /// The standing at `now` of the certificate with this serial number (lower-case
    /// hexadecimal), which is this operator's.
    fn standing(&self, serial: &str, operator: &str, now: Timestamp) -> Standing;
    /// The break-glass grant that the operator has at `now`.
    fn break_glass(&self, operator: &str, now: Timestamp) -> Option<BreakGlass>;
    /// Changes when an answer may have become another one for another reason than that
    /// time passed.
    fn changes(&self) -> watch::Receiver<u64>;
    /// Whether it was read at all since the process began. Before that nobody is known to
    /// be revoked or locked.
    fn is_known(&self) -> bool;
}

/// Who a certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A device or an operator.
    pub audience: Audience,
    /// The operator's name, for a device its owner's.
    pub operator: String,
    /// The role as it is spelled, known or not; `device` for a device.
    pub role_name: String,
    /// Which tenants it reaches.
    pub scope: Scope,
    /// The serial number in lower-case hexadecimal, without leading zeros.
    pub serial: String,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid: the earliest end in its chain.
    pub not_after: Timestamp,
}

/// Why a peer has no identity. The text is for the person who meets it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PeerError {
    /// There was none in the handshake.
    #[error("no client certificate was presented: log in with `ssctl login HOST --token TOKEN`")]
    NoCertificate,
    /// No certificate of the trust bundle signed it.
    #[error(
        "this certificate was signed by another authority than this region's: log in to this \
         region with `ssctl login`, or choose its context"
    )]
    UnknownAuthority,
    /// Its time is over.
    #[error(
        "the certificate expired at {since}: `ssctl` renews it by itself while the device's \
         credential lasts; else log in again"
    )]
    Expired {
        /// When it ended.
        since: Timestamp,
    },
    /// Its time has not come.
    #[error("the certificate is not valid before {from}: check the clocks of both machines")]
    NotYetValid {
        /// When it begins.
        from: Timestamp,
    },
    /// It is not one that this region makes for a client.
    #[error("the certificate cannot be used here ({0}): log in again")]
    Malformed(String),
    /// It is for something else, for example a server.
    #[error("the certificate is not one for clients: use the one that `ssctl login` made")]
    WrongPurpose,
    /// It was revoked.
    #[error("the certificate was revoked at {since} ({reason}): ask an admin for a new token")]
    Revoked {
        /// When.
        since: Timestamp,
        /// Why.
        reason: String,
    },
    /// Its owner is locked.
    #[error("{operator} is locked{} ({reason}): ask an admin, who ends it with `ssctl operator \
             unlock {operator}`", until_text(.until.as_ref()))]
    Locked {
        /// Whose certificate it is.
        operator: String,
        /// When the lock ends by itself.
        until: Option<Timestamp>,
        /// Why.
        reason: String,
    },
    /// It names another trust domain.
    #[error(
        "the certificate is for the trust domain {found}, and this region is of {expected}: log \
         in to this region"
    )]
    WrongTrustDomain {
        /// What the certificate names.
        found: String,
        /// What this region is of.
        expected: String,
    },
}

fn until_text(until: Option<&Timestamp>) -> String {
    until.map_or_else(String::new, |until| format!(" until {until}"))
}

impl PeerError {
    /// The word for programs, in `google.rpc.ErrorInfo`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoCertificate => "NO_CERTIFICATE",
            Self::UnknownAuthority => "UNKNOWN_AUTHORITY",
            Self::Expired { .. } => "CERTIFICATE_EXPIRED",
            Self::NotYetValid { .. } => "CERTIFICATE_NOT_YET_VALID",
            Self::Malformed(_) => "CERTIFICATE_MALFORMED",
            Self::WrongPurpose => "CERTIFICATE_WRONG_PURPOSE",
            Self::Revoked { .. } => "CERTIFICATE_REVOKED",
            Self::Locked { .. } => "OPERATOR_LOCKED",
            Self::WrongTrustDomain { .. } => "WRONG_TRUST_DOMAIN",
        }
    }
}

/// The certificate authorities that a region trusts, and its trust domain.
#[derive(Clone, Debug)]
pub struct TrustBundle {
    trust_domain: String,
    authorities: Vec<Trusted>,
}

#[derive(Clone, Debug)]
struct Trusted {
    anchor: TrustAnchor<'static>,
    not_after: Timestamp,
}

impl TrustBundle {
    /// Trusts these certificates (DER). Fails on the first that is not one of an
    /// authority.
    pub fn new(
        trust_domain: impl Into<String>,
        certificates: &[CertificateDer<'_>],
    ) -> Result<Self, PeerError> {
        let authorities = certificates
            .iter()
            .map(|certificate| {
                let anchor = anchor_from_trusted_cert(certificate)
                    .map_err(|e| PeerError::Malformed(e.to_string()))?
                    .to_owned();
                Ok(Trusted { anchor, not_after: end_of(certificate)? })
            })
            .collect::<Result<_, PeerError>>()?;
        Ok(Self { trust_domain: trust_domain.into(), authorities })
    }
}

/// Judges peers.
pub struct PeerJudge {
    bundle: RwLock<Arc<TrustBundle>>,
    algorithms: WebPkiSupportedAlgorithms,
    status: Arc<dyn CertificateStatus>,
}

/// What a connection proved. It is the `ConnectInfo` of every request on it, and
/// remembers the judgement.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Where the peer calls from.
    pub addr: SocketAddr,
    /// The certificates of the handshake, leaf first; empty where there were none.
    pub certificates: Arc<[CertificateDer<'static>]>,
    judgement: Arc<Mutex<Option<Judgement>>>,
}

#[derive(Clone, Debug)]
struct Judgement {
    bundle: Arc<TrustBundle>,
    verdict: Result<Arc<Identity>, PeerError>,
}

impl PeerInfo {
    /// A connection from this address with these certificates, leaf first.
    pub fn new(addr: SocketAddr, certificates: Vec<CertificateDer<'static>>) -> Self {
        Self { addr, certificates: certificates.into(), judgement: Arc::default() }
    }
}

impl PeerJudge {
    /// Judges by this bundle and this standing.
    pub fn new(bundle: TrustBundle, status: Arc<dyn CertificateStatus>) -> Self {
        Self {
            bundle: RwLock::new(Arc::new(bundle)),
            algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
            status,
        }
    }

    /// Judges by another bundle from the next call on, also on open connections.
    pub fn replace_bundle(&self, bundle: TrustBundle) {
        *self.bundle.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(bundle);
    }

    /// Who the peer is at `now`, or why that cannot be told.
    pub fn judge(&self, peer: &PeerInfo, now: Timestamp) -> Result<Arc<Identity>, PeerError> {
        let identity = self.remembered(peer, now)?;
        self.still_good(&identity, now)?;
        Ok(identity)
    }

    /// Whether an identity that was judged before still holds at `now`.
    pub fn still_good(&self, identity: &Identity, now: Timestamp) -> Result<(), PeerError> {
        if now < identity.not_before {
            return Err(PeerError::NotYetValid { from: identity.not_before });
        }
        if now > identity.not_after {
            return Err(PeerError::Expired { since: identity.not_after });
        }
        match self.status.standing(&identity.serial, &identity.operator, now) {
            Standing::Good => Ok(()),
            Standing::Revoked { since, reason } => Err(PeerError::Revoked { since, reason }),
            Standing::Locked { until, reason } => {
                Err(PeerError::Locked { operator: identity.operator.clone(), until, reason })
            }
        }
    }

    /// Who the peer's certificate names, where an authority of the region signed it,
    /// whether or not it is still good. It proves a name for the log and grants nothing.
    pub fn named(&self, peer: &PeerInfo, now: Timestamp) -> Option<Arc<Identity>> {
        self.remembered(peer, now).ok()
    }

    /// The break-glass grant that counts for an identity at `now`: never for a device, nor
    /// for a role that may not have one.
    pub fn break_glass(&self, identity: &Identity, now: Timestamp) -> Option<BreakGlass> {
        let role = Role::parse(&identity.role_name);
        if identity.audience != Audience::Operator || !may_break_glass(role) {
            return None;
        }
        self.status.break_glass(&identity.operator, now)
    }

    /// Whether it is known yet who was revoked or locked.
    pub fn is_informed(&self) -> bool {
        self.status.is_known()
    }

    /// Changes when an identity that was good may be no more.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.status.changes()
    }

    fn remembered(&self, peer: &PeerInfo, now: Timestamp) -> Result<Arc<Identity>, PeerError> {
        let bundle = Arc::clone(&self.bundle.read().unwrap_or_else(PoisonError::into_inner));
        let mut slot = peer.judgement.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(judgement) = slot.as_ref().filter(|j| Arc::ptr_eq(&j.bundle, &bundle)) {
            return judgement.verdict.clone();
        }
        let verdict = self.identify(&bundle, &peer.certificates, now).map(Arc::new);
        *slot = Some(Judgement { bundle, verdict: verdict.clone() });
        verdict
    }

    /// Everything about a certificate that does not change while it is in use.
    fn identify(
        &self,
        bundle: &TrustBundle,
        certificates: &[CertificateDer<'static>],
        now: Timestamp,
    ) -> Result<Identity, PeerError> {
        let (leaf, intermediates) = certificates.split_first().ok_or(PeerError::NoCertificate)?;
        let parsed = parse(leaf)?;
        let not_before = timestamp(parsed.validity().not_before)?;
        let not_after = timestamp(parsed.validity().not_after)?;
        if not_before > not_after {
            return Err(PeerError::Malformed("it ends before it begins".into()));
        }
        // The chain is judged at a moment of the leaf's validity, so that an expired
        // certificate of another authority is told what is worse about it.
        let moment = now.clamp(not_before, not_after);
        let chain_end = self.verify_chain(bundle, leaf, intermediates, moment)?;
        let name = spiffe_name(&parsed, &bundle.trust_domain)?;
        let audience = if name.role == DEVICE_ROLE { Audience::Device } else { Audience::Operator };
        Ok(Identity {
            audience,
            operator: name.operator,
            role_name: name.role,
            scope: scope_of(&parsed)?,
            serial: serial_text(parsed.raw_serial()),
            not_before,
            not_after: not_after.min(chain_end),
        })
    }

    /// Verifies signatures and purpose up to an authority of the bundle. Returns the
    /// earliest end among the certificates above the leaf.
    fn verify_chain(
        &self,
        bundle: &TrustBundle,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        moment: Timestamp,
    ) -> Result<Timestamp, PeerError> {
        let end_entity =
            EndEntityCert::try_from(leaf).map_err(|e| PeerError::Malformed(e.to_string()))?;
        let seconds = u64::try_from(moment.as_second()).unwrap_or(0);
        let anchors: Vec<_> = bundle.authorities.iter().map(|a| a.anchor.clone()).collect();
        let path = end_entity
            .verify_for_usage(
                self.algorithms.all,
                &anchors,
                intermediates,
                UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                KeyUsage::required(CLIENT_AUTH),
                None,
                None,
            )
            .map_err(chain_error)?;
        // webpki does not look at the end of a trust anchor.
        let anchor_end = bundle
            .authorities
            .iter()
            .find(|a| &a.anchor == path.anchor())
            .map_or(Timestamp::MAX, |a| a.not_after);
        path.intermediate_certificates()
            .try_fold(anchor_end, |end, intermediate| Ok(end.min(end_of(&intermediate.der())?)))
    }
}

fn chain_error(error: webpki::Error) -> PeerError {
    match error {
        webpki::Error::UnknownIssuer
        | webpki::Error::InvalidSignatureForPublicKey
        | webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | webpki::Error::EndEntityUsedAsCa => PeerError::UnknownAuthority,
        webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::CaUsedAsEndEntity => {
            PeerError::WrongPurpose
        }
        other => PeerError::Malformed(other.to_string()),
    }
}
