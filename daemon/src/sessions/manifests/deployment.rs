//! The Deployment of a session, and the pod in it.
//!
//! A namespace enforces the baseline. The images of the public catalogue begin as root and
//! give that up by themselves, so the pod may not be forbidden to; all else that is
//! restricted is.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Affinity, Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
            PersistentVolumeClaimVolumeSource, PodAffinity, PodAffinityTerm, PodSecurityContext,
            PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext,
            TCPSocketAction, Toleration, Volume as PodVolume, VolumeMount,
        },
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use streamspace_core::{
    quantity::Bytes,
    session::{Allotment, lifecycle::Replicas},
    template::{Protocol, Template, Volume},
};

use super::{HOME_MOUNTED_LABEL, Made, SHAPE_ANNOTATION, SessionPlace, USER_LABEL};
use crate::{sessions::homes, tenants::manifests::LIVE_LABEL};

/// What the one container is called.
const CONTAINER: &str = "session";
const HOME: &str = "home";
const MEMORY: &str = "memory";
const SHARED_MEMORY_PATH: &str = "/dev/shm";
/// The group that owns the files of a home: the images of the catalogue run as it.
const HOME_GROUP: i64 = 1000;
/// What an image that begins as root needs to become another, and to hand that its files.
const CAPABILITIES: [&str; 7] =
    ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];

pub(super) fn deployment(place: &SessionPlace<'_>, made: &Made<'_>) -> Deployment {
    let shared = made.wish.max_replicas.is_some_and(|most| most > 1);
    let mut metadata = place.metadata();
    metadata.annotations = Some(BTreeMap::from([(SHAPE_ANNOTATION.to_owned(), shape(made))]));
    Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas: match made.replicas {
                Replicas::Zero => Some(0),
                Replicas::One => Some(1),
                // Whoever scales it decides: two would take it from each other.
                Replicas::AtMost(_) => None,
            },
            revision_history_limit: Some(1),
            progress_deadline_seconds: Some(600),
            selector: LabelSelector {
                match_labels: Some(place.selector()),
                ..LabelSelector::default()
            },
            // Two pods of a session of one would write to one home, and one of two could
            // not mount it.
            strategy: Some(if shared && !place.config.home_on_one_node {
                DeploymentStrategy {
                    type_: Some("RollingUpdate".to_owned()),
                    rolling_update: Some(RollingUpdateDeployment {
                        max_unavailable: Some(IntOrString::Int(0)),
                        max_surge: Some(IntOrString::Int(1)),
                    }),
                }
            } else {
                DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None }
            }),
            template: pod(place, made),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// The sum of all that the session itself says of its pods.
fn shape(made: &Made<'_>) -> String {
    let wish = made.wish;
    let said = format!(
        "{}\n{}\n{:?}\n{}\n{}",
        wish.user,
        wish.template,
        wish.resources,
        wish.persistent_home,
        wish.max_replicas.is_some_and(|most| most > 1),
    );
    super::sum(said.as_bytes())
}

fn pod(place: &SessionPlace<'_>, made: &Made<'_>) -> PodTemplateSpec {
    let one_node = made.wish.persistent_home && place.config.home_on_one_node;
    let mut labels = place.labels();
    labels.insert(LIVE_LABEL.to_owned(), "true".to_owned());
    if one_node {
        labels.insert(HOME_MOUNTED_LABEL.to_owned(), "true".to_owned());
    }
    let (volumes, mounts) = volumes(place, made);
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(BTreeMap::from([(
                "karpenter.sh/do-not-disrupt".to_owned(),
                "true".to_owned(),
            )])),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            // Names of the tenant's other services are nobody's business.
            enable_service_links: Some(false),
            security_context: Some(PodSecurityContext {
                fs_group: Some(HOME_GROUP),
                fs_group_change_policy: Some("OnRootMismatch".to_owned()),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    localhost_profile: None,
                }),
                ..PodSecurityContext::default()
            }),
            affinity: one_node.then(|| beside_the_home(place)),
            tolerations: Some(vec![Toleration {
                key: Some("control.stream.space/plan".to_owned()),
                operator: Some("Equal".to_owned()),
                value: Some(place.plan.to_owned()),
                effect: Some("NoSchedule".to_owned()),
                toleration_seconds: None,
            }]),
            containers: vec![container(made, mounts)],
            volumes: Some(volumes),
            ..PodSpec::default()
        }),
    }
}

/// On the node where the user's other sessions have the home mounted.
fn beside_the_home(place: &SessionPlace<'_>) -> Affinity {
    let labels = BTreeMap::from([
        (USER_LABEL.to_owned(), place.user.to_owned()),
        (HOME_MOUNTED_LABEL.to_owned(), "true".to_owned()),
    ]);
    Affinity {
        pod_affinity: Some(PodAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![PodAffinityTerm {
                label_selector: Some(LabelSelector {
                    match_labels: Some(labels),
                    ..LabelSelector::default()
                }),
                topology_key: "kubernetes.io/hostname".to_owned(),
                ..PodAffinityTerm::default()
            }]),
            ..PodAffinity::default()
        }),
        ..Affinity::default()
    }
}

fn container(made: &Made<'_>, mounts: Vec<VolumeMount>) -> Container {
    let template = made.template;
    let served = i32::from(template.served_port);
    Container {
        name: CONTAINER.to_owned(),
        image: Some(template.image.clone()),
        env: Some(
            template
                .env
                .iter()
                .map(|variable| EnvVar {
                    name: variable.name.clone(),
                    value: Some(variable.value.clone()),
                    value_from: None,
                })
                .collect(),
        )
        .filter(|env: &Vec<EnvVar>| !env.is_empty()),
        ports: Some(ports(template)),
        resources: Some(resources(made.allotment)),
        readiness_probe: Some(Probe {
            tcp_socket: Some(TCPSocketAction { host: None, port: IntOrString::Int(served) }),
            period_seconds: Some(2),
            timeout_seconds: Some(1),
            failure_threshold: Some(5),
            ..Probe::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: Some(CAPABILITIES.map(str::to_owned).into()),
            }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// The ports that the template lists, and the one that is served if that is not among
/// them.
fn ports(template: &Template) -> Vec<ContainerPort> {
    let mut ports: Vec<ContainerPort> = template
        .ports
        .iter()
        .map(|port| ContainerPort {
            name: port.name.clone(),
            container_port: i32::from(port.number),
            protocol: Some(port.protocol.as_str().to_owned()),
            ..ContainerPort::default()
        })
        .collect();
    let is_served = |port: &streamspace_core::template::Port| {
        port.protocol == Protocol::Tcp && port.number == template.served_port
    };
    if !template.ports.iter().any(is_served) {
        ports.push(ContainerPort {
            container_port: i32::from(template.served_port),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        });
    }
    ports
}

fn resources(allotment: &Allotment) -> ResourceRequirements {
    let amounts = |cpu: String, memory: String| {
        Some(BTreeMap::from([
            ("cpu".to_owned(), Quantity(cpu)),
            ("memory".to_owned(), Quantity(memory)),
        ]))
    };
    ResourceRequirements {
        requests: amounts(allotment.cpu_request.canonical(), allotment.memory_request.canonical()),
        limits: amounts(allotment.cpu_limit.canonical(), allotment.memory_limit.canonical()),
        claims: None,
    }
}

/// The home, the scratch space that the template names, and shared memory, of which
/// browsers need more than the usual 64 MiB. That counts against the memory of the pod.
fn volumes(place: &SessionPlace<'_>, made: &Made<'_>) -> (Vec<PodVolume>, Vec<VolumeMount>) {
    let template = made.template;
    let mut volumes = vec![home(place, made.wish.persistent_home)];
    let mut mounts = Vec::new();
    let mut scratch: Vec<&str> = Vec::new();
    for mount in &template.mounts {
        let name = match &mount.volume {
            Volume::Home => HOME.to_owned(),
            Volume::Scratch(name) => {
                let known = scratch.iter().position(|known| known == name);
                let index = known.unwrap_or(scratch.len());
                let volume = format!("scratch-{index}");
                if known.is_none() {
                    scratch.push(name);
                    volumes.push(empty(&volume, EmptyDirVolumeSource::default()));
                }
                volume
            }
        };
        mounts.push(mounted(name, &mount.path));
    }
    if !template.mounts.iter().any(|mount| mount.volume == Volume::Home) {
        mounts.push(mounted(HOME.to_owned(), template.home_path()));
    }
    let has_memory =
        template.mounts.iter().any(|mount| mount.path.trim_end_matches('/') == SHARED_MEMORY_PATH);
    if !has_memory {
        let half = Bytes(made.allotment.memory_limit.0 / 2).canonical();
        let source = EmptyDirVolumeSource {
            medium: Some("Memory".to_owned()),
            size_limit: Some(Quantity(half)),
        };
        volumes.push(empty(MEMORY, source));
        mounts.push(mounted(MEMORY.to_owned(), SHARED_MEMORY_PATH));
    }
    (volumes, mounts)
}

fn home(place: &SessionPlace<'_>, persistent: bool) -> PodVolume {
    if !persistent {
        return empty(HOME, EmptyDirVolumeSource::default());
    }
    PodVolume {
        name: HOME.to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: homes::name(place.user),
            read_only: None,
        }),
        ..PodVolume::default()
    }
}

fn empty(name: &str, source: EmptyDirVolumeSource) -> PodVolume {
    PodVolume { name: name.to_owned(), empty_dir: Some(source), ..PodVolume::default() }
}

fn mounted(name: String, path: &str) -> VolumeMount {
    VolumeMount { name, mount_path: path.to_owned(), ..VolumeMount::default() }
}
