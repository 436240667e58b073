//! `kind: Tenant`.

use serde_json::{Value, json};
use streamspace_client::Connection;
use streamspace_proto::v1::{CreateTenantRequest, Tenant, TenantState, UpdateTenantRequest};

use super::super::{
    SET_LABEL,
    fields::{Leaf, Reader, Style},
    kind::{Ask, Fields, Kind, Wish, Work, fields_of, found, message_of, read_message},
    yaml::Node,
};
use crate::{
    commands::tenant,
    errors::Failure,
    resource::{Noun as _, short, word},
};

/// Tenants. They can be put into a set of files, by a label.
pub(in super::super) struct TenantKind;

impl Kind for TenantKind {
    fn word(&self) -> &'static str {
        "Tenant"
    }

    fn prefix(&self) -> &'static str {
        Tenant::PREFIX
    }

    fn style(&self) -> Style {
        Style {
            references: &[
                ("plan", "plans/"),
                ("homeRegion", "regions/"),
                ("allowedRegions", "regions/"),
            ],
            guard: "etag",
        }
    }

    fn read_spec(&self, reader: &mut Reader, entries: &[(Node, Node)]) -> Result<Fields, String> {
        read_message::<Tenant>(reader, entries)
    }

    fn settle(&self, name: &str, wish: &mut Wish) {
        let is_given = |field: &str| wish.given.iter().any(|leaf| leaf.json == [field]);
        if is_given("displayName") && !wish.fields.contains_key("displayName") {
            wish.fields.insert("displayName".into(), short(Tenant::PREFIX, name).into());
        }
    }

    fn needs(&self, _name: &str, wish: &Fields) -> Vec<String> {
        wish.get("plan").and_then(Value::as_str).map(str::to_owned).into_iter().collect()
    }

    fn join(
        &self,
        title: &str,
        set: Option<&str>,
        wish: &mut Wish,
        before: Option<&Fields>,
    ) -> Result<(), Failure> {
        let labels = wish.given.iter().any(|leaf| leaf.json == ["labels"]);
        let is_in = before.and_then(|before| before.get("labels")?.get(SET_LABEL)?.as_str());
        if let (Some(set), Some(other)) = (set, is_in)
            && set != other
        {
            let id = short(Tenant::PREFIX, title);
            return Err(Failure::Usage {
                message: format!("{title} is in the set {other}, and not in {set}"),
                next: format!(
                    "take it out of the other files, then out of their set: `ssctl tenant set {id} \
                     --remove-label {SET_LABEL}`"
                ),
            });
        }
        let Some(set) = set.or(is_in.filter(|_| labels)) else { return Ok(()) };
        if !labels && is_in == Some(set) {
            return Ok(());
        }
        if !labels {
            // The set is put beside the labels that are there, and nobody's change of
            // them since is lost.
            let there = before.and_then(|before| before.get("labels").cloned());
            wish.fields.insert("labels".into(), there.unwrap_or_else(|| json!({})));
            wish.given.push(Leaf::top("labels", "labels"));
        }
        let all = wish.fields.entry("labels").or_insert_with(|| json!({}));
        if let Some(all) = all.as_object_mut() {
            all.entry(SET_LABEL).or_insert_with(|| set.into());
        }
        if let (true, Some(etag)) = (wish.guard.is_empty(), before.and_then(etag)) {
            wish.guard = etag;
        }
        Ok(())
    }

    fn note(&self, name: &str, resource: &Fields, _is_changed: bool) -> Option<String> {
        let state = resource.get("state").and_then(Value::as_str)?;
        let tenant = short(Tenant::PREFIX, name);
        let archived = TenantState::Archived.as_str_name();
        let suspended = TenantState::Suspended.as_str_name();
        let back = match state {
            _ if state == archived => "restore",
            _ if state == suspended => "resume",
            _ => return None,
        };
        let is = word("TENANT_STATE_", state);
        Some(format!("{name} is {is}, and stays so; `ssctl tenant {back} {tenant}` ends that"))
    }

    fn settles_in(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    fn read<'a>(&'a self, connection: &'a Connection, name: &'a str) -> Work<'a, Option<Fields>> {
        Box::pin(async move {
            let read = tenant::get(connection, name).await;
            found(read.and_then(|tenant| fields_of(&tenant)))
        })
    }

    fn create<'a>(&'a self, connection: &'a Connection, ask: Ask) -> Work<'a, Fields> {
        Box::pin(async move {
            let request = CreateTenantRequest {
                tenant_id: short(Tenant::PREFIX, &ask.name).to_owned(),
                tenant: Some(message_of(&ask.wish)?),
                validate_only: ask.validate_only,
                request_id: ask.request_id,
                reason: ask.reason,
                accept_overcommit: ask.accept_overcommit,
                adopt: ask.adopt,
            };
            fields_of(&tenant::create_call(connection, &request).await?)
        })
    }

    fn update<'a>(
        &'a self,
        connection: &'a Connection,
        ask: Ask,
        _before: Fields,
    ) -> Work<'a, Fields> {
        Box::pin(async move {
            let mut wish: Tenant = message_of(&ask.wish)?;
            wish.name = ask.name;
            wish.etag = ask.guard;
            let mask: Vec<&str> = ask.mask.iter().map(String::as_str).collect();
            let request = UpdateTenantRequest {
                tenant: Some(wish),
                update_mask: Some(tenant::mask(&mask)),
                validate_only: ask.validate_only,
                request_id: ask.request_id,
                reason: ask.reason,
                accept_overcommit: ask.accept_overcommit,
            };
            fields_of(&tenant::update_call(connection, &request).await?)
        })
    }
}

fn etag(resource: &Fields) -> Option<String> {
    resource.get("etag").and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACME: &str = "tenants/acme";

    fn fields(value: Value) -> Fields {
        match value {
            Value::Object(fields) => fields,
            other => panic!("{other} is no object"),
        }
    }

    /// The labels that are asked for, none where none are; and the guard.
    fn joined(set: Option<&str>, labels: Option<Value>, before: Option<Value>) -> (Value, String) {
        let mut wish = Wish::default();
        if let Some(labels) = labels {
            wish.fields.insert("labels".into(), labels);
            wish.given.push(Leaf::top("labels", "labels"));
        }
        let before = before.map(|labels| fields(json!({ "labels": labels, "etag": "e-1" })));
        TenantKind.join(ACME, set, &mut wish, before.as_ref()).unwrap();
        let asked = wish.given.iter().any(|leaf| leaf.mask == "labels");
        let labels = if asked { wish.fields["labels"].clone() } else { Value::Null };
        (labels, wish.guard)
    }

    #[test]
    fn a_set_stands_beside_the_labels_that_are_there() {
        let none = String::new;
        let (a, in_eu) = (json!({ "a": "1" }), json!({ "apply-set": "eu", "b": "2" }));
        let both = json!({ "a": "1", "apply-set": "eu" });
        // New: with the file's labels or alone.
        assert_eq!(joined(Some("eu"), Some(a.clone()), None), (both.clone(), none()));
        assert_eq!(joined(Some("eu"), None, None), (json!({ "apply-set": "eu" }), none()));
        assert_eq!(joined(None, Some(a.clone()), None), (a.clone(), none()));
        // There, and guarded: what others put on since must not be lost.
        assert_eq!(joined(Some("eu"), None, Some(a.clone())), (both.clone(), "e-1".into()));
        // In the set already: nothing to ask for.
        assert_eq!(joined(Some("eu"), None, Some(in_eu.clone())), (Value::Null, none()));
        // The file's labels replace the others, and never the set.
        assert_eq!(joined(Some("eu"), Some(a.clone()), Some(in_eu.clone())).0, both);
        assert_eq!(joined(None, Some(a), Some(in_eu.clone())).0, both);
        assert_eq!(joined(None, None, Some(in_eu)), (Value::Null, none()));
    }

    #[test]
    fn another_set_is_not_robbed() {
        let before = fields(json!({ "labels": { "apply-set": "us" } }));
        let joined = TenantKind.join(ACME, Some("eu"), &mut Wish::default(), Some(&before));
        let told = joined.unwrap_err().report(false);
        assert!(told.contains("in the set us") && told.contains("--remove-label"), "{told}");
    }
}
