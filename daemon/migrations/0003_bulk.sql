-- Operations over many tenants, changes of what belongs to no tenant, and what the audit
-- log keeps beside. It only adds, so that the version before goes on beside it.

-- Work on many tenants. It belongs to the region, so the tenant login sees none of it.
CREATE TABLE bulk_operations (
    operation_id uuid PRIMARY KEY,
    kind         text NOT NULL,
    target       text NOT NULL,
    -- The encoded streamspace.admin.v1.ChangeTenantsRequest, without its names.
    request      bytea NOT NULL,
    reason       text NOT NULL,
    incident     text NOT NULL DEFAULT '',
    -- Who asked, and as what.
    actor        text NOT NULL,
    role         text NOT NULL,
    serial       text NOT NULL,
    cancel_time  timestamptz,
    cancel_actor text NOT NULL DEFAULT '',
    -- Counts the runs: one more each time that it is resumed.
    run          integer NOT NULL DEFAULT 1,
    create_time  timestamptz NOT NULL DEFAULT now(),
    end_time     timestamptz,
    error_code    integer,
    error_message text
);
CREATE INDEX bulk_operations_newest ON bulk_operations (create_time DESC, operation_id);
CREATE INDEX bulk_operations_open ON bulk_operations (operation_id) WHERE end_time IS NULL;
GRANT SELECT, INSERT, UPDATE ON bulk_operations TO streamspace_operator;

-- What becomes of each tenant of such an operation.
CREATE TABLE bulk_items (
    tenant_uid    uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term   bigint NOT NULL DEFAULT 1,
    operation_id  uuid NOT NULL REFERENCES bulk_operations (operation_id),
    -- The place in the operation, from 1.
    ordinal       integer NOT NULL,
    target        text NOT NULL,
    state         text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'changed', 'unchanged', 'failed', 'cancelled')),
    error_code    integer,
    error_message text,
    error_reason  text NOT NULL DEFAULT '',
    end_time      timestamptz,
    PRIMARY KEY (tenant_uid, operation_id)
);
CREATE INDEX bulk_items_order ON bulk_items (operation_id, ordinal);
GRANT SELECT, INSERT, UPDATE ON bulk_items TO streamspace_operator;
GRANT SELECT ON bulk_items TO streamspace_tenant;

-- The same four policies as on every table with a tenant key.
ALTER TABLE bulk_items ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulk_items FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON bulk_items TO streamspace_owner USING (true) WITH CHECK (true);
CREATE POLICY operator ON bulk_items TO streamspace_operator USING (true) WITH CHECK (true);
CREATE POLICY tenant ON bulk_items TO streamspace_tenant
    USING (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))
    WITH CHECK (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]));
CREATE POLICY scope ON bulk_items AS RESTRICTIVE TO streamspace_tenant
    USING (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))
    WITH CHECK (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]));

-- The change log of what belongs to the region and to no tenant. Its rows share the
-- identities and the revisions of `changes`.
CREATE TABLE region_changes (
    change_id bigint PRIMARY KEY DEFAULT nextval('changes_change_id_seq'),
    revision  bigint UNIQUE,
    kind      text NOT NULL CHECK (kind IN ('operation')),
    type      text NOT NULL CHECK (type IN ('created', 'updated', 'deleted')),
    name      text NOT NULL,
    actor     text NOT NULL,
    resource  bytea NOT NULL,
    time      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX region_changes_unsequenced ON region_changes (change_id) WHERE revision IS NULL;
GRANT SELECT, INSERT ON region_changes TO streamspace_operator;
GRANT UPDATE (revision) ON region_changes TO streamspace_operator;
GRANT USAGE ON SEQUENCE changes_change_id_seq TO streamspace_operator;

-- The incident that a caller names, and what a call changed.
ALTER TABLE audit_entries
    ADD COLUMN incident text NOT NULL DEFAULT '',
    ADD COLUMN summary  text NOT NULL DEFAULT '';
