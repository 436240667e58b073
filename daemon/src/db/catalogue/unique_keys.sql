-- There is a primary key, and what is unique is unique within a tenant: a key that spans
-- tenants would tell one of them what another has. Where one must, the tenant login
-- writes none of its columns, so it cannot ask.
WITH keyed AS (
    SELECT class.oid, class.oid::regclass::text AS name, class.relispartition, attribute.attnum
    FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
    WHERE class.relkind IN ('r', 'p') AND namespace.nspname !~ '^(pg_|information_schema$)'
      AND attribute.attname = 'tenant_uid' AND NOT attribute.attisdropped
),
spanning AS (
    SELECT keyed.oid, keyed.name, class.relname, index.indexrelid::regclass::text AS key, index.indkey
    FROM keyed
    JOIN pg_index AS index ON index.indrelid = keyed.oid AND (index.indisunique OR index.indisexclusion)
    JOIN pg_class AS class ON class.oid = index.indexrelid
    WHERE index.indkey[0] <> keyed.attnum AND NOT keyed.relispartition
)
SELECT name, 'no primary key', 'add PRIMARY KEY (tenant_uid, …)'
FROM keyed
WHERE $2::text[] IS NOT NULL AND NOT relispartition
  AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = keyed.oid AND indisprimary)
UNION ALL
SELECT name, format('the unique key %s does not start with tenant_uid', key),
       'put tenant_uid first in it, or name it with a reason in catalogue_exceptions'
FROM spanning
WHERE relname <> ALL ($1::text[])
UNION ALL
SELECT name, format('the unique key %s spans tenants, and the tenant login may %s its column %I',
                    key, privilege, attribute.attname),
       format('REVOKE %s ON %s FROM streamspace_tenant, and GRANT it on the other columns by name', privilege, name)
FROM spanning
-- A zero is an expression, which may be of any column.
JOIN pg_attribute AS attribute
    ON attribute.attrelid = spanning.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
   AND attribute.attname <> 'tenant_uid'
   AND (attribute.attnum = ANY (spanning.indkey::smallint[]) OR 0 = ANY (spanning.indkey::smallint[]))
CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE']) AS privilege
WHERE has_column_privilege('streamspace_tenant', spanning.oid, attribute.attnum, privilege)
UNION ALL
-- A row stays with its tenant and with the region that owns that.
SELECT name, format('the tenant login may change the column %I', attribute.attname),
       format('REVOKE UPDATE ON %s FROM streamspace_tenant, and GRANT it on the other columns by name', name)
FROM keyed
JOIN pg_attribute AS attribute ON attribute.attrelid = keyed.oid AND NOT attribute.attisdropped
WHERE attribute.attname IN ('tenant_uid', 'region_term')
  AND has_column_privilege('streamspace_tenant', keyed.oid, attribute.attnum, 'UPDATE')
ORDER BY 1, 2
