use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::shell::{Stream, Terminal};

struct Row {
    name: &'static str,
    note: &'static str,
}

fn columns() -> Vec<Column<Row>> {
    vec![
        Column::new("NAME", |row: &Row, _| row.name.into()),
        Column::new("STATE", |_, _| Cell::toned("active", Tone::Good)),
        Column::wide("NOTE", |row, _| row.note.into()),
    ]
}

const ROWS: [Row; 2] =
    [Row { name: "acme-corp", note: "=1+1" }, Row { name: "b", note: "a \"b\",\u{1b}[2J" }];

fn terminal(terminal: bool, colour: bool) -> Terminal {
    let stream = Stream { terminal, colour };
    Terminal { input: terminal, output: stream, talk: stream, unicode: true }
}

fn table(output: bool, colour: bool, wide: bool) -> String {
    let layout = Layout::new(terminal(output, colour), wide);
    table::table(&columns(), &ROWS, layout, Timestamp::UNIX_EPOCH)
}

#[test]
fn a_pipe_gets_plain_columns() {
    assert_eq!(
        table(false, false, false),
        "NAME       STATE\nacme-corp  active\nb          active\n"
    );
}

#[test]
fn wide_shows_more_and_nothing_acts_on_the_terminal() {
    assert_eq!(
        table(false, false, true),
        "NAME       STATE   NOTE\n\
         acme-corp  active  =1+1\n\
         b          active  a \"b\",\\u{1b}[2J\n"
    );
}

#[test]
fn colour_is_there_only_when_asked_for() {
    assert!(!table(true, false, true).contains('\u{1b}'));
    let coloured = table(false, true, false);
    assert!(coloured.contains("\u{1b}[") && coloured.contains("active"), "{coloured:?}");
}

#[test]
fn csv_is_quoted_and_runs_no_formula() {
    let text = csv::encode(&columns(), &ROWS, Timestamp::UNIX_EPOCH);
    assert_eq!(
        text,
        "NAME,STATE,NOTE\r\nacme-corp,active,'=1+1\r\nb,active,\"a \"\"b\"\",\u{1b}[2J\"\r\n"
    );
}

#[test]
fn details_keep_lines_below_each_other_and_leave_out_what_is_empty() {
    let layout = Layout::new(terminal(false, false), false);
    let pairs: [(&str, Cell); 3] =
        [("Name", "acme".into()), ("Note", "".into()), ("Admins", "a\nb".into())];
    assert_eq!(details(&pairs, layout), "Name:    acme\nAdmins:  a\n         b\n");
}

#[test]
fn a_preview_shows_fields_and_not_their_consequences() {
    let before = json!({"name": "tenants/a", "seats": 5, "etag": "1", "labels": {"x": "1"}});
    let after =
        json!({"name": "tenants/a", "seats": 9, "etag": "2", "labels": {"x": "1", "y": "2"}});
    assert_eq!(
        preview("tenants/a", &before, &after, false),
        "~ tenants/a\n+   labels.y: \"2\"\n-   seats: 5\n+   seats: 9\n"
    );
    assert_eq!(preview("tenants/a", &before, &before, false), "");
    assert_eq!(
        preview("tenants/a", &Value::Null, &json!({"seats": 5}), false),
        "+ tenants/a\n+   seats: 5\n"
    );
    assert_eq!(diff::changes(&after, &Value::Null).len(), 3);
}

#[test]
fn yaml_is_yaml() {
    let value = json!([{"name": "a", "labels": {"on": "no"}, "seats": 5}]);
    let text = yaml(&value).unwrap();
    let back: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(back, value, "{text}");
}
