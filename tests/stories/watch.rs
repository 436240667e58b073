//! A watcher sees every committed change in order, whatever happens to it meanwhile; or what
//! it asked for of them; or, where it is too slow, that there is a gap and what is there now.

use std::collections::BTreeMap;

use streamspace_client::Connection;
use streamspace_proto::v1::{
    Change, CreateTenantRequest, DeleteTenantRequest, Tenant, UpdateTenantRequest, WatchRequest,
    WatchResponse, resource::Resource as AnyResource, watch_response::Event,
};
use streamspace_tests::{
    random::Random,
    region::Region,
    rpc,
    runtime::story,
    wait::{holds, until},
};
use tonic::{Code, Streaming};
use uuid::Uuid;

mod selections;
mod slow;

const WRITERS: usize = 8;
const TENANTS_OF_A_WRITER: usize = 6;

#[test]
fn a_watcher_that_is_cut_off_again_and_again_sees_every_change_in_order() {
    story(async {
        let mut random = Random::from_environment();
        let region = Region::start().await;
        let connection = region.admin().connection();

        // A snapshot first: what follows it comes as changes.
        let create = ["tenant", "create", "before", "--plan", "free", "--seats", "1", "--wait"];
        region.admin().ok(&create).await;
        let mut snapshot = Vec::new();
        let mut stream = open(&connection, 0).await;
        let begin = loop {
            match next(&mut stream).await {
                Event::Snapshot(begun) => assert!(snapshot.is_empty(), "{begun:?}"),
                Event::Item(item) => snapshot.push(item),
                Event::Synced(synced) => break synced.revision,
                other => panic!("{other:?} within the snapshot"),
            }
        };
        let names = snapshot.iter().filter_map(|item| match &item.resource {
            Some(AnyResource::Tenant(tenant)) => Some(tenant.name.as_str()),
            _ => None,
        });
        assert_eq!(names.collect::<Vec<_>>(), ["tenants/before"]);
        assert!(begin > 0);

        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(region.admin().connection(), writer)))
            .collect();

        // The watcher loses its stream after a few messages, each time, and goes on
        // after the last revision that it has.
        let mut seen: Vec<Change> = Vec::new();
        let mut revision = begin;
        let mut cuts = 0;
        let mut left = 0;
        loop {
            if left == 0 {
                drop(stream);
                // Some of it may be on its way already; it comes again.
                stream = open(&connection, revision).await;
                cuts += 1;
                left = 1 + random.below(12);
            }
            left -= 1;
            match next(&mut stream).await {
                Event::Change(change) => {
                    assert!(change.revision > revision, "{} after {revision}", change.revision);
                    revision = change.revision;
                    seen.push(change);
                }
                Event::Bookmark(bookmark) => {
                    assert!(bookmark.revision >= revision);
                    // Silence: the writers are done, or the machine is busy.
                    if writers.iter().all(tokio::task::JoinHandle::is_finished)
                        && bookmark.revision == settled(&region).await
                    {
                        break;
                    }
                }
                other => panic!("{other:?} after the snapshot"),
            }
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert!(cuts > 20, "{cuts} cuts are too few to tell");

        // What the log has is what was seen: each change, once, in order.
        let logged: Vec<(i64, String, String, String)> = sqlx::query_as(
            "SELECT revision, name, type, actor FROM changes WHERE revision > $1 ORDER BY revision",
        )
        .bind(begin)
        .fetch_all(&region.pool())
        .await
        .unwrap();
        let told: Vec<_> = seen
            .iter()
            .map(|change| {
                let word = change.r#type().as_str_name().trim_start_matches("CHANGE_TYPE_");
                (change.revision, name_of(change), word.to_lowercase(), change.actor.clone())
            })
            .collect();
        assert_eq!(told, logged);
        let revisions: Vec<i64> = logged.iter().map(|row| row.0).collect();
        let dense: Vec<i64> = (begin + 1..=revision).collect();
        assert_eq!(revisions, dense, "revisions have no gap");

        // And following the changes alone leads to what the daemon holds.
        let mut followed = BTreeMap::new();
        for change in &seen {
            let Some(AnyResource::Tenant(tenant)) =
                change.resource.clone().and_then(|resource| resource.resource)
            else {
                continue;
            };
            if change.r#type() == streamspace_proto::v1::ChangeType::Deleted {
                followed.remove(&tenant.uid);
            } else {
                followed.insert(tenant.uid.clone(), tenant);
            }
        }
        let listed = region.admin().json(&["tenant", "list"]).await;
        let listed = listed.as_array().unwrap().iter();
        let listed: BTreeMap<String, String> = listed
            .filter(|tenant| tenant["name"] != "tenants/before")
            .map(|t| (t["uid"].as_str().unwrap().into(), t["etag"].as_str().unwrap().into()))
            .collect();
        let followed: BTreeMap<String, String> =
            followed.into_iter().map(|(uid, tenant)| (uid, tenant.etag)).collect();
        assert_eq!(followed, listed);
        assert!(!followed.is_empty(), "some tenants stay");

        // A revision that the log does not have is refused, not guessed at.
        let request = WatchRequest { after_revision: revision + 1000, ..WatchRequest::default() };
        let refusal = connection.watches().watch(request).await.unwrap_err();
        assert_eq!(refusal.code(), Code::OutOfRange, "{refusal:?}");
    });
}

/// Creates, changes and partly deletes tenants, as fast as it can.
async fn write(connection: Connection, writer: usize) {
    let mut client = connection.tenants();
    for number in 0..TENANTS_OF_A_WRITER {
        let id = format!("w{writer}-t{number}");
        let name = format!("tenants/{id}");
        let request_id = || Uuid::new_v4().to_string();
        let tenant = Tenant { plan: "plans/free".into(), seats: 1, ..Tenant::default() };
        let create = CreateTenantRequest {
            tenant_id: id,
            tenant: Some(tenant.clone()),
            request_id: request_id(),
            ..CreateTenantRequest::default()
        };
        client.create_tenant(create).await.unwrap();
        for seats in 2..4 {
            let update = UpdateTenantRequest {
                tenant: Some(Tenant { name: name.clone(), seats, ..tenant.clone() }),
                update_mask: Some(prost_types::FieldMask { paths: vec!["seats".into()] }),
                request_id: request_id(),
                ..UpdateTenantRequest::default()
            };
            client.update_tenant(update).await.unwrap();
        }
        if number % 2 == 0 {
            let delete = DeleteTenantRequest {
                name,
                reason: "story".into(),
                request_id: request_id(),
                ..DeleteTenantRequest::default()
            };
            // One that has become active meanwhile stays: it would be archived first.
            if let Err(status) = client.delete_tenant(delete).await {
                assert_eq!(rpc::reason(&status), "TENANT_STATE", "{status:?}");
            }
        }
    }
}

async fn open(connection: &Connection, after_revision: i64) -> Streaming<WatchResponse> {
    let request = WatchRequest { after_revision, ..WatchRequest::default() };
    connection.watches().watch(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<WatchResponse>) -> Event {
    let message = tokio::time::timeout(streamspace_tests::wait::PATIENCE, stream.message()).await;
    message.expect("a message in time").unwrap().expect("the stream goes on").event.unwrap()
}

/// The last revision, once the cluster has all that was wished.
async fn settled(region: &Region) -> i64 {
    until("everything is settled", async || {
        let (moving, unsequenced, revision): (i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM tenants WHERE state NOT IN ('active', 'gone')
                        OR (state = 'active' AND observed_generation <> generation)),
                    (SELECT count(*) FROM changes WHERE revision IS NULL),
                    (SELECT revision FROM change_sequence)",
        )
        .fetch_one(&region.pool())
        .await
        .unwrap();
        holds(moving == 0 && unsequenced == 0, || {
            format!("{moving} tenants, {unsequenced} changes")
        })?;
        Ok::<_, String>(revision)
    })
    .await
}

fn name_of(change: &Change) -> String {
    match change.resource.as_ref().and_then(|resource| resource.resource.as_ref()) {
        Some(AnyResource::Tenant(tenant)) => tenant.name.clone(),
        Some(AnyResource::Operation(operation)) => operation.name.clone(),
        Some(AnyResource::Session(session)) => session.name.clone(),
        None => String::new(),
    }
}
