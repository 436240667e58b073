//! Alerts as the contract shows them.

use streamspace_proto::v1::{self, AlertSeverity};

use super::store::Record;
use crate::rpc::time::timestamp;

/// The severity of a word of the table.
fn severity(word: &str) -> AlertSeverity {
    match word {
        "page" => AlertSeverity::Page,
        "ticket" => AlertSeverity::Ticket,
        _ => AlertSeverity::Unspecified,
    }
}

pub(super) fn to_proto(record: &Record) -> v1::Alert {
    v1::Alert {
        name: format!("alerts/{}", record.alert_uid),
        kind: record.kind.clone(),
        rule: record.rule.clone(),
        subject: record.subject.clone(),
        tenant: record.tenant.as_ref().map(|id| format!("tenants/{id}")).unwrap_or_default(),
        severity: severity(&record.severity).into(),
        firing: record.end.is_none(),
        summary: record.summary.clone(),
        runbook_url: record.runbook_url.clone(),
        start_time: timestamp(record.start),
        end_time: record.end.and_then(timestamp),
        acknowledged_by: record.acknowledged_by.clone(),
        acknowledge_time: record.acknowledged.and_then(timestamp),
    }
}
