//! How a change is asked of a daemon, or rehearsed.

use std::time::Duration;

use streamspace_client::{
    ClientError, Connection, INCIDENT_HEADER, Incident as UnderIncident, parse_duration,
};
use streamspace_proto::v1::{
    AcknowledgeAlertRequest, ChangeSessionsRequest, ChangeSessionsResponse, Consequence,
    CordonTenantRequest, Quota, QuotaChange, QuotaLine, ResumeTenantRequest,
    RevokeCertificateRequest, SessionState, SetQuotaRequest, SuspendTenantRequest, Tenant,
    UncordonTenantRequest, UpdateTenantRequest,
};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use crate::{
    actions::{Field, Verb, Work},
    connection::Outlet,
    events::News,
    rows::{short, state_word},
};

mod incidents;

pub(crate) use incidents::{graveness, incident_name, told as incident_told};

/// A change is committed within it, or it is not known whether it was.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks for it. Whatever comes of it is told.
pub(crate) async fn work(connection: Connection, outlet: Outlet, work: Box<Work>) {
    let result = match timeout(PATIENCE, ask(&connection, &work)).await {
        Ok(result) => result.map_err(ClientError::from),
        Err(_) => Err(ClientError::TimedOut(PATIENCE)),
    };
    // Where nobody reads, nobody waits for it.
    let _ = outlet.send(News::Worked(work, result.map_err(Into::into))).await;
}

/// A request with the incident that its reason names, if it is one.
fn request<T>(work: &Work, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(incident) = work.reason.parse::<UnderIncident>()
        && let Ok(value) = incident.name().parse()
    {
        request.metadata_mut().insert(INCIDENT_HEADER, value);
    }
    request
}

async fn ask(connection: &Connection, work: &Work) -> Result<Vec<String>, Status> {
    // A rehearsal leaves nothing behind that a retry could meet.
    let request_id = if work.rehearse { String::new() } else { work.request_id.to_string() };
    let (name, reason) = (work.subject.name.clone(), work.reason.clone());
    let (validate_only, ttl) = (work.rehearse, duration(work.get(Field::Lifetime)));
    let mut tenants = connection.tenants();
    // What every change of a tenant carries, and the fields named.
    macro_rules! of_tenant {
        ($method:ident, $request:ident { $($field:ident),* }) => {{
            let message =
                $request { validate_only, request_id, $($field,)* ..$request::default() };
            tenants.$method(request(work, message)).await.map(|reply| tenant(reply, validate_only))
        }};
    }
    match work.verb {
        Verb::Hibernate | Verb::HibernateAll => {
            sessions(connection, work, SessionState::Hibernated, request_id).await
        }
        Verb::Wake => sessions(connection, work, SessionState::Running, request_id).await,
        Verb::Terminate | Verb::TerminateAll => {
            sessions(connection, work, SessionState::Terminated, request_id).await
        }
        Verb::Cordon => of_tenant!(cordon_tenant, CordonTenantRequest { name, reason, ttl }),
        Verb::Uncordon => of_tenant!(uncordon_tenant, UncordonTenantRequest { name, reason }),
        Verb::Suspend => of_tenant!(suspend_tenant, SuspendTenantRequest { name, reason }),
        Verb::Resume => of_tenant!(resume_tenant, ResumeTenantRequest { name, reason }),
        Verb::SetPlan => {
            let plan = format!("plans/{}", work.get(Field::Plan));
            let message = UpdateTenantRequest {
                tenant: Some(Tenant { name, plan, ..Tenant::default() }),
                update_mask: Some(prost_types::FieldMask { paths: vec!["plan".into()] }),
                validate_only,
                request_id,
                reason,
                ..UpdateTenantRequest::default()
            };
            tenants
                .update_tenant(request(work, message))
                .await
                .map(|reply| tenant(reply, validate_only))
        }
        Verb::Revoke => {
            let message = RevokeCertificateRequest {
                name,
                validate_only,
                request_id,
                reason,
                ..RevokeCertificateRequest::default()
            };
            let reply = connection.access().revoke_certificate(request(work, message)).await?;
            let revoked = reply.into_inner();
            let words = format!("{} of {}, revoked", short(&revoked.name), revoked.operator);
            let mut lines = vec![becomes(words, work.rehearse)];
            lines.extend(told(&revoked.consequences));
            Ok(lines)
        }
        Verb::Acknowledge => {
            let message = AcknowledgeAlertRequest { name, validate_only, request_id, reason };
            let reply = connection.alerts().acknowledge_alert(request(work, message)).await?;
            let alert = reply.into_inner();
            Ok(vec![becomes(
                format!("{} has it: {}", alert.acknowledged_by, alert.summary),
                validate_only,
            )])
        }
        Verb::SetQuota => {
            let (resource, amount) = work.get(Field::Amount).split_once('=').unwrap_or_default();
            let change = QuotaChange { resource: resource.into(), amount: amount.into() };
            let message = SetQuotaRequest {
                tenant: name,
                changes: vec![change],
                ttl,
                validate_only,
                request_id,
                reason,
                ..SetQuotaRequest::default()
            };
            let reply = connection.quotas().set_quota(request(work, message)).await?.into_inner();
            let mut lines = vec![becomes(limits(&reply, resource), validate_only)];
            lines.extend(told(&reply.consequences));
            Ok(lines)
        }
        _ => incidents::ask(connection, work, request_id).await,
    }
}

/// The limits of a resource, as the cluster names them: `requests.cpu` is one of `cpu`.
fn limits(quota: &Quota, resource: &str) -> String {
    let of_it = |line: &&QuotaLine| {
        let name = line.resource.rsplit('.').next().unwrap_or_default();
        line.resource == resource || name == resource
    };
    let words = |line: &QuotaLine| match line.used.as_str() {
        "" => format!("{} {}", line.resource, line.hard),
        used => format!("{} {}, of which {used} are used", line.resource, line.hard),
    };
    let limits: Vec<_> = quota.lines.iter().filter(of_it).map(words).collect();
    if limits.is_empty() { format!("no limit of {resource}") } else { limits.join("; ") }
}

fn duration(lifetime: &str) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(parse_duration(lifetime).ok()?).ok()
}

async fn sessions(
    connection: &Connection,
    work: &Work,
    state: SessionState,
    request_id: String,
) -> Result<Vec<String>, Status> {
    let of_all = matches!(work.verb, Verb::HibernateAll | Verb::TerminateAll);
    let name = &work.subject.name;
    let parent = name.split_once("/sessions/").map_or(name.as_str(), |(tenant, _)| tenant);
    let message = ChangeSessionsRequest {
        parent: parent.to_owned(),
        filter: if of_all { "name = \"*\"".into() } else { String::new() },
        names: if of_all { Vec::new() } else { vec![name.clone()] },
        state: state.into(),
        validate_only: work.rehearse,
        request_id,
        reason: work.reason.clone(),
    };
    let reply = connection.sessions().change_sessions(request(work, message)).await?;
    Ok(changed(&reply.into_inner(), work.rehearse))
}

/// What an operation over sessions is, or would be.
fn changed(reply: &ChangeSessionsResponse, rehearsed: bool) -> Vec<String> {
    let Some(operation) = &reply.operation else { return Vec::new() };
    let mut lines = Vec::new();
    if let Some(counts) = &operation.counts {
        let sessions = |count| crate::format::many(usize::try_from(count).unwrap_or(0), "session");
        // What would be changed is said first, also where it is none.
        let (first, changed) = if rehearsed {
            (format!("would change: {}", sessions(counts.changed)), 0)
        } else {
            (format!("{}: ", sessions(counts.total)), counts.changed)
        };
        let states = [
            (changed, "changed"),
            (counts.unchanged, "as wished already"),
            (counts.failed, "refused"),
            (counts.pending, "waiting"),
        ];
        let parts = states.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> = parts.map(|(count, word)| format!("{count} {word}")).collect();
        let between = if rehearsed && !parts.is_empty() { "; " } else { "" };
        lines.push(format!("{first}{between}{}", parts.join(", ")));
    }
    if !operation.name.is_empty() {
        lines.push(format!("operation {}", short(&operation.name)));
    }
    lines.extend(told(&operation.consequences));
    let refusals = reply.items.iter().filter_map(|item| item.error.as_ref());
    lines.extend(refusals.take(3).map(|error| error.message.clone()));
    lines
}

/// What something is now, or by a rehearsal would be.
fn becomes(words: String, rehearsed: bool) -> String {
    if rehearsed { format!("it would be: {words}") } else { words }
}

fn tenant(reply: Response<Tenant>, rehearsed: bool) -> Vec<String> {
    let tenant = reply.into_inner();
    let words = format!("{}, plan {}", state_word(tenant.state()), short(&tenant.plan));
    let mut lines = vec![becomes(words, rehearsed)];
    lines.extend(told(&tenant.consequences));
    lines
}

fn told(consequences: &[Consequence]) -> impl Iterator<Item = String> {
    consequences.iter().map(|consequence| consequence.message.clone())
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::OperationCounts;

    use super::*;

    #[test]
    fn a_rehearsal_says_first_how_many_would_change() {
        let counts = OperationCounts {
            total: 44,
            changed: 41,
            unchanged: 2,
            failed: 1,
            ..OperationCounts::default()
        };
        let first = |counts, rehearsed| {
            let operation = crate::testing::operation("", "tenants/acme", counts);
            let operation = Some(operation)
                .map(|it| streamspace_proto::v1::Operation { name: String::new(), ..it });
            let reply = ChangeSessionsResponse { operation, ..ChangeSessionsResponse::default() };
            changed(&reply, rehearsed).concat()
        };
        let would = "would change: 41 sessions; 2 as wished already, 1 refused";
        assert_eq!(first(counts, true), would);
        let is = "44 sessions: 41 changed, 2 as wished already, 1 refused";
        assert_eq!(first(counts, false), is);
        let one = OperationCounts { total: 1, changed: 1, ..OperationCounts::default() };
        assert_eq!(first(one, true), "would change: 1 session");
        let none = OperationCounts { total: 1, unchanged: 1, ..OperationCounts::default() };
        assert_eq!(first(none, true), "would change: 0 sessions; 1 as wished already");
    }
}
