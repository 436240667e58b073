//! `OncallService`: rotas, overrides and escalation policies.

use jiff::Timestamp;
use sqlx::PgConnection;
use streamspace_core::ids::PlanId;
use streamspace_proto::v1::{self, oncall_service_server::OncallService};
use tonic::{Request, Response, Status};

use super::{
    convert::{self, policy_id, rota_id},
    store::{self, RotaRecord},
};
use crate::{
    db::{Database, DbError},
    notify::Channels,
    plans,
    rpc::{
        Caller, Clock, answer,
        errors::{RpcError, RpcResult},
        once::Once,
        time::{instant, second},
    },
};

/// The most rotas, and the most overrides of one.
const MOST: i64 = 1_000;

/// The rotas and escalation policies of one region.
#[derive(Clone)]
pub struct Oncall {
    db: Database,
    clock: Clock,
    channels: Channels,
}

impl Oncall {
    /// Keeps them in `db`; levels name some of `channels`.
    pub fn new(db: Database, clock: Clock, channels: Channels) -> Self {
        Self { db, clock, channels }
    }

    async fn shown(&self, tx: &mut PgConnection, record: &RotaRecord) -> RpcResult<v1::Rota> {
        self.shown_at(tx, record, (self.clock)()).await
    }

    async fn shown_at(
        &self,
        tx: &mut PgConnection,
        record: &RotaRecord,
        at: Timestamp,
    ) -> RpcResult<v1::Rota> {
        let id = rota_id("name", &format!("rotas/{}", record.id))?;
        Ok(convert::rota_to_proto(record, &store::overrides(tx, &id, at).await?, at))
    }

    pub(crate) async fn set_rota(
        &self,
        caller: &Caller,
        request: &v1::SetRotaRequest,
    ) -> RpcResult<v1::Rota> {
        let given = request.rota.as_ref().ok_or_else(|| RpcError::field("rota", "is required"))?;
        let record = convert::rota(given)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "SetRota", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        if store::count_rotas(&mut tx).await? >= MOST {
            return Err(RpcError::field("rota.name", "there are 1,000 rotas: delete one first"));
        }
        store::set_rota(&mut tx, &record).await?;
        let reply = self.shown(&mut tx, &record).await?;
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!(
            "turns of {} days: {}",
            record.turn_days,
            record.people.join(", ")
        ));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(super) async fn delete_rota(
        &self,
        caller: &Caller,
        request: &v1::DeleteRotaRequest,
    ) -> RpcResult<v1::Rota> {
        let id = rota_id("name", &request.name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "DeleteRota", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let record = store::rota(&mut tx, &id).await?;
        let record = record.ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        let name = id.to_name();
        let policies = store::policies(&mut tx).await?;
        let user = policies
            .iter()
            .find(|policy| policy.levels.iter().any(|level| level.targets.contains(&name)));
        if let Some(user) = user {
            return Err(RpcError::Refused {
                reason: "ROTA_IN_USE",
                message: format!(
                    "the escalation policy {} pages {name}: change or delete the policy first",
                    user.id
                ),
            });
        }
        let reply = self.shown(&mut tx, &record).await?;
        if request.validate_only {
            return Ok(reply);
        }
        store::delete_rota(&mut tx, &id).await?;
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes("deleted, with its overrides");
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(super) async fn list_rotas(
        &self,
        caller: &Caller,
        request: &v1::ListRotasRequest,
    ) -> RpcResult<v1::ListRotasResponse> {
        let at = match &request.at {
            None => (self.clock)(),
            Some(time) => instant(time).ok_or_else(|| RpcError::field("at", "is no instant"))?,
        };
        let mut tx = self.db.begin(&caller.scope).await?;
        let mut rotas = Vec::new();
        for record in store::rotas(&mut tx).await? {
            rotas.push(self.shown_at(&mut tx, &record, at).await?);
        }
        Ok(v1::ListRotasResponse { rotas })
    }

    pub(super) async fn add_override(
        &self,
        caller: &Caller,
        request: &v1::AddOverrideRequest,
    ) -> RpcResult<v1::Rota> {
        let id = rota_id("name", &request.name)?;
        let given = convert::given_override(request.r#override.as_ref(), (self.clock)())?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "AddOverride", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let record = store::rota(&mut tx, &id).await?;
        let record = record.ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        store::add_override(&mut tx, &id, &given).await?;
        let reply = self.shown(&mut tx, &record).await?;
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!(
            "{} from {} to {}",
            given.person,
            second(given.from),
            second(given.to)
        ));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(crate) async fn set_policy(
        &self,
        caller: &Caller,
        request: &v1::SetEscalationPolicyRequest,
    ) -> RpcResult<v1::EscalationPolicy> {
        let missing = || RpcError::field("escalation_policy", "is required");
        let record = convert::policy(request.escalation_policy.as_ref().ok_or_else(missing)?)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "SetEscalationPolicy", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        self.known(&mut tx, &record).await?;
        store::set_policy(&mut tx, &record).await?;
        let reply = convert::policy_to_proto(&record);
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        let levels: Vec<String> = record
            .levels
            .iter()
            .map(|level| format!("{} ({} min)", level.targets.join(" and "), level.minutes))
            .collect();
        caller.notes.changes(levels.join(", then "));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    /// Whether what a policy names exists.
    async fn known(&self, tx: &mut PgConnection, record: &store::PolicyRecord) -> RpcResult<()> {
        let names = self.channels.names();
        for (index, level) in record.levels.iter().enumerate() {
            // At night it would be refused, and nobody be paged.
            if let Some(unknown) = level.channels.iter().find(|name| !names.contains(name)) {
                let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(RpcError::field(
                    &format!("escalation_policy.levels[{index}].channels"),
                    format!(
                        "no channel {unknown} is configured on this replica; there are: {known}"
                    ),
                ));
            }
            for target in level.targets.iter().filter(|name| name.starts_with("rotas/")) {
                let field = format!("escalation_policy.levels[{index}].targets");
                let id = rota_id(&field, target)?;
                if store::rota(tx, &id).await?.is_none() {
                    return Err(RpcError::field(
                        &field,
                        format!("there is no {target}: make it with `ssctl oncall set` first"),
                    ));
                }
            }
        }
        if let Ok(plan) = PlanId::parse(&record.plan)
            && plans::current(tx, &plan).await?.is_none()
        {
            return Err(RpcError::NotFound(plan.to_name()));
        }
        Ok(())
    }

    pub(super) async fn delete_policy(
        &self,
        caller: &Caller,
        request: &v1::DeleteEscalationPolicyRequest,
    ) -> RpcResult<v1::EscalationPolicy> {
        let id = policy_id("name", &request.name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "DeleteEscalationPolicy", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let record = store::policy(&mut tx, &id).await?;
        let record = record.ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        let reply = convert::policy_to_proto(&record);
        if request.validate_only {
            return Ok(reply);
        }
        store::delete_policy(&mut tx, &id).await?;
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes("deleted");
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(super) async fn list_policies(
        &self,
        caller: &Caller,
        _: &v1::ListEscalationPoliciesRequest,
    ) -> RpcResult<v1::ListEscalationPoliciesResponse> {
        let mut tx = self.db.begin(&caller.scope).await?;
        let records = store::policies(&mut tx).await?;
        let escalation_policies = records.iter().map(convert::policy_to_proto).collect();
        Ok(v1::ListEscalationPoliciesResponse { escalation_policies })
    }
}

#[tonic::async_trait]
impl OncallService for Oncall {
    async fn set_rota(
        &self,
        request: Request<v1::SetRotaRequest>,
    ) -> Result<Response<v1::Rota>, Status> {
        answer!(self, request, set_rota)
    }

    async fn delete_rota(
        &self,
        request: Request<v1::DeleteRotaRequest>,
    ) -> Result<Response<v1::Rota>, Status> {
        answer!(self, request, delete_rota)
    }

    async fn list_rotas(
        &self,
        request: Request<v1::ListRotasRequest>,
    ) -> Result<Response<v1::ListRotasResponse>, Status> {
        answer!(self, request, list_rotas)
    }

    async fn add_override(
        &self,
        request: Request<v1::AddOverrideRequest>,
    ) -> Result<Response<v1::Rota>, Status> {
        answer!(self, request, add_override)
    }

    async fn set_escalation_policy(
        &self,
        request: Request<v1::SetEscalationPolicyRequest>,
    ) -> Result<Response<v1::EscalationPolicy>, Status> {
        answer!(self, request, set_policy)
    }

    async fn delete_escalation_policy(
        &self,
        request: Request<v1::DeleteEscalationPolicyRequest>,
    ) -> Result<Response<v1::EscalationPolicy>, Status> {
        answer!(self, request, delete_policy)
    }

    async fn list_escalation_policies(
        &self,
        request: Request<v1::ListEscalationPoliciesRequest>,
    ) -> Result<Response<v1::ListEscalationPoliciesResponse>, Status> {
        answer!(self, request, list_policies)
    }
}
