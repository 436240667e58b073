//! Tokens as admins see them.

use super::*;

#[tokio::test]
async fn an_admin_makes_tokens_and_sees_each_secret_once() {
    let world = World::new().await;
    let credential = world.enrolled().await;
    let admin = world.caller(&credential.client_certificate);
    let request = CreateEnrolmentTokenRequest {
        operator: "grace".into(),
        role: v1::Role::Auditor.into(),
        tenants: vec!["tenants/beta".into(), "tenants/acme".into()],
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let preview = CreateEnrolmentTokenRequest { validate_only: true, ..request.clone() };
    let reply = world.access.create_enrolment_token(by(&admin, preview)).await.unwrap();
    assert_eq!(reply.into_inner().token, "", "a preview makes none");

    let first = world.access.create_enrolment_token(by(&admin, request.clone())).await.unwrap();
    let first = first.into_inner();
    assert!(near(first.expire_time, Timestamp::now() + SignedDuration::from_hours(1)));
    let retry = world.access.create_enrolment_token(by(&admin, request)).await.unwrap();
    let expected = v1::EnrolmentToken { token: String::new(), ..first.clone() };
    assert_eq!(retry.into_inner(), expected, "the same token, without its secret");

    let response = world.enrol(enrol_with(&first.token.parse().unwrap())).await.unwrap();
    let grace = world.caller(&response.credential.unwrap().client_certificate);
    assert_eq!((grace.operator.as_str(), grace.role), ("grace", Some(Role::Auditor)));
    assert_eq!(grace.scope, Scope::Tenants(vec![world.tenants[1], world.tenants[0]]));

    let me = world.access.who_am_i(by(&grace, WhoAmIRequest {})).await.unwrap().into_inner();
    assert_eq!((me.operator.as_str(), me.role_name.as_str()), ("grace", "auditor"));
    assert_eq!(me.tenants, ["tenants/beta", "tenants/acme"]);
    assert_eq!((me.region.as_str(), me.certificate_serial), ("regions/local", grace.serial));
}

#[tokio::test]
async fn every_fault_of_a_token_request_is_named_at_once() {
    let world = World::new().await;
    let admin = world.caller(&world.enrolled().await.client_certificate);
    let bad = CreateEnrolmentTokenRequest {
        operator: "Ada Lovelace".into(),
        tenants: vec!["acme".into()],
        ttl: Some(prost_types::Duration { seconds: 8 * 24 * 3600, nanos: 0 }),
        ..Default::default()
    };
    let refusal = world.access.create_enrolment_token(by(&admin, bad)).await.unwrap_err();
    let details = refusal.get_error_details();
    let fields: Vec<&str> =
        details.bad_request().unwrap().field_violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["operator", "role", "tenants[0]", "ttl"]);

    let nobody = CreateEnrolmentTokenRequest {
        operator: "ada".into(),
        role: v1::Role::Viewer.into(),
        tenants: vec!["tenants/charlie".into()],
        ..Default::default()
    };
    let refusal = world.access.create_enrolment_token(by(&admin, nobody)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::NotFound);
}

#[tokio::test]
async fn a_token_is_listed_by_a_name_that_is_no_secret_and_taken_back() {
    let world = World::new().await;
    let root = world.person("root", Role::Admin).await;
    let request = CreateEnrolmentTokenRequest {
        operator: "grace".into(),
        role: v1::Role::Viewer.into(),
        tenants: vec!["tenants/acme".into()],
        ..Default::default()
    };
    let made = world.access.create_enrolment_token(by(&root, request)).await.unwrap().into_inner();
    let list =
        || world.access.list_enrolment_tokens(by(&root, v1::ListEnrolmentTokensRequest::default()));
    let listed = list().await.unwrap().into_inner().tokens;
    assert_eq!(listed[0], v1::EnrolmentToken { token: String::new(), ..made.clone() });
    assert_eq!(listed[1].state(), v1::EnrolmentTokenState::Used, "the admin's own");

    let revoke = |name: &str| {
        let request = v1::RevokeEnrolmentTokenRequest { name: name.into(), ..Default::default() };
        world.access.revoke_enrolment_token(by(&root, request))
    };
    let refusal = revoke(&listed[1].name).await.unwrap_err();
    assert_eq!(reason(&refusal), "TOKEN_SPENT");
    for _ in 0..2 {
        let revoked = revoke(&made.name).await.unwrap().into_inner();
        assert_eq!(revoked.state(), v1::EnrolmentTokenState::Revoked);
    }
    let refusal = world.enrol(enrol_with(&made.token.parse().unwrap())).await.unwrap_err();
    assert_eq!(reason(&refusal), "TOKEN_REVOKED");
    assert!(revoke("tokens/abc").await.is_err());
    let unknown = format!("tokens/{}", Uuid::now_v7());
    assert_eq!(revoke(&unknown).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_token_is_used_or_taken_back_and_never_both() {
    let world = World::new().await;
    let root = world.person("root", Role::Admin).await;
    for _ in 0..8 {
        let request = CreateEnrolmentTokenRequest {
            operator: "grace".into(),
            role: v1::Role::Viewer.into(),
            ..Default::default()
        };
        let made = world.access.create_enrolment_token(by(&root, request)).await.unwrap();
        let made = made.into_inner();
        let back =
            v1::RevokeEnrolmentTokenRequest { name: made.name.clone(), ..Default::default() };
        let (enrolled, taken) = tokio::join!(
            world.enrol(enrol_with(&made.token.parse().unwrap())),
            world.access.revoke_enrolment_token(by(&root, back)),
        );
        assert_ne!(enrolled.is_ok(), taken.is_ok());
    }
}
