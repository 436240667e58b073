use std::time::Duration;

use futures::StreamExt as _;
use prost::Message as _;
use prost_types::FieldMask;
use streamspace_core::{access::Role, ids::TenantUid};
use streamspace_proto::v1::{
    ResourceKind, Selection, SessionPhase, SessionState, resource::Resource as AnyResource,
    watch_response::Event,
};
use tokio::{task::JoinHandle, time::timeout};

use super::*;
use crate::{
    db::{
        Scope,
        changes::{self, ChangeKind, ChangeType, NewChange},
        testing::TestDatabase,
    },
    rpc::{caller::testing::caller, time::timestamp},
};

mod changing;
mod gaps;
mod refusals;
mod snapshots;

/// A watch over a database of its own, whose change log is followed.
struct Watched {
    test: TestDatabase,
    watches: Watches,
    stop: CancellationToken,
    log: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop.cancel();
        self.log.abort();
    }
}

impl Watched {
    async fn start() -> Self {
        let test = TestDatabase::create().await;
        let db = test.database().clone();
        let changes = ChangeLog::new(db.clone());
        let stop = CancellationToken::new();
        let log = tokio::spawn(changes.clone().run(stop.clone()));
        let watches = Watches::new(db, changes, stop.clone());
        Self { test, watches, stop, log }
    }

    async fn try_open(&self, scope: Scope, request: v1::WatchRequest) -> Result<Stream, Status> {
        let mut request = Request::new(request);
        request.extensions_mut().insert(caller("ada", Role::Viewer, scope));
        Ok(Stream(self.watches.watch(request).await?.into_inner()))
    }

    async fn open(&self, request: v1::WatchRequest) -> Stream {
        self.try_open(Scope::Region, request).await.unwrap()
    }

    /// Opens a watch of these selections.
    async fn select(&self, selections: impl Into<Vec<Selection>>) -> Stream {
        self.open(v1::WatchRequest { selections: selections.into(), ..Default::default() }).await
    }

    /// A session's row, as the projection writes it.
    async fn session(&self, tenant: TenantUid, session: &v1::Session) {
        let [_, _, _, name] = session.name.split('/').collect::<Vec<_>>()[..] else { panic!() };
        let state = session.state().as_str_name().trim_start_matches("SESSION_STATE_");
        let phase = session.phase().as_str_name().trim_start_matches("SESSION_PHASE_");
        let (first, rest) = phase.split_at(1);
        let time = |time: &Option<prost_types::Timestamp>| time.as_ref().map(|it| it.seconds);
        sqlx::query(
            "INSERT INTO sessions (tenant_uid, name, session_uid, resource_version, generation, \
               user_name, template, state, phase, deleting, pods, cpu, cpu_limit, memory, \
               memory_limit, node, create_time, last_activity, resource) \
             VALUES ($1, $2, $3::uuid, 1, 1, $4, $5, $6, $7, $8, 1, 1, 1, 1, 1, $9, \
               to_timestamp($10), to_timestamp($11), $12)",
        )
        .bind(tenant.0)
        .bind(name)
        .bind(&session.uid)
        .bind(&session.user)
        .bind(&session.template)
        .bind(state.to_lowercase())
        .bind(format!("{first}{}", rest.to_lowercase()))
        .bind(session.deleting)
        .bind(&session.node)
        .bind(time(&session.create_time))
        .bind(time(&session.last_activity_time))
        .bind(session.encode_to_vec())
        .execute(self.test.database().operator())
        .await
        .unwrap();
    }

    /// An entry of the change log.
    async fn change(&self, tenant: TenantUid, change: ChangeType, resource: AnyResource) {
        let (kind, name) = match &resource {
            AnyResource::Tenant(tenant) => (ChangeKind::Tenant, tenant.name.clone()),
            AnyResource::Operation(operation) => (ChangeKind::Operation, operation.name.clone()),
            AnyResource::Session(session) => (ChangeKind::Session, session.name.clone()),
        };
        let resource = v1::Resource { resource: Some(resource) }.encode_to_vec();
        let actor = "kim".to_owned();
        let change = NewChange { kind, change, tenant_uid: tenant, name, actor, resource };
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        changes::record(&mut tx, &change).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Many changes at once, all of the same session; the log has sequenced them at the end.
    async fn flood(&self, tenant: TenantUid, session: v1::Session, count: i64) {
        let before = *self.watches.changes.latest().borrow();
        let name = session.name.clone();
        let resource = v1::Resource { resource: Some(AnyResource::Session(session)) };
        sqlx::query(
            "INSERT INTO changes (tenant_uid, kind, type, name, actor, resource) \
             SELECT $1, 'session', 'updated', $2, 'kim', $3 FROM generate_series(1, $4)",
        )
        .bind(tenant.0)
        .bind(name)
        .bind(resource.encode_to_vec())
        .bind(count)
        .execute(self.test.database().operator())
        .await
        .unwrap();
        let mut latest = self.watches.changes.latest();
        let all = latest.wait_for(|latest| *latest >= before + count);
        timeout(PATIENCE, all).await.unwrap().unwrap();
    }
}

const PATIENCE: Duration = Duration::from_mins(1);

/// A stream, as its client reads it.
struct Stream(<Watches as WatchService>::WatchStream);

impl Stream {
    /// The next message that is no bookmark.
    async fn next(&mut self) -> Event {
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.expect("a message in time");
            match message.expect("the stream goes on").unwrap().event.unwrap() {
                Event::Bookmark(_) => {}
                event => return event,
            }
        }
    }

    async fn change(&mut self) -> v1::Change {
        match self.next().await {
            Event::Change(change) => change,
            other => panic!("{other:?}"),
        }
    }

    /// A snapshot from its first message to its last.
    async fn snapshot(&mut self) -> Held {
        let Event::Snapshot(snapshot) = self.next().await else { panic!("no snapshot") };
        let mut items = Vec::new();
        loop {
            match self.next().await {
                Event::Item(item) => items.push(item.resource.unwrap()),
                Event::Synced(synced) => {
                    let (told, sent) = (pairs(&snapshot.counts), pairs(&synced.counts));
                    let revision = synced.revision;
                    return Held { told, items, sent, revision };
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// What a snapshot held.
struct Held {
    /// How many it said before.
    told: Vec<(ResourceKind, i64)>,
    items: Vec<AnyResource>,
    /// How many it said after.
    sent: Vec<(ResourceKind, i64)>,
    revision: i64,
}

impl Held {
    fn names(&self) -> Vec<&str> {
        self.items.iter().map(name_of).collect()
    }
}

fn pairs(counts: &[v1::KindCount]) -> Vec<(ResourceKind, i64)> {
    counts.iter().map(|entry| (entry.kind(), entry.count)).collect()
}

fn name_of(resource: &AnyResource) -> &str {
    match resource {
        AnyResource::Tenant(tenant) => &tenant.name,
        AnyResource::Operation(operation) => &operation.name,
        AnyResource::Session(session) => &session.name,
    }
}

/// A selection of a kind by a filter, the most common part of one.
fn filtered(kind: ResourceKind, filter: &str) -> Selection {
    Selection { kind: kind.into(), filter: filter.into(), ..Selection::default() }
}

fn ordered(kind: ResourceKind, order_by: &str) -> Selection {
    Selection { order_by: order_by.into(), ..filtered(kind, "") }
}

#[expect(clippy::unnecessary_wraps, reason = "the field is optional")]
fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() })
}

/// A session that runs.
fn session(tenant: &str, name: &str, user: &str) -> v1::Session {
    v1::Session {
        name: format!("tenants/{tenant}/sessions/{name}"),
        uid: uuid::Uuid::new_v4().to_string(),
        user: user.into(),
        template: "firefox".into(),
        state: SessionState::Running.into(),
        phase: SessionPhase::Running.into(),
        create_time: timestamp(jiff::Timestamp::now()),
        ..v1::Session::default()
    }
}
