-- Row-level security is enabled and forced, and the table is the owner's; the maintainer
-- may have what it rolls.
WITH keyed AS (
    SELECT class.oid, class.oid::regclass::text AS name, class.relrowsecurity, class.relforcerowsecurity,
           class.relowner, class.relispartition OR class.relkind = 'p' AS partitioned
    FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
    WHERE class.relkind IN ('r', 'p') AND namespace.nspname !~ '^(pg_|information_schema$)'
      AND attribute.attname = 'tenant_uid' AND NOT attribute.attisdropped
      AND ($1::text[] IS NOT NULL AND $2::text[] IS NOT NULL)
)
SELECT name, 'row-level security is not enabled',
       format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', name)
FROM keyed WHERE NOT relrowsecurity
UNION ALL
SELECT name, 'row-level security is not forced, so the owner passes it by',
       format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', name)
FROM keyed WHERE NOT relforcerowsecurity
UNION ALL
SELECT name, format('it belongs to %s, who could switch row-level security off', relowner::regrole),
       format('ALTER TABLE %s OWNER TO streamspace_owner', name)
FROM keyed
WHERE relowner NOT IN (SELECT oid FROM pg_roles
                       WHERE rolname = 'streamspace_owner' OR rolname = 'streamspace_maintainer' AND partitioned)
ORDER BY 1, 2
