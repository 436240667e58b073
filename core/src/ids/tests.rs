use proptest::prelude::*;

use super::*;

#[test]
fn tenant_ids() {
    let longest = format!("a{}", "b".repeat(39));
    for good in ["abc", "acme", "a-b", "a--b", "a1b", "acme-corp-2", &longest] {
        assert_eq!(TenantId::parse(good).unwrap().as_str(), good);
    }
    let too_long = format!("a{}", "b".repeat(40));
    let bad = [
        "", "a", "ab", "1ab", "-ab", "ab-", "Abc", "a_b", "a.b", "a b", "abc\n", "äbc", "a/b",
        "abc\u{0}", &too_long,
    ];
    for bad in bad {
        assert!(TenantId::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn plan_and_region_ids() {
    for good in ["f", "0", "free", "eu-west-1", "1a", &"x".repeat(63)] {
        assert_eq!(PlanId::parse(good).unwrap().to_string(), good);
        assert_eq!(RegionId::parse(good).unwrap().to_string(), good);
    }
    for bad in ["", "-", "a-", "-a", "A", "a.b", &"x".repeat(64)] {
        assert!(PlanId::parse(bad).is_err(), "{bad:?}");
        assert!(RegionId::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn errors_say_value_rule_and_remedy() {
    let cases = [
        ("Acme Corp", "`acme-corp` would be"),
        ("--", "`acme-corp` would be, for example"),
        ("9lives", "`acme-corp` would be, for example"),
    ];
    for (value, remedy) in cases {
        let error = TenantId::parse(value).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("tenant id `{value}` is not valid: it must be 3 to 40"))
        );
        assert!(error.ends_with(remedy), "{error}");
    }
    let error = TenantId::from_name("acme").unwrap_err().to_string();
    assert_eq!(
        error,
        "tenant name `acme` is not valid: it must be `tenants/` and the tenant's id; \
         `tenants/acme` would be"
    );
    let error = OperationId::from_name("operations/{7}").unwrap_err();
    assert_eq!(error.kind, "operation id");
    assert_eq!(error.value, "{7}");
}

#[test]
fn names() {
    assert_eq!(TenantId::from_name("tenants/acme").unwrap().to_name(), "tenants/acme");
    assert_eq!(PlanId::from_name("plans/free").unwrap().to_name(), "plans/free");
    assert_eq!(RegionId::from_name("regions/dev").unwrap().to_name(), "regions/dev");
    for bad in ["", "/", "tenants", "tenants/", "tenants//acme", "plans/acme", "tenants/acme/x"] {
        assert!(TenantId::from_name(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn uuids_have_one_form() {
    let text = "01890a5d-ac96-774b-bcce-b302099a8057";
    let uid = TenantUid::parse(text).unwrap();
    assert_eq!(uid.to_string(), text);
    let operation = OperationId::parse(text).unwrap();
    assert_eq!(operation.to_name(), format!("operations/{text}"));
    assert_eq!(OperationId::from_name(&operation.to_name()).unwrap(), operation);
    let others = [
        text.to_uppercase(),
        text.replace('-', ""),
        format!("{{{text}}}"),
        format!("urn:uuid:{text}"),
        format!("{text}0"),
        String::new(),
    ];
    for other in others {
        assert!(TenantUid::parse(&other).is_err(), "{other}");
    }
}

#[test]
fn json_is_a_string_and_is_checked() {
    let id: TenantId = serde_json::from_str("\"acme\"").unwrap();
    assert_eq!(serde_json::to_string(&id).unwrap(), "\"acme\"");
    let error = serde_json::from_str::<TenantId>("\"Acme\"").unwrap_err().to_string();
    assert!(error.contains("`acme` would be"), "{error}");
}

#[test]
fn hostile_texts_are_refused_in_few_words() {
    let hostile = [
        "\u{1b}]0;owned\u{7}".repeat(8192),
        "a".repeat(65536),
        "-".repeat(65536),
        "\u{202e}🦀".repeat(8192),
        format!("tenants/{}", "\u{0}".repeat(65536)),
    ];
    for text in hostile {
        let errors = [
            TenantId::parse(&text).unwrap_err(),
            TenantId::from_name(&text).unwrap_err(),
            RegionId::from_name(&text).unwrap_err(),
            OperationId::from_name(&text).unwrap_err(),
            TenantUid::parse(&text).unwrap_err(),
        ];
        for error in errors {
            let shown = error.to_string();
            assert!(shown.chars().count() < 400, "{shown}");
            assert!(!shown.chars().any(crate::text::acts_on_terminals), "{shown:?}");
        }
    }
}

#[test]
fn a_session_is_found_by_two_names_also_where_it_has_none_of_a_session() {
    for name in ["tenants/acme-corp/sessions/ada-firefox", "tenants/abc/sessions/a.b"] {
        assert_eq!(SessionPath::from_name(name).unwrap().to_name(), name);
    }
    let long = format!("tenants/abc/sessions/{}", "x".repeat(253));
    assert_eq!(SessionPath::from_name(&long).unwrap().session.as_str().len(), 253);
    for (name, kind) in [
        ("", "session name"),
        ("ada-firefox", "session name"),
        ("tenants/acme-corp", "session name"),
        ("tenants/acme-corp/sessions", "session name"),
        ("tenants/acme-corp/sessions/", "object name"),
        ("tenants/acme-corp/sessions/a/sessions/b", "object name"),
        ("tenants/acme-corp/sessions/../x", "object name"),
        ("tenants/-/sessions/a", "tenant id"),
        ("tenants/A/sessions/a", "tenant id"),
    ] {
        assert_eq!(SessionPath::from_name(name).unwrap_err().kind, kind, "{name}");
    }
}

proptest! {
    #[test]
    fn any_text_is_an_id_or_explained(text in any::<String>()) {
        for error in [
            TenantId::parse(&text).err(), TenantId::from_name(&text).err(),
            PlanId::parse(&text).err(), TenantUid::parse(&text).err(),
            OperationId::from_name(&text).err(), SessionPath::from_name(&text).err(),
        ].into_iter().flatten() {
            prop_assert!(!error.to_string().chars().any(crate::text::acts_on_terminals));
        }
    }

    #[test]
    fn a_valid_id_survives_its_name(text in "[a-z]([-a-z0-9]{1,38})[a-z0-9]") {
        let id = TenantId::parse(&text).unwrap();
        prop_assert_eq!(TenantId::from_name(&id.to_name()).unwrap(), id);
    }

    #[test]
    fn what_a_remedy_offers_is_valid(text in "\\PC{0,80}") {
        if let Err(error) = TenantId::parse(&text) {
            let offered = error.remedy.split('`').nth(1).unwrap();
            prop_assert!(TenantId::parse(offered).is_ok(), "{}", error);
        }
    }

    #[test]
    fn any_uuid_survives(bits in any::<u128>()) {
        let id = OperationId(Uuid::from_u128(bits));
        prop_assert_eq!(OperationId::from_name(&id.to_name()).unwrap(), id);
    }
}
