-- The five logins exist and have nothing beyond what they are granted by name.
WITH wanted (login) AS (
    VALUES ('streamspace_owner'), ('streamspace_operator'), ('streamspace_tenant'), ('streamspace_audit'),
           ('streamspace_maintainer')
),
logins AS (
    SELECT role.* FROM pg_roles AS role JOIN wanted ON wanted.login = role.rolname
)
SELECT login, 'the login does not exist', format('CREATE ROLE %s LOGIN', login)
FROM wanted
WHERE login NOT IN (SELECT rolname FROM logins)
  AND ($1::text[] IS NOT NULL AND $2::text[] IS NOT NULL)
UNION ALL
SELECT rolname, format('the login is %s', attribute.name), format('ALTER ROLE %s NO%s', rolname, attribute.name)
FROM logins
CROSS JOIN LATERAL (VALUES
    ('SUPERUSER', rolsuper), ('BYPASSRLS', rolbypassrls), ('CREATEDB', rolcreatedb),
    ('CREATEROLE', rolcreaterole), ('REPLICATION', rolreplication)
) AS attribute (name, has)
WHERE attribute.has
UNION ALL
SELECT logins.rolname, format('the login is a member of %s and could take on its rights', membership.roleid::regrole),
       format('REVOKE %s FROM %s', membership.roleid::regrole, logins.rolname)
FROM logins JOIN pg_auth_members AS membership ON membership.member = logins.oid
UNION ALL
SELECT rolname, format('the login has %s on the database', privilege),
       format('REVOKE %s ON DATABASE %I FROM PUBLIC, %s', privilege, current_database(), rolname)
FROM logins
CROSS JOIN unnest(ARRAY['TEMP', 'CREATE']) AS privilege
WHERE rolname <> 'streamspace_owner' AND has_database_privilege(oid, current_database(), privilege)
UNION ALL
SELECT rolname, format('the login can create objects in the schema %I', namespace.nspname),
       format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, %s', namespace.nspname, rolname)
FROM logins
CROSS JOIN pg_namespace AS namespace
WHERE namespace.nspname !~ '^(pg_|information_schema$)'
  AND rolname <> 'streamspace_owner' AND has_schema_privilege(logins.oid, namespace.oid, 'CREATE')
ORDER BY 1, 2
