//! `kind: Plan`.

use serde_json::Value;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::v1::{CreatePlanRequest, GetPlanRequest, Plan, UpdatePlanRequest};

use super::super::{
    fields::{Reader, Style},
    kind::{Ask, Fields, Kind, Wish, Work, fields_of, found, message_of, read_message},
    yaml::Node,
};
use crate::{
    commands::tenant::mask,
    resource::{Noun as _, call, short},
};

/// The overcommit that the daemon takes where a plan says nothing.
const OVERCOMMIT_UNLESS_SAID: i32 = 4000;

/// Plans. A change is their next version; tenants keep theirs.
pub(in super::super) struct PlanKind;

impl Kind for PlanKind {
    fn word(&self) -> &'static str {
        "Plan"
    }

    fn prefix(&self) -> &'static str {
        Plan::PREFIX
    }

    fn style(&self) -> Style {
        // A version never changes: it is to a plan what an etag is to a tenant.
        Style { references: &[], guard: "version" }
    }

    fn read_spec(&self, reader: &mut Reader, entries: &[(Node, Node)]) -> Result<Fields, String> {
        read_message::<Plan>(reader, entries)
    }

    fn settle(&self, name: &str, wish: &mut Wish) {
        let unset = |wish: &Wish, field: &str| {
            wish.given.iter().any(|leaf| leaf.json == [field]) && !wish.fields.contains_key(field)
        };
        if unset(wish, "displayName") {
            wish.fields.insert("displayName".into(), short(Plan::PREFIX, name).into());
        }
        if unset(wish, "overcommitPermille") {
            wish.fields.insert("overcommitPermille".into(), OVERCOMMIT_UNLESS_SAID.into());
        }
        // The next place among the plans, for a new one; as it is, for another.
        if unset(wish, "rank") {
            wish.given.retain(|leaf| leaf.json != ["rank"]);
        }
    }

    fn note(&self, name: &str, resource: &Fields, is_changed: bool) -> Option<String> {
        if !is_changed {
            return None;
        }
        let version = resource.get("version").and_then(Value::as_i64).filter(|at| *at > 1)?;
        let id = short(Plan::PREFIX, name);
        Some(format!(
            "{name} has version {version}; tenants keep theirs until `ssctl tenant set NAME --plan \
             {id}`"
        ))
    }

    fn read<'a>(&'a self, connection: &'a Connection, name: &'a str) -> Work<'a, Option<Fields>> {
        Box::pin(async move {
            let request = GetPlanRequest { name: name.to_owned() };
            let read = call!(connection, plans.get_plan(request));
            found(read.and_then(|plan| fields_of(&plan)))
        })
    }

    fn create<'a>(&'a self, connection: &'a Connection, ask: Ask) -> Work<'a, Fields> {
        Box::pin(async move {
            let request = CreatePlanRequest {
                plan_id: short(Plan::PREFIX, &ask.name).to_owned(),
                plan: Some(message_of(&ask.wish)?),
                validate_only: ask.validate_only,
                request_id: ask.request_id,
                reason: ask.reason,
            };
            fields_of(&call!(connection, plans.create_plan(request))?)
        })
    }

    fn update<'a>(
        &'a self,
        connection: &'a Connection,
        ask: Ask,
        _before: Fields,
    ) -> Work<'a, Fields> {
        Box::pin(async move {
            let mut wish: Plan = message_of(&ask.wish)?;
            wish.name = ask.name;
            let paths: Vec<&str> = ask.mask.iter().map(String::as_str).collect();
            let request = UpdatePlanRequest {
                plan: Some(wish),
                update_mask: Some(mask(&paths)),
                if_version: version(&ask.guard)?,
                validate_only: ask.validate_only,
                request_id: ask.request_id,
                reason: ask.reason,
            };
            fields_of(&call!(connection, plans.update_plan(request))?)
        })
    }
}

/// The version that a guard names.
fn version(guard: &str) -> Result<i32, ClientError> {
    if guard.is_empty() {
        return Ok(0);
    }
    guard.parse().map_err(|_| ClientError::Unexpected(format!("version {guard} is no number")))
}
