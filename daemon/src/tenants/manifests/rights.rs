//! What a tenant's administrators may do.

use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::{ADMINISTRATORS, Place};

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";
const STREAM_SPACE_GROUP: &str = "stream.space";

const READ: [&str; 3] = ["get", "list", "watch"];
/// All there are, by name: `*` would take in what a later version of Kubernetes adds.
const ALL: [&str; 8] =
    ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// Sessions are theirs; what sessions are made of they see.
pub(super) fn role(place: &Place<'_>) -> Role {
    Role {
        metadata: place.metadata(ADMINISTRATORS),
        rules: Some(vec![
            rule(STREAM_SPACE_GROUP, &["sessions"], &ALL),
            rule(STREAM_SPACE_GROUP, &["templates"], &READ),
            rule("", &["pods", "services", "persistentvolumeclaims"], &READ),
        ]),
    }
}

/// The tenant's administrators in the order of the wish.
pub(super) fn binding(place: &Place<'_>) -> RoleBinding {
    let subject = |subject: &streamspace_core::tenant::Subject| Subject {
        api_group: Some(RBAC_GROUP.to_owned()),
        kind: subject.kind.as_str().to_owned(),
        name: subject.name.clone(),
        namespace: None,
    };
    RoleBinding {
        metadata: place.metadata(ADMINISTRATORS),
        role_ref: RoleRef {
            api_group: Some(RBAC_GROUP.to_owned()),
            kind: "Role".to_owned(),
            name: ADMINISTRATORS.to_owned(),
        },
        subjects: Some(place.tenant.spec.admin_subjects.iter().map(subject).collect()),
    }
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(owned(resources)),
        verbs: owned(verbs),
        ..PolicyRule::default()
    }
}
