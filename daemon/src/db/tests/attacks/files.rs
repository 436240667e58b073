//! Ways around tables: COPY, files and programs of the server, large objects, extensions,
//! other servers.

use sqlx::postgres::PgConnection;

use super::{NO_RIGHT, World, code};

/// The bytes that a COPY gives, or the SQLSTATE.
async fn copy_out(connection: &mut PgConnection, statement: &str) -> Result<String, String> {
    use futures::TryStreamExt;
    let mut given = Vec::new();
    let mut stream = connection.copy_out_raw(statement).await.map_err(code)?;
    while let Some(part) = stream.try_next().await.map_err(code)? {
        given.extend_from_slice(&part);
    }
    Ok(String::from_utf8(given).unwrap())
}

#[tokio::test]
async fn copy_gives_the_scope_and_takes_nothing() {
    let world = World::create().await;
    for statement in [
        "COPY tenants TO STDOUT",
        "COPY tenants (tenant_id, namespace) TO STDOUT WITH (FORMAT csv)",
        "COPY (SELECT * FROM tenants) TO STDOUT",
        "COPY (UPDATE tenants SET seats = 2 RETURNING *) TO STDOUT",
    ] {
        let given = copy_out(&mut world.as_acme().await, statement).await.unwrap();
        assert!(given.contains("acme-corp"), "{statement}: {given}");
        assert!(!given.contains("beta"), "{statement}: {given}");
    }
    for (statement, refusal) in [
        ("COPY certificates TO STDOUT", NO_RIGHT),
        ("COPY audit_entries TO STDOUT", NO_RIGHT),
        ("COPY (SELECT * FROM enrolment_tokens) TO STDOUT", NO_RIGHT),
    ] {
        let given = copy_out(&mut world.as_acme().await, statement).await;
        assert_eq!(given, Err(refusal.to_owned()), "{statement}");
    }
    for (statement, refusal) in [
        // Not under row-level security at all: feature_not_supported.
        ("COPY operations (operation_id, tenant_uid, kind, target, actor) FROM STDIN", "0A000"),
        ("COPY tenants FROM STDIN", NO_RIGHT),
        ("COPY plans FROM STDIN", NO_RIGHT),
    ] {
        let mut acme = world.as_acme().await;
        let refused = acme.copy_in_raw(statement).await.map(|_copy| ()).map_err(code);
        assert_eq!(refused, Err(refusal.to_owned()), "{statement}");
    }
}

#[tokio::test]
async fn files_and_programs_of_the_server_are_closed() {
    let world = World::create().await;
    world
        .refused(&[
            ("COPY (SELECT 1) TO PROGRAM 'cat'", NO_RIGHT),
            ("COPY tenants FROM PROGRAM 'echo'", NO_RIGHT),
            ("COPY (SELECT 1) TO '/tmp/aside'", NO_RIGHT),
            ("COPY operations FROM '/etc/passwd'", NO_RIGHT),
            ("SELECT pg_read_file('/etc/passwd')", NO_RIGHT),
            ("SELECT pg_read_binary_file('PG_VERSION')", NO_RIGHT),
            ("SELECT pg_stat_file('PG_VERSION')", NO_RIGHT),
            ("SELECT pg_ls_dir('.')", NO_RIGHT),
            ("SELECT pg_ls_waldir()", NO_RIGHT),
            ("SELECT pg_current_logfile()", NO_RIGHT),
            ("SELECT lo_import('/etc/passwd')", NO_RIGHT),
            ("SELECT lo_export(1, '/tmp/aside')", NO_RIGHT),
            ("SELECT pg_reload_conf()", NO_RIGHT),
            ("SELECT pg_switch_wal()", NO_RIGHT),
            ("SELECT pg_promote()", NO_RIGHT),
            ("SELECT pg_create_logical_replication_slot('aside', 'test_decoding')", NO_RIGHT),
            ("SELECT pg_create_physical_replication_slot('aside')", NO_RIGHT),
        ])
        .await;
}

/// A large object belongs to a login, and so to all tenants: nobody makes one.
#[tokio::test]
async fn large_objects_are_closed() {
    let world = World::create().await;
    world
        .refused(&[
            ("SELECT lo_create(0)", NO_RIGHT),
            ("SELECT lo_creat(-1)", NO_RIGHT),
            ("SELECT lo_from_bytea(0, 'secret')", NO_RIGHT),
            ("SELECT * FROM pg_largeobject", NO_RIGHT),
            // undefined_object: there is none.
            ("SELECT lo_get(1)", "42704"),
            ("SELECT lo_put(1, 0, 'x')", "42704"),
        ])
        .await;
}

#[tokio::test]
async fn nothing_reaches_another_server() {
    let world = World::create().await;
    world
        .refused(&[
            ("CREATE EXTENSION dblink", NO_RIGHT),
            ("CREATE EXTENSION postgres_fdw", NO_RIGHT),
            ("CREATE EXTENSION file_fdw", NO_RIGHT),
            // One that a mere owner of the database may make.
            ("CREATE EXTENSION pgcrypto", NO_RIGHT),
            // undefined_function, undefined_object.
            ("SELECT dblink('dbname=postgres', 'SELECT 1')", "42883"),
            ("CREATE SERVER aside FOREIGN DATA WRAPPER postgres_fdw", "42704"),
            ("CREATE FOREIGN DATA WRAPPER aside", NO_RIGHT),
            ("SELECT * FROM pg_stat_statements", "42P01"),
        ])
        .await;
    let mut acme = world.as_acme().await;
    let extensions = super::run(&mut acme, "SELECT extname FROM pg_extension").await.unwrap();
    assert_eq!(extensions, [["plpgsql"]]);
}
