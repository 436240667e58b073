-- Views read with the rights of who asks; a materialized view cannot.
SELECT class.oid::regclass::text, 'the view reads with the rights of its owner',
       format('ALTER VIEW %s SET (security_invoker = true)', class.oid::regclass)
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE class.relkind = 'v' AND namespace.nspname !~ '^(pg_|information_schema$)'
  AND NOT coalesce((SELECT option_value::boolean FROM pg_options_to_table(class.reloptions)
                    WHERE option_name = 'security_invoker'), false)
  AND ($1::text[] IS NOT NULL AND $2::text[] IS NOT NULL)
UNION ALL
SELECT class.oid::regclass::text, 'row-level security does not hold a materialized view',
       'use a table with a tenant key instead'
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE class.relkind = 'm' AND namespace.nspname !~ '^(pg_|information_schema$)'
ORDER BY 1, 2
