//! Checks how a server of the configuration file is reached.

use std::path::{Path, PathBuf};

use super::{Endpoint, authorities, secret};

/// The keys of a section that say how a server is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys<'a> {
    pub(crate) section: &'a str,
    pub(crate) url: &'a str,
    pub(crate) token_file: &'a str,
    pub(crate) ca_file: &'a str,
}

impl Keys<'_> {
    /// Checks what stands at the keys. The error begins with the key.
    pub(crate) fn check(
        &self,
        url: Option<&str>,
        token_file: Option<&Path>,
        ca_file: Option<&Path>,
    ) -> Result<(), String> {
        let Self { section, url: url_key, token_file: token_key, ca_file: ca_key } = *self;
        let Some(url) = url else {
            let files = [(token_key, token_file), (ca_key, ca_file)];
            return match files.into_iter().find(|(_, file)| file.is_some()) {
                Some((key, _)) => {
                    Err(format!("{key}: is for no server; name one as {section}.{url_key}"))
                }
                None => Ok(()),
            };
        };
        let endpoint = Endpoint::parse(url).map_err(|fault| format!("{url_key}: {fault}"))?;
        match (endpoint.is_secure(), ca_file) {
            (true, None) => {
                return Err(format!(
                    "{ca_key}: https needs the certificates to trust; name a file, for example \
                     \"/etc/ssl/certs/ca-certificates.crt\""
                ));
            }
            (false, Some(_)) => {
                return Err(format!(
                    "{ca_key}: http proves nothing; write {section}.{url_key} with https, or leave \
                     the file out"
                ));
            }
            (true, Some(path)) => {
                authorities(path).map_err(|fault| format!("{ca_key}: {fault}"))?;
            }
            (false, None) => {}
        }
        if let Some(path) = token_file {
            self.check_secret(&endpoint, token_key, path)?;
        }
        Ok(())
    }

    /// Checks a file whose secret is shown to the server. The error begins with the key.
    pub(crate) fn check_secret(
        &self,
        endpoint: &Endpoint,
        key: &str,
        path: &Path,
    ) -> Result<(), String> {
        if !endpoint.may_have_token() {
            return Err(format!(
                "{key}: a token is not sent over http, where others can read it; write {}.{} with \
                 https",
                self.section, self.url
            ));
        }
        secret(path).map_err(|fault| format!("{key}: {fault}"))?;
        Ok(())
    }
}

/// Checks how a Prometheus is reached by the keys `prometheus`, `prometheus_token_file` and
/// `prometheus_ca_file` of a section. The error begins with the key.
pub(crate) fn prometheus_access(
    url: Option<&str>,
    token_file: Option<&PathBuf>,
    ca_file: Option<&PathBuf>,
    section: &str,
) -> Result<(), String> {
    let keys = Keys {
        section,
        url: "prometheus",
        token_file: "prometheus_token_file",
        ca_file: "prometheus_ca_file",
    };
    keys.check(url, token_file.map(PathBuf::as_path), ca_file.map(PathBuf::as_path))
}
