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
       'add tenant_uid and its policies, revoke the right, or name the table with a reason in catalogue_exceptions'
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
-- The next value of a sequence tells how much all tenants together have made. The
-- operator login sees all of them, and draws the identities of the region's changes from
-- the sequence of the tenants'.
SELECT class.oid::regclass::text,
       format('%s has %s on the sequence', CASE acl.grantee WHEN 0 THEN 'everybody' ELSE acl.grantee::regrole::text END,
              acl.privilege_type),
       format('REVOKE ALL ON SEQUENCE %s FROM %s', class.oid::regclass,
              CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END)
FROM pg_class AS class
CROSS JOIN LATERAL aclexplode(class.relacl) AS acl
WHERE class.relkind = 'S' AND acl.grantee <> class.relowner
  AND NOT (class.relname = 'changes_change_id_seq' AND acl.privilege_type = 'USAGE'
           AND acl.grantee = (SELECT oid FROM pg_roles WHERE rolname = 'streamspace_operator'))
UNION ALL
-- The maintainer rolls partitions and looks into none.
SELECT name, format('the maintainer login has %s; it may only roll partitions', privilege),
       format('REVOKE %s ON %s FROM streamspace_maintainer', privilege, name)
FROM rights
WHERE grantee = (SELECT oid FROM pg_roles WHERE rolname = 'streamspace_maintainer') AND grantee <> relowner
UNION ALL
-- Replies to requests hold tenants' data without a tenant key.
SELECT name, format('the tenant login may %s the scope of a reply', privilege),
       format('REVOKE %s ON requests FROM streamspace_tenant, and GRANT it on the other columns by name', privilege)
FROM tables CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE']) AS privilege
WHERE tables.relname = 'requests' AND has_column_privilege('streamspace_tenant', tables.oid, 'scope', privilege)
UNION ALL
SELECT name, 'row-level security is not enabled and forced',
       'ALTER TABLE requests ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY'
FROM tables JOIN pg_class AS class USING (oid)
WHERE tables.relname = 'requests' AND NOT (class.relrowsecurity AND class.relforcerowsecurity)
ORDER BY 1, 2
