//! What is told of an incident.

use jiff::SignedDuration;
use streamspace_core::incident::post_mortem::{Action, PostMortem};
use streamspace_proto::v1;

use super::{Incidents, missing, shown};
use crate::{
    incidents::{
        convert,
        impact::impact,
        store::{self, Record},
        timeline,
    },
    rpc::{
        Caller,
        errors::RpcResult,
        time::{Bounds, ttl},
    },
};

/// How long before its begin changes are shown.
const BEFORE: Bounds = Bounds { shortest: 0, longest: 86_400, words: "up to 24 hours" };

impl Incidents {
    async fn one(&self, caller: &Caller, name: &str) -> RpcResult<Record> {
        let id = convert::id("name", name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        store::get(&mut tx, id).await?.ok_or_else(|| missing(id))
    }

    pub(in crate::incidents) async fn get(
        &self,
        caller: &Caller,
        request: &v1::GetIncidentRequest,
    ) -> RpcResult<v1::Incident> {
        let record = self.one(caller, &request.name).await?;
        let mut tx = self.db.begin(&caller.scope).await?;
        shown(&mut tx, &record).await
    }

    pub(in crate::incidents) async fn timeline(
        &self,
        caller: &Caller,
        request: &v1::ListTimelineRequest,
    ) -> RpcResult<v1::ListTimelineResponse> {
        let before = ttl("before", request.before.as_ref(), BEFORE)?;
        let record = self.one(caller, &request.name).await?;
        let before: SignedDuration = before.unwrap_or(timeline::BEFORE);
        let (entries, truncated) = timeline::read(&self.db, &record, before).await?;
        let entries = entries.into_iter().map(timeline::Entry::into_proto).collect();
        Ok(v1::ListTimelineResponse { entries, truncated })
    }

    pub(in crate::incidents) async fn impact(
        &self,
        caller: &Caller,
        request: &v1::GetImpactRequest,
    ) -> RpcResult<v1::IncidentImpact> {
        let record = self.one(caller, &request.name).await?;
        let mut tx = self.db.begin(&caller.scope).await?;
        Ok(impact(&mut tx, &record, self.now()).await?.to_proto(&record))
    }

    pub(in crate::incidents) async fn export(
        &self,
        caller: &Caller,
        request: &v1::ExportPostMortemRequest,
    ) -> RpcResult<v1::PostMortem> {
        let record = self.one(caller, &request.name).await?;
        let (timeline, _) = timeline::read(&self.db, &record, timeline::BEFORE).await?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let impact = impact(&mut tx, &record, self.now()).await?;
        let actions = store::actions(&mut tx, record.id).await?;
        drop(tx);
        let told = |entry: timeline::Entry| {
            let text = match entry.kind.as_str() {
                "before" => format!("before: {}", entry.text),
                _ => entry.text,
            };
            (entry.time, entry.actor, text)
        };
        let roles = [
            ("Commander", &record.commander),
            ("Communications", &record.communications),
            ("Scribe", &record.scribe),
        ];
        let text = PostMortem {
            id: record.id,
            title: record.title.clone(),
            severity: record.severity,
            state: record.state,
            start: record.start,
            declared: record.declared,
            declared_by: record.declared_by.clone(),
            acknowledged: record.acknowledged.map(|at| (at, record.acknowledged_by.clone())),
            mitigated: record.mitigated,
            resolved: record.resolved,
            roles: roles
                .into_iter()
                .filter(|(_, who)| !who.is_empty())
                .map(|(role, who)| (role, who.clone()))
                .collect(),
            tenants: impact
                .tenants
                .iter()
                .map(|(id, plan, _)| (id.clone(), plan.clone()))
                .collect(),
            budgets: impact.burned(),
            timeline: timeline.into_iter().map(told).collect(),
            actions: actions
                .into_iter()
                .map(|it| Action { text: it.text, owner: it.owner, due: it.due, is_done: it.done })
                .collect(),
        }
        .to_markdown();
        Ok(v1::PostMortem { text })
    }
}
