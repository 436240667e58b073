//! `BulkService`: begins operations over several tenants, or rehearses them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use prost::Message as _;
use streamspace_core::{filter::Filter, ids::TenantId, text};
use streamspace_proto::v1::{
    self, OperationItemState as State, bulk_service_server::BulkService,
    change_tenants_request::Change,
};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Request, Response, Status};

use super::{
    change::{Address, Work, misplaced},
    item::Rehearsed,
};
use crate::{
    db::{Database, DbError},
    operations::{
        bulk::{self, Item, NewBulk},
        change, requester,
    },
    rpc::{
        Caller,
        audit::AuditedResource,
        errors::{RpcError, RpcResult},
        once::Once,
        policy,
    },
    tenants::{self, TenantRecord, view::FILTER_FIELDS},
};

/// The most tenants of one operation.
const MOST: usize = 10_000;
/// The longest reason that is kept, in characters.
const REASON_MAXIMUM: usize = 1000;
/// How long a rehearsal may take; the client waits for it.
const REHEARSAL: Duration = Duration::from_secs(5);
/// So many tenants are rehearsed at once.
const AT_ONCE: usize = 4;
/// So many tenants tell whether a request is wrong whichever tenant it is about.
const PROBED: usize = 3;
/// The most lines that tell what a rehearsal found.
const MOST_TOLD: usize = 10;
/// How many names that are not there an error tells.
const MOST_NAMED: usize = 5;

/// Begins operations over several.
#[derive(Clone)]
pub struct Bulk {
    /// Where they are kept.
    pub db: Database,
    /// What is done to each tenant.
    pub work: Work,
}

/// A request that makes sense, with the tenants that it chose.
struct Asked<'a> {
    change: &'a Change,
    reason: &'a str,
    tenants: Vec<TenantRecord>,
}

/// What a rehearsal found of one tenant.
struct Rehearsal {
    item: v1::OperationItem,
    consequences: Vec<v1::Consequence>,
    refused: Option<Status>,
}

impl Bulk {
    async fn change(
        &self,
        caller: &Caller,
        request: &v1::ChangeTenantsRequest,
    ) -> Result<v1::ChangeTenantsResponse, Status> {
        let (change, reason) = read(request)?;
        policy::allowed(&change::method(change)?, &caller.facts())?;
        if !request.validate_only
            && let Some(first) = self.remembered(caller, request).await?
        {
            return Ok(first);
        }
        let tenants = self.choose(caller, request).await?;
        let asked = Asked { change, reason, tenants };
        if request.validate_only {
            return Ok(self.rehearse(caller, &asked).await?);
        }
        self.probe(caller, &asked).await?;
        Ok(self.begin(caller, request, &asked).await?)
    }

    /// The reply that the same request got before.
    async fn remembered(
        &self,
        caller: &Caller,
        request: &v1::ChangeTenantsRequest,
    ) -> RpcResult<Option<v1::ChangeTenantsResponse>> {
        let mut tx = self.db.begin(&caller.scope).await?;
        once(caller, request)?.reply(&mut tx).await
    }

    /// The tenants that are meant, by name, from one snapshot.
    async fn choose(
        &self,
        caller: &Caller,
        request: &v1::ChangeTenantsRequest,
    ) -> RpcResult<Vec<TenantRecord>> {
        let filter = if request.filter.is_empty() {
            None
        } else {
            let parsed = Filter::parse(&request.filter, &FILTER_FIELDS);
            Some(parsed.map_err(|error| RpcError::field("filter", error.to_string()))?)
        };
        let names = names(&request.names)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let mut tenants = tenants::list(&mut tx, false).await?;
        drop(tx);
        match filter {
            Some(filter) => tenants.retain(|tenant| filter.matches(tenant)),
            None => tenants.retain(|tenant| names.contains(&tenant.spec.id)),
        }
        if tenants.len() < names.len() {
            let found: BTreeSet<&TenantId> = tenants.iter().map(|tenant| &tenant.spec.id).collect();
            let missing: Vec<String> =
                names.iter().filter(|id| !found.contains(id)).map(TenantId::to_name).collect();
            let shown = missing.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
            let more = missing.len().saturating_sub(MOST_NAMED);
            return Err(RpcError::NotFound(match more {
                0 => shown,
                more => format!("{shown} (and {more} more)"),
            }));
        }
        match tenants.len() {
            0 => Err(RpcError::field(
                "filter",
                "matches no tenant; `ssctl tenant list --filter EXPRESSION` shows what one matches",
            )),
            count if count > MOST => Err(RpcError::field(
                "filter",
                format!(
                    "matches {count} tenants, and one operation takes at most {MOST}: narrow it"
                ),
            )),
            _ => Ok(tenants),
        }
    }

    /// Refuses at once what is wrong whichever tenant it is about, such as a time that is
    /// too long: hundreds of failed items would say the same.
    async fn probe(&self, caller: &Caller, asked: &Asked<'_>) -> Result<(), Status> {
        let mut refused: Option<Status> = None;
        for tenant in asked.tenants.iter().take(PROBED) {
            match self.rehearse_one(caller, asked, tenant).await.refused {
                Some(status) if status.code() == Code::InvalidArgument => {
                    if refused.as_ref().is_some_and(|other| other.message() != status.message()) {
                        return Ok(());
                    }
                    refused = Some(status);
                }
                _ => return Ok(()),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    async fn begin(
        &self,
        caller: &Caller,
        request: &v1::ChangeTenantsRequest,
        asked: &Asked<'_>,
    ) -> RpcResult<v1::ChangeTenantsResponse> {
        let kept = v1::ChangeTenantsRequest {
            names: Vec::new(),
            request_id: String::new(),
            ..request.clone()
        };
        let new = NewBulk {
            kind: change::names(asked.change).0,
            target: bulk::TARGET.to_owned(),
            request: kept.encode_to_vec(),
            reason: asked.reason.to_owned(),
            incident: caller.notes.incident().to_owned(),
            requester: requester(caller)?,
        };
        let item = |tenant: &TenantRecord| Item::of_tenant(tenant.uid, tenant.spec.id.to_name());
        let items: Vec<Item> = asked.tenants.iter().map(item).collect();
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = once(caller, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let begun = bulk::begin(&mut tx, &new, &items).await?;
        let operation = v1::Operation { consequences: vec![touches(asked)], ..begun };
        let reply = v1::ChangeTenantsResponse { operation: Some(operation), items: Vec::new() };
        once.remember(&mut tx, &reply).await?;
        tx.commit().await.map_err(DbError::from)?;
        caller.notes.changes(format!("{} of {} tenants", new.kind, items.len()));
        Ok(reply)
    }

    /// What would become of each tenant, as far as the time allows.
    async fn rehearse(
        &self,
        caller: &Caller,
        asked: &Asked<'_>,
    ) -> RpcResult<v1::ChangeTenantsResponse> {
        let end = Instant::now() + REHEARSAL;
        let one = |(place, tenant)| {
            async move {
                // One that somebody holds is cut off as well.
                let found = timeout_at(end, self.rehearse_one(caller, asked, tenant)).await;
                (place, found.unwrap_or_else(|_elapsed| not_rehearsed(tenant)))
            }
            .boxed()
        };
        let each: Vec<BoxFuture<'_, (usize, Rehearsal)>> =
            asked.tenants.iter().enumerate().map(one).collect();
        let mut found: Vec<(usize, Rehearsal)> =
            stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
        found.sort_by_key(|(place, _)| *place);
        let rehearsals: Vec<Rehearsal> = found.into_iter().map(|(_, found)| found).collect();
        let counts = bulk::counted(rehearsals.iter().map(|rehearsal| &rehearsal.item));
        let mut consequences = vec![touches(asked)];
        if counts.pending > 0 {
            let message = format!(
                "only {} of {} tenants were rehearsed within {} s; what would become of the \
                 others is not known",
                counts.total - counts.pending,
                counts.total,
                REHEARSAL.as_secs()
            );
            consequences.push(v1::Consequence { code: "PARTLY_REHEARSED".into(), message });
        }
        consequences.extend(together(&rehearsals));
        let operation = v1::Operation {
            kind: change::names(asked.change).0.into(),
            target: bulk::TARGET.into(),
            actor: caller.operator.clone(),
            reason: asked.reason.to_owned(),
            counts: Some(counts),
            consequences,
            ..v1::Operation::default()
        };
        let items = rehearsals.into_iter().map(|rehearsal| rehearsal.item).collect();
        Ok(v1::ChangeTenantsResponse { operation: Some(operation), items })
    }

    async fn rehearse_one(
        &self,
        caller: &Caller,
        asked: &Asked<'_>,
        tenant: &TenantRecord,
    ) -> Rehearsal {
        let caller = Caller { item: Some(Arc::new(Rehearsed)), ..caller.clone() };
        let name = tenant.spec.id.to_name();
        let address = Address { tenant: &name, reason: asked.reason, request_id: None };
        let reply = self.work.apply(asked.change, &address, &caller).await;
        let (state, error, consequences, refused) = match reply {
            Ok(reply) => {
                let state = if reply.differs(tenant) { State::Changed } else { State::Unchanged };
                (state, None, reply.consequences().to_vec(), None)
            }
            Err(status) => (State::Failed, Some(bulk::error_of(&status)), Vec::new(), Some(status)),
        };
        let item = v1::OperationItem { target: name, state: state.into(), error, end_time: None };
        Rehearsal { item, consequences, refused }
    }
}

fn once(caller: &Caller, request: &v1::ChangeTenantsRequest) -> RpcResult<Once> {
    Once::of(caller, "ChangeTenants", &request.request_id, request)
}

/// The change and its reason, of a request that makes sense.
fn read(request: &v1::ChangeTenantsRequest) -> RpcResult<(&Change, &str)> {
    let Some(change) = &request.change else {
        return Err(RpcError::field("change", "say what is done to each tenant"));
    };
    let faults = misplaced(change);
    if !faults.is_empty() {
        return Err(RpcError::Invalid(faults));
    }
    let reason = request.reason.trim();
    text::check(reason, REASON_MAXIMUM)
        .map_err(|error| RpcError::field("reason", error.to_string()))?;
    match (request.filter.is_empty(), request.names.is_empty()) {
        (true, true) => Err(RpcError::field(
            "filter",
            "say which tenants, by `filter` or by `names`; `name = \"*\"` is all",
        )),
        (false, false) => {
            Err(RpcError::field("names", "must be empty where `filter` chooses the tenants"))
        }
        _ => Ok((change, reason)),
    }
}

/// The names of a request, each once.
fn names(given: &[String]) -> RpcResult<BTreeSet<TenantId>> {
    if given.len() > MOST {
        let count = given.len();
        let text = format!("has {count} names, and one operation takes at most {MOST} tenants");
        return Err(RpcError::field("names", text));
    }
    let read = |(index, name): (usize, &String)| {
        TenantId::from_name(name)
            .map_err(|error| RpcError::field(&format!("names[{index}]"), error.to_string()))
    };
    given.iter().enumerate().map(read).collect()
}

/// Whom it concerns.
fn touches(asked: &Asked<'_>) -> v1::Consequence {
    let seats: i64 = asked.tenants.iter().map(|tenant| i64::from(tenant.spec.seats)).sum();
    let words = |count: i64, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    let tenants = i64::try_from(asked.tenants.len()).unwrap_or(i64::MAX);
    v1::Consequence {
        code: "TOUCHES".into(),
        message: format!("it touches {} with {}", words(tenants, "tenant"), words(seats, "seat")),
    }
}

/// What the items bring with them, the same words once.
fn together(rehearsals: &[Rehearsal]) -> Vec<v1::Consequence> {
    let mut told: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for rehearsal in rehearsals {
        for consequence in &rehearsal.consequences {
            let key = (consequence.code.as_str(), consequence.message.as_str());
            told.entry(key).or_default().push(&rehearsal.item.target);
        }
    }
    let more = told.len().saturating_sub(MOST_TOLD);
    let mut all: Vec<v1::Consequence> = told
        .into_iter()
        .take(MOST_TOLD)
        .map(|((code, message), of)| {
            let whose = match of.as_slice() {
                [one] => (*one).to_owned(),
                several => format!("{} tenants", several.len()),
            };
            v1::Consequence { code: code.into(), message: format!("{whose}: {message}") }
        })
        .collect();
    if more > 0 {
        let message = format!("and {more} more that the preview of one tenant tells");
        all.push(v1::Consequence { code: "MORE".into(), message });
    }
    all
}

fn not_rehearsed(tenant: &TenantRecord) -> Rehearsal {
    let item = v1::OperationItem {
        target: tenant.spec.id.to_name(),
        state: State::Pending.into(),
        ..v1::OperationItem::default()
    };
    Rehearsal { item, consequences: Vec::new(), refused: None }
}

#[tonic::async_trait]
impl BulkService for Bulk {
    async fn change_tenants(
        &self,
        request: Request<v1::ChangeTenantsRequest>,
    ) -> Result<Response<v1::ChangeTenantsResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        let reply = self.change(&caller, request.get_ref()).await?;
        let name = reply.operation.as_ref().map(|operation| operation.name.clone());
        let mut response = Response::new(reply);
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            response.extensions_mut().insert(AuditedResource(name));
        }
        Ok(response)
    }
}
