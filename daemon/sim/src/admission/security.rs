//! Pod Security, as the labels of a namespace ask for it.
//!
//! Of the standards' checks these are not made: `appArmorProfile`, `seLinuxOptions`, `procMount`, sysctls,
//! hosts in probes and what is particular to Windows.

use serde_json::Value;

use super::{Act, Operation};
use crate::{
    kinds::View,
    schema::{Object, at},
    status::Failure,
    store::Store,
};

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const VERSION: &str = "pod-security.kubernetes.io/enforce-version";
/// What a container has of itself, and may keep.
const DEFAULT_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Volumes that reach nothing of the node.
const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Baseline,
    Restricted,
}

/// Refuses pods that the namespace's level does not allow.
pub(super) fn check(store: &Store, act: &Act<'_>) -> Result<(), Failure> {
    let (Some(pod), true) = (act.object, act.is_of("", "pods")) else {
        return Ok(());
    };
    if act.operation == Operation::Delete || act.view != View::Whole {
        return Ok(());
    }
    let Some(namespace) = store.get(&format!("namespaces/{}", act.place.namespace)) else {
        return Ok(());
    };
    let level = match namespace.label(ENFORCE) {
        Some("baseline") => Level::Baseline,
        Some("restricted") => Level::Restricted,
        _ => return Ok(()),
    };
    let empty = Object::new();
    let spec = pod.get("spec").and_then(Value::as_object).unwrap_or(&empty);
    let found = violations(spec, level);
    if found.is_empty() {
        return Ok(());
    }
    let word = if level == Level::Baseline { "baseline" } else { "restricted" };
    let version = namespace.label(VERSION).unwrap_or("latest");
    let why = format!("violates PodSecurity \"{word}:{version}\": {}", found.join(", "));
    Err(act.forbidden(&why))
}

fn violations(spec: &Object, level: Level) -> Vec<String> {
    let pod = Pod { spec };
    let restricted = level == Level::Restricted;
    // First those of the baseline, then the others, each by their names.
    let checks = [
        if restricted { None } else { pod.added_capabilities() },
        pod.host_namespaces(),
        if restricted { None } else { pod.host_paths() },
        pod.host_ports(),
        pod.privileged(),
        if restricted { None } else { pod.unconfined() },
        if restricted { pod.escalation() } else { None },
        if restricted { pod.capabilities() } else { None },
        if restricted { pod.volumes() } else { None },
        if restricted { pod.root() } else { None },
        if restricted { pod.root_user() } else { None },
        if restricted { pod.seccomp() } else { None },
    ];
    checks.into_iter().flatten().collect()
}

struct Pod<'a> {
    spec: &'a Object,
}

fn list<'a>(object: &'a Object, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    object.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// `container "a"`, `containers "a", "b"`.
fn named(what: &str, names: &[&str]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{what}{plural} {}", quoted(names.iter().copied()))
}

fn uses(names: &[&str]) -> &'static str {
    if names.len() == 1 { "uses" } else { "use" }
}

fn sorted(mut texts: Vec<&str>) -> Vec<&str> {
    texts.sort_unstable();
    texts.dedup();
    texts
}

impl<'a> Pod<'a> {
    fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let spec = self.spec;
        ["initContainers", "containers", "ephemeralContainers"]
            .into_iter()
            .flat_map(move |name| list(spec, name))
    }

    /// The names of the containers that are so.
    fn those(&self, fits: impl Fn(&Value) -> bool) -> Vec<&'a str> {
        self.containers().filter(|it| fits(it)).map(|it| text(it, "name")).collect()
    }

    fn context(&self, field: &str) -> Option<&'a Value> {
        at(self.spec, &["securityContext", field])
    }

    /// Whether the pod's users are not those of the node.
    fn has_its_own_users(&self) -> bool {
        self.spec.get("hostUsers") == Some(&Value::Bool(false))
    }

    fn host_namespaces(&self) -> Option<String> {
        let on = |name: &&str| self.spec.get(*name) == Some(&Value::Bool(true));
        let used: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
            .into_iter()
            .filter(on)
            .map(|name| format!("{name}=true"))
            .collect();
        (!used.is_empty()).then(|| format!("host namespaces ({})", used.join(", ")))
    }

    fn privileged(&self) -> Option<String> {
        let bad = self.those(|it| context(it, "privileged") == Some(&Value::Bool(true)));
        (!bad.is_empty()).then(|| {
            let who = named("container", &bad);
            format!("privileged ({who} must not set securityContext.privileged=true)")
        })
    }

    fn host_paths(&self) -> Option<String> {
        let volumes = list(self.spec, "volumes").filter(|it| it.get("hostPath").is_some());
        let bad: Vec<&str> = volumes.map(|it| text(it, "name")).collect();
        (!bad.is_empty()).then(|| format!("hostPath volumes ({})", named("volume", &bad)))
    }

    fn host_ports(&self) -> Option<String> {
        let ports = |container: &'a Value| {
            let ports = container.get("ports").and_then(Value::as_array).into_iter().flatten();
            ports.filter_map(|port| port.get("hostPort")?.as_u64()).filter(|port| *port != 0)
        };
        let bad: Vec<&str> = self
            .containers()
            .filter(|it| ports(it).next().is_some())
            .map(|it| text(it, "name"))
            .collect();
        if bad.is_empty() {
            return None;
        }
        let mut used: Vec<String> =
            self.containers().flat_map(ports).map(|port| port.to_string()).collect();
        used.sort_unstable();
        used.dedup();
        let word = if used.len() == 1 { "hostPort" } else { "hostPorts" };
        Some(format!(
            "hostPort ({} {} {word} {})",
            named("container", &bad),
            uses(&bad),
            used.join(", ")
        ))
    }

    fn added_capabilities(&self) -> Option<String> {
        let added = |it: &'a Value| {
            capabilities(it, "add").filter(|name| !DEFAULT_CAPABILITIES.contains(name))
        };
        let bad: Vec<&str> = self
            .containers()
            .filter(|it| added(it).next().is_some())
            .map(|it| text(it, "name"))
            .collect();
        (!bad.is_empty()).then(|| {
            let names = sorted(self.containers().flat_map(added).collect());
            format!(
                "non-default capabilities ({} must not include {} in securityContext.capabilities.add)",
                named("container", &bad),
                quoted(names)
            )
        })
    }

    fn capabilities(&self) -> Option<String> {
        let kept = self.those(|it| !capabilities(it, "drop").any(|name| name == "ALL"));
        let added =
            |it: &'a Value| capabilities(it, "add").filter(|name| *name != "NET_BIND_SERVICE");
        let adding: Vec<&str> = self
            .containers()
            .filter(|it| added(it).next().is_some())
            .map(|it| text(it, "name"))
            .collect();
        let mut said = Vec::new();
        if !kept.is_empty() {
            let who = named("container", &kept);
            said.push(format!("{who} must set securityContext.capabilities.drop=[\"ALL\"]"));
        }
        if !adding.is_empty() {
            let names = sorted(self.containers().flat_map(added).collect());
            said.push(format!(
                "{} must not include {} in securityContext.capabilities.add",
                named("container", &adding),
                quoted(names)
            ));
        }
        (!said.is_empty()).then(|| format!("unrestricted capabilities ({})", said.join("; ")))
    }

    fn escalation(&self) -> Option<String> {
        let off = Some(&Value::Bool(false));
        let bad = self.those(|it| context(it, "allowPrivilegeEscalation") != off);
        (!bad.is_empty()).then(|| {
            let who = named("container", &bad);
            format!(
                "allowPrivilegeEscalation != false ({who} must set securityContext.allowPrivilegeEscalation=false)"
            )
        })
    }

    fn volumes(&self) -> Option<String> {
        let kind = |volume: &'a Value| {
            let fields = volume.as_object().into_iter().flat_map(Object::keys);
            fields.map(String::as_str).find(|field| *field != "name").unwrap_or("unknown")
        };
        let bad: Vec<&Value> =
            list(self.spec, "volumes").filter(|it| !VOLUMES.contains(&kind(it))).collect();
        if bad.is_empty() {
            return None;
        }
        let names: Vec<&str> = bad.iter().map(|it| text(it, "name")).collect();
        let kinds = sorted(bad.iter().map(|it| kind(it)).collect());
        let word = if kinds.len() == 1 { "type" } else { "types" };
        Some(format!(
            "restricted volume types ({} {} restricted volume {word} {})",
            named("volume", &names),
            uses(&names),
            quoted(kinds)
        ))
    }

    fn root(&self) -> Option<String> {
        if self.has_its_own_users() {
            return None;
        }
        let field = "runAsNonRoot";
        let (yes, no) = (Some(&Value::Bool(true)), Some(&Value::Bool(false)));
        let bad = self.those(|it| context(it, field) == no);
        let own = self.context(field);
        if let Some(who) = setters(own == no, &bad) {
            return Some(format!(
                "runAsNonRoot != true ({who} must not set securityContext.runAsNonRoot=false)"
            ));
        }
        let silent =
            if own == yes { Vec::new() } else { self.those(|it| context(it, field).is_none()) };
        (!silent.is_empty()).then(|| {
            let who = named("container", &silent);
            format!(
                "runAsNonRoot != true (pod or {who} must set securityContext.runAsNonRoot=true)"
            )
        })
    }

    fn root_user(&self) -> Option<String> {
        if self.has_its_own_users() {
            return None;
        }
        let is_root = |value: Option<&Value>| value.and_then(Value::as_i64) == Some(0);
        let bad = self.those(|it| is_root(context(it, "runAsUser")));
        let who = setters(is_root(self.context("runAsUser")), &bad)?;
        Some(format!("runAsUser=0 ({who} must not set runAsUser=0)"))
    }

    /// Of the baseline: nothing is unconfined.
    fn unconfined(&self) -> Option<String> {
        let bad_value =
            |profile: Option<&Value>| profile.map(|it| text(it, "type")) == Some("Unconfined");
        let bad = self.those(|it| bad_value(context(it, "seccompProfile")));
        let who = setters(bad_value(self.context("seccompProfile")), &bad)?;
        Some(format!(
            "seccompProfile ({who} must not set securityContext.seccompProfile.type to \"Unconfined\")"
        ))
    }

    fn seccomp(&self) -> Option<String> {
        let is_valid =
            |profile: &Value| matches!(text(profile, "type"), "RuntimeDefault" | "Localhost");
        let own = self.context("seccompProfile");
        let is_bad = |it: &Value| context(it, "seccompProfile").is_some_and(|it| !is_valid(it));
        let bad = self.those(is_bad);
        let own_is_bad = own.filter(|own| !is_valid(own));
        if let Some(who) = setters(own_is_bad.is_some(), &bad) {
            let profiles = self.containers().filter_map(|it| context(it, "seccompProfile"));
            let values = profiles.chain(own_is_bad).filter(|it| !is_valid(it));
            let values = sorted(values.map(|it| text(it, "type")).collect());
            return Some(format!(
                "seccompProfile ({who} must not set securityContext.seccompProfile.type to {})",
                quoted(values)
            ));
        }
        if own.is_some() {
            return None;
        }
        let silent = self.those(|it| context(it, "seccompProfile").is_none());
        (!silent.is_empty()).then(|| {
            let who = named("container", &silent);
            format!(
                "seccompProfile (pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
            )
        })
    }
}

/// A container's own security context.
fn context<'a>(container: &'a Value, field: &str) -> Option<&'a Value> {
    container.get("securityContext")?.get(field)
}

fn capabilities<'a>(container: &'a Value, field: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let list = context(container, "capabilities").and_then(|it| it.get(field)?.as_array());
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// `pod and container "a"`, as far as these set something that they must not.
fn setters(pod: bool, containers: &[&str]) -> Option<String> {
    let containers = (!containers.is_empty()).then(|| named("container", containers));
    let who: Vec<String> = pod.then(|| "pod".to_owned()).into_iter().chain(containers).collect();
    (!who.is_empty()).then(|| who.join(" and "))
}
