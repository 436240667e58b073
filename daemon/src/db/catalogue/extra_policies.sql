-- No further permissive policy opens a table with a tenant key to the tenant login.
SELECT class.oid::regclass::text,
       format('the permissive policy %I lets the tenant login see more than its scope', policy.polname),
       format('DROP POLICY %I ON %s', policy.polname, class.oid::regclass)
FROM pg_policy AS policy
JOIN pg_class AS class ON class.oid = policy.polrelid
JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
WHERE attribute.attname = 'tenant_uid' AND NOT attribute.attisdropped
  AND ($1::text[] IS NOT NULL AND $2::text[] IS NOT NULL)
  AND policy.polpermissive
  AND (0 = ANY (policy.polroles)
       OR (SELECT oid FROM pg_roles WHERE rolname = 'streamspace_tenant') = ANY (policy.polroles))
  AND (coalesce(pg_get_expr(policy.polqual, policy.polrelid), '')
           NOT IN ('', '(tenant_uid = ANY (( SELECT streamspace_scope() AS streamspace_scope)::uuid[]))')
       OR coalesce(pg_get_expr(policy.polwithcheck, policy.polrelid), '')
           NOT IN ('', '(tenant_uid = ANY (( SELECT streamspace_scope() AS streamspace_scope)::uuid[]))'))
ORDER BY 1, 2
