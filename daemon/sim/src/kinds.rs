//! The kinds that are served: a table of those that are built in, and those that
//! custom resource definitions add.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::Value;

use crate::{
    schema::{Object, Schema, Shapes},
    structure::Rules,
};

mod custom;
mod table;

pub(crate) use custom::{is_established, set_defaults};
use table::{Row, TABLE};

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
    /// A question that is answered and not kept.
    pub(crate) asked: bool,
    pub(crate) short: Vec<String>,
    pub(crate) categories: Vec<String>,
    /// Of the whole object, without what has a path of its own.
    pub(crate) schema: Schema,
    /// Of the whole object with everything.
    pub(crate) complete: Schema,
    /// Of the status, where that has a path of its own.
    pub(crate) status_schema: Option<Schema>,
    /// Where the number of replicas is, where that has a path of its own.
    pub(crate) scale: Option<Scale>,
    /// The definition's schema, word by word.
    pub(crate) structure: Option<Value>,
    /// The rules in that schema.
    pub(crate) rules: Option<Rules>,
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

    /// Whether the store keeps its objects there; of two views it is the newer one that does.
    pub(crate) fn is_kept_in(&self, folder: &str) -> bool {
        self.folder == folder && !self.is_core_event()
    }

    /// Whether objects have a part of this name with a path of its own.
    pub(crate) fn has_subresource(&self, name: &str) -> bool {
        match name {
            "status" => self.status_schema.is_some(),
            "scale" => self.scale.is_some(),
            "finalize" => self.is("", "namespaces"),
            _ => false,
        }
    }

    /// The schema of what this path writes.
    pub(crate) fn schema_of(&self, view: View) -> &Schema {
        match view {
            View::Status => self.status_schema.as_ref().unwrap_or(&self.schema),
            View::Whole | View::Scale | View::Finalize => &self.schema,
        }
    }

    /// The schema by which a strategic merge patch merges: every field is there.
    pub(crate) fn patch_schema(&self) -> &Schema {
        &self.complete
    }

    /// Whether all objects of a namespace can be deleted at once.
    pub(crate) fn deletes_collections(&self) -> bool {
        !self.asked && !self.is("", "namespaces")
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

/// The part of an object that a path writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    /// All of it but what has a path of its own.
    #[default]
    Whole,
    /// The status.
    Status,
    /// The number of replicas.
    Scale,
    /// A namespace's own finalizers.
    Finalize,
}

impl View {
    /// What the path below the object is called; empty for the whole.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Finalize => "finalize",
        }
    }

    /// The view at a path of this name, which is known to be there.
    pub(crate) fn of(subresource: &str) -> Self {
        match subresource {
            "status" => Self::Status,
            "scale" => Self::Scale,
            "finalize" => Self::Finalize,
            _ => Self::Whole,
        }
    }
}

/// Where an object says how many replicas it wants and has, and which labels they carry.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    pub(crate) spec: Vec<String>,
    pub(crate) status: Vec<String>,
    /// Text, or a selector as built-in kinds have it.
    pub(crate) selector: Vec<String>,
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

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
        let nothing = Shapes { metadata: &Schema::Any, types: None };
        let mut metadata = shapes
            .get("metadata")
            .map_or_else(Schema::empty, |shape| Schema::read(shape, &nothing));
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
                custom.insert(name.to_owned(), custom::defined(definition, &self.metadata));
            }
            _ => {
                custom.remove(name);
            }
        }
    }
}

fn builtin(row: &Row, shapes: &Value, metadata: &Schema) -> Resource {
    let Row { group, plural, kind, .. } = *row;
    let shape = [format!("{kind}.{group}"), kind.to_owned()]
        .iter()
        .find_map(|name| shapes.get("kinds")?.get(name)?.as_object())
        .cloned()
        .unwrap_or_default();
    let known = Shapes { metadata, types: shapes.get("types").and_then(Value::as_object) };
    let mut fields: BTreeMap<String, Schema> =
        shape.iter().map(|(name, shape)| (name.clone(), Schema::read(shape, &known))).collect();
    for name in ["apiVersion", "kind"] {
        fields.entry(name.to_owned()).and_modify(|schema| *schema = Schema::Server);
    }
    let whole = |fields| Schema::Fields { fields, atomic: false, always: true, open: false };
    let status_schema = row.status.then(|| {
        let mut fields = fields.clone();
        for (name, schema) in &mut fields {
            if !matches!(name.as_str(), "status" | "metadata") {
                *schema = Schema::Server;
            }
        }
        whole(fields)
    });
    let complete = whole(fields.clone());
    fields.entry("status".to_owned()).and_modify(|schema| *schema = Schema::Server);
    let folder = if plural == "events" { plural.to_owned() } else { qualified(plural, group) };
    let path = |steps: &[&str]| steps.iter().map(|step| (*step).to_owned()).collect();
    Resource {
        group: group.to_owned(),
        version: row.version.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        namespaced: row.namespaced,
        names: row.names,
        generation: row.generation,
        asked: row.asked,
        short: row.short.iter().map(|name| (*name).to_owned()).collect(),
        categories: row.everyday.then(|| "all".to_owned()).into_iter().collect(),
        schema: whole(fields),
        complete,
        status_schema,
        scale: row.scale.then(|| Scale {
            spec: path(&["spec", "replicas"]),
            status: path(&["status", "replicas"]),
            selector: path(&["spec", "selector"]),
        }),
        structure: None,
        rules: None,
        builtin: true,
        folder,
    }
}
