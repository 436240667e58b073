-- Service level objectives, what was measured for them, and alerts. It only adds, so that
-- the version before goes on beside it.
--
-- Rows with a tenant key that are of the region and of no tenant have the nil UUID, which
-- no tenant has and no scope holds.

-- What is promised. It is the same for all tenants and tells nothing of one.
CREATE TABLE slos (
    slo_uid       uuid PRIMARY KEY,
    slo_id        text NOT NULL UNIQUE,
    -- The encoded streamspace.admin.v1.Slo, without what is output only.
    definition    bytea NOT NULL,
    seeded        boolean NOT NULL DEFAULT false,
    version       bigint NOT NULL DEFAULT 1,
    -- The first minute that is measured, and the first that is not known yet, since 1970 UTC.
    first_minute  bigint NOT NULL,
    known_minute  bigint NOT NULL,
    -- Why it is not measured at the moment.
    problem       text NOT NULL DEFAULT '',
    create_time   timestamptz NOT NULL DEFAULT now(),
    update_time   timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON slos TO streamspace_operator;
GRANT SELECT ON slos TO streamspace_tenant;

-- Which seeded SLOs were made, so that one that is deleted stays deleted.
CREATE TABLE slo_seeds (
    slo_id text PRIMARY KEY
);
GRANT SELECT, INSERT ON slo_seeds TO streamspace_operator;

-- An hour of what was measured: what was counted before it, and its minutes.
CREATE TABLE slo_hours (
    tenant_uid      uuid NOT NULL,
    region_term     bigint NOT NULL DEFAULT 1,
    slo_uid         uuid NOT NULL,
    -- Since 1970 UTC.
    hour            bigint NOT NULL,
    before_total    bigint NOT NULL CHECK (before_total >= 0),
    before_bad      bigint NOT NULL CHECK (before_bad BETWEEN 0 AND before_total),
    before_measured integer NOT NULL CHECK (before_measured >= 0),
    before_excluded integer NOT NULL CHECK (before_excluded >= 0),
    -- As core's slo::Hour encodes them.
    minutes         bytea NOT NULL,
    PRIMARY KEY (tenant_uid, slo_uid, hour)
);
CREATE INDEX slo_hours_at ON slo_hours (slo_uid, hour);
GRANT SELECT, INSERT, UPDATE, DELETE ON slo_hours TO streamspace_operator;
GRANT SELECT ON slo_hours TO streamspace_tenant;

-- Each budget, as of the last minute that is known.
CREATE TABLE slo_budgets (
    tenant_uid       uuid NOT NULL,
    region_term      bigint NOT NULL DEFAULT 1,
    slo_uid          uuid NOT NULL,
    -- In billionths.
    objective        bigint NOT NULL CHECK (objective BETWEEN 1 AND 999999999),
    first_minute     bigint NOT NULL,
    known_minute     bigint NOT NULL,
    -- What was counted in each window: its length in minutes, 0 for the SLO's own and -1
    -- for the calendar month in UTC.
    spans            integer[] NOT NULL DEFAULT '{}',
    totals           bigint[] NOT NULL DEFAULT '{}',
    bads             bigint[] NOT NULL DEFAULT '{}',
    measured         integer[] NOT NULL DEFAULT '{}',
    excluded         integer[] NOT NULL DEFAULT '{}',
    exhausted_minute bigint,
    frozen           boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_uid, slo_uid)
) WITH (fillfactor = 70);
CREATE INDEX slo_budgets_of ON slo_budgets (slo_uid);
GRANT SELECT, INSERT, UPDATE, DELETE ON slo_budgets TO streamspace_operator;
GRANT SELECT ON slo_budgets TO streamspace_tenant;

-- What the replicas counted, until the leader takes it.
CREATE TABLE slo_counts (
    tenant_uid  uuid NOT NULL,
    region_term bigint NOT NULL DEFAULT 1,
    counter     text NOT NULL,
    minute      bigint NOT NULL,
    -- Who counted: the run of a replica, or the session that started.
    source_uid  uuid NOT NULL,
    total       bigint NOT NULL CHECK (total >= 0),
    bad         bigint NOT NULL CHECK (bad BETWEEN 0 AND total),
    PRIMARY KEY (tenant_uid, counter, minute, source_uid)
);
GRANT SELECT, INSERT, DELETE ON slo_counts TO streamspace_operator;
GRANT SELECT ON slo_counts TO streamspace_tenant;

-- What was pushed, until the leader takes it. A minute that is pushed again is replaced.
CREATE TABLE slo_pushed (
    tenant_uid  uuid NOT NULL,
    region_term bigint NOT NULL DEFAULT 1,
    slo_uid     uuid NOT NULL,
    minute      bigint NOT NULL,
    total       bigint NOT NULL CHECK (total >= 0),
    bad         bigint NOT NULL CHECK (bad BETWEEN 0 AND total),
    PRIMARY KEY (tenant_uid, slo_uid, minute)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON slo_pushed TO streamspace_operator;
GRANT SELECT, INSERT ON slo_pushed TO streamspace_tenant;
GRANT UPDATE (total, bad) ON slo_pushed TO streamspace_tenant;

-- What needs somebody.
CREATE TABLE alerts (
    tenant_uid       uuid NOT NULL,
    region_term      bigint NOT NULL DEFAULT 1,
    alert_uid        uuid NOT NULL,
    kind             text NOT NULL,
    rule             text NOT NULL,
    subject          text NOT NULL,
    severity         text NOT NULL CHECK (severity IN ('page', 'ticket')),
    summary          text NOT NULL,
    runbook_url      text NOT NULL DEFAULT '',
    start_time       timestamptz NOT NULL,
    end_time         timestamptz,
    acknowledged_by  text NOT NULL DEFAULT '',
    acknowledge_time timestamptz,
    PRIMARY KEY (tenant_uid, alert_uid)
);
CREATE UNIQUE INDEX alerts_firing ON alerts (tenant_uid, kind, rule, subject) WHERE end_time IS NULL;
CREATE INDEX alerts_newest ON alerts (start_time DESC);
GRANT SELECT, INSERT, UPDATE, DELETE ON alerts TO streamspace_operator;
GRANT SELECT ON alerts TO streamspace_tenant;

-- The same four policies as on every table with a tenant key.
DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['slo_hours', 'slo_budgets', 'slo_counts', 'slo_pushed', 'alerts'] LOOP
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
