-- No function runs with the rights of its owner, and none is everybody's.
WITH functions AS (
    SELECT function.*, function.oid::regprocedure::text AS signature
    FROM pg_proc AS function
    JOIN pg_namespace AS namespace ON namespace.oid = function.pronamespace
    WHERE namespace.nspname !~ '^(pg_|information_schema$)'
      AND ($1::text[] IS NOT NULL AND $2::text[] IS NOT NULL)
)
SELECT signature, 'SECURITY DEFINER lends the caller the rights of the owner',
       format('ALTER FUNCTION %s SECURITY INVOKER', signature)
FROM functions
WHERE prosecdef
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
