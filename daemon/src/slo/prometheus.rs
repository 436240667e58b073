//! What a Prometheus says of indicators, minute by minute.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use streamspace_core::slo::{
    Counts, Minute, Slo,
    promql::{self, Part},
};

use crate::{http_client::Client, usage::actual};

const PATH: &str = "/api/v1/query_range";

/// Minutes of counts by what the label says; the empty text where there is no label.
pub(super) type Measured = HashMap<String, BTreeMap<Minute, Counts>>;

/// One series of a matrix.
#[derive(Debug, Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

/// Reads the minutes of an SLO from one up to another.
pub(super) async fn measure(
    client: &Client,
    slo: &Slo,
    from: Minute,
    to: Minute,
) -> Result<Measured, String> {
    let Some(expressions) = promql::expressions(slo) else { return Ok(Measured::new()) };
    let label = slo.per_tenant.as_ref().map(|tenant| tenant.label.as_str());
    let total = ask(client, &expressions.total, label, from, to).await?;
    let (text, is_good) = match &expressions.part {
        Part::Good(text) => (text, true),
        Part::Bad(text) => (text, false),
    };
    let mut parts = ask(client, text, label, from, to).await?;
    Ok(total
        .into_iter()
        .map(|(key, minutes)| {
            let part = parts.remove(&key).unwrap_or_default();
            let counted = minutes.into_iter().map(|(minute, total)| {
                // What was never seen is none.
                let part = part.get(&minute).copied().unwrap_or_default();
                let bad = if is_good { total.saturating_sub(part) } else { part };
                (minute, Counts::new(total, bad))
            });
            (key, counted.collect())
        })
        .collect())
}

async fn ask(
    client: &Client,
    query: &str,
    label: Option<&str>,
    from: Minute,
    to: Minute,
) -> Result<HashMap<String, BTreeMap<Minute, u64>>, String> {
    // The value at an instant is that of the minute which ends then.
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("query", query)
        .append_pair("start", &from.plus(1).start().as_second().to_string())
        .append_pair("end", &to.start().as_second().to_string())
        .append_pair("step", "60")
        .finish();
    let answer = client.post(PATH, form).await?;
    let result = actual::result(&answer, "matrix")?;
    let series: Vec<Series> = serde_json::from_value(result)
        .map_err(|error| format!("it answers with what is no matrix: {error}"))?;
    let mut found: HashMap<String, BTreeMap<Minute, u64>> = HashMap::new();
    for Series { metric, values } in series {
        let key = label.and_then(|label| metric.get(label)).cloned().unwrap_or_default();
        let minutes = found.entry(key).or_default();
        for (at, value) in values {
            if let (Some(minute), Some(count)) = (minute(at), count(&value)) {
                minutes.insert(minute, count);
            }
        }
    }
    Ok(found)
}

/// The minute that ends at an instant in seconds.
#[allow(clippy::cast_possible_truncation, reason = "it is checked to be a whole number before")]
fn minute(at: f64) -> Option<Minute> {
    let in_range = at.fract() == 0.0 && (0.0..1e12).contains(&at);
    in_range.then(|| Minute((at as i64).div_euclid(60)).plus(-1))
}

/// A number of events: a decimal, rounded to a whole one; `None` where it is none.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is checked to be within the range before"
)]
fn count(text: &str) -> Option<u64> {
    let value: f64 = text.parse().ok()?;
    // Counters of events are whole, and doubles hold them exactly up to 2^53.
    (value.is_finite() && (0.0..=1e15).contains(&value)).then(|| value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_count_is_none() {
        for (text, read) in
            [("5", Some(5)), ("0", Some(0)), ("2.9999999", Some(3)), ("1e3", Some(1_000))]
        {
            assert_eq!(count(text), read, "{text}");
        }
        for text in ["NaN", "+Inf", "-Inf", "-1", "1e16", "", "x"] {
            assert_eq!(count(text), None, "{text}");
        }
        assert_eq!(minute(120.0), Some(Minute(1)));
        assert_eq!((minute(120.5), minute(-60.0), minute(f64::NAN)), (None, None, None));
    }
}
