//! Enrolment with one-time tokens.

use super::*;

#[tokio::test]
async fn enrolment_gives_a_device_and_an_operator() {
    let world = World::new().await;
    let token = world.token(Role::Operator, vec![world.tenants[0]]).await;
    assert_eq!(token.authority, world.authority.fingerprint());
    let response = world.enrol(enrol_with(&token)).await.unwrap();
    assert_eq!(response.region, "regions/local");
    let credential = response.credential.unwrap();
    assert_eq!(credential.authorities, [world.authority.certificates()[0].to_vec()]);
    let now = Timestamp::now();
    let hours = |hours| SignedDuration::from_hours(hours);
    assert!(near(credential.device_expire_time, now + hours(24 * 90)));
    assert!(near(credential.client_expire_time, now + hours(12)));

    let client = world.caller(&credential.client_certificate);
    assert_eq!((client.audience, client.role), (Audience::Operator, Some(Role::Operator)));
    assert_eq!((client.operator.as_str(), client.role_name.as_str()), ("ada", "operator"));
    assert_eq!(client.scope, Scope::Tenants(vec![world.tenants[0]]));
    let device = world.caller(&credential.device_certificate);
    assert_eq!((device.audience, device.operator.as_str()), (Audience::Device, "ada"));
}

#[tokio::test]
async fn the_outcome_of_an_enrolment_names_the_operator() {
    let world = World::new().await;
    let token = world.token(Role::Viewer, Vec::new()).await;
    let mut request = Request::new(enrol_with(&token));
    request.extensions_mut().insert(call("192.0.2.1:99"));
    let response = world.access.enrol(request).await.unwrap();
    let named = response.extensions().get::<AuditedResource>().cloned();
    assert_eq!(named, Some(AuditedResource("operators/ada".into())));
}

#[tokio::test]
async fn a_token_works_once_even_when_many_try_at_once() {
    let world = World::new().await;
    let token = world.token(Role::Viewer, Vec::new()).await;
    let tries = join_all((0..8).map(|_| world.enrol(enrol_with(&token)))).await;
    let (enrolled, refused): (Vec<_>, Vec<_>) = tries.into_iter().partition(Result::is_ok);
    assert_eq!(enrolled.len(), 1);
    for refusal in refused {
        assert_eq!(reason(&refusal.unwrap_err()), "TOKEN_USED");
    }
    let (certificates,): (i64,) = sqlx::query_as("SELECT count(*) FROM certificates")
        .fetch_one(world.test.database().operator())
        .await
        .unwrap();
    assert_eq!(certificates, 2, "one device and one client");
}

#[tokio::test]
async fn each_bad_token_is_told_what_is_wrong_with_it() {
    let world = World::new().await;
    let used = world.token(Role::Viewer, Vec::new()).await;
    world.enrol(enrol_with(&used)).await.unwrap();
    let expired = world.token(Role::Viewer, Vec::new()).await;
    sqlx::query(
        "UPDATE enrolment_tokens SET expire_time = now() - interval '1 s' WHERE use_time IS NULL",
    )
    .execute(world.test.database().operator())
    .await
    .unwrap();
    let mut unknown = enrol_with(&used);
    unknown.secret = vec![7; 32];
    for (request, expected, words) in [
        (enrol_with(&used), "TOKEN_USED", "works once"),
        (enrol_with(&expired), "TOKEN_EXPIRED", "ask for a new one"),
        (unknown, "TOKEN_UNKNOWN", "of this region"),
    ] {
        let refusal = world.enrol(request).await.unwrap_err();
        assert_eq!(refusal.code(), Code::Unauthenticated);
        assert_eq!(reason(&refusal), expected);
        assert!(refusal.message().contains(words), "{refusal}");
    }
}

#[tokio::test]
async fn a_bad_request_does_not_use_the_token_up() {
    let world = World::new().await;
    let token = world.token(Role::Viewer, Vec::new()).await;
    let mut forged = csr();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let rsa_is_not_taken = vec![0x30, 0];
    for (field, change) in [
        ("device_csr", EnrolRequest { device_csr: forged, ..enrol_with(&token) }),
        ("client_csr", EnrolRequest { client_csr: rsa_is_not_taken, ..enrol_with(&token) }),
        ("device_csr", EnrolRequest { device_csr: Vec::new(), ..enrol_with(&token) }),
        ("device_name", EnrolRequest { device_name: "x".repeat(64), ..enrol_with(&token) }),
        ("device_name", EnrolRequest { device_name: "\u{1b}[2J".into(), ..enrol_with(&token) }),
    ] {
        let refusal = world.enrol(change).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument);
        let details = refusal.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field);
    }
    world.enrol(enrol_with(&token)).await.unwrap();
}

#[tokio::test]
async fn whoever_guesses_tokens_is_slowed_down_and_nobody_else() {
    let world = World::new().await;
    let token = world.token(Role::Viewer, Vec::new()).await;
    let guess = || EnrolRequest { secret: vec![7; 32], ..enrol_with(&token) };
    for _ in 0..10 {
        assert_eq!(reason(&world.enrol(guess()).await.unwrap_err()), "TOKEN_UNKNOWN");
    }
    let refusal = world.enrol(guess()).await.unwrap_err();
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::ResourceExhausted, "TOO_MANY_GUESSES")
    );

    let mut elsewhere = Request::new(enrol_with(&token));
    elsewhere.extensions_mut().insert(call("192.0.2.2:99"));
    world.access.enrol(elsewhere).await.unwrap();
}
