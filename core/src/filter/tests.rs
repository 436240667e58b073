use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const KNOWN: [&str; 6] =
    ["name", "plan", "seats:integer", "protected:bool", "billing_account", "labels.*"];

struct Row(BTreeMap<String, FieldValue>);

impl Record for Row {
    fn field(&self, name: &str) -> Option<FieldValue> {
        self.0.get(name).cloned()
    }
}

/// A tenant without a billing account.
fn acme() -> Row {
    let fields = [
        ("name", FieldValue::from("acme-corp")),
        ("plan", "business".into()),
        ("seats", FieldValue::Integer(10)),
        ("protected", FieldValue::Bool(true)),
        ("labels.tier", "gold".into()),
        ("labels.example.com/on-call", "".into()),
        ("labels.star", "a*".into()),
    ];
    Row(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

fn matches(filter: &str) -> bool {
    Filter::parse(filter, &KNOWN)
        .unwrap_or_else(|error| panic!("{filter}: {error}"))
        .matches(&acme())
}

fn refusal(filter: &str) -> String {
    match Filter::parse(filter, &KNOWN) {
        Ok(filter) => panic!("was understood: {filter:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn comparisons() {
    let table = [
        ("", true),
        ("  \n", true),
        // Texts
        ("plan = business", true),
        ("plan = \"business\"", true),
        ("plan='business'", true),
        ("plan = Business", false),
        ("plan != free", true),
        ("plan != business", false),
        ("plan > a AND plan < c", true),
        ("plan >= business AND plan <= business", true),
        ("plan < business OR plan > business", false),
        // Wildcards
        ("name = acme*", true),
        ("name = \"*corp\"", true),
        ("name = *me-c*", true),
        ("name = *", true),
        ("name = beta*", false),
        ("name != acme*", false),
        ("labels.star = \"a\\*\"", true),
        ("labels.star = \"b\\*\"", false),
        ("name = \"acme\\*\"", false),
        // Has
        ("name : corp", true),
        ("name : Corp", false),
        ("name : *", true),
        ("billing_account : *", false),
        ("labels.tier : *", true),
        ("labels.team : *", false),
        ("labels.example.com/on-call : *", true),
        ("labels : tier", true),
        ("labels:team", false),
        ("seats : 10", true),
        ("seats : 1", false),
        ("labels.tier:\"ol\"", true),
        // Numbers and booleans
        ("seats = 10", true),
        ("seats != 10", false),
        ("seats > 9", true),
        ("seats > 10", false),
        ("seats >= 10", true),
        ("seats < 100", true),
        ("seats <= 9", false),
        ("seats > -5", true),
        ("protected = true", true),
        ("protected != true", false),
        ("protected = false", false),
        // What is not set
        ("billing_account = x", false),
        ("billing_account != x", true),
        ("billing_account < x", false),
        ("billing_account > x", false),
        ("NOT billing_account = x", true),
    ];
    for (filter, expected) in table {
        assert_eq!(matches(filter), expected, "{filter}");
    }
}

#[test]
fn joins() {
    let (yes, no) = ("seats = 10", "seats = 1");
    let table = [
        (format!("{yes} AND {yes}"), true),
        (format!("{yes} AND {no}"), false),
        (format!("{no} OR {yes}"), true),
        (format!("{no} OR {no}"), false),
        (format!("NOT {no}"), true),
        (format!("-{no}"), true),
        (format!("- {yes}"), false),
        (format!("-({no} OR {no})"), true),
        (format!("NOT ({no} OR {yes})"), false),
        (format!("NOT {no} AND {yes}"), true),
        // OR binds tighter than AND: the other reading would give the opposite.
        (format!("{yes} OR {yes} AND {no}"), false),
        (format!("{yes} OR ({yes} AND {no})"), true),
        (format!("{no} AND {no} OR {yes}"), false),
        (format!("({no} AND {no}) OR {yes}"), true),
        ("plan = \"AND\"".to_owned(), false),
    ];
    for (filter, expected) in table {
        assert_eq!(matches(&filter), expected, "{filter}");
    }
}

/// What is refused, and how it is explained.
const REFUSALS: &[(&str, &str)] = &[
    (
        "acme",
        "at 1: `acme` stands alone, and a word alone is not searched for: say in which field, as in `name = \"*acme*\"`",
    ),
    (
        "\"acme corp\"",
        "at 1: `acme corp` stands alone, and a word alone is not searched for: say in which field, as in `name = \"*acme corp*\"`",
    ),
    (
        "protected",
        "at 1: `protected` stands alone, and a word alone is not searched for: compare the field, as in `protected = true`",
    ),
    (
        "NOT seats",
        "at 5: `seats` stands alone, and a word alone is not searched for: compare the field, as in `seats >= 1`",
    ),
    (
        "seats = 1 OR not plan = free",
        "at 14: `not` stands alone, and a word alone is not searched for: write `NOT`, in capital letters",
    ),
    ("seat > 3", "at 1: there is no field `seat`: did you mean `seats`?"),
    ("label.tier = gold", "at 1: there is no field `label.tier`: did you mean `labels.tier`?"),
    (
        "owner = me",
        "at 1: there is no field `owner`: there are `name`, `plan`, `seats`, `protected`, `billing_account`, `labels.KEY`",
    ),
    (
        "labels = tier",
        "at 1: there is no field `labels`: there are `name`, `plan`, `seats`, `protected`, `billing_account`, `labels.KEY`",
    ),
    (
        "labels. = tier",
        "at 1: there is no field `labels.`: there are `name`, `plan`, `seats`, `protected`, `billing_account`, `labels.KEY`",
    ),
    (
        "plan = free seats = 3",
        "at 13: found `seats`, expected `AND`, `OR` or the end; a value of several words needs quotes",
    ),
    ("plan = free and seats = 3", "at 13: found `and`, expected `AND`, in capital letters"),
    ("plan = free || seats = 3", "at 13: found `||`, expected `OR`, in capital letters"),
    ("plan == free", "at 6: found `==`, expected `=`"),
    (
        "! plan = free",
        "at 1: found `!`, expected `!=` between a field and a value, or `NOT` before a comparison",
    ),
    (
        "name > 2026-01-01T00:00:00Z",
        "at 21: found `:`, expected `AND`, `OR` or the end; a value with such a character needs quotes",
    ),
    ("plan =", "at 7: found the end, expected a value"),
    ("plan = AND", "at 8: found `AND`, expected a value; put one like this in quotes"),
    ("plan = (free)", "at 8: found `(`, expected a value; put one like this in quotes"),
    ("AND plan = free", "at 1: found `AND`, expected a comparison, as in `field = \"value\"`"),
    ("plan = free OR", "at 15: found the end, expected a comparison, as in `field = \"value\"`"),
    ("()", "at 2: found `)`, expected a comparison, as in `field = \"value\"`"),
    ("(plan = free", "at 13: found the end, expected `)` for the `(` at 1"),
    ("plan = free)", "at 12: found `)`, expected the end, since no `(` is open"),
    ("plan = \"free", "at 8: the quote that opens here is never closed: add the other one"),
    ("plan = \"free\\", "at 8: the quote that opens here is never closed: add the other one"),
    (
        "plan = f*e",
        "at 8: a `*` may only stand at either end of a value that is compared with `=` or `!=`: write `\\*` in quotes for the star itself",
    ),
    (
        "plan > f*",
        "at 8: a `*` may only stand at either end of a value that is compared with `=` or `!=`: write `\\*` in quotes for the star itself",
    ),
    (
        "plan : f*",
        "at 8: a `*` may only stand at either end of a value that is compared with `=` or `!=`: write `\\*` in quotes for the star itself",
    ),
    (
        "labels : *",
        "at 10: a `*` may only stand at either end of a value that is compared with `=` or `!=`: write `\\*` in quotes for the star itself",
    ),
    (
        "seats > many",
        "at 9: the field `seats` is a whole number, and `many` is not: write `seats >= 10`",
    ),
    (
        "seats = 1*",
        "at 9: the field `seats` is a whole number, and `1*` is not: write `seats = 10`",
    ),
    (
        "protected = yes",
        "at 13: the field `protected` is true or false, and `yes` is not: write `protected = true`",
    ),
    (
        "protected > false",
        "at 11: the field `protected` is true or false and has no order: compare it with `=` or `!=`",
    ),
    (
        "plan = \u{1b}[2J x",
        "at 13: found `x`, expected `AND`, `OR` or the end; a value of several words needs quotes",
    ),
    (
        "\u{1b}[2J = x",
        "at 1: there is no field `\\u{1b}[2J`: there are `name`, `plan`, `seats`, `protected`, `billing_account`, `labels.KEY`",
    ),
];

#[test]
fn refusals_explain_themselves() {
    for (filter, message) in REFUSALS {
        assert_eq!(refusal(filter), *message, "{filter}");
    }
}

#[test]
fn length_and_depth_are_bounded() {
    let nested = |depth| format!("{}seats = 10{}", "(".repeat(depth), ")".repeat(depth));
    assert!(matches(&nested(DEPTH_MAXIMUM)));
    assert_eq!(
        refusal(&nested(DEPTH_MAXIMUM + 1)),
        "at 34: nested more than 32 deep: write it flatter"
    );
    assert!(refusal(&nested(900)).contains("nested more than 32"));
    assert!(matches(&format!("{}seats = 10", "NOT ".repeat(DEPTH_MAXIMUM))));
    assert!(refusal(&"- ".repeat(1000)).contains("nested more than 32"));
    assert!(refusal(&"(".repeat(2000)).contains("nested more than 32"));

    let flat = ["seats = 10"; 133].join(" AND ");
    assert!(matches(&flat));
    let longest = format!("name != \"{}\"", "é".repeat(LENGTH_MAXIMUM - 10));
    assert!(matches(&longest));
    assert_eq!(
        refusal(&format!("{longest} ")),
        "is 2001 characters long, and at most 2000 are allowed: ask for less at once"
    );
    assert!(refusal(&"\u{0}".repeat(65536)).starts_with("is 65536 characters long"));
}

#[test]
fn a_field_without_a_type_is_compared_by_its_value() {
    let filter = Filter::parse("seats > many", &["seats"]).unwrap();
    assert!(!filter.matches(&acme()));
    assert!(Filter::parse("seats = 10", &["seats"]).unwrap().matches(&acme()));
}

/// Writes an expression with all its parentheses.
fn written(expression: &Expression) -> String {
    let join = |parts: &[Expression], word: &str| {
        let parts: Vec<String> = parts.iter().map(written).collect();
        format!("({})", parts.join(word))
    };
    match expression {
        Expression::All(parts) => join(parts, " AND "),
        Expression::Any(parts) => join(parts, " OR "),
        Expression::Not(part) => format!("NOT {}", written(part)),
        Expression::Present { field } => format!("{field} : *"),
        Expression::Comparison { field, operator, literal } => {
            let mut value = String::new();
            for character in literal.text.chars() {
                if matches!(character, '*' | '"' | '\\') {
                    value.push('\\');
                }
                value.push(character);
            }
            let star = |open| if open { "*" } else { "" };
            let (start, end) = (star(literal.open_start), star(literal.open_end));
            format!("{field} {} \"{start}{value}{end}\"", operator.as_str())
        }
    }
}

fn any_comparison() -> impl Strategy<Value = Expression> {
    let field = prop::sample::select(vec!["name", "plan", "billing_account", "labels.a.b/c-d"]);
    let operator = prop::sample::select(vec![
        Operator::Equal,
        Operator::NotEqual,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
        Operator::Has,
    ]);
    let text = prop_oneof!["[a-c*\"'\\\\ ]{0,6}", Just("business".to_owned()), "\\PC{0,6}"];
    (field, operator, text, any::<[bool; 2]>()).prop_map(|(field, operator, text, [start, end])| {
        let may_be_open = matches!(operator, Operator::Equal | Operator::NotEqual);
        let open_end = may_be_open && end;
        // A lone star opens the end; the parser takes it so.
        let open_start = may_be_open && start && (open_end || !text.is_empty());
        let literal = Literal { text, open_start, open_end };
        Expression::Comparison { field: field.to_owned(), operator, literal }
    })
}

fn any_expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        any_comparison(),
        Just(Expression::Present { field: "billing_account".to_owned() }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::Any),
            inner.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_a_filter_or_explained(text in any::<String>()) {
        if let Err(error) = Filter::parse(&text, &KNOWN) {
            let shown = error.to_string();
            prop_assert!(!shown.chars().any(crate::text::acts_on_terminals));
            prop_assert!(error.position().is_none_or(|p| (1..=text.chars().count() + 1).contains(&p)));
        }
    }

    #[test]
    fn any_likely_text_is_a_filter_or_explained(
        text in "(AND|OR|NOT|-|\\(|\\)|\"|'|\\\\|\\*|=|!=|<|>=|:|seats|name|labels\\.a|10|true| ){0,30}",
    ) {
        if let Ok(filter) = Filter::parse(&text, &KNOWN) {
            let _ = filter.matches(&acme());
        }
    }

    #[test]
    fn what_is_written_is_what_is_read(expression in any_expression()) {
        let text = written(&expression);
        if text.chars().count() <= LENGTH_MAXIMUM {
            let filter = Filter::parse(&text, &KNOWN);
            prop_assert_eq!(filter, Ok(Filter { expression: Some(expression) }), "{}", text);
        }
    }

    #[test]
    fn unequal_is_the_opposite_of_equal(comparison in any_comparison(), negated in any::<bool>()) {
        let Expression::Comparison { field, literal, .. } = comparison else { unreachable!() };
        // Sometimes the value that the row has.
        let literal = if negated { literal } else { Literal { text: "business".to_owned(), ..literal } };
        let with = |operator| Expression::Comparison {
            field: field.clone(), operator, literal: literal.clone(),
        };
        prop_assert_ne!(
            with(Operator::Equal).holds(&acme()),
            with(Operator::NotEqual).holds(&acme())
        );
    }

    #[test]
    fn numbers_compare_as_numbers(seats in any::<i64>(), bound in any::<i64>()) {
        let row = Row([("seats".to_owned(), FieldValue::Integer(seats))].into());
        let holds = |operator: &str| {
            Filter::parse(&format!("seats {operator} {bound}"), &KNOWN).unwrap().matches(&row)
        };
        prop_assert_eq!(holds("<"), seats < bound);
        prop_assert_eq!(holds("<="), seats <= bound);
        prop_assert_eq!(holds(">"), seats > bound);
        prop_assert_eq!(holds(">="), seats >= bound);
        prop_assert_eq!(holds("="), seats == bound);
    }
}
