//! Certificates that are renewed before they end.
//!
//! A client certificate lives for hours; the device certificate makes the next
//! one. Renewal happens when a connection is opened, under a lock between
//! processes, and the new pair replaces the old as a whole: a superseded device
//! certificate that were used again would revoke the family.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use rustls::ClientConfig;
use streamspace_proto::v1::{RenewCredentialRequest, access_service_client::AccessServiceClient};
use tokio::{sync::Mutex, task::spawn_blocking};
use tonic::Code;

use crate::{
    ClientError, Context, Environment,
    channel::{self, Proof},
    connection::Options,
    credentials::{Credential, CredentialError},
    enrol::{NewKeys, credential_of},
    files::Lock,
    tls,
};

/// How long to wait for another process that renews the same credential.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);

/// Gives the TLS configuration of the moment.
#[derive(Debug)]
pub(crate) struct Renewer {
    context: Context,
    options: Options,
    lock: PathBuf,
    /// The credential in use; none until the first connection.
    held: Mutex<Option<Held>>,
}

#[derive(Clone, Debug)]
struct Held {
    credential: Credential,
    tls: Arc<ClientConfig>,
}

impl Renewer {
    pub(crate) fn new(context: Context, environment: &Environment, options: Options) -> Self {
        let lock = environment.credentials_folder().join(format!("{}.lock", context.name));
        Self { context, options, lock, held: Mutex::new(None) }
    }

    /// TLS as the current client certificate, renewed first where that is due.
    pub(crate) async fn tls(&self) -> Result<Arc<ClientConfig>, ClientError> {
        let mut held = self.held.lock().await;
        let now = Timestamp::now();
        if let Some(held) = held.as_ref().filter(|held| !is_due(&held.credential, now)) {
            return Ok(Arc::clone(&held.tls));
        }
        let credential = self.load().await?;
        let credential = self.fresh(credential, now).await?;
        let tls = self.config(&credential)?;
        *held = Some(Held { credential, tls: Arc::clone(&tls) });
        Ok(tls)
    }

    fn config(&self, credential: &Credential) -> Result<Arc<ClientConfig>, ClientError> {
        tls::mutual(&self.context.authorities, &credential.client).map_err(|error| {
            CredentialError::Broken {
                place: self.context.credential.to_string(),
                why: error.to_string(),
            }
            .into()
        })
    }

    async fn load(&self) -> Result<Credential, ClientError> {
        let reference = self.context.credential.clone();
        Ok(blocking(move || Credential::load(&reference)).await??)
    }

    async fn fresh(&self, held: Credential, now: Timestamp) -> Result<Credential, ClientError> {
        // Plain files have no device certificate: whoever made them renews them,
        // and the daemon says so when they are over.
        if !self.options.renews || !is_due(&held, now) || held.device.is_none() {
            return Ok(held);
        }
        let is_over = held.client.validity().is_over(now);
        match self.renew(now).await {
            Ok(credential) => Ok(credential),
            // There is time left; the next connection tries again.
            Err(error) if !is_over && !matches!(error, ClientError::DeviceOver { .. }) => Ok(held),
            Err(error) => Err(error),
        }
    }

    async fn renew(&self, now: Timestamp) -> Result<Credential, ClientError> {
        let path = self.lock.clone();
        let lock = blocking(move || Lock::take(&path, LOCK_PATIENCE)).await?;
        let _lock = lock.map_err(|error| CredentialError::File {
            path: self.lock.clone(),
            error: Arc::new(error),
        })?;
        // Another process may have renewed while this one waited.
        let held = self.load().await?;
        if !is_due(&held, now) {
            return Ok(held);
        }
        let Some(device) = &held.device else {
            return Ok(held);
        };
        if device.validity().is_over(now) {
            let until = device.validity().until;
            return Err(self.over(format!("the device certificate ended {until}")));
        }
        let tls = tls::mutual(&self.context.authorities, device)
            .map_err(|error| self.over(error.to_string()))?;
        let keys = NewKeys::make()?;
        let channel =
            channel::connected(&self.context.endpoint, Proof::Fixed(tls), &self.options).await?;
        let request = RenewCredentialRequest {
            device_csr: keys.device_csr.clone(),
            client_csr: keys.client_csr.clone(),
        };
        let reply = AccessServiceClient::new(channel).renew_credential(request).await;
        let reply = reply.map_err(|status| self.judge(status.into()))?.into_inner();
        let (credential, _) = credential_of(reply.credential, &keys)?;
        let (reference, stored) = (self.context.credential.clone(), credential.clone());
        blocking(move || stored.replace(&reference)).await??;
        Ok(credential)
    }

    /// A refusal of the device is the end of the login, any other error is not.
    fn judge(&self, error: ClientError) -> ClientError {
        match error.code() {
            Some(Code::Unauthenticated | Code::PermissionDenied) => self.over(error.to_string()),
            _ => error,
        }
    }

    fn over(&self, why: String) -> ClientError {
        ClientError::DeviceOver { context: self.context.name.clone(), why }
    }
}

fn is_due(credential: &Credential, now: Timestamp) -> bool {
    credential.client.validity().is_due(now)
}

/// Files, locks and keyrings wait; they must not hold up the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ClientError> {
    spawn_blocking(work).await.map_err(|error| ClientError::Unexpected(error.to_string()))
}
