//! Alerts of the platform itself: what a replica sees of what it stands on, and from when on
//! that needs somebody. The rules are those of `packaging/alerts` for a Prometheus, so that
//! a region without one, or with a dead one, is not blind.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::slo::{Counts, Severity};

/// The share of calls that may fail, and of calls that may be slow: 1 in so many.
const ONE_IN: u64 = 100;
/// So many calls at least: of fewer a single one would be more than that share.
const LEAST_CALLS: u64 = 100;

/// What a replica sees at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Calls of the last five minutes; bad ones failed by the daemon's fault.
    pub calls: Counts,
    /// The same; bad ones took longer than half a second.
    pub in_time: Counts,
    /// Pools of connections to the database.
    pub pools: Vec<Pool>,
    /// Bytes that are free and all bytes of the disk of the daemon's folder.
    pub disk: Option<(u64, u64)>,
    /// When certificates end, by name: `authority` or `server`.
    pub certificates: Vec<(&'static str, Timestamp)>,
    /// How far the metering is behind, as the leader sees it.
    pub metering_lag: Option<SignedDuration>,
    /// How the channels are by which people are told, as the leader sees it.
    pub channels: Vec<Channel>,
}

/// A channel by which people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Whether pages go through it, as far as is known.
    pub pages: bool,
    /// Messages that wait to be sent.
    pub waiting: u64,
    /// How long the oldest of them does.
    pub oldest: SignedDuration,
    /// Messages of the last day that were given up, and are not over since.
    pub given_up: u64,
}

/// A pool of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: &'static str,
    /// Connections in use.
    pub used: u32,
    /// The most that it opens.
    pub maximum: u32,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The alert, as its runbook is called.
    pub kind: &'static str,
    /// Which of that kind; empty where there is one.
    pub rule: String,
    /// How it reaches people.
    pub severity: Severity,
    /// A sentence with the numbers.
    pub summary: String,
    /// How long it must be so before it is told.
    pub hold: SignedDuration,
}

impl Finding {
    /// What tells it from others.
    fn key(&self) -> (&'static str, String) {
        (self.kind, self.rule.clone())
    }
}

/// The page of an alert among the runbooks: `ApiErrorRate` has `api-error-rate.md`.
#[must_use]
pub fn runbook(kind: &str) -> String {
    let mut page = String::new();
    for letter in kind.chars() {
        if letter.is_ascii_uppercase() && !page.is_empty() {
            page.push('-');
        }
        page.push(letter.to_ascii_lowercase());
    }
    page + ".md"
}

/// What is not as it should be.
#[must_use]
pub fn judge(facts: &Facts, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    calls(facts, &mut found);
    for pool in &facts.pools {
        // The maintainer's has one connection, which is in use while partitions are made.
        if pool.name != "maintainer" && pool.used >= pool.maximum {
            found.push(Finding {
                kind: "DatabasePoolExhausted",
                rule: pool.name.to_owned(),
                severity: Severity::Page,
                summary: format!(
                    "all {} connections of the pool {} are in use; calls wait for one",
                    pool.maximum, pool.name
                ),
                hold: SignedDuration::from_mins(2),
            });
        }
    }
    if let Some((free, size)) = facts.disk {
        disk(free, size, &mut found);
    }
    for (name, expires) in &facts.certificates {
        certificate(name, expires.duration_since(now), &mut found);
    }
    if let Some(lag) = facts.metering_lag.filter(|lag| *lag > SignedDuration::from_mins(15)) {
        found.push(Finding {
            kind: "MeteringBehind",
            rule: String::new(),
            severity: Severity::Ticket,
            summary: format!("usage is not closed for the last {} minutes", lag.as_mins()),
            hold: SignedDuration::from_mins(10),
        });
    }
    for channel in &facts.channels {
        told(channel, &mut found);
    }
    found
}

/// What is not told wakes somebody where it would have: by another channel, and here.
fn told(channel: &Channel, found: &mut Vec<Finding>) {
    let Channel { name, pages, waiting, oldest, given_up } = channel;
    let severity = if *pages { Severity::Page } else { Severity::Ticket };
    let counted = |count: u64, does: &str, do_: &str| match count {
        1 => format!("1 message {does}"),
        _ => format!("{count} messages {do_}"),
    };
    if *oldest > SignedDuration::from_mins(5) {
        found.push(Finding {
            kind: "NotificationsBehind",
            rule: name.clone(),
            severity,
            summary: format!(
                "{} for the channel {name}, the oldest for {} minutes",
                counted(*waiting, "waits", "wait"),
                oldest.as_mins()
            ),
            hold: SignedDuration::from_mins(1),
        });
    }
    if *given_up > 0 {
        found.push(Finding {
            kind: "NotificationsRefused",
            rule: name.clone(),
            severity,
            summary: format!(
                "{} refused by the channel {name} in the last day, and nobody was told",
                counted(*given_up, "was", "were")
            ),
            hold: SignedDuration::ZERO,
        });
    }
}

fn calls(facts: &Facts, found: &mut Vec<Finding>) {
    let is_much = |counts: &Counts| {
        counts.total >= LEAST_CALLS && counts.bad.saturating_mul(ONE_IN) > counts.total
    };
    if is_much(&facts.calls) {
        let Counts { total, bad } = facts.calls;
        found.push(Finding {
            kind: "ApiErrorRate",
            rule: String::new(),
            severity: Severity::Page,
            summary: format!("{bad} of {total} calls of the last 5 minutes failed by our fault"),
            hold: SignedDuration::from_mins(5),
        });
    }
    if is_much(&facts.in_time) {
        let Counts { total, bad } = facts.in_time;
        found.push(Finding {
            kind: "ApiLatency",
            rule: String::new(),
            severity: Severity::Page,
            summary: format!(
                "{bad} of {total} calls of the last 5 minutes took longer than 500 ms"
            ),
            hold: SignedDuration::from_mins(10),
        });
    }
}

fn disk(free: u64, size: u64, found: &mut Vec<Finding>) {
    let is_below = |percent: u64| free.saturating_mul(100) < size.saturating_mul(percent);
    for (percent, rule, severity, minutes) in
        [(20, "ticket", Severity::Ticket, 10), (5, "page", Severity::Page, 5)]
    {
        if is_below(percent) {
            let mebibytes = free >> 20;
            found.push(Finding {
                kind: "DiskSpaceLow",
                rule: rule.to_owned(),
                severity,
                summary: format!(
                    "less than {percent} % of the disk of the daemon's folder is free: {mebibytes} MiB"
                ),
                hold: SignedDuration::from_mins(minutes),
            });
        }
    }
}

fn certificate(name: &str, left: SignedDuration, found: &mut Vec<Finding>) {
    const DAY: SignedDuration = SignedDuration::from_hours(24);
    // A replica makes its own certificate anew ten days before it ends.
    let early = if name == "authority" { DAY * 30 } else { DAY * 9 };
    for (limit, word, severity, hold) in [
        (early, "ticket", Severity::Ticket, SignedDuration::from_hours(1)),
        (DAY * 2, "page", Severity::Page, SignedDuration::from_mins(5)),
    ] {
        if left < limit {
            found.push(Finding {
                kind: "CertificateExpires",
                rule: format!("{name}-{word}"),
                severity,
                summary: format!("the {name} certificate ends in {} hours", left.as_hours()),
                hold,
            });
        }
    }
}

/// Since when what is not as it should be is so.
#[derive(Clone, Debug, Default)]
pub struct Holds(BTreeMap<(&'static str, String), Timestamp>);

impl Holds {
    /// Those that are so for long enough. What is well again begins anew.
    pub fn due(&mut self, found: Vec<Finding>, now: Timestamp) -> Vec<Finding> {
        self.0.retain(|key, _| found.iter().any(|finding| finding.key() == *key));
        let mut due = Vec::new();
        for finding in found {
            let since = *self.0.entry(finding.key()).or_insert(now);
            if now.duration_since(since) >= finding.hold {
                due.push(finding);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn channel(pages: bool, oldest: i64, given_up: u64) -> Channel {
        Channel {
            name: "oncall".into(),
            pages,
            waiting: 2,
            oldest: SignedDuration::from_secs(oldest),
            given_up,
        }
    }

    fn kinds(facts: &Facts) -> Vec<(&'static str, String)> {
        judge(facts, at(0)).iter().map(Finding::key).collect()
    }

    #[test]
    fn what_is_well_tells_nothing() {
        let facts = Facts {
            calls: Counts { total: 1_000, bad: 10 },
            in_time: Counts { total: 99, bad: 99 },
            pools: vec![
                Pool { name: "operator", used: 9, maximum: 10 },
                Pool { name: "maintainer", used: 1, maximum: 1 },
            ],
            disk: Some((20, 100)),
            certificates: vec![("authority", at(31 * 86_400)), ("server", at(9 * 86_400))],
            metering_lag: Some(SignedDuration::from_mins(15)),
            channels: vec![channel(true, 5 * 60, 0)],
        };
        assert_eq!(kinds(&facts), []);
        assert_eq!(kinds(&Facts::default()), []);
    }

    #[test]
    fn each_limit_tells_its_own() {
        let of = |facts: Facts| kinds(&facts);
        let one = |kind, rule: &str| vec![(kind, rule.to_owned())];
        assert_eq!(
            of(Facts { calls: Counts { total: 1_000, bad: 11 }, ..Facts::default() }),
            one("ApiErrorRate", "")
        );
        assert_eq!(
            of(Facts { in_time: Counts { total: 100, bad: 2 }, ..Facts::default() }),
            one("ApiLatency", "")
        );
        let pools = vec![Pool { name: "tenant", used: 10, maximum: 10 }];
        assert_eq!(of(Facts { pools, ..Facts::default() }), one("DatabasePoolExhausted", "tenant"));
        assert_eq!(
            of(Facts { disk: Some((19, 100)), ..Facts::default() }),
            one("DiskSpaceLow", "ticket")
        );
        assert_eq!(of(Facts { disk: Some((4, 100)), ..Facts::default() }).len(), 2);
        let certificates = vec![("authority", at(30 * 86_400 - 1)), ("server", at(-1))];
        let told = of(Facts { certificates, ..Facts::default() });
        let rules: Vec<_> = told.iter().map(|(_, rule)| rule.as_str()).collect();
        assert_eq!(rules, ["authority-ticket", "server-ticket", "server-page"]);
        let metering_lag = Some(SignedDuration::from_secs(901));
        assert_eq!(of(Facts { metering_lag, ..Facts::default() }), one("MeteringBehind", ""));
    }

    #[test]
    fn an_alert_has_its_page() {
        assert_eq!(runbook("ApiErrorRate"), "api-error-rate.md");
        assert_eq!(runbook("SloBurn"), "slo-burn.md");
    }

    #[test]
    fn what_is_not_told_wakes_somebody_where_it_would_have() {
        let told = |channel: Channel| -> Vec<(&'static str, Severity, String)> {
            let found = judge(&Facts { channels: vec![channel], ..Facts::default() }, at(0));
            found.into_iter().map(|it| (it.kind, it.severity, it.summary)).collect()
        };
        let behind = "2 messages wait for the channel oncall, the oldest for 5 minutes";
        let behind = behind.to_owned();
        assert_eq!(
            told(channel(true, 301, 0)),
            [("NotificationsBehind", Severity::Page, behind.clone())]
        );
        assert_eq!(
            told(channel(false, 301, 0)),
            [("NotificationsBehind", Severity::Ticket, behind)]
        );
        let refused =
            "1 message was refused by the channel oncall in the last day, and nobody was told";
        assert_eq!(
            told(channel(false, 0, 1)),
            [("NotificationsRefused", Severity::Ticket, refused.to_owned())]
        );
    }

    #[test]
    fn it_must_be_so_for_its_time_without_a_break() {
        let low = Facts { disk: Some((19, 100)), ..Facts::default() };
        let mut holds = Holds::default();
        let mut due =
            |facts: &Facts, second: i64| holds.due(judge(facts, at(second)), at(second)).len();
        assert_eq!(due(&low, 0), 0);
        assert_eq!(due(&low, 599), 0);
        assert_eq!(due(&low, 600), 1);
        assert_eq!(due(&Facts::default(), 700), 0);
        assert_eq!(due(&low, 800), 0, "it begins anew");
        assert_eq!(due(&low, 1_400), 1);
    }

    proptest! {
        #[test]
        fn no_numbers_break_it(
            total in 0_u64..u64::MAX, bad in any::<u64>(), free in any::<u64>(),
            size in any::<u64>(), left in any::<i32>(), lag in any::<i64>(),
        ) {
            let counts = Counts { total, bad: bad.min(total) };
            let facts = Facts {
                calls: counts,
                in_time: counts,
                disk: Some((free, size)),
                certificates: vec![("authority", at(left.into()))],
                metering_lag: Some(SignedDuration::from_secs(lag)),
                ..Facts::default()
            };
            let worse = Facts { disk: Some((free / 2, size)), ..facts.clone() };
            prop_assert!(judge(&worse, at(0)).len() >= judge(&facts, at(0)).len());
        }
    }
}
