//! The reference of the contract: services, methods with their rules, messages and their
//! fields, with the comments of the `.proto` files.

use std::collections::{BTreeMap, HashMap};

use prost_reflect::{
    EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, ServiceDescriptor,
    Value,
};
use streamspace_proto::{
    policy::{methods, pool},
    v1::{Audience, AuditClass, MethodPolicy, Role, Scope},
};

const PACKAGE: &str = "streamspace.admin.v1";

/// Comments by the path of what they stand before.
type Comments = HashMap<Vec<i32>, String>;

/// Every page, by its name below the root.
pub(crate) fn pages() -> BTreeMap<String, String> {
    let pool = pool().expect("the contract's descriptors");
    let files: Vec<FileDescriptor> =
        pool.files().filter(|file| file.package_name() == PACKAGE).collect();
    let rules: HashMap<String, MethodPolicy> =
        methods().into_iter().map(|method| (method.path, method.policy)).collect();
    let mut pages = BTreeMap::new();
    let mut index = format!(
        "# The contract, `{PACKAGE}`\n\nMade from the comments and rules of the files in `proto/`. \
         gRPC over mutual TLS; every service answers reflection to whoever may read the region. \
         `ssctl access why METHOD` explains a rule, with what your certificate makes of it.\n\n\
         A change takes `validate_only` (a preview), `request_id` (a retry has no second effect) and \
         `reason`; what can change meanwhile has an `etag`. Errors: [errors](../errors.md).\n"
    );
    for file in &files {
        for service in file.services() {
            let page = page_of(file);
            let anchor = service.name().to_lowercase();
            index += &format!(
                "\n## [{}]({page}#{anchor})\n\n| method | for | changes | audit |\n|--|--|--|--|\n",
                service.name()
            );
            for method in service.methods() {
                let rule = &rules[&format!("{}/{}", service.full_name(), method.name())];
                index += &format!(
                    "| [`{}`]({page}#{}) | {} | {} | {} |\n",
                    method.name(),
                    method.name().to_lowercase(),
                    who(rule),
                    if rule.mutates { "yes" } else { "" },
                    audit(rule),
                );
            }
        }
        pages.insert(format!("docs/reference/api/{}", page_of(file)), page(file, &rules));
    }
    index += "\n## Shared types\n\n[common](common.md): conditions, pauses, consequences. ";
    index += "[policy](policy.md): what a rule is made of.\n";
    pages.insert("docs/reference/api/README.md".into(), index);
    pages
}

fn page_of(file: &FileDescriptor) -> String {
    let name = file.name().rsplit('/').next().unwrap_or_default();
    let name = name.trim_end_matches(".proto").trim_end_matches("_service");
    format!("{}.md", name.replace('_', "-"))
}

fn page(file: &FileDescriptor, rules: &HashMap<String, MethodPolicy>) -> String {
    let comments = comments(file);
    let mut page =
        format!("# {}\n\nFrom `proto/{}`.\n", page_of(file).trim_end_matches(".md"), file.name());
    for service in file.services() {
        page += &service_part(&service, rules, &comments);
    }
    for message in file.messages() {
        page += &message_part(&message, &comments);
    }
    for kind in file.enums() {
        page += &enum_part(&kind, &comments);
    }
    page
}

fn service_part(
    service: &ServiceDescriptor,
    rules: &HashMap<String, MethodPolicy>,
    comments: &Comments,
) -> String {
    let mut part = format!("\n## {}\n\n{}\n", service.name(), comment(comments, service.path()));
    for method in service.methods() {
        let rule = &rules[&format!("{}/{}", service.full_name(), method.name())];
        let stream = if method.is_server_streaming() { "a stream of " } else { "" };
        part += &format!(
            "\n### {}\n\n{}\n\n{} → {stream}{}\n\n",
            method.name(),
            comment(comments, method.path()),
            link(method.input().name(), &method.input().parent_file()),
            link(method.output().name(), &method.output().parent_file()),
        );
        part += &format!("For {}. Scope: {}.", who(rule), scope(rule));
        if rule.mutates {
            part += " It changes something";
            part += if rule.needs_reason { ", and takes a reason." } else { "." };
        }
        if rule.needs_approval {
            part += " A second person must approve it where the target is protected.";
        }
        part += &format!(" Audit: {}.\n", audit(rule));
    }
    part
}

fn message_part(message: &MessageDescriptor, comments: &Comments) -> String {
    if message.is_map_entry() {
        return String::new();
    }
    let mut part = format!("\n## {}\n\n{}\n", message.name(), comment(comments, message.path()));
    if message.fields().len() > 0 {
        part += "\n| field | type | | |\n|--|--|--|--|\n";
    }
    for field in message.fields() {
        part += &format!(
            "| `{}` | {} | {} | {} |\n",
            field.name(),
            type_of(&field),
            behaviour(&field),
            comment(comments, field.path()).replace('|', "\\|"),
        );
    }
    for child in message.child_messages() {
        part += &message_part(&child, comments);
    }
    for child in message.child_enums() {
        part += &enum_part(&child, comments);
    }
    part
}

fn enum_part(kind: &EnumDescriptor, comments: &Comments) -> String {
    let mut part = format!("\n## {}\n\n{}\n\n", kind.name(), comment(comments, kind.path()));
    part += "| value | number | |\n|--|--|--|\n";
    for value in kind.values() {
        let words = comment(comments, value.path()).replace('|', "\\|");
        part += &format!("| `{}` | {} | {words} |\n", value.name(), value.number());
    }
    part
}

fn type_of(field: &FieldDescriptor) -> String {
    let one = |kind: Kind| match kind {
        Kind::Message(message) => link(message.name(), &message.parent_file()),
        Kind::Enum(kind) => link(kind.name(), &kind.parent_file()),
        other => format!("{other:?}").to_lowercase(),
    };
    if let Kind::Message(message) = field.kind()
        && message.is_map_entry()
    {
        let (key, value) = (message.map_entry_key_field(), message.map_entry_value_field());
        return format!("map of {} to {}", one(key.kind()), one(value.kind()));
    }
    let type_ = one(field.kind());
    if field.is_list() { format!("list of {type_}") } else { type_ }
}

fn link(name: &str, file: &FileDescriptor) -> String {
    if file.package_name() == PACKAGE {
        format!("[{name}]({}#{})", page_of(file), name.to_lowercase())
    } else {
        // Google's own, such as Timestamp.
        format!("`{}.{name}`", file.package_name())
    }
}

/// Required, or of the daemon alone.
fn behaviour(field: &FieldDescriptor) -> String {
    let pool = field.parent_file().parent_pool().clone();
    let Some(option) = pool.get_extension_by_name("google.api.field_behavior") else {
        return String::new();
    };
    let options = field.options();
    let value = options.get_extension(&option);
    let Value::List(values) = value.as_ref() else { return String::new() };
    let word = |value: &Value| match value.as_enum_number() {
        Some(2) => "required",
        Some(3) => "output only",
        Some(5) => "immutable",
        Some(8) => "identifier",
        _ => "",
    };
    values.iter().map(word).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
}

fn comments(file: &FileDescriptor) -> Comments {
    let proto = file.file_descriptor_proto();
    let places = proto.source_code_info.iter().flat_map(|info| &info.location);
    let comments = places.filter_map(|place| {
        let words = place.leading_comments.as_ref()?;
        let lines = words.lines().map(str::trim);
        let text = lines.collect::<Vec<_>>().join(" ").trim().to_owned();
        Some((place.path.clone(), text.replace('<', "\\<")))
    });
    comments.collect()
}

fn comment<'a>(comments: &'a Comments, path: &[i32]) -> &'a str {
    comments.get(path).map(String::as_str).unwrap_or_default()
}

fn who(rule: &MethodPolicy) -> String {
    match rule.audience() {
        Audience::Unspecified => "nobody".into(),
        Audience::Anonymous => "anyone".into(),
        Audience::Device => "an enrolled device".into(),
        Audience::Operator => {
            let mut roles = vec![role(rule.least_role()).to_owned()];
            roles.extend(rule.also_roles().map(|also| role(also).to_owned()));
            roles.join(", or ")
        }
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "nobody",
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
        Role::Billing => "billing",
        Role::Auditor => "auditor",
    }
}

fn scope(rule: &MethodPolicy) -> &'static str {
    match rule.scope() {
        Scope::Unspecified => "none",
        Scope::Region => "the whole region",
        Scope::Tenant => "the tenants that the certificate names, or all",
        Scope::Self_ => "the caller",
    }
}

fn audit(rule: &MethodPolicy) -> &'static str {
    match rule.audit_class() {
        AuditClass::Unspecified => "",
        AuditClass::Read => "denials",
        AuditClass::Change => "change",
        AuditClass::Access => "access",
        AuditClass::Destructive => "destructive",
    }
}
