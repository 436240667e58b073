//! What was promised, and what fires because it is not kept: sessions do not start in the
//! second region while it is slow.

use streamspace_proto::v1::{Alert, AlertSeverity};

use super::{script::SLOW, time};
use crate::state::RegionIndex;

/// So long after a region got slow somebody is paged, and so long after that has it.
const PAGED: i64 = 8;
const TAKEN: i64 = 95;

/// What fires in a region so many seconds after the begin.
pub(super) fn alerts(region: RegionIndex, second: i64) -> Vec<Alert> {
    let runbook = |page: &str| format!("https://docs.example.com/runbooks/{page}");
    let budget = |id: &str, rule: &str, severity: AlertSeverity| Alert {
        name: format!("alerts/{id}"),
        kind: "SloBurn".into(),
        rule: rule.into(),
        severity: severity.into(),
        firing: true,
        runbook_url: runbook("slo-burn.md"),
        ..Alert::default()
    };
    match region.0 {
        0 => vec![
            Alert {
                kind: "SloBudgetUsed".into(),
                subject: "slos/api-availability-business".into(),
                summary: "api-availability-business (99.9 %) used 80 % of its error budget; 19.4 % of it is left".into(),
                start_time: time(-7_900),
                acknowledged_by: "ops-2".into(),
                acknowledge_time: time(-7_320),
                runbook_url: runbook("slo-budget-used.md"),
                ..budget("019ab1c2-8e10-7c3f-9d55-1b2a3c4d5e6f", "budget-80", AlertSeverity::Ticket)
            },
            Alert {
                kind: "SloNoData".into(),
                subject: "slos/checkout-probe".into(),
                summary: "nothing was measured of checkout-probe for 10 minutes: the Prometheus does not answer".into(),
                start_time: time(-1_520),
                runbook_url: runbook("slo-no-data.md"),
                ..budget("019ab22a-3f01-7a90-8c21-77d0e1f2a3b4", "no-data", AlertSeverity::Ticket)
            },
        ],
        1 if second >= SLOW.start + PAGED && second < SLOW.end + 300 => {
            let has_it = second >= SLOW.start + PAGED + TAKEN;
            vec![Alert {
                subject: "slos/session-start".into(),
                summary: "session-start (98 %) burned its error budget 21.3 times too fast over 1h; 61.4 % of it is left".into(),
                start_time: time(SLOW.start + PAGED),
                acknowledged_by: if has_it { "ops-2".into() } else { String::new() },
                acknowledge_time: if has_it { time(SLOW.start + PAGED + TAKEN) } else { None },
                ..budget("019ab2f0-5d17-7f4e-a6b0-90c1d2e3f405", "burn-1h", AlertSeverity::Page)
            }]
        }
        _ => Vec::new(),
    }
}
