//! The kinds that are built in.

use super::{EXTENSIONS, Generation, Names};

/// One built-in kind.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the kind")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
    pub(super) names: Names,
    pub(super) generation: Generation,
    pub(super) short: &'static [&'static str],
    /// Among what `kubectl get all` means.
    pub(super) everyday: bool,
    pub(super) status: bool,
    pub(super) scale: bool,
    /// A question that is answered and not kept.
    pub(super) asked: bool,
}

impl Row {
    const fn new(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        kind: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            plural,
            kind,
            namespaced: true,
            names: Names::Subdomain,
            generation: Generation::Absent,
            short: &[],
            everyday: false,
            status: false,
            scale: false,
            asked: false,
        }
    }

    const fn of_the_cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn named(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    const fn counted(mut self) -> Self {
        self.generation = Generation::Counted;
        self
    }

    const fn short(mut self, short: &'static [&'static str]) -> Self {
        self.short = short;
        self
    }

    const fn everyday(mut self) -> Self {
        self.everyday = true;
        self
    }

    const fn with_status(mut self) -> Self {
        self.status = true;
        self
    }

    const fn asked(mut self) -> Self {
        self.asked = true;
        self
    }

    const fn with_scale(mut self) -> Self {
        self.scale = true;
        self
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";
const ACCESS: &str = "authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

pub(super) const TABLE: &[Row] = &[
    Row::new("", "v1", "namespaces", "Namespace")
        .of_the_cluster()
        .named(Names::Label)
        .short(&["ns"])
        .with_status(),
    Row::new("", "v1", "configmaps", "ConfigMap").short(&["cm"]),
    Row::new("", "v1", "events", "Event").short(&["ev"]),
    Row::new("", "v1", "limitranges", "LimitRange").short(&["limits"]),
    Row::new("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
        .short(&["pvc"])
        .with_status(),
    Row::new("", "v1", "pods", "Pod").counted().short(&["po"]).everyday().with_status(),
    Row::new("", "v1", "resourcequotas", "ResourceQuota").short(&["quota"]).with_status(),
    Row::new("", "v1", "secrets", "Secret"),
    Row::new("", "v1", "serviceaccounts", "ServiceAccount").short(&["sa"]),
    Row::new("", "v1", "services", "Service")
        .named(Names::Label)
        .short(&["svc"])
        .everyday()
        .with_status(),
    Row::new("apps", "v1", "deployments", "Deployment")
        .counted()
        .short(&["deploy"])
        .everyday()
        .with_status()
        .with_scale(),
    Row::new("apps", "v1", "replicasets", "ReplicaSet")
        .counted()
        .short(&["rs"])
        .everyday()
        .with_status()
        .with_scale(),
    Row::new("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
        .short(&["hpa"])
        .everyday()
        .with_status(),
    Row::new("events.k8s.io", "v1", "events", "Event").short(&["ev"]),
    Row::new("networking.k8s.io", "v1", "ingresses", "Ingress")
        .counted()
        .short(&["ing"])
        .with_status(),
    Row::new("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
        .counted()
        .short(&["netpol"]),
    Row::new("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
        .named(Names::Segment)
        .counted()
        .short(&["pdb"])
        .with_status(),
    Row::new("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview")
        .of_the_cluster()
        .asked(),
    Row::new(ACCESS, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview").asked(),
    Row::new(ACCESS, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview")
        .of_the_cluster()
        .asked(),
    Row::new(ACCESS, "v1", "subjectaccessreviews", "SubjectAccessReview").of_the_cluster().asked(),
    Row::new(RBAC, "v1", "roles", "Role").named(Names::Segment),
    Row::new(RBAC, "v1", "rolebindings", "RoleBinding").named(Names::Segment),
    Row::new(RBAC, "v1", "clusterroles", "ClusterRole").of_the_cluster().named(Names::Segment),
    Row::new(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding")
        .of_the_cluster()
        .named(Names::Segment),
    Row::new(ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy")
        .of_the_cluster()
        .counted()
        .with_status(),
    Row::new(
        ADMISSION,
        "v1",
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
    )
    .of_the_cluster()
    .counted(),
    Row::new(EXTENSIONS, "v1", "customresourcedefinitions", "CustomResourceDefinition")
        .of_the_cluster()
        .counted()
        .short(&["crd", "crds"])
        .with_status(),
];
