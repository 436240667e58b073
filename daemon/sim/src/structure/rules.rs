//! The rules that a definition's schema has in CEL: `x-kubernetes-validations`.
//!
//! Rules that compare with the object as it was are not followed.

use std::{collections::BTreeMap, sync::Arc};

use cel::{Context, Env, objects::Value as Cel};
use serde_json::Value;

use crate::{
    expressions::{Read, convert, environment, read},
    status::Fault,
};

/// The rules of one place in a schema, and of the places below it.
pub(crate) struct Rules {
    env: Arc<Env>,
    own: Vec<Rule>,
    fields: BTreeMap<String, Rules>,
    /// Of the items of a list, or of a map's values.
    inner: Option<Box<Rules>>,
}

struct Rule {
    expression: Read,
    source: String,
    message: String,
    message_expression: Option<Read>,
    field: String,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("own", &self.own.len()).finish_non_exhaustive()
    }
}

impl Rules {
    /// Reads the rules of a schema; `None` where it has none.
    pub(crate) fn of(shape: &Value) -> Option<Self> {
        let env = Arc::new(environment().ok()?);
        Self::below(shape, &env)
    }

    fn below(shape: &Value, env: &Arc<Env>) -> Option<Self> {
        let list = shape.get("x-kubernetes-validations").and_then(Value::as_array);
        let rules = list.into_iter().flatten().filter_map(|rule| {
            let text = |field: &str| {
                rule.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            let source = text("rule");
            (!source.contains("oldSelf")).then(|| Rule {
                expression: read(env, &source),
                message: text("message"),
                message_expression: rule
                    .get("messageExpression")
                    .and_then(Value::as_str)
                    .map(|source| read(env, source)),
                field: text("fieldPath"),
                source,
            })
        });
        let own: Vec<Rule> = rules.collect();
        let properties = shape.get("properties").and_then(Value::as_object).into_iter().flatten();
        let fields: BTreeMap<String, Self> = properties
            .filter_map(|(name, shape)| Some((name.clone(), Self::below(shape, env)?)))
            .collect();
        let inner = shape.get("items").or(shape.get("additionalProperties"));
        let inner = inner.and_then(|shape| Self::below(shape, env)).map(Box::new);
        let is_empty = own.is_empty() && fields.is_empty() && inner.is_none();
        (!is_empty).then(|| Self { env: Arc::clone(env), own, fields, inner })
    }

    /// What the rules refuse of a value at this path.
    pub(crate) fn faults(&self, value: &Value, path: &str, found: &mut Vec<Fault>) {
        for rule in &self.own {
            found.extend(self.ask(rule, value, path));
        }
        let below =
            |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for (name, rules) in &self.fields {
            if let Some(value) = value.get(name) {
                rules.faults(value, &below(name), found);
            }
        }
        match (&self.inner, value) {
            (Some(rules), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    rules.faults(item, &format!("{path}[{index}]"), found);
                }
            }
            (Some(rules), Value::Object(map)) => {
                for (name, value) in map {
                    rules.faults(value, &below(name), found);
                }
            }
            _ => {}
        }
    }

    fn ask(&self, rule: &Rule, value: &Value, path: &str) -> Option<Fault> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.add_variable_from_value("self", convert(value));
        let run = |expression: &Read| match expression {
            Ok(program) => program.execute(&context).map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        };
        let message = match run(&rule.expression) {
            Ok(Cel::Bool(true)) => return None,
            Ok(_) => {
                let told = rule.message_expression.as_ref().map(run);
                match told {
                    Some(Ok(Cel::String(told))) if !told.is_empty() => told.to_string(),
                    _ if !rule.message.is_empty() => rule.message.clone(),
                    _ => format!("failed rule: {}", rule.source),
                }
            }
            Err(why) => format!("{why}: evaluating rule: {}", rule.source),
        };
        let path = match (path, rule.field.as_str()) {
            ("", "") => "<nil>".to_owned(),
            (path, field) => format!("{path}{field}").trim_start_matches('.').to_owned(),
        };
        Some(Fault::broken_rule(path, &message))
    }
}
