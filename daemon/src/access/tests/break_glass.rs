//! The role admin for a time.

use super::*;

fn emergency() -> v1::BreakGlassRequest {
    v1::BreakGlassRequest { reason: "the cluster burns".into(), ..Default::default() }
}

#[tokio::test]
async fn a_grant_gives_the_role_for_a_time_and_ends_by_hand() {
    let world = World::new().await;
    let credential = world.enrolled().await;
    let ada = || world.caller(&credential.client_certificate);
    let grant = world.access.break_glass(by(&ada(), emergency())).await.unwrap();
    let named = grant.extensions().get::<AuditedResource>().cloned().unwrap();
    let grant = grant.into_inner();
    assert_eq!(named.0, grant.name);
    assert_eq!((grant.operator.as_str(), grant.role_name.as_str()), ("ada", "operator"));
    assert!(near(grant.expire_time, Timestamp::now() + SignedDuration::from_mins(30)));
    assert_eq!(ada().role, Some(Role::Admin));
    assert_eq!(world.caller(&credential.device_certificate).break_glass, None);
    let me = world.access.who_am_i(by(&ada(), WhoAmIRequest {})).await.unwrap().into_inner();
    assert_eq!((me.role(), me.role_name.as_str()), (v1::Role::Admin, "operator"));
    assert_eq!(me.break_glass_expire_time, grant.expire_time);
    let method = ExplainAccessRequest { method: "LockOperator".into() };
    let explained = world.access.explain_access(by(&ada(), method)).await.unwrap().into_inner();
    assert_eq!((explained.allowed, explained.rule.as_str()), (true, "break-glass"));
    assert!(explained.message.contains("until"), "{}", explained.message);

    let end = v1::EndBreakGlassRequest::default();
    let ended = world.access.end_break_glass(by(&ada(), end.clone())).await.unwrap().into_inner();
    assert_eq!(ended.name, grant.name);
    assert!(ended.end_time.is_some());
    assert_eq!(ada().role, Some(Role::Operator));
    let refusal = world.access.end_break_glass(by(&ada(), end)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::NotFound);
}

#[tokio::test]
async fn only_an_operator_gets_one() {
    let world = World::new().await;
    for (role, expected) in [
        (Role::Viewer, "ROLE_TOO_LOW"),
        (Role::Billing, "ROLE_TOO_LOW"),
        (Role::Auditor, "ROLE_TOO_LOW"),
        (Role::Admin, "ADMIN_ALREADY"),
    ] {
        let caller = world.person("eve", role).await;
        let refusal = world.access.break_glass(by(&caller, emergency())).await.unwrap_err();
        assert_eq!(reason(&refusal), expected, "{role}");
    }
    let ada = world.person("ada", Role::Operator).await;
    for seconds in [0, 59, 4 * 3600 + 1, -1] {
        let ttl = Some(prost_types::Duration { seconds, nanos: 0 });
        let request = v1::BreakGlassRequest { ttl, ..emergency() };
        let refusal = world.access.break_glass(by(&ada, request)).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument, "{seconds}");
    }
    let preview = v1::BreakGlassRequest { validate_only: true, ..emergency() };
    assert_eq!(world.access.break_glass(by(&ada, preview)).await.unwrap().get_ref().name, "");
    assert_eq!(*world.standings.active_grants().borrow(), 0);

    // Another certificate of the same person, with a role that may have none.
    world.access.break_glass(by(&ada, emergency())).await.unwrap();
    let viewer = world.person("ada", Role::Viewer).await;
    assert_eq!((viewer.role, viewer.break_glass), (Some(Role::Viewer), None));
}

#[tokio::test]
async fn a_grant_reaches_no_further_than_the_certificate() {
    let world = World::new().await;
    let token = world.token(Role::Operator, vec![world.tenants[0]]).await;
    let credential = world.enrol(enrol_with(&token)).await.unwrap().credential.unwrap();
    let ada = || world.caller(&credential.client_certificate);
    world.access.break_glass(by(&ada(), emergency())).await.unwrap();
    assert_eq!(ada().role, Some(Role::Admin));
    assert_eq!(ada().scope, Scope::Tenants(vec![world.tenants[0]]));
    let method = ExplainAccessRequest { method: "AccessService.LockOperator".into() };
    let explained = world.access.explain_access(by(&ada(), method)).await.unwrap().into_inner();
    assert_eq!((explained.allowed, explained.rule.as_str()), (false, "region-scope"));
}

#[tokio::test]
async fn a_person_has_one_grant_at_a_time_however_often_they_ask() {
    let world = World::new().await;
    let ada = world.person("ada", Role::Operator).await;
    let asked = join_all((0..4).map(|_| world.access.break_glass(by(&ada, emergency())))).await;
    assert!(asked.iter().all(Result::is_ok));
    let in_force: i64 =
        sqlx::query_scalar("SELECT count(*) FROM break_glass WHERE end_time IS NULL")
            .fetch_one(world.database().operator())
            .await
            .unwrap();
    assert_eq!(in_force, 1);
    assert_eq!(*world.standings.active_grants().borrow(), 1);
    let root = world.person("root", Role::Admin).await;
    let list = |unreviewed| v1::ListBreakGlassGrantsRequest { unreviewed, ..Default::default() };
    let listed = world.access.list_break_glass_grants(by(&root, list(true))).await.unwrap();
    assert_eq!(listed.get_ref().grants.len(), 4, "each waits for its review");

    let lock = v1::LockOperatorRequest {
        name: "operators/ada".into(),
        reason: "stolen".into(),
        ..Default::default()
    };
    world.access.lock_operator(by(&root, lock)).await.unwrap();
    assert_eq!(*world.standings.active_grants().borrow(), 0, "a lock ends the grant for good");
}

#[tokio::test]
async fn nothing_that_a_grant_makes_outlives_it() {
    let world = World::new().await;
    let credential = world.enrolled().await;
    let ada = || world.caller(&credential.client_certificate);
    world.access.break_glass(by(&ada(), emergency())).await.unwrap();
    let token = |role: v1::Role| CreateEnrolmentTokenRequest {
        operator: "grace".into(),
        role: role.into(),
        ..Default::default()
    };
    for role in [v1::Role::Admin, v1::Role::Auditor, v1::Role::Billing] {
        let refusal = world.access.create_enrolment_token(by(&ada(), token(role))).await;
        assert_eq!(reason(&refusal.unwrap_err()), "BREAK_GLASS_LIMIT", "{role:?}");
    }
    world.access.create_enrolment_token(by(&ada(), token(v1::Role::Operator))).await.unwrap();
}

#[tokio::test]
async fn another_admin_by_certificate_reviews_what_has_ended_once() {
    let world = World::new().await;
    let credential = world.enrolled().await;
    let ada = || world.caller(&credential.client_certificate);
    let name = world.access.break_glass(by(&ada(), emergency())).await.unwrap().into_inner().name;
    let review = |words: &str| v1::ReviewBreakGlassRequest {
        name: name.clone(),
        review: words.into(),
        ..Default::default()
    };
    let root = world.person("root", Role::Admin).await;
    let by_grant = world.person("grace", Role::Operator).await;
    world.access.break_glass(by(&by_grant, emergency())).await.unwrap();
    let grace = world.person("grace", Role::Operator).await;
    let why =
        |result: Result<tonic::Response<v1::BreakGlassGrant>, Status>| reason(&result.unwrap_err());
    let access = &world.access;
    assert_eq!(
        why(access.review_break_glass(by(&grace, review("fine"))).await),
        "BREAK_GLASS_LIMIT"
    );
    assert_eq!(why(access.review_break_glass(by(&root, review("fine"))).await), "GRANT_IN_FORCE");
    // An admin of the region ends anybody's; nobody else learns of it.
    let end = v1::EndBreakGlassRequest { name: name.clone(), ..Default::default() };
    let eve = world.person("eve", Role::Operator).await;
    let refusal = access.end_break_glass(by(&eve, end.clone())).await.unwrap_err();
    assert_eq!(refusal.code(), Code::NotFound);
    access.end_break_glass(by(&root, end)).await.unwrap();
    let own = world.person("ada", Role::Admin).await;
    assert_eq!(why(access.review_break_glass(by(&own, review("fine"))).await), "OWN_REQUEST");
    assert_eq!(why(access.review_break_glass(by(&root, review(" "))).await), "INVALID_FIELD");
    let reviewed =
        access.review_break_glass(by(&root, review("restarted two nodes"))).await.unwrap();
    assert_eq!(reviewed.get_ref().reviewer, "root");
    assert_eq!(why(access.review_break_glass(by(&root, review("again"))).await), "GRANT_REVIEWED");
}
