//! What a session could hold beyond its transaction, and what sessions could do to each
//! other: settings, cursors, prepared statements, locks, notifications, signals.

use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::{Connection, PgConnection};

use super::{NO_RIGHT, World, run};
use crate::db::scope::opening;
use crate::db::{Database, Scope, changes, requests};

const NAMES: &str = "SELECT tenant_id FROM tenants ORDER BY tenant_id";

/// Pools of one connection each, so that calls follow each other on it.
async fn narrow(world: &mut World) -> Database {
    world.test.config.max_connections = 1;
    world.test.another().await
}

/// Whatever a call leaves on its connection is gone when the next one gets it.
#[tokio::test]
async fn a_connection_that_is_given_back_holds_nothing() {
    let mut world = World::create().await;
    let database = narrow(&mut world).await;
    let of_acme = Scope::Tenants(vec![world.acme]);
    let leave_behind = world.fill(
        "SET streamspace.tenant_uids = '{UID}';
         SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;
         SET search_path = pg_catalog;
         SET statement_timeout = 0;
         SET row_security = off;
         SET other.note = 'left';
         LISTEN streamspace_changes;
         SET LOCAL row_security = on;
         DECLARE held CURSOR WITH HOLD FOR SELECT tenant_id FROM public.tenants",
    );
    let leave_behind = leave_behind.replace("UID", &world.beta.0.to_string());

    for end in ["commit", "rollback", "drop", "commit in the text"] {
        let mut call = database.begin(&of_acme).await.unwrap();
        let session = run(&mut call, "SELECT pg_backend_pid()").await.unwrap();
        // The settings first, or the cursor would be opened under them.
        run(&mut call, &leave_behind).await.unwrap();
        match end {
            "commit" => call.commit().await.unwrap(),
            "rollback" => call.rollback().await.unwrap(),
            "drop" => drop(call),
            _ => {
                run(&mut call, "COMMIT").await.unwrap();
                drop(call);
            }
        }
        let mut next = database.begin(&Scope::Tenants(vec![])).await.unwrap();
        assert_eq!(run(&mut next, "SELECT pg_backend_pid()").await.unwrap(), session, "{end}");
        assert_eq!(run(&mut next, NAMES).await, Ok(vec![]), "{end}");
        for (ask, expected) in [
            ("SHOW search_path", "public"),
            ("SHOW statement_timeout", "15s"),
            ("SHOW row_security", "on"),
            ("SHOW default_transaction_read_only", "off"),
            ("SELECT coalesce(current_setting('other.note', true), '')", ""),
            ("SELECT count(*) FROM pg_cursors", "0"),
            ("SELECT count(*) FROM pg_listening_channels()", "0"),
        ] {
            assert_eq!(run(&mut next, ask).await.unwrap(), [[expected]], "{end}: {ask}");
        }
        // Nor does the session itself keep a scope under the transaction's.
        run(&mut next, "COMMIT").await.unwrap();
        assert_eq!(run(&mut next, NAMES).await, Ok(vec![]), "{end}");
        let fetched = run(&mut next, "FETCH ALL FROM held").await;
        // invalid_cursor_name
        assert_eq!(fetched, Err("34000".to_owned()), "{end}");
        drop(next);
    }
}

/// A cursor sees what its transaction saw; it ends with it.
#[tokio::test]
async fn a_cursor_keeps_the_scope_that_it_was_opened_under() {
    let world = World::create().await;
    let mut session = world.as_acme().await;
    run(&mut session, "DECLARE names CURSOR FOR SELECT tenant_id FROM tenants").await.unwrap();
    let fetched = run(&mut session, "FETCH ALL FROM names").await.unwrap();
    assert_eq!(fetched, [["acme-corp"]]);
    run(&mut session, &format!("COMMIT; {}", opening(&[world.beta]))).await.unwrap();
    assert_eq!(run(&mut session, "FETCH ALL FROM names").await, Err("34000".to_owned()));
}

/// A plan is made once and used under every scope: it asks for the scope each time.
#[tokio::test]
async fn a_prepared_statement_follows_the_scope() {
    let mut world = World::create().await;
    let database = narrow(&mut world).await;
    let (acme, beta) = (world.acme, world.beta);
    let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    // More often than the five runs after which PostgreSQL may keep one plan for all.
    for round in 0..4 {
        for (scope, seen) in [
            (vec![acme], of(&["acme-corp"])),
            (vec![beta], of(&["beta-inc"])),
            (vec![], of(&[])),
            (vec![beta, acme], of(&["acme-corp", "beta-inc"])),
        ] {
            let mut call = database.begin(&Scope::Tenants(scope)).await.unwrap();
            // Prepared by name and kept by the connection.
            let names: Vec<String> =
                sqlx::query_scalar("SELECT tenant_id FROM tenants WHERE seats >= $1 ORDER BY 1")
                    .bind(0)
                    .fetch_all(&mut *call)
                    .await
                    .unwrap();
            assert_eq!(names, seen, "round {round}");
            call.commit().await.unwrap();
        }
    }
    // The same by hand, and with the plan for all forced.
    let mut session = world.as_acme().await;
    run(
        &mut session,
        "SET plan_cache_mode = force_generic_plan; PREPARE names AS SELECT tenant_id FROM tenants",
    )
    .await
    .unwrap();
    assert_eq!(run(&mut session, "EXECUTE names").await.unwrap(), [["acme-corp"]]);
    for (scope, seen) in [(vec![beta], of(&["beta-inc"])), (vec![], of(&[]))] {
        run(&mut session, &format!("COMMIT; {}", opening(&scope))).await.unwrap();
        assert_eq!(run(&mut session, "EXECUTE names").await.unwrap().concat(), seen);
    }
}

/// Notifications wake and say nothing.
#[tokio::test]
async fn a_notification_carries_nothing() {
    let world = World::create().await;
    let mut listener = PgListener::connect(world.test.config.tenant.expose()).await.unwrap();
    listener.listen_all(["streamspace_changes", "streamspace", "tenants"]).await.unwrap();
    // A change of another tenant, by its own call.
    let mut call = world.test.database().begin(&Scope::Tenants(vec![world.beta])).await.unwrap();
    changes::record(&mut call, &crate::db::tests::change(world.beta, b"beta-inc")).await.unwrap();
    call.commit().await.unwrap();
    let heard =
        tokio::time::timeout(Duration::from_mins(1), listener.recv()).await.unwrap().unwrap();
    assert_eq!((heard.channel(), heard.payload()), ("streamspace_changes", ""));
}

/// A notification of a tenant's own making wakes a replica, which finds nothing new.
#[tokio::test]
async fn a_forged_notification_changes_nothing() {
    let world = World::create().await;
    let log = changes::ChangeLog::new(world.test.another().await);
    let stop = tokio_util::sync::CancellationToken::new();
    let mut latest = log.latest();
    let running = tokio::spawn(log.run(stop.clone()));
    latest.wait_for(|revision| *revision == 2).await.unwrap();
    let mut acme = world.session(&world.test.config.tenant).await;
    let forged = world.fill("SELECT pg_notify('streamspace_changes', '999' || :beta)");
    run(&mut acme, &forged).await.unwrap();
    run(&mut acme, "NOTIFY streamspace_changes, '{\"revision\": 999}'").await.unwrap();
    // The next true change has the next revision.
    let mut call = world.test.database().begin(&Scope::Tenants(vec![world.acme])).await.unwrap();
    changes::record(&mut call, &crate::db::tests::change(world.acme, b"")).await.unwrap();
    call.commit().await.unwrap();
    let seen =
        tokio::time::timeout(Duration::from_mins(1), latest.wait_for(|revision| *revision > 2));
    assert_eq!(*seen.await.unwrap().unwrap(), 3);
    stop.cancel();
    running.await.unwrap();
}

/// The leader's lock, the sequencers' and the setup's are out of a tenant's reach.
#[tokio::test]
async fn a_tenant_takes_no_lock_of_the_daemon() {
    let world = World::create().await;
    let leaders = 0x7374_7265_616d_7370_i64;
    for lock in [
        "pg_advisory_lock",
        "pg_advisory_lock_shared",
        "pg_try_advisory_lock",
        "pg_try_advisory_lock_shared",
        "pg_advisory_xact_lock",
        "pg_advisory_xact_lock_shared",
        "pg_try_advisory_xact_lock",
        "pg_try_advisory_xact_lock_shared",
    ] {
        world.refused(&[(&format!("SELECT {lock}({leaders})"), NO_RIGHT)]).await;
        if lock != "pg_advisory_xact_lock" {
            world.refused(&[(&format!("SELECT {lock}(1, 1)"), NO_RIGHT)]).await;
        }
    }
    // The one that remains is another space of keys: the same 64 bits in two halves.
    let mut acme = world.as_acme().await;
    let halves =
        format!("SELECT pg_advisory_xact_lock({}, {})", leaders >> 32, leaders & 0xffff_ffff);
    run(&mut acme, &halves).await.unwrap();
    let mut operator = world.session(&world.test.config.operator).await;
    let taken =
        run(&mut operator, &format!("SELECT pg_try_advisory_lock({leaders})")).await.unwrap();
    assert_eq!(taken, [["t"]]);
    // Retries of one request still wait for each other on it.
    let mut call = world.test.database().begin(&Scope::Tenants(vec![world.acme])).await.unwrap();
    let found =
        requests::lookup(&mut call, "acme-corp", world.acme.0, "method", b"").await.unwrap();
    assert_eq!(found.as_deref(), Some(b"acme-corp".as_slice()));
}

/// Rows of the leader and of the sequencer are locked by nobody who may not write them.
#[tokio::test]
async fn a_tenant_locks_no_row_or_table_of_the_daemon() {
    let world = World::create().await;
    world
        .refused(&[
            ("SELECT FROM leader FOR UPDATE", NO_RIGHT),
            ("SELECT FROM leader FOR SHARE", NO_RIGHT),
            ("SELECT FROM change_sequence FOR UPDATE", NO_RIGHT),
            ("SELECT FROM change_sequence FOR KEY SHARE", NO_RIGHT),
            ("SELECT FROM region_controls FOR SHARE", NO_RIGHT),
            ("SELECT FROM plans FOR UPDATE", NO_RIGHT),
            ("LOCK TABLE leader", NO_RIGHT),
            ("LOCK TABLE change_sequence", NO_RIGHT),
            ("LOCK TABLE changes IN SHARE MODE", NO_RIGHT),
            ("LOCK TABLE changes IN ACCESS EXCLUSIVE MODE", NO_RIGHT),
            ("LOCK TABLE tenants IN EXCLUSIVE MODE", NO_RIGHT),
        ])
        .await;
    // It locks the rows that it sees.
    let mut acme = world.as_acme().await;
    run(&mut acme, "SELECT FROM tenants FOR UPDATE").await.unwrap();
    let mut beta = world.session(&world.test.config.tenant).await;
    run(&mut beta, &opening(&[world.beta])).await.unwrap();
    let locked = run(&mut beta, "SELECT tenant_id FROM tenants FOR UPDATE NOWAIT").await.unwrap();
    assert_eq!(locked, [["beta-inc"]]);
}

/// All calls of tenants run on one login; they neither see nor end each other.
#[tokio::test]
async fn sessions_neither_watch_nor_end_each_other() {
    let world = World::create().await;
    let mut beta = world.session(&world.test.config.tenant).await;
    run(&mut beta, &opening(&[world.beta])).await.unwrap();
    let pid = run(&mut beta, "SELECT pg_backend_pid()").await.unwrap().concat().concat();
    let mut superuser = PgConnection::connect(&world.test.superuser_url).await.unwrap();
    let watched =
        run(&mut superuser, &format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"))
            .await;
    assert_eq!(watched.unwrap(), [["1"]], "there is nothing to watch");
    for attack in [
        format!("SELECT query FROM pg_stat_activity WHERE pid = {pid}"),
        format!("SELECT query FROM pg_stat_get_activity({pid})"),
        "SELECT pg_stat_get_backend_activity(backend) FROM pg_stat_get_backend_idset() AS backend"
            .to_owned(),
        "SELECT * FROM pg_locks".to_owned(),
        format!("SELECT pg_terminate_backend({pid})"),
        format!("SELECT pg_terminate_backend({pid}, 10)"),
        format!("SELECT pg_cancel_backend({pid})"),
        format!("SELECT pg_log_backend_memory_contexts({pid})"),
    ] {
        world.refused(&[(&attack, NO_RIGHT)]).await;
    }
    assert_eq!(run(&mut beta, NAMES).await.unwrap(), [["beta-inc"]]);
}

/// What takes too long is ended by the server.
#[tokio::test]
async fn a_session_starts_with_time_limits() {
    let world = World::create().await;
    for login in [&world.test.config.tenant, &world.test.config.operator, &world.test.config.audit]
    {
        let mut session = world.session(login).await;
        for (limit, value) in [
            ("statement_timeout", "15s"),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "30s"),
        ] {
            assert_eq!(run(&mut session, &format!("SHOW {limit}")).await.unwrap(), [[value]]);
        }
    }
    let mut acme = world.as_acme().await;
    run(&mut acme, "SET LOCAL statement_timeout = 20").await.unwrap();
    // query_canceled
    assert_eq!(run(&mut acme, "SELECT pg_sleep(60)").await, Err("57014".to_owned()));
}

/// A snapshot of another transaction shows its moment, not its scope.
#[tokio::test]
async fn a_foreign_snapshot_brings_no_scope() {
    let world = World::create().await;
    let mut operator = world.session(&world.test.config.operator).await;
    run(&mut operator, "BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    let snapshot =
        run(&mut operator, "SELECT pg_export_snapshot()").await.unwrap().concat().concat();
    let mut acme = world.session(&world.test.config.tenant).await;
    let begin = opening(&[world.acme]).replace("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ");
    run(&mut acme, &format!("{begin}; SET TRANSACTION SNAPSHOT '{snapshot}'")).await.unwrap();
    assert_eq!(run(&mut acme, NAMES).await.unwrap(), [["acme-corp"]]);
}
