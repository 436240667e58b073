//! The fields of a tenant as flags, for `create` and `set` alike.

use std::collections::HashMap;

use streamspace_proto::v1::{Plan, Subject, SubjectKind, Tenant};

use crate::resource::full_name;

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Tenant")]
pub(crate) struct TenantFlags {
    /// A user who administers the tenant, or a group as group:NAME; repeat it
    #[arg(long = "admin", value_name = "SUBJECT", value_parser = parse_subject)]
    pub(crate) admins: Vec<Subject>,
    /// A name for people
    #[arg(long, value_name = "TEXT")]
    pub(crate) display_name: Option<String>,
    /// The account that invoices go to
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) billing_account: Option<String>,
    /// A label; repeat it
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    pub(crate) labels: Vec<(String, String)>,
    /// Whether nothing destructive is done to the tenant
    #[arg(
        long,
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(crate) protected: Option<bool>,
}

impl TenantFlags {
    /// Puts what was given into a tenant, and returns the names of those fields.
    /// Labels join those that are there; admins replace them.
    pub(crate) fn put(&self, tenant: &mut Tenant) -> Vec<&'static str> {
        let mut fields = Vec::new();
        if !self.admins.is_empty() {
            tenant.admin_subjects.clone_from(&self.admins);
            fields.push("admin_subjects");
        }
        if let Some(name) = &self.display_name {
            tenant.display_name.clone_from(name);
            fields.push("display_name");
        }
        if let Some(account) = &self.billing_account {
            tenant.billing_account.clone_from(account);
            fields.push("billing_account");
        }
        if !self.labels.is_empty() {
            tenant.labels.extend(self.labels.iter().cloned().collect::<HashMap<_, _>>());
            fields.push("labels");
        }
        if let Some(protected) = self.protected {
            tenant.protected = protected;
            fields.push("protected");
        }
        fields
    }
}

/// `plans/business` from either form.
pub(crate) fn plan_name(typed: &str) -> String {
    full_name::<Plan>(typed)
}

/// `a@acme.com`, `user:a@acme.com` or `group:admins`.
pub(crate) fn parse_subject(text: &str) -> Result<Subject, String> {
    let (kind, name) = match text.split_once(':') {
        Some(("user", name)) => (SubjectKind::User, name),
        Some(("group", name)) => (SubjectKind::Group, name),
        _ => (SubjectKind::User, text),
    };
    if name.is_empty() {
        return Err("a subject needs a name: a@acme.com, or group:NAME".into());
    }
    Ok(Subject { kind: kind.into(), name: name.to_owned() })
}

/// `key=value`; the value can be empty.
pub(crate) fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is no label: write KEY=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_and_labels_are_read() {
        let subject = |text| parse_subject(text).map(|s| (s.kind(), s.name));
        assert_eq!(subject("a@acme.com"), Ok((SubjectKind::User, "a@acme.com".into())));
        assert_eq!(subject("user:group:x"), Ok((SubjectKind::User, "group:x".into())));
        assert_eq!(subject("group:ops"), Ok((SubjectKind::Group, "ops".into())));
        assert_eq!(subject("oidc:a"), Ok((SubjectKind::User, "oidc:a".into())));
        assert!(subject("group:").is_err());
        assert_eq!(parse_label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(parse_label("a").is_err() && parse_label("=b").is_err());
    }

    #[test]
    fn only_what_was_given_is_changed() {
        let mut tenant = Tenant {
            display_name: "Acme".into(),
            labels: HashMap::from([("a".into(), "1".into())]),
            ..Tenant::default()
        };
        let flags = TenantFlags {
            labels: vec![("b".into(), "2".into())],
            protected: Some(false),
            ..TenantFlags::default()
        };
        assert_eq!(flags.put(&mut tenant), ["labels", "protected"]);
        assert_eq!(tenant.display_name, "Acme");
        assert_eq!(tenant.labels.len(), 2);
    }
}
