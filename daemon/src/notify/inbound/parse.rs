//! Reads the webhook of an Alertmanager, version 4.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::InboundAlert;
use crate::notify::message::{line, text};

/// So many labels or annotations of one alert are kept.
const MANY: usize = 64;
const NAME_MAXIMUM: usize = 128;
const LABEL_MAXIMUM: usize = 1_024;
const TEXT_MAXIMUM: usize = 8_000;
const LINK_MAXIMUM: usize = 2_048;

#[derive(Deserialize)]
struct Notification {
    version: String,
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: Timestamp,
    #[serde(default)]
    ends_at: Option<Timestamp>,
    #[serde(default, rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

/// The alerts of a notification, or what is wrong with it. Long texts are cut.
pub(super) fn parse(body: &[u8]) -> Result<Vec<InboundAlert>, String> {
    let notification: Notification = serde_json::from_slice(body)
        .map_err(|error| format!("this is no notification of an Alertmanager: {error}"))?;
    if notification.version != "4" {
        return Err(format!(
            "version: {} must be \"4\", which Alertmanagers send since 0.5",
            line(&format!("{:?}", notification.version), NAME_MAXIMUM)
        ));
    }
    let alerts = notification.alerts.into_iter().enumerate();
    alerts
        .map(|(index, alert)| read(alert).map_err(|fault| format!("alerts[{index}].{fault}")))
        .collect()
}

fn read(alert: Alert) -> Result<InboundAlert, String> {
    let firing = match alert.status.as_str() {
        "firing" => true,
        "resolved" => false,
        _ => return Err("status: must be \"firing\" or \"resolved\"".into()),
    };
    let fingerprint = alert.fingerprint;
    let fits = (1..=64).contains(&fingerprint.len())
        && fingerprint.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !fits {
        return Err("fingerprint: must be 1 to 64 letters and digits".into());
    }
    // PostgreSQL keeps microseconds; the same alert must be the same row each time.
    let starts = Timestamp::from_microsecond(alert.starts_at.as_microsecond())
        .map_err(|error| format!("startsAt: {error}"))?;
    let texts = |all: BTreeMap<String, String>, maximum: usize| {
        let kept = all.into_iter().take(MANY);
        kept.map(|(name, value)| (line(&name, NAME_MAXIMUM), text(&value, maximum))).collect()
    };
    Ok(InboundAlert {
        fingerprint,
        firing,
        labels: texts(alert.labels, LABEL_MAXIMUM),
        annotations: texts(alert.annotations, TEXT_MAXIMUM),
        starts,
        // Of one that fires it is the year 1, or when it is given up.
        ends: alert.ends_at.filter(|_| !firing),
        generator_url: line(&alert.generator_url, LINK_MAXIMUM),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = r#"{"version":"4","groupKey":"{}:{}","status":"firing","receiver":"x",
        "truncatedAlerts":0,"alerts":[{"status":"firing","labels":{"alertname":"Down","job":"\u001b[2J"},
        "annotations":{"summary":"it is\ndown"},"startsAt":"2026-03-01T12:00:00.123456789Z",
        "endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://p/graph","fingerprint":"c8a1ed76fa4d0f5b"},
        {"status":"resolved","labels":{},"annotations":{},"startsAt":"2026-03-01T12:00:00Z",
        "endsAt":"2026-03-01T13:00:00Z","generatorURL":"","fingerprint":"00"}]}"#;

    #[test]
    fn a_notification_is_read_and_bounded() {
        let alerts = parse(WHOLE.as_bytes()).unwrap();
        assert_eq!(alerts.len(), 2);
        assert!(alerts[0].firing && alerts[0].ends.is_none());
        assert_eq!(alerts[0].labels["job"], "\\u{1b}[2J");
        assert_eq!(alerts[0].annotations["summary"], "it is\ndown");
        assert_eq!(alerts[0].starts.to_string(), "2026-03-01T12:00:00.123456Z");
        assert_eq!(alerts[1].ends.unwrap().to_string(), "2026-03-01T13:00:00Z");
        let long = WHOLE.replace("Down", &"x".repeat(100_000));
        assert_eq!(parse(long.as_bytes()).unwrap()[0].labels["alertname"].chars().count(), 1_024);
    }

    #[test]
    fn what_is_none_is_refused_with_its_place() {
        for (text, words) in [
            (String::new(), "no notification"),
            ("{}".into(), "no notification"),
            (WHOLE.replace("\"4\"", "\"3\""), "version: \"3\" must be"),
            (WHOLE.replace("\"resolved\"", "\"odd\""), "alerts[1].status: "),
            (WHOLE.replace("\"00\"", "\"../\""), "alerts[1].fingerprint: "),
            (WHOLE.replace("\"2026-03-01T12:00:00Z\"", "\"now\""), "no notification"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_comes_in_breaks_it(body in any::<Vec<u8>>(), at in any::<usize>(), byte in any::<u8>()) {
            let _read = parse(&body);
            let mut near = WHOLE.as_bytes().to_vec();
            let at = at % near.len();
            near[at] = byte;
            let _read = parse(&near);
        }
    }
}
