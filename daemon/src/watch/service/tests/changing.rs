//! What a client is told of changes, by what it asked for.

use streamspace_proto::v1::ChangeType as Told;

use super::*;

fn tenant(uid: TenantUid, id: &str, seats: i32) -> v1::Tenant {
    v1::Tenant {
        name: format!("tenants/{id}"),
        uid: uid.0.to_string(),
        plan: "plans/free".into(),
        seats,
        state: v1::TenantState::Active.into(),
        conditions: vec![v1::Condition::default()],
        ..v1::Tenant::default()
    }
}

#[tokio::test]
async fn what_does_not_match_any_more_has_left() {
    let world = Watched::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let beta = world.test.insert_tenant("beta").await;
    let selection = Selection {
        read_mask: mask(&["seats"]),
        ..filtered(ResourceKind::Tenant, "seats >= 10 AND state = active")
    };
    let mut stream = world.select([selection]).await;
    assert_eq!(stream.snapshot().await.told, [(ResourceKind::Tenant, 0)]);
    for (uid, id, change, seats) in [
        (acme, "acme", ChangeType::Updated, 10),
        (beta, "beta", ChangeType::Created, 1),
        (acme, "acme", ChangeType::Updated, 11),
        (acme, "acme", ChangeType::Updated, 9),
        (acme, "acme", ChangeType::Deleted, 9),
        (beta, "beta", ChangeType::Updated, 12),
        (beta, "beta", ChangeType::Deleted, 12),
    ] {
        // Of a kind that nobody asked for.
        let other = AnyResource::Session(session(id, "desk", "ada"));
        world.change(uid, ChangeType::Updated, other).await;
        world.change(uid, change, AnyResource::Tenant(tenant(uid, id, seats))).await;
    }
    let mut before = 0;
    for (uid, id, told, seats) in [
        (acme, "acme", Told::Updated, 10),
        (beta, "beta", Told::Left, 0),
        (acme, "acme", Told::Updated, 11),
        (acme, "acme", Told::Left, 0),
        (acme, "acme", Told::Left, 0),
        (beta, "beta", Told::Updated, 12),
        (beta, "beta", Told::Deleted, 12),
    ] {
        let change = stream.change().await;
        assert_eq!(change.r#type(), told, "{change:?}");
        assert!(change.revision > before);
        before = change.revision;
        assert_eq!(change.actor, "kim");
        assert!(change.time.is_some());
        // The mask applies; of what left there is only who it is.
        let bare = v1::Tenant {
            name: format!("tenants/{id}"),
            uid: uid.0.to_string(),
            seats,
            ..v1::Tenant::default()
        };
        assert_eq!(change.resource.unwrap().resource.unwrap(), AnyResource::Tenant(bare));
    }
}

#[tokio::test]
async fn sessions_and_operations_leave_as_well() {
    let world = Watched::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let selections = [
        filtered(ResourceKind::Operation, "done = false"),
        filtered(ResourceKind::Session, "phase = Running AND age < 3600"),
    ];
    let mut stream = world.select(selections).await;
    stream.snapshot().await;
    let runs = session("acme", "desk", "ada");
    let sleeps = v1::Session { phase: SessionPhase::Hibernated.into(), ..runs.clone() };
    // Its age is counted when the change is sent.
    let long_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
    let old = v1::Session { create_time: timestamp(long_ago), ..runs.clone() };
    let open = v1::Operation {
        name: "operations/01900000-0000-7000-8000-000000000001".into(),
        kind: "tenant.delete".into(),
        ..v1::Operation::default()
    };
    let done = v1::Operation { done: true, ..open.clone() };
    for resource in [
        AnyResource::Session(runs.clone()),
        AnyResource::Operation(open.clone()),
        AnyResource::Session(sleeps),
        AnyResource::Operation(done),
        AnyResource::Session(old),
    ] {
        world.change(acme, ChangeType::Updated, resource).await;
    }
    let session_left = AnyResource::Session(v1::Session {
        name: runs.name.clone(),
        uid: runs.uid.clone(),
        ..v1::Session::default()
    });
    let operation_left = AnyResource::Operation(v1::Operation {
        name: open.name.clone(),
        ..v1::Operation::default()
    });
    for (told, resource) in [
        (Told::Updated, AnyResource::Session(runs)),
        (Told::Updated, AnyResource::Operation(open)),
        (Told::Left, session_left.clone()),
        (Told::Left, operation_left),
        (Told::Left, session_left),
    ] {
        let change = stream.change().await;
        assert_eq!(change.r#type(), told);
        assert_eq!(change.resource.unwrap().resource.unwrap(), resource);
    }
}

/// What the object of a session says wrongly or not at all has a word in its row; a change
/// of it is judged by the same.
#[tokio::test]
async fn what_cannot_be_read_of_a_session_matches_as_its_row_does() {
    let world = Watched::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let filter = "state = hibernated AND phase = Pending";
    let mut stream = world.select([filtered(ResourceKind::Session, filter)]).await;
    stream.snapshot().await;
    let mut unread = session("acme", "desk", "ada");
    unread.state = SessionState::Unspecified.into();
    unread.phase = SessionPhase::Unspecified.into();
    world.change(acme, ChangeType::Updated, AnyResource::Session(unread)).await;
    assert_eq!(stream.change().await.r#type(), Told::Updated);
}

#[tokio::test]
async fn names_hold_for_selections_too() {
    let world = Watched::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let request = v1::WatchRequest {
        names: vec!["tenants/acme/sessions/b".into()],
        selections: vec![filtered(ResourceKind::Session, "user = ada")],
        ..v1::WatchRequest::default()
    };
    let mut stream = world.open(request).await;
    stream.snapshot().await;
    for (name, user) in [("a", "ada"), ("b", "mia"), ("a", "mia"), ("b", "ada")] {
        let session = AnyResource::Session(session("acme", name, user));
        world.change(acme, ChangeType::Updated, session).await;
    }
    for told in [Told::Left, Told::Updated] {
        let change = stream.change().await;
        assert_eq!(change.r#type(), told);
        let resource = change.resource.unwrap().resource.unwrap();
        assert_eq!(name_of(&resource), "tenants/acme/sessions/b");
    }
}
