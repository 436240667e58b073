-- A foreign key to a table with a tenant key starts with the tenant on both sides, so a
-- row cannot point at another tenant's.
SELECT foreign_key.conrelid::regclass::text,
       format('the foreign key %I does not start with tenant_uid on both sides', foreign_key.conname),
       format('make it FOREIGN KEY (tenant_uid, …) REFERENCES %s (tenant_uid, …)', foreign_key.confrelid::regclass)
FROM pg_constraint AS foreign_key
JOIN pg_attribute AS attribute
    ON attribute.attrelid = foreign_key.conrelid AND attribute.attname = 'tenant_uid' AND NOT attribute.attisdropped
JOIN pg_attribute AS target
    ON target.attrelid = foreign_key.confrelid AND target.attname = 'tenant_uid' AND NOT target.attisdropped
WHERE foreign_key.contype = 'f'
  AND ($1::text[] IS NOT NULL AND $2::text[] IS NOT NULL)
  AND (foreign_key.conkey[1] <> attribute.attnum OR foreign_key.confkey[1] <> target.attnum)
ORDER BY 1, 2
