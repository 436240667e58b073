//! `ssctl access`.

use clap::Subcommand;
use streamspace_proto::{
    json::to_value,
    v1::{AuditClass, ExplainAccessRequest, ExplainAccessResponse, MethodPolicy, Role, Scope},
};

use crate::{
    errors::{Doing as _, Outcome},
    output::{Cell, Tone},
    resource::{call, word},
    shell::Shell,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell whether you may call a method, which rule decides, and what is missing
    Why {
        /// The method, for example TenantService.DeleteTenant
        method: String,
    },
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    let Command::Why { method } = command;
    let answer = shell.read(async |connection| {
        let request = ExplainAccessRequest { method: method.clone() };
        call!(connection, access.explain_access(request)).doing(|| format!("explain {method}"))
    });
    answer.await?.print_answer(shell, pairs, |answer| Ok(to_value(answer)?))
}

fn pairs(answer: &ExplainAccessResponse) -> Vec<(&'static str, Cell)> {
    let verdict =
        if answer.allowed { Cell::toned("yes", Tone::Good) } else { Cell::toned("no", Tone::Bad) };
    let policy = answer.policy.clone().unwrap_or_default();
    vec![
        ("Method", answer.method.clone().into()),
        ("Allowed", verdict),
        ("Rule", answer.rule.clone().into()),
        ("Because", answer.message.clone().into()),
        ("Roles", roles(&policy).into()),
        ("Scope", scope(policy.scope()).into()),
        ("Needs", needs(&policy).into()),
        ("Audited", audited(policy.audit_class()).into()),
    ]
}

pub(super) fn roles(policy: &MethodPolicy) -> String {
    let mut roles = Vec::new();
    if policy.least_role() != Role::Unspecified {
        roles.push(format!("{} and above", word("ROLE_", policy.least_role().as_str_name())));
    }
    roles.extend(policy.also_roles().map(|role| word("ROLE_", role.as_str_name())));
    roles.join(", ")
}

pub(super) fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Unspecified => "",
        Scope::Region => "the whole region: a certificate for named tenants is not enough",
        Scope::Tenant => "tenants: a certificate for named tenants reaches just those",
        Scope::Self_ => "yourself, or what is the same for everybody",
    }
}

pub(super) fn needs(policy: &MethodPolicy) -> String {
    let mut needs = Vec::new();
    if policy.needs_reason {
        needs.push("a reason");
    }
    if policy.needs_approval {
        needs.push("a second person where the target is protected");
    }
    needs.join(", ")
}

pub(super) fn audited(class: AuditClass) -> String {
    match class {
        AuditClass::Read => "only when it is denied".into(),
        other => format!("always, as {}", word("AUDIT_CLASS_", other.as_str_name())),
    }
}
