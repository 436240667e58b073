//! Certificates listed and revoked.

use super::*;

fn revoke(name: &str, family: bool) -> v1::RevokeCertificateRequest {
    v1::RevokeCertificateRequest {
        name: name.into(),
        family,
        reason: "the laptop is lost".into(),
        ..Default::default()
    }
}

fn codes(certificate: &v1::Certificate) -> Vec<&str> {
    certificate.consequences.iter().map(|c| c.code.as_str()).collect()
}

#[tokio::test]
async fn a_lost_device_ends_with_all_that_descends_from_it() {
    let world = World::new().await;
    let root = world.person("root", Role::Admin).await;
    let other = world.enrolled().await;
    let first = world.enrolled().await;
    let second = world.renew(&first.device_certificate).await.unwrap();
    let device = world.caller(&second.device_certificate).serial;
    let request = revoke(&format!("certificates/{device}"), false);

    let preview = v1::RevokeCertificateRequest { validate_only: true, ..request.clone() };
    let preview = world.access.revoke_certificate(by(&root, preview)).await.unwrap().into_inner();
    assert_eq!(codes(&preview), ["REVOKES_FAMILY"]);
    assert!(preview.consequences[0].message.contains("4 of them"), "{preview:?}");
    assert!(!all_revoked(&world, &[&first]), "a preview changes nothing");

    let revoked = world.access.revoke_certificate(by(&root, request)).await.unwrap().into_inner();
    assert_eq!(revoked.state(), v1::CertificateState::Revoked);
    assert_eq!(revoked.revoke_reason, "the laptop is lost");
    assert!(all_revoked(&world, &[&first, &second]), "at once, on the replica that was asked");
    assert_eq!(world.refused(&other.client_certificate), "");
}

#[tokio::test]
async fn a_client_certificate_ends_alone_unless_its_family_is_meant() {
    let world = World::new().await;
    let root = world.person("root", Role::Admin).await;
    let credential = world.enrolled().await;
    let serial = world.caller(&credential.client_certificate).serial;
    let name = format!("certificates/{serial}");
    let reply = world.access.revoke_certificate(by(&root, revoke(&name, false))).await.unwrap();
    assert_eq!(codes(reply.get_ref()), ["DEVICE_RENEWS"]);
    assert_eq!(world.refused(&credential.client_certificate), "CERTIFICATE_REVOKED");
    assert_eq!(world.refused(&credential.device_certificate), "");
    world.renew(&credential.device_certificate).await.unwrap();

    world.access.revoke_certificate(by(&root, revoke(&name, true))).await.unwrap();
    assert!(all_revoked(&world, &[&credential]));
}

#[tokio::test]
async fn a_renewal_that_races_with_a_revocation_does_not_escape_it() {
    let world = World::new().await;
    let root = world.person("root", Role::Admin).await;
    for _ in 0..5 {
        let credential = world.enrolled().await;
        let device = world.caller(&credential.device_certificate).serial;
        let request = revoke(&format!("certificates/{device}"), false);
        let (renewed, (), revoked) = tokio::join!(
            join_all((0..3).map(|_| world.renew(&credential.device_certificate))),
            tokio::task::yield_now(),
            world.access.revoke_certificate(by(&root, request)),
        );
        revoked.unwrap();
        world.standings.refresh(world.database()).await.unwrap();
        for next in renewed.into_iter().flatten() {
            assert!(all_revoked(&world, &[&next]));
        }
        let (good,): (i64,) = sqlx::query_as(
            "SELECT count(*) FROM certificates WHERE operator = 'ada' AND revoke_time IS NULL",
        )
        .fetch_one(world.database().operator())
        .await
        .unwrap();
        assert_eq!(good, 0);
    }
}

#[tokio::test]
async fn whoever_ends_their_own_access_is_told_before() {
    let world = World::new().await;
    let root = world.person("root", Role::Admin).await;
    let own = format!("certificates/{}", root.serial);
    let preview =
        |family| v1::RevokeCertificateRequest { validate_only: true, ..revoke(&own, family) };
    let reply = world.access.revoke_certificate(by(&root, preview(true))).await.unwrap();
    assert_eq!(codes(reply.get_ref()), ["REVOKES_FAMILY", "ENDS_OWN_ACCESS"]);
    assert!(reply.get_ref().consequences[1].message.contains("last way in"));
    world.person("root", Role::Admin).await;
    let reply = world.access.revoke_certificate(by(&root, preview(true))).await.unwrap();
    assert!(reply.get_ref().consequences[1].message.contains("other devices"));
    let reply = world.access.revoke_certificate(by(&root, preview(false))).await.unwrap();
    assert_eq!(codes(reply.get_ref()), ["DEVICE_RENEWS", "ENDS_OWN_ACCESS"]);
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_and_an_unknown_one_not_found() {
    let world = World::new().await;
    let root = world.person("root", Role::Admin).await;
    for name in ["", "certificates/", "certificates/XYZ", "certificates/../ab", "ab12"] {
        let refusal = world.access.revoke_certificate(by(&root, revoke(name, false))).await;
        assert_eq!(refusal.unwrap_err().code(), Code::InvalidArgument, "{name}");
    }
    let unknown = revoke("certificates/abcdef", false);
    let refusal = world.access.revoke_certificate(by(&root, unknown)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::NotFound);
    let loud = v1::RevokeCertificateRequest {
        reason: "\u{1b}[2J".into(),
        ..revoke("certificates/abcdef", false)
    };
    let refusal = world.access.revoke_certificate(by(&root, loud)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn the_list_tells_how_each_stands_and_what_ends_soon() {
    let world = World::new().await;
    let first = world.enrolled().await;
    let _second = world.renew(&first.device_certificate).await.unwrap();
    let root = world.person("root", Role::Admin).await;
    let list = |filter: &str, hours: i64| {
        let request = v1::ListCertificatesRequest {
            filter: filter.into(),
            expiring_within: (hours > 0)
                .then(|| prost_types::Duration { seconds: hours * 3600, nanos: 0 }),
            ..Default::default()
        };
        world.access.list_certificates(by(&root, request))
    };
    let names = |reply: tonic::Response<v1::ListCertificatesResponse>| {
        reply.into_inner().certificates.into_iter().map(|c| c.name).collect::<Vec<_>>()
    };
    assert_eq!(names(list("", 0).await.unwrap()).len(), 6);
    let devices = "operator = ada AND kind = device";
    let superseded = list(&format!("{devices} AND state = superseded"), 0).await.unwrap();
    let old = world.caller(&first.device_certificate).serial;
    assert_eq!(names(superseded), [format!("certificates/{old}")]);
    assert_eq!(names(list(&format!("{devices} AND state = valid"), 0).await.unwrap()).len(), 1);
    assert_eq!(names(list("", 13).await.unwrap()).len(), 3, "client certificates alone");
    assert_eq!(names(list("kind = device", 13).await.unwrap()).len(), 0);
    assert!(list("colour = red", 0).await.is_err());
    assert!(list("", 24 * 400).await.is_err());

    let request = v1::ListCertificatesRequest { page_size: 4, ..Default::default() };
    let page = world.access.list_certificates(by(&root, request.clone())).await.unwrap();
    let page_token = page.get_ref().next_page_token.clone();
    let next = v1::ListCertificatesRequest { page_token: page_token.clone(), ..request.clone() };
    let next = world.access.list_certificates(by(&root, next)).await.unwrap().into_inner();
    assert_eq!((next.certificates.len(), next.next_page_token.as_str()), (2, ""));
    let other_query = v1::ListCertificatesRequest {
        page_token,
        expiring_within: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..request
    };
    assert!(world.access.list_certificates(by(&root, other_query)).await.is_err());
}
