//! `SloService`: definitions, budgets and what was measured for them.

use jiff::Timestamp;
use streamspace_core::{
    ids::{SloId, TenantId},
    page::Query,
    slo::{Minute, Sli, Slo},
    violation::Violation,
};
use streamspace_proto::v1::{self, slo_service_server::SloService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    budgets as rows, convert,
    store::{self, SloRecord},
};
use crate::{
    alerts::{self, REGION},
    db::{Database, DbError},
    rpc::{
        Caller, Clock, answer,
        errors::{RpcError, RpcResult},
        listing::Paging,
        once::Once,
        summary::NO_CHANGE,
        time::{Bounds, timestamp, ttl},
    },
};

mod budgets;
mod chart;
mod exchange;
mod measured;

/// How far back a Prometheus is read for a new SLO.
const BACKFILL: Bounds =
    Bounds { shortest: 3_600, longest: 90 * 86_400, words: "one hour to 90 days, in whole hours" };

/// The fields that may change.
const MUTABLE_FIELDS: [&str; 13] = [
    "display_name",
    "description",
    "service",
    "objective",
    "window",
    "sli",
    "per_tenant",
    "rules",
    "least_total",
    "least_bad",
    "policy",
    "credits",
    "runbook_url",
];

/// The SLOs of one region.
#[derive(Clone)]
pub struct Slos {
    db: Database,
    clock: Clock,
}

impl Slos {
    /// Keeps SLOs in `db`.
    pub fn new(db: Database, clock: Clock) -> Self {
        Self { db, clock }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) async fn get(&self, caller: &Caller, name: &str) -> RpcResult<v1::Slo> {
        let id = slo_id("name", name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let record = store::get(&mut tx, &id).await?.ok_or_else(|| missing(&id))?;
        let count = rows::count(&mut tx).await?.get(&record.uid).copied();
        Ok(shown(&record, count.unwrap_or_default()))
    }

    async fn list(
        &self,
        caller: &Caller,
        request: &v1::ListSlosRequest,
    ) -> RpcResult<v1::ListSlosResponse> {
        let query = Query { method: "ListSlos", filter: "", order_by: "", show_deleted: false };
        let paging = Paging { size: request.page_size, token: &request.page_token, query };
        let mut tx = self.db.begin(&caller.scope).await?;
        let records = store::list(&mut tx).await?;
        let counts = rows::count(&mut tx).await?;
        let key = |record: &SloRecord| record.slo.id.as_str().to_owned();
        let (page, next_page_token) = paging.cut(records, key)?;
        let of = |record: &SloRecord| counts.get(&record.uid).copied().unwrap_or_default();
        let slos = page.iter().map(|record| shown(record, of(record))).collect();
        Ok(v1::ListSlosResponse { slos, next_page_token })
    }

    pub(super) async fn create(
        &self,
        caller: &Caller,
        request: &v1::CreateSloRequest,
    ) -> RpcResult<v1::Slo> {
        let id = SloId::parse(&request.slo_id)
            .map_err(|error| RpcError::field("slo_id", error.to_string()))?;
        let given = request.slo.as_ref().ok_or_else(|| RpcError::field("slo", "is required"))?;
        let slo = convert::of_proto(id, given).map_err(within_slo)?;
        let backfill = backfill(request, &slo)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "CreateSlo", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let first = Minute::holding(self.now()).plus(-backfill);
        let record = store::insert(&mut tx, &slo, false, first).await?;
        let record = record.ok_or_else(|| RpcError::AlreadyExists(slo.id.to_name()))?;
        let reply = shown(&record, 0);
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("created, objective {}", objective(&slo)));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(super) async fn update(
        &self,
        caller: &Caller,
        request: &v1::UpdateSloRequest,
    ) -> RpcResult<v1::Slo> {
        let given = request.slo.as_ref().ok_or_else(|| RpcError::field("slo", "is required"))?;
        let id = slo_id("slo.name", &given.name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "UpdateSlo", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let current = store::lock(&mut tx, &id).await?.ok_or_else(|| missing(&id))?;
        require_etag(&current, &given.etag)?;
        let fields = request.update_mask.as_ref().map_or(&[][..], |mask| mask.paths.as_slice());
        let slo = changed(&current.slo, given, fields)?;
        if slo == current.slo {
            caller.notes.changes(NO_CHANGE);
            return Ok(shown(&current, 0));
        }
        let record = self.write(&mut tx, &current, &slo).await?;
        let count = rows::count(&mut tx).await?.get(&record.uid).copied();
        let reply = shown(&record, count.unwrap_or_default());
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("changed {}", fields.join(", ")));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    /// Writes a change. What is measured by something else begins anew.
    async fn write(
        &self,
        tx: &mut sqlx::PgConnection,
        current: &SloRecord,
        slo: &Slo,
    ) -> RpcResult<SloRecord> {
        let old = &current.slo;
        let is_anew = (&slo.sli, &slo.per_tenant) != (&old.sli, &old.per_tenant);
        let anew = is_anew.then(|| Minute::holding(self.now()));
        if is_anew {
            alerts::end_all_of(tx, &current.subject()).await?;
        }
        Ok(store::update(tx, current, slo, anew).await?)
    }

    pub(super) async fn delete(
        &self,
        caller: &Caller,
        request: &v1::DeleteSloRequest,
    ) -> RpcResult<v1::Slo> {
        let id = slo_id("name", &request.name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "DeleteSlo", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let current = store::lock(&mut tx, &id).await?.ok_or_else(|| missing(&id))?;
        require_etag(&current, &request.etag)?;
        let count = rows::count(&mut tx).await?.get(&current.uid).copied();
        let reply = shown(&current, count.unwrap_or_default());
        if request.validate_only {
            return Ok(reply);
        }
        alerts::end_all_of(&mut tx, &current.subject()).await?;
        store::delete(&mut tx, current.uid).await?;
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes("deleted, with what was measured for it");
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }
}

/// How many minutes of the past are read.
fn backfill(request: &v1::CreateSloRequest, slo: &Slo) -> RpcResult<i64> {
    let Some(backfill) = ttl("backfill", request.backfill.as_ref(), BACKFILL)? else {
        return Ok(0);
    };
    if matches!(slo.sli, Sli::Own(_) | Sli::Pushed) {
        return Err(RpcError::field(
            "backfill",
            "is for indicators of a Prometheus, which holds the past: leave it out",
        ));
    }
    if backfill.as_secs() % 3_600 != 0 {
        return Err(RpcError::field("backfill", format!("must be {}", BACKFILL.words)));
    }
    Ok(backfill.as_secs() / 60)
}

fn slo_id(field: &str, name: &str) -> RpcResult<SloId> {
    SloId::from_name(name).map_err(|error| RpcError::field(field, error.to_string()))
}

fn missing(id: &SloId) -> RpcError {
    RpcError::NotFound(id.to_name())
}

fn within_slo(faults: Vec<Violation>) -> RpcError {
    RpcError::Invalid(
        faults
            .into_iter()
            .map(|fault| Violation { field: format!("slo.{}", fault.field), ..fault })
            .collect(),
    )
}

fn objective(slo: &Slo) -> String {
    match convert::to_proto(slo).objective.as_str() {
        "" => "by plan".to_owned(),
        percent => format!("{percent} %"),
    }
}

fn etag(record: &SloRecord) -> String {
    format!("{}-{}", record.uid.simple(), record.version)
}

fn require_etag(record: &SloRecord, given: &str) -> RpcResult<()> {
    if given.is_empty() || given == etag(record) {
        return Ok(());
    }
    Err(RpcError::EtagMismatch(record.slo.id.to_name()))
}

/// An SLO with what the daemon knows of it.
fn shown(record: &SloRecord, budgets: i32) -> v1::Slo {
    v1::Slo {
        uid: record.uid.to_string(),
        seeded: record.seeded,
        create_time: timestamp(record.created),
        update_time: timestamp(record.updated),
        etag: etag(record),
        measured_until: timestamp(record.known.start()),
        problem: record.problem.clone(),
        budgets,
        ..convert::to_proto(&record.slo)
    }
}

/// The current one with the named fields of another.
fn changed(current: &Slo, given: &v1::Slo, fields: &[String]) -> RpcResult<Slo> {
    if fields.is_empty() {
        return Err(RpcError::field("update_mask", "name at least one field"));
    }
    let mut next = convert::to_proto(current);
    let given = given.clone();
    for field in fields {
        match field.as_str() {
            "display_name" => next.display_name.clone_from(&given.display_name),
            "description" => next.description.clone_from(&given.description),
            "service" => next.service.clone_from(&given.service),
            "objective" => next.objective.clone_from(&given.objective),
            "window" => next.window.clone_from(&given.window),
            "sli" => next.sli.clone_from(&given.sli),
            "per_tenant" => next.per_tenant.clone_from(&given.per_tenant),
            "rules" => next.rules.clone_from(&given.rules),
            "least_total" => next.least_total = given.least_total,
            "least_bad" => next.least_bad = given.least_bad,
            "policy" => next.policy.clone_from(&given.policy),
            "credits" => next.credits.clone_from(&given.credits),
            "runbook_url" => next.runbook_url.clone_from(&given.runbook_url),
            other => {
                return Err(RpcError::field(
                    "update_mask",
                    format!(
                        "{:?} cannot be changed; what can: {}",
                        other.chars().take(64).collect::<String>(),
                        MUTABLE_FIELDS.join(", ")
                    ),
                ));
            }
        }
    }
    convert::of_proto(current.id.clone(), &next).map_err(within_slo)
}

/// Whose budget a name stands for: the tenant's uid, or the region's own.
async fn budget_uid(
    tx: &mut sqlx::PgConnection,
    record: &SloRecord,
    field: &str,
    tenant: &str,
) -> RpcResult<Uuid> {
    match (tenant, record.slo.per_tenant.is_some()) {
        ("", false) => Ok(REGION),
        ("", true) => Err(RpcError::field(field, "is required under this SLO")),
        (_, false) => Err(RpcError::field(field, "must be empty: this SLO has one budget")),
        (name, true) => {
            let id = TenantId::from_name(name)
                .map_err(|error| RpcError::field(field, error.to_string()))?;
            let all = store::tenants(tx).await?;
            let found = all.into_iter().find(|row| row.id == id.as_str());
            found.map(|row| row.uid).ok_or_else(|| RpcError::NotFound(id.to_name()))
        }
    }
}

#[tonic::async_trait]
impl SloService for Slos {
    async fn get_slo(
        &self,
        request: Request<v1::GetSloRequest>,
    ) -> Result<Response<v1::Slo>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.get(&caller, &request.get_ref().name).await?))
    }

    async fn list_slos(
        &self,
        request: Request<v1::ListSlosRequest>,
    ) -> Result<Response<v1::ListSlosResponse>, Status> {
        answer!(self, request, list)
    }

    async fn create_slo(
        &self,
        request: Request<v1::CreateSloRequest>,
    ) -> Result<Response<v1::Slo>, Status> {
        answer!(self, request, create)
    }

    async fn update_slo(
        &self,
        request: Request<v1::UpdateSloRequest>,
    ) -> Result<Response<v1::Slo>, Status> {
        answer!(self, request, update)
    }

    async fn delete_slo(
        &self,
        request: Request<v1::DeleteSloRequest>,
    ) -> Result<Response<v1::Slo>, Status> {
        answer!(self, request, delete)
    }

    async fn get_budget(
        &self,
        request: Request<v1::GetBudgetRequest>,
    ) -> Result<Response<v1::Budget>, Status> {
        let caller = Caller::of(&request)?.clone();
        let asked = request.get_ref();
        Ok(Response::new(self.budget(&caller, &asked.slo, &asked.tenant).await?))
    }

    async fn list_budgets(
        &self,
        request: Request<v1::ListBudgetsRequest>,
    ) -> Result<Response<v1::ListBudgetsResponse>, Status> {
        answer!(self, request, list_budgets)
    }

    async fn get_burn_chart(
        &self,
        request: Request<v1::GetBurnChartRequest>,
    ) -> Result<Response<v1::BurnChart>, Status> {
        answer!(self, request, chart)
    }

    async fn preview_outage(
        &self,
        request: Request<v1::PreviewOutageRequest>,
    ) -> Result<Response<v1::OutagePreview>, Status> {
        answer!(self, request, preview_outage)
    }

    async fn push_samples(
        &self,
        request: Request<v1::PushSamplesRequest>,
    ) -> Result<Response<v1::PushSamplesResponse>, Status> {
        answer!(self, request, push)
    }

    async fn exclude_time(
        &self,
        request: Request<v1::ExcludeTimeRequest>,
    ) -> Result<Response<v1::ExcludeTimeResponse>, Status> {
        answer!(self, request, exclude)
    }

    async fn import_slos(
        &self,
        request: Request<v1::ImportSlosRequest>,
    ) -> Result<Response<v1::ImportSlosResponse>, Status> {
        answer!(self, request, import)
    }

    async fn export_slos(
        &self,
        request: Request<v1::ExportSlosRequest>,
    ) -> Result<Response<v1::ExportSlosResponse>, Status> {
        answer!(self, request, export)
    }
}
