//! Reading budgets: one of them, and all, the worst first.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use streamspace_core::{filter::Filter, ids::TenantId, page::Query, slo::Goal};
use streamspace_proto::v1;
use uuid::Uuid;

use super::{Slos, missing, slo_id};
use crate::{
    alerts::{self, Firing, REGION},
    db::Scope,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::Paging,
    },
    slo::{
        budgets::{self, BudgetRow, Owned},
        store::{self, SloRecord},
        view::{FILTER_FIELDS, View},
    },
};

impl Slos {
    pub(in crate::slo) async fn budget(
        &self,
        caller: &Caller,
        slo: &str,
        tenant: &str,
    ) -> RpcResult<v1::Budget> {
        let mut tx = self.db.begin(&caller.scope).await?;
        let (record, owned) = one(&mut tx, slo, tenant).await?;
        let firing = alerts::firing_of(&mut tx, &record.subject()).await?;
        Ok(view(&record, &owned, &firing, self.now()).to_proto())
    }

    pub(in crate::slo) async fn list_budgets(
        &self,
        caller: &Caller,
        request: &v1::ListBudgetsRequest,
    ) -> RpcResult<v1::ListBudgetsResponse> {
        let filter = Filter::parse(&request.filter, &FILTER_FIELDS)
            .map_err(|error| RpcError::field("filter", error.to_string()))?;
        let query = Query {
            method: "ListBudgets",
            filter: &request.filter,
            order_by: "",
            show_deleted: false,
        };
        let paging = Paging { size: request.page_size, token: &request.page_token, query };
        let mut tx = self.db.begin(&caller.scope).await?;
        let records = store::list(&mut tx).await?;
        let mut all = budgets::list(&mut tx).await?;
        let firing = alerts::firing(&mut tx, "slos/").await?;
        drop(tx);
        if caller.scope == Scope::Region {
            all.extend(unmeasured(&records, &all));
        }
        let records: HashMap<Uuid, &SloRecord> =
            records.iter().map(|record| (record.uid, record)).collect();
        let now = self.now();
        let mut views: Vec<View<'_>> = all
            .iter()
            .filter_map(|owned| {
                let record = *records.get(&owned.slo_uid)?;
                let key = (owned.tenant_uid, record.subject());
                let firing = firing.get(&key).map(|all| all.iter().collect());
                Some(View { record, owned, firing: firing.unwrap_or_default(), now })
            })
            .filter(|view| filter.matches(view))
            .collect();
        views.sort_by_cached_key(|view| (view.budget().remaining_ppm(), key(view)));
        let (page, next_page_token) = paging.cut(views, key)?;
        let budgets = page.iter().map(View::to_proto).collect();
        Ok(v1::ListBudgetsResponse { budgets, next_page_token })
    }
}

/// Budgets of the region of which nothing was measured yet: they have no data, and whoever
/// asks how all are must not take them for well.
fn unmeasured(records: &[SloRecord], measured: &[Owned]) -> Vec<Owned> {
    let known: HashSet<Uuid> = measured.iter().map(|owned| owned.slo_uid).collect();
    let of = |record: &SloRecord| {
        let Goal::Fixed(objective) = record.slo.goal else { return None };
        let is_one = record.slo.per_tenant.is_none() && !known.contains(&record.uid);
        is_one.then(|| Owned {
            slo_uid: record.uid,
            tenant_uid: REGION,
            tenant: None,
            row: BudgetRow {
                objective,
                first: record.first,
                known: record.known,
                sums: BTreeMap::new(),
                exhausted: None,
                frozen: false,
            },
        })
    };
    records.iter().filter_map(of).collect()
}

fn key(view: &View<'_>) -> String {
    let tenant = view.owned.tenant.as_deref().unwrap_or_default();
    format!("{}/{tenant}", view.record.slo.id.as_str())
}

pub(super) fn view<'a>(
    record: &'a SloRecord,
    owned: &'a Owned,
    firing: &'a [Firing],
    now: Timestamp,
) -> View<'a> {
    let firing = firing.iter().filter(|it| it.tenant_uid == owned.tenant_uid).collect();
    View { record, owned, firing, now }
}

/// One budget that the caller reaches.
pub(super) async fn one(
    tx: &mut sqlx::PgConnection,
    slo: &str,
    tenant: &str,
) -> RpcResult<(SloRecord, Owned)> {
    let id = slo_id("slo", slo)?;
    let record = store::get(tx, &id).await?.ok_or_else(|| missing(&id))?;
    let budgets = budgets::of(tx, record.uid).await?;
    let wanted = match (tenant, record.slo.per_tenant.is_some()) {
        ("", true) => {
            return Err(RpcError::field(
                "tenant",
                "is required: each tenant has a budget of its own under this SLO",
            ));
        }
        ("", false) => None,
        (_, false) => {
            return Err(RpcError::field("tenant", "must be empty: this SLO has one budget"));
        }
        (name, true) => Some(
            TenantId::from_name(name)
                .map_err(|error| RpcError::field("tenant", error.to_string()))?,
        ),
    };
    let is_it = |owned: &Owned| owned.tenant.as_deref() == wanted.as_ref().map(TenantId::as_str);
    let found = budgets.into_iter().find(is_it);
    let found = found.or_else(|| unmeasured(std::slice::from_ref(&record), &[]).pop());
    let owned = found.ok_or_else(|| RpcError::Refused {
        reason: "NOT_MEASURED",
        message: format!(
            "nothing was measured yet of {} for {tenant}: it is evaluated each minute, once that is \
             over",
            id.to_name()
        ),
    })?;
    Ok((record, owned))
}
