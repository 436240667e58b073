//! Finds what somebody means by `tenant.admin_subjects.kind`.

use prost_reflect::{
    EnumDescriptor, EnumValueDescriptor, FieldDescriptor, MessageDescriptor, MethodDescriptor,
    ServiceDescriptor,
};

use super::contract::{Contract, Inside, Written, inside};
use crate::resource::word;

/// What is explained.
#[derive(Debug)]
pub(super) enum Topic {
    /// A message: a resource, a request, a part of one.
    Message(MessageDescriptor),
    /// A field, and the way to it.
    Field {
        /// As it is written in JSON, from the message on.
        path: String,
        /// The field itself.
        field: FieldDescriptor,
        /// Who writes it, or what it is a part of.
        written: Option<Written>,
    },
    /// An enumeration.
    Enum(EnumDescriptor),
    /// One value of one.
    Value(EnumValueDescriptor),
    /// A service.
    Service(ServiceDescriptor),
    /// A method of one.
    Method(MethodDescriptor),
}

/// There is no such thing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// The part of what was typed that nothing is called.
    pub(super) word: String,
    /// In what it was looked for; empty for the contract itself.
    pub(super) within: String,
    /// What was meant, perhaps: a whole that can be typed.
    pub(super) suggestion: Option<String>,
    /// What there is.
    pub(super) known: Vec<String>,
}

/// Finds what a text means. Case, underscores and hyphens do not count, so both the
/// JSON's and the contract's spelling are taken; so are the places in lists that a
/// preview prints, as in `adminSubjects[0].kind`.
pub(super) fn find(contract: &Contract, typed: &str) -> Result<Topic, Unknown> {
    let typed = typed.trim().trim_start_matches("streamspace.admin.v1.");
    let words: Vec<&str> = typed.split(['.', '/']).map(without_place).collect();
    let (first, rest) = words.split_first().unwrap_or((&"", &[]));
    match (first_of(contract, first)?, rest) {
        (First::Message(message), rest) => fields(contract, message, rest),
        (First::Enum(found), []) => Ok(Topic::Enum(found)),
        (First::Enum(found), [word, rest @ ..]) => value(&found, found.name(), word, rest),
        (First::Service(service), []) => Ok(Topic::Service(service)),
        (First::Service(service), [word, rest @ ..]) => method(&service, word, rest),
    }
}

/// `name[0]` without the place.
fn without_place(word: &str) -> &str {
    word.split_once('[').map_or(word, |(name, _)| name)
}

enum First {
    Message(MessageDescriptor),
    Enum(EnumDescriptor),
    Service(ServiceDescriptor),
}

fn first_of(contract: &Contract, typed: &str) -> Result<First, Unknown> {
    // `tenants` is what lists are called.
    let plain = bare(typed);
    for wanted in [plain.as_str(), plain.strip_suffix('s').unwrap_or(&plain)] {
        let is = |name: &str| bare(name) == wanted;
        if let Some(message) = contract.messages().find(|message| is(message.name())) {
            return Ok(First::Message(message));
        }
        if let Some(found) = contract.enums().find(|found| is(found.name())) {
            return Ok(First::Enum(found));
        }
        if let Some(service) = contract.services().find(|service| is(service.name())) {
            return Ok(First::Service(service));
        }
    }
    let resources: Vec<String> =
        contract.resources().iter().map(|message| camel(message.name())).collect();
    let services = contract.services().map(|service| service.name().to_owned());
    let others = contract.messages().map(|message| message.name().to_owned());
    let enums = contract.enums().map(|found| found.name().to_owned());
    let all: Vec<String> =
        resources.iter().cloned().chain(services).chain(others).chain(enums).collect();
    Err(Unknown {
        word: typed.to_owned(),
        within: String::new(),
        suggestion: nearest(typed, &all),
        known: resources,
    })
}

fn fields(
    contract: &Contract,
    message: MessageDescriptor,
    words: &[&str],
) -> Result<Topic, Unknown> {
    let mut path = camel(message.name());
    let mut here = message.clone();
    let mut found = Topic::Message(message);
    let mut written = None;
    let mut left = words;
    while let [typed, rest @ ..] = left {
        left = rest;
        let wanted = bare(typed);
        let Some(field) = here.fields().find(|field| bare(field.name()) == wanted) else {
            let known: Vec<String> =
                here.fields().map(|field| field.json_name().to_owned()).collect();
            let suggestion = nearest(typed, &known).map(|name| format!("{path}.{name}"));
            return Err(Unknown { word: (*typed).to_owned(), within: path, suggestion, known });
        };
        path = format!("{path}.{}", field.json_name());
        written = contract.written(&field).or(written);
        match (inside(&field), left) {
            (Inside::Message(next), _) => here = next,
            (_, []) => {}
            (Inside::Enum(values), [word, rest @ ..]) => return value(&values, &path, word, rest),
            (Inside::Nothing, [word, ..]) => {
                return Err(Unknown {
                    word: (*word).to_owned(),
                    within: path,
                    suggestion: None,
                    known: Vec::new(),
                });
            }
        }
        found = Topic::Field { path: path.clone(), field, written };
    }
    Ok(found)
}

/// A value by its name in JSON or by its word: `TENANT_STATE_ACTIVE` or `active`.
fn value(
    values: &EnumDescriptor,
    within: &str,
    typed: &str,
    rest: &[&str],
) -> Result<Topic, Unknown> {
    let wanted = bare(typed);
    let prefix = prefix(values);
    let found = values
        .values()
        .find(|value| bare(value.name()) == wanted || bare(&word(&prefix, value.name())) == wanted);
    match (found, rest) {
        (Some(value), []) => Ok(Topic::Value(value)),
        (found, rest) => {
            let known: Vec<String> =
                values.values().map(|value| word(&prefix, value.name())).collect();
            let (word, within) = match (found, rest) {
                (Some(_), [next, ..]) => ((*next).to_owned(), format!("{within}.{typed}")),
                _ => (typed.to_owned(), within.to_owned()),
            };
            let suggestion = nearest(&word, &known).map(|name| format!("{within}.{name}"));
            Err(Unknown { word, within, suggestion, known })
        }
    }
}

fn method(service: &ServiceDescriptor, typed: &str, rest: &[&str]) -> Result<Topic, Unknown> {
    let wanted = bare(typed);
    let found = service.methods().find(|method| bare(method.name()) == wanted);
    match (found, rest) {
        (Some(method), []) => Ok(Topic::Method(method)),
        (Some(method), [next, ..]) => Err(Unknown {
            word: (*next).to_owned(),
            within: format!("{}.{}", service.name(), method.name()),
            suggestion: None,
            known: vec![camel(method.input().name())],
        }),
        (None, _) => {
            let known: Vec<String> =
                service.methods().map(|method| method.name().to_owned()).collect();
            let suggestion =
                nearest(typed, &known).map(|name| format!("{}.{name}", service.name()));
            Err(Unknown {
                word: typed.to_owned(),
                within: service.name().to_owned(),
                suggestion,
                known,
            })
        }
    }
}

/// What the values of an enumeration begin with: `TENANT_STATE_` of `TenantState`.
pub(super) fn prefix(values: &EnumDescriptor) -> String {
    let mut prefix = String::new();
    for letter in values.name().chars() {
        if letter.is_ascii_uppercase() && !prefix.is_empty() {
            prefix.push('_');
        }
        prefix.push(letter.to_ascii_uppercase());
    }
    prefix + "_"
}

/// A name with a small letter at its beginning, as fields in JSON have.
pub(super) fn camel(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + letters.as_str())
}

/// A name without what the spellings differ in.
fn bare(name: &str) -> String {
    name.chars()
        .filter(|letter| !matches!(letter, '_' | '-'))
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

fn nearest(typed: &str, known: &[String]) -> Option<String> {
    // What is typed in one spelling is compared with names in another.
    let bares: Vec<String> = known.iter().map(|name| bare(name)).collect();
    let found = streamspace_client::context::nearest(&bare(typed), &bares)?;
    known.iter().find(|name| bare(name) == found).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(typed: &str) -> Topic {
        find(&Contract::read().unwrap(), typed).unwrap_or_else(|error| panic!("{error:?}"))
    }

    fn unknown(typed: &str) -> Unknown {
        find(&Contract::read().unwrap(), typed).map(|topic| panic!("{topic:?}")).unwrap_err()
    }

    #[test]
    fn every_spelling_of_a_field_is_taken() {
        for typed in [
            "tenant.admin_subjects.kind",
            "tenant.adminSubjects.kind",
            "tenants.adminSubjects[0].kind",
            "Tenant.AdminSubjects.Kind",
            "streamspace.admin.v1.Tenant.admin_subjects.kind",
        ] {
            let Topic::Field { path, .. } = found(typed) else { panic!("{typed}") };
            assert_eq!(path, "tenant.adminSubjects.kind", "{typed}");
        }
    }

    #[test]
    fn whoever_writes_the_whole_writes_its_parts() {
        let Topic::Field { written, .. } = found("tenant.quota.pods") else { panic!() };
        assert_eq!(written, Some(Written::Daemon));
        let Topic::Field { written, .. } = found("plan.quota.pods") else { panic!() };
        assert_eq!(written, Some(Written::Optional));
    }

    #[test]
    fn messages_values_services_and_methods_are_found() {
        assert!(matches!(found("quotas"), Topic::Message(m) if m.name() == "Quota"));
        assert!(matches!(found("tenant_quota"), Topic::Message(m) if m.name() == "TenantQuota"));
        assert!(matches!(found("TenantState"), Topic::Enum(_)));
        for typed in ["tenant.state.active", "tenantState.TENANT_STATE_ACTIVE"] {
            let topic = found(typed);
            assert!(matches!(&topic, Topic::Value(v) if v.name() == "TENANT_STATE_ACTIVE"));
        }
        assert!(matches!(found("tenantservice"), Topic::Service(_)));
        for typed in ["TenantService.CreateTenant", "TenantService/create_tenant"] {
            assert!(matches!(found(typed), Topic::Method(m) if m.name() == "CreateTenant"));
        }
    }

    #[test]
    fn a_slip_gets_a_suggestion_that_can_be_typed() {
        for (typed, word, within, suggestion) in [
            ("tennant", "tennant", "", Some("tenant")),
            ("tenant.seat", "seat", "tenant", Some("tenant.seats")),
            ("tenant.admin_subject.kind", "admin_subject", "tenant", Some("tenant.adminSubjects")),
            ("tenant.state.activ", "activ", "tenant.state", Some("tenant.state.active")),
            (
                "TenantService.CretaeTenant",
                "CretaeTenant",
                "TenantService",
                Some("TenantService.CreateTenant"),
            ),
            ("tenant.seats.more", "more", "tenant.seats", None),
            ("tenant.labels.tier", "tier", "tenant.labels", None),
            ("", "", "", None),
        ] {
            let error = unknown(typed);
            assert_eq!(
                (error.word.as_str(), error.within.as_str(), error.suggestion.as_deref()),
                (word, within, suggestion),
                "{typed}"
            );
        }
        assert!(unknown("xyz").known.contains(&"tenant".to_owned()));
    }

    #[test]
    fn every_value_of_an_enumeration_has_a_word() {
        for values in Contract::read().unwrap().enums() {
            let prefix = prefix(&values);
            for value in values.values() {
                assert!(value.name().starts_with(&prefix), "{} {prefix}", value.full_name());
            }
        }
    }
}
