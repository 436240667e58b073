//! What a tenant's administrators may do, asked of the cluster's own authorizer.

use futures::{FutureExt as _, StreamExt as _, stream};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::{Api, api::PostParams};
use streamspace_core::tenant::{Subject, SubjectKind};

use super::{NAMED, Rule, Verdict};
use crate::{
    kube::{Cluster, ClusterError, limited},
    tenants::TenantRecord,
};

/// So many questions are under way at once.
const AT_ONCE: usize = 16;
/// The user in questions about a group. No certificate and no token names it.
const MEMBER: &str = "streamspace:member-of-a-group";

/// Where something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the tenant's namespace.
    Own,
    /// In namespaces of the cluster and of other tenants.
    Elsewhere,
    /// In no namespace.
    Cluster,
    /// The tenant's own namespace object.
    OwnNamespace,
}

/// What an administrator is asked about: verbs, API group, resources.
type Acts = (Place, &'static [&'static str], &'static str, &'static [&'static str]);

/// A rule and the acts that it is about.
struct RightsRule {
    rule: Rule,
    /// Whether these must be allowed; else each must be refused.
    allowed: bool,
    acts: &'static [Acts],
}

const WRITE: &[&str] = &["create", "update", "patch", "delete"];
const CHANGE: &[&str] = &["update", "patch", "delete"];
const READ: &[&str] = &["get", "list"];
const RBAC: &str = "rbac.authorization.k8s.io";

const RULES: [RightsRule; 7] = [
    RightsRule {
        rule: Rule {
            id: "administrators-manage-sessions",
            description: "The tenant's administrators manage sessions in its namespace.",
        },
        allowed: true,
        acts: &[(Place::Own, &["create", "list", "delete"], "stream.space", &["sessions"])],
    },
    RightsRule {
        rule: Rule {
            id: "administrators-keep-limits",
            description: "They can change neither quota, limits, network policies nor the \
                          namespace itself.",
        },
        allowed: false,
        acts: &[
            (Place::Own, WRITE, "", &["resourcequotas", "limitranges"]),
            (Place::Own, WRITE, "networking.k8s.io", &["networkpolicies"]),
            (Place::Own, WRITE, "policy", &["poddisruptionbudgets"]),
            (Place::OwnNamespace, CHANGE, "", &["namespaces"]),
        ],
    },
    RightsRule {
        rule: Rule {
            id: "administrators-grant-nothing",
            description: "They can give no rights to anybody, and act as nobody else.",
        },
        allowed: false,
        acts: &[
            (Place::Own, WRITE, RBAC, &["roles", "rolebindings"]),
            (Place::Own, &["bind", "escalate"], RBAC, &["roles"]),
            (Place::Cluster, &["bind", "escalate"], RBAC, &["clusterroles"]),
            (Place::Cluster, &["impersonate"], "", &["users", "groups"]),
            (Place::Own, &["impersonate"], "", &["serviceaccounts"]),
            (Place::Own, &["create"], "", &["serviceaccounts/token"]),
        ],
    },
    RightsRule {
        rule: Rule {
            id: "administrators-start-sessions-only",
            description: "They can start no pods but those of sessions, and enter none.",
        },
        allowed: false,
        acts: &[
            (Place::Own, WRITE, "", &["pods", "services", "persistentvolumeclaims"]),
            (Place::Own, &["create"], "", &["pods/exec", "pods/attach", "pods/portforward"]),
            (Place::Own, WRITE, "apps", &["deployments", "daemonsets", "statefulsets"]),
            (Place::Own, WRITE, "batch", &["jobs", "cronjobs"]),
        ],
    },
    RightsRule {
        rule: Rule {
            id: "administrators-see-no-secrets",
            description: "They can read no secrets and no configuration of the namespace.",
        },
        allowed: false,
        acts: &[(Place::Own, READ, "", &["secrets"]), (Place::Own, WRITE, "", &["configmaps"])],
    },
    RightsRule {
        rule: Rule {
            id: "administrators-stay-in-their-namespace",
            description: "They can see and do nothing in any other namespace.",
        },
        allowed: false,
        acts: &[
            (Place::Elsewhere, READ, "", &["pods", "secrets", "services", "events"]),
            (Place::Elsewhere, &["get", "list", "create", "delete"], "stream.space", &["sessions"]),
            (Place::Elsewhere, &["create"], "", &["pods"]),
        ],
    },
    RightsRule {
        rule: Rule {
            id: "administrators-see-no-cluster",
            description: "They can see and change nothing of the cluster as a whole.",
        },
        allowed: false,
        acts: &[
            (Place::Cluster, READ, "", &["namespaces", "nodes", "persistentvolumes"]),
            (Place::Cluster, &["create", "delete"], "", &["namespaces", "persistentvolumes"]),
            (Place::Cluster, READ, RBAC, &["clusterroles", "clusterrolebindings"]),
            (Place::Cluster, WRITE, RBAC, &["clusterroles", "clusterrolebindings"]),
            (
                Place::Cluster,
                WRITE,
                "admissionregistration.k8s.io",
                &["validatingadmissionpolicies", "validatingwebhookconfigurations"],
            ),
            (Place::Cluster, READ, "apiextensions.k8s.io", &["customresourcedefinitions"]),
        ],
    },
];

/// One question to the authorizer, and what the answer must be.
struct Question {
    subject: Subject,
    attributes: ResourceAttributes,
    /// Where, for people. Other tenants have no names here.
    place: String,
    allowed: bool,
}

/// The rules about a tenant's administrators.
pub(crate) async fn rights(
    cluster: &Cluster,
    tenant: &TenantRecord,
    others: &[String],
) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for rights in &RULES {
        verdicts.push(judge(cluster, tenant, others, rights).await);
    }
    verdicts
}

async fn judge(
    cluster: &Cluster,
    tenant: &TenantRecord,
    others: &[String],
    rights: &RightsRule,
) -> Verdict {
    let subjects = &tenant.spec.admin_subjects;
    if subjects.is_empty() {
        return rights.rule.verdict(Some(true), "the tenant has no administrators");
    }
    let questions: Vec<Question> =
        subjects.iter().flat_map(|subject| questions(subject, tenant, others, rights)).collect();
    let count = questions.len();
    let asked = |question: Question| {
        let cluster = cluster.clone();
        async move {
            let answer = ask(&cluster, &question).await;
            (question, answer)
        }
        .boxed()
    };
    let answers = stream::iter(questions.into_iter().map(asked)).buffered(AT_ONCE);
    let (mut wrong, mut unasked) = (Vec::new(), None);
    let mut answers = std::pin::pin!(answers);
    while let Some((question, answer)) = answers.next().await {
        match answer {
            Ok(answer) if answer.allowed == question.allowed => {}
            Ok(answer) => wrong.push(question.sentence(&answer)),
            // A cluster that does not answer one question answers none.
            Err(error) => {
                unasked = Some(error.to_string());
                break;
            }
        }
    }
    if !wrong.is_empty() {
        let more = wrong.len().saturating_sub(NAMED);
        wrong.truncate(NAMED);
        let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
        return rights.rule.verdict(Some(false), format!("{}{tail}", wrong.join("; ")));
    }
    match unasked {
        Some(why) => rights.rule.verdict(None, why),
        None => rights.rule.verdict(
            Some(true),
            format!("{count} questions about {} administrators", subjects.len()),
        ),
    }
}

fn questions(
    subject: &Subject,
    tenant: &TenantRecord,
    others: &[String],
    rights: &RightsRule,
) -> Vec<Question> {
    let mut questions = Vec::new();
    for (place, verbs, group, resources) in rights.acts {
        for namespace in places(*place, tenant, others) {
            for resource in *resources {
                for verb in *verbs {
                    questions.push(Question {
                        subject: subject.clone(),
                        attributes: attributes(&namespace, verb, group, resource),
                        place: namespace.words.clone(),
                        allowed: rights.allowed,
                    });
                }
            }
        }
    }
    questions
}

/// A place as the authorizer is asked about it, and as people are told of it.
struct Named {
    namespace: Option<String>,
    name: Option<String>,
    words: String,
}

fn places(place: Place, tenant: &TenantRecord, others: &[String]) -> Vec<Named> {
    let within = |namespace: &str, words: &str| Named {
        namespace: Some(namespace.to_owned()),
        name: None,
        words: words.to_owned(),
    };
    match place {
        Place::Own => vec![within(&tenant.namespace, &format!("namespace {}", tenant.namespace))],
        Place::Cluster => {
            vec![Named { namespace: None, name: None, words: "the whole cluster".into() }]
        }
        Place::OwnNamespace => vec![Named {
            // The authorizer counts a namespace as within itself.
            namespace: Some(tenant.namespace.clone()),
            name: Some(tenant.namespace.clone()),
            words: format!("namespace {}", tenant.namespace),
        }],
        Place::Elsewhere => ["default", "kube-system"]
            .iter()
            .map(|namespace| within(namespace, &format!("namespace {namespace}")))
            .chain(others.iter().map(|namespace| within(namespace, "another tenant's namespace")))
            .collect(),
    }
}

fn attributes(place: &Named, verb: &str, group: &str, resource: &str) -> ResourceAttributes {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    ResourceAttributes {
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        verb: Some(verb.to_owned()),
        namespace: place.namespace.clone(),
        name: place.name.clone(),
        ..ResourceAttributes::default()
    }
}

/// What the authorizer says.
struct Answer {
    allowed: bool,
    reason: String,
}

impl Question {
    fn sentence(&self, answer: &Answer) -> String {
        let attributes = &self.attributes;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let subresource = attributes.subresource.as_ref().map(|it| format!("/{it}"));
        let resource = format!("{}{}", text(&attributes.resource), subresource.unwrap_or_default());
        let may = if answer.allowed { "may" } else { "may not" };
        let reason = if answer.reason.is_empty() || self.place.starts_with("another") {
            String::new()
        } else {
            format!(" ({})", answer.reason)
        };
        format!(
            "{} {} {may} {} {resource} in {}{reason}",
            self.subject.kind.as_str(),
            self.subject.name,
            text(&attributes.verb),
            self.place
        )
    }
}

async fn ask(cluster: &Cluster, question: &Question) -> Result<Answer, ClusterError> {
    let (user, mut groups) = match question.subject.kind {
        SubjectKind::User => (question.subject.name.clone(), Vec::new()),
        SubjectKind::Group => (MEMBER.to_owned(), vec![question.subject.name.clone()]),
    };
    // Whoever logs in is in this group too, and what it may do they may.
    groups.push("system:authenticated".into());
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user),
            groups: Some(groups),
            resource_attributes: Some(question.attributes.clone()),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(cluster.client().clone());
    let answered = limited(reviews.create(&PostParams::default(), &review)).await?;
    let status = answered.status.unwrap_or_default();
    Ok(Answer { allowed: status.allowed, reason: status.reason.unwrap_or_default() })
}
