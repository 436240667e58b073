use futures::StreamExt as _;
use streamspace_core::{access::Role, ids::TenantUid};

use super::*;
use crate::{db::testing::TestDatabase, rpc::caller::testing::caller};

async fn session(test: &TestDatabase, tenant: TenantUid, id: &str, name: &str) {
    let name_of_it = format!("tenants/{id}/sessions/{name}");
    let resource = v1::Session { name: name_of_it, ..v1::Session::default() };
    sqlx::query(
        "INSERT INTO sessions (tenant_uid, name, session_uid, resource_version, generation, \
           user_name, template, state, phase, deleting, pods, cpu, cpu_limit, memory, \
           memory_limit, create_time, resource) \
         VALUES ($1, $2, gen_random_uuid(), 1, 1, 'ada', 'firefox', 'running', 'Running', false, \
           1, 1, 1, 1, 1, now(), $3)",
    )
    .bind(tenant.0)
    .bind(name)
    .bind(resource.encode_to_vec())
    .execute(test.database().operator())
    .await
    .unwrap();
}

/// The names that a watch begins with.
async fn begun_with(test: &TestDatabase, scope: Scope, kinds: &[ResourceKind]) -> Vec<String> {
    let db = test.database().clone();
    let watches = Watches::new(db.clone(), ChangeLog::new(db), CancellationToken::new());
    let kinds = kinds.iter().map(|kind| i32::from(*kind)).collect();
    let mut request = Request::new(v1::WatchRequest { kinds, ..v1::WatchRequest::default() });
    request.extensions_mut().insert(caller("ada", Role::Viewer, scope));
    let mut stream = watches.watch(request).await.unwrap().into_inner();
    let mut names = Vec::new();
    while let Some(response) = stream.next().await {
        match response.unwrap().event.unwrap() {
            Event::Item(item) => match item.resource.unwrap() {
                AnyResource::Session(session) => names.push(session.name),
                AnyResource::Tenant(tenant) => names.push(tenant.name),
                AnyResource::Operation(operation) => names.push(operation.name),
            },
            Event::Synced(_) => return names,
            other => panic!("{other:?}"),
        }
    }
    panic!("the stream ended")
}

#[tokio::test]
async fn a_watch_begins_with_the_sessions_in_scope() {
    let test = TestDatabase::create().await;
    let (zeta, alpha) = (test.insert_tenant("zeta").await, test.insert_tenant("alpha").await);
    session(&test, alpha, "alpha", "a").await;
    session(&test, zeta, "zeta", "b").await;
    session(&test, zeta, "zeta", "c").await;
    let only = [ResourceKind::Session];
    let all = ["tenants/alpha/sessions/a", "tenants/zeta/sessions/b", "tenants/zeta/sessions/c"];
    assert_eq!(begun_with(&test, Scope::Region, &only).await, all);
    let of_zeta = begun_with(&test, Scope::Tenants(vec![zeta]), &only).await;
    assert_eq!(of_zeta, all[1..]);
    assert_eq!(begun_with(&test, Scope::Region, &[]).await.len(), 5);
    let tenants = begun_with(&test, Scope::Region, &[ResourceKind::Tenant]).await;
    assert_eq!(tenants, ["tenants/alpha", "tenants/zeta"]);
}
