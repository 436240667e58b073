use proptest::prelude::*;

use super::*;

fn rule(least_role: Role) -> Rule {
    Rule {
        audience: Audience::Operator,
        least_role: Some(least_role),
        also_roles: Vec::new(),
        scope: ScopeKind::Tenant,
        mutates: false,
        needs_reason: false,
        needs_approval: false,
    }
}

fn caller(role_name: &str) -> CallerFacts {
    CallerFacts {
        audience: Audience::Operator,
        role: Role::parse(role_name),
        role_name: role_name.to_owned(),
        scoped_to_tenants: false,
        break_glass: false,
    }
}

fn peer(audience: Audience) -> CallerFacts {
    CallerFacts {
        audience,
        role: None,
        role_name: String::new(),
        scoped_to_tenants: false,
        break_glass: false,
    }
}

#[test]
fn the_whole_table_of_roles() {
    // Callers: viewer, operator, admin, billing, auditor, and a role nobody knows.
    let callers = ["viewer", "operator", "admin", "billing", "auditor", "emperor"];
    let (least, also, reads) = (rules::LEAST_ROLE, rules::ALSO_ROLE, rules::AUDITOR_READS);
    let unknown = rules::UNKNOWN_ROLE;
    let table = [
        (Role::Viewer, false, [(true, least); 3], (false, least), (true, reads)),
        (Role::Viewer, true, [(true, least); 3], (false, least), (false, least)),
        (
            Role::Operator,
            false,
            [(false, least), (true, least), (true, least)],
            (false, least),
            (true, reads),
        ),
        (
            Role::Operator,
            true,
            [(false, least), (true, least), (true, least)],
            (false, least),
            (false, least),
        ),
        (
            Role::Admin,
            false,
            [(false, least), (false, least), (true, least)],
            (false, least),
            (true, reads),
        ),
        (
            Role::Admin,
            true,
            [(false, least), (false, least), (true, least)],
            (false, least),
            (false, least),
        ),
        (Role::Billing, true, [(false, least); 3], (true, least), (false, least)),
        (Role::Auditor, true, [(false, least); 3], (false, least), (true, least)),
    ];
    for (least_role, mutates, ladder, billing, auditor) in table {
        let method = Rule { mutates, ..rule(least_role) };
        let [viewer, operator, admin] = ladder;
        let expected = [viewer, operator, admin, billing, auditor, (false, unknown)];
        for (name, expected) in callers.into_iter().zip(expected) {
            let decision = decide(&method, &caller(name), false);
            assert_eq!((decision.allowed, decision.rule), expected, "{name} calls {method:?}");
        }
        let with_billing = Rule { also_roles: vec![Role::Billing], ..method };
        let decision = decide(&with_billing, &caller("billing"), false);
        assert!(decision.allowed);
        assert_eq!(decision.rule, if least_role == Role::Billing { least } else { also });
    }
}

#[test]
fn each_audience() {
    let table = [
        (Audience::Anonymous, Audience::Anonymous, true, rules::ANONYMOUS),
        (Audience::Anonymous, Audience::Device, true, rules::ANONYMOUS),
        (Audience::Anonymous, Audience::Operator, true, rules::ANONYMOUS),
        (Audience::Device, Audience::Anonymous, false, rules::AUDIENCE),
        (Audience::Device, Audience::Device, true, rules::AUDIENCE),
        (Audience::Device, Audience::Operator, false, rules::AUDIENCE),
        (Audience::Operator, Audience::Anonymous, false, rules::AUDIENCE),
        (Audience::Operator, Audience::Device, false, rules::AUDIENCE),
    ];
    for (method, shown, allowed, name) in table {
        let method = Rule { audience: method, ..rule(Role::Viewer) };
        let decision = decide(&method, &peer(shown), false);
        assert_eq!(
            (decision.allowed, decision.rule),
            (allowed, name),
            "{shown:?} calls {method:?}"
        );
    }
    // A device certificate carries the role that it may renew to; it opens nothing else.
    let device = CallerFacts { audience: Audience::Device, ..caller("admin") };
    assert!(!decide(&rule(Role::Viewer), &device, false).allowed);
}

#[test]
fn scope_and_reason() {
    let scoped = CallerFacts { scoped_to_tenants: true, ..caller("admin") };
    for (scope, allowed) in
        [(ScopeKind::Region, false), (ScopeKind::Tenant, true), (ScopeKind::Caller, true)]
    {
        let method = Rule { scope, ..rule(Role::Admin) };
        assert_eq!(decide(&method, &scoped, false).allowed, allowed, "{scope:?}");
        assert!(decide(&method, &caller("admin"), false).allowed, "{scope:?}");
    }
    let region = Rule { scope: ScopeKind::Region, ..rule(Role::Admin) };
    assert_eq!(decide(&region, &scoped, false).rule, rules::REGION_SCOPE);
    // Who lacks the role hears of the role: a wider scope would not help.
    let viewer = CallerFacts { scoped_to_tenants: true, ..caller("viewer") };
    assert_eq!(decide(&region, &viewer, false).rule, rules::LEAST_ROLE);

    let with_reason = Rule { needs_reason: true, mutates: true, ..rule(Role::Admin) };
    assert_eq!(decide(&with_reason, &caller("admin"), false).rule, rules::NEEDS_REASON);
    assert!(decide(&with_reason, &caller("admin"), true).allowed);
    assert_eq!(decide(&with_reason, &caller("viewer"), false).rule, rules::LEAST_ROLE);
}

#[test]
fn a_denial_says_what_is_missing_and_what_to_do() {
    assert_eq!(
        decide(&rule(Role::Admin), &caller("viewer"), false).message,
        "this needs role admin; your certificate says viewer: ask an admin for a token with that role"
    );
    let method = Rule { also_roles: vec![Role::Billing], mutates: true, ..rule(Role::Operator) };
    assert_eq!(
        decide(&method, &caller("auditor"), false).message,
        "this needs role operator or billing; your certificate says auditor: ask an admin for a \
         token with that role"
    );
    let message = decide(&rule(Role::Viewer), &caller("em\u{1b}[2Jperor"), false).message;
    assert!(
        message.starts_with("your certificate says role `em\\u{1b}[2Jperor`, which"),
        "{message}"
    );
    let message = decide(&rule(Role::Viewer), &caller(""), false).message;
    assert!(message.starts_with("your certificate names no role"), "{message}");
}

#[test]
fn a_rule_without_a_role_lets_nobody_in_to_write() {
    let method = Rule { least_role: None, mutates: true, ..rule(Role::Viewer) };
    for role in Role::ALL {
        assert!(!decide(&method, &caller(role.as_str()), true).allowed, "{role}");
    }
}

#[test]
fn words_and_roles_are_one_to_one() {
    for role in Role::ALL {
        assert_eq!(Role::parse(role.as_str()), Some(role));
    }
    for other in ["", "Admin", "admin ", "root"] {
        assert_eq!(Role::parse(other), None);
    }
}

fn any_role() -> impl Strategy<Value = Role> {
    prop::sample::select(Role::ALL.to_vec())
}

fn any_audience() -> impl Strategy<Value = Audience> {
    prop::sample::select(vec![Audience::Anonymous, Audience::Device, Audience::Operator])
}

prop_compose! {
    fn any_rule()(
        audience in any_audience(),
        least_role in prop::option::of(any_role()),
        also_roles in prop::collection::vec(any_role(), 0..3),
        scope in prop::sample::select(vec![ScopeKind::Region, ScopeKind::Tenant, ScopeKind::Caller]),
        mutates in any::<bool>(),
        needs_reason in any::<bool>(),
        needs_approval in any::<bool>(),
    ) -> Rule {
        Rule { audience, least_role, also_roles, scope, mutates, needs_reason, needs_approval }
    }
}

prop_compose! {
    fn any_caller()(
        audience in any_audience(),
        role in prop::option::of(any_role()),
        scoped_to_tenants in any::<bool>(),
        break_glass in any::<bool>(),
    ) -> CallerFacts {
        let role_name = role.map_or("emperor", Role::as_str).to_owned();
        CallerFacts { audience, role, role_name, scoped_to_tenants, break_glass }
    }
}

proptest! {
    #[test]
    fn no_certificate_opens_only_what_is_for_anyone(
        rule in any_rule(), facts in any_caller(), reason in any::<bool>(),
    ) {
        let facts = CallerFacts { audience: Audience::Anonymous, ..facts };
        let allowed = decide(&rule, &facts, reason).allowed;
        prop_assert!(!allowed || rule.audience == Audience::Anonymous);
    }

    #[test]
    fn an_auditor_writes_nothing_that_does_not_name_it(
        rule in any_rule(), facts in any_caller(), reason in any::<bool>(),
    ) {
        let facts = CallerFacts { role: Some(Role::Auditor), ..facts };
        let named = rule.least_role == Some(Role::Auditor) || rule.also_roles.contains(&Role::Auditor);
        if rule.audience == Audience::Operator && rule.mutates && !named {
            prop_assert!(!decide(&rule, &facts, reason).allowed);
        }
    }

    #[test]
    fn a_higher_rung_loses_nothing_on_the_ladder(
        rule in any_rule(), facts in any_caller(), reason in any::<bool>(),
    ) {
        let rule = Rule { also_roles: Vec::new(), ..rule };
        let ladder = [Role::Viewer, Role::Operator, Role::Admin]
            .map(|role| decide(&rule, &CallerFacts { role: Some(role), ..facts.clone() }, reason).allowed);
        prop_assert!(ladder.is_sorted(), "{:?}", ladder);
    }

    #[test]
    fn fewer_facts_never_open_more(rule in any_rule(), facts in any_caller()) {
        let without_reason = decide(&rule, &facts, false);
        prop_assert!(!without_reason.allowed || decide(&rule, &facts, true).allowed);
        let scoped = CallerFacts { scoped_to_tenants: true, ..facts.clone() };
        prop_assert!(!decide(&rule, &scoped, true).allowed || decide(&rule, &facts, true).allowed);
        prop_assert!(!without_reason.message.is_empty());
    }
}

#[test]
fn a_grant_gives_an_operator_what_an_admin_may_and_nobody_else_anything() {
    let method = Rule { mutates: true, ..rule(Role::Admin) };
    for role in ["viewer", "operator", "admin", "billing", "auditor", "emperor"] {
        let facts = CallerFacts { break_glass: true, ..caller(role) };
        let decision = decide(&method, &facts, true);
        let expected = match role {
            "operator" => (true, rules::BREAK_GLASS),
            "admin" => (true, rules::LEAST_ROLE),
            "emperor" => (false, rules::UNKNOWN_ROLE),
            _ => (false, rules::LEAST_ROLE),
        };
        assert_eq!((decision.allowed, decision.rule), expected, "{role}");
    }
    let facts = CallerFacts { break_glass: true, ..caller("operator") };
    assert_eq!(decide(&rule(Role::Viewer), &facts, true).rule, rules::LEAST_ROLE);
    let narrow = CallerFacts { scoped_to_tenants: true, ..facts };
    let region = Rule { scope: ScopeKind::Region, ..method };
    assert_eq!(decide(&region, &narrow, true).rule, rules::REGION_SCOPE, "it widens no scope");
}

#[test]
fn an_explanation_tells_what_will_be_asked_for() {
    let method = Rule { needs_reason: true, needs_approval: true, ..rule(Role::Operator) };
    let explained = explain(&method, &caller("admin"));
    assert!(explained.allowed);
    for words in ["needs a reason", "a second person of role operator"] {
        assert!(explained.message.contains(words), "{}", explained.message);
    }
    let refused = explain(&rule(Role::Admin), &caller("operator"));
    assert!(!refused.allowed && refused.message.contains("break-glass"), "{}", refused.message);
    let refused = explain(&rule(Role::Admin), &caller("viewer"));
    assert!(!refused.message.contains("break-glass"), "{}", refused.message);
}
