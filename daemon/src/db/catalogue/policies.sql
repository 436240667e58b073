-- The four policies stand on every table with a tenant key. A partition is reached
-- through its parent, whose policies hold; with none of its own it shows nothing.
WITH keyed AS (
    SELECT class.oid, class.oid::regclass::text AS name
    FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
    WHERE class.relkind IN ('r', 'p') AND namespace.nspname !~ '^(pg_|information_schema$)'
      AND attribute.attname = 'tenant_uid' AND NOT attribute.attisdropped
      AND NOT class.relispartition
      AND ($1::text[] IS NOT NULL AND $2::text[] IS NOT NULL)
),
scope (expression, text) AS (
    VALUES ('(tenant_uid = ANY (( SELECT streamspace_scope() AS streamspace_scope)::uuid[]))',
            '(tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))')
),
wanted (what, permissive, login, expression, text) AS (
    SELECT 'permissive', true, 'streamspace_tenant', expression, text FROM scope
    UNION ALL
    SELECT 'restrictive', false, 'streamspace_tenant', expression, text FROM scope
    UNION ALL
    VALUES ('permissive', true, 'streamspace_operator', 'true', '(true)'),
           ('permissive', true, 'streamspace_owner', 'true', '(true)')
)
SELECT keyed.name,
       format('no %s policy for %s FOR ALL with USING and WITH CHECK %s', wanted.what, wanted.login, wanted.text),
       format('CREATE POLICY %s ON %s AS %s TO %s USING %s WITH CHECK %s',
              CASE WHEN wanted.permissive THEN replace(wanted.login, 'streamspace_', '') ELSE 'scope' END,
              keyed.name, upper(wanted.what), wanted.login, wanted.text, wanted.text)
FROM keyed CROSS JOIN wanted
WHERE NOT EXISTS (
    SELECT FROM pg_policy AS policy
    WHERE policy.polrelid = keyed.oid
      AND policy.polcmd = '*'
      AND policy.polpermissive = wanted.permissive
      AND policy.polroles = ARRAY[(SELECT oid FROM pg_roles WHERE rolname = wanted.login)]
      AND pg_get_expr(policy.polqual, policy.polrelid) = wanted.expression
      AND pg_get_expr(policy.polwithcheck, policy.polrelid) = wanted.expression
)
ORDER BY 1, 2
