//! The first contact: a token becomes a device credential and a client
//! certificate.

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::CertificateDer;
use streamspace_proto::{
    token::EnrolmentToken,
    v1::{self, EnrolRequest, access_service_client::AccessServiceClient},
};

use crate::{
    ClientError, Context, Contexts, Environment,
    channel::{self, ConnectFault, Proof},
    connection::Options,
    context::{Address, CredentialReference, check_name},
    credentials::{Credential, CredentialError, Identity},
    pem,
    renew::blocking,
    tls,
};

/// What a login needs.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// Where the daemon is.
    pub endpoint: Address,
    /// The token, used once.
    pub token: EnrolmentToken,
    /// What to call the context. The region's name where it is not given.
    pub context: Option<String>,
    /// What to call this device, for people. At most 63 characters.
    pub device_name: String,
    /// Whether destructive work in this context asks for the name of its target.
    pub protected: bool,
}

/// Keys that never leave this machine, and the requests for their certificates.
pub(crate) struct NewKeys {
    device: KeyPair,
    client: KeyPair,
    pub(crate) device_csr: Vec<u8>,
    pub(crate) client_csr: Vec<u8>,
}

impl NewKeys {
    pub(crate) fn make() -> Result<Self, ClientError> {
        let (device, device_csr) = key_and_request()?;
        let (client, client_csr) = key_and_request()?;
        Ok(Self { device, client, device_csr, client_csr })
    }
}

fn key_and_request() -> Result<(KeyPair, Vec<u8>), ClientError> {
    let make = |error: rcgen::Error| CredentialError::Make(error.to_string());
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(make)?;
    let mut params = CertificateParams::new(Vec::new()).map_err(make)?;
    // The daemon takes the public key alone; the names come from the token.
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(make)?;
    Ok((key, request.der().to_vec()))
}

/// Logs in: trades the token for a credential, keeps it, and makes its context
/// the current one.
///
/// The connection is authenticated by the token's fingerprint of the authority,
/// so the secret goes to nobody else.
pub async fn enrol(
    enrolment: Enrolment,
    environment: &Environment,
    options: &Options,
) -> Result<Context, ClientError> {
    if let Some(name) = &enrolment.context {
        // Before the token is spent.
        check_name(name)?;
        Contexts::load(environment)?;
    }
    let endpoint = enrolment.endpoint.clone();
    let fingerprint = enrolment.token.authority;
    let tls = tls::pinned(fingerprint).map_err(|error| ClientError::Connect {
        address: endpoint.clone(),
        fault: ConnectFault::Handshake(error.to_string()),
    })?;
    let keys = NewKeys::make()?;
    let channel = channel::connected(&endpoint, Proof::Fixed(tls), options).await?;
    let request = EnrolRequest {
        secret: enrolment.token.secret.expose().to_vec(),
        device_csr: keys.device_csr.clone(),
        client_csr: keys.client_csr.clone(),
        device_name: enrolment.device_name.chars().take(63).collect(),
    };
    let reply = AccessServiceClient::new(channel).enrol(request).await?.into_inner();
    let (credential, authorities) = credential_of(reply.credential, &keys)?;
    if !authorities.iter().any(|authority| tls::fingerprint(authority) == fingerprint) {
        return Err(ClientError::Unexpected(
            "it does not trust the authority that the token names".into(),
        ));
    }
    let region = reply.region.strip_prefix("regions/").unwrap_or(&reply.region).to_owned();
    let name = enrolment.context.unwrap_or_else(|| region.clone());
    check_name(&name)?;
    let environment = environment.clone();
    let protected = enrolment.protected;
    blocking(move || {
        let context = Context {
            credential: credential.keep(&name, &environment)?,
            name,
            endpoint,
            region,
            authorities,
            protected,
        };
        keep_context(context, &environment)
    })
    .await?
}

fn keep_context(context: Context, environment: &Environment) -> Result<Context, ClientError> {
    let replaced = Contexts::change(environment, |contexts| {
        let replaced = contexts.get(&context.name).ok().map(|old| old.credential.clone());
        contexts.put(context.clone())?;
        contexts.choose(&context.name)?;
        Ok(replaced)
    })?;
    forget_replaced(replaced, &context.credential);
    Ok(context)
}

/// Keys of a former login of the same context. They are of no use, and that they
/// stay is no reason to call the login failed.
fn forget_replaced(replaced: Option<CredentialReference>, kept: &CredentialReference) {
    if let Some(old) = replaced.filter(|old| old != kept) {
        let _ = Credential::forget(&old);
    }
}

/// The daemon's certificates joined with our keys, and the authorities to trust.
pub(crate) fn credential_of(
    answer: Option<v1::Credential>,
    keys: &NewKeys,
) -> Result<(Credential, Vec<CertificateDer<'static>>), ClientError> {
    let answer = answer.ok_or_else(|| ClientError::Unexpected("it has no credential".into()))?;
    let join = |what: &str, certificate: Vec<u8>, key: &KeyPair| {
        Identity::new(vec![CertificateDer::from(certificate)], pem::pkcs8(key))
            .map_err(|why| ClientError::Unexpected(format!("{what} certificate: {why}")))
    };
    let device = join("device", answer.device_certificate, &keys.device)?;
    let client = join("client", answer.client_certificate, &keys.client)?;
    let authorities: Vec<_> = answer.authorities.into_iter().map(CertificateDer::from).collect();
    // Nothing is kept that could not be used: a certificate for another key, say.
    for identity in [&device, &client] {
        tls::mutual(&authorities, identity)
            .map_err(|error| ClientError::Unexpected(error.to_string()))?;
    }
    Ok((Credential { device: Some(device), client }, authorities))
}
