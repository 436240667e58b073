//! The identities of resources and their names in the contract.
//!
//! An id is checked once, where it enters; from then on its type is the proof. A name is
//! the collection and the id, for example `tenants/acme`.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::text;

/// Why a text is not an id or not a name: the value, the rule that it breaks, and what to
/// write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{kind} `{value}` is not valid: {rule}; {remedy}")]
pub struct IdError {
    /// What was read, for example `tenant id`.
    pub kind: &'static str,
    /// The value, escaped and shortened to 64 characters.
    pub value: String,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// What to write instead.
    pub remedy: String,
}

/// What an id that is a DNS label must be.
struct LabelRule {
    kind: &'static str,
    name_kind: &'static str,
    collection: &'static str,
    minimum: usize,
    maximum: usize,
    starts_with_letter: bool,
    rule: &'static str,
    name_rule: &'static str,
    example: &'static str,
}

impl LabelRule {
    fn holds(&self, value: &str) -> bool {
        let bytes = value.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return false;
        };
        (self.minimum..=self.maximum).contains(&bytes.len())
            && bytes.iter().all(|b| is_label_byte(*b) || *b == b'-')
            && is_label_byte(*last)
            && if self.starts_with_letter {
                first.is_ascii_lowercase()
            } else {
                is_label_byte(*first)
            }
    }

    fn check(&self, value: &str) -> Result<(), IdError> {
        if self.holds(value) {
            return Ok(());
        }
        Err(IdError {
            kind: self.kind,
            value: text::excerpt(value),
            rule: self.rule,
            remedy: self.remedy(value, ""),
        })
    }

    fn id_in<'a>(&self, name: &'a str) -> Result<&'a str, IdError> {
        match name.strip_prefix(self.collection).and_then(|rest| rest.strip_prefix('/')) {
            Some(id) => self.check(id).map(|()| id),
            None => Err(IdError {
                kind: self.name_kind,
                value: text::excerpt(name),
                rule: self.name_rule,
                remedy: self.remedy(name, &format!("{}/", self.collection)),
            }),
        }
    }

    /// The nearest value that the rule allows, or an example where there is none.
    fn remedy(&self, value: &str, prefix: &str) -> String {
        let mut near = String::new();
        // A few characters more than are kept: hyphens at the start fall away.
        for character in value.chars().take(2 * self.maximum) {
            let character = character.to_ascii_lowercase();
            if character.is_ascii_lowercase() || character.is_ascii_digit() {
                near.push(character);
            } else if !near.is_empty() && !near.ends_with('-') {
                near.push('-');
            }
            if near.len() == self.maximum {
                break;
            }
        }
        let near = near.trim_end_matches('-');
        if self.holds(near) {
            format!("`{prefix}{near}` would be")
        } else {
            format!("`{prefix}{}` would be, for example", self.example)
        }
    }
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

macro_rules! label_id {
    ($(#[$documentation:meta])* $name:ident, $rule:expr) => {
        $(#[$documentation])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            const RULE: LabelRule = $rule;

            /// Reads the id alone.
            pub fn parse(value: &str) -> Result<Self, IdError> {
                Self::RULE.check(value).map(|()| Self(value.to_owned()))
            }

            /// Reads a name: the collection, a slash, the id.
            pub fn from_name(name: &str) -> Result<Self, IdError> {
                Self::RULE.id_in(name).map(|id| Self(id.to_owned()))
            }

            /// The name in the contract.
            pub fn to_name(&self) -> String {
                format!("{}/{}", Self::RULE.collection, self.0)
            }

            /// The id alone.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(value: &str) -> Result<Self, IdError> {
                Self::parse(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(value: String) -> Result<Self, IdError> {
                Self::RULE.check(&value).map(|()| Self(value))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

label_id!(
    /// What people call a tenant: a DNS label of 3 to 40 characters that starts with a
    /// letter. Another tenant may have it after this one is gone; [`TenantUid`] is the
    /// identity.
    TenantId,
    LabelRule {
        kind: "tenant id",
        name_kind: "tenant name",
        collection: "tenants",
        minimum: 3,
        maximum: 40,
        starts_with_letter: true,
        rule: "it must be 3 to 40 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen",
        name_rule: "it must be `tenants/` and the tenant's id",
        example: "acme-corp",
    }
);

label_id!(
    /// What people call a plan: a DNS label of 1 to 63 characters.
    PlanId,
    LabelRule {
        kind: "plan id",
        name_kind: "plan name",
        collection: "plans",
        minimum: 1,
        maximum: 63,
        starts_with_letter: false,
        rule: "it must be 1 to 63 lower-case letters, digits and hyphens, and not start or end with a hyphen",
        name_rule: "it must be `plans/` and the plan's id",
        example: "business",
    }
);

label_id!(
    /// What people call a region: a DNS label of 1 to 63 characters.
    RegionId,
    LabelRule {
        kind: "region id",
        name_kind: "region name",
        collection: "regions",
        minimum: 1,
        maximum: 63,
        starts_with_letter: false,
        rule: "it must be 1 to 63 lower-case letters, digits and hyphens, and not start or end with a hyphen",
        name_rule: "it must be `regions/` and the region's id",
        example: "eu-west-1",
    }
);

/// Reads a UUID in its one usual form; the crate also takes braces, URNs and bare digits,
/// which would give one resource several names.
fn parse_uuid(value: &str, kind: &'static str) -> Result<Uuid, IdError> {
    let parsed = if value.len() == 36 { Uuid::try_parse(value).ok() } else { None };
    parsed.filter(|uuid| uuid.hyphenated().to_string() == value).ok_or_else(|| IdError {
        kind,
        value: text::excerpt(value),
        rule: "it must be a UUID in lower case with hyphens",
        remedy: "`01890a5d-ac96-774b-bcce-b302099a8057` would be, for example".to_owned(),
    })
}

macro_rules! uuid_id {
    ($(#[$documentation:meta])* $name:ident, $kind:literal) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Reads the UUID, in lower case with hyphens.
            pub fn parse(value: &str) -> Result<Self, IdError> {
                parse_uuid(value, $kind).map(Self)
            }

            /// The UUID.
            pub fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(value: &str) -> Result<Self, IdError> {
                Self::parse(value)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

uuid_id!(
    /// The identity of a tenant, never used again. Rows, usage and scopes hold this and
    /// not the name.
    TenantUid,
    "tenant uid"
);

/// Names of a collection whose ids are UUIDs.
macro_rules! uuid_name {
    ($name:ident, $collection:literal, $kind:literal, $rule:literal, $remedy:literal) => {
        impl $name {
            /// Reads a name: the collection, a slash and the UUID.
            pub fn from_name(name: &str) -> Result<Self, IdError> {
                match name.strip_prefix(concat!($collection, "/")) {
                    Some(id) => Self::parse(id),
                    None => Err(IdError {
                        kind: $kind,
                        value: text::excerpt(name),
                        rule: $rule,
                        remedy: $remedy.to_owned(),
                    }),
                }
            }

            /// The name in the contract: the collection, a slash and the UUID.
            pub fn to_name(&self) -> String {
                format!(concat!($collection, "/{}"), self.0)
            }
        }
    };
}

uuid_id!(
    /// The identity of an operation.
    OperationId,
    "operation id"
);
uuid_name!(
    OperationId,
    "operations",
    "operation name",
    "it must be `operations/` and the operation's id",
    "`ssctl operation list` shows the names"
);

uuid_id!(
    /// The identity of an approval.
    ApprovalId,
    "approval id"
);
uuid_name!(
    ApprovalId,
    "approvals",
    "approval name",
    "it must be `approvals/` and the approval's id",
    "`ssctl approval list` shows the names"
);

uuid_id!(
    /// The identity of a break-glass grant.
    GrantId,
    "grant id"
);
uuid_name!(
    GrantId,
    "breakGlassGrants",
    "grant name",
    "it must be `breakGlassGrants/` and the grant's id",
    "`ssctl break-glass list` shows the names"
);

uuid_id!(
    /// The identity of an enrolment token, which is no secret.
    TokenId,
    "token id"
);
uuid_name!(
    TokenId,
    "tokens",
    "token name",
    "it must be `tokens/` and the token's id",
    "`ssctl token list` shows the names"
);

#[cfg(test)]
mod tests;
