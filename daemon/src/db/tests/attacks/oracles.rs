//! What a refusal, an error, an estimate or a number could tell.

use sqlx::{Connection, PgConnection};

use super::{NO_RIGHT, World, add_to_schema, policies, run};

/// A key that is taken by another tenant is refused as one that is free.
#[tokio::test]
async fn uniqueness_tells_nothing() {
    let world = World::create().await;
    let free = "00000000-0000-7000-8000-000000000099";
    for taken in [":beta", &format!("'{free}'")] {
        // A row of another tenant: refused before any key is looked up.
        for conflict in [
            "",
            "ON CONFLICT DO NOTHING",
            "ON CONFLICT (tenant_uid, operation_id) DO NOTHING",
            "ON CONFLICT (tenant_uid, operation_id) DO UPDATE SET progress = 'x' RETURNING *",
        ] {
            let insert = format!(
                "INSERT INTO operations (operation_id, tenant_uid, kind, target, actor)
                     VALUES ({taken}, :beta, 'k', 't', 'a') {conflict}"
            );
            world.refused(&[(&insert, NO_RIGHT)]).await;
        }
        // A row of its own under another's key: there is no collision.
        let own = format!(
            "INSERT INTO operations (operation_id, tenant_uid, kind, target, actor)
                 VALUES ({taken}, :acme, 'k', 't', 'a') RETURNING 1"
        );
        world.silent(&[&own]).await;
    }
    // What must be unique in the region cannot be asked for.
    world
        .refused(&[
            ("UPDATE tenants SET tenant_id = 'beta-inc'", NO_RIGHT),
            ("UPDATE tenants SET tenant_id = 'free-name'", NO_RIGHT),
            ("UPDATE tenants SET tenant_uid = :beta", NO_RIGHT),
            ("UPDATE tenants SET namespace = 'tenant-beta-inc'", NO_RIGHT),
            ("INSERT INTO tenants (tenant_uid, tenant_id) VALUES (:beta, 'beta-inc') ON CONFLICT DO NOTHING", NO_RIGHT),
            (
                "INSERT INTO changes (change_id, tenant_uid, kind, type, name, actor, resource)
                     OVERRIDING SYSTEM VALUE VALUES (2, :acme, 'tenant', 'updated', 'n', 'a', '')",
                NO_RIGHT,
            ),
            (
                "INSERT INTO changes (revision, tenant_uid, kind, type, name, actor, resource)
                     VALUES (2, :acme, 'tenant', 'updated', 'n', 'a', '')",
                NO_RIGHT,
            ),
        ])
        .await;
}

/// Replies are found by their actor and a random id, under their scope.
#[tokio::test]
async fn request_ids_give_no_reply_of_another_scope() {
    let world = World::create().await;
    world
        .silent(&[
            "SELECT * FROM requests WHERE request_id = :beta",
            "SELECT * FROM requests WHERE actor = 'beta-inc'",
        ])
        .await;
    world
        .refused(&[
            (
                "INSERT INTO requests (request_id, actor, method, request_sha256, response, scope)
                     VALUES (gen_random_uuid(), 'a', 'm', '', '', ARRAY[:beta]::uuid[])",
                NO_RIGHT,
            ),
            (
                "INSERT INTO requests (request_id, actor, method, request_sha256, response)
                     VALUES (:beta, 'beta-inc', 'm', '', '') ON CONFLICT (actor, request_id)
                     DO UPDATE SET response = ''",
                NO_RIGHT,
            ),
        ])
        .await;
}

/// A foreign key is checked past the policies; it starts with the tenant, so it can only
/// point at a row of the same one.
#[tokio::test]
async fn a_foreign_key_reaches_no_other_tenant() {
    let world = World::create().await;
    add_to_schema(
        &world,
        &format!(
            "CREATE TABLE steps (tenant_uid uuid NOT NULL REFERENCES tenants (tenant_uid),
                                 region_term bigint NOT NULL DEFAULT 1, step_id uuid NOT NULL, operation_id uuid,
                                 PRIMARY KEY (tenant_uid, step_id),
                                 FOREIGN KEY (tenant_uid, operation_id)
                                     REFERENCES operations (tenant_uid, operation_id));
             {}
             GRANT SELECT, INSERT, UPDATE (operation_id) ON steps TO streamspace_operator, streamspace_tenant",
            policies("steps")
        ),
    )
    .await;
    world
        .refused(&[
            ("INSERT INTO steps (tenant_uid, step_id, operation_id) VALUES (:beta, gen_random_uuid(), :beta)", NO_RIGHT),
            // Another's row and a row that is not there are the same.
            ("INSERT INTO steps (tenant_uid, step_id, operation_id) VALUES (:acme, gen_random_uuid(), :beta)", "23503"),
            (
                "INSERT INTO steps (tenant_uid, step_id, operation_id)
                     VALUES (:acme, gen_random_uuid(), gen_random_uuid())",
                "23503",
            ),
            ("INSERT INTO operations (operation_id, tenant_uid, kind, target, actor) VALUES (:beta, :beta, 'k', 't', 'a')", NO_RIGHT),
            (
                "INSERT INTO operations (operation_id, tenant_uid, kind, target, actor)
                     VALUES (gen_random_uuid(), gen_random_uuid(), 'k', 't', 'a')",
                NO_RIGHT,
            ),
        ])
        .await;
    world.silent(&["INSERT INTO steps (tenant_uid, step_id, operation_id) VALUES (:acme, :beta, :acme) RETURNING tenant_uid"]).await;
}

/// A predicate sees the rows of the scope alone, so an error in it tells of no other.
#[tokio::test]
async fn errors_within_a_predicate_tell_nothing() {
    let world = World::create().await;
    world
        .silent(&[
            "SELECT * FROM tenants WHERE 1 / (CASE tenant_id WHEN 'beta-inc' THEN 0 ELSE 1 END) = 1",
            "SELECT * FROM tenants WHERE 1 / (length(tenant_id) - length('beta-inc')) IS NOT NULL",
            "SELECT * FROM tenants WHERE (CASE WHEN tenant_uid <> :acme THEN tenant_id ELSE '1' END)::integer = 1",
            "SELECT * FROM changes WHERE (CASE name WHEN 'tenants/beta-inc' THEN name ELSE '1' END)::integer = 1",
            "SELECT * FROM tenants JOIN operations USING (tenant_uid)
                 WHERE 1 / (CASE target WHEN 'tenants/beta-inc' THEN 0 ELSE 1 END) = 1",
            "UPDATE tenants SET seats = 1 WHERE 1 / (CASE tenant_id WHEN 'beta-inc' THEN 0 ELSE 1 END) = 1 RETURNING *",
            "SELECT 1 / count(*) FROM tenants",
        ])
        .await;
    // An error of the scope's own row names that row. With no scope there is none.
    let mut nobody = world.session(&world.test.config.tenant).await;
    for ask in [
        "SELECT tenant_id::integer FROM tenants",
        "SELECT * FROM tenants WHERE tenant_id::integer = 1",
        "SELECT * FROM tenants WHERE 1 / (seats - seats) = 1",
        "SELECT * FROM changes WHERE encode(resource, 'escape')::integer = 1",
    ] {
        assert_eq!(run(&mut nobody, ask).await, Ok(vec![]), "{ask}");
    }
}

/// A refusal names no value of a row.
#[tokio::test]
async fn a_refusal_does_not_quote_a_row() {
    let world = World::create().await;
    let mut acme = world.as_acme().await;
    let taken = world.fill(
        "INSERT INTO operations (operation_id, tenant_uid, kind, target, actor) VALUES (:acme, :acme, 'k', 't', 'a')",
    );
    let error = sqlx::raw_sql(sqlx::AssertSqlSafe(taken)).execute(&mut acme).await.unwrap_err();
    let error = error.into_database_error().unwrap();
    let detail = error.downcast::<sqlx::postgres::PgDatabaseError>().detail().map(str::to_owned);
    assert_eq!(detail, None);
}

/// The statistics of columns hold values of all tenants.
#[tokio::test]
async fn statistics_show_no_value() {
    let world = World::create().await;
    let mut superuser = PgConnection::connect(&world.test.superuser_url).await.unwrap();
    // Common values, so that they stand in the statistics.
    run(
        &mut superuser,
        "INSERT INTO operations (operation_id, tenant_uid, kind, target, actor)
             SELECT gen_random_uuid(), tenant_uid, 'create', target, actor FROM operations, generate_series(1, 50);
         ANALYZE",
    )
    .await
    .unwrap();
    let told = run(
        &mut superuser,
        "SELECT count(*) FROM pg_stats WHERE tablename = 'operations' AND most_common_vals::text ~ 'beta'",
    )
    .await
    .unwrap();
    assert_ne!(told, [["0"]], "there is nothing to tell");
    world
        .silent(&[
            "SELECT * FROM pg_stats WHERE schemaname = 'public'",
            "SELECT * FROM pg_stats_ext",
            "SELECT * FROM pg_stats_ext_exprs",
            "EXPLAIN (VERBOSE, ANALYZE) SELECT * FROM operations",
        ])
        .await;
    world
        .refused(&[
            ("SELECT * FROM pg_statistic", NO_RIGHT),
            ("SELECT stxdndistinct FROM pg_statistic_ext_data", NO_RIGHT),
            ("CREATE STATISTICS mine ON tenant_id, namespace FROM tenants", NO_RIGHT),
            ("SELECT pg_stat_reset()", NO_RIGHT),
        ])
        .await;
    let shown = run(
        &mut world.as_acme().await,
        "SELECT count(*) FROM pg_stats WHERE tablename IN ('tenants', 'operations', 'changes', 'requests')",
    )
    .await
    .unwrap();
    assert_eq!(shown, [["0"]]);
}

/// A sequence would count what all tenants make.
#[tokio::test]
async fn sequences_are_closed() {
    let world = World::create().await;
    world
        .refused(&[
            ("SELECT nextval('changes_change_id_seq')", NO_RIGHT),
            ("SELECT currval('changes_change_id_seq')", NO_RIGHT),
            ("SELECT setval('changes_change_id_seq', 1)", NO_RIGHT),
            ("SELECT last_value FROM changes_change_id_seq", NO_RIGHT),
            ("SELECT * FROM changes_change_id_seq", NO_RIGHT),
            ("ALTER SEQUENCE changes_change_id_seq RESTART", NO_RIGHT),
        ])
        .await;
    world.silent(&["SELECT last_value FROM pg_sequences WHERE last_value IS NOT NULL"]).await;
}

/// The catalogue names the schema's objects and no tenant.
#[tokio::test]
async fn the_catalogue_tells_of_no_tenant() {
    let world = World::create().await;
    world
        .silent(&[
            "SELECT * FROM pg_class",
            "SELECT * FROM pg_roles",
            "SELECT * FROM pg_shdescription",
            "SELECT * FROM pg_description WHERE classoid = 'pg_class'::regclass",
            "SELECT * FROM pg_prepared_statements",
            "SELECT * FROM pg_prepared_xacts",
            "SELECT * FROM pg_cursors",
            "SELECT * FROM pg_stat_user_tables",
            "SELECT * FROM pg_stat_database",
            "SELECT * FROM pg_settings",
            "SELECT * FROM information_schema.tables",
            "SELECT * FROM information_schema.column_privileges WHERE table_name = 'tenants'",
        ])
        .await;
    world
        .refused(&[
            ("SELECT * FROM pg_authid", NO_RIGHT),
            ("SELECT * FROM pg_hba_file_rules", NO_RIGHT),
            ("SELECT * FROM pg_file_settings", NO_RIGHT),
            ("SELECT * FROM pg_subscription", NO_RIGHT),
            ("SELECT * FROM pg_get_backend_memory_contexts()", NO_RIGHT),
            ("SELECT current_setting('data_directory')", NO_RIGHT),
        ])
        .await;
}
