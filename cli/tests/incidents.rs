//! Incidents, on-call, maintenances and silences: what is asked for, what is printed, and how
//! it ends, word for word.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "a test that cannot go on must stop"
)]

mod machine;
mod play;
mod region;

use play::{plays, with};
use region::Answer;
use serde_json::{Value, json};
use tonic::Code;

/// What is later than now is 0s old on any day.
const END: &str = "2099-01-01T00:00:00Z";

fn incident(fields: Value) -> Value {
    let incident = json!({
        "name": "incidents/INC-7", "title": "API\u{1b}[2J errors",
        "severity": "INCIDENT_SEVERITY_P1", "state": "INCIDENT_STATE_DECLARED",
        "tenants": ["tenants/acme"], "slos": ["slos/api"], "declaredBy": "streamspaced",
        "declareTime": END, "levelsPaged": 1, "etag": "7-1"
    });
    with(incident, fields)
}

fn taken() -> Value {
    incident(json!({
        "acknowledgedBy": "ada", "acknowledgeTime": END, "commander": "ada",
        "actionItems": [{ "number": 1, "text": "test it", "owner": "lee", "due": "2026-12-31" }]
    }))
}

fn entry(kind: &str, actor: &str, text: &str) -> Value {
    json!({ "time": END, "kind": kind, "actor": actor, "text": text })
}

fn rota() -> Value {
    json!({
        "name": "rotas/primary", "people": ["kim", "lee"], "turnDays": 7, "handover": "09:00",
        "timeZone": "UTC", "startDate": "2026-03-30", "onCall": "kim", "until": END,
        "next": "lee", "overrides": [{ "person": "max", "startTime": END, "endTime": END }]
    })
}

fn policy() -> Value {
    json!({
        "name": "escalationPolicies/fast", "plan": "plans/enterprise", "rtoMinutes": 15,
        "levels": [{ "targets": ["rotas/primary", "ada"], "minutes": 5 },
                   { "targets": ["lee"], "minutes": 10 }]
    })
}

fn maintenance(fields: Value) -> Value {
    let it = json!({
        "name": "maintenances/3", "title": "moving disks", "startTime": "2026-01-01T00:00:00Z",
        "endTime": "2026-01-01T00:30:00Z", "actor": "ada", "slos": ["slos/api"]
    });
    with(it, fields)
}

fn silence(fields: Value) -> Value {
    let it = json!({
        "name": "silences/2", "comment": "known", "actor": "ada",
        "startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T02:00:00Z",
        "matchers": [{ "label": "alertname", "value": "SloBurn" },
                     { "label": "tenant", "value": "acme", "negative": true }]
    });
    with(it, fields)
}

fn answer(method: &str, request: &Value) -> Answer {
    let is_gone = |field: &str| request[field].as_str().is_some_and(|it| it.ends_with("gone"));
    if is_gone("name") {
        return Answer::No(Code::NotFound, "it does not exist", "NOT_FOUND", vec![]);
    }
    if request["name"] == "incidents/INC-8" && method.ends_with("AcknowledgeIncident") {
        let message = "kim has INC-8 in hand already: speak to them";
        return Answer::No(Code::FailedPrecondition, message, "INCIDENT_ACKNOWLEDGED", vec![]);
    }
    Answer::Is(match method {
        "AlertService.ListAlerts" => json!({ "alerts": [
            { "name": "alerts/0190aa11-0000-7000-8000-00000000000a", "firing": true }
        ] }),
        "IncidentService.DeclareIncident" | "IncidentService.GetIncident" => incident(json!({})),
        "IncidentService.ListIncidents" => json!({ "incidents": [incident(json!({})), taken()] }),
        "IncidentService.ListTimeline" => json!({ "entries": [
            entry("before", "kim", "SetQuota tenants/acme cpu 8 → 80"),
            entry("declared", "streamspaced", "P1: API errors"),
            entry("note", "ada", "rolled\u{1b}[2J back")
        ] }),
        "IncidentService.GetImpact" => json!({
            "name": "incidents/INC-7", "startTime": END, "endTime": END,
            "tenants": [{ "tenant": "tenants/acme", "plan": "enterprise", "sessions": 12 },
                        { "tenant": "tenants/old" }],
            "budgets": [{ "slo": "slos/api", "total": "1000", "bad": "20", "usedPpm": "462963" },
                        { "slo": "slos/starts", "tenant": "tenants/acme" }]
        }),
        "IncidentService.ExportPostMortem" => json!({ "text": "# INC-7: API errors\n" }),
        "IncidentService.MoveIncident" => incident(json!({
            "state": request["state"], "resolveTime": END
        })),
        name if name.starts_with("IncidentService.") => taken(),
        "OncallService.ListRotas" => json!({ "rotas": [rota()] }),
        "OncallService.ListEscalationPolicies" => json!({ "escalationPolicies": [policy()] }),
        name if name.ends_with("Policy") && name.contains("Escalation") => policy(),
        "OncallService.SetRota" => with(rota(), json!({ "people": request["rota"]["people"] })),
        name if name.starts_with("OncallService.") => rota(),
        "MaintenanceService.ListMaintenances" => json!({ "maintenances": [
            maintenance(json!({})),
            maintenance(json!({ "name": "maintenances/2", "ended": true, "slos": [] }))
        ] }),
        "MaintenanceService.StartMaintenance" => maintenance(json!({})),
        "MaintenanceService.EndMaintenance" => {
            maintenance(json!({ "ended": true, "endedBy": "ada" }))
        }
        "MaintenanceService.ListSilences" => json!({ "silences": [silence(json!({}))] }),
        "MaintenanceService.CreateSilence" => silence(json!({})),
        "MaintenanceService.EndSilence" => silence(json!({ "ended": true })),
        other => panic!("{other}"),
    })
}

#[test]
fn an_incident_is_followed_in_few_words() {
    plays(
        "incidents.txt",
        answer,
        &[
            ("incident declare 'API errors' --severity p1 --tenant acme --slo api", 0),
            ("incident declare --alert 0190aa --ack --policy fast", 0),
            ("incident declare 'API errors' --dry-run", 3),
            ("incident declare", 2),
            ("incident declare x --severity p9", 2),
            ("incident list", 0),
            ("incident list --closed -o name", 0),
            ("incident show 7", 0),
            ("incident show INC-7 --before 2h -o json", 0),
            ("incident show gone", 6),
            ("incident ack INC-7", 0),
            ("incident ack INC-8", 12),
            ("incident ack INC-7 --dry-run", 3),
            ("incident triage INC-7 --severity p0 --tenant beta --note 'all of it'", 0),
            ("incident mitigate INC-7 'rolled back'", 0),
            ("incident resolve INC-7", 0),
            ("incident review INC-7", 0),
            ("incident reopen INC-7", 2),
            ("incident reopen INC-7 'it is back'", 0),
            ("incident assign INC-7 --commander lee --scribe max", 0),
            ("incident assign INC-7", 2),
            ("incident escalate INC-7", 0),
            ("incident note INC-7 'rolled back'", 0),
            ("incident note INC-7 'rolled back' --dry-run", 3),
            ("incident update INC-7 'We look into it.'", 2),
            ("incident update INC-7 'We look into it.' --public --next 30m", 0),
            ("incident merge INC-7 INC-6", 0),
            ("incident action INC-7 'test it' --owner lee --due 2026-12-31", 0),
            ("incident action INC-7 --done 1", 0),
            ("incident action INC-7", 2),
            ("incident impact INC-7", 0),
            ("incident export INC-7", 0),
            ("incident export INC-7 -o json", 2),
        ],
    );
}

#[test]
fn who_is_on_call_and_who_is_paged_is_told_and_set() {
    plays(
        "oncall.txt",
        answer,
        &[
            ("oncall show", 0),
            ("oncall show primary --at 2026-12-24T03:00:00Z", 0),
            ("oncall show nobody", 6),
            ("oncall set primary kim lee --zone Europe/Berlin --start 2026-03-30", 0),
            ("oncall set primary kim --start 2026-03-30 --dry-run", 3),
            ("oncall set primary", 2),
            ("oncall override primary max --from 2026-12-24T18:00:00Z --for 12h", 0),
            ("oncall override primary max", 2),
            ("oncall delete primary", 0),
            ("oncall policy list", 0),
            (
                "oncall policy set fast --level rotas/primary,ada=5 --level lee=10 --plan \
                 enterprise --rto 15",
                0,
            ),
            ("oncall policy set both --level kim=10:phone --level ada=:phone,chat", 0),
            ("oncall policy set fast --level kim=never", 2),
            ("oncall policy set fast --level kim --plan enterprise", 2),
            ("oncall policy delete fast", 0),
        ],
    );
}

#[test]
fn what_may_be_down_and_what_pages_nobody_ends_by_itself() {
    plays(
        "maintenance.txt",
        answer,
        &[
            ("maintenance start 'moving disks' --for 30m --slo api", 0),
            ("maintenance start 'moving disks' --for 30m --dry-run", 3),
            ("maintenance start 'moving disks'", 2),
            ("maintenance list --ended", 0),
            ("maintenance end 3", 0),
            ("maintenance end gone", 6),
            ("silence create alertname=SloBurn tenant!=acme --for 2h --reason known", 0),
            ("silence create alertname=SloBurn --for 2h", 2),
            ("silence create SloBurn --for 2h --reason known", 2),
            ("silence list", 0),
            ("silence end 2", 0),
        ],
    );
}
