//! What a path names.

use std::sync::Arc;

use http::{Method, StatusCode};

use crate::{
    body::Call, counts::Verb, faults::Target, kinds::Kinds, objects::Place, reply::resources,
    status::Failure,
};

/// What a path names.
pub(super) enum Route {
    /// Health, as plain text.
    Health,
    /// The server's version.
    Version,
    /// The versions of the core group.
    Core,
    /// All other groups.
    Groups,
    /// The kinds of one group and version.
    Kinds(String, String),
    /// All objects of a kind in one namespace or everywhere.
    Collection(Place),
    /// One object, or a part of it that has a path of its own.
    Object {
        /// Where it is.
        place: Place,
        /// What it is called.
        name: String,
        /// Empty for the whole.
        subresource: String,
    },
    /// A question that is answered and not kept.
    Review(Place),
    /// A part of an object that its kind does not have.
    Missing(Box<Failure>),
    /// Nothing; whether the answer is an object.
    Nothing(StatusCode, bool),
}

impl Route {
    /// Reads a path.
    pub(super) fn of(kinds: &Arc<Kinds>, path: &str) -> Self {
        let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
        match *steps.as_slice() {
            ["readyz" | "livez" | "healthz"] => Self::Health,
            ["version"] => Self::Version,
            ["api"] => Self::Core,
            ["apis"] => Self::Groups,
            ["api", "v1"] => Self::Kinds(String::new(), "v1".to_owned()),
            ["apis", group, version] => Self::Kinds(group.to_owned(), version.to_owned()),
            ["api", "v1", ref rest @ ..] => Self::below(kinds, "", "v1", rest),
            ["apis", group, version, ref rest @ ..] => Self::below(kinds, group, version, rest),
            ["api", ..] => Self::Nothing(StatusCode::NOT_FOUND, true),
            _ => Self::Nothing(StatusCode::NOT_FOUND, false),
        }
    }

    fn below(kinds: &Arc<Kinds>, group: &str, version: &str, path: &[&str]) -> Self {
        let (namespace, plural, name, subresource) = match *path {
            [plural] => (None, plural, None, ""),
            ["namespaces", name] if group.is_empty() => (None, "namespaces", Some(name), ""),
            ["namespaces", name, part @ ("status" | "finalize")] if group.is_empty() => {
                (None, "namespaces", Some(name), part)
            }
            ["namespaces", namespace, plural] => (Some(namespace), plural, None, ""),
            ["namespaces", namespace, plural, name] => (Some(namespace), plural, Some(name), ""),
            ["namespaces", namespace, plural, name, part] => {
                (Some(namespace), plural, Some(name), part)
            }
            [plural, name] => (None, plural, Some(name), ""),
            [plural, name, part] => (None, plural, Some(name), part),
            _ => return Self::Nothing(StatusCode::NOT_FOUND, true),
        };
        let known = kinds.find(group, version, plural).filter(|resource| {
            // A single object of a namespaced kind has a namespace, and no other has.
            let is_placed = if resource.namespaced {
                namespace.is_some() || name.is_none()
            } else {
                namespace.is_none()
            };
            is_placed && (subresource.is_empty() || resource.has_subresource(subresource))
        });
        let Some(resource) = known else {
            // Of a custom resource a part that is not there is not found by its name.
            let whole = kinds.find(group, version, plural).filter(|it| !it.builtin);
            if let (Some(whole), Some(name), false) = (whole, name, subresource.is_empty()) {
                return Self::Missing(Box::new(Failure::not_found(&whole, name)));
            }
            let is_served = group.is_empty() || resources(kinds, group, version).is_some();
            return Self::Nothing(StatusCode::NOT_FOUND, is_served);
        };
        let place = Place { resource, namespace: namespace.unwrap_or_default().to_owned() };
        match name {
            Some(_) if place.resource.asked => Self::Nothing(StatusCode::NOT_FOUND, true),
            None if place.resource.asked => Self::Review(place),
            Some(name) => {
                Self::Object { place, name: name.to_owned(), subresource: subresource.to_owned() }
            }
            None => Self::Collection(place),
        }
    }

    /// What the request does; none where the method is not allowed.
    pub(super) fn verb(&self, call: &Call) -> Option<Verb> {
        let method = &call.method;
        match self {
            Self::Collection(place) => match *method {
                Method::GET if call.query.flag("watch") => Some(Verb::Watch),
                Method::GET => Some(Verb::List),
                // What is in a namespace is made in one, and deleted in one.
                _ if place.resource.namespaced && place.namespace.is_empty() => None,
                Method::POST => Some(Verb::Create),
                Method::DELETE => {
                    place.resource.deletes_collections().then_some(Verb::DeleteCollection)
                }
                _ => None,
            },
            Self::Object { subresource, .. } => match *method {
                Method::GET if subresource != "finalize" => Some(Verb::Get),
                Method::PUT => Some(Verb::Update),
                Method::PATCH if subresource != "finalize" => Some(Verb::Patch),
                Method::DELETE if subresource.is_empty() => Some(Verb::Delete),
                _ => None,
            },
            Self::Review(_) => (*method == Method::POST).then_some(Verb::Create),
            _ => (*method == Method::GET).then_some(Verb::Get),
        }
    }

    /// What faults see of it.
    pub(super) fn target<'a>(&'a self, verb: Verb, body_name: &'a str) -> Target<'a> {
        let nothing =
            Target { verb, group: "", plural: "", subresource: "", namespace: "", name: "" };
        match self {
            Self::Collection(place) | Self::Review(place) => Target {
                group: &place.resource.group,
                plural: &place.resource.plural,
                namespace: &place.namespace,
                name: body_name,
                ..nothing
            },
            Self::Object { place, name, subresource } => Target {
                group: &place.resource.group,
                plural: &place.resource.plural,
                subresource,
                namespace: &place.namespace,
                name,
                ..nothing
            },
            _ => nothing,
        }
    }

    /// The refusal of a fault, in the words of what it hits.
    pub(super) fn refusal(&self, refusal: crate::faults::Refusal, name: &str) -> Failure {
        match self {
            Self::Collection(place) | Self::Review(place) | Self::Object { place, .. } => {
                Failure::injected(refusal, &place.resource.plural, &place.resource.group, name)
            }
            _ => Failure::injected(refusal, "", "", name),
        }
    }
}
