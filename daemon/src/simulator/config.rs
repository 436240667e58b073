//! Faults by configuration: the section `[simulator]` of the file of a development region,
//! and `--fault`.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use jiff::SignedDuration;
use serde::Deserialize;
use streamspace_proto::v1::{self, FaultKind};
use thiserror::Error;

use super::{board::FaultBoard, service::LIFE};
use crate::{notify::config::NotifyConfig, rpc::time};

/// What `streamspaced dev --config` reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DevConfig {
    /// The simulated cluster.
    pub simulator: SimulatorConfig,
    /// Who is told, as in the configuration of a region that is run for good.
    pub notify: NotifyConfig,
}

/// The simulated cluster of a development region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatorConfig {
    /// How it fails from the start on.
    pub faults: Vec<FaultConfig>,
}

/// One way in which the simulated cluster fails. What is not given fits every request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultConfig {
    /// `latency`, `conflict`, `gone`, `too-many-requests`, `internal-error`, `cut-watch` or
    /// `drop-connection`.
    pub kind: String,
    /// Only requests of these verbs: `get`, `list`, `watch`, `create`, `update`, `patch`,
    /// `delete`.
    #[serde(default)]
    pub verbs: Vec<String>,
    /// Only requests for this resource, as in paths: `namespaces`.
    #[serde(default)]
    pub resource: String,
    /// Only requests in this namespace.
    #[serde(default)]
    pub namespace: String,
    /// Only requests for the object of this name.
    #[serde(default)]
    pub object: String,
    /// How many of a hundred requests fail; all where it is not given.
    #[serde(default)]
    pub percent: i32,
    /// So many requests fail, then no more.
    #[serde(default)]
    pub limit: i64,
    /// How long each request is held up, for `latency`: `500ms`, `2s`.
    pub latency: Option<String>,
    /// What a refused client is told to wait, for `too-many-requests`: `5s`.
    pub retry_after: Option<String>,
    /// Which of many requests fail where not all do.
    #[serde(default)]
    pub seed: i64,
    /// When it ends by itself, from the start on: `10m`.
    pub r#for: Option<String>,
}

/// Why faults cannot be configured so.
#[derive(Debug, Error)]
pub enum FaultsError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The place and the fault.
        source: toml::de::Error,
    },
    /// Who is told is not what it should be.
    #[error("{path}: {message}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The key and what is wrong with it.
        message: String,
    },
    /// A fault is not what it should be.
    #[error("{place}.{message}")]
    Wrong {
        /// Which fault.
        place: String,
        /// The key and what is wrong with it.
        message: String,
    },
}

impl DevConfig {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, FaultsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| FaultsError::Unreadable { path: path.into(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|source| FaultsError::Malformed { path: path.into(), source })?;
        for (index, fault) in config.simulator.faults.iter().enumerate() {
            fault.check().map_err(|message| FaultsError::Wrong {
                place: format!("{}: simulator.faults[{index}]", path.display()),
                message,
            })?;
        }
        config
            .notify
            .check()
            .map_err(|message| FaultsError::Invalid { path: path.into(), message })?;
        Ok(config)
    }
}

impl FaultConfig {
    /// The fault and its life, as the contract has them. The error begins with the key.
    fn wish(&self) -> Result<(v1::Fault, Option<SignedDuration>), String> {
        let fault = v1::Fault {
            kind: kind(&self.kind)?.into(),
            verbs: self.verbs.clone(),
            resource: self.resource.clone(),
            namespace: self.namespace.clone(),
            object: self.object.clone(),
            percent: self.percent,
            limit: self.limit,
            latency: span("latency", self.latency.as_deref())?,
            retry_after: span("retry_after", self.retry_after.as_deref())?,
            seed: self.seed,
            ..v1::Fault::default()
        };
        let life = span("for", self.r#for.as_deref())?;
        let life = time::ttl("for", life.as_ref(), LIFE).map_err(|error| error.to_string())?;
        Ok((fault, life))
    }

    /// Whether the simulator can follow it. The error begins with the key.
    pub fn check(&self) -> Result<(), String> {
        let (fault, _) = self.wish()?;
        super::convert::rule(&fault).map_err(|wrong| words(&wrong)).map(|_| ())
    }

    /// Puts it in force. The error begins with the key.
    pub(crate) fn apply(&self, board: &FaultBoard) -> Result<(), String> {
        let (fault, life) = self.wish()?;
        board.configure(&fault, life).map_err(|wrong| words(&wrong))?;
        Ok(())
    }
}

/// What is wrong, by the keys of the configuration.
fn words(wrong: &[streamspace_core::violation::Violation]) -> String {
    let key = |field: &str| field.strip_prefix("fault.").unwrap_or(field).to_owned();
    let lines = wrong.iter().map(|v| {
        let kinds = [FaultKind::Latency, FaultKind::TooManyRequests].into_iter();
        let description = kinds.fold(v.description.clone(), |text, kind| {
            text.replace(kind.as_str_name(), &word_of(kind))
        });
        format!("{}: {description}", key(&v.field))
    });
    lines.collect::<Vec<_>>().join("; ")
}

/// The kinds by their words: `too-many-requests`.
fn kind(word: &str) -> Result<FaultKind, String> {
    let name = format!("FAULT_KIND_{}", word.to_ascii_uppercase().replace('-', "_"));
    let found = FaultKind::from_str_name(&name);
    let found = found.filter(|kind| *kind != FaultKind::Unspecified && word_of(*kind) == word);
    found.ok_or_else(|| {
        let known: Vec<String> =
            (1..).map_while(|number| FaultKind::try_from(number).ok()).map(word_of).collect();
        format!("kind: {word:?} is none; it is one of {}", known.join(", "))
    })
}

/// A kind as people write it: `too-many-requests`.
pub(super) fn word_of(kind: FaultKind) -> String {
    let name = kind.as_str_name();
    name.trim_start_matches("FAULT_KIND_").to_ascii_lowercase().replace('_', "-")
}

fn span(key: &str, text: Option<&str>) -> Result<Option<prost_types::Duration>, String> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || format!("{key}: {text:?} is no duration: write 500ms, 2s or 10m");
    let span: SignedDuration = text.parse().map_err(|_| wrong())?;
    Ok(Some(prost_types::Duration { seconds: span.as_secs(), nanos: span.subsec_nanos() }))
}

/// `KIND[,KEY=VALUE]…`, with the keys of the file, and `verb` for one of its `verbs`.
impl FromStr for FaultConfig {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let mut fault =
            Self { kind: parts.next().unwrap_or_default().trim().to_owned(), ..Self::default() };
        let mut seen = Vec::new();
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| {
                format!("{part:?} is no KEY=VALUE; write for example latency,latency=2s,verb=patch")
            })?;
            let (key, value) = (key.trim(), value.trim());
            if key != "verb" && seen.contains(&key) {
                return Err(format!("{key}: stands there twice"));
            }
            seen.push(key);
            fault.put(key, value)?;
        }
        fault.check()?;
        Ok(fault)
    }
}

impl FaultConfig {
    fn put(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "verb" => self.verbs.push(value.to_owned()),
            "resource" => value.clone_into(&mut self.resource),
            "namespace" => value.clone_into(&mut self.namespace),
            "object" => value.clone_into(&mut self.object),
            "percent" => self.percent = number(key, value.trim_end_matches('%'))?,
            "limit" => self.limit = number(key, value)?,
            "latency" => self.latency = Some(value.to_owned()),
            "retry-after" | "retry_after" => self.retry_after = Some(value.to_owned()),
            "seed" => self.seed = number(key, value)?,
            "for" => self.r#for = Some(value.to_owned()),
            _ => {
                return Err(format!(
                    "{key:?} is no key; there are verb, resource, namespace, object, percent, limit, \
                     latency, retry-after, seed and for"
                ));
            }
        }
        Ok(())
    }
}

fn number<N: FromStr>(key: &str, value: &str) -> Result<N, String> {
    value.parse().map_err(|_| format!("{key}: {value:?} is no whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FaultConfig, String> {
        text.parse()
    }

    #[test]
    fn a_flag_says_what_a_section_says() {
        let section = r#"
            [[simulator.faults]]
            kind = "too-many-requests"
            verbs = ["patch", "create"]
            resource = "namespaces"
            percent = 20
            limit = 9
            retry_after = "2s"
            seed = 7
            for = "10m"
        "#;
        let config: DevConfig = toml::from_str(section).unwrap();
        let flag = "too-many-requests,verb=patch,verb=create,resource=namespaces,percent=20%,\
                    limit=9,retry-after=2s,seed=7,for=10m";
        assert_eq!(config.simulator.faults, [parse(flag).unwrap()]);
        let (fault, life) = parse(flag).unwrap().wish().unwrap();
        assert_eq!(fault.kind(), FaultKind::TooManyRequests);
        assert_eq!(life, Some(SignedDuration::from_mins(10)));
    }

    #[test]
    fn every_kind_has_a_word() {
        for word in [
            "conflict",
            "gone",
            "too-many-requests",
            "internal-error",
            "cut-watch",
            "drop-connection",
        ] {
            assert_eq!(word_of(kind(word).unwrap()), word);
            parse(word).unwrap();
        }
        parse("latency,latency=500ms").unwrap();
    }

    #[test]
    fn what_is_wrong_is_named_with_the_remedy() {
        for (text, words) in [
            ("", "kind: \"\" is none; it is one of latency, conflict"),
            ("Gone", "kind: \"Gone\" is none"),
            ("unspecified", "it is one of"),
            ("gone,patch", "\"patch\" is no KEY=VALUE"),
            ("gone,colour=red", "\"colour\" is no key"),
            ("gone,percent=half", "percent: \"half\" is no whole number"),
            ("gone,percent=101", "percent: must be 1 to 100"),
            ("gone,percent=5,percent=6", "percent: stands there twice"),
            ("gone,verb=read", "verbs[0]: must be one of get, list"),
            ("latency", "latency: is required"),
            ("latency,latency=soon", "latency: \"soon\" is no duration"),
            ("latency,latency=2h", "latency: must be"),
            ("gone,latency=2s", "latency: is for latency alone"),
            ("gone,for=0s", "for: must be one second to 24 hours"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_wrong_says_where() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev.toml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            DevConfig::read(&path).unwrap_err().to_string()
        };
        let error = read("[simulator]\nfault = 1");
        assert!(error.contains("dev.toml") && error.contains("fault"), "{error}");
        let error = read("[[simulator.faults]]\nkind = \"gone\"\npercnt = 5");
        assert!(error.contains("percnt") && error.contains("line 3"), "{error}");
        let error = read(
            "[[simulator.faults]]\nkind = \"gone\"\n[[simulator.faults]]\nkind = \"gone\"\nlimit = -1",
        );
        assert!(error.contains("simulator.faults[1].limit: must be"), "{error}");
        let error = read("[notify.channels.a]\nkind = \"webhook\"\nfor = [\"page\"]");
        assert!(error.contains("dev.toml: notify.channels.a.url: a channel"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(DevConfig::read(&path).unwrap_err().to_string().contains("dev.toml"));
    }
}
