//! Tenants: the wish that an operator states, what makes it valid, and the life of a
//! tenant from its creation to its tombstone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{PlanId, RegionId, TenantId},
    labels, text,
    violation::{Violation, Violations},
};

pub use lifecycle::{
    Event, Life, Refusal, Retention, TenantState, advance, needs_second_person, retention_end,
};

mod lifecycle;

/// The longest display name, in characters.
pub const DISPLAY_NAME_MAXIMUM: usize = 63;
/// The most seats that a tenant can have.
pub const SEATS_MAXIMUM: i32 = 100_000;
/// The most regions that a tenant can be allowed in.
pub const ALLOWED_REGIONS_MAXIMUM: usize = 16;
/// The most labels, and the most administrators.
pub const ENTRIES_MAXIMUM: usize = 64;
/// The longest name of an administrator, in characters.
pub const SUBJECT_NAME_MAXIMUM: usize = 256;

/// What an operator wishes of a tenant. Its ids are valid by their types; the rest is
/// checked by [`validate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantSpec {
    /// What people call it.
    pub id: TenantId,
    /// A name for people; empty where none was given.
    pub display_name: String,
    /// What the customer buys.
    pub plan: PlanId,
    /// How many users the customer pays for.
    pub seats: i32,
    /// The region that serves it.
    pub home_region: RegionId,
    /// Regions that its data may be in; the home region alone where it is empty.
    pub allowed_regions: Vec<RegionId>,
    /// The account that invoices go to; may be empty.
    pub billing_account: String,
    /// Who administers the tenant inside the cluster.
    pub admin_subjects: Vec<Subject>,
    /// Labels for selection.
    pub labels: BTreeMap<String, String>,
    /// While it is set, nothing destructive is done to the tenant.
    pub protected: bool,
}

/// A user or a group as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// User or group.
    pub kind: SubjectKind,
    /// The name, for example `a@acme.com`.
    pub name: String,
}

/// What a subject names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SubjectKind {
    /// One user.
    User,
    /// A group of users.
    Group,
}

impl SubjectKind {
    /// The kind as Kubernetes writes it: `User` or `Group`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }
}

/// Everything that is wrong with a wish; nothing where it is valid. Fields are named by
/// their path in the contract's `Tenant`.
pub fn validate(spec: &TenantSpec) -> Vec<Violation> {
    let mut violations = Violations::new();
    violations.check("display_name", text::check(&spec.display_name, DISPLAY_NAME_MAXIMUM));
    if !(1..=SEATS_MAXIMUM).contains(&spec.seats) {
        let seats = spec.seats;
        violations.add("seats", format!("is {seats}, and must be 1 to {SEATS_MAXIMUM}"));
    }
    check_regions(spec, &mut violations);
    if !labels::is_value(&spec.billing_account) {
        violations.add(
            "billing_account",
            "must be empty, or at most 63 letters, digits, `-`, `_` and `.` that begin and end \
             with a letter or digit",
        );
    }
    check_subjects(&spec.admin_subjects, &mut violations);
    check_labels(&spec.labels, &mut violations);
    violations.into_vec()
}

fn check_regions(spec: &TenantSpec, violations: &mut Violations) {
    const FIELD: &str = "allowed_regions";
    let allowed = &spec.allowed_regions;
    check_count(FIELD, allowed.len(), ALLOWED_REGIONS_MAXIMUM, violations);
    if !allowed.is_empty() && !allowed.contains(&spec.home_region) {
        let home = spec.home_region.to_name();
        violations.add(FIELD, format!("lacks the home region: add `{home}`, or leave it empty"));
    }
    let mut seen = BTreeSet::new();
    for (index, region) in allowed.iter().enumerate().take(ALLOWED_REGIONS_MAXIMUM) {
        if !seen.insert(region) {
            let name = region.to_name();
            violations.add(format!("{FIELD}[{index}]"), format!("repeats `{name}`: remove it"));
        }
    }
}

fn check_subjects(subjects: &[Subject], violations: &mut Violations) {
    const FIELD: &str = "admin_subjects";
    check_count(FIELD, subjects.len(), ENTRIES_MAXIMUM, violations);
    let mut seen = BTreeSet::new();
    for (index, subject) in subjects.iter().enumerate().take(ENTRIES_MAXIMUM) {
        let field = format!("{FIELD}[{index}].name");
        violations.check(&field, text::check(&subject.name, SUBJECT_NAME_MAXIMUM));
        if subject.name.is_empty() {
            violations.add(field, "is empty: name a user or a group, for example `a@acme.com`");
        } else if subject.name.starts_with("system:") {
            violations.add(
                field,
                "begins with `system:`, which names identities of the cluster itself: name a user \
                 or group of the tenant",
            );
        } else if !seen.insert(subject) {
            violations.add(field, "repeats an earlier subject: remove it");
        }
    }
}

fn check_labels(entries: &BTreeMap<String, String>, violations: &mut Violations) {
    const FIELD: &str = "labels";
    check_count(FIELD, entries.len(), ENTRIES_MAXIMUM, violations);
    for (key, value) in entries.iter().take(ENTRIES_MAXIMUM) {
        let field = format!("{FIELD}[{}]", text::excerpt(key));
        violations.check(&field, labels::check_key(key));
        violations.check(&field, labels::check_value(value));
    }
}

/// What is over a maximum is counted, not walked: a hostile input gets a short reply.
fn check_count(field: &str, count: usize, maximum: usize, violations: &mut Violations) {
    if count > maximum {
        violations.add(field, format!("has {count} entries, and at most {maximum} are allowed"));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn region(id: &str) -> RegionId {
        RegionId::parse(id).unwrap()
    }

    fn user(name: &str) -> Subject {
        Subject { kind: SubjectKind::User, name: name.to_owned() }
    }

    fn label(key: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), value.to_owned())])
    }

    fn valid() -> TenantSpec {
        TenantSpec {
            id: TenantId::parse("acme-corp").unwrap(),
            display_name: "Acme Corporation".to_owned(),
            plan: PlanId::parse("business").unwrap(),
            seats: 10,
            home_region: region("eu-west-1"),
            allowed_regions: vec![region("eu-west-1"), region("eu-north-1")],
            billing_account: "ACME-0001".to_owned(),
            admin_subjects: vec![
                user("a@acme.com"),
                Subject { kind: SubjectKind::Group, name: "acme:admins".to_owned() },
            ],
            labels: label("example.com/tier", "gold"),
            protected: false,
        }
    }

    /// Fields in error after a change of the valid wish.
    fn fields(change: impl FnOnce(&mut TenantSpec)) -> Vec<String> {
        let mut spec = valid();
        change(&mut spec);
        validate(&spec).into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn valid_wishes_pass() {
        assert_eq!(validate(&valid()), []);
        assert!(fields(|s| s.display_name = "é".repeat(63)).is_empty());
        assert!(fields(|s| s.display_name.clear()).is_empty());
        assert!(fields(|s| s.seats = 1).is_empty());
        assert!(fields(|s| s.seats = 100_000).is_empty());
        assert!(fields(|s| s.allowed_regions.clear()).is_empty());
        assert!(fields(|s| s.billing_account.clear()).is_empty());
        assert!(fields(|s| s.admin_subjects.clear()).is_empty());
        assert!(fields(|s| s.admin_subjects = vec![user(&"n".repeat(256))]).is_empty());
        assert!(fields(|s| s.labels = label("tier", "")).is_empty());
    }

    #[test]
    fn each_rule_names_its_field() {
        type Change = fn(&mut TenantSpec);
        let cases: [(&str, Change); 19] = [
            ("display_name", |s| s.display_name = "é".repeat(64)),
            ("display_name", |s| s.display_name = "a\u{1b}[2J".to_owned()),
            ("display_name", |s| s.display_name = "  ".to_owned()),
            ("seats", |s| s.seats = 0),
            ("seats", |s| s.seats = -1),
            ("seats", |s| s.seats = 100_001),
            ("allowed_regions", |s| {
                s.allowed_regions = vec![region("us-east-1")];
            }),
            ("allowed_regions[1]", |s| {
                s.allowed_regions = vec![region("eu-west-1"); 2];
            }),
            ("allowed_regions", |s| {
                s.allowed_regions = (0..17).map(|n| region(&format!("r{n}"))).collect();
                s.home_region = region("r0");
            }),
            ("billing_account", |s| {
                s.billing_account = "no spaces".to_owned();
            }),
            ("billing_account", |s| s.billing_account = "b".repeat(64)),
            ("admin_subjects[0].name", |s| {
                s.admin_subjects = vec![user("")];
            }),
            ("admin_subjects[0].name", |s| {
                s.admin_subjects = vec![user("system:masters")];
            }),
            ("admin_subjects[0].name", |s| {
                s.admin_subjects = vec![user(&"n".repeat(257))];
            }),
            ("admin_subjects[1].name", |s| {
                s.admin_subjects = vec![user("a"), user("a")];
            }),
            ("admin_subjects", |s| {
                s.admin_subjects = (0..65).map(|n| user(&format!("u{n}"))).collect();
            }),
            ("labels[kubernetes.io/x]", |s| {
                s.labels = label("kubernetes.io/x", "y");
            }),
            ("labels[tier]", |s| s.labels = label("tier", "not a value")),
            ("labels", |s| {
                s.labels = (0..65).map(|n| (format!("k{n}"), String::new())).collect();
            }),
        ];
        for (number, (field, change)) in cases.into_iter().enumerate() {
            assert_eq!(fields(change), [field], "case {number}");
        }
    }

    #[test]
    fn everything_is_said_at_once() {
        let found = fields(|s| {
            s.seats = 0;
            s.billing_account = "-".to_owned();
            s.labels = label("-", "-");
        });
        assert_eq!(found, ["seats", "billing_account", "labels[-]", "labels[-]"]);
    }

    proptest! {
        #[test]
        fn hostile_texts_get_a_short_safe_reply(
            display_name in any::<String>(),
            billing_account in any::<String>(),
            subjects in prop::collection::vec(any::<String>(), 0..100),
            labels in prop::collection::btree_map(any::<String>(), any::<String>(), 0..100),
            seats in any::<i32>(),
        ) {
            let mut spec = valid();
            spec.display_name = display_name;
            spec.billing_account = billing_account;
            spec.admin_subjects = subjects.iter().map(|name| user(name)).collect();
            spec.labels = labels;
            spec.seats = seats;
            let violations = validate(&spec);
            prop_assert!(violations.len() <= 2 * 2 * ENTRIES_MAXIMUM + 6);
            for violation in violations {
                let shown = violation.to_string();
                prop_assert!(!shown.chars().any(text::acts_on_terminals), "{:?}", shown);
                prop_assert!(shown.chars().count() < 400);
            }
        }

        #[test]
        fn the_outcome_of_seats_is_exact(seats in any::<i32>()) {
            let mut spec = valid();
            spec.seats = seats;
            prop_assert_eq!(validate(&spec).is_empty(), (1..=100_000).contains(&seats));
        }
    }
}
