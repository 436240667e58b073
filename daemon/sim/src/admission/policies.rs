//! Validating admission policies: their bindings, parameters and expressions.
//!
//! A policy works from the moment that it is stored; the API server takes a second or two.
//! Nothing is said about the types of expressions, and no cost is counted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use super::{Act, Gate};
use crate::{
    schema::{Object, at},
    status::Failure,
    store::Store,
};

mod expressions;
mod matching;

use expressions::{Compiled, Scope};

const GROUP: &str = "admissionregistration.k8s.io";

/// The policies whose expressions were read, by their names.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    compiled: Mutex<HashMap<String, (u64, Arc<Policy>)>>,
}

/// A policy, ready to be asked.
#[derive(Debug)]
struct Policy {
    name: String,
    spec: Object,
    compiled: Compiled,
}

/// Why a request is denied.
struct Denial {
    message: String,
    reason: String,
}

impl Policies {
    /// Asks every policy that is bound to such writes.
    pub(super) fn check(&self, store: &Store, gate: &Gate, act: &Act<'_>) -> Result<(), Failure> {
        // Or a wrong policy could never be put right.
        if act.place.resource.group == GROUP {
            return Ok(());
        }
        let policies = store.all(&format!("validatingadmissionpolicies.{GROUP}/"));
        if policies.is_empty() {
            return Ok(());
        }
        let bindings: Vec<Object> = store
            .all(&format!("validatingadmissionpolicybindings.{GROUP}/"))
            .iter()
            .map(|binding| binding.object())
            .collect();
        for stored in policies {
            let policy = self.policy(&stored.name, stored.revision, || stored.object());
            let constraints = policy.spec.get("matchConstraints");
            if !matching::matches(store, act, constraints) {
                continue;
            }
            let of_this = |binding: &&Object| {
                at(binding, &["spec", "policyName"]).and_then(Value::as_str) == Some(&*policy.name)
            };
            for binding in bindings.iter().filter(of_this) {
                policy.ask(store, gate, act, binding)?;
            }
        }
        Ok(())
    }

    fn policy(&self, name: &str, revision: u64, read: impl FnOnce() -> Object) -> Arc<Policy> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, policy)) = compiled.get(name)
            && *known == revision
        {
            return Arc::clone(policy);
        }
        let spec = match read().remove("spec") {
            Some(Value::Object(spec)) => spec,
            _ => Object::new(),
        };
        let policy =
            Arc::new(Policy { name: name.to_owned(), compiled: Compiled::of(&spec), spec });
        compiled.insert(name.to_owned(), (revision, Arc::clone(&policy)));
        policy
    }
}

impl Policy {
    /// Asks the policy as this binding has it.
    fn ask(
        &self,
        store: &Store,
        gate: &Gate,
        act: &Act<'_>,
        binding: &Object,
    ) -> Result<(), Failure> {
        let denies = at(binding, &["spec", "validationActions"]).and_then(Value::as_array);
        if !denies.into_iter().flatten().any(|action| action == "Deny") {
            return Ok(());
        }
        if !matching::matches(store, act, at(binding, &["spec", "matchResources"])) {
            return Ok(());
        }
        let ignores = self.spec.get("failurePolicy").is_some_and(|policy| policy == "Ignore");
        let parameters = match self.parameters(store, gate, act, binding) {
            Ok(parameters) => parameters,
            Err(_) if ignores => return Ok(()),
            Err(why) => {
                let message = format!("failed to configure binding: {why}");
                return Err(self.refusal(act, binding, &Denial { message, reason: String::new() }));
            }
        };
        for parameter in parameters {
            let scope = Scope::new(store, gate, act, parameter);
            match self.compiled.ask(&scope) {
                Ok(None) => {}
                Ok(Some(denial)) => return Err(self.refusal(act, binding, &denial)),
                Err(_) if ignores => {}
                Err(message) => {
                    let denial = Denial { message, reason: String::new() };
                    return Err(self.refusal(act, binding, &denial));
                }
            }
        }
        Ok(())
    }

    /// The objects that the expressions are asked with; one that is nothing where the
    /// policy wants none.
    fn parameters(
        &self,
        store: &Store,
        gate: &Gate,
        act: &Act<'_>,
        binding: &Object,
    ) -> Result<Vec<Value>, String> {
        let (Some(kind), Some(reference)) =
            (self.spec.get("paramKind"), at(binding, &["spec", "paramRef"]))
        else {
            return Ok(vec![Value::Null]);
        };
        let text = |value: &Value, field: &str| {
            value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (version, kind) = (text(kind, "apiVersion"), text(kind, "kind"));
        let all = gate.kinds.all();
        let known = all.iter().find(|it| it.api_version() == version && it.kind == kind);
        let Some(resource) = known else {
            return Err(format!("paramKind kind `{version}, Kind={kind}` not known"));
        };
        let namespace = match text(reference, "namespace") {
            given if !given.is_empty() => given,
            _ if resource.namespaced && act.place.namespace.is_empty() => {
                return Err(
                    "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".to_owned(),
                );
            }
            _ => act.place.namespace.clone(),
        };
        let name = text(reference, "name");
        let found: Vec<Value> = if name.is_empty() {
            let selector = reference.get("selector").unwrap_or(&Value::Null);
            let all = store.all(&resource.prefix(&namespace));
            let selected =
                all.iter().filter(|it| matching::selects(selector, &|key| it.label(key)));
            selected.map(|it| crate::objects::served(resource, it.object())).collect()
        } else {
            let found = store.get(&resource.key(&namespace, &name));
            found.iter().map(|it| crate::objects::served(resource, it.object())).collect()
        };
        if found.is_empty() && text(reference, "parameterNotFoundAction") != "Allow" {
            return Err(
                "no params found for policy binding with `Deny` parameterNotFoundAction".to_owned()
            );
        }
        Ok(found)
    }

    fn refusal(&self, act: &Act<'_>, binding: &Object, denial: &Denial) -> Failure {
        let name = at(binding, &["metadata", "name"]).and_then(Value::as_str).unwrap_or_default();
        let message = format!(
            "ValidatingAdmissionPolicy '{}' with binding '{name}' denied request: {}",
            self.name, denial.message
        );
        act.forbidden(&message).denied_by_policy(&denial.reason, &message)
    }
}
