-- Nobody but its owner has rights on a partition: the parent's policies hold only for
-- those who come through the parent.
SELECT class.oid::regclass::text,
       format('%s has rights on the partition itself',
              CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END),
       format('REVOKE ALL ON %s FROM %s', class.oid::regclass,
              CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END)
FROM pg_class AS class
CROSS JOIN LATERAL aclexplode(class.relacl) AS acl
WHERE class.relispartition AND class.relkind IN ('r', 'p') AND acl.grantee <> class.relowner
  AND ($1::text[] IS NOT NULL AND $2::text[] IS NOT NULL)
GROUP BY class.oid, acl.grantee
ORDER BY 1, 2
