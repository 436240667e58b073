-- No function runs with the rights of its owner, and none is everybody's.
WITH functions AS (
    SELECT function.*, function.oid::regprocedure::text AS signature
    FROM pg_proc AS function
    JOIN pg_namespace AS namespace ON namespace.oid = function.pronamespace
    WHERE namespace.nspname !~ '^(pg_|information_schema$)'
      AND ($1::text[] IS NOT NULL AND $2::text[] IS NOT NULL)
),
-- But these: what it takes to make a partition and to drop one belongs to the owner alone,
-- and who may do that and nothing else is the maintainer.
lending (signature) AS (
    VALUES ('usage_intervals_make(date)'), ('usage_intervals_drop(date,integer)')
)
SELECT signature, 'SECURITY DEFINER lends the caller the rights of the owner',
       format('ALTER FUNCTION %s SECURITY INVOKER', signature)
FROM functions
WHERE prosecdef AND signature NOT IN (SELECT signature FROM lending)
UNION ALL
SELECT signature, 'it lends the rights of the owner, and looks for names where others can make them',
       format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', signature)
FROM functions JOIN lending USING (signature)
WHERE prosecdef AND coalesce(proconfig, '{}') <> ARRAY['search_path=pg_catalog, pg_temp']
UNION ALL
SELECT signature, format('it lends %s the rights of the owner', acl.grantee::regrole),
       format('REVOKE ALL ON FUNCTION %s FROM %s', signature, acl.grantee::regrole)
FROM functions JOIN lending USING (signature)
CROSS JOIN LATERAL aclexplode(coalesce(proacl, acldefault('f', proowner))) AS acl
WHERE prosecdef AND acl.grantee NOT IN (0, proowner)
  AND acl.grantee <> (SELECT oid FROM pg_roles WHERE rolname = 'streamspace_maintainer')
UNION ALL
SELECT signature, 'everybody may call it', format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature)
FROM functions
CROSS JOIN LATERAL aclexplode(coalesce(proacl, acldefault('f', proowner))) AS acl
WHERE acl.grantee = 0
  -- An extension's own functions are pure, or the extension is refused below.
  AND NOT EXISTS (SELECT FROM pg_depend
                  WHERE classid = 'pg_proc'::regclass AND objid = functions.oid AND deptype = 'e')
UNION ALL
SELECT extname, 'the extension reaches out of this database', format('DROP EXTENSION %I', extname)
FROM pg_extension
WHERE extname IN ('dblink', 'postgres_fdw', 'file_fdw', 'adminpack', 'plpython3u', 'plperlu', 'pltclu')
ORDER BY 1, 2
