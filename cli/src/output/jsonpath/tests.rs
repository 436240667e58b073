use serde_json::json;

use super::*;

fn value() -> Value {
    json!({"items": [
        {"name": "tenants/acme", "plan": "plans/business", "seats": 10,
         "labels": {"tier": "gold", "example.com/team-a": "x"}, "admins": ["a", "b"]},
        {"name": "tenants/beta", "plan": "plans/free", "seats": 3, "protected": true},
        {"name": "tenants/gamma", "plan": "plans/free", "seats": 7}
    ]})
}

fn filled(template: &str) -> String {
    Template::parse(template).unwrap().fill(&value(), false)
}

#[test]
fn templates_of_kubectl_are_filled() {
    for (template, text) in [
        ("{.items[*].name}", "tenants/acme tenants/beta tenants/gamma\n"),
        ("{.items[0].seats}", "10\n"),
        ("{$.items[-1].name}", "tenants/gamma\n"),
        ("{.items[-1:].name}", "tenants/gamma\n"),
        ("{.items[0:2].seats}", "10 3\n"),
        ("{.items[::2].seats}", "10 7\n"),
        ("{.items[0,2].seats}", "10 7\n"),
        ("{.items[?(@.seats>5)].name}", "tenants/acme tenants/gamma\n"),
        ("{.items[?(@.plan==\"plans/free\")].seats}", "3 7\n"),
        ("{.items[?(@.plan=='plans/free' && @.seats < 5)].name}", "tenants/beta\n"),
        ("{.items[?(@.protected)].name}", "tenants/beta\n"),
        ("{.items[?(@.labels.example\\.com/team-a == 'x')].seats}", "10\n"),
        ("{.items[0].labels.example\\.com/team-a}", "x\n"),
        ("{.items[0].labels['example.com/team-a']}", "x\n"),
        ("{.items[0]['name','seats']}", "tenants/acme 10\n"),
        ("{..tier}", "gold\n"),
        ("{.items[0].labels.tier}/{.items[0].seats}", "gold/10\n"),
        ("{.items[0].admins}", "[\"a\",\"b\"]\n"),
        ("{ .items[1].protected }", "true\n"),
        ("first: {.items[0].name}{\"\\n\"}", "first: tenants/acme\n"),
        ("{.items[*].nothing}", ""),
        (
            "{range .items[*]}{.name}{\"\\t\"}{.seats}{\"\\n\"}{end}",
            "tenants/acme\t10\ntenants/beta\t3\ntenants/gamma\t7\n",
        ),
        ("{range .items[*]}{@.seats}{' '}{end}{$.items[0].name}", "10 3 7 tenants/acme\n"),
        ("{range .items[:1]}{range .admins[*]}{@}-{.}{';'}{end}{end}", "a-a;b-b;\n"),
        ("{range .items[:2]}{$.items[2].seats}{','}{end}", "7,7,\n"),
    ] {
        assert_eq!(filled(template), text, "{template}");
    }
}

#[test]
fn an_error_says_where_and_what_instead() {
    for (template, at, says) in [
        (".items[*].name", 1, "write '{.items[*].name}'"),
        ("name", 1, "{range .items[*]}"),
        ("", 1, "there is no path"),
        ("{.items", 1, "not closed"),
        ("a{\"b}", 2, "a quote in this brace is not closed"),
        ("{.items[*}", 8, "bracket is not closed"),
        ("{.items[x].name}", 8, "quoted name"),
        ("{.items[(@.length-1)]}", 8, "[-1]"),
        ("{.items[?(@.seats=5)]}", 8, "write =="),
        ("{.items[?(@.plan==free)]}", 8, "in quotes"),
        ("{items}", 2, "'{.items}'"),
        ("{.items .name}", 8, "one path"),
        ("{.}.{..}", 6, "a name is missing"),
        ("{range .items[*]}{.name}", 1, "no {end}"),
        ("{.name}{end}", 9, "no {range PATH}"),
        ("{range}{end}", 7, "a path is missing"),
        ("{\"a\\q\"}", 4, "backslash"),
        ("{\"a\"\"b\"}", 5, "one piece"),
    ] {
        let error = Template::parse(template).unwrap_err();
        assert_eq!(error.at + 1, at, "{template}: {error}");
        assert!(error.to_string().contains(says), "{template}: {error}");
    }
    let deep = "{range .a}".repeat(100_000);
    assert!(Template::parse(&deep).unwrap_err().to_string().contains("too deep"));
}

#[test]
fn what_is_nowhere_is_guessed() {
    let hint = |template| Template::parse(template).unwrap().hint(&value());
    assert_eq!(
        hint("{.itmes[*].name}").as_deref(),
        Some("nothing here is called itmes; did you mean items?")
    );
    assert_eq!(hint("{.items[*].name}"), None);
    // The contract leaves out what has its default.
    assert_eq!(hint("{.items[*].xyzzy}"), None);
}

#[test]
fn nothing_acts_on_a_terminal() {
    let value = json!({"name": "a\u{1b}[2J", "deep": {"x": "\u{202e}"}});
    let template = Template::parse("{.name} {.deep}").unwrap();
    assert_eq!(template.fill(&value, true), "a\\u{1b}[2J {\"x\":\"\\u{202e}\"}\n");
    assert_eq!(template.fill(&value, false), "a\u{1b}[2J {\"x\":\"\u{202e}\"}\n");
}
