//! The access rule of each method, read from the descriptor.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, ExtensionDescriptor, MethodDescriptor};

use crate::v1::{Audience, AuditClass, MethodPolicy, Role, Scope};

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(crate::FILE_DESCRIPTOR_SET).ok());

/// The descriptors of the contract. Decoded once, at the first use.
///
/// `None` cannot happen with the descriptor that the build embeds; a test holds
/// that.
pub fn pool() -> Option<&'static DescriptorPool> {
    POOL.as_ref()
}

/// One method and its rule.
#[derive(Clone, Debug)]
pub struct Method {
    /// `package.Service/Method`, the path of a call without the leading slash.
    pub path: String,
    /// Who may call it and what it does.
    pub policy: MethodPolicy,
    /// The descriptor of its request; `None` for the methods of other packages.
    pub input: Option<prost_reflect::MessageDescriptor>,
    /// Whether it answers with a stream.
    pub streams: bool,
}

/// Every method that the daemon serves: those of the contract, health and
/// reflection.
pub fn methods() -> Vec<Method> {
    contract_methods().into_iter().chain(foreign_methods()).collect()
}

fn contract_methods() -> Vec<Method> {
    let Some(pool) = pool() else { return Vec::new() };
    let Some(option) = pool.get_extension_by_name("streamspace.admin.v1.policy") else {
        return Vec::new();
    };
    pool.services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| Method {
            path: path_of(&method),
            policy: policy_of(&method, &option),
            input: Some(method.input()),
            streams: method.is_server_streaming(),
        })
        .collect()
}

fn path_of(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

fn policy_of(method: &MethodDescriptor, option: &ExtensionDescriptor) -> MethodPolicy {
    let options = method.options();
    let value = options.get_extension(option);
    // The default grants nothing: its audience is unspecified.
    value.as_message().and_then(|m| m.transcode_to().ok()).unwrap_or_default()
}

/// Health is asked by load balancers, which have no certificate, and tells
/// nothing but whether the daemon serves. Reflection shows the contract to
/// whoever may read the region.
fn foreign_methods() -> Vec<Method> {
    const HEALTH: [(&str, bool); 3] = [("Check", false), ("List", false), ("Watch", true)];
    const REFLECTION: [&str; 2] = ["v1", "v1alpha"];
    let health = HEALTH.iter().map(|(name, streams)| Method {
        path: format!("grpc.health.v1.Health/{name}"),
        policy: read_policy(Audience::Anonymous, Role::Unspecified),
        input: None,
        streams: *streams,
    });
    let reflection = REFLECTION.iter().map(|version| Method {
        path: format!("grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"),
        policy: read_policy(Audience::Operator, Role::Viewer),
        input: None,
        streams: true,
    });
    health.chain(reflection).collect()
}

fn read_policy(audience: Audience, least_role: Role) -> MethodPolicy {
    MethodPolicy {
        audience: audience.into(),
        least_role: least_role.into(),
        scope: Scope::Self_.into(),
        audit_class: AuditClass::Read.into(),
        ..MethodPolicy::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The build refuses a method without the option; this holds what the build
    /// cannot see: that the rule arrives at run time, and makes sense.
    #[test]
    fn every_method_has_a_rule_that_makes_sense() {
        let methods = methods();
        assert!(methods.len() >= 24, "{}", methods.len());
        for Method { path, policy, .. } in &methods {
            assert_ne!(policy.audience(), Audience::Unspecified, "{path}");
            assert_ne!(policy.scope(), Scope::Unspecified, "{path}");
            assert_ne!(policy.audit_class(), AuditClass::Unspecified, "{path}");
            if policy.audience() == Audience::Operator {
                assert_ne!(policy.least_role(), Role::Unspecified, "{path}");
            }
            let is_read = policy.audit_class() == AuditClass::Read;
            assert_eq!(is_read, !policy.mutates, "{path}: mutates and audit_class disagree");
        }
    }

    /// What the policy and audit layers read by reflection must be there by name.
    #[test]
    fn every_mutation_can_be_previewed_repeated_and_explained() {
        for Method { path, policy, input, .. } in methods() {
            let Some(input) = input else { continue };
            if !policy.mutates || policy.audience() != Audience::Operator {
                continue;
            }
            for field in ["validate_only", "request_id", "reason"] {
                assert!(input.get_field_by_name(field).is_some(), "{path} has no {field}");
            }
        }
    }
}
