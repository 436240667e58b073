//! Objects of the schema that could open a way past the policies: views, functions,
//! partitions, policies added later, names that hide others.

use super::{NO_RIGHT, World, add_to_schema, policies, run};

const NAMES: &str = "SELECT tenant_id FROM tenants ORDER BY tenant_id";

#[tokio::test]
async fn a_view_of_the_schema_shows_who_asks_its_own() {
    let world = World::create().await;
    add_to_schema(
        &world,
        "CREATE VIEW names WITH (security_invoker = true) AS SELECT * FROM tenants;
         CREATE VIEW names_of_names WITH (security_invoker = true, security_barrier = true) AS SELECT * FROM names",
    )
    .await;
    // A view without a tenant key of its own is granted by hand, here past the check.
    let mut owner = world.session(&world.test.config.owner).await;
    run(&mut owner, "GRANT SELECT ON names, names_of_names TO streamspace_tenant").await.unwrap();
    world.silent(&["SELECT * FROM names", "SELECT * FROM names_of_names"]).await;
    let mut acme = world.as_acme().await;
    assert_eq!(
        run(&mut acme, "SELECT tenant_id FROM names_of_names").await.unwrap(),
        [["acme-corp"]]
    );
}

/// What the check refuses is refused for a reason: this is how it would tell.
#[tokio::test]
async fn what_the_check_refuses_would_tell_of_others() {
    let world = World::create().await;
    let mut owner = world.session(&world.test.config.owner).await;
    for (made, asked) in [
        (
            "CREATE VIEW leak AS SELECT tenant_id FROM tenants; GRANT SELECT ON leak TO streamspace_tenant",
            "SELECT tenant_id FROM leak",
        ),
        (
            "CREATE MATERIALIZED VIEW leak AS SELECT tenant_id FROM tenants;
             GRANT SELECT ON leak TO streamspace_tenant",
            "SELECT tenant_id FROM leak",
        ),
        (
            "CREATE FUNCTION leak() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER
                 AS 'SELECT tenant_id FROM public.tenants';
             GRANT EXECUTE ON FUNCTION leak() TO streamspace_tenant",
            "SELECT * FROM leak()",
        ),
    ] {
        run(&mut owner, "BEGIN").await.unwrap();
        run(&mut owner, made).await.unwrap();
        run(&mut owner, "COMMIT").await.unwrap();
        let told = run(&mut world.as_acme().await, asked).await.unwrap();
        assert!(told.contains(&vec!["beta-inc".to_owned()]), "{made}: {told:?}");
        let found =
            crate::db::catalogue::check(world.test.database().operator()).await.unwrap_err();
        assert!(found.to_string().contains("leak"), "{found}");
        run(
            &mut owner,
            match made.split_whitespace().nth(1) {
                Some("VIEW") => "DROP VIEW leak",
                Some("MATERIALIZED") => "DROP MATERIALIZED VIEW leak",
                _ => "DROP FUNCTION leak()",
            },
        )
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_permissive_policy_added_later_widens_nothing() {
    let world = World::create().await;
    let mut owner = world.session(&world.test.config.owner).await;
    run(
        &mut owner,
        "CREATE POLICY wide ON tenants USING (true) WITH CHECK (true);
         CREATE POLICY wider ON tenants TO streamspace_tenant USING (true) WITH CHECK (true);
         CREATE POLICY widest ON changes FOR SELECT TO PUBLIC USING (true);
         CREATE POLICY wide ON operations FOR INSERT TO streamspace_tenant WITH CHECK (true);
         CREATE POLICY wide ON requests USING (true) WITH CHECK (true)",
    )
    .await
    .unwrap();
    world.silent(&[NAMES, "SELECT * FROM changes", "SELECT * FROM requests"]).await;
    world
        .refused(&[(
            "INSERT INTO operations (operation_id, tenant_uid, kind, target, actor)
                 VALUES (gen_random_uuid(), :beta, 'k', 't', 'a')",
            NO_RIGHT,
        )])
        .await;
}

/// A table by days: the policies of the whole hold for who comes through it, and nobody
/// comes to a part.
#[tokio::test]
async fn a_partition_is_reached_through_its_table_alone() {
    let world = World::create().await;
    add_to_schema(
        &world,
        &format!(
            "CREATE TABLE spans (tenant_uid uuid NOT NULL REFERENCES tenants (tenant_uid),
                                 region_term bigint NOT NULL DEFAULT 1, day date NOT NULL,
                                 PRIMARY KEY (tenant_uid, day)) PARTITION BY RANGE (day);
             {}
             GRANT SELECT, INSERT, UPDATE (day), DELETE ON spans TO streamspace_operator, streamspace_tenant;
             CREATE TABLE spans_may PARTITION OF spans FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
             CREATE TABLE spans_rest PARTITION OF spans DEFAULT;
             ALTER TABLE spans_may ENABLE ROW LEVEL SECURITY; ALTER TABLE spans_may FORCE ROW LEVEL SECURITY;
             ALTER TABLE spans_rest ENABLE ROW LEVEL SECURITY; ALTER TABLE spans_rest FORCE ROW LEVEL SECURITY;
             INSERT INTO spans (tenant_uid, day) SELECT tenant_uid, '2026-05-02' FROM tenants;
             INSERT INTO spans (tenant_uid, day) SELECT tenant_uid, '2026-07-02' FROM tenants",
            policies("spans")
        ),
    )
    .await;
    world
        .silent(&[
            "SELECT * FROM spans",
            "SELECT * FROM spans WHERE day = '2026-05-02'",
            "SELECT tableoid::regclass, * FROM spans WHERE tableoid = 'spans_may'::regclass",
            // A row that goes to another part stays with its tenant.
            "UPDATE spans SET day = day + 60 RETURNING *",
            "DELETE FROM spans RETURNING *",
        ])
        .await;
    world
        .refused(&[
            ("SELECT * FROM spans_may", NO_RIGHT),
            ("SELECT * FROM spans_rest", NO_RIGHT),
            ("SELECT * FROM ONLY spans_may", NO_RIGHT),
            ("INSERT INTO spans_may (tenant_uid, day) VALUES (:acme, '2026-05-09')", NO_RIGHT),
            ("INSERT INTO spans (tenant_uid, day) VALUES (:beta, '2026-05-09')", NO_RIGHT),
            ("INSERT INTO spans (tenant_uid, day) VALUES (:beta, '2026-05-02') ON CONFLICT DO NOTHING", NO_RIGHT),
            ("DELETE FROM spans_may", NO_RIGHT),
            ("TRUNCATE spans_may", NO_RIGHT),
            ("ALTER TABLE spans DETACH PARTITION spans_may", NO_RIGHT),
            ("CREATE TABLE mine PARTITION OF spans FOR VALUES FROM ('2026-06-01') TO ('2026-07-01')", NO_RIGHT),
        ])
        .await;
    // Even the operator goes through the whole.
    let mut operator = world.session(&world.test.config.operator).await;
    assert_eq!(run(&mut operator, "SELECT count(*) FROM spans").await.unwrap(), [["4"]]);
    assert_eq!(run(&mut operator, "SELECT FROM spans_may").await, Err(NO_RIGHT.to_owned()));
}

/// Names are looked up in `public` alone, and nobody can put one before it.
#[tokio::test]
async fn a_search_path_hides_no_table_or_function() {
    let world = World::create().await;
    let mut acme = world.as_acme().await;
    assert_eq!(run(&mut acme, "SHOW search_path").await.unwrap(), [["public"]]);
    for path in
        ["pg_temp, public", "\"$user\", public", "pg_catalog", "public, pg_catalog, pg_temp", "''"]
    {
        let ask = format!("SET LOCAL search_path = {path}; SELECT tenant_id FROM public.tenants");
        assert_eq!(run(&mut acme, &ask).await.unwrap(), [["acme-corp"]], "{path}");
    }
    // The function of the policies has its own path, whatever the caller's is.
    let ask = "SET LOCAL search_path = ''; SELECT public.streamspace_scope()";
    let scope = run(&mut acme, ask).await.unwrap();
    assert_eq!(scope, [[format!("{{{}}}", world.acme.0)]]);
}

#[tokio::test]
async fn every_way_to_read_a_table_is_held() {
    let world = World::create().await;
    world
        .silent(&[
            "TABLE tenants",
            "SELECT * FROM ONLY tenants",
            "SELECT * FROM tenants TABLESAMPLE SYSTEM (100)",
            "SELECT * FROM tenants TABLESAMPLE BERNOULLI (100)",
            "SELECT * FROM tenants FOR UPDATE",
            "SELECT * FROM tenants FOR KEY SHARE",
            "SELECT ctid, xmin, xmax, cmin, cmax, tableoid, * FROM tenants",
            "SELECT * FROM tenants WHERE ctid IN (SELECT format('(0,%s)', i)::tid FROM generate_series(1, 50) AS i)",
            "SELECT * FROM tenants WHERE tenant_uid = :beta::uuid",
            "SELECT * FROM tenants WHERE tenant_id = 'beta-inc'",
            "SELECT * FROM operations LEFT JOIN tenants USING (tenant_uid)",
            "SELECT * FROM tenants FULL JOIN changes USING (tenant_uid)",
            "SELECT to_jsonb(tenants) FROM tenants",
            "SELECT array_agg(tenants) FROM tenants",
            "SELECT string_agg(tenant_id, ',') FROM tenants",
            "SELECT table_to_xml('tenants', true, true, '')",
            "SELECT schema_to_xml('public', true, true, '') WHERE false",
            "SELECT query_to_xml('SELECT * FROM tenants', true, true, '')",
            "SELECT cursor_to_xml('none', 1, true, true, '') WHERE false",
            "SELECT * FROM ts_stat('SELECT to_tsvector(''simple'', tenant_id) FROM tenants')",
            "WITH RECURSIVE every AS (SELECT tenant_id FROM tenants UNION SELECT t.tenant_id FROM tenants AS t, every)
                 SELECT * FROM every",
            "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef",
            "SELECT qual, with_check FROM pg_policies",
            "SELECT * FROM pg_indexes WHERE tablename = 'tenants'",
        ])
        .await;
}
