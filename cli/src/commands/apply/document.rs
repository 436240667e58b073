//! One document: `kind: Tenant`, a `name`, and under `spec` the fields that the
//! contract lets people write, in its own JSON names.
//!
//! ```yaml
//! kind: Tenant
//! name: acme-corp
//! spec:
//!   plan: business
//!   seats: 10
//!   adminSubjects:
//!     - {kind: user, name: a@acme.com}
//! ```

use prost_reflect::{DescriptorPool, MessageDescriptor, Value as Reflected};
use serde::Deserialize;
use serde_json::{Map, Value};
use streamspace_client::context::nearest;
use streamspace_proto::{
    json::{from_value, to_value},
    policy::pool,
    v1::Tenant,
};

use crate::{
    errors::{Failure, Outcome},
    resource::full_name,
};

/// Fields that tell the daemon how, not what; a comparison leaves them out.
const GUARDS: [&str; 1] = ["etag"];
/// Values of `google.api.FieldBehavior`.
const OUTPUT_ONLY: i32 = 3;
const IDENTIFIER: i32 = 8;

/// What one document wants.
#[derive(Debug)]
pub(super) struct Document {
    /// Where it stands, for messages.
    pub(super) origin: String,
    /// The wish, with its full name.
    pub(super) tenant: Tenant,
    /// The fields that it gives, by their JSON names.
    given: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    kind: String,
    name: String,
    #[serde(default)]
    spec: Map<String, Value>,
}

/// All documents of a text.
pub(super) fn read_documents(origin: &str, text: &str) -> Outcome<Vec<Document>> {
    let wrong = |at: Option<usize>, message: String| Failure::Usage {
        message: match at {
            Some(at) => format!("{origin}, document {}: {message}", at + 1),
            None => format!("{origin}: {message}"),
        },
        next: "`ssctl apply --help` shows the form; nothing was changed".into(),
    };
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    let raws: Vec<Raw> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| wrong(None, error.to_string()))?;
    let fields = Fields::of_tenant().map_err(|message| wrong(None, message))?;
    raws.into_iter()
        .enumerate()
        .map(|(at, raw)| {
            Document::new(origin, raw, &fields).map_err(|message| wrong(Some(at), message))
        })
        .collect()
}

impl Document {
    fn new(origin: &str, raw: Raw, fields: &Fields) -> Result<Self, String> {
        if raw.kind != "Tenant" {
            return Err(format!("kind {:?} is not known; the one kind is Tenant", raw.kind));
        }
        let mut spec = Map::new();
        for (name, value) in raw.spec {
            let name = fields.canonical(&name)?;
            if spec.insert(name.clone(), in_full(&name, value)).is_some() {
                return Err(format!("spec.{name} is given twice, in both of its spellings"));
            }
        }
        let given: Vec<String> =
            spec.keys().filter(|name| !GUARDS.contains(&name.as_str())).cloned().collect();
        let mut tenant: Tenant =
            from_value(&Value::Object(spec)).map_err(|error| format!("spec: {error}"))?;
        tenant.name = full_name::<Tenant>(&raw.name);
        Ok(Self { origin: origin.to_owned(), tenant, given })
    }

    /// The fields that the document gives and the tenant has otherwise, as a mask
    /// names them.
    pub(super) fn changed_fields(&self, before: &Tenant) -> Vec<&'static str> {
        let as_map = |tenant: &Tenant| match to_value(tenant) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        let (wish, before) = (as_map(&self.tenant), as_map(before));
        let differs = |name: &str| wish.get(name) != before.get(name);
        MUTABLE
            .iter()
            .filter(|(json, _)| self.given.iter().any(|name| name == json) && differs(json))
            .map(|(_, proto)| *proto)
            // A field that cannot be changed goes into the mask too: the daemon
            // refuses it by name, which is better than to pass over it.
            .collect()
    }
}

/// Fields by their JSON name and by the name that a mask has.
const MUTABLE: [(&str, &str); 10] = [
    ("displayName", "display_name"),
    ("plan", "plan"),
    ("seats", "seats"),
    ("homeRegion", "home_region"),
    ("allowedRegions", "allowed_regions"),
    ("billingAccount", "billing_account"),
    ("adminSubjects", "admin_subjects"),
    ("isolation", "isolation"),
    ("labels", "labels"),
    ("protected", "protected"),
];

/// Short forms that people write, in the contract's own.
fn in_full(field: &str, value: Value) -> Value {
    let prefixed = |prefix: &str, value: Value| match value {
        Value::String(text) if !text.contains('/') => Value::String(format!("{prefix}{text}")),
        other => other,
    };
    match field {
        "plan" => prefixed("plans/", value),
        "homeRegion" => prefixed("regions/", value),
        "allowedRegions" => match value {
            Value::Array(all) => all.into_iter().map(|one| prefixed("regions/", one)).collect(),
            other => other,
        },
        "isolation" => enum_in_full("ISOLATION_", value),
        "adminSubjects" => match value {
            Value::Array(all) => all.into_iter().map(subject_in_full).collect(),
            other => other,
        },
        _ => value,
    }
}

fn subject_in_full(subject: Value) -> Value {
    match subject {
        Value::Object(mut fields) => {
            if let Some(kind) = fields.remove("kind") {
                fields.insert("kind".into(), enum_in_full("SUBJECT_KIND_", kind));
            }
            Value::Object(fields)
        }
        other => other,
    }
}

fn enum_in_full(prefix: &str, value: Value) -> Value {
    match value {
        Value::String(text) if !text.starts_with(prefix) => {
            Value::String(format!("{prefix}{}", text.to_ascii_uppercase()))
        }
        other => other,
    }
}

/// The fields that a spec may have, from the contract's own descriptor.
struct Fields {
    /// JSON names that people write.
    written: Vec<String>,
    /// The proto's own names of the same, in the same order.
    proto: Vec<String>,
    /// JSON names that only the daemon writes.
    observed: Vec<String>,
}

impl Fields {
    fn of_tenant() -> Result<Self, String> {
        let pool = pool().ok_or("the contract cannot be read")?;
        let tenant = pool
            .get_message_by_name("streamspace.admin.v1.Tenant")
            .ok_or("the contract has no Tenant")?;
        Ok(Self::of(pool, &tenant))
    }

    fn of(pool: &DescriptorPool, message: &MessageDescriptor) -> Self {
        let mut fields = Self { written: Vec::new(), proto: Vec::new(), observed: Vec::new() };
        let behaviour = pool.get_extension_by_name("google.api.field_behavior");
        for field in message.fields() {
            let options = field.options();
            let values = behaviour.as_ref().map(|extension| options.get_extension(extension));
            let is = |wanted: i32| {
                let list = values.as_ref().and_then(|value| value.as_list());
                list.is_some_and(|list| {
                    list.iter().any(|v| matches!(v, Reflected::EnumNumber(n) if *n == wanted))
                })
            };
            if is(OUTPUT_ONLY) || is(IDENTIFIER) {
                fields.observed.push(field.json_name().to_owned());
            } else {
                fields.written.push(field.json_name().to_owned());
                fields.proto.push(field.name().to_owned());
            }
        }
        fields
    }

    /// The JSON name of a field in either spelling.
    fn canonical(&self, typed: &str) -> Result<String, String> {
        let found = self
            .written
            .iter()
            .zip(&self.proto)
            .find(|(json, proto)| *json == typed || *proto == typed)
            .map(|(json, _)| json.clone());
        if let Some(found) = found {
            return Ok(found);
        }
        if self.observed.iter().any(|name| name == typed) {
            return Err(format!("spec.{typed} is written by the daemon alone; leave it out"));
        }
        Err(match nearest(typed, &self.written) {
            Some(near) => format!("spec.{typed} is not known; did you mean {near}?"),
            None => format!("spec.{typed} is not known; there are {}", self.written.join(", ")),
        })
    }
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::{Subject, SubjectKind};

    use super::*;

    const ACME: &str = "\
kind: Tenant
name: acme-corp
spec:
  plan: business
  seats: 10
  displayName: Acme Corp
  labels: {tier: gold}
  adminSubjects:
    - {kind: user, name: a@acme.com}
    - {kind: SUBJECT_KIND_GROUP, name: ops}
---
kind: Tenant
name: tenants/beta-inc
spec:
  plan: plans/professional
  seats: 3
";

    fn refused(text: &str) -> String {
        match read_documents("t.yaml", text) {
            Err(Failure::Usage { message, .. }) => message,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn with_spec(spec: &str) -> String {
        format!("kind: Tenant\nname: acme\nspec:\n  {spec}\n")
    }

    #[test]
    fn documents_are_read_in_short_and_full_form() {
        let documents = read_documents("t.yaml", ACME).unwrap();
        let [acme, beta] = documents.as_slice() else { panic!("{documents:?}") };
        assert_eq!(acme.tenant.name, "tenants/acme-corp");
        assert_eq!(acme.tenant.plan, "plans/business");
        assert_eq!(acme.tenant.labels["tier"], "gold");
        let subject =
            |kind: SubjectKind, name: &str| Subject { kind: kind.into(), name: name.into() };
        assert_eq!(
            acme.tenant.admin_subjects,
            [subject(SubjectKind::User, "a@acme.com"), subject(SubjectKind::Group, "ops")]
        );
        assert_eq!(beta.tenant.name, "tenants/beta-inc");
        assert_eq!(beta.tenant.plan, "plans/professional");
    }

    #[test]
    fn only_what_is_given_and_differs_is_changed() {
        let documents = read_documents("t.yaml", ACME).unwrap();
        let same = Tenant {
            billing_account: "not in the file".into(),
            etag: "abc".into(),
            ..documents[0].tenant.clone()
        };
        assert!(documents[0].changed_fields(&same).is_empty());
        let other = Tenant { seats: 9, display_name: String::new(), ..same };
        assert_eq!(documents[0].changed_fields(&other), ["display_name", "seats"]);
    }

    #[test]
    fn a_field_can_be_set_back_to_nothing() {
        let documents = read_documents("t.yaml", &with_spec("displayName: ''")).unwrap();
        let before = Tenant { display_name: "Acme".into(), ..Tenant::default() };
        assert_eq!(documents[0].changed_fields(&before), ["display_name"]);
    }

    #[test]
    fn slips_are_refused_with_the_remedy() {
        let message = refused(&with_spec("seast: 3"));
        assert_eq!(message, "t.yaml, document 1: spec.seast is not known; did you mean seats?");
        let message = refused(&with_spec("generation: 3"));
        assert!(message.contains("written by the daemon alone"), "{message}");
        let message = refused("kind: Tennant\nname: a\n");
        assert!(message.contains("the one kind is Tenant"), "{message}");
        let message = refused("kind: Tenant\nname: a\nspce: {}\n");
        assert!(message.contains("spce"), "{message}");
        let message = refused(&with_spec("seats: many"));
        assert!(message.contains("spec"), "{message}");
        let message = refused(&with_spec("seats: 3\n  seats: 4"));
        assert!(message.contains("duplicate"), "{message}");
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut body = String::from("    a: &a [x, x, x, x, x, x, x, x, x, x]\n");
        for (name, of) in ["b", "c", "d", "e", "f", "g", "h"].into_iter().zip("abcdefg".chars()) {
            let all = vec![format!("*{of}"); 10].join(", ");
            body = body + "    " + name + ": &" + name + " [" + &all + "]\n";
        }
        let message = refused(&format!("kind: Tenant\nname: a\nspec:\n  labels:\n{body}"));
        assert!(message.len() < 1000, "{message}");
    }

    /// A field that the contract gains must be thought about here too.
    #[test]
    fn every_field_that_people_write_can_be_applied() {
        let mut written = Fields::of_tenant().unwrap().written;
        written.retain(|name| !GUARDS.contains(&name.as_str()));
        let mut known: Vec<_> = MUTABLE.iter().map(|(json, _)| (*json).to_owned()).collect();
        written.sort();
        known.sort();
        assert_eq!(written, known);
    }
}
