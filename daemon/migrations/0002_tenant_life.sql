-- A tenant's whole life, what may be set for a time, who must agree, and what the
-- daemon remembers of its cluster. It only adds, so that the version before goes on
-- beside it.

-- Plans: how many times the quota may be promised, in thousandths; new versions.
ALTER TABLE plans ADD COLUMN overcommit_permille integer NOT NULL DEFAULT 4000
    CHECK (overcommit_permille >= 1000);
GRANT INSERT ON plans TO streamspace_operator;

-- Tenants: what a life needs beside its state.
ALTER TABLE tenants
    -- Whether a namespace of this name that exists already is taken over.
    ADD COLUMN adopt boolean NOT NULL DEFAULT false,
    -- The state that restore leads back to, and the one that resume does.
    ADD COLUMN prior_state text CHECK (prior_state IN ('active', 'cordoned', 'suspended')),
    ADD COLUMN resume_state text CHECK (resume_state IN ('active', 'cordoned')),
    ADD COLUMN cordon_until timestamptz,
    ADD COLUMN cordon_reason text NOT NULL DEFAULT '',
    ADD COLUMN pause_until timestamptz,
    ADD COLUMN pause_reason text NOT NULL DEFAULT '',
    ADD COLUMN pause_actor text NOT NULL DEFAULT '',
    ADD COLUMN archive_time timestamptz,
    -- The end of the plan's retention, set when the tenant is archived.
    ADD COLUMN purge_after timestamptz;
CREATE INDEX tenants_cordon_end ON tenants (cordon_until) WHERE cordon_until IS NOT NULL;
CREATE INDEX tenants_pause_end ON tenants (pause_until) WHERE pause_until IS NOT NULL;

-- What a tenant's quota is instead of the plan's. The newest that has not ended counts.
CREATE TABLE quota_overrides (
    tenant_uid  uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term bigint NOT NULL DEFAULT 1,
    override_id uuid NOT NULL,
    resource    text NOT NULL CHECK (resource IN ('cpu', 'memory', 'storage', 'pods')),
    -- In millicores, bytes or pieces.
    amount      bigint NOT NULL CHECK (amount > 0),
    reason      text NOT NULL,
    actor       text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    -- When it ends by itself.
    expire_time timestamptz,
    -- When it ended, by itself or by hand.
    end_time    timestamptz,
    PRIMARY KEY (tenant_uid, override_id)
);
CREATE INDEX quota_overrides_live ON quota_overrides (tenant_uid, create_time) WHERE end_time IS NULL;
CREATE INDEX quota_overrides_end ON quota_overrides (expire_time)
    WHERE end_time IS NULL AND expire_time IS NOT NULL;
GRANT SELECT, INSERT ON quota_overrides TO streamspace_operator, streamspace_tenant;
GRANT UPDATE (end_time) ON quota_overrides TO streamspace_operator, streamspace_tenant;

-- Destructive work that waits for a second person. It is bound to one exact request.
CREATE TABLE approvals (
    tenant_uid      uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term     bigint NOT NULL DEFAULT 1,
    approval_id     uuid NOT NULL,
    method          text NOT NULL,
    request_sha256  bytea NOT NULL,
    target          text NOT NULL,
    summary         text NOT NULL,
    reason          text NOT NULL,
    -- The lowest role that may decide: the one that the request itself needs.
    least_role      text NOT NULL,
    requester       text NOT NULL,
    create_time     timestamptz NOT NULL DEFAULT now(),
    expire_time     timestamptz NOT NULL,
    approver        text,
    decision        text CHECK (decision IN ('approved', 'rejected')),
    decision_reason text NOT NULL DEFAULT '',
    decide_time     timestamptz,
    use_time        timestamptz,
    PRIMARY KEY (tenant_uid, approval_id),
    CHECK ((decision IS NULL) = (decide_time IS NULL)),
    -- Who asked may withdraw, and never agree.
    CHECK (approver <> requester OR decision = 'rejected')
);
CREATE INDEX approvals_newest ON approvals (create_time DESC, approval_id);
GRANT SELECT, INSERT ON approvals TO streamspace_operator, streamspace_tenant;
GRANT UPDATE (approver, decision, decision_reason, decide_time, use_time) ON approvals
    TO streamspace_operator, streamspace_tenant;

-- The same four policies as on every table with a tenant key.
DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['quota_overrides', 'approvals'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', target);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', target);
        EXECUTE format('CREATE POLICY owner ON %I TO streamspace_owner USING (true) WITH CHECK (true)', target);
        EXECUTE format('CREATE POLICY operator ON %I TO streamspace_operator USING (true) WITH CHECK (true)', target);
        EXECUTE format('CREATE POLICY tenant ON %I TO streamspace_tenant
                            USING (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))
                            WITH CHECK (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))', target);
        EXECUTE format('CREATE POLICY scope ON %I AS RESTRICTIVE TO streamspace_tenant
                            USING (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))
                            WITH CHECK (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))', target);
    END LOOP;
END
$$;

-- What an operator set for the region as a whole. One row.
CREATE TABLE region_controls (
    only_row       bool PRIMARY KEY DEFAULT true CHECK (only_row),
    cordon_time    timestamptz,
    cordon_until   timestamptz,
    cordon_reason  text NOT NULL DEFAULT '',
    cordon_actor   text NOT NULL DEFAULT '',
    pause_time     timestamptz,
    pause_until    timestamptz,
    pause_reason   text NOT NULL DEFAULT '',
    pause_actor    text NOT NULL DEFAULT '',
    -- The leader of this term is asked to give the lease back.
    step_down_term bigint NOT NULL DEFAULT 0
);
INSERT INTO region_controls DEFAULT VALUES;
GRANT SELECT, UPDATE ON region_controls TO streamspace_operator;
GRANT SELECT ON region_controls TO streamspace_tenant;

-- The breaker on deletions that nobody asked for. One row, and what was deleted.
CREATE TABLE breaker (
    only_row      bool PRIMARY KEY DEFAULT true CHECK (only_row),
    trip_time     timestamptz,
    message       text NOT NULL DEFAULT '',
    -- Deletions before this count no more.
    release_time  timestamptz,
    release_actor text NOT NULL DEFAULT ''
);
INSERT INTO breaker DEFAULT VALUES;
GRANT SELECT, UPDATE ON breaker TO streamspace_operator;
CREATE TABLE breaker_deletions (
    deletion_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time        timestamptz NOT NULL DEFAULT now(),
    kind        text NOT NULL,
    namespace   text NOT NULL,
    name        text NOT NULL
);
CREATE INDEX breaker_deletions_time ON breaker_deletions (time);
GRANT SELECT, INSERT, DELETE ON breaker_deletions TO streamspace_operator;

-- Managed namespaces that no row wishes. They are told, and never deleted.
CREATE TABLE orphans (
    namespace        text PRIMARY KEY,
    tenant_label     text NOT NULL,
    tenant_uid_label text NOT NULL,
    first_seen       timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON orphans TO streamspace_operator;

-- The cluster that this database manages. At most one row.
CREATE TABLE cluster_pin (
    only_row        bool PRIMARY KEY DEFAULT true CHECK (only_row),
    kube_system_uid text NOT NULL,
    instance_uid    uuid NOT NULL,
    endpoint        text NOT NULL,
    pin_time        timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE ON cluster_pin TO streamspace_operator;

-- Tokens have a name that is no secret, and can be taken back.
ALTER TABLE enrolment_tokens
    ADD COLUMN token_id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN revoke_time timestamptz,
    ADD COLUMN revoke_actor text NOT NULL DEFAULT '';
CREATE UNIQUE INDEX enrolment_tokens_id ON enrolment_tokens (token_id);
ALTER TABLE certificates ADD COLUMN revoke_actor text NOT NULL DEFAULT '';
CREATE INDEX certificates_operator ON certificates (operator, issue_time);

-- People who may do nothing until they are unlocked, or until a time.
CREATE TABLE operator_locks (
    operator    text PRIMARY KEY,
    reason      text NOT NULL,
    actor       text NOT NULL,
    lock_time   timestamptz NOT NULL DEFAULT now(),
    expire_time timestamptz
);
GRANT SELECT, INSERT, UPDATE, DELETE ON operator_locks TO streamspace_operator;

-- The role admin for a time, for an emergency, to be looked at afterwards.
CREATE TABLE break_glass (
    grant_id    uuid PRIMARY KEY,
    operator    text NOT NULL,
    role        text NOT NULL,
    reason      text NOT NULL,
    start_time  timestamptz NOT NULL DEFAULT now(),
    expire_time timestamptz NOT NULL,
    end_time    timestamptz,
    reviewer    text,
    review      text NOT NULL DEFAULT '',
    review_time timestamptz,
    CHECK (reviewer <> operator)
);
CREATE INDEX break_glass_newest ON break_glass (start_time DESC, grant_id);
GRANT SELECT, INSERT, UPDATE ON break_glass TO streamspace_operator;

-- The tenant login writes what changes of a row, and by name: not whose the row is, which
-- region owns it, or a key that spans tenants, whose refusal would tell of others.
REVOKE UPDATE ON tenants FROM streamspace_tenant;
GRANT UPDATE (display_name, plan_id, plan_version, seats, allowed_regions, billing_account,
              admin_subjects, labels, protected, state, conditions, generation,
              observed_generation, update_time, adopt, prior_state, resume_state, cordon_until,
              cordon_reason,
              pause_until, pause_reason, pause_actor, archive_time, purge_after)
    ON tenants TO streamspace_tenant;
REVOKE UPDATE ON operations FROM streamspace_tenant;
GRANT UPDATE (progress, done, error_code, error_message, end_time) ON operations TO streamspace_tenant;
REVOKE INSERT ON changes FROM streamspace_tenant;
GRANT INSERT (tenant_uid, region_term, kind, type, name, actor, resource) ON changes TO streamspace_tenant;
-- The scope that a reply was made under is not the caller's to choose.
REVOKE INSERT ON requests FROM streamspace_tenant;
GRANT INSERT (request_id, actor, method, request_sha256, response) ON requests TO streamspace_tenant;
