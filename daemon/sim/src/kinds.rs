//! The kinds that are served: a table of those that are built in, and those that
//! custom resource definitions add.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::Value;

use crate::schema::{Object, Schema, at};

/// What each built-in kind's fields are, as the API server's own structured-merge
/// schemas have it (`applyconfigurations/internal` of `k8s.io/client-go`).
const SHAPES: &str = include_str!("kinds.json");
/// The group of custom resource definitions.
pub(crate) const EXTENSIONS: &str = "apiextensions.k8s.io";

/// What an object of a kind may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// A DNS label.
    Label,
    /// DNS labels with dots between.
    Subdomain,
    /// Whatever can stand in a path.
    Segment,
}

/// Where a new object's `generation` counts from, and what raises it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// It has none.
    Absent,
    /// Every change outside metadata and status raises it.
    Counted,
}

/// One kind of object under one path.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) namespaced: bool,
    pub(crate) names: Names,
    pub(crate) generation: Generation,
    pub(crate) schema: Schema,
    /// Of the API server itself, rather than of a definition.
    pub(crate) builtin: bool,
    /// The kind's folder in the store; two kinds can be views of the same objects.
    folder: String,
}

impl Resource {
    /// `v1`, or `group/version`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `plural`, or `plural.group`.
    pub(crate) fn qualified_plural(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    /// `Kind`, or `Kind.group`.
    pub(crate) fn qualified_kind(&self) -> String {
        qualified(&self.kind, &self.group)
    }

    /// Whether a replacement must say which version it replaces.
    pub(crate) fn wants_version(&self) -> bool {
        let strict = ["policy", "admissionregistration.k8s.io", EXTENSIONS];
        !self.builtin || strict.contains(&&*self.group)
    }

    /// Where the store keeps the object of this name.
    pub(crate) fn key(&self, namespace: &str, name: &str) -> String {
        format!("{}{name}", self.prefix(namespace))
    }

    /// The prefix of the keys of this kind, in one namespace or in all (`""`).
    pub(crate) fn prefix(&self, namespace: &str) -> String {
        if namespace.is_empty() {
            format!("{}/", self.folder)
        } else {
            format!("{}/{namespace}/", self.folder)
        }
    }

    /// Whether this is the kind of that group and plural, in any version.
    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }

    /// Events in the shape of core/v1, which are kept in that of events.k8s.io/v1.
    pub(crate) fn is_core_event(&self) -> bool {
        self.is("", "events")
    }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// Group, version, plural, kind, whether namespaced, names, generation.
type Row = (&'static str, &'static str, &'static str, &'static str, bool, Names, Generation);

const TABLE: &[Row] = {
    use Generation::{Absent, Counted};
    use Names::{Label, Segment, Subdomain};
    const RBAC: &str = "rbac.authorization.k8s.io";
    const ADMISSION: &str = "admissionregistration.k8s.io";
    &[
        ("", "v1", "namespaces", "Namespace", false, Label, Absent),
        ("", "v1", "configmaps", "ConfigMap", true, Subdomain, Absent),
        ("", "v1", "events", "Event", true, Subdomain, Absent),
        ("", "v1", "limitranges", "LimitRange", true, Subdomain, Absent),
        ("", "v1", "resourcequotas", "ResourceQuota", true, Subdomain, Absent),
        ("", "v1", "secrets", "Secret", true, Subdomain, Absent),
        ("", "v1", "serviceaccounts", "ServiceAccount", true, Subdomain, Absent),
        ("events.k8s.io", "v1", "events", "Event", true, Subdomain, Absent),
        ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", true, Subdomain, Counted),
        ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true, Segment, Counted),
        (RBAC, "v1", "roles", "Role", true, Segment, Absent),
        (RBAC, "v1", "rolebindings", "RoleBinding", true, Segment, Absent),
        (RBAC, "v1", "clusterroles", "ClusterRole", false, Segment, Absent),
        (RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", false, Segment, Absent),
        (
            ADMISSION,
            "v1",
            "validatingadmissionpolicies",
            "ValidatingAdmissionPolicy",
            false,
            Subdomain,
            Counted,
        ),
        (
            ADMISSION,
            "v1",
            "validatingadmissionpolicybindings",
            "ValidatingAdmissionPolicyBinding",
            false,
            Subdomain,
            Counted,
        ),
        (
            EXTENSIONS,
            "v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            false,
            Subdomain,
            Counted,
        ),
    ]
};

/// Metadata's fields that the server alone writes.
const SERVER_METADATA: [&str; 10] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// All kinds of one cluster.
#[derive(Debug)]
pub(crate) struct Kinds {
    builtin: Vec<Arc<Resource>>,
    metadata: Schema,
    /// By the definition's name.
    custom: RwLock<BTreeMap<String, Vec<Arc<Resource>>>>,
}

impl Kinds {
    pub(crate) fn new() -> Self {
        let shapes: Value = serde_json::from_str(SHAPES).unwrap_or_default();
        let mut metadata = shapes
            .get("metadata")
            .map_or_else(Schema::empty, |shape| Schema::read(shape, &Schema::Any));
        if let Schema::Fields { fields, always, .. } = &mut metadata {
            *always = true;
            for name in SERVER_METADATA {
                fields.insert(name.to_owned(), Schema::Server);
            }
        }
        let builtin = TABLE.iter().map(|row| Arc::new(builtin(row, &shapes, &metadata))).collect();
        Self { builtin, metadata, custom: RwLock::default() }
    }

    /// The kind at this path.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.all().into_iter().find(|kind| kind.is(group, plural) && kind.version == version)
    }

    /// The built-in kind of this group and plural.
    pub(crate) fn builtin(&self, group: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.builtin.iter().find(|kind| kind.is(group, plural))
    }

    /// Every kind that is served.
    pub(crate) fn all(&self) -> Vec<Arc<Resource>> {
        let custom = self.custom.read().unwrap_or_else(PoisonError::into_inner);
        self.builtin.iter().chain(custom.values().flatten()).cloned().collect()
    }

    /// Serves what an established definition defines, or no longer.
    pub(crate) fn define(&self, name: &str, definition: Option<&Object>) {
        let mut custom = self.custom.write().unwrap_or_else(PoisonError::into_inner);
        match definition {
            Some(definition) if is_established(definition) => {
                custom.insert(name.to_owned(), defined(definition, &self.metadata));
            }
            _ => {
                custom.remove(name);
            }
        }
    }
}

fn builtin(row: &Row, shapes: &Value, metadata: &Schema) -> Resource {
    let (group, version, plural, kind, namespaced, names, generation) = *row;
    let shape = [format!("{kind}.{group}"), kind.to_owned()]
        .iter()
        .find_map(|name| shapes.get("kinds")?.get(name)?.as_object())
        .cloned()
        .unwrap_or_default();
    let mut fields: BTreeMap<String, Schema> =
        shape.iter().map(|(name, shape)| (name.clone(), Schema::read(shape, metadata))).collect();
    for name in ["apiVersion", "kind", "status"] {
        fields.entry(name.to_owned()).and_modify(|schema| *schema = Schema::Server);
    }
    let folder = if plural == "events" { plural.to_owned() } else { qualified(plural, group) };
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        namespaced,
        names,
        generation,
        schema: Schema::Fields { fields, atomic: false, always: true, open: false },
        builtin: true,
        folder,
    }
}

fn text(object: &Object, path: &[&str]) -> String {
    at(object, path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Whether the definition has the condition `Established`.
pub(crate) fn is_established(definition: &Object) -> bool {
    let conditions = at(definition, &["status", "conditions"]).and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition.get("type").is_some_and(|name| name == "Established")
            && condition.get("status").is_some_and(|status| status == "True")
    })
}

fn defined(definition: &Object, metadata: &Schema) -> Vec<Arc<Resource>> {
    let (group, plural) =
        (text(definition, &["spec", "group"]), text(definition, &["spec", "names", "plural"]));
    let versions = at(definition, &["spec", "versions"]).and_then(Value::as_array);
    let served = versions
        .into_iter()
        .flatten()
        .filter(|version| version.get("served") == Some(&Value::Bool(true)));
    let resource = |version: &Value| {
        let name = version.get("name").and_then(Value::as_str).unwrap_or_default();
        let shape = version.get("schema").and_then(|schema| schema.get("openAPIV3Schema"));
        let mut schema = shape.map_or_else(Schema::empty, openapi);
        if let Schema::Fields { fields, .. } = &mut schema {
            fields.insert("metadata".to_owned(), metadata.clone());
            fields.insert("apiVersion".to_owned(), Schema::Server);
            fields.insert("kind".to_owned(), Schema::Server);
            if version.get("subresources").and_then(|all| all.get("status")).is_some() {
                fields.insert("status".to_owned(), Schema::Server);
            }
        }
        Arc::new(Resource {
            group: group.clone(),
            version: name.to_owned(),
            plural: plural.clone(),
            singular: text(definition, &["spec", "names", "singular"]),
            kind: text(definition, &["spec", "names", "kind"]),
            list_kind: text(definition, &["spec", "names", "listKind"]),
            namespaced: text(definition, &["spec", "scope"]) == "Namespaced",
            names: Names::Subdomain,
            generation: Generation::Counted,
            schema,
            builtin: false,
            folder: qualified(&plural, &group),
        })
    };
    served.map(resource).collect()
}

/// A definition's schema as to merging: types, list types and map types.
fn openapi(shape: &Value) -> Schema {
    let word = |name: &str| shape.get(name).and_then(Value::as_str).unwrap_or_default();
    let flag = |name: &str| shape.get(name) == Some(&Value::Bool(true));
    let atomic = word("x-kubernetes-map-type") == "atomic";
    match word("type") {
        "object" => {
            if let Some(values @ Value::Object(_)) = shape.get("additionalProperties") {
                return Schema::Map { values: Box::new(openapi(values)), atomic };
            }
            let properties = shape.get("properties").and_then(Value::as_object);
            let fields = properties.into_iter().flatten();
            let fields = fields.map(|(name, shape)| (name.clone(), openapi(shape))).collect();
            let open = flag("x-kubernetes-preserve-unknown-fields");
            Schema::Fields { fields, atomic, always: false, open }
        }
        "array" => {
            let items = shape.get("items").map(openapi).unwrap_or_default();
            match word("x-kubernetes-list-type") {
                "set" => Schema::Set,
                "map" => {
                    let keys = shape.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                    let by = keys.into_iter().flatten().filter_map(Value::as_str);
                    Schema::Keyed { by: by.map(str::to_owned).collect(), items: Box::new(items) }
                }
                _ => Schema::List(Box::new(items)),
            }
        }
        "string" => Schema::Text,
        "integer" | "number" => Schema::Number,
        "boolean" => Schema::Flag,
        _ => Schema::Any,
    }
}

/// Sets what a definition's schema has defaults for.
pub(crate) fn set_defaults(object: &mut Object, definition: &Object, version: &str) {
    let versions = at(definition, &["spec", "versions"]).and_then(Value::as_array);
    let shape = versions
        .into_iter()
        .flatten()
        .find(|shape| shape.get("name").is_some_and(|name| name == version))
        .and_then(|shape| shape.get("schema")?.get("openAPIV3Schema"));
    if let Some(shape) = shape {
        default_fields(object, shape);
    }
}

fn default_fields(object: &mut Object, shape: &Value) {
    let properties = shape.get("properties").and_then(Value::as_object);
    for (name, shape) in properties.into_iter().flatten() {
        if let Some(default) = shape.get("default")
            && !object.contains_key(name)
        {
            object.insert(name.clone(), default.clone());
        }
        match object.get_mut(name) {
            Some(Value::Object(inner)) => default_fields(inner, shape),
            Some(Value::Array(items)) => {
                for item in items.iter_mut().filter_map(Value::as_object_mut) {
                    if let Some(shape) = shape.get("items") {
                        default_fields(item, shape);
                    }
                }
            }
            _ => {}
        }
    }
}
