//! The log on a real PostgreSQL.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use streamspace_proto::v1::{
    AuditDecision, AuditEntry, AuditPhase, ListAuditEntriesRequest, ListAuditEntriesResponse,
    audit_service_server::AuditService as _,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};
use uuid::Uuid;

use super::{Audit, AuditLog, sequencer, store, sweep::Sweep};
use crate::{
    db::testing::TestDatabase,
    rpc::audit::{AuditRecord, AuditSink as _, Ending, Outcome},
};

fn record(resource: &str) -> AuditRecord {
    AuditRecord {
        call_id: Uuid::now_v7(),
        actor: "ada".into(),
        certificate_serial: "5e71a1".into(),
        role: "admin".into(),
        method: "streamspace.admin.v1.TenantService/CreateTenant".into(),
        resource: resource.into(),
        request_sha256: vec![7; 32],
        reason: "a new customer".into(),
        incident: "INC-7".into(),
        rule: "least-role".into(),
        peer: "192.0.2.7:4711".into(),
    }
}

fn succeeded() -> Outcome {
    Outcome {
        ending: Ending::Succeeded,
        code: 0,
        message: String::new(),
        summary: "seats 1 → 2".into(),
    }
}

fn log(test: &TestDatabase, replica: &str) -> Arc<AuditLog> {
    Arc::new(AuditLog::new(test.database().clone(), replica, "local"))
}

async fn list(
    test: &TestDatabase,
    request: ListAuditEntriesRequest,
) -> Result<ListAuditEntriesResponse, Status> {
    let service = Audit::new(test.database().clone());
    service.list_audit_entries(Request::new(request)).await.map(tonic::Response::into_inner)
}

/// The list, which holds all that is committed.
async fn listed(test: &TestDatabase) -> Vec<AuditEntry> {
    list(test, ListAuditEntriesRequest { page_size: 1000, ..Default::default() })
        .await
        .unwrap()
        .entries
}

/// Makes a replica look alive, or long dead.
async fn heartbeat(test: &TestDatabase, replica: &str, seconds_ago: i32) {
    sqlx::query(
        "INSERT INTO replicas (replica, version, seen_time)
         VALUES ($1, '0', now() - $2 * interval '1 second')
         ON CONFLICT (replica) DO UPDATE SET seen_time = excluded.seen_time",
    )
    .bind(replica)
    .bind(seconds_ago)
    .execute(test.database().operator())
    .await
    .unwrap();
}

/// Moves every entry into the past.
async fn age(test: &TestDatabase) {
    sqlx::query("UPDATE audit_entries SET time = time - interval '1 minute'")
        .execute(&test.owner().await)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_entry_comes_back_as_it_was_written() {
    let test = TestDatabase::create().await;
    let log = log(&test, "r1");
    let record = record("tenants/acme");
    log.intent(&record).await.unwrap();
    let failed = Outcome {
        ending: Ending::Failed,
        code: 6,
        message: "it exists\0 already".into(),
        summary: String::new(),
    };
    log.outcome(&record, &failed).await.unwrap();
    let entries = listed(&test).await;
    let [outcome, intent] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((intent.position, outcome.position), (1, 2));
    assert_eq!((intent.phase(), intent.decision()), (AuditPhase::Intent, AuditDecision::Allowed));
    assert_eq!((outcome.phase(), outcome.decision()), (AuditPhase::Outcome, AuditDecision::Failed));
    assert_eq!(outcome.call_id, record.call_id.to_string());
    assert_eq!(
        (outcome.status_code, outcome.status_message.as_str()),
        (6, "it exists\u{fffd} already")
    );
    for entry in [intent, outcome] {
        assert_eq!(entry.actor, record.actor);
        assert_eq!(entry.certificate_serial, record.certificate_serial);
        assert_eq!(entry.role, record.role);
        assert_eq!(entry.method, record.method);
        assert_eq!(entry.resource, record.resource);
        assert_eq!(entry.request_sha256, record.request_sha256);
        assert_eq!(entry.reason, record.reason);
        assert_eq!(entry.incident, "INC-7");
        assert_eq!(entry.rule, record.rule);
        assert_eq!(entry.peer, record.peer);
        assert_eq!(entry.count, 1);
        assert!(entry.time.is_some());
    }
}

#[tokio::test]
async fn a_repeated_outcome_is_one() {
    let test = TestDatabase::create().await;
    let log = log(&test, "r1");
    let record = record("tenants/acme");
    log.intent(&record).await.unwrap();
    for _ in 0..3 {
        log.outcome(&record, &succeeded()).await.unwrap();
    }
    assert_eq!(listed(&test).await.len(), 2);
}

#[tokio::test]
async fn the_login_that_writes_can_do_nothing_else() {
    let test = TestDatabase::create().await;
    log(&test, "r1").intent(&record("tenants/acme")).await.unwrap();
    for statement in [
        "SELECT count(*) FROM audit_entries",
        "UPDATE audit_entries SET actor = 'eve'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries CASCADE",
        "SELECT count(*) FROM tenants",
    ] {
        let refused = sqlx::query(statement).execute(test.database().audit()).await;
        let error = refused.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{statement}");
    }
}

#[tokio::test]
async fn positions_have_no_gap_and_an_intent_comes_before_its_outcome() {
    let test = TestDatabase::create().await;
    let stop = CancellationToken::new();
    let logs = [log(&test, "r1"), log(&test, "r2")];
    let sequencers: Vec<_> =
        logs.iter().map(|log| tokio::spawn(sequencer::run(log.clone(), stop.clone()))).collect();
    let writes = (0..60).map(|i| {
        let log = logs[i % 2].clone();
        async move {
            let record = record(&format!("tenants/t-{i}"));
            log.intent(&record).await.unwrap();
            log.outcome(&record, &succeeded()).await.unwrap();
        }
    });
    join_all(writes).await;
    let all = ListAuditEntriesRequest { page_size: 1000, ..Default::default() };
    let entries = loop {
        let entries = list(&test, all.clone()).await.unwrap().entries;
        if entries.len() == 120 {
            break entries;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    stop.cancel();
    for sequencer in sequencers {
        sequencer.await.unwrap();
    }
    let positions: Vec<i64> = entries.iter().map(|entry| entry.position).collect();
    assert_eq!(positions, (1..=120).rev().collect::<Vec<_>>());
    let mut intents = HashSet::new();
    for entry in entries.iter().rev() {
        match entry.phase() {
            AuditPhase::Intent => assert!(intents.insert(&entry.call_id)),
            _ => assert!(intents.contains(&entry.call_id), "an outcome before its intent"),
        }
    }
}

/// An entry whose transaction is open gets its position when it is there, and nobody
/// who read past it has missed it.
#[tokio::test]
async fn an_entry_gets_its_position_after_its_commit() {
    let test = TestDatabase::create().await;
    let log = log(&test, "r1");
    let mut slow = test.owner().await.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO audit_entries
             (entry_id, call_id, replica, region, phase, actor, certificate_serial, role, method,
              resource, request_sha256, reason, decision, rule, status_code, status_message, peer)
         VALUES (gen_random_uuid(), gen_random_uuid(), 'r1', 'local', 'denial', 'slow', '', '', '',
                 '', '', '', 'denied', '', 7, '', '')",
    )
    .execute(&mut *slow)
    .await
    .unwrap();
    log.intent(&record("tenants/quick")).await.unwrap();
    assert_eq!(listed(&test).await.len(), 1);
    slow.commit().await.unwrap();
    let entries = listed(&test).await;
    assert_eq!((entries[0].position, entries[0].actor.as_str()), (2, "slow"));
}

#[tokio::test]
async fn what_a_crash_took_is_unknown_and_what_is_under_way_is_left_alone() {
    let test = TestDatabase::create().await;
    let (dead, alive) = (log(&test, "dead"), log(&test, "alive"));
    heartbeat(&test, "dead", 60).await;
    heartbeat(&test, "alive", 0).await;
    let orphan = record("tenants/orphan");
    let ended = record("tenants/ended");
    let running = record("tenants/running");
    dead.intent(&orphan).await.unwrap();
    dead.intent(&ended).await.unwrap();
    dead.outcome(&ended, &succeeded()).await.unwrap();
    alive.intent(&running).await.unwrap();
    age(&test).await;

    let sweeper = log(&test, "sweeper");
    let mut sweep = Sweep::default();
    assert_eq!(sweep.pass(&sweeper).await.unwrap(), 1);
    assert_eq!(sweep.pass(&sweeper).await.unwrap(), 0, "nothing twice");
    let entries = listed(&test).await;
    let unknown: Vec<_> =
        entries.iter().filter(|e| e.decision() == AuditDecision::Unknown).collect();
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0].call_id, orphan.call_id.to_string());
    assert_eq!(
        (unknown[0].phase(), unknown[0].resource.as_str()),
        (AuditPhase::Outcome, "tenants/orphan")
    );
    assert_eq!(unknown[0].actor, "ada", "it says whose call it was");

    // The running call's replica dies later; the sweep has not forgotten it.
    heartbeat(&test, "alive", 60).await;
    assert_eq!(sweep.pass(&sweeper).await.unwrap(), 1);
    // Its late outcome changes nothing any more, and is no failure.
    alive.outcome(&running, &succeeded()).await.unwrap();
    let entries = listed(&test).await;
    let outcomes = entries.iter().filter(|e| e.call_id == running.call_id.to_string());
    assert_eq!(outcomes.count(), 2, "one intent and one outcome");
}

#[tokio::test]
async fn a_replica_closes_what_its_earlier_life_left_and_not_what_it_does_now() {
    let test = TestDatabase::create().await;
    heartbeat(&test, "r1", 0).await;
    let left = record("tenants/left");
    log(&test, "r1").intent(&left).await.unwrap();
    let reborn = log(&test, "r1");
    let current = record("tenants/current");
    reborn.intent(&current).await.unwrap();
    assert_eq!(Sweep::default().pass(&reborn).await.unwrap(), 1);
    reborn.outcome(&current, &succeeded()).await.unwrap();
    let entries = listed(&test).await;
    let ending = |record: &AuditRecord| {
        let id = record.call_id.to_string();
        let ending = entries.iter().find(|e| e.call_id == id && e.phase() == AuditPhase::Outcome);
        ending.map(AuditEntry::decision)
    };
    assert_eq!(ending(&left), Some(AuditDecision::Unknown));
    assert_eq!(ending(&current), Some(AuditDecision::Succeeded));
}

#[tokio::test]
async fn denials_are_written_and_a_flood_is_one_entry() {
    let test = TestDatabase::create().await;
    let log = log(&test, "r1");
    let stop = CancellationToken::new();
    let writer = tokio::spawn(log.clone().run_denials(stop.clone()));
    for _ in 0..500 {
        log.denied(record("tenants/acme"), 7, "no".into());
    }
    stop.cancel();
    writer.await.unwrap();
    let entries = listed(&test).await;
    assert!(entries.len() <= 22, "{}", entries.len());
    assert!(entries.iter().all(|e| e.phase() == AuditPhase::Denial && e.status_code == 7));
    assert_eq!(entries.iter().map(|e| e.count).sum::<i32>(), 500, "and none is lost");
}

#[tokio::test]
async fn pages_join_and_filters_choose() {
    let test = TestDatabase::create().await;
    let log = log(&test, "r1");
    for i in 0..25 {
        let mut record = record(&format!("tenants/t-{i}"));
        record.actor = if i % 5 == 0 { "grace".into() } else { "ada".into() };
        log.intent(&record).await.unwrap();
        log.outcome(&record, &succeeded()).await.unwrap();
    }
    let whole = listed(&test).await;
    assert_eq!(whole.len(), 50);

    let filter = r#"actor = "grace" AND phase = "outcome""#;
    let ask = |page_token: String| ListAuditEntriesRequest {
        page_size: 2,
        page_token,
        filter: filter.into(),
        ..Default::default()
    };
    let (mut token, mut found, mut pages) = (String::new(), Vec::new(), 0);
    loop {
        let page = list(&test, ask(token)).await.unwrap();
        assert!(page.entries.len() <= 2);
        found.extend(page.entries);
        pages += 1;
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let expected: Vec<_> = whole
        .iter()
        .filter(|e| e.actor == "grace" && e.phase() == AuditPhase::Outcome)
        .cloned()
        .collect();
    assert_eq!(found, expected);
    assert!(pages >= 3, "{pages}");

    let all = ListAuditEntriesRequest { page_size: 10, ..Default::default() };
    let page = list(&test, all).await.unwrap();
    let other = ListAuditEntriesRequest {
        page_token: page.next_page_token,
        filter: r#"actor = "ada""#.into(),
        ..Default::default()
    };
    assert_eq!(list(&test, other).await.unwrap_err().code(), Code::InvalidArgument);
    let unknown = ListAuditEntriesRequest { filter: "colour = red".into(), ..Default::default() };
    assert_eq!(list(&test, unknown).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn without_the_database_an_intent_is_refused() {
    let test = TestDatabase::create().await;
    let away = test.another().await;
    away.close().await;
    let log = AuditLog::new(away, "r1", "local");
    let record = record("tenants/acme");
    assert!(log.intent(&record).await.is_err());
    assert!(!log.is_open(record.call_id), "the sweep may close it, if it was written after all");
    assert!(log.outcome(&record, &succeeded()).await.is_err());
}

/// Entries of known times, one minute apart, the newest of `minutes[0]` minutes ago.
async fn entries_of(test: &TestDatabase, minutes: &[i64]) -> Vec<Timestamp> {
    let log = log(test, "r1");
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let mut times = Vec::new();
    for (index, minutes) in minutes.iter().enumerate() {
        let mut record = record(&format!("tenants/t-{index}"));
        record.incident = if index % 2 == 0 { "INC-7".into() } else { String::new() };
        log.intent(&record).await.unwrap();
        let time = now - SignedDuration::from_mins(*minutes);
        sqlx::query("UPDATE audit_entries SET time = $1 WHERE call_id = $2")
            .bind(jiff_sqlx::Timestamp::from(time))
            .bind(record.call_id)
            .execute(&test.owner().await)
            .await
            .unwrap();
        times.push(time);
    }
    times
}

fn wire(time: Timestamp) -> Option<prost_types::Timestamp> {
    crate::rpc::time::timestamp(time)
}

async fn resources(test: &TestDatabase, request: ListAuditEntriesRequest) -> Vec<String> {
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListAuditEntriesRequest {
            page_size: 2,
            page_token: std::mem::take(&mut token),
            ..request.clone()
        };
        let page = list(test, request).await.unwrap();
        found.extend(page.entries.into_iter().map(|entry| entry.resource));
        token = page.next_page_token;
        if token.is_empty() {
            return found;
        }
    }
}

#[tokio::test]
async fn a_time_is_from_its_start_to_before_its_end_also_over_pages() {
    let test = TestDatabase::create().await;
    // The clock was set back between t-4 and t-5: positions do not follow it.
    let times = entries_of(&test, &[50, 40, 30, 20, 10, 45]).await;
    while store::sequence(test.database().operator(), true).await.unwrap() > 0 {}
    let ask = |start: Option<Timestamp>, end: Option<Timestamp>| ListAuditEntriesRequest {
        start_time: start.and_then(wire),
        end_time: end.and_then(wire),
        ..Default::default()
    };
    let all = resources(&test, ask(None, None)).await;
    assert_eq!(all.len(), 6);
    assert_eq!(resources(&test, ask(Some(times[3]), None)).await, ["tenants/t-4", "tenants/t-3"]);
    assert_eq!(
        resources(&test, ask(Some(times[1]), Some(times[3]))).await,
        ["tenants/t-2", "tenants/t-1"],
        "the start belongs to it and the end does not"
    );
    let mut early = resources(&test, ask(None, Some(times[1]))).await;
    early.sort();
    assert_eq!(early, ["tenants/t-0", "tenants/t-5"]);
    let future = Timestamp::now() + SignedDuration::from_hours(1);
    assert_eq!(resources(&test, ask(Some(future), None)).await, Vec::<String>::new());

    let incident = ListAuditEntriesRequest {
        filter: "incident = \"INC-7\"".into(),
        ..ask(Some(times[1]), None)
    };
    assert_eq!(resources(&test, incident).await, ["tenants/t-4", "tenants/t-2"]);
}

#[tokio::test]
async fn a_time_that_is_none_names_its_field() {
    let test = TestDatabase::create().await;
    let now = Timestamp::now();
    let earlier = now - SignedDuration::from_secs(1);
    let instant = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    for (start_time, end_time, field) in [
        (instant(i64::MAX, 0), None, "start_time"),
        (instant(0, -1), None, "start_time"),
        (instant(0, 1_000_000_000), None, "start_time"),
        (instant(-62_135_596_801, 0), None, "start_time"),
        (None, instant(253_402_300_800, 0), "end_time"),
        (wire(now), wire(earlier), "end_time"),
        (wire(now), wire(now), "end_time"),
    ] {
        let request = ListAuditEntriesRequest { start_time, end_time, ..Default::default() };
        let refusal = list(&test, request.clone()).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument, "{request:?}");
        let details = tonic_types::StatusExt::get_error_details(&refusal);
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field, "{request:?}");
    }
    // A page goes on in the time that it began in.
    entries_of(&test, &[3, 2, 1]).await;
    while store::sequence(test.database().operator(), true).await.unwrap() > 0 {}
    let first = ListAuditEntriesRequest { page_size: 1, ..Default::default() };
    let token = list(&test, first).await.unwrap().next_page_token;
    let other = ListAuditEntriesRequest {
        page_token: token,
        start_time: wire(earlier),
        ..Default::default()
    };
    assert_eq!(list(&test, other).await.unwrap_err().code(), Code::InvalidArgument);
}

/// As a kill -9 between the commit of an operation's item and its outcome.
#[tokio::test]
async fn what_the_daemon_does_again_is_not_called_unknown() {
    let test = TestDatabase::create().await;
    let log = log(&test, "r1");
    heartbeat(&test, "r1", 0).await;
    let caller = crate::rpc::caller::testing::caller(
        "ada",
        streamspace_core::access::Role::Admin,
        crate::db::Scope::Region,
    );
    let item = |method: &str| {
        AuditRecord::of_item(Uuid::now_v7(), &caller, method, "tenants/acme", "", "operations/1")
    };
    let (done, undone) = (item("A/Done"), item("A/Undone"));
    for record in [&done, &undone] {
        log.intent(record).await.unwrap();
        log.left(record.call_id);
    }
    let mut tx = test.database().begin(&crate::db::Scope::Region).await.unwrap();
    crate::db::requests::remember(&mut tx, "ada", done.call_id, "Done", b"x", b"reply")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut sweep = Sweep::default();
    assert_eq!(sweep.pass(&log).await.unwrap(), 1);
    assert_eq!(sweep.pass(&log).await.unwrap(), 0, "the other is done again");
    let entries = listed(&test).await;
    let outcomes: Vec<_> =
        entries.iter().filter(|entry| entry.phase() == AuditPhase::Outcome).collect();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(
        (outcomes[0].decision(), &outcomes[0].method[..]),
        (AuditDecision::Succeeded, "A/Done")
    );
    assert_eq!(outcomes[0].rule, "operation; operations/1");

    sqlx::query("UPDATE audit_entries SET time = time - interval '2 hours'")
        .execute(&test.owner().await)
        .await
        .unwrap();
    assert_eq!(Sweep::default().pass(&log).await.unwrap(), 1, "in the end it is given up");
}
