//! A request that cannot be read is refused with the field and with what there is.

use tonic::Code;
use tonic_types::StatusExt as _;

use super::*;

async fn refusal(world: &Watched, request: v1::WatchRequest) -> (String, String) {
    let Err(status) = world.try_open(Scope::Region, request).await else {
        panic!("it is not refused")
    };
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let details = status.get_error_details();
    let violation = details.bad_request().unwrap().field_violations.first().unwrap().clone();
    assert!(status.message().starts_with(&violation.field), "{}", status.message());
    (violation.field, violation.description)
}

#[tokio::test]
async fn a_selection_that_cannot_be_read_is_refused_by_its_field() {
    let world = Watched::start().await;
    let tenants = || filtered(ResourceKind::Tenant, "");
    for (selections, field, words) in [
        (
            vec![filtered(ResourceKind::Tenant, "seat > 1")],
            "selections[0].filter",
            "at 1: there is no field `seat`: did you mean `seats`?",
        ),
        (
            vec![tenants(), filtered(ResourceKind::Session, "seats > 1")],
            "selections[1].filter",
            "at 1: there is no field `seats`: there are `name`, `tenant`, `user`, `template`, \
             `state`, `phase`, `node`, `deleting`, `age`, `idle`",
        ),
        (vec![filtered(ResourceKind::Session, "age > old")], "selections[0].filter", "at 7"),
        (
            vec![ordered(ResourceKind::Operation, "progress")],
            "selections[0].order_by",
            "at 1: there is no field `progress`: there are `name`, `kind`, `target`, `done`, \
             `actor`, `create_time`",
        ),
        (
            vec![ordered(ResourceKind::Tenant, "seats down")],
            "selections[0].order_by",
            "at 1: found `down`",
        ),
        (
            vec![Selection { read_mask: mask(&["seats", "conditionss"]), ..tenants() }],
            "selections[0].read_mask",
            "there is no field `conditionss`: did you mean `conditions`?",
        ),
        (vec![tenants(), tenants()], "selections[1].kind", "has a selection already"),
        (
            vec![filtered(ResourceKind::Unspecified, "")],
            "selections[0].kind",
            "must be TENANT, OPERATION or SESSION",
        ),
        (
            vec![Selection { kind: 99, ..tenants() }],
            "selections[0].kind",
            "must be TENANT, OPERATION or SESSION",
        ),
    ] {
        let request = v1::WatchRequest { selections, ..v1::WatchRequest::default() };
        let (named, told) = refusal(&world, request).await;
        assert_eq!(named, field);
        assert!(told.starts_with(words), "{told}");
    }
}

#[tokio::test]
async fn what_else_is_wrong_is_refused_by_its_field() {
    let world = Watched::start().await;
    let plain = v1::WatchRequest::default;
    for (request, field) in [
        // Neither says which of the two is meant.
        (
            v1::WatchRequest {
                kinds: vec![ResourceKind::Tenant.into()],
                selections: vec![filtered(ResourceKind::Session, "")],
                ..plain()
            },
            "kinds",
        ),
        (v1::WatchRequest { kinds: vec![0], ..plain() }, "kinds"),
        // Without it, everything would be watched.
        (v1::WatchRequest { kinds: vec![99], ..plain() }, "kinds"),
        (v1::WatchRequest { after_revision: -1, ..plain() }, "after_revision"),
        (v1::WatchRequest { names: vec!["tenants/acme".into(); 1001], ..plain() }, "names"),
    ] {
        assert_eq!(refusal(&world, request).await.0, field);
    }
    let request = v1::WatchRequest { after_revision: 9, ..plain() };
    let Err(status) = world.try_open(Scope::Region, request).await else { panic!() };
    assert_eq!(status.code(), Code::OutOfRange);
}

#[tokio::test]
async fn a_revision_that_was_lost_with_a_restore_begins_anew() {
    let world = Watched::start().await;
    sqlx::query("UPDATE change_sequence SET revision = 1009, lost_after = 5, lost_until = 1005")
        .execute(&world.test.superuser().await)
        .await
        .unwrap();
    for (after, is_known) in [(5, true), (6, false), (1004, false), (1005, true), (1010, false)] {
        let request = v1::WatchRequest { after_revision: after, ..v1::WatchRequest::default() };
        match world.try_open(Scope::Region, request).await {
            Ok(_) => assert!(is_known, "{after}"),
            Err(status) => {
                assert!(!is_known, "{after}");
                assert_eq!(status.code(), Code::OutOfRange);
            }
        }
    }
}
