//! Who may do what: the identity that the daemon connects with only reads and may act
//! as the acting user; the acting user holds what it gives to tenants' administrators,
//! so that it needs neither `escalate` nor `bind`.

use k8s_openapi::{
    api::rbac::v1::{
        ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{Manifests, Wish};
use crate::platform::{
    names::{FENCE, INSTANCE, LEADER, TERM_EXTRA},
    resources::{AUTOSCALERS, NODE_POOLS, SESSIONS, TEMPLATES},
};

const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";
const ADMITTERS: [&str; 3] = [
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations",
];
const READ: [&str; 3] = ["get", "list", "watch"];
const APPLY: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];
const HANDS: [&str; 8] =
    ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
/// What a tenant becomes, by API group.
const MANAGED: [(&str, &[&str]); 4] = [
    ("", &["namespaces", "resourcequotas", "limitranges"]),
    ("networking.k8s.io", &["networkpolicies"]),
    (RBAC, &["roles", "rolebindings"]),
    ("policy", &["poddisruptionbudgets"]),
];
/// What a session becomes. Its pods are made by the cluster's own controllers.
const RUN: [(&str, &[&str]); 4] = [
    ("apps", &["deployments"]),
    ("", &["services", "persistentvolumeclaims"]),
    ("networking.k8s.io", &["ingresses"]),
    ("autoscaling", &["horizontalpodautoscalers"]),
];
const STREAM: &str = "stream.space";
/// What tenants write, and what is told of it there.
const WRITTEN: [&str; 2] = ["sessions", "templates"];
const TOLD: [&str; 2] = ["sessions/status", "templates/status"];
const TELL: [&str; 3] = ["get", "update", "patch"];

impl Manifests {
    /// The roles and their bindings. Only an administrator can give these.
    pub fn rights(&self) -> Result<Vec<Wish>, serde_json::Error> {
        let names = &self.names;
        let user = subject("User", names.acting_user());
        let group = subject("Group", names.break_glass_group());
        Ok(vec![
            Wish::of(&self.cluster_role(names.daemon(), self.acting_rules()))?,
            Wish::of(&self.cluster_binding(names.daemon(), user.clone()))?,
            Wish::of(&self.control_role(
                "streamspace-daemon",
                vec![
                    PolicyRule {
                        resource_names: owned(&[LEADER, FENCE, INSTANCE]),
                        ..rule("", &["configmaps"], &["get", "update", "patch", "create"])
                    },
                    // A create that is no apply carries no name to compare.
                    rule("", &["configmaps"], &["list", "watch", "create"]),
                ],
            ))?,
            Wish::of(&self.control_binding("streamspace-daemon", user))?,
            Wish::of(&self.cluster_role(names.break_glass(), self.break_glass_rules()))?,
            Wish::of(&self.cluster_binding(names.break_glass(), group.clone()))?,
            Wish::of(
                &self.control_role(
                    "streamspace-break-glass",
                    vec![rule("", &["configmaps"], &HANDS)],
                ),
            )?,
            Wish::of(&self.control_binding("streamspace-break-glass", group))?,
            Wish::of(&self.cluster_role(names.base(), self.base_rules()))?,
        ])
    }

    /// The acting user: what the leader writes, and what it gives to tenants.
    fn acting_rules(&self) -> Vec<PolicyRule> {
        let mut rules: Vec<_> = MANAGED
            .iter()
            .chain(&RUN)
            .map(|(group, resources)| rule(group, resources, &APPLY))
            .collect();
        rules.extend([
            rule("", &["pods"], &["delete"]),
            rule(
                STREAM,
                &["templates"],
                &["get", "list", "watch", "create", "update", "patch", "delete"],
            ),
            rule(STREAM, &TOLD, &TELL),
            rule("", &["events"], &["get", "list", "watch", "create", "patch"]),
            rule("events.k8s.io", &["events"], &["get", "list", "watch", "create", "patch"]),
        ]);
        rules.extend(given_to_tenants());
        // For dry runs that prove that admission refuses what a tenant must not have; the
        // policy of the term refuses all others.
        rules.push(rule("", &["pods"], &["create"]));
        rules.extend(self.fence_rules());
        rules.push(definitions());
        rules.push(rule(ADMISSION, &ADMITTERS, &["list", "watch"]));
        rules.push(PolicyRule {
            resource_names: owned(&[&self.names.control_namespace()]),
            ..rule("", &["namespaces"], &["get", "patch", "create"])
        });
        if self.config.node_pools.is_some() {
            rules.push(rule("karpenter.sh", &["nodepools"], &APPLY));
        }
        rules
    }

    /// The policies, bindings and webhook of this installation, and no others.
    fn fence_rules(&self) -> Vec<PolicyRule> {
        let names = &self.names;
        let policies = [names.guard(), names.tenants(), names.term(), names.parameters()];
        let bindings = policies.iter().cloned().chain([format!("{}-rest", names.term())]);
        let these = |resource: &str, known: Vec<String>| PolicyRule {
            resource_names: Some(known),
            ..rule(ADMISSION, &[resource], &["get", "create", "update", "patch"])
        };
        vec![
            these("validatingadmissionpolicies", policies.to_vec()),
            these("validatingadmissionpolicybindings", bindings.collect()),
            these("validatingwebhookconfigurations", vec![names.sessions()]),
            // The API server asks whether the maker of a policy may read every
            // parameter, by this name, which none can have: it opens no `ConfigMap`.
            PolicyRule { resource_names: owned(&["*"]), ..rule("", &["configmaps"], &["get"]) },
        ]
    }

    /// People in an emergency: the kinds that the daemon manages, and what runs there.
    fn break_glass_rules(&self) -> Vec<PolicyRule> {
        let mut rules: Vec<_> =
            MANAGED.iter().map(|(group, resources)| rule(group, resources, &HANDS)).collect();
        rules.extend([
            rule("", &["pods", "services", "persistentvolumeclaims", "configmaps"], &HANDS),
            rule("", &["events", "pods/log"], &READ),
            rule("apps", &["deployments", "deployments/scale", "replicasets"], &HANDS),
            rule("autoscaling", &["horizontalpodautoscalers"], &HANDS),
            rule("networking.k8s.io", &["ingresses"], &HANDS),
            rule(STREAM, &WRITTEN, &HANDS),
            rule(STREAM, &TOLD, &TELL),
            rule("karpenter.sh", &["nodepools"], &HANDS),
        ]);
        rules.extend(self.fence_rules());
        // A webhook that is configured nowhere any more lets no session start.
        rules.push(PolicyRule {
            resource_names: Some(vec![self.names.sessions()]),
            ..rule(ADMISSION, &["validatingwebhookconfigurations"], &["delete"])
        });
        rules
    }

    /// The identity of the process: it reads, and acts as the acting user.
    fn base_rules(&self) -> Vec<PolicyRule> {
        let mut rules: Vec<_> = MANAGED
            .iter()
            .chain(&RUN)
            .map(|(group, resources)| rule(group, resources, &READ))
            .collect();
        rules.extend([
            rule("", &["pods", "events"], &READ),
            // What pods use. It cannot be watched.
            rule("metrics.k8s.io", &["pods"], &["get", "list"]),
            rule(STREAM, &WRITTEN, &READ),
            rule(STREAM, &TOLD, &["get"]),
            rule("karpenter.sh", &["nodepools"], &READ),
            rule(RBAC, &["clusterroles", "clusterrolebindings"], &READ),
            rule(ADMISSION, &ADMITTERS, &READ),
            definitions(),
            PolicyRule {
                resource_names: owned(&[&self.names.acting_user()]),
                ..rule("", &["users"], &["impersonate"])
            },
            rule("authentication.k8s.io", &[&format!("userextras/{TERM_EXTRA}")], &["impersonate"]),
            rule(
                "authorization.k8s.io",
                &["selfsubjectaccessreviews", "subjectaccessreviews"],
                &["create"],
            ),
        ]);
        rules
    }

    fn cluster_role(&self, name: String, rules: Vec<PolicyRule>) -> ClusterRole {
        ClusterRole { metadata: self.metadata(name), rules: Some(rules), ..Default::default() }
    }

    fn cluster_binding(&self, name: String, subject: Subject) -> ClusterRoleBinding {
        ClusterRoleBinding {
            role_ref: role_ref("ClusterRole", &name),
            metadata: self.metadata(name),
            subjects: Some(vec![subject]),
        }
    }

    fn control_role(&self, name: &str, rules: Vec<PolicyRule>) -> Role {
        Role { metadata: self.in_control(name), rules: Some(rules) }
    }

    fn control_binding(&self, name: &str, subject: Subject) -> RoleBinding {
        RoleBinding {
            metadata: self.in_control(name),
            role_ref: role_ref("Role", name),
            subjects: Some(vec![subject]),
        }
    }

    fn in_control(&self, name: &str) -> ObjectMeta {
        ObjectMeta {
            namespace: Some(self.names.control_namespace()),
            ..self.metadata(name.to_owned())
        }
    }
}

/// What the role of a tenant's administrators may give. Kubernetes lets nobody give what
/// they do not hold.
fn given_to_tenants() -> Vec<PolicyRule> {
    vec![
        rule(STREAM, &["sessions"], &HANDS),
        rule(STREAM, &["sessions/status"], &["get"]),
        rule(STREAM, &["templates"], &READ),
        rule("", &["pods", "pods/log", "services", "persistentvolumeclaims"], &READ),
    ]
}

/// Which of the definitions there are that the daemon knows.
fn definitions() -> PolicyRule {
    PolicyRule {
        resource_names: owned(&[SESSIONS, TEMPLATES, NODE_POOLS, AUTOSCALERS]),
        ..rule("apiextensions.k8s.io", &["customresourcedefinitions"], &["get"])
    }
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: owned(&[group]),
        resources: owned(resources),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..Default::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the fields of a rule are optional")]
fn owned(texts: &[&str]) -> Option<Vec<String>> {
    Some(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn subject(kind: &str, name: String) -> Subject {
    Subject { api_group: Some(RBAC.into()), kind: kind.to_owned(), name, ..Default::default() }
}

fn role_ref(kind: &str, name: &str) -> RoleRef {
    RoleRef { api_group: Some(RBAC.into()), kind: kind.to_owned(), name: name.to_owned() }
}
