//! What is told about a topic: one page of words, from which text and JSON are made.

use prost_reflect::{EnumDescriptor, FieldDescriptor, MessageDescriptor, MethodDescriptor};
use serde_json::{Map, Value, json};
use streamspace_proto::{json::to_value, policy, v1::MethodPolicy};

use super::{
    contract::{Contract, Inside, Written, form, inside, type_name},
    find::{Topic, camel, prefix},
};
use crate::resource::word;

/// Everything about a topic.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// What it is called, as it can be typed again.
    pub(super) path: String,
    /// `message`, `field`, `enum`, `value`, `service` or `method`.
    pub(super) kind: &'static str,
    /// Its type.
    pub(super) type_name: String,
    /// As the contract spells it, where that differs from JSON; filters want that one.
    pub(super) proto_name: String,
    /// How it is written in JSON, where that is not evident.
    pub(super) form: &'static str,
    /// Who writes it.
    pub(super) written: Option<Written>,
    /// The comment of the contract.
    pub(super) description: String,
    /// Its fields.
    pub(super) fields: Vec<Field>,
    /// Its values.
    pub(super) values: Vec<Choice>,
    /// Its methods, or its request and answer.
    pub(super) methods: Vec<Method>,
    /// Who may call it.
    pub(super) policy: Option<MethodPolicy>,
}

/// A field below a topic.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) proto_name: String,
    pub(super) type_name: String,
    pub(super) written: Option<Written>,
    pub(super) description: String,
    /// The fields below it, where they were asked for.
    pub(super) fields: Vec<Field>,
}

/// A value of an enumeration.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) name: String,
    /// As tables, flags and filters have it.
    pub(super) word: String,
    pub(super) description: String,
}

/// A method with what goes in and comes out.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: String,
    pub(super) request: String,
    pub(super) answer: String,
    pub(super) streams: bool,
    pub(super) description: String,
}

/// Writes the page about a topic.
pub(super) fn page(contract: &Contract, topic: &Topic, recursive: bool) -> Page {
    let reader = Reader { contract, recursive };
    match topic {
        Topic::Message(message) => Page {
            path: camel(message.name()),
            kind: "message",
            type_name: message.name().to_owned(),
            description: contract.of_message(message),
            fields: reader.fields(message, None, &mut Vec::new()),
            ..Page::default()
        },
        Topic::Field { path, field, written } => reader.field_page(path, field, *written),
        Topic::Enum(values) => Page {
            path: camel(values.name()),
            kind: "enum",
            type_name: values.name().to_owned(),
            description: contract.of_enum(values),
            values: reader.values(values),
            ..Page::default()
        },
        Topic::Value(value) => {
            let values = value.parent_enum();
            Page {
                path: format!("{}.{}", camel(values.name()), word(&prefix(values), value.name())),
                kind: "value",
                type_name: values.name().to_owned(),
                proto_name: value.name().to_owned(),
                description: contract.of_value(value),
                ..Page::default()
            }
        }
        Topic::Service(service) => Page {
            path: service.name().to_owned(),
            kind: "service",
            description: contract.of_service(service),
            methods: service.methods().map(|method| reader.method(&method)).collect(),
            ..Page::default()
        },
        Topic::Method(method) => Page {
            path: format!("{}.{}", method.parent_service().name(), method.name()),
            kind: "method",
            description: contract.of_method(method),
            fields: reader.fields(&method.input(), None, &mut Vec::new()),
            methods: vec![reader.method(method)],
            policy: policy_of(method),
            ..Page::default()
        },
    }
}

fn policy_of(method: &MethodDescriptor) -> Option<MethodPolicy> {
    let path = format!("{}/{}", method.parent_service().full_name(), method.name());
    policy::methods().into_iter().find(|known| known.path == path).map(|known| known.policy)
}

struct Reader<'a> {
    contract: &'a Contract,
    recursive: bool,
}

impl Reader<'_> {
    fn field_page(&self, path: &str, field: &FieldDescriptor, written: Option<Written>) -> Page {
        let mut page = Page {
            path: path.to_owned(),
            kind: "field",
            type_name: type_name(field),
            form: form(field),
            written,
            description: self.contract.of_field(field),
            ..Page::default()
        };
        if field.name() != field.json_name() {
            field.name().clone_into(&mut page.proto_name);
        }
        match inside(field) {
            Inside::Message(message) => {
                page.fields = self.fields(&message, written, &mut Vec::new());
            }
            Inside::Enum(values) => page.values = self.values(&values),
            Inside::Nothing => {}
        }
        page
    }

    /// The fields of a message; `above` are the messages that it is inside of, so that
    /// one that holds itself ends.
    fn fields(
        &self,
        message: &MessageDescriptor,
        written: Option<Written>,
        above: &mut Vec<String>,
    ) -> Vec<Field> {
        above.push(message.full_name().to_owned());
        let mut fields: Vec<FieldDescriptor> = message.fields().collect();
        // In the order of the file, not of the numbers, which is that of the growth.
        fields.sort_by_key(|field| field.path().to_vec());
        let fields = fields.iter().map(|field| self.field(field, written, above)).collect();
        above.pop();
        fields
    }

    fn field(
        &self,
        field: &FieldDescriptor,
        written: Option<Written>,
        above: &mut Vec<String>,
    ) -> Field {
        let written = self.contract.written(field).or(written);
        let fields = match inside(field) {
            Inside::Message(next)
                if self.recursive && !above.contains(&next.full_name().to_owned()) =>
            {
                self.fields(&next, written, above)
            }
            _ => Vec::new(),
        };
        Field {
            name: field.json_name().to_owned(),
            proto_name: field.name().to_owned(),
            type_name: type_name(field),
            written,
            description: self.contract.of_field(field),
            fields,
        }
    }

    fn values(&self, values: &EnumDescriptor) -> Vec<Choice> {
        let prefix = prefix(values);
        values
            .values()
            .map(|value| Choice {
                name: value.name().to_owned(),
                word: word(&prefix, value.name()),
                description: self.contract.of_value(&value),
            })
            .collect()
    }

    fn method(&self, method: &MethodDescriptor) -> Method {
        Method {
            name: method.name().to_owned(),
            request: method.input().name().to_owned(),
            answer: method.output().name().to_owned(),
            streams: method.is_server_streaming(),
            description: self.contract.of_method(method),
        }
    }
}

impl Page {
    /// The page for programs.
    pub(super) fn value(&self) -> Value {
        let mut value = Map::new();
        let mut put = |key: &str, text: &str| {
            if !text.is_empty() {
                value.insert(key.into(), text.into());
            }
        };
        put("path", &self.path);
        put("kind", self.kind);
        put("type", &self.type_name);
        put("protoName", &self.proto_name);
        put("form", self.form);
        put("behavior", self.written.map(Written::key).unwrap_or_default());
        put("description", &self.description);
        if let [method] = self.methods.as_slice()
            && self.policy.is_some()
        {
            put("request", &method.request);
            put("response", &method.answer);
            value.insert("streams".into(), method.streams.into());
        } else if !self.methods.is_empty() {
            value.insert("methods".into(), self.methods.iter().map(Method::value).collect());
        }
        if let Some(policy) = self.policy.as_ref().and_then(|policy| to_value(policy).ok()) {
            value.insert("policy".into(), policy);
        }
        if !self.fields.is_empty() {
            value.insert("fields".into(), self.fields.iter().map(Field::value).collect());
        }
        if !self.values.is_empty() {
            value.insert("values".into(), self.values.iter().map(Choice::value).collect());
        }
        value.into()
    }

    /// The paths of what is below the topic, each as it can be typed.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        // The request of a method is looked at by its own name.
        let root = match self.methods.as_slice() {
            [method] if self.policy.is_some() => camel(&method.request),
            _ => self.path.clone(),
        };
        Field::paths(&self.fields, &root, &mut paths);
        paths.extend(self.values.iter().map(|value| format!("{}.{}", self.path, value.word)));
        if self.policy.is_none() {
            paths
                .extend(self.methods.iter().map(|method| format!("{}.{}", self.path, method.name)));
        }
        paths
    }
}

impl Field {
    fn value(&self) -> Value {
        let mut value = json!({
            "name": self.name,
            "protoName": self.proto_name,
            "type": self.type_name,
            "description": self.description,
        });
        if let Some(map) = value.as_object_mut() {
            if let Some(written) = self.written {
                map.insert("behavior".into(), written.key().into());
            }
            if !self.fields.is_empty() {
                map.insert("fields".into(), self.fields.iter().map(Self::value).collect());
            }
        }
        value
    }

    fn paths(fields: &[Self], root: &str, paths: &mut Vec<String>) {
        for field in fields {
            let path = format!("{root}.{}", field.name);
            paths.push(path.clone());
            Self::paths(&field.fields, &path, paths);
        }
    }
}

impl Choice {
    fn value(&self) -> Value {
        json!({ "name": self.name, "word": self.word, "description": self.description })
    }
}

impl Method {
    fn value(&self) -> Value {
        json!({
            "name": self.name,
            "request": self.request,
            "response": self.answer,
            "streams": self.streams,
            "description": self.description,
        })
    }
}
