-- Incidents, who is on call, maintenances and silences. It only adds, so that the version
-- before goes on beside it. All of it is the region's: certificates that name tenants see
-- none of it.

CREATE TABLE incidents (
    incident_number   integer PRIMARY KEY CHECK (incident_number > 0),
    title             text NOT NULL,
    severity          text NOT NULL CHECK (severity IN ('P0', 'P1', 'P2', 'P3', 'P4')),
    state             text NOT NULL
        CHECK (state IN ('declared', 'triaged', 'mitigated', 'resolved', 'reviewed')),
    -- What alerts that are about the same have in common; they join one open incident.
    dedup_key         text,
    commander         text NOT NULL DEFAULT '',
    communications    text NOT NULL DEFAULT '',
    scribe            text NOT NULL DEFAULT '',
    tenants           text[] NOT NULL DEFAULT '{}',
    slos              text[] NOT NULL DEFAULT '{}',
    declared_by       text NOT NULL,
    -- When its first alert began, where there is one before its declaration.
    start_time        timestamptz NOT NULL,
    declare_time      timestamptz NOT NULL,
    acknowledged_by   text NOT NULL DEFAULT '',
    acknowledge_time  timestamptz,
    mitigate_time     timestamptz,
    resolve_time      timestamptz,
    review_time       timestamptz,
    merged_into       integer REFERENCES incidents (incident_number),
    -- Who is paged after whom, as it was when the incident was declared.
    escalation_policy text NOT NULL DEFAULT '',
    levels            jsonb NOT NULL,
    -- From when the minutes of the levels run; it pages nobody where it is absent.
    page_time         timestamptz,
    levels_paged      integer NOT NULL DEFAULT 0,
    next_update_time  timestamptz,
    version           bigint NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX incidents_dedup ON incidents (dedup_key)
    WHERE state IN ('declared', 'triaged', 'mitigated');
CREATE INDEX incidents_open ON incidents (incident_number)
    WHERE state IN ('declared', 'triaged', 'mitigated');
GRANT SELECT, INSERT, UPDATE ON incidents TO streamspace_operator;

-- What happened. It grows and never changes.
CREATE TABLE incident_events (
    incident_number integer NOT NULL REFERENCES incidents (incident_number),
    event_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time            timestamptz NOT NULL,
    actor           text NOT NULL,
    kind            text NOT NULL,
    text            text NOT NULL
);
CREATE INDEX incident_events_of ON incident_events (incident_number, event_id);
GRANT SELECT, INSERT ON incident_events TO streamspace_operator;

-- The alerts of an incident: `alerts/{alert}`, or `alertmanager/{fingerprint}/{start}`.
CREATE TABLE incident_alerts (
    alert           text PRIMARY KEY,
    incident_number integer NOT NULL REFERENCES incidents (incident_number),
    firing          boolean NOT NULL DEFAULT true
);
CREATE INDEX incident_alerts_of ON incident_alerts (incident_number);
GRANT SELECT, INSERT, UPDATE ON incident_alerts TO streamspace_operator;

CREATE TABLE incident_actions (
    incident_number integer NOT NULL REFERENCES incidents (incident_number),
    action_number   integer NOT NULL CHECK (action_number > 0),
    text            text NOT NULL,
    owner           text NOT NULL DEFAULT '',
    due             text NOT NULL DEFAULT '',
    done            boolean NOT NULL DEFAULT false,
    PRIMARY KEY (incident_number, action_number)
);
GRANT SELECT, INSERT, UPDATE ON incident_actions TO streamspace_operator;

CREATE TABLE rotas (
    rota_id    text PRIMARY KEY,
    people     text[] NOT NULL CHECK (cardinality(people) > 0),
    turn_days  integer NOT NULL CHECK (turn_days BETWEEN 1 AND 28),
    handover   text NOT NULL,
    time_zone  text NOT NULL,
    start_date text NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON rotas TO streamspace_operator;

CREATE TABLE rota_overrides (
    rota_id     text NOT NULL REFERENCES rotas (rota_id) ON DELETE CASCADE,
    override_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person      text NOT NULL,
    start_time  timestamptz NOT NULL,
    end_time    timestamptz NOT NULL CHECK (end_time > start_time)
);
CREATE INDEX rota_overrides_of ON rota_overrides (rota_id, end_time);
GRANT SELECT, INSERT, DELETE ON rota_overrides TO streamspace_operator;

CREATE TABLE escalation_policies (
    policy_id   text PRIMARY KEY,
    levels      jsonb NOT NULL,
    plan_id     text NOT NULL DEFAULT '',
    rto_minutes integer NOT NULL DEFAULT 0
);
GRANT SELECT, INSERT, UPDATE, DELETE ON escalation_policies TO streamspace_operator;

CREATE TABLE maintenances (
    maintenance_number integer PRIMARY KEY CHECK (maintenance_number > 0),
    title              text NOT NULL,
    slos               text[] NOT NULL DEFAULT '{}',
    tenants            text[] NOT NULL DEFAULT '{}',
    start_time         timestamptz NOT NULL,
    end_time           timestamptz NOT NULL CHECK (end_time >= start_time),
    actor              text NOT NULL,
    reason             text NOT NULL,
    -- Whether the status page was told that it began.
    begun              boolean NOT NULL DEFAULT false,
    ended              boolean NOT NULL DEFAULT false,
    ended_by           text NOT NULL DEFAULT ''
);
CREATE INDEX maintenances_end ON maintenances (end_time);
GRANT SELECT, INSERT, UPDATE ON maintenances TO streamspace_operator;

CREATE TABLE silences (
    silence_number integer PRIMARY KEY CHECK (silence_number > 0),
    matchers       jsonb NOT NULL,
    comment        text NOT NULL,
    start_time     timestamptz NOT NULL,
    end_time       timestamptz NOT NULL CHECK (end_time >= start_time),
    actor          text NOT NULL,
    ended          boolean NOT NULL DEFAULT false
);
CREATE INDEX silences_end ON silences (end_time);
GRANT SELECT, INSERT, UPDATE ON silences TO streamspace_operator;
