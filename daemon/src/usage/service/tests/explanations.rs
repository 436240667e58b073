//! What is behind a number, and how well it is known.

use super::*;

#[tokio::test]
async fn an_explanation_adds_up_to_the_unit_and_shows_why() {
    let (world, acme, delta) = metered().await;
    let request = |session: &str| v1::ExplainUsageRequest {
        tenant: "tenants/acme".into(),
        start_time: convert::instant(on("10:00:00")),
        end_time: convert::instant(on("13:00:00")),
        session: session.into(),
        ..Default::default()
    };
    let why = world.usages.explain(&world.kim, &request("")).await.unwrap();
    assert!(!why.truncated);
    let total = why.total.clone().unwrap();
    assert_eq!(total, plus(why.subjects.iter().map(|subject| subject.amounts.clone())));
    for subject in &why.subjects {
        let intervals = subject.intervals.iter().map(|interval| interval.amounts.clone());
        assert_eq!(subject.amounts.clone().unwrap(), plus(intervals), "{}", subject.name);
        // What is known now, cut in pieces, comes to the same seconds.
        let seconds: i64 = subject
            .pieces
            .iter()
            .filter(|piece| piece.coverage != "unbilled")
            .map(|piece| piece.end_time.unwrap().seconds - piece.start_time.unwrap().seconds)
            .sum();
        assert_eq!(subject.amounts.clone().unwrap().session_seconds, seconds.to_string());
    }
    let queried =
        query("tenants/acme", on("10:00:00"), on("13:00:00"), v1::UsageGroup::Unspecified);
    assert_eq!(world.query(&world.kim, queried).await.total.unwrap(), total);

    let [ada, bob] = why.subjects.as_slice() else { panic!("{:?}", why.subjects) };
    assert_eq!(
        (ada.name.as_str(), ada.kind.as_str(), ada.user.as_str()),
        ("ada-work", "session", "ada")
    );
    let buckets: Vec<_> = ada
        .intervals
        .iter()
        .map(|interval| interval.amounts.as_ref().unwrap().session_seconds.as_str())
        .collect();
    assert_eq!(buckets, ["150", "190", "0", "0"]);
    let events: Vec<_> =
        ada.events.iter().map(|event| (event.phase.as_str(), event.cause.as_str())).collect();
    assert_eq!(
        events,
        [("Running", "Running"), ("Hibernated", "Hibernated"), ("Terminated", "Terminated")]
    );
    // The event in force at the beginning is from before it.
    assert_eq!(bob.events[0].time, convert::instant(on("09:30:00")));
    assert_eq!(bob.events.len(), 2);
    let pieces: Vec<_> = bob
        .pieces
        .iter()
        .map(|piece| {
            (piece.coverage.as_str(), piece.reason.as_str(), piece.start_time.unwrap().seconds)
        })
        .collect();
    assert_eq!(
        pieces,
        [
            ("measured", "", on("10:00:00").0),
            ("unbilled", "another_incarnation", on("11:00:00").0),
            ("estimated", "another_incarnation", on("11:05:00").0),
            ("measured", "", on("11:10:00").0),
        ]
    );

    // By name and by UID, and nothing of others.
    let uid = Uuid::from_u128(1).to_string();
    for word in ["ada-work", uid.as_str()] {
        let one = world.usages.explain(&world.kim, &request(word)).await.unwrap();
        assert_eq!(one.subjects.len(), 1, "{word}");
        assert_eq!(one.total.unwrap().session_seconds, "340");
    }
    let nobody = v1::ExplainUsageRequest { user: "eve".into(), ..request("") };
    let nothing = world.usages.explain(&world.kim, &nobody).await.unwrap();
    assert!(nothing.subjects.is_empty() && nothing.total.unwrap().session_seconds == "0");
    let typo = world.usages.explain(&world.kim, &request("dekstop")).await;
    assert!(typo.unwrap_err().to_string().starts_with("tenants/acme/sessions/dekstop does not"));
    // A part of the time: the state that was in force is told, though nothing changed in it.
    let later = v1::ExplainUsageRequest {
        start_time: convert::instant(on("12:00:00")),
        end_time: convert::instant(on("12:05:00")),
        ..request("")
    };
    let later = world.usages.explain(&world.kim, &later).await.unwrap();
    assert_eq!(later.subjects.len(), 1);
    assert_eq!(later.subjects[0].events.len(), 1);
    assert_eq!(later.subjects[0].pieces.len(), 1);
    // On the tenant's login the gaps are known too.
    assert_eq!(world.usages.explain(&scoped(acme), &request("")).await.unwrap(), why);
    assert_eq!(code(world.usages.explain(&scoped(delta), &request("")).await), Code::NotFound);
}

#[tokio::test]
async fn a_correction_is_shown_beside_its_interval() {
    let (world, acme, _) = metered().await;
    world
        .sql(&format!(
            "INSERT INTO usage_corrections SELECT '{}', 1, '{}', '2026-11-02T10:05:00Z', 1, -10000, \
                 0, 0, -10, 0, -10, 0, 10, 'failed:10'",
            acme.0,
            Uuid::from_u128(1)
        ))
        .await;
    let request = v1::ExplainUsageRequest {
        tenant: "tenants/acme".into(),
        start_time: convert::instant(on("10:05:00")),
        end_time: convert::instant(on("10:10:00")),
        user: "ada".into(),
        ..Default::default()
    };
    let why = world.usages.explain(&world.kim, &request).await.unwrap();
    let lines: Vec<_> = why.subjects[0]
        .intervals
        .iter()
        .map(|line| (line.correction, line.amounts.as_ref().unwrap().session_seconds.as_str()))
        .collect();
    assert_eq!(lines, [(0, "190"), (1, "-10")]);
    assert_eq!(why.subjects[0].intervals[1].doubts, "failed:10");
    assert_eq!(why.total.unwrap().session_seconds, "180");
}

#[tokio::test]
async fn the_status_tells_what_is_known_and_what_waits() {
    let (world, acme, _) = metered().await;
    // It looks back from the database's clock.
    let status = world.usages.status(&world.kim).await.unwrap();
    assert_eq!(status.begin_time, convert::instant(on("10:00:00")));
    assert_eq!(status.closed_through_time, convert::instant(on("13:00:00")));
    assert_eq!(status.complete_through_time, convert::instant(on("13:00:00")));
    assert_eq!((status.leader_term, status.dirty_hours, status.late_spans), (1, 0, 0));
    let now = jiff::Timestamp::now();
    let stamp = |minutes: i64| (now.as_second() - minutes * 60).to_string();
    let (from, to) = (stamp(20), stamp(10));
    world
        .sql(&format!(
            "INSERT INTO usage_gaps VALUES (50, {from}, {to}), (51, {to}, {to}), (52, 0, 1)"
        ))
        .await;
    let dirty = format!("INSERT INTO usage_dirty VALUES ('{}', 1, now())", acme.0);
    world.sql(&dirty).await;
    let status = world.usages.status(&world.kim).await.unwrap();
    let newest = status.gaps.first().unwrap();
    assert_eq!(newest.start_time.unwrap().seconds.to_string(), stamp(20));
    assert!(status.gaps.len() <= 2, "no empty gap and no old one: {:?}", status.gaps);
    assert_eq!(status.dirty_hours, 1);
    let theirs = world.usages.status(&scoped(acme)).await.unwrap();
    assert_eq!((theirs.dirty_hours, theirs.gaps.len()), (1, status.gaps.len()));
    let none = world.usages.status(&scoped(TenantUid(Uuid::nil()))).await.unwrap();
    assert_eq!((none.dirty_hours, none.leader_term), (0, 1));
}

#[tokio::test]
async fn a_proof_holds_for_what_was_metered_and_finds_what_was_changed() {
    let (world, acme, delta) = metered().await;
    let request = |parent: &str| v1::VerifyUsageRequest {
        parent: parent.into(),
        start_time: convert::instant(on("00:00:00")),
        end_time: convert::instant(on("00:00:00").plus(input::DAY)),
    };
    let proof = world.usages.verify(&world.kim, &request("tenants/-")).await.unwrap();
    assert!(proof.holds && !proof.checks.is_empty(), "{proof:?}");
    world
        .sql(&format!(
            "UPDATE usage_hours SET session_seconds = session_seconds + 1 WHERE tenant_uid = '{}' \
             AND user_name = 'ada'",
            acme.0
        ))
        .await;
    let proof = world.usages.verify(&world.kim, &request("tenants/-")).await.unwrap();
    assert!(!proof.holds && !proof.faults.is_empty(), "{proof:?}");
    assert!(world.usages.counters.faults() > 0);
    let theirs = world.usages.verify(&scoped(delta), &request("tenants/-")).await.unwrap();
    assert!(theirs.holds, "what is wrong of another is not theirs: {theirs:?}");
    assert_eq!(
        code(world.usages.verify(&scoped(delta), &request("tenants/acme")).await),
        Code::NotFound
    );
}
