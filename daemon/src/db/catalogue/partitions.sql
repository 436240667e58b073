-- Nobody but its owner has rights on a partition: the parent's policies hold only for
-- those who come through the parent. A partition has policies of its own only if they are
-- the parent's.
WITH partitions AS (
    SELECT class.oid, class.oid::regclass::text AS name, class.relowner, class.relacl
    FROM pg_class AS class
    WHERE class.relispartition AND class.relkind IN ('r', 'p')
      AND ($1::text[] IS NOT NULL AND $2::text[] IS NOT NULL)
),
grantees AS (
    SELECT partitions.oid, partitions.name, acl.grantee
    FROM partitions CROSS JOIN LATERAL aclexplode(partitions.relacl) AS acl
    WHERE acl.grantee <> partitions.relowner
    UNION
    SELECT partitions.oid, partitions.name, acl.grantee
    FROM partitions
    JOIN pg_attribute AS attribute ON attribute.attrelid = partitions.oid AND NOT attribute.attisdropped
    CROSS JOIN LATERAL aclexplode(attribute.attacl) AS acl
    WHERE acl.grantee <> partitions.relowner
)
SELECT name,
       format('%s has rights on the partition itself',
              CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END),
       format('REVOKE ALL ON %s FROM %s', name,
              CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
FROM grantees
UNION ALL
SELECT partitions.name, format('the policy %I is not one of the partitioned table', policy.polname),
       format('DROP POLICY %I ON %s', policy.polname, partitions.name)
FROM partitions
JOIN pg_policy AS policy ON policy.polrelid = partitions.oid
WHERE NOT EXISTS (
    SELECT FROM pg_inherits AS inheritance
    JOIN pg_policy AS of_parent ON of_parent.polrelid = inheritance.inhparent
    WHERE inheritance.inhrelid = partitions.oid
      AND of_parent.polname = policy.polname
      AND of_parent.polcmd = policy.polcmd
      AND of_parent.polpermissive = policy.polpermissive
      AND of_parent.polroles = policy.polroles
      AND pg_get_expr(of_parent.polqual, of_parent.polrelid)
              IS NOT DISTINCT FROM pg_get_expr(policy.polqual, policy.polrelid)
      AND pg_get_expr(of_parent.polwithcheck, of_parent.polrelid)
              IS NOT DISTINCT FROM pg_get_expr(policy.polwithcheck, policy.polrelid)
)
ORDER BY 1, 2
