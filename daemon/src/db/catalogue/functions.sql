-- No function runs with the rights of its owner.
SELECT function.oid::regprocedure::text, 'SECURITY DEFINER lends the caller the rights of the owner',
       format('ALTER FUNCTION %s SECURITY INVOKER', function.oid::regprocedure)
FROM pg_proc AS function
JOIN pg_namespace AS namespace ON namespace.oid = function.pronamespace
WHERE function.prosecdef AND namespace.nspname !~ '^(pg_|information_schema$)'
  AND ($1::text[] IS NOT NULL AND $2::text[] IS NOT NULL)
ORDER BY 1, 2
