//! Certificates made by hand: what no daemon would issue, signed with the region's key
//! or with somebody else's.

#![allow(clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, string::Ia5String,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _};

use crate::rpc::Identity;

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The trust domain.
    pub domain: String,
    /// The role, known or not.
    pub role: String,
    /// The operator's name.
    pub operator: String,
    /// From when it is valid, in seconds from now.
    pub from: i64,
    /// Until when it is valid, in seconds from now.
    pub until: i64,
    /// What it is for.
    pub purpose: ExtendedKeyUsagePurpose,
}

impl Wish {
    /// A good client certificate of the region for an hour.
    pub fn client(role: &str) -> Self {
        Self {
            domain: crate::region::REGION.to_owned(),
            role: role.to_owned(),
            operator: "mallory".to_owned(),
            from: -60,
            until: 3600,
            purpose: ExtendedKeyUsagePurpose::ClientAuth,
        }
    }
}

/// An authority that signs whatever it is told to.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// The region's own, from the folder that `init` filled.
    pub fn open(folder: &Path) -> Self {
        let key = fs::read_to_string(folder.join("ca.key")).expect("the authority's key");
        let key = KeyPair::from_pem(&key).expect("a key");
        let certificate =
            CertificateDer::from_pem_file(folder.join("ca.pem")).expect("the authority");
        let issuer = Issuer::from_ca_cert_der(&certificate, key).expect("an authority");
        Self { issuer, certificate }
    }

    /// Somebody else's, which calls itself as the region's does.
    pub fn stranger() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        let name = format!("StreamSpace {}", crate::region::REGION);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).expect("a certificate").into();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Its certificate, DER.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// Its certificate, PEM.
    pub fn pem(folder: &Path) -> String {
        fs::read_to_string(folder.join("ca.pem")).expect("the authority")
    }

    /// A certificate as wished, with a new key.
    pub fn issue(&self, wish: &Wish) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, wish.operator.clone());
        let uri = format!("spiffe://{}/{}/{}", wish.domain, wish.role, wish.operator);
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(uri).expect("ASCII"))];
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let at = |offset: i64| {
            let seconds = now.checked_add_signed(offset).expect("a time");
            rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(seconds)
        };
        params.not_before = at(wish.from);
        params.not_after = at(wish.until);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![wish.purpose.clone()];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let pem = (certificate.pem(), key.serialize_pem());
        Identity {
            certificate: certificate.into(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            pem,
        }
    }
}
