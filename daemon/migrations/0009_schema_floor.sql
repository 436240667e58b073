-- What a program must know of a schema that is newer than it is. It only adds, so that the
-- version before goes on beside it.

-- The newest migration that a program must know to run here. A migration that takes away
-- what older programs use raises it; one that only adds leaves it.
CREATE TABLE schema_floor (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    migration bigint  NOT NULL
);
INSERT INTO schema_floor (migration) VALUES (9);

-- What the catalogue check lets pass, with the reason. It stands here and not in the program:
-- so a program knows the exceptions of a schema that is newer than it is.
CREATE TABLE catalogue_exceptions (
    rule   text NOT NULL CHECK (rule IN ('shared_table', 'unique_without_tenant')),
    object text NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    PRIMARY KEY (rule, object)
);
INSERT INTO catalogue_exceptions (rule, object, reason) VALUES
    -- Unique indexes that need not start with the tenant.
    ('unique_without_tenant', 'tenants_live_id', 'a tenant''s name is what is unique in the region'),
    ('unique_without_tenant', 'changes_pkey', 'the order of writing spans tenants'),
    ('unique_without_tenant', 'changes_revision_key', 'the order of the log spans tenants'),
    -- Tables without a tenant key that the tenant login may use.
    ('shared_table', 'plans', 'a public price list'),
    ('shared_table', 'slos', 'what is promised to all, nothing of a tenant'),
    ('shared_table', 'catalogue_templates', 'the templates that all tenants share'),
    ('shared_table', 'region_controls', 'the region''s cordon and pause, which every caller is told'),
    ('shared_table', 'change_sequence', 'one number'),
    ('shared_table', 'requests', 'replies, under a policy of their own by the scope that they were made under'),
    ('shared_table', 'usage_watermark', 'instants, nothing of a tenant'),
    ('shared_table', 'usage_gaps', 'instants, nothing of a tenant'),
    ('shared_table', 'usage_actual_sources', 'what the region measures use by, nothing of a tenant');

GRANT SELECT ON schema_floor, catalogue_exceptions TO streamspace_operator;
