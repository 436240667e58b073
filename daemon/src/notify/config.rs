//! The section `[notify]` of the configuration file.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::Deserialize;

use super::channels::Purpose;
use crate::http_client::{Endpoint, Keys, secret};

/// Where PagerDuty takes events.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
/// Where Statuspage answers.
const STATUSPAGE: &str = "https://api.statuspage.io";
/// What Debian trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// So many channels at most: each has a loop of its own.
const CHANNELS_MAXIMUM: usize = 32;

/// Who is told, and who may tell the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NotifyConfig {
    /// Where you serve the pages of `docs/runbooks`, for example
    /// `https://docs.example.com/streamspace/runbooks`: alerts that have no page of their own
    /// link to theirs there. They are files of the package, and nobody else serves them.
    #[schemars(extend("x-default" = "nowhere; such alerts have no link"))]
    pub runbooks: Option<String>,
    /// Receivers, by names of 1 to 40 lower-case letters, digits and hyphens.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// What an Alertmanager tells the daemon.
    pub inbound: InboundConfig,
}

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// `pagerduty` (Events API v2), `statuspage` (Atlassian's API v1), `alertmanager` (API v2),
    /// or `webhook`: JSON by POST to whoever listens.
    pub kind: Kind,
    /// What for: any of `page`, `ticket`, `public`, `silence`. PagerDuty takes pages and
    /// tickets, a Statuspage what is public, an Alertmanager all but that, a webhook all.
    #[serde(rename = "for")]
    pub purposes: Vec<Purpose>,
    /// Where it listens: a URL with no user, query or fragment in it.
    #[serde(default)]
    #[schemars(extend(
        "x-default" = "PagerDuty's and Statuspage's own; the others need it"
    ))]
    pub url: Option<String>,
    /// A file with the integration key of a PagerDuty service; it needs one. Like all files of
    /// secrets it is read anew each time, and nothing of it is sent over plain http but to a
    /// loopback address.
    #[serde(default)]
    pub routing_key_file: Option<PathBuf>,
    /// The id of the page of a Statuspage; it needs one.
    #[serde(default)]
    pub page: Option<String>,
    /// A file with a token that shows who we are. A Statuspage needs one; for a webhook and an
    /// Alertmanager it is a bearer token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// A file with a secret of a webhook, by which it knows that what it gets is from us: see
    /// the page on notifying.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// A file of PEM certificates, one of which must have signed the receiver's, where the URL
    /// is https.
    #[serde(default)]
    #[schemars(extend("x-default" = "`/etc/ssl/certs/ca-certificates.crt` with https"))]
    pub ca_file: Option<PathBuf>,
}

/// What kind of receiver it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// PagerDuty, by its Events API v2.
    Pagerduty,
    /// Atlassian Statuspage.
    Statuspage,
    /// An Alertmanager.
    Alertmanager,
    /// Anybody who takes JSON.
    Webhook,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pagerduty => "pagerduty",
            Self::Statuspage => "statuspage",
            Self::Alertmanager => "alertmanager",
            Self::Webhook => "webhook",
        }
    }

    fn takes(self, purpose: Purpose) -> bool {
        match self {
            Self::Pagerduty => matches!(purpose, Purpose::Page | Purpose::Ticket),
            Self::Statuspage => purpose == Purpose::Public,
            Self::Alertmanager => purpose != Purpose::Public,
            Self::Webhook => true,
        }
    }
}

impl ChannelConfig {
    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        let own = match self.kind {
            Kind::Pagerduty => PAGERDUTY,
            Kind::Statuspage => STATUSPAGE,
            Kind::Alertmanager | Kind::Webhook => "",
        };
        self.url.as_deref().unwrap_or(own)
    }

    /// By which certificates it is known.
    pub(super) fn authorities(&self) -> Option<PathBuf> {
        let secure = Endpoint::parse(self.url()).is_ok_and(|endpoint| endpoint.is_secure());
        self.ca_file.clone().or_else(|| secure.then(|| PathBuf::from(AUTHORITIES)))
    }

    /// Checks a channel whose section has this name. The error begins with the key.
    pub(super) fn check(&self, section: &str) -> Result<(), String> {
        let kind = self.kind.as_str();
        if self.purposes.is_empty() {
            return Err("for: is empty; say what for, for example [\"page\"]".into());
        }
        if let Some(wrong) = self.purposes.iter().find(|purpose| !self.kind.takes(**purpose)) {
            return Err(format!(
                "for: a channel of kind {kind} takes nothing for {:?}; take it out",
                wrong.as_str()
            ));
        }
        if self.url().is_empty() {
            return Err(format!("url: a channel of kind {kind} needs one"));
        }
        let keys = Keys { section, url: "url", token_file: "token_file", ca_file: "ca_file" };
        let authorities = self.authorities();
        keys.check(Some(self.url()), self.token_file.as_deref(), authorities.as_deref())?;
        let (has_key, has_page, has_token, has_secret) = match self.kind {
            Kind::Pagerduty => (Some(true), None, None, None),
            Kind::Statuspage => (None, Some(true), Some(true), None),
            Kind::Alertmanager => (None, None, Some(false), None),
            Kind::Webhook => (None, None, Some(false), Some(false)),
        };
        for (key, given, wanted) in [
            ("routing_key_file", self.routing_key_file.is_some(), has_key),
            ("page", self.page.is_some(), has_page),
            ("token_file", self.token_file.is_some(), has_token),
            ("secret_file", self.secret_file.is_some(), has_secret),
        ] {
            match (given, wanted) {
                (true, None) => {
                    return Err(format!(
                        "{key}: is not for a channel of kind {kind}; leave it out"
                    ));
                }
                (false, Some(true)) => {
                    return Err(format!("{key}: a channel of kind {kind} needs one"));
                }
                _ => {}
            }
        }
        if let Some(page) = &self.page {
            let fits = (1..=64).contains(&page.len())
                && page.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !fits {
                return Err(format!("page: {page:?} must be 1 to 64 letters and digits"));
            }
        }
        if let Some(file) = &self.routing_key_file {
            let endpoint = Endpoint::parse(self.url()).map_err(|fault| format!("url: {fault}"))?;
            keys.check_secret(&endpoint, "routing_key_file", file)?;
        }
        if let Some(file) = &self.secret_file {
            secret(file).map_err(|fault| format!("secret_file: {fault}"))?;
        }
        Ok(())
    }
}

/// Where an Alertmanager tells of its alerts: `POST /v1/alertmanager`, version 4 of its
/// webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InboundConfig {
    /// Where every replica listens, for example `127.0.0.1:7481`: plain HTTP, so keep it to
    /// this machine or behind what ends TLS.
    #[schemars(with = "Option<String>", extend("x-default" = "nowhere"))]
    pub listen: Option<SocketAddr>,
    /// A file with the bearer token that it must show, read anew each time. `listen` needs it.
    #[schemars(extend("x-default" = "none"))]
    pub token_file: Option<PathBuf>,
}

impl InboundConfig {
    fn check(&self) -> Result<(), String> {
        match (self.listen, self.token_file.as_deref()) {
            (Some(_), None) => {
                Err("token_file: listen needs one: a file with a token of your own \
                                    choice, which the Alertmanager shows too"
                    .into())
            }
            (None, Some(_)) => Err("token_file: is for nobody; write listen as well".into()),
            (Some(_), Some(file)) => check_token(file),
            (None, None) => Ok(()),
        }
    }
}

fn check_token(file: &Path) -> Result<(), String> {
    let token = secret(file).map_err(|fault| format!("token_file: {fault}"))?;
    if token.len() < 16 {
        return Err(
            "token_file: the token must have 16 characters or more; `openssl rand -hex 32` \
                    makes one"
                .into(),
        );
    }
    Ok(())
}

fn check_runbooks(url: &str) -> Result<(), String> {
    const LONGEST: usize = 1_024;
    if url.len() > LONGEST {
        return Err(format!("has more than {LONGEST} characters"));
    }
    let known = url.starts_with("https://") || url.starts_with("http://");
    if !known || url.contains(['?', '#']) || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be an https or http URL without spaces, query and fragment".into());
    }
    Endpoint::parse(url).map(drop)
}

impl NotifyConfig {
    /// Checks what a type alone does not. The error begins with the key.
    pub fn check(&self) -> Result<(), String> {
        self.faults().into_iter().next().map_or(Ok(()), Err)
    }

    /// As [`NotifyConfig::check`], the fault of each channel.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.channels.len() > CHANNELS_MAXIMUM {
            faults.push(format!("notify.channels: at most {CHANNELS_MAXIMUM} can be named"));
        }
        for (name, channel) in &self.channels {
            let fits = (1..=40).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !fits {
                faults.push(format!(
                    "notify.channels: {name:?} must be 1 to 40 lower-case letters, digits and \
                     hyphens"
                ));
                continue;
            }
            let section = format!("notify.channels.{name}");
            let fault = channel.check(&section).err();
            faults.extend(fault.map(|fault| format!("{section}.{fault}")));
        }
        let runbooks = self.runbooks.as_deref().and_then(|url| check_runbooks(url).err());
        faults.extend(runbooks.map(|fault| format!("notify.runbooks: {fault}")));
        let inbound = self.inbound.check().err();
        faults.extend(inbound.map(|fault| format!("notify.inbound.{fault}")));
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_named_with_its_key_and_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "0123456789abcdef\n").unwrap();
        let file = file.display();
        let check = |text: &str| {
            toml::from_str::<NotifyConfig>(text).map_err(|error| error.to_string())?.check()
        };
        let a = |text: &str| format!("[channels.a]\n{text}");
        let local = "http://127.0.0.1:9093";
        for text in [
            String::new(),
            a(&format!("kind = 'alertmanager'\nfor = ['page', 'silence']\nurl = '{local}'")),
            a(&format!(
                "kind = 'pagerduty'\nfor = ['page']\nurl = '{local}'\nrouting_key_file = '{file}'"
            )),
            a(&format!(
                "kind = 'webhook'\nfor = ['public']\nurl = 'http://w.example/x'\nsecret_file = '{file}'"
            )),
            format!("[inbound]\nlisten = '127.0.0.1:7481'\ntoken_file = '{file}'"),
            "runbooks = 'https://docs.example.com/streamspace/runbooks/'".into(),
        ] {
            assert_eq!(check(&text), Ok(()), "{text}");
        }
        for (text, words) in [
            (a("kind = 'carrier-pigeon'\nfor = ['page']"), "carrier-pigeon"),
            (a("kind = 'webhook'\nfor = []\nurl = 'http://w'"), "notify.channels.a.for: is empty"),
            (a("kind = 'pagerduty'\nfor = ['public']"), "for: a channel of kind pagerduty"),
            (a("kind = 'webhook'\nfor = ['page']"), "url: a channel of kind webhook needs one"),
            (a("kind = 'webhook'\nfor = ['page']\nurl = 'w'"), "notify.channels.a.url: "),
            (
                a("kind = 'pagerduty'\nfor = ['page']\nurl = 'http://127.0.0.1'"),
                "routing_key_file: a channel of kind pagerduty needs one",
            ),
            (
                a(&format!(
                    "kind = 'pagerduty'\nfor = ['page']\nurl = 'http://p.example'\nrouting_key_file = '{file}'"
                )),
                "routing_key_file: a token is not sent over http",
            ),
            (
                a(&format!(
                    "kind = 'webhook'\nfor = ['page']\nurl = 'http://w.example'\ntoken_file = '{file}'"
                )),
                "token_file: a token is not sent over http",
            ),
            (
                a(&format!("kind = 'webhook'\nfor = ['page']\nurl = '{local}'\npage = 'x'")),
                "page: is not for a channel of kind webhook",
            ),
            (
                a(&format!(
                    "kind = 'statuspage'\nfor = ['public']\nurl = '{local}'\npage = '../x'\ntoken_file = '{file}'"
                )),
                "page: \"../x\" must be",
            ),
            ("[channels.A_B]\nkind = 'webhook'\nfor = ['page']".into(), "\"A_B\" must be"),
            ("[inbound]\nlisten = '127.0.0.1:1'".into(), "notify.inbound.token_file: listen needs"),
            (format!("[inbound]\ntoken_file = '{file}'"), "is for nobody"),
            ("runbooks = '/usr/share/doc'".into(), "notify.runbooks: must be an https"),
            ("runbooks = 'https://d.example/?a'".into(), "notify.runbooks: must be an https"),
            ("runbooks = 'https://d.example/a b'".into(), "notify.runbooks: must be an https"),
            ("runbooks = 'https://'".into(), "notify.runbooks: "),
        ] {
            let error = check(&text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
