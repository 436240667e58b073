//! The keys and certificates of this machine, and where they are kept.
//!
//! A credential is one blob: in the operating system's keyring, or in a file that
//! only its owner may read. It is replaced as a whole, so device and client
//! certificate always belong together.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use crate::{
    context::{CredentialReference, Environment},
    files::{self, Privacy},
    pem,
};

/// The service under which the keyring has our entries.
const SERVICE: &str = "streamspace";

/// What is wrong with the keys of this machine.
#[derive(Clone, Debug, Error)]
pub enum CredentialError {
    /// A file cannot be read or written.
    #[error("cannot use {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: Arc<io::Error>,
    },
    /// Others can read a private key.
    #[error("{} holds a private key and others may read it", .0.display())]
    OpenToOthers(PathBuf),
    /// The keyring refused.
    #[error("the keyring does not give the key {entry}: {why}")]
    Keyring {
        /// The entry.
        entry: String,
        /// What it says.
        why: String,
    },
    /// The content is no credential.
    #[error("{place} holds no usable credential: {why}")]
    Broken {
        /// Where it is.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// New keys cannot be made.
    #[error("cannot make a key: {0}")]
    Make(String),
}

impl CredentialError {
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::OpenToOthers(path) => format!(
                "run `chmod 600 {}`; if anybody else could have read it, have the certificate revoked",
                path.display()
            ),
            Self::Keyring { .. } => "unlock the keyring and try again, or log in again with \
                 SSCTL_CREDENTIAL_STORE=file to keep the keys in a file"
                .into(),
            Self::File { .. } | Self::Broken { .. } => {
                "run `ssctl login HOST --token TOKEN` again".into()
            }
            Self::Make(_) => "try again".into(),
        }
    }
}

/// A certificate and the key that belongs to it. It does not print the key.
pub struct Identity {
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    validity: Validity,
}

/// When a certificate begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first instant.
    pub from: Timestamp,
    /// The last instant.
    pub until: Timestamp,
}

impl Validity {
    /// Whether the end has come.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }

    /// Whether two thirds are over.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let life = self.until.as_second().saturating_sub(self.from.as_second());
        let left = self.until.as_second().saturating_sub(now.as_second());
        left.saturating_mul(3) <= life
    }
}

impl Identity {
    /// From a certificate (first of its chain) and its key.
    pub fn new(
        certificates: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, String> {
        let first = certificates.first().ok_or("there is no certificate")?;
        let validity = validity(first)?;
        Ok(Self { certificates, key, validity })
    }

    /// When the certificate begins and ends.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The certificate, followed by its chain.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }

    fn to_pem(&self) -> (String, String) {
        let label = match self.key {
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        let key = pem::encode(label, self.key.secret_der());
        (pem::encode_certificates(&self.certificates), key)
    }

    fn from_pem(certificates: &str, key: &str) -> Result<Self, String> {
        let certificates = pem::certificates(certificates.as_bytes())?;
        Self::new(certificates, pem::private_key(key.as_bytes())?)
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        let certificates = self.certificates.clone();
        Self { certificates, key: self.key.clone_key(), validity: self.validity }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("validity", &self.validity).finish_non_exhaustive()
    }
}

pub(crate) fn validity(certificate: &CertificateDer<'_>) -> Result<Validity, String> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let instant = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_err(|error| error.to_string())
    };
    let validity = parsed.validity();
    Ok(Validity { from: instant(validity.not_before)?, until: instant(validity.not_after)? })
}

/// What a login leaves on this machine.
#[derive(Clone, Debug)]
pub struct Credential {
    /// It may only renew. None where plain files are used.
    pub device: Option<Identity>,
    /// It names person and role.
    pub client: Identity,
}

/// The blob.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    device_certificate: String,
    device_key: String,
    client_certificate: String,
    client_key: String,
}

impl Credential {
    /// Reads a credential. It blocks the thread; a keyring may ask its owner.
    pub fn load(reference: &CredentialReference) -> Result<Self, CredentialError> {
        match reference {
            CredentialReference::Keyring { entry } => {
                let blob = keyring_entry(entry)
                    .and_then(|found| found.get_secret())
                    .map_err(|error| keyring_error(entry, &error))?;
                Self::decode(&blob, &reference.to_string())
            }
            CredentialReference::File { path } => {
                Self::decode(&read_private(path)?, &reference.to_string())
            }
            CredentialReference::Plain { certificate, key } => plain(certificate, key),
        }
    }

    /// Keeps a new credential for a context: in the keyring where there is one
    /// and the environment does not prefer a file, else in a file. Returns which.
    /// It blocks the thread.
    pub fn keep(
        &self,
        context: &str,
        environment: &Environment,
    ) -> Result<CredentialReference, CredentialError> {
        if !environment.prefers_file() {
            let entry = keyring_name(context, environment);
            let reference = CredentialReference::Keyring { entry };
            // A keyring that is absent, locked or too small is no reason not to
            // log in; the caller tells where the keys went.
            if self.replace(&reference).is_ok() && Self::load(&reference).is_ok() {
                return Ok(reference);
            }
        }
        let path = environment.credentials_folder().join(format!("{context}.toml"));
        let reference = CredentialReference::File { path };
        self.replace(&reference)?;
        Ok(reference)
    }

    /// Puts this credential where the one of the reference was. A reader finds
    /// the old one or the new. It blocks the thread.
    pub fn replace(&self, reference: &CredentialReference) -> Result<(), CredentialError> {
        let blob = self.encode(&reference.to_string())?;
        match reference {
            CredentialReference::Keyring { entry } => keyring_entry(entry)
                .and_then(|found| found.set_secret(blob.as_bytes()))
                .map_err(|error| keyring_error(entry, &error)),
            CredentialReference::File { path } => {
                files::write_atomically(path, blob.as_bytes(), Privacy::Owner)
                    .map_err(|error| file_error(path, error))
            }
            CredentialReference::Plain { key, .. } => Err(CredentialError::Broken {
                place: key.display().to_string(),
                why: "plain files are renewed by whoever made them".into(),
            }),
        }
    }

    /// Forgets the keys of a reference. Plain files stay: they are not ours. It
    /// blocks the thread.
    pub fn forget(reference: &CredentialReference) -> Result<(), CredentialError> {
        match reference {
            CredentialReference::Keyring { entry } => {
                match keyring_entry(entry).and_then(|found| found.delete_credential()) {
                    Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
                    Err(error) => Err(keyring_error(entry, &error)),
                }
            }
            CredentialReference::File { path } => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(file_error(path, error))
                }
                _ => Ok(()),
            },
            CredentialReference::Plain { .. } => Ok(()),
        }
    }

    fn encode(&self, place: &str) -> Result<String, CredentialError> {
        let broken = |why: &str| CredentialError::Broken { place: place.into(), why: why.into() };
        let device =
            self.device.as_ref().ok_or_else(|| broken("there is no device certificate"))?;
        let (device_certificate, device_key) = device.to_pem();
        let (client_certificate, client_key) = self.client.to_pem();
        let stored = Stored { device_certificate, device_key, client_certificate, client_key };
        toml::to_string(&stored).map_err(|error| broken(&error.to_string()))
    }

    fn decode(blob: &[u8], place: &str) -> Result<Self, CredentialError> {
        let broken = |why: String| CredentialError::Broken { place: place.into(), why };
        let text = std::str::from_utf8(blob).map_err(|error| broken(error.to_string()))?;
        // The parser's message quotes the line that it stumbles over, which can
        // be one of a key.
        let stored: Stored =
            toml::from_str(text).map_err(|_| broken("it is cut off or changed".into()))?;
        let device = Identity::from_pem(&stored.device_certificate, &stored.device_key)
            .map_err(|why| broken(format!("device: {why}")))?;
        let client = Identity::from_pem(&stored.client_certificate, &stored.client_key)
            .map_err(|why| broken(format!("client: {why}")))?;
        Ok(Self { device: Some(device), client })
    }
}

fn plain(certificate: &Path, key: &Path) -> Result<Credential, CredentialError> {
    let certificates = fs::read(certificate).map_err(|error| file_error(certificate, error))?;
    let certificates = pem::certificates(&certificates)
        .map_err(|why| CredentialError::Broken { place: certificate.display().to_string(), why })?;
    let broken = |why| CredentialError::Broken { place: key.display().to_string(), why };
    let key = pem::private_key(&read_private(key)?).map_err(broken)?;
    Ok(Credential { device: None, client: Identity::new(certificates, key).map_err(broken)? })
}

fn read_private(path: &Path) -> Result<Vec<u8>, CredentialError> {
    if files::is_open_to_others(path).map_err(|error| file_error(path, error))? {
        return Err(CredentialError::OpenToOthers(path.to_owned()));
    }
    fs::read(path).map_err(|error| file_error(path, error))
}

fn file_error(path: &Path, error: io::Error) -> CredentialError {
    CredentialError::File { path: path.to_owned(), error: Arc::new(error) }
}

/// Two context files can have a context of the same name; their keys must not
/// overwrite each other.
fn keyring_name(context: &str, environment: &Environment) -> String {
    format!("{context}@{}", environment.contexts_file().display())
}

fn keyring_entry(entry: &str) -> keyring::Result<keyring::Entry> {
    keyring::Entry::new(SERVICE, entry)
}

fn keyring_error(entry: &str, error: &keyring::Error) -> CredentialError {
    // Two of the variants would print what the keyring holds.
    let why = match error {
        keyring::Error::BadEncoding(_) | keyring::Error::BadDataFormat(..) => {
            "the entry is not ours".into()
        }
        other => other.to_string(),
    };
    CredentialError::Keyring { entry: entry.to_owned(), why }
}

#[cfg(test)]
mod tests;
