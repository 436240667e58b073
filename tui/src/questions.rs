//! How a region is asked what a page shows beside what the watch tells.

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{
        Alert, Certificate, DescribeSessionRequest, ExportPostMortemRequest, GetBudgetRequest,
        GetBurnChartRequest, GetImpactRequest, GetIncidentRequest, GetOperationRequest,
        GetQuotaRequest, GetRegionRequest, GetSessionRequest, GetSloRequest, GetTenantRequest,
        GetUsageStatusRequest, Incident, IncidentImpact, IncidentState, ListAlertsRequest,
        ListAuditEntriesRequest, ListBudgetsRequest, ListCertificatesRequest, ListIncidentsRequest,
        ListLiveUsageRequest, ListSlosRequest, ListTenantObjectsRequest, ListTimelineRequest,
        QueryUsageRequest, QueryUsageResponse, UsageGroup, UsageStatus,
    },
};

use crate::{
    connection::{Outlet, PATIENCE, within},
    events::News,
    state::{Answer, Budgets, IncidentDetail, LiveUsage, Question, SloDetail, TenantUsage},
    trouble::Trouble,
};

/// How much of the audit log is shown.
const AUDIT_ENTRIES: i32 = 500;
/// How many incidents are read, the open ones first, of how many of them what they cost, and how many entries
/// of a timeline are shown.
const INCIDENTS: i32 = 100;
const IMPACTS: usize = 10;
const ENTRIES: usize = 300;
/// How many budgets are read, those with least left, and how many SLOs.
const BUDGETS: i32 = 1000;
/// In how many steps the window of an SLO is looked at, and in how many its last hour.
const STEPS: i32 = 200;
const MINUTES: i32 = 60;
const AN_HOUR: i64 = 3600;
/// How many alerts are read: those that fire, the newest first.
const ALERTS: i32 = 1000;
/// How many certificates one answer has, and how many answers are read.
const CERTIFICATES: i32 = 1000;
const PAGES: usize = 10;
/// How many tenants that take the most are.
const LARGEST: i32 = 50;
/// How many hours a chart goes back.
const HOURS: i64 = 48;

/// Asks a daemon something. Whatever comes of it is an answer.
pub(crate) async fn answer(connection: Connection, outlet: Outlet, question: Question) {
    let answer = ask(&connection, &question).await;
    // Where nobody reads, nobody waits for it.
    let _ = outlet.send(News::Answer(question, answer)).await;
}

async fn ask(connection: &Connection, question: &Question) -> Result<Answer, Trouble> {
    Ok(match question {
        Question::Session(name) => {
            let request = DescribeSessionRequest { name: name.clone() };
            let reply = within(PATIENCE, connection.sessions().describe_session(request)).await?;
            Answer::Session(Box::new(reply))
        }
        Question::Quota(tenant) => {
            let request = GetQuotaRequest { tenant: tenant.clone() };
            let reply = within(PATIENCE, connection.quotas().get_quota(request)).await?;
            Answer::Quota(Box::new(reply))
        }
        Question::Objects(tenant) => {
            let request = ListTenantObjectsRequest { name: tenant.clone() };
            let reply = within(PATIENCE, connection.tenants().list_tenant_objects(request)).await?;
            Answer::Objects(reply.objects)
        }
        Question::Usage(tenant) => {
            Answer::Usage(Box::new(usage(connection, tenant, Timestamp::now()).await?))
        }
        Question::LiveUsage => {
            let request = ListLiveUsageRequest {
                parent: "tenants/-".into(),
                page_size: LARGEST,
                ..ListLiveUsageRequest::default()
            };
            let live = within(PATIENCE, connection.usage().list_live_usage(request)).await?;
            let status = status(connection).await?;
            Answer::LiveUsage(Box::new(LiveUsage { live, status }))
        }
        Question::Incidents => Answer::Incidents(incidents(connection).await?),
        Question::Impacts => Answer::Impacts(impacts(connection).await?),
        Question::Incident(name) => Answer::Incident(Box::new(incident(connection, name).await?)),
        Question::PostMortem(name) => {
            let request = ExportPostMortemRequest { name: name.clone() };
            let reply =
                within(PATIENCE, connection.incidents().export_post_mortem(request)).await?;
            Answer::PostMortem(reply.text)
        }
        Question::Budgets => Answer::Budgets(Box::new(budgets(connection).await?)),
        Question::Slo(name) => {
            Answer::Slo(Box::new(slo(connection, name, Timestamp::now()).await?))
        }
        Question::Alerts => Answer::Alerts(alerts(connection).await?),
        Question::Audit => {
            let request = ListAuditEntriesRequest {
                page_size: AUDIT_ENTRIES,
                ..ListAuditEntriesRequest::default()
            };
            let reply = within(PATIENCE, connection.audit().list_audit_entries(request)).await?;
            Answer::Audit(reply.entries)
        }
        Question::Certificates => Answer::Certificates(certificates(connection).await?),
        Question::Yaml(name) => Answer::Yaml(yaml(connection, name).await?),
    })
}

/// The incidents: the open ones first and of these the gravest, then the newest.
async fn incidents(connection: &Connection) -> Result<Vec<Incident>, ClientError> {
    let request = ListIncidentsRequest {
        show_closed: true,
        page_size: INCIDENTS,
        ..ListIncidentsRequest::default()
    };
    Ok(within(PATIENCE, connection.incidents().list_incidents(request)).await?.incidents)
}

/// What the gravest of them cost so far.
async fn impacts(connection: &Connection) -> Result<Vec<IncidentImpact>, ClientError> {
    let mut impacts = Vec::new();
    let incidents = incidents(connection).await?;
    for incident in incidents.into_iter().filter(is_open).take(IMPACTS) {
        let request = GetImpactRequest { name: incident.name };
        impacts.push(within(PATIENCE, connection.incidents().get_impact(request)).await?);
    }
    Ok(impacts)
}

/// Whether somebody still works on it.
fn is_open(incident: &Incident) -> bool {
    !matches!(incident.state(), IncidentState::Resolved | IncidentState::Reviewed)
}

/// An incident with whom it hits, what it costs and what happened.
async fn incident(connection: &Connection, name: &str) -> Result<IncidentDetail, ClientError> {
    let (mut incidents, name) = (connection.incidents(), name.to_owned());
    let request = GetIncidentRequest { name: name.clone() };
    let incident = within(PATIENCE, incidents.get_incident(request)).await?;
    let request = ListTimelineRequest { name: name.clone(), before: None };
    let timeline = within(PATIENCE, incidents.list_timeline(request)).await?;
    let impact = within(PATIENCE, incidents.get_impact(GetImpactRequest { name })).await?;
    // Nobody reads thousands of lines of it here.
    let hidden = timeline.entries.len().saturating_sub(ENTRIES);
    Ok(IncidentDetail {
        incident: Some(incident),
        truncated: timeline.truncated || hidden > 0,
        entries: timeline.entries.into_iter().skip(hidden).collect(),
        impact: Some(impact),
    })
}

/// The budgets with least left, and the SLOs.
async fn budgets(connection: &Connection) -> Result<Budgets, ClientError> {
    let request = ListBudgetsRequest { page_size: BUDGETS, ..ListBudgetsRequest::default() };
    let budgets = within(PATIENCE, connection.slos().list_budgets(request)).await?.budgets;
    let request = ListSlosRequest { page_size: BUDGETS, ..ListSlosRequest::default() };
    let slos = within(PATIENCE, connection.slos().list_slos(request)).await?.slos;
    Ok(Budgets { budgets, slos })
}

/// An error budget by its SLO and whose it is, and how it came to be as it is.
async fn slo(
    connection: &Connection,
    name: &str,
    now: Timestamp,
) -> Result<SloDetail, ClientError> {
    let (slo, tenant) = name.split_once(' ').unwrap_or((name, ""));
    let (slo, tenant) = (slo.to_owned(), tenant.to_owned());
    let mut slos = connection.slos();
    let request = GetSloRequest { name: slo.clone() };
    let whole = within(PATIENCE, slos.get_slo(request)).await?;
    let request = GetBudgetRequest { slo: slo.clone(), tenant: tenant.clone() };
    let budget = within(PATIENCE, slos.get_budget(request)).await?;
    let request = GetBurnChartRequest { slo, tenant, steps: STEPS, ..Default::default() };
    let window = within(PATIENCE, slos.get_burn_chart(request.clone())).await?;
    let second = now.as_second().saturating_sub(AN_HOUR);
    let start_time = Some(prost_types::Timestamp { seconds: second, nanos: 0 });
    let request = GetBurnChartRequest { start_time, steps: MINUTES, ..request };
    let hour = within(PATIENCE, slos.get_burn_chart(request)).await?;
    Ok(SloDetail { slo: Some(whole), budget: Some(budget), window: Some(window), hour: Some(hour) })
}

/// What fires.
async fn alerts(connection: &Connection) -> Result<Vec<Alert>, ClientError> {
    let request = ListAlertsRequest { page_size: ALERTS, ..ListAlertsRequest::default() };
    Ok(within(PATIENCE, connection.alerts().list_alerts(request)).await?.alerts)
}

/// The certificates that open something.
async fn certificates(connection: &Connection) -> Result<Vec<Certificate>, ClientError> {
    let mut certificates = Vec::new();
    let mut page_token = String::new();
    for _ in 0..PAGES {
        let request = ListCertificatesRequest {
            page_size: CERTIFICATES,
            page_token,
            filter: "state = \"valid\"".into(),
            ..ListCertificatesRequest::default()
        };
        let reply = within(PATIENCE, connection.access().list_certificates(request)).await?;
        certificates.extend(reply.certificates);
        page_token = reply.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(certificates)
}

/// What a tenant used in the last two days by hour, and this month by day, user and template.
async fn usage(
    connection: &Connection,
    tenant: &str,
    now: Timestamp,
) -> Result<TenantUsage, ClientError> {
    let second = now.as_second();
    let hour = second - second.rem_euclid(3600) + 3600;
    let utc = now.to_zoned(TimeZone::UTC);
    let month = utc.first_of_month().and_then(|first| first.start_of_day());
    let next = month.as_ref().map_err(Clone::clone).and_then(|it| it.checked_add(1.month()));
    let (Ok(month), Ok(next)) = (month, next) else {
        return Err(ClientError::Unexpected(
            "this machine's clock is outside of the calendar".into(),
        ));
    };
    let (begin, end) = (month.timestamp().as_second(), next.timestamp().as_second());
    let query = async |group: UsageGroup, from: i64, to: i64| {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let request = QueryUsageRequest {
            parent: tenant.to_owned(),
            start_time: at(from),
            end_time: at(to),
            group: group.into(),
            ..QueryUsageRequest::default()
        };
        let reply = within(PATIENCE, connection.usage().query_usage(request)).await;
        reply as Result<QueryUsageResponse, ClientError>
    };
    Ok(TenantUsage {
        hours: query(UsageGroup::Hour, hour - HOURS * 3600, hour).await?,
        days: query(UsageGroup::Day, begin, end).await?,
        users: query(UsageGroup::User, begin, end).await?,
        templates: query(UsageGroup::Template, begin, end).await?,
        status: status(connection).await?,
    })
}

/// How far the metering is.
async fn status(connection: &Connection) -> Result<UsageStatus, ClientError> {
    within(PATIENCE, connection.usage().get_usage_status(GetUsageStatusRequest {})).await
}

/// A resource by its name, as the contract has it.
async fn yaml(connection: &Connection, name: &str) -> Result<String, Trouble> {
    let owned = name.to_owned();
    let (collection, _) = name.split_once('/').unwrap_or_default();
    let value = match collection {
        "tenants" if name.contains("/sessions/") => {
            let request = GetSessionRequest { name: owned };
            to_value(&within(PATIENCE, connection.sessions().get_session(request)).await?)
        }
        "tenants" => {
            let request = GetTenantRequest { name: owned };
            to_value(&within(PATIENCE, connection.tenants().get_tenant(request)).await?)
        }
        "operations" => {
            let request = GetOperationRequest { name: owned };
            to_value(&within(PATIENCE, connection.operations().get_operation(request)).await?)
        }
        "incidents" => {
            let request = GetIncidentRequest { name: owned };
            to_value(&within(PATIENCE, connection.incidents().get_incident(request)).await?)
        }
        "slos" => {
            let request = GetSloRequest { name: owned };
            to_value(&within(PATIENCE, connection.slos().get_slo(request)).await?)
        }
        "alerts" => {
            let alerts = alerts(connection).await?;
            let missing = || Trouble::new(&format!("{name} does not fire any more"));
            to_value(alerts.iter().find(|alert| alert.name == name).ok_or_else(missing)?)
        }
        "certificates" => {
            let request = ListCertificatesRequest {
                page_size: 1,
                filter: format!("name = \"{name}\""),
                ..ListCertificatesRequest::default()
            };
            let reply = within(PATIENCE, connection.access().list_certificates(request)).await?;
            let missing = || Trouble::new(&format!("there is no {name}"));
            to_value(reply.certificates.first().ok_or_else(missing)?)
        }
        _ => {
            let request = GetRegionRequest { name: owned };
            to_value(&within(PATIENCE, connection.regions().get_region(request)).await?)
        }
    };
    let broken = |error: &dyn std::error::Error| Trouble::new(&error.to_string());
    let value = value.map_err(|error| broken(&error))?;
    serde_saphyr::to_string(&value).map_err(|error| broken(&error))
}
