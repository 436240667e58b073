//! Renewal of device credentials.

use super::*;

#[tokio::test]
async fn renewal_keeps_the_end_and_the_old_one_is_good_until_the_next_is_used() {
    let world = World::new().await;
    let first = world.enrolled().await;
    // The answer to this one is lost on the way.
    world.renew(&first.device_certificate).await.unwrap();
    let second = world.renew(&first.device_certificate).await.unwrap();
    assert_eq!(second.device_expire_time, first.device_expire_time, "renewal does not extend it");
    assert_ne!(second.device_certificate, first.device_certificate);
    let caller = world.caller(&second.client_certificate);
    assert_eq!((caller.operator.as_str(), caller.role), ("ada", Some(Role::Operator)));
    let third = world.renew(&second.device_certificate).await.unwrap();
    world.renew(&third.device_certificate).await.unwrap();
}

#[tokio::test]
async fn the_use_of_a_superseded_device_revokes_its_family_alone() {
    let world = World::new().await;
    let other = world.enrolled().await;
    let first = world.enrolled().await;
    let second = world.renew(&first.device_certificate).await.unwrap();
    let third = world.renew(&second.device_certificate).await.unwrap();
    let refusal = world.renew(&first.device_certificate).await.unwrap_err();
    assert_eq!(reason(&refusal), "CREDENTIAL_REUSED");
    assert!(all_revoked(&world, &[&first, &second, &third]));
    world.renew(&other.device_certificate).await.unwrap();
}

#[tokio::test]
async fn a_thief_who_renews_first_is_found_out() {
    let world = World::new().await;
    let owner = world.enrolled().await;
    // The owner renews; the thief has a copy of what there was before.
    let owners = world.renew(&owner.device_certificate).await.unwrap();
    let thiefs = world.renew(&owner.device_certificate).await.unwrap();
    let refusal = world.renew(&owners.device_certificate).await.unwrap_err();
    assert_eq!(reason(&refusal), "CREDENTIAL_REUSED");
    assert!(all_revoked(&world, &[&owner, &owners, &thiefs]));
}

#[tokio::test]
async fn renewals_at_once_leave_one_line() {
    let world = World::new().await;
    let first = world.enrolled().await;
    let all = join_all((0..8).map(|_| world.renew(&first.device_certificate))).await;
    for renewed in all {
        renewed.unwrap();
    }
    let (open,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM certificates WHERE kind = 'device' AND superseded_by IS NULL",
    )
    .fetch_one(world.test.database().operator())
    .await
    .unwrap();
    assert_eq!(open, 1);
}
