//! `kind: Quota`: what a tenant may use instead of what its plan gives, without an
//! end. What was set for a time stands above it and is left alone.

use serde_json::{Value, json};
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::from_value,
    v1::{GetQuotaRequest, Quota, QuotaChange, ResetQuotaRequest, SetQuotaRequest, Tenant},
};

use super::super::{
    fields::{Leaf, Reader, Style, unknown_of},
    kind::{Ask, Fields, Kind, Wish, Work, fields_of, found},
    yaml::{self, Node},
};
use crate::{
    change::{Reply as _, request_id},
    errors::Failure,
    quantity::{RESOURCES, parse_bytes, parse_cpu},
    resource::{Noun as _, call, short},
};

/// The amount that stands for the plan's own.
const OF_PLAN: &str = "plan";

/// Quotas. Their name is the tenant's.
pub(in super::super) struct QuotaKind;

impl Kind for QuotaKind {
    fn word(&self) -> &'static str {
        "Quota"
    }

    fn prefix(&self) -> &'static str {
        Tenant::PREFIX
    }

    fn owns_prefix(&self) -> bool {
        false
    }

    fn title(&self, name: &str) -> String {
        format!("quotas/{}", short(Tenant::PREFIX, name))
    }

    fn style(&self) -> Style {
        Style { references: &[], guard: "etag" }
    }

    /// The resources, which the contract names by words and not by fields.
    fn read_spec(&self, reader: &mut Reader, entries: &[(Node, Node)]) -> Result<Fields, String> {
        let mut fields = Fields::new();
        for (key, node) in entries {
            let Some(typed) = reader.key(key) else { continue };
            let shown = reader.called(&typed);
            if typed == self.style().guard {
                reader.take_guard(node, &shown);
            } else if RESOURCES.contains(&typed.as_str()) {
                match amount(&typed, &node.value) {
                    Ok(amount) => {
                        reader.given.push(Leaf::top(&typed, &typed));
                        fields.insert(typed, amount.into());
                    }
                    Err(wanted) => {
                        let found = node.value.described();
                        let message = format!(
                            "{shown} must be {wanted}, or plan for the plan's own, and this is \
                             {found}"
                        );
                        reader.fault(node.line, message);
                    }
                }
            } else {
                let known = RESOURCES.map(str::to_owned);
                reader.fault(key.line, unknown_of(&shown, &typed, &known));
            }
        }
        Ok(fields)
    }

    fn needs(&self, name: &str, _wish: &Fields) -> Vec<String> {
        vec![name.to_owned()]
    }

    /// What stands without an end is compared; a raise for a night is another's wish.
    fn differing(&self, wish: &Wish, before: &Fields) -> Vec<String> {
        let differs = |resource: &&str| {
            let Some(wished) = wish.fields.get(*resource).and_then(Value::as_str) else {
                return false;
            };
            let wished = if wished == OF_PLAN { None } else { counted(resource, wished) };
            standing(before, resource) != wished
        };
        RESOURCES.iter().filter(|resource| differs(resource)).map(|r| (*r).to_owned()).collect()
    }

    fn compared(&self, resource: &Fields) -> Value {
        let quota: Option<Quota> = from_value(&Value::Object(resource.clone())).ok();
        let compared = quota.and_then(|quota| quota.compared().ok());
        // Before it is there, it is what the document says.
        compared.unwrap_or_else(|| Value::Object(resource.clone()))
    }

    fn settles_in(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    fn read<'a>(&'a self, connection: &'a Connection, name: &'a str) -> Work<'a, Option<Fields>> {
        Box::pin(async move {
            let request = GetQuotaRequest { tenant: name.to_owned() };
            let read = call!(connection, quotas.get_quota(request));
            found(read.and_then(|quota| fields_of(&quota)))
        })
    }

    fn create<'a>(&'a self, _connection: &'a Connection, ask: Ask) -> Work<'a, Fields> {
        Box::pin(async move {
            match Failure::not_found(&ask.name) {
                Failure::Client { error, .. } => Err(error),
                _ => Err(ClientError::Unexpected(format!("there is no {}", ask.name))),
            }
        })
    }

    fn update<'a>(
        &'a self,
        connection: &'a Connection,
        ask: Ask,
        before: Fields,
    ) -> Work<'a, Fields> {
        Box::pin(async move {
            let wished = |resource: &String| ask.wish.get(resource).and_then(Value::as_str);
            let (ends, sets): (Vec<&String>, Vec<&String>) =
                ask.mask.iter().partition(|resource| wished(resource) == Some(OF_PLAN));
            let mut guard = ask.guard.clone();
            let mut replies = Vec::new();
            if !sets.is_empty() {
                let changes = sets.iter().map(|resource| QuotaChange {
                    resource: (*resource).clone(),
                    amount: wished(resource).unwrap_or_default().to_owned(),
                });
                let request = SetQuotaRequest {
                    tenant: ask.name.clone(),
                    changes: changes.collect(),
                    ttl: None,
                    etag: guard.clone(),
                    validate_only: ask.validate_only,
                    request_id: ask.request_id.clone(),
                    reason: ask.reason.clone(),
                    accept_overcommit: ask.accept_overcommit,
                };
                let reply = call!(connection, quotas.set_quota(request))?;
                if !guard.is_empty() && !ask.validate_only {
                    guard.clone_from(&reply.etag);
                }
                replies.push(reply);
            }
            if !ends.is_empty() {
                let request = ResetQuotaRequest {
                    tenant: ask.name.clone(),
                    resources: ends.into_iter().cloned().collect(),
                    etag: guard,
                    validate_only: ask.validate_only,
                    request_id: request_id(),
                    reason: ask.reason.clone(),
                };
                replies.push(call!(connection, quotas.reset_quota(request))?);
            }
            both(&before, &replies)
        })
    }
}

/// An amount as the daemon takes it, or what would be one.
fn amount(resource: &str, value: &yaml::Value) -> Result<String, String> {
    let wanted = || {
        match resource {
            "cpu" => "an amount of CPU: 80, 1.5 or 500m",
            "pods" => "a number of pods: 500",
            _ => "an amount of bytes: 512Mi, 200Gi or 2Ti",
        }
        .to_owned()
    };
    let text = match value {
        yaml::Value::Text(text) => text.clone(),
        yaml::Value::Whole(number) => number.to_string(),
        yaml::Value::Real(number) if resource == "cpu" => number.to_string(),
        _ => return Err(wanted()),
    };
    if text == OF_PLAN || counted(resource, &text).is_some() { Ok(text) } else { Err(wanted()) }
}

/// An amount in the contract's unit of the resource.
fn counted(resource: &str, text: &str) -> Option<i64> {
    match resource {
        "cpu" => parse_cpu(text).ok(),
        "memory" | "storage" => parse_bytes(text).ok(),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

/// What is set of a resource without an end.
fn standing(quota: &Fields, resource: &str) -> Option<i64> {
    let overrides = quota.get("overrides").and_then(Value::as_array)?;
    let stands = |set: &&Value| {
        set.get("resource").and_then(Value::as_str) == Some(resource)
            && set.get("expireTime").is_none()
    };
    let set = overrides.iter().rev().find(stands)?;
    set.get("amount").and_then(Value::as_str).and_then(|amount| amount.parse().ok()).or(Some(0))
}

/// The quota after both calls. A preview of the second does not know of the first:
/// what either changes is taken from it.
fn both(before: &Fields, replies: &[Quota]) -> Result<Fields, ClientError> {
    let replies: Vec<Fields> = replies.iter().map(fields_of).collect::<Result<_, _>>()?;
    let mut told: Vec<Value> = Vec::new();
    let mut after = replies.last().cloned().unwrap_or_else(|| before.clone());
    for reply in &replies {
        told.extend(
            reply.get("consequences").and_then(Value::as_array).cloned().unwrap_or_default(),
        );
        for (list, key) in [("lines", "resource"), ("overrides", "resource")] {
            let merged = merge(before.get(list), after.get(list), reply.get(list), key);
            after.insert(list.into(), merged);
        }
    }
    after.insert("consequences".into(), json!(told));
    Ok(after)
}

/// `after`, with the entries of `reply` that differ from `before`.
fn merge(before: Option<&Value>, after: Option<&Value>, reply: Option<&Value>, key: &str) -> Value {
    let entries =
        |list: Option<&Value>| list.and_then(Value::as_array).cloned().unwrap_or_default();
    let of = |list: &[Value], name: &Value| -> Vec<Value> {
        list.iter().filter(|entry| entry.get(key) == Some(name)).cloned().collect()
    };
    let (before, after, reply) = (entries(before), entries(after), entries(reply));
    let mut names: Vec<Value> = Vec::new();
    for entry in after.iter().chain(&reply) {
        let name = entry.get(key).cloned().unwrap_or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let chosen = names.iter().flat_map(|name| {
        let told = of(&reply, name);
        if told == of(&before, name) { of(&after, name) } else { told }
    });
    Value::Array(chosen.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(value: Value) -> Fields {
        match value {
            Value::Object(fields) => fields,
            other => panic!("{other} is no object"),
        }
    }

    fn wish(value: Value) -> Wish {
        Wish { fields: fields(value), given: Vec::new(), guard: String::new() }
    }

    #[test]
    fn what_is_set_for_a_time_is_another_wish() {
        let before = fields(json!({ "overrides": [
            { "resource": "cpu", "amount": "80000" },
            { "resource": "cpu", "amount": "120000", "expireTime": "2026-11-25T06:00:00Z" },
            { "resource": "pods", "amount": "900", "expireTime": "2026-11-25T06:00:00Z" },
        ]}));
        let differing = |value| QuotaKind.differing(&wish(value), &before);
        assert!(differing(json!({ "cpu": "80" })).is_empty());
        assert!(differing(json!({ "cpu": "80000m" })).is_empty(), "the same amount");
        assert_eq!(differing(json!({ "cpu": "120" })), ["cpu"]);
        assert!(differing(json!({ "pods": "plan" })).is_empty());
        assert_eq!(differing(json!({ "pods": "900", "cpu": "plan" })), ["cpu", "pods"]);
    }

    #[test]
    fn amounts_are_absolute_and_exact() {
        let text = |text: &str| yaml::Value::Text(text.into());
        assert_eq!(amount("cpu", &yaml::Value::Real(1.5)), Ok("1.5".into()));
        assert_eq!(amount("pods", &yaml::Value::Whole(500)), Ok("500".into()));
        assert_eq!(amount("memory", &text("plan")), Ok("plan".into()));
        for (resource, value) in [
            ("cpu", text("+40")),
            ("memory", yaml::Value::Real(1.5)),
            ("pods", yaml::Value::Whole(-1)),
            ("storage", yaml::Value::Null),
            ("pods", text("")),
        ] {
            assert!(amount(resource, &value).is_err(), "{resource} {value:?}");
        }
    }

    #[test]
    fn two_previews_become_one() {
        let line = |resource: &str, hard: &str| json!({ "resource": resource, "hard": hard });
        let before = json!([line("cpu", "1"), line("pods", "2")]);
        let first = json!([line("cpu", "9"), line("pods", "2")]);
        let second = json!([line("cpu", "1"), line("pods", "3")]);
        let merged = merge(Some(&before), Some(&second), Some(&first), "resource");
        assert_eq!(merged, json!([line("cpu", "9"), line("pods", "3")]));
    }
}
