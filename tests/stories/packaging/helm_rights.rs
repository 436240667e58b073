//! What the accounts of an installation by the chart may do, and what not, as the API server
//! itself says.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};
use streamspace_tests::helm::NAMESPACE;

/// Whom a question is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// The service account that every replica connects with.
    Account,
    /// The user that the leader acts as.
    Acting,
}

impl Who {
    fn name(self) -> String {
        match self {
            Self::Account => format!("system:serviceaccount:{NAMESPACE}:streamspaced"),
            Self::Acting => "streamspace:daemon".to_owned(),
        }
    }

    fn groups(self) -> Vec<String> {
        let groups: &[&str] = match self {
            Self::Account => &[
                "system:serviceaccounts",
                "system:serviceaccounts:streamspace-system",
                "system:authenticated",
            ],
            Self::Acting => &["system:authenticated"],
        };
        groups.iter().map(|group| (*group).to_owned()).collect()
    }
}

/// `group/resource/subresource`, the subresource and its slash only where there is one.
type Right = (&'static str, &'static str, &'static str, &'static str);

/// Verbs, resource, namespace, name: what every replica does, and what the leader does beside
/// it as the same account. Each from the code that needs it.
const ACCOUNT_MUST: [Right; 22] = [
    // The index of what tenants have (`tenants/reconciler/follow.rs`).
    ("get list watch", "/namespaces", "", ""),
    ("get list watch", "/resourcequotas", "tenant-a", ""),
    ("get list watch", "/limitranges", "tenant-a", ""),
    ("get list watch", "networking.k8s.io/networkpolicies", "tenant-a", ""),
    ("get list watch", "rbac.authorization.k8s.io/roles", "tenant-a", ""),
    ("get list watch", "rbac.authorization.k8s.io/rolebindings", "tenant-a", ""),
    ("get list watch", "policy/poddisruptionbudgets", "tenant-a", ""),
    // What sessions become, and run in (`sessions/reconciler/follow.rs`).
    ("get list watch", "apps/deployments", "tenant-a", ""),
    ("get list watch", "/services", "tenant-a", ""),
    ("get list watch", "/persistentvolumeclaims", "tenant-a", ""),
    ("get list watch", "networking.k8s.io/ingresses", "tenant-a", ""),
    ("get list watch", "autoscaling/horizontalpodautoscalers", "tenant-a", ""),
    ("get list watch", "/pods", "tenant-a", ""),
    ("get list watch", "stream.space/sessions", "tenant-a", ""),
    ("get list watch", "stream.space/templates", "streamspace-catalogue", ""),
    // What pods use (`usage/actual`).
    ("list", "metrics.k8s.io/pods", "", ""),
    // Who else has rights (`tenants/check/rights.rs`).
    ("get list", "rbac.authorization.k8s.io/clusterroles", "", ""),
    ("get list", "rbac.authorization.k8s.io/clusterrolebindings", "", ""),
    ("create", "authorization.k8s.io/subjectaccessreviews", "", ""),
    ("get", "apiextensions.k8s.io/customresourcedefinitions", "", "sessions.stream.space"),
    // The leader acts as another, with its term (`kube/client.rs`).
    ("impersonate", "/users", "", "streamspace:daemon"),
    ("impersonate", "authentication.k8s.io/userextras/stream.space/term", "", ""),
];

const ACTING_MUST: [Right; 23] = [
    // A tenant (`tenants/manifests.rs`).
    ("get create patch delete", "/namespaces", "", "tenant-a"),
    ("create patch delete", "/resourcequotas", "tenant-a", ""),
    ("create patch delete", "/limitranges", "tenant-a", ""),
    ("create patch delete", "networking.k8s.io/networkpolicies", "tenant-a", ""),
    ("create patch delete", "rbac.authorization.k8s.io/roles", "tenant-a", ""),
    ("create patch delete", "rbac.authorization.k8s.io/rolebindings", "tenant-a", ""),
    ("create patch delete", "policy/poddisruptionbudgets", "tenant-a", ""),
    // A session (`sessions/manifests.rs`).
    ("create patch delete", "apps/deployments", "tenant-a", ""),
    ("create patch delete", "/services", "tenant-a", ""),
    ("create patch delete", "/persistentvolumeclaims", "tenant-a", ""),
    ("create patch delete", "networking.k8s.io/ingresses", "tenant-a", ""),
    ("create patch delete", "autoscaling/horizontalpodautoscalers", "tenant-a", ""),
    ("create update patch delete", "stream.space/sessions", "tenant-a", ""),
    ("update patch", "stream.space/sessions/status", "tenant-a", ""),
    ("delete", "/pods", "tenant-a", ""),
    ("create patch", "events.k8s.io/events", "tenant-a", ""),
    // The fences (`platform/reconciler.rs`).
    ("get patch create", "/namespaces", "", "streamspace-system"),
    ("get update patch create", "/configmaps", "streamspace-system", "leader"),
    ("get update patch create", "/configmaps", "streamspace-system", "fence"),
    ("get update patch create", "/configmaps", "streamspace-system", "instance"),
    (
        "get update patch create",
        "admissionregistration.k8s.io/validatingadmissionpolicies",
        "",
        "streamspace-guard",
    ),
    (
        "get update patch create",
        "admissionregistration.k8s.io/validatingadmissionpolicybindings",
        "",
        "streamspace-term-rest",
    ),
    (
        "get update patch create",
        "admissionregistration.k8s.io/validatingwebhookconfigurations",
        "",
        "streamspace-sessions",
    ),
];

/// What neither may.
const NEVER: [Right; 34] = [
    // Secrets, wherever they are.
    ("get list watch create update delete", "/secrets", "kube-system", ""),
    ("get list watch create update delete", "/secrets", "streamspace-system", ""),
    ("get list watch create update delete", "/secrets", "tenant-a", ""),
    ("list", "/secrets", "", ""),
    ("get list", "/configmaps", "kube-system", ""),
    // More than they have.
    ("escalate bind", "rbac.authorization.k8s.io/roles", "tenant-a", ""),
    ("escalate bind", "rbac.authorization.k8s.io/clusterroles", "", ""),
    ("bind", "rbac.authorization.k8s.io/clusterroles", "", "cluster-admin"),
    ("bind", "rbac.authorization.k8s.io/clusterroles", "", "edit"),
    ("create update patch delete", "rbac.authorization.k8s.io/clusterroles", "", ""),
    ("create update patch delete", "rbac.authorization.k8s.io/clusterrolebindings", "", ""),
    ("update patch", "rbac.authorization.k8s.io/clusterroles", "", "streamspace-daemon"),
    ("approve sign", "certificates.k8s.io/signers", "", ""),
    ("create update", "certificates.k8s.io/certificatesigningrequests", "", ""),
    // Others' identities.
    ("impersonate", "/users", "", "kubernetes-admin"),
    ("impersonate", "/users", "", "system:kube-controller-manager"),
    ("impersonate", "/groups", "", "system:masters"),
    ("impersonate", "/groups", "", "streamspace:break-glass"),
    ("impersonate", "/serviceaccounts", "kube-system", ""),
    ("create", "/serviceaccounts/token", "kube-system", ""),
    ("create", "/serviceaccounts/token", "streamspace-system", ""),
    // Nodes, and what runs on them.
    ("get create", "/nodes/proxy", "", ""),
    ("get list update patch delete", "/nodes", "", ""),
    ("get create", "/pods/exec", "kube-system", ""),
    ("get create", "/pods/exec", "tenant-a", ""),
    ("get create", "/pods/attach", "tenant-a", ""),
    ("get create", "/pods/portforward", "tenant-a", ""),
    ("update patch", "/pods/ephemeralcontainers", "tenant-a", ""),
    ("create delete", "/persistentvolumes", "", ""),
    // The cluster's admission, but for the own names; and definitions.
    (
        "create update patch delete",
        "admissionregistration.k8s.io/mutatingwebhookconfigurations",
        "",
        "",
    ),
    (
        "update patch delete",
        "admissionregistration.k8s.io/validatingwebhookconfigurations",
        "",
        "others",
    ),
    (
        "update patch delete",
        "admissionregistration.k8s.io/validatingadmissionpolicies",
        "",
        "others",
    ),
    ("delete", "admissionregistration.k8s.io/validatingadmissionpolicies", "", "streamspace-guard"),
    (
        "create update patch delete",
        "apiextensions.k8s.io/customresourcedefinitions",
        "",
        "sessions.stream.space",
    ),
];

/// What the account may not by itself: it only reads.
const ACCOUNT_NEVER: [Right; 8] = [
    ("create update patch delete deletecollection", "/namespaces", "", ""),
    ("create update patch delete deletecollection", "/resourcequotas", "tenant-a", ""),
    (
        "create update patch delete deletecollection",
        "networking.k8s.io/networkpolicies",
        "tenant-a",
        "",
    ),
    ("create update patch delete", "rbac.authorization.k8s.io/rolebindings", "tenant-a", ""),
    ("create update patch delete", "/pods", "tenant-a", ""),
    ("create update patch delete", "stream.space/sessions", "tenant-a", ""),
    ("create update patch delete get", "/configmaps", "streamspace-system", "leader"),
    ("update patch", "apps/deployments", "streamspace-system", "streamspaced"),
];

/// Asks all of it.
pub(crate) async fn are_as_they_should(client: &Client) {
    let mut wrong = Vec::new();
    for (who, rights, wanted) in [
        (Who::Account, &ACCOUNT_MUST[..], true),
        (Who::Acting, &ACTING_MUST[..], true),
        (Who::Account, &NEVER[..], false),
        (Who::Acting, &NEVER[..], false),
        (Who::Account, &ACCOUNT_NEVER[..], false),
    ] {
        for right in rights {
            for verb in right.0.split(' ') {
                if allowed(client, who, verb, right).await != wanted {
                    let word = if wanted { "may not" } else { "may" };
                    wrong.push(format!("{who:?} {word} {verb} {right:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn allowed(client: &Client, who: Who, verb: &str, right: &Right) -> bool {
    let (_, resource, namespace, name) = *right;
    let mut parts = resource.splitn(3, '/').map(str::to_owned);
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(who.name()),
            groups: Some(who.groups()),
            resource_attributes: Some(ResourceAttributes {
                verb: Some(verb.to_owned()),
                group: parts.next(),
                resource: parts.next(),
                subresource: parts.next(),
                namespace: given(namespace),
                name: given(name),
                ..Default::default()
            }),
            ..Default::default()
        },
        ..Default::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
    let status = answer.status.unwrap();
    assert_eq!(status.evaluation_error, None, "{who:?} {right:?}");
    status.allowed
}
