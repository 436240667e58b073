//! What the contract says about its own parts: the comments of the proto files, and who
//! writes a field.

use std::collections::HashMap;

use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, EnumValueDescriptor, ExtensionDescriptor,
    FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, MethodDescriptor, ServiceDescriptor,
    Value,
};

/// The package of the contract.
const PACKAGE: &str = "streamspace.admin.v1";
/// Types of the protocol itself: they have a form of their own in JSON, and no fields to
/// look at.
const WELL_KNOWN: &str = "google.protobuf";

/// Who writes a field, by `google.api.field_behavior`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// People, who may leave it out.
    Optional,
    /// People, who must give it.
    Required,
    /// People, once.
    Once,
    /// It is the name.
    Name,
    /// The daemon alone.
    Daemon,
}

impl Written {
    /// The number of a `google.api.FieldBehavior`.
    fn of(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::Optional),
            2 => Some(Self::Required),
            3 => Some(Self::Daemon),
            5 => Some(Self::Once),
            8 => Some(Self::Name),
            _ => None,
        }
    }

    /// A sentence's worth.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Optional => "by people, who may leave it out",
            Self::Required => "by people, who must give it",
            Self::Once => "by people, when it is created; it does not change afterwards",
            Self::Name => "once, when it is created: it is the name",
            Self::Daemon => "by the daemon",
        }
    }

    /// A word behind the type; none where there is nothing to mind.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Optional => "",
            Self::Required => "required",
            Self::Once => "once",
            Self::Name => "name",
            Self::Daemon => "by the daemon",
        }
    }

    /// For programs.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Optional => "optional",
            Self::Required => "required",
            Self::Once => "immutable",
            Self::Name => "identifier",
            Self::Daemon => "output-only",
        }
    }
}

/// The contract with its comments.
pub(super) struct Contract {
    pool: &'static DescriptorPool,
    behavior: Option<ExtensionDescriptor>,
    /// By file and by the path of the thing in the file.
    comments: HashMap<String, HashMap<Vec<i32>, String>>,
}

impl Contract {
    /// Reads the descriptor of the program itself. `None` cannot happen; a test of the
    /// contract holds that.
    pub(super) fn read() -> Option<Self> {
        let pool = streamspace_proto::policy::pool()?;
        let comments = pool
            .files()
            .filter(|file| file.package_name() == PACKAGE)
            .map(|file| (file.name().to_owned(), comments(&file)))
            .collect();
        let behavior = pool.get_extension_by_name("google.api.field_behavior");
        Some(Self { pool, behavior, comments })
    }

    /// All messages but the entries of maps, which nobody writes by that name.
    pub(super) fn messages(&self) -> impl Iterator<Item = MessageDescriptor> {
        self.pool
            .all_messages()
            .filter(|message| message.package_name() == PACKAGE && !message.is_map_entry())
    }

    /// All enumerations.
    pub(super) fn enums(&self) -> impl Iterator<Item = EnumDescriptor> {
        self.pool.all_enums().filter(|found| found.package_name() == PACKAGE)
    }

    /// All services.
    pub(super) fn services(&self) -> impl Iterator<Item = ServiceDescriptor> {
        let mut services: Vec<_> =
            self.pool.services().filter(|service| service.package_name() == PACKAGE).collect();
        services.sort_by(|one, other| one.name().cmp(other.name()));
        services.into_iter()
    }

    /// The messages that people speak of: what has a name, and what a `Get` returns.
    pub(super) fn resources(&self) -> Vec<MessageDescriptor> {
        let got: Vec<_> = self
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .filter(|method| method.name().starts_with("Get"))
            .map(|method| method.output())
            .collect();
        let mut resources: Vec<_> = self
            .messages()
            .filter(|message| {
                let named = |field: FieldDescriptor| self.written(&field) == Some(Written::Name);
                message.fields().any(named) || got.contains(message)
            })
            .collect();
        resources.sort_by(|one, other| one.name().cmp(other.name()));
        resources
    }

    /// The comment of a thing.
    pub(super) fn comment(&self, file: &FileDescriptor, path: &[i32]) -> String {
        let found = self.comments.get(file.name()).and_then(|file| file.get(path));
        found.cloned().unwrap_or_default()
    }

    pub(super) fn of_message(&self, message: &MessageDescriptor) -> String {
        self.comment(&message.parent_file(), message.path())
    }

    pub(super) fn of_field(&self, field: &FieldDescriptor) -> String {
        self.comment(&field.parent_message().parent_file(), field.path())
    }

    pub(super) fn of_enum(&self, found: &EnumDescriptor) -> String {
        self.comment(&found.parent_file(), found.path())
    }

    pub(super) fn of_value(&self, value: &EnumValueDescriptor) -> String {
        self.comment(&value.parent_enum().parent_file(), value.path())
    }

    pub(super) fn of_service(&self, service: &ServiceDescriptor) -> String {
        self.comment(&service.parent_file(), service.path())
    }

    pub(super) fn of_method(&self, method: &MethodDescriptor) -> String {
        self.comment(&method.parent_service().parent_file(), method.path())
    }

    /// Who writes a field; nothing where the contract does not say.
    pub(super) fn written(&self, field: &FieldDescriptor) -> Option<Written> {
        let extension = self.behavior.as_ref()?;
        let options = field.options();
        let value = options.get_extension(extension);
        let Value::List(behaviors) = value.as_ref() else { return None };
        behaviors.iter().filter_map(Value::as_enum_number).find_map(Written::of)
    }
}

/// The comments of a file by the path of what they stand above.
fn comments(file: &FileDescriptor) -> HashMap<Vec<i32>, String> {
    let Some(info) = &file.file_descriptor_proto().source_code_info else {
        return HashMap::new();
    };
    info.location
        .iter()
        .filter_map(|location| {
            Some((location.path.clone(), flowing(location.leading_comments.as_deref()?)))
        })
        .collect()
}

/// A comment as paragraphs, each one line: its lines are broken for the file's sake.
fn flowing(comment: &str) -> String {
    let mut text = String::new();
    for line in comment.lines().map(str::trim) {
        let begins_item = line.starts_with("- ");
        if line.is_empty() {
            text.push_str("\n\n");
        } else if text.is_empty() || text.ends_with('\n') {
            text.push_str(line);
        } else {
            text.push(if begins_item { '\n' } else { ' ' });
            text.push_str(line);
        }
    }
    text.trim().to_owned()
}

/// The first sentence of a comment.
pub(super) fn first_sentence(comment: &str) -> &str {
    let paragraph = comment.split("\n\n").next().unwrap_or_default();
    let end = paragraph.match_indices(". ").map(|(at, _)| at + 1).next();
    end.and_then(|end| paragraph.get(..end)).unwrap_or(paragraph)
}

/// What a field holds, where that has fields or values of its own.
#[derive(Clone, Debug)]
pub(super) enum Inside {
    /// Fields.
    Message(MessageDescriptor),
    /// Values.
    Enum(EnumDescriptor),
    /// Neither.
    Nothing,
}

/// What is inside of a field: of a list its items, of a map its values.
pub(super) fn inside(field: &FieldDescriptor) -> Inside {
    let kind = match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    };
    match kind {
        Kind::Message(message) if message.package_name() != WELL_KNOWN => Inside::Message(message),
        Kind::Enum(found) => Inside::Enum(found),
        _ => Inside::Nothing,
    }
}

/// The type of a field as people write it: `string`, `[]Subject`, `map[string]string`.
pub(super) fn type_name(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            format!("map[{}]{}", kind_name(&key.kind()), kind_name(&value.kind()))
        }
        kind if field.cardinality() == Cardinality::Repeated => format!("[]{}", kind_name(&kind)),
        kind => kind_name(&kind),
    }
}

fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) if message.package_name() == WELL_KNOWN => {
            message.name().to_ascii_lowercase()
        }
        Kind::Message(message) => message.name().to_owned(),
        Kind::Enum(found) => found.name().to_owned(),
        Kind::Double => "double".into(),
        Kind::Float => "float".into(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "int32".into(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "int64".into(),
        Kind::Uint32 | Kind::Fixed32 => "uint32".into(),
        Kind::Uint64 | Kind::Fixed64 => "uint64".into(),
        Kind::Bool => "bool".into(),
        Kind::String => "string".into(),
        Kind::Bytes => "bytes".into(),
    }
}

/// How a value of the field is written in JSON and YAML, where that is not evident.
pub(super) fn form(field: &FieldDescriptor) -> &'static str {
    match field.kind() {
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => "a text, for example \"2026-05-01T12:00:00Z\"",
            "google.protobuf.Duration" => "a text in seconds, for example \"3600s\"",
            "google.protobuf.FieldMask" => {
                "a text of field names with commas, for example \"plan,seats\""
            }
            _ => "",
        },
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => {
            "a text of digits, for example \"40000\""
        }
        Kind::Bytes => "a text in base64",
        Kind::Enum(_) => "one of the values below, as a text",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_lose_the_line_breaks_of_the_file() {
        assert_eq!(flowing(" One\n two.\n\n Three.\n"), "One two.\n\nThree.");
        assert_eq!(flowing(" List:\n - a\n   b\n - c\n"), "List:\n- a b\n- c");
        assert_eq!(flowing(""), "");
    }

    #[test]
    fn the_first_sentence_is_taken() {
        assert_eq!(first_sentence("`a/{b}`. The rest."), "`a/{b}`.");
        assert_eq!(first_sentence("No end"), "No end");
        assert_eq!(first_sentence("One.\n\nTwo. Three."), "One.");
    }

    /// Without this the command would have nothing to say, and nothing else would notice.
    #[test]
    fn everything_in_the_contract_has_a_comment() {
        let contract = Contract::read().unwrap();
        for message in contract.messages() {
            assert_ne!(contract.of_message(&message), "", "{}", message.full_name());
            for field in message.fields() {
                assert_ne!(contract.of_field(&field), "", "{}", field.full_name());
            }
        }
        for found in contract.enums() {
            assert_ne!(contract.of_enum(&found), "", "{}", found.full_name());
            for value in found.values() {
                assert_ne!(contract.of_value(&value), "", "{}", value.full_name());
            }
        }
        for service in contract.services() {
            assert_ne!(contract.of_service(&service), "", "{}", service.full_name());
            for method in service.methods() {
                assert_ne!(contract.of_method(&method), "", "{}", method.full_name());
            }
        }
    }
}
