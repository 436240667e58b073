//! Reads what stands in a certificate.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use streamspace_core::ids::TenantUid;
use uuid::Uuid;
use x509_parser::{
    der_parser::ber::{BerObjectContent, parse_ber_sequence},
    extensions::{GeneralName, ParsedExtension},
    prelude::{FromDer, X509Certificate},
    time::ASN1Time,
};

use super::{PeerError, TENANTS_OID};
use crate::db::Scope;

pub(super) fn parse<'a>(
    certificate: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, PeerError> {
    X509Certificate::from_der(certificate)
        .map(|(_, parsed)| parsed)
        .map_err(|e| PeerError::Malformed(e.to_string()))
}

pub(super) fn end_of(certificate: &CertificateDer<'_>) -> Result<Timestamp, PeerError> {
    timestamp(parse(certificate)?.validity().not_after)
}

pub(super) fn timestamp(time: ASN1Time) -> Result<Timestamp, PeerError> {
    Timestamp::from_second(time.timestamp())
        .map_err(|e| PeerError::Malformed(format!("its validity is out of range: {e}")))
}

/// A serial number as it is stored and shown.
pub fn serial_text(raw: &[u8]) -> String {
    use std::fmt::Write as _;
    let significant = raw.iter().skip_while(|byte| **byte == 0);
    significant.fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Who the certificate names, and as what.
pub(super) struct Name {
    pub(super) role: String,
    pub(super) operator: String,
}

/// The one URI `spiffe://<trust domain>/<role>/<name>`.
pub(super) fn spiffe_name(
    parsed: &X509Certificate<'_>,
    trust_domain: &str,
) -> Result<Name, PeerError> {
    let malformed = |what: &str| PeerError::Malformed(what.into());
    let names = parsed
        .subject_alternative_name()
        .map_err(|e| PeerError::Malformed(e.to_string()))?
        .ok_or_else(|| malformed("it names nobody"))?;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return Err(malformed("it must name one URI"));
    };
    let path = uri.strip_prefix("spiffe://").ok_or_else(|| malformed("its URI is not SPIFFE"))?;
    let mut parts = path.split('/');
    let (Some(domain), Some(role), Some(operator), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed("its URI is not spiffe://<trust domain>/<role>/<name>"));
    };
    if domain != trust_domain {
        return Err(PeerError::WrongTrustDomain {
            found: domain.escape_default().to_string(),
            expected: trust_domain.into(),
        });
    }
    if !is_name(role) || !is_name(operator) {
        return Err(malformed("its URI has a role or name that no region writes"));
    }
    Ok(Name { role: role.into(), operator: operator.into() })
}

/// Whether a text can stand as role or operator in a certificate: `[a-z0-9._@-]`,
/// 1 to 63 characters.
pub fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'@' | b'-')
        })
}

pub(super) fn scope_of(parsed: &X509Certificate<'_>) -> Result<Scope, PeerError> {
    let malformed = || PeerError::Malformed("its list of tenants cannot be read".into());
    let mut found = parsed.extensions().iter().filter(|extension| {
        extension.oid.iter().is_some_and(|arcs| arcs.eq(TENANTS_OID.iter().copied()))
    });
    let Some(extension) = found.next() else { return Ok(Scope::Region) };
    if found.next().is_some()
        || !matches!(extension.parsed_extension(), ParsedExtension::UnsupportedExtension { .. })
    {
        return Err(malformed());
    }
    let (rest, list) = parse_ber_sequence(extension.value).map_err(|_| malformed())?;
    let items = list.as_sequence().map_err(|_| malformed())?;
    // A list of nothing would be a certificate for nothing; none is made.
    if !rest.is_empty() || items.is_empty() {
        return Err(malformed());
    }
    let tenants = items
        .iter()
        .map(|item| match item.content {
            BerObjectContent::OctetString(bytes) => {
                Uuid::from_slice(bytes).map(TenantUid).map_err(|_| malformed())
            }
            _ => Err(malformed()),
        })
        .collect::<Result<_, _>>()?;
    Ok(Scope::Tenants(tenants))
}
