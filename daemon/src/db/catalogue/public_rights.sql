-- What PostgreSQL lets everybody do in a new database, and the logins should not: with it
-- a single injected expression could widen a scope, take another part's lock, end or
-- watch another call. Only a superuser can take it away.
WITH wanted (name, keepers) AS (
    VALUES
        -- The scope of a transaction is a setting.
        ('^set_config$', ARRAY['streamspace_owner', 'streamspace_operator']),
        -- The leader holds such a lock.
        ('^pg_(try_)?advisory_(xact_)?lock(_shared)?$', ARRAY['streamspace_owner', 'streamspace_operator']),
        -- One tenant's large object would be another's.
        ('^(lo_creat|lo_create|lo_from_bytea)$', ARRAY[]::text[]),
        -- All calls of tenants run on one login.
        ('^pg_(terminate|cancel)_backend$', ARRAY[]::text[]),
        ('^pg_stat_get_(backend_)?activity$', ARRAY['streamspace_owner', 'streamspace_operator', 'pg_monitor']),
        ('^pg_lock_status$', ARRAY['streamspace_owner', 'streamspace_operator', 'pg_monitor']),
        ('^pg_stat_statements', ARRAY['streamspace_owner', 'streamspace_operator', 'pg_monitor'])
),
functions AS (
    SELECT function.oid, function.oid::regprocedure::text AS signature, function.proacl, function.proowner,
           wanted.keepers || CASE
               -- Retries of one request wait for each other in the space of two keys.
               WHEN function.oid = 'pg_advisory_xact_lock(integer, integer)'::regprocedure
               THEN ARRAY['streamspace_tenant'] ELSE ARRAY[]::text[] END AS keepers
    FROM pg_proc AS function
    JOIN wanted ON function.proname ~ wanted.name
),
acls AS (
    SELECT functions.*, acl.grantee
    FROM functions
    CROSS JOIN LATERAL aclexplode(coalesce(functions.proacl, acldefault('f', functions.proowner))) AS acl
)
SELECT DISTINCT signature, 'everybody may call it',
       format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', signature)
           || CASE keepers WHEN '{}' THEN ''
              ELSE format('; GRANT EXECUTE ON FUNCTION %s TO %s', signature, array_to_string(keepers, ', ')) END
FROM acls WHERE grantee = 0
UNION ALL
SELECT functions.signature, format('%s may not call it', keeper),
       format('GRANT EXECUTE ON FUNCTION %s TO %s', functions.signature, keeper)
FROM functions CROSS JOIN unnest(functions.keepers) AS keeper
WHERE NOT has_function_privilege(keeper, functions.oid, 'EXECUTE')
UNION ALL
SELECT language.lanname, 'everybody may run code in this language',
       format('REVOKE USAGE ON LANGUAGE %I FROM PUBLIC; GRANT USAGE ON LANGUAGE %I TO streamspace_owner',
              language.lanname, language.lanname)
FROM pg_language AS language
CROSS JOIN LATERAL aclexplode(coalesce(language.lanacl, acldefault('l', language.lanowner))) AS acl
WHERE language.lanplcallfoid <> 0 AND language.lanpltrusted AND acl.grantee = 0
ORDER BY 1, 2
