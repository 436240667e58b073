//! Names of what those on call work with. Lists of the same kind are short and have one page.

use streamspace_client::Connection;
use streamspace_proto::v1::{
    ListAlertsRequest, ListChannelsRequest, ListEscalationPoliciesRequest, ListIncidentsRequest,
    ListMaintenancesRequest, ListNoticesRequest, ListRotasRequest, ListSilencesRequest,
    NoticeState,
};
use tonic::Status;

use super::{PAGE, Page};

pub(super) async fn alerts(connection: &Connection) -> Result<Page, Status> {
    let request = ListAlertsRequest { page_size: PAGE, ..Default::default() };
    let reply = connection.alerts().list_alerts(request).await?.into_inner();
    let names = reply.alerts.into_iter().map(|alert| (alert.name, alert.summary));
    Ok((names.collect(), reply.next_page_token))
}

pub(super) async fn incidents(connection: &Connection) -> Result<Page, Status> {
    let request = ListIncidentsRequest { page_size: PAGE, ..Default::default() };
    let reply = connection.incidents().list_incidents(request).await?.into_inner();
    let names = reply.incidents.into_iter().map(|incident| (incident.name, incident.title));
    Ok((names.collect(), reply.next_page_token))
}

pub(super) async fn rotas(connection: &Connection) -> Result<Page, Status> {
    let reply = connection.oncall().list_rotas(ListRotasRequest::default()).await?.into_inner();
    let names = reply.rotas.into_iter().map(|rota| (rota.name, rota.on_call));
    Ok((names.collect(), String::new()))
}

pub(super) async fn policies(connection: &Connection) -> Result<Page, Status> {
    let request = ListEscalationPoliciesRequest {};
    let reply = connection.oncall().list_escalation_policies(request).await?.into_inner();
    let names = reply.escalation_policies.into_iter().map(|policy| (policy.name, policy.plan));
    Ok((names.collect(), String::new()))
}

pub(super) async fn maintenances(connection: &Connection) -> Result<Page, Status> {
    let request = ListMaintenancesRequest::default();
    let reply = connection.maintenance().list_maintenances(request).await?.into_inner();
    let names = reply.maintenances.into_iter().map(|it| (it.name, it.title));
    Ok((names.collect(), String::new()))
}

pub(super) async fn silences(connection: &Connection) -> Result<Page, Status> {
    let request = ListSilencesRequest::default();
    let reply = connection.maintenance().list_silences(request).await?.into_inner();
    let names = reply.silences.into_iter().map(|silence| (silence.name, silence.comment));
    Ok((names.collect(), String::new()))
}

pub(super) async fn channels(connection: &Connection) -> Result<Page, Status> {
    let reply = connection.notify().list_channels(ListChannelsRequest {}).await?.into_inner();
    let names = reply.channels.into_iter().map(|channel| (channel.name, channel.kind));
    Ok((names.collect(), String::new()))
}

pub(super) async fn refused_notices(connection: &Connection) -> Result<Page, Status> {
    let state = NoticeState::Refused.into();
    let request = ListNoticesRequest { page_size: PAGE, state, ..Default::default() };
    let reply = connection.notify().list_notices(request).await?.into_inner();
    let names = reply.notices.into_iter().map(|notice| (notice.name, notice.problem));
    Ok((names.collect(), reply.next_page_token))
}
