//! SLOs, budgets and alerts: what is asked for, what is printed, and how it ends, word for
//! word.

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

/// 99.97 % over 30 days where 99.9 % are promised: 12.96 of 43.2 minutes are used.
fn budget(slo: &str, fields: Value) -> Value {
    let budget = json!({
        "slo": format!("slos/{slo}"), "objective": "99.9", "state": "BUDGET_STATE_OK",
        "asOf": END, "windowStart": "2098-12-02T00:00:00Z", "windowEnd": END,
        "total": "1000000", "bad": "300", "availabilityPpm": "999700",
        "allowed": "2592s", "used": "777.600s", "remaining": "1814.400s",
        "remainingPpm": "700000", "remainingEvents": "700", "measured": "2592000s",
        "burnRates": [
            { "window": "300s", "burnRateMilli": "0", "total": "100" },
            { "window": "3600s", "burnRateMilli": "14400", "total": "1200", "bad": "17" }
        ],
        "exhaustedIn": "126000s", "forecastRemainingPpm": "-50000"
    });
    with(budget, fields)
}

fn gone() -> Value {
    let firing = json!([{
        "severity": "ALERT_SEVERITY_PAGE", "rule": "burn-1h\u{1b}[2J", "startTime": END
    }]);
    budget(
        "starts",
        json!({
            "tenant": "tenants/acme", "state": "BUDGET_STATE_EXHAUSTED", "remainingPpm": "-1",
            "remaining": "-30s", "exhaustedIn": "0s", "firing": firing, "frozen": true,
            "creditPercent": 10, "remainingEvents": "-3"
        }),
    )
}

fn blind() -> Value {
    json!({ "slo": "slos/blind", "objective": "99", "state": "BUDGET_STATE_NO_DATA" })
}

fn slo(id: &str) -> Value {
    json!({
        "name": format!("slos/{id}"), "displayName": "Calls\u{1b}[2J that succeed",
        "service": "api", "objective": "99.9", "window": { "rollingDays": 30 },
        "sli": { "own": { "counter": "OWN_COUNTER_CALLS" } },
        "rules": [{
            "severity": "ALERT_SEVERITY_PAGE", "longWindow": "3600s", "shortWindow": "300s",
            "burnRateMilli": "14400"
        }],
        "policy": [{ "usedPercent": 80, "action": "BUDGET_ACTION_NOTIFY" }],
        "credits": [{ "below": "99.0", "creditPercent": 10 }],
        "leastTotal": "100", "etag": "e-1", "budgets": 1
    })
}

fn step(minute: u32, fields: Value) -> Value {
    let step = json!({
        "startTime": format!("2026-11-29T10:{minute:02}:00Z"), "total": "100", "bad": "1",
        "measured": "60s", "remainingPpm": "700000"
    });
    with(step, fields)
}

fn answer(method: &str, request: &Value) -> Answer {
    let name = request["name"].as_str().unwrap_or_default();
    let not_there = |message| Answer::No(Code::NotFound, message, "NOT_FOUND", vec![]);
    match name {
        "slos/gone" => return not_there("there is no slos/gone"),
        "tenants/nobody" => return not_there("there is no tenants/nobody"),
        "tenants/acme-crop" => return not_there("there is no tenants/acme-crop"),
        _ => {}
    }
    Answer::Is(match method {
        "SloService.GetSlo" => slo(request["name"].as_str().unwrap().trim_start_matches("slos/")),
        "SloService.GetBudget" => budget("api", json!({})),
        "SloService.ListBudgets" => {
            let filter = request["filter"].as_str().unwrap_or_default();
            let all = [gone(), budget("api", json!({})), blind()];
            let named = |one: &&Value| {
                let id = one["slo"].as_str().unwrap().trim_start_matches("slos/");
                let is_of_them =
                    !filter.contains("slo = ") || filter.contains(&format!("\"{id}\""));
                let has_none =
                    ["nobody", "acme-crop", "acme-corp"].map(|it| format!("tenant = \"{it}\""));
                is_of_them && !has_none.iter().any(|it| filter.contains(it))
            };
            json!({ "budgets": all.iter().filter(named).collect::<Vec<_>>() })
        }
        "TenantService.GetTenant" => json!({ "name": name }),
        "TenantService.ListTenants" => {
            json!({ "tenants": [{ "name": "tenants/acme-corp" }, { "name": "tenants/beta-inc" }] })
        }
        "SloService.CreateSlo" => with(slo("checkout"), json!({ "objective": "99.9" })),
        "SloService.UpdateSlo" => with(slo("api"), json!({ "objective": "99.95" })),
        "SloService.DeleteSlo" => slo("api"),
        "SloService.PreviewOutage" => json!({
            "budget": budget("api", json!({})), "costPpm": "462963", "remainingPpm": "237037",
            "longest": "1814s", "pageAfter": "52s",
            "reached": [{ "usedPercent": 50, "action": "BUDGET_ACTION_NOTIFY" }]
        }),
        "SloService.GetBurnChart" => json!({ "step": "60s", "steps": [
            step(0, json!({ "burnRateMilli": "0", "bad": "0" })),
            step(1, json!({ "burnRateMilli": "7200" })),
            step(2, json!({ "burnRateMilli": "14400" })),
            step(3, json!({ "measured": "0s", "total": "0", "bad": "0" })),
            step(4, json!({ "measured": "0s", "excluded": "60s", "remainingPpm": "650000" }))
        ] }),
        "SloService.PushSamples" => {
            json!({ "taken": request["samples"].as_array().unwrap().len() })
        }
        "SloService.ExcludeTime" => json!({ "budgets": 3, "minutes": "90", "bad": "12" }),
        "SloService.ImportSlos" => json!({ "slos": [
            { "slo": slo("new"), "outcome": "created" },
            { "slo": with(slo("api"), json!({ "objective": "99.5" })), "outcome": "changed" },
            { "slo": slo("same"), "outcome": "unchanged" }
        ] }),
        "SloService.ExportSlos" => json!({ "text": "apiVersion: openslo/v1\nkind: SLO\n" }),
        "AlertService.ListAlerts" => json!({ "alerts": [
            alert("0190aa11-0000-7000-8000-00000000000a", json!({})),
            alert("0190aa22-0000-7000-8000-00000000000b", json!({ "acknowledgedBy": "kim" }))
        ] }),
        "AlertService.AcknowledgeAlert" => {
            let id = request["name"].as_str().unwrap().trim_start_matches("alerts/");
            alert(id, json!({ "acknowledgedBy": "ada", "acknowledgeTime": END }))
        }
        other => panic!("{other}"),
    })
}

fn alert(id: &str, fields: Value) -> Value {
    let alert = json!({
        "name": format!("alerts/{id}"), "kind": "SloBurn", "rule": "burn-1h",
        "subject": "slos/api", "severity": "ALERT_SEVERITY_PAGE", "firing": true,
        "summary": "burns at 14.40\u{1b}[2J\nall well", "startTime": END,
        "runbookUrl": "https://runbooks.example/slo"
    });
    with(alert, fields)
}

#[test]
fn budgets_are_told_in_exact_numbers() {
    plays(
        "slo-reads.txt",
        answer,
        &[
            ("slo list", 0),
            ("slo list --filter 'remaining_percent < 80' --tenant acme --limit 5 -o csv", 0),
            ("slo list -o name", 0),
            ("slo show api", 0),
            ("slo show api -o json", 0),
            ("slo show gone", 6),
            ("slo what-if api --outage 20m", 0),
            ("slo what-if api --outage soon", 2),
            ("slo chart api --since 2026-11-29T10:00:00Z --steps 5", 0),
            ("slo chart api -o csv", 0),
            ("slo chart api --steps 0", 2),
            ("slo export", 0),
            ("slo export api --format prometheus -o json", 2),
        ],
    );
}

#[test]
fn a_gate_ends_as_it_says() {
    plays(
        "slo-status.txt",
        answer,
        &[
            ("slo status", 11),
            ("slo status --slo api", 0),
            ("slo status --slo api --fail-below 70%", 0),
            ("slo status --slo api --fail-below 70.01%", 11),
            ("slo status --slo blind", 0),
            ("slo status --slo blind --fail-below 1", 11),
            ("slo status --slo blind --fail-below 1 --allow-no-data", 0),
            ("slo status --slo nobody --fail-below 1 -o json", 11),
            ("slo status --slo gone", 6),
            ("slo status --tenant nobody --fail-below 1", 6),
            ("slo status --tenant acme-crop", 6),
            ("slo status --slo api --tenant acme-crop", 6),
            ("slo status --tenant acme-corp", 6),
            ("slo status --fail-below much", 2),
            ("slo status --allow-no-data", 2),
        ],
    );
}

#[test]
fn slos_are_changed_as_the_flags_say() {
    plays(
        "slo-actions.txt",
        answer,
        &[
            (
                "slo create checkout --service shop --objective 99.9 --bad \
                 'http_requests_total{code=~\"5..\"}' --total http_requests_total \
                 --rule page:1h/5m@14.4 --at 80=notify --at 100=freeze --credit 99.0=10 \
                 --backfill 3d",
                0,
            ),
            ("slo create checkout --service shop --objective 99.9 --pushed --dry-run", 3),
            ("slo create checkout --service shop --objective 99.9", 2),
            ("slo create checkout --objective 99.9 --pushed", 2),
            ("slo create checkout --service shop --pushed", 2),
            ("slo create checkout --service shop --objective 99.9 --total x", 2),
            ("slo create checkout --pushed --own calls", 2),
            ("slo create checkout --rule page", 2),
            ("slo set api --objective 99.95 --reason agreed", 0),
            ("slo set api --objective 99.95 --dry-run", 3),
            ("slo set api --no-per-tenant --objective 99.9 --dry-run", 3),
            ("slo set api --no-per-tenant --per-tenant", 2),
            ("slo set api", 2),
            ("slo delete api --confirm api", 2),
            ("slo delete api --reason old", 2),
            ("slo delete api --reason old --confirm api", 0),
            ("slo push api --minute 2026-11-29T10:05:59Z --total 12 --bad 3", 0),
            ("slo push api --minute 2026-11-29T10:05:59Z --total 12 --dry-run", 3),
            ("slo push api --total 12", 2),
            ("slo exclude api --from 2026-11-29T10:00:30Z --to 2026-11-29T11:30:00Z", 2),
            (
                "slo exclude api --from 2026-11-29T10:00:30Z --to 2026-11-29T11:30:00Z \
                 --reason INC-7",
                0,
            ),
            (
                "slo exclude --all --tenant acme --include --from 2026-11-29T10:00:00Z \
                 --to 2026-11-29T11:30:00Z --dry-run",
                3,
            ),
            ("slo exclude --from 2026-11-29T10:00:00Z --to 2026-11-29T11:30:00Z", 2),
            ("slo exclude api --from 2026-11-29T11:30:00Z --to 2026-11-29T11:30:30Z --reason x", 2),
            ("slo import -f /dev/null --dry-run", 3),
            ("slo import -f /dev/null", 0),
            ("slo import -f /nowhere", 2),
        ],
    );
}

#[test]
fn alerts_are_told_and_taken() {
    plays(
        "alerts.txt",
        answer,
        &[
            ("alert list", 0),
            ("alert list --ended -o json", 0),
            ("alert ack 0190aa1", 0),
            ("alert ack 0190aa", 2),
            ("alert ack ff", 6),
            ("alert ack 0190aa1 --dry-run", 3),
            ("alert ack --all", 0),
            ("alert ack", 2),
        ],
    );
}
