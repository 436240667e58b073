//! What changed lately, in words.

use std::collections::VecDeque;

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_proto::v1::{self, ChangeType, Condition};

use super::RegionIndex;
use crate::{
    format::count,
    rows::{Key, condition_word, short, state_word},
};

/// How many entries are kept.
const KEPT: usize = 500;

/// One line of the pane.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) kind: EntryKind,
}

/// What a line tells of.
#[derive(Clone, Debug)]
pub(crate) enum EntryKind {
    /// A committed change of something, by its name.
    Change { key: Key, actor: String, name: String, what: String },
    /// Something about the connection, so that a gap is seen as a gap.
    Connection(RegionIndex, String),
}

/// The latest entries, the newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangeLog {
    entries: VecDeque<Entry>,
}

impl ChangeLog {
    pub(crate) fn add(&mut self, entry: Entry) {
        self.entries.push_front(entry);
        self.entries.truncate(KEPT);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

/// What a change did, as far as it can be told from what was known before.
pub(crate) fn describe(
    type_: ChangeType,
    before: Option<&v1::Tenant>,
    after: &v1::Tenant,
) -> String {
    match type_ {
        ChangeType::Created => {
            let plan = escape(short(&after.plan)).into_owned();
            let seats = count(usize::try_from(after.seats).unwrap_or(0));
            format!("created, {plan}, {seats} seats")
        }
        ChangeType::Deleted => "deleted".into(),
        ChangeType::Left => "no longer among what is watched".into(),
        ChangeType::Updated | ChangeType::Unspecified => {
            let parts = before.map(|before| differences(before, after)).unwrap_or_default();
            if parts.is_empty() { "updated".into() } else { parts.join(", ") }
        }
    }
}

fn differences(before: &v1::Tenant, after: &v1::Tenant) -> Vec<String> {
    let mut parts = Vec::new();
    let mut compare = |name: &str, old: &str, new: &str| {
        if old != new {
            let some = |text: &str| match text {
                "" => "none".into(),
                text => escape(text).into_owned(),
            };
            parts.push(format!("{name} {} to {}", some(old), some(new)).trim_start().to_owned());
        }
    };
    compare("", state_word(before.state()), state_word(after.state()));
    compare("plan", short(&before.plan), short(&after.plan));
    compare("seats", &before.seats.to_string(), &after.seats.to_string());
    compare("name", &before.display_name, &after.display_name);
    compare("billing", &before.billing_account, &after.billing_account);
    if before.protected != after.protected {
        parts.push(if after.protected { "protected" } else { "not protected" }.into());
    }
    if before.labels != after.labels {
        parts.push("labels".into());
    }
    if before.admin_subjects != after.admin_subjects {
        parts.push("admins".into());
    }
    for condition in &after.conditions {
        let known = before.conditions.iter().find(|old| old.r#type == condition.r#type);
        if known.is_none_or(|old| old.status != condition.status || old.reason != condition.reason)
        {
            parts.push(verdict(condition));
        }
    }
    parts
}

fn verdict(condition: &Condition) -> String {
    let status = condition_word(condition.status());
    let (name, reason) = (escape(&condition.r#type), escape(&condition.reason));
    if reason.is_empty() {
        format!("{name} {status}")
    } else {
        format!("{name} {status}: {reason}")
    }
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::{ConditionStatus, Tenant, TenantState};

    use super::*;

    #[test]
    fn a_change_tells_what_is_different() {
        let before = Tenant {
            plan: "plans/free".into(),
            seats: 8,
            state: TenantState::Provisioning.into(),
            ..Tenant::default()
        };
        let condition = Condition {
            r#type: "NamespaceReady".into(),
            status: ConditionStatus::True.into(),
            reason: "Applied".into(),
            ..Condition::default()
        };
        let after = Tenant {
            seats: 10,
            state: TenantState::Active.into(),
            conditions: vec![condition],
            ..before.clone()
        };
        assert_eq!(
            describe(ChangeType::Updated, Some(&before), &after),
            "provisioning to active, seats 8 to 10, NamespaceReady true: Applied"
        );
        assert_eq!(describe(ChangeType::Updated, None, &after), "updated");
        assert_eq!(describe(ChangeType::Updated, Some(&after), &after), "updated");
        assert_eq!(describe(ChangeType::Created, None, &before), "created, free, 8 seats");
    }
}
