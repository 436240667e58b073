//! The admission policies.
//!
//! The API server looks for a policy's parameter after it has matched the policy's
//! constraints and before it evaluates its conditions. A policy that is refused where its
//! parameter is missing must therefore be constrained, by selectors, to what may be
//! refused then: to managed objects, and never to the namespace that the parameter is in.

use k8s_openapi::{
    api::admissionregistration::v1::{
        MatchCondition, MatchResources, NamedRuleWithOperations, ParamKind, ParamRef,
        ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
        ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec, Validation, Variable,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};

use super::{Manifests, Wish};
use crate::platform::names::{FENCE, INSTANCE, LEADER, TERM_EXTRA};

const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
const WRITES: [&str; 3] = ["CREATE", "UPDATE", "DELETE"];
/// A term as text. It fits an integer of CEL.
const TERM_FORMAT: &str = "'^(0|[1-9][0-9]{0,17})$'";

impl Manifests {
    /// The policies with their bindings.
    pub fn policies(&self) -> Result<Vec<Wish>, serde_json::Error> {
        let mut wishes = Vec::new();
        for (policy, bindings) in [
            (self.guard(), vec![self.guard_binding()]),
            (self.tenants(), vec![self.tenants_binding()]),
            (self.term(), vec![self.term_binding(), self.term_rest_binding()]),
            (self.parameters(), vec![self.parameters_binding()]),
        ] {
            wishes.push(Wish::of(&policy)?);
            for binding in bindings {
                wishes.push(Wish::of(&binding)?);
            }
        }
        Ok(wishes)
    }

    /// Managed objects are changed, deleted and made by those who may.
    fn guard(&self) -> ValidatingAdmissionPolicy {
        let spec = ValidatingAdmissionPolicySpec {
            match_constraints: Some(MatchResources {
                // It is enough that the object has the labels before or after the
                // change: neither can they be taken away, nor given to others.
                object_selector: Some(self.managed()),
                namespace_selector: Some(self.not_the_control_namespace()),
                resource_rules: Some(vec![rule(&["*"], &["*"], &WRITES)]),
                // The daemon's own rights. Who may change those needs no other way.
                exclude_resource_rules: Some(vec![rule(
                    &["rbac.authorization.k8s.io"],
                    &["clusterroles", "clusterrolebindings"],
                    &["*"],
                )]),
                match_policy: equivalent(),
            }),
            param_kind: config_map(),
            variables: Some(who()),
            validations: Some(vec![Validation {
                expression: "variables.trusted".into(),
                message_expression: Some(format!(
                    "request.userInfo.username + ' may not ' + request.operation.lowerAscii() + \
                     ' this object: streamspaced manages it (labels of instance {}). Change it \
                     with ssctl; in an emergency act in the group {}'",
                    self.names.instance(),
                    self.names.break_glass_group()
                )),
                reason: forbidden(),
                ..Default::default()
            }]),
            ..fail()
        };
        self.policy(self.names.guard(), spec)
    }

    fn guard_binding(&self) -> ValidatingAdmissionPolicyBinding {
        self.binding(self.names.guard(), self.names.guard(), Some((FENCE, "Deny")), None)
    }

    /// Others' objects in tenants' namespaces: nothing that opens the network, and
    /// nothing that scales what the daemon runs there. A scale carries no labels, so
    /// the namespace's count.
    fn tenants(&self) -> ValidatingAdmissionPolicy {
        let spec = ValidatingAdmissionPolicySpec {
            match_constraints: Some(MatchResources {
                namespace_selector: Some(LabelSelector {
                    match_expressions: self.not_the_control_namespace().match_expressions,
                    ..self.managed()
                }),
                resource_rules: Some(vec![
                    rule(&["networking.k8s.io"], &["networkpolicies"], &["CREATE", "UPDATE"]),
                    rule(&["apps"], &["deployments/scale"], &["UPDATE"]),
                ]),
                match_policy: equivalent(),
                ..Default::default()
            }),
            param_kind: config_map(),
            variables: Some(who()),
            validations: Some(vec![
                Validation {
                    expression: "variables.trusted || request.resource.resource != \
                                 'networkpolicies' || !has(object.spec.egress) || \
                                 size(object.spec.egress) == 0"
                        .into(),
                    message: Some(
                        "a network policy in a tenant's namespace may not allow egress: what the \
                         tenant may reach is decided by its plan"
                            .into(),
                    ),
                    reason: forbidden(),
                    ..Default::default()
                },
                Validation {
                    expression: "variables.trusted || request.resource.resource != 'deployments'"
                        .into(),
                    message: Some(
                        "deployments in a tenant's namespace are scaled by streamspaced; change \
                         the session's state instead"
                            .into(),
                    ),
                    reason: forbidden(),
                    ..Default::default()
                },
            ]),
            ..fail()
        };
        self.policy(self.names.tenants(), spec)
    }

    fn tenants_binding(&self) -> ValidatingAdmissionPolicyBinding {
        self.binding(self.names.tenants(), self.names.tenants(), Some((FENCE, "Deny")), None)
    }

    /// A leader whose term has passed changes nothing.
    fn term(&self) -> ValidatingAdmissionPolicy {
        let given = format!(
            "has(request.userInfo.extra) && '{TERM_EXTRA}' in request.userInfo.extra && \
             size(request.userInfo.extra['{TERM_EXTRA}']) == 1 ? \
             request.userInfo.extra['{TERM_EXTRA}'][0] : ''"
        );
        let spec = ValidatingAdmissionPolicySpec {
            match_constraints: Some(MatchResources {
                resource_rules: Some(vec![rule(&["*"], &["*/*"], &WRITES)]),
                match_policy: equivalent(),
                ..Default::default()
            }),
            match_conditions: Some(vec![MatchCondition {
                name: "daemon".into(),
                expression: format!("request.userInfo.username == '{}'", self.names.acting_user()),
            }]),
            param_kind: config_map(),
            variables: Some(vec![variable("given", &given), variable("term", &param("term"))]),
            validations: Some(vec![Validation {
                expression: format!(
                    "variables.given.matches({TERM_FORMAT}) && \
                     variables.term.matches({TERM_FORMAT}) && \
                     int(variables.given) >= int(variables.term)"
                ),
                message_expression: Some(
                    "'stale leader term: the request carries \"' + variables.given + '\" and the \
                     cluster accepts ' + variables.term + ' and later'"
                        .into(),
                ),
                reason: forbidden(),
                ..Default::default()
            }, Validation {
                // The right to make pods is for dry runs that prove isolation.
                expression: "request.operation != 'CREATE' || request.resource.group != '' || \
                             request.resource.resource != 'pods' || \
                             (has(request.dryRun) && request.dryRun)"
                    .into(),
                message: Some("the daemon makes pods in dry runs only".into()),
                reason: forbidden(),
                ..Default::default()
            }]),
            ..fail()
        };
        self.policy(self.names.term(), spec)
    }

    /// Where the term is lost, managed objects stay as they are.
    fn term_binding(&self) -> ValidatingAdmissionPolicyBinding {
        let only = MatchResources {
            object_selector: Some(self.managed()),
            namespace_selector: Some(self.not_the_control_namespace()),
            match_policy: equivalent(),
            ..Default::default()
        };
        let policy = self.names.term();
        self.binding(policy.clone(), policy, Some((LEADER, "Deny")), Some(only))
    }

    /// All else that the daemon writes is held to the term too. It matches every write
    /// of everybody, so a lost term must not refuse here, or nobody could put it back.
    fn term_rest_binding(&self) -> ValidatingAdmissionPolicyBinding {
        let policy = self.names.term();
        self.binding(format!("{policy}-rest"), policy, Some((LEADER, "Allow")), None)
    }

    /// Who may change the policies may change what they read; and the term only rises.
    /// This one reads nothing itself.
    fn parameters(&self) -> ValidatingAdmissionPolicy {
        let old_term = "has(oldObject.data) && 'term' in oldObject.data && \
             oldObject.data['term'].matches(FORMAT) ? int(oldObject.data['term']) : 0"
            .replace("FORMAT", TERM_FORMAT);
        let new_is_a_term = format!(
            "has(object.data) && 'term' in object.data && object.data['term'].matches({TERM_FORMAT})"
        );
        let spec = ValidatingAdmissionPolicySpec {
            match_constraints: Some(MatchResources {
                namespace_selector: Some(LabelSelector {
                    match_labels: Some(
                        [(NAMESPACE_NAME.to_owned(), self.names.control_namespace())].into(),
                    ),
                    ..Default::default()
                }),
                resource_rules: Some(vec![rule(&[""], &["configmaps"], &WRITES)]),
                match_policy: equivalent(),
                ..Default::default()
            }),
            match_conditions: Some(vec![
                MatchCondition {
                    name: "parameters".into(),
                    expression: format!(
                        "(object != null ? object : oldObject).metadata.name in \
                         ['{LEADER}', '{FENCE}', '{INSTANCE}']"
                    ),
                },
                MatchCondition {
                    // They remove what is in a namespace that is deleted.
                    name: "not-the-system".into(),
                    expression: "request.userInfo.username != 'system:kube-controller-manager' && \
                                 !(has(request.userInfo.groups) && \
                                 'system:serviceaccounts:kube-system' in request.userInfo.groups)"
                        .into(),
                },
            ]),
            variables: Some(vec![variable(
                "is_term",
                &format!("request.operation != 'DELETE' && object.metadata.name == '{LEADER}'"),
            )]),
            validations: Some(vec![
                Validation {
                    expression: format!(
                        "authorizer.group('admissionregistration.k8s.io')\
                         .resource('validatingadmissionpolicies').name('{}')\
                         .check('update').allowed()",
                        self.names.guard()
                    ),
                    message: Some(format!(
                        "this is a parameter of the admission policies: only who may update the \
                         policy {} may change it",
                        self.names.guard()
                    )),
                    reason: forbidden(),
                    ..Default::default()
                },
                Validation {
                    expression: format!("!variables.is_term || ({new_is_a_term})"),
                    message: Some("data.term must be a leader term: a whole number".into()),
                    ..Default::default()
                },
                Validation {
                    expression: format!(
                        "!variables.is_term || request.operation != 'UPDATE' || \
                         !({new_is_a_term}) || int(object.data['term']) >= ({old_term})"
                    ),
                    message: Some("data.term: a leader term is never lowered".into()),
                    ..Default::default()
                },
            ]),
            ..fail()
        };
        self.policy(self.names.parameters(), spec)
    }

    fn parameters_binding(&self) -> ValidatingAdmissionPolicyBinding {
        self.binding(self.names.parameters(), self.names.parameters(), None, None)
    }

    fn policy(
        &self,
        name: String,
        spec: ValidatingAdmissionPolicySpec,
    ) -> ValidatingAdmissionPolicy {
        ValidatingAdmissionPolicy {
            metadata: self.metadata(name),
            spec: Some(spec),
            ..Default::default()
        }
    }

    fn binding(
        &self,
        name: String,
        policy: String,
        parameter: Option<(&str, &str)>,
        only: Option<MatchResources>,
    ) -> ValidatingAdmissionPolicyBinding {
        ValidatingAdmissionPolicyBinding {
            metadata: self.metadata(name),
            spec: ValidatingAdmissionPolicyBindingSpec {
                policy_name: policy,
                param_ref: parameter.map(|(name, when_missing)| ParamRef {
                    name: Some(name.to_owned()),
                    namespace: Some(self.names.control_namespace()),
                    parameter_not_found_action: Some(when_missing.to_owned()),
                    ..Default::default()
                }),
                match_resources: only,
                validation_actions: vec!["Deny".into()],
            },
        }
    }

    /// Selects what carries our labels.
    pub(super) fn managed(&self) -> LabelSelector {
        LabelSelector { match_labels: Some(self.labels()), ..Default::default() }
    }

    pub(super) fn not_the_control_namespace(&self) -> LabelSelector {
        LabelSelector {
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: NAMESPACE_NAME.into(),
                operator: "NotIn".into(),
                values: Some(vec![self.names.control_namespace()]),
            }]),
            ..Default::default()
        }
    }
}

/// Whether the caller is one of those whom the parameter names.
fn who() -> Vec<Variable> {
    let lines = |key: &str| format!("({}).split('\\n')", param(key));
    vec![
        variable("users", &lines("users")),
        variable("groups", &lines("groups")),
        variable(
            "trusted",
            "request.userInfo.username in variables.users || (has(request.userInfo.groups) && \
             request.userInfo.groups.exists(group, group in variables.groups))",
        ),
    ]
}

/// A value of the parameter, or nothing.
fn param(key: &str) -> String {
    format!("has(params.data) && '{key}' in params.data ? params.data['{key}'] : ''")
}

fn variable(name: &str, expression: &str) -> Variable {
    Variable { name: name.to_owned(), expression: expression.to_owned() }
}

fn rule(groups: &[&str], resources: &[&str], operations: &[&str]) -> NamedRuleWithOperations {
    let owned = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
    NamedRuleWithOperations {
        api_groups: owned(groups),
        api_versions: owned(&["*"]),
        resources: owned(resources),
        operations: owned(operations),
        ..Default::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the fields of a policy are optional")]
fn config_map() -> Option<ParamKind> {
    Some(ParamKind { api_version: Some("v1".into()), kind: Some("ConfigMap".into()) })
}

#[expect(clippy::unnecessary_wraps, reason = "the fields of a policy are optional")]
fn equivalent() -> Option<String> {
    Some("Equivalent".into())
}

#[expect(clippy::unnecessary_wraps, reason = "the fields of a policy are optional")]
fn forbidden() -> Option<String> {
    Some("Forbidden".into())
}

fn fail() -> ValidatingAdmissionPolicySpec {
    ValidatingAdmissionPolicySpec { failure_policy: Some("Fail".into()), ..Default::default() }
}
