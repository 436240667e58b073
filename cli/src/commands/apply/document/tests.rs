use proptest::prelude::*;
use serde_json::{Value as Json, json};
use streamspace_proto::v1::{Plan, Subject, SubjectKind, Tenant};

use super::*;
use crate::{
    commands::apply::kind::{Fields, fields_of, message_of},
    output::yaml as print_yaml,
};

const ACME: &str = "\
kind: Tenant
name: acme-corp
spec:
  plan: business
  seats: 10
  displayName: Acme Corp
  labels: {tier: gold}
  adminSubjects:
    - {kind: user, name: a@acme.com}
    - {kind: SUBJECT_KIND_GROUP, name: ops}
---
kind: Tenant
name: tenants/beta-inc
spec:
  plan: plans/professional
  seats: 3
";

fn documents(text: &str) -> Vec<Document> {
    read_documents(text.as_bytes(), "t.yaml").unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn document(text: &str) -> Document {
    let mut all = documents(text);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Every fault as `line: message`.
fn faults(text: &str) -> Vec<String> {
    let faults = match read_documents(text.as_bytes(), "t.yaml") {
        Err(faults) => faults,
        Ok(documents) => panic!("not refused: {documents:?}"),
    };
    let told = |fault: &Fault| format!("{}: {}", fault.line.unwrap_or(0), fault.message);
    faults.iter().map(told).collect()
}

fn refused(text: &str) -> String {
    let all = faults(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.concat()
}

fn with_spec(spec: &str) -> String {
    format!("kind: Tenant\nname: acme\nspec:\n  {spec}\n")
}

fn tenant(document: &Document) -> Tenant {
    message_of(&document.wish.fields).unwrap()
}

fn differing(document: &Document, before: &Fields) -> Vec<String> {
    document.kind.differing(&document.wish, before)
}

#[test]
fn documents_are_read_in_short_and_full_form() {
    let all = documents(ACME);
    let [acme, beta] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((acme.name.as_str(), acme.origin.as_str()), ("tenants/acme-corp", "t.yaml:1"));
    let wish = tenant(acme);
    assert_eq!(wish.plan, "plans/business");
    assert_eq!(wish.labels["tier"], "gold");
    let subject =
        |kind: SubjectKind, name: &str| Subject { kind: kind.into(), name: name.to_owned() };
    assert_eq!(
        wish.admin_subjects,
        [subject(SubjectKind::User, "a@acme.com"), subject(SubjectKind::Group, "ops")]
    );
    assert_eq!((beta.name.as_str(), beta.origin.as_str()), ("tenants/beta-inc", "t.yaml:12"));
    assert_eq!(tenant(beta).plan, "plans/professional");
}

#[test]
fn only_what_is_given_and_differs_is_changed() {
    let acme = &documents(ACME)[0];
    let mut before = acme.wish.fields.clone();
    before.insert("billingAccount".into(), "not in the file".into());
    assert!(differing(acme, &before).is_empty());
    before.insert("seats".into(), 9.into());
    before.remove("displayName");
    let mut fields = differing(acme, &before);
    fields.sort();
    assert_eq!(fields, ["display_name", "seats"]);
}

#[test]
fn a_field_of_a_field_is_changed_alone() {
    let text = "kind: Plan\nname: pro\nspec:\n  quota: {memoryBytes: 200Gi, pods: 7}\n";
    let plan = document(text);
    let before = json!({ "quota": { "memoryBytes": "214748364800", "pods": 5,
                                    "cpuMillicores": "1000" } });
    assert_eq!(differing(&plan, before.as_object().unwrap()), ["quota.pods"]);
}

#[test]
fn a_field_can_be_set_back_to_nothing() {
    let document = document(&with_spec("billingAccount: ''\n  labels: {}"));
    let before = json!({ "billingAccount": "a", "labels": { "x": "y" } });
    assert_eq!(differing(&document, before.as_object().unwrap()), ["billing_account", "labels"]);
    // What the daemon puts in the place of nothing is no difference the second time.
    let unnamed = super::tests::document(&with_spec("displayName: ''"));
    let settled = json!({ "displayName": "acme" });
    assert!(differing(&unnamed, settled.as_object().unwrap()).is_empty());
    let open = super::tests::document("kind: Plan\nname: p\nspec: {userSessions: null, rank: 0}");
    let limited = json!({ "userSessions": 3, "rank": 4 });
    assert_eq!(differing(&open, limited.as_object().unwrap()), ["user_sessions"]);
}

#[test]
fn a_guard_is_kept_and_no_change() {
    let acme = document(&with_spec("etag: abc-1"));
    assert_eq!((acme.wish.guard.as_str(), acme.wish.given.len()), ("abc-1", 0));
    let plan = document("kind: Plan\nname: pro\nspec: {version: 3}\n");
    assert_eq!(plan.wish.guard, "3");
}

#[test]
fn slips_are_refused_with_place_and_remedy() {
    for (spec, told) in [
        ("seast: 3", "4: spec.seast is not known; did you mean seats?"),
        ("generation: 3", "4: spec.generation is written by the daemon alone; leave it out"),
        ("seats: many", "4: spec.seats must be a whole number, and this is the text \"many\""),
        ("seats: 1.5", "4: spec.seats must be a whole number, and this is the number 1.5"),
        ("seats: 1_000", "4: spec.seats must be a whole number, and this is the text \"1_000\""),
        (
            "seats: 99999999999",
            "4: spec.seats must be a whole number from -2147483648 to 2147483647, and this is the \
             number 99999999999",
        ),
        ("seats: 3\n  seats: 4", "5: \"seats\" is given twice: keep one of them"),
        (
            "displayName: a\n  display_name: b",
            "5: spec.display_name is given twice, in both of its spellings",
        ),
        (
            "protected: no",
            "4: spec.protected must be true or false, and this is the text \"no\"; write false",
        ),
        (
            "labels: {a: 1}",
            "4: spec.labels.a must be text: put it into quotes, and this is the number 1",
        ),
        (
            "labels: {a: true}",
            "4: spec.labels.a must be text: put it into quotes, and this is true",
        ),
        ("labels: {1: a}", "4: a key must be text, and this is the number 1: put it into quotes"),
        ("labels: [a]", "4: spec.labels must be a map: {key: value}, and this is a list"),
        (
            "labels:",
            "4: spec.labels has no value: leave it out, or write {} to set it back to nothing",
        ),
        (
            "allowedRegions: eu-west-1",
            "4: spec.allowedRegions must be a list: [a, b], or lines that begin with -, and this \
             is the text \"eu-west-1\"",
        ),
        (
            "adminSubjects:\n    - {kind: usr, name: a}",
            "5: spec.adminSubjects[0].kind is \"usr\", which is not known; did you mean user?",
        ),
        (
            "adminSubjects:\n    - {kind: user, nmae: a}",
            "5: spec.adminSubjects[0].nmae is not known; did you mean name?",
        ),
        ("<<: {plan: a}", "4: merge keys (<<) are not taken: write the fields out"),
        ("plan: !env PLAN", "4: the tag !env is not taken: leave it out"),
    ] {
        assert_eq!(refused(&with_spec(spec)), told);
    }
    for (text, told) in [
        ("kind: Tennant\nname: a\n", "1: kind \"Tennant\" is not known; did you mean Tenant?"),
        ("kind: Tenant\nname: a\nspce: {}\n", "3: spce is not known"),
        ("kind: Tenant\nname: a\nspec: {}\nplan: x", "4: plan is not known; a document has kind"),
        ("kind: Tenant\nspec: {}\n", "1: the document has no name"),
        ("kind: Tenant\nname: 007\nspec: {}\n", ""),
        ("kind: Tenant\nname: 7\n", "2: name must be text, and this is the number 7"),
        ("kind: Tenant\nname: a/b\n", "2: name \"a/b\" is none of a Tenant"),
        ("kind: Plan\nname: pro@2\n", "2: name \"pro@2\" is none of a Plan"),
        ("name: acme\n", "1: the document has no kind; there are Plan, Tenant, Quota"),
        ("kind: Tenant\nname: a\nspec: 3\n", "3: spec must be a map of fields, and this is"),
        ("kind: Tenant\nname: a\nspec:\n\tplan: a\n", "4: this is no YAML: tabs disallowed"),
        ("just text\n", "1: a document must be a map with kind, name and spec"),
        ("kind: Quota\nname: a\nspec: {cpu: +40}\n", "3: spec.cpu must be an amount of CPU"),
        ("kind: Quota\nname: a\nspec: {cpus: 4}\n", "3: spec.cpus is not known; did you mean cpu?"),
    ] {
        if told.is_empty() {
            assert_eq!(document(text).name, "tenants/007", "digits alone can be a name");
            continue;
        }
        let said = refused(text);
        assert!(said.starts_with(told), "{text:?}: {said}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let all = faults(
        &(with_spec("seast: 3\n  seats: x\n  labels: []") + "---\nkind: Nothing\nname: b\n"),
    );
    assert_eq!(all.len(), 4, "{all:?}");
}

#[test]
fn what_does_harm_by_its_size_is_refused_shortly() {
    let mut bomb = String::from("    a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (name, of) in ["b", "c", "d", "e", "f", "g", "h"].into_iter().zip("abcdefg".chars()) {
        let all = vec![format!("*{of}"); 10].join(", ");
        bomb = bomb + "    " + name + ": &" + name + " [" + &all + "]\n";
    }
    let bomb = format!("kind: Tenant\nname: a\nspec:\n  labels:\n{bomb}");
    let deep = "[".repeat(100_000);
    let dashes = "- ".repeat(100_000);
    let storm = "---\nkind: Tenant\n".repeat(10_001);
    let long = with_spec(&format!("{}: 3", "s".repeat(900)));
    for (text, part) in [
        (&bomb, "aliases"),
        (&deep, "deeper than 32"),
        (&dashes, "deeper than 32"),
        (&storm, "more than 10000 documents"),
        (&long, "is not known"),
    ] {
        let said = refused(text);
        assert!(said.contains(part) && said.len() < 400, "{said}");
    }
    assert!(refused("a: &a [*a]\n").contains("aliases"));
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    let told = |bytes: &[u8]| match read_documents(bytes, "t") {
        Err(faults) => format!("{faults:?}"),
        Ok(documents) => panic!("{documents:?}"),
    };
    assert!(told(b"a: 1\nb: \xff\n").contains("line: Some(2), message: \"this is not UTF-8"));
    assert!(told(b"a: 1\n\0\n").contains("line: Some(2), message: \"the control character U+0000"));
    assert!(told(b"a: \x1b[2J\n").contains("U+001B"));
    assert!(told(b"\xff\xfea\0:\0").contains("not UTF-8"), "UTF-16");
}

#[test]
fn what_show_prints_is_taken() {
    let is = Tenant {
        name: "tenants/acme".into(),
        uid: "01a2".into(),
        plan: "plans/business".into(),
        seats: 10,
        generation: 3,
        etag: "abc-3".into(),
        admin_subjects: vec![Subject { kind: SubjectKind::User.into(), name: "a@b".into() }],
        ..Tenant::default()
    };
    let before = fields_of(&is).unwrap();
    let text = print_yaml(&Json::Object(before.clone())).unwrap();
    let shown = document(&text);
    assert_eq!((shown.name.as_str(), shown.wish.guard.as_str()), ("tenants/acme", "abc-3"));
    assert!(differing(&shown, &before).is_empty());
    assert!(shown.passed_over(&before).is_empty());
    let edited = document(&text.replace("seats: 10", "seats: 11\nnamespace: x\nadopt: true"));
    assert_eq!(differing(&edited, &before), ["seats"]);
    // Only what people may think that they changed is worth a word.
    assert_eq!(edited.passed_over(&before), ["adopt"]);

    let list = print_yaml(&[Json::Object(before.clone()), Json::Object(before)]).unwrap();
    assert_eq!(documents(&list).len(), 2);
    let plan = fields_of(&Plan { name: "plans/pro".into(), version: 2, ..Plan::default() });
    let plan = document(&print_yaml(&Json::Object(plan.unwrap())).unwrap());
    assert_eq!((plan.title().as_str(), plan.wish.guard.as_str()), ("plans/pro", "2"));
}

/// A field that the contract gains can be given at once; a field that the daemon
/// gains alone cannot.
#[test]
fn what_can_be_given_comes_from_the_contract() {
    let said = refused(&with_spec("zzzzzz: 3"));
    for field in ["displayName", "plan", "seats", "labels", "protected"] {
        assert!(said.contains(field), "{said}");
    }
    assert!(!said.contains("conditions") && !said.contains("uid"), "{said}");
}

/// Pieces of which hostile files are made.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("kind: Tenant\n".to_owned()),
        Just("name: acme\n".to_owned()),
        Just("spec:\n".to_owned()),
        Just("  plan: business\n".to_owned()),
        Just("  seats: ".to_owned()),
        Just("  labels: {a: &x b, c: *x}\n".to_owned()),
        Just("---\n".to_owned()),
        Just("...\n".to_owned()),
        Just("- ".to_owned()),
        Just("? ".to_owned()),
        Just("<<: *x\n".to_owned()),
        Just("&x ".to_owned()),
        Just("*x ".to_owned()),
        Just("!!str ".to_owned()),
        Just("%YAML 1.1\n".to_owned()),
        Just("|2-\n".to_owned()),
        Just("'".to_owned()),
        Just("\"".to_owned()),
        "[-\\[\\]{},:#&*!|>@%` \t\n0-9a-z~.]{0,8}",
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|all| all.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_does_more_than_be_refused(text in pieces()) {
        match read_documents(text.as_bytes(), "t.yaml") {
            Ok(documents) => {
                for document in &documents {
                    prop_assert!(!document.name.is_empty());
                    // What is taken can be read again as the contract writes it.
                    let _ = document.kind.differing(&document.wish, &Fields::new());
                }
            }
            Err(faults) => prop_assert!(!faults.is_empty()),
        }
    }

    #[test]
    fn no_bytes_do_either(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = read_documents(&bytes, "t.yaml");
    }
}
