-- What each login may do with tables at all.
WITH tables AS (
    SELECT class.oid, class.oid::regclass::text AS name, class.relname, class.relowner, class.relacl,
           EXISTS (SELECT FROM pg_attribute
                   WHERE attrelid = class.oid AND attname = 'tenant_uid' AND NOT attisdropped) AS keyed
    FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE class.relkind IN ('r', 'p', 'v', 'm', 'f') AND namespace.nspname !~ '^(pg_|information_schema$)'
),
rights AS (
    SELECT tables.*, acl.grantee, acl.privilege_type AS privilege
    FROM tables CROSS JOIN LATERAL aclexplode(tables.relacl) AS acl
    UNION
    SELECT tables.*, acl.grantee, acl.privilege_type
    FROM tables
    JOIN pg_attribute AS attribute ON attribute.attrelid = tables.oid AND NOT attribute.attisdropped
    CROSS JOIN LATERAL aclexplode(attribute.attacl) AS acl
)
SELECT name, format('everybody has %s on it', privilege), format('REVOKE ALL ON %s FROM PUBLIC', name)
FROM rights WHERE grantee = 0
UNION ALL
SELECT name, format('%s has %s, which row-level security does not hold', grantee::regrole, privilege),
       format('REVOKE %s ON %s FROM %s', privilege, name, grantee::regrole)
FROM rights
WHERE grantee <> 0 AND grantee <> relowner AND privilege NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
UNION ALL
SELECT name, format('the tenant login has %s on a table without a tenant key', privilege),
       'add tenant_uid and its policies, revoke the right, or name the table with a reason in the catalogue check'
FROM rights
WHERE grantee = (SELECT oid FROM pg_roles WHERE rolname = 'streamspace_tenant')
  AND NOT keyed AND relname <> ALL ($2::text[])
UNION ALL
SELECT name, format('the audit login has %s; it may only insert audit entries', privilege),
       format('REVOKE %s ON %s FROM streamspace_audit', privilege, name)
FROM rights
WHERE $1::text[] IS NOT NULL
  AND grantee = (SELECT oid FROM pg_roles WHERE rolname = 'streamspace_audit')
  AND NOT (relname = 'audit_entries' AND privilege = 'INSERT')
UNION ALL
-- Replies to requests hold tenants' data without a tenant key.
SELECT name, 'row-level security is not enabled and forced',
       'ALTER TABLE requests ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY'
FROM tables JOIN pg_class AS class USING (oid)
WHERE tables.relname = 'requests' AND NOT (class.relrowsecurity AND class.relforcerowsecurity)
ORDER BY 1, 2
