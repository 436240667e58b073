//! A tenant as filters and orders see it, whatever holds it: the rows of a list, a row of
//! which only this was read, or a resource of the contract, as the change log keeps it.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use streamspace_core::{
    filter::{FieldValue, Record},
    tenant::TenantState,
};
use streamspace_proto::v1;

use super::{TenantRecord, convert};
use crate::rpc::time::instant;

/// What a filter of tenants may name.
pub use streamspace_core::filter::vocabulary::TENANT as FILTER_FIELDS;

/// What an order of tenants may name.
pub const ORDER_FIELDS: [&str; 6] =
    ["name", "display_name", "plan", "seats", "state", "create_time"];

/// What filters and orders see of a tenant.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// Its id.
    pub(super) id: &'a str,
    pub(super) display_name: &'a str,
    /// The plan's id.
    pub(super) plan: &'a str,
    pub(super) seats: i32,
    /// `None` where nobody said it, which no tenant of ours is.
    pub(super) state: Option<TenantState>,
    pub(super) billing_account: &'a str,
    pub(super) protected: bool,
    pub(super) labels: Labels<'a>,
    pub(super) create_time: Option<Timestamp>,
}

/// Labels in either of the maps that hold them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Labels<'a> {
    /// As a row has them.
    Sorted(&'a BTreeMap<String, String>),
    /// As the contract has them.
    Hashed(&'a HashMap<String, String>),
}

impl<'a> Labels<'a> {
    fn get(self, key: &str) -> Option<&'a str> {
        let value = match self {
            Self::Sorted(labels) => labels.get(key),
            Self::Hashed(labels) => labels.get(key),
        };
        value.map(String::as_str)
    }
}

impl Record for View<'_> {
    fn field(&self, name: &str) -> Option<FieldValue> {
        let text = |value: &str| Some(FieldValue::Text(value.to_owned()));
        match name {
            "name" => Some(FieldValue::Text(format!("tenants/{}", self.id))),
            "display_name" => text(self.display_name),
            "plan" => text(self.plan),
            "seats" => Some(FieldValue::Integer(i64::from(self.seats))),
            "state" => text(self.state?.as_str()),
            "billing_account" => text(self.billing_account),
            "protected" => Some(FieldValue::Bool(self.protected)),
            "create_time" => Some(FieldValue::Integer(self.create_time?.as_microsecond())),
            label => text(self.labels.get(label.strip_prefix("labels.")?)?),
        }
    }
}

impl<'a> From<&'a TenantRecord> for View<'a> {
    fn from(record: &'a TenantRecord) -> Self {
        let spec = &record.spec;
        Self {
            id: spec.id.as_str(),
            display_name: &spec.display_name,
            plan: spec.plan.as_str(),
            seats: spec.seats,
            state: Some(record.state),
            billing_account: &spec.billing_account,
            protected: spec.protected,
            labels: Labels::Sorted(&spec.labels),
            create_time: Some(record.create_time),
        }
    }
}

impl<'a> From<&'a v1::Tenant> for View<'a> {
    fn from(tenant: &'a v1::Tenant) -> Self {
        let id = |name: &'a str, collection: &str| name.strip_prefix(collection).unwrap_or(name);
        Self {
            id: id(&tenant.name, "tenants/"),
            display_name: &tenant.display_name,
            plan: id(&tenant.plan, "plans/"),
            seats: tenant.seats,
            state: convert::read_state(tenant.state()),
            billing_account: &tenant.billing_account,
            protected: tenant.protected,
            labels: Labels::Hashed(&tenant.labels),
            create_time: tenant.create_time.as_ref().and_then(instant),
        }
    }
}

impl Record for TenantRecord {
    fn field(&self, name: &str) -> Option<FieldValue> {
        View::from(self).field(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::store::testing::a_tenant;

    /// What a client is told of a tenant must match what a list of it matches.
    #[test]
    fn a_row_and_its_resource_look_the_same() {
        let mut record = a_tenant();
        record.spec.labels.insert("tier".into(), "gold".into());
        record.create_time = "2026-11-29T12:00:00.25Z".parse().unwrap();
        for state in TenantState::ALL {
            record.state = state;
            let resource = convert::to_proto(&record);
            let of_resource = View::from(&resource);
            let fields = FILTER_FIELDS.iter().chain(&ORDER_FIELDS).filter(|it| !it.contains('*'));
            for field in fields.copied().chain(["labels.tier"]) {
                assert_eq!(record.field(field), of_resource.field(field), "{field}");
                assert!(record.field(field).is_some(), "{field}");
            }
            for field in ["labels.other", "labels", "conditions"] {
                assert_eq!((record.field(field), of_resource.field(field)), (None, None));
            }
        }
    }
}
