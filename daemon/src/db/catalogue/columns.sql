-- The tenant key is a uuid, the region term stands beside it, and neither can be absent.
WITH keyed AS (
    SELECT class.oid, class.oid::regclass::text AS name
    FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
    WHERE class.relkind IN ('r', 'p') AND namespace.nspname !~ '^(pg_|information_schema$)'
      AND attribute.attname = 'tenant_uid' AND NOT attribute.attisdropped
      AND ($1::text[] IS NOT NULL AND $2::text[] IS NOT NULL)
),
wanted (name, type) AS (
    VALUES ('tenant_uid', 'uuid'::regtype), ('region_term', 'bigint'::regtype)
)
SELECT keyed.name,
       format('no column %s %s NOT NULL', wanted.name, wanted.type),
       format('make it %s %s NOT NULL%s', wanted.name, wanted.type,
              CASE wanted.name WHEN 'region_term' THEN ' DEFAULT 1' ELSE '' END)
FROM keyed CROSS JOIN wanted
WHERE NOT EXISTS (
    SELECT FROM pg_attribute AS attribute
    WHERE attribute.attrelid = keyed.oid AND attribute.attname = wanted.name
      AND attribute.atttypid = wanted.type AND attribute.attnotnull AND NOT attribute.attisdropped
)
ORDER BY 1, 2
