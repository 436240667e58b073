//! Who may do what, as the stored roles and bindings say: the rules of RBAC.
//!
//! The simulator authorizes no request by them. It answers the questions of access
//! reviews, and what admission policies ask the authorizer.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use crate::{
    schema::{Object, at},
    store::{Store, Stored},
    user::User,
};

const RBAC: &str = "rbac.authorization.k8s.io";
/// May do everything.
const MASTERS: &str = "system:masters";

/// What somebody wants to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Set instead of a resource.
    pub(crate) path: Option<String>,
}

/// The roles and bindings of one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// By their keys in the store.
    roles: BTreeMap<String, Object>,
    cluster_bindings: Vec<Object>,
    /// With their namespaces.
    bindings: Vec<(String, Object)>,
}

impl Snapshot {
    pub(crate) fn of(store: &Store) -> Self {
        let mut roles = BTreeMap::new();
        for role in store.all(&format!("clusterroles.{RBAC}/")) {
            roles.insert(format!("/{}", role.name), role.object());
        }
        for role in store.all(&format!("roles.{RBAC}/")) {
            roles.insert(format!("{}/{}", role.namespace, role.name), role.object());
        }
        let cluster_bindings = store.all(&format!("clusterrolebindings.{RBAC}/"));
        let bindings = store.all(&format!("rolebindings.{RBAC}/"));
        let placed = |binding: &Arc<Stored>| (binding.namespace.to_string(), binding.object());
        Self {
            roles,
            cluster_bindings: cluster_bindings.iter().map(|binding| binding.object()).collect(),
            bindings: bindings.iter().map(placed).collect(),
        }
    }

    /// Why a user may do it; `None` where nothing allows it.
    pub(crate) fn allows(&self, user: &User, wish: &Wish) -> Option<String> {
        if user.groups.iter().any(|group| group == MASTERS) {
            return Some(String::new());
        }
        let found =
            self.cluster_bindings.iter().find_map(|binding| self.through(binding, "", user, wish));
        if found.is_some() || wish.namespace.is_empty() || wish.path.is_some() {
            return found;
        }
        let here = self.bindings.iter().filter(|(namespace, _)| *namespace == wish.namespace);
        here.into_iter()
            .find_map(|(namespace, binding)| self.through(binding, namespace, user, wish))
    }

    /// What a binding allows, in the authorizer's words.
    fn through(
        &self,
        binding: &Object,
        namespace: &str,
        user: &User,
        wish: &Wish,
    ) -> Option<String> {
        let subject = subject(binding, user, namespace)?;
        let text = |path: &[&str]| at(binding, path).and_then(Value::as_str);
        let (kind, name) = (text(&["roleRef", "kind"])?, text(&["roleRef", "name"])?);
        let place = if kind == "ClusterRole" { "" } else { namespace };
        let rules = self.roles.get(&format!("{place}/{name}"))?.get("rules")?.as_array()?;
        if !rules.iter().any(|rule| covers(rule, wish)) {
            return None;
        }
        let own = text(&["metadata", "name"]).unwrap_or_default();
        let (what, own) = if namespace.is_empty() {
            ("ClusterRoleBinding", own.to_owned())
        } else {
            ("RoleBinding", format!("{own}/{namespace}"))
        };
        Some(format!("RBAC: allowed by {what} {own:?} of {kind} {name:?} to {subject}"))
    }
}

/// How a binding names the user, if it does.
fn subject(binding: &Object, user: &User, namespace: &str) -> Option<String> {
    let subjects = binding.get("subjects").and_then(Value::as_array)?;
    subjects.iter().find_map(|subject| {
        let text = |field: &str| subject.get(field).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (text("kind"), text("name"));
        let is_it = match kind {
            "User" => user.name == name,
            "Group" => user.groups.iter().any(|group| group == name),
            "ServiceAccount" => {
                let namespace =
                    Some(text("namespace")).filter(|it| !it.is_empty()).unwrap_or(namespace);
                user.name == format!("system:serviceaccount:{namespace}:{name}")
            }
            _ => false,
        };
        let spelled = match kind {
            "ServiceAccount" => format!("ServiceAccount \"{name}/{}\"", text("namespace")),
            kind => format!("{kind} {name:?}"),
        };
        is_it.then_some(spelled)
    })
}

fn covers(rule: &Value, wish: &Wish) -> bool {
    let list = |field: &str| {
        let list = rule.get(field).and_then(Value::as_array).map(Vec::as_slice);
        list.unwrap_or_default().iter().filter_map(Value::as_str)
    };
    let has = |field: &str, wanted: &str| list(field).any(|it| it == "*" || it == wanted);
    if !has("verbs", &wish.verb) {
        return false;
    }
    if let Some(path) = &wish.path {
        return list("nonResourceURLs").any(|allowed| {
            allowed == path
                || allowed.strip_suffix('*').is_some_and(|begin| path.starts_with(begin))
        });
    }
    let wanted = if wish.subresource.is_empty() {
        wish.resource.clone()
    } else {
        format!("{}/{}", wish.resource, wish.subresource)
    };
    let any_of_part = format!("*/{}", wish.subresource);
    let is_resource = list("resources")
        .any(|it| it == "*" || it == wanted || (!wish.subresource.is_empty() && it == any_of_part));
    let mut names = list("resourceNames").peekable();
    let is_named = names.peek().is_none() || names.any(|name| name == wish.name);
    has("apiGroups", &wish.group) && is_resource && is_named
}
