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
    let format = if wide { Format::Wide } else { Format::Table };
    plain_table(format, &columns(), &ROWS, layout, Timestamp::UNIX_EPOCH)
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
    let layout = Layout::new(terminal(false, false), false);
    let text = plain_table(Format::Csv, &columns(), &ROWS, layout, Timestamp::UNIX_EPOCH);
    assert_eq!(
        text,
        "NAME,STATE,NOTE\r\nacme-corp,active,'=1+1\r\nb,active,\"a \"\"b\"\",\\u{1b}[2J\"\r\n"
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
fn json_says_the_same_and_does_nothing() {
    let value = json!({"a": "\u{1b}[2J\u{9b}31m\u{202e}x\u{e0001}", "b": "株式会社 é"});
    for text in [pretty(&value).unwrap(), lines(std::slice::from_ref(&value))] {
        assert!(!text.chars().any(|c| c != '\n' && misleads(c)), "{text:?}");
        assert!(text.contains("株式会社 é"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value, "{text}");
    }
}

#[test]
fn a_narrow_terminal_gets_what_fits() {
    let layout = |wide, width| Layout::new(terminal(true, false), wide).within(width);
    let drawn = |wide, width| {
        let mut grid = table::Grid::new(&columns(), wide);
        for row in &ROWS {
            grid.push(None, &columns(), wide, row, Timestamp::UNIX_EPOCH);
        }
        grid.draw(layout(wide, width))
    };
    assert_eq!(drawn(false, 80).left_out, Vec::<&str>::new());
    // Both columns are of those that always stay.
    assert_eq!(drawn(false, 8).left_out, Vec::<&str>::new());
    // All columns were asked for: lines run on instead of standing letter by letter.
    let wide = drawn(true, 20);
    assert_eq!(wide.left_out, Vec::<&str>::new());
    assert!(wide.text.contains("acme-corp   active   =1+1"), "{}", wide.text);
}

#[test]
fn yaml_is_yaml() {
    let value = json!([{"name": "a", "labels": {"on": "no"}, "seats": 5}]);
    let text = yaml(&value).unwrap();
    let back: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(back, value, "{text}");
}
