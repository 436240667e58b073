//! The region's certificate authority.
//!
//! It signs three kinds of certificate: the daemon's own, the device certificates that
//! may only renew, and the client certificates that name person and role. Of a request
//! for a certificate only the public key counts; everything else comes from the token.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CustomExtension,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType, SerialNumber,
    string::Ia5String,
};
use rustls::pki_types::{
    CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer,
    pem::PemObject as _,
};
use streamspace_core::{access::Role, ids::TenantUid};
use thiserror::Error;
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

use crate::rpc::peer::{self, DEVICE_ROLE, PeerError, TENANTS_OID, TrustBundle};

/// How long the authority's own certificate lasts.
pub const AUTHORITY_LIFE: SignedDuration = SignedDuration::from_hours(24 * 3653);
/// How long a certificate of the daemon lasts; it makes the next one by itself.
pub const SERVER_LIFE: SignedDuration = SignedDuration::from_hours(24 * 30);
/// How long a device credential lasts, from enrolment on. Renewal does not extend it.
pub const DEVICE_LIFE: SignedDuration = SignedDuration::from_hours(24 * 90);
/// How long a client certificate lasts.
pub const CLIENT_LIFE: SignedDuration = SignedDuration::from_hours(12);
/// How far certificates reach back, for clocks that are behind.
const BACKDATED: SignedDuration = SignedDuration::from_mins(5);

/// What goes wrong with the authority.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// There is one already.
    #[error(
        "{0} is there already, and an authority is made once: every certificate of the region \
         depends on it. To begin anew, move the whole folder away first"
    )]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("{path}: {source}. `streamspaced init` makes the authority's files")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{path}: {message}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A name cannot stand in a certificate.
    #[error("{0:?} cannot stand in a certificate: use a DNS name or an IP address")]
    Name(String),
    /// The cryptography failed.
    #[error("the certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// There is no randomness.
    #[error("the system gave no random bytes")]
    Random,
}

/// Why a request for a certificate is not one.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RequestError {
    /// It cannot be parsed, or its signature does not prove possession of the key.
    #[error("must be a PKCS#10 request in DER, signed by its own key ({0})")]
    Unreadable(String),
    /// The key is of a kind that is not taken.
    #[error("must be for a key of ECDSA P-256, ECDSA P-384 or Ed25519")]
    Algorithm,
}

/// The files of an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityFiles {
    /// The certificate that signs, PEM.
    pub certificate: PathBuf,
    /// Its key, PKCS#8 in PEM, readable by its owner alone.
    pub key: PathBuf,
    /// The certificates to trust, PEM. During a rotation it holds two.
    pub trust: PathBuf,
}

impl AuthorityFiles {
    /// The usual names in a folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            certificate: folder.join("ca.pem"),
            key: folder.join("ca.key"),
            trust: folder.join("trust.pem"),
        }
    }
}

/// Whom a certificate names and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The operator's name.
    pub operator: String,
    /// What they may do.
    pub role: Role,
    /// The tenants that they reach; the whole region where it is empty.
    pub tenants: Vec<TenantUid>,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It may only renew.
    Device,
    /// It names person and role.
    Client,
}

/// A certificate that was made for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// DER.
    pub certificate: CertificateDer<'static>,
    /// The serial number in lower-case hexadecimal.
    pub serial: String,
    /// When it ends.
    pub expires: Timestamp,
}

/// A certificate of the daemon with its key.
#[derive(Debug)]
pub struct ServerCredential {
    /// The leaf, then the authority: a client that knows the authority by its
    /// fingerprint alone finds it here.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
    /// When the leaf ends.
    pub expires: Timestamp,
}

/// A public key whose owner proved that they hold it.
#[derive(Debug)]
pub struct RequestedKey(rcgen::PublicKey);

impl RequestedKey {
    /// Reads a PKCS#10 request and verifies its signature.
    pub fn from_request(der: &[u8]) -> Result<Self, RequestError> {
        let request =
            CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))
                .map_err(|error| RequestError::Unreadable(error.to_string()))?;
        let key = request.public_key;
        let taken = [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519];
        if taken.contains(&key.algorithm()) { Ok(Self(key)) } else { Err(RequestError::Algorithm) }
    }
}

/// The authority of a region, with its key in memory.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    bundle: Vec<CertificateDer<'static>>,
    trust_domain: String,
    expires: Timestamp,
}

impl Authority {
    /// Makes an authority and its files. Refuses where any of them is there.
    pub fn create(
        files: &AuthorityFiles,
        trust_domain: &str,
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        for path in [&files.key, &files.certificate, &files.trust] {
            if path.exists() {
                return Err(AuthorityError::Exists(path.clone()));
            }
        }
        if !peer::is_name(trust_domain) {
            return Err(AuthorityError::Name(trust_domain.into()));
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let expires = now.saturating_add(AUTHORITY_LIFE).unwrap_or(Timestamp::MAX);
        let mut params = params(now, expires)?;
        params.distinguished_name.push(DnType::CommonName, format!("StreamSpace {trust_domain}"));
        params.subject_alt_names = vec![uri(format!("spiffe://{trust_domain}"))?];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        // The key first: without it the rest is of no use.
        write_new(&files.key, &key.serialize_pem(), 0o600)?;
        write_new(&files.certificate, &certificate.pem(), 0o644)?;
        write_new(&files.trust, &certificate.pem(), 0o644)?;
        let certificate = CertificateDer::from(certificate);
        Ok(Self {
            issuer: Issuer::new(params, key),
            bundle: vec![certificate.clone()],
            certificate,
            trust_domain: trust_domain.into(),
            expires,
        })
    }

    /// Reads an authority from its files.
    pub fn open(files: &AuthorityFiles) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(&read(&files.key)?)
            .map_err(|error| content(&files.key, format!("not a private key ({error})")))?;
        let certificate = certificates(&files.certificate)?.swap_remove(0);
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|error| content(&files.certificate, error))?;
        let (_, parsed) = X509Certificate::from_der(&certificate)
            .map_err(|error| content(&files.certificate, error))?;
        if parsed.public_key().raw != rcgen::PublicKeyData::subject_public_key_info(issuer.key()) {
            return Err(content(&files.key, "it is not the key of the authority's certificate"));
        }
        let trust_domain = trust_domain(&parsed)
            .ok_or_else(|| content(&files.certificate, "it names no trust domain"))?;
        let expires = Timestamp::from_second(parsed.validity().not_after.timestamp())
            .map_err(|error| content(&files.certificate, error))?;
        let bundle = certificates(&files.trust)?;
        if !bundle.contains(&certificate) {
            return Err(content(&files.trust, "the certificate that signs must be among these"));
        }
        Ok(Self { issuer, certificate, bundle, trust_domain, expires })
    }

    /// SHA-256 of the certificate that signs; enrolment tokens carry it.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, &self.certificate).as_ref());
        fingerprint
    }

    /// The trust domain of every name.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// When the certificate ends that signs. Whatever it signed is of no use from then on.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The certificates to trust.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.bundle
    }

    /// The certificates to trust, to judge peers by.
    pub fn trust_bundle(&self) -> Result<TrustBundle, PeerError> {
        TrustBundle::new(&self.trust_domain, &self.bundle)
    }

    /// Makes a key and a certificate for the daemon under these DNS names and
    /// addresses.
    pub fn issue_server(
        &self,
        names: &[String],
        now: Timestamp,
    ) -> Result<ServerCredential, AuthorityError> {
        let expires = now.saturating_add(SERVER_LIFE).unwrap_or(Timestamp::MAX);
        let mut params = params(now, expires)?;
        for name in names {
            let single = CertificateParams::new(vec![name.clone()])
                .map_err(|_| AuthorityError::Name(name.clone()))?;
            params.subject_alt_names.extend(single.subject_alt_names);
        }
        params.distinguished_name.push(DnType::CommonName, "streamspaced");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        Ok(ServerCredential {
            chain: vec![leaf.into(), self.certificate.clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            expires,
        })
    }

    /// Makes a certificate for a client's key, until `expires` at the latest.
    pub fn issue(
        &self,
        key: &RequestedKey,
        kind: Kind,
        grant: &Grant,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<Issued, AuthorityError> {
        self.issue_named(key, role_name(kind, grant.role), grant, (now, expires))
    }

    /// As [`Self::issue`], under any role name.
    pub(crate) fn issue_named(
        &self,
        key: &RequestedKey,
        role: &str,
        grant: &Grant,
        (now, expires): (Timestamp, Timestamp),
    ) -> Result<Issued, AuthorityError> {
        if !peer::is_name(&grant.operator) {
            return Err(AuthorityError::Name(grant.operator.clone()));
        }
        // Certificates know whole seconds.
        let expires = Timestamp::from_second(expires.as_second()).unwrap_or(expires);
        let mut params = params(now, expires)?;
        params.distinguished_name.push(DnType::CommonName, grant.operator.clone());
        let name = format!("spiffe://{}/{role}/{}", self.trust_domain, grant.operator);
        params.subject_alt_names = vec![uri(name)?];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !grant.tenants.is_empty() && role != DEVICE_ROLE {
            let list = CustomExtension::from_oid_content(TENANTS_OID, tenants_der(&grant.tenants));
            params.custom_extensions.push(list);
        }
        let serial = params.serial_number.as_ref().map(SerialNumber::to_bytes).unwrap_or_default();
        Ok(Issued {
            certificate: params.signed_by(&key.0, &self.issuer)?.into(),
            serial: peer::serial_text(&serial),
            expires,
        })
    }
}

fn role_name(kind: Kind, role: Role) -> &'static str {
    match kind {
        Kind::Device => DEVICE_ROLE,
        Kind::Client => role.as_str(),
    }
}

fn params(now: Timestamp, expires: Timestamp) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since_epoch =
        |time: Timestamp| Duration::from_secs(u64::try_from(time.as_second()).unwrap_or(0));
    params.not_before =
        epoch + since_epoch(now.saturating_sub(BACKDATED).unwrap_or(Timestamp::UNIX_EPOCH));
    params.not_after = epoch + since_epoch(expires);
    params.serial_number = Some(serial()?);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// 16 random bytes. The first is between 0x40 and 0x7f, so that the number is
/// positive and has one length.
fn serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| AuthorityError::Random)?;
    let [first, ..] = &mut bytes;
    *first = (*first & 0x3f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn uri(text: String) -> Result<SanType, AuthorityError> {
    Ia5String::try_from(text.clone()).map(SanType::URI).map_err(|_| AuthorityError::Name(text))
}

/// SEQUENCE OF OCTET STRING, each of 16 bytes.
fn tenants_der(tenants: &[TenantUid]) -> Vec<u8> {
    const OCTET_STRING: u8 = 0x04;
    const SEQUENCE: u8 = 0x30;
    let items: Vec<u8> = tenants
        .iter()
        .flat_map(|tenant| [OCTET_STRING, 16].into_iter().chain(*tenant.0.as_bytes()))
        .collect();
    let length = items.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut der = vec![SEQUENCE];
    match (length.as_slice(), u8::try_from(length.len())) {
        ([short], _) if *short < 0x80 => der.push(*short),
        (_, Ok(count)) => {
            der.push(0x80 | count);
            der.extend_from_slice(&length);
        }
        // A length has 8 bytes at most.
        (_, Err(_)) => {}
    }
    der.extend_from_slice(&items);
    der
}

fn trust_domain(certificate: &X509Certificate<'_>) -> Option<String> {
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => {
            uri.strip_prefix("spiffe://").filter(|d| peer::is_name(d)).map(str::to_owned)
        }
        _ => None,
    })
}

fn content(path: &Path, message: impl std::fmt::Display) -> AuthorityError {
    AuthorityError::Content { path: path.into(), message: message.to_string() }
}

fn read(path: &Path) -> Result<String, AuthorityError> {
    fs::read_to_string(path).map_err(|source| AuthorityError::File { path: path.into(), source })
}

/// One certificate or more.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
    let text = read(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| content(path, format!("not PEM ({error})")))?;
    if found.is_empty() { Err(content(path, "it holds no certificate")) } else { Ok(found) }
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), AuthorityError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => AuthorityError::Exists(path.into()),
        _ => AuthorityError::File { path: path.into(), source },
    })
}
