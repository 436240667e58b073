-- Sessions as the watch shows them, the places that are reserved for them, and what they
-- used. It only adds, so that the version before goes on beside it.

ALTER TABLE changes DROP CONSTRAINT changes_kind_check;
ALTER TABLE changes ADD CONSTRAINT changes_kind_check CHECK (kind IN ('tenant', 'operation', 'session'));

-- An item of an operation over sessions: its session beside its tenant.
ALTER TABLE bulk_items
    ADD COLUMN session     text NOT NULL DEFAULT '',
    -- Which object of that name is meant; absent for one that is to be created.
    ADD COLUMN session_uid uuid;
ALTER TABLE bulk_items DROP CONSTRAINT bulk_items_pkey;
ALTER TABLE bulk_items ADD PRIMARY KEY (tenant_uid, operation_id, session);

-- The sessions that exist in the cluster, as its watch showed them last. The truth is the
-- cluster's; these rows are for reading, on every replica.
CREATE TABLE sessions (
    tenant_uid       uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term      bigint NOT NULL DEFAULT 1,
    name             text NOT NULL,
    session_uid      uuid NOT NULL,
    -- What orders two sights of one name.
    resource_version bigint NOT NULL,
    generation       bigint NOT NULL,
    user_name        text NOT NULL,
    template         text NOT NULL,
    state            text NOT NULL,
    phase            text NOT NULL,
    deleting         boolean NOT NULL,
    -- What it takes while it is to run: of all its copies together.
    pods             bigint NOT NULL,
    cpu              bigint NOT NULL,
    cpu_limit        bigint NOT NULL,
    memory           bigint NOT NULL,
    memory_limit     bigint NOT NULL,
    node             text NOT NULL DEFAULT '',
    last_activity    timestamptz,
    create_time      timestamptz NOT NULL,
    -- The encoded streamspace.admin.v1.Session.
    resource         bytea NOT NULL,
    PRIMARY KEY (tenant_uid, name)
);
CREATE INDEX sessions_node ON sessions (node) WHERE node <> '';
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO streamspace_operator;
GRANT SELECT ON sessions TO streamspace_tenant;

-- Sessions that were admitted and are not seen yet.
CREATE TABLE session_reservations (
    tenant_uid   uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term  bigint NOT NULL DEFAULT 1,
    name         text NOT NULL,
    -- The object; nil where a caller asked before there was one.
    session_uid  uuid NOT NULL,
    user_name    text NOT NULL,
    -- The object of the name that was there when it was made.
    beside       uuid,
    generation   bigint NOT NULL,
    pods         bigint NOT NULL,
    cpu          bigint NOT NULL,
    cpu_limit    bigint NOT NULL,
    memory       bigint NOT NULL,
    memory_limit bigint NOT NULL,
    expire_time  timestamptz NOT NULL,
    PRIMARY KEY (tenant_uid, name, session_uid, user_name)
);
CREATE INDEX session_reservations_expiry ON session_reservations (expire_time);
-- What admission reads beside them: whose namespace it is, and what is to run there.
CREATE INDEX tenants_namespace ON tenants (namespace);
CREATE INDEX sessions_placed ON sessions (tenant_uid) WHERE state = 'running' AND NOT deleting;
GRANT SELECT, INSERT, UPDATE, DELETE ON session_reservations TO streamspace_operator;
GRANT SELECT ON session_reservations TO streamspace_tenant;

-- The templates that exist in the cluster: of tenants, and of the catalogue. Those of the
-- catalogue belong to no tenant.
CREATE TABLE templates (
    tenant_uid       uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term      bigint NOT NULL DEFAULT 1,
    name             text NOT NULL,
    template_uid     uuid NOT NULL,
    resource_version bigint NOT NULL,
    -- The encoded streamspace.admin.v1.Template.
    resource         bytea NOT NULL,
    PRIMARY KEY (tenant_uid, name)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON templates TO streamspace_operator;
GRANT SELECT ON templates TO streamspace_tenant;

CREATE TABLE catalogue_templates (
    name             text PRIMARY KEY,
    template_uid     uuid NOT NULL,
    resource_version bigint NOT NULL,
    resource         bytea NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON catalogue_templates TO streamspace_operator;
GRANT SELECT ON catalogue_templates TO streamspace_tenant;

-- How far the facts and their commits have come. One row; whoever stores facts holds it
-- FOR SHARE. Instants are whole seconds of the API server's clock since 1970.
CREATE TABLE usage_watermark (
    only_row         boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    leader_term      bigint NOT NULL,
    begins           bigint NOT NULL,
    complete_through bigint NOT NULL,
    closed_through   bigint NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON usage_watermark TO streamspace_operator;
GRANT SELECT ON usage_watermark TO streamspace_tenant;

-- Times of which not every transition is known, each with the list that ended it.
CREATE TABLE usage_gaps (
    list_position bigint NOT NULL,
    from_second   bigint NOT NULL,
    to_second     bigint NOT NULL,
    PRIMARY KEY (list_position, from_second, to_second)
);
GRANT SELECT, INSERT ON usage_gaps TO streamspace_operator;
GRANT SELECT ON usage_gaps TO streamspace_tenant;

-- Whose usage is counted: a session, or a home that outlives its sessions.
CREATE TABLE usage_subjects (
    tenant_uid  uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term bigint NOT NULL DEFAULT 1,
    subject_uid uuid NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('session', 'home', 'recording')),
    name        text NOT NULL,
    user_name   text NOT NULL,
    template    text NOT NULL,
    -- Which cluster it lives in: the uid of its `kube-system`.
    cluster     text NOT NULL,
    -- The latest known transition, so that what did not change needs no search. Its
    -- instant is not before that of any other.
    position        bigint NOT NULL DEFAULT 0,
    at              bigint NOT NULL DEFAULT 0,
    phase           text NOT NULL DEFAULT 'Pending',
    cpu_millicores  bigint NOT NULL DEFAULT 0,
    memory_bytes    bigint NOT NULL DEFAULT 0,
    home_bytes      bigint NOT NULL DEFAULT 0,
    pod_uid         uuid,
    container_start bigint,
    -- When its life ended; absent while it lives.
    end_second      bigint,
    PRIMARY KEY (tenant_uid, subject_uid)
);
-- Those that live are read at each tick; those that ended long ago are many more.
CREATE INDEX usage_subjects_living ON usage_subjects (tenant_uid, subject_uid) WHERE end_second IS NULL;
CREATE INDEX usage_subjects_ended ON usage_subjects (end_second) WHERE end_second IS NOT NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_subjects TO streamspace_operator;
GRANT SELECT ON usage_subjects TO streamspace_tenant;

-- The facts. Append-only; the same fact has the same key however often it comes.
CREATE TABLE usage_transitions (
    tenant_uid       uuid NOT NULL,
    region_term      bigint NOT NULL DEFAULT 1,
    subject_uid      uuid NOT NULL,
    -- The state of the cluster that showed it.
    position         bigint NOT NULL,
    at               bigint NOT NULL,
    phase            text NOT NULL,
    cpu_millicores   bigint NOT NULL,
    memory_bytes     bigint NOT NULL,
    home_bytes       bigint NOT NULL,
    pod_uid          uuid,
    container_start  bigint,
    -- What people are told of it, for example `Idle`.
    cause            text NOT NULL DEFAULT '',
    store_time       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_uid, subject_uid, position),
    FOREIGN KEY (tenant_uid, subject_uid) REFERENCES usage_subjects (tenant_uid, subject_uid)
);
CREATE INDEX usage_transitions_at ON usage_transitions USING brin (at);
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_transitions TO streamspace_operator;
GRANT SELECT ON usage_transitions TO streamspace_tenant;

-- What was stored late, to be computed anew once all of its span is closed.
CREATE TABLE usage_late (
    tenant_uid  uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term bigint NOT NULL DEFAULT 1,
    subject_uid uuid NOT NULL,
    from_second bigint NOT NULL,
    to_second   bigint NOT NULL,
    PRIMARY KEY (tenant_uid, subject_uid, from_second, to_second)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_late TO streamspace_operator;
GRANT SELECT ON usage_late TO streamspace_tenant;

-- What one subject used in five minutes. A row of it is never changed. A bucket of the
-- largest amounts fits into 64 bits (daemon/src/usage/row.rs). The time stands before the
-- subject, so that a tenant's new rows lie together and its hour is one range.
CREATE TABLE usage_intervals (
    tenant_uid            uuid NOT NULL,
    region_term           bigint NOT NULL DEFAULT 1,
    subject_uid           uuid NOT NULL,
    bucket_time           timestamptz NOT NULL,
    cpu_millicore_seconds bigint NOT NULL,
    memory_byte_seconds   bigint NOT NULL,
    storage_byte_seconds  bigint NOT NULL,
    session_seconds       integer NOT NULL,
    sessions_started      integer NOT NULL,
    -- The seconds of its life in the bucket.
    measured_seconds      integer NOT NULL,
    estimated_seconds     integer NOT NULL,
    unbilled_seconds      integer NOT NULL,
    -- Why seconds are not measured, as `why:seconds` with spaces between.
    doubts                text NOT NULL,
    PRIMARY KEY (tenant_uid, bucket_time, subject_uid)
) PARTITION BY RANGE (bucket_time);
CREATE INDEX usage_intervals_time ON usage_intervals USING brin (bucket_time);
GRANT SELECT, INSERT ON usage_intervals TO streamspace_operator;
GRANT SELECT ON usage_intervals TO streamspace_tenant;

-- The maintainer makes partitions ahead and drops old ones, and can do nothing else to the
-- table. To make one takes the rights of who owns it; these two functions lend them for
-- that alone, so that the maintainer owns nothing and cannot switch row-level security
-- off. db/catalogue/functions.sql knows both and refuses any other.
CREATE FUNCTION usage_intervals_make(day date) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    part text := 'usage_intervals_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF day IS NULL OR day NOT BETWEEN date '2000-01-01' AND date '2100-01-01' THEN
        RAISE EXCEPTION 'no day of usage: %', day;
    END IF;
    IF to_regclass('public.' || part) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- Attached and not made as a part: that would lock out readers of all other parts.
    EXECUTE format('CREATE TABLE public.%I (LIKE public.usage_intervals INCLUDING DEFAULTS)', part);
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', part);
    EXECUTE format('ALTER TABLE public.usage_intervals ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                   part, to_char(day, 'YYYY-MM-DD') || ' 00:00:00+00',
                   to_char(day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION usage_intervals_make(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION usage_intervals_make(date) TO streamspace_maintainer;

-- Drops the days before one, the oldest first, at most so many. What may still have to be
-- billed stays, whoever asks.
CREATE FUNCTION usage_intervals_drop(before date, most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    part    name;
    dropped integer := 0;
BEGIN
    IF before IS NULL OR before > (clock_timestamp() AT TIME ZONE 'UTC')::date - 62 THEN
        RAISE EXCEPTION 'usage of the last 62 days is kept, and not only that since %', before;
    END IF;
    FOR part IN
        SELECT class.relname
        FROM pg_inherits AS inheritance
        JOIN pg_class AS class ON class.oid = inheritance.inhrelid
        WHERE inheritance.inhparent = 'public.usage_intervals'::regclass
          AND class.relname < 'usage_intervals_' || to_char(before, 'YYYYMMDD')
        ORDER BY class.relname
        LIMIT most
    LOOP
        EXECUTE format('DROP TABLE public.%I', part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION usage_intervals_drop(date, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION usage_intervals_drop(date, integer) TO streamspace_maintainer;

-- What is added to an interval that was closed before the facts were known.
CREATE TABLE usage_corrections (
    tenant_uid            uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term           bigint NOT NULL DEFAULT 1,
    subject_uid           uuid NOT NULL,
    bucket_time           timestamptz NOT NULL,
    number                integer NOT NULL,
    cpu_millicore_seconds bigint NOT NULL,
    memory_byte_seconds   bigint NOT NULL,
    storage_byte_seconds  bigint NOT NULL,
    session_seconds       integer NOT NULL,
    sessions_started      integer NOT NULL,
    measured_seconds      integer NOT NULL,
    estimated_seconds     integer NOT NULL,
    unbilled_seconds      integer NOT NULL,
    doubts                text NOT NULL,
    store_time            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_uid, bucket_time, subject_uid, number)
);
GRANT SELECT, INSERT, DELETE ON usage_corrections TO streamspace_operator;
GRANT SELECT ON usage_corrections TO streamspace_tenant;

-- Hours that must be added up anew.
CREATE TABLE usage_dirty (
    tenant_uid  uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term bigint NOT NULL DEFAULT 1,
    hour_time   timestamptz NOT NULL,
    PRIMARY KEY (tenant_uid, hour_time)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_dirty TO streamspace_operator;
GRANT SELECT ON usage_dirty TO streamspace_tenant;

-- Sums of intervals and corrections, made anew whenever an hour is dirty. Their tenants are
-- those of the subjects, which have a row.
CREATE TABLE usage_hours (
    tenant_uid            uuid NOT NULL,
    region_term           bigint NOT NULL DEFAULT 1,
    hour_time             timestamptz NOT NULL,
    user_name             text NOT NULL,
    template              text NOT NULL,
    cpu_millicore_seconds numeric NOT NULL,
    memory_byte_seconds   numeric NOT NULL,
    storage_byte_seconds  numeric NOT NULL,
    session_seconds       numeric NOT NULL,
    sessions_started      numeric NOT NULL,
    measured_seconds      numeric NOT NULL,
    estimated_seconds     numeric NOT NULL,
    unbilled_seconds      numeric NOT NULL,
    PRIMARY KEY (tenant_uid, hour_time, user_name, template)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_hours TO streamspace_operator;
GRANT SELECT ON usage_hours TO streamspace_tenant;

-- Sums of hours, by days of UTC.
CREATE TABLE usage_days (
    tenant_uid            uuid NOT NULL,
    region_term           bigint NOT NULL DEFAULT 1,
    day                   date NOT NULL,
    user_name             text NOT NULL,
    template              text NOT NULL,
    cpu_millicore_seconds numeric NOT NULL,
    memory_byte_seconds   numeric NOT NULL,
    storage_byte_seconds  numeric NOT NULL,
    session_seconds       numeric NOT NULL,
    sessions_started      numeric NOT NULL,
    measured_seconds      numeric NOT NULL,
    estimated_seconds     numeric NOT NULL,
    unbilled_seconds      numeric NOT NULL,
    PRIMARY KEY (tenant_uid, day, user_name, template)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_days TO streamspace_operator;
GRANT SELECT ON usage_days TO streamspace_tenant;

-- What pods used in an hour, as others measured it, beside what was requested. Each amount
-- stands with the seconds of its series that were measured: without any it is not known,
-- which is not 0. It is never billed.
CREATE TABLE usage_actual (
    tenant_uid                uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term               bigint NOT NULL DEFAULT 1,
    hour_time                 timestamptz NOT NULL,
    cpu_millicore_seconds     numeric NOT NULL DEFAULT 0,
    cpu_covered_seconds       bigint NOT NULL DEFAULT 0,
    memory_byte_seconds       numeric NOT NULL DEFAULT 0,
    memory_covered_seconds    bigint NOT NULL DEFAULT 0,
    egress_bytes              numeric NOT NULL DEFAULT 0,
    egress_covered_seconds    bigint NOT NULL DEFAULT 0,
    recording_byte_seconds    numeric NOT NULL DEFAULT 0,
    recording_covered_seconds bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_uid, hour_time)
);
CREATE INDEX usage_actual_time ON usage_actual USING brin (hour_time);
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_actual TO streamspace_operator;
GRANT SELECT ON usage_actual TO streamspace_tenant;

-- What each series said last, stored with the sums that it came to: a reading that comes
-- again counts nothing.
CREATE TABLE usage_actual_series (
    tenant_uid      uuid NOT NULL REFERENCES tenants (tenant_uid),
    region_term     bigint NOT NULL DEFAULT 1,
    metric          text NOT NULL CHECK (metric IN ('cpu', 'memory', 'egress', 'recordings')),
    -- The pod; empty for a number of the whole namespace.
    series          text NOT NULL,
    -- When it was read, in seconds since 1970 by the source's clock.
    at              bigint NOT NULL,
    -- Of a counter: when it was 0, and where it stood.
    container_start bigint,
    value           numeric,
    PRIMARY KEY (tenant_uid, metric, series)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_actual_series TO streamspace_operator;
GRANT SELECT ON usage_actual_series TO streamspace_tenant;

-- Where each metric of actual use comes from; written by the leader, read by every replica.
CREATE TABLE usage_actual_sources (
    metric       text PRIMARY KEY CHECK (metric IN ('cpu', 'memory', 'egress', 'recordings')),
    source       text NOT NULL,
    -- Since when this source has measured it, and when it did last.
    since_second bigint,
    last_second  bigint,
    problem      text NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON usage_actual_sources TO streamspace_operator;
GRANT SELECT ON usage_actual_sources TO streamspace_tenant;

-- The same four policies as on every table with a tenant key.
DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['sessions', 'session_reservations', 'templates', 'usage_subjects',
                                  'usage_transitions', 'usage_late', 'usage_intervals', 'usage_corrections',
                                  'usage_dirty', 'usage_hours', 'usage_days', 'usage_actual',
                                  'usage_actual_series'] LOOP
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
