//! The identities of resources and their names in the contract.
//!
//! An id is checked once, where it enters; from then on its type is the proof. A name is
//! the collection and the id, for example `tenants/acme`.

use thiserror::Error;
use uuid::Uuid;

use crate::text;
use label::{LabelRule, label};

pub(crate) mod label;

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

/// Names of a collection: a slash between it and the id. `$remedy` says of a text that is
/// no such name what to write instead.
macro_rules! collection_name {
    ($name:ident, $collection:literal, $kind:literal, $rule:literal, $remedy:expr) => {
        impl $name {
            /// Reads a name: the collection, a slash, the id.
            pub fn from_name(name: &str) -> Result<Self, IdError> {
                match name.strip_prefix(concat!($collection, "/")) {
                    Some(id) => Self::parse(id),
                    None => Err(IdError {
                        kind: $kind,
                        value: text::excerpt(name),
                        rule: $rule,
                        remedy: $remedy(name),
                    }),
                }
            }

            /// The name in the contract: the collection, a slash and the id.
            pub fn to_name(&self) -> String {
                format!(concat!($collection, "/{}"), self.0)
            }
        }
    };
}

/// Names of a collection whose ids are DNS labels.
macro_rules! label_name {
    ($name:ident, $collection:literal, $kind:literal, $rule:literal) => {
        collection_name!($name, $collection, $kind, $rule, |name: &str| {
            $name::RULE.remedy(name, concat!($collection, "/"))
        });
    };
}

/// Names of a collection whose ids are UUIDs.
macro_rules! uuid_name {
    ($name:ident, $collection:literal, $kind:literal, $rule:literal, $remedy:literal) => {
        collection_name!($name, $collection, $kind, $rule, |_: &str| $remedy.to_owned());
    };
}

label!(
    /// What people call a tenant: a DNS label of 3 to 40 characters that starts with a
    /// letter. Another tenant may have it after this one is gone; [`TenantUid`] is the
    /// identity.
    TenantId,
    LabelRule {
        kind: "tenant id",
        minimum: 3,
        maximum: 40,
        starts_with_letter: true,
        dots: false,
        rule: "it must be 3 to 40 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen",
        example: "acme-corp",
    }
);
label_name!(TenantId, "tenants", "tenant name", "it must be `tenants/` and the tenant's id");

label!(
    /// What people call a plan: a DNS label of 1 to 63 characters.
    PlanId,
    LabelRule {
        kind: "plan id",
        minimum: 1,
        maximum: 63,
        starts_with_letter: false,
        dots: false,
        rule: "it must be 1 to 63 lower-case letters, digits and hyphens, and not start or end with a hyphen",
        example: "business",
    }
);
label_name!(PlanId, "plans", "plan name", "it must be `plans/` and the plan's id");

label!(
    /// What people call an SLO: a DNS label of 1 to 63 characters that starts with a letter.
    SloId,
    LabelRule {
        kind: "SLO id",
        minimum: 1,
        maximum: 63,
        starts_with_letter: true,
        dots: false,
        rule: "it must be 1 to 63 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen",
        example: "api-availability",
    }
);
label_name!(SloId, "slos", "SLO name", "it must be `slos/` and the SLO's id");

label!(
    /// What people call a rota: a DNS label of 1 to 40 characters that starts with a letter.
    RotaId,
    LabelRule {
        kind: "rota id",
        minimum: 1,
        maximum: 40,
        starts_with_letter: true,
        dots: false,
        rule: "it must be 1 to 40 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen",
        example: "primary",
    }
);
label_name!(RotaId, "rotas", "rota name", "it must be `rotas/` and the rota's id");

label!(
    /// What people call an escalation policy: a DNS label of 1 to 40 characters that starts
    /// with a letter.
    EscalationPolicyId,
    LabelRule {
        kind: "escalation policy id",
        minimum: 1,
        maximum: 40,
        starts_with_letter: true,
        dots: false,
        rule: "it must be 1 to 40 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen",
        example: "default",
    }
);
label_name!(
    EscalationPolicyId,
    "escalationPolicies",
    "escalation policy name",
    "it must be `escalationPolicies/` and the policy's id"
);

label!(
    /// What people call a region: a DNS label of 1 to 63 characters.
    RegionId,
    LabelRule {
        kind: "region id",
        minimum: 1,
        maximum: 63,
        starts_with_letter: false,
        dots: false,
        rule: "it must be 1 to 63 lower-case letters, digits and hyphens, and not start or end with a hyphen",
        example: "eu-west-1",
    }
);
label_name!(RegionId, "regions", "region name", "it must be `regions/` and the region's id");

/// Reads a UUID in its one usual form; the crate also takes braces, URNs and bare digits,
/// which would give one resource several names.
pub(crate) fn parse_uuid(value: &str, kind: &'static str) -> Result<Uuid, IdError> {
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
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            /// Reads the UUID, in lower case with hyphens.
            pub fn parse(value: &str) -> Result<Self, $crate::ids::IdError> {
                $crate::ids::parse_uuid(value, $kind).map(Self)
            }

            /// The UUID.
            pub fn as_uuid(&self) -> &uuid::Uuid {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::IdError;

            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Self::parse(value)
            }
        }

        impl From<uuid::Uuid> for $name {
            fn from(uuid: uuid::Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for uuid::Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}
pub(crate) use uuid_id;

uuid_id!(
    /// The identity of a tenant, never used again. Rows, usage and scopes hold this and
    /// not the name.
    TenantUid,
    "tenant uid"
);

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

label!(
    /// The name of any object in a namespace: DNS labels joined by dots, at most 253
    /// characters. A session that somebody made under a name that is none of a session has
    /// one of these, and must be found to be ended.
    ObjectName,
    LabelRule {
        kind: "object name",
        minimum: 1,
        maximum: 253,
        starts_with_letter: false,
        dots: true,
        rule: "it must be 1 to 253 lower-case letters, digits, hyphens and dots, and start and end with a letter or digit, also on both sides of a dot",
        example: "ada-firefox",
    }
);

/// Which session, by the names of its tenant and of its object:
/// `tenants/{tenant}/sessions/{session}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionPath {
    /// The tenant.
    pub tenant: TenantId,
    /// The name of the object in the tenant's namespace.
    pub session: ObjectName,
}

impl SessionPath {
    /// Reads the name in the contract.
    pub fn from_name(name: &str) -> Result<Self, IdError> {
        let parts = name.strip_prefix("tenants/").and_then(|rest| rest.split_once("/sessions/"));
        let Some((tenant, session)) = parts else {
            return Err(IdError {
                kind: "session name",
                value: text::excerpt(name),
                rule: "it must be `tenants/`, the tenant's id, `/sessions/` and the session's name",
                remedy: "`tenants/acme-corp/sessions/ada-firefox` would be, for example".to_owned(),
            });
        };
        Ok(Self { tenant: TenantId::parse(tenant)?, session: ObjectName::parse(session)? })
    }

    /// The name in the contract.
    pub fn to_name(&self) -> String {
        format!("tenants/{}/sessions/{}", self.tenant, self.session)
    }
}

#[cfg(test)]
mod tests;
