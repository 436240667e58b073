//! What becomes of a client that does not keep up.

use super::{super::super::stream::MOST_BEHIND, *};

#[tokio::test]
async fn who_reads_too_slowly_is_told_of_the_gap_and_gets_a_new_snapshot() {
    let world = Watched::start().await;
    let acme = world.test.insert_tenant("acme").await;
    world.session(acme, &session("acme", "a", "ada")).await;
    let mut stream = world.select([filtered(ResourceKind::Session, "user = ada")]).await;
    let first = stream.snapshot().await;

    let desk = session("acme", "desk", "ada");
    world.flood(acme, desk.clone(), MOST_BEHIND + 2000).await;
    world.session(acme, &session("acme", "b", "ada")).await;
    world.session(acme, &session("acme", "c", "mia")).await;

    // What was on its way already comes, and nothing is left out before the gap.
    let mut last = first.revision;
    let gap = loop {
        match stream.next().await {
            Event::Change(change) => {
                assert_eq!(change.revision, last + 1);
                last = change.revision;
            }
            Event::Gap(gap) => break gap,
            other => panic!("{other:?}"),
        }
    };
    assert!(last > first.revision && last < first.revision + MOST_BEHIND, "{last}");
    assert_eq!(gap, v1::Gap { from_revision: last, to_revision: MOST_BEHIND + 2000 });
    let second = stream.snapshot().await;
    assert_eq!(second.names(), ["tenants/acme/sessions/a", "tenants/acme/sessions/b"]);
    assert_eq!(second.told, [(ResourceKind::Session, 2)]);
    assert_eq!(second.revision, gap.to_revision);

    // And it goes on from there.
    world.change(acme, ChangeType::Updated, AnyResource::Session(desk)).await;
    assert_eq!(stream.change().await.revision, gap.to_revision + 1);
}

/// Only what it would be told counts: a watch of tenants, of one name or of one scope is not
/// behind because of all else.
#[tokio::test]
async fn the_changes_of_others_put_nobody_behind() {
    let world = Watched::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let beta = world.test.insert_tenant("beta").await;
    let tenants = world.select([filtered(ResourceKind::Tenant, "")]).await;
    let of_beta = world.try_open(Scope::Tenants(vec![beta]), v1::WatchRequest::default());
    let named = v1::WatchRequest {
        names: vec!["tenants/acme".into(), "tenants/acme/sessions/other".into()],
        ..v1::WatchRequest::default()
    };
    let mut streams = [tenants, of_beta.await.unwrap(), world.open(named).await];
    let mut head = 0;
    for stream in &mut streams {
        head = stream.snapshot().await.revision;
    }
    world.flood(acme, session("acme", "desk", "ada"), MOST_BEHIND + 10).await;
    let resumed = v1::WatchRequest {
        after_revision: head + 1,
        selections: vec![filtered(ResourceKind::Tenant, "")],
        ..v1::WatchRequest::default()
    };
    let resumed = world.open(resumed).await;
    for (uid, id) in [(acme, "acme"), (beta, "beta")] {
        let tenant = v1::Tenant { name: format!("tenants/{id}"), ..v1::Tenant::default() };
        world.change(uid, ChangeType::Updated, AnyResource::Tenant(tenant)).await;
    }
    let told: Vec<&[&str]> = vec![
        &["tenants/acme", "tenants/beta"],
        &["tenants/beta"],
        &["tenants/acme"],
        &["tenants/acme", "tenants/beta"],
    ];
    for (mut stream, names) in streams.into_iter().chain([resumed]).zip(told) {
        for name in names {
            let change = stream.change().await;
            assert_eq!(name_of(&change.resource.unwrap().resource.unwrap()), *name);
        }
    }
}

#[tokio::test]
async fn who_comes_back_after_too_long_gets_a_snapshot_too() {
    let world = Watched::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let desk = session("acme", "desk", "ada");
    world.session(acme, &desk).await;
    world.flood(acme, desk, MOST_BEHIND + 2).await;
    let after = |after_revision| v1::WatchRequest {
        after_revision,
        kinds: vec![ResourceKind::Session.into()],
        ..v1::WatchRequest::default()
    };
    // So many may be behind.
    let mut stream = world.open(after(2)).await;
    for revision in 3..=MOST_BEHIND + 2 {
        assert_eq!(stream.change().await.revision, revision);
    }
    // One more may not.
    let mut stream = world.open(after(1)).await;
    let Event::Gap(gap) = stream.next().await else { panic!("no gap") };
    assert_eq!(gap, v1::Gap { from_revision: 1, to_revision: MOST_BEHIND + 2 });
    assert_eq!(stream.snapshot().await.names(), ["tenants/acme/sessions/desk"]);
}

/// To catch up is less work than another snapshot as long as there are fewer changes than
/// resources; and who always got snapshots would never get a change.
#[tokio::test]
async fn a_large_snapshot_allows_for_as_many_changes() {
    let world = Watched::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let desk = session("acme", "desk", "ada");
    sqlx::query(
        "INSERT INTO sessions (tenant_uid, name, session_uid, resource_version, generation, \
           user_name, template, state, phase, deleting, pods, cpu, cpu_limit, memory, \
           memory_limit, create_time, resource) \
         SELECT $1, 's' || number, gen_random_uuid(), 1, 1, 'ada', 'firefox', 'running', \
           'Running', false, 1, 1, 1, 1, 1, now(), $2 FROM generate_series(1, $3) AS number",
    )
    .bind(acme.0)
    .bind(desk.encode_to_vec())
    .bind(MOST_BEHIND + 1000)
    .execute(world.test.database().operator())
    .await
    .unwrap();
    let mut stream = world.select([filtered(ResourceKind::Session, "")]).await;
    let held = stream.snapshot().await;
    assert_eq!(held.sent, [(ResourceKind::Session, MOST_BEHIND + 1000)]);
    world.flood(acme, desk, MOST_BEHIND + 1000).await;
    for number in 1..=MOST_BEHIND + 1000 {
        assert_eq!(stream.change().await.revision, held.revision + number);
    }
}
