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
SELECT member.rolname, format('it is a member of %s and could take on its rights', logins.rolname),
       format('REVOKE %s FROM %s', logins.rolname, quote_ident(member.rolname))
FROM logins
JOIN pg_auth_members AS membership ON membership.roleid = logins.oid
JOIN pg_roles AS member ON member.oid = membership.member
WHERE NOT member.rolsuper AND NOT member.rolcreaterole AND member.rolname NOT IN (SELECT login FROM wanted)
UNION ALL
-- Every session of the login would start with it.
SELECT coalesce(logins.rolname, 'everybody'), format('the setting %s is kept for the login', setting),
       format('ALTER ROLE %s %sRESET %s', coalesce(logins.rolname, 'ALL'),
              CASE kept.setdatabase WHEN 0 THEN '' ELSE format('IN DATABASE %I ', current_database()) END,
              split_part(setting, '=', 1))
FROM pg_db_role_setting AS kept
LEFT JOIN logins ON logins.oid = kept.setrole
CROSS JOIN unnest(kept.setconfig) AS setting
WHERE (logins.oid IS NOT NULL OR kept.setrole = 0)
  AND kept.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND split_part(setting, '=', 1) ~ '^(streamspace\..*|row_security|search_path|role|session_authorization|.*preload_libraries)$'
UNION ALL
SELECT logins.rolname, format('the login owns %s', pg_describe_object(owned.classid, owned.objid, owned.objsubid)),
       format('REASSIGN OWNED BY %s TO streamspace_owner', logins.rolname)
FROM logins
JOIN pg_shdepend AS owned ON owned.refclassid = 'pg_authid'::regclass AND owned.refobjid = logins.oid
LEFT JOIN pg_class AS class ON owned.classid = 'pg_class'::regclass AND class.oid = owned.objid
WHERE owned.deptype = 'o' AND logins.rolname <> 'streamspace_owner'
  AND owned.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  -- The maintainer has what it rolls.
  AND NOT (logins.rolname = 'streamspace_maintainer' AND coalesce(class.relispartition OR class.relkind = 'p', false))
UNION ALL
SELECT CASE acl.grantee WHEN 0 THEN 'everybody' ELSE acl.grantee::regrole::text END,
       format('what %s makes later is granted at once', defaults.defaclrole::regrole),
       format('ALTER DEFAULT PRIVILEGES FOR ROLE %s REVOKE ALL ON %s FROM %s', defaults.defaclrole::regrole,
              CASE defaults.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' ELSE 'FUNCTIONS' END,
              CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END)
FROM pg_default_acl AS defaults
CROSS JOIN LATERAL aclexplode(defaults.defaclacl) AS acl
WHERE defaults.defaclobjtype IN ('r', 'S', 'f') AND acl.grantee <> defaults.defaclrole
  -- Who may make nothing grants nothing by it.
  AND defaults.defaclrole NOT IN (SELECT oid FROM pg_roles
      WHERE rolname IN ('streamspace_operator', 'streamspace_tenant', 'streamspace_audit'))
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
