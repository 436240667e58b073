-- The first schema. Everything belongs to streamspace_owner, which runs the
-- migrations and nothing else. The other logins get what they use by name.
--
-- A table with a tenant key carries `tenant_uid` (never reused) and
-- `region_term` (which region owns the tenant; 1 until there are several), has
-- row-level security enabled and forced, and four policies: the owner's, the
-- operator's, the tenant login's, and a restrictive one that holds whatever is
-- added later. db/catalogue.rs refuses to start without them.

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public
    TO streamspace_operator, streamspace_tenant, streamspace_audit, streamspace_maintainer;

-- A function is nobody's until it is granted.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- The tenants that a transaction of the tenant login may see. An absent or empty
-- setting sees nothing.
CREATE FUNCTION streamspace_scope() RETURNS uuid[]
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog
    AS $$ SELECT coalesce(nullif(current_setting('streamspace.tenant_uids', true), ''), '{}')::uuid[] $$;
REVOKE ALL ON FUNCTION streamspace_scope() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION streamspace_scope() TO streamspace_owner, streamspace_operator, streamspace_tenant;

-- Plans: data with versions. A version never changes.
CREATE TABLE plans (
    plan_id                  text NOT NULL,
    version                  integer NOT NULL CHECK (version > 0),
    rank                     integer NOT NULL,
    display_name             text NOT NULL,
    seat_price_micros        bigint CHECK (seat_price_micros >= 0),
    user_sessions            integer CHECK (user_sessions > 0),
    user_memory_bytes        bigint CHECK (user_memory_bytes > 0),
    recording_retention_days integer NOT NULL CHECK (recording_retention_days >= 0),
    features                 text[] NOT NULL,
    availability_ppm         integer NOT NULL CHECK (availability_ppm BETWEEN 0 AND 1000000),
    quota_cpu_millicores     bigint NOT NULL CHECK (quota_cpu_millicores > 0),
    quota_memory_bytes       bigint NOT NULL CHECK (quota_memory_bytes > 0),
    quota_storage_bytes      bigint NOT NULL CHECK (quota_storage_bytes > 0),
    quota_pods               integer NOT NULL CHECK (quota_pods > 0),
    create_time              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (plan_id, version)
);
GRANT SELECT ON plans TO streamspace_operator, streamspace_tenant;

INSERT INTO plans (plan_id, version, rank, display_name, seat_price_micros, user_sessions,
                   user_memory_bytes, recording_retention_days, features, availability_ppm,
                   quota_cpu_millicores, quota_memory_bytes, quota_storage_bytes, quota_pods)
VALUES
    ('free', 1, 1, 'Free', 0, 1, 2::bigint << 30, 7,
     '{core}', 990000, 4000, 8::bigint << 30, 50::bigint << 30, 20),
    ('professional', 1, 2, 'Professional', 29000000, 5, 16::bigint << 30, 30,
     '{core,analytics,recording,collaboration}', 995000,
     40000, 80::bigint << 30, 400::bigint << 30, 200),
    ('business', 1, 3, 'Business', 99000000, 20, 64::bigint << 30, 90,
     '{core,analytics,recording,collaboration,sso,dlp,compliance,branding}', 999000,
     100000, 200::bigint << 30, 1::bigint << 40, 500),
    ('enterprise', 1, 4, 'Enterprise', NULL, NULL, NULL, 365,
     '{core,analytics,recording,collaboration,sso,dlp,compliance,branding,multi-region,dedicated-clusters,advanced-audit,api-rate-limit,hybrid}',
     999900, 400000, 1::bigint << 40, 10::bigint << 40, 2000);

-- Tenants: the wish (spec) and what was last observed (state, conditions).
CREATE TABLE tenants (
    tenant_uid          uuid PRIMARY KEY,
    region_term         bigint NOT NULL DEFAULT 1,
    tenant_id           text NOT NULL CHECK (tenant_id ~ '^[a-z]([-a-z0-9]{1,38})[a-z0-9]$'),
    namespace           text NOT NULL,
    display_name        text NOT NULL,
    plan_id             text NOT NULL,
    plan_version        integer NOT NULL,
    seats               integer NOT NULL CHECK (seats BETWEEN 1 AND 100000),
    home_region         text NOT NULL,
    allowed_regions     text[] NOT NULL,
    billing_account     text NOT NULL,
    admin_subjects      jsonb NOT NULL,
    labels              jsonb NOT NULL,
    protected           boolean NOT NULL,
    state               text NOT NULL CHECK (state IN ('provisioning', 'active', 'cordoned',
                                                       'suspended', 'archived', 'purging', 'gone')),
    conditions          jsonb NOT NULL DEFAULT '[]',
    generation          bigint NOT NULL DEFAULT 1,
    observed_generation bigint NOT NULL DEFAULT 0,
    create_time         timestamptz NOT NULL DEFAULT now(),
    update_time         timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (plan_id, plan_version) REFERENCES plans (plan_id, version)
);
-- A name is taken while its tenant lives; a tombstone does not hold it.
CREATE UNIQUE INDEX tenants_live_id ON tenants (tenant_id) WHERE state <> 'gone';
GRANT SELECT, INSERT, UPDATE ON tenants TO streamspace_operator;
GRANT SELECT, UPDATE ON tenants TO streamspace_tenant;

-- Which plan and how many seats a tenant had when: append-only.
CREATE TABLE tenant_subscription (
    tenant_uid      uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term     bigint NOT NULL DEFAULT 1,
    subscription_id uuid NOT NULL,
    plan_id         text NOT NULL,
    plan_version    integer NOT NULL,
    seats           integer NOT NULL CHECK (seats >= 0),
    from_time       timestamptz NOT NULL DEFAULT now(),
    actor           text NOT NULL,
    PRIMARY KEY (tenant_uid, subscription_id),
    FOREIGN KEY (plan_id, plan_version) REFERENCES plans (plan_id, version)
);
GRANT SELECT, INSERT ON tenant_subscription TO streamspace_operator, streamspace_tenant;

-- Work that the daemon carries on by itself.
CREATE TABLE operations (
    operation_id  uuid NOT NULL,
    tenant_uid    uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term   bigint NOT NULL DEFAULT 1,
    kind          text NOT NULL,
    target        text NOT NULL,
    actor         text NOT NULL,
    progress      text NOT NULL DEFAULT '',
    done          boolean NOT NULL DEFAULT false,
    error_code    integer,
    error_message text,
    create_time   timestamptz NOT NULL DEFAULT now(),
    end_time      timestamptz,
    PRIMARY KEY (tenant_uid, operation_id),
    CHECK (done = (end_time IS NOT NULL))
);
CREATE INDEX operations_newest ON operations (create_time DESC, operation_id);
GRANT SELECT, INSERT, UPDATE ON operations TO streamspace_operator, streamspace_tenant;

-- The change log. A row is written in the transaction that it tells of; the
-- sequencer gives the revision after the commit, so a reader that reads past an
-- open transaction loses nothing. `resource` is the encoded
-- streamspace.admin.v1.Resource after the change.
CREATE TABLE changes (
    change_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    revision    bigint UNIQUE,
    tenant_uid  uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term bigint NOT NULL DEFAULT 1,
    kind        text NOT NULL CHECK (kind IN ('tenant', 'operation')),
    type        text NOT NULL CHECK (type IN ('created', 'updated', 'deleted')),
    name        text NOT NULL,
    actor       text NOT NULL,
    resource    bytea NOT NULL,
    time        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX changes_unsequenced ON changes (change_id) WHERE revision IS NULL;
GRANT SELECT, INSERT ON changes TO streamspace_operator, streamspace_tenant;
GRANT UPDATE (revision) ON changes TO streamspace_operator;

-- The last revision given. One row; whoever holds its lock is the sequencer.
CREATE TABLE change_sequence (
    only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
    revision bigint NOT NULL
);
INSERT INTO change_sequence (revision) VALUES (0);
GRANT SELECT, UPDATE ON change_sequence TO streamspace_operator;
GRANT SELECT ON change_sequence TO streamspace_tenant;

-- The first reply of every request that had an id, so that a retry has no second
-- effect. Kept for a day. A reply is seen under the scope that it was made under, or a
-- wider one.
CREATE TABLE requests (
    request_id     uuid NOT NULL,
    actor          text NOT NULL,
    method         text NOT NULL,
    request_sha256 bytea NOT NULL,
    response       bytea NOT NULL,
    scope          uuid[] NOT NULL DEFAULT streamspace_scope(),
    create_time    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (actor, request_id)
);
CREATE INDEX requests_age ON requests (create_time);
GRANT SELECT, INSERT, DELETE ON requests TO streamspace_operator;
GRANT SELECT, INSERT ON requests TO streamspace_tenant;
ALTER TABLE requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE requests FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON requests TO streamspace_owner USING (true) WITH CHECK (true);
CREATE POLICY operator ON requests TO streamspace_operator USING (true) WITH CHECK (true);
CREATE POLICY tenant ON requests TO streamspace_tenant
    USING (scope <> '{}' AND scope <@ (SELECT streamspace_scope()))
    WITH CHECK (scope <> '{}' AND scope <@ (SELECT streamspace_scope()));
CREATE POLICY scope ON requests AS RESTRICTIVE TO streamspace_tenant
    USING (scope <> '{}' AND scope <@ (SELECT streamspace_scope()))
    WITH CHECK (scope <> '{}' AND scope <@ (SELECT streamspace_scope()));

-- Who leads the region. One row.
CREATE TABLE leader (
    only_row    bool PRIMARY KEY DEFAULT true CHECK (only_row),
    leader_term bigint NOT NULL,
    replica     text NOT NULL,
    lease_until timestamptz NOT NULL
);
INSERT INTO leader (leader_term, replica, lease_until) VALUES (0, '', '-infinity');
GRANT SELECT, UPDATE ON leader TO streamspace_operator;

-- Replicas and when each was last alive, to tell which intents a crash orphaned.
CREATE TABLE replicas (
    replica    text PRIMARY KEY,
    version    text NOT NULL,
    start_time timestamptz NOT NULL DEFAULT now(),
    seen_time  timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON replicas TO streamspace_operator;

-- One-time enrolment tokens. Only the digest of the secret is kept.
CREATE TABLE enrolment_tokens (
    secret_sha256 bytea PRIMARY KEY,
    operator      text NOT NULL,
    role          text NOT NULL,
    tenant_uids   uuid[] NOT NULL,
    created_by    text NOT NULL,
    create_time   timestamptz NOT NULL DEFAULT now(),
    expire_time   timestamptz NOT NULL,
    use_time      timestamptz
);
GRANT SELECT, INSERT, UPDATE ON enrolment_tokens TO streamspace_operator;

-- Every certificate that was issued. A family is what descends from one
-- enrolment.
CREATE TABLE certificates (
    serial        text PRIMARY KEY,
    family_id     uuid NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('device', 'client')),
    operator      text NOT NULL,
    role          text NOT NULL,
    tenant_uids   uuid[] NOT NULL,
    device_name   text NOT NULL DEFAULT '',
    issue_time    timestamptz NOT NULL DEFAULT now(),
    expire_time   timestamptz NOT NULL,
    first_used    timestamptz,
    superseded_by text REFERENCES certificates (serial),
    revoke_time   timestamptz,
    revoke_reason text
);
CREATE INDEX certificates_family ON certificates (family_id);
CREATE INDEX certificates_revoked ON certificates (revoke_time) WHERE revoke_time IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON certificates TO streamspace_operator;

-- The audit log. Entries are inserted on a login that can do nothing else; the
-- sequencer gives positions, after the commit, in a table of its own.
CREATE TABLE audit_entries (
    entry_id           uuid PRIMARY KEY,
    call_id            uuid NOT NULL,
    replica            text NOT NULL,
    region             text NOT NULL,
    time               timestamptz NOT NULL DEFAULT now(),
    phase              text NOT NULL CHECK (phase IN ('intent', 'outcome', 'denial')),
    actor              text NOT NULL,
    certificate_serial text NOT NULL,
    role               text NOT NULL,
    method             text NOT NULL,
    resource           text NOT NULL,
    request_sha256     bytea NOT NULL,
    reason             text NOT NULL,
    decision           text NOT NULL CHECK (decision IN ('allowed', 'denied', 'succeeded', 'failed', 'unknown')),
    rule               text NOT NULL,
    status_code        integer NOT NULL,
    status_message     text NOT NULL,
    peer               text NOT NULL,
    count              integer NOT NULL DEFAULT 1 CHECK (count > 0)
);
-- An intent has one outcome, whoever writes it.
CREATE UNIQUE INDEX audit_one_per_phase ON audit_entries (call_id, phase);
-- The sequencer and the sweep look at what is new.
CREATE INDEX audit_entries_time ON audit_entries (time);
GRANT INSERT ON audit_entries TO streamspace_audit;
GRANT SELECT ON audit_entries TO streamspace_operator;

CREATE TABLE audit_positions (
    position bigint PRIMARY KEY,
    entry_id uuid NOT NULL UNIQUE REFERENCES audit_entries (entry_id)
);
GRANT SELECT, INSERT ON audit_positions TO streamspace_operator;

-- Row-level security. The loop keeps the four policies alike on every table with
-- a tenant key.
DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['tenants', 'tenant_subscription', 'operations', 'changes'] LOOP
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
