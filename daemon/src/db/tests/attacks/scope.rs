//! The setting that holds the scope: absent, empty, damaged, set again.

use sqlx::{ConnectOptions, Connection, PgConnection};

use super::{NO_RIGHT, World, nobody, run};
use crate::db::scope::opening;

const NAMES: &str = "SELECT tenant_id FROM tenants ORDER BY tenant_id";

#[tokio::test]
async fn a_forgotten_or_empty_scope_sees_and_changes_nothing() {
    let world = World::create().await;
    for open in [
        "BEGIN",
        "BEGIN; SET LOCAL streamspace.tenant_uids = ''",
        "BEGIN; SET LOCAL streamspace.tenant_uids = '{}'",
        "BEGIN; SET LOCAL streamspace.tenant_uids TO DEFAULT",
        "BEGIN; RESET streamspace.tenant_uids",
        "BEGIN; SET LOCAL streamspace.tenant_uids = '{NULL}'",
        "BEGIN; SET LOCAL streamspace.tenant_uids = '{NULL,NULL}'",
        // A setting beside the one that counts.
        "BEGIN; SET LOCAL streamspace.tenant_uid = '{00000000-0000-0000-0000-000000000000}'",
        "BEGIN; SET LOCAL other.tenant_uids = '{00000000-0000-0000-0000-000000000000}'",
    ] {
        let mut session = world.session(&world.test.config.tenant).await;
        run(&mut session, open).await.unwrap();
        for table in [
            "tenants",
            "tenant_subscription",
            "operations",
            "changes",
            "requests",
            "quota_overrides",
            "approvals",
        ] {
            let count = run(&mut session, &format!("SELECT count(*) FROM {table}")).await.unwrap();
            assert_eq!(count, [["0"]], "{open}: {table}");
        }
        let changed = run(&mut session, "UPDATE tenants SET display_name = '' RETURNING 1").await;
        assert_eq!(changed, Ok(vec![]), "{open}");
        let inserted = run(
            &mut session,
            &world.fill(
                "INSERT INTO operations (operation_id, tenant_uid, kind, target, actor)
                     VALUES (gen_random_uuid(), :acme, 'k', 't', 'a')",
            ),
        )
        .await;
        assert_eq!(inserted, Err(NO_RIGHT.to_owned()), "{open}");
    }
    // Not even the daemon's options: a session that came by another way.
    let mut bare = PgConnection::connect(world.test.config.tenant.expose()).await.unwrap();
    assert_eq!(run(&mut bare, NAMES).await, Ok(vec![]));
}

#[tokio::test]
async fn a_damaged_scope_is_refused() {
    let world = World::create().await;
    for garbage in
        ["acme-corp", "{", "{acme-corp}", "*", "{*}", "true", "{1}", "' OR true --", "\u{fffd}"]
    {
        let mut session = world.session(&world.test.config.tenant).await;
        let open =
            format!("BEGIN; SET LOCAL streamspace.tenant_uids = '{}'", garbage.replace('\'', "''"));
        run(&mut session, &open).await.unwrap();
        // invalid_text_representation
        assert_eq!(run(&mut session, NAMES).await, Err("22P02".to_owned()), "{garbage}");
    }
}

#[tokio::test]
async fn a_scope_of_several_sees_exactly_these() {
    let world = World::create().await;
    let names = |rows: &[&str]| Ok(rows.iter().map(|name| vec![(*name).to_owned()]).collect());
    let (acme, beta) = (world.acme.0, world.beta.0);
    for (scope, seen) in [
        (format!("{{{acme}}}"), names(&["acme-corp"])),
        (format!("{{{acme},{beta}}}"), names(&["acme-corp", "beta-inc"])),
        (format!("{{{acme},{acme}}}"), names(&["acme-corp"])),
        // Elements that are null match nothing; nesting is only punctuation.
        (format!("{{NULL,{beta},NULL}}"), names(&["beta-inc"])),
        (format!("{{{{{acme}}},{{{beta}}}}}"), names(&["acme-corp", "beta-inc"])),
        (format!("{{{{{acme}}}}}"), names(&["acme-corp"])),
        (format!("[5:5]={{{acme}}}"), names(&["acme-corp"])),
    ] {
        let mut session = world.session(&world.test.config.tenant).await;
        run(&mut session, &format!("BEGIN; SET LOCAL streamspace.tenant_uids = '{scope}'"))
            .await
            .unwrap();
        assert_eq!(run(&mut session, NAMES).await, seen, "{scope}");
    }
    let mut session = world.session(&world.test.config.tenant).await;
    run(&mut session, &opening(&[nobody()])).await.unwrap();
    assert_eq!(run(&mut session, NAMES).await, Ok(vec![]));
}

/// The one way to widen a scope within a query would be the function that sets it.
#[tokio::test]
async fn no_expression_sets_the_scope() {
    let world = World::create().await;
    let set = "set_config('streamspace.tenant_uids', '{' || :beta || '}', true)";
    let attacks: Vec<String> = [
        "SELECT SET",
        "SELECT set_config('streamspace.tenant_uids', '{' || :beta || '}', false)",
        "SELECT SET FROM tenants",
        "SELECT * FROM tenants WHERE SET <> ''",
        "SELECT * FROM tenants WHERE (SELECT SET) <> ''",
        "WITH widened AS MATERIALIZED (SELECT SET) SELECT * FROM widened, tenants",
        "SELECT * FROM (SELECT SET OFFSET 0) AS widened, LATERAL (SELECT * FROM tenants) AS seen",
        "SELECT * FROM tenants ORDER BY SET",
        "SELECT * FROM tenants LIMIT length(SET)",
        "SELECT count(*) FILTER (WHERE SET <> '') FROM tenants",
        "UPDATE tenants SET display_name = SET",
        "UPDATE operations SET progress = 'x' RETURNING SET",
        "INSERT INTO operations (operation_id, tenant_uid, kind, target, actor)
             VALUES (:beta, :acme, 'k', 't', SET)",
        "VALUES (SET)",
        "EXPLAIN ANALYZE SELECT SET",
        // By way of functions that run a text, or look a function up.
        "SELECT query_to_xml('SELECT set_config(''streamspace.tenant_uids'', ''{}'', true)', true, true, '')",
        "SELECT * FROM ts_stat('SELECT to_tsvector(set_config(''streamspace.tenant_uids'', ''{}'', true))')",
        // The view of settings sets one when it is updated.
        "UPDATE pg_settings SET setting = 'x' WHERE name = 'application_name'",
        "DO $$ BEGIN PERFORM set_config('streamspace.tenant_uids', '{}', true); END $$",
        "DO $$ BEGIN SET LOCAL streamspace.tenant_uids = '{}'; END $$",
    ]
    .iter()
    .map(|attack| attack.replace("SELECT SET", &format!("SELECT {set}"))
        .replace("WHERE SET", &format!("WHERE {set}"))
        .replace("(SET", &format!("({set}"))
        .replace("BY SET", &format!("BY {set}"))
        .replace("= SET", &format!("= {set}"))
        .replace("RETURNING SET", &format!("RETURNING {set}"))
        .replace("'t', SET", &format!("'t', {set}")))
    .collect();
    let attacks: Vec<(&str, &str)> =
        attacks.iter().map(|attack| (attack.as_str(), NO_RIGHT)).collect();
    world.refused(&attacks).await;
    // A statement that sets is not for a function that only reads.
    let by_text = "SELECT query_to_xml('SET streamspace.tenant_uids = ''{}''', true, true, '')";
    world.refused(&[(by_text, "0A000")]).await;
}

/// Why nobody may call it: with it, a query sees what it sets.
#[tokio::test]
async fn the_function_that_sets_would_widen_the_scope() {
    let world = World::create().await;
    let mut superuser = PgConnection::connect(&world.test.superuser_url).await.unwrap();
    run(&mut superuser, "GRANT EXECUTE ON FUNCTION set_config TO PUBLIC").await.unwrap();
    let mut acme = world.as_acme().await;
    let widened = "WITH widened AS MATERIALIZED (
                       SELECT set_config('streamspace.tenant_uids', '{' || :beta || '}', true) AS scope)
                   SELECT tenant_id FROM tenants WHERE (SELECT scope FROM widened) <> ''";
    assert_eq!(run(&mut acme, &world.fill(widened)).await.unwrap(), [["beta-inc"]]);
}

/// A query of the daemon goes by the extended protocol, which takes one statement.
#[tokio::test]
async fn a_second_statement_does_not_fit_into_a_query() {
    let world = World::create().await;
    let mut acme = world.as_acme().await;
    let appended = "SELECT 1; SET LOCAL streamspace.tenant_uids = '{}'";
    let result = sqlx::query(appended).bind(1).execute(&mut acme).await;
    assert_eq!(result.map_err(super::code).map(|_| ()), Err("42601".to_owned()));
}

#[tokio::test]
async fn a_savepoint_gives_the_scope_back() {
    let world = World::create().await;
    let mut acme = world.as_acme().await;
    for back in
        ["ROLLBACK TO SAVEPOINT before", "ROLLBACK TO SAVEPOINT before; RELEASE SAVEPOINT before"]
    {
        run(&mut acme, "SAVEPOINT before; SET LOCAL streamspace.tenant_uids = '{}'").await.unwrap();
        assert_eq!(run(&mut acme, NAMES).await, Ok(vec![]));
        run(&mut acme, back).await.unwrap();
        assert_eq!(run(&mut acme, NAMES).await, Ok(vec![vec!["acme-corp".to_owned()]]), "{back}");
    }
    // It does not outlive the transaction, however that ends.
    for end in ["ROLLBACK", "COMMIT"] {
        run(&mut acme, end).await.unwrap();
        assert_eq!(run(&mut acme, NAMES).await, Ok(vec![]), "{end}");
        run(&mut acme, &opening(&[world.acme])).await.unwrap();
    }
}

/// A login may keep settings for itself. What the daemon's sessions start with goes before.
#[tokio::test]
async fn a_setting_kept_for_the_login_does_not_count() {
    // A server of its own: a setting of a login would be one of the other tests' too.
    let test = crate::db::testing::TestDatabase::with_own_server().await;
    let beta = test.insert_tenant("beta-inc").await;
    let mut attacker = PgConnection::connect(test.config.tenant.expose()).await.unwrap();
    let scope =
        format!("ALTER ROLE streamspace_tenant SET streamspace.tenant_uids = '{{{}}}'", beta.0);
    assert_eq!(run(&mut attacker, &scope).await, Err(NO_RIGHT.to_owned()));
    let others = "ALTER ROLE streamspace_tenant SET row_security = off;
                  ALTER ROLE streamspace_tenant SET search_path = pg_temp, public";
    run(&mut attacker, others).await.unwrap();
    let mut superuser = PgConnection::connect(&test.superuser_url).await.unwrap();
    run(&mut superuser, &scope).await.unwrap();
    // Without the daemon's options it would count.
    let mut bare = PgConnection::connect(test.config.tenant.expose()).await.unwrap();
    let ask = format!("SET row_security = on; SET search_path = public; {NAMES}");
    assert_eq!(run(&mut bare, &ask).await.unwrap(), [["beta-inc"]]);

    let mut session = test.config.tenant.options("attack").unwrap().connect().await.unwrap();
    assert_eq!(run(&mut session, NAMES).await, Ok(vec![]));
    assert_eq!(run(&mut session, "SHOW search_path").await, Ok(vec![vec!["public".to_owned()]]));
    run(&mut session, "RESET ALL").await.unwrap();
    assert_eq!(run(&mut session, NAMES).await, Ok(vec![]));
    // And the check tells of it.
    let found = crate::db::catalogue::check(test.database().operator()).await.unwrap_err();
    for setting in ["streamspace.tenant_uids", "row_security", "search_path"] {
        let remedy = format!("ALTER ROLE streamspace_tenant RESET {setting}");
        assert!(found.to_string().contains(&remedy), "{found}");
    }
}
