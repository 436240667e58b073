-- Views read with the rights of who asks; a materialized view and a foreign table cannot,
-- and a rule acts with the rights of the table's owner.
WITH relations AS (
    SELECT class.oid, class.oid::regclass::text AS name, class.relkind, class.reloptions
    FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE namespace.nspname !~ '^(pg_|information_schema$)'
      AND ($1::text[] IS NOT NULL AND $2::text[] IS NOT NULL)
)
SELECT name, 'the view reads with the rights of its owner',
       format('ALTER VIEW %s SET (security_invoker = true)', name)
FROM relations
WHERE relkind = 'v'
  AND NOT coalesce((SELECT option_value::boolean FROM pg_options_to_table(reloptions)
                    WHERE option_name = 'security_invoker'), false)
UNION ALL
SELECT name, 'row-level security does not hold a materialized view', 'use a table with a tenant key instead'
FROM relations WHERE relkind = 'm'
UNION ALL
SELECT name, 'row-level security does not hold a foreign table', 'use a table with a tenant key instead'
FROM relations WHERE relkind = 'f'
UNION ALL
SELECT relations.name, format('the rule %I acts with the rights of the owner', rule.rulename),
       format('DROP RULE %I ON %s', rule.rulename, relations.name)
FROM relations JOIN pg_rewrite AS rule ON rule.ev_class = relations.oid
WHERE rule.rulename <> '_RETURN'
ORDER BY 1, 2
