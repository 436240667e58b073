//! What a template says of its container: ports, environment, mounts.

use std::collections::BTreeSet;

use super::WrittenPort;
use crate::{
    tenant::ENTRIES_MAXIMUM,
    text,
    violation::{Violation, Violations},
};

/// The longest name of a port, in characters.
const PORT_NAME_MAXIMUM: usize = 15;
/// The longest name of a volume, in characters.
const VOLUME_NAME_MAXIMUM: usize = 63;
/// The longest name of a variable, in characters.
const VARIABLE_NAME_MAXIMUM: usize = 253;
/// The longest value of a variable, in bytes.
const VALUE_MAXIMUM: usize = 32 * 1024;
/// The longest path, in bytes.
const PATH_MAXIMUM: usize = 1024;
/// What the volume of the home is called.
const HOME_NAMES: [&str; 2] = ["user-home", "home"];

/// A protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The word for it in the object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// A port of the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name, unique in the container; absent where it has none.
    pub name: Option<String>,
    /// Its number.
    pub number: u16,
    /// Its protocol.
    pub protocol: Protocol,
}

/// A variable of the container's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name, unique in the container.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Volume {
    /// The user's home.
    Home,
    /// Scratch space of this name, which goes with the pod.
    Scratch(String),
}

/// Where a volume is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The volume.
    pub volume: Volume,
    /// The path in the container, unique in it.
    pub path: String,
}

/// A number of a port, or what is wrong with it.
pub(super) fn number(field: &str, number: i32) -> Result<u16, Violation> {
    let found = u16::try_from(number).ok().filter(|number| *number > 0);
    found.ok_or_else(|| Violation {
        field: field.to_owned(),
        description: format!("is {number}, and must be 1 to 65535"),
    })
}

pub(super) fn ports(written: &[WrittenPort], violations: &mut Violations) -> Vec<Port> {
    count("spec.ports", written.len(), violations);
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    let mut ports = Vec::new();
    for (index, port) in written.iter().enumerate().take(ENTRIES_MAXIMUM) {
        let field = |part: &str| format!("spec.ports[{index}].{part}");
        let name = port.name.as_deref().filter(|name| !name.is_empty());
        if let Some(name) = name {
            let shown = text::excerpt(name);
            if !is_port_name(name) {
                violations.add(
                    field("name"),
                    format!(
                        "`{shown}` must be 1 to 15 lower-case letters, digits and single hyphens \
                         between them, with a letter among them"
                    ),
                );
            } else if !names.insert(name) {
                violations.add(field("name"), format!("repeats `{shown}`: give it another"));
            }
        }
        let protocol = match port.protocol.as_deref() {
            None | Some("TCP") => Some(Protocol::Tcp),
            Some("UDP") => Some(Protocol::Udp),
            Some(other) => {
                let shown = text::excerpt(other);
                violations.add(field("protocol"), format!("`{shown}` must be `TCP` or `UDP`"));
                None
            }
        };
        let number = match number(&field("containerPort"), port.container_port) {
            Ok(number) => number,
            Err(violation) => {
                violations.extend([violation]);
                continue;
            }
        };
        let Some(protocol) = protocol else { continue };
        if !numbers.insert((number, protocol)) {
            let protocol = protocol.as_str();
            violations
                .add(field("containerPort"), format!("repeats {number} of {protocol}: remove it"));
        }
        ports.push(Port { name: name.map(str::to_owned), number, protocol });
    }
    ports
}

fn is_port_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=PORT_NAME_MAXIMUM).contains(&name.len())
        && name.bytes().all(|byte| is_inner(byte) || byte == b'-')
        && name.bytes().any(|byte| byte.is_ascii_lowercase())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

pub(super) fn variables(
    written: &[(String, String)],
    violations: &mut Violations,
) -> Vec<Variable> {
    count("spec.env", written.len(), violations);
    let mut names = BTreeSet::new();
    for (index, (name, value)) in written.iter().enumerate().take(ENTRIES_MAXIMUM) {
        let field = |part: &str| format!("spec.env[{index}].{part}");
        let shown = text::excerpt(name);
        if !is_variable_name(name) {
            violations.add(
                field("name"),
                format!(
                    "`{shown}` must be letters, digits, `_`, `.` and `-`, and not begin with a \
                     digit"
                ),
            );
        } else if !names.insert(name) {
            // The API server merges variables by name, and refuses two of one.
            violations.add(field("name"), format!("repeats `{shown}`: remove one of them"));
        }
        if value.len() > VALUE_MAXIMUM {
            let length = value.len();
            violations.add(
                field("value"),
                format!("is {length} bytes long, and at most {VALUE_MAXIMUM} are allowed"),
            );
        } else if value.contains('\0') {
            violations
                .add(field("value"), "has a null byte, which no environment holds: remove it");
        }
    }
    let variable =
        |(name, value): &(String, String)| Variable { name: name.clone(), value: value.clone() };
    written.iter().take(ENTRIES_MAXIMUM).map(variable).collect()
}

fn is_variable_name(name: &str) -> bool {
    (1..=VARIABLE_NAME_MAXIMUM).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !matches!(name, "." | "..")
}

pub(super) fn mounts(written: &[(String, String)], violations: &mut Violations) -> Vec<Mount> {
    count("spec.volumeMounts", written.len(), violations);
    let mut paths = BTreeSet::new();
    let mut mounts = Vec::new();
    for (index, (name, path)) in written.iter().enumerate().take(ENTRIES_MAXIMUM) {
        let field = |part: &str| format!("spec.volumeMounts[{index}].{part}");
        if !is_volume_name(name) {
            let shown = text::excerpt(name);
            violations.add(
                field("name"),
                format!(
                    "`{shown}` must be 1 to 63 lower-case letters, digits and hyphens, and not \
                     start or end with a hyphen"
                ),
            );
        }
        let shown = text::excerpt(path);
        if !is_path(path) {
            violations.add(
                field("mountPath"),
                format!(
                    "`{shown}` must be a path from `/`, below it, of readable characters, with no \
                     `:` and no `..`, for example `/config`"
                ),
            );
        } else if !paths.insert(path.trim_end_matches('/')) {
            violations.add(field("mountPath"), format!("repeats `{shown}`: remove one of them"));
        }
        let volume = if HOME_NAMES.contains(&name.as_str()) {
            Volume::Home
        } else {
            Volume::Scratch(name.clone())
        };
        mounts.push(Mount { volume, path: path.clone() });
    }
    mounts
}

fn is_volume_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=VOLUME_NAME_MAXIMUM).contains(&name.len())
        && name.bytes().all(|byte| is_inner(byte) || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn is_path(path: &str) -> bool {
    path.starts_with('/')
        // Over the whole root nothing of the image would be left.
        && !path.trim_matches('/').is_empty()
        && path.len() <= PATH_MAXIMUM
        && !path.contains(':')
        && !path.split('/').any(|part| part == "..")
        && !path.chars().any(text::acts_on_terminals)
}

fn count(field: &str, count: usize, violations: &mut Violations) {
    if count > ENTRIES_MAXIMUM {
        violations
            .add(field, format!("has {count} entries, and at most {ENTRIES_MAXIMUM} are allowed"));
    }
}
