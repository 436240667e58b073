-- There is a primary key, and what is unique is unique within a tenant: a key that spans
-- tenants would tell one of them what another has.
WITH keyed AS (
    SELECT class.oid, class.oid::regclass::text AS name, attribute.attnum
    FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
    WHERE class.relkind IN ('r', 'p') AND namespace.nspname !~ '^(pg_|information_schema$)'
      AND attribute.attname = 'tenant_uid' AND NOT attribute.attisdropped
      AND NOT class.relispartition
)
SELECT keyed.name, 'no primary key', 'add PRIMARY KEY (tenant_uid, …)'
FROM keyed
WHERE $2::text[] IS NOT NULL
  AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = keyed.oid AND indisprimary)
UNION ALL
SELECT keyed.name, format('the unique key %s does not start with tenant_uid', index.indexrelid::regclass),
       'put tenant_uid first in it, or name it with a reason in the catalogue check'
FROM keyed
JOIN pg_index AS index ON index.indrelid = keyed.oid AND index.indisunique
JOIN pg_class AS class ON class.oid = index.indexrelid
WHERE index.indkey[0] <> keyed.attnum AND class.relname <> ALL ($1::text[])
ORDER BY 1, 2
