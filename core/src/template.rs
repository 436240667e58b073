//! Templates: what sessions are made of, what makes one valid, and where a session's
//! template is found.
//!
//! A template's object is written by tenants and by catalogues that nobody checked. It is
//! read here as texts into a [`Template`], of which a session can be made, or it is told
//! in one line why none can. What only adorns it (an icon, a description) hinders nothing
//! as long as it can be stored.

use crate::{
    session::{Amounts, DEFAULT_CPU, DEFAULT_MEMORY, TemplateName, check_tags, resources},
    text,
    violation::{Violation, Violations},
};

pub use container::{Mount, Port, Protocol, Variable, Volume};
pub use resolve::{Found, ResolveError, Source, resolve};

mod container;
mod image;
mod resolve;
#[cfg(test)]
mod tests;

/// The port of a screen that says none.
pub const DEFAULT_PORT: u16 = 3000;
/// Where the home is mounted that says no place: the images of the public catalogue keep
/// their data there.
pub const DEFAULT_HOME_PATH: &str = "/config";
/// The longest display name, in characters.
pub const DISPLAY_NAME_MAXIMUM: usize = 253;
/// The longest description, in characters.
pub const DESCRIPTION_MAXIMUM: usize = 4096;
/// The longest address of an icon, in characters.
pub const ICON_MAXIMUM: usize = 2048;
/// How many faults of a template one line tells.
const FAULTS_TOLD: usize = 3;

/// What a template needs of the user's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// The network.
    Network,
    /// Sound.
    Audio,
    /// The clipboard.
    Clipboard,
    /// USB devices.
    Usb,
    /// Printers.
    Printing,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 5] =
        [Self::Network, Self::Audio, Self::Clipboard, Self::Usb, Self::Printing];

    /// The word for it in the object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "Network",
            Self::Audio => "Audio",
            Self::Clipboard => "Clipboard",
            Self::Usb => "USB",
            Self::Printing => "Printing",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.as_str() == word)
    }
}

/// A template's object as it is written: texts that nobody has checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenTemplate {
    /// `metadata.name`.
    pub name: String,
    /// `spec.displayName`.
    pub display_name: String,
    /// `spec.description`.
    pub description: Option<String>,
    /// `spec.category`.
    pub category: Option<String>,
    /// `spec.icon`.
    pub icon: Option<String>,
    /// `spec.baseImage`.
    pub base_image: String,
    /// `spec.defaultResources`.
    pub default_resources: Option<WrittenDefaults>,
    /// `spec.ports`.
    pub ports: Vec<WrittenPort>,
    /// `spec.env`: names and values.
    pub env: Vec<(String, String)>,
    /// `spec.volumeMounts`: names and paths.
    pub volume_mounts: Vec<(String, String)>,
    /// `spec.vnc`.
    pub vnc: Option<WrittenScreen>,
    /// `spec.kasmvnc`, the older spelling of it.
    pub kasmvnc: Option<WrittenScreen>,
    /// `spec.capabilities`.
    pub capabilities: Vec<String>,
    /// `spec.tags`.
    pub tags: Vec<String>,
}

/// `defaultResources` of a template's object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenDefaults {
    /// Memory; 2Gi where it is absent.
    pub memory: Option<String>,
    /// CPU; one core where it is absent.
    pub cpu: Option<String>,
}

/// One of the `ports` of a template's object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenPort {
    /// Its name.
    pub name: Option<String>,
    /// Its number.
    pub container_port: i32,
    /// Its protocol; `TCP` where it is absent.
    pub protocol: Option<String>,
}

/// `vnc` of a template's object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WrittenScreen {
    /// Whether there is a screen; there is where it is absent.
    pub enabled: Option<bool>,
    /// The port that serves it; 3000 where it is absent.
    pub port: Option<i32>,
}

/// What sessions are made of. Its values are valid by their types or by [`read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The template.
    pub name: TemplateName,
    /// Its name for people.
    pub display_name: String,
    /// The container image.
    pub image: String,
    /// What a session of it may use that does not say; absent where the template does not
    /// say either.
    pub defaults: Option<Amounts>,
    /// Where the container listens.
    pub ports: Vec<Port>,
    /// The port that a browser reaches, through the platform's proxy.
    pub served_port: u16,
    /// Whether a screen is served there, and not an application's own pages.
    pub screen: bool,
    /// What stands in the container's environment.
    pub env: Vec<Variable>,
    /// Where volumes are mounted.
    pub mounts: Vec<Mount>,
    /// What it needs of the user's machine.
    pub capabilities: Vec<Capability>,
}

impl Template {
    /// Where the home is mounted: at the first place that the template names for it.
    pub fn home_path(&self) -> &str {
        let home = self.mounts.iter().find(|mount| mount.volume == Volume::Home);
        home.map_or(DEFAULT_HOME_PATH, |mount| &mount.path)
    }
}

/// Reads a template's object, or tells everything that is wrong with it. Fields are named
/// by their path in the object, which is what its author sees.
pub fn read(written: &WrittenTemplate) -> Result<Template, Vec<Violation>> {
    let mut violations = Violations::new();
    let name = violations.check("metadata.name", TemplateName::parse(&written.name));
    violations.check("spec.displayName", text::check(&written.display_name, DISPLAY_NAME_MAXIMUM));
    if written.display_name.is_empty() {
        violations.add("spec.displayName", "is empty: write what people call the template");
    }
    let lengths = [
        ("spec.description", &written.description, DESCRIPTION_MAXIMUM),
        ("spec.category", &written.category, DISPLAY_NAME_MAXIMUM),
        ("spec.icon", &written.icon, ICON_MAXIMUM),
    ];
    for (field, value, maximum) in lengths {
        let length = value.as_ref().map_or(0, |value| value.chars().count());
        if length > maximum {
            violations.check(field, Err::<(), _>(text::TextError::TooLong { length, maximum }));
        }
    }
    violations.check("spec.baseImage", image::check(&written.base_image));
    let defaults = defaults(written.default_resources.as_ref(), &mut violations);
    let ports = container::ports(&written.ports, &mut violations);
    let served = served(written, &ports, &mut violations);
    let env = container::variables(&written.env, &mut violations);
    let mounts = container::mounts(&written.volume_mounts, &mut violations);
    let capabilities = capabilities(&written.capabilities, &mut violations);
    check_tags("spec.tags", &written.tags, &mut violations);
    match (violations.into_result(), name) {
        (Ok(()), Some(name)) => Ok(Template {
            name,
            display_name: written.display_name.clone(),
            image: written.base_image.clone(),
            defaults,
            ports,
            served_port: served.port,
            screen: served.screen,
            env,
            mounts,
            capabilities,
        }),
        (found, _) => Err(found.err().unwrap_or_default()),
    }
}

/// What is wrong with a template in one line, for its status: the first three faults, and
/// how many more there are.
pub fn verdict(violations: &[Violation]) -> String {
    let told: Vec<String> = violations.iter().take(FAULTS_TOLD).map(ToString::to_string).collect();
    let told = told.join("; ");
    match violations.len().saturating_sub(FAULTS_TOLD) {
        0 => told,
        more => format!("{told}; and {more} more"),
    }
}

/// Who leaves out all of `defaultResources` says nothing; who writes a part of it means
/// the defaults of the definitions for the rest.
fn defaults(written: Option<&WrittenDefaults>, violations: &mut Violations) -> Option<Amounts> {
    let written = written?;
    let cpu = match &written.cpu {
        Some(value) => resources::cpu("spec.defaultResources.cpu", value, violations),
        None => Some(DEFAULT_CPU),
    };
    let memory = match &written.memory {
        Some(value) => resources::memory("spec.defaultResources.memory", value, violations),
        None => Some(DEFAULT_MEMORY),
    };
    Some(Amounts { cpu, memory })
}

/// What a browser reaches.
#[derive(Clone, Copy)]
struct Served {
    port: u16,
    screen: bool,
}

/// The screen where there is one, else the first TCP port that the template lists. A
/// template that says nothing of either has a screen on the usual port.
fn served(written: &WrittenTemplate, ports: &[Port], violations: &mut Violations) -> Served {
    let listed = ports.iter().find(|port| port.protocol == Protocol::Tcp).map(|port| port.number);
    let (field, screen) = match (written.vnc, written.kasmvnc) {
        (Some(screen), _) => ("spec.vnc", Some(screen)),
        (None, older) => ("spec.kasmvnc", older),
    };
    let mut number = |screen: WrittenScreen| {
        let port = screen.port.map(|port| container::number(&format!("{field}.port"), port));
        match port {
            Some(Ok(port)) => port,
            Some(Err(violation)) => {
                violations.extend([violation]);
                DEFAULT_PORT
            }
            None => DEFAULT_PORT,
        }
    };
    match (screen, listed) {
        (Some(screen), _) if screen.enabled.unwrap_or(true) => {
            Served { port: number(screen), screen: true }
        }
        (None, None) => Served { port: DEFAULT_PORT, screen: written.ports.is_empty() },
        (_, Some(port)) => Served { port, screen: false },
        (Some(_), None) => {
            violations.add(
                "spec.ports",
                "has no TCP port, and there is no screen: list the port that serves the \
                 application, or enable `vnc`",
            );
            Served { port: DEFAULT_PORT, screen: false }
        }
    }
}

fn capabilities(written: &[String], violations: &mut Violations) -> Vec<Capability> {
    let mut capabilities = Vec::new();
    for (index, word) in written.iter().enumerate().take(crate::tenant::ENTRIES_MAXIMUM) {
        match Capability::parse(word) {
            Some(capability) if capabilities.contains(&capability) => {}
            Some(capability) => capabilities.push(capability),
            None => {
                let words = Capability::ALL.map(Capability::as_str).join(", ");
                let shown = text::excerpt(word);
                violations.add(
                    format!("spec.capabilities[{index}]"),
                    format!("`{shown}` is no capability: write one of {words}"),
                );
            }
        }
    }
    capabilities
}
