//! A watch shows what its selections say, and refuses those that it cannot read.

use std::collections::HashMap;

use streamspace_client::{Connection, Counts, Watch, WatchEvent};
use streamspace_proto::v1::{
    Change, ChangeType, ListTenantsRequest, ResourceKind, Selection, Tenant, UpdateTenantRequest,
    WatchRequest, resource::Resource as AnyResource,
};
use streamspace_tests::{region::Region, runtime::story, wait::PATIENCE};
use tokio::time::timeout;
use tonic::Code;
use uuid::Uuid;

fn tenants(filter: &str, order_by: &str, fields: &[&str]) -> Selection {
    let paths = fields.iter().map(ToString::to_string).collect();
    Selection {
        kind: ResourceKind::Tenant.into(),
        filter: filter.into(),
        order_by: order_by.into(),
        read_mask: Some(prost_types::FieldMask { paths }),
    }
}

fn request(selections: impl Into<Vec<Selection>>) -> WatchRequest {
    WatchRequest { selections: selections.into(), ..WatchRequest::default() }
}

async fn next(watch: &mut Watch) -> WatchEvent {
    timeout(PATIENCE, watch.next()).await.expect("an event in time").expect("it goes on")
}

/// The tenants of the snapshot that a watch begins with, in its order.
async fn snapshot(watch: &mut Watch) -> Vec<Tenant> {
    let mut told = None;
    let mut items = Vec::new();
    loop {
        match next(watch).await {
            WatchEvent::Connected { resumed } => assert!(!resumed),
            WatchEvent::Snapshot { counts } => told = Some(counts),
            WatchEvent::Item(item) => match item.resource {
                Some(AnyResource::Tenant(tenant)) => items.push(tenant),
                other => panic!("{other:?}"),
            },
            WatchEvent::Synced { counts, .. } => {
                let tenants = items.len().try_into().unwrap();
                assert_eq!(counts, Counts { tenants, ..Counts::default() });
                assert_eq!(told, Some(counts));
                return items;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The next change that is of this type; the daemon's own notes come between.
async fn told(watch: &mut Watch, wanted: ChangeType) -> (Change, Tenant) {
    loop {
        match next(watch).await {
            WatchEvent::Change(change) => {
                let resource = change.resource.clone().and_then(|it| it.resource);
                let Some(AnyResource::Tenant(tenant)) = resource else { panic!("{change:?}") };
                // Whatever it is, there is no more of it than was asked for.
                let labels = tenant.labels.clone();
                let bare = Tenant {
                    name: "tenants/acme".into(),
                    uid: tenant.uid.clone(),
                    seats: tenant.seats,
                    labels,
                    ..Tenant::default()
                };
                assert_eq!(tenant, bare);
                assert!(!tenant.uid.is_empty());
                if change.r#type() == ChangeType::Left {
                    assert_eq!((tenant.seats, tenant.labels.len()), (0, 0));
                }
                if change.r#type() == wanted {
                    return (*change, tenant);
                }
            }
            WatchEvent::Bookmark { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn update(connection: &Connection, field: &str, tenant: Tenant) {
    let request = UpdateTenantRequest {
        tenant: Some(Tenant { name: "tenants/acme".into(), ..tenant }),
        update_mask: Some(prost_types::FieldMask { paths: vec![field.into()] }),
        request_id: Uuid::new_v4().to_string(),
        ..UpdateTenantRequest::default()
    };
    connection.tenants().update_tenant(request).await.unwrap();
}

#[test]
fn a_watch_shows_what_its_selection_says() {
    story(async {
        let region = Region::start().await;
        let connection = region.admin().connection();
        for (id, seats) in [("charlie", "2"), ("acme", "2"), ("delta", "1"), ("bravo", "3")] {
            let create = ["tenant", "create", id, "--plan", "free", "--seats", seats, "--wait"];
            region.admin().ok(&create).await;
        }

        // The order of the snapshot is that of the list, and each has what was asked for.
        let order_by = "seats desc, name";
        let filter = "seats > 1";
        let mut ordered = connection.watch(request([tenants(filter, order_by, &["seats"])]));
        let shown = snapshot(&mut ordered).await;
        let list = ListTenantsRequest {
            filter: filter.into(),
            order_by: order_by.into(),
            ..ListTenantsRequest::default()
        };
        let listed = connection.tenants().list_tenants(list).await.unwrap().into_inner().tenants;
        let listed: Vec<Tenant> = listed
            .into_iter()
            .map(|it| Tenant { name: it.name, uid: it.uid, seats: it.seats, ..Tenant::default() })
            .collect();
        assert_eq!(shown, listed);
        let names: Vec<&str> = shown.iter().map(|tenant| tenant.name.as_str()).collect();
        assert_eq!(names, ["tenants/bravo", "tenants/acme", "tenants/charlie"]);

        // A tenant enters the selection, changes in it, leaves it and comes back, as something
        // else about it changes too; then it goes for good.
        let selection =
            tenants("labels.tier = gold AND state != archived", "", &["seats", "labels"]);
        let mut gold = connection.watch(request([selection]));
        assert!(snapshot(&mut gold).await.is_empty());
        let labelled = |tier: &str| Tenant {
            labels: HashMap::from([("tier".into(), tier.into())]),
            ..Tenant::default()
        };
        update(&connection, "labels", labelled("lead")).await;
        told(&mut gold, ChangeType::Left).await;
        update(&connection, "labels", labelled("gold")).await;
        let (change, entered) = told(&mut gold, ChangeType::Updated).await;
        assert_eq!((entered.seats, entered.labels["tier"].as_str()), (2, "gold"));
        assert_eq!(change.actor, "root");
        update(&connection, "seats", Tenant { seats: 3, ..Tenant::default() }).await;
        while told(&mut gold, ChangeType::Updated).await.1.seats != 3 {}
        update(&connection, "labels", labelled("lead")).await;
        let (_, left) = told(&mut gold, ChangeType::Left).await;
        assert_eq!(left.uid, entered.uid);
        update(&connection, "labels", labelled("gold")).await;
        told(&mut gold, ChangeType::Updated).await;
        region
            .admin()
            .ok(&["tenant", "archive", "acme", "--confirm", "acme", "--reason", "x"])
            .await;
        told(&mut gold, ChangeType::Left).await;

        // What cannot be read is refused, and says where.
        let sessions = |filter: &str, order_by: &str| Selection {
            kind: ResourceKind::Session.into(),
            ..tenants(filter, order_by, &[])
        };
        let both = WatchRequest {
            kinds: vec![ResourceKind::Operation.into()],
            ..request([tenants("", "", &[])])
        };
        for (request, field) in [
            (request([tenants("seat > 1", "", &[])]), "selections[0].filter"),
            (request([tenants("", "", &[]), sessions("", "cpu")]), "selections[1].order_by"),
            (request([tenants("", "", &["seats", "quota.pods"])]), "selections[0].read_mask"),
            (request([sessions("", ""), sessions("", "")]), "selections[1].kind"),
            (both, "kinds"),
        ] {
            // The client does not try again what cannot become better.
            let mut watch = connection.watch(request.clone());
            match next(&mut watch).await {
                WatchEvent::Failed(error) => {
                    assert_eq!(error.code(), Some(Code::InvalidArgument), "{request:?}");
                    assert!(error.to_string().contains(field), "{error}, not {field}");
                }
                other => panic!("{other:?}: {request:?}"),
            }
        }
    });
}
