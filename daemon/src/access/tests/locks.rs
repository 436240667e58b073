//! People who may do nothing.

use super::*;

fn lock(operator: &str) -> v1::LockOperatorRequest {
    v1::LockOperatorRequest {
        name: format!("operators/{operator}"),
        reason: "left the company".into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_lock_beats_every_certificate_of_a_person_also_the_next_ones() {
    let world = World::new().await;
    let root = world.person("root", Role::Admin).await;
    let (laptop, desktop) = (world.enrolled().await, world.enrolled().await);
    let device = world.caller(&laptop.device_certificate);
    let token = world.token(Role::Operator, Vec::new()).await;
    world.access.lock_operator(by(&root, lock("ada"))).await.unwrap();
    for certificate in [
        &laptop.client_certificate,
        &laptop.device_certificate,
        &desktop.client_certificate,
        &desktop.device_certificate,
    ] {
        assert_eq!(world.refused(certificate), "OPERATOR_LOCKED");
    }
    // Another replica may not know yet: the transaction itself refuses.
    let mut request = Request::new(RenewCredentialRequest { device_csr: csr(), client_csr: csr() });
    request.extensions_mut().insert(device);
    let refusal = world.access.renew_credential(request).await.unwrap_err();
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::PermissionDenied, "OPERATOR_LOCKED")
    );
    let refusal = world.enrol(enrol_with(&token)).await.unwrap_err();
    assert_eq!(reason(&refusal), "OPERATOR_LOCKED");

    let unlock = v1::UnlockOperatorRequest { name: "operators/ada".into(), ..Default::default() };
    let ended = world.access.unlock_operator(by(&root, unlock.clone())).await.unwrap();
    assert_eq!(ended.get_ref().reason, "left the company");
    assert_eq!(world.refused(&laptop.client_certificate), "");
    world.enrol(enrol_with(&token)).await.expect("the refusal did not use the token up");
    let refusal = world.access.unlock_operator(by(&root, unlock)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::NotFound);
}

#[tokio::test]
async fn a_lock_ends_by_itself_and_can_be_set_anew() {
    let world = World::new().await;
    let root = world.person("root", Role::Admin).await;
    let hour = prost_types::Duration { seconds: 3600, nanos: 0 };
    let request = v1::LockOperatorRequest { ttl: Some(hour), ..lock("ada") };
    let first = world.access.lock_operator(by(&root, request)).await.unwrap().into_inner();
    assert!(near(first.expire_time, Timestamp::now() + SignedDuration::from_hours(1)));
    let again = world.access.lock_operator(by(&root, lock("ada"))).await.unwrap().into_inner();
    assert_eq!(again.expire_time, None, "the later one counts");
    let list = v1::ListOperatorLocksRequest::default();
    let listed =
        world.access.list_operator_locks(by(&root, list.clone())).await.unwrap().into_inner();
    assert_eq!(listed.locks, [again]);

    sqlx::query("UPDATE operator_locks SET expire_time = now()")
        .execute(world.database().operator())
        .await
        .unwrap();
    let listed = world.access.list_operator_locks(by(&root, list)).await.unwrap().into_inner();
    assert_eq!(listed.locks, []);
    world.standings.refresh(world.database()).await.unwrap();
    world.person("ada", Role::Viewer).await;
}

#[tokio::test]
async fn a_lock_that_ends_is_in_the_audit_log_once() {
    let world = World::new().await;
    let root = world.person("root", Role::Admin).await;
    let hour = prost_types::Duration { seconds: 3600, nanos: 0 };
    let request = v1::LockOperatorRequest { ttl: Some(hour), ..lock("ada") };
    world.access.lock_operator(by(&root, request)).await.unwrap();
    world.access.lock_operator(by(&root, lock("eve"))).await.unwrap();
    let db = world.database();
    for sql in [
        "UPDATE leader SET leader_term = 3, replica = 'a'",
        "UPDATE operator_locks SET expire_time = now() WHERE operator = 'ada'",
    ] {
        sqlx::query(sql).execute(db.operator()).await.unwrap();
    }
    let leader = crate::db::Leadership { replica: "a".into(), leader_term: 3, leads: true };
    let sink = crate::audit::AuditLog::new(db.clone(), "a", "local");
    let log = crate::rpc::ends::EndLog::new(Arc::new(sink));
    let end = async || crate::access::ends::end_what_has_ended(db, &log, &leader).await.unwrap();
    assert_eq!((end().await, end().await), (1, 0));
    let told: Vec<(String, String, String, String)> = sqlx::query_as(
        "SELECT method, resource, reason, summary FROM audit_entries WHERE phase = 'outcome'",
    )
    .fetch_all(db.operator())
    .await
    .unwrap();
    let [(method, resource, reason, summary)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        (method.as_str(), resource.as_str()),
        ("streamspaced/EndOperatorLock", "operators/ada")
    );
    assert_eq!(reason, "its time is over; root had set it for: left the company");
    assert_eq!(summary, "unlocked");
}

#[tokio::test]
async fn nobody_locks_themselves_and_bad_input_changes_nothing() {
    let world = World::new().await;
    let root = world.person("root", Role::Admin).await;
    let refusal = world.access.lock_operator(by(&root, lock("root"))).await.unwrap_err();
    assert_eq!(reason(&refusal), "LOCK_OF_ONESELF");
    assert!(refusal.message().contains("ssctl cert revoke"), "{refusal}");
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    for request in [
        lock(""),
        lock("Ada Lovelace"),
        lock("../root"),
        v1::LockOperatorRequest { name: "ada".into(), ..lock("ada") },
        v1::LockOperatorRequest { ttl: seconds(0), ..lock("ada") },
        v1::LockOperatorRequest { ttl: seconds(91 * 24 * 3600), ..lock("ada") },
        v1::LockOperatorRequest { ttl: seconds(-5), ..lock("ada") },
        v1::LockOperatorRequest { reason: "x".repeat(1001), ..lock("ada") },
    ] {
        let refusal = world.access.lock_operator(by(&root, request.clone())).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument, "{request:?}");
    }
    let preview = v1::LockOperatorRequest { validate_only: true, ..lock("ada") };
    world.access.lock_operator(by(&root, preview)).await.unwrap();
    let list = v1::ListOperatorLocksRequest::default();
    let listed = world.access.list_operator_locks(by(&root, list)).await.unwrap();
    assert_eq!(listed.get_ref().locks, []);
}
