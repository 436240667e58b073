//! The order of a list: fields separated by commas, each with an optional ` desc`.
//!
//! ```text
//! plan, seats desc
//! ```

use std::cmp::Ordering;

use crate::{
    filter::{FieldValue, Fields, FilterError, LENGTH_MAXIMUM, Record},
    text,
};

/// The most fields of an order.
const KEYS_MAXIMUM: usize = 8;

/// Which end of a field comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The smallest first.
    Ascending,
    /// The largest first.
    Descending,
}

/// An order that was understood. The default one leaves everything where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderBy(Vec<(String, Direction)>);

impl OrderBy {
    /// Reads an order over the given fields, named as for
    /// [`Filter::parse`](crate::filter::Filter::parse); a blank one has no keys.
    pub fn parse(text: &str, known: &[&str]) -> Result<Self, FilterError> {
        let length = text.chars().count();
        if length > LENGTH_MAXIMUM {
            return Err(FilterError::TooLong { length, maximum: LENGTH_MAXIMUM });
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let fields = Fields::new(known);
        let mut keys: Vec<(String, Direction)> = Vec::new();
        let mut start = 1;
        for part in text.split(',') {
            let (field, position, direction) = read_part(part, start)?;
            fields.resolve(field, position)?;
            if keys.iter().any(|(earlier, _)| earlier == field) {
                return Err(FilterError::Repeated { position, field: text::excerpt(field) });
            }
            if keys.len() == KEYS_MAXIMUM {
                return Err(FilterError::TooManyKeys { position, maximum: KEYS_MAXIMUM });
            }
            keys.push((field.to_owned(), direction));
            start += part.chars().count() + 1;
        }
        Ok(Self(keys))
    }

    /// The fields and their directions, the most important first.
    pub fn keys(&self) -> &[(String, Direction)] {
        &self.0
    }

    /// Whether it leaves everything where it is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What this order compares of a record, for whoever sorts without keeping the records.
    pub fn key(&self, record: &dyn Record) -> SortKey {
        let part = |(field, direction): &(String, Direction)| (record.field(field), *direction);
        SortKey(self.0.iter().map(part).collect())
    }

    /// The order of two records. As in PostgreSQL, a field that is not set is larger than
    /// any value, and texts are compared by their bytes (collation `C`).
    pub fn compare(&self, left: &dyn Record, right: &dyn Record) -> Ordering {
        self.0
            .iter()
            .map(|(field, direction)| {
                direction.compare(left.field(field).as_ref(), right.field(field).as_ref())
            })
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl Direction {
    fn compare(self, left: Option<&FieldValue>, right: Option<&FieldValue>) -> Ordering {
        let ordering = match (left, right) {
            (Some(left), Some(right)) => left.compare(right),
            (left, right) => left.is_none().cmp(&right.is_none()),
        };
        match self {
            Self::Ascending => ordering,
            Self::Descending => ordering.reverse(),
        }
    }
}

/// What an [`OrderBy`] compares of one record. Keys of one order are sorted as
/// [`OrderBy::compare`] sorts their records; those of different orders mean nothing to each
/// other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey(Vec<(Option<FieldValue>, Direction)>);

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let parts = self.0.iter().zip(&other.0);
        parts
            .map(|((left, direction), (right, _))| direction.compare(left.as_ref(), right.as_ref()))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A field, where it stands, and its direction. `start` is the position of the part.
fn read_part(part: &str, start: usize) -> Result<(&str, usize, Direction), FilterError> {
    let unexpected = |position, found: &str, expected: &str| FilterError::Unexpected {
        position,
        found: found.to_owned(),
        expected: expected.to_owned(),
    };
    let position = start + part.chars().take_while(|c| c.is_whitespace()).count();
    let mut words = part.split_whitespace();
    let Some(field) = words.next() else {
        return Err(unexpected(start, "nothing", "a field, as in `name, seats desc`"));
    };
    let direction = match words.next() {
        None => Direction::Ascending,
        Some(word) if word.eq_ignore_ascii_case("asc") => Direction::Ascending,
        Some(word) if word.eq_ignore_ascii_case("desc") => Direction::Descending,
        Some(word) => {
            let found = format!("`{}`", text::excerpt(word));
            return Err(unexpected(position, &found, "`desc`, `asc` or a comma after the field"));
        }
    };
    match words.next() {
        None => Ok((field, position, direction)),
        Some(word) => {
            let found = format!("`{}`", text::excerpt(word));
            Err(unexpected(position, &found, "a comma after the direction"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const KNOWN: [&str; 4] = ["name", "plan", "seats:integer", "labels.*"];

    struct Row(BTreeMap<&'static str, FieldValue>);

    impl Record for Row {
        fn field(&self, name: &str) -> Option<FieldValue> {
            self.0.get(name).cloned()
        }
    }

    fn row(name: &str, plan: Option<&str>, seats: i64) -> Row {
        let mut fields = BTreeMap::from([
            ("name", FieldValue::from(name)),
            ("seats", FieldValue::Integer(seats)),
        ]);
        if let Some(plan) = plan {
            fields.insert("plan", plan.into());
        }
        Row(fields)
    }

    fn sorted(order: &str) -> Vec<String> {
        let mut rows = [
            row("acme", Some("business"), 10),
            row("beta", Some("free"), 9),
            row("charlie", None, 100),
            row("delta", Some("business"), 2),
        ];
        let order = OrderBy::parse(order, &KNOWN).unwrap();
        rows.sort_by(|left, right| order.compare(left, right));
        let shown = |row: &Row| match row.field("name") {
            Some(FieldValue::Text(name)) => name.chars().take(1).collect(),
            _ => String::new(),
        };
        rows.iter().map(shown).collect()
    }

    #[test]
    fn sorts() {
        assert_eq!(sorted("").concat(), "abcd");
        assert_eq!(sorted("name desc").concat(), "dcba");
        assert_eq!(sorted("seats").concat(), "dbac");
        assert_eq!(sorted("plan, seats").concat(), "dabc");
        assert_eq!(sorted("plan, seats desc").concat(), "adbc");
        assert_eq!(sorted("plan desc,name ASC").concat(), "cbad");
    }

    #[test]
    fn reads_keys() {
        let order = OrderBy::parse(" plan ,labels.tier  desc ", &KNOWN).unwrap();
        let expected = [
            ("plan".to_owned(), Direction::Ascending),
            ("labels.tier".to_owned(), Direction::Descending),
        ];
        assert_eq!(order.keys(), expected);
        assert_eq!(OrderBy::parse("  ", &KNOWN).unwrap(), OrderBy::default());
        assert!(OrderBy::default().is_empty() && !order.is_empty());
    }

    #[test]
    fn explains_what_it_refuses() {
        let cases = [
            ("plan, seat desc", "at 7: there is no field `seat`: did you mean `seats`?"),
            (
                "owner",
                "at 1: there is no field `owner`: there are `name`, `plan`, `seats`, `labels.KEY`",
            ),
            ("plan,", "at 6: found nothing, expected a field, as in `name, seats desc`"),
            ("plan down", "at 1: found `down`, expected `desc`, `asc` or a comma after the field"),
            ("plan desc seats", "at 1: found `seats`, expected a comma after the direction"),
            ("plan, plan desc", "at 7: the field `plan` stands twice: remove one"),
        ];
        for (order, message) in cases {
            assert_eq!(OrderBy::parse(order, &KNOWN).unwrap_err().to_string(), message);
        }
        let many: Vec<String> = (0..9).map(|n| format!("labels.l{n}")).collect();
        assert_eq!(
            OrderBy::parse(&many.join(","), &KNOWN).unwrap_err(),
            FilterError::TooManyKeys { position: 81, maximum: 8 }
        );
        assert!(matches!(
            OrderBy::parse(&"x".repeat(65536), &KNOWN),
            Err(FilterError::TooLong { length: 65536, .. })
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_an_order_or_explained(text in any::<String>()) {
            if let Err(error) = OrderBy::parse(&text, &KNOWN) {
                prop_assert!(!error.to_string().chars().any(text::acts_on_terminals));
            }
        }

        #[test]
        fn it_is_a_total_order(
            rows in prop::collection::vec(("[ab]{0,2}", prop::option::of("[xy]"), 0..3_i64), 3),
            text in prop::sample::select(vec!["name", "plan desc", "seats, name desc", "plan, seats desc"]),
        ) {
            let order = OrderBy::parse(text, &KNOWN).unwrap();
            let rows: Vec<Row> = rows.iter().map(|(n, p, s)| row(n, p.as_deref(), *s)).collect();
            let [a, b, c] = [&rows[0], &rows[1], &rows[2]];
            prop_assert_eq!(order.compare(a, b), order.compare(b, a).reverse());
            prop_assert_eq!(order.compare(a, a), Ordering::Equal);
            prop_assert_eq!(order.key(a).cmp(&order.key(b)), order.compare(a, b));
            if order.compare(a, b).is_le() && order.compare(b, c).is_le() {
                prop_assert!(order.compare(a, c).is_le());
            }
        }
    }
}
