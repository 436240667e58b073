//! Changes of sessions: chosen once, in one snapshot, and rehearsed or begun.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use prost::Message as _;
use sqlx::PgConnection;
use streamspace_core::{
    admission::Request as PlaceRequest,
    ids::{ObjectName, SessionPath, TenantId, TenantUid},
    session::{
        SessionState,
        lifecycle::{AWAKE, CLOSED},
    },
};
use streamspace_proto::v1::{self, OperationItemState as State};
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::{Sessions, tenant, whose};
use crate::{
    db::DbError,
    operations::{
        bulk::{self, Item, ItemKey, NewBulk},
        change::session_kind,
        requester,
    },
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        once::Once,
    },
    sessions::{
        change, convert,
        input::{self, Parent},
        record::SessionRecord,
        store,
        view::View,
    },
    tenants,
};

/// The most sessions of one operation.
const MOST: usize = 10_000;
/// So many rows are read at once while a filter chooses.
const BATCH: usize = 1000;
/// How long a rehearsal may take; the client waits for it.
const REHEARSAL: Duration = Duration::from_secs(5);
/// So many sessions are rehearsed at once.
const AT_ONCE: usize = 4;
/// How many names that are not there an error tells.
const MOST_NAMED: usize = 5;

/// A request that makes sense, with the sessions that it chose.
struct Asked<'a> {
    kind: &'static str,
    state: SessionState,
    reason: &'a str,
    target: String,
    sessions: Vec<SessionRecord>,
}

impl Sessions {
    pub(super) async fn change(
        &self,
        caller: &Caller,
        request: &v1::ChangeSessionsRequest,
    ) -> RpcResult<v1::ChangeSessionsResponse> {
        let state = input::state("state", request.state())?;
        let kind = session_kind(request.state())
            .ok_or_else(|| RpcError::Internal("a state without a kind".into()))?;
        let reason = reason(request, state)?;
        let parent = Parent::read(&request.parent)?;
        let once = Once::of(caller, "ChangeSessions", &request.request_id, request)?;
        if !request.validate_only {
            let mut tx = self.db.begin(&caller.scope).await?;
            if let Some(first) = once.reply(&mut tx).await? {
                return Ok(first);
            }
        }
        let sessions = self.choose(caller, &parent, request).await?;
        let target = match (sessions.as_slice(), request.filter.is_empty()) {
            ([only], true) => only.resource.name.clone(),
            _ => parent.sessions(),
        };
        let asked = Asked { kind, state, reason, target, sessions };
        if request.validate_only {
            return self.rehearse(caller, &asked).await;
        }
        let kept = v1::ChangeSessionsRequest {
            names: Vec::new(),
            request_id: String::new(),
            ..request.clone()
        };
        let new = NewBulk {
            kind,
            target: asked.target.clone(),
            request: kept.encode_to_vec(),
            reason: reason.to_owned(),
            incident: caller.notes.incident().to_owned(),
            requester: requester(caller)?,
        };
        let item = |record: &SessionRecord| Item {
            key: ItemKey { tenant: record.tenant, session: record.name.clone() },
            session_uid: Some(record.uid),
            target: record.resource.name.clone(),
        };
        let items: Vec<Item> = asked.sessions.iter().map(item).collect();
        let mut tx = self.db.begin(&caller.scope).await?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let begun = bulk::begin(&mut tx, &new, &items).await?;
        let operation = v1::Operation { consequences: asked.consequences(), ..begun };
        let reply = v1::ChangeSessionsResponse { operation: Some(operation), items: Vec::new() };
        once.remember(&mut tx, &reply).await?;
        tx.commit().await.map_err(DbError::from)?;
        caller.notes.changes(match items.as_slice() {
            [only] => format!("{kind} of {}", only.target),
            several => format!("{kind} of {} sessions", several.len()),
        });
        Ok(reply)
    }

    /// The sessions that are meant, from one snapshot.
    async fn choose(
        &self,
        caller: &Caller,
        parent: &Parent,
        request: &v1::ChangeSessionsRequest,
    ) -> RpcResult<Vec<SessionRecord>> {
        let filter = convert::filter(&request.filter)?;
        let names = names(parent, &request.names)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut *tx)
            .await
            .map_err(DbError::from)?;
        if !names.is_empty() {
            return by_name(&mut tx, names).await;
        }
        let of = whose(&mut tx, parent).await?;
        let now = tenants::now(&mut tx).await?;
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let mut chosen = Vec::new();
        let mut after: Option<(TenantUid, String)> = None;
        loop {
            let rows = store::page(&mut tx, of, after.take(), limit).await?;
            let is_last = rows.len() < BATCH;
            after = rows.last().map(|record| (record.tenant, record.name.clone()));
            chosen.extend(rows.into_iter().filter(|record| filter.matches(&View::of(record, now))));
            if chosen.len() > MOST {
                return Err(RpcError::field(
                    "filter",
                    format!(
                        "matches more than {MOST} sessions, which is the most of one operation: narrow it"
                    ),
                ));
            }
            if is_last {
                break;
            }
        }
        if chosen.is_empty() {
            return Err(RpcError::field(
                "filter",
                "matches no session; `ssctl session list --filter EXPRESSION` shows what one \
                 matches",
            ));
        }
        Ok(chosen)
    }

    /// What would become of each session, as far as the time allows.
    async fn rehearse(
        &self,
        caller: &Caller,
        asked: &Asked<'_>,
    ) -> RpcResult<v1::ChangeSessionsResponse> {
        let end = Instant::now() + REHEARSAL;
        let one = |(place, record)| {
            async move {
                let found = timeout_at(end, self.rehearse_one(asked.state, record)).await;
                (place, found.unwrap_or_else(|_elapsed| item(record, State::Pending, None)))
            }
            .boxed()
        };
        let each: Vec<BoxFuture<'_, (usize, v1::OperationItem)>> =
            asked.sessions.iter().enumerate().map(one).collect();
        let mut found: Vec<(usize, v1::OperationItem)> =
            stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
        found.sort_by_key(|(place, _)| *place);
        let items: Vec<v1::OperationItem> = found.into_iter().map(|(_, item)| item).collect();
        let counts = bulk::counted(&items);
        let mut consequences = asked.consequences();
        if counts.pending > 0 {
            let message = format!(
                "only {} of {} sessions were rehearsed within {} s; what would become of the \
                 others is not known",
                counts.total - counts.pending,
                counts.total,
                REHEARSAL.as_secs()
            );
            consequences.push(v1::Consequence { code: "PARTLY_REHEARSED".into(), message });
        }
        let operation = v1::Operation {
            kind: asked.kind.into(),
            target: asked.target.clone(),
            actor: caller.operator.clone(),
            reason: asked.reason.to_owned(),
            counts: Some(counts),
            consequences,
            ..v1::Operation::default()
        };
        Ok(v1::ChangeSessionsResponse { operation: Some(operation), items })
    }

    async fn rehearse_one(&self, state: SessionState, record: &SessionRecord) -> v1::OperationItem {
        if record.state == state || (record.deleting && state == SessionState::Terminated) {
            return item(record, State::Unchanged, None);
        }
        if record.deleting {
            return item(record, State::Failed, Some(change::being_deleted(&record.resource.name)));
        }
        let Some((name, user, place)) =
            convert::asker(record).filter(|_| state == SessionState::Running)
        else {
            return item(record, State::Changed, None);
        };
        let generation = record.generation.saturating_add(1);
        let request = PlaceRequest { name, uid: Some(record.uid), generation, user, place };
        match self.admission.admit(record.tenant, &request, true).await {
            Ok(Ok(_)) => item(record, State::Changed, None),
            Ok(Err(refusals)) => item(record, State::Failed, Some(change::refused(&refusals))),
            Err(error) if error.is_unavailable() => item(record, State::Pending, None),
            Err(error) => item(record, State::Failed, Some(error.into())),
        }
    }
}

/// The sessions of these names, or which of them are not there.
async fn by_name(
    tx: &mut PgConnection,
    names: BTreeMap<TenantId, BTreeSet<ObjectName>>,
) -> RpcResult<Vec<SessionRecord>> {
    let mut chosen = Vec::new();
    let mut missing = Vec::new();
    for (id, wanted) in names {
        let uid = tenant(tx, &id).await?.uid;
        let mut rows: BTreeMap<String, SessionRecord> = if wanted.len() > MOST_NAMED {
            let all = store::of_tenant(tx, uid).await?;
            all.into_iter().map(|record| (record.name.clone(), record)).collect()
        } else {
            let mut few = BTreeMap::new();
            for name in &wanted {
                let row = store::by_name(tx, uid, name.as_str()).await?;
                few.extend(row.map(|record| (record.name.clone(), record)));
            }
            few
        };
        for session in wanted {
            match rows.remove(session.as_str()) {
                Some(record) => chosen.push(record),
                None => missing.push(SessionPath { tenant: id.clone(), session }.to_name()),
            }
        }
    }
    if missing.is_empty() {
        return Ok(chosen);
    }
    let shown = missing.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    Err(RpcError::NotFound(match missing.len().saturating_sub(MOST_NAMED) {
        0 => shown,
        more => format!("{shown} (and {more} more)"),
    }))
}

/// The reason of a request that makes sense. What cannot be undone has one, and what a filter
/// chose; a rehearsal needs none.
fn reason(request: &v1::ChangeSessionsRequest, state: SessionState) -> RpcResult<&str> {
    match (request.filter.is_empty(), request.names.is_empty()) {
        (true, true) => {
            return Err(RpcError::field(
                "filter",
                "say which sessions, by `filter` or by `names`; `name = \"*\"` is all",
            ));
        }
        (false, false) => {
            return Err(RpcError::field(
                "names",
                "must be empty where `filter` chooses the sessions",
            ));
        }
        _ => {}
    }
    let reason = input::reason(&request.reason)?;
    let needed = state == SessionState::Terminated || !request.filter.is_empty();
    if needed && reason.is_empty() && !request.validate_only {
        return Err(RpcError::field(
            "reason",
            "say why: a termination, and a change of what a filter matches, have a reason",
        ));
    }
    Ok(reason)
}

/// The names of a request, each once, by tenant.
fn names(parent: &Parent, given: &[String]) -> RpcResult<BTreeMap<TenantId, BTreeSet<ObjectName>>> {
    if given.len() > MOST {
        let count = given.len();
        let text = format!("has {count} names, and one operation takes at most {MOST} sessions");
        return Err(RpcError::field("names", text));
    }
    let mut names: BTreeMap<TenantId, BTreeSet<ObjectName>> = BTreeMap::new();
    for (index, name) in given.iter().enumerate() {
        let field = format!("names[{index}]");
        let path = input::session(&field, name)?;
        if !parent.holds(&path.tenant) {
            return Err(RpcError::field(&field, "is of another tenant than `parent`"));
        }
        names.entry(path.tenant).or_default().insert(path.session);
    }
    Ok(names)
}

impl Asked<'_> {
    /// Whom it concerns, and what it brings with it.
    fn consequences(&self) -> Vec<v1::Consequence> {
        let words = |count: usize, one: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {one}s"),
        };
        let count = |is: fn(&SessionRecord) -> bool| {
            self.sessions.iter().filter(|record| is(record)).count()
        };
        let tenants: BTreeSet<TenantUid> =
            self.sessions.iter().map(|record| record.tenant).collect();
        let users: BTreeSet<(TenantUid, &str)> =
            self.sessions.iter().map(|record| (record.tenant, record.user.as_str())).collect();
        let running = count(|record| record.state == SessionState::Running && !record.deleting);
        let mut told = vec![v1::Consequence {
            code: "TOUCHES".into(),
            message: format!(
                "it touches {} of {} in {}",
                words(self.sessions.len(), "session"),
                words(users.len(), "user"),
                words(tenants.len(), "tenant")
            ),
        }];
        let mut tell = |code: &str, message: String| {
            told.push(v1::Consequence { code: code.into(), message });
        };
        match self.state {
            SessionState::Running => {
                let woken = self.sessions.len().saturating_sub(running);
                if woken > 1 {
                    tell(
                        "LIMITS_EACH",
                        "each is judged by itself: together they may pass a limit, which refuses \
                         those that come last"
                            .to_owned(),
                    );
                }
                let closed = count(is_closed);
                if closed > 0 {
                    let which = match closed {
                        1 => "1 of them stays as it is".to_owned(),
                        closed => format!("{closed} of them stay as they are"),
                    };
                    tell(
                        "TENANT_CLOSED",
                        format!(
                            "{which}: nothing runs in a tenant that is suspended or archived, and \
                             its sessions come back when it is resumed"
                        ),
                    );
                }
            }
            SessionState::Hibernated | SessionState::Terminated if running > 0 => tell(
                "ENDS_RUNS",
                format!(
                    "{} to run: whoever is in there is cut off, and what is not saved is lost",
                    match running {
                        1 => "1 of them is".to_owned(),
                        running => format!("{running} of them are"),
                    }
                ),
            ),
            SessionState::Hibernated | SessionState::Terminated => {}
        }
        if self.state == SessionState::Terminated {
            tell("REMOVES", "all but the homes of their users is removed".to_owned());
        }
        told
    }
}

/// Whether it sleeps because of its tenant, whatever it is wished to be.
fn is_closed(record: &SessionRecord) -> bool {
    record.resource.conditions.iter().any(|condition| {
        condition.r#type == AWAKE
            && condition.status() == v1::ConditionStatus::False
            && CLOSED.contains(&condition.reason.as_str())
    })
}

fn item(record: &SessionRecord, state: State, refused: Option<RpcError>) -> v1::OperationItem {
    v1::OperationItem {
        target: record.resource.name.clone(),
        state: state.into(),
        error: refused.map(|error| bulk::error_of(&Status::from(error))),
        end_time: None,
    }
}
