//! The expressions of a policy, in CEL.

use std::{collections::HashMap, sync::Arc};

use cel::{
    Context, Env,
    extractors::This,
    objects::{Key, Value as Cel},
};
use serde_json::{Value, json};

use super::Denial;
use crate::{
    access::{Snapshot, Wish},
    admission::{Act, Gate},
    expressions::{Read, convert, environment, map, read},
    kinds::View,
    objects::served,
    scale,
    schema::Object,
    store::Store,
    user::User,
};

/// A question to the authorizer in the making is a map with this key.
const AUTHORIZER: &str = "authorizer.k8s.io/wish";

/// All expressions of a policy.
pub(super) struct Compiled {
    env: Arc<Env>,
    conditions: Vec<(String, Read)>,
    variables: Vec<(String, Read)>,
    validations: Vec<Validation>,
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled").finish_non_exhaustive()
    }
}

struct Validation {
    expression: Read,
    source: String,
    message: String,
    message_expression: Option<Read>,
    reason: String,
}

fn list<'a>(spec: &'a Object, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    spec.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Compiled {
    pub(super) fn of(spec: &Object) -> Self {
        let env = environment();
        let read = |source: &str| match &env {
            Ok(env) => read(env, source),
            Err(why) => Err(why.clone()),
        };
        let named = |field: &str| {
            let all = list(spec, field);
            all.map(|it| (text(it, "name"), read(&text(it, "expression")))).collect()
        };
        let validations = list(spec, "validations").map(|it| Validation {
            expression: read(&text(it, "expression")),
            source: text(it, "expression").trim().to_owned(),
            message: text(it, "message").trim().to_owned(),
            message_expression: it.get("messageExpression").and_then(Value::as_str).map(read),
            reason: text(it, "reason"),
        });
        Self {
            conditions: named("matchConditions"),
            variables: named("variables"),
            validations: validations.collect(),
            env: Arc::new(env.unwrap_or_default()),
        }
    }

    /// Whether and why the policy denies; the error is an expression that has no value.
    pub(super) fn ask(&self, scope: &Scope) -> Result<Option<Denial>, String> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        scope.enter(&mut context).map_err(|error| error.to_string())?;
        for (_, condition) in &self.conditions {
            if !is_true(condition, &context)? {
                return Ok(None);
            }
        }
        let mut variables: HashMap<Key, Cel> = HashMap::new();
        for (name, expression) in &self.variables {
            context.add_variable_from_value("variables", map(variables.clone()));
            // One that has no value is missed by those who ask for it.
            if let Ok(value) = value(expression, &context) {
                variables.insert(Key::from(name.as_str()), value);
            }
        }
        context.add_variable_from_value("variables", map(variables));
        for validation in &self.validations {
            if is_true(&validation.expression, &context).map_err(|error| {
                format!("expression '{}' resulted in error: {error}", validation.source)
            })? {
                continue;
            }
            let told = validation.message_expression.as_ref().map(|it| value(it, &context));
            let told = match told {
                Some(Ok(Cel::String(told))) if !told.contains('\n') => told.trim().to_owned(),
                _ => String::new(),
            };
            let fallback = format!("failed expression: {}", validation.source);
            let message = [told, validation.message.clone(), fallback]
                .into_iter()
                .find(|message| !message.is_empty());
            return Ok(Some(Denial {
                message: message.unwrap_or_default(),
                reason: validation.reason.clone(),
            }));
        }
        Ok(None)
    }
}

fn value(expression: &Read, context: &Context<'_, '_>) -> Result<Cel, String> {
    let program = expression.as_ref().map_err(Clone::clone)?;
    program.execute(context).map_err(|error| error.to_string())
}

fn is_true(expression: &Read, context: &Context<'_, '_>) -> Result<bool, String> {
    Ok(value(expression, context)? == Cel::Bool(true))
}

/// What expressions are asked with.
pub(super) struct Scope {
    object: Value,
    old: Value,
    request: Value,
    namespace: Value,
    parameter: Value,
    authorizer: Arc<Authorizer>,
}

/// Who is asked about, and where the roles are.
struct Authorizer {
    store: Arc<Store>,
    user: Arc<User>,
}

impl Scope {
    pub(super) fn new(store: &Store, gate: &Gate, act: &Act<'_>, parameter: Value) -> Self {
        let resource = &act.place.resource;
        let seen = |object: Option<&Object>| match object {
            None => Value::Null,
            Some(object) if act.view == View::Scale => scale::of(resource, object).into(),
            Some(object) => served(resource, object.clone()),
        };
        let namespace = store.get(&format!("namespaces/{}", act.place.namespace));
        let namespace = namespace.map(|namespace| namespace.object());
        let kind = if act.view == View::Scale {
            json!({ "group": "autoscaling", "version": "v1", "kind": "Scale" })
        } else {
            json!({ "group": resource.group, "version": resource.version, "kind": resource.kind })
        };
        let path = json!({
            "group": resource.group, "version": resource.version, "resource": resource.plural,
        });
        let mut user = json!({ "username": gate.user.name, "groups": gate.user.groups });
        if let (Value::Object(user), false) = (&mut user, gate.user.extra.is_empty()) {
            user.insert("extra".to_owned(), json!(gate.user.extra));
        }
        let mut request = json!({
            "kind": kind, "resource": path, "requestKind": kind, "requestResource": path,
            "name": act.name, "operation": act.operation.name(), "userInfo": user,
            "dryRun": act.dry_run,
        });
        if let Value::Object(request) = &mut request {
            if !act.view.name().is_empty() {
                request.insert("subResource".to_owned(), act.view.name().into());
            }
            if resource.namespaced {
                request.insert("namespace".to_owned(), act.place.namespace.as_str().into());
            }
        }
        Self {
            object: seen(act.object),
            old: seen(act.old),
            request,
            namespace: namespace.map_or(Value::Null, Value::Object),
            parameter,
            authorizer: Arc::new(Authorizer::of(gate)),
        }
    }

    fn enter(&self, context: &mut Context<'_, '_>) -> Result<(), cel::DeclarationError> {
        for (name, value) in [
            ("object", &self.object),
            ("oldObject", &self.old),
            ("request", &self.request),
            ("namespaceObject", &self.namespace),
            ("params", &self.parameter),
        ] {
            context.add_variable_from_value(name, convert(value));
        }
        context.add_variable_from_value("authorizer", convert(&json!({ AUTHORIZER: {} })));
        for field in ["group", "resource", "subresource", "namespace", "name", "path"] {
            let step = move |This(wish): This<Cel>, value: Arc<String>| with(&wish, field, &value);
            context.add_function(field, step)?;
        }
        let check = |This(wish): This<Cel>, verb: Arc<String>| with(&wish, "verb", &verb);
        context.add_function("check", check)?;
        let authorizer = Arc::clone(&self.authorizer);
        context.add_function("allowed", move |This(wish): This<Cel>| authorizer.ask(&wish))
    }
}

/// A question with one more thing said.
fn with(wish: &Cel, field: &str, value: &Arc<String>) -> Cel {
    let mut said = match wish {
        Cel::Map(map) => HashMap::clone(&map.map),
        _ => HashMap::new(),
    };
    said.insert(Key::from(field), Cel::String(Arc::clone(value)));
    map(said)
}

impl Authorizer {
    fn of(gate: &Gate) -> Self {
        Self { store: Arc::clone(&gate.store), user: Arc::clone(&gate.user) }
    }

    fn ask(&self, wish: &Cel) -> bool {
        let Cel::Map(map) = wish else {
            return false;
        };
        let text = |field: &str| match map.map.get(&Key::from(field)) {
            Some(Cel::String(text)) => text.to_string(),
            _ => String::new(),
        };
        let path = map.map.contains_key(&Key::from("path")).then(|| text("path"));
        let wish = Wish {
            verb: text("verb"),
            group: text("group"),
            resource: text("resource"),
            subresource: text("subresource"),
            namespace: text("namespace"),
            name: text("name"),
            path,
        };
        Snapshot::of(&self.store).allows(&self.user, &wish).is_some()
    }
}
