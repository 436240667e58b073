//! The API server's rules for names, labels, annotations and finalizers, in its words.

use serde_json::Value;

use crate::{
    kinds::Names,
    schema::{Object, metadata, metadata_text},
    status::Fault,
};

const LABEL_LENGTH: usize = 63;
const SUBDOMAIN_LENGTH: usize = 253;
const ANNOTATIONS_SIZE: usize = 256 * 1024;
/// Those that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["foregroundDeletion", "kubernetes", "orphan"];

const DNS_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
    and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED_NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
    start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
    validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Every broken rule of the object's metadata, in the API server's order.
pub(crate) fn faults(object: &Object, names: Names) -> Vec<Fault> {
    let mut found = Vec::new();
    let name = metadata_text(object, "name");
    if name.is_empty() {
        found.push(Fault::required("metadata.name", "name or generateName is required"));
    } else {
        let why = match names {
            Names::Label => dns_label(name),
            Names::Subdomain => subdomain(name),
            Names::Segment => segment(name),
        };
        let why = why.into_iter();
        found.extend(why.map(|why| Fault::invalid("metadata.name", name, &why)));
    }
    let map = |field: &str| {
        metadata(object).and_then(|metadata| metadata.get(field)).and_then(Value::as_object)
    };
    for (key, value) in map("labels").into_iter().flatten() {
        found.extend(
            qualified_name(key).into_iter().map(|why| Fault::invalid("metadata.labels", key, &why)),
        );
        let value = value.as_str().unwrap_or_default();
        found.extend(
            label_value(value)
                .into_iter()
                .map(|why| Fault::invalid("metadata.labels", value, &why)),
        );
    }
    let mut size = 0;
    for (key, value) in map("annotations").into_iter().flatten() {
        let lower = key.to_lowercase();
        found.extend(
            qualified_name(&lower)
                .into_iter()
                .map(|why| Fault::invalid("metadata.annotations", key, &why)),
        );
        size += key.len() + value.as_str().unwrap_or_default().len();
    }
    if size > ANNOTATIONS_SIZE {
        found.push(Fault::too_long("metadata.annotations", ANNOTATIONS_SIZE));
    }
    for finalizer in finalizers(object) {
        let why = qualified_name(finalizer).into_iter();
        found.extend(why.map(|why| Fault::invalid("metadata.finalizers", finalizer, &why)));
    }
    for (index, finalizer) in finalizers(object).enumerate() {
        if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            found.push(Fault::invalid(format!("metadata.finalizers[{index}]"), finalizer, why));
        }
    }
    found
}

/// `metadata.finalizers`.
pub(crate) fn finalizers(object: &Object) -> impl Iterator<Item = &str> {
    let list =
        metadata(object).and_then(|metadata| metadata.get("finalizers")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

fn too_long(limit: usize) -> String {
    format!("must be no more than {limit} bytes")
}

pub(crate) fn dns_label(name: &str) -> Vec<String> {
    let mut why = Vec::new();
    if name.len() > LABEL_LENGTH {
        why.push(format!("must be no more than {LABEL_LENGTH} characters"));
    }
    if !is_dns_label(name) {
        why.push(DNS_LABEL.to_owned());
    }
    why
}

fn subdomain(name: &str) -> Vec<String> {
    let mut why = Vec::new();
    if name.len() > SUBDOMAIN_LENGTH {
        why.push(too_long(SUBDOMAIN_LENGTH));
    }
    if !name.split('.').all(is_dns_label) {
        why.push(SUBDOMAIN.trim_start_matches("prefix part ").to_owned());
    }
    why
}

fn segment(name: &str) -> Vec<String> {
    if let "." | ".." = name {
        return vec![format!("may not be '{name}'")];
    }
    ['/', '%']
        .into_iter()
        .filter(|refused| name.contains(*refused))
        .map(|refused| format!("may not contain '{refused}'"))
        .collect()
}

fn is_dns_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    is_bounded(name, inner, |byte| inner(byte) || byte == b'-')
}

/// Not empty, all of `within`, the first and last of `edge`.
fn is_bounded(text: &str, edge: impl Fn(u8) -> bool, within: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(&edge)
        && bytes.last().copied().is_some_and(&edge)
        && bytes.iter().copied().all(within)
}

fn is_name_part(text: &str) -> bool {
    is_bounded(
        text,
        |byte| byte.is_ascii_alphanumeric(),
        |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte),
    )
}

/// Why a label or annotation key, or a finalizer, is refused.
pub(crate) fn qualified_name(key: &str) -> Vec<String> {
    let mut why = Vec::new();
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if name.contains('/') {
        return vec![format!(
            "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
            QUALIFIED_NAME.trim_start_matches("name part ")
        )];
    }
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            why.push("prefix part must be non-empty".to_owned());
        } else if prefix.len() > SUBDOMAIN_LENGTH {
            why.push(format!("prefix part {}", too_long(SUBDOMAIN_LENGTH)));
        } else if !prefix.split('.').all(is_dns_label) {
            why.push(SUBDOMAIN.to_owned());
        }
    }
    if name.is_empty() {
        why.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_LENGTH {
        why.push(format!("name part {}", too_long(LABEL_LENGTH)));
    }
    if !is_name_part(name) {
        why.push(QUALIFIED_NAME.to_owned());
    }
    why
}

/// Why a label's value is refused.
pub(crate) fn label_value(value: &str) -> Vec<String> {
    let mut why = Vec::new();
    if value.len() > LABEL_LENGTH {
        why.push(too_long(LABEL_LENGTH));
    }
    if !value.is_empty() && !is_name_part(value) {
        why.push(LABEL_VALUE.to_owned());
    }
    why
}
